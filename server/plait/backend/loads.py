"""What comes of what is asked for, a key at a time."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from plait.backend.keys import Key
from plait.errors import BackendError, PlaitError

Row: TypeAlias = Any
"""JSON: what one key gets. A dict, a list of them, a scalar; `None` where the backend has no such
row."""


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """The row, or rows, of one key. `row` is `None` when the backend has none. It is shared: who
    hands it to somebody that may change it makes a copy."""

    row: Row
    status: int | None = None
    """What the backend answered to say that there is none, where it said so by a status."""
    stale_because: BackendError | None = None
    """Set when the backend failed and a stale copy stands in."""


LoadOutcome: TypeAlias = Fetched | PlaitError
LoadOutcomes: TypeAlias = Mapping[Key, LoadOutcome]
