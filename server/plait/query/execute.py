"""Runs one operation: from the client's request to the answer.

An operation that has compiled code is executed by it, without a task of its own: what lands makes
the next step, and the last one the answer. What code does not do, or finds unusual, graphql-core
executes, of what was fetched already: see `interpret.py`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode, OperationType

from plait.backend.budget import Budget
from plait.backend.call import Origin
from plait.backend.fetch import Fetcher
from plait.clock import Clock, Turns
from plait.emit import Events
from plait.errors import BadUserInput, RequestTimeout
from plait.events import ExecutedBy
from plait.graph.graph import Graph
from plait.graph.ran import Ran
from plait.query.answered import Answered
from plait.query.arguments import Variables
from plait.query.computed import Computed
from plait.query.context import WARNINGS_HEADER, Context
from plait.query.deadlines import Deadlines
from plait.query.direct import Direct
from plait.query.document import Document, Documents
from plait.query.done import Done, Request, done_of
from plait.query.held import Resolvers
from plait.query.interpret import EXPLAIN_HEADER, GRACE_S, Interpreter, OperationLimits
from plait.query.marks import MARKS_MAX
from plait.query.mixed import Mixed
from plait.query.prepared import Prepared
from plait.query.reading import DocumentErrors
from plait.query.resolved import Execution
from plait.query.resolving import Resolving
from plait.query.respond import Teller, given_up, refused, told_plan, whole
from plait.query.sharing import Lead, Sharing
from plait.query.variables import variables_error
from plait.writes.writes import Writes


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
        self.interpreter = Interpreter(
            graph,
            fetcher=fetcher,
            writes=writes,
            clock=clock,
            events=events,
            limits=limits,
            introspection=not documents.hides_suggestions,
        )
        self.teller: Teller = self.interpreter.teller
        self.graph = graph
        self._core = graph.core
        self._documents = documents
        self._fetcher = fetcher
        self._clock = clock
        self.limits = limits
        self.deadlines = Deadlines(limits.timeout_s)
        self._turns = turns
        self.running = 0
        """How many operations are under way."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self.running == 0 and self.interpreter.is_idle

    def begin(self, request: Request, then: Callable[["Running"], object]) -> "Running":
        """Begin an operation. `then` is called once, when it is over, which may be before this
        returns; never, where it is left."""
        running = Running(self, request, then)
        running.begin()
        return running

    async def run(self, request: Request) -> Done:
        """The answer to `request`. A client's mistakes are answers too; only defects raise."""
        over: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        running = self.begin(request, lambda running: running.tell(over))
        try:
            return await over
        finally:
            running.leave()

    async def close(self) -> None:
        """Wait until what was given up has ended."""
        await self.interpreter.close()

    def read(self, request: Request) -> Done | tuple[Document, OperationDefinitionNode]:
        """What `request` asks to be executed; or the answer, where nothing is."""
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
        if too_much := variables_error(request.variables, self.limits.variables):
            return Done(answer=given_up(too_much, request_id, has_begun=False))
        if request.only_queries and operation.operation is not OperationType.QUERY:
            only = GraphQLError("A GET can only query: send mutations with POST.")
            answer = refused([only], BadUserInput.code, request_id, document, status=405)
            return done_of(operation, answer)
        explain = request.origin.headers.get(EXPLAIN_HEADER)
        if explain and (wrong := self._why_not_explained(explain)):
            return Done(answer=refused([wrong], BadUserInput.code, request_id, document))
        if explain == "plan":
            plan = self.interpreter.explanation(document, operation, request)
            return Done(answer=told_plan(plan))
        return document, operation

    def code(
        self, document: Document, operation: OperationDefinitionNode, request: Request
    ) -> tuple[Prepared | Resolvers | Mixed, Variables] | None:
        """The operation's compiled code and its variables, where it has any that may be used."""
        headers = request.origin.headers
        if WARNINGS_HEADER in headers or EXPLAIN_HEADER in headers:
            return None
        variables = Variables(self._core, operation.variable_definitions or (), request.variables)
        try:
            code = document.direct(operation, self.graph).get(variables.coerced)
        except Exception:  # the variables are none: it is told where they are read
            return None
        return None if code is None else (code, variables)

    def direct(self, request: Request, code: Prepared, variables: Variables) -> Direct:
        """To execute compiled code."""
        origin = self._origin(request)
        assert origin.budget is not None
        return Direct(code, self._fetcher, origin, origin.budget, variables)

    def context(self, request: Request, document: Document, direct: Direct | None) -> Context:
        """What graphql-core carries through the execution of an operation, or of the rest of one
        that `direct` began."""
        origin = direct.origin if direct is not None else self._origin(request)
        return self.interpreter.context(request, document, origin)

    def _origin(self, request: Request) -> Origin:
        return Origin(
            request_id=request.origin.request_id,
            traceparent=request.origin.traceparent,
            headers=request.origin.headers,
            deadline=self._clock.now() + self.limits.timeout_s,
            budget=Budget(self.limits.allowance),
            turns=self._turns,
        )

    def _why_not_explained(self, explain: str) -> GraphQLError | None:
        """A plan names backends and endpoints: who may not see the schema may not see it either."""
        if explain == "plan" and self._documents.hides_suggestions:
            return GraphQLError("Explaining is turned off here, as introspection is.")
        if explain not in ("plan", "run"):
            return GraphQLError(f"The header {EXPLAIN_HEADER} is 'plan' or 'run'.")
        return None


