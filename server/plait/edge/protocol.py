"""uvicorn's HTTP protocol with bounds on what is still arriving.

uvicorn hands a request to the app when its headers are complete, and takes as many of them as a
client sends, for as long as it likes. Here headers have a number and a size, and a request has a
time in which it must have arrived; one that breaks a bound is answered and its connection closed.
Bodies are bounded where they are read, in `http.py`: only the app knows how large one may be.

A POST to /graphql, or a GET with a query, that one read has brought whole is answered from here,
without ASGI and without a task to wait for the answer, which cost more than most of the work. For
everything else uvicorn is given what the parser said, as if nobody had stood between.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from plait.burst import Burst
from plait.edge.exchange import Exchange
from plait.edge.heads import RequestHead, request_head_of
from plait.edge.response import CLOSES, Headers, Response, lines
from plait.heads import Pairs, is_listened_to, joined

AtOnce: TypeAlias = Callable[
    [str, dict[str, str], bytes, Callable[[Exchange], object]], Exchange | None
]
"""Given the method of a request for /graphql, its headers, the whole body of a POST or the query
string of a GET, and what to call with the answer."""
PATH = b"/graphql"
_QUERY = re.compile(rb"/graphql\?([A-Za-z0-9._~%!$&'()*+,;=:@/?-]*)")
"""A path with a query string in which nothing is left to be encoded (RFC 3986, section 3.4)."""
TOGETHER_BYTES = 64 * 1024
"""Up to here an answer is copied behind its headers; beyond, the two are written one by one."""


def _query_of(url: bytes) -> bytes | None:
    """The query string of a GET for /graphql; `None` for one of anything else."""
    found = _QUERY.fullmatch(url)
    return found[1] if found is not None else None


_BURSTS: WeakKeyDictionary[ServerState, Burst] = WeakKeyDictionary()
"""Of each server, the answers that are about to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalLimits:
    """What a request may be while it arrives. Times are seconds."""

    headers: int = 100
    header_bytes: int = 32 * 1024
    """The request line and all headers together."""
    time_s: float = 30.0
    """From a request's first byte to its last."""


