"""What is under way for some keys, whoever waits for it, and what it brings."""

from collections.abc import Callable

from plait.backend.loads import LoadOutcomes


class Brought:
    """What came for some keys. A reply that holds all of it as plain JSON is not looked into until
    somebody asks, and who asks may read the bytes in a way of his own."""

    __slots__ = ("_outcomes", "_read", "body", "fresh_until", "is_batch")

    def __init__(
        self,
        *,
        body: bytes | None = None,
        is_batch: bool = False,
        outcomes: LoadOutcomes | None = None,
        read: Callable[[], LoadOutcomes] | None = None,
        fresh_until: float = 0.0,
    ) -> None:
        self.fresh_until = fresh_until
        """Until when it may be told again, in seconds since 1970; 0 where nobody says so."""
        self.body = body
        """The one reply with all rows, where there is such a one."""
        self.is_batch = is_batch
        """Whether that is a batch's."""
        self._outcomes = outcomes
        self._read = read

    def outcomes(self) -> LoadOutcomes:
        """One outcome for each key that was asked for."""
        if self._outcomes is None:
            assert self._read is not None
            self._outcomes, self._read = self._read(), None
        return self._outcomes


class Flight:
    """One batch or single call under way: since when, for how many, and what it has brought."""

    __slots__ = ("_then", "asked_at", "brought", "defect", "give_up", "is_over", "waiting")

    def __init__(self, asked_at: float) -> None:
        self.asked_at = asked_at
        self.waiting = 0
        """How many wait for it: when nobody does any more, it is given up."""
        self.brought: Brought | None = None
        """`None` until it is over, and where it was given up."""
        self.defect: BaseException | None = None
        self.is_over = False
        self.give_up: Callable[[], object] = _nothing
        """Ends what is under way."""
        self._then: list[Callable[[], object]] = []

    def then(self, callback: Callable[[], object]) -> None:
        """Call `callback` when it is over, if it is not."""
        self._then.append(callback)

    def land(self, brought: Brought | None, defect: BaseException | None = None) -> None:
        """It is over; without anything where it was given up."""
        if self.is_over:
            return
        self.is_over, self.brought, self.defect = True, brought, defect
        self.give_up = _nothing
        waiting, self._then = self._then, []
        for callback in waiting:
            callback()

    def leave(self) -> None:
        """One who waited has gone."""
        self.waiting -= 1
        if self.waiting == 0 and not self.is_over:
            self.give_up()


def _nothing() -> None:
    pass
