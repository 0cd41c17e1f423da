"""From Strawberry's schema to one that reads rows: the resolvers of what is only declared are
replaced by our own.

Rows stay the plain dicts that JSON made of them: an object is built for a row only where what the
graph's author wrote gets to see it.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
)
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from plait.backend.paths import property_of
from plait.backend.spec import EndpointSpec
from plait.graph.absent import Property
from plait.graph.bindings import This, all_bindings, path_of
from plait.graph.blame import DEFINITION, endpoint_above
from plait.graph.field import GRAPHQL_NAME, DeclaredField, Form, PropertyField
from plait.graph.inputs import serializer_of
from plait.graph.resolve import Bound
from plait.graph.rows import (
    Converter,
    Reader,
    RowMismatch,
    converter,
    default_of,
    discriminator_of,
    materialised,
    private_readers,
    reader,
    row_class,
    row_of,
)
from plait.graph.schema import Kind, PlaitSchema


def bind(schema: PlaitSchema) -> None:
    """Let the schema's declared fields and properties read rows."""
    for type_ in schema._schema.type_map.values():
        if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType) and type_.resolve_type:
            kind = _kind_of(schema._schema.get_possible_types(type_))
            schema.kinds[type_.name] = kind
            type_.resolve_type = _row_type(type_.resolve_type, kind)
    for type_ in schema._schema.type_map.values():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            _bind_fields(schema, type_)
        if isinstance(type_, GraphQLObjectType) and type_.is_type_of:
            type_.is_type_of = _or_row(type_.is_type_of)


def _bind_fields(schema: PlaitSchema, type_: GraphQLObjectType | GraphQLInterfaceType) -> None:
    definition = type_.extensions.get(DEFINITION)
    if not isinstance(definition, StrawberryObjectDefinition):
        return
    for name, field in type_.fields.items():
        if (known := field.extensions.get(DEFINITION)) is not None:
            setattr(known, GRAPHQL_NAME, name)
    defaults = {one.name: default_of(one) for one in dataclasses.fields(definition.origin)}
    readers = private_readers(definition.origin)
    for field in type_.fields.values():
        strawberry_field = field.extensions.get(DEFINITION)
        if isinstance(strawberry_field, DeclaredField):
            _bind_declared(schema, strawberry_field, field)
        elif isinstance(strawberry_field, StrawberryField) and not strawberry_field.base_resolver:
            name = strawberry_field.python_name
            readers[name] = reader(strawberry_field, field.type, defaults.get(name))
            _bind_property(schema, strawberry_field, field, readers[name])
    schema.properties[type_.name] = tuple(_properties(type_, definition.origin, readers))
    of_row = row_class(definition.origin)
    for field in type_.fields.values():
        strawberry_field = field.extensions.get(DEFINITION)
        if not isinstance(strawberry_field, StrawberryField):
            continue
        if strawberry_field.base_resolver or strawberry_field.extensions:
            field.resolve = _with_self(schema, field.resolve, of_row, readers)


def _bind_declared(schema: PlaitSchema, field: DeclaredField, graphql_field: GraphQLField) -> None:
    type_ = graphql_field.type
    spec, type_name = field.declaration.spec, _type_name(type_, field.declaration.form)
    bound = Bound(
        spec=spec,
        form=field.declaration.form,
        pages=field.declaration.pages,
        bindings=field.bindings,
        options=field.options,
        nullable=not isinstance(type_, GraphQLNonNull),
        items_nullable=_items_nullable(type_),
        is_list=_is_list(type_),
        needed=_needed(spec),
        convert=_item_converter(type_) if field.declaration.form == "many" else converter(type_),
        type_name=type_name,
        serializers=_serializers(field, graphql_field),
        watch=schema.watch(spec, type_name),
        strict_above=endpoint_above if schema.has_strict else None,
    )
    schema.declare(field, bound)
    if not field.arguments and not field.extensions:
        # Nothing to convert and nobody to ask: the field needs none of Strawberry's work for each
        # row.
        graphql_field.resolve = functools.partial(_resolve_plain, bound)


def _resolve_plain(bound: Bound, source: Any, info: Any) -> Any:
    return bound.resolve(source, info, {})


def _serializers(
    field: DeclaredField, graphql_field: GraphQLField
) -> dict[str, Callable[[Any], Any]]:
    found: dict[str, Callable[[Any], Any]] = {}
    for argument in field.arguments:
        for core in graphql_field.args.values():
            if core.extensions.get(DEFINITION) is argument:
                serialize = serializer_of(core.type)
                if serialize is not None:
                    found[argument.python_name] = serialize
    return found


