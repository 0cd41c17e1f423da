"""Orders: camelCase, inside `data` or `items`."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.clock import now
from demo.errors import Refused, found
from demo.idempotency import write
from demo.replies import Reply, as_numbers, limited, ok
from demo.route import new_router
from demo.running import store_of
from demo.shop import goods, people, sales
from demo.spec import Spec
from demo.store import Row, Store

router = new_router()

_MOST_IDS: Final = 200
_SCHEMA: Final = """
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, userId INTEGER NOT NULL, status TEXT NOT NULL,
    placedAt TEXT NOT NULL, totalCents INTEGER NOT NULL, lines TEXT NOT NULL
);
CREATE INDEX orders_by_user ON orders (userId, placedAt);
"""
_OF_USERS: Final = """
SELECT * FROM orders WHERE userId IN (SELECT value FROM json_each(?))
ORDER BY userId, placedAt DESC, id DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is ordered, and how many."""

    productId: int
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """The body of `POST /orders`."""

    userId: int
    items: list[Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """The body of `PATCH /orders/{id}`."""

    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """One order's new status among many."""

    id: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdates:
    """The body of `POST /orders/status`."""

    updates: list[StatusUpdate]


@router.get("/orders/{id}")
async def one(request: Request, id: int) -> Response:
    """An order."""
    return ok({"data": _order(store_of(request), id)})


@router.get("/orders")
async def many(
    request: Request,
    ids: str | None = None,
    user_ids: Annotated[list[int] | None, Query(alias="userId")] = None,
) -> Response:
    """Orders by `?ids=1,2`, or of users by `?userId=1&userId=2`, newest first in each user."""
    store = store_of(request)
    if user_ids:
        rows = store.rows(_OF_USERS, limited(user_ids, "userId", _MOST_IDS), -1)
        return ok({"items": [_shown(row) for row in rows]})
    rows = store.rows(
        "SELECT * FROM orders WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        as_numbers(ids, "ids (or userId)", _MOST_IDS),
    )
    return ok({"data": [_shown(row) for row in rows]})


@router.get("/users/{userId}/orders")
async def of_user(
    request: Request,
    user_id: Annotated[int, Path(alias="userId")],
    limit: Annotated[int, Query(ge=0, le=200)] = 20,
) -> Response:
    """A user's orders, newest first."""
    rows = store_of(request).rows(_OF_USERS, f"[{user_id}]", limit)
    return ok({"items": [_shown(row) for row in rows]})


@router.post("/orders", status_code=201)
async def place(request: Request, body: NewOrder) -> Response:
    """Place an order; `DELETE` undoes it."""
    return await write(request, partial(_place, body))


@router.patch("/orders/{id}")
async def change_status(request: Request, id: int, body: StatusChange) -> Response:
    """Give an order another status."""
    return await write(request, _status_setter(id, body.status))


@router.post("/orders/status")
async def change_statuses(request: Request, body: StatusUpdates) -> Response:
    """Give many orders another status; each succeeds or fails on its own."""
    return await write(request, partial(_set_statuses, body))


@router.delete("/orders/{id}")
async def cancel(request: Request, id: int) -> Response:
    """Cancel an order."""
    return await write(request, _status_setter(id, "CANCELLED"))


def _place(new: NewOrder, store: Store) -> Reply:
    _check(new)
    lines = [sales.line(item.productId, item.quantity) for item in new.items]
    order_id = store.add(
        "INSERT INTO orders (userId, status, placedAt, totalCents, lines) VALUES (?, ?, ?, ?, ?)",
        new.userId,
        "PLACED",
        now(),
        sales.total_cents(lines),
        json.dumps(lines),
    )
    return Reply(status=201, body={"data": _order(store, order_id)})


def _check(new: NewOrder) -> None:
    if not people.is_user(new.userId):
        raise Refused(422, "unknown_user", f"user {new.userId} does not exist")
    if not new.items:
        raise Refused(422, "no_items", "an order needs at least one item")
    for item in new.items:
        if not goods.is_product(item.productId):
            raise Refused(422, "unknown_product", f"product {item.productId} does not exist")
        if item.quantity < 1:
            raise Refused(422, "bad_quantity", f"quantity must be 1 or more, not {item.quantity}")


def _status_setter(order_id: int, status: str) -> Callable[[Store], Reply]:
    def change(store: Store) -> Reply:
        _set_status(store, order_id, status)
        return Reply(body={"data": _order(store, order_id)})

    return change


def _set_statuses(body: StatusUpdates, store: Store) -> Reply:
    return Reply(body={"results": [_result(store, update) for update in body.updates]})


def _result(store: Store, update: StatusUpdate) -> dict[str, object]:
    try:
        _set_status(store, update.id, update.status)
    except Refused as refused:
        return {"id": update.id, "ok": False, "error": refused.message}
    return {"id": update.id, "ok": True, "error": None}


def _set_status(store: Store, order_id: int, status: str) -> None:
    if status not in sales.STATUSES:
        raise Refused(422, "unknown_status", f"unknown status {status!r}")
    if not store.change("UPDATE orders SET status = ? WHERE id = ?", status, order_id):
        raise errors.not_found("order", order_id)


def _order(store: Store, order_id: int) -> Row:
    row = store.row("SELECT * FROM orders WHERE id = ?", order_id)
    return _shown(found(row, "order", order_id))


def _shown(row: Row) -> Row:
    row["lines"] = json.loads(row["lines"])
    return row


def _seed(store: Store) -> None:
    orders = map(sales.sale, sales.ORDER_IDS)
    store.fill(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)",
        ((o.id, o.user_id, o.status, o.placed_at, o.total_cents, json.dumps(o.lines))
         for o in orders),
    )  # fmt: skip


SERVICE: Final = Spec(
    name="orders",
    about="What the users ordered.",
    router=router,
    errors=errors.nested,
    cache_control="max-age=5",
    schema=_SCHEMA,
    seed=_seed,
    tables=("orders",),
)
