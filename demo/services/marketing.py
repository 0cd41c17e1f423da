"""Marketing: who gets which newsletter; camelCase, inside `subscriber`."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.errors import found, not_found
from demo.idempotency import write
from demo.ids import public_id, row_number
from demo.replies import Reply
from demo.route import new_router
from demo.shop import people
from demo.spec import Spec
from demo.store import Row, Store

router = new_router()

_SCHEMA: Final = """
CREATE TABLE subscribers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, userId INTEGER UNIQUE, emailAddress TEXT NOT NULL,
    list TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscriber:
    """The body of `POST /subscribers`."""

    emailAddress: str
    list: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddress:
    """The body of `PUT /subscribers/{userId}`."""

    emailAddress: str


@router.post("/subscribers", status_code=201)
async def subscribe(request: Request, body: NewSubscriber) -> Response:
    """Put an address on a list; `DELETE` undoes it."""
    return await write(request, partial(_subscribe, body))


@router.put("/subscribers/{userId}")
async def change_address(
    request: Request, user_id: Annotated[int, Path(alias="userId")], body: NewAddress
) -> Response:
    """Give the subscriber that is this user another address."""
    return await write(request, partial(_change_address, user_id, body.emailAddress))


@router.delete("/subscribers/{id}", status_code=204)
async def unsubscribe(request: Request, id: str) -> Response:
    """Remove a subscriber."""
    return await write(request, partial(_unsubscribe, id))


def _subscribe(new: NewSubscriber, store: Store) -> Reply:
    number = store.add(
        "INSERT INTO subscribers (emailAddress, list) VALUES (?, ?)", new.emailAddress, new.list
    )
    row = store.row("SELECT * FROM subscribers WHERE number = ?", number)
    return Reply(status=201, body=_shown(found(row, "subscriber", number)))


def _change_address(user_id: int, address: str, store: Store) -> Reply:
    store.change("UPDATE subscribers SET emailAddress = ? WHERE userId = ?", address, user_id)
    row = store.row("SELECT * FROM subscribers WHERE userId = ?", user_id)
    return Reply(body=_shown(found(row, "subscriber of user", user_id)))


def _unsubscribe(subscriber_id: str, store: Store) -> Reply:
    number = row_number("sub", subscriber_id)
    if not store.change("DELETE FROM subscribers WHERE number = ?", number):
        raise not_found("subscriber", subscriber_id)
    return Reply(status=204)


def _shown(row: Row) -> Row:
    number = row.pop("number")
    return {"subscriber": {"id": public_id("sub", number), **row}}


def _seed(store: Store) -> None:
    store.fill(
        "INSERT INTO subscribers (userId, emailAddress, list) VALUES (?, ?, 'NEWS')",
        ((user, people.email(user)) for user in people.USER_IDS),
    )


SERVICE: Final = Spec(
    name="marketing",
    about="Who gets which newsletter.",
    router=router,
    errors=errors.listed,
    schema=_SCHEMA,
    seed=_seed,
    tables=("subscribers",),
)
