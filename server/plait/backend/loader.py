"""What one request loads, gathered into waves: one batch per endpoint and wave, equal keys once.

The one subtle thing: when is a wave complete? The executor starts resolvers whenever data for them
arrives, and a resolver may pass through a few awaits before it loads. All of that happens in turns
of the event loop that follow each other at once, without waiting for anything outside. So each
load starts a watch that lets the loop turn until several turns in a row have brought no new load;
only then does the wave leave, for all endpoints at once. This takes microseconds and no timer.
What waits for something real (a call, a sleep) is not in this wave, and should not hold it up.

A batch is delivered when its last chunk is in. Thousands of rows are handed out over several turns
of the loop, so that others get theirs; no wave leaves meanwhile, or the loads below these rows
would leave in pieces, and every wave from there on would fall apart into more calls than it
needs.
"""

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import Any, Protocol, TypeAlias

from msgspec.structs import replace

from plait.backend.budget import Allowance, Budget
from plait.backend.call import Origin
from plait.backend.fetch import Fetcher
from plait.backend.keys import Key, Keys, key_of, key_told
from plait.backend.loads import Fetched, LoadOutcome, LoadOutcomes
from plait.backend.span import KEYS_SHOWN, Span
from plait.backend.spec import EndpointSpec
from plait.clock import Pace

QUIET_TURNS = 6
"""Turns of the loop without a new load after which a wave leaves. A resolver's own awaits take one
each."""


HANDED_OUT = 64
"""Rows that are handed out in one turn of the loop."""


_Batch: TypeAlias = tuple[Keys, "dict[Key, asyncio.Future[LoadOutcome]]"]


class Elsewhere(Protocol):
    """Somebody else who asks for the same operation. Endpoints go by their identities."""

    def outcome_of(self, identity: str, key: Key) -> LoadOutcome | None:
        """What has come of a key, where it was asked for there."""
        ...

    def join(
        self, identity: str, key: Key, values: Mapping[str, Any]
    ) -> "asyncio.Future[LoadOutcome] | None":
        """Have the key of `values` leave with those that are about to leave there; `None` where
        none are. What cannot leave after all comes back: see `Loaders.take_back`."""
        ...


