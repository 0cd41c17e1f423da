"""Paths into JSON: how they are written, and what stands there."""

from typing import Any

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st

from plait import Backend, Graph, prop, this
from plait.backend.paths import (
    holder_of,
    is_absent,
    joined,
    parsed_path,
    path_text,
    property_of,
    value_at,
)
from plait.testing import GraphTest


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        ("a..b", ("a", "", "b")),
        ("a.", ("a", "")),
        ("a\\.b", ("a.b",)),
        ("a\\.b.c", ("a.b", "c")),
        ("a\\\\.b", ("a\\", "b")),
        ("a\\", ("a\\",)),
        ("a b.c-d", ("a b", "c-d")),
    ],
)
def test_how_a_path_is_written(text: str, path: tuple[str, ...]) -> None:
    assert parsed_path(text) == path


@given(st.lists(st.text("ab.\\", min_size=1), min_size=1).map(tuple))
def test_a_path_is_read_as_it_is_written(path: tuple[str, ...]) -> None:
    assert parsed_path(path_text(path)) == path


ROW: dict[str, Any] = {
    "a": {"b": 1, "c": None},
    "l": [{"x": 1, "y": [1, 2]}, {"x": None, "y": [3]}, 5, None],
    "e": [],
    "n": None,
    "s": "text",
}


@pytest.mark.parametrize(
    ("path", "through_objects", "below_lists", "absent"),
    [
        ("a.b", 1, 1, False),
        ("a.c", None, None, False),
        ("a.d", None, None, True),
        ("a.b.c", None, None, True),
        ("n", None, None, False),
        ("n.x", None, None, False),
        ("s.x", None, None, True),
        ("gone", None, None, True),
        ("l.x", None, [1, None, None, None], False),
        ("l.y", None, [1, 2, 3, None, None], False),
        ("l.z", None, [None, None, None, None], False),
        ("e.x", None, [], False),
    ],
)
def test_what_stands_at_a_path(
    path: str, through_objects: Any, below_lists: Any, absent: bool
) -> None:
    where = parsed_path(path)
    assert property_of(ROW, where) == through_objects
    assert value_at(ROW, where) == below_lists
    assert is_absent(ROW, where) is absent


def test_a_list_lacks_what_each_of_its_items_lacks() -> None:
    assert is_absent({"l": [{"x": 1}, {}]}, ("l", "y"))
    assert not is_absent({"l": [{"x": 1}, {}]}, ("l", "x"))
    assert not is_absent({"l": []}, ("l", "x"))


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (("a", "d"), ["b", "c"]),
        (("gone",), ["a", "l", "e", "n", "s"]),
        (("gone", "deeper"), ["a", "l", "e", "n", "s"]),
        (("l", "z"), ["x", "y"]),
        (("s", "x"), ["a", "l", "e", "n", "s"]),
    ],
)
def test_which_object_lacks_it(path: tuple[str, ...], names: list[str]) -> None:
    assert list(holder_of(ROW, path)) == names


def test_lists_are_joined() -> None:
    assert joined([1, [2, 3], None, [], [[4]]]) == [1, 2, 3, None, [4]]


def test_a_name_may_hold_a_dot() -> None:
    b = Backend("b", "http://b.test")
    get_tag = b.get("/tags/{id}")

    @strawberry.type
    class Tag:
        name: str | None = prop("tag\\.name")

    @strawberry.type
    class Row:
        latitude: float | None = prop("geo\\.lat.value")
        tag: Tag | None = get_tag(id=this["tag.id"])

    @strawberry.type
    class Query:
        row: Row | None = b.get("/row", unwrap="data\\.v1")()

    script = {
        "GET /row": {"data.v1": {"geo.lat": {"value": 1.5}, "tag.id": 7}},
        "GET /tags/7": {"tag.name": "T"},
    }
    with GraphTest(Graph(query=Query), b=script) as test:
        answer = test.ask("{ row { latitude tag { name } } }")
    assert answer == {"data": {"row": {"latitude": 1.5, "tag": {"name": "T"}}}}
    assert repr(this["tag.id"].x) == "this.tag\\.id.x"
