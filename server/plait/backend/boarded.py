"""What of one endpoint is asked for, and the calls that bring it."""

from collections.abc import Mapping, Sequence

import msgspec

from plait.backend.call import Origin
from plait.backend.flight import Flight
from plait.backend.identity import Family
from plait.backend.keys import Key, Keys
from plait.backend.spec import EndpointSpec


class Inquiry(msgspec.Struct, frozen=True, kw_only=True):
    """What of one endpoint is asked for, on whose behalf."""

    keys: Keys
    family: Family
    origin: Origin
    since: float = 0.0
    """What was asked for until then is not used."""

    @property
    def endpoint(self) -> EndpointSpec:
        return self.keys.endpoint


class Boarded(msgspec.Struct, kw_only=True):
    """The calls that some keys have joined or started."""

    flights: Sequence[Flight] = ()
    whole: Flight | None = None
    """The one that brings all of them, where there is such a one."""
    by_key: dict[Key, Flight] = {}
    """Which one brings which, where there are several."""
    joined: Mapping[Key, Flight] = {}
    """Those that were under way already, for somebody else."""

    def flight_of(self, key: Key) -> Flight | None:
        """What brings one key."""
        return self.whole or self.by_key.get(key)

    def again(self, keys: Sequence[Key], anew: "Boarded") -> "Boarded":
        """The same, but for some of the keys, which have boarded anew."""
        late = {key: flight for key in keys if (flight := anew.flight_of(key)) is not None}
        joined = {one: flight for one, flight in self.joined.items() if one not in late}
        return Boarded(
            flights=[*self.flights, *anew.flights],
            by_key={**self.by_key, **late},
            joined={**joined, **anew.joined},
        )
