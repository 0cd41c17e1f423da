"""Plait's own HTTP/1.1 as a transport of httpx's, for whoever calls REST services besides:

    async with httpx.AsyncClient(transport=Http11Transport()) as client:
        reply = await client.get("https://books.internal/books/1")

Connections are kept, TLS is verified, sizes are bounded, and a request that changes nothing is sent
once more where a kept connection turns out to be closed. No proxies, no HTTP/2, no upgrades, and
bodies are read as a whole.
"""

import ssl
from typing import Any

import httpx

from plait.backend.exchanged import ExchangeError, Failure, RawReply, ReplyLimits
from plait.backend.http11 import Peer

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
REPLY_BYTES_MAX = 10 * 1024 * 1024
_KEPT_FOR_S = 5.0
NEVER_S = 86_400.0
"""A time-out for who wants none."""
_HOP_BY_HOP = frozenset({b"transfer-encoding", b"connection", b"keep-alive"})

_ERRORS: dict[Failure, type[httpx.TransportError]] = {
    Failure.CONNECT: httpx.ConnectError,
    Failure.CONNECT_TIMEOUT: httpx.ConnectTimeout,
    Failure.READ_TIMEOUT: httpx.ReadTimeout,
    Failure.TIMEOUT: httpx.ReadTimeout,
    Failure.FORBIDDEN: httpx.LocalProtocolError,
    Failure.PROTOCOL: httpx.RemoteProtocolError,
    Failure.CLOSED: httpx.RemoteProtocolError,
    Failure.TOO_LARGE: httpx.ReadError,
}


class Http11Transport(httpx.AsyncBaseTransport):
    """See the module. `tls` verifies servers: httpx's defaults unless given. `keepalive_s` is how
    long a connection is kept when it is not used. A reply may have `reply_bytes_max` bytes as it
    comes; what httpx makes of a compressed one may be larger."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        keepalive_s: float = _KEPT_FOR_S,
        reply_bytes_max: int = REPLY_BYTES_MAX,
    ) -> None:
        self._tls = tls
        self._keepalive_s = keepalive_s
        self._wanted = ReplyLimits(
            bytes_max=reply_bytes_max, error_bytes_max=reply_bytes_max, error_type=None
        )
        self._origins: dict[tuple[Any, ...], Peer] = {}

    async def exchange(self, request: httpx.Request) -> RawReply:
        """The reply as it came: its headers' names in lower case, its body still encoded. Raises
        what httpx raises."""
        if request.url.scheme not in ("http", "https"):
            message = f"The scheme is '{request.url.scheme}', and http and https are known."
            raise httpx.UnsupportedProtocol(message, request=request)
        body = await request.aread()
        sent = [(name.lower(), value) for name, value in request.headers.raw]
        try:
            return await self._origin(request).send(
                request.method.encode("ascii"),
                request.url.raw_path,
                [one for one in sent if one[0] not in _HOP_BY_HOP],  # bodies are sent whole
                body or None,
                self._wanted,
                is_safe=request.method in SAFE_METHODS,
            )
        except ExchangeError as error:
            raise _ERRORS[error.failure](str(error), request=request) from error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.AsyncBaseTransport`."""
        raw = await self.exchange(request)
        kept = [(name, value) for name, value in raw.headers if name not in _HOP_BY_HOP]
        return httpx.Response(raw.status, headers=kept, stream=httpx.ByteStream(raw.body))

    async def aclose(self) -> None:
        """Close every connection."""
        origins, self._origins = self._origins, {}
        for origin in origins.values():
            await origin.close()

    def _origin(self, request: httpx.Request) -> Peer:
        url, limits = request.url, request.extensions.get("timeout", {})
        connect_s = limits.get("connect") or NEVER_S
        read_s = limits.get("read") or NEVER_S
        key = (url.scheme, url.raw_host, url.port, connect_s, read_s)
        origin = self._origins.get(key)
        if origin is None:
            is_secure = url.scheme == "https"
            if is_secure and self._tls is None:
                self._tls = httpx.create_ssl_context(trust_env=False)
            origin = self._origins[key] = Peer(
                host=url.raw_host.decode("ascii"),
                port=url.port or (443 if is_secure else 80),
                tls=self._tls if is_secure else None,
                connect_s=connect_s,
                read_s=read_s,
                keepalive_s=self._keepalive_s,
            )
        return origin
