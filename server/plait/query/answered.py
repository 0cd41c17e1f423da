"""What compiled code made, and what there is to tell beside an answer's data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from graphql import FieldNode, GraphQLError

from plait.backend.budget import Budget
from plait.errors import PlaitError


class FieldError(msgspec.Struct, frozen=True, eq=False):
    """An error of ours at its place: of a `GraphQLError` what is looked at when it is told, at a
    tenth of the cost. Nobody raises it."""

    original_error: PlaitError
    nodes: Sequence[FieldNode]
    path: list[str | int]

    @property
    def message(self) -> str:
        """See `GraphQLError`."""
        return str(self.original_error)

    @property
    def positions(self) -> list[int]:
        """See `GraphQLError`: where in the document the field stands."""
        return [node.loc.start for node in self.nodes if node.loc is not None]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What compiled code made."""

    body: bytes
    """The whole answer, where there are no errors."""
    data: dict[str, Any] | None
    errors: list[GraphQLError | FieldError] = []
    fallbacks: list[dict[str, Any]] = []
    """What it tells of fields that show something else than what was asked for just now."""

    @property
    def is_all(self) -> bool:
        """Whether there is nothing to tell beside the data."""
        return not self.errors and not self.fallbacks


class Beside(msgspec.Struct, kw_only=True):
    """What is told beside data and errors, and how."""

    request_id: str
    budget: Budget
    """Of which the answer's size is."""
    hides_suggestions: bool = False
    """Whether errors may not name what the schema has."""
    reported: Sequence[GraphQLError] = ()
    """Errors of what is written beside the data."""
    dropped: int = 0
    """How many errors there were beyond those that are listed."""
    fallbacks: list[dict[str, Any]] = []
    replayed: bool = False
    written: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()
    given: Mapping[str, Any] = {}
    """The extensions that the graph's own extensions made."""
    more: Callable[[], Mapping[str, Any]] | None = None
    """What else there is, once the operation has ended."""
