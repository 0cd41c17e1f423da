"""From an author's types to a graph that can be executed: endpoints become resolvers of Strawberry
fields.

Strawberry builds the schema; the resolvers of what is only declared are then replaced by our own,
which read rows directly. Rows stay the plain dicts that JSON made of them: no object is built for
a row unless an ordinary resolver asks for `self`.
"""

import functools
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    execute,
    validate,
)
from graphql.validation import ASTValidationRule
from graphql.validation.validate import ValidationAbortedError
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types.base import (
    StrawberryContainer,
    StrawberryObjectDefinition,
    get_object_definition,
)
from strawberry.types.field import UNRESOLVED, StrawberryField
from strawberry.types.lazy_type import LazyType
from strawberry.types.union import StrawberryUnion

from plait.backend.spec import BackendSpec, EndpointSpec
from plait.backend.split import property_of
from plait.errors import GraphError, Mistake
from plait.graph.check import Endpoint, Parts, mistake, mistakes_of, place_of
from plait.graph.declare import Backend, ReadEndpoint, WriteEndpoint
from plait.graph.example import Example
from plait.graph.execution import BoundedExecutor, PlaitSchema, ReadyDocument
from plait.graph.field import DeclaredField
from plait.graph.resolve import Bound
from plait.graph.rows import (
    Converter,
    RowMismatch,
    converter,
    discriminator_of,
    getter,
    materialised,
)

_DEFINITION = "strawberry-definition"


class Graph:
    """Types with their backends, checked and ready to be served.

    `types` are those that no field names, such as the types behind an interface. Backends are
    found through the fields and in the modules of the types; `backends` names further ones.
    `examples` open as tabs in GraphiQL. `extensions` are Strawberry's schema extensions. Raises
    `GraphError` with every mistake at once.
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
        title: str = "Plait",
        require_idempotency_key: bool = False,
        config: StrawberryConfig | None = None,
    ) -> None:
        self.title = title
        self.examples = tuple(examples)
        self.require_idempotency_key = require_idempotency_key
        roots = {"Query": query} | ({"Mutation": mutation} if mutation else {})
        parts = collected([*roots.values(), *types], backends)
        if mistakes := mistakes_of(parts, roots):
            raise GraphError(mistakes)
        self.backends: tuple[BackendSpec, ...] = tuple(one.spec for one in parts.backends)
        self.reads: tuple[EndpointSpec, ...] = tuple(
            one.spec for one in parts.endpoints if one.spec.reads
        )
        """The endpoints that read."""
        self.roots = tuple(roots.values())
        self.object_definitions = tuple(
            get_object_definition(cls, strict=True) for cls in parts.types
        )
        self.schema = _schema(query, mutation, types, extensions, config)
        self._extended = bool(extensions)
        _bind(self.schema)

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
            (*rules, MaybeNullValidationRule, OneOfInputValidationRule),
            max_errors=errors_max,
            hide_suggestions=hide_suggestions,
        )
        return [one for one in found if not isinstance(one, ValidationAbortedError)] or found

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
        if self._extended:
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
            is_awaitable=_is_awaitable,
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
    def sdl(self) -> str:
        """The schema in GraphQL's schema definition language."""
        return self.schema.as_str() + "\n"


_is_awaitable: Any = optimized_is_awaitable  # typed as a plain predicate, used as a guard


def endpoint_of(field: GraphQLField) -> EndpointSpec | None:
    """The endpoint that a field declares, if it declares one."""
    declared = field.extensions.get(_DEFINITION)
    return declared.declaration.spec if isinstance(declared, DeclaredField) else None


def collected(roots: Iterable[type], backends: Iterable[Backend]) -> Parts:
    """Every type, union, backend and endpoint that can be reached from `roots`."""
    types: dict[type, None] = {}
    unions: dict[int, StrawberryUnion] = {}
    unresolved: list[Mistake] = []
    waiting: list[Any] = list(roots)
    while waiting:
        type_ = _unwrapped(waiting.pop(), unions, waiting)
        definition = get_object_definition(type_)
        if definition is None or type_ in types:
            continue
        types[type_] = None
        waiting += [interface.origin for interface in definition.interfaces]
        for field in definition.fields:
            _visit(field, definition, waiting, unresolved)
    endpoints = dict.fromkeys(_endpoints(types))
    found = dict.fromkeys(
        [*backends, *_module_backends(types), *(one.backend for one in endpoints)]
    )
    return Parts(
        types=tuple(types),
        unions=tuple(unions.values()),
        backends=tuple(found),
        endpoints=tuple(endpoints),
        unresolved=tuple(unresolved),
    )


