"""A backend's client: what a call passes, outermost first, and why in this order.

    report    one event a call, whatever becomes of it, with the whole time that it took
    limit     waits for its turn outside the timeout: a busy gateway is not a slow backend
    timeout   bounds one exchange, drip-fed bodies included
    identify  adds the ids and the forwarded headers of the client's request
    record    keeps replies in files, where an author asked for it
    transport the wire

Were `limit` inside `timeout`, a burst would time out calls that were never sent. Were `report`
inside `limit`, waiting would be invisible. Over a connection that is kept none of it takes a task.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from plait.backend.call import (
    PARENT_AT,
    PARENT_ENDS_AT,
    Call,
    Ended,
    Handler,
    Layer,
    Origin,
    Reply,
    is_plain,
    label_of,
)
from plait.backend.exchanged import ExchangeError, RawReply
from plait.backend.identity import server_identity
from plait.backend.record import Recorder, layers_of
from plait.backend.slots import Slots
from plait.backend.span import CallShown
from plait.backend.spec import BackendSpec
from plait.backend.transport import AGAIN, HttpTransport, Wire
from plait.clock import Clock
from plait.emit import Events
from plait.errors import BackendDisconnected, BackendError, BackendTimeout
from plait.events import CallFinished
from plait.ids import new_id


class Client:
    """Calls one backend. Made in the app's lifespan, closed with it."""

    def __init__(
        self,
        backend: BackendSpec,
        *,
        clock: Clock,
        events: Events,
        headers: Mapping[str, str] | None = None,
        transport: Wire | None = None,
        by_httpx: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        self.backend = backend
        fixed = {"accept": "application/json", "user-agent": "plait"}
        for more in (backend.headers, headers or {}):  # names are case-insensitive, the last holds
            fixed |= {name.lower(): value for name, value in more.items()}
        assert backend.url is not None  # checked when the app was made
        self.url = backend.url
        self.identity = server_identity(backend.name, backend.url, fixed)
        self.transport = HttpTransport(
            backend, headers=fixed, clock=clock, transport=transport, by_httpx=by_httpx
        )
        self.clock = clock
        self.events = events
        self.content_type = fixed.get("content-type", JSON)
        self.is_recorded = recorder is not None
        says_ids = not {"x-request-id", "traceparent"}.isdisjoint(fixed)
        self._says_more = bool(backend.forward) or says_ids
        """Whether calls say something else of who asks than the request's ids."""
        self._fixed = frozenset(fixed)
        self.slots = Slots(backend.connections)
        self.inner = _layered(
            self.transport,
            timeout(backend),
            identify(backend, self.content_type),
            *layers_of(recorder),
        )
        """What is inside of `limit`, where no connection is kept."""

    async def call(self, call: Call) -> Reply:
        """The reply. Raises `BackendError`."""
        over: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        give_up = self.begin(call, partial(_settle, over))
        try:
            return await over
        finally:
            give_up()

    def begin(self, call: Call, then: Ended) -> Callable[[], None]:
        """As `call`, for what is no coroutine. `then` gets the reply, or the error; it may get it
        before this returns. What it returns gives the call up, and then `then` gets nothing.
        """
        begun = _Begun(self, call, then)
        begun.begin()
        return begun.give_up

    def told(self, call: Call) -> str:
        """The headers of a call as they stand in a request, with what `identify` says; nothing
        where they must be looked at more closely."""
        before, after = call.origin.id_lines
        if self._says_more or not before:
            return ""
        said = ""
        if call.body is not None:
            type_ = call.endpoint.content_type or self.content_type
            if "content-type" in self._fixed or not is_plain(type_):
                return ""
            said = f"content-type: {type_}\r\n"
        for name, value in call.headers:
            if not _is_own(name) or name in self._fixed or not is_plain(value):
                return ""
            said += f"{name}: {value}\r\n"
        return f"{before}{new_id(16)}{after}{said}"

    async def probe(self) -> None:
        """Raises `BackendError` when the backend is down."""
        try:
            async with asyncio.timeout(min(self.backend.timeout_s, 2.0)):
                await self.transport.probe()
        except TimeoutError:
            message = f"Backend '{self.backend.name}' did not answer in time."
            raise BackendTimeout(message, backend=self.backend.name, endpoint="health") from None

    async def close(self) -> None:
        """Close every connection."""
        await self.transport.close()


def _layered(call: Handler, *layers: Layer) -> Handler:
    for layer in reversed(layers):
        call = layer(call)
    return call


class _Begun:
    """One call on its way, whoever waits for it."""

    __slots__ = ("_call", "_client", "_end", "_give_up", "_is_over", "_start", "_then", "_within_s")

    def __init__(self, client: Client, call: Call, then: Ended) -> None:
        self._client = client
        self._call = call
        self._then = then
        self._within_s = call.endpoint.timeout_s or client.backend.timeout_s
        self._start = client.clock.now()
        self._give_up: Callable[[], object] | None = None
        """Ends what is waited for."""
        self._end: Callable[[], object] | None = None
        """Ends the exchange, which has a slot."""
        self._is_over = False

    def begin(self) -> None:
        """Leave at once, or when it is its turn."""
        slots = self._client.slots
        if slots.take():
            self._leave()
        else:
            self._give_up = slots.call_when_free(self._leave)

    def give_up(self) -> None:
        """Nobody waits for it any more."""
        if self._is_over:
            return
        self._is_over = True
        give_up, end = self._give_up, self._end
        self._give_up = self._end = None  # they know this, and would keep it
        if end is not None:
            end()
            self._client.slots.give_back()
        elif give_up is not None:
            give_up()
        self._tell(None, _given_up(self._call))

    def _leave(self) -> None:
        client, call = self._client, self._call
        end = None
        if not client.is_recorded:
            try:
                told = client.told(call)
                if told:
                    call = call.with_only(()) if call.headers else call
                else:
                    call = _identified(call, client.backend, client.content_type)
                end = client.transport.begin(call, self._within_s, self._landed, told)
            except Exception as error:  # a defect too must end it: its slot is others' again
                self._came(error)
                return
        if end is None:
            self._in_task()
        elif not self._is_over:
            self._end = end

    def _landed(self, raw: RawReply | ExchangeError) -> None:
        try:
            found = self._client.transport.found(self._call, self._within_s, raw)
        except Exception as defect:
            found = defect
        if found is AGAIN:
            self._end = None
            self._in_task()
        else:
            self._came(found)

    def _in_task(self) -> None:
        task = asyncio.ensure_future(self._client.inner(self._call))
        self._give_up = task.cancel
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Reply]") -> None:
        if task.cancelled():
            self._client.slots.give_back()
        elif (error := task.exception()) is None:
            self._came(task.result())
        else:
            self._came(error)

    def _came(self, found: Any) -> None:
        self._is_over = True
        self._give_up = self._end = None  # they know this, and would keep it
        self._client.slots.give_back()
        if isinstance(found, Reply):
            self._tell(found.status, None)
        elif isinstance(found, BackendError):
            self._tell(found.status, found)
        self._then(found)

    def _tell(self, status: int | None, error: BackendError | None) -> None:
        client = self._client
        _tell(client.events, self._call, self._start, client.clock.now(), status, error)


