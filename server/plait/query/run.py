"""Runs a plan: asks for what its steps need as soon as that is known, and keeps what came at hand
for whoever makes the answer.

No answer is made here. When all has come, the executor reads row after row without waiting: what a
step asked for one row is found by that row. What is not found here, the executor asks for itself,
through the same loaders, so that a plan can save time and calls, and never change an answer.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from plait.backend.keys import Key
from plait.backend.loader import KeyBatch, Loaders, Loading
from plait.backend.loads import Fetched, LoadOutcome
from plait.backend.paths import Path
from plait.clock import Pace
from plait.graph.fields import Fetch, Object, Row
from plait.graph.pages import Window
from plait.graph.resolve import AskedKeys, Bound
from plait.query.plan import Plan, Selection, Step
from plait.query.selection import holds

EARLY_KEYS_MAX = 200
"""How many keys one operation may have asked for whose rows have not said them yet: what may be
called in vain."""
MISSING: Any = object()


class Fields(Protocol):
    """What running a plan needs of a graph."""

    def bound_of(self, fetch: Fetch) -> Bound:
        """How a declared field is resolved."""
        ...

    def type_of(self, declared: str, row: dict[str, Any]) -> str | None:
        """The object type that a row of a declared type is, where that can be told."""
        ...


ArgumentsOf: TypeAlias = Callable[[Step], Mapping[str, Any]]
"""The arguments of a step's field, by their Python names. Raises for those that cannot be."""


