"""Support: requesters and their tickets; snake_case, inside `requester` and `tickets`."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.clock import now
from demo.errors import Refused, found
from demo.idempotency import write
from demo.replies import Reply, ok
from demo.route import new_router
from demo.running import store_of
from demo.shop import people
from demo.shop.chance import moment, pick
from demo.spec import Spec
from demo.store import Store

router = new_router()

_TICKET_IDS: Final = range(1, 801)
_SCHEMA: Final = """
CREATE TABLE requesters (
    user_id INTEGER PRIMARY KEY, email TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE tickets (
    id INTEGER PRIMARY KEY, requester INTEGER NOT NULL, subject TEXT NOT NULL,
    status TEXT NOT NULL, opened_at TEXT NOT NULL
);
CREATE INDEX tickets_by_requester ON tickets (requester);
"""
_SUBJECTS: Final = ("Where is my parcel?", "Wrong size", "Invoice missing", "Cannot sign in")
_STATUSES: Final = ("OPEN", "WAITING", "SOLVED", "SOLVED")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEmail:
    """The body of `PUT /requesters/{user_id}`."""

    email: str


@router.put("/requesters/{user_id}")
async def change_email(request: Request, user_id: int, body: NewEmail) -> Response:
    """Give a requester another address."""
    return await write(request, partial(_change_email, user_id, body.email))


@router.get("/tickets")
async def tickets(request: Request, requester: int | None = None) -> Response:
    """A requester's tickets, newest first."""
    if requester is None:
        raise Refused(400, "bad_request", "requester is required")
    rows = store_of(request).rows(
        "SELECT * FROM tickets WHERE requester = ? ORDER BY opened_at DESC", requester
    )
    return ok({"tickets": rows})


def _change_email(user_id: int, email: str, store: Store) -> Reply:
    store.change(
        "UPDATE requesters SET email = ?, updated_at = ? WHERE user_id = ?", email, now(), user_id
    )
    row = store.row("SELECT * FROM requesters WHERE user_id = ?", user_id)
    return Reply(body={"requester": found(row, "requester", user_id)})


def _seed(store: Store) -> None:
    store.fill(
        "INSERT INTO requesters VALUES (?, ?, ?)",
        ((user, people.email(user), people.joined_at(user)) for user in people.USER_IDS),
    )
    store.fill("INSERT INTO tickets VALUES (?, ?, ?, ?, ?)", map(_ticket, _TICKET_IDS))


def _ticket(ticket: int) -> tuple[object, ...]:
    return (
        ticket,
        pick(people.USER_IDS, "requester", ticket),
        pick(_SUBJECTS, "subject", ticket),
        pick(_STATUSES, "ticket", ticket),
        moment(700, "opened", ticket),
    )


SERVICE: Final = Spec(
    name="support",
    about="Who needs help with what.",
    router=router,
    errors=errors.problem,
    cache_control="private, max-age=5",
    schema=_SCHEMA,
    seed=_seed,
    tables=("requesters",),
)
