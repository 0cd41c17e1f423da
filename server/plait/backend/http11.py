"""HTTP/1.1 to one origin: bytes in, bytes out, over connections that are kept.

An exchange is one request and its reply. A connection carries one exchange at a time; what ends
before its reply is whole, whoever ended it, closes its connection at once, so that no reply is ever
taken for another's. A kept connection may have been closed by the other side meanwhile: a request
that changes nothing is sent once more on a new one, if not a single byte of a reply has come.

httptools (llhttp) parses. It is strict; what it refuses is no reply. Heads that are said again are
not parsed again (`heads.py`).
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from math import inf
from typing import Final, TypeAlias, cast

import httptools

from plait.backend.exchanged import ExchangeError, Failure, RawReply, ReplyLimits
from plait.backend.heads import ReplyHead, content_type_of, reply_head_of
from plait.burst import Burst
from plait.heads import Pairs, is_listened_to

HEADERS_BYTES_MAX = 64 * 1024
"""The largest head of a reply."""
DRAINED_BYTES_MAX = 64 * 1024
DRAINED_WITHIN_S = 1.0
"""What is read of a body that nobody wants, and for how long, so that its connection can stay."""

HEADS_KEPT = 4
"""How many heads of one peer are known again: its endpoints may differ in what they say."""
Then: TypeAlias = Callable[[RawReply | ExchangeError], object]
"""Called with what came of an exchange, in the turn of the loop in which it came."""


class Peer:
    """Connections to one host and port. At most as many are open as exchanges are under way at
    once: who calls bounds that."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        connect_s: float,
        read_s: float,
        keepalive_s: float,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._connect_s = connect_s
        self._read_s = read_s
        self._keepalive_s = keepalive_s
        self.burst = Burst()
        """What is about to be sent over all connections."""
        self.heads: list[ReplyHead] = []
        """What it has said lately, the last one first."""
        self.changes = 0
        """How many times in a row it has said something else."""
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    async def send(
        self,
        method: bytes,
        target: bytes,
        headers: Pairs,
        body: bytes | None,
        wanted: ReplyLimits,
        *,
        is_safe: bool,
        ready: bytes = b"",
    ) -> RawReply:
        """Make one exchange. `is_safe`: whether it changes nothing, and may be sent again. `ready`
        are further headers, as `header_lines` makes them. Raises `ExchangeError`."""
        request = _request(method, target, headers, body, ready)
        while True:
            connection = self._take()
            is_kept = connection is not None
            if connection is None:
                connection = await self._connect()
            try:
                return await connection.exchange(request, wanted)
            except ExchangeError as error:
                if not (is_kept and error.is_stale and is_safe):
                    raise

    def begin(
        self,
        method: bytes,
        target: bytes,
        headers: Pairs,
        body: bytes | None,
        wanted: ReplyLimits,
        *,
        within_s: float,
        then: Then,
        ready: bytes = b"",
    ) -> Callable[[], None] | None:
        """As `send`, over a connection that is kept: the request leaves in this turn of the loop.
        What it returns gives the exchange up. `None` where no connection is kept, and nothing was
        done.

        It is not sent again where the connection turns out to be stale: see `is_stale`. Raises
        `ExchangeError` for what cannot be sent.
        """
        request = _request(method, target, headers, body, ready)
        connection = self._take()
        if connection is None:
            return None
        connection.start(request, wanted, then, within_s)
        return _GivingUp(connection, then)

    async def close(self) -> None:
        """Close every connection."""
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()

    def keep(self, connection: "_Connection") -> None:
        """Take a connection back, for the next exchange."""
        self._idle.append(connection)

    def forget(self, connection: "_Connection") -> None:
        """A connection has ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _take(self) -> "_Connection | None":
        """The connection that was used last; those that were idle for too long are closed."""
        if not self._idle:
            return None
        expired = self._idle[-1].loop.time() - self._keepalive_s
        while self._idle and self._idle[0].heard_at <= expired:
            self._idle.pop(0).abort()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closing:
                return connection
        return None

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, self._read_s),
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except TimeoutError as error:
            raise ExchangeError(Failure.CONNECT_TIMEOUT) from error
        except (OSError, ssl.SSLError) as error:
            raise ExchangeError(Failure.CONNECT, str(error)) from error
        self._open.add(connection)
        return connection


class _Connection(asyncio.Protocol):
    """One connection, and the exchange that is under way on it, if one is."""

    def __init__(self, origin: Peer, read_s: float) -> None:
        self.loop = asyncio.get_running_loop()
        self._origin = origin
        self._read_s = read_s
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._then: Then | None = None
        self._wanted: ReplyLimits | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0.0
        self._drain_timer: asyncio.TimerHandle | None = None
        self.heard_at = 0.0
        """When something was last sent or heard."""
        self._until = inf
        self._is_draining = False
        self._drained = 0
        self._may_stay = False
        self._is_complete = False
        self._has_more = False
        """Whether something follows the reply, which nobody asked for."""
        self.is_ended = False
        self.has_heard = False
        """Whether anything of the reply has come."""
        self._begin()

    def _begin(self) -> None:
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._head_bytes = 0
        self._body_bytes = 0
        self._bytes_max = 0
        self._has_head = False
        self._ends_with_connection = False
        self._is_complete = self._has_more = False

    async def exchange(self, request: bytes, wanted: ReplyLimits) -> RawReply:
        """Send a request, and wait for its reply. Raises `ExchangeError`."""
        reply: asyncio.Future[RawReply] = self.loop.create_future()
        then = partial(_told, reply)
        self.start(request, wanted, then)
        try:
            return await reply
        finally:
            self.give_up(then)

    def start(self, request: bytes, wanted: ReplyLimits, then: Then, within_s: float = inf) -> None:
        """Send a request. `then` gets what comes of it."""
        transport = self._transport
        if transport is None or self.is_ended:
            then(self._error(Failure.CLOSED, has_heard=False))
            return
        self._begin()
        self.has_heard = False
        self._wanted = wanted
        self._then = then
        self.heard_at = self.loop.time()
        self._until = self.heard_at + within_s
        self._look_no_later_than(min(self.heard_at + self._read_s, self._until))
        self._origin.burst.write(self.loop, transport, request)

    def give_up(self, then: Then) -> None:
        """Nobody waits for the exchange that was to end with `then` any more. Once a reply is
        whole, the connection may carry another's already."""
        if self._then is then:
            self._then = None
            self.abort()  # what is still to come belongs to nobody

    @property
    def is_closing(self) -> bool:
        """Whether it has ended, or is about to: what is sent on it now arrives nowhere."""
        return self.is_ended or self._transport is None or self._transport.is_closing()

    def abort(self) -> None:
        """End the connection at once."""
        self.is_ended = True
        self._stop_timers()
        if self._transport is not None:
            self._transport.abort()

    # --- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        # uvloop's is none by its class, and is one by all that it does.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.is_ended:
            return
        if self._then is None and not self._is_draining:
            self.abort()  # nobody asked
            return
        is_first, self.has_heard = not self.has_heard, True
        self.heard_at = self.loop.time()
        if is_first and self._is_known(data):
            return
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(Failure.PROTOCOL, "an upgrade that was not asked for")
        except httptools.HttpParserError as error:
            self._has_more = True
            if not self._is_complete:
                self._fail(Failure.PROTOCOL, str(error))
        if self._is_complete and not self.is_ended:
            self._complete(self._remembered(data) if is_first else None)
        elif self._is_draining and self._drain_timer is None and not self.is_ended:
            self._drain_timer = self.loop.call_later(DRAINED_WITHIN_S, self.abort)
        elif not self._has_head and self._head_bytes > HEADERS_BYTES_MAX:
            self._fail(Failure.PROTOCOL, f"a head of more than {HEADERS_BYTES_MAX} bytes")

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        return False  # and the transport closes itself

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        is_whole = self._has_head and self._ends_with_connection and error is None
        self.is_ended = True
        self._origin.forget(self)
        if is_whole and self._then is not None:
            self._stop_timers()
            self._tell(self._made())
        else:
            self._fail(Failure.CLOSED, "", error)

    # --- what the parser calls

    def on_status(self, status: bytes) -> None:
        """Nothing: the code is asked for when the head is whole."""

    def on_message_begin(self) -> None:
        """See `httptools`."""
        self._has_more = self._is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """See `httptools`."""
        if not self._has_head:  # what follows a body in pieces says nothing that is asked for
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """See `httptools`."""
        if self._is_complete:
            return
        self._status = self._parser.get_status_code()
        if 100 <= self._status < 200:
            return
        self._has_head = True
        names = {name for name, _ in self._headers}
        bodiless = self._status in (204, 304)
        self._ends_with_connection = not (
            bodiless or b"content-length" in names or b"transfer-encoding" in names
        )
        wanted = self._wanted
        assert wanted is not None
        if 200 <= self._status < 300 or bodiless:
            self._bytes_max = wanted.bytes_max
        elif wanted.error_type in (None, content_type_of(self._headers)):
            self._bytes_max = wanted.error_bytes_max
        else:
            self._drain()  # its status says all: the body is read only to keep the connection

    def on_body(self, data: bytes) -> None:
        """See `httptools`."""
        if self._is_complete:
            return
        if self._is_draining:
            self._drained += len(data)
            if self._drained > DRAINED_BYTES_MAX:
                self.abort()
            return
        self._body_bytes += len(data)
        if self._body_bytes <= self._bytes_max:
            self._body.append(data)
        elif 200 <= self._status < 300 or self._wants_all_errors:
            self._fail(Failure.TOO_LARGE)
        else:
            self._drain()

    @property
    def _wants_all_errors(self) -> bool:
        return self._wanted is not None and self._wanted.error_type is None

    def on_message_complete(self) -> None:
        """See `httptools`."""
        if 100 <= self._status < 200:
            self._begin()  # the reply proper follows (RFC 9110, section 15.2)
            return
        if self.is_ended or self._is_complete:
            return
        self._is_complete = True
        self._may_stay = self._parser.should_keep_alive()

    # --- within

    def _is_known(self, data: bytes) -> bool:
        """Hand over a reply that has come whole, under a head that was said before."""
        origin, wanted = self._origin, self._wanted
        for head in origin.heads:
            reply = head.reply(data)
            if reply is None:
                continue
            if wanted is None:
                return False
            size, is_error = len(reply.body), head.status >= 400
            if is_error and wanted.error_type not in (None, head.content_type):
                if size > DRAINED_BYTES_MAX:
                    return False
                reply.body = b""  # its status says all
            elif size > (wanted.error_bytes_max if is_error else wanted.bytes_max):
                return False
            origin.changes = 0
            origin.keep(self)
            self._tell(reply)  # last: see `_complete`
            return True
        return False

    def _remembered(self, data: bytes) -> Mapping[str, str] | None:
        """Keep the head of a success, or of an error, that `data` is all of; its headers,
        joined."""
        if 300 <= self._status < 400 or self._status == 204:  # no body, whatever they say
            return None
        if not self._may_stay or self._has_more:
            return None
        origin = self._origin
        origin.changes += 1
        if not is_listened_to(origin.changes):
            return None
        size = self._drained if self._is_draining else self._body_bytes
        head = reply_head_of(data, self._status, self._headers, size)
        if head is None:
            return None
        origin.heads = [head, *origin.heads[: HEADS_KEPT - 1]]
        return head.joined

    def _complete(self, joined: Mapping[str, str] | None) -> None:
        """The reply is whole: hand it over, and keep the connection where it can be used again."""
        made = None if self._is_draining else self._made(joined)
        self._is_draining = False
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
        then, self._then = self._then, None
        if self._may_stay and not self._has_more:
            self._origin.keep(self)
        else:
            self.abort()
        if made is not None and then is not None:
            then(made)  # last: it may send something on this very connection

    def _made(self, joined: Mapping[str, str] | None = None) -> RawReply:
        body = self._body
        whole = body[0] if len(body) == 1 else b"".join(body)
        return RawReply(self._status, self._headers, whole, joined)

    def _drain(self) -> None:
        """Answer with what there is, and read the rest for the connection's sake."""
        self._is_draining, self._drained = True, 0
        self._tell(RawReply(self._status, self._headers, b""))

    def _fail(self, failure: Failure, told: str = "", cause: Exception | None = None) -> None:
        self.abort()
        if self._then is not None:
            error = self._error(failure, told, has_heard=self.has_heard)
            error.__cause__ = cause
            self._tell(error)

    def _error(self, failure: Failure, told: str = "", *, has_heard: bool) -> ExchangeError:
        error = ExchangeError(failure, told)
        error.is_stale = failure is Failure.CLOSED and not has_heard
        return error

    def _tell(self, found: RawReply | ExchangeError) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(found)

    def _look_no_later_than(self, at: float) -> None:
        """One timer looks after all exchanges of the connection. It is set anew when it goes off
        too early, and most end before it does."""
        if self._timer is not None:
            if self._looks_at <= at:
                return
            self._timer.cancel()
        self._looks_at = at
        self._timer = self.loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._then is None:
            return
        now = self.loop.time()
        due = min(self.heard_at + self._read_s, self._until)
        if now < due:
            self._look_no_later_than(due)
        else:
            self._fail(Failure.TIMEOUT if now >= self._until else Failure.READ_TIMEOUT)

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._drain_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._drain_timer = None


