"""Pages of other origins that may read answers. Starlette's middleware decides; what it adds to an
answer is asked of it once for each origin, so that an answer that is sent without ASGI has it too.
"""

import contextlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware

from plait.edge.response import Headers as Pairs

AddedFor: TypeAlias = Callable[[str | None], Pairs]
"""The headers that an answer gets, by the request's `Origin`."""
ORIGINS_MAX = 100


def with_cors(app: Any, origins: Sequence[str]) -> CORSMiddleware:
    """The app, for pages of these origins too. Cookies are not sent from there."""
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["x-request-id", "idempotent-replayed", "retry-after", "server-timing"],
    )


def added_by(middleware: CORSMiddleware) -> AddedFor:
    """What the middleware adds to an answer that is no answer to a preflight."""

    @lru_cache(maxsize=ORIGINS_MAX)
    def added(origin: str | None) -> Pairs:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        told = Headers({} if origin is None else {"origin": origin})
        start = {"type": "http.response.start", "headers": []}
        with contextlib.suppress(StopIteration):  # it waits for nothing
            middleware.send(start, send, told).send(None)
        return tuple(sent[0]["headers"])

    return added
