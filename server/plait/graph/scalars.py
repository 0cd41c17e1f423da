"""Scalars that lose nothing of what was written: decimals, times of day and points in time beyond
the microsecond, and numbers in a document's literals.

They replace Strawberry's own of the same name, and differ from them in nothing else.
"""

import datetime as dt
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from graphql import (
    FloatValueNode,
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    ValueNode,
    is_specified_scalar_type,
    value_from_ast_untyped,
)
from strawberry.schema.types.base_scalars import (
    DateDefinition,
    DateTimeDefinition,
    DecimalDefinition,
    TimeDefinition,
    UUIDDefinition,
)
from strawberry.types.scalar import ScalarDefinition

from plait.backend.numbers import number


class WrittenDateTime(dt.datetime):
    """A `datetime` that was written with more digits than it holds: in arithmetic it is cut to the
    microsecond, as text it has all of them."""

    fraction: str

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        """See `datetime`."""
        return _with_fraction(super().isoformat, self, timespec, sep, "microseconds")


class WrittenTime(dt.time):
    """As `WrittenDateTime`, a time of day."""

    fraction: str

    def isoformat(self, timespec: str = "auto") -> str:
        """See `time`."""
        return _with_fraction(super().isoformat, self, timespec, "microseconds")


def _with_fraction(written: Callable[..., str], value: Any, timespec: str, *arguments: str) -> str:
    fraction = getattr(value, "fraction", None)
    if timespec != "auto" or fraction is None:
        return written(*arguments[:-1], timespec)
    return _FRACTION.sub(f".{fraction}", written(*arguments), count=1)


_FRACTION = re.compile(r"[.,](\d+)")
_MICROSECOND_DIGITS = 6


def parsed_datetime(text: object) -> dt.datetime:
    """A point in time in ISO 8601. Raises `GraphQLError`."""
    try:
        made = dt.datetime.fromisoformat(text)  # type: ignore[arg-type]
    except (ValueError, TypeError):  # rarer forms of ISO 8601
        made = DateTimeDefinition.parse_value(text)  # type: ignore[misc]
    fraction = _long_fraction(text)
    if fraction is None:
        return made
    written = WrittenDateTime(
        made.year,
        made.month,
        made.day,
        made.hour,
        made.minute,
        made.second,
        made.microsecond,
        made.tzinfo,
        fold=made.fold,
    )
    written.fraction = fraction
    return written


def parsed_time(text: object) -> dt.time:
    """A time of day in ISO 8601. Raises `GraphQLError`."""
    made: dt.time = TimeDefinition.parse_value(text)  # type: ignore[misc]
    fraction = _long_fraction(text)
    if fraction is None:
        return made
    written = WrittenTime(
        made.hour, made.minute, made.second, made.microsecond, made.tzinfo, fold=made.fold
    )
    written.fraction = fraction
    return written


def _long_fraction(text: object) -> str | None:
    """The digits of the second's fraction, where they are more than a `datetime` holds."""
    if not isinstance(text, str) or not ("." in text or "," in text):
        return None
    found = _FRACTION.search(text)
    if found is None or not found[1][_MICROSECOND_DIGITS:].strip("0"):
        return None
    return found[1]


_DECIMAL_KINDS = (str, int, float, Decimal)


def parsed_decimal(value: object) -> Decimal:
    """A decimal by way of its text: 0.1 is meant, not the double next to it. Raises
    `GraphQLError`."""
    if isinstance(value, bool) or not isinstance(value, _DECIMAL_KINDS):
        raise GraphQLError("Value cannot represent a Decimal.")
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise GraphQLError("Value cannot represent a Decimal.") from None


EXACT: Mapping[object, ScalarDefinition] = {
    dt.datetime: replace(DateTimeDefinition, parse_value=parsed_datetime),
    dt.time: replace(TimeDefinition, parse_value=parsed_time),
    Decimal: replace(DecimalDefinition, parse_value=parsed_decimal),
}
"""By Python type. A graph's own scalars for these types go before them."""
KNOWN = (*EXACT.values(), DateDefinition, UUIDDefinition)
"""Of which it is known what they make of JSON, and what JSON they make of that: a text."""


def keep_literals(schema: GraphQLSchema) -> None:
    """Let scalars without a parser of literals of their own get a document's numbers as they are
    written there."""
    for type_ in schema.type_map.values():
        if (
            isinstance(type_, GraphQLScalarType)
            and not is_specified_scalar_type(type_)
            and "parse_literal" not in vars(type_)
            and type_.coerce_input_literal is None
        ):
            type_.parse_literal = functools.partial(_parsed, type_)  # type: ignore[method-assign]


def _parsed(
    type_: GraphQLScalarType, node: ValueNode, variables: dict[str, Any] | None = None
) -> Any:
    return type_.coerce_input_value(_untyped(node, variables))


def _untyped(node: ValueNode, variables: dict[str, Any] | None) -> Any:
    match node:
        case FloatValueNode():
            return number(node.value)
        case IntValueNode():
            return int(node.value)
        case ListValueNode():
            return [_untyped(item, variables) for item in node.values]
        case ObjectValueNode():
            return {one.name.value: _untyped(one.value, variables) for one in node.fields}
        case _:
            return value_from_ast_untyped(node, variables)
