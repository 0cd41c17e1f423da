"""The calls in flight, by what they were asked for: whoever asks for the same joins them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, TypeAlias

from plait.backend.flight import Board, Flight
from plait.backend.identity import Family
from plait.backend.keys import Key

_Flying: TypeAlias = dict[Key, Flight]
_NONE: Mapping[Key, Flight] = {}
_FEW: Final = 4
"""So many keys are looked up faster than they are compared with all that are under way."""


class Coalescer(Board):
    """Knows every call that may be joined. Lives as long as the app."""

    def __init__(self) -> None:
        self._flying: dict[Family, _Flying] = {}

    def __iter__(self) -> Iterator[Flight]:
        """All that are under way, each once."""
        yield from {one for flying in self._flying.values() for one in flying.values()}

    def joined(self, family: Family, keys: Collection[Key], since: float) -> Mapping[Key, Flight]:
        """Those of `keys` that were asked for after `since` and are under way."""
        flying = self._flying.get(family)
        if not flying or (len(keys) > _FEW and flying.keys().isdisjoint(keys)):
            return _NONE
        found: dict[Key, Flight] = {}
        for key in keys:
            flight = flying.get(key)
            if flight is not None and flight.asked_at > since and not flight.is_over:
                found[key] = flight
        return found

    def add(self, flight: Flight) -> None:
        """`flight` may be joined until it is over."""
        flying = self._flying.get(flight.family)
        if flying is None:
            flying = self._flying[flight.family] = {}
        for key in flight.keys:
            flying[key] = flight
        flight.board = self

    def part_from(self, identity: str, key: Key | None) -> None:
        """Whoever asks from now on joins nothing of what is under way for one key of an endpoint,
        or with `None` for any."""
        for family, flying in self._flying.items():
            if family[0] != identity:
                continue
            if key is None:
                flying.clear()
            else:
                flying.pop(key, None)

    def over(self, flight: Flight) -> None:
        """See `Board`."""
        flying = self._flying.get(flight.family)
        if flying is None:
            return
        for key in flight.keys:
            if flying.get(key) is flight:
                del flying[key]
        if not flying:
            del self._flying[flight.family]
