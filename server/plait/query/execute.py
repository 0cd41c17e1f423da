"""Runs one operation: from the client's request to the answer, inside its deadline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, OperationType

from plait.backend.call import Origin
from plait.backend.fetch import Fetcher
from plait.backend.loader import Loaders
from plait.clock import Clock
from plait.errors import BadUserInput
from plait.events import Events
from plait.graph.bind import Graph
from plait.query.context import Context
from plait.query.document import DocumentErrors, Documents
from plait.query.respond import Answer, Executed, answered, refused
from plait.writes.writes import Writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One GraphQL request, as the client sent it."""

    query: str
    origin: Origin
    variables: Mapping[str, Any] | None = None
    operation_name: str | None = None
    caller: str = ""
    idempotency_key: str | None = None
    only_queries: bool = False
    """Whether it may only read, as a GET may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer, and what is worth telling of the operation."""

    answer: Answer
    name: str | None = None
    kind: str = "none"
    calls: int = 0
    not_allowed: bool = False
    """Whether a GET asked to write."""


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
        timeout_s: float,
        calls_max: int,
    ) -> None:
        self._graph = graph
        self._documents = documents
        self._fetcher = fetcher
        self._writes = writes
        self._clock = clock
        self._events = events
        self._timeout_s = timeout_s
        self._calls_max = calls_max

    async def run(self, request: Request) -> Done:
        """The answer to `request`. A client's mistakes are answers too; only defects raise."""
        request_id = request.origin.request_id
        try:
            document = self._documents.get(request.query)
        except DocumentErrors as error:
            return Done(answer=refused(error.errors, error.code, request_id))
        operation = document.operation(request.operation_name)
        if operation is None:
            which = "Name one of the operations of the document in 'operationName'."
            return Done(answer=refused([GraphQLError(which)], BadUserInput.code, request_id))
        name = operation.name.value if operation.name else None
        kind = operation.operation.value
        if request.only_queries and operation.operation is not OperationType.QUERY:
            only = GraphQLError("A GET can only query: send mutations with POST.")
            answer = refused([only], BadUserInput.code, request_id)
            return Done(answer=answer, name=name, kind=kind, not_allowed=True)
        context = self._context(request)
        try:
            result = await self._graph.execute(
                document.text,
                document.ast,
                variables=request.variables,
                operation_name=request.operation_name,
                context=context,
            )
        finally:
            await context.loaders.close()
        executed = Executed(schema=self._graph.core, ast=document.ast, operation=operation)
        answer = answered(result, context, executed, self._events)
        return Done(answer=answer, name=name, kind=kind, calls=context.loaders.calls)

    def _context(self, request: Request) -> Context:
        origin = Origin(
            request_id=request.origin.request_id,
            traceparent=request.origin.traceparent,
            headers=request.origin.headers,
            deadline=self._clock.now() + self._timeout_s,
        )
        return Context(
            origin=origin,
            loaders=Loaders(self._fetcher, origin, calls_max=self._calls_max),
            writes=self._writes,
            caller=request.caller,
            idempotency_key=request.idempotency_key,
        )
