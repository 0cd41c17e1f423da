"""What is under way for some keys, whoever waits for it, and what it brings."""

import asyncio
from collections.abc import Callable, Sequence

from plait.backend.identity import Family
from plait.backend.keys import Key
from plait.backend.loads import LoadOutcomes


class Brought:
    """What came for some keys. A reply that holds all of it as plain JSON is not looked into until
    somebody asks, and who asks may read the bytes in a way of his own."""

    __slots__ = ("_outcomes", "body", "fresh_until", "is_batch")

    def __init__(
        self,
        *,
        body: bytes | None = None,
        is_batch: bool = False,
        outcomes: LoadOutcomes | None = None,
        fresh_until: float = 0.0,
    ) -> None:
        self.fresh_until = fresh_until
        """Until when it may be told again, in seconds since 1970; 0 where nobody says so."""
        self.body = body
        """The one reply with all rows, where there is such a one."""
        self.is_batch = is_batch
        """Whether that is a batch's."""
        self._outcomes = outcomes

    def outcomes(self) -> LoadOutcomes:
        """One outcome for each key that was asked for."""
        if self._outcomes is None:
            self._outcomes = self.read()
        return self._outcomes

    def read(self) -> LoadOutcomes:
        """Look into a reply that was not yet looked into."""
        raise NotImplementedError


class Board:
    """Knows what is under way."""

    def over(self, flight: "Flight") -> None:
        """It may be joined no more."""
        raise NotImplementedError


class Flight:
    """One batch or single call under way: since when, for how many, and what it has brought."""

    __slots__ = (
        "_then",
        "asked_at",
        "board",
        "brought",
        "defect",
        "end",
        "family",
        "is_over",
        "keys",
        "task",
        "waiting",
    )

    def __init__(self, family: Family, keys: Sequence[Key], asked_at: float) -> None:
        self.family = family
        self.keys = keys
        """What it asks for."""
        self.asked_at = asked_at
        self.waiting = 0
        """How many wait for it: when nobody does any more, it is given up."""
        self.brought: Brought | None = None
        """`None` until it is over, and where it was given up."""
        self.defect: BaseException | None = None
        self.is_over = False
        self.board: Board | None = None
        """Where it can be joined."""
        self.end: Callable[[], object] | None = None
        """Ends the call that is under way, at once."""
        self.task: asyncio.Task[Brought] | None = None
        """Where it goes on in one."""
        self._then: list[Callable[[], object]] = []

    def then(self, callback: Callable[[], object]) -> None:
        """Call `callback` when it is over, if it is not."""
        self._then.append(callback)

    def land(self, brought: Brought | None, defect: BaseException | None = None) -> None:
        """It is over; without anything where it was given up."""
        if self.is_over:
            return
        self.is_over, self.brought, self.defect = True, brought, defect
        self.end = self.task = None
        if self.board is not None:
            self.board.over(self)
        waiting, self._then = self._then, []
        for callback in waiting:
            callback()

    def leave(self) -> None:
        """One who waited has gone."""
        self.waiting -= 1
        if self.waiting == 0 and not self.is_over:
            self.give_up()

    def give_up(self) -> None:
        """End what is under way."""
        if self.task is not None:
            self.task.cancel()  # it lands when that has ended
        elif self.end is not None:
            self.end()
            self.land(None)
