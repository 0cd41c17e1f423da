"""What single values are in an answer: as graphql-core would show them, or not at all.

Functions are made once for a type and called for each value. What they raise, whatever it may be,
has graphql-core tell what is wrong.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    is_leaf_type,
    is_specified_scalar_type,
)
from graphql.pyutils import Undefined
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT

from plait.graph.graph import is_awaitable
from plait.graph.rows import Reader, converter
from plait.graph.scalars import KNOWN
from plait.graph.sizes import size_of

Show: TypeAlias = Callable[[Any], Any]


class Unusual(Exception):
    """Something that compiled code leaves to graphql-core."""


SCALARS: Mapping[str, str] = {
    "String": "type({v}) is not str",
    "ID": "type({v}) is not str",
    "Int": f"type({{v}}) is not int or not {GRAPHQL_MIN_INT} <= {{v}} <= {GRAPHQL_MAX_INT}",
    "Float": "type({v}) is not float",
    "Boolean": "{v} is not True and {v} is not False",
}
"""When a value of JSON is not shown as it is."""
_PLAIN = frozenset({str, int, float, bool})


def completed(type_: Any, value: Any) -> Any:
    """What is shown of what a resolver has returned."""
    return completer(type_)(value)


def completer(type_: Any) -> Show:
    """Shows what a resolver has returned, or a converter."""
    return _shower(type_, _completer)


def value_of(type_: Any) -> Show:
    """Shows what a row has for a field."""
    return _shower(type_, _of_json)


def exactly(reader: Reader, type_: Any) -> Callable[[dict[str, Any]], Any]:
    """What a field shows of a row, whatever the row has."""
    get, complete = reader.get, completer(type_)
    return lambda row: complete(get(row))


def _shower(type_: Any, leaf: Callable[[Any], Show]) -> Show:
    """`leaf` makes what shows single values that are not null."""
    if isinstance(type_, GraphQLNonNull):
        must = _shower(type_.of_type, leaf)

        def required(value: Any) -> Any:
            shown = must(value)
            if shown is None:
                raise Unusual
            return shown

        return required
    if isinstance(type_, GraphQLList):
        item = _shower(type_.of_type, leaf)

        def listed(value: Any) -> Any:
            if value is None:
                return None
            if type(value) is not list:
                raise Unusual
            return [item(one) for one in value]

        return listed
    show = leaf(type_)
    return lambda value: None if value is None else show(value)


def _refused(_: Any) -> Any:
    raise Unusual


def _completer(type_: Any) -> Show:
    if not is_leaf_type(type_):
        return _refused  # an object is no value
    show = type_.coerce_output_value
    is_known = is_specified_scalar_type(type_)

    def complete(value: Any) -> Any:
        if type(value) not in _PLAIN and (isinstance(value, Exception) or is_awaitable(value)):
            raise Unusual
        shown = show(value)
        if shown is None or shown is Undefined:
            raise Unusual
        if not is_known:
            size_of(shown)  # raises for what is no JSON
        return shown

    return complete


def _of_json(type_: Any) -> Show:
    if isinstance(type_, GraphQLEnumType):
        return _of_member(type_)
    if isinstance(type_, GraphQLScalarType):
        for one in KNOWN:
            if type_.coerce_input_value is one.parse_value:
                parse, serialize = type_.coerce_input_value, one.serialize
                if type_.coerce_output_value is serialize and serialize is not None:
                    return lambda value: serialize(parse(value))
    convert, complete = converter(type_), _completer(type_)
    return lambda value: complete(convert(value))


def _of_member(type_: GraphQLEnumType) -> Show:
    """By what a row has, where that is a text."""
    convert, complete = converter(type_), _completer(type_)
    names = [*type_.values, *(getattr(one.value, "value", None) for one in type_.values.values())]
    known = {name: complete(convert(name)) for name in names if isinstance(name, str)}

    def show(value: Any) -> Any:
        found = known.get(value) if type(value) is str else None
        return complete(convert(value)) if found is None else found

    return show
