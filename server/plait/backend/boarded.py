"""What of one endpoint is asked for, and the calls that bring it."""

from collections.abc import Mapping, Sequence

import msgspec

from plait.backend.call import Origin
from plait.backend.flight import Flight
from plait.backend.identity import Scope
from plait.backend.loads import Load
from plait.backend.spec import EndpointSpec


class Inquiry(msgspec.Struct, frozen=True, kw_only=True):
    """What of one endpoint is asked for, on whose behalf."""

    endpoint: EndpointSpec
    identity: str
    """The endpoint's."""
    scope: Scope
    origin: Origin
    since: float = 0.0
    """What was asked for until then is not used."""


class Boarded(msgspec.Struct, kw_only=True):
    """The calls that some loads have joined or started."""

    flights: Sequence[Flight] = ()
    whole: Flight | None = None
    """The one that brings all of them, where there is such a one."""
    by_load: dict[Load, Flight] = {}
    """Which one brings which, where there are several."""
    joined: Mapping[Load, Flight] = {}
    """Those that were under way already, for somebody else."""

    def flight_of(self, load: Load) -> Flight | None:
        """What brings one load."""
        return self.whole or self.by_load.get(load)

    def again(self, loads: Sequence[Load], anew: "Boarded") -> "Boarded":
        """The same, but for some of the loads, which have boarded anew."""
        late = {load: flight for load in loads if (flight := anew.flight_of(load)) is not None}
        by_load = {**self.by_load, **late}
        joined = {one: flight for one, flight in self.joined.items() if one not in late}
        return Boarded(
            flights=[*self.flights, *anew.flights],
            by_load=by_load,
            joined={**joined, **anew.joined},
        )
