"""A request that arrives whole is answered without ASGI: in the bytes that the ASGI app has for it,
and given up as soon as its client leaves."""

import asyncio
import dataclasses
import gc
import json
import re
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import pytest
import strawberry
import uvicorn

from plait import Backend, Graph, arg, this
from plait.app import App, create_app
from plait.clock import SystemClock
from plait.edge.protocol import TOGETHER_BYTES, BoundedProtocol
from plait.errors import BadUserInput
from plait.events import CallFinished, FieldFailed, RequestFinished
from plait.query.interpret import Interpreter
from plait.serve import _config
from plait.testing import GraphTest, reply
from tests.query.test_compile import sights
from tests.query.test_sharing import kept

b = Backend("b", "http://b.test", forward=("x-tenant",))
get_user = b.get("/users/{id}")
get_points = b.get("/points/{id}")


@strawberry.type
class Points:
    total: int


@strawberry.type
class User:
    id: int
    name: str
    points: Points | None = get_points(id=this.id)


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(int))

    greet: str = strawberry.field(resolver=lambda: "hello")

    @strawberry.field
    def shout(self, word: str) -> str:
        if word == "fail":
            raise ValueError("no")
        return word.upper()


def who(headers: Any) -> str:
    if headers.get("x-who") == "nobody":
        raise BadUserInput("Nobody asks.")
    if headers.get("x-who") == "broken":
        raise RuntimeError("secret")
    return str(headers.get("x-who", ""))


graph = Graph(query=Query, caller=who)
SCRIPT = {
    "GET /users/1": {"id": 1, "name": "Ada"},
    "GET /points/1": reply(status=503, headers={"retry-after": "7"}),
    "GET /users/2": {"id": 2, "name": None},
    "GET /points/2": {"total": 3},
}
USER = "query ($id: Int!) { user(id: $id) { name } }"
BOTH = "query ($id: Int!) { user(id: $id) { name points { total } } }"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to hold")


class Serving:
    """The graph behind a real server on a loopback socket."""

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = app
        self.asked: list[str] = []
        """Which way each request went."""
        at_once, call = app.at_once, App.__call__

        def noted(*arguments: Any) -> Any:
            found = at_once(*arguments)
            self.asked += ["at once"] if found is not None else []
            return found

        async def called(self_: App, scope: Any, *more: Any) -> None:
            if scope["type"] == "http":
                self.asked.append("ASGI")
            await call(self_, scope, *more)

        monkeypatch.setattr(app, "at_once", noted)
        monkeypatch.setattr(App, "__call__", called)
        self.config = _config(app, GraphTest(graph).settings, reload=False)
        self.config.lifespan, self.config.log_level = "off", "critical"
        self.server = uvicorn.Server(self.config)

    async def __aenter__(self) -> "Serving":
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._task = asyncio.create_task(self.server._serve([listener]))
        await until(lambda: self.server.started)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.should_exit = True
        await self._task

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, head: bytes, body: bytes, *, whole: bool) -> bytes:
        """Send a request, in one piece or in two, and read until the server closes."""
        reader, writer = await self.connect()
        if whole:
            writer.write(head + body)
        else:
            writer.write(head)
            await asyncio.sleep(0.03)
            writer.write(body)
        answer = await reader.read()
        writer.close()
        return answer


def serve(
    work: Callable[[Serving], Awaitable[None]], patch: pytest.MonkeyPatch, **settings: Any
) -> list[Any]:
    """Do `work`, every operation compiled at first sight. What happened meanwhile."""

    async def main() -> list[Any]:
        given = GraphTest(graph).settings.model_copy(update=settings)
        test = GraphTest(graph, b=SCRIPT, settings=given)
        async with test, Serving(test._app, patch) as serving:
            with sights(0):
                await asyncio.wait_for(work(serving), 20)
        return test.events

    return asyncio.run(main())


def head(body: bytes, *, version: str = "1.1", method: str = "POST", **headers: str) -> bytes:
    named = {
        "host": "h",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": "r1",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{method} /graphql HTTP/{version}", *(f"{k}: {v}" for k, v in named.items() if v)]
    return "\r\n".join([*lines, "", ""]).encode()


