"""`python -m demo.gateway`: the demo's REST services, and a gateway over them, as processes of
their own."""

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from demo import sockets
from demo.launch import LaunchError, PortInUse, Services
from demo.ports import DEFAULT_BASE_PORT, HOST, checked, chosen

STOPPED: Final = 0
PART_DIED: Final = 1
CANNOT_START: Final = 2

READY_TIMEOUT_S: Final = 30.0
FIRST_QUERY: Final = """{
  user(id: 7) {
    name
    orders { id items { quantity product { name } } }
    addresses { city }
    rewards { points }
    recommendations { name }
  }
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the gateway listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Its base URL, for a client on this machine."""
        host = {"0.0.0.0": HOST, "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, and run until Ctrl-C or until a part dies; the exit status."""
    options = _options(arguments)
    console = Console()
    address = Address(host=os.environ.get("PLAIT_HOST", HOST), port=options.port)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs without SIGINT
        signal.signal(number, _interrupt)
    try:
        _check_ports(address, options.base_port)
        console.print(f"Starting {len(chosen(None))} REST services and the gateway …")
        with (
            Services(base_port=options.base_port, delay_ms=options.delay_ms) as services,
            _gateway(address, services.settings) as gateway,
        ):
            if not _ready(address, gateway):
                return _told(console, "The gateway did not start.", CANNOT_START)
            _greet(console, address, services.urls)
            return _watch(console, services, gateway)
    except (PortInUse, LaunchError) as error:
        return _told(console, f"{error}. {_REMEDY}", CANNOT_START)
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return STOPPED


_REMEDY: Final = "Choose other ports: make demo PORT=9000 BASE_PORT=9100"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo.gateway",
        description="Run the demo's REST services and a gateway over them.",
    )
    parser.add_argument(
        "--port", type=int, default=os.environ.get("PLAIT_PORT", "8000"), metavar="PORT",
        help="the gateway's port (PLAIT_PORT, else 8000)",
    )  # fmt: skip
    parser.add_argument(
        "--base-port", type=int, default=DEFAULT_BASE_PORT, metavar="PORT",
        help="port of the first service; 0 picks a free one (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--delay-ms", type=float, default=0, metavar="N",
        help="how long each service waits before it answers (%(default)s)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        checked(options.base_port)
    except ValueError as error:
        parser.error(str(error))
    if not 1 <= options.port <= 65_535:
        parser.error(f"the gateway's port must be from 1 to 65535, not {options.port}")
    return options


def _check_ports(address: Address, base_port: int) -> None:
    """Raises `PortInUse`, before anything is started."""
    sockets.close_all({"gateway": sockets.listener("the gateway", address.host, address.port)})
    if base_port:
        sockets.close_all(sockets.listen(base_port, chosen(None))[1])


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _gateway(address: Address, settings: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **settings}
    environment.setdefault("PLAIT_LEDGER_PATH", ":memory:")
    environment.setdefault("PLAIT_LOG_LEVEL", "warning")  # the demo's screen is for its addresses
    command = [sys.executable, "-m", "plait", "serve", "resolvers:graph"]
    command += ["--host", address.host, "--port", str(address.port)]
    process = subprocess.Popen(command, env=environment, process_group=0)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(address: Address, gateway: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < end and gateway.poll() is None:
        try:
            with urllib.request.urlopen(f"{address.url}/health/live", timeout=1):
                return gateway.poll() is None
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _watch(console: Console, services: Services, gateway: subprocess.Popen[bytes]) -> int:
    while True:
        if dead := services.poll():
            names = ", ".join(dead)
            return _told(console, f"These services ended by themselves: {names}.", PART_DIED)
        if gateway.poll() is not None:
            status = gateway.returncode
            return _told(console, f"The gateway ended by itself, with status {status}.", PART_DIED)
        time.sleep(0.2)


def _greet(console: Console, address: Address, urls: dict[str, str]) -> None:
    table = Table(title="The demo's REST services", title_justify="left")
    table.add_column("service")
    table.add_column("address", overflow="fold")
    for name, url in urls.items():
        table.add_row(name, url)
    console.print(table)
    console.print(Panel(FIRST_QUERY, title="a first query", expand=False))
    console.print(f"GraphiQL and the graph: [bold]{address.url}/graphql[/bold]", soft_wrap=True)
    console.print(f"Is everything up?       {address.url}/health/ready", soft_wrap=True)
    console.print("Ctrl-C ends all of it.")


def _told(console: Console, message: str, status: int) -> int:
    console.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
