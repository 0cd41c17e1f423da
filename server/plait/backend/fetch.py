"""Loads -> rows: cache, then coalescing, then as few calls as possible. Lives as long as the app.

The order: the cache is asked first, once for all keys. What it lacks joins calls that are already
in flight for the same keys, from whichever request; only the rest becomes calls of its own,
chunked at the batch's size. Rows are cached and coalesced by key, so `{1, 2}` followed by `{2, 3}`
asks for 3 alone.

A call in flight belongs to this module, not to the request that caused it: others may be waiting
for it. It is cancelled when the last of them has gone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec

from plait.backend.build import Load, batch_call, load_of, single_call
from plait.backend.cache import RowCache
from plait.backend.call import Call, Handler, Origin, Reply
from plait.backend.client import forwarded_headers
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
from plait.backend.spec import Batch, EndpointSpec
from plait.backend.split import Row, batch_rows, single_row
from plait.clock import Clock
from plait.errors import (
    BackendDisconnected,
    BackendError,
    BackendHttpError,
    PlaitError,
    is_retryable,
)
from plait.events import CacheRead, Events, RowsUnexpected


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The row, or rows, of one load. `row` is `None` when the backend has none."""

    row: Row
    stale_because: BackendError | None = None
    """Set when the backend failed and a stale copy stands in."""


Outcome: TypeAlias = Fetched | PlaitError
_Key: TypeAlias = tuple[EndpointSpec, tuple[str, ...], str, tuple[tuple[str, str], ...]]


@dataclass(slots=True, kw_only=True, eq=False)
class _Flight:
    """One call in flight: what it brings, and how many are waiting for it."""

    task: "asyncio.Task[Mapping[_Key, Outcome]]"
    waiting: int = 0


@dataclass(slots=True, kw_only=True)
class _Wanted:
    """One load on its way through a fetch."""

    load: Load
    key: _Key
    cache_key: str
    entry: Entry | None = None
    outcome: Outcome | None = None
    flight: _Flight | None = None
    shared: bool = False


