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
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeAlias

from plait.backend.build import Load, batch_call, single_call
from plait.backend.cache import RowCache
from plait.backend.call import Call, Handler, Origin, Reply
from plait.backend.client import forwarded_headers
from plait.backend.forget import Stale, linked_uris, stale_after
from plait.backend.freshness import (
    Entry,
    Lifetime,
    Use,
    conditional_headers,
    lifetime_of,
    renewed,
    usable_on_error,
    use_of,
)
from plait.backend.identity import (
    LoadKey,
    cache_key,
    endpoint_identity,
    endpoint_mark,
    load_key,
    row_mark,
)
from plait.backend.numbers import decode, encode
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
from plait.errors import (
    BackendDisconnected,
    BackendError,
    BackendHttpError,
    BackendTimeout,
    PlaitError,
    is_retryable,
)
from plait.events import CacheRead, Events, RowsUnexpected

SPLIT_CALLS_MAX = 32
"""How many further calls one refused batch may cause."""
ONE_KEY_IS_BAD = frozenset({400, 404, 410, 413, 414, 422})
"""What a backend answers to a whole batch because of one of its keys, or of their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The row, or rows, of one load. `row` is `None` when the backend has none. It is shared: who
    hands it to somebody that may change it makes a copy."""

    row: Row
    status: int | None = None
    """What the backend answered to say that there is none, where it said so by a status."""
    stale_because: BackendError | None = None
    """Set when the backend failed and a stale copy stands in."""


Outcome: TypeAlias = Fetched | PlaitError


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


@dataclass(slots=True, kw_only=True, eq=False)
class _Flight:
    """One call in flight: what it brings, since when, and how many are waiting for it."""

    task: "asyncio.Task[Mapping[LoadKey, Outcome]]"
    asked_at: float
    waiting: int = 0


@dataclass(slots=True, kw_only=True)
class _Wanted:
    """One load on its way through a fetch."""

    load: Load
    key: LoadKey
    entry: Entry | None = None
    outcome: Outcome | None = None
    flight: _Flight | None = None
    joined: bool = False


