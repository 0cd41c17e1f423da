"""`make bench`: the gateway beside a plain Strawberry app, over the same services on this machine.

    python -m bench.compare [--seconds 3] [--only WORD] [--svg FILE]

Each answer is compared before anything is timed. What counts is the CPU that a request takes of the
server: its ratio to another's is the same on a slow machine and on a fast one. Needs Linux.
"""

import argparse
import asyncio
import itertools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from bench.compare.load import Load, load, request_of
from bench.compare.picture import picture
from plait.native import USE

ROOT = Path(__file__).parents[2]
WIDTH = 125
POSTS = "{ posts { id userId title user { id name email } } }"
FLAT = "{ posts { title } }"
HEADLINES = "{ posts { id headline user { name } } }"
ROWS = "{ posts { id userId title } }"
DEEP = """query ($id: Int!) {
  user(id: $id) { id name email posts { id title comments { id name } } }
}"""
CATALOG = """{ catalog { __typename
  ... on Book { id title price author } ... on Game { id title price players }
} }"""
STOCK = """{ catalog {
  ... on Book { title bookStock: stock { left } } ... on Game { title gameStock: stock { left } }
} }"""
MEMBERS = CATALOG.replace("catalog", "caller membersCatalog", 1)
MINE = "{ mine { id total placedAt } }"
DASHBOARD = """query ($id: Int!) { user(id: $id) {
  name email orders { id total } addresses { id city } payments { id brand } rewards { points }
} }"""
ORDER = """mutation ($key: String!) { placeOrder(userId: 7, item: "book", key: $key) {
  order { id service status } notification { id service status }
} }"""


def another_id(number: int) -> dict[str, Any]:
    return {"id": number % 50_000 + 1}


