"""Loads -> rows: cache, then coalescing, then as few calls as possible. Lives as long as the app.

The order: the cache is asked first, once for all keys. What it lacks joins calls that are already
in flight for the same keys, from whichever request; only the rest becomes calls of its own,
chunked at the batch's size. Rows are cached and coalesced by key, so `{1, 2}` followed by `{2, 3}`
asks for 3 alone.

A call in flight belongs to this module, not to the request that caused it: others may be waiting
for it. No request's deadline ends it, but each waits no longer than its own; it is cancelled when
the last of them has gone.

What is written through the gateway makes rows out of date (`written`): those that were asked for
before are no longer served from the cache, nor by joining the call that asks for them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from plait.backend.ask import Asker, Server
from plait.backend.build import Load
from plait.backend.cache import RowCache
from plait.backend.call import Call, Origin
from plait.backend.client import forwarded_headers
from plait.backend.flight import Fetched, Flight, Outcome
from plait.backend.forget import Stale, linked_uris, stale_after
from plait.backend.freshness import Entry, Use, usable_on_error, use_of
from plait.backend.identity import LoadKey, Scope, endpoint_identity, load_key
from plait.backend.keep import Keeper
from plait.backend.numbers import decode
from plait.backend.spec import EndpointSpec
from plait.clock import Clock
from plait.errors import BackendDisconnected, BackendError, BackendTimeout, is_retryable
from plait.events import CacheRead, Events


class Wanted(msgspec.Struct, kw_only=True, eq=False):
    """One load on its way, and what became of it."""

    load: Load
    key: LoadKey
    entry: Entry | None = None
    """What the cache has of it."""
    outcome: Outcome | None = None
    """Where the cache could answer it."""
    flight: Flight | None = None
    joined: bool = False
    """Whether the call was under way already, for somebody else."""

    @property
    def is_over(self) -> bool:
        """Whether its outcome is known."""
        return self.outcome is not None or (self.flight is not None and self.flight.is_over)


Family: TypeAlias = tuple[str, str, Scope]
"""(endpoint's identity, what a batch shares, scope): what loads have in common that can go in one
call."""
Entries: TypeAlias = Mapping[LoadKey, Entry] | None


class Fetcher:
    """Answers loads from the cache or with calls. `servers` are the backends, by name; `endpoints`
    those that read."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        *,
        endpoints: Sequence[EndpointSpec] = (),
        cache: RowCache | None,
        clock: Clock,
        events: Events,
    ) -> None:
        self._servers = servers
        self._endpoints = endpoints
        self._keeper = Keeper(cache, clock)
        self._asker = Asker(self._keeper, clock=clock, events=events)
        self.clock = clock
        self._events = events
        self._identities: dict[EndpointSpec, str] = {}
        self._flying: dict[Family, dict[tuple[str, ...], Flight]] = {}
        """What is under way, by the loads' keys."""
        self._observers: list[Callable[[Sequence[str]], object]] = []

    def identity(self, endpoint: EndpointSpec) -> str:
        """Equal for endpoints whose loads are the same. Raises `LookupError`."""
        known = self._identities.get(endpoint)
        if known is None:
            server = self._server(endpoint).identity
            known = self._identities[endpoint] = endpoint_identity(endpoint, server)
        return known

    def observe(self, observer: Callable[[Sequence[str]], object]) -> None:
        """Tell `observer` of each write: the identities of the endpoints that read what it may have
        changed."""
        self._observers.append(observer)

    def now(self) -> float:
        """The moment, for `since`."""
        return self.clock.wall()

    def wanted(self, endpoint: EndpointSpec, loads: Sequence[Load], origin: Origin) -> list[Wanted]:
        """The loads on their way, on somebody's behalf."""
        scope = forwarded_headers(endpoint.backend, origin)
        identity = self.identity(endpoint)
        return [Wanted(load=load, key=load_key(identity, load, scope)) for load in loads]

    async def fetch(
        self, endpoint: EndpointSpec, loads: Sequence[Load], origin: Origin, *, since: float = 0.0
    ) -> list[Outcome]:
        """One outcome for each load, in order. A failed key is an outcome too; only defects
        raise. Nothing that was asked for until `since` is used."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def then() -> None:
            if not over.done():
                over.set_result(None)

        wanted = self.wanted(endpoint, loads, origin)
        fetching = Fetching(self, endpoint, wanted, origin, since, then=then)
        try:
            fetching.begin()
            left_s = None if origin.deadline is None else origin.deadline - self.clock.now()
            if not over.done() and (left_s is None or left_s > 0):
                await asyncio.wait((over,), timeout=left_s)
            if fetching.defect is not None:
                raise fetching.defect
            # Before they are left: what is given up then has not answered in time.
            return [self.settled(endpoint, one) for one in wanted]
        finally:
            fetching.leave()

    async def close(self) -> None:
        """Cancel what is still in flight."""
        for flight in {one for flying in self._flying.values() for one in flying.values()}:
            flight.give_up()
        await self._asker.close()

    async def written(
        self, call: Call, values: Mapping[str, Any], headers: Mapping[str, str]
    ) -> None:
        """A write took effect, or may have: what it changed is out of date from now on.

        That is the URI it was sent to, those that the reply's `headers` name (RFC 9111, section
        4.4), and what its endpoint declares.
        """
        server = self._server(call.endpoint)
        paths = (call.path, *linked_uris(server.url, call.path, headers))
        stale = stale_after(call.endpoint, paths, values, self._endpoints)
        for one in stale:
            self._part_from(one)
        identities = [self.identity(one.endpoint) for one in stale]
        for observer in self._observers:
            observer(identities)
        await self._keeper.mark(list(zip(stale, identities, strict=True)))

    def _part_from(self, stale: Stale) -> None:
        """Whoever asks from now on does not join what is in flight."""
        identity = self.identity(stale.endpoint)
        for family, flying in self._flying.items():
            if family[0] != identity:
                continue
            if stale.load is None:
                flying.clear()
            elif stale.load.shared == family[1]:
                flying.pop(stale.load.key, None)

    # --- the cache

    def keeps(self, endpoint: EndpointSpec) -> bool:
        """Whether the cache may have its rows."""
        return self._keeper.keeps(endpoint)

    def kept_here(self, endpoint: EndpointSpec, wanted: Sequence[Wanted], since: float) -> Entries:
        """What the cache has; `None` where it must be waited for."""
        return self._keeper.read_here(endpoint, [one.key for one in wanted], since)

    async def kept(self, endpoint: EndpointSpec, wanted: Sequence[Wanted], since: float) -> Entries:
        """As `kept_here`, wherever the cache is."""
        return await self._keeper.read(endpoint, [one.key for one in wanted], since)

    def use(
        self,
        endpoint: EndpointSpec,
        wanted: Sequence[Wanted],
        entries: Mapping[LoadKey, Entry],
        origin: Origin,
    ) -> None:
        """Take what the cache has and may be used."""
        if not entries:
            return
        counts = dict.fromkeys(Use, 0)
        refresh = []
        for one in wanted:
            one.entry = entries.get(one.key)
            use = use_of(one.entry, self.clock.wall()) if one.entry else Use.EXPIRED
            counts[use] += 1
            if one.entry and use in (Use.FRESH, Use.STALE_REVALIDATE):
                one.outcome = Fetched(row=decode(one.entry.row))
                if use is Use.STALE_REVALIDATE:
                    refresh.append(one)
        self._refresh(endpoint, refresh, origin)
        self._events.emit(
            CacheRead(
                request_id=origin.request_id,
                backend=endpoint.backend.name,
                endpoint=endpoint.label,
                fresh=counts[Use.FRESH],
                stale=counts[Use.STALE_REVALIDATE],
                missed=counts[Use.STALE] + counts[Use.EXPIRED],
            )
        )

    def _refresh(self, endpoint: EndpointSpec, wanted: Sequence[Wanted], origin: Origin) -> None:
        """Bring stale rows up to date behind the answer's back (RFC 5861, section 3)."""
        absent = [
            one for one in wanted if one.load.key not in self._flying.get(_family(one.key), ())
        ]
        if absent:
            # Nobody waits for it: neither the request's deadline nor its budget are this call's.
            later = Origin(
                request_id=origin.request_id, traceparent=origin.traceparent, headers=origin.headers
            )
            for flight in self.board(endpoint, absent, later, 0.0):
                flight.waiting += 1  # for ever: nobody will leave it

    # --- calls in flight

    def board(
        self, endpoint: EndpointSpec, wanted: Sequence[Wanted], origin: Origin, since: float
    ) -> list[Flight]:
        """Join each load to the call in flight for its key, or start one: all these calls. Changes
        all state at once."""
        new, joined = list[Wanted](), dict[Flight, None]()
        shared = flying = None
        for one in wanted if endpoint.reads else ():
            load = one.load
            if flying is None or load.shared != shared:
                shared, flying = load.shared, self._flying.get(_family(one.key), {})
            flight = flying.get(load.key)
            if flight is None or flight.asked_at <= since or flight.is_over:
                one.joined = False
                new.append(one)
            else:
                one.flight, one.joined = flight, True
                joined[flight] = None
        chunks = _chunks(endpoint, new if endpoint.reads else wanted)
        if origin.budget is not None:  # before others can join: the limit is this request's alone
            origin.budget.spend_calls(len(chunks))
        now = self.clock.wall()
        alone = origin if origin.deadline is None else replace(origin, deadline=None)
        server = self._server(endpoint)
        flights = list(joined)
        for chunk in chunks:
            flight = Flight(now)
            flights.append(flight)
            for one in chunk:
                one.flight = flight
            if endpoint.reads:
                family = _family(chunk[0].key)  # which a chunk has in common
                keys = [one.load.key for one in chunk]
                self._flying.setdefault(family, {}).update(dict.fromkeys(keys, flight))
                flight.then(partial(self._gone, family, keys, flight))
            self._asker.begin(endpoint, server, chunk, alone, flight)
        return flights

    def _gone(self, family: Family, keys: Sequence[tuple[str, ...]], flight: Flight) -> None:
        flying = self._flying.get(family)
        if flying is None:
            return
        for key in keys:
            if flying.get(key) is flight:
                del flying[key]
        if not flying:
            del self._flying[family]

    def settled(self, endpoint: EndpointSpec, one: Wanted) -> Outcome:
        """The outcome, or the stale copy that may stand in for an error (RFC 5861, section 4).
        Raises defects."""
        outcome = one.outcome
        if outcome is None:
            assert one.flight is not None
            outcome = _landed(endpoint, one.key, one.flight)
        if one.entry is None or not isinstance(outcome, BackendError) or not is_retryable(outcome):
            return outcome
        if not usable_on_error(one.entry, self.clock.wall()):
            return outcome
        return Fetched(row=decode(one.entry.row), stale_because=outcome)

    def _server(self, endpoint: EndpointSpec) -> Server:
        server = self._servers.get(endpoint.backend.name)
        if server is None:
            raise LookupError(
                f"Backend '{endpoint.backend.name}' is not part of this graph: "
                "name it in Graph(backends=[...])."
            )
        return server


