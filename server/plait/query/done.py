"""One GraphQL request, and what became of it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from plait.backend.call import Origin
from plait.events import ExecutedBy
from plait.query.answer import Answer
from plait.query.direct import Direct


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One GraphQL request, as the client sent it."""

    query: str
    origin: Origin
    variables: Mapping[str, Any] | None = None
    operation_name: str | None = None
    caller: str = ""
    idempotency_key: str | None = None
    only_queries: bool = False
    """Whether it may only read, as a GET may."""
    share: tuple[object, ...] | None = None
    """Equal for requests that may share an answer; `None` where it is this one's alone."""
    joined: Direct | None = None
    """What an equal request has fetched."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, and what is worth telling of the operation."""

    answer: Answer
    name: str | None = None
    kind: str = "none"
    calls: int = 0
    executed_by: ExecutedBy = ""
    """Who made the answer; nothing where nothing was executed."""
