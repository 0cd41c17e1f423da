"""Our rule on overlapping fields gives graphql-core's verdicts, in time that grows with the
document."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from graphql import (
    GraphQLError,
    OverlappingFieldsCanBeMergedRule,
    build_schema,
    parse,
    validate,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.query.overlap import OverlappingFields

SCHEMA = build_schema(
    """
    directive @stream(if: Boolean, label: String, initialCount: Int = 0) on FIELD
    input Box { size: Int, tag: String, inner: Box }
    enum Colour { RED BLUE }
    interface Node { id: ID!, name(first: Int, box: Box): String, peer: Node, peers: [Node!]! }
    type Dog implements Node {
      id: ID!, name(first: Int, box: Box): String, peer: Dog, peers: [Dog!]!, age: Int, any: Any,
      barks: Boolean!, colour: Colour, owner(first: Int): Cat, strict: [Int!]!
    }
    type Cat implements Node {
      id: ID!, name(first: Int, box: Box): String, peer: Cat, peers: [Cat!]!, age: String, any: Any,
      barks: Boolean, colour: Colour!, owner(first: Int): Dog, strict: [Int]
    }
    union Any = Dog | Cat
    type Query { node(id: ID): Node, dog: Dog, cat: Cat, any: Any, anys: [Any] }
    """
)
LEAVES = ["id", "name", "age", "barks", "colour", "strict", "__typename"]
BRANCHES = ["peer", "peers", "owner", "any", "node", "dog", "cat", "anys"]
ALIASES = ["", "a: ", "b: "]
ARGUMENTS = [
    "", "(first: 1)", "(first: $n)", "(first: 2)",
    '(box: {size: 1, tag: "x"})', '(box: {tag: "x", size: 1})', '(box: {tag: """x""", size: 1})',
    "(box: {inner: {size: 1}})", "(first: 1, box: null)", "(box: null, first: 1)",
]  # fmt: skip
STREAMS = ["", " @stream", " @stream(initialCount: 1)"]
CONDITIONS = ["", " on Dog", " on Cat", " on Node", " on Any"]
FRAGMENTS = ["F", "G", "H"]


def verdict(rule: type, text: str) -> bool:
    errors: list[GraphQLError] = validate(SCHEMA, parse(text), [rule])
    assert not any(one.message == "Validation aborted." for one in errors)
    return not errors


@st.composite
def documents(draw: Callable[..., object]) -> str:
    """Documents full of aliases, merged fields, fragments and conditions; few of them make
    sense."""
    chance = random.Random(draw(st.integers(min_value=0, max_value=2**48)))
    wild = chance.choice([0.0, 0.02, 0.1, 0.4])
    width = chance.choice([1, 2, 4])

    def perhaps(choices: list[str]) -> str:
        return chance.choice(choices) if chance.random() < wild else choices[0]

    def selections(depth: int, fragments: list[str]) -> str:
        return " ".join(selection(depth, fragments) for _ in range(chance.randint(1, width)))

    def selection(depth: int, fragments: list[str]) -> str:
        kind = chance.random()
        if kind < 0.15 and fragments:
            return f"...{chance.choice(fragments)}"
        if kind < 0.4 and depth:
            below = selections(depth - 1, fragments)
            return f"...{chance.choice(CONDITIONS)} {{ {below} }}"
        start = perhaps(ALIASES)
        end = perhaps(ARGUMENTS) + perhaps(STREAMS)
        if kind < 0.7 and depth:
            below = selections(depth - 1, fragments)
            return f"{start}{chance.choice(BRANCHES)}{end} {{ {below} }}"
        return f"{start}{chance.choice(LEAVES)}{end}"

    parts = [f"query ($n: Int) {{ {selections(3, FRAGMENTS)} }}"]
    for place, name in enumerate(FRAGMENTS):
        condition = chance.choice(CONDITIONS[1:])
        parts.append(f"fragment {name}{condition} {{ {selections(2, FRAGMENTS[place + 1 :])} }}")
    return "\n".join(parts)


@settings(max_examples=1000)
@given(documents())
def test_the_verdict_is_graphql_cores(text: str) -> None:
    assert verdict(OverlappingFields, text) == verdict(OverlappingFieldsCanBeMergedRule, text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("{ dog { a: name a: age } }", False),
        ("{ dog { name(first: 1) name(first: 2) } }", False),
        ("{ dog { name(first: 1) name } }", False),
        ("{ any { ... on Dog { a: name } ... on Cat { a: id } } }", False),
        ("{ any { ... on Dog { a: name } ... on Cat { a: name(first: 1) } } }", True),
        ("{ any { ... on Dog { age } ... on Cat { age } } }", False),
        ("{ any { ... on Dog { barks } ... on Cat { barks } } }", False),
        ("{ any { ... on Dog { strict } ... on Cat { strict } } }", False),
        ("{ any { ... on Node { a: id } ... on Cat { a: name } } }", False),
        ("{ any { ... on Dog { a: peer { x: id } } ... on Cat { a: peer { x: age } } } }", False),
        ("{ any { ... on Dog { a: peer { x: id } } ... on Cat { a: peer { y: age } } } }", True),
        ("{ dog { peer { a: name } peer { a: id } } }", False),
        ("{ dog { ...F a: id } } fragment F on Dog { a: name }", False),
        ("{ dog { id } } fragment F on Dog { a: name a: id }", False),
        ("{ dog { peers @stream { id } peers { id } } }", False),
        ("{ dog { peers @stream { id } peers @stream { id } } }", False),
        ("{ dog { peers @stream { id } } }", True),
        ("{ dog { ...F } } fragment F on Dog { peer { ...F } a: id a: name }", False),
    ],
)
def test_what_conflicts_and_what_does_not(text: str, valid: bool) -> None:
    assert verdict(OverlappingFields, text) is valid
    assert verdict(OverlappingFieldsCanBeMergedRule, text) is valid


def test_a_conflict_is_told_once_with_both_places() -> None:
    (error,) = validate(
        SCHEMA, parse("{ dog { a: id } dog { a: peer { id } } }"), [OverlappingFields]
    )
    assert error.message.startswith(
        "Fields 'a' conflict because they return conflicting types 'ID!' and 'Dog'"
    )
    assert [one.column for one in error.locations or ()] == [9, 23]


@pytest.mark.parametrize(
    ("text", "conflicts"),
    [
        (
            "{ dog { a: age a: barks } }",
            [("a", "they return conflicting types 'Int' and 'Boolean!'", [8, 15])],
        ),
        ("{ dog { x: age } cat { x: age } }", []),
        (
            "{ node { ... on Dog { x: age } ... on Cat { x: age } } }",
            [("x", "they return conflicting types 'String' and 'Int'", [44, 22])],
        ),
        (
            "{ node { ... on Dog { x: barks } ... on Cat { x: barks } } }",
            [("x", "they return conflicting types 'Boolean' and 'Boolean!'", [46, 22])],
        ),
        (
            "{ node { ... on Dog { x: colour } ... on Cat { x: colour } } }",
            [("x", "they return conflicting types 'Colour!' and 'Colour'", [47, 22])],
        ),
        (
            "{ node { ... on Dog { x: strict } ... on Cat { x: strict } } }",
            [("x", "they return conflicting types '[Int]' and '[Int!]!'", [47, 22])],
        ),
        (
            "{ node { ... on Dog { x: id } ... on Cat { x: name } } }",
            [("x", "they return conflicting types 'String' and 'ID!'", [43, 22])],
        ),
        (
            "{ node { ... on Dog { x: age } ... on Cat { x: peer { id } } } }",
            [("x", "they return conflicting types 'Cat' and 'Int'", [44, 22])],
        ),
        (
            "{ node { ... on Dog { x: peer { id } } ... on Cat { x: age } } }",
            [("x", "they return conflicting types 'String' and 'Dog'", [52, 22])],
        ),
        ("{ node { ... on Dog { x: name(first: 1) } ... on Cat { x: name(first: 2) } } }", []),
        (
            "{ node { ... on Dog { x: name(first: 1) } ... on Dog { x: name(first: 2) } } }",
            [("x", "they have differing arguments", [55, 22])],
        ),
        (
            "{ node { ... on Node { x: name(first: 1) } ... on Cat { x: name(first: 2) } } }",
            [("x", "they have differing arguments", [23, 56])],
        ),
        (
            "{ node { x: name(first: 1) x: name } }",
            [("x", "they have differing arguments", [9, 27])],
        ),
        (
            "{ node { x: name x: name(first: 1) } }",
            [("x", "they have differing arguments", [9, 17])],
        ),
        ("{ node { x: name(first: $n) x: name(first: $n) } }", []),
        (
            "{ node { x: name(first: $n) x: name(first: $m) } }",
            [("x", "they have differing arguments", [9, 28])],
        ),
        ('{ node { x: name(box: {size: 1, tag: "x"}) x: name(box: {tag: "x", size: 1}) } }', []),
        (
            '{ node { x: name(box: {tag: "x"}) x: name(box: {tag: """x"""}) } }',
            [("x", "they have differing arguments", [9, 34])],
        ),
        (
            "{ node { x: name(box: null) x: name(box: {}) } }",
            [("x", "they have differing arguments", [9, 28])],
        ),
        ("{ node { x: name(first: 1, box: null) x: name(box: null, first: 1) } }", []),
        (
            "{ node { x: name(box: {inner: {size: 1}}) x: name(box: {inner: {size: 2}}) } }",
            [("x", "they have differing arguments", [9, 42])],
        ),
        (
            "{ node { x: name(box: [1]) x: name(box: [1, 2]) } }",
            [("x", "they have differing arguments", [9, 27])],
        ),
        (
            "{ node { x: name(box: [1, 2]) x: name(box: [2, 1]) } }",
            [("x", "they have differing arguments", [9, 30])],
        ),
        (
            '{ node { x: name(first: 1) x: name(first: "1") } }',
            [("x", "they have differing arguments", [9, 27])],
        ),
        (
            "{ node { x: name(first: true) x: name(first: false) } }",
            [("x", "they have differing arguments", [9, 30])],
        ),
        (
            "{ node { x: name(first: RED) x: name(first: BLUE) } }",
            [("x", "they have differing arguments", [9, 29])],
        ),
        ("{ dog { peers @stream } }", []),
        (
            "{ dog { peers @stream peers @stream } }",
            [("peers", "they have overlapping stream directives", [8, 22])],
        ),
        (
            "{ dog { peers peers @stream } }",
            [("peers", "they have overlapping stream directives", [14, 8])],
        ),
        ("{ dog { peers @skip(if: true) peers } }", []),
        (
            "{ dog { peer { x: age } peer { x: barks } } }",
            [("x", "they return conflicting types 'Int' and 'Boolean!'", [15, 31])],
        ),
        (
            "{ dog { peer { x: age } } dog { peer { x: barks } } }",
            [("x", "they return conflicting types 'Int' and 'Boolean!'", [15, 39])],
        ),
        (
            "{ dog { ...F } dog { x: barks } } fragment F on Dog { x: age }",
            [("x", "they return conflicting types 'Int' and 'Boolean!'", [54, 21])],
        ),
        ("{ dog { ...F ...F x: age } } fragment F on Dog { x: age ...F }", []),
        (
            "{ dog { id } } fragment F on Dog { x: age x: barks }",
            [("x", "they return conflicting types 'Int' and 'Boolean!'", [35, 42])],
        ),
        (
            "{ dog { id } } fragment F on Dog { x: age ...G } fragment G on Dog { x: barks }",
            [("x", "they return conflicting types 'Int' and 'Boolean!'", [35, 69])],
        ),
        ("{ dog { ...Nowhere x: age x: age } }", []),
        (
            "{ dog { x: nothing x: age } }",
            [("x", "'nothing' and 'age' are different fields", [8, 19])],
        ),
        (
            "{ dog { x: nothing x: nowhere } }",
            [("x", "'nothing' and 'nowhere' are different fields", [8, 19])],
        ),
        (
            "{ any { ... on Dog { x: age } ... on Cat { x: id } } }",
            [("x", "they return conflicting types 'ID!' and 'Int'", [43, 21])],
        ),
        (
            "{ any { ... { __typename } ... on Dog { __typename: age } } }",
            [("__typename", "'__typename' and 'age' are different fields", [14, 40])],
        ),
        (
            "{ node { ... on Dog { peer { x: age } } ... on Cat { peer { x: age } } } }",
            [("x", "they return conflicting types 'String' and 'Int'", [60, 29])],
        ),
        ("{ node { ... on Dog { owner { x: id } } ... on Cat { owner { x: id } } } }", []),
        (
            "{ node { ... on Dog { owner(first: 1) { x: id } } ... on Cat { "
            "owner(first: 2) { x: name } } } }",
            [("x", "they return conflicting types 'String' and 'ID!'", [81, 40])],
        ),
        ("query A { x: dog { id } } query B { x: cat { id } }", []),
        (
            "{ x: dog { id } x: cat { id } }",
            [("x", "'dog' and 'cat' are different fields", [2, 16])],
        ),
        (
            "{ x: dog { id } x: node { id } }",
            [("x", "'dog' and 'node' are different fields", [2, 16])],
        ),
        (
            "{ node { peers { x: id } } node { peers { x: name } } }",
            [("x", "they return conflicting types 'ID!' and 'String'", [17, 42])],
        ),
        (
            "{ a: dog { id } a: dog { name } b: dog { x: age x: barks } }",
            [("x", "they return conflicting types 'Int' and 'Boolean!'", [41, 48])],
        ),
    ],
)
def test_which_conflict_is_told_and_where(text: str, conflicts: list[Any]) -> None:
    """(response name, reason, where the two fields stand in the text)"""
    assert verdict(OverlappingFieldsCanBeMergedRule, text) is (not conflicts)
    found = validate(SCHEMA, parse(text), [OverlappingFields])
    assert [(error.message, list(error.positions or ())) for error in found] == [
        (
            f"Fields '{name}' conflict because {reason}."
            " Use different aliases on the fields to fetch both if this was intentional.",
            places,
        )
        for name, reason, places in conflicts
    ]


class Counting(OverlappingFields):
    """Counts the fields that were looked at: work, not time."""

    looked = 0

    def _conflict(self, question: str, group: list) -> tuple | None:
        type(self).looked += len(group)
        return super()._conflict(question, group)


@pytest.mark.parametrize(
    "text",
    [
        "{" + "dog { id } " * 2000 + "}",
        "{" + "any { ... on Dog { peer { id } } ... on Cat { peer { id } } } " * 500 + "}",
        "{ dog {" + "...F " * 2000 + "} } fragment F on Dog { id }",
        "{ node {" + "... on Node { peer { " * 9 + "id" + " } }" * 9 + "} "
        + "node {" + "... on Dog { peer { " * 9 + "id" + " } }" * 9 + "} }",
    ],
    ids=["equal fields", "alternatives", "spreads", "nested"],
)  # fmt: skip
def test_work_grows_with_the_document_and_not_with_its_square(text: str) -> None:
    Counting.looked = 0
    assert validate(SCHEMA, parse(text), [Counting]) == []
    assert 0 < Counting.looked < 6 * len(text.split())
