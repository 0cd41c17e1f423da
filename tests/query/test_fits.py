"""What is taken to be valid at a glance has no error by any of the rules; what clients write every
day is taken so."""

import random
import re

import pytest
from graphql import GraphQLError, GraphQLSchema, build_schema, parse, validate
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from plait.query.fits import plainly_fits
from plait.query.reading import RULES

SCHEMA = build_schema("""
    interface Named { name: String, friend: Named }
    type Cat implements Named {
      name: String, friend: Cat, lives(of: Int!, half: Boolean = true): Int
      cats(like: Like, only: Only): [Cat!]!
    }
    type Dog implements Named {
      name(short: Boolean): String, friend: Dog, barks: Boolean!, age: ID
    }
    type Bird { name: Int, age: ID }
    union Pet = Cat | Dog
    union Any = Cat | Bird
    input Like { name: String!, lives: [Int] = [9] }
    input Only @oneOf { name: String, lives: Int }
    enum Kind { CAT, DOG }
    scalar Day
    type Query {
      pet(kind: Kind, day: Day): Pet, any: Any, named(ids: [ID!]!, weight: Float): [Named], cat: Cat
      grid(of: [[Int!]]): [[Bird]], dog(n: Int! = 3, s: String): Dog, bird: Bird
    }
    type Mutation { feed(like: Like!): Cat, wash(id: ID!): Boolean }
    type Subscription { meow: String }
""")
PLAIN = [
    "{ cat { name } }",
    "query { cat { __typename a: name b: name friend { friend { name } } } }",
    "query A($k: Kind, $n: Int! = 3) { pet(kind: $k) { __typename ... on Cat { lives(of: $n) } } }",
    "query B($l: Like) { cat { name a: name cats(like: $l) { ...C } } } fragment C on Cat { name }",
    "{ named(ids: [1], weight: 2) { ... on Dog { barks } ... { name ... on Named { name } } } }",
    'query D { ...E grid(of: [[1, 2], [3]]) { age } pet(day: "x", kind: CAT) { ...F } }'
    " fragment E on Query { cat { ...F } } fragment F on Named { name friend { ...G } }"
    " fragment G on Cat { lives(of: 1) }",
    "query H($n: Int = 1, $b: Boolean!) { dog(n: $n) { age @skip(if: $b) @include(if: true) } }"
    " query I { dog { name(short: false) } } query J($s: String) { dog(s: $s) { ...K } }"
    " fragment K on Dog { barks }",
    "query T($n: Int, $of: Int = 1) { dog(n: $n) { age } cat { lives(of: $of) } }",
    "{ cat { lives(of: 1, half: null) cats(like: null) { name } } }",
    "mutation M($l: Like!, $i: ID!) { feed(like: $l) { name } wash(id: $i) }",
    "query N($ids: [ID!]!, $half: Boolean!) { named(ids: $ids) { ...O } }"
    " fragment O on Cat { lives(of: 1, half: $half) cats { cats { name } } }",
    'mutation { feed(like: {name: "a", lives: [1, 2]}) { name } }',
    "query R($n: Int!, $m: Int = 2) { grid(of: [[$n], 1]) { name }"
    ' cat { cats(like: {name: "x", lives: [$m, 1]}) { name } } }',
    'query S($t: String! = "x") { cat { cats(like: {name: $t, lives: 1}) { name } } }',
    'query P($o: [[Int!]] = [[1]], $t: String = "t") { grid(of: $o) { name } dog(s: $t) { age } }',
]
NOT_SO_PLAIN = [
    "{ cat { cats(only: {lives: 1}) { name } } }",
    '{ cat { cats(like: {name: "x", lives: [1, null]}) { name } } }',
    "query Q($n: Int!) { cat { cats(only: {lives: $n}) { name } cats(like: null) { name } } }",
    "{ __schema { types { name fields { name } } } cat { name } }",
    "subscription { meow }",
    "query S @nowhere { cat { name } }",
]
TEXTS = PLAIN + NOT_SO_PLAIN
WORDS = [
    *("name", "cat", "pet", "lives", "barks", "nothing", "age", "dog", "friend", "any", "grid"),
    *("Cat", "Dog", "Query", "Like", "Named", "Pet", "Any", "Bird", "Int", "Kind", "[Int!]", "!"),
    *("$k", "$n", "$b", "$l", "$s", "$n: Int", "$x: Cat", "= 1", "= null", '= "a"', "[", "]"),
    *("...", "on", "{", "}", "(", ")", ":", "1", "1.5", '"a"', "null", "CAT", "[1]", "{lives: 1}"),
    *("@skip", "@skip(if: true)", "@include(if: $b)", "@skip(if: 1)", "@deprecated"),
    *("of: 1", "of: $n", "ids: [3]", "like: $l", "short: $b", "n: 1", "n: $n", "of: null"),
    *("...C", "...E", "...F", "...G", "...K", "...O", "... on Bird", "... on Pet", "name: age"),
    *("fragment X on Cat { name }", "fragment C on Cat { friend { ...C } }", "query", "query A"),
    *("__typename", "__schema", "cat { name }", "lives(of: $n)", "{ name }", "mutation"),
]  # fmt: skip
ALL_RULES = (*RULES, MaybeNullValidationRule, OneOfInputValidationRule)


