"""One request to /graphql, from its whole body to its answer, whoever reads the one and sends the
other.
"""

import math
from collections.abc import Callable, Mapping

import msgspec

from plait.backend.call import Origin
from plait.clock import Clock
from plait.edge.body import HttpError, body_of_query, decoded_body
from plait.edge.cors import AddedFor
from plait.edge.identity import caller_of, request_id_of, traceparent_of
from plait.edge.negotiate import MediaType, media_type_of, status_of
from plait.edge.response import Headers, Response
from plait.emit import Events
from plait.errors import GatewayNotStarted, PlaitError
from plait.events import FieldFailed, RequestFinished
from plait.query.context import WARNINGS_HEADER
from plait.query.direct import Direct
from plait.query.done import Done, Request
from plait.query.execute import Executor, Running
from plait.query.interpret import EXPLAIN_HEADER

CLIENT_LEFT = 499
"""What logs have as the status of a request whose client left before it was answered."""


class Shared:
    """What all exchanges of an app have in common."""

    __slots__ = (
        "added_for",
        "body_bytes_max",
        "caller_of",
        "clock",
        "events",
        "executor",
        "forwarded",
    )

    def __init__(
        self,
        *,
        clock: Clock,
        events: Events,
        body_bytes_max: int,
        caller_of: Callable[[Mapping[str, str]], str] = caller_of,
        forwarded: tuple[str, ...] = (),
    ) -> None:
        self.executor: Executor | None = None
        """There is one while the gateway is running."""
        self.clock = clock
        self.events = events
        self.caller_of = caller_of
        self.forwarded = forwarded
        """The headers that the graph passes on."""
        self.body_bytes_max = body_bytes_max
        self.added_for: AddedFor | None = None
        """What whoever stands before this adds to answers, for those that are sent past him."""

    def running(self) -> Executor:
        """The executor. Raises `GatewayNotStarted`."""
        if self.executor is None:
            raise GatewayNotStarted
        return self.executor

    def at_once(
        self,
        method: str,
        headers: Mapping[str, str],
        raw: bytes,
        then: Callable[["Exchange"], object],
    ) -> "Exchange | None":
        """Begin to answer a request for /graphql that has arrived whole, without ASGI; `None` where
        it is to be asked as an ASGI app, for there is anything unusual about it. `raw` is the body
        of a POST or the query string of a GET. `then` is called once with the answer, unless the
        exchange is left; it may be before this returns."""
        if self.executor is None:
            return None
        accept = headers.get("accept")
        is_usual = (
            "text/html" not in (accept or "")  # else a browser
            if method == "GET"
            else headers.get("content-type") == "application/json"
            and "content-encoding" not in headers
            and len(raw) <= self.body_bytes_max
        )
        if not is_usual:
            return None
        exchange = Exchange(self, method, headers)
        try:
            exchange.media = media_type_of("*/*" if accept is None else accept)
        except HttpError:
            return None
        if self.added_for is not None:
            origin = headers.get("origin")
            if origin is not None and "," in origin:
                return None  # it is said twice
            exchange.added = self.added_for(origin)
        exchange.begin(raw, then)
        return exchange


