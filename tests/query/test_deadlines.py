"""When operations are given up because they take too long."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from plait.query.deadlines import Deadlines

SHORT_S = 0.02


def run(main: Callable[[], Any]) -> Any:
    return asyncio.run(main())


def timers_set(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each timer is to go off."""
    found: list[float] = []
    call_at = asyncio.BaseEventLoop.call_at

    def noted(self: Any, when: float, *arguments: Any, **options: Any) -> Any:
        found.append(when)
        return call_at(self, when, *arguments, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_at", noted)
    return found


def test_each_is_late_once_in_its_order_and_what_is_removed_is_not() -> None:
    late: list[str] = []

    async def main() -> None:
        deadlines = Deadlines(SHORT_S)
        deadlines.add(lambda: late.append("first"))
        removed = deadlines.add(lambda: late.append("removed"))
        deadlines.add(lambda: late.append("second"))
        deadlines.remove(removed)
        deadlines.remove(removed)  # again is nothing
        assert late == []
        await asyncio.sleep(4 * SHORT_S)
        assert late == ["first", "second"]
        assert len(deadlines) == 0
        await asyncio.sleep(2 * SHORT_S)
        assert late == ["first", "second"]

    run(main)


def test_one_that_begins_later_has_all_of_its_time() -> None:
    async def main() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines(0.1)
        late: dict[str, float] = {}
        started = {}
        for name in ("early", "later"):
            started[name] = loop.time()
            deadlines.add(lambda name=name: late.__setitem__(name, loop.time()))
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.15)
        assert list(late) == ["early", "later"]
        assert all(late[name] - started[name] >= 0.1 for name in late)

    run(main)


def test_one_timer_looks_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        deadlines = Deadlines(60)
        found = timers_set(monkeypatch)
        for _ in range(100):
            deadlines.remove(deadlines.add(lambda: None))
        kept = [deadlines.add(lambda: None) for _ in range(100)]
        assert len(found) == 1
        assert len(deadlines) == len(kept)

    run(main)


def test_a_timer_that_goes_off_for_nothing_is_not_the_last() -> None:
    late: list[str] = []

    async def main() -> None:
        deadlines = Deadlines(SHORT_S)
        deadlines.remove(deadlines.add(lambda: late.append("removed")))
        await asyncio.sleep(3 * SHORT_S)
        deadlines.add(lambda: late.append("next"))
        await asyncio.sleep(3 * SHORT_S)

    run(main)
    assert late == ["next"]


def test_ones_failure_is_not_the_others() -> None:
    late: list[str] = []
    told: list[Any] = []

    def fail() -> None:
        raise ValueError("a defect")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: told.append(about))
        deadlines = Deadlines(SHORT_S)
        deadlines.add(fail)
        deadlines.add(lambda: late.append("the other"))
        await asyncio.sleep(4 * SHORT_S)

    run(main)
    assert late == ["the other"]
    assert [str(one["exception"]) for one in told] == ["a defect"]


def test_one_that_ends_another_ends_it_before_it_is_late() -> None:
    late: list[str] = []

    async def main() -> None:
        deadlines = Deadlines(SHORT_S)
        other: list[Any] = []
        deadlines.add(lambda: deadlines.remove(other[0]))
        other.append(deadlines.add(lambda: late.append("the other")))
        await asyncio.sleep(4 * SHORT_S)

    run(main)
    assert late == []


def test_another_loop_begins_anew() -> None:
    late: list[str] = []
    deadlines = Deadlines(SHORT_S)

    async def left() -> None:
        deadlines.add(lambda: late.append("of a loop that is closed"))

    async def main() -> None:
        deadlines.add(lambda: late.append("of this one"))
        await asyncio.sleep(4 * SHORT_S)

    run(left)
    run(main)
    assert late == ["of this one"]