_SAID = frozenset({"x-request-id", "traceparent", "content-type", "host", "accept-encoding"})
"""What others say of a call."""
_LENGTHS = frozenset({"content-length", "transfer-encoding"})


@lru_cache(maxsize=1_000)
def _is_own(name: str) -> bool:
    """Whether a header is for a call alone to say, and has a plain name."""
    return name not in _SAID | _LENGTHS and re.fullmatch(r"[a-z][a-z0-9-]*", name) is not None


def _settle(over: "asyncio.Future[Reply]", found: Reply | BaseException) -> None:
    if over.done():
        return
    if isinstance(found, BaseException):
        over.set_exception(found)
    else:
        over.set_result(found)


def _tell(
    events: Events,
    call: Call,
    start: float,
    end: float,
    status: int | None,
    error: BackendError | None,
) -> None:
    event = _finished(call, end - start, status, error)
    if call.origin.span is not None:
        call.origin.span.calls.append(_shown(event, start, end))
    events.emit(event)


def _shown(event: CallFinished, start: float, end: float) -> CallShown:
    return CallShown(
        label=event.endpoint,
        key_count=event.keys,
        start=start,
        end=end,
        status=event.http_status,
        error=event.error_code,
        attempts=event.attempts,
    )


def timeout(backend: BackendSpec) -> Layer:
    """Fail a call that is not answered within its timeout. A request's deadline is no call's: who
    asked for it stops waiting (`fetch.py`).

    `backend` is the policy as it holds here: an endpoint knows what the graph says, not what an
    operator set.
    """

    def layer(inner: Handler) -> Handler:
        async def handle(call: Call) -> Reply:
            limit_s = call.endpoint.timeout_s or backend.timeout_s
            try:
                async with asyncio.timeout(limit_s):
                    return await inner(call)
            except TimeoutError:
                raise _timed_out(call, f"did not answer within {limit_s:.3g} s") from None

        return handle

    return layer


