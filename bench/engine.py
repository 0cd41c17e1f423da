"""What the engine takes by itself, with replies in memory: `python -m bench.engine`.

Prints CPU microseconds of one operation, from the request to the bytes of its answer: by compiled
code, by our executor, and by Strawberry's stock executor in the same run. The best of several
rounds, since machines have neighbours.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import strawberry
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

import plait.graph.graph
import plait.query.document
import plait.query.interpret
from bench.graphs.jsonplaceholder import graph
from plait import Backend, Graph
from plait.backend.asking import Server
from plait.backend.budget import Allowance
from plait.backend.call import Call, Ended, Origin, Reply
from plait.backend.fetch import Fetcher
from plait.backend.numbers import encode
from plait.clock import SystemClock, Turns
from plait.emit import Events
from plait.query.document import Documents
from plait.query.done import Request
from plait.query.execute import Executor
from plait.query.interpret import OperationLimits
from plait.query.reading import DocumentLimits

wide = Backend("wide", "http://wide.test").get("/rows")


@strawberry.type
class Row:
    id: int
    name: str
    title: str
    body: str
    rate: float
    count: int
    flag: bool
    note: str | None


@strawberry.type
class Query:
    rows: list[Row] = wide()


POSTS = [
    {"id": number, "userId": number % 10 + 1, "title": f"title {number}", "body": "text " * 20}
    for number in range(1, 101)
]
USERS = {
    str(number): {"id": number, "name": f"name {number}", "email": f"n{number}@example.test"}
    for number in range(1, 11)
}
ROWS = [
    {
        "id": number,
        "name": f"name {number}",
        "title": f"title {number}",
        "body": "text",
        "rate": number / 4,
        "count": number,
        "flag": number % 2 == 0,
        "note": None,
    }
    for number in range(5_000)
]


def ids_in(call: Call) -> list[str]:
    """What a batch asks for."""
    return parse_qs(call.query)["id"]


CASES: dict[str, tuple[Graph, str, Callable[[Call], Any]]] = {
    "100 posts with 10 users": (
        graph,
        "{ posts { id userId title user { id name email } } }",
        lambda call: POSTS if call.path == "/posts" else [USERS[one] for one in ids_in(call)],
    ),
    "5,000 rows of 8 fields": (
        Graph(query=Query),
        "{ rows { id name title body rate count flag note } }",
        lambda call: ROWS,
    ),
}


NEVER = 1_000_000


class InMemory:
    """A backend that has every reply at hand: see `Server`."""

    url = identity = "memory"

    def __init__(self, reply_of: Callable[[Call], Any]) -> None:
        self._reply_of = reply_of
        self._replies: dict[tuple[str, str], Reply] = {}

    def _reply(self, call: Call) -> Reply:
        asked = call.path, call.query
        if asked not in self._replies:
            body = encode(self._reply_of(call))
            self._replies[asked] = Reply(status=200, headers={}, body=body)
        return self._replies[asked]

    async def call(self, call: Call) -> Reply:
        return self._reply(call)

    def begin(self, call: Call, then: Ended) -> Callable[[], None]:
        return asyncio.get_running_loop().call_soon(then, self._reply(call)).cancel


class Stock(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor; our context only gets to know it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.begun: list[Any] = []
        self.context_value.executor = self

    def let_go(self) -> None:
        """See `BoundedExecutor`."""


def executor(of: Graph, server: Server) -> Executor:
    """What answers operations on a graph, whose backends are all `server`."""
    servers = {backend.name: server for backend in of.backends}
    fetcher = Fetcher(servers, cache=None, clock=SystemClock(), events=Events())
    unused: Any = None
    allowance = Allowance(objects=100_000, bytes=100_000_000)
    return Executor(
        of,
        documents=Documents(of, DocumentLimits()),
        fetcher=fetcher,
        writes=unused,
        clock=SystemClock(),
        events=Events(),
        limits=OperationLimits(allowance=allowance),
        turns=Turns(),
    )


async def cpu_us(made: Executor, query: str, *, rounds: int, times: int) -> float:
    """The CPU time of one operation, in microseconds."""
    request = Request(query=query, origin=Origin())
    answer = (await made.run(request)).answer
    assert answer.codes == (), answer.body[:200]
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(times):
            await made.run(request)
        best = min(best, (time.process_time() - start) / times * 1e6)
    return best


def main() -> None:
    ours: Any = plait.graph.graph.BoundedExecutor
    begun: Any = plait.query.interpret._begun
    for name, (of, query, reply_of) in CASES.items():
        times = 5 if "5,000" in name else 100
        plait.query.document.SIGHTS_BEFORE_COMPILED = 0
        server = InMemory(reply_of)
        code = asyncio.run(cpu_us(executor(of, server), query, rounds=7, times=times))
        plait.query.document.SIGHTS_BEFORE_COMPILED = NEVER
        found = asyncio.run(cpu_us(executor(of, server), query, rounds=7, times=times))
        plait.graph.graph.BoundedExecutor = Stock  # type: ignore[misc, assignment]
        plait.query.interpret._begun = lambda *_: None  # type: ignore[assignment]
        stock = asyncio.run(cpu_us(executor(of, server), query, rounds=3, times=max(2, times // 5)))
        plait.graph.graph.BoundedExecutor = ours  # type: ignore[misc]
        plait.query.interpret._begun = begun
        print(
            f"{name:>24}: compiled {code:8,.0f} µs, executor {found:8,.0f} µs, "
            f"stock executor {stock:8,.0f} µs"
        )


if __name__ == "__main__":
    main()
