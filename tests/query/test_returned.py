"""Fields with endpoints below what resolvers of the root return are asked for and shown by compiled
code: the answer is graphql-core's, no resolver runs twice, and nothing is asked for twice."""

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
import strawberry
from graphql import GraphQLError

from plait import Backend, Graph, arg, by_ids, discriminator, grouped, this
from plait.query.explain import explain_text, tree
from plait.testing import GraphTest, Sent, reply
from tests.query.test_compile import encoded, sights, told
from tests.query.test_mixed import in_order
from tests.query.test_resolving import in_one_turn, noted

b = Backend("b", "http://b.test")
get_user = b.get("/users/{id}", batch=by_ids("/users", key="id", ids="id"))
get_orders = b.get("/orders/{owner}", batch=grouped("/orders", key="owner"))
get_badge = b.get("/badges/{id}")
get_pair = b.get("/pairs/{a}/{b}")
list_news = b.get("/news")
RUNS: list[str] = []


@strawberry.type
class Badge:
    id: int
    name: str


@strawberry.type
class Order:
    id: int
    badge: Badge | None = get_badge(id=this.id)
    buyer: "User | None" = get_user(id=this.owner)


@strawberry.type
@discriminator("kind", "user")
class User:
    id: strawberry.ID
    name: str | None = None
    size: int | None = None
    friend_ids: strawberry.Private[list[int] | None] = None
    orders: list[Order] = get_orders(owner=this.id)
    badge: Badge | None = get_badge(id=this.id)
    sure: Badge = get_badge(id=this.id)
    calm: Badge | None = get_badge(id=this.id, fallback={"id": 0, "name": "none"})
    pair: Badge | None = get_pair(a=this.id, b=this.size)
    news: list[str] = list_news()
    friends: list["User | None"] = get_user.many(id=this.friendIds)
    twin: "User | None" = get_user(id=this.id)


@strawberry.type
@discriminator("kind", "bot")
class Bot:
    id: int
    badge: Badge | None = get_badge(id=this.id)


@strawberry.type
class Box:
    users: list[User]
    maybe: list[User | None] | None = None
    any: list[Annotated[User | Bot, strawberry.union("Anybody")]] | None = None


def user(id: Any = "1", **more: Any) -> User:
    return User(id=id, name=f"u{id}", **more)


MADE: dict[str, Callable[[], Any]] = {
    "one": user,
    "full": lambda: user(size=2, friend_ids=[2, 3, 2]),
    "no id": lambda: user(None),
    "a number": lambda: user(7),
    "a row": lambda: {"id": 5, "name": "r", "size": 1, "friendIds": [1]},
    "nothing": lambda: None,
    "a float": lambda: user(1.5),
    "an error": lambda: GraphQLError("made"),
}
BOXES: dict[str, Callable[[], Any]] = {
    "some": lambda: Box(users=[user("1"), user("2"), user("1")], maybe=[None, user("2")]),
    "none": lambda: Box(users=[]),
    "kinds": lambda: Box(users=[], any=[user("1"), Bot(id=2), {"kind": "bot", "id": 3}]),
    "many": lambda: Box(users=[user("1") for _ in range(300)]),
}


async def made(how: str) -> User | None:
    RUNS.append(how)
    await asyncio.sleep(0)
    found = MADE[how]()
    if isinstance(found, Exception):
        raise found
    return found  # type: ignore[no-any-return]


@strawberry.type
class Query:
    open: User | None = get_user(id=arg(strawberry.ID))

    @strawberry.field
    async def me(self, info: strawberry.Info, how: str = "one") -> User | None:
        return await made(how)

    @strawberry.field
    async def must(self, info: strawberry.Info, how: str = "one") -> User:
        return await made(how)  # type: ignore[return-value]

    @strawberry.field
    def box(self, how: str) -> Box:
        RUNS.append(f"box {how}")
        return BOXES[how]()  # type: ignore[no-any-return]

    @strawberry.field
    async def loaded(self, info: strawberry.Info, id: int) -> User:
        RUNS.append("loaded")
        return await get_user.load(info, id=id)  # type: ignore[no-any-return]


graph = Graph(query=Query, types=[Bot])