@dataclass(slots=True, kw_only=True)
class _Extra:
    """How many further calls a batch that is split may make."""

    left: int = SPLIT_CALLS_MAX


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
        self._cache = cache
        self._clock = clock
        self._events = events
        self._identities: dict[EndpointSpec, str] = {}
        self._flying: dict[LoadKey, _Flight] = {}
        self._background: set[asyncio.Task[Any]] = set()

    def identity(self, endpoint: EndpointSpec) -> str:
        """Equal for endpoints whose loads are the same. Raises `LookupError`."""
        known = self._identities.get(endpoint)
        if known is None:
            server = self._server(endpoint).identity
            known = self._identities[endpoint] = endpoint_identity(endpoint, server)
        return known

    def now(self) -> float:
        """The moment, for `since`."""
        return self._clock.wall()

    async def fetch(
        self, endpoint: EndpointSpec, loads: Sequence[Load], origin: Origin, *, since: float = 0.0
    ) -> list[Outcome]:
        """One outcome for each load, in order. A failed key is an outcome too; only defects
        raise. Nothing that was asked for until `since` is used."""
        scope = forwarded_headers(endpoint.backend, origin)
        identity = self.identity(endpoint)
        wanted = [_Wanted(load=load, key=load_key(identity, load, scope)) for load in loads]
        if self._cache is not None and endpoint.cache.enabled:
            await self._read_cache(self._cache, endpoint, wanted, origin, since)
        missing = [one for one in wanted if one.outcome is None]
        if missing:
            self._board(endpoint, missing, origin, since)
            await self._land(endpoint, missing, origin)
            # Who joined a call late gets its own time, not what was left of another's.
            if late := [one for one in missing if one.joined and _broke_off(one)]:
                self._board(endpoint, late, origin, since)
                await self._land(endpoint, late, origin)
        return [self._settled(one) for one in wanted]

    async def close(self) -> None:
        """Cancel what is still in flight."""
        tasks = {flight.task for flight in self._flying.values()} | self._background
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
        if self._cache is not None and stale:
            await self._cache.mark([self._mark(one) for one in stale])

    def _mark(self, stale: Stale) -> str:
        identity, name = self.identity(stale.endpoint), stale.endpoint.backend.name
        if stale.load is None:
            return endpoint_mark(name, identity)
        return row_mark(name, load_key(identity, stale.load, ()))

    def _part_from(self, stale: Stale) -> None:
        """Whoever asks from now on does not join what is in flight."""
        identity = self.identity(stale.endpoint)
        for key in [key for key in self._flying if key[0] == identity]:
            if stale.load is None or key[1:3] == (stale.load.key, stale.load.shared):
                del self._flying[key]

    # --- the cache

    async def _read_cache(
        self,
        cache: RowCache,
        endpoint: EndpointSpec,
        wanted: Sequence[_Wanted],
        origin: Origin,
        since: float,
    ) -> None:
        name = endpoint.backend.name
        keys = [cache_key(name, one.key) for one in wanted]
        whole = endpoint_mark(name, wanted[0].key[0])
        rows = [row_mark(name, one.key) for one in wanted] if cache.has_marks else keys
        entries, past = await cache.get_many(keys, [whole, *rows] if cache.has_marks else ())
        if not entries:
            return
        counts = dict.fromkeys(Use, 0)
        refresh = []
        since = max(since, past.get(whole, 0.0))
        for one, key, row in zip(wanted, keys, rows, strict=True):
            entry = entries.get(key)
            if entry is not None and entry.asked_at > max(since, past.get(row, 0.0)):
                one.entry = entry
            use = use_of(one.entry, self._clock.wall()) if one.entry else Use.EXPIRED
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

    def _refresh(self, endpoint: EndpointSpec, wanted: Sequence[_Wanted], origin: Origin) -> None:
        """Bring stale rows up to date behind the answer's back (RFC 5861, section 3)."""
        absent = [one for one in wanted if one.key not in self._flying]
        if absent:
            # Nobody waits for it: neither the request's deadline nor its budget are this call's.
            later = Origin(
                request_id=origin.request_id, traceparent=origin.traceparent, headers=origin.headers
            )
            self._board(endpoint, absent, later, 0.0)
            for flight in {id(one.flight): one.flight for one in absent}.values():
                assert flight is not None
                flight.waiting += 1  # for ever: nobody will leave it

    # --- calls in flight

    def _board(
        self, endpoint: EndpointSpec, wanted: Sequence[_Wanted], origin: Origin, since: float
    ) -> None:
        """Join each load to the call in flight for its key, or start one. Changes all state at
        once."""
        new = []
        for one in wanted:
            flight = self._flying.get(one.key) if endpoint.reads else None
            if flight is not None and (flight.asked_at <= since or flight.task.done()):
                flight = None
            one.flight, one.joined = flight, flight is not None
            if flight is None:
                new.append(one)
        chunks = _chunks(endpoint, new)
        if origin.budget is not None:  # before others can join: the limit is this request's alone
            origin.budget.spend_calls(len(chunks))
        now, alone = self._clock.wall(), replace(origin, deadline=None)
        for chunk in chunks:
            task = asyncio.create_task(self._fly(endpoint, chunk, alone))
            flight = _Flight(task=task, asked_at=now)
            for one in chunk:
                one.flight = self._flying[one.key] = flight
            task.add_done_callback(partial(self._gone, chunk, flight))

    def _gone(self, chunk: Sequence[_Wanted], flight: _Flight, _: object) -> None:
        for one in chunk:
            if self._flying.get(one.key) is flight:
                del self._flying[one.key]

    async def _land(
        self, endpoint: EndpointSpec, wanted: Sequence[_Wanted], origin: Origin
    ) -> None:
        flights = list({id(one.flight): one.flight for one in wanted if one.flight}.values())
        for flight in flights:
            flight.waiting += 1
        left_s = None if origin.deadline is None else origin.deadline - self._clock.now()
        try:
            if left_s is None or left_s > 0:
                await asyncio.wait([flight.task for flight in flights], timeout=left_s)
        finally:
            for flight in flights:
                flight.waiting -= 1
                if flight.waiting == 0 and not flight.task.done():
                    flight.task.cancel()
        for one in wanted:
            assert one.flight is not None
            one.outcome = _landed(endpoint, one.key, one.flight)

    def _settled(self, one: _Wanted) -> Outcome:
        """The outcome, or the stale copy that may stand in for an error (RFC 5861, section 4)."""
        outcome = one.outcome
        assert outcome is not None
        if one.entry is None or not isinstance(outcome, BackendError) or not is_retryable(outcome):
            return outcome
        if not usable_on_error(one.entry, self._clock.wall()):
            return outcome
        return Fetched(row=decode(one.entry.row), stale_because=outcome)

    # --- one call

    async def _fly(
        self, endpoint: EndpointSpec, chunk: Sequence[_Wanted], origin: Origin
    ) -> Mapping[LoadKey, Outcome]:
        batch = endpoint.batch
        try:
            if batch and not chunk[0].load.alone and (len(chunk) > 1 or batch.always):
                return await self._fly_batch(endpoint, batch, chunk, origin, _Extra())
            return {chunk[0].key: await self._fly_single(endpoint, chunk[0], origin)}
        except PlaitError as error:
            return {one.key: error for one in chunk}

    async def _fly_batch(
        self,
        endpoint: EndpointSpec,
        batch: Batch,
        chunk: Sequence[_Wanted],
        origin: Origin,
        extra: _Extra,
    ) -> Mapping[LoadKey, Outcome]:
        loads = [one.load for one in chunk]
        asked_at = self._clock.wall()
        try:
            call = batch_call(endpoint, batch, loads, origin)
            rows, replies = await self._rows(
                call, lambda reply: listed_rows(endpoint, batch, reply)
            )
        except BackendHttpError as error:
            if len(chunk) == 1 and error.status in endpoint.none_on:
                row: Row = [] if batch.many else None
                return {chunk[0].key: Fetched(row=row, status=error.status)}
            if len(chunk) == 1 or error.status not in ONE_KEY_IS_BAD:
                raise
            return await self._split(endpoint, batch, chunk, origin, extra, error)
        by_key, unexpected = batch_rows(endpoint, batch, rows, loads)
        if unexpected:
            name = endpoint.backend.name
            self._events.emit(
                RowsUnexpected(backend=name, endpoint=endpoint.label, extra=unexpected)
            )
        found = {one.key: by_key[one.load.key] for one in chunk}
        await self._store(endpoint, chunk, found, replies, asked_at, with_validators=False)
        return {
            key: row if isinstance(row, BackendError) else Fetched(row=row)
            for key, row in found.items()
        }

    async def _split(
        self,
        endpoint: EndpointSpec,
        batch: Batch,
        chunk: Sequence[_Wanted],
        origin: Origin,
        extra: _Extra,
        error: BackendHttpError,
    ) -> Mapping[LoadKey, Outcome]:
        """Ask for the halves, down to single keys, so that the one that is bad fails alone. What
        there are no calls left for fails with `error`."""
        middle = len(chunk) // 2
        outcomes: dict[LoadKey, Outcome] = {}
        halves = []
        for half in (chunk[:middle], chunk[middle:]):
            if extra.left > 0 and (origin.budget is None or origin.budget.may_call(1)):
                extra.left -= 1
                halves.append(half)
                if origin.budget is not None:
                    origin.budget.spend_calls(1)
            else:
                outcomes |= {one.key: error for one in half}
        for found in await asyncio.gather(
            *(self._fly_half(endpoint, batch, half, origin, extra) for half in halves)
        ):
            outcomes |= found
        return outcomes

    async def _fly_half(
        self,
        endpoint: EndpointSpec,
        batch: Batch,
        half: Sequence[_Wanted],
        origin: Origin,
        extra: _Extra,
    ) -> Mapping[LoadKey, Outcome]:
        try:
            if len(half) > 1 or batch.always:
                return await self._fly_batch(endpoint, batch, half, origin, extra)
            return {half[0].key: await self._fly_single(endpoint, half[0], origin)}
        except PlaitError as error:
            return {one.key: error for one in half}

    async def _fly_single(self, endpoint: EndpointSpec, one: _Wanted, origin: Origin) -> Outcome:
        call = _conditional(single_call(endpoint, one.load.values, origin), one.entry)
        asked_at = self._clock.wall()
        many = endpoint.batch is not None and endpoint.batch.many
        try:
            row, replies = await self._rows(call, lambda reply: single_row(endpoint, reply))
        except BackendHttpError as error:
            if error.status in endpoint.none_on:
                return Fetched(row=[] if many else None, status=error.status)
            raise
        if replies[0].status == 304:
            return await self._not_modified(endpoint, one, replies[0], asked_at)
        if row is None and many:
            row = []
        await self._store(endpoint, [one], {one.key: row}, replies, asked_at, with_validators=True)
        return Fetched(row=row)

    async def _rows(self, call: Call, read: Callable[[Reply], Row]) -> tuple[Row, list[Reply]]:
        """What `read` makes of the reply; where it is a list in several pages, of all of them."""
        endpoint = call.endpoint
        reply = await self._call(call)
        replies = [reply]
        if reply.status == 304:
            return None, replies
        rows = read(reply)
        if not isinstance(rows, list):
            return rows, replies
        while (url := next_page(endpoint, reply)) is not None:
            if len(replies) >= endpoint.pages_max or call.method != "GET":
                raise bad_reply(endpoint, f"it is one page of more than {len(replies)}")
            if call.origin.budget is not None:
                call.origin.budget.spend_calls(1)
            base = self._server(endpoint).url
            call = page_call(call, url, base)
            reply = await self._call(call)
            replies.append(reply)
            more = read(reply)
            if not isinstance(more, list):
                raise bad_reply(endpoint, "a further page is not a list of rows")
            rows = rows + more
        return rows, replies

    async def _not_modified(
        self, endpoint: EndpointSpec, one: _Wanted, reply: Reply, asked_at: float
    ) -> Outcome:
        if one.entry is None or self._cache is None:
            raise bad_reply(endpoint, "304 to a call that had no condition")
        entry = renewed(
            one.entry,
            reply,
            endpoint.cache,
            asked_at=asked_at,
            now=self._clock.wall(),
            personal=bool(one.key[3]),
            varies_with=_varies_with(endpoint),
        )
        if entry is not None:
            await self._cache.put_many({cache_key(endpoint.backend.name, one.key): entry})
        return Fetched(row=decode(one.entry.row))

    async def _call(self, call: Call) -> Reply:
        return await self._server(call.endpoint).call(call)

    def _server(self, endpoint: EndpointSpec) -> Server:
        server = self._servers.get(endpoint.backend.name)
        if server is None:
            raise LookupError(
                f"Backend '{endpoint.backend.name}' is not part of this graph: "
                "name it in Graph(backends=[...])."
            )
        return server

    async def _store(
        self,
        endpoint: EndpointSpec,
        chunk: Sequence[_Wanted],
        rows: Mapping[LoadKey, Row],
        replies: Sequence[Reply],
        asked_at: float,
        *,
        with_validators: bool,
    ) -> None:
        lifetime = self._lifetime(endpoint, replies, personal=bool(chunk[0].key[3]))
        if lifetime is None or self._cache is None:
            return
        name = endpoint.backend.name
        with_validators = with_validators and len(replies) == 1
        await self._cache.put_many(
            {
                cache_key(name, one.key): _entry(rows[one.key], lifetime, asked_at, with_validators)
                for one in chunk
                if not isinstance(rows[one.key], BackendError)
            }
        )

    def _lifetime(
        self, endpoint: EndpointSpec, replies: Sequence[Reply], *, personal: bool
    ) -> Lifetime | None:
        """The shortest of the replies' lifetimes."""
        if self._cache is None or not endpoint.cache.enabled:
            return None
        method = endpoint.batch.method if endpoint.batch else endpoint.method
        if method == "POST" and endpoint.cache.ttl_s is None:
            return None  # a POST's reply is not cacheable by itself (RFC 9110, section 9.3.3)
        lifetimes = [
            lifetime_of(
                reply,
                endpoint.cache,
                now=self._clock.wall(),
                personal=personal,
                varies_with=_varies_with(endpoint),
            )
            for reply in replies
        ]
        known = [one for one in lifetimes if one is not None]
        return min(known, key=_fresh_until) if len(known) == len(lifetimes) else None


