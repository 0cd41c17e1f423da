"""Keys -> rows: cache, then coalescing, then as few calls as possible. Lives as long as the app.

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
from math import inf
from typing import Any, Final

from plait.backend.ask import Asker
from plait.backend.asking import Asking, Server
from plait.backend.boarded import NOTHING, Boarded, Inquiry
from plait.backend.cache import RowCache
from plait.backend.call import Call, Origin
from plait.backend.client import forwarded_headers
from plait.backend.coalesce import Coalescer
from plait.backend.flight import Brought, Flight
from plait.backend.forget import linked_uris, stale_after
from plait.backend.freshness import CacheEntry, Use, usable_on_error, use_of
from plait.backend.identity import RowKey, endpoint_identity, row_key
from plait.backend.keep import Keeper
from plait.backend.keys import NO_TEXT, Key, Keys, why_alone
from plait.backend.loads import Fetched, LoadOutcome, LoadOutcomes
from plait.backend.numbers import decode, encode
from plait.backend.spec import EndpointSpec
from plait.clock import Clock
from plait.emit import Events
from plait.errors import BackendDisconnected, BackendError, BackendTimeout, is_retryable
from plait.events import CacheRead

_NOTHING_KEPT: Final[dict[Key, CacheEntry]] = {}
_NO_OUTCOMES: Final[dict[Key, LoadOutcome]] = {}
_NO_FLIGHTS: Final[dict[Key, Flight]] = {}
"""Never written to: most requests need none of their own."""


class Fetcher:
    """Answers keys from the cache or with calls. `servers` are the backends, by name; `endpoints`
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
        self.events = events
        self._identities: dict[EndpointSpec, str] = {}
        self._coalescer = Coalescer()
        self._observers: list[Callable[[Sequence[str]], object]] = []

    def identity(self, endpoint: EndpointSpec) -> str:
        """Equal for endpoints whose keys bring the same. Raises `LookupError`."""
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

    def inquiry(self, keys: Keys, origin: Origin, since: float = 0.0) -> Inquiry:
        """To ask for keys on somebody's behalf."""
        scope = forwarded_headers(keys.endpoint.backend, origin)
        family = self.identity(keys.endpoint), scope
        return Inquiry(keys=keys, family=family, origin=origin, since=since)

    async def fetch(self, keys: Keys, origin: Origin, *, since: float = 0.0) -> LoadOutcomes:
        """One outcome for each key. A failed key is an outcome too; only defects raise. Nothing
        that was asked for until `since` is used."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        fetching = Fetching(self, self.inquiry(keys, origin, since), then=partial(_tell, over))
        try:
            fetching.begin()
            left_s = None if origin.deadline is None else origin.deadline - self.clock.now()
            if not over.done() and (left_s is None or left_s > 0):
                await asyncio.wait((over,), timeout=left_s)
            if fetching.defect is not None:
                raise fetching.defect
            # Before they are left: what is given up then has not answered in time.
            return {key: fetching.outcome(key) for key in keys.values}
        finally:
            fetching.leave()

    async def close(self) -> None:
        """Cancel what is still in flight."""
        for flight in self._coalescer:
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
        identities = [self.identity(one.endpoint) for one in stale]
        for one, identity in zip(stale, identities, strict=True):
            self._coalescer.part_from(identity, one.key)
        for observer in self._observers:
            observer(identities)
        await self._keeper.mark(list(zip(stale, identities, strict=True)))

    # --- the cache

    def keeps(self, endpoint: EndpointSpec) -> bool:
        """Whether the cache may have its rows."""
        return self._keeper.keeps(endpoint)

    def kept_here(self, inquiry: Inquiry) -> Mapping[RowKey, CacheEntry] | None:
        """What the cache has; `None` where it must be waited for."""
        if self._keeper.is_empty:
            return {}
        return self._keeper.read_here(inquiry.endpoint, _row_keys(inquiry), inquiry.since)

    async def kept(self, inquiry: Inquiry) -> Mapping[RowKey, CacheEntry]:
        """As `kept_here`, wherever the cache is."""
        return await self._keeper.read(inquiry.endpoint, _row_keys(inquiry), inquiry.since)

    def refresh(
        self, inquiry: Inquiry, keys: Sequence[Key], entries: Mapping[Key, CacheEntry]
    ) -> None:
        """Bring stale rows up to date behind the answer's back (RFC 5861, section 3)."""
        joined = self._coalescer.joined(inquiry.family, keys, 0.0)
        absent = [key for key in keys if key not in joined]
        if absent:
            # Nobody waits for it: neither the request's deadline nor its budget are this call's.
            origin = inquiry.origin
            later = Origin(
                request_id=origin.request_id, traceparent=origin.traceparent, headers=origin.headers
            )
            again = Inquiry(keys=inquiry.keys, family=inquiry.family, origin=later)
            boarded = self.board(again, absent, entries)
            for flight in boarded.flights:
                flight.waiting += 1  # for ever: nobody will leave it

    # --- calls in flight

    def board(
        self, inquiry: Inquiry, keys: Sequence[Key], entries: Mapping[Key, CacheEntry]
    ) -> Boarded:
        """Join each of `keys` to the call in flight for it, or start one. Changes all state at
        once."""
        endpoint, origin, family = inquiry.endpoint, inquiry.origin, inquiry.family
        joined: Mapping[Key, Flight] = _NO_FLIGHTS
        if endpoint.reads:
            joined = self._coalescer.joined(family, keys, inquiry.since)
        new = [key for key in keys if key not in joined] if joined else keys
        flights = list(dict.fromkeys(joined.values())) if joined else []
        if not new:
            only = flights[0] if len(flights) == 1 else None
            return Boarded(flights, whole=only, by_key=joined, joined=joined)
        chunks = _chunks(endpoint, new, are_alike=len(inquiry.keys.shared) == 1)
        if origin.budget is not None:  # before others can join: the limit is this request's alone
            origin.budget.spend_calls(len(chunks))
        now = self.clock.wall()
        server = self._server(endpoint)
        whole: Flight | None = None
        by_key = {**joined} if joined or len(chunks) > 1 else _NO_FLIGHTS
        for chunk in chunks:
            flight = Flight(family, chunk, now)
            flights.append(flight)
            if len(chunk) == len(keys):
                whole = flight
            else:
                by_key.update(dict.fromkeys(chunk, flight))
            if endpoint.reads:
                self._coalescer.add(flight)
            asking = Asking(
                keys=inquiry.keys, server=server, origin=origin, family=family, entries=entries
            )
            self._asker.begin(asking, flight)
        return Boarded(flights, whole=whole, by_key=by_key, joined=joined)

    def _server(self, endpoint: EndpointSpec) -> Server:
        server = self._servers.get(endpoint.backend.name)
        if server is None:
            raise LookupError(
                f"Backend '{endpoint.backend.name}' is not part of this graph: "
                "name it in Graph(backends=[...])."
            )
        return server


