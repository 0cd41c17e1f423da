"""In whatever order replies come, compiled code reads them as structs, and waits for all."""

import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any
from urllib.parse import parse_qs

import pytest
import strawberry

import bench.engine
from plait import Backend, Graph, arg, by_ids, grouped, this
from plait.backend.call import Call, Ended, Origin, Reply
from plait.query.done import Request
from plait.query.outcomes import Outcomes
from tests.query.test_compile import sights, unwatched

pytestmark = pytest.mark.sources  # `Outcomes` is looked into

b = Backend("b")
get_lead = b.get("/leads/{id}", batch=by_ids("/leads", size=2))
get_user = b.get("/users/{id}", batch=by_ids("/users"))
orders_of = b.get("/users/{userId}/orders", batch=grouped("/orders", key="userId"))

profile_of = b.get("/profiles/{userId}", keyed_by="userId")
badge_of = b.get("/badges/{userId}")
get_pair = b.get("/pairs/{x}/{y}", keyed_by={"x": "x", "y": "y"})


@strawberry.type
class Badge:
    name: str


@strawberry.type
class Profile:
    badge: Badge = badge_of(userId=this.userId)


@strawberry.type
class Pair:
    x: int
    back: "Pair | None" = get_pair(x=this.y, y=this.x)


@strawberry.type
class Order:
    id: int
    buyer: "User | None" = get_user(id=this.buyerId)


@strawberry.type
class User:
    id: int
    name: str
    boss: "User | None" = get_user(id=this.bossId)
    orders: list[Order] = orders_of(userId=this.id)
    profile: Profile = profile_of(userId=this.id)


@strawberry.type
class Seat:
    lead: User | None = get_lead(id=this.leadId)


@strawberry.type
class Query:
    team: list[Seat] = b.get("/team")()
    user: User | None = get_user(id=arg(int))
    users: list[User | None] = get_user.many(id=arg(list[int], name="ids"))
    pair: Pair | None = get_pair(x=arg(int), y=arg(int))


graph = Graph(query=Query)
USERS = {
    "1": {"id": 1, "name": "one", "bossId": 2},
    "2": {"id": 2, "name": "two", "bossId": 3},
    "3": {"id": 3, "name": "three", "bossId": 1},
    "4": {"id": 4, "name": "four", "bossId": 1},
    "5": {"id": 5, "name": "five", "bossId": 1},
}
REPLIES: dict[str, Any] = {
    "/team": [{"leadId": lead} for lead in (1, 2, 3, 4, 5, None)],
    "/profiles/1": {"userId": 1},
    "/badges/1": {"name": "gold"},
    "/pairs/1/2": {"x": 1, "y": 2},
    "/pairs/2/1": {"x": 2, "y": 1},
}


def reply_to(call: Call, asked: str) -> Any:
    if asked in REPLIES:
        return REPLIES[asked]
    path, _, batch = call.path.rpartition("/")
    if batch == "orders":
        user = int(path.rpartition("/")[2])
        return [{"id": 10 + user, "buyerId": 3, "userId": user}]
    return [USERS[key] for key in parse_qs(call.query)["id"]] if call.query else USERS[batch]


class Held:
    """A backend that answers when it is told to: see `Server`."""

    url = identity = "held"

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[Call, Ended]] = {}

    async def call(self, call: Call) -> Reply:
        raise NotImplementedError

    def begin(self, call: Call, then: Ended) -> Callable[[], None]:
        self.waiting[f"{call.path}?{call.query}".rstrip("?")] = call, then
        return lambda: None

    def land(self, asked: str) -> None:
        call, then = self.waiting.pop(asked)
        then(Reply(status=200, headers={}, body=json.dumps(reply_to(call, asked)).encode()))


