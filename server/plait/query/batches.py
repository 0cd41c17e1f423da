"""The keys of one compiled operation: which of them leave together, what has left, and what came
of it.

Nothing is asked for twice: what is asked for again is found by what it is. What
resolvers of the same operation load, beside compiled code, is known here, and what is known here
they are told (`Elsewhere`).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import inf
from typing import Any

from plait.backend.budget import Budget
from plait.backend.call import Origin
from plait.backend.fetch import Fetcher, Fetching
from plait.backend.keys import Key, Keys
from plait.backend.loader import QUIET_TURNS, KeyBatch, Loaders
from plait.backend.loads import LoadOutcome
from plait.backend.spec import EndpointSpec
from plait.query.asked import Asked, Known, LoadBatch


class Batches:
    """What one operation asks backends for. `came` is called with each batch that has come, in the
    turn of the loop in which it did; `quiet` when what others could have joined has waited for them
    long enough, and is to leave."""

    def __init__(
        self,
        fetcher: Fetcher,
        origin: Origin,
        budget: Budget,
        came: Callable[[LoadBatch], object],
        quiet: Callable[[], object],
    ) -> None:
        self._fetcher = fetcher
        self._origin = origin
        self._budget = budget
        self._came = came
        self._quiet = quiet
        self._known: dict[str, dict[Key, LoadBatch]] = {}
        """By the endpoint's identity and the key: where it comes from."""
        self._pending: dict[str, LoadBatch] = {}
        self._left: list[LoadBatch] = []
        """Those that have left."""
        self.early: set[tuple[str, Key]] = set()
        """What was asked for and no row has said yet."""
        self.under_way = 0
        """How many have left and are not there yet."""
        self._keys = 0
        """How many of the budget's were spent here."""
        self._is_watching = False
        self._is_given_up = False
        self.loaders: Loaders | None = None
        """What resolvers load with, for the same operation."""
        self.is_joined = False
        """Whether resolvers may still load what could leave with its own."""
        self._guests = 0
        """How many they have had leave with its own."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to leave."""
        return not self._pending

    def load(
        self,
        made: Asked,
        keys: Keys,
        *,
        is_alone: bool,
        is_shared: bool,
        is_early: bool,
    ) -> Iterable[Key]:
        """Have keys asked for: which of them were not yet. Both `keys` and what is returned may be
        added to until they leave. `is_alone` says that nobody else asks the endpoint, `is_shared`
        that others may still, `is_early` that no row has said so yet. Raises `RequestTooLarge`.
        """
        told = {} if self.loaders is None else self._told(made, keys)
        endpoint, asked = keys.endpoint, len(keys) - len(told)
        if not asked:
            return ()
        identity = self._fetcher.identity(endpoint)
        is_shared |= self.is_joined and endpoint.batch is not None
        if is_alone and not told:
            # Nobody else asks this endpoint, so none of it has been asked for.
            self._begin(identity, made, keys, is_shared=is_shared)
            return keys.values
        pending = self._pending.get(identity)
        known = self._known.setdefault(identity, {})
        is_new = not known or known.keys().isdisjoint(keys.values)
        if pending is None and not told and is_new:
            batch = self._begin(identity, made, keys, is_shared=is_shared)
            for key in keys.values:
                known[key] = batch
                if is_early:
                    self.early.add((identity, key))
            return keys.values
        new: list[Key] = []
        for key in keys.values:
            if key in told:
                continue
            batch_of = known.get(key)
            if batch_of is None:
                if pending is None:
                    pending = self._pending[identity] = LoadBatch(Keys(endpoint))
                pending.keys.take(key, keys)
                batch_of = known[key] = pending
                new.append(key)
                if is_early:
                    self.early.add((identity, key))
            elif not is_early:
                self.early.discard((identity, key))
            if batch_of not in made.batches:
                made.batches.append(batch_of)
        if new:
            assert pending is not None
            pending.is_shared |= is_shared
            self._spend_keys(len(new))
        return new

    def _begin(self, identity: str, made: Asked, keys: Keys, *, is_shared: bool) -> LoadBatch:
        """Have `keys` leave, none of which has been asked for, and what is still added to them."""
        self._spend_keys(len(keys))
        batch = self._pending[identity] = LoadBatch(keys)
        batch.is_shared = is_shared
        made.batches.append(batch)
        return batch

    def confirm(self, endpoint: EndpointSpec, key: Key) -> None:
        """A row has said that what was asked for early is wanted."""
        self.early.discard((self._fetcher.identity(endpoint), key))

    def _told(self, made: Asked, keys: Keys) -> Mapping[Key, LoadOutcome]:
        """What resolvers have loaded of it, and what came."""
        assert self.loaders is not None
        identity = self._fetcher.identity(keys.endpoint)
        told: dict[Key, LoadOutcome] = {}
        batch = LoadBatch(Keys(keys.endpoint))
        for key in keys.values:
            outcome = self.loaders.told(identity, key)
            if outcome is not None:
                told[key] = outcome
                batch.keys.take(key, keys)
        if told:
            batch.known = Known(told)
            made.batches.append(batch)
        return told

    def _spend_keys(self, count: int) -> None:
        self._budget.spend_keys(count)
        self._keys += count

    # --- leaving

    def leave(self, *, whole: bool) -> None:
        """Send what is pending. What others may still join waits for some turns of the loop, unless
        it is told that there is nothing that could."""
        if not self._pending:
            return
        pending = self._pending
        self._pending = {
            identity: one for identity, one in pending.items() if one.is_shared and not whole
        }
        leaving = [one for identity, one in pending.items() if identity not in self._pending]
        left = len(leaving)
        since = 0.0 if self.loaders is None else self.loaders.since
        self.under_way += left  # all of them: one may be there before the next has left
        for batch in leaving:
            self._left.append(batch)
            batch.fetching = Fetching(
                self._fetcher,
                self._fetcher.inquiry(batch.all_keys(), self._origin, since),
                then=_Landed(self, batch),
            )
            try:
                batch.fetching.begin()
            except Exception:
                self.under_way -= left
                batch.fetching.leave()  # nothing comes of it, and nobody may wait for it
                self._send_back(leaving[-left:])
                raise
            left -= 1
        if self._pending and not self._is_watching:
            self._is_watching = True
            self._watch(self._awaited(), 0)

    def _awaited(self) -> int:
        return self._keys + self._guests

    def _watch(self, awaited: int, quiet: int) -> None:
        if self._is_given_up:
            return
        if self._awaited() != awaited:
            quiet = 0
        if quiet < QUIET_TURNS:
            again = partial(self._watch, self._awaited(), quiet + 1)
            asyncio.get_running_loop().call_soon(again)
            return
        self._is_watching = False
        self._quiet()

    def landed(self, batch: LoadBatch) -> None:
        """All that left with it is there."""
        self.under_way -= 1
        if not self._is_given_up:
            batch.tell_guests()
            self._came(batch)

    def give_up(self) -> None:
        """Nothing that is still to come is waited for."""
        self._is_given_up = True
        self._came = self._quiet = _nothing  # who made this is not kept by it
        for batch in self._left:
            if batch.fetching is not None:
                batch.fetching.leave()

    # --- what others have of it

    def outcome_of(self, identity: str, key: Key) -> LoadOutcome | None:
        """What has come of a key of an endpoint, whoever asks for it now."""
        for batch in self._left:
            fetching = batch.fetching
            if fetching is None or self._fetcher.identity(batch.endpoint) != identity:
                continue
            if key in batch.keys.values and fetching.has(key):
                return fetching.outcome(key)
        return None

    def join(self, identity: str, key: Key, values: Mapping[str, Any]) -> KeyBatch | None:
        """Have a resolver's key leave with what is pending for an endpoint: see `Elsewhere`."""
        batch = self._pending.get(identity)
        if batch is None:
            return None
        guest = KeyBatch(Keys(batch.endpoint))
        guest.keys.put(key, values)
        batch.guests.append(guest)
        self._guests += 1
        return guest

    def send_back(self) -> None:
        """Nothing leaves any more: who has sent guests has them leave with others."""
        self._send_back(self._pending.values())

    def _send_back(self, batches: Iterable[LoadBatch]) -> None:
        for batch in batches:
            guests, batch.guests = batch.guests, []
            for guest in guests:
                assert self.loaders is not None
                self.loaders.take_back(guest)

    def hand_on(self, loaders: Loaders, budget: Budget) -> None:
        """Tell loaders what was asked for, and what it brought. Only that counts in `budget` from
        now on: for the rest they are asked again."""
        primed = 0
        for batch in self._left:
            fetching = batch.fetching
            for key in batch.keys.values:
                if fetching is not None and fetching.has(key):
                    try:
                        outcome = fetching.outcome(key)
                    except Exception:
                        continue  # a defect: it is met again
                    loaders.prime(batch.endpoint, key, outcome)
                    primed += 1
        if budget is self._budget:
            budget.give_back_keys(self._keys - primed)
            self._keys = primed
        else:
            budget.spend_keys(primed)

    def fresh_until(self) -> float:
        """Until when all that has come is fresh, in seconds since 1970; 0 where nobody says so of
        all of it."""
        until = inf
        for batch in self._left:
            until = min(until, batch.fetching.fresh_until() if batch.fetching else 0.0)
        return until if self._left else 0.0


class _Landed:
    """Tells that a batch is there."""

    __slots__ = ("_batch", "_batches")

    def __init__(self, batches: Batches, batch: LoadBatch) -> None:
        self._batches = batches
        self._batch = batch

    def __call__(self) -> None:
        self._batches.landed(self._batch)


def _nothing(*_: object) -> None:
    pass
