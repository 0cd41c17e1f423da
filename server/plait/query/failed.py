"""Fields that failed, and where they stand in an answer that compiled code made.

What failed is put where its value would be. That is looked for only when something has failed: from
the root along the keys of its step, through every item of every list.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from graphql import GraphQLError

from plait.errors import PlaitError, own
from plait.query.compile import Join


class FailedRow(msgspec.Struct, frozen=True):
    """Stands where a value would be."""

    error: PlaitError
    join: int


def failures(data: dict[str, Any], joins: Sequence[Join]) -> list[GraphQLError]:
    """The errors of what failed, in the order of the operation's fields, and null in its place."""
    errors: list[GraphQLError] = []
    places: list[tuple[Any, str]] = []
    for join in joins:
        for path, holder, name, failed in _found(data, join.step.path, ()):
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


def _found(
    value: Any, keys: Sequence[str], path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Any, str, FailedRow]]:
    """What failed at the end of `keys`: its path, what holds it, under which name."""
    if type(value) is list:
        for place, item in enumerate(value):
            yield from _found(item, keys, (*path, place))
        return
    if value is None or isinstance(value, FailedRow):
        return
    name = keys[0] if isinstance(value, dict) else _attribute(type(value), keys[0])
    held = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    if len(keys) > 1:
        yield from _found(held, keys[1:], (*path, keys[0]))
    elif isinstance(held, FailedRow):
        yield (*path, keys[0]), value, name, held


def _attribute(struct: Any, key: str) -> str:
    """The attribute that is shown under a key."""
    names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return next((attribute for attribute, name in names if name == key), "")