def _unwrapped(type_: Any, unions: dict[int, StrawberryUnion], waiting: list[Any]) -> Any:
    while isinstance(type_, StrawberryContainer | LazyType):
        type_ = type_.resolve_type() if isinstance(type_, LazyType) else type_.of_type
    if isinstance(type_, StrawberryUnion):
        unions[id(type_)] = type_
        waiting.extend(type_.types)
    return type_


def _visit(
    field: StrawberryField,
    definition: StrawberryObjectDefinition,
    waiting: list[Any],
    unresolved: list[Mistake],
) -> None:
    try:
        type_: Any = field.resolve_type(type_definition=definition)
        problem = "Its annotation names no type that can be found here."
    except Exception as error:
        type_, problem = UNRESOLVED, f"Its annotation names no type: {error}"
    if type_ is not UNRESOLVED:
        waiting.append(type_)
        return
    place = field.place if isinstance(field, DeclaredField) else place_of(definition.origin)
    where = f"{definition.name}.{field.python_name}"
    remedy = "Import the type, or define it here; strawberry.lazy breaks import cycles."
    unresolved.append(mistake(where, place, problem, remedy))


def _endpoints(types: Iterable[type]) -> Iterator[Endpoint]:
    for cls in types:
        for field in get_object_definition(cls, strict=True).fields:
            if isinstance(field, DeclaredField):
                yield field.declaration.endpoint
    for value in _module_values(types):
        if isinstance(value, ReadEndpoint | WriteEndpoint):
            yield value


def _module_backends(types: Iterable[type]) -> Iterator[Backend]:
    return (value for value in _module_values(types) if isinstance(value, Backend))


def _module_values(types: Iterable[type]) -> Iterator[object]:
    """What stands in the modules that define the types, and in modules of the same package that
    these import.

    So an endpoint that only a resolver uses is part of the graph too.
    """
    for name in dict.fromkeys(cls.__module__ for cls in types):
        for value in list(vars(sys.modules[name]).values()):
            if isinstance(value, ModuleType) and _top(value.__name__) == _top(name):
                yield from list(vars(value).values())
            else:
                yield value


def _top(module_name: str) -> str:
    return module_name.partition(".")[0]


def _schema(
    query: type,
    mutation: type | None,
    types: Sequence[type],
    extensions: Sequence[Any],
    config: StrawberryConfig | None,
) -> PlaitSchema:
    try:
        return PlaitSchema(
            query=query,
            mutation=mutation,
            types=types,
            execution_context_class=BoundedExecutor,
            extensions=[ReadyDocument, *extensions] if extensions else (),
            config=config or StrawberryConfig(),
        )
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise GraphError(
            (mistake("schema", place_of(query), problem, "Strawberry says what it misses."),)
        ) from error


# --- resolvers


def _bind(schema: PlaitSchema) -> None:
    for type_ in schema._schema.type_map.values():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            _bind_fields(schema, type_)
        if isinstance(type_, GraphQLObjectType) and type_.is_type_of:
            type_.is_type_of = _or_row(type_.is_type_of)
        if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType) and type_.resolve_type:
            possible = schema._schema.get_possible_types(type_)
            type_.resolve_type = _row_type(type_.resolve_type, possible)


def _bind_fields(schema: PlaitSchema, type_: GraphQLObjectType | GraphQLInterfaceType) -> None:
    definition = type_.extensions.get(_DEFINITION)
    if not isinstance(definition, StrawberryObjectDefinition):
        return
    getters: dict[str, Converter] = {}
    custom: list[GraphQLField] = []
    for field in type_.fields.values():
        strawberry_field = field.extensions.get(_DEFINITION)
        if isinstance(strawberry_field, DeclaredField):
            _bind_declared(schema, strawberry_field, field)
        elif isinstance(strawberry_field, StrawberryField) and not strawberry_field.base_resolver:
            get = getter(strawberry_field, field.type)
            getters[strawberry_field.python_name] = get
            _bind_property(strawberry_field, field, get)
        else:
            custom.append(field)
    for field in custom:
        field.resolve = _with_self(field.resolve, definition.origin, getters)