class Loaders:
    """The loads of one request. Made for it, closed at its end; shares nothing with others but the
    fetcher."""

    def __init__(self, fetcher: Fetcher, origin: Origin) -> None:
        self._fetcher = fetcher
        self._origin = origin
        self._budget = origin.budget or Budget(Allowance())
        self._pace = origin.pace or Pace()
        self.holding = 0
        """How many are about to load more: no wave leaves before they have."""
        self._since = 0.0
        self.elsewhere: Elsewhere | None = None
        """Who else asks for the same operation."""
        self._known: dict[str, dict[Key, asyncio.Future[LoadOutcome]]] = {}
        """By the endpoint's identity: two that send the same call share it."""
        self._wave: dict[str, _Batch] = {}
        self._loads = 0
        self._watching = False
        self.spans: list[Span] | None = None
        """How each batch went, where somebody asks: a list to be filled."""
        self._waves = 0
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: set[asyncio.Future[LoadOutcome]] = set()

    def load(
        self, endpoint: EndpointSpec, values: Mapping[str, Any]
    ) -> "asyncio.Future[LoadOutcome]":
        """The outcome of one key; who asks for an equal one shares it, for the whole request.

        The future holds errors as values, so that one nobody looks at is no warning. Raises
        `BadUserInput`, `OperationTooCostly`.
        """
        key = key_of(endpoint, values)
        identity = self._fetcher.identity(endpoint)
        known = self._known.setdefault(identity, {})
        future = known.get(key)
        if future is None and self.elsewhere is not None:
            outcome = self.elsewhere.outcome_of(identity, key)
            if outcome is not None:
                self.prime(endpoint, key, outcome)
                return known[key]
        if future is None:
            self._budget.spend_key()
            if self.elsewhere is not None:
                future = self.elsewhere.join(identity, key, values)
            if future is not None:
                self._pending.add(future)
                future.add_done_callback(self._pending.discard)
            else:
                future = asyncio.get_running_loop().create_future()
                self._ask(endpoint, key, values, future)
            known[key] = future
        return future

    def take_back(
        self,
        endpoint: EndpointSpec,
        key: Key,
        values: Mapping[str, Any],
        future: "asyncio.Future[LoadOutcome]",
    ) -> None:
        """Ask for a key that was to leave elsewhere."""
        if not future.done() and not self._is_closed:
            self._ask(endpoint, key, values, future)

    def _ask(
        self,
        endpoint: EndpointSpec,
        key: Key,
        values: Mapping[str, Any],
        future: "asyncio.Future[LoadOutcome]",
    ) -> None:
        self._pending.add(future)
        identity = self._fetcher.identity(endpoint)
        batch = self._wave.get(identity)
        if batch is None:
            batch = self._wave[identity] = Keys(endpoint), {}
        batch[0].put(key, values)
        batch[1][key] = future
        self._loads += 1
        if not self._watching:
            self._watching = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._watch, loop, self._loads, 0)

    def prime(self, endpoint: EndpointSpec, key: Key, outcome: LoadOutcome) -> None:
        """Say what one key brings, for it has been asked for already: who asks for it gets this,
        at once."""
        future: asyncio.Future[LoadOutcome] = asyncio.get_running_loop().create_future()
        future.set_result(outcome)
        known = self._known.setdefault(self._fetcher.identity(endpoint), {})
        known.setdefault(key, future)

    def told(self, identity: str, key: Key) -> LoadOutcome | None:
        """What has come of a key of an endpoint, if it has been asked for here."""
        future = self._known.get(identity, {}).get(key)
        if future is None or not future.done() or future.cancelled():
            return None
        return None if future.exception() is not None else future.result()

    @property
    def count(self) -> int:
        """How many keys were asked for, equal ones once."""
        return self._loads

    def forget(self) -> None:
        """Load everything anew from now on, as after a write: what was asked for before is not
        good enough, whoever asked."""
        self._known = {}
        self.elsewhere = None
        self._since = self._fetcher.now()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._tasks and not self._pending

    def stop(self) -> None:
        """Let no further wave leave."""
        self._is_closed = True

    async def close(self) -> None:
        """Give up what is still under way, and whoever waits for it. No further wave leaves."""
        self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._pending:
            for _ in range(min(HANDED_OUT, len(self._pending))):
                self._pending.pop().cancel()
            if self._pending:
                await self._pace.breathe()

    def _watch(self, loop: asyncio.AbstractEventLoop, loads: int, quiet: int) -> None:
        if self._is_closed:
            return
        if self._loads != loads or self.holding:
            quiet = 0
        if quiet < QUIET_TURNS:
            loop.call_soon(self._watch, loop, self._loads, quiet + 1)
            return
        self._watching = False
        self._leave()

    def _leave(self) -> None:
        """Send the wave: one task an endpoint, all at the same time."""
        wave, self._wave = self._wave, {}
        self._waves += 1
        for keys, futures in wave.values():
            task = asyncio.create_task(self._deliver(keys, futures))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self, keys: Keys, futures: Mapping[Key, "asyncio.Future[LoadOutcome]"]
    ) -> None:
        origin, span = self._origin, None
        if self.spans is not None:
            span = self._span(keys)
            self.spans.append(span)
            origin = replace(origin, span=span)
        try:
            outcomes = await self._fetcher.fetch(keys, origin, since=self._since)
            if span is not None:
                span.end = self._fetcher.clock.now()
                span.failed = sum(not isinstance(one, Fetched) for one in outcomes.values())
        except Exception as error:  # a limit, or a defect: every key of the batch has it
            for future in futures.values():
                _fail(future, error)
            self._pending.difference_update(futures.values())
            return
        self.holding += 1
        try:
            await self._hand_out(futures, outcomes)
        finally:
            self.holding -= 1

    def _span(self, keys: Keys) -> Span:
        return Span(
            backend=keys.endpoint.backend.name,
            endpoint=keys.endpoint.label,
            wave=self._waves,
            keys_told=tuple(map(key_told, islice(keys.values, KEYS_SHOWN))),
            count=len(keys),
            start=self._fetcher.clock.now(),
        )

    async def _hand_out(
        self, futures: Mapping[Key, "asyncio.Future[LoadOutcome]"], outcomes: LoadOutcomes
    ) -> None:
        self._pace.begin()
        for place, (key, future) in enumerate(futures.items()):
            if place and place % HANDED_OUT == 0:
                await self._pace.breathe()  # whoever waits for these rows takes them now
            self._pending.discard(future)
            if not future.done():
                future.set_result(outcomes[key])


def _fail(future: "asyncio.Future[LoadOutcome]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # seen: whoever awaits the future gets it all the same