def answered(document: str, calls: Sequence[str]) -> tuple[Any, list[str]]:
    """The answer when calls come in this order, and the endpoints whose rows were not structs."""
    plainly: list[str] = []
    read = Outcomes.read

    def noted(self: Outcomes, join: Any, watch: Any, asked: Any) -> None:
        plainly.append(join.step.fetch.endpoint.label)
        read(self, join, watch, asked)

    async def main() -> Any:
        backend = Held()
        executor = bench.engine.executor(graph, backend)
        running = executor.begin(Request(query=document, origin=Origin()), lambda _: None)
        for number, call in enumerate(calls):
            assert running.done is None, f"it is over before {calls[number:]}"
            for _ in range(100):  # what others could join waits for some turns
                if call not in backend.waiting:
                    await asyncio.sleep(0)
            backend.land(call)
        assert running.done is not None, backend.waiting
        assert not backend.waiting
        return json.loads(running.done.answer.body)

    with sights(0), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Outcomes, "read", noted)
        unwatched(patch, graph)
        return asyncio.run(main()), plainly


EARLY = "{ user(id: 1) { name orders { id } } }"
USER, ORDERS = "/users/1", "/users/1/orders"


@pytest.mark.parametrize("calls", [(USER, ORDERS), (ORDERS, USER)])
def test_what_comes_before_the_row_above_it_is_read_as_structs_too(calls: Sequence[str]) -> None:
    answer, plainly = answered(EARLY, calls)
    assert answer == {"data": {"user": {"name": "one", "orders": [{"id": 11}]}}}
    assert plainly == []


def test_what_hangs_on_what_leaves_early_does_so_too() -> None:
    answer, _ = answered(
        "{ user(id: 1) { profile { badge { name } } } }", ["/badges/1", "/profiles/1", USER]
    )
    assert answer == {"data": {"user": {"profile": {"badge": {"name": "gold"}}}}}


def test_one_endpoint_may_be_asked_early_for_what_hangs_on_itself() -> None:
    document = "{ pair(x: 1, y: 2) { x back { x back { x } } } }"
    answer, _ = answered(document, ["/pairs/2/1", "/pairs/1/2"])
    assert answer == {"data": {"pair": {"x": 1, "back": {"x": 2, "back": {"x": 1}}}}}


def test_what_rows_have_said_makes_room_for_more_that_may_be_in_vain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("plait.query.direct.EARLY_KEYS_MAX", 1)
    answer, _ = answered(EARLY, [ORDERS, USER])
    assert answer["data"]["user"]["orders"] == [{"id": 11}]
    document = "{ user(id: 1) { orders { buyer { orders { id } } } } }"
    answer, _ = answered(document, [USER, ORDERS, "/users/3/orders", "/users/3"])
    assert answer["data"]["user"]["orders"] == [{"buyer": {"orders": [{"id": 13}]}}]


def test_a_step_with_a_part_in_the_batch_above_it_waits_for_the_other_part() -> None:
    """The boss of 1 is 2, who came with him; that of 2 is 3, who is yet to come."""
    document = "{ a: user(id: 1) { name } users(ids: [1, 2]) { boss { name } } }"
    answer, _ = answered(document, ["/users?id=1&id=2", "/users/3"])
    assert answer == {
        "data": {
            "a": {"name": "one"},
            "users": [{"boss": {"name": "two"}}, {"boss": {"name": "three"}}],
        }
    }


LEADS = "{ team { lead { name } } }"
FIRST, SECOND, LAST = "/leads?id=1&id=2", "/leads?id=3&id=4", "/leads/5"


@pytest.mark.parametrize("calls", list(permutations((FIRST, SECOND, LAST))))
def test_rows_that_come_in_several_replies_are_structs_too(calls: Sequence[str]) -> None:
    """There are more keys than one call asks for, and one that is alone in its own."""
    answer, plainly = answered(LEADS, ["/team", *calls])
    names = ["one", "two", "three", "four", "five", None]
    assert answer == {
        "data": {"team": [{"lead": name and {"name": name}} for name in names]},
    }
    assert plainly == []


def test_a_row_that_another_reply_brings_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call has no row for 3, and the first one brings one that it was not asked for."""
    rows = [USERS["1"], USERS["2"], USERS["3"]]
    monkeypatch.setitem(REPLIES, FIRST, rows)
    monkeypatch.setitem(REPLIES, SECOND, [USERS["4"]])
    answer, _ = answered(LEADS, ["/team", FIRST, SECOND, LAST])
    assert [seat["lead"] for seat in answer["data"]["team"]] == [
        {"name": "one"},
        {"name": "two"},
        None,
        {"name": "four"},
        {"name": "five"},
        None,
    ]
