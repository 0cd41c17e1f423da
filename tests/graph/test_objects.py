"""What objects that resolvers make hold is shown as Strawberry shows it, though it is read
directly."""

import asyncio
from math import inf, nan
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig

from plait import Backend, Graph
from plait.graph.execution import BoundedExecutor
from plait.testing import GraphTest

b = Backend("b", "http://b.test")
list_things = b.get("/things")
HELD: dict[str, Any] = {}


class No(BasePermission):
    message = "no"

    def has_permission(self, source: Any, info: Any, **_: Any) -> bool:
        return False


@strawberry.type
class Thing:
    text: str
    maybe: str | None
    count: int | None
    share: float | None
    yes: bool | None
    id: strawberry.ID | None
    many: list[int] | None = None
    closed: str | None = strawberry.field(permission_classes=[No], default="secret")
    with_default: str = "default"

    @strawberry.field
    def shout(self) -> str:
        return str(self.text).upper()


@strawberry.type
class Query:
    @strawberry.field
    def thing(self) -> Thing | None:
        return made()

    @strawberry.field
    def things(self) -> list[Thing | None] | None:
        return [made(), None, made()]

    rows: list[Thing] = list_things()


@strawberry.type
class Alone:
    @strawberry.field
    def thing(self) -> Thing | None:
        return made()

    @strawberry.field
    def things(self) -> list[Thing | None] | None:
        return [made(), None, made()]


def made() -> Any:
    given = {"text": "t", "maybe": None, "count": 1, "share": 0.5, "yes": True, "id": "1"}
    thing = Thing(**given)
    for name, value in HELD.items():
        if value is GONE:
            del thing.__dict__[name]
        else:
            setattr(thing, name, value() if callable(value) else value)
    return thing


GONE = object()
graph = Graph(query=Query)
FIELDS = "text maybe count share yes id many withDefault shout __typename other: text"
DOCUMENT = f"{{ thing {{ {FIELDS} }} things {{ {FIELDS} closed }} }}"


async def later() -> str:
    return "later"


@pytest.mark.parametrize(
    "held",
    [
        {},
        {"text": 1},
        {"text": None},
        {"text": ""},
        {"text": b"bytes"},
        {"text": later},
        {"text": GONE},
        {"text": ValueError("no")},
        {"maybe": "yes", "count": None},
        {"count": True},
        {"count": 1.0},
        {"count": "7"},
        {"count": 2**31},
        {"count": -(2**31)},
        {"share": 1},
        {"share": nan},
        {"share": inf},
        {"share": "0.5"},
        {"yes": 1},
        {"yes": "true"},
        {"id": 7},
        {"id": 1.5},
        {"many": [1, None]},
        {"many": [1, 2]},
        {"withDefault": "x"},
        {"with_default": 3},
    ],
)
def test_objects_are_shown_as_strawberry_shows_them(
    held: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.graph.test_objects.HELD", held)
    stock = asyncio.run(strawberry.Schema(query=Alone).execute(DOCUMENT))
    with GraphTest(graph) as test:
        ours = test.ask(DOCUMENT)
    assert ours["data"] == stock.data
    # Their order is no promise: on a busy machine ours lets others have their turns in between.
    told = sorted((str(error["path"]), error["message"]) for error in ours.get("errors", []))
    expected = sorted((str(error.path), error.message) for error in stock.errors or [])
    assert [path for path, _ in told] == [path for path, _ in expected]
    masked = "Something went wrong here"
    for (_, one), (_, other) in zip(told, expected, strict=True):
        assert one == other or one.startswith(masked)


def test_what_an_object_merely_holds_costs_no_call_of_graphql_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    execute = BoundedExecutor.execute_field

    def noted(self: Any, parent: Any, source: Any, details: Any, *more: Any) -> Any:
        asked.append(details[0].node.name.value)
        return execute(self, parent, source, details, *more)

    monkeypatch.setattr(BoundedExecutor, "execute_field", noted)
    with GraphTest(graph) as test:
        test.ask("{ thing { text count share yes id shout closed } }")
    assert asked == ["thing", "shout", "closed"]


def test_a_graphs_own_way_of_reading_objects_is_kept() -> None:
    config = StrawberryConfig(default_resolver=lambda source, name: f"own {name}")
    own = Graph(query=Query, config=config)
    with GraphTest(own) as test:
        assert test.ask("{ thing { text } }")["data"] == {"thing": {"text": "own text"}}


def test_objects_of_other_classes_are_shown_too() -> None:
    @strawberry.type
    class Other:
        @strawberry.field
        def thing(self) -> Thing | None:
            found: Any = SimpleNamespace(text="t", count=3)
            return found

    with GraphTest(Graph(query=Other)) as test:
        assert test.ask("{ thing { text count } }")["data"] == {"thing": {"text": "t", "count": 3}}
