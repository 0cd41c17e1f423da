"""The wire. The only module that imports httpx: calls go in, replies and our own errors come
out."""

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

import httpx
import msgspec

from plait.backend.call import Call, Reply
from plait.backend.spec import SAFE_METHODS, BackendSpec, EndpointSpec
from plait.backend.template import PathTemplate
from plait.clock import Clock
from plait.errors import (
    BackendDisconnected,
    BackendError,
    BackendHttpError,
    BackendRedirected,
    BackendTimeout,
    BackendUnreachable,
    BadBackendResponse,
    ResponseTooLarge,
)

Wire: TypeAlias = httpx.AsyncBaseTransport
"""What puts requests on the wire, and what a test replaces."""

Script: TypeAlias = Callable[
    [str, str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]
]
"""(method, path and query, headers, body) -> (status, headers, body)."""

_INFLATE_PIECE = 256 * 1024


_POOL = 8
"""Connections of one pool. For each request httpcore looks at all connections of its pool, several
times: many small pools cost a fraction of a large one."""


@dataclass(slots=True)
class _Pool:
    """A client with a few connections, and how many exchanges it has under way."""

    client: httpx.AsyncClient
    busy: int = 0


class HttpTransport:
    """Pooled httpx clients for one backend; the innermost handler of its calls.

    `headers` go out with every call. `transport` replaces httpx's own, as tests do with
    `httpx.MockTransport`.
    """

    def __init__(
        self,
        backend: BackendSpec,
        *,
        headers: Mapping[str, str],
        clock: Clock,
        transport: Wire | None = None,
    ) -> None:
        self._backend = backend
        self._clock = clock
        assert backend.url is not None  # checked when the app was made
        self._base = httpx.URL(backend.url)
        self._prefix = self._base.raw_path.decode("ascii").partition("?")[0].rstrip("/")
        self._headers = {"accept-encoding": "gzip", **headers}
        self._transport = transport
        self._pools: list[_Pool] = []

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(pool.client.aclose() for pool in self._pools))

    def _pool(self) -> _Pool:
        """The first pool with room, so that few connections stay open; else a new one."""
        for pool in self._pools:
            if pool.busy < _POOL or self._transport is not None:
                return pool
        backend = self._backend
        client = httpx.AsyncClient(
            transport=self._transport,
            headers=self._headers,
            timeout=_timeout(backend),
            limits=httpx.Limits(
                max_connections=_POOL,
                max_keepalive_connections=_POOL,
                keepalive_expiry=backend.keepalive_s,
            ),
            verify=_verification(),
            cookies=_no_cookies(),
            trust_env=False,  # a proxy or a netrc of the machine must not reach into calls unasked
            follow_redirects=False,
        )
        self._pools.append(_Pool(client))
        return self._pools[-1]

    async def __call__(self, call: Call) -> Reply:
        """Make one attempt. Raises `BackendError`."""
        url = self._url(call)
        for _ in range(1 + self._redirects_of(call)):
            reply = await self._exchange(call, url)
            if isinstance(reply, Reply):
                return reply
            url = self._redirect_target(call, url, reply)
        raise _error(BackendRedirected, call.endpoint, "redirects in a loop or too often")

    async def probe(self) -> None:
        """Ask for the backend's health path. Raises `BackendError` when it is down."""
        endpoint = probe_endpoint(self._backend)
        try:
            await self(Call(endpoint=endpoint, path=self._backend.health_path))
        except BackendHttpError as error:
            if (error.status or 500) >= 500:
                raise
        except BackendRedirected:
            pass

    def _redirects_of(self, call: Call) -> int:
        return self._backend.redirects if call.method in SAFE_METHODS else 0

    def _url(self, call: Call) -> httpx.URL:
        query = f"?{urlencode(call.query, quote_via=quote)}" if call.query else ""
        return self._base.copy_with(raw_path=f"{self._prefix}{call.path}{query}".encode("ascii"))

    async def _exchange(self, call: Call, url: httpx.URL) -> Reply | httpx.URL:
        """The reply; or where to ask instead."""
        pool = self._pool()
        pool.busy += 1
        try:
            headers = [(name.encode(), _header_bytes(value)) for name, value in call.headers]
            request = pool.client.build_request(
                call.method, url, headers=headers, content=call.body
            )
            response = await pool.client.send(request, stream=True)
            try:
                return await self._read(call, response)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise _translated(error, call.endpoint) from None
        except httpx.InvalidURL:
            raise _error(
                BackendRedirected, call.endpoint, "redirected to no valid address"
            ) from None
        finally:
            pool.busy -= 1

    async def _read(self, call: Call, response: httpx.Response) -> Reply | httpx.URL:
        status = response.status_code
        if status in (204, 205, 304):  # no body, whatever its headers say (RFC 9110, section 6.4.1)
            return Reply(status=status, headers=_headers(response), body=b"")
        if 200 <= status < 300:
            body = await _body(response, call.endpoint)
            return Reply(status=status, headers=_headers(response), body=body)
        if 300 <= status < 400 and "location" in response.headers:
            return httpx.URL(response.headers["location"])
        raise _error(
            BackendHttpError,
            call.endpoint,
            f"answered with status {status}",
            status=status,
            retry_after_s=retry_after_s(response.headers, self._clock.wall()),
            problem=await _problem(response, call.endpoint),
        )

    def _redirect_target(self, call: Call, url: httpx.URL, location: httpx.URL) -> httpx.URL:
        """Credentials go with a redirect, so it may not leave the origin that they are for."""
        if not self._redirects_of(call):
            raise _error(BackendRedirected, call.endpoint, "answered with a redirect")
        target = url.join(location)
        if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
            raise _error(BackendRedirected, call.endpoint, "redirected to another origin")
        return target