def _bind_declared(schema: PlaitSchema, field: DeclaredField, graphql_field: GraphQLField) -> None:
    type_ = graphql_field.type
    bound = Bound(
        spec=field.declaration.spec,
        form=field.declaration.form,
        pages=field.declaration.pages,
        bindings=field.bindings,
        options=field.options,
        nullable=not isinstance(type_, GraphQLNonNull),
        items_nullable=_items_nullable(type_),
        is_list=_is_list(type_),
        needed=_needed(field.declaration.spec),
        convert=_item_converter(type_) if field.declaration.form == "many" else converter(type_),
    )
    schema.bind(field, bound.resolve)
    if not field.arguments and not field.extensions:
        # Nothing to convert and nobody to ask: the field needs none of Strawberry's work for each
        # row.
        graphql_field.resolve = functools.partial(_resolve_plain, bound)


def _resolve_plain(bound: Bound, source: Any, info: Any) -> Any:
    return bound.resolve(source, info, {})


def _items_nullable(type_: GraphQLOutputType) -> bool:
    list_type = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    return isinstance(list_type, GraphQLList) and not isinstance(list_type.of_type, GraphQLNonNull)


def _is_list(type_: GraphQLOutputType) -> bool:
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)


def _needed(spec: EndpointSpec) -> tuple[str, ...]:
    keys = spec.batch.keys if spec.batch else ()
    return tuple(dict.fromkeys((*spec.path.parameters, *spec.required, *keys)))


def _item_converter(type_: GraphQLOutputType) -> Converter:
    list_type = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    assert isinstance(list_type, GraphQLList)
    return converter(list_type.of_type)


def _bind_property(
    field: StrawberryField, graphql_field: GraphQLField, get: Callable[[dict[str, Any]], Any]
) -> None:
    otherwise = graphql_field.resolve
    assert otherwise is not None
    if field.extensions:
        # Permissions and the like must run, and end in our reading of the row.
        field.default_resolver = _row_or_attribute(get)
        return

    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        return get(source) if type(source) is dict else otherwise(source, info, **arguments)

    graphql_field.resolve = resolve


def _row_or_attribute(get: Callable[[dict[str, Any]], Any]) -> Callable[[Any, str], Any]:
    return lambda source, name: get(source) if type(source) is dict else getattr(source, name)


def _with_self(
    resolve: Any, cls: type, getters: Mapping[str, Converter]
) -> Callable[..., Any] | None:
    """An ordinary resolver gets an object of its class as `self`, where the source is a row."""
    if resolve is None or not getters:
        return resolve  # type: ignore[no-any-return]

    def with_self(source: Any, info: Any, **arguments: Any) -> Any:
        if type(source) is dict:
            source = materialised(cls, source, getters)
        return resolve(source, info, **arguments)

    return with_self


def _or_row(is_type_of: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, info: type(value) is dict or is_type_of(value, info)


def _row_type(resolve_type: Any, possible: Sequence[GraphQLObjectType]) -> Callable[..., Any]:
    """Which type of a union or interface a row is: by discriminator, else by `__typename`."""
    rules = []
    for type_ in possible:
        definition = type_.extensions.get(_DEFINITION)
        rule = discriminator_of(definition.origin) if definition else None
        if rule is not None:
            path, values = rule
            told = frozenset((isinstance(value, bool), value) for value in values)
            rules.append((path, told, type_.name))
    names = frozenset(type_.name for type_ in possible)

    def resolve(value: Any, info: Any, abstract: Any) -> Any:
        if type(value) is not dict:
            return resolve_type(value, info, abstract)
        for path, values, name in rules:
            found = property_of(value, path)
            # JSON's true is not its 1, as Python's is.
            if not isinstance(found, dict | list) and (isinstance(found, bool), found) in values:
                return name
        typename = value.get("__typename")
        if isinstance(typename, str) and typename in names:
            return typename
        raise RowMismatch(f"is of no kind that {abstract.name} has")

    return resolve
