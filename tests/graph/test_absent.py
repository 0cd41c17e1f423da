"""A property that a row lacks is null; one that no row has is said to the graph's author."""

import dataclasses
import inspect
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

import pytest
import strawberry
from strawberry.permission import BasePermission

from plait import Backend, Graph, discriminator, prop, this
from plait.events import PropertyAbsent, RequestFinished
from plait.graph.absent import ROWS_WATCHED
from plait.testing import GraphTest
from tests.query.test_compile import sights

b = Backend("b", "http://b.test")
list_articles = b.get("/articles")
list_events = b.get("/events")
get_user = b.get("/users/{id}")
list_strictly = b.get("/strict", strict=True)
list_shapes = b.get("/shapes")
update = b.put("/articles/{id}")


@strawberry.type
class User:
    id: strawberry.ID


@strawberry.type
class Author:
    full_name: str | None


@strawberry.type
class Article:
    id: strawberry.ID
    title: str | None = prop("titel")
    author: Author | None
    sub_title: str | None
    tags: list[str] = strawberry.field(default_factory=list)
    stars: int | None = 3
    links: list[str] = dataclasses.field(default_factory=lambda: ["/"])
    user: User | None = get_user(id=this.userID)


@strawberry.type
class Strict:
    id: int
    name: str | None
    deep: str | None = prop("deep.er")
    tags: list[str] = strawberry.field(default_factory=list)
    hidden: strawberry.Private[str | None]
    user: User | None = get_user(id=this.userId)

    @strawberry.field
    def shout(self) -> str:
        return (self.name or "nobody").upper()


@strawberry.type
@discriminator("kind", "round")
class Round:
    radius: int | None = prop("radios")


@strawberry.type
@discriminator("kind", "square")
class Square:
    side: int | None


class Named(BasePermission):
    message = "Not for you."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        source.tags.append("changed by a permission")
        return bool(source.name == "n")


@strawberry.type
class Event:
    id: strawberry.ID
    name: str
    tags: list[str] = strawberry.field(default_factory=list)
    own_tags: list[str] = prop("tags", permission_classes=(Named,))
    owner_id: strawberry.Private[str]
    day: strawberry.Private[date]
    amount: strawberry.Private[int] = 7

    @strawberry.field
    def line(self) -> str:
        return f"{self.owner_id} on {self.day.year} for {self.amount}"

    @strawberry.field
    def called(self) -> str:
        return self.name


Shape = Annotated[Round | Square, strawberry.union("Shape")]


@strawberry.type
class Query:
    articles: list[Article] = list_articles()
    events: list[Event] = list_events()
    strict: list[Strict] = list_strictly()
    shapes: list[Shape] = list_shapes()


def ask(query: str, warnings: bool = True, **script: Any) -> tuple[dict[str, Any], list[Any]]:
    made = Graph(query=Query)
    routes = {f"GET /{name}": value for name, value in script.items()}
    routes["GET /users/7"] = {"id": 7}
    with GraphTest(made, b=routes) as test:
        headers = {"x_plait_warnings": "1"} if warnings else {}
        answer = test.ask(query, **headers)
    return answer, [one for one in test.events if isinstance(one, PropertyAbsent)]


def warned(answer: Mapping[str, Any]) -> Any:
    return answer.get("extensions", {}).get("plait", {}).get("warnings")


def test_a_typing_mistake_is_told_with_the_nearest_name() -> None:
    answer, told = ask("{ articles { title } }", articles=[{"id": 1, "title": "T"}] * 2)
    assert answer["data"] == {"articles": [{"title": None}] * 2}
    assert warned(answer) == [
        "Article.title reads 'titel', which no row of GET /articles of 'b' has had (2 seen). "
        "Did you mean 'title'?"
    ]
    (event,) = told
    assert (event.field, event.property, event.nearest) == ("Article.title", "titel", "title")
    assert (event.backend, event.endpoint, event.rows) == ("b", "GET /articles", 2)
    lines = inspect.getsource(inspect.getmodule(Query) or Query).splitlines()
    assert event.file == __file__
    assert 'prop("titel")' in lines[event.line - 1]


