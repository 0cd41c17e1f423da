"""Where rows are kept: aiocache's stores behind a bound, a time limit, and one read a batch.

A cache is a help and never a condition: when it fails or dawdles it is left alone for a while, so
that an outage costs its time-out once and not once a request.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec
from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

from plait.backend.freshness import KEPT_S_MAX, CacheEntry
from plait.clock import Clock
from plait.emit import Events
from plait.errors import SettingsError
from plait.events import CacheFailed

_ENTRY_BYTES = 600
"""What an entry weighs beside its row: the key, the tuple, the place in the order."""

Name: TypeAlias = Hashable
"""What a row, or a mark, goes by: a text, unless the cache is in this process."""
_Kept = tuple[bytes, float, float, float, float, str | None, str | None]
_decode = msgspec.msgpack.Decoder(_Kept).decode


class RowCache:
    """Rows by key, in any of aiocache's stores. `retry_after_s` is how long a failed store is left
    alone."""

    def __init__(
        self,
        store: BaseCache,
        *,
        clock: Clock,
        events: Events,
        timeout_s: float = 0.1,
        retry_after_s: float = 5.0,
    ) -> None:
        self._store = store
        self.here = store if isinstance(store, BoundedMemory) else None
        """The store, where it is in this process, so that nothing need be waited for."""
        self._clock = clock
        self._events = events
        self._timeout_s = timeout_s
        self._retry_after_s = retry_after_s
        self._down_until = 0.0
        self._marks = Marks()

    @property
    def is_down(self) -> bool:
        """Whether the store is being left alone."""
        return self._clock.now() < self._down_until

    @property
    def has_marks(self) -> bool:
        """Whether anything may be out of date: another process may know of it, or this one does."""
        return bool(self._marks) or self.here is None

    def get_here(
        self, keys: Sequence[Name], marks: Sequence[Name] = ()
    ) -> tuple[dict[Name, CacheEntry], dict[Name, float]]:
        """As `get_many`, of a cache in this process."""
        assert self.here is not None
        return self.here.peek_many(keys), self._marks.get_many(marks)

    async def get_many(
        self, keys: Sequence[Name], marks: Sequence[Name] = ()
    ) -> tuple[dict[Name, CacheEntry], dict[Name, float]]:
        """What is kept under `keys`, and since when what goes by each of `marks` is out of date;
        read at once. Nothing when the store is down."""
        if self.here is not None:
            return self.get_here(keys, marks)
        past = self._marks.get_many(marks)
        names = [*keys, *marks]
        values = await self._guarded("read", self._store.multi_get, names)
        read = dict(zip(names, map(_unpacked, values or ()), strict=False))
        found = {key: entry for key in keys if (entry := read.get(key)) is not None}
        for mark in marks:
            if (entry := read.get(mark)) is not None:
                past[mark] = max(past.get(mark, 0.0), entry.asked_at)
        return found, past

    async def mark(self, marks: Sequence[Name]) -> None:
        """Everything that goes by `marks` and was asked for until now is out of date."""
        now = self._clock.wall()
        self._marks.put_many(marks, now)
        if self.here is None:
            until = now + KEPT_S_MAX
            made = CacheEntry(
                row=b"", asked_at=now, fresh_until=until, revalidate_until=until, error_until=until
            )
            await self.put_many(dict.fromkeys(marks, made))

    def put_here(self, entries: Mapping[Any, CacheEntry]) -> None:
        """As `put_many`, in a cache in this process."""
        assert self.here is not None
        for key, entry in entries.items():
            self.here.put(key, entry)

    async def put_many(self, entries: Mapping[Any, CacheEntry]) -> None:
        """Keep rows, each for as long as it is of use."""
        if self.here is not None:
            self.put_here(entries)
            return
        by_ttl: dict[int, list[tuple[Name, bytes]]] = {}
        for key, entry in entries.items():
            ttl = int(entry.kept_until - self._clock.wall()) + 1
            if ttl > 0:
                by_ttl.setdefault(ttl, []).append((key, _packed(entry)))
        for (
            ttl,
            pairs,
        ) in by_ttl.items():  # rows of one reply share a lifetime: one command in practice
            await self._guarded("write", self._store.multi_set, pairs, ttl=ttl)

    async def close(self) -> None:
        """Close the store's connections."""
        client: Any = getattr(self._store, "client", None)
        if hasattr(client, "aclose"):  # aiocache still calls Redis's deprecated close()
            await client.aclose(close_connection_pool=True)
        else:
            await self._store.close()

    async def _guarded(self, operation: Any, function: Any, *arguments: Any, **options: Any) -> Any:
        if self.is_down:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                return await function(*arguments, **options)
        except Exception as error:  # stores raise errors of their drivers' own
            self._down_until = self._clock.now() + self._retry_after_s * (
                0.75 + self._clock.random() / 2
            )
            self._events.emit(CacheFailed(operation=operation, reason=type(error).__name__))
            return None


class Marks:
    """Since when rows are out of date, by the names that they go by. Those that are forgotten for
    want of room hold for every row."""

    def __init__(self, entries_max: int = 100_000) -> None:
        self._entries_max = entries_max
        self._past: OrderedDict[Name, float] = OrderedDict()
        self._floor = 0.0

    def __len__(self) -> int:
        return len(self._past)

    def get_many(self, marks: Sequence[Name]) -> dict[Name, float]:
        """The moment for each of `marks` that has one."""
        if not self._past:
            return {}
        floor = self._floor
        return {
            mark: past for mark in marks if (past := max(self._past.get(mark, 0.0), floor)) > 0.0
        }

    def put_many(self, marks: Sequence[Name], now: float) -> None:
        """Note `now` for each of `marks`."""
        for mark in marks:
            self._past[mark] = now
            self._past.move_to_end(mark)
        while len(self._past) > self._entries_max:
            self._floor = max(self._floor, self._past.popitem(last=False)[1])


