"""Waves: when they leave, and that they leave whole."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from plait.backend.call import Origin
from plait.backend.fetch import Fetcher
from plait.backend.keys import Key, Keys, key_of
from plait.backend.loader import HANDED_OUT, QUIET_TURNS, KeyBatch, Loaders
from plait.backend.loads import Fetched, LoadOutcome, LoadOutcomes
from plait.backend.spec import BackendSpec, Batch, EndpointSpec
from plait.backend.template import PathTemplate

BATCH = Batch(
    path=PathTemplate("/x"),
    method="GET",
    ids="id",
    place="repeated",
    keys={"id": ("id",)},
    many=False,
)
ENDPOINT = EndpointSpec(
    backend=BackendSpec(name="b"), method="GET", path=PathTemplate("/x/{id}"), batch=BATCH
)


class Recorder:
    """Stands for the fetcher: every key has a row, and each fetch is kept."""

    def __init__(self) -> None:
        self.waves: list[int] = []
        self.since: list[float] = []

    def now(self) -> float:
        return 7.0

    def identity(self, endpoint: EndpointSpec) -> str:
        return endpoint.label

    async def fetch(self, keys: Keys, origin: Origin, *, since: float) -> LoadOutcomes:
        self.waves.append(len(keys))
        self.since.append(since)
        return {key: Fetched(row=keys.of(key)["id"]) for key in keys.values}


def loaders() -> tuple[Loaders, Recorder]:
    recorder = Recorder()
    return Loaders(cast(Fetcher, recorder), Origin()), recorder


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.sources
def test_a_wave_leaves_after_some_quiet_turns() -> None:
    async def main() -> None:
        made, recorder = loaders()
        first = made.load(ENDPOINT, {"id": 1}).future()
        await turns(QUIET_TURNS - 1)
        second = made.load(ENDPOINT, {"id": 2}).future()
        await turns(QUIET_TURNS - 1)
        assert recorder.waves == []
        assert [(await one).row for one in (first, second)] == [1, 2]  # type: ignore[union-attr]
        assert recorder.waves == [2]

    asyncio.run(main())


@pytest.mark.sources
def test_no_wave_leaves_while_somebody_is_about_to_load_more() -> None:
    async def main() -> None:
        made, recorder = loaders()
        made.holding += 1
        first = made.load(ENDPOINT, {"id": 1}).future()
        await turns(10 * QUIET_TURNS)
        assert recorder.waves == []
        second = made.load(ENDPOINT, {"id": 2}).future()
        made.holding -= 1
        await asyncio.gather(first, second)
        assert recorder.waves == [2]

    asyncio.run(main())


@pytest.mark.sources
def test_what_is_loaded_while_rows_are_handed_out_leaves_as_one_wave() -> None:
    async def main() -> list[int]:
        made, recorder = loaders()

        async def one(id: int) -> Any:
            await made.load(ENDPOINT, {"id": id}).future()
            return await made.load(ENDPOINT, {"id": -id}).future()

        await asyncio.gather(*(one(id) for id in range(1, 5 * HANDED_OUT)))
        return recorder.waves

    assert asyncio.run(main()) == [5 * HANDED_OUT - 1] * 2


@pytest.mark.sources
def test_what_was_loaded_before_a_write_is_loaded_anew_and_not_older() -> None:
    async def main() -> None:
        made, recorder = loaders()
        await made.load(ENDPOINT, {"id": 1}).future()
        made.forget()
        await made.load(ENDPOINT, {"id": 1}).future()
        assert recorder.waves == [1, 1]
        assert recorder.since == [0.0, 7.0]

    asyncio.run(main())


class Beside:
    """Somebody else who asks: has told of key 1, and takes key 3 along."""

    def __init__(self) -> None:
        self.taken: list[KeyBatch] = []

    def outcome_of(self, identity: str, key: Key) -> LoadOutcome | None:
        return Fetched(row="known") if key == ("", "1") else None

    def join(self, identity: str, key: Key, values: Mapping[str, Any]) -> KeyBatch | None:
        if key != ("", "3"):
            return None
        batch = KeyBatch(Keys(ENDPOINT))
        batch.keys.put(key, values)
        self.taken.append(batch)
        return batch


@pytest.mark.sources
def test_what_has_come_is_told_to_who_asks_beside() -> None:
    async def main() -> None:
        made, recorder = loaders()
        one, broken = key_of(ENDPOINT, {"id": 1}), key_of(ENDPOINT, {"id": 2})
        assert made.told(ENDPOINT.label, one) is None
        future = made.load(ENDPOINT, {"id": 1}).future()
        assert made.told(ENDPOINT.label, one) is None
        assert await future == made.told(ENDPOINT.label, one)
        assert made.told("another endpoint", one) is None

        async def failing(*_: Any, **__: Any) -> Any:
            raise RuntimeError

        recorder.fetch = failing  # type: ignore[method-assign]
        defect = made.load(ENDPOINT, {"id": 2})
        await asyncio.wait((defect.future(),))
        assert made.told(ENDPOINT.label, broken) is None
        for told in (defect.outcome, defect.future().result):  # to who asks later too
            with pytest.raises(RuntimeError):
                told()
        left = made.load(ENDPOINT, {"id": 3})
        waiting = left.future()
        await made.close()
        assert waiting.cancelled()
        assert left.future().cancelled()
        with pytest.raises(asyncio.CancelledError):
            left.outcome()
        assert made.told(ENDPOINT.label, key_of(ENDPOINT, {"id": 3})) is None

    asyncio.run(main())


@pytest.mark.sources
def test_what_somebody_else_was_told_is_not_asked_for_again() -> None:
    async def main() -> None:
        made, recorder = loaders()
        made.elsewhere = Beside()
        outcomes = [await made.load(ENDPOINT, {"id": id}).future() for id in (1, 2, 1)]
        assert [one.row for one in outcomes if isinstance(one, Fetched)] == ["known", 2, "known"]
        assert recorder.waves == [1]
        made.forget()  # and after a write it is
        await made.load(ENDPOINT, {"id": 1}).future()
        assert recorder.waves == [1, 1]

    asyncio.run(main())


@pytest.mark.sources
def test_what_leaves_with_somebody_else_comes_back_where_it_cannot() -> None:
    async def main() -> None:
        made, recorder = loaders()
        made.elsewhere = beside = Beside()
        first, second = (made.load(ENDPOINT, {"id": 3}) for _ in range(2))
        assert first.batch is second.batch
        await turns(2 * QUIET_TURNS)
        assert recorder.waves == []
        assert not made.is_idle
        made.take_back(beside.taken[0])
        assert await first.future() == Fetched(row=3)
        assert second.outcome() == Fetched(row=3)
        assert recorder.waves == [1]
        made.take_back(beside.taken[0])  # it has come
        await turns(2 * QUIET_TURNS)
        assert recorder.waves == [1]
        assert made.is_idle
        made.forget()
        made.elsewhere = beside
        third = made.load(ENDPOINT, {"id": 3}).future()
        (guest,) = beside.taken[1:]
        guest.land({key: Fetched(row="told there") for key in guest.keys.values})
        guest.hand_out()
        assert await third == Fetched(row="told there")
        await turns(2)
        assert made.is_idle
        await made.close()

    asyncio.run(main())


@pytest.mark.sources
def test_what_is_still_waited_for_is_given_up_at_the_end() -> None:
    async def main() -> None:
        made, recorder = loaders()
        futures = [made.load(ENDPOINT, {"id": id}).future() for id in range(3 * HANDED_OUT)]
        await made.close()
        assert all(future.cancelled() for future in futures)
        await turns(2 * QUIET_TURNS)
        assert recorder.waves == []

    asyncio.run(main())


@pytest.mark.sources
def test_what_comes_back_from_elsewhere_and_fails_fails_there() -> None:
    async def main() -> None:
        made, recorder = loaders()
        made.elsewhere = beside = Beside()
        first = made.load(ENDPOINT, {"id": 3})
        waiting = first.future()

        async def failing(*_: Any, **__: Any) -> Any:
            raise RuntimeError

        recorder.fetch = failing  # type: ignore[method-assign]
        made.take_back(beside.taken[0])
        with pytest.raises(RuntimeError):
            await waiting
        await turns(2)
        assert made.is_idle

    asyncio.run(main())


@pytest.mark.sources
def test_rows_are_handed_out_in_several_turns() -> None:
    async def main() -> None:
        made, _ = loaders()
        loadings = [made.load(ENDPOINT, {"id": id}) for id in range(3 * HANDED_OUT)]
        futures = [one.future() for one in loadings]
        loadings[0].batch.then(lambda: done.append(sum(one.done() for one in futures)))
        done: list[int] = []
        while not all(one.done() for one in futures):
            await asyncio.sleep(0)
            done.append(sum(one.done() for one in futures))
        assert done[-1] == 3 * HANDED_OUT
        assert {0, HANDED_OUT, 2 * HANDED_OUT} <= {*done}

    asyncio.run(main())