class Fetcher:
    """Answers loads from the cache or with calls. `clients` are the layered calls, by backend
    name."""

    def __init__(
        self,
        clients: Mapping[str, Handler],
        *,
        cache: RowCache | None,
        clock: Clock,
        events: Events,
    ) -> None:
        self._clients = clients
        self._cache = cache
        self._clock = clock
        self._events = events
        self._flying: dict[_Key, _Flight] = {}
        self._background: set[asyncio.Task[Any]] = set()

    async def fetch(
        self, endpoint: EndpointSpec, loads: Sequence[Load], origin: Origin
    ) -> list[Outcome]:
        """One outcome for each load, in order. A failed key is an outcome too; only defects
        raise."""
        scope = forwarded_headers(endpoint.backend, origin)
        wanted = [self._want(endpoint, load, scope) for load in loads]
        if self._caches(endpoint):
            await self._read_cache(endpoint, wanted, origin)
        missing = [one for one in wanted if one.outcome is None]
        if missing:
            self._board(endpoint, missing, origin)
            await self._land(missing)
        return [self._settled(one) for one in wanted]

    async def close(self) -> None:
        """Cancel what is still in flight."""
        tasks = {flight.task for flight in self._flying.values()} | self._background
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def purge(
        self, endpoint: EndpointSpec, values: Mapping[str, Any], origin: Origin
    ) -> None:
        """Forget the cached row that `values` ask for, in the scope of `origin`."""
        if self._cache:
            scope = forwarded_headers(endpoint.backend, origin)
            await self._cache.delete_many(
                [self._want(endpoint, load_of(endpoint, values), scope).cache_key]
            )

    # --- the cache

    def _want(
        self, endpoint: EndpointSpec, load: Load, scope: tuple[tuple[str, str], ...]
    ) -> _Wanted:
        key = (endpoint, load.key, load.shared, scope)
        return _Wanted(load=load, key=key, cache_key=cache_key(endpoint, load, scope))

    def _caches(self, endpoint: EndpointSpec) -> bool:
        # A POST that reads has no freshness of its own (RFC 9110, section 9.3.3): only a declared
        # ttl caches it.
        policy = endpoint.cache
        return self._cache is not None and policy.enabled

    async def _read_cache(
        self, endpoint: EndpointSpec, wanted: Sequence[_Wanted], origin: Origin
    ) -> None:
        assert self._cache is not None
        entries = await self._cache.get_many([one.cache_key for one in wanted])
        if not entries:
            return
        counts = dict.fromkeys(Use, 0)
        refresh = []
        for one in wanted:
            one.entry = entries.get(one.cache_key)
            use = use_of(one.entry, self._clock.wall()) if one.entry else Use.EXPIRED
            counts[use] += 1
            if one.entry and use in (Use.FRESH, Use.STALE_REVALIDATE):
                one.outcome = Fetched(row=msgspec.json.decode(one.entry.row))
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
            # The request's deadline is not this call's: nobody waits for it.
            later = Origin(
                request_id=origin.request_id, traceparent=origin.traceparent, headers=origin.headers
            )
            self._board(endpoint, absent, later)
            for flight in {id(one.flight): one.flight for one in absent}.values():
                assert flight is not None
                flight.waiting += 1  # for ever: nobody will leave it

    # --- calls in flight

    def _board(self, endpoint: EndpointSpec, wanted: Sequence[_Wanted], origin: Origin) -> None:
        """Join each load to the call in flight for its key, or start one. Changes all state at
        once."""
        new = []
        for one in wanted:
            one.flight = self._flying.get(one.key) if endpoint.reads else None
            one.shared = one.flight is not None
            if not one.shared:
                new.append(one)
        chunks = _chunks(endpoint, new)
        if origin.budget is not None:  # before others can join: the limit is this request's alone
            origin.budget.spend_calls(len(chunks))
        for chunk in chunks:
            flight = _Flight(task=asyncio.create_task(self._fly(endpoint, chunk, origin)))
            for one in chunk:
                one.flight = self._flying[one.key] = flight
            flight.task.add_done_callback(partial(self._gone, chunk, flight))

    def _gone(self, chunk: Sequence[_Wanted], flight: _Flight, _: object) -> None:
        for one in chunk:
            if self._flying.get(one.key) is flight:
                del self._flying[one.key]

    async def _land(self, wanted: Sequence[_Wanted]) -> None:
        flights = list({id(one.flight): one.flight for one in wanted if one.flight}.values())
        for flight in flights:
            flight.waiting += 1
        try:
            await asyncio.wait([flight.task for flight in flights])
        finally:
            for flight in flights:
                flight.waiting -= 1
                if flight.waiting == 0 and not flight.task.done():
                    flight.task.cancel()
        for one in wanted:
            assert one.flight is not None
            one.outcome = _landed(one, one.flight)

    def _settled(self, one: _Wanted) -> Outcome:
        """The outcome, or the stale copy that may stand in for an error (RFC 5861, section 4)."""
        outcome = one.outcome
        assert outcome is not None
        if one.entry is None or not isinstance(outcome, BackendError) or not is_retryable(outcome):
            return outcome
        if not usable_on_error(one.entry, self._clock.wall()):
            return outcome
        return Fetched(row=msgspec.json.decode(one.entry.row), stale_because=outcome)

    # --- one call

    async def _fly(
        self, endpoint: EndpointSpec, chunk: Sequence[_Wanted], origin: Origin
    ) -> Mapping[_Key, Outcome]:
        batch = endpoint.batch
        try:
            if batch and (len(chunk) > 1 or batch.always):
                return await self._fly_batch(endpoint, batch, chunk, origin)
            return {chunk[0].key: await self._fly_single(endpoint, chunk[0], origin)}
        except PlaitError as error:
            return {one.key: error for one in chunk}

    async def _fly_batch(
        self, endpoint: EndpointSpec, batch: Batch, chunk: Sequence[_Wanted], origin: Origin
    ) -> Mapping[_Key, Outcome]:
        loads = [one.load for one in chunk]
        reply = await self._call(batch_call(endpoint, batch, loads, origin))
        rows, extra = batch_rows(endpoint, batch, reply.body, loads)
        if extra:
            name = endpoint.backend.name
            self._events.emit(RowsUnexpected(backend=name, endpoint=endpoint.label, extra=extra))
        found = {one.key: rows[one.load.key] for one in chunk}
        await self._store(endpoint, chunk, found, reply, with_validators=False)
        return {
            key: row if isinstance(row, BackendError) else Fetched(row=row)
            for key, row in found.items()
        }

    async def _fly_single(self, endpoint: EndpointSpec, one: _Wanted, origin: Origin) -> Outcome:
        call = single_call(endpoint, one.load.values, origin)
        try:
            reply = await self._call(_conditional(call, one.entry))
        except BackendHttpError as error:
            if error.status == 404:
                return Fetched(row=None)
            raise
        if reply.status == 304:
            return await self._not_modified(endpoint, one, reply, origin)
        row = single_row(endpoint, reply.body)
        await self._store(endpoint, [one], {one.key: row}, reply, with_validators=True)
        return Fetched(row=row)

    async def _not_modified(
        self, endpoint: EndpointSpec, one: _Wanted, reply: Reply, origin: Origin
    ) -> Outcome:
        assert one.entry is not None
        assert self._cache is not None
        entry = renewed(
            one.entry,
            reply,
            endpoint.cache,
            now=self._clock.wall(),
            personal=bool(one.key[3]),
            varies_with=_varies_with(endpoint),
        )
        if entry is not None:
            await self._cache.put_many({one.cache_key: entry})
        return Fetched(row=msgspec.json.decode(one.entry.row))

    async def _call(self, call: Call) -> Reply:
        client = self._clients.get(call.endpoint.backend.name)
        if client is None:
            raise LookupError(
                f"Backend '{call.endpoint.backend.name}' is not part of this graph: "
                "name it in Graph(backends=[...])."
            )
        return await client(call)

    async def _store(
        self,
        endpoint: EndpointSpec,
        chunk: Sequence[_Wanted],
        rows: Mapping[_Key, Row],
        reply: Reply,
        *,
        with_validators: bool,
    ) -> None:
        lifetime = self._lifetime(endpoint, reply, personal=bool(chunk[0].key[3]))
        if lifetime is None or self._cache is None:
            return
        now = self._clock.wall()
        await self._cache.put_many(
            {
                one.cache_key: _entry(rows[one.key], lifetime, now, with_validators)
                for one in chunk
                if not isinstance(rows[one.key], BackendError)
            }
        )

    def _lifetime(self, endpoint: EndpointSpec, reply: Reply, *, personal: bool) -> Lifetime | None:
        if not self._caches(endpoint):
            return None
        method = endpoint.batch.method if endpoint.batch else endpoint.method
        if method == "POST" and endpoint.cache.ttl_s is None:
            return None  # a POST's reply is not cacheable by itself (RFC 9110, section 9.3.3)
        return lifetime_of(
            reply,
            endpoint.cache,
            now=self._clock.wall(),
            personal=personal,
            varies_with=_varies_with(endpoint),
        )