def _family(key: LoadKey) -> Family:
    identity, _, shared, scope = key
    return identity, shared, scope


def _chunks(endpoint: EndpointSpec, wanted: Sequence[Wanted]) -> list[Sequence[Wanted]]:
    batch = endpoint.batch
    if batch is None or len(wanted) == 1:
        return [[one] for one in wanted]
    alike: dict[str, list[Wanted]] = {}
    chunks: list[Sequence[Wanted]] = []
    for one in wanted:
        if one.load.alone:
            chunks.append([one])
        else:
            alike.setdefault(one.load.shared, []).append(one)
    chunks += (
        group[start : start + batch.size]
        for group in alike.values()
        for start in range(0, len(group), batch.size)
    )
    return chunks


def _landed(endpoint: EndpointSpec, key: LoadKey, flight: Flight) -> Outcome:
    name = endpoint.backend.name
    if not flight.is_over:
        message = f"Backend '{name}' did not answer before the request's deadline."
        return BackendTimeout(message, backend=name, endpoint=endpoint.label)
    if flight.defect is not None:
        raise flight.defect
    if flight.brought is None:
        message = f"The call to backend '{name}' was given up."
        return BackendDisconnected(message, backend=name, endpoint=endpoint.label)
    return flight.brought.outcomes()[key]


