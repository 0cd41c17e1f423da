"""What hangs on what a mutation returns is asked for by compiled code, once it has written: nothing
that was known before is told of it."""

import json
from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, Succeeded, arg, this, write_together
from plait.query.explain import explain_text, tree
from plait.testing import GraphTest, Sent, reply
from tests.query.test_compile import sights, told
from tests.query.test_resolving import in_one_turn, noted

b = Backend("b", "http://b.test", idempotency_key="Idempotency-Key")
get_user = b.get("/users/{id}")
get_badge = b.get("/badges/{id}")
add_order = b.post("/orders", purges=[get_user])
add_note = b.post("/notes")


@strawberry.type
class Badge:
    id: int
    name: str


@strawberry.type
class User:
    id: int
    orders: int
    badge: Badge | None = get_badge(id=this.id)


@strawberry.type
class Order:
    id: int
    user_id: int
    user: User | None = get_user(id=this.userId)
    sure: Badge = get_badge(id=this.userId)
    badge: Badge | None = get_badge(id=this.userId)


@strawberry.type
class Note:
    id: int
    user: User | None = get_user(id=this.userId)


@strawberry.type
class Placed:
    order: Order | None
    before: int
    why: str | None = None


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(int))


@strawberry.type
class Mutation:
    note: Note | None = add_note.field(body=arg(str, name="text"))

    @strawberry.mutation
    async def place(self, info: strawberry.Info, user: int) -> Placed:
        before = await get_user.load(info, id=user)
        (outcome,) = await write_together(info, add_order(body={"userId": user}))
        if not isinstance(outcome, Succeeded):
            return Placed(order=None, before=before["orders"], why=outcome.code)
        made = outcome.value
        return Placed(order=Order(id=made["id"], user_id=made["userId"]), before=before["orders"])

    @strawberry.mutation
    def row(self, info: strawberry.Info) -> Order:
        return {"id": 3, "userId": 1}  # type: ignore[return-value]

    @strawberry.mutation
    def nothing(self, info: strawberry.Info) -> Order | None:
        return None

    @strawberry.mutation
    def fail(self, info: strawberry.Info) -> Order | None:
        raise ValueError("no")


graph = Graph(query=Query, mutation=Mutation)


class Shop(dict[str, Any]):
    """Knows how many orders a user has placed."""

    def __init__(self, **more: Any) -> None:
        super().__init__({name.replace("__", " /").replace("_", "/"): more[name] for name in more})
        self.orders = 0

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, self.answer)

    def answer(self, sent: Sent) -> Any:
        kind, _, id_ = sent.target.strip("/").partition("/")
        match sent.method, kind:
            case "POST", "orders":
                self.orders += 1
                return {"id": self.orders, "userId": 1}
            case "POST", "notes":
                return {"id": 9, "userId": 2}
            case _, "users":
                headers = {"cache-control": "max-age=60"}
                return reply({"id": int(id_), "orders": self.orders}, headers=headers)
            case _:
                return {"id": int(id_), "name": f"b{id_}"}


def both_ways(document: str, times: int = 1, **more: Any) -> tuple[str, Any, list[str]]:
    """Who made the last answer, the answers, which are graphql-core's too, and the calls."""
    found: list[tuple[Any, list[str]]] = []
    headers = more.pop("headers", {})
    for count in (1_000, 0):
        with (
            GraphTest(graph, b=Shop(**more)) as test,
            noted(test) as ways,
            sights(count),
            in_one_turn(),
        ):
            answers = [test.ask(document, **headers) for _ in range(times)]
            for answer in answers:
                for write in answer.get("extensions", {}).get("plait", {}).get("writes", ()):
                    write.pop("durationMs", None)
                    write.pop("duration_ms", None)
                    write.pop("key", None)
            found.append(([told(one) for one in answers], test.calls.get("b", [])))
    assert json.dumps(found[1]) == json.dumps(found[0])
    return ways[-1] if ways else "core", *found[1]


FULL = "id user { id orders badge { name } } sure { id } badge { name }"


def test_what_was_read_before_a_write_is_read_again_after_it() -> None:
    document = "mutation { place(user: 1) { before order { user { orders } } } }"
    way, answers, calls = both_ways(document, times=2)
    assert way == "code"
    assert [one["data"]["place"] for one in answers] == [
        {"before": 0, "order": {"user": {"orders": 1}}},
        {"before": 1, "order": {"user": {"orders": 2}}},
    ]
    assert calls == [
        *("GET /users/1", "POST /orders", "GET /users/1"),
        *("POST /orders", "GET /users/1"),  # what came after the write is cached for a minute
    ]


@pytest.mark.parametrize(
    ("document", "way"),
    [
        (f"mutation {{ place(user: 1) {{ before order {{ {FULL} }} }} }}", "code"),
        (f"mutation {{ __typename made: place(user: 1) {{ order {{ {FULL} }} }} }}", "code"),
        (f"mutation {{ row {{ {FULL} }} }}", "code"),
        (f"mutation {{ nothing {{ {FULL} }} }}", "code"),
        (f"mutation {{ fail {{ {FULL} }} }}", "code"),
        ('mutation { note(text: "a") { id user { orders badge { name } } } }', "code"),
        ("mutation { a: row { id user { id } } b: place(user: 1) { before } }", "core"),
        ("mutation { a: row { user { id } } b: row { user { orders } } }", "core"),
        ("mutation { row { id user { id } } row { user { orders } } }", "code"),
        ("mutation { ...F } fragment F on Mutation { row { user { id } } }", "code"),
    ],
)
def test_it_is_as_graphql_core_has_it(document: str, way: str) -> None:
    assert both_ways(document)[0] == way


@pytest.mark.parametrize(
    ("more", "way"),
    [
        ({"GET__badges_1": reply(status=503)}, "code"),
        ({"POST__orders": reply(status=422)}, "code"),
        ({"POST__orders": reply(status=503)}, "code"),
        ({"GET__badges_1": {"id": 1}}, "left"),
    ],
)
def test_what_fails_is_told_beside_what_was_written(more: Any, way: str) -> None:
    way_of, answers, _ = both_ways(
        "mutation { place(user: 1) { why order { id badge { name } } } }", **more
    )
    assert way_of == way
    assert answers[0]["extensions"]["plait"]["writes"]


def test_it_is_in_the_plan_after_the_write() -> None:
    document = "mutation { place(user: 1) { order { user { badge { name } } } } }"
    made = explain_text(graph, document, variables=None, operation_name=None, rows_assumed=10)
    assert made.longest == ("place", "place.order.user", "place.order.user.badge")
    assert [(one.path, one.wave, one.waits_for) for one in made.steps] == [
        ("place.order.user", 2, "place"),
        ("place.order.user.badge", 3, "place.order.user"),
    ]
    assert made.why_not_compiled == ""
    lines = list(tree(made))
    at = lines.index("wave 1")
    assert lines[at + 1 : at + 3] == ["└─ place  its author's code", "wave 2"]


def test_a_request_that_comes_again_is_told_the_same_writes() -> None:
    document = f"mutation {{ place(user: 1) {{ before order {{ {FULL} }} }} }}"
    way, answers, calls = both_ways(document, times=2, headers={"idempotency_key": "k1"})
    assert way == "code"
    assert calls.count("POST /orders") == 1
    assert answers[1]["extensions"]["plait"]["replayed"]
    assert answers[0]["data"] == answers[1]["data"]
