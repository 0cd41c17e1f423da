"""The parent's handle on one worker process."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from demo.job import Job
from demo.sockets import Sockets

_PROJECT: Final = Path(__file__).resolve().parent.parent
_STOP_TIMEOUT_S: Final = 4


class LaunchError(Exception):
    """A service did not start."""


class Process:
    """A worker process that runs some services."""

    def __init__(self, sockets: Sockets, data: Path, delay_ms: float) -> None:
        descriptors = {name: listener.fileno() for name, listener in sockets.items()}
        job = Job(parent=os.getpid(), data=str(data), delay_ms=delay_ms, sockets=descriptors)
        self.names = tuple(sockets)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "demo.worker", job.to_text()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=_environment(),
            pass_fds=tuple(descriptors.values()),
            # Ctrl-C in a terminal must reach the parent only; it ends the workers in order.
            process_group=0,
        )

    @property
    def pid(self) -> int:
        """The system's number for it."""
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._child.poll()

    def wait_ready(self, deadline: float) -> None:
        """Return when all its services take calls; the deadline is in monotonic time."""
        assert self._child.stdout is not None
        poll = select.poll()
        poll.register(self._child.stdout, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise LaunchError(f"{', '.join(self.names)}: not ready in time")
        if not os.read(self._child.stdout.fileno(), 64):
            status = self._child.wait()
            raise LaunchError(f"{', '.join(self.names)}: ended with {status} while starting")

    def send_stop(self) -> None:
        """Ask it to end, without waiting."""
        if self.exit_status is None:
            self._child.send_signal(signal.SIGTERM)

    def wait_stopped(self) -> None:
        """Wait until it has ended, and insist if that takes too long."""
        try:
            self._child.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
        self._reap()

    def kill(self) -> None:
        """End it the hard way (kill -9)."""
        self._child.kill()
        self._reap()

    def _reap(self) -> None:
        self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


def _environment() -> dict[str, str]:
    """This process's environment, with `demo` importable from any working directory."""
    path = [str(_PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