class Run:
    """One plan under way, for one operation."""

    def __init__(
        self,
        plan: Plan,
        fields: Fields,
        loaders: Loaders,
        pace: Pace,
        *,
        variables: Mapping[str, Any],
        arguments: ArgumentsOf,
    ) -> None:
        self._plan = plan
        self._fields = fields
        self._loaders = loaders
        self._pace = pace
        self._variables = variables
        self._arguments_of = arguments
        self._arguments: dict[int, Mapping[str, Any] | None] = {}
        self._bounds = [fields.bound_of(one.fetch) for one in plan.steps]
        self._holds = [holds(one.conditions, variables) for one in plan.steps]
        self._asked: list[dict[int, AskedKeys | None]] = [{} for _ in plan.steps]
        self._own_path = [_own_path(one.fetch) for one in plan.steps]
        self._by_value: list[dict[int | str, AskedKeys | None]] = [{} for _ in plan.steps]
        """What was asked, where it hangs on one value of the row, by that value."""
        self._pages: list[Any] = []
        """Made of rows, and kept for as long as something may be found by them."""
        self._visited: set[tuple[int, KeyBatch, Key]] = set()
        self._unclaimed: set[tuple[KeyBatch, Key]] = set()
        self._awaited: dict[KeyBatch, list[tuple[Step, AskedKeys, Key]]] = {}
        """What is under way, and the steps whose rows are among it."""
        self._work: deque[Iterator[None]] = deque()
        self._is_working = False
        self._done: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Ask for what can be asked for now. The rest follows as rows come."""
        self._add(self._visit(self._plan.root, None))
        self._advance()

    @property
    def is_whole(self) -> bool:
        """Whether it asks for everything that the operation does."""
        return self._plan.is_whole

    def step_at(self, path: tuple[str, ...], type_name: str) -> Step | None:
        """The step at a place of the answer, if there is one."""
        return self._plan.places.get((path, type_name))

    @property
    def is_over(self) -> bool:
        """Whether all has come."""
        return not self._awaited and not self._work

    async def over(self) -> None:
        """Wait until all has come."""
        if not self.is_over:
            self._done = asyncio.get_running_loop().create_future()
            try:
                await self._done
            finally:
                self.stop()

    def stop(self) -> None:
        """Ask for nothing more: nobody waits for it."""
        self._work.clear()

    def asked(self, step: Step, source: object) -> AskedKeys | None:
        """What `step` asked for a source; `None` where there was nothing to ask for, `MISSING`
        where it has not asked."""
        return self._asked[step.index].get(id(source), MISSING)

    # --- asking

    def _visit(self, selection: Selection, source: dict[str, Any] | None) -> Iterator[None]:
        """Ask for all that hangs on one row, a bit at each turn of the iterator."""
        for step in selection.steps:
            if self._holds[step.index]:
                self._ask(step, source)
                yield
        for inside in selection.insides:
            if holds(inside.conditions, self._variables) and source is not None:
                found = inside.property.reader.find(source)
                yield from self._visit_all(inside.below, inside.property.below, found)

    def _visit_all(
        self, below: Mapping[str, Selection], declared: str | None, rows: Any
    ) -> Iterator[None]:
        if type(rows) is list:
            for row in rows:
                yield from self._visit_all(below, declared, row)
        elif type(rows) is dict and declared is not None:
            name = self._fields.type_of(declared, rows)
            if name is not None and name in below:
                yield from self._visit(below[name], rows)

    def _ask(self, step: Step, source: dict[str, Any] | None) -> None:
        known = self._asked[step.index]
        if id(source) in known or (arguments := self._given(step)) is None:
            return
        # Many rows ask for the same: then they share what was asked.
        own, told = self._own_path[step.index], None
        if own is not None and type(source) is dict and len(own) == 1:
            told = source.get(own[0])
            if type(told) is int or type(told) is str:
                asked = self._by_value[step.index].get(told, MISSING)
                if asked is not MISSING:
                    known[id(source)] = asked
                    return
        try:
            asked = self._bounds[step.index].ask(self._loaders, source, arguments)
        except Exception:
            return  # whoever makes the answer asks again, and is told the same at its place
        known[id(source)] = asked
        if type(told) is int or type(told) is str:
            self._by_value[step.index][told] = asked
        if asked is None:
            return
        for loading, values in zip(asked.answers, asked.values, strict=True):
            if not isinstance(loading, Loading):
                continue
            batch, key = loading.batch, loading.key
            if self._unclaimed:
                self._unclaimed.discard((batch, key))
            waiting = self._waiting_for(batch)
            if not step.below or (step.index, batch, key) in self._visited:
                continue
            self._visited.add((step.index, batch, key))
            if waiting is not None:
                self._ask_early(step, values)
                waiting.append((step, asked, key))
            elif batch.outcomes is not None:
                self._add(self._visit_rows(step, asked, batch.outcomes[key]))

    def _waiting_for(self, batch: KeyBatch) -> list[tuple[Step, AskedKeys, Key]] | None:
        """The steps whose rows are among what a batch brings; `None` where it is over."""
        if batch.is_over:
            return None
        waiting = self._awaited.get(batch)
        if waiting is None:
            waiting = self._awaited[batch] = []
            batch.then(partial(self._came, batch))
        return waiting

    def _came(self, batch: KeyBatch) -> None:
        """A batch is there: ask for what hangs on its rows."""
        waiting, outcomes = self._awaited.pop(batch), batch.outcomes
        if waiting and outcomes is not None:
            for step, asked, key in waiting:
                self._add(self._visit_rows(step, asked, outcomes[key]))
            self._advance()
        else:
            self._end()

    def _visit_rows(self, step: Step, asked: AskedKeys, outcome: LoadOutcome) -> Iterator[None]:
        if not isinstance(outcome, Fetched) or outcome.row is None:
            return
        rows = outcome.row
        if asked.window is not None:
            yield from self._visit_page(step, asked.window, rows)
        elif step.fetch.form != "one" or (type(rows) is list) is step.fetch.is_list:
            yield from self._visit_all(step.below, step.declared, rows)
        # else not as declared: it will be an error at its place

    def _visit_page(self, step: Step, window: Window, page: Any) -> Iterator[None]:
        assert step.fetch.pages is not None
        row = step.fetch.pages.row(window, page["body"], page["headers"])
        self._pages.append(row)
        yield from self._visit_all(step.below, step.declared, row)

    def _given(self, step: Step) -> Mapping[str, Any] | None:
        """The arguments of a step's field; the same for all of its rows."""
        if step.index not in self._arguments:
            try:
                self._arguments[step.index] = self._arguments_of(step)
            except Exception:  # it is told where the field is resolved
                self._arguments[step.index] = None
        return self._arguments[step.index]

    # --- early

    def _ask_early(self, step: Step, values: Mapping[str, Any]) -> None:
        """Ask for what hangs on nothing else of a step's row than what it was asked for by."""
        known = {} if step.fetch.form == "connection" else step.fetch.endpoint.known
        stub: dict[str, Any] = {}
        for parameter, path in known.items():
            if isinstance(values.get(parameter), (str, int, float)):  # a list is many rows' keys
                _put(stub, path, values[parameter])
        for below in step.below.values():
            self._visit_early(below, stub)

    def _visit_early(self, selection: Selection, stub: dict[str, Any]) -> None:
        for step in selection.steps:
            if step.index in self._plan.early and self._holds[step.index]:
                self._ask_stub(step, stub)
        for inside in selection.insides:
            if holds(inside.conditions, self._variables):
                found = inside.property.reader.find(stub)
                for below in inside.below.values():
                    self._visit_early(below, found if type(found) is dict else {})

    def _ask_stub(self, step: Step, stub: dict[str, Any]) -> None:
        if len(self._unclaimed) >= EARLY_KEYS_MAX or (arguments := self._given(step)) is None:
            return
        before = self._loaders.count
        try:
            asked = self._bounds[step.index].ask(self._loaders, stub, arguments)
        except Exception:
            return
        if asked is None:
            return
        if self._loaders.count > before:
            self._unclaimed.update(
                (one.batch, one.key) for one in asked.answers if isinstance(one, Loading)
            )
        for loading, values in zip(asked.answers, asked.values, strict=True):
            if isinstance(loading, Loading) and not loading.is_over:
                self._ask_early(step, values)

    # --- turns

    def _add(self, work: Iterator[None]) -> None:
        self._work.append(work)

    def _advance(self) -> None:
        """Do what there is to do, and let others have their turn. No wave leaves meanwhile."""
        if self._is_working:
            return
        self._is_working = True
        self._loaders.holding += 1
        self._go_on()

    def _go_on(self) -> None:
        while self._work:
            work = self._work[0]
            # A defect here must not keep the operation waiting: its field meets it again, and
            # tells it at its place.
            with contextlib.suppress(Exception):
                for _ in work:
                    if self._pace.is_over():
                        self._pace.call_later(self._go_on)
                        return
            if self._work and self._work[0] is work:
                self._work.popleft()
        self._loaders.holding -= 1
        self._is_working = False
        self._end()

    def _end(self) -> None:
        if self._done is not None and self.is_over and not self._done.done():
            self._done.set_result(None)


def _own_path(fetch: Fetch) -> Path | None:
    """The one property of the row that decides what a field asks for, if it is one."""
    rows = [one for one in fetch.bindings.values() if isinstance(one, Row)]
    nested = any(isinstance(one, Object) for one in fetch.bindings.values())
    return rows[0].path if len(rows) == 1 and not nested and fetch.form == "one" else None


def _put(row: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        row = row.setdefault(name, {})
    row[path[-1]] = value
