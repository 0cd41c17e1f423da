"""Users: snake_case, bare objects and lists."""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.errors import found
from demo.replies import limited, ok
from demo.route import new_router
from demo.running import store_of
from demo.shop import people
from demo.spec import Spec
from demo.store import Store

router = new_router()

_MOST_IDS: Final = 100
_SCHEMA: Final = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY, full_name TEXT NOT NULL, email TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL, tier TEXT NOT NULL, date_of_birth TEXT NOT NULL
);
"""


@router.get("/users/{id}")
async def one(request: Request, id: int) -> Response:
    """A user."""
    user = store_of(request).row("SELECT * FROM users WHERE id = ?", id)
    return ok(found(user, "user", id))


@router.get("/users")
async def many(request: Request, id: Annotated[list[int] | None, Query()] = None) -> Response:
    """Up to 100 users by `?id=1&id=2`; those that do not exist are left out."""
    users = store_of(request).rows(
        "SELECT * FROM users WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        limited(id, "id", _MOST_IDS),
    )
    return ok(users)


def _seed(store: Store) -> None:
    store.fill(
        "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)",
        (
            (
                user,
                people.full_name(user),
                people.email(user),
                people.joined_at(user),
                people.tier(user),
                people.date_of_birth(user),
            )
            for user in people.USER_IDS
        ),
    )


SERVICE: Final = Spec(
    name="users",
    about="Who the shop's users are.",
    router=router,
    errors=errors.detail,
    schema=_SCHEMA,
    seed=_seed,
)
