"""From loads that must be asked for to one outcome each: a batch or single calls, a batch's halves
when it is refused, a list's further pages."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from plait.backend.build import Load, batch_call, single_call
from plait.backend.call import Call, Ended, Handler, Origin, Reply
from plait.backend.flight import Brought, Fetched, Flight, Outcome, Outcomes
from plait.backend.freshness import Entry, conditional_headers
from plait.backend.identity import LoadKey
from plait.backend.keep import Keeper
from plait.backend.numbers import decode
from plait.backend.spec import Batch, EndpointSpec
from plait.backend.split import (
    Row,
    bad_reply,
    batch_rows,
    is_plain_json,
    listed_rows,
    next_page,
    page_call,
    single_row,
)
from plait.clock import Clock
from plait.errors import BackendError, BackendHttpError, PlaitError
from plait.events import Events, RowsUnexpected

SPLIT_CALLS_MAX = 32
"""How many further calls one refused batch may cause."""
ONE_KEY_IS_BAD = frozenset({400, 404, 410, 413, 414, 422})
"""What a backend answers to a whole batch because of one of its keys, or of their number."""


class Server(Protocol):
    """One backend as it is called here."""

    @property
    def url(self) -> str: ...

    @property
    def identity(self) -> str:
        """Where calls go and what goes with each of them, as one text."""
        ...

    @property
    def call(self) -> Handler: ...

    def begin(self, call: Call, then: Ended) -> Callable[[], None] | None:
        """As `call` where nothing need be waited for: see `Client.begin`."""
        ...


class Wanted(Protocol):
    """One load that must be asked for."""

    @property
    def load(self) -> Load: ...

    @property
    def key(self) -> LoadKey: ...

    @property
    def entry(self) -> Entry | None:
        """A kept copy that a validator may confirm."""
        ...


class _Ask(msgspec.Struct, kw_only=True):
    """One endpoint's loads on their way, on somebody's behalf."""

    endpoint: EndpointSpec
    server: Server
    origin: Origin
    extra_calls: int = SPLIT_CALLS_MAX
    first: Reply | BaseException | None = None
    """What the first call has brought, where it is over already."""

    def may_call_again(self) -> bool:
        """Pay for a call that was not planned, if there is one left."""
        budget = self.origin.budget
        if self.extra_calls == 0 or (budget is not None and not budget.may_call(1)):
            return False
        self.extra_calls -= 1
        if budget is not None:
            budget.spend_calls(1)
        return True

    async def call(self, call: Call) -> Reply:
        """Make a call, if it has not been made already. Raises `BackendError`."""
        first, self.first = self.first, None
        if first is None:
            return await self.server.call(call)
        if isinstance(first, BaseException):
            raise first
        return first


class Asker:
    """Asks backends, and has what they answer kept."""

    def __init__(self, keeper: Keeper, *, clock: Clock, events: Events) -> None:
        self._keeper = keeper
        self._clock = clock
        self._events = events
        self._tasks: set[asyncio.Task[Brought]] = set()

    def begin(
        self,
        endpoint: EndpointSpec,
        server: Server,
        wanted: Sequence[Wanted],
        origin: Origin,
        flight: Flight,
    ) -> None:
        """Ask for `wanted`, which fit in one batch; `flight` lands with what comes. The usual case
        (a call that need not wait, and one plain reply) takes no task; whatever is unusual goes on
        in one."""
        ask = _Ask(endpoint=endpoint, server=server, origin=origin)
        try:
            call = _first_call(ask, wanted)
            end = server.begin(call, partial(self._came, ask, wanted, flight))
        except PlaitError as error:
            flight.land(_failed(wanted, error))
            return
        if end is None:
            self._go_on(self._ask(ask, wanted), flight)
        elif not flight.is_over and ask.first is None:  # else it goes on in a task already
            flight.give_up = partial(_given_up, flight, end)

    async def ask(
        self, endpoint: EndpointSpec, server: Server, wanted: Sequence[Wanted], origin: Origin
    ) -> Outcomes:
        """One outcome for each of `wanted`, which fit in one batch. Only defects raise."""
        ask = _Ask(endpoint=endpoint, server=server, origin=origin)
        return (await self._ask(ask, wanted)).outcomes()

    async def close(self) -> None:
        """Wait for what was given up."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _came(self, ask: _Ask, wanted: Sequence[Wanted], flight: Flight, found: Any) -> None:
        """The first call is over."""
        if isinstance(found, Reply) and self._is_all(ask.endpoint, wanted, found):
            is_batch = _batch_of(ask.endpoint, wanted) is not None
            read = self._read_batch if is_batch else self._read_single
            flight.land(
                Brought(
                    body=found.body if is_plain_json(found) else None,
                    is_batch=is_batch,
                    read=partial(read, ask.endpoint, wanted, found),
                )
            )
            return
        ask.first = found
        self._go_on(self._ask(ask, wanted, flight.asked_at), flight)

    def _go_on(self, work: "Coroutine[Any, Any, Brought]", flight: Flight) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        flight.give_up = task.cancel
        task.add_done_callback(partial(self._landed, flight))

    def _landed(self, flight: Flight, task: "asyncio.Task[Brought]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            flight.land(None)
        elif (defect := task.exception()) is not None:
            flight.land(None, defect)
        else:
            flight.land(task.result())

    def _is_all(self, endpoint: EndpointSpec, wanted: Sequence[Wanted], reply: Reply) -> bool:
        """Whether a reply is all that there is to do: a success that nobody keeps, without further
        pages, of which the body alone is needed."""
        return (
            reply.status != 304
            and bool(reply.body)
            and endpoint.body_is_all
            and "link" not in reply.headers
            and not self._keeper.would_keep(endpoint, reply, personal=bool(wanted[0].key[3]))
        )

    async def _ask(
        self, ask: _Ask, wanted: Sequence[Wanted], asked_at: float | None = None
    ) -> Brought:
        asked_at = self._clock.wall() if asked_at is None else asked_at
        batch = _batch_of(ask.endpoint, wanted)
        try:
            if batch is not None:
                return await self._batch(ask, batch, wanted, asked_at)
            return await self._single(ask, wanted[0], asked_at)
        except PlaitError as error:
            return _failed(wanted, error)

    async def _batch(
        self, ask: _Ask, batch: Batch, wanted: Sequence[Wanted], asked_at: float
    ) -> Brought:
        endpoint, loads = ask.endpoint, [one.load for one in wanted]
        try:
            call = batch_call(endpoint, batch, loads, ask.origin)
            rows, replies = await self._rows(
                ask, call, lambda reply: listed_rows(endpoint, batch, reply)
            )
        except BackendHttpError as error:
            if len(wanted) == 1 and error.status in endpoint.none_on:
                return Brought(outcomes={wanted[0].key: _none(endpoint, error.status)})
            if len(wanted) == 1 or error.status not in ONE_KEY_IS_BAD:
                raise
            return await self._halves(ask, wanted, error)
        found = self._by_key(endpoint, batch, rows, wanted)
        fresh_until = await self._keeper.store(
            endpoint, found, replies, asked_at, with_validators=False
        )
        return Brought(
            body=_only_body(endpoint, replies),
            is_batch=True,
            outcomes=_fetched_each(found),
            fresh_until=fresh_until,
        )

    def _by_key(
        self, endpoint: EndpointSpec, batch: Batch, rows: Sequence[Any], wanted: Sequence[Wanted]
    ) -> dict[LoadKey, Row | BackendError]:
        by_key, unexpected = batch_rows(endpoint, batch, rows, [one.load for one in wanted])
        if unexpected:
            name = endpoint.backend.name
            event = RowsUnexpected(backend=name, endpoint=endpoint.label, extra=unexpected)
            self._events.emit(event)
        return {one.key: by_key[one.load.key] for one in wanted}

    def _read_batch(
        self, endpoint: EndpointSpec, wanted: Sequence[Wanted], reply: Reply
    ) -> Outcomes:
        batch = endpoint.batch
        assert batch is not None
        try:
            rows = listed_rows(endpoint, batch, reply)
            return _fetched_each(self._by_key(endpoint, batch, rows, wanted))
        except PlaitError as error:
            return _each(wanted, error)

    def _read_single(
        self, endpoint: EndpointSpec, wanted: Sequence[Wanted], reply: Reply
    ) -> Outcomes:
        try:
            return {wanted[0].key: _found(endpoint, single_row(endpoint, reply))}
        except PlaitError as error:
            return _each(wanted, error)

    async def _halves(
        self, ask: _Ask, wanted: Sequence[Wanted], error: BackendHttpError
    ) -> Brought:
        """Ask for the halves, down to single keys, so that the one that is bad fails alone. What
        there are no calls left for fails with `error`."""
        middle = len(wanted) // 2
        outcomes: dict[LoadKey, Outcome] = {one.key: error for one in wanted}
        halves = [half for half in (wanted[:middle], wanted[middle:]) if ask.may_call_again()]
        for found in await asyncio.gather(*(self._ask(ask, half) for half in halves)):
            outcomes |= found.outcomes()
        return Brought(outcomes=outcomes)

    async def _single(self, ask: _Ask, one: Wanted, asked_at: float) -> Brought:
        endpoint = ask.endpoint
        call = _conditional(single_call(endpoint, one.load.values, ask.origin), one.entry)
        try:
            row, replies = await self._rows(ask, call, lambda reply: single_row(endpoint, reply))
        except BackendHttpError as error:
            if error.status in endpoint.none_on:
                return Brought(outcomes={one.key: _none(endpoint, error.status)})
            raise
        if replies[0].status == 304:
            if one.entry is None:
                raise bad_reply(endpoint, "304 to a call that had no condition")
            await self._keeper.renew(endpoint, one.key, one.entry, replies[0], asked_at)
            return Brought(outcomes={one.key: Fetched(row=decode(one.entry.row))})
        found = _found(endpoint, row)
        fresh_until = await self._keeper.store(
            endpoint, {one.key: found.row}, replies, asked_at, with_validators=True
        )
        return Brought(
            body=_only_body(endpoint, replies), outcomes={one.key: found}, fresh_until=fresh_until
        )

    async def _rows(
        self, ask: _Ask, call: Call, read: Callable[[Reply], Row]
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


def _batch_of(endpoint: EndpointSpec, wanted: Sequence[Wanted]) -> Batch | None:
    """The batch form, where these loads go that way."""
    batch = endpoint.batch
    if batch and not wanted[0].load.alone and (len(wanted) > 1 or batch.always):
        return batch
    return None


def _first_call(ask: _Ask, wanted: Sequence[Wanted]) -> Call:
    batch = _batch_of(ask.endpoint, wanted)
    if batch is not None:
        return batch_call(ask.endpoint, batch, [one.load for one in wanted], ask.origin)
    one = wanted[0]
    return _conditional(single_call(ask.endpoint, one.load.values, ask.origin), one.entry)


def _failed(wanted: Sequence[Wanted], error: PlaitError) -> Brought:
    return Brought(outcomes=_each(wanted, error))


def _each(wanted: Sequence[Wanted], error: PlaitError) -> Outcomes:
    """An error as what came of all keys. It will be kept with them: the frames of its traceback,
    which know them, would be left to the collector."""
    error.__traceback__ = error.__context__ = None
    return dict.fromkeys((one.key for one in wanted), error)


def _given_up(flight: Flight, end: Callable[[], None]) -> None:
    end()
    flight.land(None)


def _fetched_each(found: Mapping[LoadKey, Row | BackendError]) -> Outcomes:
    return {
        key: row if isinstance(row, BackendError) else Fetched(row=row)
        for key, row in found.items()
    }


def _found(endpoint: EndpointSpec, row: Row) -> Fetched:
    return _none(endpoint, None) if row is None else Fetched(row=row)


def _only_body(endpoint: EndpointSpec, replies: Sequence[Reply]) -> bytes | None:
    """The body, where it is one that holds all rows."""
    if len(replies) == 1 and endpoint.body_is_all and is_plain_json(replies[0]):
        return replies[0].body
    return None


def _none(endpoint: EndpointSpec, status: int | None) -> Fetched:
    """The backend has no such row; a parent without rows has an empty list."""
    many = endpoint.batch is not None and endpoint.batch.many
    return Fetched(row=[] if many else None, status=status)


def _conditional(call: Call, entry: Entry | None) -> Call:
    if entry is None or not (added := conditional_headers(entry)):
        return call
    return call.with_headers(*added)
