"""One GraphQL request, and what became of it."""

from collections.abc import Mapping
from typing import Any

from graphql import OperationDefinitionNode, OperationType

from plait.backend.call import Origin
from plait.events import ExecutedBy
from plait.query.answer import Answer
from plait.query.direct import Direct

_QUERY = OperationType.QUERY


class Request:
    """One GraphQL request, as the client sent it."""

    __slots__ = (
        "caller",
        "idempotency_key",
        "joined",
        "only_queries",
        "operation_name",
        "origin",
        "query",
        "share",
        "variables",
    )

    def __init__(
        self,
        *,
        query: str,
        origin: Origin,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        caller: str = "",
        idempotency_key: str | None = None,
        only_queries: bool = False,
        share: tuple[object, ...] | None = None,
        joined: Direct | None = None,
    ) -> None:
        self.query = query
        self.origin = origin
        self.variables = variables
        self.operation_name = operation_name
        self.caller = caller
        self.idempotency_key = idempotency_key
        self.only_queries = only_queries
        """Whether it may only read, as a GET may."""
        self.share = share
        """Equal for requests that may share an answer; `None` where it is this one's alone."""
        self.joined = joined
        """What an equal request has fetched."""


class Done:
    """The answer, and what is worth telling of the operation."""

    __slots__ = ("answer", "calls", "executed_by", "kind", "name")

    def __init__(
        self,
        *,
        answer: Answer,
        name: str | None = None,
        kind: str = "none",
        calls: int = 0,
        executed_by: ExecutedBy = "",
    ) -> None:
        self.answer = answer
        self.name = name
        self.kind = kind
        self.calls = calls
        self.executed_by: ExecutedBy = executed_by
        """Who made the answer; nothing where nothing was executed."""

    def without_calls(self) -> "Done":
        """The same for who has it of somebody else, who made the calls."""
        return Done(
            answer=self.answer, name=self.name, kind=self.kind, executed_by=self.executed_by
        )


def done_of(
    operation: OperationDefinitionNode, answer: Answer, calls: int = 0, executed_by: ExecutedBy = ""
) -> Done:
    """What became of an operation."""
    # Reading an enum's value runs Python's own code twice.
    kind = "query" if operation.operation is _QUERY else operation.operation.value
    name = operation.name.value if operation.name else None
    return Done(answer=answer, name=name, kind=kind, calls=calls, executed_by=executed_by)
