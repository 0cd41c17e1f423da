"""Whether a write that did not succeed had an effect. Pure; the only place that decides it.

    what the send raised                                    first attempt   while in doubt
    ------------------------------------------------------  --------------  ----------------
    sent="no": refused, no such host, TLS, deadline passed  failed          unknown
    RequestError: a value that cannot be sent               failed          unknown
    400, 402, 415, 422, a 2xx that says that it failed      failed          failed if keyed
    409                                                     failed          unknown
    401, 403, 404, 408, 425, 429 and every other 4xx        failed          unknown
    501, 505, 511                                           failed          unknown
    500, 502, 503, 504 and every other 5xx                  unknown         unknown
    3xx, 304 too                                            unknown         unknown
    time-out or broken connection after sending             unknown         unknown
    2xx whose reply is unreadable or too large              unknown         unknown
    anything that is no error of ours                       unknown         unknown

*In doubt* is a write that was driven before and may have taken effect then. A refusal of the
second attempt does not undo the first: connection refused, 429 or 401 say nothing about it. 404 and
412 may even be its effect, as after a DELETE. Only a backend that honours keys (*keyed*) and judges
the payload itself settles the doubt: it would have repeated its success.

- 409 while in doubt is how a backend says that the first attempt still runs under the same key
  (draft-ietf-httpapi-idempotency-key-header, section 2.7). On a first attempt nothing can be
  running under the key, so that it speaks of the resource.
- 408 says that the request did not arrive whole, 425 that it was not processed (RFC 9110, section
  15.5.9; RFC 8470, section 5.2).
- 500 says that the server broke somewhere in the middle, be it before or after it wrote.
- 502 and 504 come from an intermediary that lost the server after it passed the request on.
- 503 is meant as a refusal, but common proxies also send it when a connection breaks after the
  request went out. Nothing in the reply tells the two apart.
- 501, 505 and 511 are refusals of a request that was not understood or never arrived.
- A redirect is unknown, because many servers answer a done POST with one.
- An unreadable 2xx did take effect; its value is what is unknown. A keyed backend tells it again.

A write that failed had no effect, so that the same key may ask for it again: where the caller, an
operator or time can mend what was wrong. What speaks against the write itself stays as it is.
"""

from typing import Literal, TypeAlias

from plait.errors import (
    BackendError,
    BackendRefused,
    BadBackendResponse,
    NotFound,
    PlaitError,
    RequestError,
    ResponseTooLarge,
)

Verdict: TypeAlias = Literal["failed", "unknown"]

_NOT_DONE_5XX = frozenset({501, 505, 511})
_JUDGES_THE_PAYLOAD = frozenset({400, 402, 415, 422})
_AGAINST_THE_WRITE = frozenset({400, 402, 405, 406, 410, 411, 412, 413, 414, 415, 416, 417, 422})
"""Of these the same write will be told the same again."""


def verdict_on(error: Exception, *, in_doubt: bool, honours_keys: bool) -> Verdict:
    """What became of the write whose send raised `error`."""
    if in_doubt:
        return "failed" if honours_keys and _judges_the_payload(error) else "unknown"
    return "failed" if _proves_no_effect(error) else "unknown"


def may_try_again(error: Exception) -> bool:
    """Whether a write that failed with `error`, without effect, may succeed when the same key asks
    again."""
    return isinstance(error, BackendError) and answered_status(error) not in _AGAINST_THE_WRITE


def _judges_the_payload(error: Exception) -> bool:
    return isinstance(error, BackendRefused) or answered_status(error) in _JUDGES_THE_PAYLOAD


def answered_status(error: Exception) -> int | None:
    """The HTTP status that `error` stands for, where there is one."""
    if isinstance(error, NotFound):
        return error.status or 404
    return error.status if isinstance(error, BackendError) else None


def reason_for(error: Exception, *, in_doubt: bool) -> str:
    """Why an outcome is unknown, in words for the client."""
    if in_doubt:
        return f"An earlier attempt may have taken effect. The last one failed: {_told(error)}"
    if _is_unreadable(error):
        return f"It seems to have taken effect, but its reply is lost: {_told(error)}"
    return f"{_told(error)} Whether it took effect is not known."


def _proves_no_effect(error: Exception) -> bool:
    if isinstance(error, RequestError):
        return True
    if isinstance(error, BackendRefused):
        return True
    if isinstance(error, BackendError) and error.sent == "no":
        return True
    status = answered_status(error)
    return status is not None and (400 <= status < 500 or status in _NOT_DONE_5XX)


def _is_unreadable(error: Exception) -> bool:
    status = answered_status(error)
    unusable = isinstance(error, BadBackendResponse | ResponseTooLarge)
    return unusable and (status is None or 200 <= status < 300)


def _told(error: Exception) -> str:
    # An error that is not ours may hold anything, a credential too: the client does not see it.
    return (
        str(error) if isinstance(error, PlaitError) else "The write broke off inside the gateway."
    )
