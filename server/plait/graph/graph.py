"""`Graph`: an author's types with their backends, checked, and ready to be executed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    execute,
    validate,
)
from graphql.validation import ASTValidationRule
from graphql.validation.validate import ValidationAbortedError
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types.base import get_object_definition

from plait.backend.spec import BackendSpec, EndpointSpec
from plait.errors import GraphError
from plait.graph.bind import bind
from plait.graph.bindings import place_of
from plait.graph.check import mistake, mistakes_of
from plait.graph.collect import collected
from plait.graph.declare import Backend
from plait.graph.example import Example
from plait.graph.execution import BoundedExecutor
from plait.graph.fields import FieldTable
from plait.graph.inputs import is_ours, prepare_inputs
from plait.graph.scalars import EXACT, keep_literals
from plait.graph.schema import PlaitSchema, ReadyDocument

Caller: TypeAlias = Callable[[Mapping[str, str]], str | None]
"""The request's headers -> who sends it; `None` or nothing: nobody in particular. It must go by
what somebody has verified: a header that a trusted proxy sets, or the subject of a token whose
signature was checked. Raises `PlaitError` to refuse the request."""


TOO_MANY_SPREADS = "The document's fragments spread one another too often."
"""Said where Python's stack has no room for all that spread one another."""


class Graph:
    """Types with their backends, checked and ready to be served.

    `types` are those that no field names, such as the types behind an interface. Backends are
    found through the fields and in the modules of the types; `backends` names further ones.
    `examples` open as tabs in GraphiQL. `extensions` are Strawberry's schema extensions,
    `directives` its directives for operations. `caller` says who sends a request, given its headers
    (names in lower case): idempotency keys count for one caller each. Without it a caller is its
    credential as it came, so that a new token is a new caller. Raises `GraphError` with every
    mistake at once.
    """

    def __init__(
        self,
        *,
        query: type,
        mutation: type | None = None,
        types: Sequence[type] = (),
        backends: Sequence[Backend] = (),
        examples: Sequence[Example] = (),
        extensions: Sequence[Any] = (),
        directives: Sequence[Any] = (),
        title: str = "Plait",
        require_idempotency_key: bool = False,
        caller: Caller | None = None,
        config: StrawberryConfig | None = None,
    ) -> None:
        self.title = title
        self.examples = tuple(examples)
        self.require_idempotency_key = require_idempotency_key
        self.caller = caller
        roots = {"Query": query} | ({"Mutation": mutation} if mutation else {})
        parts = collected([*roots.values(), *types], backends)
        if mistakes := mistakes_of(parts, roots):
            raise GraphError(mistakes)
        self.backends: tuple[BackendSpec, ...] = tuple(one.spec for one in parts.backends)
        self.endpoints: tuple[EndpointSpec, ...] = tuple(one.spec for one in parts.endpoints)
        self.reads = tuple(spec for spec in self.endpoints if spec.reads)
        """The endpoints that read."""
        self.roots = tuple(roots.values())
        self.object_definitions = tuple(
            get_object_definition(cls, strict=True) for cls in parts.types
        )
        self.schema = _schema(query, mutation, types, extensions, directives, config)
        self.schema.has_strict = any(spec.is_strict for spec in self.endpoints)
        self.is_extended = bool(extensions or directives)
        """Whether Strawberry runs the whole request, for extensions that see every field."""
        keep_literals(self.core)
        prepare_inputs(self.core)
        bind(self.schema)

    def validate(
        self,
        document: DocumentNode,
        rules: Sequence[type[ASTValidationRule]],
        *,
        errors_max: int,
        hide_suggestions: bool = False,
    ) -> list[GraphQLError]:
        """Why the document does not fit the schema by `rules` and Strawberry's own; empty when it
        does."""
        found = validate(
            self.schema._schema,
            document,
            [*rules, _MaybeNull, OneOfInputValidationRule],
            max_errors=errors_max,
            hide_suggestions=hide_suggestions,
        )
        told = [one for one in found if not isinstance(one, ValidationAbortedError)]
        if found and not told:
            return [GraphQLError(TOO_MANY_SPREADS)]
        return told

    def execute(
        self,
        text: str,
        document: DocumentNode,
        *,
        variables: Mapping[str, Any] | None,
        operation_name: str | None,
        context: object,
        hide_suggestions: bool = False,
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Execute a validated document: at once, where nothing has to be waited for. The graph's
        own extensions, if it has any, see it too."""
        if self.is_extended:
            return self.schema.execute(  # type: ignore[return-value]
                text,
                variable_values=dict(variables or {}),
                operation_name=operation_name,
                context_value=context,
            )
        return execute(
            self.schema._schema,
            document,
            variable_values=dict(variables or {}),
            operation_name=operation_name,
            context_value=context,
            executor_class=BoundedExecutor,
            is_awaitable=is_awaitable,
            hide_suggestions=hide_suggestions,
        )

    @property
    def writes(self) -> bool:
        """Whether it has mutations."""
        return self.schema._schema.mutation_type is not None

    @property
    def core(self) -> GraphQLSchema:
        """The schema as graphql-core has it."""
        return self.schema._schema

    @property
    def fields(self) -> FieldTable:
        """What each field does, by the GraphQL names of type and field."""
        return self.schema.fields

    @property
    def sdl(self) -> str:
        """The schema in GraphQL's schema definition language."""
        return self.schema.as_str() + "\n"


class _MaybeNull(MaybeNullValidationRule):
    """Strawberry's rule, which leaves out inputs that build their own values: ours do, and mean the
    same."""

    def validate_maybe_fields(self, node: Any, input_type: Any, strawberry_type: Any) -> None:
        if is_ours(getattr(strawberry_type, "from_input", None)):
            strawberry_type = SimpleNamespace(fields=strawberry_type.fields)
        super().validate_maybe_fields(node, input_type, strawberry_type)


is_awaitable: Any = optimized_is_awaitable  # typed as a plain predicate, used as a guard


def _schema(
    query: type,
    mutation: type | None,
    types: Sequence[type],
    extensions: Sequence[Any],
    directives: Sequence[Any],
    config: StrawberryConfig | None,
) -> PlaitSchema:
    config = config or StrawberryConfig()
    try:
        return PlaitSchema(
            query=query,
            mutation=mutation,
            types=types,
            execution_context_class=BoundedExecutor,
            extensions=[ReadyDocument, *extensions] if extensions or directives else (),
            directives=directives,
            config=config,
            scalar_overrides={
                one: definition for one, definition in EXACT.items() if one not in config.scalar_map
            },
        )
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise GraphError(
            (mistake("schema", place_of(query), problem, "Strawberry says what it misses."),)
        ) from error
