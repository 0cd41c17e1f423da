"""What of one endpoint is asked for, and the calls that bring it."""

from collections.abc import Mapping, Sequence
from typing import Final

from plait.backend.call import Origin
from plait.backend.flight import Flight
from plait.backend.identity import Family
from plait.backend.keys import Key, Keys

_NONE: Final[dict[Key, Flight]] = {}


class Inquiry:
    """What of one endpoint is asked for, on whose behalf."""

    __slots__ = ("endpoint", "family", "keys", "origin", "since")

    def __init__(self, *, keys: Keys, family: Family, origin: Origin, since: float = 0.0) -> None:
        self.keys = keys
        self.endpoint = keys.endpoint
        self.family = family
        self.origin = origin
        self.since = since
        """What was asked for until then is not used."""


class Boarded:
    """The calls that some keys have joined or started."""

    __slots__ = ("by_key", "flights", "joined", "whole")

    def __init__(
        self,
        flights: Sequence[Flight],
        *,
        whole: Flight | None = None,
        by_key: Mapping[Key, Flight] = _NONE,
        joined: Mapping[Key, Flight] = _NONE,
    ) -> None:
        self.flights = flights
        self.whole = whole
        """The one that brings all of them, where there is such a one."""
        self.by_key = by_key
        """Which one brings which, where there are several."""
        self.joined = joined
        """Those that were under way already, for somebody else."""

    def flight_of(self, key: Key) -> Flight | None:
        """What brings one key."""
        return self.whole or self.by_key.get(key)

    def again(self, keys: Sequence[Key], anew: "Boarded") -> "Boarded":
        """The same, but for some of the keys, which have boarded anew."""
        late = {key: flight for key in keys if (flight := anew.flight_of(key)) is not None}
        joined = {one: flight for one, flight in self.joined.items() if one not in late}
        return Boarded(
            [*self.flights, *anew.flights],
            by_key={**self.by_key, **late},
            joined={**joined, **anew.joined},
        )


NOTHING: Final = Boarded(())
"""No calls."""