class BoundedMemory(BaseCache):  # type: ignore[misc]
    """aiocache's memory store with bounds: the least recently used rows go first.

    Expiry is looked at when a row is read, so there are no timers. `RowCache` uses it directly,
    without aiocache's wrapper around each call; as an aiocache store it holds any value.
    """

    NAME = "memory"

    def __init__(
        self, *, clock: Clock, entries_max: int = 100_000, bytes_max: int = 256 * 1024 * 1024
    ) -> None:
        super().__init__(serializer=NullSerializer(), timeout=0)
        self._clock = clock
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self.kept: OrderedDict[Name, CacheEntry] = OrderedDict()
        """What it has, for who only wants to know whether there is anything."""
        self._bytes = 0

    def peek_many(self, keys: Sequence[Name]) -> dict[Name, CacheEntry]:
        """What is kept under `keys` and still of use."""
        now = self._clock.wall()
        found = {}
        for key in keys:
            entry = self.kept.get(key)
            if entry is None:
                continue
            if entry.kept_until <= now:
                self.drop(key)
            else:
                self.kept.move_to_end(key)
                found[key] = entry
        return found

    def put(self, key: Name, entry: CacheEntry) -> None:
        """Keep one row, and let the oldest go for it."""
        self.drop(key)
        self.kept[key] = entry
        self._bytes += _weight(entry)
        while len(self.kept) > self._entries_max or self._bytes > self._bytes_max:
            self.drop(next(iter(self.kept)))

    def drop(self, key: Name) -> bool:
        """Forget one row. Whether there was one."""
        entry = self.kept.pop(key, None)
        if entry is not None:
            self._bytes -= _weight(entry)
        return entry is not None

    # aiocache's own interface, for whoever holds it as a plain aiocache store

    async def _get(self, key: str, encoding: str = "utf-8", _conn: Any = None) -> Any:
        return self.peek_many([key]).get(key)

    async def _multi_get(
        self, keys: Sequence[str], encoding: str = "utf-8", _conn: Any = None
    ) -> Any:
        found = self.peek_many(keys)
        return [found.get(key) for key in keys]

    async def _set(
        self, key: str, value: Any, ttl: Any = None, _cas_token: Any = None, _conn: Any = None
    ) -> bool:
        self.put(key, value)
        return True

    async def _multi_set(self, pairs: Any, ttl: Any = None, _conn: Any = None) -> bool:
        for key, value in pairs:
            self.put(key, value)
        return True

    async def _delete(self, key: str, _conn: Any = None) -> int:
        return int(self.drop(key))

    async def _exists(self, key: str, _conn: Any = None) -> bool:
        return key in self.kept

    async def _clear(self, namespace: str | None = None, _conn: Any = None) -> bool:
        self.kept.clear()
        self._bytes = 0
        return True


def open_store(
    url: str | None, *, clock: Clock, entries_max: int, bytes_max: int, timeout_s: float
) -> BaseCache:
    """The store that a cache URL names. Raises `SettingsError`, without the URL: it may hold a
    password."""
    if url is None or url.startswith("memory://"):
        return BoundedMemory(clock=clock, entries_max=entries_max, bytes_max=bytes_max)
    try:
        parts = urlsplit(url)
        database = parts.path.strip("/")
        readable = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is none
        readable = False
    if readable and parts.scheme in ("redis", "rediss") and (database or "0").isdecimal():
        return _redis(url, timeout_s)
    if readable and parts.scheme == "memcached":
        from aiocache.backends.memcached import MemcachedCache

        return MemcachedCache(
            endpoint=parts.hostname,
            port=parts.port or 11211,
            serializer=NullSerializer(encoding=None),
            timeout=0,
        )
    raise SettingsError(
        "PLAIT_CACHE_URL is not memory://, redis://host:port/db, rediss://... or memcached://host:port."
    )


def _redis(url: str, timeout_s: float) -> BaseCache:
    from aiocache.backends.redis import RedisCache

    parts = urlsplit(url)
    return RedisCache(
        endpoint=parts.hostname,
        port=parts.port or 6379,
        db=int(parts.path.strip("/") or 0),
        password=unquote(parts.password) if parts.password else None,
        ssl=parts.scheme == "rediss",
        create_connection_timeout=timeout_s,
        serializer=NullSerializer(encoding=None),
        timeout=0,
    )


def _packed(entry: CacheEntry) -> bytes:
    return msgspec.msgpack.encode(
        (
            entry.row,
            entry.asked_at,
            entry.fresh_until,
            entry.revalidate_until,
            entry.error_until,
            entry.etag,
            entry.last_modified,
        )
    )


def _unpacked(value: Any) -> CacheEntry | None:
    """A kept entry; a foreign or damaged value counts as none."""
    try:
        row, stored, fresh, revalidate, error, etag, modified = _decode(value)
    except (msgspec.DecodeError, TypeError, ValueError):
        return None
    return CacheEntry(
        row=row,
        asked_at=stored,
        fresh_until=fresh,
        revalidate_until=revalidate,
        error_until=error,
        etag=etag,
        last_modified=modified,
    )


def _weight(entry: CacheEntry) -> int:
    return _ENTRY_BYTES + len(entry.row)
