"""graphql-core's executor, with bounds on what it makes and with pauses for others.

The stock executor turns rows into objects for as long as there are rows, without a pause: a cyclic
list grows exponentially over one cached row, and nothing else runs meanwhile. This one pays for
every object and value from the operation's budget, and ends its turn on the event loop after some
milliseconds. In everything else its answers are the stock executor's.

Where the turn ends in the middle of a list or of an object, the rest becomes a coroutine, which the
executor knows how to wait for.
"""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import iscoroutine
from math import isfinite
from typing import Any, NamedTuple, Protocol

from graphql import (
    GraphQLError,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLString,
)
from graphql.execution.collect_fields import CollectedFields
from graphql.execution.executor import CollectedErrors, Executor, to_nodes
from graphql.pyutils import Path, Undefined
from graphql.type.scalars import GRAPHQL_MAX_INT as MAX_INT
from graphql.type.scalars import GRAPHQL_MIN_INT as MIN_INT
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from plait.backend.budget import Allowance, Budget
from plait.backend.loader import Loaders
from plait.clock import Pace
from plait.errors import PlaitError
from plait.graph.fields import Field, FieldTable, Property
from plait.graph.gather import all_of
from plait.graph.quick import How, Quick, QuickPart, quick
from plait.graph.resolve import UNSETTLED, AskedKeys
from plait.graph.rows import RowMismatch
from plait.graph.sizes import NAME_BYTES, NUMBER_BYTES, size_of

ERRORS_MAX = 1_000
"""How many errors of one operation are kept; the rest are counted."""

BEGUN_AT_ONCE = 16
"""Rows that are begun between two looks at the time."""


# Work that was begun and is given up, because the client left or a limit was reached, leaves
# coroutines behind that nobody will await. That is meant.
warnings.filterwarnings("ignore", r"coroutine '[\w.]*Executor\..*' was never awaited")
warnings.filterwarnings("ignore", r"coroutine 'Bound\..*' was never awaited")


class BoundedErrors(CollectedErrors):
    """Keeps the first errors, and counts the rest."""

    __slots__ = ("dropped",)

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0

    def add(self, error: GraphQLError, path: Path | None) -> None:
        """See `CollectedErrors`."""
        if len(self._errors) < ERRORS_MAX:
            super().add(error, path)
        elif not self.has_nulled_position(path):
            self._error_positions.add(path)
            self.dropped += 1


class Selected:
    """What graphql-core finds an operation to select, where that is the same in every request. Kept
    with the document, whose nodes it knows."""

    __slots__ = ("fields", "objects")

    def __init__(self) -> None:
        self.fields: dict[tuple[Any, ...], CollectedFields] = {}
        """By a type and the nodes of a field."""
        self.objects: dict[tuple[GraphQLObjectType, int], tuple[Any, tuple[_Held, ...]]] = {}
        """How the fields of objects are read, by their type and the identity of the set that
        selects them, which is kept with it."""


class _Held(NamedTuple):
    """One field of an object that a resolver made."""

    name: str
    details: Any
    attribute: str = ""
    kind: type | None = None
    """What it may merely hold there; `None` where it is graphql-core's."""
    owner: type | None = None


class Run(Protocol):
    """A plan under way, as far as it concerns who makes the answer."""

    @property
    def is_whole(self) -> bool:
        """Whether it asks for everything that the operation does."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether all has come."""
        ...

    def begin(self) -> None:
        """Ask for what can be asked for now."""
        ...

    async def over(self) -> None:
        """Wait until all has come."""
        ...

    def stop(self) -> None:
        """Ask for nothing more."""
        ...

    def step_at(self, path: tuple[str, ...], type_name: str) -> Any:
        """The step at a place of the answer, if there is one."""
        ...

    def asked(self, step: Any, source: object) -> Any:
        """What a step asked for a source."""
        ...


