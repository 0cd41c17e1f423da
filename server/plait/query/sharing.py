"""Equal operations share one execution while it is under way; and a finished answer is told again
for as long as every reply that it was made of is fresh.

Only answers that follow from the document, its variables and the forwarded headers alone are
shared: those that compiled code made, whole and without an error. Whoever asks with other words,
other variables or other credentials shares nothing. What is written through the gateway ends both:
who asks after a write joins nothing that began before it, and is told nothing that was made of
what has changed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import TypeAlias

from plait.clock import Clock
from plait.query.direct import Direct
from plait.query.done import Done

ShareKey: TypeAlias = tuple[object, ...]
"""What makes operations equal."""
Told: TypeAlias = Callable[[Done | Direct | None], object]
"""Who waits for what an equal operation brings: see `Lead.end`."""
ENTRY_BYTES = 500
"""What an answer weighs beside its bytes."""


class Lead:
    """An execution that others may join."""

    __slots__ = ("_sharing", "began", "endpoints", "key", "waiting")

    def __init__(
        self, sharing: "Sharing", key: ShareKey, endpoints: Collection[str], began: int
    ) -> None:
        self._sharing = sharing
        self.key = key
        self.endpoints = endpoints
        self.began = began
        """How many writes there had been."""
        self.waiting: list[Told] = []

    def end(self, done: Done | None, fresh_until: float, direct: Direct | None) -> None:
        """It is over. `done` is what others may be told; where an answer is one's own, for it tells
        errors under the id of its request, they get what was fetched, in `direct`; and nothing
        where that was given up. `fresh_until` is in seconds since 1970."""
        self._sharing.ended(self, done, fresh_until)
        if self.waiting:
            found = direct if done is None else done.without_calls()
            loop = asyncio.get_running_loop()
            for told in self.waiting:
                loop.call_soon(told, found)


class _Kept:
    """A finished answer."""

    __slots__ = ("done", "endpoints", "fresh_until", "weight")

    def __init__(self, lead: Lead, done: Done, fresh_until: float, weight: int) -> None:
        self.done = done
        self.endpoints = lead.endpoints
        self.fresh_until = fresh_until
        self.weight = weight


class Sharing:
    """Lives as long as the app."""

    def __init__(self, clock: Clock, *, bytes_max: int) -> None:
        self._clock = clock
        self._bytes_max = bytes_max
        self._bytes = 0
        self._leads: dict[ShareKey, Lead] = {}
        self._kept: OrderedDict[ShareKey, _Kept] = OrderedDict()
        self._writes = 0

    def find(self, key: ShareKey, told: Told) -> Done | Lead | None:
        """The answer, or who will tell it, if there is one: see `Lead.end`."""
        kept = self._kept.get(key)
        if kept is not None:
            if self._clock.wall() < kept.fresh_until:
                self._kept.move_to_end(key)
                return kept.done
            self._drop(key)
        lead = self._leads.get(key)
        if lead is not None:
            lead.waiting.append(told)
        return lead

    def lead(self, key: ShareKey, endpoints: Collection[str]) -> Lead:
        """Begin what others may join. `endpoints` are those that it asks, by their identities."""
        lead = Lead(self, key, endpoints, self._writes)
        self._leads.setdefault(key, lead)
        return lead

    def ended(self, lead: Lead, done: Done | None, fresh_until: float) -> None:
        """See `Lead.end`."""
        if self._leads.get(lead.key) is lead:
            del self._leads[lead.key]
        if done is None or lead.began != self._writes or fresh_until <= self._clock.wall():
            return
        weight = len(done.answer.body) + sum(
            len(part) for part in lead.key if isinstance(part, (str, bytes))
        )
        self._drop(lead.key)
        told = done.without_calls()
        self._kept[lead.key] = _Kept(lead, told, fresh_until, weight + ENTRY_BYTES)
        self._bytes += weight + ENTRY_BYTES
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def written(self, endpoints: Collection[str]) -> None:
        """What `endpoints` read has changed, or may have."""
        self._writes += 1
        self._leads.clear()  # who waits already asked before
        stale = set(endpoints)
        for key in [key for key, one in self._kept.items() if not stale.isdisjoint(one.endpoints)]:
            self._drop(key)

    def _drop(self, key: ShareKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.weight
