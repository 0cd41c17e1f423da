"""From keys that must be asked for to one outcome each: a batch or single calls, a batch's halves
when it is refused, a list's further pages."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from plait.backend.asking import Asking
from plait.backend.call import Call, Reply
from plait.backend.decode import (
    bad_reply,
    batch_rows,
    is_plain_json,
    listed_rows,
    next_page,
    page_call,
    single_row,
)
from plait.backend.encode import batch_call, single_call
from plait.backend.flight import Brought, Flight
from plait.backend.freshness import CacheEntry, Lifetime, conditional_headers
from plait.backend.identity import row_key
from plait.backend.keep import Keeper
from plait.backend.keys import Key
from plait.backend.loads import Fetched, LoadOutcome, LoadOutcomes, Row
from plait.backend.numbers import decode, encode
from plait.backend.paths import Path
from plait.backend.spec import Batch, EndpointSpec
from plait.clock import Clock
from plait.emit import Events
from plait.errors import BackendError, BackendHttpError, PlaitError
from plait.events import RowsUnexpected

ONE_KEY_IS_BAD = frozenset({400, 404, 410, 413, 414, 422})
"""What a backend answers to a whole batch because of one of its keys, or of their number."""


class Asker:
    """Asks backends, and has what they answer kept."""

    def __init__(self, keeper: Keeper, *, clock: Clock, events: Events) -> None:
        self._keeper = keeper
        self._clock = clock
        self._events = events
        self._tasks: set[asyncio.Task[Brought]] = set()

    def begin(self, ask: Asking, flight: Flight) -> None:
        """Ask for the keys of `flight`, which fit in one batch; it lands with what comes. The usual
        case (a call that need not wait, and one plain reply) takes no task; whatever is unusual
        goes on in one."""
        keys = flight.keys
        try:
            call = _first_call(ask, keys)
            end = ask.server.begin(call, _Came(self, ask, flight))
        except PlaitError as error:
            flight.land(_failed(keys, error))
            return
        except Exception as defect:  # who joined it would wait for ever
            flight.land(None, defect)
            return
        if end is None:
            self._go_on(self._ask(ask, keys), flight)
        elif not flight.is_over and ask.first is None:  # else it goes on in a task already
            flight.end = end

    async def ask(self, ask: Asking, keys: Sequence[Key]) -> LoadOutcomes:
        """One outcome for each of `keys`, which fit in one batch. Only defects raise."""
        return (await self._ask(ask, keys)).outcomes()

    async def close(self) -> None:
        """Wait for what was given up."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def came(self, ask: Asking, flight: Flight, found: Any) -> None:
        """The first call is over."""
        keys = flight.keys
        if isinstance(found, PlaitError):
            failed = _of_error(ask.endpoint, keys, found)
            if failed is not None:
                flight.land(failed)
                return
        elif isinstance(found, Reply) and self._is_all(ask, found):
            lifetime = self._keeper.lifetime(ask.endpoint, found, personal=bool(ask.family[1]))
            if lifetime is None:
                flight.land(self._unread(ask, keys, found))
                return
            if self._keeper.is_here:
                try:
                    brought = self._kept(ask, keys, found, flight.asked_at, lifetime)
                except Exception as defect:
                    flight.land(None, defect)
                else:
                    flight.land(brought)
                return
        ask.first = found
        self._go_on(self._ask(ask, keys, flight.asked_at), flight)

    def _go_on(self, work: "Coroutine[Any, Any, Brought]", flight: Flight) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        flight.task = task
        task.add_done_callback(partial(self._landed, flight))

    def _landed(self, flight: Flight, task: "asyncio.Task[Brought]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            flight.land(None)
        elif (defect := task.exception()) is not None:
            flight.land(None, defect)
        else:
            flight.land(task.result())

    def _is_all(self, ask: Asking, reply: Reply) -> bool:
        """Whether a reply is all that there is to read: a success without further pages, of which
        the body alone is needed."""
        endpoint = ask.endpoint
        return (
            reply.status != 304
            and bool(reply.body)
            and endpoint.body_is_all
            and not reply.said.has_link
        )

    def _unread(self, ask: Asking, keys: Sequence[Key], reply: Reply) -> Brought:
        """What a reply brings that nobody keeps: it is read where somebody asks."""
        is_batch = _batch_of(ask.endpoint, keys) is not None
        return _Unread(self, ask.endpoint, keys, reply, is_batch=is_batch)

    def _kept(
        self,
        ask: Asking,
        keys: Sequence[Key],
        reply: Reply,
        asked_at: float,
        lifetime: Lifetime,
    ) -> Brought:
        """What a reply brings, once it is kept in this process."""
        endpoint, batch = ask.endpoint, _batch_of(ask.endpoint, keys)
        found: Mapping[Key, Row | BackendError]
        try:
            if batch is None:
                row = _found(endpoint, single_row(endpoint, reply)).row
                found = {keys[0]: row}
                kept = {keys[0]: _as_came(endpoint, row, [reply])}
            else:
                rows = listed_rows(endpoint, batch, reply)
                found = self._by_key(endpoint, batch, rows, keys)
                kept = _slices(endpoint, batch, rows, found, [reply])
        except PlaitError as error:
            return _failed(keys, error)
        self._keeper.store_here(
            ask.family,
            kept,
            lifetime,
            asked_at,
            with_validators=batch is None,
        )
        return Brought(
            body=_only_body(endpoint, [reply]),
            is_batch=batch is not None,
            outcomes=_fetched_each(found),
            fresh_until=lifetime.fresh_until,
        )

    async def _ask(
        self, ask: Asking, keys: Sequence[Key], asked_at: float | None = None
    ) -> Brought:
        asked_at = self._clock.wall() if asked_at is None else asked_at
        batch = _batch_of(ask.endpoint, keys)
        try:
            if batch is not None:
                return await self._batch(ask, batch, keys, asked_at)
            return await self._single(ask, keys[0], asked_at)
        except PlaitError as error:
            failed = _of_error(ask.endpoint, keys, error)
            return await self._halves(ask, keys, error) if failed is None else failed

    async def _batch(
        self, ask: Asking, batch: Batch, keys: Sequence[Key], asked_at: float
    ) -> Brought:
        endpoint = ask.endpoint
        call = batch_call(batch, ask.keys, keys, ask.origin)
        rows, replies = await self._rows(
            ask, call, lambda reply: listed_rows(endpoint, batch, reply)
        )
        found = self._by_key(endpoint, batch, rows, keys)
        fresh_until = await self._keeper.store(
            endpoint,
            ask.family,
            partial(_slices, endpoint, batch, rows, found, replies),
            replies,
            asked_at,
            with_validators=False,
        )
        return Brought(
            body=_only_body(endpoint, replies),
            is_batch=True,
            outcomes=_fetched_each(found),
            fresh_until=fresh_until,
        )

    def _by_key(
        self, endpoint: EndpointSpec, batch: Batch, rows: Sequence[Any], keys: Sequence[Key]
    ) -> Mapping[Key, Row | BackendError]:
        by_key, unexpected = batch_rows(endpoint, batch, rows, keys)
        if unexpected:
            name = endpoint.backend.name
            event = RowsUnexpected(backend=name, endpoint=endpoint.label, extra=unexpected)
            self._events.emit(event)
        return by_key

    def read_batch(self, endpoint: EndpointSpec, keys: Sequence[Key], reply: Reply) -> LoadOutcomes:
        batch = endpoint.batch
        assert batch is not None
        try:
            rows = listed_rows(endpoint, batch, reply)
            return _fetched_each(self._by_key(endpoint, batch, rows, keys))
        except PlaitError as error:
            return _each(keys, error)

    def read_single(
        self, endpoint: EndpointSpec, keys: Sequence[Key], reply: Reply
    ) -> LoadOutcomes:
        try:
            return {keys[0]: _found(endpoint, single_row(endpoint, reply))}
        except PlaitError as error:
            return _each(keys, error)

    async def _halves(self, ask: Asking, keys: Sequence[Key], error: PlaitError) -> Brought:
        """Ask for the halves, down to single keys, so that the one that is bad fails alone. What
        there are no calls left for fails with `error`."""
        middle = len(keys) // 2
        outcomes: dict[Key, LoadOutcome] = dict.fromkeys(keys, error)
        halves = [half for half in (keys[:middle], keys[middle:]) if ask.may_call_again()]
        for found in await asyncio.gather(*(self._ask(ask, half) for half in halves)):
            outcomes |= found.outcomes()
        return Brought(outcomes=outcomes)

    async def _single(self, ask: Asking, key: Key, asked_at: float) -> Brought:
        endpoint, entry = ask.endpoint, ask.entries.get(key)
        call = _conditional(single_call(endpoint, ask.keys.of(key), ask.origin), entry)
        row, replies = await self._rows(ask, call, lambda reply: single_row(endpoint, reply))
        if replies[0].status == 304:
            if entry is None:
                raise bad_reply(endpoint, "304 to a call that had no condition")
            kept_as = row_key(ask.family, key)
            await self._keeper.renew(endpoint, kept_as, entry, replies[0], asked_at)
            return Brought(outcomes={key: Fetched(row=decode(entry.row))})
        found = _found(endpoint, row)
        fresh_until = await self._keeper.store(
            endpoint,
            ask.family,
            lambda: {key: _as_came(endpoint, found.row, replies)},
            replies,
            asked_at,
            with_validators=True,
        )
        return Brought(
            body=_only_body(endpoint, replies), outcomes={key: found}, fresh_until=fresh_until
        )

    async def _rows(
        self, ask: Asking, call: Call, read: Callable[[Reply], Row]
    ) -> tuple[Row, list[Reply]]:
        """What `read` makes of the reply; where it is a list in several pages, of all of them."""
        endpoint = ask.endpoint
        reply = await ask.call(call)
        replies = [reply]
        if reply.status == 304:
            return None, replies
        rows = read(reply)
        if not isinstance(rows, list):
            return rows, replies
        rows = list(rows)
        while (url := next_page(endpoint, reply)) is not None:
            if len(replies) >= endpoint.pages_max or call.method != "GET":
                raise bad_reply(endpoint, f"it is one page of more than {len(replies)}")
            if call.origin.budget is not None:
                call.origin.budget.spend_calls(1)
            call = page_call(call, url, ask.server.url)
            reply = await ask.call(call)
            replies.append(reply)
            more = read(reply)
            if not isinstance(more, list):
                raise bad_reply(endpoint, "a further page is not a list of rows")
            rows += more
        return rows, replies


class _Came:
    """What a flight's first call has brought."""

    __slots__ = ("_ask", "_asker", "_flight")

    def __init__(self, asker: Asker, ask: Asking, flight: Flight) -> None:
        self._asker = asker
        self._ask = ask
        self._flight = flight

    def __call__(self, found: Any) -> None:
        self._asker.came(self._ask, self._flight, found)


class _Unread(Brought):
    """One reply, which nobody has looked into."""

    __slots__ = ("_asker", "_endpoint", "_keys", "_reply")

    def __init__(
        self,
        asker: Asker,
        endpoint: EndpointSpec,
        keys: Sequence[Key],
        reply: Reply,
        *,
        is_batch: bool,
    ) -> None:
        super().__init__(body=reply.body if is_plain_json(reply) else None, is_batch=is_batch)
        self._asker = asker
        self._endpoint = endpoint
        self._keys = keys
        self._reply = reply

    def read(self) -> LoadOutcomes:
        """See `Brought`."""
        read = self._asker.read_batch if self.is_batch else self._asker.read_single
        return read(self._endpoint, self._keys, self._reply)


def _batch_of(endpoint: EndpointSpec, keys: Sequence[Key]) -> Batch | None:
    """The batch form, where these keys go that way."""
    batch = endpoint.batch
    return batch if batch and (len(keys) > 1 or batch.always) else None


def _first_call(ask: Asking, keys: Sequence[Key]) -> Call:
    batch = _batch_of(ask.endpoint, keys)
    if batch is not None:
        return batch_call(batch, ask.keys, keys, ask.origin)
    call = single_call(ask.endpoint, ask.keys.of(keys[0]), ask.origin)
    return _conditional(call, ask.entries.get(keys[0])) if ask.entries else call


def _of_error(endpoint: EndpointSpec, keys: Sequence[Key], error: PlaitError) -> Brought | None:
    """What a call that failed brings; `None` where one of its keys may be at fault for all."""
    if isinstance(error, BackendHttpError):
        if len(keys) > 1:
            if error.status in ONE_KEY_IS_BAD:
                return None
        elif error.status in endpoint.none_on:
            return Brought(outcomes={keys[0]: _none(endpoint, error.status)})
    return _failed(keys, error)


def _failed(keys: Sequence[Key], error: PlaitError) -> Brought:
    return Brought(outcomes=_each(keys, error))


def _each(keys: Sequence[Key], error: PlaitError) -> LoadOutcomes:
    """An error as what came of all keys. It will be kept with them: the frames of its traceback,
    which know them, would be left to the collector."""
    error.__traceback__ = error.__context__ = None
    return dict.fromkeys(keys, error)


def _fetched_each(found: Mapping[Key, Row | BackendError]) -> LoadOutcomes:
    return {
        key: row if isinstance(row, BackendError) else Fetched(row=row)
        for key, row in found.items()
    }


def _found(endpoint: EndpointSpec, row: Row) -> Fetched:
    return _none(endpoint, None) if row is None else Fetched(row=row)


def _only_body(endpoint: EndpointSpec, replies: Sequence[Reply]) -> bytes | None:
    """The body, where it is one that holds all rows."""
    return replies[0].body if endpoint.body_is_all and _is_one(replies) else None


def _as_came(endpoint: EndpointSpec, row: Row, replies: Sequence[Reply]) -> bytes:
    """A row as JSON: cut out of the reply, where there is one that holds all of it."""
    if not row or endpoint.page_headers is not None or not _is_one(replies):
        return encode(row)  # what is nothing may stand for no row, and not be what came
    return _below(replies[0].body, endpoint.unwrap)


def _slices(
    endpoint: EndpointSpec,
    batch: Batch,
    rows: Sequence[Any],
    found: Mapping[Key, Row | BackendError],
    replies: Sequence[Reply],
) -> dict[Key, bytes]:
    """What each key gets as JSON, cut out of the reply where there is one that holds all of it."""
    usable = {key: row for key, row in found.items() if not isinstance(row, BackendError)}
    if not rows or not _is_one(replies):
        return {key: encode(row) for key, row in usable.items()}
    listed = _below(replies[0].body, endpoint.unwrap if batch.unwrap is None else batch.unwrap)
    came = dict(zip(map(id, rows), _raw_rows(listed), strict=True))
    if batch.many:
        return {
            key: b"[%b]" % b",".join([bytes(came[id(one)]) for one in row])
            for key, row in usable.items()
        }
    return {key: b"null" if row is None else bytes(came[id(row)]) for key, row in usable.items()}


_raw_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_raw_properties = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _is_one(replies: Sequence[Reply]) -> bool:
    """Whether it came in one reply, of which the body is JSON as it is kept."""
    return len(replies) == 1 and is_plain_json(replies[0])


def _below(body: bytes, path: Path) -> bytes:
    """What lies at a path, as it came."""
    for name in path:
        body = bytes(_raw_properties(body)[name])
    return body


def _none(endpoint: EndpointSpec, status: int | None) -> Fetched:
    """The backend has no such row; a parent without rows has an empty list."""
    many = endpoint.batch is not None and endpoint.batch.many
    return Fetched(row=[] if many else None, status=status)


def _conditional(call: Call, entry: CacheEntry | None) -> Call:
    if entry is None or not (added := conditional_headers(entry)):
        return call
    return call.with_headers(*added)