class Script(dict[str, Any]):
    """What every call is answered, but for what else is said."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, self.answer)

    def answer(self, sent: Sent) -> Any:
        path, _, query = sent.target.partition("?")
        kind, *ids = path.strip("/").split("/")
        asked = [one.partition("=")[2] for one in query.split("&")] if query else ids[:1]
        rows = {
            "users": lambda id: {"id": int(id), "name": f"n{id}", "size": 1, "friendIds": [9]},
            "orders": lambda id: {"id": int(id) * 10, "owner": int(id)},
            "badges": lambda id: {"id": int(id), "name": f"b{id}"},
            "pairs": lambda id: {"id": int(id), "name": path},
        }
        if kind == "news":
            return ["a", "b"]
        made = [rows[kind](id) for id in asked]
        return made if query or kind == "orders" else made[0]


SCRIPT = Script()


def both_ways(
    document: str, variables: Any = None, script: Any = SCRIPT
) -> tuple[str, Any, list[str]]:
    """Who made the answer, the answer, which is graphql-core's too, and the calls, as there."""
    found: list[tuple[list[str], Any, list[str]]] = []
    for count in (1_000, 0):
        RUNS.clear()
        with GraphTest(graph, b=script) as test, noted(test) as ways, sights(count), in_one_turn():
            answer = told(test.ask(document, variables))
            found.append((list(RUNS), answer, sorted(map(in_order, test.calls.get("b", [])))))
    assert json.dumps(found[1][1]) == json.dumps(found[0][1])
    assert found[1] == found[0]
    return (ways[0] if ways else "core"), *found[1][1:]


ALL = """{
  id name orders { id badge { name } buyer { name } } badge { name } calm { name } news
  pair { id } friends { name badge { id } } twin { name }
}"""


@pytest.mark.parametrize(
    ("document", "way"),
    [
        (f"{{ me {ALL} }}", "code"),
        (f'{{ me(how: "full") {ALL} open(id: 3) {{ name }} }}', "code"),
        (f'{{ me(how: "no id") {ALL} }}', "left"),  # its own id must not be null
        ('{ me(how: "no id") { name badge { id } orders { id } friends { id } } }', "code"),
        (f'{{ me(how: "a number") {ALL} }}', "code"),
        (f'{{ me(how: "a row") {ALL} }}', "code"),
        (f'{{ me(how: "nothing") {ALL} open(id: 1) {{ id }} }}', "code"),
        (f'{{ me(how: "an error") {ALL} open(id: 1) {{ id }} }}', "code"),
        ('{ must(how: "nothing") { badge { id } } }', "left"),
        ('{ me(how: "a float") { badge { id } } }', "left"),  # what no key is, somebody else tells
        ("{ a: me { badge { id } } b: me { badge { name } twin { id } } }", "code"),
        (
            "{ me { badge { id } ...F } } fragment F on User { badge { name } x: badge { id } }",
            "code",
        ),
        (
            '{ box(how: "some") { users { badge { id } orders { id } } maybe { twin { id } } } }',
            "code",
        ),
        ('{ box(how: "none") { users { badge { id } } maybe { badge { id } } } }', "code"),
        (
            """{ box(how: "kinds") { any { __typename
                ... on User { id orders { id } } ... on Bot { number: id badge { name } }
            } } }""",
            "code",
        ),
        ("query ($no: Boolean!) { me { badge @include(if: $no) { id } twin { id } } }", "code"),
        ("{ loaded(id: 4) { name orders { id } twin { name } } }", "code"),
    ],
)
def test_answers(document: str, way: str) -> None:
    assert both_ways(document, {"no": False} if "$" in document else None)[0] == way


@pytest.mark.parametrize(
    ("document", "script", "way"),
    [
        ("{ me { badge { id } name } }", {"GET /badges/1": reply(status=503)}, "code"),
        ("{ me { calm { id name } } }", {"GET /badges/1": reply(status=503)}, "code"),
        ("{ me { sure { id } name } }", {"GET /badges/1": reply(status=503)}, "code"),
        ("{ must { sure { id } name } }", {"GET /badges/1": reply(status=503)}, "code"),
        ("{ must { sure { id } name } }", {"GET /badges/1": reply(status=404)}, "code"),
        ('{ box(how: "some") { users { sure { id } } } }', {"GET /badges/2": {}}, "left"),
        (
            '{ box(how: "some") { maybe { sure { id } } users { id } } }',
            {"GET /badges/2": reply(status=500)},
            "code",
        ),
        ("{ me { badge { id name } } }", {"GET /badges/1": {"id": "x", "name": 1}}, "left"),
        ("{ me { orders { id badge { id } } } }", {"GET /orders/1": reply(status=500)}, "code"),
    ],
)
def test_what_backends_do(document: str, script: Any, way: str) -> None:
    found, answer, _ = both_ways(document, script=Script(script))
    assert found == way
    assert answer["errors"] or "calm" in document


