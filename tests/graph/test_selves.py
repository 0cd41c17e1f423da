"""What an ordinary resolver of a row gets as `self`: an object of the author's class, which reads
the row."""

import copy
import dataclasses
from typing import Any

import pytest
import strawberry
from strawberry.scalars import JSON

from plait import Backend, Graph, prop
from plait.testing import GraphTest

b = Backend("b", "http://b.test")
list_rows = b.get("/rows")
SEEN: list[Any] = []


@strawberry.type
class Row:
    id: int
    name: str | None
    extra: JSON | None
    size: int = 5
    tags: list[str] = strawberry.field(default_factory=list)
    city: str | None = prop("address.city")
    note: strawberry.Private[str | None] = None

    def helper(self) -> str:
        return f"{self.id}-{self.size}"

    @strawberry.field
    def seen(self) -> str:
        SEEN.append(self)
        return self.helper()

    @strawberry.field
    def double(self) -> int | None:
        return self.size * 2

    @strawberry.field
    def missing(self) -> str | None:
        return str(self.nothing)  # type: ignore[attr-defined]


@strawberry.type
class Query:
    rows: list[Row] = list_rows()


graph = Graph(query=Query)
ROWS: list[Any] = [
    {"id": 1, "name": "a", "size": 2, "tags": ["x"], "address": {"city": "Wien"}, "note": "n"},
    {"id": 2},
]


@pytest.fixture
def selves() -> list[Any]:
    SEEN.clear()
    with GraphTest(graph, b={"GET /rows": ROWS}) as test:
        assert test.ask("{ rows { seen } }") == {
            "data": {"rows": [{"seen": "1-2"}, {"seen": "2-5"}]}
        }
    return list(SEEN)


def test_it_has_what_the_row_has_and_else_the_defaults(selves: list[Any]) -> None:
    first, second = selves
    shown = [(one.id, one.name, one.size, one.tags, one.city, one.note) for one in selves]
    assert shown == [(1, "a", 2, ["x"], "Wien", "n"), (2, None, 5, [], None, None)]
    assert isinstance(first, Row)
    assert type(first).size == 5
    assert not hasattr(type(first), "name")
    assert dataclasses.asdict(first)["tags"] == ["x"]
    assert first == dataclasses.replace(first)
    assert first != second
    assert "name='a'" in repr(first)


def test_it_is_the_resolvers_own(selves: list[Any]) -> None:
    first, second = selves
    first.tags.append("y")
    first.size = 9
    assert (first.tags, first.size, first.name) == (["x", "y"], 9, "a")
    assert ROWS[0]["tags"] == ["x"]
    assert second.tags is second.tags
    twin = copy.deepcopy(first)
    twin.tags.append("z")
    assert (twin.city, twin.size, first.tags) == ("Wien", 9, ["x", "y"])


def test_places_of_one_row_have_an_object_each() -> None:
    SEEN.clear()
    rows = [{"id": 1, "extra": {"k": []}}]
    with GraphTest(graph, b={"GET /rows": rows}) as test:
        test.ask("{ rows { seen } again: rows { seen } }")
    first, second = SEEN
    first.extra["k"].append(1)
    assert second.extra == {"k": []}


def test_one_that_its_author_makes_is_as_any_other(selves: list[Any]) -> None:
    made = type(selves[0])(id=7, name="own", extra=None, city=None)
    assert (made.id, made.size, made.tags) == (7, 5, [])
    with pytest.raises(AttributeError):
        _ = object.__new__(type(made)).name
    assert object.__new__(type(made)).size == 5


@pytest.mark.parametrize("times", [1, 3])
def test_a_value_that_is_not_as_declared_is_no_default(times: int) -> None:
    rows = [{"id": 1, "size": "x"}, {"id": 2, "size": 3}]
    with GraphTest(graph, b={"GET /rows": rows}) as test:
        for _ in range(times):
            answer = test.ask("{ rows { double } }")
    assert answer["data"] == {"rows": [{"double": None}, {"double": 6}]}
    (error,) = answer["errors"]
    assert "'size' is not of type Int" in error["message"]
    assert error["extensions"]["code"] == "BAD_BACKEND_RESPONSE"


def test_what_is_no_property_is_told_with_what_to_do() -> None:
    with GraphTest(graph, b={"GET /rows": [{"id": 1}]}) as test:
        answer = test.ask("{ rows { missing } }")
        (failed,) = [one for one in test.events if type(one).__name__ == "FieldFailed"]
    assert answer["data"] == {"rows": [{"missing": None}]}
    assert "Row.nothing is no property of the row" in str(failed.error)  # type: ignore[union-attr]
