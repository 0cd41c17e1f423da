"""What compiled code made, and what there is to tell beside an answer's data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from graphql import FieldNode, GraphQLError

from plait.backend.budget import Budget
from plait.errors import PlaitError

_BEFORE_DATA: Final = len('{"data":')


class FieldError:
    """An error of ours at its place: of a `GraphQLError` what is looked at when it is told, at a
    tenth of the cost. Nobody raises it."""

    __slots__ = ("nodes", "original_error", "path")

    def __init__(
        self, original_error: PlaitError, nodes: Sequence[FieldNode], path: list[str | int]
    ) -> None:
        self.original_error = original_error
        self.nodes = nodes
        self.path = path

    @property
    def message(self) -> str:
        """See `GraphQLError`."""
        return str(self.original_error)

    @property
    def positions(self) -> list[int]:
        """See `GraphQLError`: where in the document the field stands."""
        return [node.loc.start for node in self.nodes if node.loc is not None]


class Answered:
    """What compiled code made."""

    __slots__ = ("body", "data", "errors", "fallbacks")

    def __init__(
        self,
        *,
        body: bytes,
        data: dict[str, Any] | None,
        errors: list[GraphQLError | FieldError],
        fallbacks: list[dict[str, Any]],
    ) -> None:
        self.body = body
        """The whole answer, where there are no errors."""
        self.data = data
        self.errors = errors
        self.fallbacks = fallbacks
        """What it tells of fields that show something else than what was asked for just now."""

    @property
    def encoded(self) -> bytes:
        """The data as JSON."""
        return self.body[_BEFORE_DATA:-1]

    @property
    def is_all(self) -> bool:
        """Whether there is nothing to tell beside the data."""
        return not self.errors and not self.fallbacks


class Beside:
    """What is told beside data and errors, and how."""

    __slots__ = (
        "budget",
        "dropped",
        "fallbacks",
        "given",
        "hides_suggestions",
        "more",
        "replayed",
        "reported",
        "request_id",
        "warnings",
        "written",
    )

    def __init__(
        self,
        *,
        request_id: str,
        budget: Budget,
        hides_suggestions: bool = False,
        reported: Sequence[GraphQLError] = (),
        dropped: int = 0,
        fallbacks: Sequence[dict[str, Any]] = (),
        replayed: bool = False,
        written: Sequence[Mapping[str, Any]] = (),
        warnings: Sequence[str] = (),
        given: Mapping[str, Any] | None = None,
        more: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self.request_id = request_id
        self.budget = budget
        """Of which the answer's size is."""
        self.hides_suggestions = hides_suggestions
        """Whether errors may not name what the schema has."""
        self.reported = reported
        """Errors of what is written beside the data."""
        self.dropped = dropped
        """How many errors there were beyond those that are listed."""
        self.fallbacks = list(fallbacks)
        self.replayed = replayed
        self.written = written
        self.warnings = warnings
        self.given: Mapping[str, Any] = given or {}
        """The extensions that the graph's own extensions made."""
        self.more = more
        """What else there is, once the operation has ended."""
