"""A worker process: several services in one event loop, until told to stop or orphaned."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import uvicorn
import uvloop

from demo.job import Job
from demo.service import create_app

READY: Final = b"ready\n"

_PARENT_CHECK_S: Final = 0.2
_KEEP_ALIVE_S: Final = 75
_GRACE_S: Final = 1


class Server(uvicorn.Server):
    """A server that says when it listens, and leaves the signals to the worker."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def main() -> None:
    """Run the job given as the only argument."""
    uvloop.run(_serve(Job.from_text(sys.argv[1])))


async def _serve(job: Job) -> None:
    stop = _stop_signal()
    servers = {name: _server(job, name) for name in job.sockets}
    async with asyncio.TaskGroup() as running:
        for name, server in servers.items():
            running.create_task(server.serve([socket.socket(fileno=job.sockets[name])]))
        await _say_ready(servers.values())
        await _stopped_or_orphaned(stop, job.parent)
        # Calls cut off by the end are no news; uvicorn would log a traceback for each.
        logging.getLogger("uvicorn.error").disabled = True
        for server in servers.values():
            server.should_exit = True


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _server(job: Job, name: str) -> Server:
    config = uvicorn.Config(
        create_app(name, Path(job.data), delay_ms=job.delay_ms),
        loop="none",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return Server(config)


async def _say_ready(servers: Iterable[Server]) -> None:
    for server in servers:
        await server.listening.wait()
    # Nobody reads it when the parent is gone; then the worker is about to end anyway.
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), READY)


async def _stopped_or_orphaned(stop: asyncio.Event, parent: int) -> None:
    while os.getppid() == parent:
        try:
            await asyncio.wait_for(stop.wait(), _PARENT_CHECK_S)
        except TimeoutError:
            continue
        return


if __name__ == "__main__":
    main()
