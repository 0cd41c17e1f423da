"""What came of a resolver that has run: it is not run again, whoever makes the answer."""

from typing import Any

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
