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
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any, Protocol

from plait.backend.budget import Allowance, Budget
from plait.backend.call import Origin
from plait.backend.fetch import Fetcher
from plait.backend.keys import Key, Keys, key_of, key_told
from plait.backend.loads import Fetched, LoadOutcome, LoadOutcomes
from plait.backend.span import KEYS_SHOWN, Span
from plait.backend.spec import EndpointSpec

QUIET_TURNS = 6
"""Turns of the loop without a new load after which a wave leaves. A resolver's own awaits take one
each."""


HANDED_OUT = 64
"""Rows that are handed out in one turn of the loop."""


class KeyBatch:
    """Keys of one endpoint that leave together, and what comes of them. There is no future for a
    key but where somebody waits for that alone."""

    __slots__ = ("_then", "_waiting", "error", "is_over", "keys", "outcomes")

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.is_over = False
        self.outcomes: LoadOutcomes | None = None
        """One for each key, once it is over; `None` where `error` says why, or it was given up."""
        self.error: Exception | None = None
        """A limit, or a defect."""
        self._then: list[Callable[[], object]] = []
        self._waiting: list[tuple[Key, asyncio.Future[LoadOutcome]]] = []

    def then(self, callback: Callable[[], object]) -> None:
        """Call `callback` when it is over, which it is not; never, where it is given up."""
        self._then.append(callback)

    def future(self, key: Key) -> "asyncio.Future[LoadOutcome]":
        """One key's outcome, for who waits for it: its own, so that whoever is given up takes it
        from nobody."""
        future: asyncio.Future[LoadOutcome] = asyncio.get_running_loop().create_future()
        if self.is_over:
            self._settle(key, future)
        else:
            self._waiting.append((key, future))
        return future

    def land(self, outcomes: LoadOutcomes) -> None:
        """All is there. Who waits for a key is told by `hand_out`."""
        self.outcomes = outcomes
        self._end()

    def fail(self, error: Exception) -> None:
        """Nothing comes of it: every key has this."""
        self.error = error
        self._end()
        self.hand_out()

    def hand_out(self, count: int | None = None) -> bool:
        """Tell the first of those who wait, or all of them. Whether there are more."""
        told = self._waiting[:count]
        del self._waiting[: len(told)]
        for key, future in told:
            self._settle(key, future)
        return bool(self._waiting)

    def give_up(self, count: int) -> bool:
        """Nobody waits for it any more, and some who do are told so. Whether there are more."""
        self.is_over, self._then = True, []
        given_up = self._waiting[:count]
        del self._waiting[:count]
        for _, future in given_up:
            future.cancel()
        return bool(self._waiting)

    def outcome(self, key: Key) -> LoadOutcome:
        """What came of a key. Raises the error of all; it is over."""
        if self.outcomes is None:
            raise self.error or asyncio.CancelledError
        return self.outcomes[key]

    def _end(self) -> None:
        self.is_over = True
        waiting, self._then = self._then, []
        for callback in waiting:
            callback()

    def _settle(self, key: Key, future: "asyncio.Future[LoadOutcome]") -> None:
        if future.done():
            return
        if self.outcomes is not None:
            future.set_result(self.outcomes[key])
        elif self.error is not None:
            future.set_exception(self.error)
            future.exception()  # seen: whoever awaits the future gets it all the same
        else:
            future.cancel()


class Loading:
    """One key that somebody has asked for."""

    __slots__ = ("batch", "key")

    def __init__(self, batch: KeyBatch, key: Key) -> None:
        self.batch = batch
        self.key = key

    @property
    def is_over(self) -> bool:
        """Whether there is an outcome, or never will be."""
        return self.batch.is_over

    def outcome(self) -> LoadOutcome:
        """See `KeyBatch.outcome`."""
        return self.batch.outcome(self.key)

    def future(self) -> "asyncio.Future[LoadOutcome]":
        """See `KeyBatch.future`."""
        return self.batch.future(self.key)


