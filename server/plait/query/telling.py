"""Where in an answer that compiled code made something failed, or shows something else instead.

What failed is put where its value would be. That, and what a stale copy or a fallback made, is
looked for only when there is some: from the root along the keys of its step, through every item of
every list.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, TypeAlias

from graphql import GraphQLError, GraphQLNonNull, located_error

from plait.errors import PlaitError
from plait.query.answered import FieldError
from plait.query.failed import FailedRow, Instead, Told
from plait.query.joins import Join
from plait.query.marks import fallback_mark
from plait.query.resolved import Resolver

AnswerPath: TypeAlias = tuple[str | int, ...]


class _Failed:
    """A field that failed, and what becomes null for it: its place, or one above that may be."""

    def __init__(self, path: AnswerPath, of: Join | Resolver, error: Exception) -> None:
        self.path = path
        self.of = of
        self.error = error
        self.null_at = _null_at(path, of.types)


def told_of(
    data: dict[str, Any],
    fields: Sequence[Join | Resolver],
    instead: Mapping[Join, Mapping[int, Instead]],
) -> Told:
    """What there is to tell of `fields`; what failed becomes null, or its fallback. `instead` is by
    join and by the identity of what is shown."""
    failed: list[_Failed] = []
    marks: list[tuple[AnswerPath, Instead]] = []
    places: list[tuple[Any, str | int, Any]] = []
    for field in fields:
        others = instead.get(field, {})  # type: ignore[arg-type]  # resolvers have none
        for path, holder, name, held in _found(data, field.path):
            if type(held) is not FailedRow:
                other = others.get(id(held))
                if other is not None:
                    marks.append((path, other))
            elif held.of is field:  # else of another type's field at the same place
                places.append((holder, name, held.fallback))
                if held.has_fallback:
                    assert isinstance(held.error, PlaitError)
                    marks.append((path, Instead("value", held.error)))
                else:
                    failed.append(_Failed(path, field, held.error))
    for holder, name, value in places:  # last: the same row may be shown at several places
        _put(holder, name, value)
    nulls = {one.null_at for one in failed if one.null_at != one.path}
    for place in sorted(nulls, key=len):
        _make_null(data, place)
    return Told(
        errors=[_error(one) for one in _told_errors(failed, nulls)],
        fallbacks=[
            fallback_mark(path, one.kind, one.because)
            for path, one in marks
            if _outermost(path, nulls) is None
        ],
        is_nothing=() in nulls,
    )


def _null_at(path: AnswerPath, types: Sequence[Any]) -> AnswerPath:
    """The nearest place that may be null, for a value that is not there; `()` is all of the
    data."""
    length, own = 0, iter(types)
    type_: Any = None
    for place, key in enumerate(path, 1):
        bare = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        type_ = bare.of_type if type(key) is int else next(own)
        if not isinstance(type_, GraphQLNonNull):
            length = place
    return path[:length]


def _told_errors(failed: Sequence[_Failed], nulls: Set[AnswerPath]) -> Iterator[_Failed]:
    """Those that are told: of several that make one place null, the first alone, and none of what
    would have been below it (GraphQL, section 6.4.4)."""
    told: set[AnswerPath] = set()
    for one in failed:
        place = _outermost(one.path, nulls)
        if place is None:
            yield one
        elif place == one.null_at and place not in told:
            told.add(place)
            yield one


def _outermost(path: AnswerPath, nulls: Set[AnswerPath]) -> AnswerPath | None:
    """The place that is null where `path` would lead, if there is one."""
    if not nulls:
        return None
    return next((path[:end] for end in range(len(path) + 1) if path[:end] in nulls), None)


def _make_null(data: Any, place: AnswerPath) -> None:
    held = data
    for key in place[:-1]:
        if held is None:
            return  # a place above is null already
        held = held[key] if type(key) is int else _held(held, _name(held, str(key)))
    if place and held is not None:
        last = place[-1]
        if type(last) is int:
            held[last] = None
        else:
            _put(held, _name(held, str(last)), None)


def _put(holder: Any, name: str | int, value: Any) -> None:
    if type(name) is str and type(holder) is not dict:
        setattr(holder, name, value)
    else:
        holder[name] = value


def _error(failed: _Failed) -> GraphQLError | FieldError:
    if isinstance(failed.error, PlaitError):
        return FieldError(failed.error, failed.of.nodes, list(failed.path))
    return located_error(failed.error, list(failed.of.nodes), list(failed.path))


def _found(
    data: dict[str, Any], keys: Sequence[str]
) -> Iterator[tuple[AnswerPath, Any, str | int, Any]]:
    """What stands at the end of `keys`, and each item of it that failed: its path, what holds it,
    under which name."""
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
        if type(held) is list:
            for place, item in enumerate(held):
                if type(item) is FailedRow:
                    yield (*path, key, place), held, place, item


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
    names: tuple[str, ...] = holder.__struct_encode_fields__
    if key not in names:
        return ""
    attribute: str = holder.__struct_fields__[names.index(key)]
    return attribute
