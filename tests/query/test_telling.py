"""What failed, or shows something else instead, is told at its place; null goes up as far as it
must."""

from typing import Any

import pytest
from graphql import GraphQLList, GraphQLNonNull, GraphQLString

from plait.errors import BackendTimeout
from plait.query.failed import FailedRow, Instead, Told
from plait.query.telling import told_of

MAY = GraphQLString
MUST = GraphQLNonNull(GraphQLString)
ITEMS = GraphQLList(GraphQLString)
SURE_ITEMS = GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLString)))


def error(message: str = "no") -> BackendTimeout:
    return BackendTimeout(message, backend="b", endpoint="GET /x")


class Field:
    """A join, as far as it is looked at."""

    def __init__(self) -> None:
        self.path: tuple[str, ...] = ()
        self.types: tuple[Any, ...] = ()
        self.nodes = ()


FIELDS = [Field() for _ in range(4)]


def join(index: int, path: str, *types: Any) -> Any:
    FIELDS[index].path, FIELDS[index].types = tuple(path.split(".")), types
    return FIELDS[index]


def failed(index: int, **more: Any) -> FailedRow:
    of: Any = FIELDS[index]
    return FailedRow(error(f"error {index}"), of, **more)


def told(data: Any, *joins: Any, instead: Any = None) -> Told:
    return told_of(data, joins, instead or {})


def paths(found: Told) -> list[tuple[str, list[str | int]]]:
    return [(one.message, list(one.path or ())) for one in found.errors]


@pytest.mark.parametrize(
    ("types", "left"),
    [
        ((MAY, MAY, MAY), {"a": {"b": {"c": None}}}),
        ((MAY, MAY, MUST), {"a": {"b": None}}),
        ((MAY, MUST, MUST), {"a": None}),
    ],
)
def test_null_goes_up_to_the_nearest_place_that_may_be(types: Any, left: Any) -> None:
    data = {"a": {"b": {"c": failed(0)}}}
    found = told(data, join(0, "a.b.c", *types))
    assert data == left
    assert paths(found) == [("error 0", ["a", "b", "c"])]
    assert not found.is_nothing


def test_where_nothing_may_be_null_there_is_no_data() -> None:
    found = told({"a": {"b": failed(0)}}, join(0, "a.b", MUST, MUST))
    assert found.is_nothing
    assert paths(found) == [("error 0", ["a", "b"])]


@pytest.mark.parametrize(("items", "left"), [(ITEMS, {"a": [{"b": 1}, None]}), (SURE_ITEMS, None)])
def test_an_item_is_a_place_of_its_own(items: Any, left: Any) -> None:
    data = {"a": [{"b": 1}, {"b": failed(0)}]}
    found = told(data, join(0, "a.b", items, MUST))
    assert (None if found.is_nothing else data) == left
    assert paths(found) == [("error 0", ["a", 1, "b"])]


def test_of_what_makes_one_place_null_the_first_is_told() -> None:
    data = {"a": {"b": failed(0), "c": failed(1)}}
    found = told(data, join(0, "a.b", MAY, MUST), join(1, "a.c", MAY, MUST))
    assert data == {"a": None}
    assert paths(found) == [("error 0", ["a", "b"])]


def test_nothing_is_told_of_what_is_below_null_but_why_it_is() -> None:
    """Also where what is below came first, and has a place of its own that is null."""
    shown = {"x": 1}
    data = {"a": {"b": {"c": {"g": failed(0)}}, "d": failed(1), "e": failed(2), "f": shown}}
    found = told(
        data,
        join(0, "a.b.c.g", MAY, MAY, MAY, MUST),
        join(1, "a.d", MAY, MAY),
        join(2, "a.e", MAY, MUST),
        join(3, "a.f", MAY, MAY),
        instead={FIELDS[3]: {id(shown): Instead("stale", error())}},
    )
    assert data == {"a": None}
    assert paths(found) == [("error 2", ["a", "e"])]
    assert found.fallbacks == []


def test_a_fallback_and_a_stale_copy_are_told_of_where_they_stand() -> None:
    stale, fresh = {"x": 1}, {"x": 1}
    own = failed(1, has_fallback=True, fallback=7)
    data = {"l": [{"a": stale}, {"a": fresh}, {"a": stale}], "b": own}
    found = told(
        data,
        join(0, "l.a", ITEMS, MAY),
        join(1, "b", MUST),
        instead={FIELDS[0]: {id(stale): Instead("stale", error())}},
    )
    assert data["b"] == 7
    assert found.errors == []
    assert [(one["kind"], one["path"]) for one in found.fallbacks] == [
        ("stale", ["l", 0, "a"]),
        ("stale", ["l", 2, "a"]),
        ("value", ["b"]),
    ]
    assert found.fallbacks[0]["code"] == "BACKEND_TIMEOUT"
    assert found.fallbacks[0]["endpoint"] == "GET /x"


def test_what_is_of_another_step_at_the_same_place_is_left_to_it() -> None:
    data = {"a": [{"b": failed(0)}, {"b": failed(1)}]}
    found = told(data, join(0, "a.b", ITEMS, MAY), join(1, "a.b", ITEMS, MAY))
    assert paths(found) == [("error 0", ["a", 0, "b"]), ("error 1", ["a", 1, "b"])]
    assert data == {"a": [{"b": None}, {"b": None}]}
