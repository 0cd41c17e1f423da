"""Rows as the graph sees them: reading properties, checking them against the declared types, and
back to JSON.

A row is the backend's JSON object as it came. A field reads the property of its camelCase name,
else of its Python name, or as the backend declares its `names`, or the path that `prop` gives. What
is read is checked here, so that a wrong type becomes BAD_BACKEND_RESPONSE at its place, with none
of the backend's data in the message.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar, get_type_hints

import msgspec
from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLScalarType,
    is_specified_scalar_type,
)
from strawberry import UNSET
from strawberry.types.base import get_object_definition, has_object_definition
from strawberry.types.field import StrawberryField

from plait.backend.numbers import copied
from plait.backend.paths import is_absent, joined, parsed_path, path_text, value_at
from plait.errors import BadBackendResponse
from plait.graph.field import Spelling, paths_of_name, property_paths

Converter: TypeAlias = Callable[[Any], Any]
Default: TypeAlias = Callable[[], Any]
T = TypeVar("T")
_DISCRIMINATOR = "__plait_discriminator__"
_ROW = "__plait_row__"
_GETTERS = "__plait_getters__"
_MISSING = object()


class RowMismatch(BadBackendResponse):
    """A row that is not as its type declares. Which backend sent it is filled in from the field's
    path."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The backend's row is not as declared: {what}.", backend="", endpoint="")
        self.what = what


def discriminator(path: str, *values: object) -> Callable[[type[T]], type[T]]:
    """Decorate a type of a union or interface: a row whose property at `path` has one of `values`
    is this type.

    @strawberry.type
    @discriminator("type", "card")
    class Card: ...
    """

    def decorate(cls: type[T]) -> type[T]:
        setattr(cls, _DISCRIMINATOR, (parsed_path(path), frozenset(values)))
        return cls

    return decorate