def another_key(number: int) -> dict[str, Any]:
    return {"key": f"{os.getpid()}-{number}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing that is asked of both."""

    name: str
    query: str
    variables: Callable[[int], dict[str, Any]] = lambda _: {}
    upstream: Sequence[str] = ()
    settings: dict[str, str] = field(default_factory=dict)
    connections: int = 32
    graph: str = "jsonplaceholder"
    """In `bench/graphs`."""
    callers: int = 0
    """How many ask, each with credentials of his own."""
    rows: int = 0
    """In a list of so many rows, what one of them takes is told too."""


ALONE = {"PLAIT_SHARE": "off"}
SCENARIOS = (
    Scenario(name="posts with users, equal requests", query=POSTS),
    Scenario(name="posts with users, each alone", query=POSTS, settings=ALONE),
    Scenario(
        name="the same, of rows that are kept",
        query=POSTS,
        upstream=("--fresh", "600"),
        settings=ALONE,
    ),
    Scenario(name="a flat list, equal requests", query=FLAT),
    Scenario(name="a flat list, each alone", query=FLAT, settings=ALONE),
    Scenario(name="a field of rows that a resolver computes", query=HEADLINES, settings=ALONE),
    Scenario(name="no call at all", query="{ greet }"),
    Scenario(name="three waves, each request another", query=DEEP, variables=another_id),
    Scenario(
        name="the same, from the sources alone",
        query=DEEP,
        variables=another_id,
        settings={"PLAIT_NATIVE": "off"},
    ),
    Scenario(
        name="the same, over httpx's client",
        query=DEEP,
        variables=another_id,
        settings={"PLAIT_TRANSPORT": "httpx"},
    ),
    Scenario(
        name="dashboard of five services, 50 ms each",
        query=DASHBOARD,
        variables=another_id,
        upstream=("--delay", "0.05"),
        connections=4,
    ),
    Scenario(
        name="dashboard, one of five services failing",
        query=DASHBOARD,
        variables=another_id,
        upstream=("--failing", "/rewards"),
    ),
    Scenario(name="an envelope, two types, decimals", query=CATALOG, settings=ALONE, graph="shop"),
    Scenario(
        name="the same, permission and resolver",
        query=MEMBERS,
        settings=ALONE,
        graph="shop",
        callers=20,
    ),
    Scenario(
        name="its stock, the service down: fallbacks",
        query=STOCK,
        settings=ALONE,
        graph="shop",
        upstream=("--failing", "/stock"),
    ),
    Scenario(
        name="what each of 20 callers may keep",
        query=MINE,
        settings=ALONE,
        graph="shop",
        callers=20,
        upstream=("--fresh", "600", "--private"),
    ),
    Scenario(name="two writes, remembered in memory", query=ORDER, variables=another_key),
    Scenario(
        name="two writes, remembered on disc",
        query=ORDER,
        variables=another_key,
        settings={"PLAIT_LEDGER_PATH": "{folder}/ledger.sqlite3"},
    ),
    *(
        Scenario(
            name=f"a list of {rows:,} rows",
            query=ROWS,
            upstream=("--posts", str(rows)),
            settings={**ALONE, "PLAIT_ANSWER_OBJECTS_MAX": "20000"},
            connections=8,
            rows=rows,
        )
        for rows in (10, 100, 1_000, 10_000)
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one scenario."""

    scenario: Scenario
    ours: Load
    plain: Load

    @property
    def times_less(self) -> float:
        return self.plain.cpu_us / self.ours.cpu_us


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.compare")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each server (3)")
    parser.add_argument("--only", default="", help="scenarios whose name has this in it")
    parser.add_argument("--svg", type=Path, help="where to draw the picture")
    given = parser.parse_args()
    if not Path("/proc/self/stat").exists():
        sys.exit("The CPU of a process is read from /proc, which only Linux has.")
    chosen = [one for one in SCENARIOS if given.only in one.name]
    if not chosen:
        sys.exit(f"No scenario has '{given.only}' in its name.")
    console = Console(stderr=True)
    results = []
    with console.status("starting") as status:
        for number, scenario in enumerate(chosen, 1):
            status.update(f"{number} of {len(chosen)}: {scenario.name}")
            results.append(measured(scenario, given.seconds))
        status.update("uvicorn alone")
        bare = alone(given.seconds)
    show(results, bare)
    if given.svg:
        bars = [(one.scenario.name, one.ours.cpu_us, one.plain.cpu_us) for one in results]
        given.svg.write_text(picture(bars))


def show(results: Sequence[Result], bare: Load) -> None:
    """Print what came of it."""
    hot = "in part machine code" if USE == "yes" else "all Python"
    title = f"CPU a request takes, in µs, and the median time to an answer, in ms (Plait {hot})"
    table = Table(title=title)
    for name in ("", "Plait", "Strawberry", "times less", "", "Plait ms", "its ms", "a row"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for one in results:
        table.add_row(
            one.scenario.name,
            f"{one.ours.cpu_us:,.0f}",
            f"{one.plain.cpu_us:,.0f}",
            f"{one.times_less:.1f}",
            "█" * max(1, min(12, round(one.times_less / 4))),
            f"{one.ours.p50_ms:.1f}",
            f"{one.plain.p50_ms:.1f}",
            f"{one.ours.cpu_us / one.scenario.rows:.2f}" if one.scenario.rows else "",
        )
    table.add_row(
        "(uvicorn alone, its answer ready)", f"{bare.cpu_us:,.0f}", "", "", "", "", "", ""
    )
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)


def measured(scenario: Scenario, seconds: float) -> Result:
    """Both servers over the services that the scenario asks for."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        port = stack.enter_context(upstream(scenario.upstream))
        settings = {name: one.format(folder=folder) for name, one in scenario.settings.items()}
        ours = stack.enter_context(plait(port, scenario.graph, settings))
        plain = stack.enter_context(strawberry_app(port, "app"))
        check(scenario, ours[0], plain[0])
        return Result(
            scenario=scenario,
            ours=timed(scenario, *ours, seconds),
            plain=timed(scenario, *plain, seconds),
        )


def alone(seconds: float) -> Load:
    """What uvicorn takes for an answer that is ready."""
    with strawberry_app(0, "bare") as (port, pid):
        return timed(Scenario(name="", query="{ greet }"), port, pid, seconds)


def timed(scenario: Scenario, port: int, pid: int, seconds: float) -> Load:
    numbers = itertools.count(1_000)

    def next_request() -> bytes:
        number = next(numbers)
        caller = f"Bearer {number % scenario.callers}" if scenario.callers else ""
        return request_of(scenario.query, scenario.variables(number), caller)

    connections = scenario.connections
    return asyncio.run(load(port, pid, next_request, connections=connections, seconds=seconds))


def check(scenario: Scenario, ours: int, plain: int) -> None:
    """Both answer the same. Raises `AssertionError`."""
    for number in range(1, 6):  # the first times the gateway has not compiled it
        told = [answer(port, scenario, number) for port in (ours, plain)]
        shown = [str(one)[:500] for one in told]
        assert told[0]["data"] == told[1]["data"], shown
        failed = [[one["path"] for one in each.get("errors", ())] for each in told]
        assert failed[0] == failed[1], shown


def answer(port: int, scenario: Scenario, number: int) -> Any:
    body = {"query": scenario.query, "variables": scenario.variables(number)}
    headers = {"authorization": f"Bearer {number}"} if scenario.callers else {}
    url = f"http://127.0.0.1:{port}/graphql"
    return httpx.post(url, json=body, headers=headers, timeout=30).json()


@contextmanager
def upstream(options: Sequence[str]) -> Iterator[int]:
    port = free_port()
    with started(["-m", "bench.compare.upstream", str(port), *options], port):
        yield port


@contextmanager
def plait(upstream_port: int, graph: str, settings: dict[str, str]) -> Iterator[tuple[int, int]]:
    port, url = free_port(), f"http://127.0.0.1:{upstream_port}"
    environment = {
        "PLAIT_BACKENDS__MAIN__URL": url,
        "PLAIT_BACKENDS__SECOND__URL": url,
        "PLAIT_LOG_LEVEL": "warning",
        "PLAIT_LEDGER_PATH": ":memory:",
        **settings,
    }
    command = ["-m", "plait", "serve", f"bench.graphs.{graph}:graph", "--port", str(port)]
    # A service that fails is logged for every request, to a pipe that somebody would have to read.
    with started(command, port, environment, quiet=True) as pid:
        yield port, pid


@contextmanager
def strawberry_app(upstream_port: int, name: str) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [
        "-m",
        "uvicorn",
        f"bench.compare.plain:{name}",
        "--port",
        str(port),
        "--no-access-log",
    ]
    environment = {"UPSTREAM": f"http://127.0.0.1:{upstream_port}"}
    with started([*command, "--log-level", "critical"], port, environment) as pid:
        yield port, pid


@contextmanager
def started(
    command: Sequence[str],
    port: int,
    environment: dict[str, str] | None = None,
    *,
    quiet: bool = False,
) -> Iterator[int]:
    """A server, once it listens; its process id."""
    others = {name: one for name, one in os.environ.items() if not name.startswith("PLAIT_")}
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**others, **(environment or {})},
        stderr=subprocess.DEVNULL if quiet else None,
    )
    try:
        asyncio.run(listening(port, process))
        yield process.pid
    finally:
        process.terminate()
        process.wait(15)


async def listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if process.poll() is not None:
                raise SystemExit(f"{process.args!r} ended with {process.returncode}.") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit(f"{process.args!r} does not listen.")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main()
