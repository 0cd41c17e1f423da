"""Operations whose root is nothing but resolvers, mutations above all, are shown by compiled code:
the answer is graphql-core's, and each resolver runs once, whoever makes it."""

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import Coroutine, Iterator
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar

import pytest
import strawberry
from graphql import GraphQLError
from strawberry.permission import BasePermission
from strawberry.relay import GlobalID, to_base64
from strawberry.schema.config import StrawberryConfig

from plait import (
    Backend,
    Graph,
    Succeeded,
    arg,
    discriminator,
    this,
    write_together,
)
from plait.clock import Pace
from plait.events import Event, RequestFinished
from plait.settings import Settings
from plait.testing import GraphTest, reply
from tests.query.test_compile import encoded, sights, told

b = Backend("b", "http://b.test", idempotency_key="Idempotency-Key")
get_thing = b.get("/things/{id}")
add_thing = b.post("/things")
RUNS: list[str] = []


def ran(name: str, value: Any = None) -> Any:
    RUNS.append(name)
    return value


@strawberry.enum
class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Word(str):
    pass


WORD = strawberry.scalar(name="Word", serialize=str, parse_value=str)


@strawberry.interface
class Named:
    name: str


@strawberry.type
@discriminator("kind", "part")
class Part(Named):
    size: int | None = None


@strawberry.type
@discriminator("kind", "other")
class Other(Named):
    colour: Colour = Colour.RED


class SubPart(Part):
    pass


@strawberry.type
class Thing:
    id: strawberry.ID
    name: str
    rate: float | None = None
    is_new: bool = True
    colour: Colour | None = None
    made: dt.datetime | None = None
    tags: list[str] | None = None
    part: Part | None = None
    parts: list[Part] | None = None
    holes: list[Part | None] | None = None
    nested: list[list[int]] | None = None
    any: Annotated[Part | Other, strawberry.union("AnyPart")] | None = None
    named: Named | None = None
    word: Word | None = None
    boxed: "Box[int] | None" = None
    fetched: "Thing | None" = get_thing(id=this.id)

    @strawberry.field
    def loud(self) -> str:
        return self.name.upper()


T = TypeVar("T")


@strawberry.type
class Box(Generic[T]):
    content: T


@strawberry.type
class Slotted:
    name: str

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            raise AttributeError
        return super().__getattribute__(name)


class No(BasePermission):
    message = "no"

    async def has_permission(self, source: Any, info: Any, **_: Any) -> bool:
        ran("permission")
        return info.field_name == "open"


async def one() -> str:
    return "waited for"


WAITING: list[Coroutine[Any, Any, str]] = []


def later() -> Any:
    """What is to be waited for, and not by everybody."""
    WAITING.append(one())
    return WAITING[-1]


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """What nobody has waited for says so when it goes: in another test."""
    yield
    while WAITING:
        WAITING.pop().close()


def thing(**more: Any) -> Thing:
    return Thing(**{"id": strawberry.ID("1"), "name": "t", **more})


MADE: dict[str, Any] = {
    "plain": lambda: thing(),
    "full": lambda: thing(
        rate=2.5,
        is_new=False,
        colour=Colour.BLUE,
        made=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        tags=["a", "b"],
        part=Part(name="p", size=1),
        parts=[Part(name="p"), Part(name="q", size=2)],
        holes=[None, Part(name="r")],
        nested=[[1], [], [2, 3]],
        any=Other(name="o"),
        named=Part(name="n"),
    ),
    "large": lambda: thing(name="x" * 100_000),
    "tuples": lambda: thing(parts=(Part(name="p"),), tags=("a",)),
    "whole float": lambda: thing(rate=2),
    "number for an id": lambda: thing(id=7),
    "number for a text": lambda: thing(name=7),
    "text for a number": lambda: thing(part=Part(name="p", size="many")),  # type: ignore[arg-type]
    "too large": lambda: thing(part=Part(name="p", size=2**40)),
    "infinite": lambda: thing(rate=float("inf")),
    "null that may not be": lambda: thing(name=None),
    "null in a list": lambda: thing(parts=[None]),
    "a subclass": lambda: thing(part=SubPart(name="p")),
    "another class": lambda: thing(part=Other(name="p")),
    "another class in a union": lambda: thing(any=thing()),
    "an error for a value": lambda: thing(part=ValueError("secret")),
    "awaitable": lambda: thing(name=later()),
    "awaitable word": lambda: thing(word=later()),
    "awaitable object": lambda: thing(part=later()),
    "no list": lambda: thing(parts=Part(name="p")),
    "a generator": lambda: thing(parts=(Part(name=name) for name in "ab")),
    "cast": lambda: thing(named=strawberry.cast(Other, Part(name="n"))),
    "missing": lambda: _without(thing(), "name"),
    "a row": lambda: {"id": 1, "name": "r", "part": {"name": "p"}, "isNew": True},
    "a row of a row": lambda: thing(
        part={"name": "p", "size": 2}, any={"kind": "part", "name": "k"}
    ),
    "a number in a row": lambda: thing(part={"name": 3}),
    "a bad row": lambda: thing(part={"name": {}}),
    "a row of no kind": lambda: thing(any={"kind": "?"}),
    "nothing": lambda: None,
    "an error": lambda: ValueError("returned"),
    "late": later,
}


