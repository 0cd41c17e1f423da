"""Runs the demo's services, for `python -m demo`, for `demo.gateway` and for tests."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from demo import ports, sockets
from demo.groups import groups
from demo.ports import DEFAULT_BASE_PORT
from demo.process import LaunchError, Process
from demo.sockets import PortInUse

__all__ = ["LaunchError", "PortInUse", "Services"]


class Services:
    """The services as child processes, running while this context is open.

    `base_port=0` picks a free one. Without `data` the services' files are in a temporary
    directory that goes away at the end. `isolate` gives services a process of their own.
    """

    def __init__(
        self,
        *,
        base_port: int = DEFAULT_BASE_PORT,
        data: Path | None = None,
        only: Sequence[str] | None = None,
        isolate: Sequence[str] = (),
        delay_ms: float = 0,
        ready_timeout_s: float = 30,
    ) -> None:
        self.base_port = ports.checked(base_port)
        self.names = ports.chosen(only)
        self._groups = groups(only, isolate)
        self._data = data
        self._delay_ms = delay_ms
        self._ready_timeout_s = ready_timeout_s
        self._temporary: TemporaryDirectory[str] | None = None
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        """Start everything and wait until it takes calls."""
        self.base_port, listeners = sockets.listen(self.base_port, self.names)
        try:
            self._prepare_data()
            self._spawn(self._groups, listeners)
        except BaseException:
            self.close()
            raise
        finally:
            # A worker's death must close its ports, so nobody else may keep them open.
            sockets.close_all(listeners)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything."""
        self.close()

    @property
    def urls(self) -> dict[str, str]:
        """Service name -> its URL."""
        return ports.urls(self.base_port, self.names)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that tell a gateway where the services of the shop's graph are.

        The graph asks no question about fraud, and a gateway refuses backends that it does not
        know.
        """
        return {
            f"PLAIT_BACKENDS__{name.upper()}__URL": url
            for name, url in self.urls.items()
            if name != "fraud"
        }

    def pid(self, name: str) -> int:
        """The process in which a service lives."""
        return self._process(name).pid

    def poll(self) -> dict[str, int]:
        """The services whose process has ended -> its exit status (-9 after a kill -9)."""
        statuses = {name: process.exit_status for name, process in self._processes.items()}
        return {name: status for name, status in statuses.items() if status is not None}

    def kill(self, name: str) -> tuple[str, ...]:
        """Kill -9 the process in which a service lives; the services that ended with it."""
        process = self._process(name)
        process.kill()
        return process.names

    def restart(self, name: str) -> tuple[str, ...]:
        """Start a killed service again, with its process's others, on its port and data."""
        process = self._process(name)
        if process.exit_status is None:
            raise LaunchError(f"{name} runs already")
        _, listeners = sockets.listen(self.base_port, process.names)
        try:
            self._spawn((process.names,), listeners)
        finally:
            sockets.close_all(listeners)
        return process.names

    def close(self) -> None:
        """End all processes and remove the temporary data; may be called again."""
        processes = set(self._processes.values())
        for process in processes:
            process.send_stop()
        for process in processes:
            process.wait_stopped()
        self._processes.clear()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _prepare_data(self) -> None:
        if self._data is not None:
            self._data.mkdir(parents=True, exist_ok=True)
        elif self._temporary is None:
            self._temporary = TemporaryDirectory(prefix="plait-demo-")

    def _data_directory(self) -> Path:
        if self._data is not None:
            return self._data
        assert self._temporary is not None
        return Path(self._temporary.name)

    def _spawn(self, names: Sequence[tuple[str, ...]], listeners: sockets.Sockets) -> None:
        deadline = time.monotonic() + self._ready_timeout_s
        started = [self._start({name: listeners[name] for name in group}) for group in names]
        for process in started:
            process.wait_ready(deadline)

    def _start(self, listeners: sockets.Sockets) -> Process:
        process = Process(listeners, self._data_directory().absolute(), self._delay_ms)
        self._processes.update(dict.fromkeys(process.names, process))
        return process

    def _process(self, name: str) -> Process:
        if name not in self._processes:
            raise LaunchError(f"{name} was not started")
        return self._processes[name]
