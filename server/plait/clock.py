"""Time and chance as parameters: the real ones, and ones that a test holds in its hand."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Protocol


class Clock(Protocol):
    """What the engine knows of time and chance. Seconds everywhere."""

    def now(self) -> float:
        """A monotonic reading, for deadlines and durations."""
        ...

    def wall(self) -> float:
        """Seconds since 1970, for what outlives the process."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


class SystemClock:
    """The machine's own clock and chance."""

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def random(self) -> float:
        return random.random()


class Pace:
    """Shares the event loop: work that goes on without waiting for anything lets others in.

    `is_over` asks whether the turn has lasted long enough; then `breathe` ends it. One for all
    requests of a loop: when one of them has just let others in, the next need not.
    """

    __slots__ = ("_end", "_turn_s")

    def __init__(self, turn_s: float = 0.01) -> None:
        self._turn_s = turn_s
        self._end = 0.0

    def is_over(self) -> bool:
        """Whether to let others in now."""
        return time.monotonic() > self._end

    async def breathe(self) -> None:
        """Let the loop turn once."""
        await asyncio.sleep(0)
        self._end = time.monotonic() + self._turn_s


@dataclass(slots=True, kw_only=True)
class TestClock:
    """A clock that moves only when told to. `sleep` moves it at once."""

    __test__ = False  # not a test class, whatever its name

    time_s: float = 1_000_000.0
    seed: random.Random = field(default_factory=lambda: random.Random(0))

    def now(self) -> float:
        return self.time_s

    def wall(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.time_s += seconds

    def random(self) -> float:
        return self.seed.random()