def wrong(text: str, schema: GraphQLSchema = SCHEMA) -> list[str]:
    return [one.message for one in validate(schema, parse(text), ALL_RULES)]


def fits(text: str, schema: GraphQLSchema = SCHEMA) -> bool:
    return plainly_fits(parse(text), schema)


def changed(text: str, chance: random.Random) -> str:
    words = re.findall(r"\.\.\.\w*|[$@]?\w+|\"\w*\"|\S", text)
    for _ in range(chance.randint(1, 2)):
        at, word = chance.randrange(len(words)), chance.choice(WORDS)
        words[at : at + chance.randint(0, 1)] = chance.choice([[word], [word], []])
    return " ".join(words)


@pytest.mark.parametrize("text", PLAIN)
def test_what_clients_write_fits(text: str) -> None:
    assert wrong(text) == []
    assert fits(text)


@pytest.mark.parametrize("text", NOT_SO_PLAIN)
def test_what_is_unusual_is_left_to_the_rules(text: str) -> None:
    assert not fits(text)


def test_whatever_fits_has_no_error() -> None:
    chance, seen, fitting, valid, read = random.Random(3), set[str](), 0, 0, 0
    for _ in range(4_000):
        text = changed(chance.choice(TEXTS), chance)
        try:
            parse(text)
        except GraphQLError:
            continue
        errors, plain = wrong(text), fits(text)
        assert not (plain and errors), (text, errors)
        read += 1
        valid += not errors
        fitting += plain
        seen |= {re.sub(r"'.*?'", "…", message) for message in errors}
    assert read > 700
    assert fitting > valid / 2 > 150
    assert len(seen) > 80  # of nearly every rule there is


