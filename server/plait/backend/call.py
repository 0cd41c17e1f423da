"""One call to one REST API and its reply, and the one shape that every layer has."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from plait.backend.budget import Budget
from plait.backend.span import Span
from plait.backend.spec import EndpointSpec
from plait.clock import Pace


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """On whose behalf a call is made: what it inherits from the client's request."""

    request_id: str = ""
    traceparent: str = ""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The client's headers, names in lower case. Only what a backend's `forward` names is ever
    sent on."""
    deadline: float | None = None
    """When the client's request must be answered, on the clock's `now()`."""
    pace: Pace | None = None
    """The operation's share of the event loop."""
    budget: Budget | None = None
    """What the client's operation may still take. `None` for calls that it did not ask for."""

    span: Span | None = None
    """What notes how it went, where somebody asks."""

    @property
    def trace_id(self) -> str:
        """The 32 hexadecimal digits of the trace, or nothing."""
        return self.traceparent[3:35]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange asked for. `path` is relative to the backend's base URL; both it and `query` are
    encoded."""

    endpoint: EndpointSpec
    path: str
    query: str = ""
    """Without its question mark."""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    """Beyond those that the backend always gets."""
    body: bytes | None = None
    """JSON."""
    key_count: int = 1
    """How many keys it carries."""
    template: str = ""
    """How logs name it, where it is not the endpoint's own method and path: a batch's."""
    origin: Origin = Origin()

    def with_headers(self, *headers: tuple[str, str]) -> "Call":
        """The same call with further headers."""
        return replace(self, headers=(*self.headers, *headers))


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend answered: a success, or 304 where the call was conditional."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; repeated ones joined with ', '."""
    body: bytes
    attempts: int = 1


def label_of(call: Call) -> str:
    """How logs and metrics name a call: method and template, never a value."""
    return call.template or call.endpoint.label


Ended: TypeAlias = Callable[[Any], object]
"""Called with what came of a call: a `Reply`, or what it raised."""

Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]
"""A layer's inside: makes the call. Raises `BackendError`."""

Layer: TypeAlias = Callable[[Handler], Handler]
"""Wraps a handler with one concern."""
