"""From a result to the bytes of the answer. The one place where an error becomes a GraphQL error.

Ours carry their code and what a client may know of the failed call. What a resolver raised that is
not ours, and not a `GraphQLError` that its author meant to be read, is masked: its text goes to
the log under the request id.

What an error repeats of a request is cut, and all errors together are bounded: a client must not be
able to have its own text sent back a hundredfold.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec
from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
)

from plait.backend.budget import Budget
from plait.backend.numbers import encode
from plait.backend.spec import EndpointSpec
from plait.emit import Events
from plait.errors import (
    BackendError,
    BadUserInput,
    LedgerUnavailable,
    OperationTooCostly,
    PlaitError,
    is_retryable,
)
from plait.events import ExecutedBy, FieldFailed
from plait.graph.blame import endpoint_at
from plait.graph.fields import FieldTable
from plait.graph.graph import Graph
from plait.query.answer import Answer, Executed, Refused
from plait.query.answered import Beside, FieldError
from plait.query.document import Document
from plait.query.done import Done, done_of

ERRORS_MAX = 100
"""How many errors one answer lists; a note says how many more there were."""
ERRORS_BYTES_MAX = 100_000
"""How large they may be together."""
ECHO_CHARACTERS_MAX = 100
"""How much of one of the request's own words or values an error repeats."""
MESSAGE_CHARACTERS_MAX = 500

_LONG_RUN = re.compile(
    rf"(?<=')[^']{{{ECHO_CHARACTERS_MAX + 1},}}(?=')|[^\s']{{{ECHO_CHARACTERS_MAX + 1},}}"
)
_SUGGESTION = re.compile(r" Did you mean [^?]*\?")

AnyError: TypeAlias = GraphQLError | FieldError
Places: TypeAlias = Callable[[AnyError], list[dict[str, int]]]


class Operation:
    """What `respond` looks at to tell which endpoint a failed field's row came from."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fields: FieldTable,
        document: Document,
        operation: OperationDefinitionNode,
    ) -> None:
        self.schema = schema
        self.fields = fields
        self.document = document
        self.operation = operation
        self.endpoints: dict[tuple[str, ...], EndpointSpec | None] = {}
        """What was found, by path without indices."""


class Teller:
    """Tells what became of operations of one graph. Lives as long as the app."""

    __slots__ = ("_core", "_events", "_fields", "_hides_suggestions")

    def __init__(self, graph: Graph, events: Events, *, hides_suggestions: bool) -> None:
        self._core = graph.core
        self._fields = graph.fields
        self._events = events
        self._hides_suggestions = hides_suggestions

    def beside(self, request_id: str, budget: Budget) -> Beside:
        """What an answer tells beside data and errors, where nothing was noted."""
        return Beside(
            request_id=request_id, budget=budget, hides_suggestions=self._hides_suggestions
        )

    def told(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        data: dict[str, Any] | None,
        errors: Sequence["AnyError"],
        beside: Beside,
        executed_by: ExecutedBy,
        encoded: bytes | None = None,
    ) -> Done:
        """The answer of data and errors: see `answered`."""
        of = Operation(self._core, self._fields, document, operation)
        answer = answered(data, errors, beside, of, self._events, encoded)
        return done_of(operation, answer, beside.budget.calls, executed_by)


class HasPlaces(Protocol):
    """Knows where in the text an error's nodes stand."""

    def places(self, error: AnyError) -> list[dict[str, int]]: ...


def refused(
    errors: Sequence[GraphQLError],
    code: str,
    request_id: str,
    document: HasPlaces,
    *,
    hide_suggestions: bool = False,
    status: int | None = None,
) -> Refused:
    """The answer to a request that was not executed. `status` is one that holds for every media
    type."""
    extensions = {"code": code, "request_id": request_id}
    shown = [
        _formatted(error, extensions, document.places, _echo(error.message, hide_suggestions))
        for error in errors
    ]
    return Refused(
        body=encode({"errors": _bounded(shown, len(shown))}),
        codes=(code,),
        status=status or 400,
        always=status is not None,
    )


def told_plan(plan: Any) -> Executed:
    """The answer to who asks what an operation would do. Nothing was done."""
    body = encode({"data": None, "extensions": {"plait": {"plan": plan}}})
    return Executed(body=body)


def whole(body: bytes) -> Executed:
    """An answer with nothing but data."""
    return Executed(body=body)


