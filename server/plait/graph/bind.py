"""From Strawberry's schema to one that reads rows: the resolvers of what is only declared are
replaced by our own.

Rows stay the plain dicts that JSON made of them: an object is built for a row only where what the
graph's author wrote gets to see it.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
    is_specified_scalar_type,
)
from strawberry.permission import PermissionExtension
from strawberry.types.base import StrawberryList, StrawberryObjectDefinition, StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from plait.backend.paths import property_of
from plait.graph.absent import Expected
from plait.graph.bindings import Argument, This, path_of
from plait.graph.blame import endpoint_above
from plait.graph.field import DEFINITION, GRAPHQL_NAME, DeclaredField, Form, PropertyField, Spelling
from plait.graph.fields import (
    JSON_KINDS,
    Binding,
    Constant,
    Custom,
    Fetch,
    Field,
    Given,
    Object,
    Property,
    Row,
    rows_in,
)
from plait.graph.guards import guard_of
from plait.graph.inputs import serializer_of
from plait.graph.ran import Ran
from plait.graph.resolve import Bound
from plait.graph.rows import (
    Converter,
    Reader,
    RowMismatch,
    converter,
    default_of,
    discriminator_of,
    private_readers,
    reader,
    row_class,
    row_of,
    self_of,
)
from plait.graph.schema import Kind, PlaitSchema
from plait.graph.spelling import spellings_of

Owner: TypeAlias = GraphQLObjectType | GraphQLInterfaceType


def bind(schema: PlaitSchema) -> None:
    """Let the schema's declared fields and properties read rows."""
    spellings = spellings_of(schema._schema)
    for type_ in schema._schema.type_map.values():
        if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType) and type_.resolve_type:
            kind = _kind_of(schema._schema.get_possible_types(type_))
            schema.kinds[type_.name] = kind
            type_.resolve_type = _row_type(type_.resolve_type, kind)
    for type_ in schema._schema.type_map.values():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            _bind_fields(schema, type_, spellings.get(type_.name))
        if isinstance(type_, GraphQLObjectType) and type_.is_type_of:
            type_.is_type_of = _or_row(type_.is_type_of)


def _bind_fields(schema: PlaitSchema, type_: Owner, names: Spelling | None) -> None:
    definition = type_.extensions.get(DEFINITION)
    if not isinstance(definition, StrawberryObjectDefinition):
        return
    for name, field in type_.fields.items():
        if (known := field.extensions.get(DEFINITION)) is not None:
            setattr(known, GRAPHQL_NAME, name)
    defaults = {one.name: default_of(one) for one in dataclasses.fields(definition.origin)}
    readers = private_readers(definition.origin, names)
    for field in type_.fields.values():
        strawberry_field = field.extensions.get(DEFINITION)
        if _is_property(strawberry_field):
            own = strawberry_field.python_name
            readers[own] = reader(strawberry_field, field.type, defaults.get(own), names)
            _bind_property(schema, strawberry_field, field, readers[own])
    of_row = row_class(definition.origin, readers)
    getters = {name: one.get for name, one in readers.items()}
    object_of = functools.partial(self_of, of_row, getters=getters)
    fetches = {
        name: _bind_declared(schema, type_, field.extensions[DEFINITION], field, object_of)
        for name, field in type_.fields.items()
        if isinstance(field.extensions.get(DEFINITION), DeclaredField)
    }
    rows = _table(schema, type_, definition.origin, readers, fetches, object_of)
    schema.fields[type_.name] = table = dict(rows)
    schema.properties[type_.name] = tuple(_expected(table, definition.origin))
    for field in type_.fields.values():
        strawberry_field = field.extensions.get(DEFINITION)
        if not isinstance(strawberry_field, StrawberryField):
            continue
        if strawberry_field.base_resolver or strawberry_field.extensions:
            field.resolve = _with_self(
                schema, field.resolve, of_row, readers, _granted(schema, field, strawberry_field)
            )


def _is_property(field: Any) -> bool:
    return (
        isinstance(field, StrawberryField)
        and not isinstance(field, DeclaredField)
        and field.base_resolver is None
    )