class Running:
    """One operation under way. Who left it is told nothing."""

    def __init__(
        self, executor: Executor, request: Request, then: Callable[["Running"], object]
    ) -> None:
        self.done: Done | None = None
        """The answer, when there is one."""
        self.defect: BaseException | None = None
        """Why there is none, when it is over."""
        self._executor = executor
        self._request = request
        self._then: Callable[[Running], object] | None = then
        self._direct: Direct | None = None
        self._resolving: Resolving | None = None
        self._has_mixed = False
        """Whether the two sides of a mixed operation have both begun."""
        self._context: Context | None = None
        self._lead: Lead | None = None
        self._task: asyncio.Task[Done] | None = None

    def begin(self) -> None:
        """Begin it. Raises nothing."""
        executor, request = self._executor, self._request
        executor.running += 1
        try:
            found = executor.read(request)
            if isinstance(found, Done):
                self._end(found)
                return
            self._document, self._operation = found
            if request.joined is not None:
                self._direct = request.joined
                self._fetched()
                return
            code = executor.code(*found, request)
            if code is None:
                context = executor.context(request, self._document, None)
                self._interpret(context, "interpreted")
                return
            prepared, variables = code
            if isinstance(prepared, Resolvers):
                self._resolve(prepared, variables)
            elif isinstance(prepared, Mixed):
                self._mix(prepared, variables)
            elif not prepared.compiled.joins:
                self._compute(prepared, variables)
            else:
                self._direct = direct = executor.direct(request, prepared, variables)
                if prepared.compiled.asks_permissions:
                    self._context = executor.context(request, self._document, direct)
                    self._let_permit(direct, self._context, prepared, variables)
                self._fetch(direct)
        except Exception as error:
            self._end(None, error)

    def leave(self) -> None:
        """Give it up, unless it is over: nobody waits for the answer."""
        if self._then is not None:
            self._then = None
            if self._task is not None:
                self._task.cancel()  # it is over when that has ended
            else:
                self._let_go()

    def tell(self, over: "asyncio.Future[Done]") -> None:
        """What has become of it."""
        if over.done():
            return
        if self.done is not None:
            over.set_result(self.done)
        elif isinstance(self.defect, asyncio.CancelledError):
            over.cancel()
        elif self.defect is not None:
            over.set_exception(self.defect)

    def _compute(self, code: Prepared, variables: Variables) -> None:
        """The answer of an operation that asks no backend."""
        executor = self._executor
        computed = Computed(code.compiled.resolvers, variables)
        body = computed.body(code.compiled, Budget(executor.limits.allowance))
        if body is not None:
            self._end(done_of(self._operation, whole(body), 0, "compiled"))
            return
        context = executor.context(self._request, self._document, None)
        context.ran = computed.ran
        self._interpret(context, "handed_on")

    def _resolve(self, code: Resolvers, variables: Variables) -> None:
        """Have the resolvers of the root run."""
        executor = self._executor
        self._context = context = executor.context(self._request, self._document, None)
        self._resolving = resolving = Resolving(
            code, context, variables, self._document, self._operation, executor.graph
        )
        resolving.begin(self._resolved, executor.limits.timeout_s + GRACE_S)

    def _resolved(self) -> None:
        """The answer of what they returned; by graphql-core, where there is anything unusual about
        it."""
        try:
            self._tell_resolved()
        except Exception as error:
            self._end(None, error)

    def _tell_resolved(self) -> None:
        resolving, context = self._resolving, self._context
        assert resolving is not None
        assert context is not None
        interpreter = self._executor.interpreter
        result: ExecutionResult | RequestTimeout
        if resolving.defect is not None:
            self._end(None, resolving.defect)
            return
        if resolving.is_late:
            result = interpreter.too_late()
        elif resolving.data is not None:
            result = ExecutionResult(data=resolving.data, errors=resolving.errors)
        else:
            self._resolving = None
            context.ran, context.begun = resolving.ran, resolving.left()
            self._interpret(context, "handed_on")
            return
        answered = interpreter.answered
        self._end(answered(self._document, self._operation, result, context, "compiled"))

    def _mix(self, code: Mixed, variables: Variables) -> None:
        """Have the resolvers and permissions of the root run, and at the same time compiled code
        ask for what it needs."""
        executor = self._executor
        self._direct = direct = executor.direct(self._request, code.prepared, variables)
        self._context = context = executor.context(self._request, self._document, direct)
        context.granting = code.guarded
        self._let_permit(direct, context, code.prepared, variables)
        # What one side has asked for already the other does not ask for again.
        context.loaders.elsewhere, direct.batches.loaders = direct.batches, context.loaders
        direct.hold(code.guarded, code.returning)
        direct.order = code.order
        self._resolving = resolving = Resolving(
            code.resolvers,
            context,
            variables,
            self._document,
            self._operation,
            executor.graph,
            direct,
        )
        # What permits at once is asked for with the others.
        resolving.begin(self._mixed, executor.limits.timeout_s + GRACE_S)
        if resolving.is_over and resolving.data is None:
            direct.withdraw()
        else:
            direct.batches.is_joined = not resolving.is_over
            direct.begin()
        if not direct.is_over:
            direct.then(self._mixed, executor.deadlines)
        self._has_mixed = True
        self._mixed()

    def _mixed(self) -> None:
        """One of the two is over, or both."""
        try:
            if self._has_mixed and self._resolving is not None:
                self._tell_mixed()
        except Exception as error:
            self._end(None, error)

    def _tell_mixed(self) -> None:
        resolving, direct, context = self._resolving, self._direct, self._context
        assert resolving is not None
        assert direct is not None
        assert context is not None
        direct.batches.is_joined = not resolving.is_over
        has_failed = resolving.is_over and resolving.data is None
        if resolving.defect is not None or resolving.is_late:
            self._tell_resolved()
            return
        if has_failed:
            direct.withdraw()
        is_over = direct.is_over and (resolving.is_over or direct.why is not None)
        if not is_over and not direct.is_late:
            return
        if absences := direct.absences():
            self._executor.interpreter.tell(absences)
        made = None
        if resolving.data is not None:
            direct.beside, direct.later = resolving.data, resolving.later
            made = direct.made()
        if made is not None:
            self._tell_made(made, context.budget, context, resolving.errors)
            return
        resolving.stop()
        self._resolving = None
        context.granting, context.loaders.elsewhere = frozenset(), None
        context.begun = resolving.left()
        self._hand_on(direct, context, resolving.ran)

    def _tell_made(
        self,
        made: Answered,
        budget: Budget,
        context: Context | None,
        errors: Sequence[GraphQLError] = (),
    ) -> None:
        """The answer of what compiled code made, with what there is to tell beside it."""
        tells_more = errors or (context is not None and context.tells_more)
        if made.is_all and not tells_more:
            self._end(done_of(self._operation, whole(made.body), budget.calls, "compiled"))
            return
        teller = self._executor.teller
        if context is None:
            beside = teller.beside(self._request.origin.request_id, budget)
        else:
            self._executor.interpreter.tell(context.absences.values())
            beside = context.beside(None)
        beside.fallbacks = (beside.fallbacks + made.fallbacks)[:MARKS_MAX]
        every = [*made.errors, *errors]
        told = teller.told(
            self._document,
            self._operation,
            made.data,
            every,
            beside,
            executed_by="compiled",
            encoded=made.encoded,
        )
        self._end(told)

    def _hand_on(self, direct: Direct, context: Context, ran: Mapping[str, Ran]) -> None:
        """Have graphql-core make the answer of what was fetched and computed already."""
        direct.batches.hand_on(context.loaders, context.budget)
        context.ran = {**direct.computed.ran, **ran}
        context.ran_of_rows = direct.computed.ran_of_rows()
        self._interpret(context, "handed_on")

    def _let_permit(
        self, direct: Direct, context: Context, code: Prepared, variables: Variables
    ) -> None:
        """Have compiled code ask permissions of rows."""
        if code.compiled.asks_permissions:
            context.variables = variables.values
            direct.computed.execution = Execution(
                schema=self._executor.graph.core,
                operation=self._operation,
                fragments=self._document.fragments,
                variables=variables,
                context=context,
            )

    def _fetch(self, direct: Direct) -> None:
        """Have compiled code ask for what it needs."""
        sharing, share = self._executor.sharing, self._request.share
        if sharing is not None and share is not None and direct.may_be_shared:
            self._lead = sharing.lead(share, direct.endpoints)
        direct.begin()
        if direct.is_over:
            self._fetched()
        else:
            direct.then(self._landed, self._executor.deadlines)

    def _landed(self) -> None:
        try:
            self._fetched()
        except Exception as error:
            self._end(None, error)

    def _fetched(self) -> None:
        """The answer, by compiled code; by graphql-core, of what was fetched already, where there
        is anything unusual about it."""
        direct, executor = self._direct, self._executor
        assert direct is not None
        joined = self._request.joined is not None
        if not joined and (absences := direct.absences()):
            executor.interpreter.tell(absences)
        made = direct.made()
        if made is not None and made.is_all and self._context is None:
            answer, calls = whole(made.body), direct.budget.calls
            done = done_of(self._operation, answer, calls, "compiled")
            self._lead_to(done, direct)
            self._end(done)
            return
        self._lead_to(None, direct)
        if made is not None:
            budget = Budget(executor.limits.allowance) if joined else direct.budget
            self._tell_made(made, budget, self._context)
            return
        context = self._context or executor.context(
            self._request, self._document, None if joined else direct
        )
        self._hand_on(direct, context, {})

    def _interpret(self, context: Context, executed_by: ExecutedBy) -> None:
        work = self._executor.interpreter.run(
            self._document, self._operation, self._request, context, executed_by
        )
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._interpreted)

    def _interpreted(self, task: "asyncio.Task[Done]") -> None:
        self._task = None
        if task.cancelled():
            self._end(None, asyncio.CancelledError())
        else:
            error = task.exception()
            self._end(None if error is not None else task.result(), error)

    def _end(self, done: Done | None, defect: BaseException | None = None) -> None:
        self.done, self.defect = done, defect
        self._let_go()
        then, self._then = self._then, None
        if then is not None:
            then(self)

    def _let_go(self) -> None:
        self._executor.running -= 1
        self._lead_to(None, None)
        if self._direct is not None:
            self._direct.leave()
        resolving, self._resolving = self._resolving, None
        if resolving is not None:
            assert self._context is not None
            resolving.leave()
            self._executor.interpreter.let_go(resolving.left(), self._context)

    def _lead_to(self, done: Done | None, direct: Direct | None) -> None:
        """Tell those that have joined; those that are told nothing go on by themselves."""
        lead, self._lead = self._lead, None
        if lead is not None:
            fresh_until = 0.0
            if done is not None and direct is not None:
                fresh_until = direct.batches.fresh_until()
            lead.end(done, fresh_until, direct)
