"""What is answered without uvicorn's own objects is answered as with them: random requests, in
random pieces, beside uvicorn's protocol as it is."""

import asyncio
import logging
import re
from itertools import pairwise
from typing import Any

import pytest
import strawberry
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from plait import Backend, Graph, arg
from plait.edge.heads import request_head_of
from plait.edge.protocol import ArrivalLimits, BoundedProtocol
from plait.heads import CHANGES_MAX
from plait.testing import GraphTest

b = Backend("b", "http://b.test")
DONE: list[str] = []


@strawberry.type
class User:
    id: int
    name: str


@strawberry.type
class Query:
    greet: str = strawberry.field(resolver=lambda: "hello")
    user: User | None = b.get("/users/{id}")(id=arg(int))


@strawberry.type
class Mutation:
    @strawberry.mutation
    def do(self, what: str) -> str:
        DONE.append(what)
        return what


graph = Graph(query=Query, mutation=Mutation)


class Transport(asyncio.Transport):
    """A connection that nothing is behind."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)}.get(name, default)

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, data: Any) -> None:
        assert not self.is_closed
        self.sent += data

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True

    abort = close


BODIES = [
    b'{"query": "{ greet }"}',
    b'{"query": "{ __typename }"}',
    b'{"query": "{ user(id: 1) { name } }"}',
    b'{"query": "{ user(id: 2) { name id } }"}',
    b'{"query": "mutation { do(what: \\"a\\") }"}',
    b'{"query": "mutation { do(what: \\"b\\") }"}',
    b'{"query": "{ nothing }"}',
    b'{"query": ',
    b"",
]
HEADERS = [
    b"content-type: application/json",
    b"Content-Type: application/json; charset=utf-8",
    b"content-type: text/plain",
    b"accept: application/graphql-response+json",
    b"accept: text/csv",
    b"connection: close",
    b"Connection: keep-alive",
    b"expect: 100-continue",
    b"content-encoding: gzip",
    b"x-request-id: r1",
    b"accept: text/html",
    b"accept: text/html;q=0.5, application/json",
    b"no header",
    b"x: y\r\n z: folded",
]


QUERIES = [
    b"/graphql?query=%7Bgreet%7D",
    b"/graphql?query={greet}",
    b"/graphql?query=query($i:Int!)%7Buser(id:$i)%7Bname%7D%7D&variables=%7B%22i%22:1%7D",
    b"/graphql?query=query+A+%7Bgreet%7D&operationName=A",
    b"/graphql?query=mutation%7Bdo(what:%22a%22)%7D",
    b"/graphql?query=%7Bnothing%7D",
    b"/graphql?query=%ff%7B",
    b"/graphql?query=%7Bgreet%7D#there",
    b"/graphql?variables=1",
    b"/graphql?query=a&&",
    b"/graphql?",
    b"/graphql/?query=%7Bgreet%7D",
    b'/graphql?query="{}|^`',
    b"/graphql?query=%7Bgreet%7D&extensions=%7B%22persistedQuery%22:1%7D",
    b"http://h/graphql?query=%7Bgreet%7D",
    b"//graphql?query=%7Bgreet%7D",
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    methods = [b"POST"] * 5 + [b"GET"] * 4 + [b"OPTIONS", b"HEAD", b"NO SUCH"]
    method = draw(st.sampled_from(methods))
    queries = method == b"GET" and draw(st.booleans())
    target = draw(
        st.sampled_from(QUERIES)
        if queries
        else st.sampled_from(
            [b"/graphql"] * 8
            + [
                b"/graphql?query=%7Bgreet%7D",
                b"/graphql/",
                b"/%67raphql",
                b"/health/live",
                b"/x",
                b"*",
            ]
        )
    )
    version = draw(st.sampled_from([b"1.1"] * 6 + [b"1.0", b"2.0"]))
    body = draw(st.sampled_from(BODIES))
    headers = [b"host: h", draw(st.sampled_from([HEADERS[0]] * 5 + [b"a: b"]))]
    headers += draw(st.lists(st.sampled_from(HEADERS), max_size=2))
    how = draw(st.sampled_from(["length"] * 6 + ["chunks", "wrong", "twice", "none"]))
    if how == "chunks":
        headers.append(b"transfer-encoding: chunked")
        size = draw(st.integers(1, 9))
        cut = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in cut) + b"0\r\n\r\n"
    elif how == "wrong":
        headers.append(b"content-length: %d" % (len(body) + draw(st.integers(-5, 5))))
    elif how != "none":
        headers += [b"content-length: %d" % len(body)] * (2 if how == "twice" else 1)
    return b"%b %b HTTP/%b\r\n%b\r\n\r\n%b" % (method, target, version, b"\r\n".join(headers), body)


@st.composite
def arrivals(draw: st.DrawFn) -> list[bytes]:
    """What one connection brings, in pieces."""
    text = b"".join(draw(st.lists(requests(), min_size=1, max_size=4)))
    text += draw(st.sampled_from([b""] * 5 + [b"\r\n", b"garbage\r\n\r\n", b"POST /gra"]))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    ends = [0, *cuts, len(text)]
    return [text[start:end] for start, end in pairwise(ends) if end > start]


@st.composite
def talks(draw: st.DrawFn) -> list[bytes]:
    """What one connection brings of a client that says the same head again and again, mostly."""
    lines = draw(st.lists(st.sampled_from(HEADERS), max_size=2))
    bodies = draw(st.lists(st.sampled_from(BODIES), min_size=2, max_size=6))
    text, ends = b"", [0]
    for body in bodies:
        text += post(body, *draw(st.sampled_from([lines] * 6 + [[*lines, b"a: b"]])))
        text += draw(st.sampled_from([b""] * 9 + [b"\r\n", b"more"]))
        here = len(text)
        ends += draw(st.sampled_from([[here]] * 9 + [[], [here - 3], [here - 3, here]]))
    return [text[start:end] for start, end in pairwise([*ends, len(text)]) if end > start]


async def answered(
    app: Any, kind: Any, pieces: list[bytes], turns: int = 60
) -> tuple[Any, bool, list[str]]:
    """What comes back, whether the connection is closed then, and what was done. The loop turns
    some times between the pieces."""
    DONE.clear()
    config = Config(app, http="httptools", ws="none", access_log=False, log_level="critical")
    config.load()
    config.loaded_app = app
    state = ServerState()
    protocol, transport = kind(config, state, {}), Transport()
    protocol.connection_made(transport)
    for piece in pieces:
        if not transport.is_closed:
            protocol.data_received(piece)
        for _ in range(60 if piece is pieces[-1] else turns):
            await asyncio.sleep(0)
    is_closed = transport.is_closed
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks, return_exceptions=True)
    return settled(transport.sent), is_closed, list(DONE)


def settled(sent: bytes) -> list[Any]:
    """Answers without what differs by the moment; their headers in any order."""
    sent = re.sub(rb"dur=[\d.]+", b"dur=0", re.sub(rb"[0-9a-f]{32}", b"id", sent))
    found: list[Any] = []
    while sent:
        head, _, sent = sent.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        # An id is as long as what it stands for here.
        body_end = re.search(rb"HTTP/1\.1 \d", sent)
        end = body_end.start() if body_end else len(sent)
        found.append((sorted(head.split(b"\r\n")), bool(length), sent[:end]))
        sent = sent[end:]
    return found


class Plain:
    """The app without the way past ASGI."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def bounded(*arguments: Any) -> BoundedProtocol:
    return BoundedProtocol(*arguments, limits=ArrivalLimits())


