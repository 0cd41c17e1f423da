"""Calls that leave without a task: what comes of them is what comes of every other call."""

import asyncio
import gc
import gzip
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import uvloop

from plait.backend.call import Call, Origin, Reply
from plait.backend.client import Client
from plait.backend.slots import Slots
from plait.backend.spec import BackendSpec, EndpointSpec
from plait.backend.template import PathTemplate
from plait.backend.transport import HttpTransport
from plait.clock import SystemClock
from plait.emit import Events
from plait.errors import BackendError, BackendHttpError
from plait.events import CallFinished, Event
from tests.query.test_sharing import kept

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


@pytest.fixture(params=["asyncio", "uvloop"], autouse=True)
def loop_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "uvloop":
        monkeypatch.setattr(asyncio, "run", uvloop.run)


class Calls:
    """A client of a server that is told how to answer its nth request, from 1."""

    def __init__(self, client: Client, events: list[Event]) -> None:
        self.client = client
        self.events = events
        self.backend = client.backend
        self.connections = 0
        self.requests: list[bytes] = []

    def begin(self, method: str = "GET", path: str = "/x", **spec: Any) -> Any:
        """A call on its way: what it brings as a future, and what gives it up."""
        endpoint = EndpointSpec(
            backend=self.backend,
            method="POST" if method == "POST" else "GET",
            path=PathTemplate(path),
            **spec,
        )
        came: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        body = b"{}" if method == "POST" else None
        call = Call(endpoint=endpoint, method=method, path=path, body=body)
        return came, self.client.begin(call, came.set_result)

    def one(self, **more: Any) -> Call:
        """A call that has not left."""
        endpoint = EndpointSpec(backend=self.backend, method="GET", path=PathTemplate("/rows/{id}"))
        return Call(endpoint=endpoint, path="/rows/1", **more)

    async def get(self, **options: Any) -> Any:
        async with asyncio.timeout(5):
            return await self.begin(**options)[0]

    def finished(self) -> list[tuple[int | None, str | None]]:
        """Status and reason of each call that has ended."""
        return [
            (one.http_status, one.reason or one.error_code)
            for one in self.events
            if isinstance(one, CallFinished)
        ]


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


async def ok(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: int) -> None:
    writer.write(OK)


def raw(text: bytes) -> Answer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: int) -> None:
        writer.write(text)

    return answer


