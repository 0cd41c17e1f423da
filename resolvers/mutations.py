"""What can be changed. Each of these writes to several APIs at the same time and tells what became
of each."""

from enum import Enum
from typing import Any

import strawberry
from strawberry.scalars import JSON

from plait import BadUserInput, Outcome, Succeeded, write_together
from resolvers import backends as api
from resolvers.orders import Order


@strawberry.type(description="What became of one write.")
class WriteOutcome:
    target: str
    status: str = strawberry.field(description="succeeded, failed or unknown.")
    http_status: int | None
    attempts: int
    message: str


@strawberry.enum
class Plan(Enum):
    FREE = "FREE"
    PRO = "PRO"
    TEAM = "TEAM"


@strawberry.input
class OnboardCustomerInput:
    name: str
    email: str
    plan: Plan = Plan.FREE


@strawberry.input
class CheckoutItemInput:
    product_id: strawberry.ID
    quantity: int


@strawberry.input
class CheckoutInput:
    user_id: strawberry.ID
    items: list[CheckoutItemInput]


@strawberry.input
class ChangeEmailInput:
    user_id: strawberry.ID
    email: str


@strawberry.input
class TrackEventInput:
    user_id: strawberry.ID
    name: str
    properties: JSON | None = None


@strawberry.type
class OnboardCustomerPayload:
    account_id: strawberry.ID | None
    outcomes: list[WriteOutcome]


@strawberry.type
class CheckoutPayload:
    order: Order | None
    outcomes: list[WriteOutcome]


@strawberry.type
class ChangeEmailPayload:
    email: str | None
    outcomes: list[WriteOutcome]


@strawberry.type
class TrackEventPayload:
    outcomes: list[WriteOutcome]


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Open an account everywhere: accounts, crm, marketing, billing."
    )
    async def onboard_customer(
        self, info: strawberry.Info, input: OnboardCustomerInput
    ) -> OnboardCustomerPayload:
        name, email = input.name, input.email
        outcomes = await write_together(
            info,
            api.create_account(body={"name": name, "email": email}),
            api.create_contact(body={"full_name": name, "email": email}),
            api.create_subscriber(body={"emailAddress": email, "list": "welcome"}),
            api.create_customer(body={"name": name, "email": email, "plan": input.plan}),
        )
        account = outcomes[0]
        account_id = account.value["id"] if isinstance(account, Succeeded) else None
        return OnboardCustomerPayload(account_id=account_id, outcomes=shown(outcomes))

    @strawberry.mutation(
        description="Place an order, and charge for it once it is placed, what the orders service "
        "says that it costs."
    )
    async def checkout(self, info: strawberry.Info, input: CheckoutInput) -> CheckoutPayload:
        user_id = whole("userId", input.user_id)
        items = [
            {"productId": whole("productId", one.product_id), "quantity": one.quantity}
            for one in input.items
        ]
        (order,) = await write_together(
            info, api.create_order(body={"userId": user_id, "items": items})
        )
        if not isinstance(order, Succeeded):
            return CheckoutPayload(order=None, outcomes=shown((order,)))
        row = order.value
        (payment,) = await write_together(
            info,
            api.create_payment(
                body={
                    "userId": user_id,
                    "orderId": row["id"],
                    "amountCents": row["totalCents"],
                }
            ),
        )
        return CheckoutPayload(order=row, outcomes=shown((order, payment)))

    @strawberry.mutation(description="Change a user's address in crm, marketing and support.")
    async def change_email(
        self, info: strawberry.Info, input: ChangeEmailInput
    ) -> ChangeEmailPayload:
        user_id = whole("userId", input.user_id)
        outcomes = await write_together(
            info,
            api.put_contact_email(user_id=user_id, body={"email": input.email}),
            api.put_subscriber(user_id=user_id, body={"emailAddress": input.email}),
            api.put_requester(user_id=user_id, body={"email": input.email}),
        )
        done = all(isinstance(one, Succeeded) for one in outcomes)
        return ChangeEmailPayload(email=input.email if done else None, outcomes=shown(outcomes))

    @strawberry.mutation(description="Tell audit, analytics and monitoring what happened.")
    async def track_event(self, info: strawberry.Info, input: TrackEventInput) -> TrackEventPayload:
        user = whole("userId", input.user_id)
        properties: Any = input.properties or {}
        outcomes = await write_together(
            info,
            api.create_entry(body={"actor": user, "action": input.name, "detail": properties}),
            api.create_track(body={"userId": user, "event": input.name, "properties": properties}),
            api.create_signal(body={"name": input.name, "labels": properties}),
        )
        return TrackEventPayload(outcomes=shown(outcomes))


def whole(name: str, id: strawberry.ID) -> int:
    """An id of the shop: a whole number in ASCII digits. Raises `BadUserInput`."""
    if not (id.isascii() and id.isdigit() and len(id) < 19):
        raise BadUserInput(f"'{name}' must be a whole number.")
    return int(id)


def shown(outcomes: tuple[Outcome[object], ...]) -> list[WriteOutcome]:
    """Outcomes as the graph shows them."""
    return [
        WriteOutcome(
            target=one.target,
            status=type(one).__name__.lower(),
            http_status=one.http_status,
            attempts=one.attempts,
            message=one.message,
        )
        for one in outcomes
    ]