def _bind_declared(
    schema: PlaitSchema,
    owner: Owner,
    field: DeclaredField,
    graphql_field: GraphQLField,
    self_of: Callable[[dict[str, Any]], Any],
) -> Fetch:
    fetch = dataclasses.replace(
        _fetch(owner, field, graphql_field),
        guard=guard_of(field, schema.config.info_class),
        self_of=self_of,
    )
    type_ = graphql_field.type
    bound = Bound(
        fetch=fetch,
        convert=_item_converter(type_) if fetch.form == "many" else converter(type_),
        watch=schema.watch(fetch.endpoint, fetch.type_name),
        strict_above=functools.partial(endpoint_above, schema.fields)
        if schema.has_strict
        else None,
    )
    schema.declare(field, bound)
    if not field.arguments and not field.extensions:
        # Nothing to convert and nobody to ask: the field needs none of Strawberry's work for each
        # row.
        graphql_field.resolve = functools.partial(_resolve_plain, bound)
    if fetch.form == "write":
        graphql_field.resolve = _once(graphql_field.resolve)
    return fetch


def _fetch(owner: Owner, field: DeclaredField, graphql_field: GraphQLField) -> Fetch:
    type_, declaration = graphql_field.type, field.declaration
    bindings = _bindings(field, _serializers(field, graphql_field))
    return Fetch(
        label=f"{owner.name}.{field.python_name}",
        endpoint=declaration.spec,
        form=declaration.form,
        bindings=bindings,
        options=field.options,
        list_parameter=_list_parameter(bindings) if declaration.form == "many" else None,
        pages=declaration.pages,
        nullable=not isinstance(type_, GraphQLNonNull),
        items_nullable=_items_nullable(type_),
        is_list=_is_list(type_),
        type_name=_type_name(type_, declaration.form),
        is_guarded=bool(field.extensions),
        asks_permissions={type(one) for one in field.extensions} == {PermissionExtension},
        place=field.place,
    )


def _bindings(
    field: DeclaredField, serializers: Mapping[str, Callable[[Any], Any]]
) -> dict[str, Binding]:
    listed = {
        one.python_name
        for one in field.arguments
        if isinstance(_nullable(one.type), StrawberryList)
    }

    names = field.declaration.spec.backend.names

    def made(parameter: str, written: Any) -> Binding:
        match written:
            case This():
                return Row(path=path_of(written))
            case Argument():
                name = written.name or parameter
                return Given(
                    name=name,
                    empty_is_all=written.empty_is_all,
                    null_is_nothing=written.default is None and field.declaration.spec.reads,
                    is_list=name in listed,
                    serialize=serializers.get(name),
                    names=names,
                )
            case dict():
                return Object(parts={name: made(name, part) for name, part in written.items()})
        return Constant(written=written, names=names)

    return {parameter: made(parameter, written) for parameter, written in field.bindings.items()}


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, StrawberryOptional) else type_


def _list_parameter(bindings: Mapping[str, Binding]) -> str | None:
    """The parameter whose value is a list; of several that may be one, none."""
    lists = [
        name
        for name, one in bindings.items()
        if (isinstance(one, Given) and one.is_list)
        or (isinstance(one, Constant) and isinstance(one.written, list | tuple))
    ]
    rows = [name for name, one in bindings.items() if isinstance(one, Row)]
    found = lists or rows
    return found[0] if len(found) == 1 else None


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


def _item_converter(type_: GraphQLOutputType) -> Converter:
    list_type = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    assert isinstance(list_type, GraphQLList)
    return converter(list_type.of_type)


def _bind_property(
    schema: PlaitSchema, field: StrawberryField, graphql_field: GraphQLField, reader: Reader
) -> None:
    otherwise = graphql_field.resolve
    assert otherwise is not None
    read = _strict_read(schema, reader) if schema.has_strict else None
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


def _once(resolve: Any) -> Callable[..., Any]:
    """Has a field of the root run once in a request, whoever makes the answer."""

    def once(source: Any, info: Any, **arguments: Any) -> Any:
        ran = _ran(info)
        return resolve(source, info, **arguments) if ran is None else ran.told()

    return once


