"""A bounded number of places, taken at once where one is free, and in order where none is."""

from collections import deque
from collections.abc import Callable


class _Turn:
    """One who waits."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def forget(self) -> None:
        """It waits no more."""
        self.callback = None


class Slots:
    """At most `count` are taken at the same time."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[_Turn] = deque()

    def take(self) -> bool:
        """Take one without waiting, if one is free. Whether it was."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def call_when_free(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback` when one is taken for it, after whoever waits already. What it returns
        takes that back."""
        turn = _Turn(callback)
        self._waiting.append(turn)
        return turn.forget

    def give_back(self) -> None:
        """Hand one on to who waits longest; else it is free."""
        while self._waiting:
            callback = self._waiting.popleft().callback
            if callback is not None:
                callback()
                return
        self._free += 1