@pytest.mark.parametrize(
    "text",
    [
        "{ nothing }",
        "{ cat }",
        "{ cat { name { first } } }",
        "{ cat { __typename { name } } }",
        "{ cat { __typename(of: 1) } }",
        "{ pet { name } }",
        "{ cat { __nothing } }",
        "{ cat { lives } }",
        "{ cat { lives(of: 1, of: 1) } }",
        "{ cat { lives(of: 1, off: 1) } }",
        "{ cat { name(of: 1) } }",
        '{ cat { lives(of: "1") } }',
        "{ cat { lives(of: null) } }",
        "{ named(ids: [1, null]) { name } }",
        "{ named(ids: [[1]]) { name } }",
        "{ pet(day: {a: 1, a: 1}) { __typename } }",
        "{ pet(day: {a: $n}) { __typename } }",
        "{ pet(day: [{a: 1, a: 1}]) { __typename } }",
        "{ pet(day: [$n]) { __typename } }",
        "query ($n: Int) { grid(of: [[$n]]) { name } }",
        "query ($n: [Int!]) { grid(of: [[$n]]) { name } }",
        "query ($n: [Int]) { grid(of: [$n]) { name } }",
        "{ cat { cats(like: {}) { name } } }",
        '{ cat { cats(like: [{name: "a"}]) { name } } }',
        '{ cat { cats(like: "a") { name } } }',
        '{ cat { cats(like: {name: "a", name: "a"}) { name } } }',
        '{ cat { cats(like: {name: "a", names: "a"}) { name } } }',
        '{ cat { cats(like: {name: "a", lives: ["1"]}) { name } } }',
        "{ cat { cats(like: {name: $t}) { name } } }",
        "query ($t: String) { cat { cats(like: {name: $t}) { name } } }",
        "query ($t: Int!) { cat { cats(like: {name: $t}) { name } } }",
        '{ cat { cats(only: {lives: 1, name: "a"}) { name } } }',
        "{ pet(kind: RED) { __typename } }",
        "{ cat { lives(of: $n) } }",
        "query ($n: Int) { cat { lives(of: $n) } }",
        "query ($n: String!) { cat { lives(of: $n) } }",
        "query ($n: Int!) { cat { name } }",
        "query ($n: Int!, $n: Int!) { cat { lives(of: $n) } }",
        "query ($n: Cat) { cat { lives(of: $n) } }",
        "query ($n: Nothing) { cat { lives(of: $n) } }",
        "query ($n: Int! = 1.5) { cat { lives(of: $n) } }",
        "query ($n: Int! @skip(if: true)) { cat { lives(of: $n) } }",
        "{ cat { name @skip } }",
        "{ cat { name @skip(if: 1) } }",
        "{ cat { name @skip(if: true) @skip(if: true) } }",
        "{ cat { name @deprecated } }",
        "{ cat { name @nothing } }",
        "{ cat { ...Nothing } }",
        "{ cat { ...X } } fragment X on Nothing { name }",
        "{ cat { ...X } } fragment X on Like { name }",
        "{ cat { ...X } } fragment X on Dog { name }",
        "{ cat { ... on Dog { name } } }",
        "{ cat { ... on Like { name } } }",
        "{ cat { ...X } } fragment X on Cat { name } fragment X on Cat { name }",
        "{ cat { ...X } } fragment X on Cat { friend { ...X } }",
        "{ cat { ...X } } fragment X on Cat { ...Y } fragment Y on Cat { ...X }",
        "{ cat { name } } fragment X on Cat { name }",
        "fragment X on Cat { name }",
        "{ cat { ...X } } fragment X on Cat { lives(of: $n) }",
        "{ cat { ...X } } fragment X on Cat { ...Y } fragment Y on Cat { lives(of: $n) }",
        "{ cat { ...X } } fragment X on Cat @skip(if: true) { name }",
        "query A { cat { name } } query A { cat { name } }",
        "query A { cat { name } } { cat { name } }",
        "{ cat { name } } { cat { name } }",
        "{ cat { name name: friend { name } } }",
        "{ cat { name ... { name: friend { name } } } }",
        "{ any { ... on Cat { name } ... on Bird { name } } }",
        "type Cat { name: String }",
        "{ cat { name } } type Cat { name: String }",
        "{ cat { name } } extend type Cat { name: String }",
        "subscription { meow other: meow }",
    ],
)
def test_what_is_wrong_does_not_fit(text: str) -> None:
    assert wrong(text)
    assert not fits(text)


def test_a_schema_without_mutations_takes_none() -> None:
    schema = build_schema("type Query { name: String } type Mutations { name: String }")
    assert wrong("mutation { name }", schema)
    assert not fits("mutation { name }", schema)


def test_a_directive_of_the_authors_is_another_one() -> None:
    schema = build_schema(
        "directive @skip(if: String!) on QUERY type Query { name: String }", assume_valid=True
    )
    for text in ('{ name @skip(if: "x") }', "{ name @skip(if: true) }"):
        assert wrong(text, schema)
        assert not fits(text, schema)


def test_more_work_than_graphql_core_does_is_not_done_here() -> None:
    def document(operations: int) -> str:
        spread = " ".join(f"...F{number}" for number in range(100))
        fragments = " ".join(f"fragment F{number} on Cat {{ name }}" for number in range(100))
        named = " ".join(
            f"query Q{number} {{ cat {{ {spread} }} }}" for number in range(operations)
        )
        return f"{named} {fragments}"

    assert fits(document(1))
    assert not fits(document(300))
    chain = " ".join(f"fragment F{number} on Cat {{ ...F{number + 1} }}" for number in range(300))
    assert not fits(f"{{ cat {{ ...F0 }} }} {chain} fragment F300 on Cat {{ name }}")
