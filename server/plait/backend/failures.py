"""How a call failed on the wire, as our errors. What matters most is whether the backend may have
seen the request."""

import socket
import ssl
from math import inf
from typing import assert_never

from plait.backend.exchanged import ExchangeError, Failure
from plait.backend.spec import EndpointSpec
from plait.errors import (
    BackendDisconnected,
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    ResponseTooLarge,
)


def failed(error: ExchangeError, endpoint: EndpointSpec, within_s: float = inf) -> BackendError:
    """The errors of our own connections."""
    match error.failure:
        case Failure.CONNECT_TIMEOUT:
            what, reason = "did not accept a connection in time", "connect_timeout"
            return error_of(BackendTimeout, endpoint, what, sent=False, reason=reason)
        case Failure.CONNECT:
            what, reason = "cannot be reached", reason_of(error)
            return error_of(BackendUnreachable, endpoint, what, sent=False, reason=reason)
        case Failure.READ_TIMEOUT:
            what, reason = "did not answer in time", "read_timeout"
            return error_of(BackendTimeout, endpoint, what, reason=reason)
        case Failure.TIMEOUT:
            return error_of(BackendTimeout, endpoint, f"did not answer within {within_s:.3g} s")
        case Failure.FORBIDDEN:
            return error_of(BackendError, endpoint, "was asked in a way HTTP forbids", sent=False)
        case Failure.TOO_LARGE:
            limit = endpoint.reply_bytes_max or endpoint.backend.reply_bytes_max
            return too_large(endpoint, limit)
        case Failure.PROTOCOL | Failure.CLOSED:
            reason = reason_of(error)
            return error_of(BackendDisconnected, endpoint, "broke the connection", reason=reason)
    assert_never(error.failure)


def error_of(
    kind: type[BackendError],
    endpoint: EndpointSpec,
    what: str,
    *,
    sent: bool = True,
    status: int | None = None,
    retry_after_s: float | None = None,
    reason: str | None = None,
    problem: str | None = None,
) -> BackendError:
    """An error of a call to `endpoint`; `what` its backend did. `sent`: whether that may have seen
    the request. `problem` is shown only where the graph says so."""
    shown = (
        endpoint.backend.show_problem if endpoint.show_problem is None else endpoint.show_problem
    )
    if problem and shown:
        what = f"{what}: {problem.rstrip('.')}"
    return kind(
        f"Backend '{endpoint.backend.name}' {what}.",
        backend=endpoint.backend.name,
        endpoint=endpoint.label,
        status=status,
        sent="maybe" if sent else "no",
        retry_after_s=retry_after_s,
        reason=reason,
        problem=problem,
    )


def too_large(endpoint: EndpointSpec, limit: int) -> BackendError:
    """The error of a reply with more bytes than may be read."""
    return error_of(ResponseTooLarge, endpoint, f"sent a reply of more than {limit} bytes")


def reason_of(error: BaseException, *, is_closed: bool = False) -> str:
    """What went wrong below HTTP: the first cause that the system names; else whether the other
    side has closed the connection."""
    seen = 0
    cause: BaseException | None = error
    while cause is not None and seen < 10:
        match cause:
            case socket.gaierror():
                return "dns"
            case ssl.SSLError():
                return "tls"
            case ConnectionRefusedError():
                return "refused"
            case ConnectionResetError() | BrokenPipeError():
                return "reset"
            case BaseExceptionGroup(exceptions=(first, *_)):
                cause = first
            case _:
                cause = cause.__cause__ or cause.__context__
        seen += 1
    text = str(error).lower()
    if "certificate" in text or "ssl" in text:
        return "tls"
    if "connect call failed" in text or "connection refused" in text:
        return "refused"  # at each of several addresses
    if isinstance(error, ExchangeError):
        is_closed = error.failure in (Failure.PROTOCOL, Failure.CLOSED)
    return "closed" if is_closed else "unreachable"
