"""How large a document may be, to the last field; and what is kept of those that were read."""

from typing import Any

import pytest
import strawberry
from graphql import parse

from plait import Graph
from plait.query.document import Documents
from plait.query.places import line_ends
from plait.query.reading import (
    DocumentErrors,
    DocumentLimits,
    introspection_in,
    limit_errors,
)
from plait.query.variables import VariableLimits


@strawberry.type
class Thing:
    name: str

    @strawberry.field
    def thing(self, ids: list[int] | None = None) -> "Thing":
        return self


@strawberry.type
class Query:
    @strawberry.field
    def thing(self, ids: list[int] | None = None, of: strawberry.scalars.JSON = None) -> Thing:
        return Thing(name="n")


graph = Graph(query=Query)


def limits(**more: Any) -> DocumentLimits:
    given: dict[str, Any] = {
        "characters": 1_000,
        "tokens": 100,
        "depth": 3,
        "fields": 5,
        "introspection": True,
        "values": VariableLimits(depth=2, list_items=2),
        **more,
    }
    return DocumentLimits(**given)


def wrong(text: str, **more: Any) -> list[str]:
    return [str(error.message) for error in limit_errors(parse(text), limits(**more), text)]


@pytest.mark.parametrize(
    "text",
    [
        "{ a { b { c } } }",
        "{ a b c d e }",
        "{ a ...F } fragment F on Query { b c d e }",
        "{ a { ... { b { c } } } }",
        "{ ...F ...F } fragment F on Query { a b }",
        "{ ...F } fragment F on Query { a ...F }",
        "{ a ...Nowhere }",
        "{ a(x: [1, 2], y: {z: 1}) }",
        "query ($x: [Int] = [1, 2]) { a }",
        "{ __schema { types { fields { type { ofType { ofType { name } } } } } } }",
        "{ " + "x" * 200 + " }",
    ],
)
def test_what_is_within_the_limits(text: str) -> None:
    assert wrong(text) == []


DEEP = "The operation nests 4 fields deep; at most 3 are allowed."
MANY = "The operation selects more than 5 fields."
LIST = "A list has 3 items, and 2 are allowed. Ask for less at once."
NESTED = "A value nests more than the 2 lists and objects that are allowed."


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("{ a { b { c { d } } } }", [DEEP]),
        ("{ a { ...F } } fragment F on A { b { c { d } } }", [DEEP]),
        ("{ a { ... on A { b { c { ... { d } } } } } }", [DEEP]),
        ("{ a { b { c { __typename } } } }", [DEEP]),
        ("{ a b c d e f }", [MANY]),
        ("{ ...F ...F ...F } fragment F on Query { a b }", [MANY]),
        ("{ a { b c } d { e f } }", [MANY]),
        ("{ a } query B { a { b { c { d } } } }", [DEEP]),
        ("{ a { b { c { d } } } x y z }", [DEEP, MANY]),
        ("{ a(x: [1, 2, 3]) }", [LIST]),
        ("{ a @d(x: [1, 2, 3]) }", [LIST]),
        ("{ ...F @d(x: [1, 2, 3]) } fragment F on Query { a }", [LIST]),
        ("query @d(x: [1, 2, 3]) { a }", [LIST]),
        ("query ($x: [Int] = [1, 2, 3]) { a }", [LIST]),
        ("{ a } fragment F on Query { a(x: [1, 2, 3]) }", [LIST]),
        ("{ a(x: {y: {z: [1]}}) }", [NESTED]),
        ("{ a(x: [[[1]]]) }", [NESTED]),
        ("{ a(x: [{y: [1, 2, 3]}]) }", [LIST]),
        ("{ a(x: [1, 2, 3], y: [1, 2, 3]) }", [LIST]),
    ],
)
def test_what_is_beyond_them(text: str, errors: list[str]) -> None:
    assert wrong(text) == errors


def test_an_error_says_where() -> None:
    text = "query A { a }\n  query B { a { b { c { d } } } }"
    (error,) = limit_errors(parse(text), limits(), text)
    assert error.positions == [16]
    text = "{ a(x: [1, 2, 3]) }"
    (error,) = limit_errors(parse(text), limits(), text)
    assert error.positions == [7]