def cache_key(endpoint: EndpointSpec, load: Load, scope: tuple[tuple[str, str], ...]) -> str:
    """The row's name in the cache: short, plain ASCII, and different for every caller whose
    credentials go along."""
    identity = msgspec.json.encode((endpoint.label, load.key, load.shared, scope))
    return f"plait:1:{endpoint.backend.name}:{blake2b(identity, digest_size=20).hexdigest()}"


def _chunks(endpoint: EndpointSpec, wanted: Sequence[_Wanted]) -> list[Sequence[_Wanted]]:
    batch = endpoint.batch
    if batch is None:
        return [[one] for one in wanted]
    alike: dict[str, list[_Wanted]] = {}
    for one in wanted:
        alike.setdefault(one.load.shared, []).append(one)
    return [
        group[start : start + batch.size]
        for group in alike.values()
        for start in range(0, len(group), batch.size)
    ]


def _landed(one: _Wanted, flight: _Flight) -> Outcome:
    if flight.task.cancelled():
        endpoint = one.key[0]
        message = f"The call to backend '{endpoint.backend.name}' was given up."
        return BackendDisconnected(message, backend=endpoint.backend.name, endpoint=endpoint.label)
    outcome = flight.task.result()[one.key]
    if one.shared and isinstance(outcome, Fetched) and isinstance(outcome.row, dict | list):
        # A row is a mutable value that a resolver gets in its hands: each request has a copy of
        # its own.
        return Fetched(row=msgspec.json.decode(msgspec.json.encode(outcome.row)))
    return outcome


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


def _entry(row: Row, lifetime: Lifetime, now: float, with_validators: bool) -> Entry:
    """A batch's validators speak of the whole batch: its rows are kept without them."""
    return Entry(
        row=msgspec.json.encode(row),
        stored_at=now,
        fresh_until=lifetime.fresh_until,
        revalidate_until=lifetime.revalidate_until,
        error_until=lifetime.error_until,
        etag=lifetime.etag if with_validators else None,
        last_modified=lifetime.last_modified if with_validators else None,
    )