def given_up(
    error: PlaitError,
    request_id: str,
    *,
    has_begun: bool,
    written: Sequence[Mapping[str, Any]] = (),
) -> Answer:
    """The answer to an operation that was refused or ended as a whole. `written` is what became of
    its writes until then."""
    extensions = {"code": error.code, **_details(error), "request_id": request_id}
    payload: dict[str, Any] = {"errors": [{"message": str(error), "extensions": extensions}]}
    if has_begun:
        payload["data"] = None
    if written:
        payload["extensions"] = {"plait": {"writes": written}}
    made = Executed if has_begun else Refused
    return made(body=encode(payload), codes=(error.code,), status=error.http_status or 400)


def answered(
    data: dict[str, Any] | None,
    errors: Sequence[AnyError],
    beside: Beside,
    operation: Operation,
    events: Events,
    encoded: bytes | None = None,
) -> Answer:
    """The answer to a request that was executed, in whole or in part. `encoded` is `data` as JSON,
    where that was made already."""
    errors = [*errors, *beside.reported]
    made = [_error(error, beside, operation, events) for error in errors[:ERRORS_MAX]]
    shown = _bounded(made, len(errors) + beside.dropped)
    payload: dict[str, Any] = {"errors": shown} if shown else {}
    began = data is not None or any(error.path is not None for error in errors)
    if began:  # an answer without `data` tells that nothing was executed (GraphQL, section 7.1)
        payload["data"] = data if encoded is None else msgspec.Raw(encoded)
    if extensions := _extensions(beside):
        payload["extensions"] = extensions
    body = encode(payload)
    if too_large := beside.budget.check_size(len(body)):
        return given_up(too_large, beside.request_id, has_begun=True, written=beside.written)
    codes = tuple(dict.fromkeys([one["extensions"]["code"] for one in made]))
    retry_after_s = _retry_after_s(errors)
    if not began:
        return Refused(body=body, codes=codes, retry_after_s=retry_after_s)
    has_data = data is not None and not _nothing_was_done(data, errors, beside)
    return Executed(
        body=body,
        codes=codes,
        status=200 if has_data else _request_status(errors) or 200,
        replayed=beside.replayed,
        retry_after_s=retry_after_s,
    )


def _bounded(errors: list[dict[str, Any]], count: int) -> list[msgspec.Raw]:
    """The first of `count` errors as JSON, as many as there is room for, and how many more there
    were."""
    shown: list[msgspec.Raw] = []
    left = ERRORS_BYTES_MAX
    for error in errors[:ERRORS_MAX]:
        made = encode(error)
        left -= len(made)
        if left < 0 and shown:
            break
        shown.append(msgspec.Raw(made))
    if count > len(shown):
        more = {"message": f"{count - len(shown)} more errors are not listed."}
        shown.append(msgspec.Raw(encode(more)))
    return shown


def _echo(message: str, hide_suggestions: bool) -> str:
    """A message about the request, with what it repeats of it cut."""
    if hide_suggestions:
        message = _SUGGESTION.sub("", message)
    text = _LONG_RUN.sub(lambda match: f"{match[0][:ECHO_CHARACTERS_MAX]}…", message)
    return text if len(text) <= MESSAGE_CHARACTERS_MAX else f"{text[:MESSAGE_CHARACTERS_MAX]}…"


def _details(error: PlaitError) -> dict[str, Any]:
    """What an error tells beside its code."""
    told: dict[str, Any] = {}
    if isinstance(error, OperationTooCostly):
        told |= {"limit": error.limit, "value": error.value}
    if error.retryable is not None:
        told["retryable"] = error.retryable
    if error.retry_after_s is not None:
        told["retry_after_s"] = error.retry_after_s
    return told


def _retry_after_s(errors: Sequence[AnyError]) -> float | None:
    longest: float | None = None
    for error in errors:
        cause = error.original_error
        if isinstance(cause, PlaitError):
            wait = cause.retry_after_s
            if wait and (longest is None or wait > longest):
                longest = wait
    return longest


def _extensions(beside: Beside) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    if beside.fallbacks:
        ours["fallbacks"] = beside.fallbacks
    if beside.replayed:
        ours["replayed"] = True
    if beside.written:
        ours["writes"] = beside.written
    if beside.warnings:
        ours["warnings"] = beside.warnings
    if beside.more is not None:
        ours |= beside.more()
    return {**beside.given, "plait": ours} if ours else {**beside.given}