def compared(pieces: list[bytes], turns: int = 60) -> None:
    script = {"GET /users/1": {"id": 1, "name": "Ada"}, "GET /users/2": {"id": 2, "name": "Bo"}}

    async def main() -> None:
        settings = GraphTest(graph).settings.model_copy(update={"share": "off"})
        async with GraphTest(graph, b=script, settings=settings) as test:
            app = test._app
            expected = await answered(app, HttpToolsProtocol, pieces, turns)
            same(await answered(Plain(app), bounded, pieces, turns), expected)
            same(await answered(app, bounded, pieces, turns), expected)

    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(main())
    finally:
        logging.disable(logging.NOTSET)


def same(found: Any, expected: Any) -> None:
    """Where a connection ends for what is no HTTP, who answers at once has answered before it does
    all that came before."""
    answers, *rest = expected
    if answers and answers[-1][2] == INVALID:
        assert found[0][-1][2] == INVALID or b"connection: close" in found[0][-1][0]
        assert found[0][: len(answers) - 1] == answers[:-1]
        assert found[1] == rest[0]
        assert found[2][: len(rest[1])] == rest[1]
    else:
        assert found == expected


INVALID = b"Invalid HTTP request received."


def post(body: bytes, *more: bytes) -> bytes:
    headers = [b"host: h", HEADERS[0], b"content-length: %d" % len(body), *more]
    return b"POST /graphql HTTP/1.1\r\n%b\r\n\r\n%b" % (b"\r\n".join(headers), body)


