"""An example query of a graph: a tab in GraphiQL, and a line of documentation that a test can
run."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One operation to try. `title` should be the operation's name."""

    title: str
    query: str
    variables: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
