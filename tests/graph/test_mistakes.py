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
        wrong: "Thing | None" = get_thing(idd=this.id)
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


def test_a_field_that_is_taken_for_the_endpoint_of_its_name_says_so() -> None:
    thing = get_thing

    @strawberry.type
    class Thing:
        id: strawberry.ID

    with pytest.raises(TypeError, match=r"a field of the class that shows 'GET /things/\{id\}'"):

        class Query:
            thing: Thing = get_thing(id=arg(strawberry.ID))
            other: Thing = thing(id=1)

    assert thing is get_thing


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


def only(query: type, **options: Any) -> str:
    (found,) = mistakes(query, **options)
    return found


@strawberry.type
class Thing:
    id: strawberry.ID


def test_options_that_cannot_be_are_mistakes_and_no_tracebacks() -> None:
    odd: Any = Backend(
        "odd", "http://odd.test", timeout=3, connections=0, timeout_s=-1, redirects=True
    )
    get_odd = odd.get(
        "/{id}", ttl_s=-5, tll_s=5, required=["page"], batch=by_ids("/", id_type="int", size=0)
    )

    @strawberry.type
    class Query:
        thing: Thing | None = get_odd(id=arg(strawberry.ID))

    found = "\n".join(mistakes(Query))
    for words in (
        "There is no option 'timeout'. Did you mean 'timeout_s'?",
        "connections=0 cannot be. Make it a whole number above 0.",
        "timeout_s=-1 cannot be. Make it a number of seconds above 0.",
        "redirects=True cannot be.",
        "ttl_s=-5 cannot be. Make it a number of seconds, 0 or more.",
        "There is no option 'tll_s'. Did you mean 'ttl_s'?",
        "id_type='int' cannot be. Make it the type int or str, without quotes.",
        "size=0 cannot be.",
        "required names 'page', which is no parameter.",
    ):
        assert words in found


def test_an_object_annotated_as_a_single_value_is_a_mistake() -> None:
    @strawberry.type
    class Query:
        thing: str = get_thing(id=arg(strawberry.ID))

    assert "GET /things/{id} has rows with properties" in only(Query)


def test_an_endpoint_that_is_not_called_is_a_mistake() -> None:
    @strawberry.type
    class Query:
        thing: Thing | None = get_thing  # type: ignore[assignment]

    assert "Call it: thing = endpoint(...)" in only(Query)


def test_a_write_where_a_field_should_be_is_a_mistake() -> None:
    @strawberry.type
    class Query:
        thing: Thing | None = make_thing(body=1)  # type: ignore[assignment]

    assert "Only fields of Mutation may write" in only(Query)


@pytest.mark.parametrize("type_", [strawberry.ID, int, list[int]])
def test_a_type_in_place_of_a_value_is_a_mistake(type_: Any) -> None:
    @strawberry.type
    class Query:
        thing: Thing | None = get_thing(id=type_)

    assert "write id=arg(" in only(Query)


@pytest.mark.parametrize("fallback", ["oops", 5, {}])
def test_a_fallback_of_another_type_is_a_mistake(fallback: Any) -> None:
    @strawberry.type
    class Query:
        parts: list[Thing] = list_parts(id=arg(strawberry.ID), fallback=fallback)

    assert f"The fallback {fallback!r} is no value" in only(Query)


def test_a_fallback_of_the_right_type_is_none() -> None:
    @strawberry.type
    class Query:
        parts: list[Thing] = list_parts(id=arg(strawberry.ID), fallback=[])
        thing: Thing | None = get_thing(id=arg(strawberry.ID), fallback={"id": 1})

    Graph(query=Query)


def test_a_required_query_parameter_left_unbound_is_a_mistake() -> None:
    search = backend.get("/search", query=("text",), required=("text",))

    @strawberry.type
    class Query:
        things: list[Thing] = search()

    assert "Nothing is bound to the parameter 'text' of GET /search" in only(Query)


def test_this_inside_the_body_of_a_root_field_is_a_mistake() -> None:
    find = backend.read_by_post("/find")

    @strawberry.type
    class Query:
        things: list[Thing] = find(body={"owner": {"id": this.ownerId}})

    assert "Query has no row to read it from" in only(Query)


def test_a_path_with_other_letters_than_ascii_is_a_mistake() -> None:
    @strawberry.type
    class Query:
        thing: Thing | None = backend.get("/dinge/größe")()

    assert "a path is ASCII" in only(Query)


def test_a_circle_of_types_without_lazy_is_a_mistake_that_names_lazy() -> None:
    @strawberry.type
    class Query:
        thing: "Elsewhere"  # type: ignore[name-defined]  # noqa: F821

    assert "strawberry.lazy breaks import cycles" in only(Query)
