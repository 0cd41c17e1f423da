"""Fields that failed, or show something else instead, and where they stand in an answer that
compiled code made.

What failed is put where its value would be. That, and what a stale copy or a fallback made, is
looked for only when there is some: from the root along the keys of its step, through every item of
every list.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from graphql import GraphQLError

from plait.errors import PlaitError, own
from plait.query.compile import Join
from plait.query.marks import fallback_mark


class FailedRow(msgspec.Struct, frozen=True):
    """Stands where a value would be."""

    error: PlaitError
    join: int
    has_fallback: bool = False
    fallback: Any = None
    """What is shown instead, and is no error."""


class Instead(msgspec.Struct, frozen=True):
    """Why a row is not what was asked for just now."""

    kind: Literal["stale", "value"]
    because: PlaitError


class Told(msgspec.Struct, frozen=True):
    """What an answer tells beside its data."""

    errors: list[GraphQLError]
    """In the order of the operation's fields."""
    fallbacks: list[dict[str, Any]]


def told_of(
    data: dict[str, Any], joins: Sequence[Join], instead: Mapping[int, Mapping[int, Instead]]
) -> Told:
    """What there is to tell of `joins`; what failed becomes null, or its fallback. `instead` is by
    join and by the identity of what is shown."""
    errors: list[GraphQLError] = []
    marks: list[dict[str, Any]] = []
    places: list[tuple[Any, str, Any]] = []
    for join in joins:
        others = instead.get(join.index, {})
        for path, holder, name, held in _found(data, join.step.path):
            if type(held) is not FailedRow:
                other = others.get(id(held))
                if other is not None:
                    marks.append(fallback_mark(path, other.kind, other.because))
            elif held.join == join.index:  # else of another type's field at the same place
                places.append((holder, name, held.fallback))
                if held.has_fallback:
                    marks.append(fallback_mark(path, "value", held.error))
                else:
                    errors.append(_error(held.error, join, path))
    for holder, name, value in places:  # last: the same row may be shown at several places
        if type(holder) is dict:
            holder[name] = value
        else:
            setattr(holder, name, value)
    return Told(errors=errors, fallbacks=marks)


def _error(error: PlaitError, join: Join, path: "AnswerPath") -> GraphQLError:
    nodes = list(join.nodes)
    return GraphQLError(str(error), nodes=nodes, path=list(path), original_error=own(error))


AnswerPath: TypeAlias = tuple[str | int, ...]


def _found(data: dict[str, Any], keys: Sequence[str]) -> Iterator[tuple[AnswerPath, Any, str, Any]]:
    """What stands at the end of `keys`: its path, what holds it, under which name."""
    holders: list[tuple[AnswerPath, Any]] = [((), data)]
    for key in keys[:-1]:
        below: list[tuple[AnswerPath, Any]] = []
        for path, holder in holders:
            _add(below, (*path, key), _held(holder, _name(holder, key)))
        holders = below
    key = keys[-1]
    for path, holder in holders:
        name = _name(holder, key)
        held = _held(holder, name)
        if held is not None:
            yield (*path, key), holder, name, held


def _add(found: list[tuple[AnswerPath, Any]], path: AnswerPath, value: Any) -> None:
    """Every object of a value, which may be a list, with its path."""
    if type(value) is list:
        for place, item in enumerate(value):
            _add(found, (*path, place), item)
    elif value is not None and type(value) is not FailedRow:
        found.append((path, value))


def _held(holder: Any, name: str) -> Any:
    return holder.get(name) if type(holder) is dict else getattr(holder, name, None)


def _name(holder: Any, key: str) -> str:
    """The property or attribute that is shown under a key; none for what does not show it."""
    if type(holder) is dict:
        return key
    names = zip(holder.__struct_fields__, holder.__struct_encode_fields__, strict=True)
    return next((attribute for attribute, name in names if name == key), "")
