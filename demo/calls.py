"""Counts a service's calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class RouteCalls:
    """The calls of one route."""

    calls: int = 0
    keyed: int = 0
    keys: set[str] = field(default_factory=set)

    def add(self, key: str | None) -> None:
        """Count one more."""
        self.calls += 1
        if key is not None:
            self.keyed += 1
            self.keys.add(key)

    def wire(self) -> dict[str, int]:
        """As `/_admin/calls` shows it."""
        return {"calls": self.calls, "keys": self.keyed, "distinctKeys": len(self.keys)}


class Calls:
    """All calls since the start or the last reset."""

    def __init__(self) -> None:
        self._routes: dict[str, RouteCalls] = {}
        self._in_flight = 0
        self._max_in_flight = 0

    @contextmanager
    def entered(self, route: str, key: str | None) -> Iterator[None]:
        """Count a call, and that it is under way for as long as this lasts."""
        self._routes.setdefault(route, RouteCalls()).add(key)
        self._in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1

    def reset(self) -> None:
        """Forget everything except the calls under way."""
        self._routes.clear()
        self._max_in_flight = self._in_flight

    def wire(self) -> dict[str, object]:
        """As `/_admin/calls` shows it."""
        return {
            "total": sum(route.calls for route in self._routes.values()),
            "routes": {label: route.wire() for label, route in sorted(self._routes.items())},
            "maxInFlight": self._max_in_flight,
        }
