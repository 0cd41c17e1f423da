"""`create_app`: a graph as an ASGI app, to be served alone or mounted in another one."""

import contextlib
import difflib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, RedirectResponse

from plait.backend.transport import Wire
from plait.clock import Clock, SystemClock
from plait.edge.cors import added_by, with_cors
from plait.edge.graphiql import assets, pages
from plait.edge.http import ASGIApp, AsgiScope, AsgiSend, GraphQLEndpoint, Receive
from plait.edge.identity import Callers
from plait.emit import Events
from plait.errors import GatewayNotStarted, SettingsError
from plait.events import Observer
from plait.gateway import Gateway, effective, secret_headers
from plait.graph.check import forwarded_and_fixed, url_problem
from plait.graph.graph import Graph
from plait.observe.logs import Log, LogObserver
from plait.settings import Settings, read_settings


def create_app(
    graph: Graph,
    settings: Settings | None = None,
    *,
    observers: tuple[Observer, ...] | None = None,
    transports: Mapping[str, Wire] | None = None,
    clock: Clock | None = None,
) -> "App":
    """The ASGI app that serves `graph` at `/graphql`, with `/health/live` and `/health/ready`.

    `settings` are read from the environment unless given. `observers` replace the log.
    `transports` replace the wire, by backend name: a test passes `httpx.MockTransport`. Raises
    `SettingsError` when a backend has no URL, and for names of backends that the graph lacks.
    """
    settings = settings or read_settings()
    check_backends(graph, settings, transports or {})
    events = Events(*(observers if observers is not None else (_log(settings),)))
    return App(graph, settings, events, transports or {}, clock or SystemClock())


class App:
    """What `create_app` makes. Whoever mounts it in another app runs its `lifespan` in that app's:

    api = create_app(graph)
    app = FastAPI(lifespan=api.lifespan)
    app.mount("/api", api)
    """

    def __init__(
        self,
        graph: Graph,
        settings: Settings,
        events: Events,
        transports: Mapping[str, Wire],
        clock: Clock,
    ) -> None:
        self._graph = graph
        self._settings = settings
        self._events = events
        self._transports = transports
        self._clock = clock
        self._running: Gateway | None = None
        self._rest = FastAPI(
            title=graph.title,
            lifespan=self.lifespan,
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
        )
        _routes(self._rest, self._gateway)
        self._endpoint = GraphQLEndpoint(
            clock=clock,
            events=events,
            body_bytes_max=settings.request_bytes_max,
            pages=pages(title=graph.title, examples=graph.examples) if settings.graphiql else None,
            assets=assets() if settings.graphiql else {},
            forwarded=[name for spec in graph.backends for name in spec.forward],
            caller_of=Callers(
                forwarded=frozenset(name for spec in graph.backends for name in spec.forward),
                caller=graph.caller,
            ),
        )
        self.at_once = self._endpoint.shared.at_once
        """What answers most requests for /graphql without ASGI."""
        self._app: ASGIApp = self._serve
        if settings.cors_origins:
            middleware = with_cors(self._serve, settings.cors_origins)
            self._app, self._endpoint.shared.added_for = middleware, added_by(middleware)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """Starts the gateway, and stops it at the end. Raises `LedgerUnavailable`."""
        gateway = Gateway(
            self._graph,
            self._settings,
            clock=self._clock,
            events=self._events,
            transports=self._transports,
        )
        try:
            await gateway.open()
            self._running, self._endpoint.shared.executor = gateway, gateway.executor
            yield
        finally:
            self._running = self._endpoint.shared.executor = None
            await gateway.close()

    @property
    def is_idle(self) -> bool:
        """Whether no operation is under way."""
        return self._running is None or self._running.executor.is_idle

    async def __call__(self, scope: AsgiScope, receive: Receive, send: AsgiSend) -> None:
        """See the ASGI specification."""
        await self._app(scope, receive, send)

    async def _serve(self, scope: AsgiScope, receive: Receive, send: AsgiSend) -> None:
        """/graphql goes straight to its handler, everything else to FastAPI."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        try:
            if path in ("/graphql", "/graphql/") or path.startswith("/graphql/assets/"):
                await self._endpoint(scope, path, receive, send)
            else:
                await self._rest(scope, receive, send)
        except GatewayNotStarted as error:
            await JSONResponse(_not_started(error), status_code=503)(scope, receive, send)

    def _gateway(self) -> Gateway:
        if self._running is None:
            raise GatewayNotStarted
        return self._running


def check_backends(graph: Graph, settings: Settings, transports: Mapping[str, Wire]) -> None:
    """Raises `SettingsError` with everything that is wrong about the graph's backends."""
    names = [spec.name for spec in graph.backends]
    wrong = [
        f"PLAIT_BACKENDS__{name.upper()}: the graph has no backend '{name}'. "
        f"{_nearest(name, names)}"
        for name in settings.backends
        if name not in names
    ]
    wrong += [
        f"transports: the graph has no backend '{name}'. {_nearest(name, names)}"
        for name in transports
        if name not in names
    ]
    for spec in graph.backends:
        url = effective(spec, settings).url
        variable = f"PLAIT_BACKENDS__{spec.name.upper()}__URL"
        if url is None:
            wrong.append(f"Backend '{spec.name}' has no URL: set {variable}=http://...")
        elif problem := url_problem(url):
            wrong.append(f"Backend '{spec.name}': {problem} See {variable}.")
        wrong += [
            f"Backend '{spec.name}' forwards the client's '{header}', and a setting fixes it too: "
            "who sends none would be given the gateway's. Keep one of the two."
            for header in forwarded_and_fixed(
                spec.forward, secret_headers(settings.backends.get(spec.name))
            )
        ]
    wrong += _lease_too_short(graph, settings)
    if wrong:
        raise SettingsError("\n".join(wrong))


def _lease_too_short(graph: Graph, settings: Settings) -> list[str]:
    """A write that outlives its lease is taken for lost while it runs."""
    writes = [spec for spec in graph.endpoints if not spec.reads]
    longest = max(
        (spec.timeout_s or effective(spec.backend, settings).timeout_s for spec in writes),
        default=0.0,
    )
    if longest < settings.ledger_lease_s:
        return []
    return [
        f"PLAIT_LEDGER_LEASE_S is {settings.ledger_lease_s:g}, and a write may take {longest:g} s: "
        "make the lease longer than every timeout of a write."
    ]


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"It has: {', '.join(sorted(names))}." if names else "It has none."


def _routes(rest: FastAPI, gateway: Any) -> None:
    @rest.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("graphql")

    @rest.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @rest.get("/health/ready")
    async def ready() -> JSONResponse:
        """503 only when no backend is up: one that is down, or a ledger that cannot be written,
        must not take every replica out of service."""
        running = gateway()
        backends = await running.health()
        up = [state == "up" for state in backends.values()]
        status = "ready" if all(up) else "degraded" if any(up) else "down"
        ledger = await running.ledger_state()
        if ledger not in ("up", "not needed") and status == "ready":
            status = "degraded"
        cache = "down" if running.cache.is_down else "up"
        body = {"status": status, "backends": backends, "cache": cache, "ledger": ledger}
        return JSONResponse(body, status_code=503 if status == "down" else 200)


def _not_started(error: GatewayNotStarted) -> dict[str, Any]:
    return {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}


def _log(settings: Settings) -> Observer:
    return LogObserver(Log(settings.log_level, settings.log_format))
