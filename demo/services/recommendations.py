"""Recommendations: looked up by POST, camelCase, inside `results`."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.replies import limited, ok
from demo.route import LOOKUP, new_router
from demo.running import store_of
from demo.shop.chance import number
from demo.shop.goods import PRODUCT_IDS
from demo.shop.people import USER_IDS
from demo.spec import Spec
from demo.store import Row, Store

router = new_router()

_MOST_IDS: Final = 200
_HOW_MANY: Final = 5
_SCHEMA: Final = """
CREATE TABLE for_users (id INTEGER PRIMARY KEY, first INTEGER NOT NULL, step INTEGER NOT NULL);
CREATE TABLE for_products (id INTEGER PRIMARY KEY, first INTEGER NOT NULL, step INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLookup:
    """The body of `POST /recommendations/users`."""

    userIds: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductLookup:
    """The body of `POST /recommendations/products`."""

    productIds: list[int]


@router.post("/recommendations/users", tags=[LOOKUP])
async def for_users(request: Request, body: UserLookup) -> Response:
    """Products for each of up to 200 users; users that do not exist are left out."""
    rows = _chosen(request, "for_users", limited(body.userIds, "userIds", _MOST_IDS))
    return ok({"results": [{"userId": row["id"], "productIds": _products(row)} for row in rows]})


@router.post("/recommendations/products", tags=[LOOKUP])
async def for_products(request: Request, body: ProductLookup) -> Response:
    """Products that go with each of up to 200 products."""
    rows = _chosen(request, "for_products", limited(body.productIds, "productIds", _MOST_IDS))
    return ok({"results": [{"productId": row["id"], "productIds": _products(row)} for row in rows]})


def _chosen(request: Request, table: str, ids: str) -> list[Row]:
    return store_of(request).rows(
        f"SELECT * FROM {table} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id", ids
    )


def _products(row: Row) -> list[int]:
    return [1 + (row["first"] + row["step"] * i) % len(PRODUCT_IDS) for i in range(_HOW_MANY)]


def _seed(store: Store) -> None:
    for table, ids in (("for_users", USER_IDS), ("for_products", PRODUCT_IDS)):
        store.fill(
            f"INSERT INTO {table} VALUES (?, ?, ?)",
            # A first and a step such that a product never recommends itself nor one thing twice.
            ((i, i + number(0, 79, table, i), number(1, 80, table, "step", i)) for i in ids),
        )


SERVICE: Final = Spec(
    name="recommendations",
    about="What a user may like, and what goes with a product.",
    router=router,
    errors=errors.flat,
    cache_control="max-age=60",
    schema=_SCHEMA,
    seed=_seed,
)
