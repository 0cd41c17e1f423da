"""Strawberry's schema, with what a graph knows about its fields beside it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import strawberry
from graphql import GraphQLError, GraphQLField, specified_rules
from strawberry.extensions import SchemaExtension
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from plait.backend.spec import EndpointSpec
from plait.graph.absent import ROWS_WATCHED, Expected, Watch
from plait.graph.field import DEFINITION
from plait.graph.fields import Fetch, Field
from plait.graph.resolve import Bound

Resolve: TypeAlias = Callable[[Any, Any, Mapping[str, Any]], Any]
"""(source, info, arguments by Python name) -> the value, or an awaitable of it."""
Kind: TypeAlias = Callable[[dict[str, Any]], str | None]
"""A row of a union or interface -> the name of its type, where that can be told."""


class PlaitSchema(strawberry.Schema):
    """Strawberry's schema without its log: what became of each field is told by our events."""

    def __init__(self, **options: Any) -> None:
        self._resolvers: dict[int, Resolve] = {}
        self.has_strict = False
        """Whether any endpoint is strict."""
        self.fields: dict[str, dict[str, Field]] = {}
        """What each field does, by the GraphQL names of type and field."""
        self.properties: dict[str, tuple[Expected, ...]] = {}
        """What is read of rows, by the name of their type."""
        self.kinds: dict[str, Kind] = {}
        """What rows of unions and interfaces are."""
        self.bounds: list[Bound] = []
        """Every declared field."""
        self._bounds: dict[int, Bound] = {}
        """By their entries in the table, which live as long as they do."""
        self._watches: dict[tuple[EndpointSpec, str], Watch] = {}
        super().__init__(**options)

    def resolver_of(self, field: StrawberryField) -> Resolve:
        """What a declared field does in this schema."""
        return self._resolvers[id(field)]

    def bound_of(self, fetch: Fetch) -> Bound:
        """How a declared field is resolved."""
        return self._bounds[id(fetch)]

    def arguments_of(self, field: GraphQLField, coerced: Mapping[str, Any]) -> Mapping[str, Any]:
        """A field's arguments by their Python names, as Strawberry gives them to a resolver."""
        if not coerced:
            return coerced
        converter = self.schema_converter
        return convert_arguments(
            dict(coerced),
            field.extensions[DEFINITION].arguments,
            scalar_registry=converter.scalar_registry,
            config=converter.config,
        )

    def declare(self, field: StrawberryField, bound: Bound) -> None:
        """Say what a declared field is here."""
        self.bounds.append(bound)
        self._bounds[id(bound.fetch)] = bound
        self.bind(field, bound.resolve)

    def bind(self, field: StrawberryField, resolver: Resolve) -> None:
        """Say what a declared field does here. The schema keeps the field itself alive."""
        self._resolvers[id(field)] = resolver

    def watch(self, endpoint: EndpointSpec, type_name: str) -> Watch:
        """What looks at the first rows that `endpoint` gives for a type."""
        key = endpoint, type_name
        if key not in self._watches:
            self._watches[key] = self.new_watch(endpoint, type_name)
        return self._watches[key]

    def new_watch(
        self, endpoint: EndpointSpec, type_name: str, *, rows_max: int = ROWS_WATCHED
    ) -> Watch:
        """As `watch`, and has seen nothing yet."""
        return Watch(endpoint, type_name, self.properties, self.type_of, rows_max=rows_max)

    def type_of(self, declared: str, row: dict[str, Any]) -> str | None:
        """The object type that a row of a declared type is, where that can be told."""
        kind = self.kinds.get(declared)
        return kind(row) if kind else declared

    def process_errors(self, errors: list[GraphQLError], execution_context: Any = None) -> None:
        """Nothing: an expected error of a backend is no traceback in a log."""


class ReadyDocument(SchemaExtension):
    """Hands Strawberry the document that is parsed and validated already.

    With schema extensions Strawberry runs the whole request, and would do both again. Rules that
    an extension added are still its to run.
    """

    def on_parse(self) -> Iterator[None]:
        """See `SchemaExtension`."""
        document = getattr(self.execution_context.context, "document", None)
        if document is not None:
            self.execution_context.graphql_document = document
        yield

    def on_validate(self) -> Iterator[None]:
        """See `SchemaExtension`."""
        context = self.execution_context
        if getattr(context.context, "document", None) is not None:
            added = tuple(one for one in context.validation_rules if one not in specified_rules)
            context.validation_rules = added
        yield
