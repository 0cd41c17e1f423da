"""How many instructions a request takes.

    python -m bench.instructions [--only WORD] [--keep FILE]

The scenarios of `bench.compare`, without a network: a request's bytes go into the server's
protocol, its answer's bytes come out, and the services answer out of memory. valgrind counts, so
that nothing else on the machine has a part in it: two runs differ by a thousandth, where times
differ by a tenth. What the kernel and uvloop do is not counted; a small part of asyncio's loop is.

`--keep` leaves what valgrind has noted for `callgrind_annotate`. Needs valgrind.
"""

import argparse
import asyncio
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from rich.console import Console
from rich.table import Table
from uvicorn.server import ServerState

from bench.compare.__main__ import SCENARIOS, Scenario
from bench.compare.load import request_of
from bench.compare.upstream import Services
from plait.app import App, create_app
from plait.edge.protocol import ArrivalLimits, BoundedProtocol
from plait.find import load_graph
from plait.native import USE
from plait.settings import read_settings

ROOT = Path(__file__).parents[1]
CONNECTIONS = 32
NUMBERS = 64
"""How many different requests there are: replies to them are made once."""
WARM_UP = 12
ROUNDS = 20
"""In each of them, every connection asks once."""
_COLLECTED = re.compile(r"Collected : (\d+)")


def is_countable(scenario: Scenario) -> bool:
    """Whether it needs no time, no disc and no connections but our own."""
    settings = scenario.settings
    return not (
        "--delay" in scenario.upstream
        or "PLAIT_LEDGER_PATH" in settings
        or "PLAIT_TRANSPORT" in settings
    )


class Upstream:
    """The services behind the gateway, with their replies in memory."""

    def __init__(self, options: Sequence[str]) -> None:
        given = dict(itertools.pairwise(options))
        self._services = Services(int(given.get("--posts", 100)))
        self._failing = given.get("--failing", "").encode()
        private = "private, " if "--private" in options else ""
        fresh = given.get("--fresh")
        self._control = f"{private}max-age={fresh}" if fresh else "no-store"
        self._replies: dict[tuple[bytes, bytes], bytes] = {}

    def reply(self, request: bytes) -> bytes:
        """What is sent back."""
        method, target = request[: request.index(b"\r\n")].split(b" ")[:2]
        known = self._replies.get((method, target))
        if known is None:
            known = self._replies[method, target] = self._made(method, target)
        return known

    def _made(self, method: bytes, target: bytes) -> bytes:
        status, body = self._services.answer(method, target)
        if self._failing and self._failing in target:
            status, body = 503, b"{}"
        return (
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncache-control: %b\r\n"
            b"content-length: %d\r\n\r\n%b" % (status, self._control.encode(), len(body), body)
        )


class Wire:
    """A transport whose other side is `answer`."""

    def __init__(self, answer: Callable[[bytes], object]) -> None:
        self._answer = answer

    def write(self, data: bytes) -> None:
        self._answer(data)

    def writelines(self, parts: Sequence[bytes]) -> None:
        self._answer(b"".join(parts))

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        address = ("127.0.0.1", 1)
        return address if name in ("peername", "sockname") else default

    def close(self) -> None:
        """Nothing is open."""

    abort = pause_reading = resume_reading = close


class Gateway:
    """The app of a scenario behind connections without a network."""

    def __init__(self, app: App, upstream: Upstream) -> None:
        self._app = app
        self._upstream = upstream
        self._answers: list[bytes] = []
        self._expected = 0
        self._over = asyncio.Event()

    async def __aenter__(self) -> "Gateway":
        loop = asyncio.get_running_loop()
        loop.create_connection = self._connected  # type: ignore[method-assign, assignment]
        self._lifespan = self._app.lifespan()
        await self._lifespan.__aenter__()
        config = uvicorn.Config(self._app, log_level="warning", http="httptools")
        config.load()
        config.loaded_app = self._app
        state = ServerState()
        self._connections = [
            BoundedProtocol(
                config=config, server_state=state, app_state={}, limits=ArrivalLimits(), _loop=loop
            )
            for _ in range(CONNECTIONS)
        ]
        for one in self._connections:
            one.connection_made(Wire(self._came))  # type: ignore[arg-type]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._lifespan.__aexit__(None, None, None)

    async def _connected(self, protocol: Callable[[], Any], *_: Any, **__: Any) -> tuple[Any, Any]:
        made, loop = protocol(), asyncio.get_running_loop()

        def answer(request: bytes) -> None:
            loop.call_soon(made.data_received, self._upstream.reply(request))

        wire = Wire(answer)
        made.connection_made(wire)
        return wire, made

    async def ask(self, requests: Sequence[bytes]) -> list[bytes]:
        """The answers, in the order in which they came; one request a connection."""
        self._answers, self._expected = [], len(requests)
        self._over.clear()
        for connection, request in zip(self._connections, requests, strict=True):
            connection.data_received(request)
        await self._over.wait()
        return self._answers

    def _came(self, answer: bytes) -> None:
        self._answers.append(answer)
        if len(self._answers) == self._expected:
            self._over.set()


