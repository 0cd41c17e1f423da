"""Serves an app with uvicorn: one process or several, each with the bounded protocol."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload, Multiprocess

from plait.app import App, create_app
from plait.edge.protocol import ArrivalLimits, BoundedProtocol
from plait.errors import PlaitError, SettingsError
from plait.find import load_graph
from plait.native import USE
from plait.observe.logs import Log
from plait.settings import Settings, foreign, read_settings, variables

CANNOT_START = 2
STOP_S = 10
"""How long requests under way may go on after the signal to stop."""
BACKLOG = 2048
YOUNG_OBJECTS = 10_000
"""New objects after which the young ones are collected. What an operation leaves behind is freed in
pieces of this size: fifty thousand at once held the loop for a quarter of a second."""
NEVER = 1_000_000
COLLECT_EVERY_S = 5.0
COLLECT_AT_LEAST_EVERY_S = 60.0
_GRAPH_VARIABLE = "PLAIT_GRAPH"


class Stop:
    """What a signal to stop does, whenever it comes: it is no failure, and must not be lost.

    uvicorn takes signals over while it serves, and raises them again when it has closed everything.
    One that comes before is noted, and not raised: an exception is swallowed where the collector
    runs, or in the middle of the loop's own work.
    """

    def __init__(self) -> None:
        self.asked = False
        self.server: uvicorn.Server | None = None

    def __call__(self, *_: object) -> None:
        self.asked = True
        if self.server is not None:
            self.server.should_exit = True


def serve_app(app: App, graph_name: str, settings: Settings, *, reload: bool) -> int:
    """Serve until a signal says to stop; the exit status. Raises `PlaitError` for what cannot be
    started."""
    stop = Stop()
    signal.signal(signal.SIGTERM, stop)
    asyncio.run(_try_out(app))
    listener = _listener(settings)
    # Workers and reloaded servers are new processes: they read it from there.
    os.environ[_GRAPH_VARIABLE] = graph_name
    config = _config(app if settings.workers == 1 and not reload else _NEW_APP, settings, reload)
    log = Log(settings.log_level, settings.log_format)
    for name in foreign(variables()):
        log("warning", "setting_unknown", {"variable": name})
    if USE == "stale":
        reason = "Sources have changed since: run `make native`."
        log("warning", "native_stale", {"reason": reason})
    listening = {
        "url": address(settings),
        "workers": settings.workers,
        "graph": graph_name,
        "native": USE == "yes",
    }
    log("info", "listening", listening)
    status = 0
    if stop.asked:
        return status
    if reload:
        ChangeReload(config, target=uvicorn.Server(config).run, sockets=[listener]).run()
    elif settings.workers > 1:
        workers = Multiprocess(config, sockets=[listener])
        workers.run()
        failed = any(one.exitcode == STARTUP_FAILURE for one in workers.processes)
        status = CANNOT_START if failed else 0
    else:
        _collect_when_idle(app)
        server = stop.server = uvicorn.Server(config)
        server.should_exit = stop.asked
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        status = 0 if server.started else CANNOT_START
    return status


_NEW_APP = "plait.serve:new_app"


def new_app() -> App:
    """The app of a worker process. Ends the process when it cannot be made."""
    try:
        app = create_app(load_graph(os.environ[_GRAPH_VARIABLE]), read_settings())
    except PlaitError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(STARTUP_FAILURE)
    _collect_when_idle(app)
    return app


def address(settings: Settings) -> str:
    """Where a browser finds GraphiQL, and a client the graph."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}/graphql"


def _config(app: App | str, settings: Settings, reload: bool) -> uvicorn.Config:
    limits = ArrivalLimits(
        headers=settings.headers_max,
        header_bytes=settings.header_bytes_max,
        time_s=settings.arrival_timeout_s,
    )
    protocol: Any = partial(BoundedProtocol, limits=limits)
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=settings.workers,
        reload=reload,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=protocol,
        ws="none",
        access_log=False,
        proxy_headers=False,  # nothing here depends on where a client is
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
    )


async def _try_out(app: App) -> None:
    """Start what the app needs, and stop it again: what cannot work is told before anybody is
    served."""
    async with app.lifespan():
        pass


def _listener(settings: Settings) -> socket.socket:
    """A bound socket. Raises `SettingsError`, naming the port and why it cannot be had."""
    listener: socket.socket | None = None
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, target = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        # Two sockets may bind one port with SO_REUSEADDR, but only one may listen.
        listener.listen(BACKLOG)
        listener.set_inheritable(True)
    except OSError as error:
        if listener is not None:
            listener.close()
        reason = (error.strerror or "it cannot be used").lower()
        raise SettingsError(
            f"Port {settings.port} on {settings.host}: {reason}. "
            "Choose another with --port or PLAIT_PORT."
        ) from None
    return listener


def _collect_when_idle(app: App) -> None:
    """Keep the garbage collector from looking at everything in the middle of a request.

    A full collection looks at every object there is: ten thousand rows on their way into an answer
    make it last most of a second, and nothing else runs meanwhile. So what was loaded at the start
    is set aside, full collections are made when nothing is under way, or when one is overdue, and
    only young objects are collected as they come.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, NEVER, NEVER)

    def collect() -> None:
        last = time.monotonic()
        while True:
            time.sleep(COLLECT_EVERY_S)
            if app.is_idle or time.monotonic() - last > COLLECT_AT_LEAST_EVERY_S:
                gc.collect()
                last = time.monotonic()

    threading.Thread(target=collect, name="plait-collector", daemon=True).start()