def _type_name(type_: GraphQLOutputType, form: Form) -> str:
    """The name of the type of a field's rows."""
    named = get_named_type(type_)
    if form == "connection" and isinstance(named, GraphQLObjectType):
        named = get_named_type(named.fields["nodes"].type)
    return str(named.name)


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
    schema: PlaitSchema, field: StrawberryField, graphql_field: GraphQLField, reader: Reader
) -> None:
    otherwise = graphql_field.resolve
    assert otherwise is not None
    read = _strict_read(reader) if schema.has_strict else None
    if field.extensions:
        # Permissions and the like must run, and end in our reading of the row.
        def of_source(source: Any, info: Any, _: Mapping[str, Any]) -> Any:
            row = row_of(source)
            if row is None:
                return schema.config.default_resolver(source, field.python_name)
            return read(row, info._raw_info) if read else reader.get(row)

        schema.bind(field, of_source)
        field.get_result = functools.partial(_of_schema, field)  # type: ignore[method-assign]
        return
    get = reader.get

    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        return get(source) if type(source) is dict else otherwise(source, info, **arguments)

    def resolve_strictly(source: Any, info: Any, **arguments: Any) -> Any:
        assert read is not None
        return read(source, info) if type(source) is dict else otherwise(source, info, **arguments)

    graphql_field.resolve = resolve_strictly if read else resolve


def _of_schema(field: StrawberryField, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
    """Types may be in several graphs: what a field does is asked of the one that executes."""
    if isinstance(info.schema, PlaitSchema):
        return info.schema.resolver_of(field)(source, info, kwargs)
    return StrawberryField.get_result(field, source, info, args, kwargs)


def _strict_read(reader: Reader) -> Callable[[dict[str, Any], Any], Any]:
    """Reads a row that may be of a strict endpoint. Which endpoint is looked for only where
    nothing was found."""

    def read(row: dict[str, Any], info: Any) -> Any:
        value = reader.get(row)
        if value is None and _is_of_strict(info):
            return reader.get_strictly(row)
        return value

    return read


def _is_of_strict(info: Any) -> bool:
    endpoint = endpoint_above(info)
    return endpoint is not None and endpoint.is_strict


def _with_self(
    schema: PlaitSchema, resolve: Any, cls: type, readers: Mapping[str, Reader]
) -> Callable[..., Any] | None:
    """Whatever its author wrote for a field gets an object of the author's class, where the source
    is a row: a resolver as `self`, a permission as `source`. The row itself is shared."""
    if resolve is None:
        return None
    getters = {name: one.get for name, one in readers.items()}
    strict = {name: one.get_strictly for name, one in readers.items()}

    def with_self(source: Any, info: Any, **arguments: Any) -> Any:
        if type(source) is dict:
            is_strict = schema.has_strict and _is_of_strict(info)
            source = materialised(cls, source, strict if is_strict else getters)
        return resolve(source, info, **arguments)

    return with_self


def _or_row(is_type_of: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, info: type(value) is dict or is_type_of(value, info)


def _kind_of(possible: Sequence[GraphQLObjectType]) -> Kind:
    """Which type of a union or interface a row is: by discriminator, else by `__typename`."""
    rules = []
    for type_ in possible:
        definition = type_.extensions.get(DEFINITION)
        rule = discriminator_of(definition.origin) if definition else None
        if rule is not None:
            path, values = rule
            told = frozenset((isinstance(value, bool), value) for value in values)
            rules.append((path, told, type_.name))
    names = frozenset(type_.name for type_ in possible)

    def kind(row: dict[str, Any]) -> str | None:
        for path, values, name in rules:
            found = property_of(row, path)
            # JSON's true is not its 1, as Python's is.
            if not isinstance(found, dict | list) and (isinstance(found, bool), found) in values:
                return name
        typename = row.get("__typename")
        return typename if isinstance(typename, str) and typename in names else None

    return kind


def _row_type(resolve_type: Any, kind: Kind) -> Callable[..., Any]:
    def resolve(value: Any, info: Any, abstract: Any) -> Any:
        if type(value) is not dict:
            return resolve_type(value, info, abstract)
        name = kind(value)
        if name is None:
            raise RowMismatch(f"is of no kind that {abstract.name} has")
        return name

    return resolve


def _properties(
    type_: GraphQLObjectType | GraphQLInterfaceType, owner: type, readers: Mapping[str, Reader]
) -> Iterator[Property]:
    """What the fields of a type read of a row."""
    for graphql_field in type_.fields.values():
        field = graphql_field.extensions.get(DEFINITION)
        if not isinstance(field, StrawberryField):
            continue
        label = f"{type_.name}.{field.python_name}"
        if isinstance(field, DeclaredField):
            for _, binding in all_bindings(field.bindings):
                if isinstance(binding, This):
                    yield Property(
                        field=label, owner=owner, declared=field.place, paths=(path_of(binding),)
                    )
        elif field.python_name in readers:
            below = get_named_type(graphql_field.type)
            yield Property(
                field=label,
                owner=owner,
                declared=field.place if isinstance(field, PropertyField) else None,
                paths=readers[field.python_name].paths,
                below=below.name if is_composite_type(below) else None,
                read=readers[field.python_name].get,
            )