def _fresh_until(lifetime: Lifetime) -> float:
    return lifetime.fresh_until


def _chunks(endpoint: EndpointSpec, wanted: Sequence[_Wanted]) -> list[Sequence[_Wanted]]:
    batch = endpoint.batch
    if batch is None:
        return [[one] for one in wanted]
    alike: dict[str, list[_Wanted]] = {}
    chunks: list[Sequence[_Wanted]] = []
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


def _landed(endpoint: EndpointSpec, key: LoadKey, flight: _Flight) -> Outcome:
    name = endpoint.backend.name
    if not flight.task.done():
        message = f"Backend '{name}' did not answer before the request's deadline."
        return BackendTimeout(message, backend=name, endpoint=endpoint.label)
    if flight.task.cancelled():
        message = f"The call to backend '{name}' was given up."
        return BackendDisconnected(message, backend=name, endpoint=endpoint.label)
    return flight.task.result()[key]


def _broke_off(one: _Wanted) -> bool:
    """Whether the call that was joined ended by its clock, and not by an answer."""
    flight = one.flight
    assert flight is not None
    return flight.task.done() and (
        flight.task.cancelled() or isinstance(one.outcome, BackendTimeout)
    )


def _conditional(call: Call, entry: Entry | None) -> Call:
    if entry is None or not (added := conditional_headers(entry)):
        return call
    return replace(call, headers=(*call.headers, *added))


def _varies_with(endpoint: EndpointSpec) -> frozenset[str]:
    """Request headers that are the same in all calls under one key, so that `Vary` may name
    them."""
    declared = (name.lower() for name in endpoint.headers.values())
    fixed = (name.lower() for name in endpoint.backend.headers)
    return frozenset((*declared, *fixed, *endpoint.backend.forward))


def _entry(row: Row, lifetime: Lifetime, asked_at: float, with_validators: bool) -> Entry:
    """A batch's validators speak of the whole batch: its rows are kept without them."""
    return Entry(
        row=encode(row),
        asked_at=asked_at,
        fresh_until=lifetime.fresh_until,
        revalidate_until=lifetime.revalidate_until,
        error_until=lifetime.error_until,
        etag=lifetime.etag if with_validators else None,
        last_modified=lifetime.last_modified if with_validators else None,
    )
