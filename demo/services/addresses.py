"""Addresses: snake_case, a bare list."""

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.replies import limited, ok
from demo.route import new_router
from demo.running import store_of
from demo.shop.chance import happens, number, pick
from demo.shop.people import USER_IDS
from demo.spec import Spec
from demo.store import Store

router = new_router()

_MOST_USERS: Final = 200
_SCHEMA: Final = """
CREATE TABLE addresses (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, street TEXT NOT NULL, city TEXT NOT NULL,
    postal_code TEXT NOT NULL, country TEXT NOT NULL, kind TEXT NOT NULL
);
CREATE INDEX addresses_by_user ON addresses (user_id);
"""
_STREETS: Final = ("Mill Lane", "Station Road", "Park Street", "Harbour Way", "Church Hill")
_CITIES: Final = (
    ("Berlin", "DE"), ("Lyon", "FR"), ("Porto", "PT"), ("Turin", "IT"), ("Utrecht", "NL"),
    ("Graz", "AT"), ("Ghent", "BE"), ("Malaga", "ES"),
)  # fmt: skip


@router.get("/addresses")
async def of_users(
    request: Request, user_id: Annotated[list[int] | None, Query()] = None
) -> Response:
    """The addresses of up to 200 users by `?user_id=1&user_id=2`."""
    addresses = store_of(request).rows(
        "SELECT * FROM addresses WHERE user_id IN (SELECT value FROM json_each(?)) "
        "ORDER BY user_id, id",
        limited(user_id, "user_id", _MOST_USERS),
    )
    return ok(addresses)


def _seed(store: Store) -> None:
    store.fill(
        "INSERT INTO addresses (user_id, kind, street, city, postal_code, country) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (address for user in USER_IDS for address in _addresses(user)),
    )


def _addresses(user: int) -> Iterator[tuple[object, ...]]:
    yield _address(user, "HOME")
    if happens(40, "works", user):
        yield _address(user, "WORK")


def _address(user: int, kind: str) -> tuple[object, ...]:
    city, country = pick(_CITIES, "city", user, kind)
    street = f"{pick(_STREETS, 'street', user, kind)} {number(1, 120, 'house', user, kind)}"
    return user, kind, street, city, str(number(10_000, 99_999, "post", user, kind)), country


SERVICE: Final = Spec(
    name="addresses",
    about="Where the users live and work.",
    router=router,
    errors=errors.detail,
    schema=_SCHEMA,
    seed=_seed,
)
