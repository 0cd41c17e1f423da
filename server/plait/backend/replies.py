"""What a reply says: its body, its problem document, and when to ask again."""

import zlib
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import msgspec

from plait.backend.call import Reply
from plait.backend.exchanged import RawReply, ReplyLimits, WireReply
from plait.backend.failures import error_of, too_large
from plait.backend.said import Said
from plait.backend.spec import EndpointSpec
from plait.errors import BackendDisconnected, BackendError, BadBackendResponse
from plait.heads import joined

_INFLATE_PIECE = 256 * 1024
GZIP_BYTES = 1024
"""By how much what does not compress may be larger than its content."""
_PROBLEM_TYPE = b"application/problem+json"
PROBLEM_BYTES_MAX = 20_000
_PROBLEM_CHARACTERS_MAX = 300
RETRY_AFTER_S_MAX = 86_400.0


@lru_cache(maxsize=10_000)  # asked for with every call, of the few endpoints of a graph
def wanted_of(endpoint: EndpointSpec) -> ReplyLimits:
    """How much of an endpoint's replies may come, as they are sent."""
    limit = endpoint.reply_bytes_max or endpoint.backend.reply_bytes_max
    return ReplyLimits(
        bytes_max=limit + GZIP_BYTES,
        error_bytes_max=PROBLEM_BYTES_MAX,
        error_type=_PROBLEM_TYPE,
    )


def joined_reply(raw: RawReply) -> WireReply:
    """The same with its headers by name."""
    headers = joined(raw.headers) if raw.joined is None else raw.joined
    return WireReply(raw.status, headers, raw.body)


def reply_of(answer: WireReply, endpoint: EndpointSpec, said: Said | None = None) -> Reply:
    """A success, its body decoded. `said` is what its headers say, where it was looked at already.
    Raises `BackendError` where that cannot be, or is too large."""
    status, headers, body = answer.status, answer.headers, answer.body
    said = Said(headers) if said is None else said
    if status in (204, 205, 304):  # no body, whatever its headers say (RFC 9110, 6.4.1)
        body = b""
    else:
        limit = endpoint.reply_bytes_max or endpoint.backend.reply_bytes_max
        if said.is_encoded or len(body) > limit:
            body = b"".join(_decoded(answer, endpoint, limit))
    return Reply(status=status, headers=headers, body=body, said=said)


def _decoded(answer: WireReply, endpoint: EndpointSpec, limit: int) -> Iterator[bytes]:
    """The body, decompressed. It is never held beyond the limit, whatever it claims or inflates
    to."""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if answer.is_decoded or encoding in ("identity", ""):
        pieces = iter((answer.body,))
    elif encoding in ("gzip", "x-gzip"):
        pieces = _inflated(answer.body, endpoint)
    else:
        raise error_of(
            BadBackendResponse, endpoint, "used a content encoding that was not asked for"
        )
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise too_large(endpoint, limit)
        yield piece


def _inflated(body: bytes, endpoint: EndpointSpec) -> Iterator[bytes]:
    """Inflate in bounded pieces: what was sent may be a thousandth of what it becomes."""
    inflate = zlib.decompressobj(wbits=31)
    rest = body
    try:
        while rest:
            if inflate.eof:  # a gzip body is one or more members (RFC 1952, section 2.2)
                inflate = zlib.decompressobj(wbits=31)
            yield inflate.decompress(rest, _INFLATE_PIECE)
            rest = inflate.unconsumed_tail or inflate.unused_data
    except zlib.error:
        raise error_of(BadBackendResponse, endpoint, "sent gzip that cannot be read") from None
    if body and not inflate.eof:
        raise error_of(BackendDisconnected, endpoint, "broke off in the middle of its reply")


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """How long a reply's `Retry-After` says to wait: seconds, or a date (RFC 9110, section
    10.2.3). `now` is in seconds since 1970."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), RETRY_AFTER_S_MAX)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, until - now), RETRY_AFTER_S_MAX)


def is_problem(headers: Mapping[str, str]) -> bool:
    """Whether a body is said to be a problem document."""
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return content_type.encode("latin-1", "replace") == _PROBLEM_TYPE


def problem_of(answer: WireReply, endpoint: EndpointSpec) -> str | None:
    """The title and detail of a problem document (RFC 9457), on one line."""
    if not is_problem(answer.headers):
        return None
    try:
        body = b"".join(_decoded(answer, endpoint, PROBLEM_BYTES_MAX))
        told = msgspec.json.decode(body, type=dict[str, Any])
    except (BackendError, msgspec.DecodeError, UnicodeError):
        return None
    texts = [told.get(name) for name in ("title", "detail")]
    text = ": ".join(one.strip() for one in texts if isinstance(one, str) and one.strip())
    return " ".join(text.split())[:_PROBLEM_CHARACTERS_MAX] or None
