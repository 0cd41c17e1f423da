"""Has graphql-core execute one operation, inside its deadline and its budget.

Two things end an operation from outside: its time, and a limit on what its answer may hold. Both
cancel the work where it stands; the answer then is the one error that says so. Calls end at the
deadline, and execution a moment later, so that the calls' own errors can still become an answer.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graphql import ExecutionResult, OperationDefinitionNode
from graphql.execution.values import get_argument_values

from plait.backend.budget import Allowance
from plait.backend.call import Origin
from plait.backend.fetch import Fetcher
from plait.backend.loader import Loaders
from plait.backend.span import Span
from plait.clock import Clock
from plait.emit import Events
from plait.errors import RequestError, RequestTimeout
from plait.events import ExecutedBy, PropertyAbsent
from plait.graph.absent import Absence, Expected
from plait.graph.graph import Graph
from plait.query.context import Context
from plait.query.document import Document
from plait.query.done import Done, Request, done_of
from plait.query.explain import Explanation, explanation_of, run_told
from plait.query.latency import Latencies
from plait.query.plan import Plan, Step
from plait.query.respond import Teller, given_up
from plait.query.run import Run
from plait.query.variables import VariableLimits
from plait.writes.writes import Writes

EXPLAIN_HEADER = "x-plait-explain"
"""`plan` in it asks for what an operation would do, instead of doing it; `run` for how it went."""

GRACE_S = 0.5
"""How long after the deadline an operation may take to tell what the deadline did to its calls."""


REAPED_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationLimits:
    """What one operation may take. Times are seconds."""

    timeout_s: float = 30.0
    allowance: Allowance = field(default_factory=Allowance)
    variables: VariableLimits = field(default_factory=VariableLimits)


class Interpreter:
    """Executes operations of one graph. Lives as long as the app."""

    def __init__(
        self,
        graph: Graph,
        *,
        fetcher: Fetcher,
        writes: Writes,
        clock: Clock,
        events: Events,
        limits: OperationLimits,
        introspection: bool,
    ) -> None:
        self._graph = graph
        self.teller = Teller(graph, events, hides_suggestions=not introspection)
        self._fetcher = fetcher
        self._writes = writes
        self._clock = clock
        self._events = events
        self._limits = limits
        self._introspection = introspection
        self._latencies = Latencies()
        events.subscribe(self._latencies)
        self._told: set[Expected] = set()
        self._reapers: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was given up is still being ended."""
        return not self._reapers

    def context(self, request: Request, document: Document, origin: Origin) -> Context:
        """What an operation carries through its execution."""
        assert origin.budget is not None
        return Context(
            origin=origin,
            document=document.ast,
            budget=origin.budget,
            pace=origin.pace,
            introspection=self._introspection,
            loaders=Loaders(self._fetcher, origin),
            writes=self._writes,
            caller=request.caller,
            idempotency_key=request.idempotency_key,
        )

    async def run(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        request: Request,
        context: Context,
        executed_by: ExecutedBy,
    ) -> Done:
        """The answer; `executed_by` says whether compiled code has had a part in it. Only defects
        raise."""
        explain = request.origin.headers.get(EXPLAIN_HEADER, "")
        context.selected = document.selected(operation)
        if explain == "run" and self._introspection:
            plan = self.explanation(document, operation, request, by_code=False)
            self._trace(context, plan)
        context.begin = partial(_begun, self._graph, document.plan(operation, self._graph), context)
        result = await self._executed(document, request, context)
        done = self.answered(document, operation, result, context, executed_by)
        if not context.is_left:
            context.let_go()
        return done

    def answered(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        result: ExecutionResult | RequestError,
        context: Context,
        executed_by: ExecutedBy,
    ) -> Done:
        """The answer of a result, or why there is none."""
        self.tell(context.absences.values())
        if isinstance(result, RequestError):
            request_id = context.origin.request_id
            answer = given_up(result, request_id, has_begun=True, written=context.written)
            return done_of(operation, answer, context.budget.calls, executed_by)
        beside = context.beside(getattr(result, "extensions", None))
        errors = result.errors or ()
        return self.teller.told(document, operation, result.data, errors, beside, executed_by)

    def explanation(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        request: Request,
        *,
        by_code: bool = True,
    ) -> Explanation:
        """What an operation would do: see `explanation_of`."""
        return explanation_of(
            self._graph,
            document,
            operation,
            request.variables,
            latency_of=self._latencies.of,
            by_code=by_code,
        )

    def _trace(self, context: Context, plan: Explanation) -> None:
        """Note how it goes, for the end of the answer."""
        start, spans = self._clock.now(), list[Span]()
        context.loaders.spans = spans
        context.told = lambda: {"plan": plan, "run": run_told(spans, start, self._clock.now())}

    def tell(self, absences: Iterable[Absence]) -> None:
        """Say, once, which properties the graph reads in vain."""
        for absence in absences:
            if absence.missed in self._told:
                continue
            self._told.add(absence.missed)
            self._events.emit(
                PropertyAbsent(
                    backend=absence.endpoint.backend.name,
                    endpoint=absence.endpoint.label,
                    field=absence.missed.field,
                    file=absence.missed.place.file,
                    line=absence.missed.place.line,
                    property=absence.name,
                    nearest=absence.nearest or "",
                    rows=absence.rows,
                )
            )

    async def _executed(
        self, document: Document, request: Request, context: Context
    ) -> ExecutionResult | RequestError:
        """The result, or why the whole operation was given up."""
        budget = context.budget
        context.pace.begin()
        result = self._graph.execute(
            document.text,
            document.ast,
            variables=request.variables,
            operation_name=request.operation_name,
            context=context,
            hide_suggestions=not self._introspection,
        )
        if isinstance(result, ExecutionResult):
            if left := _left(context):
                self._give_up(left, context)
            return budget.refused or result
        refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        budget.stop = partial(_set, refused)
        if budget.refused is not None:
            budget.stop()
        work = asyncio.ensure_future(result)
        try:
            await asyncio.wait(
                (work, refused),
                timeout=self._left_s(context) + GRACE_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            await self._leave(work, context)
        if budget.refused is not None:
            return budget.refused
        if work.done():
            return work.result()
        return self.too_late()

    def too_late(self) -> RequestTimeout:
        """Why an operation is given up that has taken all of its time."""
        timeout_s = self._limits.timeout_s
        return RequestTimeout(
            f"The operation was not finished within {timeout_s:g} s. Ask for less at once.",
            limit="request_timeout_s",
            value=timeout_s,
        )

    def _left_s(self, context: Context) -> float:
        """How much of its time an operation has left: some is gone where compiled code began it."""
        deadline = context.origin.deadline
        return self._limits.timeout_s if deadline is None else deadline - self._clock.now()

    async def _leave(self, work: "asyncio.Future[ExecutionResult]", context: Context) -> None:
        """Give up what is still under way. Where that is much, nobody waits for it."""
        left = _left(context)
        if work.done() and not left:
            await context.loaders.close()
        else:
            self._give_up([work, *left], context)

    def let_go(self, left: list["asyncio.Future[Any]"], context: Context) -> None:
        """End what is still under way of an operation, behind its answer's back."""
        if not left and context.loaders.is_idle:
            context.loaders.stop()
            context.let_go()
        else:
            self._give_up(left, context)

    def _give_up(self, left: list["asyncio.Future[Any]"], context: Context) -> None:
        context.is_left = True
        reaper = asyncio.ensure_future(self._reap(left, context))
        self._reapers.add(reaper)
        reaper.add_done_callback(self._reapers.discard)

    async def _reap(self, begun: list["asyncio.Future[Any]"], context: Context) -> None:
        """Cancel the innermost first, and some in each turn of the loop: cancelled from the top,
        tens of thousands would end in one turn."""
        for count, one in enumerate(reversed(begun)):
            one.cancel()
            if count % REAPED_AT_ONCE == REAPED_AT_ONCE - 1:
                await context.pace.breathe()
        await context.loaders.close()
        while begun:
            one = begun.pop()
            if not one.done():
                await asyncio.wait((one,))
            if not one.cancelled():
                one.exception()  # seen: nobody else will look at it
            if context.pace.is_over():
                await context.pace.breathe()
        context.let_go()

    async def close(self) -> None:
        """Wait until what was given up has ended."""
        await asyncio.gather(*self._reapers, return_exceptions=True)


def _left(context: Context) -> list["asyncio.Future[Any]"]:
    """What is still under way beside the work itself."""
    executor = context.executor
    begun = [*executor.begun, *executor.background_futures] if executor else []
    return [one for one in (*context.begun, *begun) if not one.done()]


def _begun(graph: Graph, plan: Plan, context: Context, executor: Any) -> Run | None:
    """The plan under way, where running it saves time or calls."""
    if graph.is_extended or not plan.steps or not (plan.is_whole or plan.early):
        return None

    return Run(
        plan,
        graph.schema,
        context.loaders,
        context.pace,
        variables=executor.variable_values.coerced,
        arguments=partial(_arguments, graph, executor),
    )


def _arguments(graph: Graph, executor: Any, step: Step) -> Mapping[str, Any]:
    coerced = get_argument_values(step.definition, step.node, executor.variable_values)
    return graph.schema.arguments_of(step.definition, coerced)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
