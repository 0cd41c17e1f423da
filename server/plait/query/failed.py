"""What stands in an answer that compiled code made where something failed or is shown instead, and
what is told of it."""

from typing import Any, Literal

import msgspec
from graphql import GraphQLError

from plait.errors import PlaitError
from plait.query.answered import FieldError
from plait.query.joins import Join
from plait.query.resolved import Resolver


class FailedRow(msgspec.Struct, frozen=True, eq=False):
    """Stands where a value would be."""

    error: Exception
    of: Join | Resolver
    """The field that it would be a value of."""
    has_fallback: bool = False
    fallback: Any = None
    """What is shown instead, and is no error."""


class Instead(msgspec.Struct, frozen=True):
    """Why a row is not what was asked for just now."""

    kind: Literal["stale", "value"]
    because: PlaitError


class Told(msgspec.Struct, frozen=True):
    """What an answer tells beside its data."""

    errors: list[GraphQLError | FieldError]
    """In the order of the operation's fields."""
    fallbacks: list[dict[str, Any]]
    is_nothing: bool = False
    """Whether null goes up to the whole of the data."""
