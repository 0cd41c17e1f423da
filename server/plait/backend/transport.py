"""The wire. The only module that imports httpx: calls go in, replies and our own errors come
out."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeAlias

import httpx

from plait.backend.call import Call, Reply
from plait.backend.exchanged import ExchangeError, RawReply, WireReply
from plait.backend.failures import error_of, failed, reason_of, too_large
from plait.backend.http11 import Peer, Then, header_lines
from plait.backend.replies import (
    GZIP_BYTES,
    PROBLEM_BYTES_MAX,
    is_problem,
    joined_reply,
    problem_of,
    reply_of,
    retry_after_s,
    wanted_of,
)
from plait.backend.said import Said
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
)

Wire: TypeAlias = httpx.AsyncBaseTransport
"""What puts requests on the wire, and what a test replaces."""

Script: TypeAlias = Callable[
    [str, str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]
]
"""(method, path and query, headers, body) -> (status, headers, body)."""

_POOL = 8
"""Connections of one of httpx's pools. For each request httpcore looks at all connections of its
pool, several times: many small pools cost a fraction of a large one."""


@dataclass(slots=True)
class _Pool:
    """A client with a few connections, and how many exchanges it has under way."""

    client: httpx.AsyncClient
    busy: int = 0


AGAIN: Final = object()
"""In place of a reply: the connection turned out to be stale, and the call can be made anew."""


class HttpTransport:
    """The exchanges with one backend; the innermost handler of its calls.

    They go over connections of our own (`http11.py`). `transport` takes their place, as tests do
    with `httpx.MockTransport`; `by_httpx` has httpx's own do it. `headers` go out with every call.
    """

    def __init__(
        self,
        backend: BackendSpec,
        *,
        headers: Mapping[str, str],
        clock: Clock,
        transport: Wire | None = None,
        by_httpx: bool = False,
    ) -> None:
        self._backend = backend
        self._clock = clock
        assert backend.url is not None  # checked when the app was made
        self._base = httpx.URL(backend.url)
        self._prefix = self._base.raw_path.decode("ascii").partition("?")[0].rstrip("/")
        self._headers = {"accept-encoding": "gzip", **headers}
        self._sent_headers = {
            b"host": self._base.netloc,
            **{name.lower().encode(): _header_bytes(one) for name, one in self._headers.items()},
        }
        try:
            self._ready = header_lines(tuple(self._sent_headers.items()))
        except ExchangeError:
            self._ready = b""  # each call says so
        self._transport = transport
        self._pools: list[_Pool] = []
        own = transport is None and not by_httpx
        self._connections = _connections(self._base, backend) if own else None

    async def close(self) -> None:
        """Close every connection."""
        if self._connections is not None:
            await self._connections.close()
        await asyncio.gather(*(pool.client.aclose() for pool in self._pools))

    async def __call__(self, call: Call) -> Reply:
        """Make one attempt. Raises `BackendError`."""
        target = self._target(call)
        for _ in range(1 + self._redirects_of(call)):
            ask = self._ask if self._connections else self._by_httpx
            found = self._made(call, target, await ask(call, target))
            if isinstance(found, Reply):
                return found
            target = found
        raise error_of(BackendRedirected, call.endpoint, "redirects in a loop or too often")

    def begin(
        self, call: Call, within_s: float, then: Then, told: str = ""
    ) -> Callable[[], None] | None:
        """As calling it, where a connection is kept and nothing need be waited for: the request
        leaves in this turn of the loop. `then` gets what `found` reads. What it returns gives the
        call up; `None` where nothing was done.

        `within_s` bounds the call as a whole; `told` are further headers as they stand in a
        request. Raises `BackendError` for what cannot be sent.
        """
        if self._connections is None or self._redirects_of(call):
            return None
        ready, headers = self._headers_of(call)
        if told:
            ready += told.encode("latin-1")
        try:
            return self._connections.begin(
                call.method.encode(),
                self._target(call),
                headers,
                call.body,
                wanted_of(call.endpoint),
                within_s=within_s,
                then=then,
                ready=ready,
            )
        except ExchangeError as error:
            raise failed(error, call.endpoint) from None

    def found(self, call: Call, within_s: float, raw: RawReply | ExchangeError) -> Any:
        """What came of a call that was begun: a `Reply`, a `BackendError` or `AGAIN`."""
        if isinstance(raw, ExchangeError):
            again = raw.is_stale and call.method in SAFE_METHODS
            return AGAIN if again else failed(raw, call.endpoint, within_s)
        answer = joined_reply(raw)
        if answer.status >= 400:
            return self._refused(answer, call.endpoint)
        try:
            # A redirect, of which the target would be needed, is an error: it is not followed here.
            return self._made(call, b"", answer, raw.said)
        except BackendError as error:
            return error

    def _target(self, call: Call) -> bytes:
        query = f"?{call.query}" if call.query else ""
        return f"{self._prefix}{call.path}{query}".encode("ascii")

    def _made(
        self, call: Call, target: bytes, answer: WireReply, said: Said | None = None
    ) -> Reply | bytes:
        """The reply that an answer is, or where it says that it can be had. Raises
        `BackendError`."""
        if answer.status < 300 or answer.status == 304:
            return reply_of(answer, call.endpoint, said)
        if answer.status >= 400 or "location" not in answer.headers:
            raise self._refused(answer, call.endpoint)
        return self._redirect_target(call, target, answer.headers["location"])

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

    def _redirect_target(self, call: Call, target: bytes, location: str) -> bytes:
        """Credentials go with a redirect, so it may not leave the origin that they are for."""
        if not self._redirects_of(call):
            raise error_of(BackendRedirected, call.endpoint, "answered with a redirect")
        base = self._base
        try:
            found = base.copy_with(raw_path=target).join(location)
        except httpx.InvalidURL:
            raise error_of(
                BackendRedirected, call.endpoint, "redirected to no valid address"
            ) from None
        if (found.scheme, found.host, found.port) != (base.scheme, base.host, base.port):
            raise error_of(BackendRedirected, call.endpoint, "redirected to another origin")
        return found.raw_path

    def _refused(self, answer: WireReply, endpoint: EndpointSpec) -> BackendError:
        return error_of(
            BackendHttpError,
            endpoint,
            f"answered with status {answer.status}",
            status=answer.status,
            retry_after_s=retry_after_s(answer.headers, self._clock.wall()),
            problem=problem_of(answer, endpoint),
        )

    # --- over connections of our own

    async def _ask(self, call: Call, target: bytes) -> WireReply:
        assert self._connections is not None
        ready, headers = self._headers_of(call)
        try:
            raw = await self._connections.send(
                call.method.encode(),
                target,
                headers,
                call.body,
                wanted_of(call.endpoint),
                is_safe=call.method in SAFE_METHODS,
                ready=ready,
            )
        except ExchangeError as error:
            raise failed(error, call.endpoint) from None
        return joined_reply(raw)

    def _headers_of(self, call: Call) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        """The headers of a call: those that are always the same, ready to be sent, and the rest.
        What a call says itself goes before what is always said."""
        if self._ready and not call.headers:
            return self._ready, ()
        own = {_header_name(name): _header_bytes(value) for name, value in call.headers}
        if self._ready and self._sent_headers.keys().isdisjoint(own):
            return self._ready, tuple(own.items())
        return b"", tuple({**self._sent_headers, **own}.items())

    # --- by httpx

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

    async def _by_httpx(self, call: Call, target: bytes) -> WireReply:
        pool = self._pool()
        pool.busy += 1
        try:
            headers = [(name.encode(), _header_bytes(value)) for name, value in call.headers]
            request = pool.client.build_request(
                call.method,
                self._base.copy_with(raw_path=target),
                headers=headers,
                content=call.body,
            )
            response = await pool.client.send(request, stream=True)
            try:
                return await _read(response, call.endpoint)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise _translated(error, call.endpoint) from None
        finally:
            pool.busy -= 1


def _connections(base: httpx.URL, backend: BackendSpec) -> Peer:
    is_secure = base.scheme == "https"
    return Peer(
        host=base.raw_host.decode("ascii"),
        port=base.port or (443 if is_secure else 80),
        tls=_verification() if is_secure else None,
        connect_s=backend.connect_timeout_s,
        read_s=backend.read_timeout_s or backend.timeout_s,
        keepalive_s=backend.keepalive_s,
    )


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


async def _read(response: httpx.Response, endpoint: EndpointSpec) -> WireReply:
    """What httpx got. Of what is no success only a problem document is read."""
    status = response.status_code
    headers = {name.lower(): value for name, value in response.headers.items()}
    if response.is_stream_consumed:  # a transport, such as a mock, that gives the body whole
        return WireReply(status, headers, response.content, is_decoded=True)
    limit = (endpoint.reply_bytes_max or endpoint.backend.reply_bytes_max) + GZIP_BYTES
    if status in (204, 205, 304):
        limit = 0
    elif not 200 <= status < 300:
        limit = PROBLEM_BYTES_MAX if is_problem(headers) else 0
    if not limit:
        return WireReply(status, headers, b"")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > limit:
            if status < 300:
                raise too_large(endpoint, limit - GZIP_BYTES)
            body.clear()
            break
    return WireReply(status, headers, bytes(body))


def _no_cookies() -> CookieJar:
    """A jar that keeps none: one caller's session must not go along with another's call."""
    return CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))


@lru_cache(maxsize=1_000)
def _header_name(name: str) -> bytes:
    return name.lower().encode()


def _header_bytes(value: str) -> bytes:
    """As it came: header values are read as Latin-1 (ASGI gives bytes), and go on so."""
    return value.encode("latin-1")


def _translated(error: httpx.HTTPError, endpoint: EndpointSpec) -> BackendError:
    """httpx's errors as ours."""
    cause = error.__cause__
    if isinstance(cause, ExchangeError):  # our own wire, handed to httpx
        return failed(cause, endpoint)
    match error:
        case httpx.ConnectTimeout():
            what = "did not accept a connection in time"
            reason = "connect_timeout"
            return error_of(BackendTimeout, endpoint, what, sent=False, reason=reason)
        case httpx.PoolTimeout():
            what, reason = "has no connection free", "no_connection_free"
            return error_of(BackendUnreachable, endpoint, what, sent=False, reason=reason)
        case httpx.ConnectError() | httpx.UnsupportedProtocol() | httpx.ProxyError():
            reason = reason_of(error)
            return error_of(
                BackendUnreachable, endpoint, "cannot be reached", sent=False, reason=reason
            )
        case httpx.TimeoutException():
            what, reason = "did not answer in time", "read_timeout"
            return error_of(BackendTimeout, endpoint, what, reason=reason)
        case httpx.LocalProtocolError():
            return error_of(BackendError, endpoint, "was asked in a way HTTP forbids", sent=False)
        case _:
            reason = reason_of(error, is_closed=isinstance(error, httpx.RemoteProtocolError))
            return error_of(BackendDisconnected, endpoint, "broke the connection", reason=reason)
