"""Resolvers of the root that only compute are run by compiled code: once, whatever becomes of the
answer, and for nobody else."""

import asyncio
import itertools
from collections.abc import Awaitable
from enum import Enum
from typing import Any

import pytest
import strawberry
from strawberry.permission import BasePermission

from plait import Backend, Graph, arg
from plait.query.computed import Computed
from plait.query.direct import Answered, Direct
from plait.testing import GraphTest, reply
from tests.query.test_compile import sights, told

b = Backend("b", "http://b.test")
list_things = b.get("/things")
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
        # What is unusual about it is told by graphql-core, of what has been computed.
        ("{ fail greet }", None, {}, "left", ["fail", "greet"]),
        ("{ greet fail }", None, {}, "left", ["greet", "fail"]),
        ("{ failHard greet }", None, {}, "left", ["failHard"]),
        ("{ must later }", None, {}, "left", ["must", "later"]),
        ("{ greet things { name } }", None, BAD, "left", ["greet"]),
        ("{ greet things { name } }", None, DOWN, "left", ["greet"]),
        ("{ greet thing(id: 1) { name } }", None, DOWN, "failed", ["greet"]),
        ("query ($n: Int!) { numbers(upTo: $n) }", {"n": "x"}, {}, "not compiled", []),
        # What may wait or look at the request is graphql-core's.
        ("{ greet thingMade { name } }", None, {}, "not compiled", ["greet", "thingMade"]),
        ("{ greet closed }", None, {}, "not compiled", ["greet"]),
        ("{ who }", None, {}, "not compiled", ["who"]),
        ("{ waits }", None, {}, "not compiled", ["waits"]),
    ],
)
def test_resolvers_of_the_root(
    document: str, variables: Any, script: Any, way: str, runs: list[str]
) -> None:
    ways: list[str] = []
    made = Direct.made

    def noted(self: Direct) -> Answered | None:
        found = made(self)
        ways.append("left" if found is None else "failed" if found.errors else "code")
        return found

    made_at_once = Computed.body

    def computed(self: Computed, *arguments: Any) -> bytes | None:
        found = made_at_once(self, *arguments)
        ways.append("left" if found is None else "code")
        return found

    with GraphTest(graph, b=script) as test:
        with sights(1_000):
            expected = told(test.ask(document, variables))
        RUNS.clear()
        with sights(0), pytest.MonkeyPatch.context() as patch:
            patch.setattr(Direct, "made", noted)
            patch.setattr(Computed, "body", computed)
            found = told(test.ask(document, variables))
    assert found == expected
    assert (ways[-1] if ways else "not compiled") == way
    assert sorted(RUNS) == sorted(runs)


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
