"""The calls in flight, by what they were asked for: whoever asks for the same joins them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from plait.backend.flight import Flight
from plait.backend.identity import Family, Scope
from plait.backend.loads import Load

_Flying: TypeAlias = dict[tuple[str, ...], Flight]
_NONE: Mapping[tuple[str, ...], Flight] = {}


class Coalescer:
    """Knows every call that may be joined. Lives as long as the app."""

    def __init__(self) -> None:
        self._flying: dict[Family, _Flying] = {}
        """By the loads' keys."""

    def __iter__(self) -> Iterator[Flight]:
        """All that are under way, each once."""
        yield from {one for flying in self._flying.values() for one in flying.values()}

    def joined(
        self, identity: str, scope: Scope, loads: Sequence[Load], since: float
    ) -> dict[Load, Flight]:
        """Those of `loads` that were asked for after `since` and are under way. `identity` is their
        endpoint's."""
        found: dict[Load, Flight] = {}
        shared, flying = None, _NONE
        for load in loads:
            if load.shared != shared:
                shared = load.shared
                flying = self._flying.get((identity, shared, scope), _NONE)
            if flying:
                flight = flying.get(load.key)
                if flight is not None and flight.asked_at > since and not flight.is_over:
                    found[load] = flight
        return found

    def add(self, family: Family, loads: Sequence[Load], flight: Flight) -> None:
        """`flight` asks for `loads`, and may be joined until it is over."""
        keys = [load.key for load in loads]
        flying = self._flying.setdefault(family, {})
        flying.update(dict.fromkeys(keys, flight))
        flight.then(partial(self._over, family, keys, flight))

    def part_from(self, identity: str, load: Load | None) -> None:
        """Whoever asks from now on joins nothing of what is under way for one load of an endpoint,
        or with `None` for any."""
        for family, flying in self._flying.items():
            if family[0] != identity:
                continue
            if load is None:
                flying.clear()
            elif load.shared == family[1]:
                flying.pop(load.key, None)

    def _over(self, family: Family, keys: Iterable[tuple[str, ...]], flight: Flight) -> None:
        flying = self._flying.get(family)
        if flying is None:
            return
        for key in keys:
            if flying.get(key) is flight:
                del flying[key]
        if not flying:
            del self._flying[family]