def _ran(info: Any) -> Ran | None:
    """What has come of a field of the root already."""
    ran = getattr(info.context, "ran", None)
    return ran.get(info.path.key) if ran else None


def _strict_read(schema: PlaitSchema, reader: Reader) -> Callable[[dict[str, Any], Any], Any]:
    """Reads a row that may be of a strict endpoint. Which endpoint is looked for only where
    nothing was found."""

    def read(row: dict[str, Any], info: Any) -> Any:
        value = reader.get(row)
        if value is None and _is_of_strict(schema, info):
            return reader.get_strictly(row)
        return value

    return read


def _is_of_strict(schema: PlaitSchema, info: Any) -> bool:
    endpoint = endpoint_above(schema.fields, info)
    return endpoint is not None and endpoint.is_strict


def _granted(
    schema: PlaitSchema, field: GraphQLField, declared: StrawberryField
) -> Callable[[Any, Any, Mapping[str, Any]], Any]:
    """What a declared field does once its permissions have let it: (source, info, coerced
    arguments) -> its value."""

    def granted(source: Any, info: Any, arguments: Mapping[str, Any]) -> Any:
        resolve = schema.resolver_of(declared)
        return resolve(source, info, schema.arguments_of(field, arguments))

    return granted


def _with_self(
    schema: PlaitSchema,
    resolve: Any,
    cls: type,
    readers: Mapping[str, Reader],
    granted: Callable[[Any, Any, Mapping[str, Any]], Any],
) -> Callable[..., Any] | None:
    """Whatever its author wrote for a field gets an object of the author's class, where the source
    is a row: a resolver as `self`, a permission as `source`. The row itself is shared."""
    if resolve is None:
        return None
    getters = {name: one.get for name, one in readers.items()}
    strict = {name: one.get_strictly for name, one in readers.items()}

    def with_self(source: Any, info: Any, **arguments: Any) -> Any:
        if type(source) is dict:
            ran_of_rows = getattr(info.context, "ran_of_rows", None)
            if ran_of_rows is not None:
                known = ran_of_rows.get((id(source), id(info.field_nodes[0])))
                if known is not None:
                    return granted(source, info, {}) if known.is_granted else known.told()
            source = self_at(source, info)
        elif info is not None and info.path.prev is None:
            ran = _ran(info)
            if ran is not None:  # no resolver of a request runs twice, and no permission
                return granted(None, info, arguments) if ran.is_granted else ran.told()
        return resolve(source, info, **arguments)

    def self_at(row: dict[str, Any], info: Any) -> Any:
        # One for all resolvers of a row at one place of the answer, as an object would be. Places
        # are told apart by identity: a row that is shown twice has two.
        selves, place = getattr(info.context, "selves", None), info.path.prev
        if selves is not None and (found := selves.get(id(place))) is not None:
            return found[1]
        is_strict = schema.has_strict and _is_of_strict(schema, info)
        made = self_of(cls, row, strict if is_strict else getters)
        if selves is not None and place is not None:
            selves[id(place)] = place, made
        return made

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
    # Mostly one property has a text that tells all of them apart.
    first = rules[0][0][0] if rules else ""
    texts: dict[str, str] = {}
    if {path for path, _, _ in rules} == {(first,)}:
        for _, told, name in rules:
            for _, value in told:
                if isinstance(value, str):
                    texts.setdefault(value, name)

    def kind(row: dict[str, Any]) -> str | None:
        text = row.get(first)
        if type(text) is str and (known := texts.get(text)) is not None:
            return known
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