class BoundedExecutor(StrawberryGraphQLCoreExecutionContext):
    """See the module. The budget is the context's; without one the default allowance holds."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        context = self.context_value
        self._budget: Budget = getattr(context, "budget", None) or Budget(Allowance())
        self._pace: Pace = getattr(context, "pace", None) or Pace()
        self._quicks: dict[int, Quick] = {}
        self._selected: Selected | None = getattr(context, "selected", None)
        self._run: Run | None = None
        self._shared: dict[tuple[int, int], tuple[Any, int]] = {}
        """What was shown at a field for what was asked, and how many bytes that took."""
        self._loaders: Loaders | None = getattr(context, "loaders", None)
        self.begun: list[asyncio.Future[Any]] = []
        """What was begun at the same time, for whoever gives the operation up."""
        self.collected_errors = BoundedErrors()
        if hasattr(context, "executor"):
            context.executor = self
            context.variables = lambda: self.variable_values

    def let_go(self) -> None:
        """Forget what was made: nobody will use it."""
        for error in self.collected_errors.errors:
            error.__traceback__ = error.__context__ = error.__cause__ = None
            if isinstance(error.original_error, PlaitError):  # who shares a call has it too
                error.original_error.__traceback__ = None
        self.collected_errors = BoundedErrors()
        self.begun.clear()
        if self._run is not None:
            self._run.stop()
        # What graphql-core hands to resolvers knows the executor, which knows it.
        self.async_helpers = None  # type: ignore[assignment]
        self._run = self._loaders = self._selected = None
        self._relevant_sub_fields.clear()
        self._quicks.clear()
        self._shared.clear()
        self.context_value = None

    def execute_operation(self, serially: bool | None = None) -> Any:
        """See `Executor`. Where a plan brings all rows, they are waited for once, and read then."""
        begin = getattr(self.context_value, "begin", None)
        self._run = run = begin(self) if begin else None
        if run is None:
            return super().execute_operation(serially)
        run.begin()
        if run.is_over or not run.is_whole:
            return super().execute_operation(serially)
        return self._executed_later(run, serially)

    async def _executed_later(self, run: Run, serially: bool | None) -> Any:
        await run.over()
        self._pace.begin()
        result: Any = super().execute_operation(serially)
        return await result if self.is_awaitable(result) else result

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        """See `Executor`."""
        if source_value is not None and type(source_value) is not dict:
            return self._fields_of_object(parent_type, source_value, path, grouped_field_set)
        quick = self._quicks.get(id(grouped_field_set))
        if quick is None:
            quick = self._quick(parent_type, path, grouped_field_set)
        self._spend_names(path, quick.name_bytes)
        results: dict[str, Any] = {}
        if quick.is_flat and type(source_value) is dict:
            self._show(quick, parent_type, source_value, path, results)
            return results
        waiting: list[str] = []
        parts = iter(quick.parts)

        def advance() -> bool:
            for part in parts:
                name = part.name
                if part.how is How.AS_IS and source_value is not None:
                    value: Any = source_value.get(part.key)
                    if type(value) is str is part.kind:
                        self._budget.spend_bytes(len(value) + 2)
                        results[name] = value
                        continue
                    if type(value) is int is part.kind and MIN_INT <= value <= MAX_INT:
                        self._budget.spend_bytes(NUMBER_BYTES)
                        results[name] = value
                        continue
                own = Path(path, name, parent_type.name)
                if part.how is not How.CORE:
                    result = self._shown(part, parent_type, source_value, own)
                else:
                    result = self.execute_field(parent_type, source_value, part.details, own, None)
                if self._put(results, waiting, name, result):
                    return False
            return True

        return self._finished(advance, results, waiting)

    def _put(self, results: dict[str, Any], waiting: list[str], name: str, result: Any) -> bool:
        """Put what a field shows in its place. Whether to let others in now."""
        if result is not Undefined:
            results[name] = result
            if self.is_awaitable(result):
                waiting.append(name)
        return self._pace.is_over()

    def _spend_names(self, path: Path | None, size: int) -> None:
        if path is not None and type(path.key) is int:
            self._budget.spend_bytes(size)  # it was counted as its list's item
        else:
            self._budget.spend_object(size)

    def _fields_of_object(
        self, parent_type: GraphQLObjectType, source: Any, path: Path | None, grouped: Any
    ) -> Any:
        """The fields of an object that a resolver made. What it merely holds is read from it, as
        Strawberry would; the rest is graphql-core's."""
        self._spend_names(path, sum(map(len, grouped)) + NAME_BYTES * len(grouped))
        held: Mapping[str, Any] = getattr(source, "__dict__", None) or {}  # no code of its author's
        results: dict[str, Any] = {}
        waiting: list[str] = []
        own_type, parts = type(source), iter(self._held(parent_type, grouped))

        def advance() -> bool:
            for name, details, attribute, kind, owner in parts:
                if kind is not None and owner is own_type:
                    value: Any = held.get(attribute)
                    found: type = type(value)
                    if found is kind and (kind is str or kind is bool or _is_in_range(kind, value)):
                        self._budget.spend_bytes(len(value) + 2 if kind is str else NUMBER_BYTES)
                        results[name] = value
                        continue
                own = Path(path, name, parent_type.name)
                result = self.execute_field(parent_type, source, details, own, None)
                if self._put(results, waiting, name, result):
                    return False
            return True

        return self._finished(advance, results, waiting)

    def _held(self, parent_type: GraphQLObjectType, grouped: Any) -> tuple[_Held, ...]:
        """How the fields of an object are read."""
        key, known = (parent_type, id(grouped)), self._selected
        if known is not None and (found := known.objects.get(key)) is not None:
            return found[1]
        fields = self._table().get(parent_type.name, {})
        held = tuple(_held(name, one, fields) for name, one in grouped.items())
        if known is not None:
            known.objects[key] = grouped, held
        return held

    def collect_subfields(self, return_type: GraphQLObjectType, field_details_list: Any) -> Any:
        """See `Executor`."""
        known = self._selected
        if known is None:
            return super().collect_subfields(return_type, field_details_list)
        key = (return_type, *[id(one.node) for one in field_details_list])
        found = known.fields.get(key)
        if found is None:
            found = known.fields[key] = super().collect_subfields(return_type, field_details_list)
        return found

    def _table(self) -> FieldTable:
        """What fields do; nothing of it where extensions are to see all of them."""
        schema = self.schema._strawberry_schema  # type: ignore[attr-defined]  # Strawberry's own
        return {} if self.middleware_manager else getattr(schema, "fields", None) or {}

    # --- rows, the quick way

    def _quick(self, parent: GraphQLObjectType, path: Path | None, grouped: Any) -> Quick:
        """How a selection is shown. The set is the same object for all rows of a field."""
        schema = self.schema._strawberry_schema  # type: ignore[attr-defined]  # Strawberry's own
        run = self._run
        names = tuple(key for key in path.as_list() if isinstance(key, str)) if path else ()
        found = self._quicks[id(grouped)] = quick(
            parent,
            grouped,
            lambda name: self.schema.get_field(parent, name),
            self._table(),
            is_strict=getattr(schema, "has_strict", False),
            step_of=lambda key: run and run.step_at((*names, key), parent.name),
        )
        self._is_strict = getattr(schema, "has_strict", False)
        self._kinds = getattr(schema, "kinds", None) or {}
        self._bound_of: Any = getattr(schema, "bound_of", None)
        return found

    def _show(
        self,
        quick: Quick,
        parent_type: GraphQLObjectType,
        row: dict[str, Any],
        path: Path | None,
        results: dict[str, Any],
    ) -> int:
        """Put what a row's plain properties hold into `results`. How many bytes that took; -1 where
        something unusual was in it."""
        size, is_usual = 0, True
        get = row.get
        for name, key, kind, null_is_null, is_id, part in quick.looks:
            value: Any = get(key)
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
                if found is bool or _is_in_range(found, value):
                    results[name] = value
                    size += NUMBER_BYTES
                    continue
            elif is_id and found is int:
                results[name] = value = str(value)
                size += len(value) + 2
                continue
            is_usual = is_usual and part.how is How.TYPENAME
            own = Path(path, name, parent_type.name)
            results[name] = self._shown(part, parent_type, row, own)
        self._budget.spend_bytes(size)
        return size if is_usual else -1

    def _shown(
        self, part: QuickPart, parent_type: GraphQLObjectType, source: Any, path: Path
    ) -> Any:
        """One field of a row; by graphql-core where there is anything unusual about it."""
        try:
            match part.how:
                case How.AS_IS | How.LEAF if source is not None:
                    value = part.get(source)
                    if value is not None:
                        return self._leaf_shown(part, parent_type, source, value, path)
                    if part.nullable and not self._is_strict:
                        return None
                case How.TYPENAME:
                    return self.complete_leaf_value(GraphQLString, parent_type.name)
                case How.ROWS if source is not None:
                    value = part.get(source)
                    if value is not None:
                        return self._rows_shown(part, parent_type, value, path)
                    if part.nullable:
                        return None
                case How.FETCH:
                    value = self._fetch_shown(part, parent_type, source, path)
                    if value is not UNSETTLED:
                        return value
        except RowMismatch:
            pass  # graphql-core says so, at its place
        return self.execute_field(parent_type, source, part.details, path, None)

    def _leaf_shown(
        self,
        part: QuickPart,
        parent_type: GraphQLObjectType,
        source: Any,
        value: Any,
        path: Path,
    ) -> Any:
        try:
            return self.complete_leaf_value(part.type, value)
        except Exception:  # graphql-core tells it, at its place
            return self.execute_field(parent_type, source, part.details, path, None)

    def _fetch_shown(
        self, part: QuickPart, parent_type: GraphQLObjectType, source: Any, path: Path
    ) -> Any:
        """What the plan brought for a row; `UNSETTLED` where it is not as it must be."""
        assert self._run is not None
        asked = self._run.asked(part.step, source)
        if not isinstance(asked, AskedKeys):
            return UNSETTLED
        shared = self._shared.get((id(part), id(asked)))
        if shared is not None:  # the same row at the same field: the same answer, paid for again
            answer, size = shared
            self._budget.spend_object(size)
            return answer
        bound: Any = self._bound_of(part.entry)
        value = bound.settled(asked)
        if value is UNSETTLED:
            return UNSETTLED
        if type(value) is dict and isinstance(part.type, GraphQLObjectType):
            grouped = self.collect_subfields(part.type, part.details).grouped_field_set
            quick = self._quicks.get(id(grouped)) or self._quick(part.type, path, grouped)
            if quick.is_flat:
                return self._flat_shown(part, quick, asked, value, path)
        return self._rows_shown(part, parent_type, value, path)

    def _flat_shown(
        self, part: QuickPart, quick: Quick, asked: AskedKeys, row: dict[str, Any], path: Path
    ) -> Any:
        """A row without anything below it. Where all of it is as usual, it is shown again as it is
        wherever the same was asked for: it is the same object in the answer."""
        answer: dict[str, Any] = {}
        try:
            self._budget.spend_object(quick.name_bytes)
            size = self._show(quick, part.type, row, path, answer)
        except Exception as error:
            self.handle_field_error(error, part.definition.type, part.details, path)
            return None
        if size >= 0:
            self._shared[id(part), id(asked)] = answer, size + quick.name_bytes
        return answer

    def _rows_shown(
        self, part: QuickPart, parent_type: GraphQLObjectType, value: Any, path: Path
    ) -> Any:
        """Objects at a field, with errors handled as graphql-core does."""
        type_ = part.definition.type
        try:
            if part.item_type is not None and type(value) is list:
                found: Any = self._items_shown(part, parent_type, value, path)
            elif part.item_type is None and type(value) is dict:
                found = self._object_shown(part, value, path)
            else:
                raise RowMismatch("")
        except RowMismatch:
            raise
        except Exception as error:
            self.handle_field_error(error, type_, part.details, path)
            return None
        return self._guarded(found, type_, part, path) if self.is_awaitable(found) else found

    async def _guarded(self, found: Any, type_: Any, part: QuickPart, path: Path) -> Any:
        try:
            return await found
        except Exception as error:
            self.handle_field_error(error, type_, part.details, path)
            return None

    def _object_shown(self, part: QuickPart, row: dict[str, Any], path: Path) -> Any:
        type_ = part.type
        if not isinstance(type_, GraphQLObjectType):
            name = self._kinds[type_.name](row)
            if name is None:
                raise RowMismatch("")
            type_ = self.schema.type_map[name]
        grouped = self.collect_subfields(type_, part.details).grouped_field_set
        return self.execute_fields(type_, row, path, grouped, None)

    def _items_shown(
        self, part: QuickPart, parent_type: GraphQLObjectType, rows: list[Any], path: Path
    ) -> Any:
        item_type = part.item_type
        assert item_type is not None
        results: list[Any] = []
        waiting: list[int] = []
        numbered = enumerate(rows)
        info: Any = None
        type_, flat = part.type, None
        if isinstance(type_, GraphQLObjectType):
            grouped = self.collect_subfields(type_, part.details).grouped_field_set
            own_quick = self._quicks.get(id(grouped)) or self._quick(type_, path, grouped)
            flat = own_quick if own_quick.is_flat else None

        def advance() -> bool:
            nonlocal info
            for index, row in numbered:
                self._budget.spend_object(1)
                own = path.add_key(index, None)
                if flat is not None and type(row) is dict:
                    shown: dict[str, Any] = {}
                    try:
                        self._budget.spend_bytes(flat.name_bytes)
                        self._show(flat, type_, row, own, shown)
                        results.append(shown)
                    except Exception as error:
                        self.handle_field_error(error, item_type, part.details, own)
                        results.append(None)
                    if self._pace.is_over():
                        return False
                    continue
                if type(row) is dict:
                    try:
                        found = self._object_shown(part, row, own)
                        if self.is_awaitable(found):
                            found = self._guarded(found, item_type, part, own)
                            waiting.append(index)
                        results.append(found)
                        if self._pace.is_over():
                            return False
                        continue
                    except RowMismatch:
                        pass  # of no kind: graphql-core says so
                    except Exception as error:
                        self.handle_field_error(error, item_type, part.details, own)
                        results.append(None)
                        continue
                if info is None:
                    nodes = to_nodes(part.details)
                    info = self.build_resolve_info(part.definition, nodes, parent_type, path)
                if self.complete_list_item_value(
                    row, results, item_type, part.details, info, own, None
                ):
                    waiting.append(index)
                if self._pace.is_over():
                    return False
            return True

        return self._finished(advance, results, waiting, left=numbered)

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: Any,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Any,
        position_context: Any,
    ) -> Any:
        """See `Executor`."""
        results: list[Any] = []
        waiting: list[int] = []
        numbered = enumerate(items)
        rest = (item_type, field_details_list, info)

        def advance() -> bool:
            for index, item in numbered:
                self._budget.spend_object(1)
                item_path = path.add_key(index, None)
                if self.is_awaitable(item):
                    results.append(
                        self.complete_awaitable_list_item_value(
                            item, *rest, item_path, position_context
                        )
                    )
                    waiting.append(index)
                elif self.complete_list_item_value(
                    item, results, *rest, item_path, position_context
                ):
                    waiting.append(index)
                if self._pace.is_over():
                    return False
            return True

        return self._finished(advance, results, waiting, left=numbered)

    def _finished(
        self,
        advance: Callable[[], bool],
        results: Any,
        waiting: list[Any],
        left: Iterator[tuple[int, Any]] | None = None,
    ) -> Any:
        """What `advance` makes, once it is done: at once, or as a coroutine."""
        try:
            done = advance()
        except Exception:
            self._abandon(results, waiting, left, for_good=self._budget.refused is not None)
            raise
        if done and not waiting:
            return results
        return self._later(advance, done, results, waiting, left)

    async def _later(
        self,
        advance: Callable[[], bool],
        done: bool,
        results: Any,
        waiting: list[Any],
        left: Iterator[tuple[int, Any]] | None,
    ) -> Any:
        loaders = self._loaders
        if loaders:
            loaders.holding += 1  # a wave that left now would leave without what is still to come
        try:
            while not done:
                await self._pace.breathe()
                done = advance()
            if len(waiting) > 1:
                await self._begin(results, waiting)
        except BaseException as error:
            for_good = self._budget.refused is not None or not isinstance(error, Exception)
            self._abandon(results, waiting, left, for_good=for_good)
            raise
        finally:
            if loaders:
                loaders.holding -= 1
        if len(waiting) == 1:  # without the cost of doing things at the same time
            results[waiting[0]] = await results[waiting[0]]
        elif waiting:
            values = await all_of([results[place] for place in waiting])
            for place, value in zip(waiting, values, strict=True):
                results[place] = value
        return results

    async def _begin(self, results: Any, waiting: list[Any]) -> None:
        """Begin what is done at the same time, some of it in each turn of the loop."""
        for count, place in enumerate(waiting):
            if count % BEGUN_AT_ONCE == BEGUN_AT_ONCE - 1 and self._pace.is_over():
                await self._pace.breathe()
            results[place] = asyncio.ensure_future(results[place])
            self.begun.append(results[place])

    def _abandon(
        self,
        results: Any,
        waiting: list[Any],
        left: Iterator[tuple[int, Any]] | None,
        *,
        for_good: bool,
    ) -> None:
        """Settle what was begun, as the stock executor does; or give it up, when the whole
        operation is."""
        begun: list[Awaitable[Any]] = [results[place] for place in waiting]
        begun += [item for _, item in left or () if self.is_awaitable(item)]
        if begun and not for_good:
            self.settle_in_background(begun)
        for one in begun if for_good else ():
            if iscoroutine(one):
                one.close()
            elif isinstance(one, asyncio.Future):
                one.cancel()

    def complete_leaf_value(  # type: ignore[override]  # static in the base, and called as a method
        self, return_type: GraphQLLeafType, result: Any
    ) -> Any:
        """See `Executor`. Raises `UnshowableValue` for what is no JSON."""
        value = return_type.coerce_output_value(result)
        if value is None or value is Undefined:
            return Executor.complete_leaf_value(return_type, result)  # it says what is wrong
        kind = type(value)  # the usual ones first: this runs once for every value of an answer
        size = len(value) + 2 if kind is str else NUMBER_BYTES if kind is int else size_of(value)
        self._budget.spend_bytes(size)
        return value


def _is_in_range(kind: type, value: Any) -> bool:
    return MIN_INT <= value <= MAX_INT if kind is int else isfinite(value)


def _held(name: str, details: Any, fields: Mapping[str, Field]) -> _Held:
    entry = fields.get(details[0].node.name.value)
    if type(entry) is not Property or entry.json_kind is None:
        return _Held(name, details)
    return _Held(name, details, entry.attribute, entry.json_kind, entry.owner)