def asked(query: str, **variables: Any) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


def settled(answer: bytes) -> tuple[list[bytes], bytes]:
    """An answer without what differs by the moment; its headers in any order."""
    headers, _, body = answer.partition(b"\r\n\r\n")
    headers = re.sub(rb"dur=[\d.]+", b"dur=0", re.sub(rb"\r\ndate: [^\r]+", b"", headers))
    return sorted(headers.split(b"\r\n")), body


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(asked(USER, id=1), {}, id="compiled"),
        pytest.param(asked(BOTH, id=1), {}, id="with an error"),
        pytest.param(asked(BOTH, id=2), {}, id="handed over"),
        pytest.param(asked('{ shout(word: "hi") }'), {}, id="a resolver"),
        pytest.param(asked('{ shout(word: "fail") }'), {}, id="a resolver that fails"),
        pytest.param(asked("{ nothing }"), {}, id="invalid"),
        pytest.param(
            asked("{ nothing }"), {"accept": "application/graphql-response+json"}, id="400"
        ),
        pytest.param(asked(USER, id="x"), {}, id="bad variables"),
        pytest.param(asked("{"), {}, id="no document"),
        pytest.param(b"{", {}, id="no JSON"),
        pytest.param(b"{}", {}, id="no query"),
        pytest.param(b"", {}, id="empty"),
        pytest.param(asked(USER, id=1), {"connection": ""}, id="kept alive"),
        pytest.param(asked(USER, id=1), {"version": "1.0"}, id="HTTP/1.0"),
        pytest.param(
            asked(USER, id=1), {"connection": "Upgrade, close", "upgrade": "h2c"}, id="h2c"
        ),
        pytest.param(asked(USER, id=1), {"x_who": "nobody"}, id="a caller that is refused"),
        pytest.param(asked(USER, id=1), {"x_who": "broken"}, id="a caller that breaks"),
        pytest.param(asked(USER, id=1), {"x_plait_explain": "plan"}, id="explained"),
        pytest.param(asked(USER, id=1), {"x_request_id": "a b"}, id="an id that is none"),
    ],
)
def test_the_answer_is_what_the_asgi_app_has(
    body: bytes, headers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(serving: Serving) -> None:
        given = {"version": "1.1", **headers}
        if not given.get("connection", "close"):
            serving.config.timeout_keep_alive = 1
        one = await serving.ask(head(body, **given), body, whole=True)
        two = await serving.ask(head(body, **given), body, whole=False)
        if given.get("x_request_id"):
            ids = rb"[0-9a-f]{32}"
            one, two = re.sub(ids, b"id", one), re.sub(ids, b"id", two)
        assert settled(one) == settled(two)
        # A body that is empty has arrived with its headers.
        assert serving.asked == ["at once", "ASGI" if body else "at once"]

    serve(work, monkeypatch, share="off")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (asked(USER, id=1), {"content_type": "text/plain"}, 415),
        (asked(USER, id=1), {"content_encoding": "gzip"}, 415),
        (asked(USER, id=1), {"accept": "text/csv"}, 406),
        (asked("{ a }" + " " * 2_000), {}, 413),
        (asked(USER, id=1), {"content_type": "application/json; charset=utf-8"}, 200),
        (asked(USER, id=1), {"method": "PUT"}, 405),
    ],
)
def test_what_is_unusual_goes_to_the_asgi_app(
    body: bytes, headers: Any, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(serving: Serving) -> None:
        answer = await serving.ask(head(body, **headers), body, whole=True)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert serving.asked == ["ASGI"]

    serve(work, monkeypatch, request_bytes_max=1_000)


@pytest.mark.parametrize(
    ("allowed", "origin", "may_read"),
    [
        (("https://a.test",), "https://a.test", b"https://a.test"),
        (("https://a.test",), "https://b.test", b""),
        (("https://a.test",), "", b""),
        (("*",), "https://b.test", b"*"),
        (("*",), "", b""),
    ],
)
@pytest.mark.parametrize("body", [asked(USER, id=1), b"{"])
def test_pages_of_other_origins_read_what_they_may(
    body: bytes, allowed: Any, origin: str, may_read: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(serving: Serving) -> None:
        said = head(body, origin=origin)
        one = await serving.ask(said, body, whole=True)
        two = await serving.ask(said, body, whole=False)
        assert settled(one) == settled(two)
        told = re.findall(rb"\r\naccess-control-allow-origin: ([^\r]+)", one.lower())
        assert told == ([may_read] if may_read else [])
        assert b"\r\nvary: Origin" in one
        assert serving.asked == ["at once", "ASGI"]

    serve(work, monkeypatch, cors_origins=allowed, share="off")


def test_an_origin_that_is_said_twice_goes_to_the_asgi_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(serving: Serving) -> None:
        body = asked(USER, id=1)
        said = head(body, origin="https://b.test").replace(
            b"host:", b"origin: https://a.test\r\nhost:"
        )
        assert b"Ada" in await serving.ask(said, body, whole=True)
        assert serving.asked == ["ASGI"]

    serve(work, monkeypatch, cors_origins=("https://a.test",))


def test_a_body_in_chunks_is_answered_at_once_unless_they_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(serving: Serving) -> None:
        body = asked("{ __typename }")
        said = head(body, content_length="", transfer_encoding="chunked")
        chunks = b"".join(b"1\r\n%c\r\n" % one for one in body) + b"0\r\n\r\n"
        answer = await serving.ask(said, chunks, whole=True)
        assert answer.endswith(b'{"data":{"__typename":"Query"}}')
        answer = await serving.ask(said, b"1\r\n{\r\nx\r\n", whole=True)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert serving.asked == ["at once"]

    serve(work, monkeypatch)


@pytest.mark.parametrize(
    ("given", "headers"),
    [
        ({"root_path": "/api"}, {}),
        ({"limit_concurrency": 10}, {}),
        ({}, {"expect": "100-continue"}),
    ],
    ids=["below a path", "uvicorn's own limit", "asks whether to go on"],
)
def test_what_uvicorn_has_a_say_in_goes_to_the_asgi_app(
    given: Any, headers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(serving: Serving) -> None:
        for name, value in given.items():
            setattr(serving.config, name, value)
        body = asked("{ __typename }")
        answer = await serving.ask(head(body, **headers), body, whole=True)
        assert answer.endswith(b'{"data":{"__typename":"Query"}}')
        assert answer.startswith(b"HTTP/1.1 100 ") == ("expect" in headers)
        assert serving.asked == ["ASGI"]

    serve(work, monkeypatch)


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_connection_that_rests_is_closed_and_one_that_is_used_is_not(
    is_whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever answers: a request that arrives slowly has the time that requests have."""

    async def work(serving: Serving) -> None:
        serving.config.timeout_keep_alive = 1
        loop = asyncio.get_running_loop()
        body = asked("{ __typename }")
        whole = head(body, connection="") + body
        reader, writer = await serving.connect()
        for pause in (0.6, 0.6, 1.6):  # each shorter than a rest may be; but one arrives slowly
            writer.write(whole[:30] if pause > 1 or not is_whole else whole)
            await asyncio.sleep(pause)
            writer.write(whole[30:] if pause > 1 or not is_whole else b"")
            await reader.readuntil(b"Query")
            await reader.readexactly(3)
        began = loop.time()
        assert await reader.read() == b""
        assert 0.8 < loop.time() - began < 3
        writer.close()

    serve(work, monkeypatch)


def test_what_comes_behind_an_answer_under_way_has_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(serving: Serving, slow: Slow) -> None:
        serving.config.timeout_keep_alive = 1
        first, then = asked(USER, id=1), asked("{ __typename }")
        second = head(then) + then
        reader, writer = await serving.connect()
        writer.write(head(first, connection="") + first + second[:30])
        await slow.asked.wait()
        slow.go_on.set()
        await reader.readuntil(b"Ada")
        await asyncio.sleep(1.3)
        writer.write(second[30:])
        assert (await reader.read()).endswith(b'{"data":{"__typename":"Query"}}')
        writer.close()

    serve_slow(work, monkeypatch)


def test_the_time_to_arrive_ends_with_the_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(serving: Serving, slow: Slow) -> None:
        body = asked(USER, id=1)
        reader, writer = await serving.connect()
        await until(lambda: len(serving.server.server_state.connections) == 1)
        (connection,) = serving.server.server_state.connections
        assert isinstance(connection, BoundedProtocol)
        connection._limits = dataclasses.replace(connection._limits, time_s=0.2)
        whole = head(body) + body
        writer.write(whole[:10])
        await asyncio.sleep(0.05)
        writer.write(whole[10:])
        await slow.asked.wait()
        await asyncio.sleep(0.4)
        slow.go_on.set()
        assert (await reader.read()).endswith(b'{"data":{"user":{"name":"Ada"}}}')
        writer.close()

    serve_slow(work, monkeypatch)


def test_each_answer_has_the_time_of_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(serving: Serving) -> None:
        body = asked("{ __typename }")
        reader, writer = await serving.connect()
        for date in (b"today", b"tomorrow"):
            serving.server.server_state.default_headers = [(b"date", date)]
            writer.write(head(body, connection="") + body)
            answer = await reader.readuntil(b'"Query"}}')
            assert b"date: " + date in answer
        writer.close()

    serve(work, monkeypatch)


@pytest.mark.parametrize("rest", [10, 200], ids=["in its headers", "in its body"])
def test_what_is_behind_others_is_not_refused_for_their_sake(
    rest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(serving: Serving, slow: Slow) -> None:
        first, then = asked(USER, id=1), asked("{ __typename }") + b" " * 100
        second = head(then) + then
        reader, writer = await serving.connect()
        await until(lambda: len(serving.server.server_state.connections) == 1)
        (connection,) = serving.server.server_state.connections
        assert isinstance(connection, BoundedProtocol)
        connection._limits = dataclasses.replace(connection._limits, time_s=0.2)
        writer.write(head(first, connection="") + first + second[:rest])
        await slow.asked.wait()
        await asyncio.sleep(0.5)
        slow.go_on.set()
        await reader.readuntil(b"Ada")
        writer.write(second[rest:])
        assert (await reader.read()).endswith(b'{"data":{"__typename":"Query"}}')
        writer.close()

    serve_slow(work, monkeypatch)


def test_requests_on_one_connection_are_answered_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(serving: Serving) -> None:
        first, then, last = asked(USER, id=1), asked("{ __typename }"), asked(BOTH, id=1)
        reader, writer = await serving.connect()
        writer.write(head(first, connection="") + first)
        writer.write(head(then, connection="") + then + head(last) + last)
        answer = await reader.read()
        writer.close()
        bodies = re.findall(rb"\r\n\r\n(\{.*?\})(?=HTTP|$)", answer)
        told = [json.loads(one)["data"] for one in bodies]
        assert told[0] == {"user": {"name": "Ada"}}
        assert told[1] == {"__typename": "Query"}
        assert told[2] == {"user": {"name": "Ada", "points": None}}

    serve(work, monkeypatch)


def test_a_connection_is_read_on_behind_what_had_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes behind an answer under way is uvicorn's, which reads no further meanwhile."""

    async def work(serving: Serving, slow: Slow) -> None:
        first, then = asked(USER, id=1), asked("{ __typename }")
        reader, writer = await serving.connect()
        writer.write(head(first, connection="") + first)
        await slow.asked.wait()
        writer.write(b"GET /graphql/assets/none HTTP/1.1\r\nhost: h\r\n\r\n")
        await until(lambda: any(pipelines(serving)))
        slow.go_on.set()
        await reader.readuntil(b"Ada")
        await reader.readuntil(b"There is no such file.")
        writer.write(head(then) + then)
        assert (await reader.read()).endswith(b'{"data":{"__typename":"Query"}}')
        writer.close()
        assert serving.asked == ["at once", "ASGI", "at once"]

    serve_slow(work, monkeypatch)


def pipelines(serving: Serving) -> list[Any]:
    """What waits behind answers under way."""
    return [one for each in serving.server.server_state.connections for one in each.pipeline]


def test_what_goes_to_the_asgi_app_behind_an_answer_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(serving: Serving) -> None:
        body = asked("{ __typename }")
        reader, writer = await serving.connect()
        for content_type in ("application/json", "application/json; charset=utf-8") * 2:
            writer.write(head(body, connection="", content_type=content_type) + body)
            await reader.readuntil(b'{"data":{"__typename":"Query"}}')
        writer.close()
        assert serving.asked == ["at once", "ASGI"] * 2

    serve(work, monkeypatch)


@pytest.mark.parametrize(
    ("target", "headers", "way"),
    [
        (b"/graphql?query=%7B__typename%7D", b"", "at once"),
        (b"/graphql?query=%7B__typename%7D", b"accept: application/json\r\n", "at once"),
        (b"/graphql?query={__typename}", b"", "ASGI"),
        (b"/graphql?query=%7B__typename%7D#a", b"", "ASGI"),
        (b"/graphql?query=%7B__typename%7D", b"content-length: 1\r\n", "ASGI"),
        (b"/graphql?query=%7B__typename%7D", b"accept: text/html, */*\r\n", "ASGI"),
        (b"/graphql", b"", "ASGI"),
    ],
)
def test_a_get_with_a_query_is_answered_at_once(
    target: bytes, headers: bytes, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(serving: Serving) -> None:
        reader, writer = await serving.connect()
        writer.write(
            b"GET %b HTTP/1.1\r\nhost: h\r\n%bconnection: close\r\n\r\n" % (target, headers)
        )
        if b"content-length" in headers:
            writer.write(b"x")
        answer = await reader.read()
        writer.close()
        assert serving.asked == [way]
        if b"text/html" not in headers and b"?" in target:
            assert answer.endswith(b'{"data":{"__typename":"Query"}}')

    serve(work, monkeypatch)


def test_what_closes_a_connection_comes_behind_what_was_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Answers are written at the end of a turn; nothing may overtake or lose them."""
    body = asked("{ __typename }")
    whole = head(body, connection="") + body
    answer = b'{"data":{"__typename":"Query"}}'

    async def work(serving: Serving) -> None:
        async def read(*, half: bool = False, behind: bytes = b"") -> bytes:
            reader, writer = await serving.connect()
            writer.write(whole + behind)
            if half:
                writer.write_eof()
            found = await reader.read()
            writer.close()
            return found

        for _ in range(20):
            assert (await read(half=True)).endswith(answer)
        refused = await read(behind=b"nothing of HTTP\r\n\r\n")
        assert refused.index(answer) < refused.index(b" 400 ")
        refused = await read(behind=b"GET / HTTP/1.1\r\nx: " + b"y" * 40_000 + b"\r\n\r\n")
        assert refused.index(answer) < refused.index(b" 431 ")

    serve(work, monkeypatch)


def test_a_large_answer_comes_behind_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = asked("{ __typename }"), asked(f'{{ shout(word: "{"a" * TOGETHER_BYTES}") }}')

    async def work(serving: Serving) -> None:
        reader, writer = await serving.connect()
        writer.write(head(small, connection="") + small + head(large) + large)
        answer = await reader.read()
        assert answer.index(b'"Query"') < answer.index(b'"AAAA')
        assert serving.asked == ["at once", "at once"]
        writer.close()

    serve(work, monkeypatch)


@pytest.mark.parametrize("end", ["shutdown", "eof_received"])
def test_a_connection_that_ends_sends_what_was_answered(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it ends in the turn in which the request came."""
    body = asked("{ __typename }")

    async def work(serving: Serving) -> None:
        reader, writer = await serving.connect()
        await until(lambda: len(serving.server.server_state.connections) == 1)
        (connection,) = serving.server.server_state.connections
        assert isinstance(connection, BoundedProtocol)
        connection.data_received(head(body, connection="") + body)
        getattr(connection, end)()
        connection.transport.close()
        assert (await reader.read()).endswith(b'{"data":{"__typename":"Query"}}')
        writer.close()

    serve(work, monkeypatch)


def test_who_does_not_read_is_answered_by_the_asgi_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which waits until what was sent before has been read."""

    async def work(serving: Serving) -> None:
        body = asked(USER, id=1)
        reader, writer = await serving.connect()
        await until(lambda: len(serving.server.server_state.connections) == 1)
        (connection,) = serving.server.server_state.connections
        connection.pause_writing()  # type: ignore[union-attr]
        writer.write(head(body) + body)
        await until(lambda: len(serving.asked) == 1)
        connection.resume_writing()  # type: ignore[union-attr]
        assert b"Ada" in await reader.read()
        assert serving.asked == ["ASGI"]
        writer.close()

    serve(work, monkeypatch)


class Slow:
    """A backend that keeps everybody waiting."""

    def __init__(self) -> None:
        self.asked, self.go_on, self.given_up = (asyncio.Event() for _ in range(3))

    async def __call__(self, _: httpx.Request) -> httpx.Response:
        self.asked.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        return httpx.Response(200, json={"id": 1, "name": "Ada"})


def serve_slow(
    work: Callable[[Serving, Slow], Awaitable[None]], patch: pytest.MonkeyPatch
) -> list[RequestFinished]:
    """The requests that were told of."""

    async def main() -> list[RequestFinished]:
        slow, events = Slow(), list[Any]()
        settings = GraphTest(graph).settings
        transports = {"b": httpx.MockTransport(slow)}
        app = create_app(graph, settings, observers=(events.append,), transports=transports)
        async with app.lifespan(), Serving(app, patch) as serving:
            with sights(0):
                await asyncio.wait_for(work(serving, slow), 10)
            assert app.is_idle
        return [event for event in events if isinstance(event, RequestFinished)]

    return asyncio.run(main())


@pytest.mark.parametrize("query", [USER, "query ($id: Int!) { user(id: $id) { name } greet }"])
def test_who_leaves_is_told_of_and_the_call_is_given_up(
    query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(serving: Serving, slow: Slow) -> None:
        body = asked(query, id=1)
        _, writer = await serving.connect()
        writer.write(head(body) + body)
        await slow.asked.wait()
        writer.transport.abort()
        await asyncio.wait_for(slow.given_up.wait(), 2)  # not by a timeout of the backend's
        assert serving.asked == ["at once"]
        await until(lambda: serving.app.is_idle)  # graphql-core ends what it had begun

    (told,) = serve_slow(work, monkeypatch)
    assert (told.http_status, told.cancelled) == (499, True)


def test_who_waits_for_anothers_answer_may_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(serving: Serving, slow: Slow) -> None:
        body = asked(USER, id=1)
        leads = asyncio.create_task(serving.ask(head(body), body, whole=True))
        await slow.asked.wait()
        _, writer = await serving.connect()
        writer.write(head(body, x_request_id="r2") + body)
        await until(lambda: len(serving.asked) == 2)
        writer.transport.abort()
        await asyncio.sleep(0.05)
        slow.go_on.set()
        assert (await leads).endswith(b'{"data":{"user":{"name":"Ada"}}}')
        assert not slow.given_up.is_set()

    told = {one.request_id: one for one in serve_slow(work, monkeypatch)}
    assert (told["r1"].http_status, told["r1"].cancelled) == (200, False)
    assert (told["r2"].http_status, told["r2"].cancelled) == (499, True)


def test_who_leads_may_leave_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(serving: Serving, slow: Slow) -> None:
        body = asked(USER, id=1)
        _, writer = await serving.connect()
        writer.write(head(body) + body)
        await slow.asked.wait()
        waits = asyncio.create_task(serving.ask(head(body, x_request_id="r2"), body, whole=True))
        await until(lambda: len(serving.asked) == 2)
        writer.transport.abort()
        await asyncio.sleep(0.05)
        slow.go_on.set()
        assert (await waits).endswith(b'{"data":{"user":{"name":"Ada"}}}')

    told = {one.request_id: one.http_status for one in serve_slow(work, monkeypatch)}
    assert told == {"r1": 499, "r2": 200}


def test_a_server_that_stops_answers_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(serving: Serving, slow: Slow) -> None:
        body = asked(USER, id=1)
        headers = head(body, connection="")
        answer = asyncio.create_task(serving.ask(headers, body, whole=True))
        await slow.asked.wait()
        serving.server.should_exit = True
        await asyncio.sleep(0.3)  # uvicorn looks ten times a second
        slow.go_on.set()
        told = await answer
        assert b"connection: close" in told
        assert told.endswith(b'{"data":{"user":{"name":"Ada"}}}')

    (told,) = serve_slow(work, monkeypatch)
    assert told.http_status == 200


def test_an_operation_that_has_waited_too_long_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(serving: Serving, slow: Slow) -> None:
        executor = serving.app._gateway().executor
        executor.limits = dataclasses.replace(executor.limits, timeout_s=0.1)
        body = asked(USER, id=1)
        answer = await serving.ask(head(body), body, whole=True)
        assert b"BACKEND_TIMEOUT" in answer

    (told,) = serve_slow(work, monkeypatch)
    assert told.error_codes == ("BACKEND_TIMEOUT",)


def test_a_defect_is_answered_with_500_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(SystemClock):
        def now(self) -> float:
            raise LookupError("secret")

    async def work(serving: Serving) -> None:
        serving.app._gateway().executor._clock = Broken()
        body = asked(USER, id=1)
        for whole in (True, False):
            answer = await serving.ask(head(body, connection=""), body, whole=whole)
            assert answer.startswith(b"HTTP/1.1 500 ")
            assert answer.endswith(b"Internal Server Error")
            assert b"connection: close" in answer

    serve(work, monkeypatch)


@pytest.mark.parametrize("query", [USER, BOTH, '{ shout(word: "a") }', "{ greet }", "{ nothing }"])
def test_a_request_leaves_nothing_to_the_collector(
    query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(serving: Serving) -> None:
        body = asked(query, **({"id": 1} if "$id" in query else {}))
        ask = partial(serving.ask, head(body), body, whole=True)
        await ask()
        gc.collect()
        gc.disable()
        try:
            before = kept(
                "Exchange", "Running", "Direct", "Budget", "Flight", "RequestResponseCycle"
            )
            for _ in range(5):
                await asyncio.gather(ask(), ask())
            await asyncio.sleep(0.01)
            after = kept(*before)
        finally:
            gc.enable()
        assert all(after[kind] <= count for kind, count in before.items()), (before, after)

    serve(work, monkeypatch)


def test_a_failure_is_told_to_all_that_asked_by_compiled_code_under_their_own_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def interpreted(*_: Any) -> Any:
        raise AssertionError("graphql-core was asked")

    async def work(serving: Serving) -> None:
        monkeypatch.setattr(Interpreter, "run", interpreted)
        body = asked(BOTH, id=1)
        for _ in range(60):  # until rows are no longer looked at for what they lack
            answers = await asyncio.gather(
                *(serving.ask(head(body, x_request_id=id), body, whole=True) for id in "ab")
            )
            told = [json.loads(one.partition(b"\r\n\r\n")[2]) for one in answers]
            assert [one["data"] for one in told] == [{"user": {"name": "Ada", "points": None}}] * 2
            assert [one["errors"][0]["extensions"]["request_id"] for one in told] == ["a", "b"]

    serve(work, monkeypatch)


def test_what_is_handed_over_to_several_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(serving: Serving) -> None:
        body = asked(BOTH, id=2)
        answers = await asyncio.gather(
            *(serving.ask(head(body), body, whole=True) for _ in range(3))
        )
        for answer in answers:
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["data"] == {"user": None}

    events = serve(work, monkeypatch)
    calls = [event.endpoint for event in events if isinstance(event, CallFinished)]
    assert sorted(calls) == ["GET /points/{id}", "GET /users/{id}"]


def test_each_request_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(serving: Serving) -> None:
        body = asked(BOTH, id=1)
        await serving.ask(head(body), body, whole=True)

    events = serve(work, monkeypatch)
    (told,) = [event for event in events if isinstance(event, RequestFinished)]
    assert (told.request_id, told.http_status, told.calls) == ("r1", 200, 2)
    assert told.error_codes == ("BACKEND_HTTP_ERROR",)
    assert not told.cancelled


def test_a_caller_that_breaks_is_told_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(serving: Serving) -> None:
        body = asked(USER, id=1)
        assert b"secret" not in await serving.ask(head(body, x_who="broken"), body, whole=True)

    events = serve(work, monkeypatch)
    (failed,) = [event for event in events if isinstance(event, FieldFailed)]
    assert "secret" in str(failed.error)
