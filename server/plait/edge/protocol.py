"""uvicorn's HTTP protocol with bounds on what is still arriving.

uvicorn hands a request to the app when its headers are complete, and takes as many of them as a
client sends, for as long as it likes. Here headers have a number and a size, and a request has a
time in which it must have arrived; one that breaks a bound is answered and its connection closed.
Bodies are bounded where they are read, in `http.py`: only the app knows how large one may be.

A request to /graphql that one read has brought whole is answered from here, without ASGI and
without a task to wait for the answer, which cost more than most of the work. Everything else goes
to the app as uvicorn has it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from plait.edge.exchange import Exchange, Response
from plait.edge.http import content_headers

AtOnce: TypeAlias = Callable[[Any, bytes, Callable[[Exchange], object]], Exchange | None]
"""Given a request's ASGI scope, its whole body, and what to call with the answer."""
TOGETHER_BYTES = 64 * 1024
"""Up to here an answer is copied behind its headers; beyond, the two are written one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalLimits:
    """What a request may be while it arrives. Times are seconds."""

    headers: int = 100
    header_bytes: int = 32 * 1024
    """The request line and all headers together."""
    time_s: float = 30.0
    """From a request's first byte to its last."""


def _nothing() -> None:
    pass


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Pass it to uvicorn as `http=`, with `limits` bound."""

    def __init__(self, *arguments: Any, limits: ArrivalLimits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._arrived = 0
        self._size = 0
        self._in_headers = True
        self._refusal = ""
        self._timer: asyncio.TimerHandle | None = None
        self._at_once: AtOnce | None = getattr(self.app, "at_once", None)
        self._held: RequestResponseCycle | None = None
        """A request whose headers are complete, while the same read may bring the rest."""
        self._exchange: Exchange | None = None
        """What is being answered from here."""
        self._since: float | None = None
        """When what is awaited began to be; `None` where nothing is."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._await()  # a connection that says nothing is closed too

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        if self._exchange is not None:
            self._exchange.leave()
            self._exchange = None

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._in_headers:
            if self._since is None:
                self._await()
            # What one read brings beyond the headers counts too, until they are seen to be
            # complete: reads are bounded, and so is what a limit lets through.
            self._arrived += len(data)
        super().data_received(data)
        if self._held is not None:
            held, self._held = self._held, None
            super()._start_asgi_task(held, self.app)
        if self._in_headers and self._arrived > self._limits.header_bytes:
            self._refuse(431, f"Headers may have at most {self._limits.header_bytes} bytes.")

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers when a callback raises: ours say more."""
        if self._refusal:
            self._refuse(431, self._refusal)
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """See `httptools`."""
        super().on_message_begin()
        self._in_headers = True
        self._size = 0

    def on_url(self, url: bytes) -> None:
        """See `httptools`."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """See `httptools`. Trailers come this way too."""
        self._size += len(name) + len(value) + 4
        if self._size > self._limits.header_bytes:
            self._count(0)
        if len(self.headers) >= self._limits.headers:
            self._break_off(f"A request may have at most {self._limits.headers} headers.")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See `httptools`."""
        self._in_headers = False
        self._arrived = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """See `httptools`."""
        self._in_headers = True
        self._arrived = 0
        self._since = None
        super().on_message_complete()
        if self._held is not None:
            held, self._held = self._held, None
            self._begin(held)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """See uvicorn: called when headers are complete, and for a request that waited behind
        others when its turn has come."""
        is_arriving = not self._in_headers and cycle.more_body
        if (
            self._at_once is None
            or not is_arriving
            or self.flow.write_paused
            or app is not self.app
        ):
            super()._start_asgi_task(cycle, app)
        else:
            self._held = cycle

    def _begin(self, cycle: RequestResponseCycle) -> None:
        """Answer a request that is whole, if the app does that without ASGI."""
        assert self._at_once is not None
        exchange = self._at_once(cycle.scope, bytes(cycle.body), partial(self._answer, cycle))
        if exchange is None:
            super()._start_asgi_task(cycle, self.app)
        elif not exchange.is_over:
            self._exchange = exchange

    def _answer(self, cycle: RequestResponseCycle, exchange: Exchange) -> None:
        """Send what has been made."""
        self._exchange = None
        response = exchange.response
        if response is None:
            self.logger.error("Exception in GraphQL endpoint", exc_info=exchange.defect)
            response = Response(500, "text/plain", (), b"Internal Server Error")
            cycle.keep_alive = False
        headers = [*cycle.default_headers, *content_headers(response), *response.headers]
        if not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        head = b"".join([b"%b: %b\r\n" % header for header in headers])
        cycle.response_started = True
        head = b"%b%b\r\n" % (STATUS_LINE[response.status], head)
        if len(response.body) <= TOGETHER_BYTES:
            self.transport.write(head + response.body)
        else:
            self.transport.writelines([head, response.body])
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        answered, cycle.on_response = (
            cycle.on_response,
            _nothing,
        )  # which knows this, which knows it
        answered()
        if exchange.response is not None:
            exchange.sent()

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._limits.header_bytes:
            self._break_off(f"Headers may have at most {self._limits.header_bytes} bytes.")

    def _break_off(self, refusal: str) -> None:
        """End parsing from within one of its callbacks."""
        self._refusal = refusal
        raise ValueError(refusal)

    def _await(self) -> None:
        """From now on something must arrive in time. One timer looks after all of a connection's
        requests, and is set anew when it goes off too early."""
        self._since = self.loop.time()
        if self._timer is None:
            self._timer = self.loop.call_later(self._limits.time_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._since is None:
            return
        left = self._since + self._limits.time_s - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._look)
            return
        begun = self.cycle is not None and not self.cycle.response_complete
        if self._arrived or begun:
            self._refuse(408, f"A request must have arrived within {self._limits.time_s:g} s.")
        elif self.transport is not None:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer, unless an answer has begun, and close the connection."""
        self._since = None
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and self.cycle.response_started
        if not answering or self.cycle.response_complete:
            text = message.encode("ascii")
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
                + b"content-length: %d\r\n\r\n" % len(text)
                + text
            )
        self.transport.close()