def _table(
    schema: PlaitSchema,
    type_: Owner,
    owner: type,
    readers: Mapping[str, Reader],
    fetches: Mapping[str, Fetch],
    self_of: Callable[[dict[str, Any]], Any],
) -> Iterator[tuple[str, Field]]:
    """What each field of a type does, by its GraphQL name."""
    is_plain = schema.config.default_resolver is getattr
    for name, graphql_field in type_.fields.items():
        field = graphql_field.extensions.get(DEFINITION)
        if name in fetches:
            yield name, fetches[name]
        elif isinstance(field, StrawberryField) and not field.base_resolver:
            below = get_named_type(graphql_field.type)
            yield (
                name,
                Property(
                    label=f"{type_.name}.{field.python_name}",
                    owner=owner,
                    reader=readers[field.python_name],
                    below=below.name if is_composite_type(below) else None,
                    is_list=_is_list(graphql_field.type),
                    is_guarded=bool(field.extensions),
                    guard=guard_of(field, schema.config.info_class),
                    self_of=self_of,
                    place=field.place if isinstance(field, PropertyField) else None,
                    attribute=field.python_name,
                    json_kind=_json_kind(graphql_field.type)
                    if is_plain and not field.extensions
                    else None,
                ),
            )
        else:
            yield name, _custom(schema, f"{type_.name}.{name}", field, self_of)


def _json_kind(type_: Any) -> type | None:
    """The kind of value that is shown as it is."""
    named = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if not isinstance(named, GraphQLScalarType) or not is_specified_scalar_type(named):
        return None
    return JSON_KINDS.get(named.name)


def _custom(
    schema: PlaitSchema, label: str, field: Any, self_of: Callable[[dict[str, Any]], Any]
) -> Custom:
    if not isinstance(field, StrawberryField) or field.base_resolver is None:
        return Custom(label=label, may_load=True, why="Strawberry resolves it")
    resolver = field.base_resolver
    computes = not resolver.is_async and resolver.info_parameter is None
    function = _of_self(resolver) if computes and type(field) is StrawberryField else None
    guard = None if function is None else guard_of(field, schema.config.info_class)
    if field.extensions and guard is None:
        why = "a permission or an extension is asked first"
        return Custom(label=label, may_load=True, why=why)
    if computes:
        return Custom(
            label=label,
            may_load=False,
            why="its resolver computes it",
            guard=guard,
            function=function,
            self_of=self_of,
            call=None if guard is not None else _call_of(schema, field),
        )
    why = "its resolver decides what to load"
    return Custom(label=label, may_load=True, why=why, call=_call_of(schema, field))


def _call_of(
    schema: PlaitSchema, field: StrawberryField
) -> Callable[[Any, Any, dict[str, Any]], Any] | None:
    """What calls a resolver as Strawberry would, with arguments that need not be converted."""
    resolver = field.base_resolver
    if type(field) is not StrawberryField:
        return None
    assert resolver is not None
    info_class = schema.config.info_class
    has_self = resolver.self_parameter is not None
    of_source = [
        one.name for one in (resolver.parent_parameter, resolver.root_parameter) if one is not None
    ]
    of_info = resolver.info_parameter.name if resolver.info_parameter is not None else None

    def call(source: Any, info: Any, arguments: dict[str, Any]) -> Any:
        for name in of_source:
            arguments[name] = source
        if of_info is not None:
            arguments[of_info] = info_class(_raw_info=info, _field=field)
        return resolver(source, **arguments) if has_self else resolver(**arguments)

    return call


def _of_self(resolver: StrawberryResolver[Any]) -> Callable[[Any], Any] | None:
    """A resolver's code, where it takes nothing but a `self`, or not even that."""
    parameters = resolver.signature.parameters
    if not parameters:
        return lambda _: resolver()
    takes_self = len(parameters) == 1 and resolver.self_parameter is not None
    return resolver.wrapped_func if takes_self and callable(resolver.wrapped_func) else None


def _expected(table: Mapping[str, Field], owner: type) -> Iterator[Expected]:
    """What the fields of a type read of a row."""
    for field in table.values():
        if isinstance(field, Fetch):
            for path in rows_in(field.bindings):
                yield Expected(field=field.label, owner=owner, declared=field.place, paths=(path,))
        elif isinstance(field, Property):
            yield Expected(
                field=field.label,
                owner=owner,
                declared=field.place,
                paths=field.reader.paths,
                below=field.below,
                read=field.reader.get,
            )
