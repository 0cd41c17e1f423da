"""What all tests share: a gateway without sockets, and one over the demo's real services."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest

import plait.query.document
from plait import Graph, create_app
from plait.clock import Clock
from plait.events import Event
from plait.native import USE
from plait.settings import Settings

ROOT = Path(__file__).parent.parent

# How long a value takes says nothing here: machines are busy with other things now and then.
hypothesis.settings.register_profile("plait", deadline=None)
hypothesis.settings.load_profile("plait")


def pytest_addoption(parser: pytest.Parser) -> None:
    """See `--help`."""
    told = "compile operations the first time that they come, and not when they come again"
    parser.addoption("--at-first-sight", action="store_true", help=told)
    told = "fail unless what runs with every request is machine code: see server/plait/native.py"
    parser.addoption("--native", action="store_true", help=told)


def pytest_configure(config: pytest.Config) -> None:
    """Tests ask most things once, and so of graphql-core: with this, of compiled code."""
    if config.getoption("--at-first-sight"):
        plait.query.document.SIGHTS_BEFORE_COMPILED = 0
    if USE != "yes":
        os.environ["PLAIT_NATIVE"] = "off"  # nor in the processes that tests start
    if config.getoption("--native") and USE != "yes":
        raise pytest.UsageError(f"Machine code is used: {USE}. Run `make native`.")


LONGEST = ("test_package.py", "test_graphiql.py", "test_planned.py")
"""What takes longest begins first, so that nothing else has ended long before it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What reaches into a module's inside finds nothing there when it is machine code."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    if USE == "yes":
        skipped = pytest.mark.skip(reason="it reaches into a source, and machine code runs")
        for item in items:
            if item.get_closest_marker("sources"):
                item.add_marker(skipped)


@dataclass
class Wire:
    """A backend at the edge: answers by a function, and keeps what it was asked."""

    answer: Callable[[httpx.Request], httpx.Response]
    calls: list[str] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    def transport(self) -> httpx.MockTransport:
        async def handle(request: httpx.Request) -> httpx.Response:
            self.calls.append(f"{request.method} {request.url.raw_path.decode()}")
            self.requests.append(request)
            await asyncio.sleep(0)
            return self.answer(request)

        return httpx.MockTransport(handle)


@dataclass
class Asker:
    """A client of a gateway that runs in the test's own loop."""

    client: httpx.AsyncClient
    events: list[Event]

    async def __call__(self, query: str, variables: Any = None, **headers: str) -> dict[str, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"query": query, "variables": variables}
        response = await self.client.post("/graphql", json=body, headers=sent)
        answer: dict[str, Any] = response.json()
        return answer


@contextlib.asynccontextmanager
async def gateway(
    graph: Graph,
    wires: Mapping[str, Wire],
    *,
    settings: Settings | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Asker]:
    """A gateway over wires, started and stopped as a server would."""
    events: list[Event] = []
    app = create_app(
        graph,
        settings or Settings(ledger_path=Path(":memory:")),
        observers=(events.append,),
        transports={name: wire.transport() for name, wire in wires.items()},
        clock=clock,
    )
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan", "state": {}}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield Asker(client, events)
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        await life


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: list[str], port: int, cwd: Path = ROOT, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that takes connections on `port`, ended at the end."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=15)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} does not listen on {port}")


@dataclass
class Shop:
    """The demo behind a gateway of its own process."""

    url: str
    services: Mapping[str, str]
    kill: Callable[[str], object]
    pid: int
    """Of the gateway."""

    def ask(self, query: str, variables: Any = None, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"query": query, "variables": variables}
        return httpx.post(f"{self.url}/graphql", json=body, headers=sent, timeout=30)

    def calls(self, service: str) -> dict[str, Any]:
        counted: dict[str, Any] = httpx.get(f"{self.services[service]}/_admin/calls").json()
        return counted

    def reset(self) -> None:
        for url in self.services.values():
            httpx.post(f"{url}/_admin/reset").raise_for_status()

    def configure(self, service: str, **config: Any) -> None:
        httpx.post(f"{self.services[service]}/_admin/config", json=config).raise_for_status()


@contextlib.contextmanager
def shop(isolate: tuple[str, ...] = (), **environment: str) -> Iterator[Shop]:
    """The demo's services and a gateway, as processes."""
    from demo.launch import Services

    port = free_port()
    with Services(base_port=0, isolate=isolate) as services:
        settings = {
            "PLAIT_LEDGER_PATH": ":memory:",
            "PLAIT_LOG_LEVEL": "error",
            **services.settings,
            **environment,
        }
        command = [sys.executable, "-m", "plait", "serve", "--port", str(port)]
        with running(command, port, **settings) as process:
            yield Shop(f"http://127.0.0.1:{port}", services.urls, services.kill, process.pid)


@pytest.fixture(scope="session")
def demo_shop() -> Iterator[Shop]:
    with shop(PLAIT_CACHE_ENTRIES_MAX="1") as made:
        yield made


def needs(binary: str) -> str:
    """The binary's path; skips the test when it is not installed."""
    found = shutil.which(binary)
    if found is None:
        pytest.skip(f"{binary} is not installed: apt-get install {binary}")
    return found
