"""Plait's own wire, handed to httpx: what httpx's callers expect of any transport."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from plait.backend.wire import Http11Transport

Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def asked(
    serve: Serve, work: Callable[[httpx.AsyncClient, str], Awaitable[Any]], **how: Any
) -> Any:
    """What `work` brings, of a server that answers each request with `serve`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [
                    line for line in head.lower().split(b"\r\n") if b"content-length" in line
                ]
                size = int(lengths[0].partition(b":")[2]) if lengths else 0
                await serve(head + await reader.readexactly(size), writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def main() -> Any:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with httpx.AsyncClient(transport=Http11Transport(**how), timeout=0.3) as client:
            found = await asyncio.wait_for(work(client, url), 5)
        server.close()
        return found

    return asyncio.run(main())


def ok(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, *headers, b"content-length: %d" % len(body), b"", body]
    return b"\r\n".join(lines)


async def echoes(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(ok(request, b"x-one: 1", b"x-one: 2"))


def test_requests_and_replies_are_those_of_httpx() -> None:
    async def work(client: httpx.AsyncClient, url: str) -> list[httpx.Response]:
        return [
            await client.get(f"{url}/a%20b?c=d", headers={"X-Own": "ü".encode()}),
            await client.post(f"{url}/things", json={"a": 1}),
            await client.put(f"{url}/empty"),
            await client.post(f"{url}/pieces", content=pieces()),
        ]

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    get, post, put, whole = asked(echoes, work)
    assert whole.content.endswith(b"\r\n\r\none two")
    assert b"content-length: 7" in whole.content
    assert b"transfer-encoding" not in whole.content
    assert get.status_code == 200
    assert get.headers.get_list("x-one") == ["1", "2"]
    assert get.content.startswith(b"GET /a%20b?c=d HTTP/1.1\r\n")
    assert b"x-own: \xc3\xbc\r\n" in get.content
    assert get.request.url.path == "/a b"
    assert post.content.endswith(b'\r\n\r\n{"a":1}')
    assert post.content.count(b"content-length: 7") == 1
    assert b"content-length: 0" in put.content


def test_what_is_compressed_or_chunked_or_an_error_is_read() -> None:
    async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/zip" in request:
            writer.write(ok(gzip.compress(b"packed"), b"content-encoding: gzip"))
        elif b"/chunks" in request:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        else:
            writer.write(ok(b"why", b"content-type: text/plain", status=b"404 Not Found"))

    async def work(client: httpx.AsyncClient, url: str) -> list[httpx.Response]:
        return [await client.get(f"{url}/{path}") for path in ("zip", "chunks", "none")]

    packed, chunks, missing = asked(serve, work)
    assert (packed.content, chunks.text, missing.text) == (b"packed", "abcde", "why")
    assert missing.status_code == 404
    assert "transfer-encoding" not in chunks.headers


def test_connections_are_kept_and_stale_ones_replaced_for_what_changes_nothing() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
        if writer not in connections:
            connections.append(writer)
        elif b"/closes" in request:
            writer.close()
            return
        writer.write(ok(b"{}"))

    async def work(client: httpx.AsyncClient, url: str) -> None:
        for _ in range(3):
            await client.get(url)
        assert len(connections) == 1
        await client.get(f"{url}/closes")
        assert len(connections) == 2
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(f"{url}/closes")

    asked(serve, work)


async def hangs(_: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def breaks(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SMTP ready\r\n\r\n")


async def is_large(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(ok(b"x" * 2_000))


async def fails_at_length(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(ok(b"x" * 2_000, b"content-type: text/plain", status=b"500 No"))


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (hangs, httpx.ReadTimeout),
        (breaks, httpx.RemoteProtocolError),
        (is_large, httpx.ReadError),
        (fails_at_length, httpx.ReadError),
    ],
)
def test_errors_are_those_of_httpx(serve: Serve, error: type[Exception]) -> None:
    async def work(client: httpx.AsyncClient, url: str) -> None:
        with pytest.raises(error) as caught:
            await client.get(url)
        assert caught.value.request.url.host == "127.0.0.1"  # type: ignore[attr-defined]

    asked(serve, work, reply_bytes_max=1_000)


def test_what_cannot_be_reached_or_asked_says_so() -> None:
    async def work(client: httpx.AsyncClient, _: str) -> None:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")
        with pytest.raises(httpx.LocalProtocolError):
            await client.get("http://127.0.0.1:1/", headers={"x": "a\r\nb: c"})

    asked(echoes, work)


def test_who_wants_no_timeout_has_none() -> None:
    async def slow(_: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        writer.write(ok(b"{}"))

    async def work(client: httpx.AsyncClient, url: str) -> int:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url)
        return (await client.get(url, timeout=None)).status_code

    assert asked(slow, work) == 200
