"""Rows of backends as objects of an answer, the quick way.

What is as usual is shown at once; whatever is not is left to graphql-core, field by field, so that
an answer is what graphql-core would have made of it.
"""

from math import isfinite
from typing import Any, Final

from graphql import GraphQLNamedType, GraphQLObjectType, GraphQLSchema, GraphQLString
from graphql.execution.executor import to_nodes
from graphql.pyutils import Path, Undefined
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT

from plait.backend.budget import Budget
from plait.clock import Pace
from plait.graph.fields import FieldTable
from plait.graph.quick import Quick, QuickPart, quick
from plait.graph.resolve import UNSETTLED, AskedKeys
from plait.graph.rows import RowMismatch
from plait.graph.sizes import NUMBER_BYTES

MIN_INT: Final = GRAPHQL_MIN_INT
MAX_INT: Final = GRAPHQL_MAX_INT
SHOWN: Final = (dict, list, str, int, float, bool, type(None))
"""What is no awaitable, whatever graphql-core would find."""


def is_in_range(kind: type, value: Any) -> bool:
    """Whether GraphQL has a number of JSON, an int or a float."""
    return bool(MIN_INT <= value <= MAX_INT) if kind is int else isfinite(value)


class Showing:
    """Shows the rows of one operation. `executor` is graphql-core's, with what its subclass adds:
    see `BoundedExecutor`."""

    def __init__(self, executor: Any, budget: Budget, pace: Pace) -> None:
        self.executor = executor
        self.budget = budget
        self.pace = pace
        self.run: Any = None
        """The plan under way, if there is one."""
        schema: GraphQLSchema = executor.schema
        own = getattr(schema, "_strawberry_schema", None)
        self._schema = schema
        self._table: FieldTable = executor.table()
        self._kinds: dict[str, Any] = getattr(own, "kinds", None) or {}
        self._bound_of: Any = getattr(own, "bound_of", None)
        self._quicks: dict[int, Quick] = {}
        self.is_strict: bool = getattr(own, "has_strict", False)

    def let_go(self) -> None:
        """Forget what was made: nobody will use it."""
        self._quicks.clear()
        self.executor = self.run = None

    def fields(self, parent: GraphQLObjectType, row: Any, path: Path | None, grouped: Any) -> Any:
        """What `grouped` shows of a row, a dict; of nothing at the root. A coroutine, where it is
        not there at once."""
        known = self._quicks.get(id(grouped))
        if known is None:
            known = self._quick(parent, path, grouped)
        if path is not None and type(path.key) is int:
            self.budget.spend_bytes(known.name_bytes)  # it was counted as its list's item
        else:
            self.budget.spend_object(known.name_bytes)
        return self.finished(_Fields(self, known, parent, row, path))

    def _quick(self, parent: GraphQLObjectType, path: Path | None, grouped: Any) -> Quick:
        """How a selection is shown. The set is the same object for all rows of a field."""
        steps: dict[str, Any] = {}
        if self.run is not None:
            names = tuple([key for key in path.as_list() if isinstance(key, str)]) if path else ()
            for key in grouped:
                steps[key] = self.run.step_at((*names, key), parent.name)
        found = self._quicks[id(grouped)] = quick(
            parent,
            grouped,
            self._schema.get_field,
            self._table,
            is_strict=self.is_strict,
            steps=steps,
            bound_of=self._bound_of,
        )
        return found

    def below(self, part: QuickPart, type_: GraphQLObjectType, path: Path) -> Quick:
        """How objects of a type at a field are shown."""
        found = part.below.get(type_)
        if found is None:
            grouped = self.executor.collect_subfields(type_, part.details).grouped_field_set
            found = self._quicks.get(id(grouped)) or self._quick(type_, path, grouped)
            part.below[type_] = found
        return found

    def shown(self, part: QuickPart, row: Any, place: "_Fields") -> Any:
        """One field of a row; by graphql-core where there is anything unusual about it."""
        how, value = part.how, None
        try:
            if how == "fetch":
                value = self._fetch_shown(part, row, place)
                if value is not UNSETTLED:
                    return value
            elif how == "typename":
                return self.executor.complete_leaf_value(GraphQLString, place.parent.name)
            elif how != "core" and row is not None:
                value = part.get(row)
                if value is None:
                    if part.nullable and (how == "rows" or not self.is_strict):
                        return None
                elif how == "rows":
                    return self._rows_shown(part, value, place)
                else:
                    return self._leaf_shown(part, row, value, place)
        except RowMismatch:
            pass  # graphql-core says so, at its place
        return self._by_core(part, row, place)

    def _by_core(self, part: QuickPart, row: Any, place: "_Fields") -> Any:
        path = place.path_of(part)
        return self.executor.execute_field(place.parent, row, part.details, path, None)

    def _leaf_shown(self, part: QuickPart, row: Any, value: Any, place: "_Fields") -> Any:
        try:
            return self.executor.complete_leaf_value(part.type, value)
        except Exception:  # graphql-core tells it, at its place
            return self._by_core(part, row, place)

    def _fetch_shown(self, part: QuickPart, row: Any, place: "_Fields") -> Any:
        """What the plan brought for a row; `UNSETTLED` where it is not as it must be."""
        asked = self.run.asked(part.step, row)
        if not isinstance(asked, AskedKeys):
            return UNSETTLED
        shown = part.shown.get(id(asked))
        if shown is not None:  # the same row at the same field: the same answer, paid for again
            self.budget.spend_object(shown[1])
            return shown[0]
        value = part.bound.settled(asked)
        if value is UNSETTLED:
            return UNSETTLED
        if type(value) is dict and isinstance(part.type, GraphQLObjectType):
            path = place.path_of(part)
            own = self.below(part, part.type, path)
            if own.is_flat:
                return self._flat_shown(part, own, asked, value, path)
        return self._rows_shown(part, value, place)

    def _flat_shown(
        self, part: QuickPart, own: Quick, asked: AskedKeys, row: dict[str, Any], path: Path
    ) -> Any:
        """A row without anything below it. Where all of it is as usual, it is shown again as it is
        wherever the same was asked for: it is the same object in the answer."""
        fields = _Fields(self, own, part.type, row, path)
        try:
            self.budget.spend_object(own.name_bytes)
            fields.advance()
        except Exception as error:
            self.executor.handle_field_error(error, part.definition.type, part.details, path)
            return None
        if fields.is_usual:
            part.shown[id(asked)] = fields.results, fields.size + own.name_bytes
        return fields.results

    def _rows_shown(self, part: QuickPart, value: Any, place: "_Fields") -> Any:
        """Objects at a field, with errors handled as graphql-core does."""
        type_: Any = part.definition.type
        path = place.path_of(part)
        try:
            if part.item_type is not None and type(value) is list:
                found: Any = self.finished(_Items(self, part, value, place.parent, path))
            elif part.item_type is None and type(value) is dict:
                kind = self.kind_of(part, value)
                own = self.below(part, kind, path)
                self.budget.spend_object(own.name_bytes)
                found = self.finished(_Fields(self, own, kind, value, path))
            else:
                raise RowMismatch("")
        except RowMismatch:
            raise
        except Exception as error:
            self.executor.handle_field_error(error, type_, part.details, path)
            return None
        if self.is_awaitable(found):
            return self.executor.guarded(found, type_, part.details, path)
        return found

    def kind_of(self, part: QuickPart, row: dict[str, Any]) -> GraphQLObjectType:
        """The object type of a row at a field. Raises `RowMismatch` where it is of none."""
        declared: GraphQLNamedType = part.type
        if isinstance(declared, GraphQLObjectType):
            return declared
        name = self._kinds[declared.name](row)
        if name is None:
            raise RowMismatch("")
        found = self._schema.type_map[name]
        assert isinstance(found, GraphQLObjectType)
        return found

    def is_awaitable(self, found: Any) -> bool:
        """Whether what was shown is not there yet."""
        return type(found) not in SHOWN and bool(self.executor.is_awaitable(found))

    def finished(self, work: "_Fields | _Items") -> Any:
        """What `work` makes, once it is done: at once, or as a coroutine."""
        try:
            done = work.advance()
        except Exception:
            self.executor.abandon(work.results, work.waiting)
            raise
        if done and not work.waiting:
            return work.results
        return self.executor.later(work.advance, done, work.results, work.waiting)


