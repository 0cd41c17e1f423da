"""Everything a backend can do wrong on a real socket: each has its error, and none hangs."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from plait import errors
from plait.backend.call import Call, Reply
from plait.backend.client import Client
from plait.backend.spec import BackendSpec, EndpointSpec
from plait.backend.template import PathTemplate
from plait.clock import SystemClock
from plait.emit import Events
from tests.conftest import free_port

pytestmark = pytest.mark.usefixtures("every_wire")
Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def sends(data: bytes) -> Behaviour:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return send


async def silence(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


async def slow_drip(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"content-length: 1000\r\n\r\n")
    for _ in range(50):
        writer.write(b" ")
        await asyncio.sleep(0.05)


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def bomb() -> bytes:
    packed = gzip.compress(b"0" * 50_000_000)
    return OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed


def call(behaviour: Behaviour, *, url: str | None = None, redirects: int = 0) -> Reply:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await behaviour(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def main() -> Reply:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        spec = BackendSpec(
            name="b",
            url=url or f"http://127.0.0.1:{port}",
            timeout_s=0.5,
            redirects=redirects,
            reply_bytes_max=1_000_000,
        )
        client = Client(spec, clock=SystemClock(), events=Events())
        endpoint = EndpointSpec(backend=spec, method="GET", path=PathTemplate("/x"))
        try:
            async with asyncio.timeout(4):
                return await client.call(Call(endpoint=endpoint, path="/x"))
        finally:
            await client.close()
            server.close()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (silence, errors.BackendTimeout),
        (slow_drip, errors.BackendTimeout),
        (reset, errors.BackendDisconnected),
        (sends(b""), errors.BackendDisconnected),
        (sends(b"nonsense\r\n\r\n"), errors.BackendDisconnected),
        (sends(OK + b"content-length: 100\r\n\r\n{"), errors.BackendDisconnected),
        (
            sends(OK + b"content-length: 50000000\r\n\r\n" + b" " * 5_000_000),
            errors.ResponseTooLarge,
        ),
        (sends(bomb()), errors.ResponseTooLarge),
        (sends(OK + b"content-encoding: gzip\r\n\r\nnot gzip"), errors.BadBackendResponse),
        (
            sends(OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 99)[:-12]),
            errors.BackendDisconnected,
        ),
        (sends(OK + b"content-encoding: br\r\n\r\nx"), errors.BadBackendResponse),
    ],
    ids=[
        "silence",
        "slow drip",
        "reset",
        "closed at once",
        "no HTTP",
        "broken off",
        "50 MB",
        "gzip bomb",
        "no gzip",
        "truncated gzip",
        "unasked encoding",
    ],
)
def test_a_fault_on_the_wire_is_its_own_error(
    behaviour: Behaviour, error: type[errors.BackendError]
) -> None:
    with pytest.raises(error):
        call(behaviour)


def test_a_redirect_loop_ends_and_another_origin_is_never_followed() -> None:
    loop = sends(b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n")
    with pytest.raises(errors.BackendRedirected, match="loop"):
        call(loop, redirects=3)
    away = sends(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2/\r\ncontent-length: 0\r\n\r\n")
    with pytest.raises(errors.BackendRedirected, match="another origin"):
        call(away, redirects=3)


@pytest.mark.parametrize(
    "host", [f"127.0.0.1:{free_port()}", "no-such-host.invalid"], ids=("refused", "no such host")
)
def test_what_cannot_be_reached_was_not_sent(host: str) -> None:
    with pytest.raises(errors.BackendUnreachable) as caught:
        call(silence, url=f"http://{host}")
    assert caught.value.sent == "no"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://nowhere.invalid", "dns"),
        (f"http://127.0.0.1:{free_port()}", "refused"),
        (f"http://localhost:{free_port()}", "refused"),
    ],
    ids=("dns", "refused", "refused at both addresses"),
)
def test_logs_tell_why_a_backend_cannot_be_reached(url: str, reason: str) -> None:
    with pytest.raises(errors.BackendUnreachable) as caught:
        call(silence, url=url)
    assert caught.value.reason == reason


def test_logs_tell_a_failed_handshake() -> None:
    async def no_tls(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            await no_tls(writer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        spec = BackendSpec(name="b", url=f"https://127.0.0.1:{port}", timeout_s=2)
        client = Client(spec, clock=SystemClock(), events=Events())
        endpoint = EndpointSpec(backend=spec, method="GET", path=PathTemplate("/x"))
        try:
            with pytest.raises(errors.BackendUnreachable) as caught:
                await client.call(Call(endpoint=endpoint, path="/x"))
            assert caught.value.reason == "tls"
        finally:
            await client.close()
            server.close()

    asyncio.run(main())
