"""What came of a resolver that has run: it is not run again, whoever makes the answer."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Struct


class Ran(Struct, frozen=True):
    """What a resolver returned, or why it did not."""

    value: Any = None
    error: Exception | None = None

    def told(self) -> Any:
        """What it returned. Raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.value


RowsRan: TypeAlias = Mapping[tuple[int, int], Ran]
"""What resolvers of rows returned, by the identities of row and field node: both are the same
objects whoever makes the answer."""