def got(target: bytes, *more: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (target, b"\r\n".join([b"host: h", *more]))


WITHIN = post(post(BODIES[4]))
"""Its body looks like a request."""
OLD = post(BODIES[0], b"connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")


@given(arrivals() | talks())
@example([post(BODIES[0]), post(BODIES[2]), post(BODIES[4]), post(BODIES[8])])
@example([post(BODIES[0]), post(BODIES[0], b"connection: close"), post(BODIES[0])])
@example([post(BODIES[0]), post(BODIES[2])[:-1], post(BODIES[2])[-1:] + post(BODIES[0])])
@example([post(BODIES[2]), post(BODIES[2]) + post(BODIES[4])])
@example([post(BODIES[0]), b"POST /graphql HTTP/1.1\r\nx: ", post(BODIES[4])])
@example([post(BODIES[0])[:30], post(BODIES[0])[30:], post(BODIES[0])[30:]])
@example([post(BODIES[0]), WITHIN[: -len(post(BODIES[4]))], post(BODIES[4])])
@example([post(BODIES[4], b"connection: close") + post(BODIES[5])])
@example([post(BODIES[2], b"connection: close") + post(BODIES[5])])
@example([OLD + post(BODIES[4])])
@example([got(QUERIES[2]) + post(BODIES[4]) + got(QUERIES[0], b"content-length: 3") + b"abc"])
@example([got(QUERIES[0], b"transfer-encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n"])
@example([got(QUERIES[0], b"transfer-encoding: chunked") + b"0\r\n\r\n" + got(QUERIES[5])])
@example([got(QUERIES[0], b"transfer-encoding: chunked"), b"3\r\nabc\r\n", b"0\r\n\r\n"])
@example([OLD + b"garbage\r\n\r\n"])
@settings(max_examples=400, suppress_health_check=list(HealthCheck))
def test_whoever_answers_it_is_the_same(pieces: list[bytes]) -> None:
    compared(pieces)


@given(talks(), st.sampled_from([0, 1, 3]))
@example([post(BODIES[0]), post(BODIES[2]), post(BODIES[4]), post(BODIES[0])], 0)
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
def test_who_does_not_wait_is_answered_the_same(pieces: list[bytes], turns: int) -> None:
    compared(pieces, turns)


def parsed(pieces: list[bytes], monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What of it a parser was asked to read, of what must be answered as if it had been all."""
    seen: list[bytes] = []
    parse = BoundedProtocol._parse

    def noted(self: BoundedProtocol, data: bytes) -> None:
        seen.append(data)
        parse(self, data)

    async def main() -> None:
        script = {"GET /users/1": {"id": 1, "name": "Ada"}}
        async with GraphTest(graph, b=script) as test:
            every = await answered(Plain(test._app), bounded, pieces)
            with monkeypatch.context() as patch:
                patch.setattr(BoundedProtocol, "_parse", noted)
                assert await answered(test._app, bounded, pieces) == every

    asyncio.run(main())
    return seen


ONE, OTHER = post(BODIES[0]), post(BODIES[4])
TOLD = post(BODIES[0], b"x-request-id: r1")


@pytest.mark.parametrize(
    ("pieces", "read"),
    [
        ([ONE, OTHER, ONE], [ONE]),
        ([ONE, TOLD, TOLD, ONE], [ONE, TOLD, ONE]),  # the last one is kept
        ([ONE + ONE, ONE], [ONE + ONE, ONE]),
        ([ONE, ONE + OTHER, ONE], [ONE, ONE + OTHER]),
        ([ONE[:-4], ONE[-4:], ONE], [ONE[:-4], ONE[-4:], ONE]),
        ([b"\r\n", ONE, ONE], [b"\r\n", ONE]),
        ([OLD, OLD], [OLD]),
        ([got(QUERIES[0]), got(QUERIES[0]), ONE, ONE], [got(QUERIES[0])] * 2 + [ONE]),
        ([ONE, post(BODIES[8]), ONE], [ONE]),  # of a body that is none too
        ([post(BODIES[0], HEADERS[2])] * 2, [post(BODIES[0], HEADERS[2])] * 2),  # not answered here
    ],
)
def test_a_head_that_is_said_again_is_not_parsed_again(
    pieces: list[bytes], read: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parsed(pieces, monkeypatch) == read


def test_a_head_means_its_own_length_and_is_nobodys_to_change() -> None:
    pairs = [(b"host", b"h"), (b"content-length", b"%d" % len(BODIES[0]))]
    head = request_head_of(ONE, pairs, {"host": "h", "content-length": "23"}, len(BODIES[0]))
    assert head is not None
    found = head.request(post(b"12"))
    assert found == ({"host": "h", "content-length": "2"}, b"12")
    found[0].clear()
    assert head.request(post(b"")) == ({"host": "h", "content-length": "0"}, b"")


def test_who_says_another_head_each_time_is_not_listened_to_each_time() -> None:
    async def main() -> list[int]:
        async with GraphTest(graph) as test:
            config = Config(test._app, http="httptools", ws="none")
            config.load()
            config.loaded_app = test._app
            protocol, heard = bounded(config, ServerState(), {}), []
            protocol.connection_made(Transport())
            for number in range(3 * CHANGES_MAX):
                before = protocol._head
                protocol.data_received(post(BODIES[0], b"x-request-id: r%d" % number))
                heard += [number] if protocol._head is not before else []
                for _ in range(20):
                    await asyncio.sleep(0)
            assert protocol.server_state.total_requests == 3 * CHANGES_MAX
            protocol.data_received(post(BODIES[0], b"x-request-id: r%d" % heard[-1]))
            assert protocol._changes == 0
            protocol.connection_lost(None)
            return heard

    heard = asyncio.run(main())
    assert heard == [*range(CHANGES_MAX), 2 * CHANGES_MAX - 1, 3 * CHANGES_MAX - 1]


@pytest.mark.parametrize("how", ["as it was", "closed", "paused"])
def test_who_cannot_be_answered_now_is_not_known(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    async def main() -> int:
        async with GraphTest(graph) as test:
            config = Config(test._app, http="httptools", ws="none")
            config.load()
            config.loaded_app = test._app
            protocol, transport = bounded(config, ServerState(), {}), Transport()
            protocol.connection_made(transport)
            for _ in range(2):
                protocol.data_received(ONE)
                for _ in range(20):
                    await asyncio.sleep(0)
            if how == "closed":
                transport.close()
            elif how == "paused":
                protocol.flow.pause_writing()
            monkeypatch.setattr(BoundedProtocol, "_parse", lambda _, data: read.append(data))
            protocol.data_received(ONE)
            await asyncio.sleep(0)
            protocol.connection_lost(None)
            return transport.sent.count(b"hello")

    assert (asyncio.run(main()), read) == ((3, []) if how == "as it was" else (2, [ONE]))


def test_an_empty_line_before_each_request_is_no_head_that_grows() -> None:
    async def main() -> int:
        async with GraphTest(graph) as test:
            config = Config(test._app, http="httptools", ws="none")
            config.load()
            config.loaded_app = test._app
            limits, transport = ArrivalLimits(header_bytes=len(ONE)), Transport()
            protocol = BoundedProtocol(config, ServerState(), {}, limits=limits)
            protocol.connection_made(transport)
            for _ in range(len(ONE)):
                for piece in (ONE, b"\r\n"):
                    protocol.data_received(piece)
                    for _ in range(20):
                        await asyncio.sleep(0)
            protocol.connection_lost(None)
            return transport.sent.count(b"hello")

    assert asyncio.run(main()) == len(ONE)
