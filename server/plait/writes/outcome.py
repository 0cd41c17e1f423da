"""What became of a write: it took effect, it did not, or nobody can tell.

    match account:
        case Succeeded(value=row): ...
        case Failed(error=error): ...      # it had no effect
        case Unknown(reason=reason): ...   # it may have had one; the same key asks again

Three and not two: a write whose reply never came is no failure. Calling it one invites the client
to make it again under a new key, and then it is made twice.
"""

from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Struct

from plait.errors import BackendError, PlaitError, is_retryable

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Settled(Struct, frozen=True, kw_only=True):
    """What every outcome tells: where the write went, under which key, and what it took."""

    target: str
    """The backend's name, unless the write was given another."""
    endpoint: str
    """Method and path template."""
    key: str
    """The write's own key, the same on every attempt. Derived: it does not tell the caller's."""
    attempts: int
    """How many times it was sent, the last time that it was driven."""
    duration_ms: float
    http_status: int | None = None
    """What the backend answered, where it did."""
    replayed: bool = False
    """Whether the ledger told this outcome, without a call."""


class Succeeded(Settled, Generic[T_co], frozen=True, kw_only=True):
    """The write took effect."""

    value: T_co
    """What the backend answered, below the endpoint's `unwrap`."""

    @property
    def code(self) -> None:
        """A success has no error code."""
        return None

    @property
    def message(self) -> str:
        """A success has nothing to explain."""
        return ""


class Failed(Settled, frozen=True, kw_only=True):
    """The write had no effect."""

    error: PlaitError
    """A `BackendError`; or a `RequestError` for a value that cannot be sent."""

    @property
    def code(self) -> str:
        """The error's stable code."""
        return self.error.code

    @property
    def message(self) -> str:
        """What happened, fit for the client."""
        return str(self.error)


class Unknown(Settled, frozen=True, kw_only=True):
    """The write may have taken effect. The same key asks again, where that cannot do it twice."""

    reason: str
    """Why nobody can tell, fit for the client."""
    error: PlaitError
    """The same as an error: what the field's errors list shows."""

    @property
    def code(self) -> str:
        """The code of what went wrong, such as BACKEND_TIMEOUT."""
        return self.error.code

    @property
    def message(self) -> str:
        """The same as `reason`."""
        return self.reason


Outcome: TypeAlias = Succeeded[T] | Failed | Unknown


def told(outcome: "Outcome[Any]") -> dict[str, Any]:
    """What a client is told of an outcome beside the field's value."""
    shown: dict[str, Any] = {
        "target": outcome.target,
        "endpoint": outcome.endpoint,
        "outcome": type(outcome).__name__.lower(),
        "attempts": outcome.attempts,
        "replayed": outcome.replayed,
    }
    if outcome.http_status is not None:
        shown["http"] = {"status": outcome.http_status}
    if not isinstance(outcome, Succeeded):
        shown |= {"code": outcome.code, "message": outcome.message}
        if isinstance(outcome.error, BackendError):
            shown["retryable"] = is_retryable(outcome.error)
    return shown
