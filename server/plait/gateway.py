"""A graph being served: everything that lives as long as the app does, made in one place."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace

from plait.backend.budget import Allowance
from plait.backend.cache import RowCache, open_store
from plait.backend.client import Client
from plait.backend.fetch import Fetcher
from plait.backend.record import Recorder
from plait.backend.spec import BackendSpec
from plait.backend.transport import Wire
from plait.clock import Clock, Turns
from plait.emit import Events
from plait.errors import BackendError, LedgerUnavailable
from plait.events import LedgerOpened
from plait.graph.graph import Graph
from plait.query.document import Documents
from plait.query.execute import Executor
from plait.query.interpret import OperationLimits
from plait.query.reading import DocumentLimits
from plait.query.sharing import Sharing
from plait.query.variables import VariableLimits
from plait.settings import BackendSettings, Settings
from plait.writes.memory import MEMORY, MemoryLedger
from plait.writes.send import http_send
from plait.writes.sqlite import SqliteLedger
from plait.writes.writes import Writes

SWEEP_EVERY_S = 60.0
CLOSE_S = 10.0
HEALTH_KEPT_S = 1.0
"""How long the backends' state is told again: probes must not become load."""


class Gateway:
    """Made in the app's lifespan: `open` it, and `close` it at the end."""

    def __init__(
        self,
        graph: Graph,
        settings: Settings,
        *,
        clock: Clock,
        events: Events,
        transports: Mapping[str, Wire],
    ) -> None:
        self._clock = clock
        self._events = events
        recorder = Recorder(settings.record_replies) if settings.record_replies else None
        self.clients = {
            spec.name: Client(
                effective(spec, settings),
                clock=clock,
                events=events,
                headers=secret_headers(settings.backends.get(spec.name)),
                transport=transports.get(spec.name),
                by_httpx=settings.transport == "httpx",
                recorder=recorder,
            )
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
        self.fetcher = Fetcher(
            self.clients, endpoints=graph.reads, cache=self.cache, clock=clock, events=events
        )
        path = settings.ledger_path
        self.ledger = MemoryLedger() if str(path) == MEMORY else SqliteLedger(path)
        self.writes = Writes(
            ledger=self.ledger,
            send=http_send(calls, self.fetcher.written),
            clock=clock,
            events=events,
            require_key=graph.require_idempotency_key,
            expiry_s=settings.ledger_expiry_s,
            lease_s=settings.ledger_lease_s,
            wait_s=settings.ledger_wait_s,
        )
        documents = Documents(
            graph, document_limits(settings), entries_max=settings.documents_cached
        )
        self.executor = Executor(
            graph,
            documents=documents,
            fetcher=self.fetcher,
            writes=self.writes,
            clock=clock,
            events=events,
            limits=operation_limits(settings),
            turns=Turns(),
            sharing=self._sharing(settings),
        )
        self._writes_anything = graph.writes
        self._sweeper: asyncio.Task[None] | None = None
        self._health: dict[str, str] = {}
        self._health_until = 0.0
        self._ledger = "up"
        self._ledger_until = 0.0
        self._probing = asyncio.Lock()

    def _sharing(self, settings: Settings) -> Sharing | None:
        if settings.share == "off":
            return None
        # A cache that other processes share hears of their writes; an answer would not.
        bytes_max = settings.share_bytes_max if self.cache.here is not None else 0
        sharing = Sharing(self._clock, bytes_max=bytes_max)
        self.fetcher.observe(sharing.written)
        return sharing

    async def open(self) -> None:
        """Open what must work before anybody is served. Raises `LedgerUnavailable`.

        A graph without mutations needs no ledger, and makes no file.
        """
        if self._writes_anything:
            await self.ledger.open()
            if unfinished := await self.ledger.unfinished():
                self._events.emit(LedgerOpened(unfinished=unfinished))
            self._sweeper = asyncio.create_task(self._sweep())

    async def health(self) -> dict[str, str]:
        """Each backend: `up`, or why it is down."""
        async with self._probing:
            if self._clock.now() >= self._health_until:
                names = list(self.clients)
                states = await asyncio.gather(*(_state(self.clients[name]) for name in names))
                self._health = dict(zip(names, states, strict=True))
                self._health_until = self._clock.now() + HEALTH_KEPT_S
        return self._health

    async def ledger_state(self) -> str:
        """`up`, or why writes could not be recorded; `not needed` where the graph writes
        nothing."""
        if not self._writes_anything:
            return "not needed"
        async with self._probing:
            if self._clock.now() >= self._ledger_until:
                try:
                    await self.ledger.check()
                    self._ledger = "up"
                except LedgerUnavailable as error:
                    self._ledger = f"down: {error}"
                self._ledger_until = self._clock.now() + HEALTH_KEPT_S
        return self._ledger

    async def close(self) -> None:
        """Finish what writes, give up what reads, close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self.executor.close()
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


def effective(spec: BackendSpec, settings: Settings) -> BackendSpec:
    """A backend's policy as it holds: what an operator set goes before what the graph says."""
    own = settings.backends.get(spec.name) or BackendSettings.model_validate({})
    return replace(
        spec,
        url=own.url or spec.url,
        timeout_s=own.timeout_s or spec.timeout_s,
        connections=own.connections or spec.connections,
    )


def secret_headers(own: BackendSettings | None) -> dict[str, str]:
    """The headers that settings add to every call of a backend, names in lower case."""
    if own is None:
        return {}
    headers = {
        name.lower().replace("_", "-"): value.get_secret_value()
        for name, value in own.headers.items()
    }
    if own.token:
        headers["authorization"] = f"Bearer {own.token.get_secret_value()}"
    return headers


def document_limits(settings: Settings) -> DocumentLimits:
    """How large a document may be."""
    return DocumentLimits(
        characters=settings.document_characters_max,
        tokens=settings.document_tokens_max,
        depth=settings.document_depth_max,
        fields=settings.document_fields_max,
        introspection=settings.introspection,
        values=VariableLimits(list_items=settings.request_list_items_max),
    )


def operation_limits(settings: Settings) -> OperationLimits:
    """What one operation may take."""
    return OperationLimits(
        timeout_s=settings.request_timeout_s,
        allowance=Allowance(
            calls=settings.request_calls_max,
            keys=settings.request_keys_max,
            objects=settings.answer_objects_max,
            bytes=settings.answer_bytes_max,
        ),
        variables=VariableLimits(list_items=settings.request_list_items_max),
    )


async def _state(client: Client) -> str:
    try:
        await client.probe()
    except BackendError as error:
        return f"down: {error.code}"
    return "up"
