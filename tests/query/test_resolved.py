"""Resolvers that only compute are run by compiled code: once, whatever becomes of the answer, and
for nobody else."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from enum import Enum
from functools import partial
from typing import Annotated, Any

import pytest
import strawberry
from strawberry.permission import BasePermission

from plait import Backend, Connection, Graph, arg, by_ids, cursor_pages, discriminator, this
from plait.clock import Pace
from plait.graph.absent import ROWS_WATCHED
from plait.query.interpret import Interpreter
from plait.testing import GraphTest, reply
from tests.query.test_compile import encoded, sights, told, way_of

b = Backend("b", "http://b.test")
list_things = b.get("/things")
get_mate = b.get("/mates/{id}", batch=by_ids("/mates"))
get_thing = b.get("/things/{id}")
RUNS: list[str] = []


@strawberry.enum
class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class No(BasePermission):
    message = "no"

    def has_permission(self, source: Any, info: Any, **_: Any) -> bool:
        return False


@strawberry.type
class Thing:
    name: str


def later() -> Awaitable[str]:
    async def work() -> str:
        return "later"

    RUNS.append("later")
    return work()


@strawberry.type
class Query:
    things: list[Thing] = list_things()
    thing: Thing | None = get_thing(id=arg(int))
    greet: str = strawberry.field(resolver=lambda: ran("greet", "hello"))
    nothing: str | None = strawberry.field(resolver=lambda: ran("nothing", None))
    must: str | None = strawberry.field(resolver=lambda: ran("must", 7))
    red: Colour = strawberry.field(resolver=lambda: ran("red", Colour.RED))
    later: str = strawberry.field(resolver=later)

    @strawberry.field
    def shout(self, word: str, times: int = 2) -> str:
        return str(ran("shout", word.upper() * times))

    @strawberry.field
    def numbers(self, up_to: int) -> list[int | None] | None:
        return list(ran("numbers", [*range(up_to), None]))

    @strawberry.field
    def fail(self) -> str | None:
        ran("fail", None)
        raise ValueError("secret")

    @strawberry.field
    def fail_hard(self) -> str:
        ran("failHard", None)
        raise ValueError("secret")

    @strawberry.field
    def thing_made(self) -> Thing:
        return Thing(name=str(ran("thingMade", "made")))

    @strawberry.field(permission_classes=[No])
    def closed(self) -> str | None:
        return "closed"

    @strawberry.field
    def who(self, info: strawberry.Info) -> str:
        return str(ran("who", info.field_name))

    @strawberry.field
    async def waits(self) -> str:
        return str(ran("waits", "waits"))


def ran(name: str, value: Any) -> Any:
    RUNS.append(name)
    return value


graph = Graph(query=Query)
THINGS = {"GET /things": [{"name": "a"}]}
BAD = {"GET /things": [{"name": None}]}
DOWN = {"GET /things": reply(status=503), "GET /things/1": reply(status=503)}


@pytest.mark.parametrize(
    ("document", "variables", "script", "way", "runs"),
    [
        ("{ greet }", None, {}, "code", ["greet"]),
        ("{ a: greet b: greet nothing }", None, {}, "code", ["greet", "greet", "nothing"]),
        ("{ greet things { name } }", None, THINGS, "code", ["greet"]),
        ('{ shout(word: "a") }', None, {}, "code", ["shout"]),
        ("query ($w: String!) { shout(word: $w, times: 3) }", {"w": "x"}, {}, "code", ["shout"]),
        ("query ($n: Int!) { numbers(upTo: $n) }", {"n": 3}, {}, "code", ["numbers"]),
        ("{ red }", None, {}, "code", ["red"]),
        ("query ($n: Int!) { numbers(upTo: $n) }", {"n": 10_000}, {}, "left", ["numbers"]),
        # What is unusual about it is told by graphql-core, of what has been computed.
        ("{ fail greet }", None, {}, "left", ["fail", "greet"]),
        ("{ greet fail }", None, {}, "left", ["greet", "fail"]),
        ("{ failHard greet }", None, {}, "left", ["failHard"]),
        ("{ must later }", None, {}, "left", ["must", "later"]),
        ("{ greet things { name } }", None, BAD, "left", ["greet"]),
        ("{ greet things { name } }", None, DOWN, "failed", ["greet"]),
        ("{ greet thing(id: 1) { name } }", None, DOWN, "failed", ["greet"]),
        ("query ($n: Int!) { numbers(upTo: $n) }", {"n": "x"}, {}, "not compiled", []),
        # What may wait or look at the request is graphql-core's.
        ("{ greet thingMade { name } }", None, {}, "not compiled", ["greet", "thingMade"]),
        ("{ greet closed }", None, {}, "not compiled", ["greet"]),
        ("{ who }", None, {}, "code", ["who"]),
        ("{ waits }", None, {}, "code", ["waits"]),
    ],
)
def test_resolvers_of_the_root(
    document: str, variables: Any, script: Any, way: str, runs: list[str]
) -> None:
    found, expected, made_by = both_ways(graph, script, document, variables)
    assert found == expected
    assert made_by == way
    assert sorted(RUNS) == sorted(runs)


def never() -> bool:
    return False


def both_ways(
    graph: Graph,
    script: Any,
    document: str,
    variables: Any,
    *,
    is_slow: Callable[[], bool] = never,
) -> tuple[Any, Any, str]:
    """The answer by compiled code, and by graphql-core; and who made the first. `is_slow` tells
    when a turn of the loop has lasted too long: on a busy machine any may."""
    with GraphTest(graph, b=script) as test:
        with sights(1_000):
            expected = told(test.ask(document, variables))
        RUNS.clear()
        with sights(0), pytest.MonkeyPatch.context() as patch:
            patch.setattr(Pace, "is_over", lambda _: is_slow())
            found = told(test.ask(document, variables))
        return found, expected, way_of(test)


NUMBERS = itertools.count()


@strawberry.type
class Counting:
    thing: Thing | None = get_thing(id=arg(int))
    number: int = strawberry.field(resolver=lambda: next(NUMBERS))


def test_what_a_resolver_computes_is_nobody_elses() -> None:
    async def main() -> list[Any]:
        fresh = reply({"name": "a"}, headers={"cache-control": "max-age=60"})
        async with GraphTest(Graph(query=Counting), b={"GET /things/1": fresh}) as test:
            with sights(0):
                document = "{ number thing(id: 1) { name } }"
                first = await asyncio.gather(*(test.ask_async(document) for _ in range(3)))
                return [*first, await test.ask_async(document)]

    answers = asyncio.run(main())
    assert [answer["data"]["thing"] for answer in answers] == [{"name": "a"}] * 4
    assert len({answer["data"]["number"] for answer in answers}) == 4


# --- of rows


@strawberry.type
class Part:
    size: int

    @strawberry.field
    def twice(self) -> int:
        return int(ran("twice", self.size * 2))


@strawberry.type
@discriminator("kind", "cat")
class Cat:
    kind: str
    name: str
    friend_id: int | None = None
    part: Part | None = None
    parts: list[Part] | None = None
    friend: "Cat | None" = get_thing(id=this.friendId)
    mate: "Cat | None" = get_mate(id=this.friendId)

    @strawberry.field
    def loud(self) -> str:
        return str(ran("loud", self.name.upper()))

    @strawberry.field
    def again(self, times: int = 2, word: str | None = None) -> list[str] | None:
        return list(ran("again", [word or self.name] * times))

    @strawberry.field
    def risky(self) -> str | None:
        ran("risky", None)
        if self.name == "b":
            raise ValueError("secret")
        return self.name

    @strawberry.field
    def must(self) -> str:
        ran("must", None)
        if self.name == "b":
            raise ValueError("secret")
        return self.name

    @strawberry.field
    def first(self) -> bool:
        ran("first", None)
        return vars(self).setdefault("told_by", "first") == "first"

    @strawberry.field
    def second(self) -> str:
        ran("second", None)
        return str(vars(self).setdefault("told_by", "second"))

    @strawberry.field
    def huge(self) -> str:
        return str(ran("huge", "x" * 200_000))


@strawberry.type
@discriminator("kind", "dog")
class Dog:
    kind: str
    name: str

    @strawberry.field
    def loud(self) -> str:
        return str(ran("loud", "wuff"))


Pet = Annotated[Cat | Dog, strawberry.union("Pet")]
list_pets = b.get("/pets")
list_cats = b.get("/cats")
list_paged = b.get("/paged", pages=cursor_pages(items="items", next="next"))
get_cats = b.get("/cats/{id}")


@strawberry.type
class Rows:
    pets: list[Pet] = list_pets()
    cats: list[Cat] = list_cats()
    paged: Connection[Cat] = list_paged.connection()
    cat: Cat | None = get_thing(id=arg(int))
    some: list[Cat | None] = get_cats.many(id=arg(list[int], name="ids"))


rows = Graph(query=Rows)


def cat(name: str, **more: Any) -> dict[str, Any]:
    return {"kind": "cat", "name": name, **more}


CATS = {"GET /cats": [cat("a", friendId=1), cat("b", friendId=1), cat("c")]}
PARTS = {
    "GET /cats": [
        cat("a", part={"size": 2}, parts=[{"size": 1}, {"size": 2}]),
        cat("b", part={"size": 3}),
    ]
}
PAGE = {"GET /paged?limit=20": {"items": [cat("a"), cat("b")], "next": None}}
FRIEND = {"GET /things/1": cat("f")}
MATES = {
    "GET /cats": [cat("x", friendId=1), cat("y", friendId=2)],
    "GET /mates?id=1&id=2": [
        cat("a", id=1, friendId=0, part={"size": 1}),
        cat("b", id=2, friendId=0, part={"size": 1}),
    ],
}


@pytest.mark.parametrize(
    ("document", "variables", "script", "way", "runs"),
    [
        ("{ cats { name loud } }", None, CATS, "code", ["loud"] * 3),
        ("{ cats { a: loud b: loud } }", None, CATS, "code", ["loud"] * 6),
        ('{ cats { again(word: "w") } }', None, CATS, "code", ["again"] * 3),
        ("query ($n: Int!) { cats { again(times: $n) } }", {"n": 1}, CATS, "code", ["again"] * 3),
        ("{ cat(id: 1) { loud } }", None, FRIEND, "code", ["loud"]),
        ("{ cat(id: 1) { loud } }", None, {"GET /things/1": reply(status=404)}, "code", []),
        ("{ some(ids: [1, 2]) { loud } }", None,
         {"GET /cats/1": cat("a"), "GET /cats/2": reply(status=404)}, "code", ["loud"]),
        # One row of two places, and of two fields that ask for the same, is computed once a field.
        ("{ cats { friend { loud } } }", None, CATS | FRIEND, "code", ["loud"]),
        ("{ pets { ... on Cat { loud } ... on Dog { loud name } } }", None,
         {"GET /pets": [cat("a"), {"kind": "dog", "name": "d"}]}, "code", ["loud"] * 2),
        ("{ a: cat(id: 1) { ...C } b: cat(id: 1) { ...C } } fragment C on Cat { loud }", None,
         FRIEND, "code", ["loud"]),
        ("{ cats { first second } }", None, CATS, "code", ["first"] * 3 + ["second"] * 3),
        ("{ cats { mate { loud } } }", None, MATES, "code", ["loud"] * 2),
        # What is unusual is told by graphql-core, of what has been computed until then.
        ("{ cats { mate { risky } } }", None, MATES, "failed", ["risky"] * 2),
        ("{ cats { risky } }", None, CATS, "failed", ["risky"] * 3),
        ("{ cats { loud risky } }", None, CATS, "failed", ["loud"] * 3 + ["risky"] * 3),
        ("{ cats { must } }", None, CATS, "left", ["must"] * 2),
        ("{ cats { friend { must } loud } }", None, CATS | {"GET /things/1": cat("b")},
         "left", ["must"] + ["loud"] * 3),
        ("{ cats { loud } }", None, {"GET /cats": [cat("a"), {"kind": "cat"}]},
         "left", ["loud"]),
        ("{ cats { name loud } }", None, {"GET /cats": [cat("a"), {"kind": "cat"}]},
         "left", ["loud"]),
        ("{ cats { loud } }", None, {"GET /cats": reply(status=503)}, "failed", []),
        # Objects inside of rows are rows like any other.
        ("{ cats { part { twice } } }", None, PARTS, "code", ["twice"] * 2),
        ("{ cats { part { twice } parts { twice } } }", None, PARTS, "code", ["twice"] * 4),
        ("{ cats { part { twice } parts { twice } risky } }", None, PARTS, "failed",
         ["twice"] * 4 + ["risky"] * 2),
        ("{ paged { nodes { loud } edges { node { loud } } } }", None, PAGE, "code", ["loud"] * 4),
        ("{ paged { nodes { loud } edges { node { risky } } } }", None, PAGE, "failed",
         ["loud"] * 2 + ["risky"] * 2),
    ],
)  # fmt: skip
def test_resolvers_of_rows(
    document: str, variables: Any, script: Any, way: str, runs: list[str]
) -> None:
    found, expected, made_by = both_ways(rows, script, document, variables)
    assert found == expected
    assert made_by == way
    assert sorted(RUNS) == sorted(runs)


@pytest.mark.parametrize(
    ("document", "runs_max"),
    [
        ("{ cats { friend { huge } } }", 1),  # one value, at many places
        ("{ a: cats { huge } b: cats { huge } }", 80),  # many values, in two lists together
    ],
)
def test_computed_values_may_not_be_more_than_an_answer_may(document: str, runs_max: int) -> None:
    count = 100 if runs_max == 1 else 40
    many = {"GET /cats": [cat("a", friendId=1) for _ in range(count)], **FRIEND}
    with encoded() as sizes:
        found, expected, made_by = both_ways(rows, many, document, None)
    assert found == expected
    assert max(sizes, default=0) < 1_000_000  # it is not even made
    assert found["errors"][0]["extensions"]["limit"] == "answer_bytes_max"
    assert made_by == "left"
    assert 0 < len(RUNS) <= runs_max


def test_what_is_computed_of_a_row_is_nobody_elses() -> None:
    async def main() -> list[Any]:
        fresh = reply(cat("a"), headers={"cache-control": "max-age=60"})
        async with GraphTest(rows, b={"GET /things/1": fresh}) as test:
            with sights(0):
                document = "{ cat(id: 1) { loud } }"
                RUNS.clear()
                await asyncio.gather(*(test.ask_async(document) for _ in range(3)))
                return [*RUNS, await test.ask_async(document)]

    assert len(asyncio.run(main())) == 4
    assert len(RUNS) == 4


def test_no_resolver_of_a_row_runs_twice_once_rows_are_no_longer_looked_at() -> None:
    with sights(0), GraphTest(rows, b=MATES) as test:
        for _ in range(ROWS_WATCHED):
            RUNS.clear()
            answer = test.ask("{ cats { mate { risky } } }")
            assert [one["mate"]["risky"] for one in answer["data"]["cats"]] == ["a", None]
            assert len(answer["errors"]) == 1
            assert RUNS == ["risky"] * 2


class Loud(Thing):
    """What it shows is not what it holds."""

    @property
    def name(self) -> str:  # type: ignore[override]
        return "loud"


def quiet() -> Thing:
    made = object.__new__(Loud)
    vars(made)["name"] = "quiet"
    return made


@strawberry.type
class Objects:
    held: Thing = strawberry.field(resolver=lambda: Thing(name="held"))
    loud: Thing = strawberry.field(resolver=quiet)


def test_what_is_selected_by_variables_is_found_anew_in_each_request() -> None:
    document = "query ($yes: Boolean!) { held { name @include(if: $yes) at: __typename } }"
    with GraphTest(Graph(query=Objects)) as test:
        for yes in (True, False, True):
            shown = {"name": "held"} if yes else {}
            answer = test.ask(document, {"yes": yes})
            assert answer["data"] == {"held": {**shown, "at": "Thing"}}


def test_an_object_of_another_class_is_asked_and_not_looked_into() -> None:
    with GraphTest(Graph(query=Objects)) as test:
        for _ in range(2):
            answer = test.ask("{ held { ...T } loud { ...T } } fragment T on Thing { name }")
            assert answer["data"] == {"held": {"name": "held"}, "loud": {"name": "loud"}}


def test_slow_resolvers_of_rows_let_others_in_and_run_once() -> None:
    slow = partial(both_ways, is_slow=lambda: len(RUNS) >= 2)
    found, expected, made_by = slow(rows, CATS, "{ cats { loud } }", None)
    assert found == expected
    assert (made_by, RUNS) == ("left", ["loud"] * 3)


def test_a_turn_begins_where_resolvers_of_rows_do(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Pace] = []
    monkeypatch.setattr(Pace, "begin", lambda pace: begun.append(pace))
    monkeypatch.setattr(Pace, "is_over", lambda pace: pace not in begun)
    monkeypatch.setattr(Interpreter, "run", None)  # it is not needed
    with sights(0), GraphTest(rows, b=CATS) as test:
        answer = test.ask("{ cats { loud } }")
    assert [one["loud"] for one in answer["data"]["cats"]] == ["A", "B", "C"]


def test_rows_from_the_cache_are_computed_once_whoever_makes_the_answer() -> None:
    fresh = reply([cat("a"), cat("b"), cat("c")], headers={"cache-control": "max-age=60"})
    with GraphTest(rows, b={"GET /cats": fresh}) as test, sights(1_000):
        test.ask("{ cats { name } }")
        expected = told(test.ask("{ cats { loud risky } }"))
        RUNS.clear()
        with sights(0), pytest.MonkeyPatch.context() as patch:
            patch.setattr(Pace, "is_over", lambda _: False)
            found = told(test.ask("{ cats { loud risky } }"))
        assert len(test.sent) == 1
    assert found == expected
    assert [error["path"] for error in found["errors"]] == [["cats", 1, "risky"]]
    assert sorted(RUNS) == ["loud"] * 3 + ["risky"] * 3


@strawberry.interface
class Beast:
    name: str

    @strawberry.field
    def bitten(self) -> str | None:
        raise ValueError(self.name)


@strawberry.type
@discriminator("kind", "ant")
class Ant(Beast):
    kind: str


@strawberry.type
@discriminator("kind", "bee")
class Bee(Beast):
    kind: str


@strawberry.type
class Beasts:
    beasts: list[Beast] = b.get("/beasts")()


def test_what_fails_of_several_types_by_one_node_is_told_of_each() -> None:
    found = [{"kind": "ant", "name": "a"}, {"kind": "bee", "name": "b"}]
    graph = Graph(query=Beasts, types=[Ant, Bee])
    answer, expected, made_by = both_ways(
        graph, {"GET /beasts": found}, "{ beasts { name bitten } }", None
    )
    assert (made_by, answer) == ("failed", expected)
    assert [error["path"] for error in answer["errors"]] == [
        ["beasts", 0, "bitten"],
        ["beasts", 1, "bitten"],
    ]
