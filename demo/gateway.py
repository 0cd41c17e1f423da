"""`python -m demo.gateway`: the demo's REST services as processes of their own, and a gateway over
them."""

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

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from demo.launch import LaunchError, PortInUse, Services
from demo.ports import DEFAULT_BASE_PORT
from plait.settings import Settings, read_settings

READY_TIMEOUT_S = 30.0
FIRST_QUERY = """{
  user(id: 7) {
    name
    orders { id items { quantity product { name } } }
    addresses { city }
    rewards { points }
    recommendations { name }
  }
}"""


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m demo.gateway", description=__doc__)
    parser.add_argument("--port", type=int, help="the gateway's port [PLAIT_PORT, else 8000]")
    parser.add_argument("--base-port", type=int, default=DEFAULT_BASE_PORT)
    parser.add_argument("--delay-ms", type=float, default=0)
    options = parser.parse_args()
    settings = read_settings(**({"port": options.port} if options.port is not None else {}))
    return run_demo(settings, base_port=options.base_port, delay_ms=options.delay_ms)


def run_demo(settings: Settings, *, base_port: int, delay_ms: float) -> int:
    """Run until Ctrl-C, or until a part dies. The process's exit status."""
    console = Console()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs without SIGINT
        signal.signal(number, _interrupt)
    try:
        with (
            Services(base_port=base_port, delay_ms=delay_ms) as services,
            _gateway(settings, services.urls) as gateway,
        ):
            if not _ready(settings, gateway):
                return _dead(console, "The gateway did not start.")
            _greet(console, settings, services.urls)
            return _watch(console, services, gateway)
    except (PortInUse, LaunchError) as error:
        return _dead(console, str(error))
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _gateway(settings: Settings, urls: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    environment = dict(os.environ)
    environment |= {f"PLAIT_BACKENDS__{name.upper()}__URL": url for name, url in urls.items()}
    environment.setdefault("PLAIT_LEDGER_PATH", ":memory:")
    command = [
        sys.executable,
        "-m",
        "plait",
        "serve",
        "resolvers:graph",
        "--port",
        str(settings.port),
    ]
    process = subprocess.Popen([*command, "--host", settings.host], env=environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(settings: Settings, gateway: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < end and gateway.poll() is None:
        try:
            with urllib.request.urlopen(f"{_address(settings)}/health/live", timeout=1):
                return gateway.poll() is None
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _watch(console: Console, services: Services, gateway: subprocess.Popen[bytes]) -> int:
    while True:
        if dead := services.poll():
            return _dead(console, f"These services ended by themselves: {', '.join(dead)}.")
        if gateway.poll() is not None:
            return _dead(console, f"The gateway ended by itself, with status {gateway.returncode}.")
        time.sleep(0.2)


def _greet(console: Console, settings: Settings, urls: dict[str, str]) -> None:
    table = Table(title="The demo's REST services", title_justify="left")
    table.add_column("service")
    table.add_column("address")
    for name, url in urls.items():
        table.add_row(name, url)
    console.print(table)
    console.print(Panel(FIRST_QUERY, title="a first query", expand=False))
    address = _address(settings)
    console.print(
        f"GraphiQL and the graph: [bold]{address}/graphql[/bold]   ready: {address}/health/ready"
    )
    console.print("Ctrl-C ends all of it.")


def _address(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.port}"


def _dead(console: Console, message: str) -> int:
    console.print(message, style="red", markup=False)
    return 1


if __name__ == "__main__":
    sys.exit(main())
