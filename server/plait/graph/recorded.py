"""A graph held against replies that were recorded: what it reads and they lack, and what is not as
it declares."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from plait.backend.decode import decoded, listed_rows, single_row
from plait.backend.record import Recorded
from plait.errors import BackendError, BackendRefused
from plait.graph.absent import DEPTH_MAX, Expected, Watch
from plait.graph.bindings import Place
from plait.graph.graph import Graph
from plait.graph.resolve import Bound
from plait.graph.rows import RowMismatch

ROWS_MAX = 10_000
"""How many rows of one endpoint are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One property of one endpoint's rows."""

    endpoint: str
    """`users: GET /users/{id}`."""
    field: str
    """Type and field, or empty for the whole reply."""
    place: Place | None
    problem: str
    remedy: str = ""
    is_mistake: bool = True
    """Whether it is surely wrong; an absent property may as well be one that is left out where it
    is null."""


def held_against(graph: Graph, replies: Iterable[Recorded]) -> tuple[Finding, ...]:
    """What does not fit, each kind once."""
    kept = tuple(replies)
    found: dict[Finding, None] = {}
    for bound in graph.schema.bounds:
        rows = _rows(bound, kept, found)
        watch = graph.schema.new_watch(
            bound.fetch.endpoint, bound.fetch.type_name, rows_max=ROWS_MAX
        )
        mismatches: Counter[tuple[Expected, str]] = Counter()
        for row in rows:
            watch.see(row)
            for one in row if isinstance(row, list) else (row,):
                _read(graph, bound.fetch.type_name, one, mismatches, 0)
        found.update(dict.fromkeys(_mismatched(bound, mismatches)))
        found.update(dict.fromkeys(_absent(bound, watch)))
    return tuple(found)


def unknown(graph: Graph, replies: Iterable[Recorded]) -> tuple[str, ...]:
    """Endpoints that were recorded and that the graph does not have."""
    known = {(one.backend.name, one.label) for one in graph.endpoints}
    told = {(one.backend, one.endpoint) for one in replies}
    return tuple(f"{backend}: {endpoint}" for backend, endpoint in sorted(told - known))


def _rows(bound: Bound, replies: Iterable[Recorded], found: dict[Finding, None]) -> list[Any]:
    spec, rows = bound.fetch.endpoint, []
    for one in replies:
        if (one.backend, one.endpoint) != (spec.backend.name, spec.label):
            continue
        try:
            if one.is_batch and spec.batch:
                rows += listed_rows(spec, spec.batch, one.reply)
            elif bound.fetch.pages:
                rows += bound.fetch.pages.items_of(decoded(spec, one.reply)) or ()
            else:
                rows.append(single_row(spec, one.reply))
        except BackendRefused:
            continue  # as declared: a reply that says that the call failed has no rows
        except BackendError as error:
            found[Finding(endpoint=_named(bound), field="", place=None, problem=str(error))] = None
    return rows


def _read(
    graph: Graph, declared: str, row: Any, found: Counter[tuple[Expected, str]], depth: int
) -> None:
    if not isinstance(row, dict) or depth > DEPTH_MAX:
        return
    actual = graph.schema.type_of(declared, row)
    for one in graph.schema.properties.get(actual or "", ()):
        if one.read is None:
            continue
        try:
            value = one.read(row)
        except RowMismatch as error:
            found[one, error.what] += 1
            continue
        if one.below:
            for item in value if isinstance(value, list) else (value,):
                _read(graph, one.below, item, found, depth + 1)


def _mismatched(bound: Bound, mismatches: Mapping[tuple[Expected, str], int]) -> Iterator[Finding]:
    for (one, what), count in mismatches.items():
        yield Finding(
            endpoint=_named(bound),
            field=one.field,
            place=one.place,
            problem=f"{what} ({_rows_told(count)})",
        )


def _absent(bound: Bound, watch: Watch) -> Iterator[Finding]:
    for absence in watch.missing():
        yield Finding(
            endpoint=_named(bound),
            field=absence.missed.field,
            place=absence.missed.place,
            problem=f"'{absence.name}' is missing from all of {_rows_told(absence.rows)}",
            remedy=f"Did you mean '{absence.nearest}'?" if absence.nearest else "",
            is_mistake=absence.nearest is not None,
        )


def _rows_told(count: int) -> str:
    return f"{count} {'row' if count == 1 else 'rows'}"


def _named(bound: Bound) -> str:
    return f"{bound.fetch.endpoint.backend.name}: {bound.fetch.endpoint.label}"
