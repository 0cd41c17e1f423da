"""Queries to try: the tabs of GraphiQL. A test runs each of them."""

from plait import Example

EXAMPLES = (
    Example(
        title="Dashboard",
        query="""# One user over five services, all asked at once.
query Dashboard($id: ID!) {
  user(id: $id) {
    name
    email
    orders { id status totalCents }
    addresses { city country }
    payments { amountCents method { ... on Card { brand last4 } ... on BankAccount { bank } } }
    rewards { points level }
  }
}""",
        variables={"id": "7"},
    ),
    Example(
        title="Products",
        query="""# A Relay connection over the catalog's cursor pages.
query Products {
  products(first: 5) {
    nodes { name price currency inventory { inStock } reviews { rating author { name } } }
    pageInfo { hasNextPage endCursor }
  }
}""",
    ),
    Example(
        title="Missing",
        query="""# 999 does not exist: its own place is an error, the others are whole.
query Missing {
  a: userWithOrders(id: 123) { user { name } orders { id } }
  b: userWithOrders(id: 456) { user { name } orders { id } }
  c: userWithOrders(id: 999) { user { name } orders { id } }
}""",
    ),
    Example(
        title="Onboard",
        query="""# Four APIs at the same time. Run it twice: the second time is a replay.
mutation Onboard($input: OnboardCustomerInput!) {
  onboardCustomer(input: $input) {
    accountId
    outcomes { target status httpStatus attempts message }
  }
}""",
        variables={"input": {"name": "Ada Example", "email": "ada@example.com", "plan": "PRO"}},
        headers={"Idempotency-Key": "onboard-ada-1"},
    ),
)
