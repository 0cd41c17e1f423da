"""What happened, as frozen data. The engine emits; logs, metrics and traces subscribe.

An observer is called in the event loop, between two steps of a request: it must be quick and must
not raise. One that does raise is dropped from that event only; the failure goes to `logging`.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

ExecutedBy: TypeAlias = Literal["", "compiled", "handed_on", "interpreted"]
"""Compiled code has made an answer, or has begun it and met something unusual, or has had no part
in it: see `plait explain`, which says why."""


class RequestFinished(msgspec.Struct, frozen=True, kw_only=True):
    """One GraphQL request was answered."""

    request_id: str
    trace_id: str
    operation: str | None
    """The operation's name, where the document gives one."""
    kind: str
    """query, mutation or subscription; `none` where the document could not be read."""
    http_status: int
    error_codes: tuple[str, ...]
    calls: int
    """How many left for backends, writes too."""
    duration_ms: float
    cancelled: bool = False
    """Whether the client left before it was answered."""
    executed_by: ExecutedBy = ""
    """Who made the answer; nothing where nothing was executed."""


class CallFinished(msgspec.Struct, frozen=True, kw_only=True):
    """One call to a backend ended, well or not."""

    request_id: str
    trace_id: str
    backend: str
    endpoint: str
    """Method and path template: never a path with values."""
    keys: int
    http_status: int | None
    error_code: str | None
    attempts: int
    duration_ms: float
    reason: str | None = None
    """What went wrong below HTTP: dns, refused, tls, reset, connect_timeout, and so on."""
    problem: str | None = None
    """Title and detail of the backend's problem document (RFC 9457). It may hold a client's values:
    for debugging alone."""


class CacheRead(msgspec.Struct, frozen=True, kw_only=True):
    """The cache was asked for the keys of one batch."""

    request_id: str
    backend: str
    endpoint: str
    fresh: int
    stale: int
    missed: int


class CacheFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The cache could not be used; the calls went to the backends instead."""

    operation: Literal["read", "write"]
    reason: str


class RowsUnexpected(msgspec.Struct, frozen=True, kw_only=True):
    """A batch's reply held rows that nobody asked for. They were left out."""

    backend: str
    endpoint: str
    extra: int


class PropertyAbsent(msgspec.Struct, frozen=True, kw_only=True):
    """A field reads a property that none of an endpoint's first rows had, while they had one of
    nearly that name. Told once."""

    backend: str
    endpoint: str
    field: str
    """Type and field: `Article.title`."""
    file: str
    line: int
    property: str
    nearest: str
    """The name that may have been meant."""
    rows: int
    """How many rows had been seen."""


class WriteSettled(msgspec.Struct, frozen=True, kw_only=True):
    """One write of a mutation has its outcome."""

    request_id: str
    trace_id: str
    backend: str
    endpoint: str
    outcome: Literal["succeeded", "failed", "unknown", "undone"]
    error_code: str | None
    attempts: int
    duration_ms: float


class LedgerOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger of writes is in use from now on, and holds writes of which nobody knows what
    became."""

    unfinished: int
    """How many entries have one. They do not expire: who asks again under the same key finishes
    them, where that cannot do a write twice."""


class FieldFailed(msgspec.Struct, frozen=True, kw_only=True):
    """A field raised something that is not ours: the client sees a masked message, this has the
    truth."""

    request_id: str
    path: str
    error: BaseException


Event: TypeAlias = (
    RequestFinished
    | CallFinished
    | CacheRead
    | CacheFailed
    | RowsUnexpected
    | PropertyAbsent
    | WriteSettled
    | LedgerOpened
    | FieldFailed
)
Observer: TypeAlias = Callable[[Event], None]