def _without(made: Thing, name: str) -> Thing:
    del made.__dict__[name]
    return made


EVERYTHING = """
  id name rate isNew colour made tags nested __typename
  part { size name } parts { name n: size } holes { name }
  any { __typename ... on Part { size } ... on Other { colour } ... on Named { name } }
  named { __typename name ... on Part { size } }
  word
"""


@strawberry.type
class Query:
    thing: Thing | None = get_thing(id=arg(int))

    @strawberry.field
    async def made(self, info: strawberry.Info, how: str) -> Thing | None:
        ran(how)
        found = MADE[how]()
        return await found if asyncio.iscoroutine(found) else found  # type: ignore[no-any-return]

    @strawberry.field
    async def word(self, wait_s: float = 0.0, fails: bool = False) -> str | None:
        ran("word")
        await asyncio.sleep(wait_s)
        if fails:
            raise GraphQLError("told", extensions={"code": "OWN"})
        return "w"

    @strawberry.field
    async def must(self, fails: bool) -> str:
        ran("must")
        await asyncio.sleep(0)
        if fails:
            raise ValueError("secret")
        return "m"

    @strawberry.field(permission_classes=[No])
    async def open(self) -> str | None:
        return str(ran("open", "o"))

    @strawberry.field(permission_classes=[No])
    def closed(self) -> str | None:
        return str(ran("closed", "c"))

    @strawberry.field
    def slotted(self, info: strawberry.Info) -> Slotted:
        return Slotted(name=ran("slotted", "s"))

    @strawberry.field
    def a_future(self) -> str:
        return asyncio.ensure_future(later())  # type: ignore[return-value]

    @strawberry.field
    def a_coroutine(self) -> Word:
        return later()  # type: ignore[no-any-return]

    @strawberry.field
    def about(self, info: strawberry.Info, of: list[Colour] | None = None) -> list[str]:
        raw = info._raw_info
        return [
            info.field_name,
            info.python_name,
            str(info.path.as_list()),
            str(info.return_type),
            str(info.variable_values),
            str([one.name for one in info.selected_fields]),
            str(of),
            raw.parent_type.name,
            str(raw.schema is graph.core),
            str(sorted(raw.fragments)),
            str(raw.operation.name and raw.operation.name.value),
            str(raw.root_value),
            str(raw.is_awaitable(1)),
            str(raw.abort_signal),
            str(raw.operation_extensions),
        ]

    @strawberry.field
    async def given(
        self,
        info: strawberry.Info,
        parent: strawberry.Parent[None],
        maybe: strawberry.Maybe[str],
        the_word: Annotated[str | None, strawberry.argument(name="word")] = "w",
        node: GlobalID | None = None,
        id: strawberry.ID | None = None,
        n: int | None = None,
        yes: bool = True,
    ) -> str:
        return str((parent, the_word, maybe, node, id, n, yes, info.field_name))

    @strawberry.field
    async def simple(self, id: strawberry.ID, n: int, yes: bool, snake_case: str) -> str:
        return str((id, n, yes, snake_case))

    @strawberry.field
    def more(self, info: strawberry.Info, n: int | None = 4) -> str:
        return str(n)

    @strawberry.field
    async def helped(self, info: strawberry.Info) -> list[str]:
        helpers = info._raw_info.async_helpers
        helpers.track([later(), 1])
        return [*await helpers.gather([later(), later()])]

    @strawberry.field
    async def loads(self, info: strawberry.Info) -> Thing:
        row = await get_thing.load(info, id=1)
        return thing(name=row["name"])


