"""Asks a server over many connections for some seconds, and tells what that took."""

import asyncio
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httptools

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one server took for one scenario."""

    requests: int
    seconds: float
    cpu_us: float
    """Of the server, a request."""
    p50_ms: float
    p99_ms: float

    @property
    def rps(self) -> float:
        return self.requests / self.seconds


class Client(asyncio.Protocol):
    """One connection, which asks again as soon as it is answered."""

    def __init__(self, next_request: Callable[[], bytes], times: list[float]) -> None:
        self._next = next_request
        self._times = times
        self._parser = httptools.HttpResponseParser(self)
        self._is_stopping = False
        self._start = 0.0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body = b""

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self._times.append(time.perf_counter() - self._start)
        status = self._parser.get_status_code()
        if status != 200:
            self.over.set_exception(AssertionError(f"answered with {status}: {self.body[:300]!r}"))
        elif self._is_stopping:
            self.over.set_result(None)
        else:
            # Not from within the parser, which is not done with this answer.
            asyncio.get_running_loop().call_soon(self._ask)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(AssertionError("the connection was closed"))

    def stop(self) -> None:
        """Ask no more."""
        self._is_stopping = True

    def close(self) -> None:
        self._transport.close()

    def _ask(self) -> None:
        self._start = time.perf_counter()
        self._transport.write(self._next())


def request_of(query: str, variables: Any, caller: str = "") -> bytes:
    """A POST to /graphql; with the credentials of its caller, if it has one."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    credentials = f"authorization: {caller}\r\n".encode() if caller else b""
    return (
        b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"%bcontent-length: %d\r\n\r\n%b" % (credentials, len(body), body)
    )


async def load(
    port: int, pid: int, next_request: Callable[[], bytes], *, connections: int, seconds: float
) -> Load:
    """Ask for some seconds. Raises `AssertionError` for an answer that is none."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    clients: list[Client] = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: Client(next_request, times), "127.0.0.1", port
        )
        clients.append(client)
    await asyncio.sleep(min(1.0, seconds / 2))  # warms up
    times.clear()
    start, cpu_s = time.perf_counter(), cpu_seconds(pid)
    await asyncio.sleep(seconds)
    count, took_s, used_s = len(times), time.perf_counter() - start, cpu_seconds(pid) - cpu_s
    for client in clients:
        client.stop()
    await asyncio.wait_for(asyncio.gather(*(client.over for client in clients)), 30)
    for client in clients:
        client.close()
    return Load(
        requests=count,
        seconds=took_s,
        cpu_us=used_s / max(1, count) * 1e6,
        p50_ms=statistics.median(times) * 1000,
        p99_ms=_percentile(times, 0.99) * 1000,
    )


def cpu_seconds(pid: int) -> float:
    """What a process has used, in user and in system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _percentile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]
