"""Rules that are asked together find what graphql-core finds that asks them one by one."""

import random
import re
from typing import Any

import pytest
from graphql import (
    BREAK,
    SKIP,
    ASTValidationRule,
    GraphQLError,
    Node,
    build_schema,
    parse,
    specified_rules,
    validate,
)

from plait.graph.rules import together

SCHEMA = build_schema("""
    interface Named { name: String }
    type Cat implements Named { name: String lives(of: Int!): Int cats(like: Like): [Cat!] }
    type Dog implements Named { name(short: Boolean): String barks: Boolean }
    union Pet = Cat | Dog
    input Like { name: String! lives: [Int] = [9] }
    enum Kind { CAT DOG }
    type Query { pet(kind: Kind): Pet named(ids: [ID!]!): [Named] cat: Cat }
    type Mutation { feed(like: Like!): Cat }
""")
DOCUMENTS = [
    "query A($k: Kind, $n: Int! = 3) { pet(kind: $k) { __typename ... on Cat { lives(of: $n) } } }",
    "query B($l: Like) { cat { name a: name cats(like: $l) { ...C } } } fragment C on Cat { name }",
    '{ named(ids: [1]) { ... on Dog { barks } ... on Cat { cats(like: {name: "x"}) { name } } } }',
    'mutation { feed(like: {name: "a", lives: [1, 2]}) { name @include(if: true) lives(of: 1) } }',
    "query D { ...E } fragment E on Query { cat { ...F } } fragment F on Named { name }",
    "{ cat { name @skip(if: false) } pet { ... on Named { name } } } query G { cat { name } }",
]
WORDS = [
    *("name", "cat", "pet", "lives", "barks", "nothing", "Cat", "Dog", "Query", "Like", "$k", "$n"),
    *("$l", "...", "on", "{", "}", "(", ")", ":", "1", '"a"', "null", "CAT", "@skip", "[", "]"),
    *("...C", "...E", "fragment X on Cat { name }", "query", "!", "Int", "of: 1", "ids: [3]"),
]


def found(rules: Any, text: str, errors_max: int = 100) -> list[Any]:
    errors = validate(SCHEMA, parse(text), rules, max_errors=errors_max)
    return [(one.message, one.locations) for one in errors]


def changed(text: str, chance: random.Random) -> str:
    words = re.findall(r"\.\.\.\w*|[$@]?\w+|\"\w*\"|\S", text)
    for _ in range(chance.randint(1, 3)):
        at, word = chance.randrange(len(words)), chance.choice(WORDS)
        words[at : at + chance.randint(0, 1)] = chance.choice([[word], [word], []])
    return " ".join(words)


def test_random_documents_have_the_same_errors() -> None:
    chance, seen, read = random.Random(7), set[str](), 0
    for _ in range(3_000):
        text = changed(chance.choice(DOCUMENTS), chance)
        try:
            parse(text)
        except GraphQLError:
            continue
        read += 1
        errors = found(specified_rules, text)
        assert found([together(specified_rules)], text) == errors, text
        seen |= {re.sub(r"'.*?'", "…", message) for message, _ in errors}
    assert read > 500
    assert len(seen) > 30  # of nearly every rule there is


@pytest.mark.parametrize("text", DOCUMENTS[:5])
def test_what_is_right_has_no_errors(text: str) -> None:
    assert found([together(specified_rules)], text) == []


def test_the_first_errors_are_the_same_where_there_are_too_many() -> None:
    text = f"{{ {' '.join(f'no{number} {{ a }} cat {{ b }}' for number in range(40))} }}"
    for most in (1, 7, 100):
        expected = found(specified_rules, text, most)
        assert found([together(specified_rules)], text, most) == expected
        assert len(expected) == min(most + 1, 80)


def rule(**said: Any) -> type[ASTValidationRule]:
    """A rule that notes all that it is asked about, and says at a field what is said."""

    class Noting(ASTValidationRule):
        def enter(self, node: Node, *_: Any) -> Any:
            return self.note("enter", node)

        def leave(self, node: Node, *_: Any) -> Any:
            return self.note("leave", node)

        def note(self, what: str, node: Node) -> Any:
            name = getattr(getattr(node, "name", None), "value", "")
            self.report_error(GraphQLError(f"{what} {node.kind} {name}", node))
            return said.get(what) if name in ("cat", "lives") else None

    return Noting


class Fields(ASTValidationRule):
    def enter_field(self, node: Node, *_: Any) -> None:
        self.report_error(GraphQLError("a field", node))

    def enter(self, node: Node, *_: Any) -> None:
        self.report_error(GraphQLError("no field", node))

    def leave_document(self, node: Node, *_: Any) -> None:
        self.report_error(GraphQLError("the end", node))


@pytest.mark.parametrize("what", ["enter", "leave"])
@pytest.mark.parametrize("said", [SKIP, False, BREAK, True, None])
def test_a_rule_may_look_away(what: str, said: Any) -> None:
    rules = (rule(**{what: said}), Fields, rule())
    for text in DOCUMENTS:
        expected = found(rules, text, 1_000)
        assert found([together(rules)], text, 1_000) == expected
