"""Accounts: one for each e-mail address; camelCase, inside `account`."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.clock import now
from demo.errors import Refused, found, not_found
from demo.idempotency import write
from demo.ids import public_id, row_number
from demo.replies import Reply, ok
from demo.route import new_router
from demo.running import store_of
from demo.shop import people
from demo.spec import Spec
from demo.store import Row, Store

router = new_router()

_SCHEMA: Final = """
CREATE TABLE accounts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE,
    createdAt TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """The body of `POST /accounts`."""

    name: str
    email: str


@router.post("/accounts", status_code=201)
async def create(request: Request, body: NewAccount) -> Response:
    """Open an account; 409 when the address has one."""
    return await write(request, partial(_create, body))


@router.get("/accounts/{id}")
async def one(request: Request, id: str) -> Response:
    """An account."""
    return ok({"account": _account(store_of(request), id)})


@router.delete("/accounts/{id}", status_code=204)
async def delete(request: Request, id: str) -> Response:
    """Close an account."""
    return await write(request, partial(_delete, id))


def _create(new: NewAccount, store: Store) -> Reply:
    if "@" not in new.email:
        raise Refused(422, "bad_email", f"{new.email!r} is not an e-mail address")
    if store.row("SELECT 1 FROM accounts WHERE email = ?", new.email):
        raise Refused(409, "email_taken", f"{new.email} has an account already")
    number = store.add(
        "INSERT INTO accounts (name, email, createdAt) VALUES (?, ?, ?)",
        new.name,
        new.email,
        now(),
    )
    return Reply(status=201, body={"account": _account(store, public_id("acc", number))})


def _delete(account_id: str, store: Store) -> Reply:
    if not store.change("DELETE FROM accounts WHERE number = ?", row_number("acc", account_id)):
        raise not_found("account", account_id)
    return Reply(status=204)


def _account(store: Store, account_id: str) -> Row:
    row = store.row("SELECT * FROM accounts WHERE number = ?", row_number("acc", account_id))
    account = found(row, "account", account_id)
    del account["number"]
    return {"id": account_id, **account}


def _seed(store: Store) -> None:
    store.fill(
        "INSERT INTO accounts VALUES (?, ?, ?, ?)",
        (
            (user, people.full_name(user), people.email(user), people.joined_at(user))
            for user in people.USER_IDS
        ),
    )


SERVICE: Final = Spec(
    name="accounts",
    about="Who may sign in.",
    router=router,
    errors=errors.nested,
    cache_control="private, max-age=5",
    schema=_SCHEMA,
    seed=_seed,
    tables=("accounts",),
)