class Exchange:
    """One request under way."""

    __slots__ = (
        "_codes",
        "_done",
        "_headers",
        "_is_get",
        "_is_left",
        "_key",
        "_raw",
        "_request_id",
        "_running",
        "_shared",
        "_start",
        "_then",
        "_traceparent",
        "added",
        "defect",
        "media",
        "response",
    )

    def __init__(self, shared: Shared, method: str, headers: Mapping[str, str]) -> None:
        self._shared = shared
        self._start = shared.clock.now()
        self._request_id = request_id_of(headers)
        self._traceparent = traceparent_of(headers)
        self._headers = headers
        self._is_get = method == "GET"
        self._key: tuple[object, ...] | None = None
        self._running: Running | None = None
        self._is_left = False
        self._done: Done | None = None
        self._codes: tuple[str, ...] = ()
        self._then: Callable[[Exchange], object] | None = None
        self.added: Headers = ()
        """Headers that are sent with the response and are none of its own."""
        self.media: MediaType = "application/json"
        """The answer's media type."""
        self.response: Response | None = None
        """What to send, once it is there."""
        self.defect: BaseException | None = None
        """Why there is none, when it is over."""

    @property
    def is_over(self) -> bool:
        """Whether there is something to send."""
        return self.response is not None or self.defect is not None

    def begin(self, raw: bytes, then: Callable[["Exchange"], object]) -> None:
        """Begin to answer a POST's body, or a GET's query string. `then` is called once, when it is
        over, which may be before this returns; never, where it is left. Raises
        `GatewayNotStarted`."""
        executor = self._shared.running()
        self._raw, self._then = raw, then
        try:
            caller = self._caller()
            self._key = key = self._share_key(caller) if executor.sharing else None
            found = executor.sharing.find(key, self._told) if executor.sharing and key else None
            if isinstance(found, Done):
                self._answer(found)
            elif found is None:
                self._execute(executor, caller, None)
        except HttpError as error:
            self.refuse(error)
            self._end()

    def refuse(self, error: HttpError) -> None:
        """Have `error` for an answer."""
        extensions = {"code": error.code, "request_id": self._request_id}
        told = {"errors": [{"message": error.message, "extensions": extensions}]}
        self._codes = (error.code,)
        headers = (*error.headers, (b"x-request-id", self._request_id.encode()))
        self.response = Response(error.status, self.media, headers, msgspec.json.encode(told))

    def leave(self) -> None:
        """The client has gone: give up what nobody would read."""
        if self._is_left or self.is_over:
            return
        self._is_left = True
        self._then = None
        if self._running is not None:
            self._running.leave()
        self._emit(CLIENT_LEFT, cancelled=True)

    def sent(self) -> None:
        """Tell that the answer was sent."""
        assert self.response is not None
        self._emit(self.response.status)

    def _caller(self) -> str:
        """Whose request it is. Raises `HttpError` where the graph's own function refuses it."""
        try:
            return self._shared.caller_of(self._headers)
        except PlaitError as error:
            status = error.http_status or 400
            raise HttpError(status, str(error), error.code) from None
        except Exception as error:
            failed = FieldFailed(request_id=self._request_id, path="caller", error=error)
            self._shared.events.emit(failed)
            message = "Something went wrong here. The log tells more, under the request id."
            raise HttpError(500, message, "INTERNAL_ERROR") from None

    def _share_key(self, caller: str) -> tuple[object, ...] | None:
        """Equal for requests that ask for the same, on behalf of the same; `None` for one that
        asks for more than an answer."""
        headers = self._headers
        if EXPLAIN_HEADER in headers or WARNINGS_HEADER in headers:
            return None
        scoped = [headers.get(name) for name in self._shared.forwarded]
        return (self._is_get, self._raw, caller, *scoped)

    def _told(self, found: Done | Direct | None) -> None:
        """What an equal request was answered, or has fetched."""
        if self._is_left:
            return
        try:
            if isinstance(found, Done):
                self._answer(found)
            else:
                self._execute(self._shared.running(), self._caller(), found)
        except HttpError as error:
            self.refuse(error)
            self._end()
        except Exception as error:
            self.defect = error
            self._end()

    def _execute(self, executor: Executor, caller: str, joined: Direct | None) -> None:
        body = body_of_query(self._raw) if self._is_get else decoded_body(self._raw)
        assert body.query is not None
        headers = self._headers
        request = Request(
            query=body.query,
            variables=body.variables,
            operation_name=body.operation_name,
            origin=Origin(
                request_id=self._request_id, traceparent=self._traceparent, headers=headers
            ),
            caller=caller,
            idempotency_key=headers.get("idempotency-key"),
            only_queries=self._is_get,
            share=self._key,
            joined=joined,
        )
        running = executor.begin(request, self._ran)
        if not self.is_over:
            self._running = running

    def _ran(self, running: Running) -> None:
        if running.done is not None:
            self._answer(running.done)
        else:
            self.defect = running.defect
            self._end()

    def _answer(self, done: Done) -> None:
        self._done, answer = done, done.answer
        self._codes = answer.codes
        took_ms = (self._shared.clock.now() - self._start) * 1000
        # Server-Timing is a W3C specification.
        timing = b'total;dur=%.1f, calls;desc="%d"' % (took_ms, done.calls)
        headers: Headers = (
            (b"server-timing", timing),
            (b"x-request-id", self._request_id.encode()),
        )
        if answer.replayed:
            headers = ((b"idempotent-replayed", b"true"), *headers)
        if answer.retry_after_s is not None:
            headers = ((b"retry-after", b"%d" % math.ceil(answer.retry_after_s)), *headers)
        self.response = Response(status_of(answer, self.media), self.media, headers, answer.body)
        self._end()

    def _end(self) -> None:
        self._running = None
        then, self._then = self._then, None
        if then is not None:
            then(self)

    def _emit(self, status: int, *, cancelled: bool = False) -> None:
        done, shared = self._done, self._shared
        shared.events.emit(
            RequestFinished(
                request_id=self._request_id,
                trace_id=self._traceparent[3:35],
                operation=done.name if done else None,
                kind=done.kind if done else "none",
                http_status=status,
                error_codes=self._codes,
                cancelled=cancelled,
                calls=done.calls if done else 0,
                duration_ms=(shared.clock.now() - self._start) * 1000,
                executed_by=done.executed_by if done else "",
            )
        )
