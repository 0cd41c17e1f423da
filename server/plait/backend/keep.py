"""What of the replies is kept, under which names, and what of it may be used now."""

from collections.abc import Callable, Mapping, Sequence

from plait.backend.cache import Name, RowCache
from plait.backend.call import Reply
from plait.backend.forget import Stale
from plait.backend.freshness import (
    CacheEntry,
    Lifetime,
    lifetime_of,
    renewed,
)
from plait.backend.identity import Family, RowKey, cache_key, endpoint_mark, row_key, row_mark
from plait.backend.keys import Key
from plait.backend.spec import EndpointSpec
from plait.clock import Clock


class Keeper:
    """Keeps rows by their keys. Without a cache it keeps nothing."""

    def __init__(self, cache: RowCache | None, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._kept = cache.here.kept if cache is not None and cache.here is not None else None
        self.is_here = self._kept is not None
        """Whether what is kept is in this process: nothing need be waited for, and rows go by their
        keys as they are."""

    def keeps(self, endpoint: EndpointSpec) -> bool:
        """Whether its rows may be kept at all."""
        return self._cache is not None and endpoint.cache.enabled

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be read, as far as can be told without waiting."""
        return self._cache is None or (self.is_here and not self._kept)

    def lifetime(self, endpoint: EndpointSpec, reply: Reply, *, personal: bool) -> Lifetime | None:
        """How long what a reply brings may be kept, where it may be."""
        policy, said = endpoint.cache, reply.said
        if not policy.enabled or said.forbids_keeping:
            return None
        if policy.ttl_s is None and not said.speaks_of_keeping:
            return None  # nobody says that it may be kept: of most nobody does
        return self._lifetime(endpoint, (reply,), personal=personal)

    async def read(
        self, endpoint: EndpointSpec, keys: Sequence[RowKey], since: float
    ) -> dict[RowKey, CacheEntry]:
        """What is kept of one endpoint and was asked for after `since`, and after all that was
        written there."""
        assert self._cache is not None
        names = self._names(endpoint, keys)
        entries, past = await self._cache.get_many(names.rows, names.marks)
        return names.usable(entries, past, since)

    def read_here(
        self, endpoint: EndpointSpec, keys: Sequence[RowKey], since: float
    ) -> dict[RowKey, CacheEntry] | None:
        """As `read`, without waiting; `None` where the cache is not in this process."""
        assert self._cache is not None
        if not self.is_here:
            return None
        names = self._names(endpoint, keys)
        return names.usable(*self._cache.get_here(names.rows, names.marks), since)

    async def store(
        self,
        endpoint: EndpointSpec,
        family: Family,
        rows: Callable[[], Mapping[Key, bytes]],
        replies: Sequence[Reply],
        asked_at: float,
        *,
        with_validators: bool,
    ) -> float:
        """Keep the rows that `replies` brought, as JSON, for as long as all of them allow. Until
        when they are fresh, in seconds since 1970; 0 where they are not kept, and not made.

        Validators speak of one whole reply: rows of a batch, or of several pages, are kept without.
        """
        lifetime = self._lifetime(endpoint, replies, personal=bool(family[1]))
        if lifetime is None or self._cache is None:
            return 0.0
        with_validators = with_validators and len(replies) == 1
        entries = _entries(family, rows(), lifetime, asked_at, with_validators=with_validators)
        name = endpoint.backend.name
        await self._cache.put_many(
            {self._row_name(name, key): entry for key, entry in entries.items()}
        )
        return lifetime.fresh_until

    def store_here(
        self,
        family: Family,
        rows: Mapping[Key, bytes],
        lifetime: Lifetime,
        asked_at: float,
        *,
        with_validators: bool,
    ) -> None:
        """As `store`, without waiting."""
        assert self._cache is not None
        entries = _entries(family, rows, lifetime, asked_at, with_validators=with_validators)
        self._cache.put_here(entries)

    def _names(self, endpoint: EndpointSpec, keys: Sequence[RowKey]) -> "_Names":
        assert self._cache is not None
        with_marks = self._cache.has_marks
        return _Names(endpoint, keys, is_here=self.is_here, with_marks=with_marks)

    def _row_name(self, backend: str, key: RowKey) -> Name:
        return key if self.is_here else cache_key(backend, key)

    async def renew(
        self, endpoint: EndpointSpec, key: RowKey, entry: CacheEntry, reply: Reply, asked_at: float
    ) -> None:
        """`entry` still holds, says `reply`."""
        again = renewed(
            entry,
            reply,
            endpoint.cache,
            asked_at=asked_at,
            now=self._clock.wall(),
            personal=bool(key[2]),
            varies_with=_varies_with(endpoint),
        )
        if again is not None and self._cache is not None:
            await self._cache.put_many({self._row_name(endpoint.backend.name, key): again})

    async def mark(self, stale: Sequence[tuple[Stale, str]]) -> None:
        """What is out of date from now on, each with its endpoint's identity."""
        if self._cache is not None and stale:
            await self._cache.mark([self._mark(one, identity) for one, identity in stale])

    def _mark(self, stale: Stale, identity: str) -> Name:
        name = stale.endpoint.backend.name
        if stale.key is None:
            return endpoint_mark(name, identity)
        key = row_key((identity, ()), stale.key)
        return key[:2] if self.is_here else row_mark(name, key)

    def _lifetime(
        self, endpoint: EndpointSpec, replies: Sequence[Reply], *, personal: bool
    ) -> Lifetime | None:
        if not self.keeps(endpoint):
            return None
        method = endpoint.batch.method if endpoint.batch else endpoint.method
        if method == "POST" and endpoint.cache.ttl_s is None:
            return None  # a POST's reply is not cacheable by itself (RFC 9110, section 9.3.3)
        lifetimes = []
        for reply in replies:
            one = lifetime_of(
                reply,
                endpoint.cache,
                now=self._clock.wall(),
                personal=personal,
                varies_with=_varies_with(endpoint),
            )
            if one is None:
                return None
            lifetimes.append(one)
        return Lifetime(
            fresh_until=min(one.fresh_until for one in lifetimes),
            revalidate_until=min(one.revalidate_until for one in lifetimes),
            error_until=min(one.error_until for one in lifetimes),
            etag=lifetimes[0].etag,
            last_modified=lifetimes[0].last_modified,
        )


def _entries(
    family: Family,
    rows: Mapping[Key, bytes],
    lifetime: Lifetime,
    asked_at: float,
    *,
    with_validators: bool,
) -> dict[RowKey, CacheEntry]:
    return {
        row_key(family, key): CacheEntry(
            row=row,
            asked_at=asked_at,
            fresh_until=lifetime.fresh_until,
            revalidate_until=lifetime.revalidate_until,
            error_until=lifetime.error_until,
            etag=lifetime.etag if with_validators else None,
            last_modified=lifetime.last_modified if with_validators else None,
        )
        for key, row in rows.items()
    }


class _Names:
    """What the rows of some keys, and what makes them out of date, go by in the cache."""

    def __init__(
        self, endpoint: EndpointSpec, keys: Sequence[RowKey], *, is_here: bool, with_marks: bool
    ) -> None:
        name = endpoint.backend.name
        self._keys = keys
        self.rows: Sequence[Name] = keys if is_here else [cache_key(name, key) for key in keys]
        self._whole = endpoint_mark(name, keys[0][0])
        self._past: Sequence[Name] = self.rows
        self.marks: Sequence[Name] = ()
        if with_marks:
            self._past = (
                [key[:2] for key in keys] if is_here else [row_mark(name, key) for key in keys]
            )
            self.marks = [self._whole, *self._past]

    def usable(
        self, entries: Mapping[Name, CacheEntry], past: Mapping[Name, float], since: float
    ) -> dict[RowKey, CacheEntry]:
        """Those of `entries` that nothing has made out of date."""
        if not entries:
            return {}
        if not past and self.rows is self._keys:
            return {
                key: entry
                for key in self._keys
                if (entry := entries.get(key)) is not None and entry.asked_at > since
            }
        since = max(since, past.get(self._whole, 0.0))
        return {
            key: entry
            for key, name, row in zip(self._keys, self.rows, self._past, strict=True)
            if (entry := entries.get(name)) is not None
            and entry.asked_at > max(since, past.get(row, 0.0))
        }


def _varies_with(endpoint: EndpointSpec) -> frozenset[str]:
    """Request headers that are the same in all calls under one key, so that `Vary` may name
    them."""
    declared = (name.lower() for name in endpoint.headers.values())
    fixed = (name.lower() for name in endpoint.backend.headers)
    return frozenset((*declared, *fixed, *endpoint.backend.forward))
