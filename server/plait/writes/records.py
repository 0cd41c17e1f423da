"""Outcomes as the ledger holds them, and back again. Pure."""

from typing import Any, TypedDict, assert_never

from msgspec.structs import replace

from plait.backend.numbers import decode
from plait.errors import (
    BackendDisconnected,
    BackendError,
    BackendHttpError,
    BackendRedirected,
    BackendTimeout,
    BackendUnreachable,
    BadBackendResponse,
    BadUserInput,
    NotFound,
    PlaitError,
    ResponseTooLarge,
)
from plait.writes.idempotency import canonical
from plait.writes.ledger import LOST, WriteRecord
from plait.writes.outcome import Failed, Outcome, Succeeded, Unknown
from plait.writes.verdict import answered_status, may_try_again, reason_for, verdict_on
from plait.writes.write import Write, WriteReply

_KINDS: dict[str, type[BackendError]] = {
    kind.code: kind
    for kind in (
        BackendUnreachable,
        BackendDisconnected,
        BackendTimeout,
        BackendHttpError,
        BackendRedirected,
        BadBackendResponse,
        ResponseTooLarge,
        NotFound,
    )
}


class _Common(TypedDict):
    """What `Settled` has."""

    target: str
    endpoint: str
    key: str
    attempts: int
    duration_ms: float
    http_status: int | None
    replayed: bool


def outcome_of(
    write: Write[Any],
    key: str,
    result: WriteReply | Exception,
    *,
    in_doubt: bool,
    duration_ms: float,
) -> Outcome[Any]:
    """What came of sending `write`. A success holds the reply's JSON, not yet converted."""
    common = _Common(
        target=write.target_name,
        endpoint=write.endpoint.label,
        key=key,
        attempts=_attempts(result),
        duration_ms=duration_ms,
        http_status=result.http_status
        if isinstance(result, WriteReply)
        else answered_status(result),
        replayed=False,
    )
    if isinstance(result, WriteReply):
        return Succeeded(**common, value=result.value)
    verdict = verdict_on(result, in_doubt=in_doubt, honours_keys=write.honours_keys)
    if verdict == "failed" and isinstance(result, PlaitError):
        return Failed(**common, error=result)
    kind = type(result) if isinstance(result, BackendError) else BackendError
    reason = reason_for(result, in_doubt=in_doubt)
    return Unknown(**common, reason=reason, error=_error(kind, reason, write, common))


def converted(write: Write[Any], outcome: Outcome[Any]) -> Outcome[Any]:
    """`outcome` with the value that the caller was promised. Raises what `convert` raises."""
    if not isinstance(outcome, Succeeded) or write.convert is None:
        return outcome
    return replace(outcome, value=write.convert(outcome.value))


def unreadable(write: Write[Any], outcome: Outcome[Any], error: Exception) -> Unknown:
    """What the caller gets of a success whose value cannot be made.

    It took effect, and the ledger keeps it as that; but there is nothing to give where a
    `Succeeded` must have something.
    """
    common = _common(outcome)
    what = str(error) if isinstance(error, PlaitError) else "the value cannot be converted."
    reason = f"It took effect, but its reply cannot be used: {what}"
    return Unknown(**common, reason=reason, error=_error(BadBackendResponse, reason, write, common))


def record_of(outcome: Outcome[Any], *, epoch: int) -> WriteRecord:
    """The record that keeps `outcome`. Raises `BadUserInput` for a value that JSON cannot hold."""
    record = WriteRecord(
        target=outcome.target,
        endpoint=outcome.endpoint,
        key=outcome.key,
        epoch=epoch,
        attempts=outcome.attempts,
        duration_ms=outcome.duration_ms,
        http_status=outcome.http_status,
        code=outcome.code,
        message=outcome.message,
    )
    match outcome:
        case Succeeded(value=value):
            return replace(record, state="succeeded", value=canonical(value))
        case Failed(error=error):
            return replace(record, state="failed", retryable=may_try_again(error))
        case Unknown():
            return replace(record, state="unknown")
        case _:
            assert_never(outcome)


def replayed(write: Write[Any], record: WriteRecord) -> Outcome[Any]:
    """The outcome that `record` keeps, not yet converted. A pending one is unknown."""
    common = _Common(
        target=record.target,
        endpoint=record.endpoint,
        key=record.key,
        attempts=record.attempts,
        duration_ms=record.duration_ms,
        http_status=record.http_status,
        replayed=True,
    )
    match record.state:
        case "succeeded":
            return Succeeded(**common, value=decode(record.value or b"null"))
        case "failed":
            return Failed(**common, error=_kept_error(write, record, common))
        case "unknown" | "pending":
            reason = record.message or LOST
            return Unknown(**common, reason=reason, error=_kept_error(write, record, common))
        case _:
            assert_never(record.state)


def say_who_may_ask_again(write: Write[Any], outcome: Outcome[Any], *, has_key: bool) -> None:
    """Put on the outcome's error whether the same request may ask again.

    Without a key of the caller's it may not, whatever went wrong: a second request would make the
    writes that succeeded a second time. With one, a failure of the moment is driven again, and an
    unknown write where sending it again cannot do it twice.
    """
    if isinstance(outcome, Succeeded) or not isinstance(outcome.error, BackendError):
        return
    again = write.is_repeatable if isinstance(outcome, Unknown) else may_try_again(outcome.error)
    outcome.error.may_ask_again = has_key and again


def _attempts(result: WriteReply | Exception) -> int:
    return result.attempts if isinstance(result, WriteReply | BackendError) else 1


def _common(outcome: Outcome[Any]) -> _Common:
    return _Common(
        target=outcome.target,
        endpoint=outcome.endpoint,
        key=outcome.key,
        attempts=outcome.attempts,
        duration_ms=outcome.duration_ms,
        http_status=outcome.http_status,
        replayed=outcome.replayed,
    )


def _kept_error(write: Write[Any], record: WriteRecord, common: _Common) -> PlaitError:
    if record.code == BadUserInput.code:
        return BadUserInput(record.message)
    kind = _KINDS.get(record.code or "", BackendError)
    return _error(kind, record.message or LOST, write, common)


def _error(
    kind: type[BackendError], message: str, write: Write[Any], common: _Common
) -> BackendError:
    return kind(
        message,
        backend=write.endpoint.backend.name,
        endpoint=common["endpoint"],
        status=common["http_status"],
        attempts=common["attempts"],
    )
