"""The cache's stores: memory with bounds, and real Redis and Memcached servers."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from plait.backend.cache import BoundedMemory, RowCache, open_store
from plait.backend.freshness import CacheEntry
from plait.clock import TestClock
from plait.emit import Events
from plait.errors import SettingsError
from plait.events import CacheFailed, Event
from tests.conftest import free_port, needs, running


def entry(row: bytes = b"1", until: float = 1_000_100.0) -> CacheEntry:
    return CacheEntry(
        row=row, asked_at=1e6, fresh_until=until, revalidate_until=until, error_until=until
    )


def with_cache(
    url: str, test: Callable[[RowCache, TestClock, list[Event]], Awaitable[None]]
) -> None:
    clock, seen = TestClock(), list[Event]()

    async def main() -> None:
        store = open_store(url, clock=clock, entries_max=9, bytes_max=9_000, timeout_s=20)
        cache = RowCache(store, clock=clock, events=Events(seen.append), timeout_s=20)
        await test(cache, clock, seen)
        await cache.close()

    asyncio.run(main())


def server(binary: str, port: int, folder: Path) -> Any:
    options = {
        "redis-server": [
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(folder),
        ],
        "memcached": ["-p", str(port), "-l", "127.0.0.1", "-u", "root"],
    }
    return running([needs(binary), *options[binary]], port)


@pytest.mark.parametrize(
    ("binary", "scheme"), [("redis-server", "redis"), ("memcached", "memcached")]
)
def test_rows_come_back_from_a_real_server(binary: str, scheme: str, tmp_path: Path) -> None:
    async def round_trip(cache: RowCache, clock: TestClock, seen: list[Event]) -> None:
        kept = {f"plait:1:users:{n}": entry(b'{"id": %d}' % n) for n in range(30)}
        await cache.put_many(kept)
        assert await cache.get_many([*kept, "plait:1:users:none"]) == (kept, {})
        other = RowCache(cache._store, clock=clock, events=Events(seen.append))
        await other.mark(["past:3"])
        clock.advance(5)
        assert await cache.get_many(list(kept), ["past:3", "past:4"]) == (kept, {"past:3": 1e6})
        assert seen == []

    port = free_port()
    with server(binary, port, tmp_path):
        with_cache(f"{scheme}://127.0.0.1:{port}", round_trip)


def test_the_keys_of_a_batch_are_one_command_for_redis(tmp_path: Path) -> None:
    async def read(cache: RowCache, _: TestClock, __: list[Event]) -> None:
        await cache.get_many([f"k{n}" for n in range(50)])

    port = free_port()
    with server("redis-server", port, tmp_path):
        with_cache(f"redis://127.0.0.1:{port}/0", read)
        stats = subprocess.run(
            ["redis-cli", "-p", str(port), "info", "commandstats"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert "cmdstat_mget:calls=1," in stats
    assert "cmdstat_get:" not in stats


def test_a_cache_that_is_down_costs_one_failure_and_is_tried_again_later() -> None:
    async def fail(cache: RowCache, clock: TestClock, seen: list[Event]) -> None:
        for _ in range(5):
            assert await cache.get_many(["a"]) == ({}, {})
            await cache.put_many({"a": entry()})
        assert [type(one) for one in seen] == [CacheFailed]
        assert cache.is_down
        clock.advance(10)
        await cache.get_many(["a"])
        assert len(seen) == 2

    with_cache(f"redis://127.0.0.1:{free_port()}", fail)


def test_a_foreign_value_counts_as_none(tmp_path: Path) -> None:
    async def read(cache: RowCache, _: TestClock, __: list[Event]) -> None:
        assert await cache.get_many(["a"]) == ({}, {})

    port = free_port()
    with server("redis-server", port, tmp_path):
        subprocess.run(
            ["redis-cli", "-p", str(port), "set", "a", "junk"], check=True, capture_output=True
        )
        with_cache(f"redis://127.0.0.1:{port}", read)


def test_memory_lets_the_least_recently_used_go() -> None:
    store = BoundedMemory(clock=TestClock(), entries_max=2)
    store.put("a", entry())
    store.put("b", entry())
    store.peek_many(["a"])
    store.put("c", entry())
    assert set(store.peek_many(["a", "b", "c"])) == {"a", "c"}


def test_memory_is_bounded_in_bytes_and_forgets_what_is_over() -> None:
    clock = TestClock()
    store = BoundedMemory(clock=clock, bytes_max=5_000)
    for n in range(100):
        store.put(str(n), entry(b"x" * 600))
    assert 0 < len(store.kept) <= 5
    clock.advance(101)
    assert store.peek_many([str(n) for n in range(100)]) == {}
    assert len(store.kept) == 0


@pytest.mark.parametrize("url", ["mysql://u:secret@h", "redis://", "nonsense"])
def test_a_url_that_names_no_store_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="PLAIT_CACHE_URL") as caught:
        open_store(url, clock=TestClock(), entries_max=1, bytes_max=1, timeout_s=1)
    assert "secret" not in str(caught.value)
