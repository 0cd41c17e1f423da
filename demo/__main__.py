"""`python -m demo`: start the demo's services and wait."""

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Final

from demo.launch import LaunchError, PortInUse, Services
from demo.ports import DEFAULT_BASE_PORT, SERVICES

CHILD_DIED: Final = 1
CANNOT_START: Final = 2

_CHECK_S: Final = 0.2


def main(arguments: list[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM, or until a service dies; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    # Both, because a shell starts background jobs with Ctrl-C switched off.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        services = _services(options)
    except ValueError as error:
        parser.error(str(error))
    try:
        with services:
            sys.stdout.write(_table(services))
            sys.stdout.flush()
            return _watch(services)
    except KeyboardInterrupt:
        return 0
    except (PortInUse, LaunchError) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_START


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="Run the REST services of Plait's demo shop."
    )
    parser.add_argument(
        "--base-port",
        type=int,
        default=DEFAULT_BASE_PORT,
        metavar="PORT",
        help="port of the first service; 0 picks a free one (%(default)s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="where the services keep their files (a temporary directory)",
    )
    parser.add_argument(
        "--delay-ms",
        type=float,
        default=0,
        metavar="N",
        help="how long each service waits before it answers (%(default)s)",
    )
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help=f"start only these, with commas between: {', '.join(SERVICES)}",
    )
    return parser  # fmt: skip


def _services(options: argparse.Namespace) -> Services:
    if options.delay_ms < 0:
        raise ValueError(f"--delay-ms must be 0 or more, not {options.delay_ms:g}")
    only = None if options.only is None else [name.strip() for name in options.only.split(",")]
    return Services(
        base_port=options.base_port, data=options.data, only=only, delay_ms=options.delay_ms
    )


def _table(services: Services) -> str:
    rows = [("service", "url", "process")]
    rows += [(name, url, str(services.pid(name))) for name, url in services.urls.items()]
    lines = [f"{name:<16} {url:<24} {process}" for name, url, process in rows]
    return "\n".join([*lines, "Press Ctrl-C to stop.", ""])


def _watch(services: Services) -> int:
    while not (dead := services.poll()):
        time.sleep(_CHECK_S)
    for name, status in dead.items():
        sys.stderr.write(f"{name} {_ending(status)}; stopping the other services\n")
    return CHILD_DIED


def _ending(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"


if __name__ == "__main__":
    sys.exit(main())
