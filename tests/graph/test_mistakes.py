"""Mistakes in a graph are told all at once, with place and remedy."""

from pathlib import Path
from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, GraphError, arg, by_ids, grouped, this

backend = Backend("things", "http://things.test")
get_thing = backend.get("/things/{id}", batch=by_ids("/things"))
list_parts = backend.get("/things/{id}/parts", batch=grouped("/parts", key="thingId"))
make_thing = backend.post("/things")


def mistakes(query: type, **options: Any) -> list[str]:
    with pytest.raises(GraphError) as caught:
        Graph(query=query, **options)
    assert all(Path(one.file).name == Path(__file__).name for one in caught.value.mistakes)
    assert all(one.line > 0 for one in caught.value.mistakes)
    return [f"{one.where}: {one.problem} {one.remedy}" for one in caught.value.mistakes]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    @strawberry.type
    class Thing:
        id: strawberry.ID
        wrong: str = get_thing(idd=this.id)
        single: str = list_parts(id=this.id)

    @strawberry.type
    class Query:
        things: list[Thing] = get_thing(id=arg(strawberry.ID))
        lost: Thing | None = get_thing(id=this.id)
        listed: Thing | None = get_thing(id=arg(list[strawberry.ID]))
        written: Thing | None = make_thing.field(body=arg(str))

    found = mistakes(Query)
    expected = [
        ("Thing.wrong", "has no parameter 'idd'", "Did you mean 'id'?"),
        ("Thing.wrong", "Nothing is bound to the parameter 'id'", "id=this.id"),
        ("Thing.single", "gives each key a list of rows", "list[...]"),
        ("Query.things", "has one row for each key", ".many("),
        ("Query.lost", "Query has no row to read it from", "id=arg("),
        ("Query.listed", "A list is bound to 'id'", ".many(id=arg(list[...]))"),
        ("Query.written", "only fields of Mutation may write", "read_by_post"),
    ]
    assert len(found) == len(expected)
    for text, (where, problem, remedy) in zip(found, expected, strict=True):
        assert text.startswith(where)
        assert problem in text
        assert remedy in text


def test_two_backends_of_one_name_and_a_url_that_is_none_are_mistakes() -> None:
    twin = Backend("things", "ftp://things.test")

    @strawberry.type
    class Query:
        thing: str | None = twin.get("things/{id}")(id=arg(strawberry.ID))

    found = "\n".join(mistakes(Query, backends=[backend]))
    assert "2 backends are named 'things'" in found
    assert "does not start with http://" in found
    assert "a path starts with '/'" in found


def test_an_annotation_that_names_no_type_is_a_mistake() -> None:
    @strawberry.type
    class Query:
        thing: "Nowhere | None" = get_thing(id=arg(strawberry.ID))  # type: ignore[name-defined]  # noqa: F821

    assert "names no type" in mistakes(Query)[0]
