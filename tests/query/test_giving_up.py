"""How what an operation had begun is given up: from the innermost outward, some of it in each turn
of the loop, with nobody waiting for it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from plait.query.execute import Executor
from plait.query.interpret import REAPED_AT_ONCE, Interpreter


class Loaders:
    def __init__(self, told: list[str]) -> None:
        self.told = told

    async def close(self) -> None:
        self.told.append("closed")


class Pace:
    def __init__(self, told: list[str]) -> None:
        self.told = told
        self.over = False

    def is_over(self) -> bool:
        return self.over

    async def breathe(self) -> None:
        self.told.append("breath")
        await asyncio.sleep(0)


def context(told: list[str], executor: Any = None) -> Any:
    return SimpleNamespace(
        loaders=Loaders(told),
        pace=Pace(told),
        executor=executor,
        begun=[],
        let_go=lambda: told.append("let go"),
    )


def executor() -> Any:
    made: Any = object.__new__(Interpreter)
    made._reapers = set()
    return made


async def sleeper(name: str, told: list[str]) -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        told.append(name)
        raise


def test_the_innermost_goes_first_and_everything_ends_before_the_context_is_let_go() -> None:
    async def main() -> None:
        told: list[str] = []
        begun = [asyncio.ensure_future(sleeper(name, told)) for name in "abc"]
        failed = asyncio.ensure_future(_fail())
        await asyncio.sleep(0)
        begun.append(failed)
        await executor()._reap(begun, context(told))
        assert told == ["closed", "c", "b", "a", "let go"]
        assert begun == []

    asyncio.run(main())


async def _fail() -> None:
    raise RuntimeError("nobody will look at it")


def test_it_takes_several_turns_where_there_is_much() -> None:
    async def main() -> None:
        told: list[str] = []
        count = 2 * REAPED_AT_ONCE + 1
        begun = [asyncio.ensure_future(sleeper("x", told)) for _ in range(count)]
        await asyncio.sleep(0)
        made = context(told)
        reaping = asyncio.ensure_future(executor()._reap(begun, made))
        await asyncio.sleep(0)
        assert sum(one.cancelling() for one in begun) == REAPED_AT_ONCE
        assert not begun[0].cancelling()
        assert begun[-1].cancelling()
        await reaping
        assert told.count("breath") == 2
        assert told.count("x") == count
        assert told[-1] == "let go"

    asyncio.run(main())


def test_others_are_let_in_when_the_turn_is_over() -> None:
    async def main() -> None:
        told: list[str] = []
        begun = [asyncio.ensure_future(sleeper(name, told)) for name in "ab"]
        await asyncio.sleep(0)
        made = context(told)
        made.pace.over = True
        await executor()._reap(begun, made)
        assert told == ["closed", "b", "a", "breath", "breath", "let go"]

    asyncio.run(main())


def test_an_operation_that_left_nothing_behind_is_over_at_once() -> None:
    async def main() -> None:
        told: list[str] = []
        made = executor()
        work: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        work.set_result(1)
        await made._leave(work, context(told))
        assert told == ["closed"]
        assert made.is_idle
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(1)
        left = SimpleNamespace(begun=[done], background_futures=set())
        await made._leave(work, context(told, left))
        assert told == ["closed", "closed"]

    asyncio.run(main())


def test_what_is_left_behind_is_reaped_and_counts_until_then() -> None:
    async def main() -> None:
        for where in ("begun", "background_futures", "work"):
            told: list[str] = []
            made = executor()
            work: asyncio.Future[Any] = asyncio.ensure_future(sleeper("work", told))
            other = asyncio.ensure_future(sleeper("other", told))
            await asyncio.sleep(0)
            lists: dict[str, Any] = {"begun": [], "background_futures": []}
            if where in lists:
                lists[where] = [other]
            else:
                other.cancel()
            await made._leave(work, context(told, SimpleNamespace(**lists)))
            assert not made.is_idle
            await made.close()
            assert made.is_idle
            assert "work" in told
            assert "other" in told
            assert told[-1] == "let go"

    asyncio.run(main())


@pytest.mark.sources
def test_an_executor_with_something_running_is_not_idle() -> None:
    made: Any = object.__new__(Executor)
    made.interpreter, made.running = executor(), 0
    assert made.is_idle
    made.running = 1
    assert not made.is_idle
