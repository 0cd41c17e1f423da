"""Declared fields are Strawberry fields like any other."""

from collections.abc import Mapping
from typing import Any

import pytest
import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission

from plait import Backend, Graph, arg, prop, this
from plait.testing import GraphTest, reply

b = Backend("b", "http://b.test")
get_row = b.get("/rows/{id}")
list_rows = b.get("/rows")


class Later(BasePermission):
    """Decides after an await, by the row where there is one, else by the argument."""

    message = "Not for you."

    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return kwargs.get("id") != "2" and getattr(source, "id", None) != 3


class AtOnce(BasePermission):
    message = "Not for you."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return kwargs.get("id") != "2" and getattr(source, "id", None) != 3


class Loud(FieldExtension):
    async def resolve_async(
        self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any
    ) -> Any:
        row = await next_(source, info, **kwargs)
        return {**row, "name": row["name"].upper()}


@strawberry.type
class Row:
    id: int
    name: str | None
    later: str | None = prop("name", permission_classes=(Later,))
    at_once: str | None = prop("name", permission_classes=(AtOnce,))
    parent_later: "Row | None" = get_row(id=this.parentId, permission_classes=(Later,))
    parent_at_once: "Row | None" = get_row(id=this.parentId, permission_classes=(AtOnce,))


@strawberry.type
class Query:
    later: Row | None = get_row(id=arg(strawberry.ID), permission_classes=(Later,))
    at_once: Row | None = get_row(id=arg(strawberry.ID), permission_classes=(AtOnce,))
    rows_later: list[Row] | None = list_rows(permission_classes=(Later,))


graph = Graph(query=Query)
SCRIPT: Mapping[str, Any] = {
    "GET /rows/1": {"id": 1, "name": "one", "parentId": 4},
    "GET /rows/3": {"id": 3, "name": "three", "parentId": 4},
    "GET /rows/4": {"id": 4, "name": "four", "parentId": None},
    "GET /rows": [{"id": 1, "name": "one"}],
}


@pytest.mark.parametrize("when", ["later", "atOnce"])
def test_a_permission_may_decide_at_once_or_later(when: str) -> None:
    parent = "parent" + when[0].upper() + when[1:]
    with GraphTest(graph, b=SCRIPT) as test:
        shown = f"{{ id {when} {parent} {{ id {parent} {{ id }} }} }}"
        assert test.ask(f"{{ {when}(id: 1) {shown} }}") == {
            "data": {when: {"id": 1, when: "one", parent: {"id": 4, parent: None}}}
        }
        refused = test.ask(f"{{ {when}(id: 2) {shown} }}")
        assert refused["data"] == {when: None}
        assert refused["errors"][0]["message"] == "Not for you."
        inside = test.ask(f"{{ {when}(id: 3) {shown} }}")
        assert inside["data"] == {when: {"id": 3, when: None, parent: None}}
        assert len(inside["errors"]) == 2
        assert "GET /rows/2" not in test.calls["b"]


def test_a_list_may_have_one_that_decides_later() -> None:
    with GraphTest(graph, b=SCRIPT) as test:
        assert test.ask("{ rowsLater { id } }") == {"data": {"rowsLater": [{"id": 1}]}}


def test_an_extension_may_wait_for_the_row() -> None:
    field = get_row(id=arg(strawberry.ID))
    field.extensions = [Loud()]

    @strawberry.type(name="Query")
    class Root:
        row: Row | None = field

    with GraphTest(Graph(query=Root), b=SCRIPT) as test:
        assert test.ask("{ row(id: 1) { name } }") == {"data": {"row": {"name": "ONE"}}}


def test_two_graphs_may_share_their_types() -> None:
    strict = Graph(query=Query)
    with GraphTest(graph, b=SCRIPT) as first, GraphTest(strict, b={"GET /rows/1": {}}) as second:
        assert first.ask("{ later(id: 1) { id } }") == {"data": {"later": {"id": 1}}}
        assert second.ask("{ later(id: 1) { id } }")["data"] == {"later": None}
        assert first.ask("{ later(id: 1) { id } }") == {"data": {"later": {"id": 1}}}
    resolvers = [
        one.schema.resolver_of(field)
        for one in (graph, strict)
        for field in one.object_definitions[0].fields
        if field.python_name == "later"
    ]
    assert len({id(one.__self__) for one in resolvers}) == 2  # type: ignore[attr-defined]


def test_an_unasked_304_is_an_error_with_a_code() -> None:
    with GraphTest(graph, b={"GET /rows/1": reply(status=304)}) as test:
        (error,) = test.ask("{ later(id: 1) { id } }")["errors"]
    assert error["extensions"]["code"] == "BAD_BACKEND_RESPONSE"
    assert "304 to a call that had no condition" in error["message"]
