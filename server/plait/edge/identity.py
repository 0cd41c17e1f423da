"""Who a request is: its ids in logs and traces, and the scope of its caller."""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping

from plait.ids import new_id

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def request_id_of(headers: Mapping[str, str]) -> str:
    """The client's `x-request-id`, if it is one that may go into logs and headers; else a new
    one."""
    given = headers.get("x-request-id", "")
    return given if given and _REQUEST_ID.fullmatch(given) else new_id(32)


def traceparent_of(headers: Mapping[str, str]) -> str:
    """The client's trace context, or a new trace (W3C Trace Context, section 3.2)."""
    given = headers.get("traceparent", "")
    if given and _TRACEPARENT.fullmatch(given):
        return given
    return f"00-{new_id(32)}-{new_id(16)}-01"


class Callers:
    """Tells whose the requests for one graph are: see `caller_of`."""

    __slots__ = ("_caller", "_forwarded")

    def __init__(
        self,
        forwarded: Collection[str] = (),
        caller: Callable[[Mapping[str, str]], str | None] | None = None,
    ) -> None:
        self._forwarded = forwarded
        self._caller = caller

    def __call__(self, headers: Mapping[str, str]) -> str:
        return caller_of(headers, forwarded=self._forwarded, caller=self._caller)


CREDENTIALS = ("authorization", "cookie", "x-api-key", "api-key", "x-auth-token")
"""Headers that tell who asks, where the graph passes them on."""
_CREDENTIALS = frozenset(CREDENTIALS)


def caller_of(
    headers: Mapping[str, str],
    *,
    forwarded: Collection[str] = (),
    caller: Callable[[Mapping[str, str]], str | None] | None = None,
) -> str:
    """The caller's scope, as a digest: of what `caller` says, else of the credentials as they came.
    Nobody without credentials shares one with somebody.

    Credentials are the header `Authorization`, and of the others those that the graph forwards.
    """
    if caller is not None:
        name = caller(headers)
        return _digest(f"caller {name}") if name else ""
    if _CREDENTIALS.isdisjoint(headers):
        return ""  # as most requests are
    credentials = [
        f"{name} {headers[name]}"
        for name in CREDENTIALS
        if headers.get(name) and (name in forwarded or name == "authorization")
    ]
    if len(credentials) == 1 and headers.get("authorization"):
        return _digest(headers["authorization"])  # as ledgers have it
    return _digest("\n".join(credentials)) if credentials else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