class Elsewhere(Protocol):
    """Somebody else who asks for the same operation. Endpoints go by their identities."""

    def outcome_of(self, identity: str, key: Key) -> LoadOutcome | None:
        """What has come of a key, where it was asked for there."""
        ...

    def join(self, identity: str, key: Key, values: Mapping[str, Any]) -> KeyBatch | None:
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
        self._pace = origin.pace
        self.holding = 0
        """How many are about to load more: no wave leaves before they have."""
        self.since = 0.0
        """Nothing that was asked for until then is good enough."""
        self.elsewhere: Elsewhere | None = None
        """Who else asks for the same operation."""
        self._known: dict[str, dict[Key, KeyBatch]] = {}
        """By the endpoint's identity: two that send the same call share it."""
        self._wave: dict[str, KeyBatch] = {}
        self._loads = 0
        self._watching = False
        self.spans: list[Span] | None = None
        """How each batch went, where somebody asks: a list to be filled."""
        self._waves = 0
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: set[KeyBatch] = set()

    def load(self, endpoint: EndpointSpec, values: Mapping[str, Any]) -> Loading:
        """Ask for one key; who asks for an equal one shares what comes, for the whole request.

        Errors of calls are outcomes. Raises `BadUserInput`, `OperationTooCostly`.
        """
        key = key_of(endpoint, values)
        identity = self._fetcher.identity(endpoint)
        known = self._known.setdefault(identity, {})
        batch = known.get(key)
        if batch is None and self.elsewhere is not None:
            outcome = self.elsewhere.outcome_of(identity, key)
            if outcome is not None:
                self.prime(endpoint, key, outcome)
                batch = known[key]
        if batch is None:
            self._budget.spend_key()
            if self.elsewhere is not None:
                batch = self.elsewhere.join(identity, key, values)
            if batch is not None:
                self._pending.add(batch)
                batch.then(partial(self._pending.discard, batch))
            else:
                batch = self._ask(endpoint, key, values)
            known[key] = batch
        return Loading(batch, key)

    def take_back(self, batch: KeyBatch) -> None:
        """Ask for what was to leave elsewhere."""
        if batch.is_over or self._is_closed:
            return
        for key in batch.keys.values:
            own = self._ask(batch.keys.endpoint, key, batch.keys.of(key))
            own.then(partial(_pass_on, own, batch))

    def _ask(self, endpoint: EndpointSpec, key: Key, values: Mapping[str, Any]) -> KeyBatch:
        identity = self._fetcher.identity(endpoint)
        batch = self._wave.get(identity)
        if batch is None:
            batch = self._wave[identity] = KeyBatch(Keys(endpoint))
            self._pending.add(batch)
        batch.keys.put(key, values)
        self._loads += 1
        if not self._watching:
            self._watching = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._watch, loop, self._loads, 0)
        return batch

    def prime(self, endpoint: EndpointSpec, key: Key, outcome: LoadOutcome) -> None:
        """Say what one key brings, for it has been asked for already: who asks for it gets this,
        at once."""
        known = self._known.setdefault(self._fetcher.identity(endpoint), {})
        if key not in known:
            batch = known[key] = KeyBatch(Keys(endpoint))
            batch.land({key: outcome})

    def told(self, identity: str, key: Key) -> LoadOutcome | None:
        """What has come of a key of an endpoint, if it has been asked for here."""
        batch = self._known.get(identity, {}).get(key)
        return None if batch is None or batch.outcomes is None else batch.outcomes[key]

    @property
    def count(self) -> int:
        """How many keys were asked for, equal ones once."""
        return self._loads

    def forget(self) -> None:
        """Load everything anew from now on, as after a write: what was asked for before is not
        good enough, whoever asked."""
        self._known = {}
        self.elsewhere = None
        self.since = self._fetcher.now()

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
            if next(iter(self._pending)).give_up(HANDED_OUT):
                await self._pace.breathe()
            else:
                self._pending.pop()

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
        for batch in wave.values():
            task = asyncio.create_task(self._deliver(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, batch: KeyBatch) -> None:
        keys, origin, span = batch.keys, self._origin, None
        if self.spans is not None:
            span = self._span(keys)
            self.spans.append(span)
            origin = origin.noted_by(span)
        try:
            outcomes = await self._fetcher.fetch(keys, origin, since=self.since)
        except Exception as error:
            batch.fail(error)
            self._pending.discard(batch)
            return
        if span is not None:
            span.end = self._fetcher.clock.now()
            span.failed = sum(not isinstance(one, Fetched) for one in outcomes.values())
        self.holding += 1
        try:
            self._pace.begin()
            batch.land(outcomes)
            while batch.hand_out(HANDED_OUT):
                await self._pace.breathe()  # whoever waits for these rows takes them now
            self._pending.discard(batch)
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


def _pass_on(came: KeyBatch, to: KeyBatch) -> None:
    """Tell who waits for `to` what came elsewhere."""
    if came.outcomes is not None:
        to.land({key: came.outcomes[key] for key in to.keys.values})
        to.hand_out()
    elif came.error is not None:
        to.fail(came.error)
