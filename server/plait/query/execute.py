"""Runs one operation: from the client's request to the answer, inside its deadline and its budget.

Two things end an operation from outside: its time, and a limit on what its answer may hold. Both
cancel the work where it stands; the answer then is the one error that says so. Calls end at the
deadline, and execution a moment later, so that the calls' own errors can still become an answer.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode, OperationType
from graphql.execution.values import get_argument_values

from plait.backend.budget import Allowance, Budget
from plait.backend.call import Origin
from plait.backend.fetch import Fetcher
from plait.backend.loader import Loaders
from plait.backend.span import Span
from plait.clock import Clock, Pace, Turns
from plait.errors import BadUserInput, RequestError, RequestTimeout
from plait.events import Events, PropertyAbsent
from plait.graph.absent import Absence, Expected
from plait.graph.graph import Graph
from plait.query.arguments import Variables
from plait.query.context import WARNINGS_HEADER, Context
from plait.query.direct import Direct
from plait.query.document import Document, DocumentErrors, Documents
from plait.query.done import Done, Request
from plait.query.explain import Explanation, explanation_of, run_told
from plait.query.latency import Latencies
from plait.query.plan import Plan, Step
from plait.query.respond import (
    Executed,
    answered,
    given_up,
    refused,
    told_plan,
    whole,
)
from plait.query.run import Run
from plait.query.sharing import Sharing
from plait.query.variables import VariableLimits, variables_error
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


class Executor:
    """Runs operations of one graph. Lives as long as the app."""

    def __init__(
        self,
        graph: Graph,
        *,
        documents: Documents,
        fetcher: Fetcher,
        writes: Writes,
        clock: Clock,
        events: Events,
        limits: OperationLimits,
        turns: Turns,
        sharing: Sharing | None = None,
    ) -> None:
        self.sharing = sharing
        """What equal operations share; `None` where each is executed for itself."""
        self._graph = graph
        self._documents = documents
        self._fetcher = fetcher
        self._writes = writes
        self._clock = clock
        self._events = events
        self._limits = limits
        self._turns = turns
        self.latencies = Latencies()
        """How long calls took lately: an observer of events."""
        events.subscribe(self.latencies)
        self._running = 0
        self._told: set[Expected] = set()
        self._reapers: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self._running == 0 and not self._reapers

    async def run(self, request: Request) -> Done:
        """The answer to `request`. A client's mistakes are answers too; only defects raise."""
        self._running += 1
        try:
            return await self._run(request)
        finally:
            self._running -= 1

    async def _run(self, request: Request) -> Done:
        request_id = request.origin.request_id
        try:
            document = self._documents.get(request.query)
        except DocumentErrors as error:
            hide = self._documents.hides_suggestions
            answer = refused(error.errors, error.code, request_id, error, hide_suggestions=hide)
            return Done(answer=answer)
        operation = document.operation(request.operation_name)
        if operation is None:
            which = "Name one of the operations of the document in 'operationName'."
            unnamed = refused([GraphQLError(which)], BadUserInput.code, request_id, document)
            return Done(answer=unnamed)
        if too_much := variables_error(request.variables, self._limits.variables):
            return Done(answer=given_up(too_much, request_id, has_begun=False))
        name = operation.name.value if operation.name else None
        kind = operation.operation.value
        if request.only_queries and operation.operation is not OperationType.QUERY:
            only = GraphQLError("A GET can only query: send mutations with POST.")
            answer = refused([only], BadUserInput.code, request_id, document)
            return Done(answer=answer, name=name, kind=kind, not_allowed=True)
        explain = request.origin.headers.get(EXPLAIN_HEADER, "")
        if explain and (wrong := self._why_not_explained(explain)):
            return Done(answer=refused([wrong], BadUserInput.code, request_id, document))
        if explain == "plan":
            return Done(answer=told_plan(self._explanation(document, operation, request)))
        direct = request.joined
        if direct is None and not explain:
            direct = self._direct(document, operation, request)
        if direct is None:
            context = self._context(request, self._origin(request))
            return await self._interpreted(document, operation, request, context)
        try:
            return await self._by_code(direct, document, operation, request)
        finally:
            direct.leave()

    def _direct(
        self, document: Document, operation: OperationDefinitionNode, request: Request
    ) -> Direct | None:
        """The operation's compiled code, where it has any that may be used."""
        if operation.operation is not OperationType.QUERY or self._graph.is_extended:
            return None
        if WARNINGS_HEADER in request.origin.headers:
            return None
        variables = Variables(
            self._graph.core, operation.variable_definitions or (), request.variables
        )
        try:
            code = document.direct(operation, self._graph).get(variables.coerced())
        except Exception:  # the variables are none: it is told where they are read
            return None
        if code is None:
            return None
        origin = self._origin(request)
        assert origin.budget is not None
        return Direct(code, self._fetcher, origin, origin.budget, variables)

    async def _by_code(
        self,
        direct: Direct,
        document: Document,
        operation: OperationDefinitionNode,
        request: Request,
    ) -> Done:
        """The answer, by compiled code; by the executor, of what was fetched already, where there
        is anything unusual about it."""
        lead, made, done, is_over = None, None, None, False
        if request.share is not None and self.sharing is not None and request.joined is None:
            lead = self.sharing.lead(request.share, direct.endpoints)
        try:
            if request.joined is None:
                direct.begin()
                if not direct.is_over:
                    await direct.over(self._limits.timeout_s)
                self._tell(direct.absences())
            made = direct.made()
            if made is not None and not made.errors:
                name = operation.name.value if operation.name else None
                calls = direct.budget.calls
                done = Done(answer=whole(made.body), name=name, kind="query", calls=calls)
            is_over = True
        finally:
            if lead is not None:
                direct.is_shared = done is None and bool(lead.waiting)
                fresh_until = direct.fresh_until() if done is not None else 0.0
                lead.end(done, fresh_until, direct if is_over else None)
        if done is not None:
            return done
        joined = request.joined is not None
        context = self._context(request, self._origin(request) if joined else direct.origin)
        if made is not None:
            result = ExecutionResult(data=made.data, errors=made.errors)
            return self._answered(document, operation, result, context)
        direct.hand_on(context.loaders)
        return await self._interpreted(document, operation, request, context)

    def _answered(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        result: ExecutionResult,
        context: Context,
    ) -> Done:
        executed = Executed(schema=self._graph.core, document=document, operation=operation)
        answer = answered(result, context, executed, self._events)
        name = operation.name.value if operation.name else None
        kind = operation.operation.value
        return Done(answer=answer, name=name, kind=kind, calls=context.budget.calls)

    async def _interpreted(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        request: Request,
        context: Context,
    ) -> Done:
        """The answer, by graphql-core's executor."""
        request_id = request.origin.request_id
        explain = request.origin.headers.get(EXPLAIN_HEADER, "")
        context.document = document.ast
        if explain == "run" and not self._documents.hides_suggestions:
            self._trace(context, self._explanation(document, operation, request))
        context.begin = partial(_begun, self._graph, document.plan(operation, self._graph), context)
        result = await self._executed(document, request, context)
        self._tell(context.absences.values())
        if isinstance(result, RequestError):
            answer = given_up(result, request_id, has_begun=True, written=context.written)
            name = operation.name.value if operation.name else None
            kind = operation.operation.value
            done = Done(answer=answer, name=name, kind=kind, calls=context.budget.calls)
        else:
            done = self._answered(document, operation, result, context)
        if not context.is_left:
            context.let_go()
        return done

    def _why_not_explained(self, explain: str) -> GraphQLError | None:
        """A plan names backends and endpoints: who may not see the schema may not see it either."""
        if explain == "plan" and self._documents.hides_suggestions:
            return GraphQLError("Explaining is turned off here, as introspection is.")
        if explain not in ("plan", "run"):
            return GraphQLError(f"The header {EXPLAIN_HEADER} is 'plan' or 'run'.")
        return None

    def _explanation(
        self, document: Document, operation: OperationDefinitionNode, request: Request
    ) -> Explanation:
        return explanation_of(
            self._graph,
            document,
            operation,
            request.variables,
            latency_of=self.latencies.of,
        )

    def _trace(self, context: Context, plan: Explanation) -> None:
        """Note how it goes, for the end of the answer."""
        start, spans = self._clock.now(), list[Span]()
        context.loaders.spans = spans
        context.told = lambda: {"plan": plan, "run": run_told(spans, start, self._clock.now())}

    async def _executed(
        self, document: Document, request: Request, context: Context
    ) -> ExecutionResult | RequestError:
        """The result, or why the whole operation was given up."""
        budget, timeout_s = context.budget, self._limits.timeout_s
        context.pace.begin()
        result = self._graph.execute(
            document.text,
            document.ast,
            variables=request.variables,
            operation_name=request.operation_name,
            context=context,
            hide_suggestions=self._documents.hides_suggestions,
        )
        if isinstance(result, ExecutionResult):
            return budget.refused or result
        refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        budget.stop = partial(_set, refused)
        if budget.refused is not None:
            budget.stop()
        work = asyncio.ensure_future(result)
        try:
            await asyncio.wait(
                (work, refused), timeout=timeout_s + GRACE_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await self._leave(work, context)
        if budget.refused is not None:
            return budget.refused
        if work.done():
            return work.result()
        return RequestTimeout(
            f"The operation was not finished within {timeout_s:g} s. Ask for less at once.",
            limit="request_timeout_s",
            value=timeout_s,
        )

    def _tell(self, absences: Iterable[Absence]) -> None:
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

    async def _leave(self, work: "asyncio.Future[ExecutionResult]", context: Context) -> None:
        """Give up what is still under way. Where that is much, nobody waits for it."""
        executor = context.executor
        begun = [*executor.begun, *executor.background_futures] if executor else []
        left = [one for one in begun if not one.done()]
        if work.done() and not left:
            await context.loaders.close()
            return
        context.is_left = True
        reaper = asyncio.ensure_future(self._reap([work, *left], context))
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

    def _origin(self, request: Request) -> Origin:
        return Origin(
            request_id=request.origin.request_id,
            traceparent=request.origin.traceparent,
            headers=request.origin.headers,
            deadline=self._clock.now() + self._limits.timeout_s,
            budget=Budget(self._limits.allowance),
            pace=Pace(self._turns),
        )

    def _context(self, request: Request, origin: Origin) -> Context:
        assert origin.budget is not None
        assert origin.pace is not None
        return Context(
            origin=origin,
            budget=origin.budget,
            pace=origin.pace,
            introspection=not self._documents.hides_suggestions,
            loaders=Loaders(self._fetcher, origin),
            writes=self._writes,
            caller=request.caller,
            idempotency_key=request.idempotency_key,
        )


def _begun(graph: Graph, plan: Plan, context: Context, executor: Any) -> Run | None:
    """The plan under way, where running it saves time or calls."""
    if graph.is_extended or not plan.steps or not (plan.is_whole or plan.early):
        return None

    def arguments(step: Step) -> Mapping[str, Any]:
        values = executor.variable_values
        coerced = get_argument_values(step.definition, step.node, values)
        return graph.schema.arguments_of(step.definition, coerced)

    return Run(
        plan,
        graph.schema,
        context.loaders,
        context.pace,
        variables=executor.variable_values.coerced,
        arguments=arguments,
    )


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
