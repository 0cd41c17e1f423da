"""What Strawberry documents for fields works on declared ones."""

from typing import Annotated, Any, Generic, Optional, TypeVar

import pytest
import strawberry
from strawberry.directive import DirectiveLocation, DirectiveValue
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission
from strawberry.schema_directive import Location

from plait import Backend, Graph, arg, discriminator, prop, this
from plait.testing import GraphTest

b = Backend("b", "http://b.test")
get_row = b.get("/rows/{id}")
list_rows = b.get("/rows")
get_box = b.get("/boxes/{kind}")
get_holder = b.get("/holder")
T = TypeVar("T")


@strawberry.schema_directive(locations=[Location.FIELD_DEFINITION])
class Owner:
    team: str


@strawberry.directive(locations=[DirectiveLocation.FIELD])
def upper(value: DirectiveValue[str]) -> str:
    return value.upper()


class Twice(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        found = next_(source, info, **kwargs)
        return found * 2 if isinstance(found, str) else found


class TwiceLater(FieldExtension):
    async def resolve_async(
        self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any
    ) -> Any:
        found = await next_(source, info, **kwargs)
        return {**found, "name": found["name"] * 2}


class Nobody(BasePermission):
    message = "Nobody may."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return False


@strawberry.interface
class Node:
    id: strawberry.ID
    parent: Optional["Node"] = get_row(id=this.parentId)

    @strawberry.field
    def label(self) -> str:
        return f"node {self.id}"


@strawberry.type
@discriminator("kind", "a")
class A(Node):
    name: str | None
    twice: str | None = prop("name", extensions=[Twice()])
    old: str | None = prop("name", deprecation_reason="Use name.")
    secret: str | None = prop("name", permission_classes=[Nobody])
    owned: str | None = prop("name", directives=[Owner(team="a")])

    @strawberry.field
    def loud(root: strawberry.Parent["A"]) -> str:
        return (root.name or "").upper()


@strawberry.type
@discriminator("kind", "b")
class B(Node):
    size: int | None


@strawberry.type
class Box(Generic[T]):
    content: T
    again: T | None = get_row(id=this.content.id)


@strawberry.type
class Holder:
    lazy: Annotated["A", strawberry.lazy("tests.graph.test_facilities")] | None = get_row(
        id=this.aId
    )


@strawberry.type
class Query:
    nodes: list[Node] = list_rows(directives=[Owner(team="a")])
    a: A | None = get_row(
        id=arg(strawberry.ID, "1", description="Which one.", deprecation_reason="Only one."),
        name="theA",
        description="An A.",
        deprecation_reason="Use nodes.",
    )
    later: A | None = get_row(id=arg(strawberry.ID), extensions=[TwiceLater()])
    box: Box[A] | None = get_box(kind="a")
    other_box: Box[B] | None = get_box(kind="b")
    holder: Holder | None = get_holder()


graph = Graph(query=Query, types=[A, B], directives=[upper])
ROW_A = {"id": 1, "kind": "a", "name": "x", "parentId": 2}
ROW_B = {"id": 2, "kind": "b", "size": 3}
SCRIPT = {
    "GET /rows": [ROW_A, ROW_B],
    "GET /rows/1": ROW_A,
    "GET /rows/2": ROW_B,
    "GET /boxes/a": {"content": ROW_A},
    "GET /boxes/b": {"content": ROW_B},
    "GET /holder": {"aId": 1},
}


@pytest.mark.parametrize(
    ("query", "data"),
    [
        (
            "{ nodes { __typename label parent { id label } ... on A { name loud } } }",
            {
                "nodes": [
                    {
                        "__typename": "A",
                        "label": "node 1",
                        "parent": {"id": "2", "label": "node 2"},
                        "name": "x",
                        "loud": "X",
                    },
                    {"__typename": "B", "label": "node 2", "parent": None},
                ]
            },
        ),
        ("{ theA { name @upper also: name } }", {"theA": {"name": "X", "also": "x"}}),
        ("{ theA { twice old owned } }", {"theA": {"twice": "xx", "old": "x", "owned": "x"}}),
        ("{ later(id: 1) { name twice } }", {"later": {"name": "xx", "twice": "xxxx"}}),
        (
            "{ box { content { loud } again { name } } otherBox { again { size } } }",
            {
                "box": {"content": {"loud": "X"}, "again": {"name": "x"}},
                "otherBox": {"again": {"size": 3}},
            },
        ),
        ("{ holder { lazy { name } } }", {"holder": {"lazy": {"name": "x"}}}),
    ],
)
def test_a_declared_field_is_a_field_like_any_other(query: str, data: Any) -> None:
    with GraphTest(graph, b=SCRIPT) as test:
        assert test.ask(query) == {"data": data}


def test_a_permission_that_refuses_is_told_in_its_words() -> None:
    with GraphTest(graph, b=SCRIPT) as test:
        answer = test.ask("{ theA { secret name } }")
    assert answer["data"] == {"theA": {"secret": None, "name": "x"}}
    assert [one["message"] for one in answer["errors"]] == ["Nobody may."]


def test_what_is_said_of_a_declared_field_is_in_the_schema() -> None:
    sdl = graph.sdl
    assert 'nodes: [Node!]! @owner(team: "a")' in sdl
    assert 'owned: String @owner(team: "a")' in sdl
    assert 'old: String @deprecated(reason: "Use name.")' in sdl
    assert '"""An A."""\n  theA(' in sdl
    assert '"""Which one."""\n    id: ID! = 1 @deprecated(reason: "Only one.")' in sdl
    assert '): A @deprecated(reason: "Use nodes.")' in sdl
    assert "type ABox" in sdl


def test_a_property_with_an_extension_reads_as_the_graph_that_executes_declares_it() -> None:
    strict = Backend("s", "http://s.test", strict=True)
    get_strict = strict.get("/row")

    @strawberry.type
    class Shared:
        id: int | None
        name: str | None = prop("name", extensions=[Twice()])

    def root(endpoint: Any) -> type:
        @strawberry.type(name="Query")
        class Root:
            row: Shared | None = endpoint()

        return Root

    lax = Graph(query=root(b.get("/row")))
    made = Graph(query=root(get_strict))
    with GraphTest(lax, b={"GET /row": {}}) as first, GraphTest(made, s={"GET /row": {}}) as second:
        assert first.ask("{ row { name } }") == {"data": {"row": {"name": None}}}
        (error,) = second.ask("{ row { name } }")["errors"]
        assert error["extensions"]["code"] == "BAD_BACKEND_RESPONSE"
        assert first.ask("{ row { name } }") == {"data": {"row": {"name": None}}}


def test_all_resolvers_of_a_row_at_one_place_have_one_self() -> None:
    @strawberry.type
    class Counted:
        id: int

        @strawberry.field
        def first(self) -> int:
            self.id += 10
            return self.id

        @strawberry.field
        async def second(self) -> int:
            self.id += 10
            return self.id

    @strawberry.type
    class Root:
        row: Counted | None = b.get("/counted/{id}")(id=arg(int))
        rows: list[Counted] = b.get("/counted")()

    script = {"GET /counted/1": {"id": 1}, "GET /counted": [{"id": 1}, {"id": 2}]}
    with GraphTest(Graph(query=Root), b=script) as test:
        answer = test.ask(
            "{ a: row(id: 1) { first second id } b: row(id: 1) { first } rows { second first } }"
        )
    # Another place has another, though the row is the same.
    assert answer["data"] == {
        "a": {"first": 11, "second": 21, "id": 1},
        "b": {"first": 11},
        "rows": [{"second": 21, "first": 11}, {"second": 22, "first": 12}],
    }
