"""One request's loads, gathered into waves: one batch per endpoint and wave, equal keys once.

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
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec.structs import replace

from plait.backend.budget import Allowance, Budget
from plait.backend.call import Origin
from plait.backend.encode import key_told, load_of
from plait.backend.fetch import Fetcher
from plait.backend.loads import Fetched, Load, LoadOutcome
from plait.backend.span import KEYS_SHOWN, Span
from plait.backend.spec import EndpointSpec
from plait.clock import Pace

QUIET_TURNS = 6
"""Turns of the loop without a new load after which a wave leaves. A resolver's own awaits take one
each."""


HANDED_OUT = 64
"""Rows that are handed out in one turn of the loop."""


_Batch: TypeAlias = tuple[EndpointSpec, list[tuple[Load, "asyncio.Future[LoadOutcome]"]]]


class Elsewhere(Protocol):
    """Somebody else who asks for the same operation. Endpoints go by their identities."""

    def outcome_of(self, identity: str, load: Load) -> LoadOutcome | None:
        """What has come of a load, where it was asked for there."""
        ...

    def join(self, identity: str, load: Load) -> "asyncio.Future[LoadOutcome] | None":
        """Have a load leave with those that are about to leave there; `None` where none are. What
        cannot leave after all comes back: see `Loaders.take_back`."""
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
        self._known: dict[str, dict[tuple[tuple[str, ...], str], asyncio.Future[LoadOutcome]]] = {}
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
        """The outcome of one load; equal loads share it for the whole request.

        The future holds errors as values, so that one nobody looks at is no warning. Raises
        `BadUserInput`, `OperationTooCostly`.
        """
        load = load_of(endpoint, values)
        identity = self._fetcher.identity(endpoint)
        known = self._known.setdefault(identity, {})
        future = known.get(load.identity)
        if future is None and self.elsewhere is not None:
            outcome = self.elsewhere.outcome_of(identity, load)
            if outcome is not None:
                self.prime(endpoint, load, outcome)
                return known[load.identity]
        if future is None:
            self._budget.spend_key()
            future = self.elsewhere.join(identity, load) if self.elsewhere is not None else None
            if future is not None:
                self._pending.add(future)
                future.add_done_callback(self._pending.discard)
            else:
                future = asyncio.get_running_loop().create_future()
                self._ask(identity, endpoint, load, future)
            known[load.identity] = future
        return future

    def take_back(
        self, endpoint: EndpointSpec, load: Load, future: "asyncio.Future[LoadOutcome]"
    ) -> None:
        """Ask for a load that was to leave elsewhere."""
        if not future.done() and not self._is_closed:
            self._ask(self._fetcher.identity(endpoint), endpoint, load, future)

    def _ask(
        self,
        identity: str,
        endpoint: EndpointSpec,
        load: Load,
        future: "asyncio.Future[LoadOutcome]",
    ) -> None:
        self._pending.add(future)
        self._wave.setdefault(identity, (endpoint, []))[1].append((load, future))
        self._loads += 1
        if not self._watching:
            self._watching = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._watch, loop, self._loads, 0)

    def prime(self, endpoint: EndpointSpec, load: Load, outcome: LoadOutcome) -> None:
        """Say what one load brings, for it has been asked for already: who asks for it gets this,
        at once."""
        future: asyncio.Future[LoadOutcome] = asyncio.get_running_loop().create_future()
        future.set_result(outcome)
        known = self._known.setdefault(self._fetcher.identity(endpoint), {})
        known.setdefault(load.identity, future)

    def told(self, identity: str, load: Load) -> LoadOutcome | None:
        """What has come of a load of an endpoint, if it has been asked for here."""
        future = self._known.get(identity, {}).get(load.identity)
        if future is None or not future.done() or future.cancelled():
            return None
        return None if future.exception() is not None else future.result()

    @property
    def count(self) -> int:
        """How many loads were asked for, equal ones once."""
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
        for endpoint, pairs in wave.values():
            task = asyncio.create_task(self._deliver(endpoint, pairs))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self, endpoint: EndpointSpec, pairs: Sequence[tuple[Load, "asyncio.Future[LoadOutcome]"]]
    ) -> None:
        loads = [load for load, _ in pairs]
        origin, span = self._origin, None
        if self.spans is not None:
            span = self._span(endpoint, loads)
            self.spans.append(span)
            origin = replace(origin, span=span)
        try:
            outcomes = await self._fetcher.fetch(endpoint, loads, origin, since=self._since)
            if span is not None:
                span.end = self._fetcher.clock.now()
                span.failed = sum(not isinstance(one, Fetched) for one in outcomes)
        except Exception as error:  # a limit, or a defect: every key of the batch has it
            for _, future in pairs:
                _fail(future, error)
            self._pending.difference_update(future for _, future in pairs)
            return
        self.holding += 1
        try:
            await self._hand_out(pairs, outcomes)
        finally:
            self.holding -= 1

    def _span(self, endpoint: EndpointSpec, loads: Sequence[Load]) -> Span:
        return Span(
            backend=endpoint.backend.name,
            endpoint=endpoint.label,
            wave=self._waves,
            keys_told=tuple(key_told(load) for load in loads[:KEYS_SHOWN]),
            count=len(loads),
            start=self._fetcher.clock.now(),
        )

    async def _hand_out(
        self,
        pairs: Sequence[tuple[Load, "asyncio.Future[LoadOutcome]"]],
        outcomes: Sequence[LoadOutcome],
    ) -> None:
        self._pace.begin()
        for place, ((_, future), outcome) in enumerate(zip(pairs, outcomes, strict=True)):
            if place and place % HANDED_OUT == 0:
                await self._pace.breathe()  # whoever waits for these rows takes them now
            self._pending.discard(future)
            if not future.done():
                future.set_result(outcome)


def _fail(future: "asyncio.Future[LoadOutcome]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # seen: whoever awaits the future gets it all the same