@strawberry.type
class Mutation:
    add: Thing | None = add_thing.field(body={"name": arg(str)})

    @strawberry.mutation
    async def buy(self, info: strawberry.Info, name: str, key: str | None = None) -> Thing | None:
        ran(f"buy {name}")
        (outcome,) = await write_together(info, add_thing(body={"name": name}), key=key)
        return thing(name=outcome.value["name"]) if isinstance(outcome, Succeeded) else None

    @strawberry.mutation
    async def made(self, how: str) -> Thing | None:
        ran(how)
        await asyncio.sleep(0)
        return MADE[how]()  # type: ignore[no-any-return]

    @strawberry.mutation
    def count(self, by: int = 1) -> int:
        return len(ran("count", RUNS)) + by

    @strawberry.mutation
    async def fails(self) -> str | None:
        ran("fails")
        raise ValueError("secret")


@strawberry.type
class Plain:
    thing: Other | None = get_thing(id=arg(int))


graph = Graph(query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map={Word: WORD}))
SCRIPT = {
    "POST /things": {"id": 5, "name": "added"},
    "GET /things/1": {"id": 1, "name": "loaded"},
}
DOWN = {"POST /things": reply(status=503), "GET /things/1": reply(status=503)}


@contextlib.contextmanager
def noted(test: GraphTest) -> Iterator[list[str]]:
    """Who made the answers of operations that compiled code began."""
    ways: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, RequestFinished) and event.executed_by in WAYS:
            late = event.executed_by == "compiled" and "REQUEST_TIMEOUT" in event.error_codes
            ways.append("late" if late else WAYS[event.executed_by])

    events = test._app._events
    before = events._observers
    events.subscribe(note)
    yield ways
    events._observers = before


WAYS = {"compiled": "code", "handed_on": "left"}


@contextlib.contextmanager
def in_one_turn() -> Iterator[None]:
    """As on a machine where nothing takes longer than a turn of the loop may. Turns must begin all
    the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pace, "is_over", lambda pace: pace._end == 0.0)
        yield


def both_ways(
    document: str, variables: Any = None, script: Any = SCRIPT, graph: Graph = graph, **headers: str
) -> tuple[str, list[str], Any]:
    """Who made the answer, which resolvers ran, and the answer, which is graphql-core's too."""
    RUNS.clear()
    with GraphTest(graph, b=script) as test, noted(test) as ways:
        with sights(1_000):
            expected = told(test.ask(document, variables, **headers))
        assert ways == []
        runs = list(RUNS)
        sent = [one for _, one in test.sent]
        RUNS.clear()
        test.sent.clear()
    with GraphTest(graph, b=script) as test, noted(test) as ways, sights(0):
        with in_one_turn():
            found = told(test.ask(document, variables, **headers))
        assert [(one.method, one.target, one.body) for _, one in test.sent] == [
            (one.method, one.target, one.body) for one in sent
        ]
    assert json.dumps(found) == json.dumps(expected)  # the order counts too
    assert runs == RUNS
    return (ways[0] if ways else "core"), runs, found


BY_CODE = {
    "plain",
    "full",
    "large",
    "tuples",
    "number for a text",
    "whole float",
    "number for an id",
    "a row",
    "a row of a row",
    "a number in a row",
    "nothing",
    "late",
}


@pytest.mark.parametrize("how", MADE)
@pytest.mark.parametrize("kind", ["query", "mutation"])
def test_what_resolvers_return(kind: str, how: str) -> None:
    document = f"{kind} ($how: String!) {{ made(how: $how) {{ {EVERYTHING} }} }}"
    way, runs, _ = both_ways(document, {"how": how})
    assert runs == [how]
    late = how == "late"  # the mutation does not wait for it, and a text is no thing
    assert way == ("code" if how in BY_CODE and not late else "left")


