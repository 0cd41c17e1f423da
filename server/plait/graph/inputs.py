"""Values from Python as JSON, for what leaves for backends.

What was not given is absent, and null is null: a client that leaves a field of an input out does
not set it to null. Strawberry gives such a field the value `None`; here the object itself remembers
which of its fields were given. A value that has no JSON is refused: nothing is turned into its text
for want of a better idea.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_specified_scalar_type,
)
from strawberry import UNSET, Some
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.relay import GlobalID
from strawberry.types.arguments import InputContext
from strawberry.types.base import (
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    has_object_definition,
)
from strawberry.types.field import StrawberryField

from plait.graph.field import DEFINITION, Spelling, property_paths

_GIVEN = "__plait_given__"
_SERIALIZE = "plait_serialize"
_OWN = frozenset({"JSON", "DateTime", "Date", "Time", "Decimal", "UUID", "GlobalID"})
"""Scalars whose Python values have a JSON of their own."""
_AS_IT_IS = frozenset({str, int, bool, float, type(None)})


def to_json(value: Any, names: Spelling | None = None) -> Any:
    """A value as JSON: inputs by their properties, spelled as a backend spells its `names`, without
    those that were not given. Raises `TypeError` for what has none."""
    if type(value) in _AS_IT_IS:
        return value
    match value:
        case Enum():
            return to_json(value.value, names)
        case None | str() | bool() | int() | float():
            return value
        case Some():
            return to_json(value.value, names)
        case Mapping():
            return {
                _name(name): to_json(item, names)
                for name, item in value.items()
                if item is not UNSET
            }
        case list() | tuple():
            return [to_json(item, names) for item in value]
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal() | UUID() | GlobalID():
            return str(value)
    if has_object_definition(value):
        return _input_json(value, names)
    raise TypeError(
        f"A {type(value).__name__} has no JSON: convert it before it is sent, or give its scalar a "
        "'serialize' that returns JSON."
    )


def _name(name: object) -> str:
    if isinstance(name, str) and not isinstance(name, Enum):
        return name
    raise TypeError(f"A {type(name).__name__} is no name in a JSON object: use a str.")


def _input_json(value: Any, names: Spelling | None) -> dict[str, Any]:
    made: dict[str, Any] = {}
    given: frozenset[str] | None = vars(value).get(_GIVEN)
    for field in value.__strawberry_definition__.fields:
        item = getattr(value, field.python_name, UNSET)
        if item is UNSET or (item is None and not _may_be_null(field, given)):
            continue
        serialize = getattr(field, _SERIALIZE, None)
        shown = to_json(serialized(item, serialize), names)
        _put(made, property_paths(field, names)[0], shown)
    return made


def _may_be_null(field: StrawberryField, given: frozenset[str] | None) -> bool:
    """Whether None means null, and not that nothing was given."""
    if isinstance(field.type, StrawberryMaybe):
        return False  # null is Some(None) there
    return given is None or field.python_name in given


def serialized(value: Any, serialize: Callable[[Any], Any] | None) -> Any:
    """The value of a scalar of the graph's own, or a list of them, as that scalar writes it."""
    if serialize is None or value is None or value is UNSET:
        return value
    if isinstance(value, Some):
        return serialized(value.value, serialize)
    if isinstance(value, list):
        return [serialized(item, serialize) for item in value]
    return serialize(value)


def serializer_of(type_: GraphQLInputType) -> Callable[[Any], Any] | None:
    """What makes JSON of the values of a scalar whose Python values have none themselves."""
    named = get_named_type(type_)
    if (
        not isinstance(named, GraphQLScalarType)
        or is_specified_scalar_type(named)
        or named.name in _OWN
    ):
        return None
    return named.coerce_output_value


def external(value: Any, type_: GraphQLInputType) -> Any:
    """A coerced argument as the JSON that a client would send for it. Raises `TypeError`."""
    if value is None or value is Undefined:
        return None
    if isinstance(type_, GraphQLNonNull):
        return external(value, type_.of_type)
    if isinstance(type_, GraphQLList):
        return [external(item, type_.of_type) for item in value]
    if isinstance(type_, GraphQLInputObjectType):
        fields = {one.out_name or name: one for name, one in type_.fields.items()}
        return {name: external(item, fields[name].type) for name, item in value.items()}
    return to_json(cast("Any", type_).coerce_output_value(value))


def _put(target: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        target = target.setdefault(name, {})
    target[path[-1]] = value


# --- what a graph's inputs remember


def prepare_inputs(schema: GraphQLSchema) -> None:
    """Let inputs remember what was given, and let a default of null be no default: what the client
    leaves out must not arrive as null."""
    for type_ in schema.type_map.values():
        for field in getattr(type_, "fields", {}).values():
            for argument in getattr(field, "args", {}).values():
                _without_null(argument)
        if not isinstance(type_, GraphQLInputObjectType):
            continue
        definition = type_.extensions.get(DEFINITION)
        if isinstance(definition, StrawberryObjectDefinition) and definition.from_input is None:
            definition.from_input = _from_input
        for input_field in type_.fields.values():
            _without_null(input_field)
            strawberry_field = input_field.extensions.get(DEFINITION)
            if strawberry_field is not None:
                setattr(strawberry_field, _SERIALIZE, serializer_of(input_field.type))


def is_ours(from_input: object) -> bool:
    """Whether an input type builds its values as Strawberry does, and only remembers more."""
    return from_input is _from_input


def _without_null(value: Any) -> None:
    if isinstance(value.type, GraphQLNonNull):
        return  # a type that may not be null, whatever its default says: it stays optional
    if value.default_value is None:
        value.default_value = Undefined
    if value.default is not None and value.default.value is None and value.default.literal is None:
        value.default = None


def _from_input(cls: type, value: Mapping[str, Any], context: InputContext) -> Any:
    definition: StrawberryObjectDefinition = cls.__strawberry_definition__  # type: ignore[attr-defined]
    arguments: dict[str, Any] = {
        field.python_name: None
        for field in definition.fields
        if field.default_value is MISSING and field.default_factory is MISSING
    }
    given: set[str] = set()
    for field in definition.fields:
        name = context.config.name_converter.from_field(field)
        if name in value:
            type_ = field.resolve_type(type_definition=definition)
            if value[name] is None and _refuses_null(type_):
                raise StrawberryInputCoercionError(f"'{name}' may be left out, but not be null.")
            arguments[field.python_name] = context.convert(value[name], type_, name)
            given.add(field.python_name)
    made = cls(**arguments)
    vars(made)[_GIVEN] = frozenset(given)
    return made


def _refuses_null(type_: object) -> bool:
    return isinstance(type_, StrawberryMaybe) and not isinstance(type_.of_type, StrawberryOptional)
