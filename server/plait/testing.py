"""A graph with scripted backends, for a graph author's own tests: no network, every call counted.

    from plait.testing import GraphTest, reply

    def test_a_book_has_its_author() -> None:
        with GraphTest(
            graph,
            books={
                "GET /books": [{"id": 1, "book_title": "Weaving", "authorId": 10}],
                "GET /authors/10": reply(status=503),
            },
        ) as test:
            answer = test.ask("{ books { title author { name } } }")
        assert answer["data"] == {"books": [{"title": "Weaving", "author": None}]}
        assert test.calls == {"books": ["GET /books", "GET /authors/10"]}

Inside a running event loop it is `async with` and `await test.ask_async(...)`.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias
from urllib.parse import unquote

import msgspec

from plait.app import App, create_app
from plait.backend.transport import Wire, scripted
from plait.events import Event
from plait.graph.graph import Graph
from plait.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One call as it left for a backend."""

    method: str
    target: str
    """Path and query, below the backend's base URL; percent-encoding undone."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any
    """Decoded JSON; `None` when there was none."""

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """What a backend answers. Made by `reply`."""

    status: int
    json: Any
    headers: Mapping[str, str]


def reply(json: Any = None, *, status: int = 200, headers: Mapping[str, str] = {}) -> Scripted:
    """A reply with a status and headers of its own; `json` is its body."""
    return Scripted(status=status, json=json, headers=dict(headers))


Answer: TypeAlias = "Any | Scripted | Callable[[Sent], Any]"
"""JSON, a `reply(...)`, or a function from the call to one of these."""


class UnscriptedCall(AssertionError):
    """The graph asked for something that the script does not have."""


class GraphTest:
    """`graph` with scripted backends, by name: `GraphTest(graph, books={"GET /books": [...]})`.

    A script maps `METHOD /path?query` to what is answered. A call that it does not have makes `ask`
    raise `UnscriptedCall`. A name that is no backend of the graph is refused with `SettingsError`.
    `settings` are the defaults with a ledger in memory, whatever the environment says.
    """

    def __init__(
        self, graph: Graph, *, settings: Settings | None = None, **scripts: Mapping[str, Answer]
    ) -> None:
        self.scripts = scripts
        self.settings = settings or _settings(graph)
        self.sent: list[tuple[str, Sent]] = []
        """Every call, with its backend's name, in the order in which they left."""
        self.events: list[Event] = []
        """What happened, as logs and metrics would see it."""
        self._unscripted: list[str] = []
        self._runner: asyncio.Runner | None = None
        self._stack = AsyncExitStack()
        names = dict.fromkeys([*(spec.name for spec in graph.backends), *scripts])
        self._app: App = create_app(
            graph,
            self.settings,
            observers=(self.events.append,),
            transports={name: self._wire(name) for name in names},
        )

    @property
    def calls(self) -> dict[str, list[str]]:
        """The calls of each backend that was asked, as `METHOD /path?query`, in order."""
        found: dict[str, list[str]] = {}
        for name, sent in self.sent:
            found.setdefault(name, []).append(str(sent))
        return found

    def ask(
        self, query: str, variables: Mapping[str, Any] | None = None, **headers: str
    ) -> dict[str, Any]:
        """The answer to an operation. `headers` are the client's, `_` for `-`:
        `idempotency_key="k1"`. Raises `UnscriptedCall`."""
        if self._runner is None:
            raise RuntimeError("Use it as `with GraphTest(...) as test:`, or await `ask_async`.")
        return self._runner.run(self.ask_async(query, variables, **headers))

    async def ask_async(
        self, query: str, variables: Mapping[str, Any] | None = None, **headers: str
    ) -> dict[str, Any]:
        """As `ask`, inside a running event loop."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await _posted(self._app, {"query": query, "variables": variables}, named)
        if self._unscripted:
            raise UnscriptedCall("\n".join(self._unscripted))
        return answer

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        try:
            self._runner.run(self.__aenter__())
        except BaseException:
            self._runner.close()  # nobody calls `__exit__` then
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._runner is not None
        try:
            self._runner.run(self.__aexit__())
        finally:
            self._runner.close()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._app.lifespan())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _wire(self, name: str) -> Wire:
        def answer(
            method: str, target: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, Mapping[str, str], bytes]:
            decoded = msgspec.json.decode(body) if body else None
            sent = Sent(method=method, target=unquote(target), headers=headers, body=decoded)
            self.sent.append((name, sent))
            return self._answer(name, sent)

        return scripted(answer)

    def _answer(self, name: str, sent: Sent) -> tuple[int, Mapping[str, str], bytes]:
        script = self.scripts.get(name, {})
        found = script.get(str(sent), _MISSING)
        if callable(found):
            found = found(sent)
        if found is _MISSING:
            known = ", ".join(script) or "nothing"
            self._unscripted.append(f"Backend '{name}' was asked {sent}; its script has: {known}.")
            return 501, {}, b""
        made = found if isinstance(found, Scripted) else reply(found)
        headers = {"content-type": "application/json", **made.headers}
        return made.status, headers, b"" if made.json is None else msgspec.json.encode(made.json)


_MISSING: Any = object()


class _Defaults(Settings):
    """Settings that nothing of the environment reaches."""

    @classmethod
    def settings_customise_sources(  # type: ignore[override]
        cls, settings_cls: Any, init_settings: Any, **_: Any
    ) -> tuple[Any, ...]:
        """What is given, and nothing else."""
        return (init_settings,)


def _settings(graph: Graph) -> Settings:
    backends: Any = {spec.name: {"url": f"http://{spec.name}.test"} for spec in graph.backends}
    return _Defaults(**_arguments(backends=backends, ledger_path=Path(":memory:")))


def _arguments(**given: Any) -> dict[str, Any]:
    return given


async def _posted(app: App, body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """POST `body` to the app's /graphql, without a server."""
    given = {"content-type": "application/json", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    received = bytearray()
    waiting = [{"type": "http.request", "body": msgspec.json.encode(body), "more_body": False}]
    done = asyncio.Event()

    async def receive() -> Any:
        if waiting:
            return waiting.pop()
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        received.extend(message.get("body", b""))

    try:
        await app(scope, receive, send)
    finally:
        done.set()
    answer: dict[str, Any] = msgspec.json.decode(bytes(received))
    return answer