def discriminator_of(cls: type) -> tuple[tuple[str, ...], frozenset[object]] | None:
    """What `@discriminator` put on this very class."""
    return vars(cls).get(_DISCRIMINATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How one attribute of a type is read from a row."""

    paths: tuple[tuple[str, ...], ...]
    find: Converter
    """Reads alone: what stands there, `None` where nothing does."""
    get: Converter
    """Reads, checks and converts; what is absent is its default, else null. Raises
    `RowMismatch`."""
    get_strictly: Converter
    """As `get`, and raises for what is absent and has no default."""
    has_default: bool = False
    is_strict: bool = False
    """Whether `get` is `get_strictly`."""

    @property
    def strict(self) -> "Reader":
        """As it reads a row that must have every property."""
        return dataclasses.replace(self, get=partial(_get_strictly, self), is_strict=True)


def _get_strictly(of: Reader, row: dict[str, Any]) -> Any:
    value = of.get(row)
    return of.get_strictly(row) if value is None else value


def reader(
    field: StrawberryField,
    type_: GraphQLOutputType,
    default: Default | None,
    names: Spelling | None = None,
) -> Reader:
    """How a field without a resolver reads its row."""
    return _reader(
        property_paths(field, names),
        converter(type_),
        default,
        required=isinstance(type_, GraphQLNonNull),
    )


def private_readers(cls: type, names: Spelling | None = None) -> dict[str, Reader]:
    """How attributes that GraphQL does not see (`strawberry.Private`) are read, by name: the
    property of that name, as the type that they are annotated with."""
    shown = {one.python_name for one in get_object_definition(cls, strict=True).fields}
    hidden = [one for one in dataclasses.fields(cls) if one.name not in shown]
    types = _hints(cls) if hidden else {}
    return {
        one.name: _reader(
            paths_of_name(one.name, names=names),
            _plain_converter(types.get(one.name, Any)),
            default_of(one),
            required=False,
        )
        for one in hidden
    }


def default_of(field: "dataclasses.Field[Any] | None") -> Default | None:
    """What makes the value of an attribute that is not given."""
    if field is None:
        return None
    if callable(field.default_factory):
        return field.default_factory
    if field.default is dataclasses.MISSING or field.default is UNSET:
        return None
    return lambda: field.default


def _hints(cls: type) -> Mapping[str, Any]:
    try:
        return get_type_hints(cls)
    except (NameError, TypeError):  # a name that only a type checker sees
        return {}


def _plain_converter(type_: Any) -> Converter:
    def convert(value: Any) -> Any:
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError:
            raise RowMismatch(f"is not of type {getattr(type_, '__name__', type_)}") from None
        except TypeError:
            return value  # a type that JSON cannot be made into: its author reads JSON

    return convert


def _reader(
    paths: tuple[tuple[str, ...], ...],
    convert: Converter,
    default: Default | None,
    *,
    required: bool,
) -> Reader:
    wording = " or ".join(f"'{path_text(path)}'" for path in paths)

    def get_strictly(row: dict[str, Any]) -> Any:
        if default is None and all(is_absent(row, path) for path in paths):
            raise RowMismatch(f"it has no property {wording}")
        return get(row)

    def get(row: dict[str, Any]) -> Any:
        value = _first(paths, row)
        if value is None:
            if default is not None and all(is_absent(row, path) for path in paths):
                return default()
            if required:
                raise RowMismatch(f"no value for {wording}")
            return None
        try:
            return convert(value)
        except RowMismatch as error:
            raise RowMismatch(f"{wording} {error.what}") from None

    return Reader(
        paths=paths,
        find=partial(_first, paths),
        get=get,
        get_strictly=get_strictly,
        has_default=default is not None,
    )


def _first(paths: tuple[tuple[str, ...], ...], row: dict[str, Any]) -> Any:
    for path in paths:
        value = row.get(path[0]) if len(path) == 1 else value_at(row, path)
        if value is not None:
            return value
    return None


def converter(type_: GraphQLOutputType) -> Converter:
    """Checks a JSON value that is not null against a type, and converts what graphql-core wants as
    an object."""
    if isinstance(type_, GraphQLNonNull):
        return converter(type_.of_type)
    if isinstance(type_, GraphQLList):
        return _list_converter(type_.of_type)
    if isinstance(type_, GraphQLEnumType):
        return _enum_converter(type_)
    if isinstance(type_, GraphQLScalarType):
        return _scalar_converter(type_)
    return _object


def _object(value: Any) -> Any:
    if isinstance(value, dict) or has_object_definition(value):
        return value
    raise RowMismatch("is not an object")


def _list_converter(item_type: GraphQLOutputType) -> Converter:
    convert = converter(item_type)
    required = isinstance(item_type, GraphQLNonNull)

    def convert_item(item: Any) -> Any:
        if item is None:
            return RowMismatch("holds null where an item may not be") if required else None
        try:
            return convert(item)
        except RowMismatch as error:
            return error  # the executor raises it at the item's own path

    def convert_list(value: Any) -> Any:
        if not isinstance(value, list):
            raise RowMismatch("is not a list")
        return [convert_item(item) for item in value]

    return convert_list


def _enum_converter(type_: GraphQLEnumType) -> Converter:
    members = {}
    for name, value in type_.values.items():
        member = value.value
        members[name] = member
        members[getattr(member, "value", member)] = member

    def convert(value: Any) -> Any:
        try:
            return members[value]
        except (KeyError, TypeError):
            raise RowMismatch(f"is no value of the enum {type_.name}") from None

    return convert


def _scalar_converter(type_: GraphQLScalarType) -> Converter:
    """Specified scalars are coerced as graphql-core coerces results; others are parsed as it
    parses input."""
    if is_specified_scalar_type(type_):
        coerce = type_.coerce_output_value
    else:
        coerce = type_.coerce_input_value

    def convert(value: Any) -> Any:
        try:
            return coerce(value)
        except (GraphQLError, ValueError, TypeError, ArithmeticError, AttributeError):
            raise RowMismatch(f"is not of type {type_.name}") from None

    return convert


def row_class(cls: type, names: Iterable[str]) -> type:
    """What `self` is an object of, in an ordinary resolver of a row: the author's class, which
    reads the row when one of the attributes `names` is asked for, and says why another has no
    value."""

    class OfRow(cls):  # type: ignore[misc]
        def __getattr__(self, name: str) -> Any:
            inherited = getattr(super(), "__getattr__", None)
            if inherited is not None:
                return inherited(name)
            raise AttributeError(
                f"{cls.__name__}.{name} is no property of the row. What a declared field shows is "
                "loaded with: await endpoint.load(info, ...)."
            )

    OfRow.__name__, OfRow.__qualname__ = cls.__name__, cls.__qualname__
    OfRow.__module__, OfRow.__doc__ = cls.__module__, cls.__doc__
    for name in names:
        setattr(OfRow, name, _OfRow(name, getattr(cls, name, _MISSING)))
    return OfRow


class _OfRow:
    """An attribute that is read from the row, once. Only an attribute of the object goes before it:
    a class may have one of the same name, a default."""

    __slots__ = ("_default", "_name")

    def __init__(self, name: str, default: Any) -> None:
        self._name = name
        self._default = default

    def __get__(self, made: Any, owner: type | None = None) -> Any:
        values = vars(made) if made is not None else {}
        getters = values.get(_GETTERS)
        if getters is None:  # the class itself is asked, or an object that its author made
            if self._default is _MISSING:
                raise AttributeError(self._name)
            return self._default
        # A copy: the row is not this resolver's alone.
        found = values[self._name] = copied(getters[self._name](values[_ROW]))
        return found


def self_of(cls: type, row: dict[str, Any], getters: Mapping[str, Converter]) -> Any:
    """An object of a `row_class` for a row. An attribute that cannot be read raises `RowMismatch`
    when it is asked for."""
    made: Any = object.__new__(cls)
    values = vars(made)
    values[_ROW], values[_GETTERS] = row, getters
    return made


def row_of(source: Any) -> dict[str, Any] | None:
    """The row that a field's source is, or was made of."""
    return source if isinstance(source, dict) else getattr(source, _ROW, None)


def read(source: Any, path: tuple[str, ...]) -> Any:
    """What `this.path` is for a field's source: a row, or an object that a resolver made."""
    for place, name in enumerate(path):
        row = row_of(source)
        if row is not None:
            return value_at(row, path[place:])
        if isinstance(source, list):
            return joined(read(item, path[place:]) for item in source)
        source = _attribute(source, name)
    return source


def _attribute(source: Any, name: str) -> Any:
    if source is None:
        return None
    definition = get_object_definition(type(source))
    for field in definition.fields if definition else ():
        if (name,) in property_paths(field) or field.python_name == name:
            return getattr(source, field.python_name, None)
    return getattr(source, name, None)
