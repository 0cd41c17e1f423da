"""What the cache's stores hold, and what of it may be used."""

import asyncio
from typing import Any

import pytest

from plait import Backend
from plait.backend.cache import BoundedMemory, Marks, RowCache, open_store
from plait.backend.call import Call, Origin, Reply
from plait.backend.client import (
    Client,
    child_traceparent,
    forwarded_headers,
    identify,
    timeout,
)
from plait.backend.freshness import CacheEntry
from plait.backend.spec import BackendSpec
from plait.backend.transport import scripted
from plait.clock import TestClock
from plait.emit import Events
from plait.errors import BackendError, BackendTimeout, SettingsError
from plait.events import CacheFailed

NOW = 1_000_000.0


def entry(row: bytes = b"1", kept_s: float = 10.0, asked_at: float = NOW) -> CacheEntry:
    until = asked_at + kept_s
    return CacheEntry(
        row=row, asked_at=asked_at, fresh_until=until, revalidate_until=until, error_until=until
    )


def test_marks_are_the_latest_moment_of_each_name() -> None:
    marks = Marks()
    assert marks.get_many(["a"]) == {}
    marks.put_many(["a", "b"], 1.0)
    marks.put_many(["a"], 2.0)
    assert len(marks) == 2
    assert marks.get_many(["a", "b", "c"]) == {"a": 2.0, "b": 1.0}


def test_a_mark_that_found_no_room_holds_for_every_row() -> None:
    marks = Marks(entries_max=2)
    marks.put_many(["a"], 1.0)
    marks.put_many(["b"], 2.0)
    assert marks.get_many(["x"]) == {}
    marks.put_many(["a"], 3.0)  # the latest to be noted, and so the last to go
    marks.put_many(["c"], 4.0)
    assert len(marks) == 2
    assert marks.get_many(["x", "a", "c", "b"]) == {"x": 2.0, "a": 3.0, "c": 4.0, "b": 2.0}
    marks.put_many(["d"], 0.5)  # a clock that was set back lowers nothing
    marks.put_many(["e"], 0.5)
    assert marks.get_many(["x"]) == {"x": 4.0}


def memory(**bounds: int) -> BoundedMemory:
    return BoundedMemory(clock=TestClock(), **bounds)


def test_memory_is_a_store_like_any_other() -> None:
    async def main() -> None:
        store = memory()
        one, two = entry(b"1"), entry(b"2")
        await store.set("a", one)
        await store.multi_set([("b", two)])
        assert await store.get("a") is one
        assert await store.multi_get(["a", "x", "b"]) == [one, None, two]
        assert await store.exists("a")
        assert not await store.exists("x")
        assert await store.delete("a") == 1
        assert await store.delete("a") == 0
        assert len(store.kept) == 1
        await store.clear()
        assert len(store.kept) == 0
        await store.set("c", one)
        assert await store.get("c") is one

    asyncio.run(main())


def test_memory_holds_as_many_rows_and_bytes_as_it_may() -> None:
    store = memory(entries_max=2)
    for name in "aba":
        store.put(name, entry())
    assert len(store.kept) == 2
    store.put("c", entry())
    assert list(store.peek_many(["a", "b", "c"])) == ["a", "c"]
    assert store.drop("a") is True
    assert store.drop("a") is False
    heavy = memory(bytes_max=10_000)
    heavy.put("a", entry(b"x" * 4_000))
    heavy.put("b", entry(b"x" * 4_000))
    heavy.put("a", entry(b"x" * 4_100))  # in place of itself, not beside it
    assert list(heavy.peek_many(["a", "b"])) == ["a", "b"]
    heavy.put("c", entry(b"x" * 4_000))
    assert list(heavy.peek_many(["a", "b", "c"])) == ["b", "c"]