class _Fields:
    """The fields of one row. Where `index` is not negative, the row is that item of the list at
    `path`."""

    def __init__(
        self,
        showing: Showing,
        own: Quick,
        parent: GraphQLObjectType,
        row: Any,
        path: Path | None,
        index: int = -1,
    ) -> None:
        self.parent = parent
        self.results: dict[str, Any] = {}
        self.waiting: list[str] = []
        """The names of those that are not there yet."""
        self.size = 0
        """How many bytes the usual ones take."""
        self.is_usual = True
        """Whether all are."""
        self._showing = showing
        self._own = own
        self._row = row
        self._path = path
        self._index = index
        self._at = 0

    def path_of(self, part: QuickPart) -> Path:
        """Where a field stands. Few need it."""
        if self._index >= 0:
            assert self._path is not None
            self._path, self._index = self._path.add_key(self._index, None), -1
        return Path(self._path, part.name, self.parent.name)

    def advance(self) -> bool:
        """Show one after the other, until the turn is over. Whether that was all."""
        showing, row, results, looks = self._showing, self._row, self.results, self._own.looks
        size, at, count = 0, self._at, len(looks)
        while at < count:
            name, key, kind, null_is_null, is_id, part = looks[at]
            at += 1
            if kind is not None and row is not None:
                value: Any = row.get(key)
                found: type = type(value)
                if found is str:
                    if kind is str:
                        results[name] = value
                        size += len(value) + 2
                        continue
                elif value is None:
                    if null_is_null:
                        results[name] = None
                        continue
                elif found is kind:
                    if found is bool or is_in_range(found, value):
                        results[name] = value
                        size += NUMBER_BYTES
                        continue
                elif is_id and found is int:
                    results[name] = value = str(value)
                    size += len(value) + 2
                    continue
            shown = showing.shown(part, row, self)
            if shown is not Undefined:
                results[name] = shown
                if showing.is_awaitable(shown):
                    self.waiting.append(name)
            self.is_usual = self.is_usual and part.how == "typename"
            if not self._own.is_flat and showing.pace.is_over():
                break
        self._at = at
        if size:
            self.size += size
            showing.budget.spend_bytes(size)
        return at == count