def test_a_name_has_a_length_too() -> None:
    name = "x" * 201
    assert wrong(f"{{ {name} }}") == [
        f"The name '{'x' * 20}…' has 201 characters; at most 200 are allowed."
    ]
    assert wrong(f'{{ a(b: "{name}") }}') == []
    assert wrong(f"{{ a }} # {name}") == []


def test_doubled_fragments_count_for_what_they_spread_to() -> None:
    fragments = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(30))
    text = f"{{ ...F0 }} {fragments} fragment F30 on Query {{ a }}"
    assert wrong(text) == [MANY]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("{ a }", 0),
        ("{ __typename }", 0),
        ("{ __schema { types { name } } }", 1),
        ('{ a { b } x: __type(name: "A") { name } ... { __schema { types { name } } } }', 2),
        ("{ a } fragment F on Query { a { b { __schema { x } } } }", 1),
    ],
)
def test_where_the_schema_is_asked_for(text: str, count: int) -> None:
    assert len(introspection_in(parse(text))) == count


def read(documents: Documents, text: str) -> Any:
    try:
        return documents.get(text)
    except DocumentErrors as error:
        return error.code, [one.message for one in error.errors], error.places(error.errors[0])


def test_a_document_that_cannot_be_executed_says_why_and_where() -> None:
    documents = Documents(graph, limits(characters=60, tokens=20))
    assert read(documents, "{ a" + " " * 58) == (
        "OPERATION_TOO_COSTLY",
        ["The document has 61 characters; at most 60 are allowed."],
        [],
    )
    assert read(documents, "{ a") == (
        "GRAPHQL_PARSE_FAILED",
        ["Syntax Error: Expected Name, found <EOF>."],
        [{"line": 1, "column": 4}],
    )
    code, (message,), _ = read(documents, "{ " + "a " * 20 + "}")
    assert code == "GRAPHQL_PARSE_FAILED"
    assert "more than 20 tokens" in message
    assert read(documents, "{ thing {\r\n nam } }") == (
        "GRAPHQL_VALIDATION_FAILED",
        ["Cannot query field 'nam' on type 'Thing'. Did you mean 'name'?"],
        [{"line": 2, "column": 2}],
    )
    deep = "{thing{thing{thing{name}}}}"
    assert read(documents, deep)[0] == "OPERATION_TOO_COSTLY"
    hidden = Documents(graph, limits(introspection=False))
    assert read(hidden, "{ __schema { types { name } } }") == (
        "INTROSPECTION_DISABLED",
        ["Introspection is turned off here."],
        [{"line": 1, "column": 3}],
    )
    assert read(hidden, "{ thing { nam } }")[1] == ["Cannot query field 'nam' on type 'Thing'."]
    assert hidden.hides_suggestions
    assert not documents.hides_suggestions


def test_a_document_is_read_once_while_there_is_room() -> None:
    documents = Documents(graph, limits(), entries_max=2)
    first = documents.get("{ thing { name } }")
    assert documents.get("{ thing { name } }") is first
    second = documents.get("{ a: thing { name } }")
    documents.get("{ thing { name } }")  # used later than the second
    documents.get("{ b: thing { name } }")
    assert documents.get("{ thing { name } }") is first
    assert documents.get("{ a: thing { name } }") is not second


def test_an_operation_is_found_by_its_name() -> None:
    documents = Documents(graph, limits())
    one = documents.get("query A { thing { name } }")
    assert one.operation(None) is one.operations[0]
    assert one.operation("A") is one.operations[0]
    assert one.operation("B") is None
    two = documents.get("query A { thing { name } } query B { thing { name } }")
    assert two.operation(None) is None
    assert two.operation("B") is two.operations[1]
    assert documents.get("{ thing { name } }").operation("A") is None


def test_lines_end_as_graphql_says() -> None:
    assert line_ends("a\nb\r\nc\rd") == [2, 5, 7]
    assert line_ends("") == []


@pytest.mark.parametrize("count", [300, 2_000])
def test_fragments_that_spread_one_another_too_often_are_refused_in_words(count: int) -> None:
    chain = "".join(f" fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(count))
    text = f"{{ ...F0 }} {chain} fragment F{count} on Query {{ a: __typename }}"
    documents = Documents(graph, limits(characters=1_000_000, tokens=100_000))
    with pytest.raises(DocumentErrors) as caught:
        documents.get(text)
    (error,) = caught.value.errors
    assert error.message == "The document's fragments spread one another too often."
