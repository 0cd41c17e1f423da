"""Analytics: what users do in the shop."""

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
CREATE TABLE events (
    number INTEGER PRIMARY KEY, userId INTEGER, event TEXT NOT NULL, properties TEXT NOT NULL,
    at TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """The body of `POST /track`."""

    userId: int | None = None
    event: str
    properties: dict[str, Any] | None = None


@router.post("/track", status_code=202)
async def track(request: Request, body: NewEvent) -> Response:
    """Count something a user did."""
    return await write(request, partial(_track, body))


def _track(new: NewEvent, store: Store) -> Reply:
    number = store.add(
        "INSERT INTO events (userId, event, properties, at) VALUES (?, ?, ?, ?)",
        new.userId,
        new.event,
        json.dumps(new.properties),
        now(),
    )
    return Reply(status=202, body={"id": public_id("evt", number)})


SERVICE: Final = Spec(
    name="analytics",
    about="What users do.",
    router=router,
    errors=errors.nested,
    schema=_SCHEMA,
    tables=("events",),
)
