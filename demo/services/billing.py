"""Billing: customers and their plans; camelCase, inside `customer`."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.clock import day_after
from demo.errors import Refused, not_found
from demo.idempotency import write
from demo.ids import public_id, row_number
from demo.replies import Reply
from demo.route import new_router
from demo.shop import people
from demo.shop.chance import moment, pick
from demo.spec import Spec
from demo.store import Store

router = new_router()

_PLANS: Final = ("FREE", "PRO", "TEAM")
_TRIAL_DAYS: Final = 14
_SCHEMA: Final = """
CREATE TABLE customers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email TEXT NOT NULL,
    plan TEXT NOT NULL, trialEndsOn TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCustomer:
    """The body of `POST /customers`."""

    name: str
    email: str
    plan: str


@router.post("/customers", status_code=201)
async def create(request: Request, body: NewCustomer) -> Response:
    """Start a trial of a plan; `DELETE` undoes it."""
    return await write(request, partial(_create, body))


@router.delete("/customers/{id}", status_code=204)
async def delete(request: Request, id: str) -> Response:
    """End a customer's contract."""
    return await write(request, partial(_delete, id))


def _create(new: NewCustomer, store: Store) -> Reply:
    if new.plan not in _PLANS:
        message = f"unknown plan {new.plan!r}; there are: {', '.join(_PLANS)}"
        raise Refused(422, "unknown_plan", message)
    ends_on = day_after(_TRIAL_DAYS)
    number = store.add(
        "INSERT INTO customers (name, email, plan, trialEndsOn) VALUES (?, ?, ?, ?)",
        new.name,
        new.email,
        new.plan,
        ends_on,
    )
    customer = {"id": public_id("cus", number), "plan": new.plan, "trialEndsOn": ends_on}
    return Reply(status=201, body={"customer": customer})


def _delete(customer_id: str, store: Store) -> Reply:
    if not store.change("DELETE FROM customers WHERE number = ?", row_number("cus", customer_id)):
        raise not_found("customer", customer_id)
    return Reply(status=204)


def _seed(store: Store) -> None:
    store.fill(
        "INSERT INTO customers VALUES (?, ?, ?, ?, ?)",
        (
            (
                user,
                people.full_name(user),
                people.email(user),
                pick(_PLANS, "plan", user),
                moment(360, "trial", user)[:10],
            )
            for user in people.USER_IDS
        ),
    )


SERVICE: Final = Spec(
    name="billing",
    about="Who pays for which plan.",
    router=router,
    errors=errors.problem,
    schema=_SCHEMA,
    seed=_seed,
    tables=("customers",),
)
