"""Python code as it is written, and what it becomes."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from plait.query.leaves import Unusual

CODE_CHARACTERS_MAX = 60_000
"""What is larger takes too long to compile, and is too seldom asked for, to be worth it."""


def functions_of(source: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """What `source` defines, with `names` at hand."""
    namespace = dict(names)
    exec(compile(source, "<plait>", "exec"), namespace)
    return namespace


def as_key(value: Any) -> Any:
    """A list of a row as something that can be looked up."""
    return tuple(value) if type(value) is list else value


def unusual() -> Any:
    """Raises `Unusual`: what graphql-core is to tell."""
    raise Unusual


class Names:
    """The names by which code finds values: one for each value and prefix."""

    def __init__(self, **given: Any) -> None:
        self.values = given
        self._numbers = count()
        self._known: dict[tuple[str, int], str] = {}

    def new(self, prefix: str) -> str:
        """A name that nothing has."""
        return f"{prefix}{next(self._numbers)}"

    def of(self, prefix: str, value: Any) -> str:
        """The name of a value."""
        known = self._known.get((prefix, id(value)))
        if known is None:
            known = self._known[prefix, id(value)] = self.new(prefix)
            self.values[known] = value  # which keeps it, and so its identity
        return known


class Function:
    """One function as it is written."""

    def __init__(self, name: str, parameters: Sequence[str]) -> None:
        self.name = name
        self.parameters = list(parameters)
        self.computes = False
        """Whether it takes what computes fields of rows."""
        self.first: list[str] = []
        """Lines before all others."""
        self.lines: list[str] = []
        self._numbers = count()

    def add(self, depth: int, line: str) -> None:
        """A line, so deep inside the function."""
        self.lines.append("    " * (depth + 1) + line)

    def new(self, prefix: str) -> str:
        """A name that is not used in it."""
        return f"{prefix}{next(self._numbers)}"

    def text(self) -> str:
        """The whole function."""
        last = ["compute"] if self.computes else []
        head = f"def {self.name}({', '.join([*self.parameters, *last])}):"
        return "\n".join([head, *(f"    {line}" for line in self.first), *self.lines])
