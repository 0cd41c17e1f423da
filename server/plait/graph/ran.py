"""What came of a resolver that has run: it is not run again, whoever makes the answer."""

from asyncio import Future
from collections.abc import Mapping
from typing import Any, TypeAlias

from graphql import GraphQLError
from msgspec import Struct

from plait.errors import PlaitError


class Ran(Struct, frozen=True):
    """What a resolver returned, or why it did not."""

    value: Any = None
    error: Exception | None = None

    @property
    def is_granted(self) -> bool:
        """Whether it may ask, and has not."""
        value = self.value
        if isinstance(value, Future) and value.done() and not value.cancelled():
            return value.exception() is None and value.result() is GRANTED
        return value is GRANTED

    def told(self) -> Any:
        """What it returned. Raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.value


def raised(error: Exception) -> Ran:
    """What came of a resolver that raised. Of what is meant to be read nobody needs the frames that
    it went through: they know what keeps it, and all of it would be left to the collector."""
    if isinstance(error, GraphQLError | PlaitError):
        error.__traceback__ = error.__context__ = None
    return Ran(error=error)


GRANTED: Any = object()
"""What a field of the root says whose permissions let it ask, where somebody else asks for it."""
RowsRan: TypeAlias = Mapping[tuple[int, int], Ran]
"""What resolvers of rows returned, by the identities of row and field node: both are the same
objects whoever makes the answer."""
