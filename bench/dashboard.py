"""The dashboard over five services of 200 ms each: `python -m bench.dashboard`.

Prints how long the graph takes (median over distinct users), and how long the same five calls
take one after the other, as bars of one scale.
"""

import statistics
import time
from collections.abc import Callable

import httpx

from resolvers.examples import EXAMPLES
from tests.conftest import Shop, shop

DELAY_MS = 200
NAMES = ("users", "orders", "addresses", "payments", "rewards")
PATHS = (
    "/users/{id}",
    "/users/{id}/orders",
    "/addresses?user_id={id}",
    "/payments?userIds={id}",
    "/rewards/{id}",
)


def main() -> None:
    with shop() as made:
        made.reset()
        for name in NAMES:
            made.configure(name, delayMs=DELAY_MS)
        with httpx.Client() as client:
            show("one after the other", median(lambda id: sequential(made, client, id)))
            show("through the graph", median(lambda id: graph(made, client, id)))


def sequential(made: Shop, client: httpx.Client, id: int) -> None:
    for name, path in zip(NAMES, PATHS, strict=True):
        client.get(made.services[name] + path.format(id=id)).raise_for_status()


def graph(made: Shop, client: httpx.Client, id: int) -> None:
    body = {"query": EXAMPLES[0].query, "variables": {"id": str(id)}}
    assert "errors" not in client.post(f"{made.url}/graphql", json=body).json()


def median(step: Callable[[int], None]) -> float:
    times = []
    for id in range(101, 111):
        if id % 17 == 0:
            continue  # has no rewards: a different query
        start = time.monotonic()
        step(id)
        times.append(time.monotonic() - start)
    return statistics.median(times) * 1000


def show(name: str, ms: float) -> None:
    print(f"{name:>20} {'█' * round(ms / 20)} {ms:.0f} ms")


if __name__ == "__main__":
    main()
