"""Our own connections: what is kept, what is closed, and what no reply may do to another's."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.backend import http11
from plait.backend.exchanged import ExchangeError, Failure, RawReply, ReplyLimits
from plait.backend.http11 import Peer
from tests.conftest import needs

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PARTS = [OK, OK[:20], OK[20:], b"HTTP/1.1 ", b"\r\n", b"content-length: 3\r\n\r\n", b"0\r\n\r\n"]
WANTED = ReplyLimits(bytes_max=1_000, error_bytes_max=100, error_type=b"application/problem+json")


@pytest.fixture(params=["asyncio", "uvloop"], autouse=True)
def loop_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "uvloop":
        monkeypatch.setattr(asyncio, "run", uvloop.run)


def origin(port: int, **options: Any) -> Peer:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "tls": None,
        "connect_s": 2,
        "read_s": 2,
        "keepalive_s": 30,
    }
    return Peer(**{**given, **options})


async def get(of: Peer, method: bytes = b"GET", body: bytes | None = None) -> RawReply:
    headers = ((b"host", b"x"),)
    return await of.send(method, b"/x", headers, body, WANTED, is_safe=method == b"GET")


def served(script: Script, test: Callable[[Peer], Awaitable[Any]], **options: Any) -> Any:
    """What `test` makes of a server that does `script` with each connection, given its number.
    And how many connections there were."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        try:
            await script(reader, writer, count)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test has ended
        finally:
            writer.close()

    async def main() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        of = origin(server.sockets[0].getsockname()[1], **options)
        try:
            async with asyncio.timeout(10):
                return await test(of)
        finally:
            await of.close()
            server.close()

    return asyncio.run(main()), count