def broke_off(endpoint: EndpointSpec, one: Wanted) -> bool:
    """Whether the call that was joined ended by its clock, and not by an answer."""
    flight = one.flight
    assert flight is not None
    return (
        one.joined
        and flight.is_over
        and (
            flight.brought is None or isinstance(_landed(endpoint, one.key, flight), BackendTimeout)
        )
    )


class Fetching:
    """Loads of one endpoint on their way: the cache, then calls. No task, where nothing but calls
    is waited for. `then` is called once, when all are over."""

    def __init__(
        self,
        fetcher: Fetcher,
        endpoint: EndpointSpec,
        wanted: Sequence[Wanted],
        origin: Origin,
        since: float,
        *,
        then: Callable[[], object],
    ) -> None:
        self.endpoint = endpoint
        self.wanted = wanted
        self.defect: BaseException | None = None
        self._fetcher = fetcher
        self._origin = origin
        self._since = since
        self._then: Callable[[], object] | None = then
        self._flights: list[Flight] = []
        self._under_way = 0
        self._reading: asyncio.Task[None] | None = None
        self._is_left = False
        self._was_kept = False

    @property
    def is_over(self) -> bool:
        """Whether all are."""
        return self._then is None

    def begin(self) -> None:
        """Ask for them. Raises `OperationTooCostly`, where no call has left."""
        endpoint, fetcher = self.endpoint, self._fetcher
        if not fetcher.keeps(endpoint):
            self._ask()
            return
        entries = fetcher.kept_here(endpoint, self.wanted, self._since)
        if entries is None:
            self._reading = asyncio.create_task(self._read())
            return
        self._was_kept = bool(entries)
        fetcher.use(endpoint, self.wanted, entries, self._origin)
        self._ask()

    def leave(self) -> None:
        """Nobody waits for them any more."""
        self._is_left = True
        self._then = None
        if self._reading is not None:
            self._reading.cancel()
        flights, self._flights = self._flights, []
        for flight in flights:
            flight.leave()

    async def _read(self) -> None:
        try:
            entries = await self._fetcher.kept(self.endpoint, self.wanted, self._since)
            self._was_kept = bool(entries)
            self._fetcher.use(self.endpoint, self.wanted, entries or {}, self._origin)
            self._ask()
        except Exception as error:  # a limit, or a defect: who waits has it
            self.defect = error
            self._end()

    def _ask(self) -> None:
        missing = self.wanted
        if self._was_kept:
            missing = [one for one in self.wanted if one.outcome is None]
        span = self._origin.span
        if span is not None:
            span.cached = len(self.wanted) - len(missing)
        self._board(missing, self._came)
        if span is not None:
            span.joined = sum(one.joined for one in missing)

    def _board(self, wanted: Sequence[Wanted], then: Callable[[], object]) -> None:
        if not wanted:
            self._end()
            return
        flights = self._fetcher.board(self.endpoint, wanted, self._origin, self._since)
        self._flights += flights
        self._under_way = 1
        for flight in flights:
            flight.waiting += 1
            if not flight.is_over:
                self._under_way += 1
                flight.then(then)
        then()

    def _came(self) -> None:
        """One of the calls is over; the last one ends it, unless there is something to ask for
        anew: who joined a call late gets its own time, not what was left of another's."""
        self._under_way -= 1
        if self._under_way or self._is_left:
            return
        try:
            late = [
                one
                for one in self.wanted
                if one.joined and one.outcome is None and broke_off(self.endpoint, one)
            ]
            if late:
                self._board(late, self._came_late)
            else:
                self._end()
        except Exception as error:
            self.defect = error
            self._end()

    def _came_late(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._end()

    def _end(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()