def test_all_that_an_object_holds_is_shown() -> None:
    _, _, found = both_ways(f'{{ made(how: "full") {{ {EVERYTHING} }} }}')
    assert found["data"]["made"] == {
        "id": "1",
        "name": "t",
        "rate": 2.5,
        "isNew": False,
        "colour": "BLUE",
        "made": "2026-01-02T00:00:00+00:00",
        "tags": ["a", "b"],
        "nested": [[1], [], [2, 3]],
        "__typename": "Thing",
        "part": {"size": 1, "name": "p"},
        "parts": [{"name": "p", "n": None}, {"name": "q", "n": 2}],
        "holes": [None, {"name": "r"}],
        "any": {"__typename": "Other", "colour": "RED", "name": "o"},
        "named": {"__typename": "Part", "name": "n", "size": None},
        "word": None,
    }


@pytest.mark.parametrize(
    ("document", "way", "runs"),
    [
        ("{ word __typename must(fails: false) }", "code", ["word", "must"]),
        ("{ a: word b: word(waitS: 0.02) c: __typename }", "code", ["word", "word"]),
        ("{ b: word(waitS: 0.02) a: word }", "code", ["word", "word"]),
        # Whoever makes the answer waits for what is still under way.
        ("{ word(waitS: 0.02) must(fails: true) }", "left", ["word", "must"]),
        ("{ word(waitS: 0.02) w: word(fails: true) }", "code", ["word", "word"]),
        ("{ word(fails: true) must(fails: false) }", "code", ["word", "must"]),
        ("{ open }", "code", ["permission", "open"]),
        ("{ closed word }", "code", ["permission", "word"]),
        ("{ slotted { name } }", "left", ["slotted"]),
        ("{ aFuture word }", "code", ["word"]),
        ("{ aCoroutine word }", "code", ["word"]),
        ("{ helped }", "code", []),
        ("query N { about(of: [RED, BLUE]) ...F } fragment F on Query { about }", "core", []),
        ("query N { about ...F } fragment F on Query { about }", "code", []),
        ("query ($v: Int = 3) { a: about @include(if: true) word @skip(if: true) }", "core", []),
        ("{ loads { name } }", "code", []),
        ("{ aFuture }", "left", []),
        ("{ aCoroutine }", "left", []),
        ('{ made(how: "plain") { boxed { content } } }', "core", ["plain"]),
        # What hangs on such an object is graphql-core's.
        ('{ made(how: "plain") { loud } }', "core", ["plain"]),
        ("{ loads { fetched { name } } }", "code", []),
        ("{ word thing(id: 1) { name } }", "code", ["word"]),
        ("subscription { x }", "core", []),
    ],
)
def test_queries(document: str, way: str, runs: list[str]) -> None:
    assert both_ways(document)[:2] == (way, runs)


@pytest.mark.parametrize(
    ("document", "script", "way", "runs"),
    [
        ('mutation { buy(name: "a") { name } }', SCRIPT, "code", ["buy a"]),
        ('mutation { add(name: "a") { id name __typename } }', SCRIPT, "code", []),
        ('mutation { buy(name: "a") { name } }', DOWN, "code", ["buy a"]),
        ('mutation { add(name: "a") { name } }', DOWN, "code", []),
        ("mutation { a: count b: count(by: 5) __typename }", SCRIPT, "code", ["count"] * 2),
        # One after the other, each over before the next begins.
        (
            'mutation { a: buy(name: "a") { name } count b: buy(name: "b") { name } }',
            SCRIPT,
            "code",
            ["buy a", "count", "buy b"],
        ),
        (
            'mutation { buy(name: "a") { name } fails count }',
            SCRIPT,
            "code",
            ["buy a", "fails", "count"],
        ),
        (
            'mutation { made(how: "awaitable") { name } count buy(name: "z") { name } }',
            SCRIPT,
            "left",
            ["awaitable", "count", "buy z"],
        ),
        (
            'mutation { buy(name: "a") { name fetched { name } } count }',
            SCRIPT,
            "core",
            ["buy a", "count"],
        ),
        ('mutation { a: add(name: "a") { id } b: add(name: "b") { id } }', SCRIPT, "code", []),
        ('mutation { buy(name: "a") { name } add(name: "b") { id } }', DOWN, "code", ["buy a"]),
    ],
)
def test_mutations(document: str, script: Any, way: str, runs: list[str]) -> None:
    assert both_ways(document, script=script)[:2] == (way, runs)
    assert both_ways(document, script=script, idempotency_key="k1")[:2] == (way, runs)


