"""How long each endpoint's calls took lately."""

from collections import deque
from dataclasses import dataclass

from plait.events import CallFinished, Event

CALLS_KEPT = 256
"""Of one endpoint."""
ENDPOINTS_KEPT = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds: what half of the last calls stayed below, and nineteen of twenty."""

    p50: float
    p95: float


class Latencies:
    """Observes calls; by backend and label."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], deque[float]] = {}

    def __call__(self, event: Event) -> None:
        """See `Events`. Calls that failed tell nothing of how long an answer takes."""
        if type(event) is not CallFinished or event.error_code is not None:
            return
        key = event.backend, event.endpoint
        last = self._last.get(key)
        if last is None and len(self._last) < ENDPOINTS_KEPT:
            last = self._last[key] = deque(maxlen=CALLS_KEPT)
        if last is not None:
            last.append(event.duration_ms)

    def of(self, backend: str, *labels: str) -> Latency | None:
        """Of the first label of which anything is known."""
        for label in labels:
            if last := self._last.get((backend, label)):
                ordered = sorted(last)
                return Latency(p50=ordered[len(ordered) // 2], p95=ordered[len(ordered) * 19 // 20])
        return None