class Remote:
    """A store elsewhere: keeps what it gets, with its ttl; fails or hangs when it is told to."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.ttls: list[Any] = []
        self.fails: Exception | None = None
        self.hangs = False
        self.calls = 0

    async def _use(self) -> None:
        self.calls += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.fails:
            raise self.fails

    async def multi_get(self, keys: list[str]) -> list[bytes | None]:
        await self._use()
        return [self.kept.get(key) for key in keys]

    async def multi_set(self, pairs: list[tuple[str, bytes]], *, ttl: int) -> None:
        await self._use()
        self.ttls.append(ttl)
        self.kept |= dict(pairs)

    async def close(self) -> None:
        self.calls += 1


def remote() -> tuple[RowCache, Remote, TestClock, list[Any]]:
    store, clock, seen = Remote(), TestClock(), []  # type: ignore[var-annotated]
    cache = RowCache(store, clock=clock, events=Events(seen.append), timeout_s=0.05)  # type: ignore[arg-type]
    return cache, store, clock, seen


def test_rows_go_to_a_store_with_the_time_that_they_are_of_use() -> None:
    async def main() -> None:
        cache, store, clock, _ = remote()
        over = entry(kept_s=-1.0)
        await cache.put_many({"a": entry(b"1", 9.5), "b": entry(b"2", 9.2), "c": over})
        await cache.put_many({"d": entry(b"3", 60.0)})
        assert store.ttls == [10, 61]
        assert sorted(store.kept) == ["a", "b", "d"]
        found, past = await cache.get_many(["a", "x", "d"])
        assert found == {"a": entry(b"1", 9.5), "d": entry(b"3", 60.0)}
        assert past == {}
        clock.advance(5)
        await cache.mark(["a"])
        found, past = await cache.get_many(["d"], ["a", "z"])
        assert past == {"a": NOW + 5}
        assert store.ttls[-1] == 7 * 86_400 + 1
        # Another gateway's mark counts as well, the later of the two.
        other, _, later, _ = remote()
        other._store = store  # type: ignore[assignment]
        later.advance(9)
        await other.mark(["a"])
        assert (await cache.get_many([], ["a"]))[1] == {"a": NOW + 9}
        assert (await other.get_many([], ["a"]))[1] == {"a": NOW + 9}
        await cache.close()

    asyncio.run(main())


@pytest.mark.parametrize("value", [None, b"", b"foreign", b"\x93\x01\x02\x03", "text", 5])
def test_what_is_no_row_of_ours_counts_as_none(value: Any) -> None:
    async def main() -> None:
        cache, store, _, _ = remote()
        store.kept["a"] = value
        assert await cache.get_many(["a"]) == ({}, {})

    asyncio.run(main())


@pytest.mark.parametrize(("how", "reason"), [("fails", "OSError"), ("hangs", "TimeoutError")])
def test_a_store_that_cannot_be_used_is_left_alone_for_a_while(how: str, reason: str) -> None:
    async def main() -> None:
        cache, store, clock, seen = remote()
        setattr(store, how, OSError("secret") if how == "fails" else True)
        assert await cache.get_many(["a"]) == ({}, {})
        assert cache.is_down
        assert seen == [CacheFailed(operation="read", reason=reason)]
        await cache.put_many({"a": entry()})
        assert store.calls == 1  # it is not asked meanwhile
        store.fails, store.hangs = None, False
        waited = 0.0
        while cache.is_down:
            clock.advance(0.25)
            waited += 0.25
        assert 3.75 <= waited <= 6.5
        setattr(store, how, OSError("secret") if how == "fails" else True)
        await cache.put_many({"a": entry()})
        assert seen[-1] == CacheFailed(operation="write", reason=reason)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (
            "redis://h:1234/3",
            {"endpoint": "h", "port": 1234, "db": 3, "password": None, "ssl": False},
        ),
        ("redis://h", {"endpoint": "h", "port": 6379, "db": 0}),
        ("rediss://:p%40ss@h/", {"endpoint": "h", "password": "p@ss", "ssl": True}),
    ],
)
def test_a_url_says_everything_of_a_redis(
    url: str, wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import aiocache.backends.redis as module

    seen: dict[str, Any] = {}
    monkeypatch.setattr(module, "RedisCache", lambda **options: seen.update(options) or "made")
    made = open_store(url, clock=TestClock(), entries_max=1, bytes_max=1, timeout_s=0.2)
    assert made == "made"  # type: ignore[comparison-overlap]
    assert {name: seen[name] for name in wanted} == wanted
    assert (seen["create_connection_timeout"], seen["timeout"]) == (0.2, 0)


def test_a_url_says_everything_of_a_memcached(monkeypatch: pytest.MonkeyPatch) -> None:
    import aiocache.backends.memcached as module

    seen: dict[str, Any] = {}
    monkeypatch.setattr(module, "MemcachedCache", lambda **options: seen.update(options) or "made")
    for url, port in (("memcached://h:5", 5), ("memcached://h", 11211)):
        open_store(url, clock=TestClock(), entries_max=1, bytes_max=1, timeout_s=0.2)
        assert (seen["endpoint"], seen["port"], seen["timeout"]) == ("h", port, 0)


@pytest.mark.parametrize("url", ["memory://", "memory://x", None])
def test_memory_is_the_default(url: str | None) -> None:
    store = open_store(url, clock=TestClock(), entries_max=1, bytes_max=10_000, timeout_s=1)
    assert isinstance(store, BoundedMemory)
    store.put("a", entry())
    store.put("b", entry())
    assert len(store.kept) == 1


@pytest.mark.parametrize(
    "url", ["redis://", "redis://h:x", "redis://h/db", "memcached://", "http://h", "redis://h:0x1"]
)
def test_a_url_of_nothing_we_know_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="PLAIT_CACHE_URL is not memory://"):
        open_store(url, clock=TestClock(), entries_max=1, bytes_max=1, timeout_s=1)


# --- the layers of a call

b = Backend("b", "http://b.test", timeout_s=0.05)
SPEC = b.get("/rows/{id}").spec


def call(**more: Any) -> Call:
    return Call(endpoint=SPEC, path="/rows/1", **more)


async def answer(_: Call) -> Reply:
    return Reply(status=200, headers={}, body=b"1", attempts=1)


async def hang(_: Call) -> Reply:
    await asyncio.sleep(60)
    raise AssertionError


def test_a_call_that_is_not_answered_in_time_says_so() -> None:
    async def main() -> None:
        with pytest.raises(BackendTimeout) as caught:
            await timeout(SPEC.backend)(hang)(call())
        error = caught.value
        assert str(error) == "Backend 'b' did not answer within 0.05 s."
        assert (error.backend, error.endpoint) == ("b", "GET /rows/{id}")
        own = Call(endpoint=b.get("/own", timeout_s=0.01).spec, path="/own")
        with pytest.raises(BackendTimeout, match=r"within 0\.01 s"):
            await timeout(SPEC.backend)(hang)(own)

    asyncio.run(main())


def test_a_call_carries_who_it_is_for() -> None:
    async def main() -> None:
        seen: list[Call] = []

        async def keep(one: Call) -> Reply:
            seen.append(one)
            return await answer(one)

        spec = BackendSpec(name="b", url="http://b.test", forward=("x-tenant", "x-none"))
        trace = f"00-{'a' * 32}-{'b' * 16}-01"
        origin = Origin(
            request_id="r", traceparent=trace, headers={"x-tenant": "t", "cookie": "secret"}
        )
        assert forwarded_headers(spec, origin) == (("x-tenant", "t"),)
        handle = identify(spec, "application/x+json")(keep)
        await handle(call(origin=origin, body=b"1", headers=(("X-Tenant", "own"), ("h", "1"))))
        headers = dict(seen[0].headers)
        parent = headers.pop("traceparent")
        assert headers == {
            "x-tenant": "own",
            "x-request-id": "r",
            "content-type": "application/x+json",
            "h": "1",
        }
        assert parent[:36] == trace[:36]
        assert parent[36:52] != trace[36:52]
        assert parent[52:] == "-01"
        assert child_traceparent(trace) != child_traceparent(trace)
        await identify(spec)(keep)(call())
        assert seen[1].headers == ()
        await identify(spec)(keep)(call(body=b"1"))
        assert seen[2].headers == (("content-type", "application/json"),)

    asyncio.run(main())


@pytest.mark.parametrize(("status", "is_up"), [(200, True), (404, True), (302, True), (500, False)])
def test_a_backend_is_up_when_it_answers_below_500(status: int, is_up: bool) -> None:
    asked: list[str] = []

    def reply(method: str, target: str, headers: Any, body: bytes) -> Any:
        asked.append(f"{method} {target}")
        return status, {"location": "/else"} if status == 302 else {}, b""

    async def main() -> None:
        spec = BackendSpec(name="b", url="http://b.test/v1", health_path="/health")
        client = Client(spec, clock=TestClock(), events=Events(), transport=scripted(reply))
        try:
            if is_up:
                await client.probe()
            else:
                with pytest.raises(BackendError):
                    await client.probe()
        finally:
            await client.close()

    asyncio.run(main())
    assert asked == ["GET /v1/health"]


def test_a_backend_that_hangs_is_down() -> None:
    import httpx

    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    async def main() -> None:
        spec = BackendSpec(name="b", url="http://b.test", timeout_s=0.05)
        client = Client(
            spec, clock=TestClock(), events=Events(), transport=httpx.MockTransport(slow)
        )
        with pytest.raises(BackendTimeout) as caught:
            await client.probe()
        assert str(caught.value) == "Backend 'b' did not answer in time."
        assert (caught.value.backend, caught.value.endpoint) == ("b", "health")
        await client.close()

    asyncio.run(main())
