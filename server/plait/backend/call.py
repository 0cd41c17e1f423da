"""One call to one REST API and its reply, and the one shape that every layer has.

What is made with every call is a plain class and no dataclass: machine code makes it without
running anything. Nothing of it is changed once it is made.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from plait.backend.budget import Budget
from plait.backend.said import Said
from plait.backend.span import Span
from plait.backend.spec import EndpointSpec
from plait.clock import Pace, Turns

_NO_HEADERS: Mapping[str, str] = {}
PARENT_AT: Final = 36
PARENT_ENDS_AT: Final = 52
"""Where the parent's id stands in a traceparent: `00-`, 32 digits of the trace, `-`, 16 of the
parent, `-`, two of flags."""


class Origin:
    """On whose behalf a call is made: what it inherits from the client's request."""

    __slots__ = (
        "_id_lines",
        "_pace",
        "_turns",
        "budget",
        "deadline",
        "headers",
        "request_id",
        "span",
        "traceparent",
    )

    def __init__(
        self,
        *,
        request_id: str = "",
        traceparent: str = "",
        headers: Mapping[str, str] = _NO_HEADERS,
        deadline: float | None = None,
        turns: Turns | None = None,
        budget: Budget | None = None,
        span: Span | None = None,
    ) -> None:
        self.request_id = request_id
        self.traceparent = traceparent
        self.headers = headers
        """The client's headers, names in lower case. Only what a backend's `forward` names is ever
        sent on."""
        self.deadline = deadline
        """When the client's request must be answered, on the clock's `now()`. It ends waiting, and
        no call: others may wait for that one too."""
        self.budget = budget
        """What the client's operation may still take. `None` for calls that it did not ask for."""
        self.span = span
        """What notes how it went, where somebody asks."""
        self._id_lines: tuple[str, str] | None = None
        self._turns = turns
        self._pace: Pace | None = None

    @property
    def pace(self) -> Pace:
        """The operation's share of the event loop. Most need none."""
        if self._pace is None:
            self._pace = Pace(self._turns)
        return self._pace

    @property
    def id_lines(self) -> tuple[str, str]:
        """The headers with its ids, as they stand in each of its calls before and after the id of
        that call; nothing where they cannot stand there as they are."""
        if self._id_lines is None:
            self._id_lines = _id_lines(self.request_id, self.traceparent)
        return self._id_lines

    @property
    def trace_id(self) -> str:
        """The 32 hexadecimal digits of the trace, or nothing."""
        return self.traceparent[3:35]

    def noted_by(self, span: Span) -> "Origin":
        """The same, noted by `span`."""
        return Origin(
            request_id=self.request_id,
            traceparent=self.traceparent,
            headers=self.headers,
            deadline=self.deadline,
            turns=self._turns,
            budget=self.budget,
            span=span,
        )


def _id_lines(request_id: str, traceparent: str) -> tuple[str, str]:
    if not (request_id and traceparent and is_plain(f"{request_id}{traceparent}")):
        return "", ""
    before = f"x-request-id: {request_id}\r\ntraceparent: {traceparent[:PARENT_AT]}"
    return before, f"{traceparent[PARENT_ENDS_AT:]}\r\n"


NOBODY = Origin()


class Call:
    """One exchange asked for. `path` is relative to the backend's base URL; both it and `query` are
    encoded."""

    __slots__ = (
        "body",
        "endpoint",
        "headers",
        "key_count",
        "method",
        "origin",
        "path",
        "query",
        "template",
    )

    def __init__(
        self,
        *,
        endpoint: EndpointSpec,
        path: str,
        query: str = "",
        method: str = "GET",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
        key_count: int = 1,
        template: str = "",
        origin: Origin = NOBODY,
    ) -> None:
        self.endpoint = endpoint
        self.path = path
        self.query = query
        """Without its question mark."""
        self.method = method
        self.headers = headers
        """Beyond those that the backend always gets."""
        self.body = body
        """JSON."""
        self.key_count = key_count
        """How many keys it carries."""
        self.template = template
        """How logs name it, where it is not the endpoint's own method and path: a batch's."""
        self.origin = origin

    def with_headers(self, *headers: tuple[str, str]) -> "Call":
        """The same call with further headers."""
        return self._again(self.path, self.query, (*self.headers, *headers))

    def with_only(self, headers: tuple[tuple[str, str], ...]) -> "Call":
        """The same call with other headers."""
        return self._again(self.path, self.query, headers)

    def at(self, path: str, query: str) -> "Call":
        """The same call of another path and query."""
        return self._again(path, query, self.headers)

    def _again(self, path: str, query: str, headers: tuple[tuple[str, str], ...]) -> "Call":
        return Call(
            endpoint=self.endpoint,
            path=path,
            query=query,
            method=self.method,
            headers=headers,
            body=self.body,
            key_count=self.key_count,
            template=self.template,
            origin=self.origin,
        )


class Reply:
    """What a backend answered: a success, or 304 where the call was conditional."""

    __slots__ = ("attempts", "body", "headers", "said", "status")

    def __init__(
        self,
        *,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        attempts: int = 1,
        said: Said | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        """Names in lower case; repeated ones joined with ', '."""
        self.said = Said(headers) if said is None else said
        self.body = body
        self.attempts = attempts


def is_plain(value: str) -> bool:
    """Whether a header may have a value as it is."""
    return value.isascii() and value.isprintable()


def label_of(call: Call) -> str:
    """How logs and metrics name a call: method and template, never a value."""
    return call.template or call.endpoint.label


Ended: TypeAlias = Callable[[Any], object]
"""Called with what came of a call: a `Reply`, or what it raised."""

Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]
"""A layer's inside: makes the call. Raises `BackendError`."""

Layer: TypeAlias = Callable[[Handler], Handler]
"""Wraps a handler with one concern."""
