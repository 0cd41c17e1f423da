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
from collections.abc import Awaitable, Callable, Iterator
from inspect import iscoroutine
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
)
from graphql.execution.executor import CollectedErrors, Executor
from graphql.pyutils import Path, Undefined, gather_with_cancel
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from plait.backend.budget import Allowance, Budget
from plait.backend.loader import Loaders
from plait.clock import Pace

ERRORS_MAX = 1_000
"""How many errors of one operation are kept; the rest are counted."""

BEGUN_AT_ONCE = 16
"""Rows that are begun between two looks at the time."""

_NAME_BYTES = 4
"""What JSON puts around a name: two quotes, a colon and a comma."""
_NUMBER_BYTES = 8
"""What a number or a boolean takes, roughly: the size of the answer's bytes is checked again."""
_VALUE_DEPTH_MAX = 100

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


class UnshowableValue(TypeError):
    """A scalar's serializer returned something that is no JSON; its text may hold anything."""


class BoundedExecutor(StrawberryGraphQLCoreExecutionContext):
    """See the module. The budget is the context's; without one the default allowance holds."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        context = self.context_value
        self._budget: Budget = getattr(context, "budget", None) or Budget(Allowance())
        self._pace: Pace = getattr(context, "pace", None) or Pace()
        self._sizes: dict[int, int] = {}
        self._loaders: Loaders | None = getattr(context, "loaders", None)
        self.begun: list[asyncio.Future[Any]] = []
        """What was begun at the same time, for whoever gives the operation up."""
        self.collected_errors = BoundedErrors()
        if hasattr(context, "executor"):
            context.executor = self

    def let_go(self) -> None:
        """Forget what was made: nobody will use it."""
        for error in self.collected_errors.errors:
            error.__traceback__ = error.__context__ = error.__cause__ = None
        self.collected_errors = BoundedErrors()
        self.begun.clear()
        self.context_value = None

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        """See `Executor`."""
        size = self._size_of_names(grouped_field_set)
        if path is not None and isinstance(path.key, int):
            self._budget.spend_bytes(size)  # it was counted as its list's item
        else:
            self._budget.spend_object(size)
        results: dict[str, Any] = {}
        waiting: list[str] = []
        fields = iter(grouped_field_set.items())

        def advance() -> bool:
            for name, details in fields:
                result = self.execute_field(
                    parent_type,
                    source_value,
                    details,
                    Path(path, name, parent_type.name),
                    position_context,
                )
                if result is not Undefined:
                    results[name] = result
                    if self.is_awaitable(result):
                        waiting.append(name)
                if self._pace.is_over():
                    return False
            return True

        return self._finished(advance, results, waiting)

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
            values = await gather_with_cancel(*(results[place] for place in waiting))
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
        size = len(value) + 2 if kind is str else _NUMBER_BYTES if kind is int else _size(value)
        self._budget.spend_bytes(size)
        return value

    def _size_of_names(self, grouped_field_set: Any) -> int:
        # The set is the same object for all rows of a field, and lives as long as the executor.
        size = self._sizes.get(id(grouped_field_set))
        if size is None:
            size = sum(len(name) + _NAME_BYTES for name in grouped_field_set)
            self._sizes[id(grouped_field_set)] = size
        return size


def _size(value: Any, depth: int = 0) -> int:
    """The size of a JSON value, roughly."""
    if isinstance(value, str):
        return len(value) + 2
    if value is None or isinstance(value, int | float):
        return _NUMBER_BYTES
    if depth > _VALUE_DEPTH_MAX:
        raise UnshowableValue(f"A scalar's value nests more than {_VALUE_DEPTH_MAX} deep.")
    if isinstance(value, list | tuple):
        return 2 + sum(_size(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return 2 + sum(
            len(name) + _NAME_BYTES + _size(item, depth + 1)
            for name, item in value.items()
            if _is_name(name)
        )
    raise UnshowableValue(f"A scalar was serialized as a {type(value).__name__}, not as JSON.")


def _is_name(name: object) -> bool:
    if isinstance(name, str):
        return True
    raise UnshowableValue(f"A scalar's object has a name that is a {type(name).__name__}.")
