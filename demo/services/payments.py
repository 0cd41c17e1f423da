"""Payments: camelCase, inside `payments`; a payment's method is a card or a bank account."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.errors import Refused, found
from demo.idempotency import write
from demo.ids import public_id, row_number
from demo.replies import Reply, as_numbers, ok
from demo.route import new_router
from demo.running import store_of
from demo.shop import people, sales
from demo.shop.chance import happens, number, pick
from demo.spec import Spec
from demo.store import Row, Store

router = new_router()

_MOST_IDS: Final = 200
_SCHEMA: Final = """
CREATE TABLE payments (
    number INTEGER PRIMARY KEY, orderId INTEGER, userId INTEGER NOT NULL,
    amountCents INTEGER NOT NULL, currency TEXT NOT NULL, state TEXT NOT NULL, method TEXT NOT NULL
);
CREATE INDEX payments_by_order ON payments (orderId);
CREATE INDEX payments_by_user ON payments (userId);
CREATE TABLE refunds (
    number INTEGER PRIMARY KEY, payment INTEGER NOT NULL, amountCents INTEGER NOT NULL
);
"""
_STATES: Final = {"PLACED": "PENDING", "CANCELLED": "REFUNDED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """The body of `POST /payments`."""

    userId: int
    amountCents: int
    orderId: int | None = None


@router.get("/payments")
async def many(
    request: Request,
    order_ids: Annotated[str | None, Query(alias="orderIds")] = None,
    user_ids: Annotated[str | None, Query(alias="userIds")] = None,
) -> Response:
    """Payments of up to 200 orders (`?orderIds=1,2`) or users (`?userIds=1,2`)."""
    if order_ids is None and user_ids is None:
        raise Refused(400, "bad_request", "orderIds or userIds is required")
    column, ids = ("orderId", order_ids) if order_ids is not None else ("userId", user_ids)
    rows = store_of(request).rows(
        f"SELECT * FROM payments WHERE {column} IN (SELECT value FROM json_each(?)) "
        f"ORDER BY {column}, number",
        as_numbers(ids, f"{column}s", _MOST_IDS),
    )
    return ok({"payments": [_shown(row) for row in rows]})


@router.get("/payments/{id}")
async def one(request: Request, id: str) -> Response:
    """A payment."""
    return ok({"payment": _shown(_payment(store_of(request), id))})


@router.post("/payments", status_code=201)
async def pay(request: Request, body: NewPayment) -> Response:
    """Take a payment; `POST /payments/{id}/refund` undoes it."""
    return await write(request, partial(_pay, body))


@router.post("/payments/{id}/refund", status_code=201)
async def refund(request: Request, id: str) -> Response:
    """Give a payment back, whole and once."""
    return await write(request, partial(_refund, id))


def _pay(new: NewPayment, store: Store) -> Reply:
    if not people.is_user(new.userId):
        raise Refused(422, "unknown_user", f"user {new.userId} does not exist")
    if new.amountCents < 1:
        raise Refused(422, "bad_amount", f"amountCents must be 1 or more, not {new.amountCents}")
    number = store.add(
        "INSERT INTO payments (orderId, userId, amountCents, currency, state, method) "
        "VALUES (?, ?, ?, 'EUR', 'PAID', ?)",
        new.orderId,
        new.userId,
        new.amountCents,
        json.dumps(_method(new.userId)),
    )
    return Reply(status=201, body={"payment": _shown(_payment(store, public_id("pay", number)))})


def _refund(payment_id: str, store: Store) -> Reply:
    payment = _payment(store, payment_id)
    if payment["state"] == "REFUNDED":
        raise Refused(409, "already_refunded", f"payment {payment_id} is refunded already")
    number, amount_cents = payment["number"], payment["amountCents"]
    store.change("UPDATE payments SET state = 'REFUNDED' WHERE number = ?", number)
    refund = store.add(
        "INSERT INTO refunds (payment, amountCents) VALUES (?, ?)", number, amount_cents
    )
    return Reply(
        status=201,
        body={
            "refund": {
                "id": public_id("ref", refund),
                "paymentId": payment_id,
                "amountCents": amount_cents,
                "state": "DONE",
            }
        },
    )


def _payment(store: Store, payment_id: str) -> Row:
    number = row_number("pay", payment_id)
    row = store.row("SELECT * FROM payments WHERE number = ?", number)
    return found(row, "payment", payment_id)


def _shown(row: Row) -> Row:
    number, method = row.pop("number"), json.loads(row["method"])
    return {"id": public_id("pay", number), **row, "method": method}


def _method(user: int) -> dict[str, str]:
    ending = f"{number(0, 9999, 'ending', user):04d}"
    if happens(60, "pays by card", user):
        return {"type": "card", "brand": pick(("VISA", "MASTERCARD"), user), "last4": ending}
    return {"type": "iban", "bank": pick(("First Bank", "Harbour Bank"), user), "ending": ending}


def _seed(store: Store) -> None:
    orders = map(sales.sale, sales.ORDER_IDS)
    store.fill(
        "INSERT INTO payments VALUES (?, ?, ?, ?, 'EUR', ?, ?)",
        ((o.id, o.id, o.user_id, o.total_cents, _STATES.get(o.status, "PAID"),
          json.dumps(_method(o.user_id)))
         for o in orders),
    )  # fmt: skip


SERVICE: Final = Spec(
    name="payments",
    about="What was paid, and how.",
    router=router,
    errors=errors.nested,
    cache_control="private, no-store",
    schema=_SCHEMA,
    seed=_seed,
    tables=("payments", "refunds"),
)