class _Items:
    """The rows of a list, at a field."""

    def __init__(
        self,
        showing: Showing,
        part: QuickPart,
        rows: list[Any],
        parent: GraphQLObjectType,
        path: Path,
    ) -> None:
        self.results: list[Any] = []
        self.waiting: list[int] = []
        """The places of those that are not there yet."""
        self._showing = showing
        self._part = part
        self._rows = rows
        self._parent = parent
        self._path = path
        self._info: Any = None

    def advance(self) -> bool:
        """Show one after the other, until the turn is over. Whether that was all."""
        showing, results, rows = self._showing, self.results, self._rows
        while len(results) < len(rows):
            showing.budget.spend_object(1)
            row: Any = rows[len(results)]
            if type(row) is not dict or not self._show(row):
                self._show_by_core(row)
            if showing.pace.is_over():
                break
        return len(results) == len(rows)

    def _show(self, row: dict[str, Any]) -> bool:
        """Whether it is of a kind that can be shown."""
        showing, part, path, index = self._showing, self._part, self._path, len(self.results)
        item_type: Any = part.item_type
        try:
            type_ = showing.kind_of(part, row)
            own = showing.below(part, type_, path)
            showing.budget.spend_bytes(own.name_bytes)
            found = showing.finished(_Fields(showing, own, type_, row, path, index))
        except RowMismatch:
            return False
        except Exception as error:
            place = path.add_key(index, None)
            showing.executor.handle_field_error(error, item_type, part.details, place)
            found = None
        if showing.is_awaitable(found):
            place = path.add_key(index, None)
            found = showing.executor.guarded(found, item_type, part.details, place)
            self.waiting.append(index)
        self.results.append(found)
        return True

    def _show_by_core(self, row: Any) -> None:
        executor, part, index = self._showing.executor, self._part, len(self.results)
        if self._info is None:
            nodes = to_nodes(part.details)
            self._info = executor.build_resolve_info(
                part.definition, nodes, self._parent, self._path
            )
        place = self._path.add_key(index, None)
        if executor.complete_list_item_value(
            row, self.results, part.item_type, part.details, self._info, place, None
        ):
            self.waiting.append(index)
