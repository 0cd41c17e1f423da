"""The inventory: stock levels, looked up by POST, and reservations."""

import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.errors import Refused, found, not_found
from demo.idempotency import write
from demo.ids import public_id, row_number
from demo.replies import Reply, limited, ok
from demo.route import LOOKUP, new_router
from demo.running import store_of
from demo.shop.chance import number, pick
from demo.shop.goods import PRODUCT_IDS, sku
from demo.spec import Spec
from demo.store import Row, Store

router = new_router()

_MOST_SKUS: Final = 200
_SCHEMA: Final = """
CREATE TABLE levels (
    sku TEXT PRIMARY KEY, onHand INTEGER NOT NULL, reserved INTEGER NOT NULL,
    warehouse TEXT NOT NULL
);
CREATE TABLE reservations (number INTEGER PRIMARY KEY AUTOINCREMENT, lines TEXT NOT NULL);
"""
_WAREHOUSES: Final = (
    {"code": "BER1", "city": "Berlin"},
    {"code": "LYS1", "city": "Lyon"},
    {"code": "UTR2", "city": "Utrecht"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """The body of `POST /inventory/lookup`."""

    skus: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What to reserve, and how many."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReservation:
    """The body of `POST /reservations`."""

    lines: list[Line]


@router.post("/inventory/lookup", tags=[LOOKUP])
async def many(request: Request, body: Lookup) -> Response:
    """The levels of up to 200 SKUs; unknown ones are left out."""
    rows = store_of(request).rows(
        "SELECT * FROM levels WHERE sku IN (SELECT value FROM json_each(?)) ORDER BY sku",
        limited(body.skus, "skus", _MOST_SKUS),
    )
    return ok({"levels": [_shown(row) for row in rows]})


@router.get("/inventory/{sku}")
async def one(request: Request, sku: str) -> Response:
    """The level of one SKU."""
    row = store_of(request).row("SELECT * FROM levels WHERE sku = ?", sku)
    return ok(_shown(found(row, "sku", sku)))


@router.post("/reservations", status_code=201)
async def reserve(request: Request, body: NewReservation) -> Response:
    """Reserve all lines or none; `DELETE` undoes it."""
    return await write(request, partial(_reserve, body))


@router.delete("/reservations/{id}", status_code=204)
async def release(request: Request, id: str) -> Response:
    """Give a reservation's stock back."""
    return await write(request, partial(_release, id))


def _reserve(new: NewReservation, store: Store) -> Reply:
    if not new.lines:
        raise Refused(422, "no_lines", "a reservation needs at least one line")
    for line in new.lines:
        _take(store, line)
    lines = [asdict(line) for line in new.lines]
    number = store.add("INSERT INTO reservations (lines) VALUES (?)", json.dumps(lines))
    reservation = {"id": public_id("res", number), "lines": lines}
    return Reply(status=201, body={"reservation": reservation})


def _take(store: Store, line: Line) -> None:
    if line.quantity < 1:
        raise Refused(422, "bad_quantity", f"quantity must be 1 or more, not {line.quantity}")
    level = store.row("SELECT onHand - reserved AS free FROM levels WHERE sku = ?", line.sku)
    free = found(level, "sku", line.sku)["free"]
    if free < line.quantity:
        message = f"only {free} of {line.sku} are free, not {line.quantity}"
        raise Refused(409, "not_enough", message)
    _add_reserved(store, line.sku, line.quantity)


def _release(reservation_id: str, store: Store) -> Reply:
    number = row_number("res", reservation_id)
    row = store.row("SELECT lines FROM reservations WHERE number = ?", number)
    if row is None:
        raise not_found("reservation", reservation_id)
    lines: list[dict[str, Any]] = json.loads(row["lines"])
    for line in lines:
        _add_reserved(store, line["sku"], -line["quantity"])
    store.change("DELETE FROM reservations WHERE number = ?", number)
    return Reply(status=204)


def _add_reserved(store: Store, sku: str, quantity: int) -> None:
    store.change("UPDATE levels SET reserved = reserved + ? WHERE sku = ?", quantity, sku)


def _shown(row: Row) -> Row:
    row["warehouse"] = json.loads(row["warehouse"])
    return row


def _seed(store: Store) -> None:
    store.fill(
        "INSERT INTO levels VALUES (?, ?, ?, ?)",
        (
            (
                sku(product),
                number(20, 400, "on hand", product),
                number(0, 19, "reserved", product),
                json.dumps(pick(_WAREHOUSES, "warehouse", product)),
            )
            for product in PRODUCT_IDS
        ),
    )


SERVICE: Final = Spec(
    name="inventory",
    about="What is in stock, and where.",
    router=router,
    errors=errors.nested,
    cache_control="max-age=2",
    schema=_SCHEMA,
    seed=_seed,
    tables=("levels", "reservations"),
)