class _Turn:
    """A request that is answered from here, where uvicorn looks for its cycle: what is pipelined
    waits behind it, and a server that stops lets it end."""

    __slots__ = ("disconnected", "keep_alive", "response_complete", "response_started")

    def __init__(self) -> None:
        self.keep_alive = self.response_complete = True
        self.response_started = self.disconnected = False

    @property
    def message_event(self) -> "_Turn":
        """What uvicorn sets when the connection is lost."""
        return self

    def set(self) -> None:
        """See `message_event`: nobody waits for it here."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Pass it to uvicorn as `http=`, with `limits` bound."""

    def __init__(self, *arguments: Any, limits: ArrivalLimits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._arrived = 0
        """Bytes of headers that are not complete."""
        self._size = 0
        """As the parser has seen them."""
        self._in_headers = True
        self._refusal = ""
        at_once: AtOnce | None = getattr(self.app, "at_once", None)
        if self.root_path or self.limit_concurrency is not None:
            at_once = None
        self._at_once = at_once
        self._body: list[bytes] | None = None
        """Of a request that is answered from here, if the same read brings the rest of it."""
        self._query: bytes | None = None
        """The query string of that, where it is a GET."""
        self._burst = _BURSTS.setdefault(self.server_state, Burst())
        self._exchange: Exchange | None = None
        """What is being answered from here."""
        self._turn = _Turn()
        """Of that, or of the last one: there is one at a time."""
        self._defaults: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")
        """The headers of every answer, and their text."""
        self._head: RequestHead | None = None
        """The head of the last POST that was answered from here."""
        self._changes = 0
        """How many heads came since one was said again."""
        self._begun: tuple[Pairs, Mapping[str, str], int] | None = None
        """What may be kept of the head of a request that this read has brought."""
        self._is_arriving = False
        """Whether a request has begun to arrive, and has not ended."""
        self._is_timed = False
        """Whether it has a time to arrive in."""
        self._due: float | None = None
        """When what is awaited must have come; `None` where nothing is."""
        self._timer: asyncio.TimerHandle | None = None
        self._goes_off = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._is_timed = True  # a connection that says nothing is closed too
        self._await(self._limits.time_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        if self._exchange is not None:
            self._exchange.leave()
            self._exchange = None

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._head is not None and self._is_known(self._head, data):
            return
        is_head = not self._is_arriving
        if self._in_headers:
            # What one read brings beyond the headers counts too, until they are seen to be
            # complete: reads are bounded, and so is what a limit lets through.
            self._arrived += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")
        if self._body is not None:
            body, self._body = self._body, None
            if not self.transport.is_closing():
                self._give_uvicorn(body)
        if self._is_arriving and not self._is_timed:
            self._is_timed = True
            self._await(self._limits.time_s)
        if self._in_headers and self._arrived > self._limits.header_bytes:
            self._refuse(431, f"Headers may have at most {self._limits.header_bytes} bytes.")
        if self._begun is not None:
            begun, self._begun = self._begun, None
            self._changes += 1
            if is_head and is_listened_to(self._changes):
                self._head = request_head_of(data, *begun) or self._head

    def _is_known(self, head: RequestHead, data: bytes) -> bool:
        """Answer a request that has come whole, under a head that was said before."""
        cycle = self.cycle
        if self._is_arriving or not (cycle is None or cycle.response_complete):
            return False
        if self.flow.write_paused or self.transport.is_closing():
            return False
        found = head.request(data)
        if found is None:
            return False
        self._arrived = 0
        self._due = None
        if not self._begin("POST", *found, keeps_alive=True):
            return False  # it is parsed then, as if it had not been looked at
        self._changes = 0
        return True

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # Nothing is upgraded here, and who would like it to be is answered without (RFC
                # 9110, section 7.8): clients that would speak HTTP/2 ask so. The parser takes what
                # follows for the other protocol's, and has to be told again.
                data = self._without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
            else:
                return

    def _without_upgrade(self) -> bytes:
        """The head of this request as text. Raises `HttpParserError` for one that is nothing
        else."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            raise httptools.HttpParserError("There is no proxy here.")
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                options = [one for one in value.split(b",") if one.strip().lower() != b"upgrade"]
                value = b",".join(options)
            if name != b"upgrade":
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers when a callback raises: ours say more."""
        if self._refusal:
            self._refuse(431, self._refusal)
        elif not self.transport.is_closing():
            self._burst.flush()
            super().send_400_response(msg)

    def eof_received(self) -> None:
        """See `asyncio.Protocol`: the connection is closed next."""
        self._burst.flush()

    def shutdown(self) -> None:
        """See uvicorn: the connection is closed, behind what it answers."""
        self._burst.flush()
        super().shutdown()

    def on_message_begin(self) -> None:
        """See `httptools`."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_headers = self._is_arriving = True
        self._size = 0

    def on_url(self, url: bytes) -> None:
        """See `httptools`."""
        self._size += len(url)
        if self._size > self._limits.header_bytes:
            self._break_off(f"Headers may have at most {self._limits.header_bytes} bytes.")
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """See `httptools`. Trailers come this way too."""
        self._size += len(name) + len(value) + 4
        if self._size > self._limits.header_bytes:
            self._break_off(f"Headers may have at most {self._limits.header_bytes} bytes.")
        if len(self.headers) >= self._limits.headers:
            self._break_off(f"A request may have at most {self._limits.headers} headers.")
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """See `httptools`."""
        cycle, parser = self.cycle, self.parser
        if parser.should_upgrade():
            return  # see `_parse`
        self._in_headers = False
        self._arrived = 0
        if self.transport.is_closing():
            return  # the answer before said that it is the last
        method = parser.get_method()
        self._query = _query_of(self.url) if method == b"GET" else None
        is_ours = self.url == PATH if method == b"POST" else self._query is not None
        if (
            is_ours
            and self._at_once is not None
            and (cycle is None or cycle.response_complete)
            and not self.flow.write_paused
            and not self.expect_100_continue
        ):
            self._body = []
        else:
            self._give_uvicorn([])

    def on_body(self, body: bytes) -> None:
        """See `httptools`."""
        if self._body is not None:
            self._body.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """See `httptools`."""
        if self.parser.should_upgrade():
            return  # see `_parse`
        self._in_headers = True
        self._arrived = 0
        self._is_arriving = self._is_timed = False
        self._due = None
        body = self._body
        if body is None:
            super().on_message_complete()
            return
        self._body = None
        parser, is_begun = self.parser, False
        keeps_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        if self._query is None:
            headers, raw = joined(self.headers), body[0] if len(body) == 1 else b"".join(body)
            is_begun = self._begin("POST", headers, raw, keeps_alive=keeps_alive)
            if is_begun and keeps_alive:
                self._begun = self.headers, headers, len(raw)
        elif not body:
            headers = joined(self.headers)
            is_begun = self._begin("GET", headers, self._query, keeps_alive=keeps_alive)
        if not is_begun:
            self._give_uvicorn(body)
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """See uvicorn: an answer was sent, by whom it may be."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif not self._is_arriving:
            self._await(self.timeout_keep_alive)

    def _give_uvicorn(self, body: list[bytes]) -> None:
        """Tell uvicorn what the parser has said of this request."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        for part in body:
            super().on_body(part)

    def _begin(
        self, method: str, headers: dict[str, str], raw: bytes, *, keeps_alive: bool
    ) -> bool:
        """Answer a request that is whole, if the app does that without ASGI."""
        assert self._at_once is not None
        before, turn = self.cycle, self._turn
        turn.keep_alive = keeps_alive
        turn.response_started = turn.response_complete = False
        self.cycle = turn  # type: ignore[assignment]
        exchange = self._at_once(method, headers, raw, self._answer)
        if exchange is None:
            self.cycle, turn.response_complete = before, True
            return False
        if not exchange.is_over:
            self._exchange = exchange
        return True

    def _answer(self, exchange: Exchange) -> None:
        """Send what has been made."""
        self._exchange = None
        turn, response = self._turn, exchange.response
        if response is None:
            self.logger.error("Exception in GraphQL endpoint", exc_info=exchange.defect)
            response = Response(500, "text/plain", (), b"Internal Server Error")
            turn.keep_alive = False
        added: Headers = exchange.added if exchange.response is not None else ()
        if not turn.keep_alive:
            added = (*added, *CLOSES)
        defaults = self.server_state.default_headers
        if defaults is not self._defaults[0]:  # uvicorn makes a new list of them each second
            self._defaults = defaults, lines(tuple(defaults))
        body = response.body
        head = response.head(STATUS_LINE[response.status] + self._defaults[1], added)
        turn.response_started = True
        if len(body) <= TOGETHER_BYTES:
            self._burst.write(self.loop, self.transport, head + body)
        else:
            self._burst.flush()
            self.transport.writelines([head, body])
        turn.response_complete = True
        if not turn.keep_alive:
            self._close()
        self.on_response_complete()
        if exchange.response is not None:
            exchange.sent()

    def _close(self) -> None:
        """Close the connection behind what was answered."""
        self._burst.flush()
        self.transport.close()

    def _break_off(self, refusal: str) -> None:
        """End parsing from within one of its callbacks."""
        self._refusal = refusal
        raise ValueError(refusal)

    def _await(self, time_s: float) -> None:
        """From now on something must come in time. One timer looks after all that a connection
        waits for, and is set anew when it goes off too early."""
        self._due = due = self.loop.time() + time_s
        if self._timer is None or due < self._goes_off:
            self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._goes_off = due
        self._timer = self.loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self.loop.time():
            self._set_timer(self._due)
            return
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if self.pipeline or (is_answering and self._in_headers):
            self._await(self._limits.time_s)  # others are before it: that is not the client's fault
        elif self._is_arriving or is_answering:
            self._refuse(408, f"A request must have arrived within {self._limits.time_s:g} s.")
        elif self.transport is not None:
            self._close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer, unless an answer has begun, and close the connection."""
        self._due = None
        if self.transport.is_closing():
            return
        self._burst.flush()
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