def test_what_is_asked_for_once() -> None:
    """By a resolver and by what hangs on it, by several objects, by several resolvers."""
    assert both_ways("{ loaded(id: 4) { twin { name } } }")[2] == ["GET /users/4"]
    assert both_ways('{ box(how: "some") { users { badge { id } } } }')[2] == [
        "GET /badges/1",
        "GET /badges/2",
    ]
    document = "{ a: me { twin { name } } b: me { twin { name } } }"
    assert both_ways(document)[2] == ["GET /users/1"]


def test_it_is_never_larger_than_it_may_be() -> None:
    script = Script({"GET /badges/1": {"id": 1, "name": "x" * 100_000}})
    answers = []
    for count in (1_000, 0):
        with GraphTest(graph, b=script) as test, sights(count), encoded() as sizes:
            answers.append(told(test.ask('{ box(how: "many") { users { badge { name } } } }')))
            assert max(sizes, default=0) < 1_000_000
    assert answers[0] == answers[1]
    assert answers[1]["errors"][0]["extensions"]["limit"] == "answer_bytes_max"


def test_what_a_resolver_has_loaded_counts_too() -> None:
    script = Script({"GET /users/4": {"id": 4, "name": "x" * 1_000_000}})
    twins = " ".join(f"t{number}: twin {{ name }}" for number in range(20))
    with encoded() as sizes:
        way, answer, _ = both_ways(f"{{ loaded(id: 4) {{ id {twins} }} }}", script=script)
    assert way == "left"
    assert answer["errors"][0]["extensions"]["limit"] == "answer_bytes_max"
    assert max(sizes, default=0) < 2_000_000


def test_what_is_explained() -> None:
    made = explain_text(
        graph,
        """{
            me { badge { id } orders { badge { id } } }
            box(how: "some") { users { twin { id } } }
        }""",
        variables=None,
        operation_name=None,
        rows_assumed=10,
    )
    assert [(one.path, one.wave, one.waits_for, one.calls) for one in made.steps] == [
        ("me.badge", 2, "me", 1),
        ("me.orders", 2, "me", 1),
        ("me.orders.badge", 3, "me.orders", 10),
        ("box.users.twin", 2, "box", 1),
    ]
    assert "│    after me: its row is what the resolver returns" in list(tree(made))
    assert made.longest == ("me", "me.orders", "me.orders.badge")
    assert not made.is_exact
    assert [one["path"] for one in made.unplanned] == ["me"]


def test_what_hangs_on_a_resolver_keeps_nobody_from_leaving_early() -> None:
    made = explain_text(
        graph,
        "{ me { badge { id } orders { id } } open(id: 3) { badge { id } orders { id } } }",
        variables=None,
        operation_name=None,
        rows_assumed=10,
    )
    assert {one.path: (one.wave, one.early) for one in made.steps} == {
        "me.badge": (2, False),
        "me.orders": (2, False),
        "open": (1, False),
        "open.badge": (1, True),
        "open.orders": (1, True),
    }


def test_the_longest_way_may_begin_with_a_resolver() -> None:
    made = explain_text(
        graph,
        "{ open(id: 3) { badge { id } } me { badge { id } } }",
        variables=None,
        operation_name=None,
        rows_assumed=10,
    )
    assert made.longest == ("me", "me.badge")
    assert made.resolvers == ("me",)
    lines = list(tree(made))
    at = lines.index("wave 1")
    assert lines[at + 1] == "├─ me  its author's code"
    assert lines[at + 2].startswith("├─ open ")


def test_in_a_mutation_of_several_fields_it_is_for_graphql_core() -> None:
    """What a field shows there is read before the next one writes."""

    @strawberry.type
    class Mutation:
        @strawberry.mutation
        async def rename(self) -> User:
            return user()

    changing = Graph(query=Query, mutation=Mutation)
    document = "mutation { rename { badge { id } } again: rename { badge { id } } }"
    with GraphTest(changing, b=Script()) as test, sights(0), noted(test) as ways:
        answer = test.ask(document)
    assert answer["data"] == {"rename": {"badge": {"id": 1}}, "again": {"badge": {"id": 1}}}
    assert ways == []
