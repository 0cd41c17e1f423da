"""Runs an operation whose root is nothing but resolvers: mutations above all.

What they return is shown by compiled code. Where that finds anything unusual, an error above all,
graphql-core makes the whole answer of what has run: no resolver of a request runs twice.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from graphql import GraphQLError, GraphQLNonNull, OperationDefinitionNode, located_error
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path, gather_with_cancel
from graphql.type.definition import GraphQLResolveInfoHelpers
from msgspec import Raw

from plait.backend.numbers import encode
from plait.graph.execution import BoundedExecutor
from plait.graph.graph import Graph, is_awaitable
from plait.graph.ran import GRANTED, Ran
from plait.query.arguments import Variables
from plait.query.asked import items_in
from plait.query.context import Context
from plait.query.document import Document
from plait.query.held import Fetched, Resolvers, RootField, Show
from plait.query.leaves import Unusual


class Beside(Protocol):
    """What asks endpoints for the same operation."""

    def decide(self, key: str, *, is_granted: bool) -> None:
        """The permissions of a field have let it ask, or have not."""
        ...

    def returned(self, key: str, asked: Mapping[int, list[Any]]) -> None:
        """A resolver has returned: what is asked of it, by the places in `Resolvers.fetches`."""
        ...


class Resolving:
    """One request's run of them. `then` is called once, when it is over, which may be before
    `begin` returns; never, where it is left."""

    abort_signal = operation_extensions = root_value = None

    def __init__(
        self,
        code: Resolvers,
        context: Context,
        variables: Variables,
        document: Document,
        operation: OperationDefinitionNode,
        graph: Graph,
        beside: Beside | None = None,
    ) -> None:
        """`beside` asks endpoints for the same operation."""
        context.variables = variables.values
        self._code = code
        self._beside = beside
        self._variables = variables
        self._fields: Iterator[RootField | str] = iter(code.fields)
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        """What resolvers are still at, by their keys in the answer."""
        self._tracked: list[asyncio.Future[Any]] = []
        self._then: Callable[[], object] | None = None
        self.is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._shown: dict[str, Any] = {}
        self._items = 0
        self._size = 0
        self.ran: dict[str, Ran] = {}
        """What they returned, by their keys in the answer."""
        self.data: dict[str, Any] | None = None
        """What the answer has of them, where compiled code made it."""
        self.later: dict[str, Callable[[Fetched], Any]] = {}
        """What shows those that fields with endpoints hang on."""
        self.errors: list[GraphQLError] = []
        """What is told of those that show null."""
        self.is_late = False
        """Whether it was given up because it took too long."""
        self.defect: BaseException | None = None
        """What is no error of a field."""
        # What `info` tells; the names are the executor's.
        self.schema = graph.core
        self.fragment_definitions = document.fragments
        self.operation = operation
        self.variable_values = variables  # `info` has what is `coerced` of them
        self.context_value = context
        self.is_awaitable = is_awaitable

    def begin(self, then: Callable[[], object], timeout_s: float) -> None:
        """Begin. Raises nothing."""
        self._then = then
        self._go_on()
        if self._then is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(timeout_s, self._give_up)

    def leave(self) -> None:
        """Forget whoever waits for the answer."""
        self._then = None
        if self._timer is not None:
            self._timer.cancel()

    def stop(self) -> None:
        """Show nothing more: who makes the answer instead waits for what is under way."""
        if not self.is_over:
            self._then = None
            self._end()

    def left(self) -> list["asyncio.Future[Any]"]:
        """What is still under way."""
        return [one for one in (*self._waiting.values(), *self._tracked) if not one.done()]

    @property
    def async_helpers(self) -> GraphQLResolveInfoHelpers:
        """See graphql-core."""
        return GraphQLResolveInfoHelpers(gather=_gather, track=self._track)

    def _go_on(self) -> None:
        """Begin what can begin now."""
        for field in self._fields:
            if isinstance(field, str):
                self._shown[field] = self._code.parent.name
                continue
            try:
                value = self._resolved(field)
            except Unresolved:
                self._end()  # its arguments are none: it is told at its place
                return
            except Exception as error:
                if not self._fail(field, error):
                    return
                continue
            if is_awaitable(value):
                task = asyncio.ensure_future(value if asyncio.isfuture(value) else _awaited(value))
                self._waiting[field.key] = task
                task.add_done_callback(partial(self._came, field))
                if self._code.is_serial:
                    return
            elif not self._take(field, value):
                return
        if not self._waiting:
            self._whole()

    def _resolved(self, field: RootField) -> Any:
        """What a resolver returns, or what brings it. Raises what it raises, and `Unresolved` where
        it did not run."""
        definition, node, parent = field.definition, field.nodes[0], self._code.parent
        info = BoundedExecutor.build_resolve_info(
            self,  # type: ignore[arg-type]  # as far as that asks it
            definition,
            field.nodes,
            parent,
            Path(None, field.key, parent.name),
        )
        given = self._variables.plain
        if field.plain is not None and field.call is not None and given is not None:
            arguments = {one.name: one.of(given) for one in field.plain}
            self.context_value.plain[id(node)] = arguments
            return field.call(None, info, {one.python_name: one.of(given) for one in field.plain})
        try:
            values = get_argument_values(definition, node, self._variables.values())
        except Exception as error:
            raise Unresolved from error
        assert definition.resolve is not None
        return definition.resolve(None, info, **values)

    def _came(self, field: RootField, task: "asyncio.Future[Any]") -> None:
        self._waiting.pop(field.key, None)
        if self._then is None:
            if not task.cancelled():
                task.exception()  # seen: nobody else will look at it
            return
        if task.cancelled():
            self.defect = asyncio.CancelledError()
            self._end()
            return
        error = task.exception()
        if error is not None and not isinstance(error, Exception):
            self.defect = error
            self._end()
            return
        if self._fail(field, error) if error is not None else self._take(field, task.result()):
            if self._code.is_serial:
                self._go_on()
            elif not self._waiting:
                self._whole()

    def _fail(self, field: RootField, error: Exception) -> bool:
        """Show null in place of what a resolver, or a permission, has refused. Whether that could
        be done."""
        self.ran[field.key] = Ran(error=error)
        if isinstance(field.definition.type, GraphQLNonNull):
            self._end()
            return False
        self.errors.append(located_error(error, field.nodes, [field.key]))
        self._shown[field.key] = None
        if self._beside is not None:
            if field.show is None:
                self._beside.decide(field.key, is_granted=False)
            elif field.has_fetches:
                self._beside.returned(field.key, {})
        return True

    def _take(self, field: RootField, value: Any) -> bool:
        """Show what a resolver has returned. Whether that could be done."""
        self.ran[field.key] = Ran(value)
        if field.show is None:
            if value is not GRANTED:  # it is shown something in place of what it asks for
                self._end()
                return False
            assert self._beside is not None
            self._beside.decide(field.key, is_granted=True)
            return True
        if field.has_fetches:
            return self._take_with_fetches(field, field.show, value)
        pace = self.context_value.pace
        try:
            pace.begin()
            shown = field.show(value, pace.is_over, None, self._spend)
            if shown is not None:
                shown = Raw(self._encoded(shown))
        except Exception:  # it is told by who makes the answer instead
            self._end()
            return False
        self._shown[field.key] = shown
        return True

    def _take_with_fetches(self, field: RootField, show: Show, value: Any) -> bool:
        """As `_take`, of what fields with endpoints hang on: it is shown when these are there."""
        pace, asked = self.context_value.pace, defaultdict[int, list[Any]](list)

        def noted(place: int, key: Any) -> None:
            asked[place].append(key)

        try:
            pace.begin()
            show(value, pace.is_over, noted, self._spend)
        except Exception:  # it is told by who makes the answer instead
            self._end()
            return False
        self.later[field.key] = lambda fetched: show(value, pace.is_over, fetched, _paid)
        assert self._beside is not None
        self._beside.returned(field.key, asked)
        return True

    def _spend(self, size: int) -> None:
        self._size += size
        if not self.context_value.budget.has_room(0, self._size):
            raise Unusual

    def _encoded(self, shown: Any) -> bytes:
        """What is shown as JSON. Raises `Unusual` where that is too large."""
        body = encode(shown)
        self._items += items_in(body, has_lists=self._code.has_lists)
        if not self.context_value.budget.has_room(self._items, len(body)):
            raise Unusual
        return body

    def _whole(self) -> None:
        shown = self._shown
        keys = (one if isinstance(one, str) else one.key for one in self._code.fields)
        self.data = {key: shown[key] for key in keys if key in shown}
        self._end()

    def _give_up(self) -> None:
        self.is_late = True
        self._end()

    def _end(self) -> None:
        self.is_over = True
        if self.data is None and not self.is_late and self.defect is None:
            # Whoever makes the answer waits for what is still under way.
            self.ran.update((key, Ran(task)) for key, task in self._waiting.items())
        then = self._then
        self.leave()
        if then is not None:
            then()

    def _track(self, values: Sequence[Any]) -> None:
        """See graphql-core: work beside the answer, whose errors nobody waits for."""
        for one in values:
            if is_awaitable(one):
                self._tracked.append(asyncio.gather(one, return_exceptions=True))


class Unresolved(Exception):
    """A resolver did not run."""


def _paid(size: int) -> None:
    """For what was paid when it was looked at first."""


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _gather(values: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
    return gather_with_cancel(*values)
