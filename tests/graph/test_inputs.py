"""What leaves for a backend is what the client gave, and nothing that it left out."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Any, NewType
from uuid import UUID

import pytest
import strawberry
from strawberry.relay import GlobalID
from strawberry.scalars import Base64
from strawberry.schema.config import StrawberryConfig

from plait import Backend, Graph, arg, prop, write_together
from plait.events import FieldFailed
from plait.graph.inputs import to_json
from plait.testing import GraphTest, Sent

b = Backend("b", "http://b.test")
patch = b.patch("/rows/{id}")
get_row = b.get("/row")

Money = NewType("Money", object)
MONEY = strawberry.scalar(
    name="Money", serialize=lambda value: f"{value[0]} EUR", parse_value=lambda text: (text,)
)


@strawberry.enum
class Colour(Enum):
    RED = "red"
    SEVEN = 7


@strawberry.type
class Row:
    id: int | None
    from_: str | None = strawberry.field(name="from")


@strawberry.input
class Inner:
    a: str | None
    b: int | None = 5


@strawberry.input
class Input:
    name: str | None
    mail: str | None = prop("email")
    city: str | None = prop("address.city")
    class_: str | None = strawberry.field(name="class")
    none: str | None = None
    unset: str | None = strawberry.UNSET
    maybe: strawberry.Maybe[str]
    maybe_null: strawberry.Maybe[str | None]
    inner: Inner | None
    inners: list[Inner] | None
    colour: Colour | None
    colours: list[Colour] | None
    at: dt.datetime | None
    day: dt.date | None
    amount: Decimal | None
    key: UUID | None
    blob: Base64 | None
    blobs: list[Base64] | None
    money: Money | None
    any: strawberry.scalars.JSON | None
    node: GlobalID | None


@strawberry.input(one_of=True)
class Choice:
    one: strawberry.Maybe[str]
    other: strawberry.Maybe[int]


@strawberry.type
class Query:
    row: Row | None = get_row()


@strawberry.type
class Mutation:
    parts: Row | None = patch.field(
        id=arg(strawberry.ID),
        body={
            "name": arg(str | None),
            "email": arg(str | None, None),
            "deep": {"x": arg(int | None), "y": {"z": arg(int | None)}},
            "fixed": {},
            "same": {"in": 1},
        },
    )
    whole: Row | None = patch.field(id="1", body=arg(Input))
    text: Row | None = patch.field(id="1", body=arg(str | None))
    maybe: Row | None = patch.field(id="1", body={"v": arg(strawberry.Maybe[str | None])})
    sure: Row | None = patch.field(id="1", body={"v": arg(strawberry.Maybe[str])})
    choice: Row | None = patch.field(id="1", body=arg(Choice))
    money: Row | None = patch.field(id="1", body={"money": arg(Money), "all": arg(list[Money])})

    @strawberry.mutation
    async def resolved(self, info: strawberry.Info, input: Input) -> str:
        (outcome,) = await write_together(info, patch(id="1", body=input))
        return type(outcome).__name__

    @strawberry.mutation
    async def made(self, info: strawberry.Info) -> str:
        inner = Inner(a=None)
        (outcome,) = await write_together(
            info, patch(id="1", body={"inner": inner, "gone": strawberry.UNSET})
        )
        return type(outcome).__name__

    @strawberry.mutation
    async def impossible(self, info: strawberry.Info) -> str:
        await write_together(info, patch(id="1", body={"at": object()}))
        return "never"


graph = Graph(query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map={Money: MONEY}))


def sent(mutation: str, variables: Any = None, declared: str = "") -> Any:
    """The body that left for the backend."""
    bodies: list[Any] = []

    def answer(call: Sent) -> Any:
        bodies.append(call.body)
        return {"id": 1}

    with GraphTest(graph, b={"PATCH /rows/1": answer}) as test:
        answer_ = test.ask(f"mutation {declared} {{ {mutation} }}", variables)
        assert "errors" not in answer_, answer_
    (body,) = bodies
    return body


@pytest.mark.parametrize(
    ("mutation", "body"),
    [
        ("parts(id: 1) { id }", {"fixed": {}, "same": {"in": 1}}),
        ('parts(id: 1, name: "N") { id }', {"name": "N", "fixed": {}, "same": {"in": 1}}),
        (
            "parts(id: 1, name: null, email: null) { id }",
            {"name": None, "email": None, "fixed": {}, "same": {"in": 1}},
        ),
        (
            "parts(id: 1, z: 5) { id }",
            {"deep": {"y": {"z": 5}}, "fixed": {}, "same": {"in": 1}},
        ),
        (
            "parts(id: 1, x: null) { id }",
            {"deep": {"x": None}, "fixed": {}, "same": {"in": 1}},
        ),
        ("whole(body: {}) { id }", {}),
        ("resolved(input: {})", {}),
        (
            'whole(body: {name: null, mail: null, city: "C", class: "x", none: null, unset: null}) '
            "{ id }",
            {
                "name": None,
                "email": None,
                "address": {"city": "C"},
                "class": "x",
                "none": None,
                "unset": None,
            },
        ),
        (
            'resolved(input: {mail: "m", none: "n", unset: "u"})',
            {"email": "m", "none": "n", "unset": "u"},
        ),
        ('whole(body: {maybe: "m", maybeNull: null}) { id }', {"maybe": "m", "maybeNull": None}),
        ('whole(body: {maybeNull: "m"}) { id }', {"maybeNull": "m"}),
        (
            "whole(body: {inner: {}, inners: [{a: null}, {b: null}]}) { id }",
            {"inner": {"b": 5}, "inners": [{"a": None, "b": 5}, {"b": None}]},
        ),
        ("whole(body: {inner: null, inners: null}) { id }", {"inner": None, "inners": None}),
        (
            "whole(body: {colour: RED, colours: [SEVEN, RED]}) { id }",
            {"colour": "red", "colours": [7, "red"]},
        ),
        (
            'whole(body: {at: "2026-11-25T10:00:00Z", day: "2026-11-25", amount: "19.10"}) { id }',
            {"at": "2026-11-25T10:00:00+00:00", "day": "2026-11-25", "amount": "19.10"},
        ),
        (
            'whole(body: {key: "00000000-0000-0000-0000-000000000001"}) { id }',
            {"key": "00000000-0000-0000-0000-000000000001"},
        ),
        (
            'whole(body: {blob: "YWJj", blobs: ["YWJj", "ZGVm"]}) { id }',
            {"blob": "YWJj", "blobs": ["YWJj", "ZGVm"]},
        ),
        ('whole(body: {money: "5"}) { id }', {"money": "5 EUR"}),
        (
            'money(money: "5", all: ["6", "7"]) { id }',
            {"money": "5 EUR", "all": ["6 EUR", "7 EUR"]},
        ),
        (
            'whole(body: {any: {a: [1, null, "x"]}, node: "VXNlcjox"}) { id }',
            {"any": {"a": [1, None, "x"]}, "node": "VXNlcjox"},
        ),
        ("text(body: null) { id }", None),
        ('text(body: "t") { id }', "t"),
        ("maybe { id }", {}),
        ("maybe(v: null) { id }", {"v": None}),
        ('maybe(v: "a") { id }', {"v": "a"}),
        ('choice(body: {one: "x"}) { id }', {"one": "x"}),
        ("choice(body: {other: 2}) { id }", {"other": 2}),
        ("made", {"inner": {"a": None, "b": 5}}),
    ],
)
def test_what_was_not_given_is_absent_and_null_is_null(mutation: str, body: Any) -> None:
    assert sent(mutation) == body


def test_a_variable_that_is_not_provided_is_not_given() -> None:
    declared = "($name: String, $mail: String)"
    parts = "parts(id: 1, name: $name, email: $mail) { id }"
    rest = {"fixed": {}, "same": {"in": 1}}
    assert sent(parts, {}, declared) == rest
    assert sent(parts, {"mail": None}, declared) == {"email": None, **rest}
    whole = "whole(body: {name: $name, mail: $mail}) { id }"
    assert sent(whole, {"name": "N"}, declared) == {"name": "N"}
    assert sent("whole(body: $b) { id }", {"b": {"mail": None}}, "($b: Input!)") == {"email": None}


def test_a_body_that_is_left_out_is_none() -> None:
    bodies: list[Any] = []
    with GraphTest(graph, b={"PATCH /rows/1": lambda call: bodies.append(call) or {}}) as test:
        test.ask("mutation { text { id } }")
    (call,) = bodies
    assert call.body is None
    assert "content-type" not in call.headers


def test_null_where_a_maybe_refuses_it_is_told() -> None:
    with GraphTest(graph, b={}) as test:
        (error,) = test.ask("mutation { whole(body: {maybe: null}) { id } }")["errors"]
        assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert "cannot be explicitly set to null" in error["message"]
        (error,) = test.ask("mutation { sure(v: null) { id } }")["errors"]
        assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert "cannot be explicitly set to null" in error["message"]
        query = "mutation ($b: Input!) { whole(body: $b) { id } }"
        (error,) = test.ask(query, {"b": {"maybe": None}})["errors"]
        assert error["message"] == "'maybe' may be left out, but not be null."


@pytest.mark.parametrize(
    ("declared", "body", "told"),
    [
        ("", '{one: "x", other: 2}', "must specify exactly one key"),
        ("", "{}", "must specify exactly one key"),
        ("($one: String)", "{one: $one}", "must be non-nullable"),
    ],
)
def test_one_of_several_is_one(declared: str, body: str, told: str) -> None:
    with GraphTest(graph, b={}) as test:
        document = f"mutation {declared} {{ choice(body: {body}) {{ id }} }}"
        (error,) = test.ask(document)["errors"]
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert told in error["message"]


def test_a_name_of_graphql_is_the_propertys_name_both_ways() -> None:
    with GraphTest(graph, b={"GET /row": {"from": "Bern", "from_": "no"}}) as test:
        assert test.ask("{ row { from } }") == {"data": {"row": {"from": "Bern"}}}


def test_names_as_they_are_where_the_graph_derives_none() -> None:
    @strawberry.type
    class Snake:
        full_name: str | None

    @strawberry.type(name="Query")
    class Root:
        row: Snake | None = b.get("/snake")()

    plain = Graph(query=Root, config=StrawberryConfig(auto_camel_case=False))
    with GraphTest(plain, b={"GET /snake": {"full_name": "F", "fullName": "no"}}) as test:
        assert test.ask("{ row { full_name } }") == {"data": {"row": {"full_name": "F"}}}


class Odd:
    pass


@pytest.mark.parametrize(
    "value", [object(), Odd(), {1, 2}, b"x", dt.timedelta(1), [Odd()], {"a": Odd()}, 1j]
)
def test_what_has_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="has no JSON: convert it before it is sent"):
        to_json(value)


@pytest.mark.parametrize("name", [1, None, Colour.RED, (1,)])
def test_a_name_that_is_no_text_is_refused(name: Any) -> None:
    with pytest.raises(TypeError, match="is no name in a JSON object: use a str"):
        to_json({name: 1})


def test_a_value_that_has_no_json_is_a_defect_and_sends_nothing() -> None:
    with GraphTest(graph, b={}) as test:
        (error,) = test.ask("mutation { impossible }")["errors"]
    assert error["extensions"]["code"] == "INTERNAL_ERROR"
    (failed,) = [one for one in test.events if isinstance(one, FieldFailed)]
    assert "A object has no JSON" in str(failed.error)
    assert test.calls == {}
