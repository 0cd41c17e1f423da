"""What is asked for, a row at a time, and what comes of it."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from plait.errors import BackendError, PlaitError

Row: TypeAlias = Any
"""JSON: what one key gets. A dict, a list of them, a scalar; `None` where the backend has no such
row."""
LoadId: TypeAlias = tuple[tuple[str, ...], str]
"""What tells apart the loads of one endpoint, on behalf of one caller: key, and what is shared."""


class Load(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One row, or group of rows, asked for. Compared by itself: see `identity`.

    Equal `key` and `shared` on one endpoint mean the same thing to the backend: `7` and `"7"` are
    one key, because they are one text on the wire.
    """

    values: Mapping[str, Any]
    key: tuple[str, ...]
    """What tells it apart from the others in its batch."""
    shared: str
    """What a whole batch has in common: the parameters that are no keys."""
    alone: bool = False
    """Whether it cannot go in a batch, and goes in the single form whatever else is asked for."""

    @property
    def identity(self) -> LoadId:
        """Equal for loads that ask for the same thing."""
        return self.key, self.shared


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """The row, or rows, of one load. `row` is `None` when the backend has none. It is shared: who
    hands it to somebody that may change it makes a copy."""

    row: Row
    status: int | None = None
    """What the backend answered to say that there is none, where it said so by a status."""
    stale_because: BackendError | None = None
    """Set when the backend failed and a stale copy stands in."""


LoadOutcome: TypeAlias = Fetched | PlaitError
LoadOutcomes: TypeAlias = Mapping[tuple[str, ...], LoadOutcome]
"""By the keys of the loads, which share all else."""