def _tell(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)


def _row_keys(inquiry: Inquiry) -> list[RowKey]:
    return [row_key(inquiry.family, key) for key in inquiry.keys.values]


def _chunks(
    endpoint: EndpointSpec, keys: Sequence[Key], *, are_alike: bool
) -> Sequence[Sequence[Key]]:
    """Those that go in one call each. `are_alike` says that they share all that a batch has in
    common."""
    batch = endpoint.batch
    if len(keys) == 1:
        return [keys]
    if batch is None:
        return [[key] for key in keys]
    alike: dict[str, list[Key]] = {}
    chunks: list[Sequence[Key]] = []
    may_be_alone = batch.place != "repeated" or len(batch.keys) > 1
    for key in keys:
        if key[1].startswith(NO_TEXT):
            may_be_alone = True
    if are_alike and not may_be_alone and len(keys) <= batch.size:
        return [keys]
    for key in keys:
        if may_be_alone and why_alone(batch, key) is not None:
            chunks.append([key])
        else:
            alike.setdefault(key[0], []).append(key)
    for group in alike.values():
        chunks += [group[at : at + batch.size] for at in range(0, len(group), batch.size)]
    return chunks


class Fetching:
    """Some keys of one endpoint on their way: the cache, then calls. No task, where nothing but
    calls is waited for. `then` is called once, when all are over."""

    __slots__ = (
        "_boarded",
        "_entries",
        "_fetcher",
        "_flights",
        "_inquiry",
        "_is_left",
        "_kept",
        "_outcomes",
        "_reading",
        "_then",
        "_under_way",
        "defect",
        "keys",
    )

    def __init__(self, fetcher: Fetcher, inquiry: Inquiry, *, then: Callable[[], object]) -> None:
        self.keys = list(inquiry.keys.values)
        self.defect: BaseException | None = None
        self._fetcher = fetcher
        self._inquiry = inquiry
        self._then: Callable[[], object] | None = then
        self._entries = _NOTHING_KEPT
        """What the cache has of them."""
        self._kept = _NOTHING_KEPT
        """Those of them that may be used."""
        self._outcomes = _NO_OUTCOMES
        """As rows, where somebody has asked."""
        self._boarded = NOTHING
        self._flights: list[Flight] = []
        """All that were waited for."""
        self._under_way = 0
        self._reading: asyncio.Task[None] | None = None
        self._is_left = False

    @property
    def is_over(self) -> bool:
        """Whether all are."""
        return self._then is None

    # --- asking

    def begin(self) -> None:
        """Ask for them. Raises `OperationTooCostly`, where no call has left."""
        fetcher, inquiry = self._fetcher, self._inquiry
        if fetcher.keeps(inquiry.endpoint):
            entries = fetcher.kept_here(inquiry)
            if entries is None:
                self._reading = asyncio.create_task(self._read())
                return
            if entries:
                self._use(entries)
        self._ask()

    def leave(self) -> None:
        """Nobody waits for them any more."""
        self._is_left = True
        self._then = None
        if self._reading is not None:
            self._reading.cancel()
        self._boarded = NOTHING
        flights, self._flights = self._flights, []
        for flight in flights:
            flight.leave()

    async def _read(self) -> None:
        try:
            entries = await self._fetcher.kept(self._inquiry)
            if entries:
                self._use(entries)
            self._ask()
        except Exception as error:  # a limit, or a defect: who waits has it
            self.defect = error
            self._end()

    def _use(self, entries: Mapping[RowKey, CacheEntry]) -> None:
        """Take what the cache has and may be used."""
        fetcher, inquiry = self._fetcher, self._inquiry
        family, now = inquiry.family, fetcher.clock.wall()
        stale = []
        self._entries, self._kept = {}, {}
        for key in self.keys:
            entry = entries.get(row_key(family, key))
            if entry is None:
                continue
            self._entries[key] = entry
            use = use_of(entry, now)
            if use is Use.FRESH:
                self._kept[key] = entry
            elif use is Use.STALE_REVALIDATE:
                self._kept[key] = entry
                stale.append(key)
        if stale:
            fetcher.refresh(inquiry, stale, self._entries)
        fetcher.events.emit(
            CacheRead(
                request_id=inquiry.origin.request_id,
                backend=inquiry.endpoint.backend.name,
                endpoint=inquiry.endpoint.label,
                fresh=len(self._kept) - len(stale),
                stale=len(stale),
                missed=len(self.keys) - len(self._kept),
            )
        )

    def _ask(self) -> None:
        missing = self.keys
        if self._kept:
            missing = [key for key in missing if key not in self._kept]
        span = self._inquiry.origin.span
        if span is not None:
            span.cached = len(self.keys) - len(missing)
        self._board(missing, self._came)
        if span is not None:
            span.joined = len(self._boarded.joined)

    def _board(self, keys: Sequence[Key], then: Callable[[], object]) -> None:
        if not keys:
            self._end()
            return
        boarded = self._fetcher.board(self._inquiry, keys, self._entries)
        again = self._boarded is not NOTHING
        self._boarded = self._boarded.again(keys, boarded) if again else boarded
        flights = boarded.flights
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
        if self._boarded.joined and not _all_came(self._boarded.flights):
            try:
                self._board([one for one in self.keys if self._broke_off(one)], self._came_late)
            except Exception as error:
                self.defect = error
                self._end()
        else:
            self._end()

    def _came_late(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._end()

    def _end(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()

    # --- what has come

    def has(self, key: Key) -> bool:
        """Whether there is an outcome: of its own, where it joined a call that its clock ended."""
        if key in self._kept:
            return True
        flight = self._boarded.flight_of(key)
        return flight is not None and flight.is_over and not self._broke_off(key)

    def outcome(self, key: Key) -> LoadOutcome:
        """The outcome, or the stale copy that may stand in for an error (RFC 5861, section 4).
        Raises defects."""
        if self._kept and (entry := self._kept.get(key)) is not None:
            if self._outcomes is _NO_OUTCOMES:
                self._outcomes = {}
            outcome = self._outcomes.get(key)
            if outcome is None:  # the same row for all that ask
                outcome = self._outcomes[key] = Fetched(row=decode(entry.row))
            return outcome
        flight = self._boarded.flight_of(key)
        assert flight is not None
        outcome = self._landed(key, flight)
        entry = self._entries.get(key) if self._entries else None
        if entry is None or not isinstance(outcome, BackendError) or not is_retryable(outcome):
            return outcome
        if not usable_on_error(entry, self._fetcher.clock.wall()):
            return outcome
        return Fetched(row=decode(entry.row), stale_because=outcome)

    def plain(self) -> Brought | None:
        """The one reply that has all of them, where there is such a one. It may have more, where
        it was joined."""
        return None if self._kept else self.rest()

    def kept(self) -> Mapping[Key, CacheEntry]:
        """What the cache has of them and may be used."""
        return self._kept

    def rest(self) -> Brought | None:
        """As `plain`, of what the cache does not have."""
        flight = self._boarded.whole
        brought = flight.brought if flight is not None else None
        return brought if brought is not None and brought.body is not None else None

    def brought(self, key: Key) -> Brought | None:
        """The reply that has one of them."""
        flight = self._boarded.flight_of(key)
        return None if flight is None else flight.brought

    def bodies(self) -> list[bytes]:
        """What came, as JSON."""
        if not self._kept:
            replies = [one.brought.body for one in self._boarded.flights if one.brought is not None]
            plain = [body for body in replies if body is not None]
            if len(plain) == len(self._boarded.flights):
                return plain
        rows = [one.row for one in self._kept.values()]
        if len(rows) == len(self.keys):
            return rows
        rest = self.rest()
        if rest is not None and rest.body is not None:
            return [*rows, rest.body]
        bodies: dict[Any, bytes] = {}
        for key in self.keys:
            flight = self._boarded.flight_of(key)
            brought = flight.brought if flight is not None else None
            if key in self._kept:
                bodies[key] = self._kept[key].row
            elif brought is not None and brought.body is not None:
                bodies[id(brought)] = brought.body
            elif brought is not None:  # of several pages, say
                outcome = brought.outcomes()[key]
                row = outcome.row if isinstance(outcome, Fetched) else None
                bodies[key] = encode(row)
        return list(bodies.values())

    def fresh_until(self) -> float:
        """Until when all that came is fresh, in seconds since 1970; 0 where nobody says so of all
        of it."""
        until = inf
        for entry in self._kept.values():
            until = min(until, entry.fresh_until)
        for flight in self._boarded.flights:
            until = min(until, flight.brought.fresh_until if flight.brought is not None else 0.0)
        return until

    def _broke_off(self, key: Key) -> bool:
        """Whether the call that was joined for it ended by its clock, and not by an answer."""
        flight = self._boarded.joined.get(key)
        if flight is None or not flight.is_over:
            return False
        return flight.brought is None or isinstance(self._landed(key, flight), BackendTimeout)

    def _landed(self, key: Key, flight: Flight) -> LoadOutcome:
        if flight.brought is not None:
            return flight.brought.outcomes()[key]
        endpoint = self._inquiry.endpoint
        name = endpoint.backend.name
        if not flight.is_over:
            message = f"Backend '{name}' did not answer before the request's deadline."
            return BackendTimeout(message, backend=name, endpoint=endpoint.label)
        if flight.defect is not None:
            raise flight.defect
        message = f"The call to backend '{name}' was given up."
        return BackendDisconnected(message, backend=name, endpoint=endpoint.label)


def _all_came(flights: Sequence[Flight]) -> bool:
    """Whether all brought a plain reply."""
    return all(one.brought is not None and one.brought.body is not None for one in flights)
