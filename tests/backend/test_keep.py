"""What is kept of replies, and how a reply of 304 renews it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from plait import Backend, by_ids
from plait.backend.cache import RowCache, open_store
from plait.backend.call import Reply
from plait.backend.forget import Stale
from plait.backend.freshness import CacheEntry
from plait.backend.identity import RowKey
from plait.backend.keep import Keeper
from plait.clock import TestClock
from plait.emit import Events

backend = Backend("b", "http://b.test", headers={"Accept-Language": "en"})
ENDPOINT = backend.get("/rows/{id}").spec
COMMON: RowKey = ("e", ("", "1"), ())
PERSONAL: RowKey = ("e", ("", "1"), (("authorization", "Bearer t"),))


def reply(control: str, *, status: int = 200, **headers: str) -> Reply:
    return Reply(status=status, headers={"cache-control": control, **headers}, body=b"")


def keeping(test: Callable[[Keeper, TestClock], Awaitable[Any]]) -> Any:
    clock = TestClock()

    async def main() -> Any:
        store = open_store("memory://", clock=clock, entries_max=9, bytes_max=9_000, timeout_s=0.2)
        cache = RowCache(store, clock=clock, events=Events())
        found = await test(Keeper(cache, clock), clock)
        await cache.close()
        return found

    return asyncio.run(main())


async def store(
    keeper: Keeper,
    rows: dict[RowKey, bytes],
    *replies: Reply,
    of: Any = ENDPOINT,
    with_validators: bool = True,
) -> None:
    """Keep rows of one caller, that were asked for at 1e6."""
    ((identity, _, scope), *_) = rows
    own = {key: row for (_, key, _), row in rows.items()}
    family = identity, scope
    await keeper.store(of, family, lambda: own, replies, 1e6, with_validators=with_validators)


def kept(
    *replies: Reply,
    key: RowKey = COMMON,
    renewing: Reply | None = None,
    endpoint: Any = ENDPOINT,
    with_validators: bool = True,
) -> CacheEntry | None:
    """What is found of a row that `replies` brought at 1e6 and `renewing` renewed at 1e6 + 5."""

    async def test(keeper: Keeper, clock: TestClock) -> CacheEntry | None:
        await store(keeper, {key: b"1"}, *replies, of=endpoint, with_validators=with_validators)
        found = await keeper.read(endpoint, [key], 0.0)
        if renewing is None or not found:
            return found.get(key)
        clock.advance(5)
        await keeper.renew(endpoint, key, found[key], renewing, 1e6 + 5)
        return (await keeper.read(endpoint, [key], 1e6)).get(key)

    found: CacheEntry | None = keeping(test)
    return found


def until(entry: CacheEntry | None) -> tuple[float, float, float] | None:
    """Seconds from 1e6 on: fresh, usable while it is asked for again, usable for a failure."""
    if entry is None:
        return None
    ends = (entry.fresh_until, entry.revalidate_until, entry.error_until)
    return tuple(round(one - 1e6, 3) for one in ends)  # type: ignore[return-value]


LONG = "max-age=10, stale-while-revalidate=100, stale-if-error=200"


@pytest.mark.parametrize(
    ("controls", "found"),
    [
        ([LONG], (10, 110, 210)),
        ([LONG, "max-age=20, must-revalidate"], (10, 20, 20)),
        (["max-age=20, must-revalidate", LONG], (10, 20, 20)),
        ([LONG, "max-age=5, stale-while-revalidate=300"], (5, 110, 5)),
        ([LONG, "max-age=20, no-store"], None),
        ([LONG, "private, max-age=20"], None),
    ],
)
def test_a_row_is_used_for_as_long_as_all_its_replies_allow(
    controls: list[str], found: tuple[float, ...] | None
) -> None:
    assert until(kept(*map(reply, controls))) == found


def test_validators_speak_of_one_whole_reply() -> None:
    tagged = {"etag": '"1"', "last-modified": "m"}
    made = kept(reply("max-age=10", **tagged))
    assert made is not None
    assert (made.row, made.etag, made.last_modified) == (b"1", '"1"', "m")
    for replies, with_validators in (
        ([reply("max-age=10", **tagged)] * 2, True),
        ([reply("max-age=10", **tagged)], False),
    ):
        made = kept(*replies, with_validators=with_validators)
        assert made is not None
        assert (made.etag, made.last_modified) == (None, None)


def test_what_is_private_is_kept_for_the_caller_alone() -> None:
    assert until(kept(reply("private, max-age=10"), key=PERSONAL)) == (10, 10, 10)
    assert kept(reply("private, max-age=10")) is None


def test_what_varies_with_a_header_that_is_always_the_same_is_kept() -> None:
    assert until(kept(reply("max-age=10", vary="accept-language"))) == (10, 10, 10)
    assert kept(reply("max-age=10", vary="cookie")) is None


@pytest.mark.parametrize(
    ("key", "control", "found"),
    [
        (COMMON, "max-age=10", (15, 15, 15)),
        (COMMON, "private, max-age=10", None),
        (PERSONAL, "private, max-age=10", (15, 15, 15)),
        (COMMON, "no-store", None),
    ],
)
def test_a_304_begins_its_life_anew_by_what_it_says(
    key: RowKey, control: str, found: tuple[float, ...] | None
) -> None:
    renewing = reply(control, status=304)
    assert until(kept(reply("max-age=3"), key=key, renewing=renewing)) == found


def test_a_post_is_kept_where_its_author_says_how_long() -> None:
    asked = backend.lookup(by_ids("/rows", body="ids")).spec
    assert kept(reply("max-age=10"), endpoint=asked) is None
    asked = backend.lookup(by_ids("/rows", body="ids"), ttl_s=20).spec
    assert until(kept(reply(""), endpoint=asked)) == (20, 20, 20)


def test_what_was_asked_for_before_a_write_is_not_read() -> None:
    async def test(keeper: Keeper, clock: TestClock) -> None:
        rows: Any = {COMMON: b"1", ("e", ("", "2"), ()): b"2"}
        await store(keeper, rows, reply("max-age=10"))
        assert len(await keeper.read(ENDPOINT, list(rows), 1e6 - 1)) == 2
        assert await keeper.read(ENDPOINT, list(rows), 1e6) == {}
        one = Stale(endpoint=ENDPOINT, key=("", "1"))
        await keeper.mark([(one, "e")])
        assert list(await keeper.read(ENDPOINT, list(rows), 0.0)) == [("e", ("", "2"), ())]
        await keeper.mark([(Stale(endpoint=ENDPOINT, key=None), "e")])
        assert await keeper.read(ENDPOINT, list(rows), 0.0) == {}

    keeping(test)


def test_without_a_cache_nothing_is_kept() -> None:
    async def test() -> None:
        keeper = Keeper(None, TestClock())
        assert not keeper.keeps(ENDPOINT)
        await store(keeper, {COMMON: b"1"}, reply("max-age=10"))
        await keeper.mark([(Stale(endpoint=ENDPOINT, key=None), "e")])

    asyncio.run(test())