def requests_of(scenario: Scenario) -> list[bytes]:
    """What its clients send."""
    return [
        request_of(
            scenario.query,
            scenario.variables(1_000 + number),
            f"Bearer {number % scenario.callers}" if scenario.callers else "",
        )
        for number in range(NUMBERS)
    ]


async def run(scenario: Scenario, count: Callable[[str], object], rounds: int = ROUNDS) -> bytes:
    """Have it asked for, after `count("on")` and until `count("off")`. An answer."""
    app = create_app(load_graph(f"bench.graphs.{scenario.graph}:graph"), read_settings())
    requests = requests_of(scenario)
    halves = requests[:CONNECTIONS], requests[CONNECTIONS:]
    async with Gateway(app, Upstream(scenario.upstream)) as gateway:
        for number in range(WARM_UP):
            await gateway.ask(halves[number % 2])
        count("on")
        for number in range(rounds):
            answers = await gateway.ask(halves[number % 2])
        count("off")
        return answers[0]


def toggled(how: str) -> None:
    """Have valgrind begin or end to count in this process."""
    command = ["callgrind_control", "-i", how, str(os.getpid())]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def environment_of(scenario: Scenario) -> dict[str, str]:
    """What the gateway of a scenario is to be started with."""
    return {
        "PLAIT_BACKENDS__MAIN__URL": "http://127.0.0.1:1",
        "PLAIT_BACKENDS__SECOND__URL": "http://127.0.0.1:1",
        "PLAIT_LOG_LEVEL": "error",
        "PLAIT_LEDGER_PATH": ":memory:",
        **scenario.settings,
    }


def counted(scenario: Scenario, noted: Path) -> int:
    """Instructions a request, in a process of its own. Raises `CalledProcessError`."""
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={noted}"]
    done = subprocess.run(
        [*tool, sys.executable, "-m", "bench.instructions", "--inside", scenario.name],
        cwd=ROOT,
        env={**os.environ, **environment_of(scenario)},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    found = _COLLECTED.search(done.stderr)
    assert found is not None, done.stderr
    return int(found[1]) // (ROUNDS * CONNECTIONS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.instructions")
    parser.add_argument("--only", default="", help="scenarios whose name has this in it")
    parser.add_argument("--keep", type=Path, help="where to leave what valgrind has noted")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside is not None:
        (scenario,) = (one for one in SCENARIOS if one.name == given.inside)
        answer = asyncio.run(run(scenario, toggled))
        assert b" 200 OK\r\n" in answer, answer
        return
    chosen = [one for one in SCENARIOS if given.only in one.name and is_countable(one)]
    if not chosen:
        sys.exit(f"No scenario that can be counted has '{given.only}' in its name.")
    if shutil.which("valgrind") is None:
        sys.exit("valgrind counts, and is not here: apt-get install valgrind.")
    hot = "in part machine code" if USE == "yes" else "all Python"
    title = f"Thousands of instructions a request (Plait {hot})"
    table = Table(title=title, min_width=len(title))
    table.add_column("")
    table.add_column("", justify="right")
    console = Console(stderr=True)
    with console.status("starting") as status, tempfile.TemporaryDirectory() as folder:
        for number, scenario in enumerate(chosen, 1):
            status.update(f"{number} of {len(chosen)}: {scenario.name}")
            noted = given.keep or Path(folder) / "noted"
            table.add_row(scenario.name, f"{counted(scenario, noted) / 1000:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