def nth(number: int, then: Answer) -> Answer:
    """`ok`, and `then` to one request."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int
    ) -> None:
        await (then if count == number else ok)(reader, writer, count)

    return answer


async def closes(_: Any, writer: asyncio.StreamWriter, __: int) -> None:
    writer.close()


def run(answer: Answer, test: Callable[[Calls], Awaitable[Any]], **policy: Any) -> Calls:
    async def main() -> Calls:
        events: list[Event] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            calls.connections += 1
            try:
                while not writer.is_closing():
                    head = await reader.readuntil(b"\r\n\r\n")
                    if b"content-length" in head:
                        head += await reader.readexactly(2)
                    calls.requests.append(head)
                    await answer(reader, writer, len(calls.requests))
                    await writer.drain()
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        backend = replace(BackendSpec(name="b", url=url, timeout_s=2), **policy)
        client = Client(backend, clock=SystemClock(), events=Events(events.append))
        calls = Calls(client, events)
        try:
            await test(calls)
        finally:
            await client.close()
            server.close()
        return calls

    return asyncio.run(main())


def test_a_kept_connection_is_used_without_a_task() -> None:
    async def test(calls: Calls) -> None:
        assert (await calls.get()).body == b"{}"
        before = asyncio.all_tasks()
        came, _ = calls.begin()
        assert asyncio.all_tasks() == before
        assert (await came).status == 200

    calls = run(ok, test)
    assert (calls.connections, calls.finished()) == (1, [(200, None)] * 2)
    assert calls.requests[0].partition(b"\r\n")[2] == calls.requests[1].partition(b"\r\n")[2]


def test_a_call_over_a_stale_connection_is_made_again() -> None:
    async def test(calls: Calls) -> None:
        await calls.get()
        assert (await calls.get()).status == 200

    calls = run(nth(2, closes), test)
    assert (calls.connections, len(calls.requests)) == (2, 3)
    assert calls.finished() == [(200, None)] * 2  # to who looks on it was one


def test_a_call_that_may_change_something_is_not() -> None:
    async def test(calls: Calls) -> None:
        await calls.get()
        found = await calls.get(method="POST")
        assert (found.code, found.sent) == ("BACKEND_DISCONNECTED", "maybe")

    calls = run(nth(2, closes), test)
    assert len(calls.requests) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_given_up_is_closed_at_once_and_says_nothing(kept: bool) -> None:
    closed: list[bytes] = []

    async def waits(reader: asyncio.StreamReader, _: Any, __: int) -> None:
        closed.append(await reader.read())

    async def test(calls: Calls) -> None:
        if kept:
            await calls.get()
        came, give_up = calls.begin()
        while len(calls.requests) < 1 + kept:  # noqa: ASYNC110  # turns of the loop, no time
            await asyncio.sleep(0)
        give_up()
        give_up()  # once is enough
        await asyncio.sleep(0.05)
        assert not came.done()
        assert closed == [b""]
        assert (await calls.get()).status == 200

    calls = run(nth(1 + kept, waits), test, connections=1)
    assert calls.finished()[kept:] == [(None, "given_up"), (200, None)]
    assert calls.connections == 2


@pytest.mark.parametrize("kept", [True, False])
def test_a_call_as_a_whole_has_its_time(kept: bool) -> None:
    async def drips(_: Any, writer: asyncio.StreamWriter, __: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n")
        for _number in range(40):
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async def test(calls: Calls) -> None:
        if kept:
            await calls.get()
        found = await calls.get(timeout_s=0.2)
        assert isinstance(found, BackendError)
        assert str(found) == "Backend 'b' did not answer within 0.2 s."

    run(nth(1 + kept, drips), test)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"HTTP/1.1 500 E\r\ncontent-length: 0\r\n\r\n", "BACKEND_HTTP_ERROR"),
        (b"HTTP/1.1 404 N\r\ncontent-length: 3\r\n\r\nabc", "BACKEND_HTTP_ERROR"),
        (b"HTTP/1.1 302 F\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n", "BACKEND_REDIRECTED"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000,
            "BACKEND_RESPONSE_TOO_LARGE",
        ),
        (b"NONSENSE\r\n\r\n", "BACKEND_DISCONNECTED"),
    ],
)
def test_errors_are_those_of_every_call(reply: bytes, code: str, kept: bool) -> None:
    async def test(calls: Calls) -> None:
        if kept:
            await calls.get()
        assert (await calls.get(reply_bytes_max=1_000)).code == code
        assert (await calls.get()).status == 200  # and the next call is none of its business

    run(nth(1 + kept, raw(reply)), test)


def test_a_compressed_reply_is_read() -> None:
    body = gzip.compress(b'{"a": 1}')
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def test(calls: Calls) -> None:
        for _ in range(2):
            found = await calls.get()
            assert isinstance(found, Reply)
            assert found.body == b'{"a": 1}'

    run(raw(head + body), test)


def test_calls_that_wait_leave_in_order_and_may_be_given_up() -> None:
    async def test(calls: Calls) -> None:
        begun = [calls.begin(path=f"/{number}") for number in range(4)]
        begun[2][1]()
        async with asyncio.timeout(5):
            await asyncio.gather(*(begun[number][0] for number in (0, 1, 3)))
        assert not begun[2][0].done()

    calls = run(ok, test, connections=1)
    assert [one.split()[1] for one in calls.requests] == [b"/0", b"/1", b"/3"]
    assert calls.connections == 1


def test_a_call_leaves_nothing_to_the_collector() -> None:
    """Objects that know each other stay until there is a collection, and replies with them."""

    async def test(calls: Calls) -> None:
        await calls.get()
        gc.collect()
        gc.disable()
        try:
            before = kept("_Begun", "Call", "Reply", "RawReply")
            for _ in range(5):
                await calls.get()
                given_up = calls.begin()[1]
                given_up()
                del given_up
            await asyncio.sleep(0)
            assert all(kept(kind)[kind] <= count for kind, count in before.items())
        finally:
            gc.enable()

    run(ok, test)


def test_slots_are_handed_on_in_order() -> None:
    slots, order = Slots(1), list[str]()
    assert slots.take()
    assert not slots.take()
    slots.call_when_free(lambda: order.append("a"))
    slots.call_when_free(lambda: order.append("b"))
    forget = slots.call_when_free(lambda: order.append("forgotten"))
    slots.call_when_free(lambda: order.append("c"))
    forget()
    for _ in range(3):
        slots.give_back()
    assert order == ["a", "b", "c"]
    slots.give_back()
    assert slots.take()


def test_each_call_is_told_once_however_it_ends() -> None:
    async def later(_: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        if count == 3:
            await asyncio.sleep(60)
        status = b"503 No" if count == 2 else b"200 OK"
        writer.write(b"HTTP/1.1 %b\r\ncontent-length: 2\r\n\r\n{}" % status)

    async def test(calls: Calls) -> None:
        origin = Origin(request_id="r", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
        one = calls.one(origin=origin)
        batch = calls.one(origin=origin, key_count=3, template="GET /rows?id=")
        assert (await calls.client.call(batch)).status == 200
        with pytest.raises(BackendHttpError):
            await calls.client.call(one)
        task = asyncio.create_task(calls.client.call(one))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    told = [one for one in run(later, test).events if isinstance(one, CallFinished)]
    assert {(one.request_id, one.trace_id, one.backend, one.attempts) for one in told} == {
        ("r", "a" * 32, "b", 1)
    }
    assert [(one.endpoint, one.keys, one.http_status, one.error_code) for one in told] == [
        ("GET /rows?id=", 3, 200, None),
        ("GET /rows/{id}", 1, 503, "BACKEND_HTTP_ERROR"),
        ("GET /rows/{id}", 1, None, "BACKEND_DISCONNECTED"),
    ]
    assert told[2].reason == "given_up"
    assert told[2].duration_ms >= 40


def test_no_more_calls_than_connections_are_under_way() -> None:
    running, most = 0, 0

    async def counted(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        writer.write(OK)

    async def test(calls: Calls) -> None:
        for _ in range(2):  # over new connections, and over kept ones
            await asyncio.gather(*(calls.client.call(calls.one()) for _ in range(7)))

    calls = run(counted, test, connections=2)
    assert (most, calls.connections, len(calls.requests)) == (2, 2, 14)


ORIGIN = Origin(request_id="r1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")


@pytest.mark.parametrize("id", ["r\r\nx-tenant: a", "r\0", "Ā"])
def test_an_id_that_no_header_may_hold_does_not_reach_the_wire(id: str) -> None:
    """The edge lets none in; nobody else has to know that."""

    async def test(calls: Calls) -> None:
        await calls.client.call(calls.one())
        origin = Origin(request_id=id, traceparent=ORIGIN.traceparent)
        with pytest.raises((BackendError, UnicodeError)):
            await calls.client.call(calls.one(origin=origin))

    calls = run(ok, test)
    assert len(calls.requests) == 1


@pytest.mark.parametrize(
    ("headers", "content_type", "fixed"),
    [
        ((), None, {}),
        ((("idempotency-key", "k 1"),), None, {}),
        ((("idempotency-key", "k"), ("x-tenant", "t")), "application/merge-patch+json", {}),
        ((("X-Tenant", "t"),), None, {"x-tenant": "fixed"}),
        ((("x-tenant", "t"),), None, {"X-Tenant": "fixed"}),
        ((("x-request-id", "own"), ("content-type", "text/plain")), None, {}),
        ((("x-tenant", "ä"),), None, {}),
        ((), None, {"Content-Type": "application/fixed"}),
        ((), "text/own", {"content-type": "application/fixed"}),
    ],
)
def test_a_kept_connection_gets_the_headers_that_a_new_one_does(
    headers: tuple[tuple[str, str], ...], content_type: str | None, fixed: dict[str, str]
) -> None:
    async def twice(calls: Calls) -> None:
        endpoint = EndpointSpec(
            backend=calls.backend,
            method="POST",
            path=PathTemplate("/x"),
            content_type=content_type,
        )
        for _ in range(2):
            await calls.client.call(
                Call(
                    endpoint=endpoint,
                    method="POST",
                    path="/x",
                    body=b"{}",
                    headers=headers,
                    origin=ORIGIN,
                )
            )

    def lines(request: bytes) -> set[bytes]:
        return set(re.sub(rb"-[0-9a-f]{16}-", b"-", request).lower().split(b"\r\n"))

    calls = run(ok, twice, headers=fixed)
    first, second = map(lines, calls.requests)
    assert calls.connections == 1
    assert first == second
    assert b"content-length: 2" in first
    assert b"traceparent: 00-" + b"a" * 32 + b"-01" in first


@pytest.mark.parametrize("forward", [(), ("authorization", "x-tenant")])
@pytest.mark.parametrize(
    "fixed", [{}, {"X-Request-Id": "fixed"}, {"traceparent": "fixed"}, {"x-tenant": "fixed"}]
)
def test_what_is_passed_on_goes_over_a_kept_connection_too(
    forward: tuple[str, ...], fixed: dict[str, str]
) -> None:
    """The credentials of each caller, and nobody else's."""

    async def two(calls: Calls) -> None:
        for caller in ("one", "two"):
            headers = {"authorization": caller, "x-tenant": caller, "cookie": "secret"}
            origin = Origin(request_id="r", traceparent=ORIGIN.traceparent, headers=headers)
            await calls.client.call(calls.one(origin=origin))

    calls = run(ok, two, headers=fixed, forward=forward)
    assert calls.connections == 1
    for request, caller in zip(calls.requests, (b"one", b"two"), strict=True):
        lines = request.lower().split(b"\r\n")
        assert (b"authorization: " + caller in lines) == bool(forward)
        assert (b"x-tenant: " + caller in lines) == bool(forward)
        assert b"secret" not in request
        ids = [line.partition(b":")[0] for line in lines]
        assert (ids.count(b"x-request-id"), ids.count(b"traceparent")) == (1, 1)
        assert ids.count(b"x-tenant") == bool(forward or "x-tenant" in fixed)


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\0b", "a\tb\r"])
def test_no_header_of_a_call_becomes_two(value: str) -> None:
    async def evil(calls: Calls) -> None:
        await calls.get()  # from now on a connection is kept
        with pytest.raises(BackendError):
            await calls.client.call(calls.one(headers=(("x-tenant", value),), origin=ORIGIN))

    calls = run(ok, evil)
    assert len(calls.requests) == 1


@pytest.mark.sources
@pytest.mark.parametrize("place", ["begin", "found"])
def test_a_defect_ends_its_call_and_gives_its_slot_back(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    async def several(calls: Calls) -> None:
        await calls.get()  # from now on a connection is kept
        with monkeypatch.context() as patch:
            patch.setattr(HttpTransport, place, broken)
            for _ in range(3):  # more than there are slots
                with pytest.raises(ZeroDivisionError):
                    await asyncio.wait_for(calls.client.call(calls.one()), 5)
        assert isinstance(await calls.get(), Reply)

    run(ok, several, connections=2)
