"""What stands in an answer that compiled code made where something failed or is shown instead, and
what is told of it."""

from typing import Any, Literal

from graphql import GraphQLError

from plait.errors import PlaitError
from plait.query.answered import FieldError
from plait.query.joins import Join
from plait.query.resolved import Resolver


class FailedRow:
    """Stands where a value would be."""

    __slots__ = ("error", "fallback", "has_fallback", "of")

    def __init__(
        self,
        error: Exception,
        of: Join | Resolver,
        *,
        has_fallback: bool = False,
        fallback: Any = None,
    ) -> None:
        self.error = error
        self.of = of
        """The field that it would be a value of."""
        self.has_fallback = has_fallback
        self.fallback = fallback
        """What is shown instead, and is no error."""


class Instead:
    """Why a row is not what was asked for just now."""

    __slots__ = ("because", "kind")

    def __init__(self, kind: Literal["stale", "value"], because: PlaitError) -> None:
        self.kind = kind
        self.because = because


class Told:
    """What an answer tells beside its data."""

    __slots__ = ("errors", "fallbacks", "is_nothing")

    def __init__(
        self,
        *,
        errors: list[GraphQLError | FieldError],
        fallbacks: list[dict[str, Any]],
        is_nothing: bool = False,
    ) -> None:
        self.errors = errors
        """In the order of the operation's fields."""
        self.fallbacks = fallbacks
        self.is_nothing = is_nothing
        """Whether null goes up to the whole of the data."""
