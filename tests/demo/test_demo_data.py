"""What the seeded data promises."""

from demo.shop import people, sales
from demo.shop.posts import ARTICLE_IDS


def test_users_are_1_to_1001_without_999(serve):
    users = serve("users")
    assert [users("GET", f"/users/{i}").status_code for i in (1, 998, 1000, 1001)] == [200] * 4
    assert [users("GET", f"/users/{i}").status_code for i in (0, 999, 1002)] == [404] * 3
    assert len(people.USER_IDS) == 1000


def test_users_by_ids_leaves_out_the_missing_one(serve):
    reply = serve("users")("GET", "/users?id=998&id=999&id=1000")
    assert [user["id"] for user in reply.json()] == [998, 1000]


def test_each_user_has_an_address_of_their_own():
    assert len({people.email(user) for user in people.USER_IDS}) == 1000


def test_orders_refer_to_users_and_products_that_exist(serve):
    store = serve("orders").app.state.running.store
    orders = store.rows("SELECT userId, lines FROM orders")
    assert len(orders) == 5000
    assert all(people.is_user(order["userId"]) for order in orders)
    product_ids = store.rows(
        "SELECT DISTINCT json_extract(line.value, '$.productId') AS id "
        "FROM orders, json_each(lines) AS line"
    )
    assert {row["id"] for row in product_ids} <= set(range(1, 501))


def test_what_was_paid_is_what_was_ordered(serve):
    order = serve("orders")("GET", "/orders/77").json()["data"]
    (payment,) = serve("payments")("GET", "/payments?orderIds=77").json()["payments"]
    assert payment["amountCents"] == order["totalCents"]
    assert payment["userId"] == order["userId"]


def test_both_kinds_of_payment_method_occur(serve):
    ids = ",".join(map(str, range(1, 51)))
    payments = serve("payments")("GET", f"/payments?orderIds={ids}").json()["payments"]
    methods = {payment["method"]["type"]: set(payment["method"]) for payment in payments}
    assert methods == {"card": {"type", "brand", "last4"}, "iban": {"type", "bank", "ending"}}


def test_every_17th_user_has_no_rewards(serve):
    rewards = serve("rewards")
    assert [rewards("GET", f"/rewards/{i}").status_code for i in (16, 17, 34, 35, 999)] == [
        200,
        404,
        404,
        200,
        404,
    ]


def test_there_is_no_article_13(serve):
    articles = serve("articles")
    assert articles("GET", "/articles/13").status_code == 404
    assert articles("GET", "/articles/50").json()["article"]["id"] == 50
    assert len(ARTICLE_IDS) == 49


def test_data_is_the_same_each_time():
    assert sales.sale(4711) == sales.sale(4711)
    assert people.full_name(1) == "Uwe Rossi"
