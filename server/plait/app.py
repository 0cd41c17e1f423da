"""`create_app`: the one place that sees all parts, makes what lives long, and hands it down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.middleware.cors import CORSMiddleware

from plait.backend.cache import RowCache, open_store
from plait.backend.client import Client
from plait.backend.fetch import Fetcher
from plait.backend.spec import BackendSpec
from plait.backend.transport import Wire
from plait.clock import Clock, SystemClock
from plait.edge.graphiql import assets, page
from plait.edge.http import ASGIApp, GraphQLEndpoint, Receive, Scope, Send
from plait.errors import BackendError, SettingsError
from plait.events import Events, Observer
from plait.graph.bind import Graph
from plait.graph.check import url_problem
from plait.observe.logs import log_observer
from plait.query.document import DocumentLimits, Documents
from plait.query.execute import Executor
from plait.settings import BackendSettings, Settings, read_settings
from plait.writes.send import http_send
from plait.writes.sqlite import SqliteLedger
from plait.writes.writes import Writes

SWEEP_EVERY_S = 60.0
CLOSE_S = 10.0


class Gateway:
    """A graph being served: everything that lives as long as the app does."""

    def __init__(
        self,
        graph: Graph,
        settings: Settings,
        *,
        clock: Clock,
        events: Events,
        transports: Mapping[str, Wire],
    ) -> None:
        self.clients = {
            spec.name: _client(spec, settings.backends.get(spec.name), clock, events, transports)
            for spec in graph.backends
        }
        calls = {name: client.call for name, client in self.clients.items()}
        store = open_store(
            settings.cache_url.get_secret_value() if settings.cache_url else None,
            clock=clock,
            entries_max=settings.cache_entries_max,
            bytes_max=settings.cache_bytes_max,
            timeout_s=settings.cache_timeout_s,
        )
        self.cache = RowCache(store, clock=clock, events=events, timeout_s=settings.cache_timeout_s)
        self.fetcher = Fetcher(calls, cache=self.cache, clock=clock, events=events)
        self.ledger = _ledger(settings)
        self.writes = Writes(
            ledger=self.ledger,
            send=http_send(calls),
            clock=clock,
            events=events,
            require_key=graph.require_idempotency_key,
            expiry_s=settings.ledger_expiry_s,
        )
        limits = DocumentLimits(
            tokens=settings.document_tokens_max,
            depth=settings.document_depth_max,
            fields=settings.document_fields_max,
            introspection=settings.introspection,
        )
        self.executor = Executor(
            graph,
            documents=Documents(graph, limits, entries_max=settings.documents_cached),
            fetcher=self.fetcher,
            writes=self.writes,
            clock=clock,
            events=events,
            timeout_s=settings.request_timeout_s,
            calls_max=settings.request_calls_max,
        )
        self._clock = clock
        self._sweeper = asyncio.create_task(self._sweep())

    async def health(self) -> dict[str, str]:
        """Each backend: `up`, or why it is down."""
        names = list(self.clients)
        states = await asyncio.gather(*(_state(self.clients[name]) for name in names))
        return dict(zip(names, states, strict=True))

    async def close(self) -> None:
        """Finish what writes, give up what reads, close every connection."""
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)
        await self.writes.close(CLOSE_S)
        await self.fetcher.close()
        await asyncio.gather(*(client.close() for client in self.clients.values()))
        await self.cache.close()
        await self.ledger.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            with contextlib.suppress(Exception):  # the ledger's own trouble shows when it is used
                await self.writes.sweep()


def create_app(
    graph: Graph,
    settings: Settings | None = None,
    *,
    observers: tuple[Observer, ...] | None = None,
    transports: Mapping[str, Wire] | None = None,
    clock: Clock | None = None,
) -> ASGIApp:
    """The ASGI app that serves `graph`.

    `settings` are read from the environment unless given. `observers` replace the log.
    `transports` replace the wire, by backend name: a test passes `httpx.MockTransport`. Raises
    `SettingsError` when a backend has no URL.
    """
    settings = settings or read_settings()
    _check_urls(graph, settings)
    events = Events(*(observers if observers is not None else (_log(settings),)))
    clock = clock or SystemClock()
    running: list[Gateway] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        gateway = Gateway(graph, settings, clock=clock, events=events, transports=transports or {})
        running.append(gateway)
        yield
        running.clear()
        await gateway.close()

    rest = FastAPI(
        title=graph.title, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    _routes(rest, lambda: running[0])
    endpoint = GraphQLEndpoint(
        lambda: running[0].executor,
        clock=clock,
        events=events,
        body_bytes_max=settings.request_bytes_max,
        page=page(title=graph.title, endpoint="/graphql", examples=graph.examples)
        if settings.graphiql
        else None,
        assets=assets() if settings.graphiql else {},
    )
    return _with_cors(_front(endpoint, rest), settings)


def _front(endpoint: GraphQLEndpoint, rest: FastAPI) -> ASGIApp:
    """/graphql goes straight to its handler, everything else to FastAPI."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (
            scope["path"] == "/graphql" or scope["path"].startswith("/graphql/assets/")
        ):
            await endpoint(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


def _with_cors(app: ASGIApp, settings: Settings) -> ASGIApp:
    if not settings.cors_origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["x-request-id", "idempotent-replayed"],
    )


def _routes(rest: FastAPI, gateway: Any) -> None:
    @rest.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("/graphql")

    @rest.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @rest.get("/health/ready")
    async def ready() -> JSONResponse:
        """503 only when no backend is up: one that is down must not take every replica out of
        service."""
        backends = await gateway().health()
        up = [state == "up" for state in backends.values()]
        status = "ready" if all(up) else "degraded" if any(up) else "down"
        cache = "down" if gateway().cache.is_down else "up"
        body = {"status": status, "backends": backends, "cache": cache}
        return JSONResponse(body, status_code=503 if status == "down" else 200)


async def _state(client: Client) -> str:
    try:
        await client.probe()
    except BackendError as error:
        return f"down: {error.code}"
    return "up"


def _log(settings: Settings) -> Observer:
    observer: Observer = log_observer(settings.log_level, settings.log_format)
    return observer


def _client(
    spec: BackendSpec,
    own: BackendSettings | None,
    clock: Clock,
    events: Events,
    transports: Mapping[str, Wire],
) -> Client:
    own = own or BackendSettings.model_validate({})
    spec = replace(
        spec,
        timeout_s=own.timeout_s or spec.timeout_s,
        connections=own.connections or spec.connections,
    )
    token = {"authorization": f"Bearer {own.token.get_secret_value()}"} if own.token else {}
    url = own.url or spec.url
    assert url is not None
    return Client(
        spec, url, clock=clock, events=events, headers=token, transport=transports.get(spec.name)
    )


def _ledger(settings: Settings) -> SqliteLedger:
    path = settings.ledger_path
    if str(path) != ":memory:":
        path.parent.mkdir(parents=True, exist_ok=True)
    return SqliteLedger(path)


def _check_urls(graph: Graph, settings: Settings) -> None:
    wrong = []
    for spec in graph.backends:
        own = settings.backends.get(spec.name)
        url = (own.url if own else None) or spec.url
        variable = f"PLAIT_BACKENDS__{spec.name.upper()}__URL"
        if url is None:
            wrong.append(f"Backend '{spec.name}' has no URL: set {variable}=http://...")
        elif problem := url_problem(url):
            wrong.append(f"Backend '{spec.name}': {problem} See {variable}.")
    if wrong:
        raise SettingsError("\n".join(wrong))
