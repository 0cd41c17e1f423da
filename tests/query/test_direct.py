"""In whatever order replies come, compiled code reads them as structs, and waits for all."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import strawberry

import bench.engine
from plait import Backend, Graph, arg, by_ids, grouped, this
from plait.backend.boarded import Boarded, Inquiry
from plait.backend.call import Origin
from plait.backend.flight import Brought, Flight
from plait.backend.freshness import CacheEntry
from plait.backend.loads import Fetched, Load
from plait.query.direct import Direct
from plait.query.done import Request
from tests.query.test_compile import sights, unwatched

pytestmark = pytest.mark.sources  # the fetcher is another one

b = Backend("b")
get_user = b.get("/users/{id}", batch=by_ids("/users"))
orders_of = b.get("/users/{userId}/orders", batch=grouped("/orders", key="userId"))


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


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(int))
    users: list[User | None] = get_user.many(id=arg(list[int], name="ids"))


graph = Graph(query=Query)
USERS = {
    "1": {"id": 1, "name": "one", "bossId": 2},
    "2": {"id": 2, "name": "two", "bossId": 3},
    "3": {"id": 3, "name": "three", "bossId": 1},
}


def row_of(endpoint: Any, load: Load) -> Any:
    if endpoint.label.endswith("orders"):
        return [{"id": 10 + int(load.key[0]), "buyerId": 3, "userId": int(load.key[0])}]
    return USERS[load.key[0]]


class Held(bench.engine.InMemory):
    """Answers when it is told to."""

    def __init__(self, rows: Any) -> None:
        super().__init__(rows)
        self.waiting: dict[str, tuple[Flight, Brought]] = {}

    def board(
        self, inquiry: Inquiry, loads: Sequence[Load], entries: Mapping[Load, CacheEntry]
    ) -> Boarded:
        many = len(loads) > 1
        found = [row_of(inquiry.endpoint, load) for load in loads]
        body = json.dumps(found if many else found[0]).encode()
        flight = Flight(0.0)
        keys = ",".join(load.key[0] for load in loads)
        outcomes = {one.key: Fetched(row=row) for one, row in zip(loads, found, strict=True)}
        brought = Brought(body=body, is_batch=many, outcomes=outcomes)
        self.waiting[f"{inquiry.endpoint.label} {keys}"] = flight, brought
        return Boarded(flights=[flight], whole=flight)

    def land(self, call: str) -> None:
        flight, brought = self.waiting.pop(call)
        flight.land(brought)


def answered(document: str, calls: Sequence[str]) -> tuple[Any, list[str]]:
    """The answer when calls come in this order, and the endpoints whose rows were not structs."""
    plainly: list[str] = []
    read = Direct._read

    def noted(self: Direct, join: Any, watch: Any, asked: Any) -> None:
        plainly.append(join.step.fetch.endpoint.label)
        read(self, join, watch, asked)

    async def main() -> Any:
        executor = bench.engine.executor(graph, row_of)
        fetcher: Any = executor._fetcher
        running = executor.begin(Request(query=document, origin=Origin()), lambda _: None)
        for number, call in enumerate(calls):
            assert running.done is None, f"it is over before {calls[number:]}"
            for _ in range(100):  # what others could join waits for some turns
                if call not in fetcher.waiting:
                    await asyncio.sleep(0)
            fetcher.land(call)
        assert running.done is not None, fetcher.waiting
        assert not fetcher.waiting
        return json.loads(running.done.answer.body)

    with sights(0), pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.engine, "InMemory", Held)
        patch.setattr(Direct, "_read", noted)
        unwatched(patch, graph)
        return asyncio.run(main()), plainly


EARLY = "{ user(id: 1) { name orders { id } } }"
USER, ORDERS = "GET /users/{id} 1", "GET /users/{userId}/orders 1"


@pytest.mark.parametrize("calls", [(USER, ORDERS), (ORDERS, USER)])
def test_what_comes_before_the_row_above_it_is_read_as_structs_too(calls: Sequence[str]) -> None:
    answer, plainly = answered(EARLY, calls)
    assert answer == {"data": {"user": {"name": "one", "orders": [{"id": 11}]}}}
    assert plainly == []


def test_a_step_with_a_part_in_the_batch_above_it_waits_for_the_other_part() -> None:
    """The boss of 1 is 2, who came with him; that of 2 is 3, who is yet to come."""
    document = "{ a: user(id: 1) { name } users(ids: [1, 2]) { boss { name } } }"
    answer, _ = answered(document, ["GET /users/{id} 1,2", "GET /users/{id} 3"])
    assert answer == {
        "data": {
            "a": {"name": "one"},
            "users": [{"boss": {"name": "two"}}, {"boss": {"name": "three"}}],
        }
    }
