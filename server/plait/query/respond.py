"""From a result to the bytes of the answer. The one place where an error becomes a GraphQL error.

Ours carry their code and what a client may know of the failed call. What a resolver raised that is
not ours, and not a `GraphQLError` that its author meant to be read, is masked: its text goes to
the log under the request id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)

from plait.backend.spec import EndpointSpec
from plait.errors import BackendError, BadUserInput, PlaitError, RequestError, is_retryable
from plait.events import Events, FieldFailed
from plait.graph.bind import endpoint_of
from plait.query.context import Context

ERRORS_MAX = 100
"""How many errors one answer lists; a note says how many more there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back to the client."""

    body: bytes
    codes: tuple[str, ...]
    """The codes of its errors, each once."""
    has_data: bool
    request_status: int | None = None
    """The HTTP status that fits an error which refuses the whole request."""
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What `respond` looks at to tell which endpoint a failed field's row came from."""

    schema: GraphQLSchema
    ast: DocumentNode
    operation: OperationDefinitionNode


def refused(errors: Sequence[GraphQLError], code: str, request_id: str) -> Answer:
    """The answer to a request that was not executed."""
    shown = [_formatted(error, {"code": code, "request_id": request_id}) for error in errors]
    return Answer(body=msgspec.json.encode({"errors": shown}), codes=(code,), has_data=False)


def answered(
    result: ExecutionResult, context: Context, executed: Executed, events: Events
) -> Answer:
    """The answer to a request that was executed, in whole or in part."""
    errors = [*(result.errors or ()), *context.reported]
    shown = [_error(error, context, executed, events) for error in errors[:ERRORS_MAX]]
    if len(errors) > ERRORS_MAX:
        shown.append({"message": f"{len(errors) - ERRORS_MAX} more errors are not listed."})
    payload: dict[str, Any] = {"errors": shown} if shown else {}
    began = result.data is not None or any(error.path is not None for error in errors)
    if began:  # an answer without `data` tells that nothing was executed (GraphQL, section 7.1)
        payload["data"] = result.data
    if extensions := _extensions(result, context):
        payload["extensions"] = extensions
    return Answer(
        body=msgspec.json.encode(payload, enc_hook=str),
        codes=tuple(
            dict.fromkeys(one["extensions"]["code"] for one in shown if "extensions" in one)
        ),
        has_data=result.data is not None,
        request_status=_request_status(errors) if began else 400,
        replayed=context.replayed,
    )


def _extensions(result: ExecutionResult, context: Context) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    if context.fallbacks:
        ours["fallbacks"] = context.fallbacks
    if context.replayed:
        ours["replayed"] = True
    given = getattr(result, "extensions", None) or {}
    return {**given, **({"plait": ours} if ours else {})}


def _request_status(errors: Sequence[GraphQLError]) -> int | None:
    statuses = [
        error.original_error.http_status
        for error in errors
        if isinstance(error.original_error, RequestError)
    ]
    return statuses[0] if statuses else None


def _error(
    error: GraphQLError, context: Context, executed: Executed, events: Events
) -> dict[str, Any]:
    request_id = context.origin.request_id
    cause = error.original_error
    match cause:
        case BackendError():
            return _formatted(error, _backend_extensions(cause, error, executed, request_id))
        case PlaitError():
            return _formatted(error, {"code": cause.code, "request_id": request_id})
        case None | GraphQLError() if error.path is None:  # the variables, before anything ran
            return _formatted(error, {"code": BadUserInput.code, "request_id": request_id})
        case GraphQLError():
            own = {"code": "RESOLVER_ERROR", **(cause.extensions or {}), "request_id": request_id}
            return _formatted(error, own)
        case None:
            own = {"code": "RESOLVER_ERROR", **(error.extensions or {}), "request_id": request_id}
            return _formatted(error, own)
        case _:
            return _unexpected(error, cause, executed, events, request_id)


def _backend_extensions(
    cause: BackendError, error: GraphQLError, executed: Executed, request_id: str
) -> dict[str, Any]:
    backend, endpoint = cause.backend, cause.endpoint
    if not backend and (spec := endpoint_at(executed, error.path or [])):
        backend, endpoint = spec.backend.name, spec.label
    return {
        "code": cause.code,
        "backend": backend,
        "endpoint": endpoint,
        **({"http": {"status": cause.status}} if cause.status is not None else {}),
        "retryable": is_retryable(cause),
        "attempts": cause.attempts,
        "request_id": request_id,
    }


def _unexpected(
    error: GraphQLError,
    cause: Exception,
    executed: Executed,
    events: Events,
    request_id: str,
) -> dict[str, Any]:
    path = ".".join(map(str, error.path or ()))
    if isinstance(cause, TypeError) and str(cause).startswith(
        "Cannot return null for non-nullable"
    ):
        # graphql-core's own words; they name the type and field, and nothing of the data.
        return _formatted(error, {"code": "NULL_IN_NON_NULL_FIELD", "request_id": request_id})
    events.emit(FieldFailed(request_id=request_id, path=path, error=cause))
    masked = GraphQLError(
        "Something went wrong here. The log tells more, under the request id.",
        nodes=error.nodes,
        path=error.path,
    )
    return _formatted(masked, {"code": "INTERNAL_ERROR", "request_id": request_id})


def _formatted(error: GraphQLError, extensions: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"message": error.message}
    if error.locations:
        shown["locations"] = [{"line": one.line, "column": one.column} for one in error.locations]
    if error.path is not None:
        shown["path"] = error.path
    shown["extensions"] = extensions
    return shown


def endpoint_at(executed: Executed, path: Sequence[str | int]) -> EndpointSpec | None:
    """The endpoint whose row the field at `path` was read from: the nearest field above that
    declares one."""
    found: EndpointSpec | None = None
    fragments = {
        one.name.value: one
        for one in executed.ast.definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    types: list[Any] = [executed.schema.get_root_type(executed.operation.operation)]
    selections: list[SelectionSetNode | None] = [executed.operation.selection_set]
    for key in path:
        if isinstance(key, int):
            continue
        nodes = [node for one in selections for node in _fields(one, key, fragments)]
        definitions = [
            type_.fields[node.name.value]
            for type_ in types
            for node in nodes
            if isinstance(type_, GraphQLObjectType) and node.name.value in type_.fields
        ]
        found = next(filter(None, map(endpoint_of, definitions)), found)
        types = _object_types(executed.schema, definitions)
        selections = [node.selection_set for node in nodes]
    return found


def _object_types(schema: GraphQLSchema, definitions: Sequence[Any]) -> list[Any]:
    named = [get_named_type(one.type) for one in definitions]
    return [
        possible
        for type_ in named
        for possible in (
            [type_] if isinstance(type_, GraphQLObjectType) else _possible(schema, type_)
        )
    ]


def _possible(schema: GraphQLSchema, type_: Any) -> Sequence[Any]:
    return schema.get_possible_types(type_) if hasattr(type_, "resolve_type") else ()


def _fields(
    selections: SelectionSetNode | None, key: str, fragments: dict[str, FragmentDefinitionNode]
) -> list[FieldNode]:
    found: list[FieldNode] = []
    for node in selections.selections if selections else ():
        if isinstance(node, FieldNode):
            if (node.alias or node.name).value == key:
                found.append(node)
        elif isinstance(node, FragmentSpreadNode):
            fragment = fragments.get(node.name.value)
            found += _fields(fragment.selection_set if fragment else None, key, fragments)
        elif isinstance(node, InlineFragmentNode):
            found += _fields(node.selection_set, key, fragments)
    return found