def test_what_this_names_is_looked_at_too() -> None:
    answer, told = ask("{ articles { user { id } } }", articles=[{"userId": 7}])
    assert answer["data"] == {"articles": [{"user": None}]}
    assert [(one.field, one.property, one.nearest) for one in told] == [
        ("Article.user", "userID", "userId")
    ]


def test_it_is_told_once_and_shown_to_who_asks() -> None:
    with GraphTest(Graph(query=Query), b={"GET /articles": [{"title": "T"}]}) as test:
        for _ in range(3):
            assert warned(test.ask("{ articles { title } }")) is None
        shown = [test.ask("{ articles { title } }", x_plait_warnings="1") for _ in range(2)]
        assert all(len(warned(one)) == 1 for one in shown)
    assert len([one for one in test.events if isinstance(one, PropertyAbsent)]) == 1


def test_it_is_told_by_compiled_code_too() -> None:
    with (
        sights(0),
        GraphTest(Graph(query=Query), b={"GET /articles": [{"id": 1, "title": "A"}] * 3}) as test,
    ):
        for _ in range(2):
            answer = test.ask("{ articles { id title } }")
            assert answer == {"data": {"articles": [{"id": "1", "title": None}] * 3}}
    told = [one for one in test.events if isinstance(one, PropertyAbsent)]
    assert [(one.field, one.nearest) for one in told] == [("Article.title", "title")]
    by = [one.executed_by for one in test.events if isinstance(one, RequestFinished)]
    assert by == ["compiled"] * 2


def test_a_property_that_some_rows_leave_out_is_null_and_no_mistake() -> None:
    rows = [{"title": "T"}, {"titel": "U"}]
    answer, told = ask("{ articles { title } }", articles=rows)
    assert answer["data"] == {"articles": [{"title": None}, {"title": "U"}]}
    assert told == []
    # What is null is there.
    answer, told = ask("{ articles { title } }", articles=[{"title": "T", "titel": None}])
    assert told == []


def test_a_name_that_another_field_reads_is_not_what_was_meant() -> None:
    answer, told = ask("{ articles { subTitle } }", articles=[{"id": 1, "titel": "T"}])
    assert answer["data"] == {"articles": [{"subTitle": None}]}
    assert told == []


def test_objects_inside_rows_and_kinds_of_rows_are_looked_at() -> None:
    _, told = ask("{ articles { author { fullName } } }", articles=[{"author": {"fulName": "A"}}])
    assert [(one.field, one.nearest) for one in told] == [("Author.full_name", "fulName")]
    shapes = [{"kind": "square", "radius": 1}, {"kind": "round", "radius": 2}]
    _, told = ask("{ shapes { ... on Round { radius } } }", shapes=shapes)
    assert [(one.field, one.nearest, one.rows) for one in told] == [("Round.radius", "radius", 1)]


def test_only_the_first_rows_are_looked_at() -> None:
    rows = [{"titel": None}] * ROWS_WATCHED + [{"title": "T"}] * 5
    _, told = ask("{ articles { title } }", articles=rows)
    assert told == []
    made = Graph(query=Query)
    watch = made.schema.watch(list_articles.spec, "Article")
    watch.see([{"titel": None}] * (ROWS_WATCHED - 1))
    assert watch.is_open
    watch.see([{"titel": None}])
    assert not watch.is_open


def test_a_fields_default_stands_in_for_what_is_absent_and_not_for_null() -> None:
    query = "{ articles { tags stars links } }"
    answer, _ = ask(query, articles=[{}, {"tags": ["a"], "stars": None, "links": []}])
    assert answer["data"]["articles"] == [
        {"tags": [], "stars": 3, "links": ["/"]},
        {"tags": ["a"], "stars": None, "links": []},
    ]
    answer, _ = ask("{ articles { tags } }", articles=[{"tags": None}])
    assert answer["errors"][0]["extensions"]["code"] == "BAD_BACKEND_RESPONSE"


