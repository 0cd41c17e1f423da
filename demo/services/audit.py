"""The audit log: who did what."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.clock import now
from demo.idempotency import write
from demo.ids import public_id
from demo.replies import Reply
from demo.route import new_router
from demo.spec import Spec
from demo.store import Store

router = new_router()

_SCHEMA: Final = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, actor TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL,
    at TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """The body of `POST /entries`."""

    actor: str | int
    action: str
    detail: Any = None


@router.post("/entries", status_code=202)
async def record(request: Request, body: NewEntry) -> Response:
    """Write down what somebody did."""
    return await write(request, partial(_record, body))


def _record(new: NewEntry, store: Store) -> Reply:
    number = store.add(
        "INSERT INTO entries (actor, action, detail, at) VALUES (?, ?, ?, ?)",
        str(new.actor),
        new.action,
        json.dumps(new.detail),
        now(),
    )
    return Reply(status=202, body={"id": public_id("aud", number)})


SERVICE: Final = Spec(
    name="audit",
    about="Who did what.",
    router=router,
    errors=errors.flat,
    schema=_SCHEMA,
    tables=("entries",),
)
