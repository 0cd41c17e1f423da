"""From loads that must be asked for to one outcome each: a batch or single calls, a batch's halves
when it is refused, a list's further pages."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import msgspec

from plait.backend.build import Load, batch_call, single_call
from plait.backend.call import Call, Handler, Origin, Reply
from plait.backend.freshness import Entry, conditional_headers
from plait.backend.identity import LoadKey
from plait.backend.keep import Keeper
from plait.backend.numbers import decode
from plait.backend.spec import Batch, EndpointSpec
from plait.backend.split import (
    Row,
    bad_reply,
    batch_rows,
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


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """The row, or rows, of one load. `row` is `None` when the backend has none. It is shared: who
    hands it to somebody that may change it makes a copy."""

    row: Row
    status: int | None = None
    """What the backend answered to say that there is none, where it said so by a status."""
    stale_because: BackendError | None = None
    """Set when the backend failed and a stale copy stands in."""


Outcome: TypeAlias = Fetched | PlaitError
Outcomes: TypeAlias = Mapping[LoadKey, Outcome]


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


@dataclass(slots=True, kw_only=True)
class _Ask:
    """One endpoint's loads on their way, on somebody's behalf."""

    endpoint: EndpointSpec
    server: Server
    origin: Origin
    extra_calls: int = SPLIT_CALLS_MAX

    def may_call_again(self) -> bool:
        """Pay for a call that was not planned, if there is one left."""
        budget = self.origin.budget
        if self.extra_calls == 0 or (budget is not None and not budget.may_call(1)):
            return False
        self.extra_calls -= 1
        if budget is not None:
            budget.spend_calls(1)
        return True


class Asker:
    """Asks backends, and has what they answer kept."""

    def __init__(self, keeper: Keeper, *, clock: Clock, events: Events) -> None:
        self._keeper = keeper
        self._clock = clock
        self._events = events

    async def ask(
        self, endpoint: EndpointSpec, server: Server, wanted: Sequence[Wanted], origin: Origin
    ) -> Outcomes:
        """One outcome for each of `wanted`, which fit in one batch. Only defects raise."""
        return await self._ask(_Ask(endpoint=endpoint, server=server, origin=origin), wanted)

    async def _ask(self, ask: _Ask, wanted: Sequence[Wanted]) -> Outcomes:
        batch = ask.endpoint.batch
        try:
            if batch and not wanted[0].load.alone and (len(wanted) > 1 or batch.always):
                return await self._batch(ask, batch, wanted)
            return {wanted[0].key: await self._single(ask, wanted[0])}
        except PlaitError as error:
            return {one.key: error for one in wanted}

    async def _batch(self, ask: _Ask, batch: Batch, wanted: Sequence[Wanted]) -> Outcomes:
        endpoint, loads = ask.endpoint, [one.load for one in wanted]
        asked_at = self._clock.wall()
        try:
            call = batch_call(endpoint, batch, loads, ask.origin)
            rows, replies = await self._rows(
                ask, call, lambda reply: listed_rows(endpoint, batch, reply)
            )
        except BackendHttpError as error:
            if len(wanted) == 1 and error.status in endpoint.none_on:
                return {wanted[0].key: _none(endpoint, error.status)}
            if len(wanted) == 1 or error.status not in ONE_KEY_IS_BAD:
                raise
            return await self._halves(ask, wanted, error)
        by_key, unexpected = batch_rows(endpoint, batch, rows, loads)
        if unexpected:
            name = endpoint.backend.name
            event = RowsUnexpected(backend=name, endpoint=endpoint.label, extra=unexpected)
            self._events.emit(event)
        found = {one.key: by_key[one.load.key] for one in wanted}
        await self._keeper.store(endpoint, found, replies, asked_at, with_validators=False)
        return {
            key: row if isinstance(row, BackendError) else Fetched(row=row)
            for key, row in found.items()
        }

    async def _halves(
        self, ask: _Ask, wanted: Sequence[Wanted], error: BackendHttpError
    ) -> Outcomes:
        """Ask for the halves, down to single keys, so that the one that is bad fails alone. What
        there are no calls left for fails with `error`."""
        middle = len(wanted) // 2
        outcomes: dict[LoadKey, Outcome] = {one.key: error for one in wanted}
        halves = [half for half in (wanted[:middle], wanted[middle:]) if ask.may_call_again()]
        for found in await asyncio.gather(*(self._ask(ask, half) for half in halves)):
            outcomes |= found
        return outcomes

    async def _single(self, ask: _Ask, one: Wanted) -> Outcome:
        endpoint = ask.endpoint
        call = _conditional(single_call(endpoint, one.load.values, ask.origin), one.entry)
        asked_at = self._clock.wall()
        try:
            row, replies = await self._rows(ask, call, lambda reply: single_row(endpoint, reply))
        except BackendHttpError as error:
            if error.status in endpoint.none_on:
                return _none(endpoint, error.status)
            raise
        if replies[0].status == 304:
            if one.entry is None:
                raise bad_reply(endpoint, "304 to a call that had no condition")
            await self._keeper.renew(endpoint, one.key, one.entry, replies[0], asked_at)
            return Fetched(row=decode(one.entry.row))
        found = _none(endpoint, None) if row is None else Fetched(row=row)
        await self._keeper.store(
            endpoint, {one.key: found.row}, replies, asked_at, with_validators=True
        )
        return found

    async def _rows(
        self, ask: _Ask, call: Call, read: Callable[[Reply], Row]
    ) -> tuple[Row, list[Reply]]:
        """What `read` makes of the reply; where it is a list in several pages, of all of them."""
        endpoint = ask.endpoint
        reply = await ask.server.call(call)
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
            reply = await ask.server.call(call)
            replies.append(reply)
            more = read(reply)
            if not isinstance(more, list):
                raise bad_reply(endpoint, "a further page is not a list of rows")
            rows += more
        return rows, replies


def _none(endpoint: EndpointSpec, status: int | None) -> Fetched:
    """The backend has no such row; a parent without rows has an empty list."""
    many = endpoint.batch is not None and endpoint.batch.many
    return Fetched(row=[] if many else None, status=status)


def _conditional(call: Call, entry: Entry | None) -> Call:
    if entry is None or not (added := conditional_headers(entry)):
        return call
    return call.with_headers(*added)
