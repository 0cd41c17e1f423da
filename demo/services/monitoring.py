"""Monitoring: signals from other systems."""

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
CREATE TABLE signals (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL,
    at TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignal:
    """The body of `POST /signals`."""

    name: str
    labels: dict[str, Any] | None = None


@router.post("/signals", status_code=202)
async def signal(request: Request, body: NewSignal) -> Response:
    """Take a signal."""
    return await write(request, partial(_signal, body))


def _signal(new: NewSignal, store: Store) -> Reply:
    number = store.add(
        "INSERT INTO signals (name, labels, at) VALUES (?, ?, ?)",
        new.name,
        json.dumps(new.labels),
        now(),
    )
    return Reply(status=202, body={"id": public_id("sig", number)})


SERVICE: Final = Spec(
    name="monitoring",
    about="How other systems are doing.",
    router=router,
    errors=errors.detail,
    schema=_SCHEMA,
    tables=("signals",),
)