def scripted(script: Script) -> Wire:
    """A wire that no network is behind: `script` answers."""

    def handle(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode("ascii")
        status, headers, body = script(
            request.method, target, dict(request.headers), request.content
        )
        return httpx.Response(status, headers=dict(headers), content=body)

    return httpx.MockTransport(handle)


def probe_endpoint(backend: BackendSpec) -> EndpointSpec:
    """The endpoint that readiness asks for."""
    return EndpointSpec(backend=backend, method="GET", path=PathTemplate(backend.health_path))


@lru_cache(maxsize=1)  # reading the certificates takes longer than starting all the rest
def _verification() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _timeout(backend: BackendSpec) -> httpx.Timeout:
    read_s = backend.read_timeout_s or backend.timeout_s
    return httpx.Timeout(
        connect=backend.connect_timeout_s, read=read_s, write=read_s, pool=backend.timeout_s
    )


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _body(response: httpx.Response, endpoint: EndpointSpec) -> bytes:
    """The whole body, decompressed. It is never held beyond the limit, whatever it claims or
    inflates to."""
    limit = endpoint.reply_bytes_max or endpoint.backend.reply_bytes_max
    body = bytearray()
    async for piece in _pieces(response, endpoint):
        body += piece
        if len(body) > limit:
            raise _error(ResponseTooLarge, endpoint, f"sent a reply of more than {limit} bytes")
    return bytes(body)


async def _pieces(response: httpx.Response, endpoint: EndpointSpec) -> AsyncIterator[bytes]:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if response.is_stream_consumed:  # a transport, such as a mock, that gives the body whole
        yield response.content
    elif encoding in ("identity", ""):
        async for piece in response.aiter_raw():
            yield piece
    elif encoding in ("gzip", "x-gzip"):
        async for piece in _inflated(response, endpoint):
            yield piece
    else:
        raise _error(BadBackendResponse, endpoint, "used a content encoding that was not asked for")


async def _inflated(response: httpx.Response, endpoint: EndpointSpec) -> AsyncIterator[bytes]:
    """Inflate in bounded pieces: httpx would inflate a whole network read at once, a
    thousandfold."""
    inflate = zlib.decompressobj(wbits=31)
    has_begun = False
    try:
        async for piece in response.aiter_raw():
            rest = piece
            while rest:
                if inflate.eof:  # a gzip body is one or more members (RFC 1952, section 2.2)
                    inflate = zlib.decompressobj(wbits=31)
                has_begun = True
                yield inflate.decompress(rest, _INFLATE_PIECE)
                rest = inflate.unconsumed_tail or inflate.unused_data
    except zlib.error:
        raise _error(BadBackendResponse, endpoint, "sent gzip that cannot be read") from None
    if has_begun and not inflate.eof:
        raise _error(BackendDisconnected, endpoint, "broke off in the middle of its reply")


RETRY_AFTER_S_MAX = 86_400.0


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """How long a reply's `Retry-After` says to wait: seconds, or a date (RFC 9110, section
    10.2.3). `now` is in seconds since 1970."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), RETRY_AFTER_S_MAX)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, until - now), RETRY_AFTER_S_MAX)


PROBLEM_BYTES_MAX = 20_000
_PROBLEM_CHARACTERS_MAX = 300


async def _problem(response: httpx.Response, endpoint: EndpointSpec) -> str | None:
    """The title and detail of a problem document (RFC 9457), on one line."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/problem+json":
        return None
    body = bytearray()
    try:
        async for piece in _pieces(response, endpoint):
            body += piece
            if len(body) > PROBLEM_BYTES_MAX:
                return None
        told = msgspec.json.decode(bytes(body), type=dict[str, Any])
    except (BackendError, httpx.HTTPError, msgspec.DecodeError, UnicodeError):
        return None
    texts = [told.get(name) for name in ("title", "detail")]
    text = ": ".join(one.strip() for one in texts if isinstance(one, str) and one.strip())
    return " ".join(text.split())[:_PROBLEM_CHARACTERS_MAX] or None


def _no_cookies() -> CookieJar:
    """A jar that keeps none: one caller's session must not go along with another's call."""
    return CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))


def _header_bytes(value: str) -> bytes:
    """As it came: header values are read as Latin-1 (ASGI gives bytes), and go on so."""
    return value.encode("latin-1")


def _translated(error: httpx.HTTPError, endpoint: EndpointSpec) -> BackendError:
    """httpx's errors as ours. What matters most is whether the backend may have seen the
    request."""
    match error:
        case httpx.ConnectTimeout():
            what = "did not accept a connection in time"
            reason = "connect_timeout"
            return _error(BackendTimeout, endpoint, what, sent=False, reason=reason)
        case httpx.PoolTimeout():
            what, reason = "has no connection free", "no_connection_free"
            return _error(BackendUnreachable, endpoint, what, sent=False, reason=reason)
        case httpx.ConnectError() | httpx.UnsupportedProtocol() | httpx.ProxyError():
            reason = _reason_of(error)
            return _error(
                BackendUnreachable, endpoint, "cannot be reached", sent=False, reason=reason
            )
        case httpx.TimeoutException():
            return _error(BackendTimeout, endpoint, "did not answer in time", reason="read_timeout")
        case httpx.LocalProtocolError():
            return _error(BackendError, endpoint, "was asked in a way HTTP forbids", sent=False)
        case _:
            reason = _reason_of(error)
            return _error(BackendDisconnected, endpoint, "broke the connection", reason=reason)


def _reason_of(error: BaseException) -> str:
    """What went wrong below HTTP: the first cause that the system names."""
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
    return "closed" if isinstance(error, httpx.RemoteProtocolError) else "unreachable"


def _error(
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