JSON = "application/json"


def identify(backend: BackendSpec, content_type: str = JSON) -> Layer:
    """Add request id, trace context and forwarded headers, and what a body is. `content_type` is
    the backend's own."""

    def layer(inner: Handler) -> Handler:
        async def handle(call: Call) -> Reply:
            return await inner(_identified(call, backend, content_type))

        return handle

    return layer


def forwarded_headers(backend: BackendSpec, origin: Origin) -> tuple[tuple[str, str], ...]:
    """The headers of the client's request that this backend gets. They are part of every cache
    key."""
    if not backend.forward:
        return ()
    return tuple((name, origin.headers[name]) for name in backend.forward if name in origin.headers)


def _identified(call: Call, backend: BackendSpec, content_type: str) -> Call:
    """Names of headers do not depend on case; of two that are the same, the one that is more of
    this call holds."""
    origin = call.origin
    headers = dict(forwarded_headers(backend, origin))
    if origin.request_id:
        headers["x-request-id"] = origin.request_id
    if origin.traceparent:
        headers["traceparent"] = child_traceparent(origin.traceparent)
    if call.body is not None:
        headers["content-type"] = call.endpoint.content_type or content_type
    headers |= {name.lower(): value for name, value in call.headers}
    return call.with_only(tuple(headers.items()))


def child_traceparent(traceparent: str) -> str:
    """The same trace and flags with a new parent id (W3C Trace Context, section 3.2)."""
    return f"{traceparent[:PARENT_AT]}{new_id(16)}{traceparent[PARENT_ENDS_AT:]}"


def _timed_out(call: Call, what: str) -> BackendTimeout:
    name = call.endpoint.backend.name
    return BackendTimeout(
        f"Backend '{name}' {what}.",
        backend=name,
        endpoint=call.endpoint.label,
    )


def _given_up(call: Call) -> BackendDisconnected:
    """What logs tell of a call that nobody waits for any more."""
    name = call.endpoint.backend.name
    return BackendDisconnected(
        f"The call to backend '{name}' was given up.",
        backend=name,
        endpoint=call.endpoint.label,
        reason="given_up",
    )


def _finished(
    call: Call, seconds: float, status: int | None, error: BackendError | None
) -> CallFinished:
    return CallFinished(
        request_id=call.origin.request_id,
        trace_id=call.origin.trace_id,
        backend=call.endpoint.backend.name,
        endpoint=label_of(call),
        keys=call.key_count,
        http_status=status,
        error_code=error.code if error else None,
        attempts=1,
        duration_ms=seconds * 1000,
        reason=error.reason if error else None,
        problem=error.problem if error else None,
    )