class _GivingUp:
    """Gives an exchange up."""

    __slots__ = ("_connection", "_then")

    def __init__(self, connection: _Connection, then: Then) -> None:
        self._connection = connection
        self._then = then

    def __call__(self) -> None:
        self._connection.give_up(self._then)


_LENGTHS = (b"content-length", b"transfer-encoding")
"""Said here, and by nobody else: a second word on it would make two requests of one."""
_NAME_CHARACTERS = frozenset(
    b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)


_BREAK = re.compile(rb"[\r\n\0]")
_VISIBLE: Final = bytes(byte if 0x21 <= byte <= 0x7E else ord("?") for byte in range(256))
"""Leaves what a target may be made of as it is, and nothing else."""


def _told(reply: "asyncio.Future[RawReply]", found: RawReply | ExchangeError) -> None:
    """Tell who waits for a reply what came."""
    if reply.done():
        return
    if isinstance(found, ExchangeError):
        reply.set_exception(found)
    else:
        reply.set_result(found)


def _request(
    method: bytes, target: bytes, headers: Pairs, body: bytes | None, ready: bytes = b""
) -> bytes:
    """A request as bytes. Raises `ExchangeError` for one that could be taken for something else."""
    if not target.startswith(b"/") or target.translate(_VISIBLE) != target:
        raise ExchangeError(Failure.FORBIDDEN, "the path holds what no path may")
    length = b""
    if body is not None or method in (b"POST", b"PUT", b"PATCH"):
        length = b"content-length: %d\r\n" % len(body or b"")
    return b"%b %b HTTP/1.1\r\n%b%b%b\r\n%b" % (
        method,
        target,
        ready,
        header_lines(headers) if headers else b"",
        length,
        body or b"",
    )


def header_lines(headers: Pairs) -> bytes:
    """Headers as they stand in a request; without those that say how long it is. Raises
    `ExchangeError` for what could be taken for something else."""
    lines = []
    for name, value in headers:
        start = _line_start(name)
        if _BREAK.search(value) is not None:
            raise ExchangeError(Failure.FORBIDDEN, "a header's value holds what none may")
        if start:
            lines.append(start + value)
    return b"\r\n".join((*lines, b"")) if lines else b""


@lru_cache(maxsize=1_000)
def _line_start(name: bytes) -> bytes:
    """What stands before a header's value; nothing where it may not be said."""
    if not name or not _NAME_CHARACTERS.issuperset(name):
        raise ExchangeError(Failure.FORBIDDEN, "a header's name holds what none may")
    return b"" if name.lower() in _LENGTHS else name + b": "