def _nothing_was_done(data: Mapping[str, Any], errors: Sequence[AnyError], beside: Beside) -> bool:
    """Whether every field is null because the ledger could not be used: then the status says so,
    though the fields may be null."""
    return (
        not beside.written
        and any(isinstance(error.original_error, LedgerUnavailable) for error in errors)
        and all(value is None for value in data.values())
    )


def _request_status(errors: Sequence[AnyError]) -> int | None:
    statuses = [
        error.original_error.http_status
        for error in errors
        if isinstance(error.original_error, PlaitError)
    ]
    return next(filter(None, statuses), None)


def _error(error: AnyError, beside: Beside, operation: Operation, events: Events) -> dict[str, Any]:
    request_id = beside.request_id
    cause = error.original_error
    places = operation.document.places
    match cause:
        case BackendError():
            extensions = _backend_extensions(cause, error, operation, request_id)
            return _formatted(error, extensions, places)
        case PlaitError():
            extensions = {"code": cause.code, **_details(cause), "request_id": request_id}
            return _formatted(error, extensions, places)
        case None | GraphQLError() if error.path is None:  # the variables, before anything ran
            extensions = {"code": BadUserInput.code, "request_id": request_id}
            message = _echo(error.message, beside.hides_suggestions)
            return _formatted(error, extensions, places, message)
        case GraphQLError():
            own = {"code": "RESOLVER_ERROR", **(cause.extensions or {}), "request_id": request_id}
            return _formatted(error, own, places)
        case None:
            assert isinstance(error, GraphQLError)
            own = {"code": "RESOLVER_ERROR", **(error.extensions or {}), "request_id": request_id}
            return _formatted(error, own, places)
        case _:
            return _unexpected(error, cause, operation, events, request_id)


def _backend_extensions(
    cause: BackendError, error: AnyError, operation: Operation, request_id: str
) -> dict[str, Any]:
    backend, endpoint = cause.backend, cause.endpoint
    if not backend and (spec := _endpoint_at(operation, error.path or [])):
        backend, endpoint = spec.backend.name, spec.label
    told: dict[str, Any] = {"code": cause.code, "backend": backend, "endpoint": endpoint}
    if cause.status is not None:
        told["http"] = {"status": cause.status}
    told["retryable"] = is_retryable(cause)
    if cause.retry_after_s is not None:
        told["retry_after_s"] = cause.retry_after_s
    told["attempts"] = cause.attempts
    told["request_id"] = request_id
    return told


def _unexpected(
    error: AnyError,
    cause: Exception,
    operation: Operation,
    events: Events,
    request_id: str,
) -> dict[str, Any]:
    path = ".".join(map(str, error.path or ()))
    if isinstance(cause, TypeError) and str(cause).startswith(
        "Cannot return null for non-nullable"
    ):
        # graphql-core's own words; they name the type and field, and nothing of the data.
        extensions = {"code": "NULL_IN_NON_NULL_FIELD", "request_id": request_id}
        return _formatted(error, extensions, operation.document.places)
    events.emit(FieldFailed(request_id=request_id, path=path, error=cause))
    masked = GraphQLError(
        "Something went wrong here. The log tells more, under the request id.",
        nodes=error.nodes,
        path=error.path,
    )
    extensions = {"code": "INTERNAL_ERROR", "request_id": request_id}
    return _formatted(masked, extensions, operation.document.places)


def _formatted(
    error: AnyError, extensions: dict[str, Any], places: Places, message: str | None = None
) -> dict[str, Any]:
    shown: dict[str, Any] = {"message": error.message if message is None else message}
    if locations := places(error):
        shown["locations"] = locations
    if error.path is not None:
        shown["path"] = error.path
    shown["extensions"] = extensions
    return shown


def _endpoint_at(operation: Operation, path: Sequence[str | int]) -> EndpointSpec | None:
    """The endpoint whose row the field at `path` was read from: the nearest field above that
    declares one. Looked for once for all items of a list."""
    names = tuple(key for key in path if isinstance(key, str))
    if names not in operation.endpoints:
        fragments = {
            one.name.value: one
            for one in operation.document.ast.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        operation.endpoints[names] = endpoint_at(
            operation.fields, operation.schema, operation.operation, fragments, names
        )
    return operation.endpoints[names]
