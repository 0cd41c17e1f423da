"""The catalog: pages with a cursor, inside `data`."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.errors import Refused, found
from demo.replies import as_numbers, ok
from demo.route import new_router
from demo.running import store_of
from demo.shop import goods
from demo.shop.chance import number, pick
from demo.spec import Spec
from demo.store import Row, Store

router = new_router()

_MOST_IDS: Final = 50
_SCHEMA: Final = """
CREATE TABLE products (
    id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    description TEXT NOT NULL, category TEXT NOT NULL, price TEXT NOT NULL, tags TEXT NOT NULL,
    dimensions TEXT NOT NULL
);
CREATE INDEX products_by_category ON products (category);
"""
_NESTED: Final = ("price", "tags", "dimensions")
_TAGS: Final = ("new", "sale", "gift", "outdoor", "eco", "handmade")


@router.get("/products")
async def page(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: str | None = None,
    category: str | None = None,
) -> Response:
    """A page of products by id; `next_cursor` leads to the next one."""
    store = store_of(request)
    rows = store.rows(
        "SELECT * FROM products WHERE id > ?1 AND (?2 IS NULL OR category = ?2) "
        "ORDER BY id LIMIT ?3",
        _after(cursor),
        category,
        limit + 1,
    )
    more = len(rows) > limit
    shown = [_shown(row) for row in rows[:limit]]
    next_cursor = _cursor(shown[-1]["id"]) if more else None
    return ok({"data": shown, "next_cursor": next_cursor, "total": _total(store, category)})


@router.get("/products/batch")
async def batch(request: Request, ids: str | None = None) -> Response:
    """Up to 50 products by `?ids=1,2`; those that do not exist are left out."""
    rows = store_of(request).rows(
        "SELECT * FROM products WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        as_numbers(ids, "ids", _MOST_IDS),
    )
    return ok({"data": [_shown(row) for row in rows]})


@router.get("/products/{id}")
async def one(request: Request, id: int) -> Response:
    """A product."""
    row = store_of(request).row("SELECT * FROM products WHERE id = ?", id)
    return ok({"data": _shown(found(row, "product", id))})


def _total(store: Store, category: str | None) -> int:
    row = store.row(
        "SELECT COUNT(*) AS total FROM products WHERE ?1 IS NULL OR category = ?1", category
    )
    return int(row["total"]) if row else 0


def _cursor(product_id: int) -> str:
    return urlsafe_b64encode(f"after:{product_id}".encode()).decode().rstrip("=")


def _after(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        return int(text.removeprefix("after:"))
    except ValueError:
        raise Refused(400, "bad_cursor", f"{cursor!r} is not a cursor of this list") from None


def _shown(row: Row) -> Row:
    for column in _NESTED:
        row[column] = json.loads(row[column])
    return row


def _seed(store: Store) -> None:
    store.fill(
        "INSERT INTO products VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_product, goods.PRODUCT_IDS)
    )


def _product(product: int) -> tuple[object, ...]:
    name = goods.name(product)
    description = f"{name}, made of {goods.material(product)}, in size {number(1, 5, product)}."
    amount = f"{goods.price_cents(product) / 100:.2f}"
    return (
        product,
        goods.sku(product),
        name,
        description,
        goods.category(product),
        json.dumps({"amount": amount, "currency": "EUR"}),
        json.dumps(sorted({pick(_TAGS, "tag", product, i) for i in range(2)})),
        json.dumps([_sizes(product, "box", 60), _sizes(product, "rim", 9)]),
    )


def _sizes(product: int, what: str, largest: int) -> list[float]:
    return [number(2, 2 * largest, what, product, side) / 2 for side in ("width", "height")]


SERVICE: Final = Spec(
    name="catalog",
    about="What the shop sells.",
    router=router,
    errors=errors.listed,
    cache_control="max-age=60",
    schema=_SCHEMA,
    seed=_seed,
)
