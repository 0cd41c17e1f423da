"""Connections are shown by compiled code as the executor shows them: pages, cursors, and what hangs
on their rows."""

import base64
import json
from typing import Any

import pytest
import strawberry

from plait import (
    Backend,
    Connection,
    Graph,
    arg,
    by_ids,
    cursor_pages,
    offsets,
    page_numbers,
    this,
)
from plait.events import PropertyAbsent
from plait.testing import GraphTest, Sent, reply
from tests.query.test_compile import asked, encoded, sights

b = Backend("b", "http://b.test")
get_thing = b.get("/things/{id}", batch=by_ids("/things"))
list_things = b.get("/all", pages=cursor_pages(items="items", next="next"))
list_offset = b.get("/offset", pages=offsets(items="rows", total="n"))
list_numbers = b.get("/numbers", pages=page_numbers(items="rows", total="n"))
items_of = b.get("/owners/{owner}/items", pages=cursor_pages(items="items", next="next"))


@strawberry.type
class Thing:
    id: int
    name: str
    friend: "Thing | None" = get_thing(id=this.friendId)
    items: Connection["Thing"] | None = items_of.connection(owner=this.id)


@strawberry.type
class Query:
    things: Connection[Thing] = list_things.connection()
    maybe: Connection[Thing] | None = list_things.connection()
    offset: Connection[Thing] = list_offset.connection()
    numbers: Connection[Thing] = list_numbers.connection()
    thing: Thing | None = get_thing(id=arg(int))


graph = Graph(query=Query)


def row(id: int, **more: Any) -> dict[str, Any]:
    return {"id": id, "name": f"n{id}", "friendId": id + 10, **more}


def page(*ids: int, next: Any = None, **more: Any) -> dict[str, Any]:
    return {"items": [row(id) for id in ids], "next": next, **more}


def counted(sent: Sent) -> Any:
    return {"rows": [row(id) for id in range(1, 4)], "n": 7}


def cursor(place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


ALL = "nodes { id name } edges { cursor node { name } } totalCount"
INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
FIRST = {"GET /all?cursor=c&limit=20": page(3), "GET /all?limit=20": page(1, 2, next="c")}
FRIENDS = {"GET /things?id=11&id=12": [row(11), row(12)]}


@pytest.mark.parametrize(
    ("document", "script", "way"),
    [
        (f"{{ things {{ {ALL} {INFO} }} }}", FIRST, "code"),
        ("{ things(first: 1) { nodes { id } pageInfo { endCursor hasNextPage } } }",
         {"GET /all?limit=1": page(1, next="c")}, "code"),
        (f'{{ things(after: "{cursor(["c", 0, None])}") {{ {ALL} {INFO} }} }}', FIRST, "code"),
        ("{ a: things { nodes { id } } b: things { edges { node { name } } } }", FIRST, "code"),
        ("{ things { a: nodes { id } b: nodes { x: name y: name } } }", FIRST, "code"),
        ("{ things { __typename nodes { __typename } edges { __typename } } }", FIRST, "code"),
        ("{ things { nodes { friend { name } } } }", FIRST | FRIENDS, "code"),
        ("{ things { edges { node { friend { name } } } nodes { friend { id } } } }",
         FIRST | FRIENDS, "code"),
        ("{ thing(id: 5) { items(first: 2) { nodes { id friend { name } } } } }",
         {"GET /things/5": row(5), "GET /owners/5/items?limit=2": page(1, 2)} | FRIENDS, "code"),
        ("{ thing(id: 5) { items { nodes { id } } } }", {"GET /things/5": reply(status=404),
         "GET /owners/5/items?limit=20": page(1)}, "code"),
        (f"{{ offset {{ {ALL} {INFO} }} }}", {"GET /offset?offset=0&limit=20": counted}, "code"),
        (f"{{ numbers(first: 3) {{ {ALL} {INFO} }} }}",
         {"GET /numbers?page=1&per_page=3": counted}, "code"),
        ("{ things { nodes { id } } }", {"GET /all?limit=20": page()}, "code"),
        # What failed and may be null is null; everything else unusual is graphql-core's.
        ("{ maybe { nodes { id } } }", {"GET /all?limit=20": reply(status=503)}, "failed"),
        ("{ things { nodes { id } } }", {"GET /all?limit=20": reply(status=503)}, "failed"),
        ("{ maybe { nodes { id } } }", {"GET /all?limit=20": reply(status=404)}, "code"),
        ("{ maybe { nodes { id } } }", {"GET /all?limit=20": {"rows": []}}, "left"),
        ("{ things { nodes { id } } }", {"GET /all?limit=20": {"items": {}}}, "left"),
        ("{ things { nodes { name } } }", {"GET /all?limit=20": {"items": [{"id": 1}]}}, "left"),
        ("{ things { nodes { id } } }", {"GET /all?limit=20": {"items": [None]}}, "left"),
        ("{ things(first: -1) { nodes { id } } }", {}, "left"),
        ('{ things(after: "no cursor") { nodes { id } } }', {}, "left"),
    ],
)  # fmt: skip
def test_both_answers_are_the_same(document: str, script: Any, way: str) -> None:
    for times in (1, 25):  # the first rows are looked at more closely
        expected, found, who, _ = asked(script, document, times=times, graph=graph)
        assert found == expected
        assert who == way


def test_variables_say_which_page() -> None:
    document = """query ($first: Int, $after: String) {
        things(first: $first, after: $after) { nodes { id } pageInfo { hasNextPage } } }"""
    script = {"GET /all?cursor=c&limit=1": page(3, 4), "GET /all?limit=20": page(1, 2, next="c")}
    given = {"first": 1, "after": cursor(["c", 0, None])}
    for variables in (None, given, {"first": 0}):
        expected, found, who, calls = asked(
            script | {"GET /all?limit=1": page(1, next="c")}, document, variables, graph=graph
        )
        assert (found, who, len(calls)) == (expected, "code", 1)


def test_cursors_count_as_part_of_the_answer() -> None:
    long = "c" * 1_900
    script = {f"GET /all?cursor={long}&limit=100": page(*range(100))}
    many = " ".join(f"e{number}: edges {{ cursor }}" for number in range(60))
    document = f'{{ things(first: 100, after: "{cursor([long, 0, 100])}") {{ {many} }} }}'
    with encoded() as sizes:
        expected, found, who, _ = asked(script, document, graph=graph)
    assert max(sizes, default=0) < 1_000_000  # it is not even made
    assert found == expected
    assert found["errors"][0]["extensions"]["limit"] == "answer_bytes_max"
    assert who == "left"


def test_what_the_rows_of_pages_lack_is_told() -> None:
    rows = {"items": [{"id": 1, "nname": "a"}, {"id": 2, "nname": "b"}], "next": None}
    with sights(0), GraphTest(Graph(query=Query), b={"GET /all?limit=20": rows}) as test:
        test.ask("{ maybe { nodes { id } } }")
        told = [one for one in test.events if isinstance(one, PropertyAbsent)]
    assert [(one.field, one.property, one.nearest, one.rows) for one in told] == [
        ("Thing.name", "name", "nname", 2)
    ]
