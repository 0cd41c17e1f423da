"""When operations are given up because they take too long.

All of them have the same time, so that the one that began first is the first that is due: one timer
looks after them all, where one each cost more than all else that an operation needs of the loop.
"""

import asyncio
from collections.abc import Callable


class Due:
    """One that is under way."""

    __slots__ = ("at", "late")

    def __init__(self, at: float, late: Callable[[], object]) -> None:
        self.at = at
        """When it is due, by the loop's clock."""
        self.late = late


class Deadlines:
    """Those of all operations. Lives as long as the app."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._due: dict[Due, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def add(self, late: Callable[[], object]) -> Due:
        """Call `late` when its time is over, unless it is removed before."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a test's, say: the timers of another one never go off
            self._loop, self._timer = loop, None
            self._due.clear()
        due = Due(loop.time() + self._within_s, late)
        self._due[due] = None
        if self._timer is None:
            self._timer = loop.call_at(due.at, self._look)
        return due

    def remove(self, due: Due) -> None:
        """It is over."""
        self._due.pop(due, None)

    def _look(self) -> None:
        loop = self._loop
        assert loop is not None
        now = loop.time()
        over: list[Due] = []
        self._timer = None
        for due in self._due:
            if due.at > now:
                self._timer = loop.call_at(due.at, self._look)
                break
            over.append(due)
        for due in over:
            if due not in self._due:
                continue  # one that was given up before it has ended this one too
            self.remove(due)
            try:
                due.late()
            except Exception as error:  # one operation's failure is not the others'
                loop.call_exception_handler({"message": "A late operation", "exception": error})