def test_what_a_resolver_is_told_of_its_arguments_and_variables() -> None:
    document = (
        "query Q($of: [Colour!], $n: Int) { x: about(of: $of) @include(if: true) more(n: $n) }"
    )
    for variables in ({"of": ["RED"], "n": 3}, {"of": "BLUE"}, {"of": None}, {}):
        assert both_ways(document, variables)[0] == "code"
    assert both_ways(document, {"of": ["GREEN"]})[0] == "core"
    assert both_ways("mutation ($k: Int!) { count(by: $k) }", {"k": "x"})[0] == "core"


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ("{ given }", None),
        ('{ given(word: "x", id: 3, n: 3, yes: false) }', None),
        ('{ given(word: null, id: null, maybe: "m") }', None),
        ("query ($m: String) { given(maybe: $m) }", {"m": "m"}),
        ("query ($m: String) { given(maybe: $m) }", {"m": None}),
        ("query ($m: String) { given(maybe: $m) }", {}),
        ("query ($i: ID) { given(node: $i) }", {"i": to_base64("Thing", 1)}),
        ("query ($i: ID) { given(node: $i) }", {"i": "no id"}),
        ("query ($i: ID = 3, $w: String) { given(id: $i, word: $w) }", {}),
        ("query ($i: ID = 3, $w: String) { given(id: $i, word: $w) }", {"w": "x"}),
        ('{ simple(id: 3, n: 4, yes: true, snakeCase: "s") }', None),
        ('{ simple(id: "3", n: -4, yes: false, snakeCase: """b""") }', None),
        ('query ($n: Int!) { simple(id: 3, n: $n, yes: true, snakeCase: "s") }', {"n": 2**31}),
        ('query ($n: Int!) { simple(id: 3, n: $n, yes: true, snakeCase: "s") }', {"n": 7}),
        ('query ($i: ID!) { simple(id: $i, n: 1, yes: true, snakeCase: "s") }', {"i": 7}),
        ('query ($i: ID!) { simple(id: $i, n: 1, yes: true, snakeCase: "s") }', {"i": "7"}),
    ],
)
def test_arguments_come_as_they_do_from_graphql_core(document: str, variables: Any) -> None:
    both_ways(document, variables)


def test_an_info_of_the_graphs_own_is_what_resolvers_get() -> None:
    class OwnInfo(strawberry.Info[Any, Any]):
        def word(self) -> str:
            return f"own {self.field_name}"

    @strawberry.type
    class Asked:
        @strawberry.field
        async def own(self, info: OwnInfo, name: str) -> str:
            return f"{info.word()} {name}"

    made = Graph(query=Asked, config=StrawberryConfig(info_class=OwnInfo))
    way, _, found = both_ways('{ own(name: "n") }', graph=made)
    assert (way, found["data"]) == ("code", {"own": "own own n"})


def test_a_key_counts_alike_whoever_makes_the_answer() -> None:
    """The first time by graphql-core, from then on by compiled code: the ledger sees no difference,
    and neither do two fields of one document."""
    document = """mutation ($name: String!) {
        a: buy(name: $name, key: "k") { name } b: buy(name: $name, key: "k") { name }
        buy(name: $name) { name }
    }"""
    with GraphTest(graph, b=SCRIPT) as test:
        first = test.ask(document, {"name": "n"}, idempotency_key="h")
        assert len(test.sent) == 3
        keys = [one.headers["idempotency-key"] for _, one in test.sent]
        assert len(set(keys)) == 3
        with noted(test) as ways:
            second = test.ask(document, {"name": "n"}, idempotency_key="h")
            other = test.ask(document, {"name": "o"}, idempotency_key="h")
    assert ways[0] == "code"
    assert len(test.sent) == 3
    assert second["data"] == first["data"]
    assert second["extensions"]["plait"]["replayed"] is True
    assert {one["extensions"]["code"] for one in other["errors"]} == {"IDEMPOTENCY_KEY_REUSED"}