def answering(*replies: bytes) -> Script:
    """Each connection answers each request with the next of `replies`, the last again and again."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        waiting = list(replies)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(waiting.pop(0) if len(waiting) > 1 else waiting[0])
            await writer.drain()

    return script


async def twice(of: Peer) -> tuple[bytes, bytes]:
    first = await get(of)
    await asyncio.sleep(0.05)  # what follows a reply has come by now
    return first.body, (await get(of)).body


def failure(script: Script, method: bytes = b"GET", **options: Any) -> Failure:
    async def test(of: Peer) -> Failure:
        with pytest.raises(ExchangeError) as caught:
            await get(of, method)
        return caught.value.failure

    found, _ = served(script, test, **options)
    assert isinstance(found, Failure)
    return found


@pytest.mark.parametrize(
    ("reply", "connections"),
    [
        (OK, 1),
        (CHUNKED + b"1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", 1),
        (CHUNKED + b"2\r\nok\r\n0\r\ntrailer: x\r\n\r\n", 1),
        # What follows a reply belongs to nobody: the connection is not used again.
        (OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", 2),
        (OK + b"garbage", 2),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 2),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 2),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, 1),
    ],
)
def test_a_connection_is_kept_only_where_nothing_is_left_on_it(
    reply: bytes, connections: int
) -> None:
    assert served(answering(reply), twice) == ((b"ok", b"ok"), connections)


def test_a_body_may_end_with_its_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")

    assert served(script, twice) == ((b"ok", b"ok"), 2)


def test_a_connection_that_was_closed_meanwhile_is_noticed() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)  # and closes, without having said so

    async def posts(of: Peer) -> bytes:
        await get(of)
        await asyncio.sleep(0.05)
        return (await get(of, b"POST", b"{}")).body

    assert served(script, twice) == ((b"ok", b"ok"), 2)
    assert served(script, posts) == (b"ok", 2)  # known before it was sent: nothing is in doubt


async def closes_on_the_second(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    await reader.readuntil(b"\r\n\r\n")
    if number > 1:
        writer.write(OK)
        await writer.drain()


def test_what_is_safe_is_sent_once_more_where_a_kept_connection_ends_without_a_word() -> None:
    assert served(closes_on_the_second, twice) == ((b"ok", b"ok"), 2)


def test_what_writes_is_not() -> None:
    async def test(of: Peer) -> Failure:
        await get(of)
        with pytest.raises(ExchangeError) as caught:
            await get(of, b"POST", b"{}")
        return caught.value.failure

    assert served(closes_on_the_second, test) == (Failure.CLOSED, 1)


def test_a_new_connection_that_ends_without_a_word_is_not_tried_again() -> None:
    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: int) -> None:
        await reader.readuntil(b"\r\n\r\n")

    assert failure(script) is Failure.CLOSED


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"nonsense\r\n\r\n", Failure.PROTOCOL),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
            Failure.PROTOCOL,
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok", Failure.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", Failure.PROTOCOL),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", Failure.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, Failure.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + b"a" * 2000, Failure.TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", Failure.READ_TIMEOUT),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n", Failure.PROTOCOL),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Failure.READ_TIMEOUT),
    ],
)
def test_what_is_no_reply(reply: bytes, expected: Failure) -> None:
    assert failure(answering(reply), read_s=0.3) is expected


def test_each_time_out_is_its_own() -> None:
    async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: int) -> None:
        await reader.read(100_000)
        await asyncio.sleep(5)

    assert failure(silence, read_s=0.1) is Failure.READ_TIMEOUT
    # Its handshake is never answered: that is connecting still.
    context = ssl.create_default_context()
    assert failure(silence, tls=context, connect_s=0.1) is Failure.CONNECT_TIMEOUT


def test_a_piece_now_and_then_is_no_silence() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in OK:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)

    async def test(of: Peer) -> bytes:
        return (await get(of)).body

    assert served(drip, test, read_s=0.2)[0] == b"ok"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that nobody has signed, with its key."""
    file = tmp_path_factory.mktemp("tls") / "own.pem"
    command = [needs("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=own", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = file.with_suffix(".key")
    subprocess.run([*command, "-keyout", key, "-out", file], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + key.read_bytes())
    return file


def over_tls(certificate: Path, host: str, trusted: ssl.SSLContext) -> tuple[Any, int]:
    """Two exchanges over TLS, and how many connections they took."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            await answering(OK)(reader, writer, count)

    async def main() -> Any:
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(certificate)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=own)
        of = origin(server.sockets[0].getsockname()[1], host=host, tls=trusted)
        try:
            return await twice(of)
        except ExchangeError as error:
            return error.failure
        finally:
            await of.close()
            server.close()

    return asyncio.run(main()), count


def test_tls_is_spoken_with_whom_its_certificate_is_trusted(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    assert over_tls(certificate, "127.0.0.1", trusting) == ((b"ok", b"ok"), 1)
    # The same server by another name, and one whose certificate nobody knows.
    assert over_tls(certificate, "localhost", trusting) == (Failure.CONNECT, 0)
    assert over_tls(certificate, "127.0.0.1", ssl.create_default_context())[0] is Failure.CONNECT


def test_an_exchange_that_is_given_up_closes_its_connection_at_once() -> None:
    ended = []

    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        ended.append(await reader.read())

    async def test(of: Peer) -> int:
        task = asyncio.ensure_future(get(of))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait((task,))
        await asyncio.sleep(0.1)
        return len(ended)

    assert served(script, test) == (1, 1)


@pytest.mark.parametrize(("body", "connections"), [(b"x" * 50, 1), (b"x" * 200_000, 2), (b"x", 1)])
def test_a_failures_body_is_read_only_for_its_connection(body: bytes, connections: int) -> None:
    reply = b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    async def test(of: Peer) -> list[int]:
        found = [(await get(of)).status]
        await asyncio.sleep(0.1)
        return [*found, (await get(of)).status]

    assert served(answering(reply), test) == ([404, 404], connections)


def test_a_failure_is_told_before_its_body_has_come() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Oh\r\ncontent-length: 5\r\n\r\n")
        await reader.read()  # the rest never comes: the client closes

    async def test(of: Peer) -> int:
        return (await get(of)).status

    assert served(script, test)[0] == 500


@pytest.mark.parametrize(("size", "expected"), [(90, 90), (300, 0)])
def test_a_problem_document_is_read_up_to_its_limit(size: int, expected: int) -> None:
    head = b"HTTP/1.1 422 No\r\ncontent-type: application/problem+json; a=b\r\n"
    reply = head + b"content-length: %d\r\n\r\n" % size + b"x" * size

    async def test(of: Peer) -> int:
        return len((await get(of)).body)

    assert served(answering(reply), test)[0] == expected


def test_many_at_once_get_their_own_replies() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            number = head.split(b" ")[1].removeprefix(b"/")
            await asyncio.sleep(int(number) % 3 / 1000)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(number) + number)

    async def test(of: Peer) -> bool:
        async def one(number: int) -> bool:
            target = b"/%d" % number
            reply = await of.send(b"GET", target, ((b"host", b"x"),), None, WANTED, is_safe=True)
            return reply.body == b"%d" % number

        found = []
        for _ in range(20):
            found += await asyncio.gather(*map(one, range(40)))
        return all(found) and len(found) == 800

    assert served(script, test) == (True, 40)


def test_what_comes_unasked_ends_a_connection_that_is_kept() -> None:
    async def main() -> None:
        of, wire = origin(1), Wire()
        connection = http11._Connection(of, 10)
        connection.connection_made(wire)
        of.keep(connection)
        connection.data_received(OK)  # it would be taken for the next request's reply
        assert wire.is_aborted
        assert of._take() is None

    asyncio.run(main())


def test_a_connection_that_is_about_to_close_is_not_used() -> None:
    async def main() -> None:
        of, wire = origin(1), Wire()
        connection = http11._Connection(of, 10)
        connection.connection_made(wire)
        of.keep(connection)
        wire.has_ended = True  # the other side has said so, and the loop is about to tell
        assert of._take() is None

    asyncio.run(main())


def test_how_long_a_request_is_is_said_once() -> None:
    headers = ((b"host", b"h"), (b"Content-Length", b"9"), (b"transfer-encoding", b"chunked"))
    sent = http11._request(b"POST", b"/x", headers, b"{}")
    assert sent == b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"


def test_connections_that_are_idle_for_too_long_are_not_used() -> None:
    assert served(answering(OK), twice, keepalive_s=0.01) == ((b"ok", b"ok"), 2)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"/a b", ()),
        (b"/a\r\nx: y", ()),
        (b"a", ()),
        (b"/\xff", ()),
        (b"/a\0b", ()),
        (b"/\x7f", ()),
        (b"/x", ((b"a b", b"c"),)),
        (b"/x", ((b"", b"c"),)),
        (b"/x", ((b"a", b"b\r\nc: d"),)),
        (b"/x", ((b"a", b"b\0"),)),
    ],
)
def test_a_request_that_could_be_taken_for_two_is_not_sent(target: bytes, headers: Any) -> None:
    async def test(of: Peer) -> Failure:
        with pytest.raises(ExchangeError) as caught:
            await of.send(b"GET", target, headers, None, WANTED, is_safe=True)
        return caught.value.failure

    assert served(answering(OK), test) == (Failure.FORBIDDEN, 0)


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        (b"GET", None, None),
        (b"DELETE", None, None),
        (b"POST", None, b"0"),
        (b"PATCH", b"{}", b"2"),
        (b"GET", b"[]", b"2"),
    ],
)
def test_a_body_says_how_long_it_is(
    method: bytes, body: bytes | None, length: bytes | None
) -> None:
    sent = http11._request(method, b"/x?a=%20", ((b"host", b"h"),), body)
    head, _, rest = sent.partition(b"\r\n\r\n")
    assert head.startswith(method + b" /x?a=%20 HTTP/1.1\r\nhost: h")
    lengths = [line for line in head.split(b"\r\n") if line.startswith(b"content-length")]
    assert lengths == ([] if length is None else [b"content-length: " + length])
    assert rest == (body or b"")


class Wire(asyncio.Transport):
    """Takes what is written, and knows whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = self.has_ended = False

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted or self.has_ended


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [
                    OK,
                    OK[:20],
                    OK[20:],
                    b"HTTP/1.1 ",
                    b"\r\n",
                    b"content-length: 3\r\n\r\n",
                    b"0\r\n\r\n",
                ]
            ),
        ),
        max_size=8,
    )
)
@settings(max_examples=300)
def test_whatever_comes_it_is_a_reply_an_error_or_not_yet(pieces: list[bytes]) -> None:
    async def main() -> None:
        of, wire = origin(1), Wire()
        connection = http11._Connection(of, 10)
        of._open.add(connection)
        connection.connection_made(wire)
        task = asyncio.ensure_future(connection.exchange(b"", WANTED))
        await asyncio.sleep(0)
        for piece in pieces:
            if not wire.is_aborted:
                connection.data_received(piece)
        connection.connection_lost(None)
        try:
            reply = await asyncio.wait_for(task, 1)
        except ExchangeError:
            pass
        else:
            assert 200 <= reply.status < 1000
            assert len(reply.body) <= WANTED.bytes_max
        assert connection not in of._idle
        assert connection not in of._open

    asyncio.run(main())


def test_what_nobody_wants_and_does_not_end_is_read_for_a_while_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http11, "DRAINED_WITHIN_S", 0.1)
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 1000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                writer.write(b"x")
                await asyncio.sleep(0.02)
                if reader.at_eof() or reader.exception() is not None:
                    break
            else:
                return
        ended.set()

    async def test(of: Peer) -> int:
        status = (await get(of)).status
        await asyncio.wait_for(ended.wait(), 2)
        return status

    assert served(script, test, read_s=5) == (500, 1)
