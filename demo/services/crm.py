"""The customer relations: snake_case, bare, under `/v1`."""

from dataclasses import dataclass
from functools import partial
from typing import Final

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
CREATE TABLE contacts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER UNIQUE, full_name TEXT NOT NULL,
    email TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewContact:
    """The body of `POST /v1/contacts`."""

    full_name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEmail:
    """The body of `PUT /v1/contacts/{user_id}/email`."""

    email: str


@router.post("/v1/contacts", status_code=201)
async def create(request: Request, body: NewContact) -> Response:
    """Add a contact; `DELETE` undoes it."""
    return await write(request, partial(_create, body))


@router.put("/v1/contacts/{user_id}/email")
async def change_email(request: Request, user_id: int, body: NewEmail) -> Response:
    """Give the contact of a user another address."""
    return await write(request, partial(_change_email, user_id, body.email))


@router.delete("/v1/contacts/{contact_id}", status_code=204)
async def delete(request: Request, contact_id: str) -> Response:
    """Remove a contact."""
    return await write(request, partial(_delete, contact_id))


def _create(new: NewContact, store: Store) -> Reply:
    number = store.add(
        "INSERT INTO contacts (full_name, email) VALUES (?, ?)", new.full_name, new.email
    )
    row = store.row("SELECT * FROM contacts WHERE number = ?", number)
    return Reply(status=201, body=_shown(found(row, "contact", number)))


def _change_email(user_id: int, email: str, store: Store) -> Reply:
    store.change("UPDATE contacts SET email = ? WHERE user_id = ?", email, user_id)
    row = store.row("SELECT * FROM contacts WHERE user_id = ?", user_id)
    return Reply(body=_shown(found(row, "contact of user", user_id)))


def _delete(contact_id: str, store: Store) -> Reply:
    if not store.change("DELETE FROM contacts WHERE number = ?", row_number("con", contact_id)):
        raise not_found("contact", contact_id)
    return Reply(status=204)


def _shown(row: Row) -> Row:
    contact_id = public_id("con", row["number"])
    return {"contact_id": contact_id, "full_name": row["full_name"], "email": row["email"]}


def _seed(store: Store) -> None:
    store.fill(
        "INSERT INTO contacts (user_id, full_name, email) VALUES (?, ?, ?)",
        ((user, people.full_name(user), people.email(user)) for user in people.USER_IDS),
    )


SERVICE: Final = Spec(
    name="crm",
    about="Whom the sales team knows.",
    router=router,
    errors=errors.flat,
    schema=_SCHEMA,
    seed=_seed,
    tables=("contacts",),
)
