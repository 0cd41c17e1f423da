"""Time and chance as parameters: the real ones, and ones that a test holds in its hand."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
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

    # Read some dozen times with every request: there is no function of ours around them.
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    random = staticmethod(random.random)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Turns:
    """The turns of one event loop, and who waits for the next one.

    Those that wait are woken a few in each turn: woken all at once, ten thousand of them would fill
    the next turn by themselves. How many those few are follows from how long the last ones took.
    Operations are served in rotation, so that a small one does not stand behind all of a large one.
    """

    __slots__ = ("_few", "_waiting", "_woken_at", "turn_s")

    def __init__(self, turn_s: float = 0.01) -> None:
        self.turn_s = turn_s
        self._few = 8
        self._waiting: deque[Pace] = deque()
        self._woken_at: float | None = None

    def join(self, pace: "Pace") -> None:
        """Wake one that waits in `pace` when its turn has come."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._wake)
        self._waiting.append(pace)

    def _wake(self) -> None:
        now = time.monotonic()
        if self._woken_at is not None:
            took = now - self._woken_at
            if took > 2 * self.turn_s:
                self._few = max(1, self._few // 2)
            elif took < self.turn_s / 2:
                self._few = min(256, self._few * 2)
        for _ in range(self._few):
            pace = self._waiting.popleft()
            if pace.wake(now + self.turn_s):
                self._waiting.append(pace)
            if not self._waiting:
                self._woken_at = None
                return
        self._woken_at = now
        asyncio.get_running_loop().call_soon(self._wake)


class Pace:
    """One operation's share of the event loop: what goes on without waiting lets others in.

    `is_over` asks whether the turn has lasted long enough; then `breathe` waits for the next one,
    behind whatever else of this operation waits already.
    """

    __slots__ = ("_end", "_turns", "_waiting")

    def __init__(self, turns: Turns | None = None) -> None:
        self._turns = turns or Turns()
        self._end = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def begin(self) -> None:
        """A turn begins, because something that was waited for has come. Not when others wait."""
        if not self._waiting:
            self._end = time.monotonic() + self._turns.turn_s

    def is_over(self) -> bool:
        """Whether to let others in now."""
        return time.monotonic() > self._end

    async def breathe(self) -> None:
        """Let the loop turn, at least once."""
        await self._next_turn()

    def call_later(self, go_on: Callable[[], object]) -> None:
        """As `breathe`, for what is no coroutine."""
        self._next_turn().add_done_callback(lambda _: go_on())

    def _next_turn(self) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if len(self._waiting) == 1:
            self._turns.join(self)
        return future

    def wake(self, end: float) -> bool:
        """Let the next one go on until `end`. Whether more wait."""
        self._end = end
        future = self._waiting.popleft()
        if not future.done():
            future.set_result(None)
        return bool(self._waiting)


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
