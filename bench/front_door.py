"""Requests that try to stop the gateway, and what a neighbour notices: `python -m bench.front_door`.

For each attack: how it was answered, how long that took, how large the answer was, how much memory
the gateway then held, and the longest that `{__typename}`, asked beside it, had to wait. The
neighbour asks every 5 ms over a connection of its own.
"""

import asyncio
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import Shop, shop

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Attack:
    """One request, or the raw bytes of one."""

    name: str
    query: str = ""
    variables: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[], Iterator[bytes]] | None = None


def cyclic(levels: int) -> str:
    return "{user(id:7){" + "orders{customer{" * levels + "id" + "}}" * levels + "}}"


def header_flood() -> Iterator[bytes]:
    yield b"GET /graphql?query={__typename} HTTP/1.1\r\nhost: x\r\n"
    for _ in range(400):
        yield b"a: aaaa\r\n" * 1_000


def endless_header() -> Iterator[bytes]:
    yield b"GET /graphql?query={__typename} HTTP/1.1\r\nhost: x\r\na: "
    for _ in range(200):
        yield b"a" * 1_000_000


ATTACKS = (
    Attack("nothing at all", "{__typename}"),
    Attack("cyclic lists, 7 times", cyclic(7)),
    Attack("cyclic lists, 9 times", cyclic(9)),
    Attack("3,000 bad ids beside commas", "{users(ids:[" + '"../x" ' * 1_900 + "]){id}}" + "," * 60_000),
    Attack("1,900 bad ids, 90 KB of lines", "{users(ids:[" + '"../x"\n' * 1_900 + "]){id}}" + "\n" * 60_000),
    Attack("139,000 ids in a variable", "query($i:[ID!]!){users(ids:$i){id}}", {"i": list(range(139_000))}),
    Attack("2,000 ids", "query($i:[ID!]!){users(ids:$i){id name orders{id}}}", {"i": list(range(1, 2_001))}),
    Attack("1,000 users, all they have", "query($i:[ID!]!){users(ids:$i){id name email orders{id items{quantity product{name}}} addresses{city} payments{id} rewards{points}}}", {"i": list(range(1, 1_001))}),
    Attack("an alias of 90 KB", "{" + "a" * 90_000 + ":user(id:\"../x\"){id}}"),
    Attack("aliases of 200 characters, 160 errors", "{" + " ".join(f"{'a' * 190}{i}:user(id:\"../x\"){{id}}" for i in range(160)) + "}"),
    Attack("20 unknown input fields beside a literal", "mutation{onboardCustomer(input:{" + " ".join(f"u{i}:1" for i in range(20)) + ' name:"' + "x" * 95_000 + '"}){accountId}}'),
    Attack("an unknown field of 90 KB", "{" + "f" * 90_000 + "}"),
    Attack("490 equal fields", "{" + "products{totalCount}" * 490 + "}"),
    Attack("660 aliases", "{" + " ".join(f"a{i}:__typename" for i in range(660)) + "}"),
    Attack("180 aliased calls", "{" + " ".join(f"a{i}:user(id:{i}){{id}}" for i in range(180)) + "}"),
    Attack("330 inline fragments", "{user(id:7){" + "...on User{id}" * 330 + "}}"),
    Attack("introspection, deep", "{__schema{types{fields{type{fields{type{fields{type{fields{type{name}}}}}}}}}}}"),
    Attack("introspection, wide", "{" + " ".join(f"a{i}:__schema{{types{{name fields{{name type{{name ofType{{name}}}}}}}}}}" for i in range(90)) + "}"),
    Attack("a variable nested 5,000 deep", "query($i:JSON){__typename}", None),
    Attack("400,000 headers", raw=header_flood),
    Attack("a header without end", raw=endless_header),
)  # fmt: skip


class Neighbour:
    """Asks `{__typename}` again and again, in a process of its own; the longest wait."""

    def __init__(self, url: str) -> None:
        here, there = multiprocessing.Pipe()
        self._pipe = here
        self._process = multiprocessing.Process(target=asking, args=(url, there), daemon=True)

    def __enter__(self) -> "Neighbour":
        self._process.start()
        self._pipe.recv()  # it is connected and warm
        return self

    def longest_ms(self) -> float:
        self._pipe.send("stop")
        longest: float = self._pipe.recv()
        return longest * 1000

    def __exit__(self, *_: object) -> None:
        self._process.join(timeout=5)


def asking(url: str, pipe: Any) -> None:
    port = int(url.rpartition(":")[2])
    body = b'{"query":"{__typename}"}'
    request = (
        b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    ) + body
    longest = 0.0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for count in range(1_000_000):
            start = time.monotonic()
            connection.sendall(request)
            while not connection.recv(65_536).endswith(b"}"):
                pass
            if count > 20:
                longest = max(longest, time.monotonic() - start)
            elif count == 20:
                pipe.send("ready")
            if pipe.poll():
                break
            time.sleep(0.005)
    pipe.send(longest)


async def answered(url: str, attack: Attack) -> tuple[str, int]:
    """How it was answered, and how many bytes that took."""
    if attack.raw:
        return await asyncio.to_thread(sent_raw, url, attack.raw)
    body: Any = {"query": attack.query, "variables": attack.variables}
    if "nested" in attack.name:
        text = (
            '{"query":"query($i:JSON){__typename}","variables":{"i":'
            + "[" * 5_000
            + "]" * 5_000
            + "}}"
        )
    else:
        text = json.dumps(body)
    async with httpx.AsyncClient() as client:
        reply = await client.post(
            f"{url}/graphql", content=text, headers={**JSON, **attack.headers}, timeout=120
        )
    codes = {one.get("extensions", {}).get("code") for one in reply.json().get("errors", ())}
    return f"{reply.status_code} {' '.join(sorted(filter(None, codes)))}", len(reply.content)


def sent_raw(url: str, pieces: Callable[[], Iterator[bytes]]) -> tuple[str, int]:
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            for piece in pieces():
                connection.sendall(piece)
            connection.sendall(b"\r\n")
            found = connection.recv(65_536)
        except OSError:
            return "closed while sending", 0
        return found[9:12].decode() or "closed", len(found)


def rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) / 1024


@contextmanager
def made() -> Iterator[tuple[Shop, int]]:
    with shop() as found:
        yield found, found.pid


async def main() -> None:
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    with made() as (found, pid):
        print(f"{'attack':42} {'answer':>34} {'bytes':>9} {'s':>6} {'MB':>5} {'wait ms':>8}")
        for attack in ATTACKS:
            if only not in attack.name:
                continue
            with Neighbour(found.url) as neighbour:
                start = time.monotonic()
                try:
                    answer, size = await asyncio.wait_for(answered(found.url, attack), 130)
                except (TimeoutError, httpx.HTTPError) as error:
                    answer, size = type(error).__name__, 0
                took = time.monotonic() - start
                await asyncio.sleep(1)  # what it left behind must not hold up anybody either
                wait_ms = neighbour.longest_ms()
            print(
                f"{attack.name:42} {answer:>34} {size:>9,} {took:6.2f} {rss_mb(pid):5.0f} "
                f"{wait_ms:8.0f}",
                flush=True,
            )


if __name__ == "__main__":
    asyncio.run(main())