@pytest.mark.parametrize(
    ("query", "row", "path", "wording"),
    [
        ("{ strict { name } }", {"id": 1}, ["strict", 0, "name"], "'name'"),
        ("{ strict { n: name } }", {"id": 1}, ["strict", 0, "n"], "'name'"),
        ("{ strict { deep } }", {"deep": {}}, ["strict", 0, "deep"], "'deep.er'"),
        ("{ strict { shout } }", {"id": 1}, ["strict", 0, "shout"], "'name'"),
        ("{ strict { user { id } } }", {"id": 1}, ["strict", 0, "user"], "'userId'"),
        (
            "{ strict { ...F } } fragment F on Strict { name }",
            {"id": 1},
            ["strict", 0, "name"],
            "'name'",
        ),
    ],
)
def test_a_strict_endpoints_row_must_have_what_is_read(
    query: str, row: Any, path: list[Any], wording: str
) -> None:
    answer, _ = ask(query, strict=[row])
    (error,) = answer["errors"]
    assert error["path"] == path
    assert f"it has no property {wording}" in error["message"]
    shown = error["extensions"]
    assert (shown["code"], shown["backend"], shown["endpoint"]) == (
        "BAD_BACKEND_RESPONSE",
        "b",
        "GET /strict",
    )


def test_a_strict_endpoints_null_is_null_and_defaults_hold() -> None:
    row = {"id": 1, "name": None, "deep": None, "userId": None}
    answer, _ = ask("{ strict { id name deep tags shout user { id } } }", strict=[row])
    assert "errors" not in answer
    assert answer["data"]["strict"] == [
        {"id": 1, "name": None, "deep": None, "tags": [], "shout": "NOBODY", "user": None}
    ]
    # What was not asked for may be absent.
    answer, _ = ask("{ strict { id } }", strict=[{"id": 1}])
    assert answer["data"] == {"strict": [{"id": 1}]}


def test_a_strict_backend_holds_for_its_endpoints_unless_they_say_otherwise() -> None:
    strict = Backend("s", "http://s.test", strict=True)
    get_one, get_other = strict.get("/one"), strict.get("/other", strict=False)

    @strawberry.type
    class Thing:
        name: str | None

    @strawberry.type
    class Query:
        one: Thing | None = get_one()
        other: Thing | None = get_other()

    with GraphTest(Graph(query=Query), s={"GET /one": {}, "GET /other": {}}) as test:
        answer = test.ask("{ one { name } other { name } }")
    assert [one["path"] for one in answer["errors"]] == [["one", "name"]]
    assert answer["data"] == {"one": {"name": None}, "other": {"name": None}}


def test_private_attributes_hold_the_rows_properties() -> None:
    row = {"id": 1, "ownerId": "u1", "day": "2026-11-25", "name": "n"}
    answer, _ = ask("{ events { line } }", events=[row, {**row, "amount": 9}])
    lines = [one["line"] for one in answer["data"]["events"]]
    assert lines == ["u1 on 2026 for 7", "u1 on 2026 for 9"]


@pytest.mark.parametrize(
    ("query", "row"),
    [
        ("{ events { line } }", {"ownerId": 5, "day": "2026-11-25"}),
        ("{ events { line } }", {"ownerId": "u1", "day": "yesterday"}),
        ("{ events { called } }", {"name": None}),
        ("{ events { called } }", {"name": ["n"]}),
    ],
)
def test_an_attribute_that_the_row_has_wrong_is_the_backends_fault(query: str, row: Any) -> None:
    answer, _ = ask(query, events=[row])
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BAD_BACKEND_RESPONSE"
    assert error["extensions"]["endpoint"] == "GET /events"


def test_a_permission_gets_an_object_of_the_class_and_cannot_change_the_row() -> None:
    row = {"id": 1, "name": "n", "tags": ["a"]}
    answer, _ = ask("{ events { ownTags again: ownTags tags } }", events=[row])
    assert answer["data"]["events"] == [{"ownTags": ["a"], "again": ["a"], "tags": ["a"]}]
    answer, _ = ask("{ events { ownTags } }", events=[{**row, "name": "other"}])
    assert answer["errors"][0]["message"] == "Not for you."
