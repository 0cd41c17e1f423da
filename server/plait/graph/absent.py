"""Properties that a graph reads and no row has: a typing mistake would be null for ever, in
silence.

Many servers leave out what is null, so a property that is missing is null. But when the first rows
of an endpoint all lack a property, and have one of nearly its name, the graph's author most likely
meant that one. This is told once, and costs nothing once those rows have been seen.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from plait.backend.paths import holder_of, is_absent, path_text, value_at
from plait.backend.spec import EndpointSpec
from plait.graph.bindings import Place, place_of

ROWS_WATCHED = 20
"""How many of an endpoint's first rows are looked at."""
ITEMS_WATCHED = 5
"""How many items of a list inside a row."""
DEPTH_MAX = 10
NAMES_MAX = 200
"""How many names of a row are kept as what may have been meant."""
LIKENESS = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a field reads of a row: its own value, or what `this` names."""

    field: str
    """`Article.title`."""
    owner: type
    """The class that has the field."""
    declared: Place | None
    """Where the field is declared, where that is known."""
    paths: tuple[tuple[str, ...], ...]
    """Where it may stand, in the order in which it is looked for."""
    below: str | None = None
    """The type of the objects that it holds, if it holds any."""
    read: Callable[[dict[str, Any]], Any] | None = None
    """Reads, checks and converts it. Raises `RowMismatch`."""

    @property
    def place(self) -> Place:
        """The field's place in the author's code, else its class's."""
        return self.declared or place_of(self.owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A property that was in none of the rows."""

    missed: Expected
    endpoint: EndpointSpec
    rows: int
    nearest: str | None
    """The name of the row that may have been meant."""

    @property
    def name(self) -> str:
        """The property as the graph names it."""
        return path_text(self.missed.paths[0])

    def __str__(self) -> str:
        seen = f"no row of {self.endpoint.label} of '{self.endpoint.backend.name}' has had"
        meant = f" Did you mean '{self.nearest}'?" if self.nearest else ""
        return f"{self.missed.field} reads '{self.name}', which {seen} ({self.rows} seen).{meant}"


ExpectedOf = Mapping[str, tuple[Expected, ...]]
"""By the name of the type whose rows have them."""
TypeOf = Callable[[str, dict[str, Any]], str | None]
"""(declared type, row) -> the object type that the row is, where that can be told."""


class Watch:
    """Looks at the rows that one endpoint gives for one type."""

    def __init__(
        self,
        endpoint: EndpointSpec,
        type_name: str,
        properties: ExpectedOf,
        type_of: TypeOf,
        *,
        rows_max: int = ROWS_WATCHED,
    ) -> None:
        self.is_open = True
        self.rows = 0
        self.absences: tuple[Absence, ...] = ()
        """What was found so far, with a name that may have been meant."""
        self._endpoint = endpoint
        self._type_name = type_name
        self._properties = properties
        self._type_of = type_of
        self._rows_max = rows_max
        self._seen: Counter[tuple[str, int]] = Counter()
        self._missed: Counter[tuple[str, int]] = Counter()
        self._names: dict[tuple[str, int], set[str]] = {}

    def see(self, value: Any) -> None:
        """Look at a row, or at a list of rows, as they came."""
        for row in value if isinstance(value, list) else (value,):
            if self.rows >= self._rows_max:
                break
            if isinstance(row, dict):
                self.rows += 1
                self._look(self._type_name, row, 0)
        self.is_open = self.rows < self._rows_max
        self.absences = tuple(one for one in self.missing() if one.nearest)

    def missing(self) -> Iterator[Absence]:
        """Every property that none of the rows had."""
        for (type_name, place), count in self._missed.items():
            if self._seen[type_name, place]:
                continue
            found = self._properties[type_name][place]
            yield Absence(
                missed=found,
                endpoint=self._endpoint,
                rows=count,
                nearest=self._nearest(type_name, place, found),
            )

    def _look(self, type_name: str, row: dict[str, Any], depth: int) -> None:
        actual = self._type_of(type_name, row)
        for place, one in enumerate(self._properties.get(actual or "", ())):
            assert actual is not None
            holder = _holder(row, one.paths)
            if holder is not None:
                self._missed[actual, place] += 1
                names = self._names.setdefault((actual, place), set())
                names.update(list(holder)[: max(0, NAMES_MAX - len(names))])
                continue
            self._seen[actual, place] += 1
            if one.below and depth < DEPTH_MAX:
                for item in _objects(row, one.paths):
                    self._look(one.below, item, depth + 1)

    def _nearest(self, type_name: str, place: int, missed: Expected) -> str | None:
        """The name that is the same but for case and underscores; else one much like it that
        nothing else of the type reads."""
        name = missed.paths[0][-1]
        names = sorted(self._names[type_name, place])
        for one in names:
            if _folded(one) == _folded(name):
                return one
        taken = {
            path[-1]
            for other in self._properties[type_name]
            if other.paths != missed.paths
            for path in other.paths
        }
        free = {_folded(one): one for one in names if one not in taken}
        near = difflib.get_close_matches(_folded(name), free, n=1, cutoff=LIKENESS)
        return free[near[0]] if near else None


def _holder(row: dict[str, Any], paths: Iterable[tuple[str, ...]]) -> dict[str, Any] | None:
    """The object that lacks the property, where all of its paths lead to nothing."""
    holders = [holder_of(row, path) if is_absent(row, path) else None for path in paths]
    return None if None in holders else holders[0]


def _objects(row: dict[str, Any], paths: Iterable[tuple[str, ...]]) -> list[dict[str, Any]]:
    value = next((one for path in paths if (one := value_at(row, path)) is not None), None)
    items = value[:ITEMS_WATCHED] if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
