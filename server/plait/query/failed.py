"""Fields that failed, and where they stand in an answer that compiled code made.

What failed is put where its value would be. That is looked for only when something has failed: from
the root along the keys of its step, through every item of every list.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
from graphql import GraphQLError

from plait.errors import PlaitError, own
from plait.query.compile import Join


class FailedRow(msgspec.Struct, frozen=True):
    """Stands where a value would be."""

    error: PlaitError
    join: int


def failures(data: dict[str, Any], joins: Sequence[Join]) -> list[GraphQLError]:
    """The errors of what failed of `joins`, in the order of the operation's fields, and null in its
    place."""
    errors: list[GraphQLError] = []
    places: list[tuple[Any, str]] = []
    for join in joins:
        for path, holder, name, failed in _found(data, join.step.path):
            if failed.join != join.index:
                continue  # of another type's field at the same place
            errors.append(
                GraphQLError(
                    str(failed.error),
                    nodes=list(join.nodes),
                    path=list(path),
                    original_error=own(failed.error),
                )
            )
            places.append((holder, name))
    for holder, name in places:  # last: the same row may be shown at several places
        if isinstance(holder, dict):
            holder[name] = None
        else:
            setattr(holder, name, None)
    return errors


AnswerPath: TypeAlias = tuple[str | int, ...]


def _found(
    data: dict[str, Any], keys: Sequence[str]
) -> Iterator[tuple[AnswerPath, Any, str, FailedRow]]:
    """What failed at the end of `keys`: its path, what holds it, under which name."""
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
        if type(held) is FailedRow:
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