def test_a_slow_resolver_is_given_up_in_time_and_its_writes_are_told() -> None:
    limits = Settings(request_timeout_s=0.05)

    @strawberry.type
    class Slow:
        @strawberry.mutation
        async def slow(self, info: strawberry.Info) -> str | None:
            ran("slow")
            await write_together(info, add_thing(body={"name": "a"}))
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                ran("cancelled")
                raise
            return "s"

    async def main() -> Any:
        made = Graph(query=Plain, mutation=Slow)
        async with GraphTest(made, settings=limits, b=SCRIPT) as test:
            with noted(test) as ways, sights(0), pytest.MonkeyPatch.context() as patch:
                patch.setattr("plait.query.execute.GRACE_S", 0.0)
                answer = await asyncio.wait_for(test.ask_async("mutation { slow }"), 5)
            for _ in range(5):
                await asyncio.sleep(0)
            return ways, answer, list(RUNS)

    RUNS.clear()
    ways, answer, runs = asyncio.run(main())
    assert ways == ["late"]
    assert runs == ["slow", "cancelled"]
    assert answer["data"] is None
    assert [one["extensions"]["code"] for one in answer["errors"]] == ["REQUEST_TIMEOUT"]
    assert [one["outcome"] for one in answer["extensions"]["plait"]["writes"]] == ["succeeded"]


def test_a_value_under_many_names_is_not_made_before_it_is_known_to_fit() -> None:
    names = " ".join(f"a{number}: name" for number in range(200))
    with encoded() as sizes:
        way, _, found = both_ways(f'{{ made(how: "large") {{ {names} }} }}')
    assert way == "left"
    assert found["errors"][0]["extensions"]["limit"] == "answer_bytes_max"
    assert max(sizes, default=0) < 1_000_000


def test_a_long_list_is_shown_by_who_lets_others_have_their_turn() -> None:
    with (
        GraphTest(graph) as test,
        noted(test) as ways,
        sights(0),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(Pace, "is_over", lambda _: True)
        found = test.ask('{ made(how: "full") { parts { name } } }')
    assert ways == ["left"]
    assert found["data"]["made"]["parts"] == [{"name": "p"}, {"name": "q"}]


BIG = "x" * 2_000


@pytest.mark.parametrize(
    ("field", "settings", "limit"),
    [
        ("parts", {"answer_objects_max": 3}, "answer_objects_max"),
        ("parts", {"answer_bytes_max": 5_000}, "answer_bytes_max"),
        ("numbers", {"answer_objects_max": 3}, "answer_objects_max"),
        ("holes", {"answer_objects_max": 3}, "answer_objects_max"),
    ],
)
def test_an_answer_is_bounded(field: str, settings: dict[str, Any], limit: str) -> None:
    @strawberry.type
    class Big:
        @strawberry.field
        async def parts(self) -> list[Part]:
            return [Part(name=BIG) for _ in range(4)]

        @strawberry.field
        async def holes(self) -> list[Part | None]:
            return [None] * 4

        @strawberry.field
        async def numbers(self) -> list[int]:
            return [1, 2, 3, 4]

    answers = []
    for first in (1_000, 0):
        with GraphTest(Graph(query=Big), settings=Settings(**settings)) as test, sights(first):
            below = "" if field == "numbers" else "{ name }"
            answers.append(told(test.ask(f"{{ {field} {below} }}")))
    assert answers[0] == answers[1]
    assert answers[0]["data"] is None
    assert answers[0]["errors"][0]["extensions"]["limit"] == limit


def test_who_leaves_takes_the_resolver_along_and_leaves_the_write() -> None:
    @strawberry.type
    class Patient:
        @strawberry.mutation
        async def wait(self, info: strawberry.Info) -> str | None:
            await write_together(info, add_thing(body={"name": "a"}))
            try:
                await asyncio.sleep(30)
            finally:
                ran("ended")
            return None

    async def main() -> list[str]:
        async with GraphTest(Graph(query=Plain, mutation=Patient), b=SCRIPT) as test:
            with noted(test) as ways, sights(0):
                asking = asyncio.ensure_future(test.ask_async("mutation { wait }"))
                for _ in range(50):
                    await asyncio.sleep(0)
                asking.cancel()
                for _ in range(20):
                    await asyncio.sleep(0)
                assert ways == []
                assert [one.method for _, one in test.sent] == ["POST"]
                return list(RUNS)

    RUNS.clear()
    assert asyncio.run(main()) == ["ended"]
