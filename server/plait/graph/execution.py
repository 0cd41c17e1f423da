"""graphql-core's executor, with bounds on what it makes and with pauses for others.

The stock executor turns rows into objects for as long as there are rows, without a pause: a cyclic
list grows exponentially over one cached row, and nothing else runs meanwhile. This one pays for
every object and value from the operation's budget, ends its turn on the event loop after some
milliseconds, and has rows shown the quick way (`showing.py`). In everything else, and in its
answers, it is the stock executor.

Where the turn ends in the middle of a list or of an object, the rest becomes a coroutine, which the
executor knows how to wait for.
"""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import iscoroutine
from typing import Any, NamedTuple, Protocol

from graphql import (
    GraphQLError,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
)
from graphql.execution.collect_fields import CollectedFields
from graphql.execution.executor import CollectedErrors, Executor
from graphql.pyutils import Path, Undefined
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from plait.backend.budget import Allowance, Budget
from plait.backend.loader import Loaders
from plait.clock import Pace
from plait.errors import PlaitError
from plait.graph.fields import Field, FieldTable, Property
from plait.graph.gather import all_of
from plait.graph.showing import Showing, is_in_range
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
        self._selected: Selected | None = getattr(context, "selected", None)
        self._run: Run | None = None
        self._showing = Showing(self, self._budget, self._pace)
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
        self._showing.let_go()
        self.context_value = None

    def execute_operation(self, serially: bool | None = None) -> Any:
        """See `Executor`. Where a plan brings all rows, they are waited for once, and read then."""
        begin = getattr(self.context_value, "begin", None)
        self._run = self._showing.run = run = begin(self) if begin else None
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
        return self._showing.fields(parent_type, source_value, path, grouped_field_set)

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
                    if found is kind and (kind is str or kind is bool or is_in_range(kind, value)):
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
        fields = self.table().get(parent_type.name, {})
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

    def table(self) -> FieldTable:
        """What fields do; nothing of it where extensions are to see all of them."""
        schema = self.schema._strawberry_schema  # type: ignore[attr-defined]  # Strawberry's own
        return {} if self.middleware_manager else getattr(schema, "fields", None) or {}

    async def guarded(self, found: Awaitable[Any], type_: Any, details: Any, path: Path) -> Any:
        """What `found` brings, with errors handled as graphql-core does."""
        try:
            return await found
        except Exception as error:
            self.handle_field_error(error, type_, details, path)
            return None

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
            self.abandon(results, waiting, left)
            raise
        if done and not waiting:
            return results
        return self.later(advance, done, results, waiting, left)

    async def later(
        self,
        advance: Callable[[], bool],
        done: bool,
        results: Any,
        waiting: list[Any],
        left: Iterator[tuple[int, Any]] | None = None,
    ) -> Any:
        """What `advance` makes, which has not `done` all, or which has made what is waited for. Of
        `left` items are taken that nobody waits for if it fails."""
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
            self.abandon(results, waiting, left, for_good=not isinstance(error, Exception))
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

    def abandon(
        self,
        results: Any,
        waiting: list[Any],
        left: Iterator[tuple[int, Any]] | None = None,
        *,
        for_good: bool = False,
    ) -> None:
        """Settle what was begun, as the stock executor does; or give it up, when the whole
        operation is."""
        for_good = for_good or self._budget.refused is not None
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


def _held(name: str, details: Any, fields: Mapping[str, Field]) -> _Held:
    entry = fields.get(details[0].node.name.value)
    if type(entry) is not Property or entry.json_kind is None:
        return _Held(name, details)
    return _Held(name, details, entry.attribute, entry.json_kind, entry.owner)
