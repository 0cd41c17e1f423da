"""Reviews: snake_case, a bare list."""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.replies import limited, ok
from demo.route import new_router
from demo.running import store_of
from demo.shop.chance import moment, number, pick
from demo.shop.goods import PRODUCT_IDS
from demo.shop.people import USER_IDS
from demo.spec import Spec
from demo.store import Store

router = new_router()

_MOST_PRODUCTS: Final = 200
_REVIEW_IDS: Final = range(1, 3001)
_SCHEMA: Final = """
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL, author_id INTEGER NOT NULL,
    rating INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE INDEX reviews_by_product ON reviews (product_id);
"""
_TITLES: Final = ("Broken", "Not for me", "Does the job", "Good value", "Would buy again")
_OPENINGS: Final = ("It came quickly.", "It was a gift.", "I use it every day.", "Third one I own.")
_ENDINGS: Final = (
    "It fell apart in a week.",
    "It is smaller than I thought.",
    "It works as it should.",
    "The finish is better than the price.",
    "My neighbours have ordered one too.",
)


@router.get("/reviews")
async def of_products(
    request: Request, product_id: Annotated[list[int] | None, Query()] = None
) -> Response:
    """The reviews of up to 200 products by `?product_id=1&product_id=2`."""
    reviews = store_of(request).rows(
        "SELECT * FROM reviews WHERE product_id IN (SELECT value FROM json_each(?)) "
        "ORDER BY product_id, id",
        limited(product_id, "product_id", _MOST_PRODUCTS),
    )
    return ok(reviews)


def _seed(store: Store) -> None:
    store.fill("INSERT INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?)", map(_review, _REVIEW_IDS))


def _review(review: int) -> tuple[object, ...]:
    rating = max(number(1, 5, "rating", review), number(1, 5, "second look", review))
    body = f"{pick(_OPENINGS, 'opening', review)} {_ENDINGS[rating - 1]}"
    return (
        review,
        pick(PRODUCT_IDS, "reviewed", review),
        pick(USER_IDS, "reviewer", review),
        rating,
        _TITLES[rating - 1],
        body,
        moment(700, "review", review),
    )


SERVICE: Final = Spec(
    name="reviews",
    about="What users say about products.",
    router=router,
    errors=errors.detail,
    schema=_SCHEMA,
    seed=_seed,
)
