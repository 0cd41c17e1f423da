"""The services behind the gateways that are compared: `python -m bench.compare.upstream PORT`.

Data that follows from ids alone; answers cost next to nothing. Options: `--posts N` in all (100),
`--delay SECONDS` before each answer (0), `--fresh SECONDS` for which replies may be kept (0), by
their caller alone (`--private`), and `--failing PATH`, which is answered with 503.
"""

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import httptools
import uvloop

USERS = 10
POSTS_PER_USER = 10
COMMENTS_PER_POST = 5
PRODUCTS = 50
ORDERS = 40


def user(id: int) -> dict[str, Any]:
    return {
        "id": id,
        "name": f"User {id}",
        "username": f"user{id}",
        "email": f"user{id}@mail.test",
        "phone": f"555-{id:04}",
        "website": None,
    }


def post(id: int, owner: int) -> dict[str, Any]:
    return {"id": id, "userId": owner, "title": f"Title of {id}", "body": f"Body of {id}. " * 10}


def comment(post_id: int, number: int) -> dict[str, Any]:
    id = post_id * COMMENTS_PER_POST + number
    return {
        "id": id,
        "postId": post_id,
        "name": f"Comment {id}",
        "email": f"c{id}@mail.test",
        "body": f"Said in {id}. " * 8,
    }


def listed(name: str) -> Callable[[int], list[dict[str, Any]]]:
    """What hangs on a user, two of each."""
    shapes: dict[str, Callable[[int, int], dict[str, Any]]] = {
        "orders": lambda id, n: {"total": 9.5 + n, "status": "paid"},
        "addresses": lambda id, n: {"street": f"{n} Road", "city": f"City {id}", "zip": "0000"},
        "payments": lambda id, n: {"brand": "visa", "last4": f"{id:04}"},
    }
    return lambda id: [{"id": id * 2 + n, "userId": id, **shapes[name](id, n)} for n in range(2)]


def product(id: int) -> dict[str, Any]:
    """A book or a game."""
    one = {"id": id, "title": f"Title of {id}", "price": round(id * 1.07 + 0.9, 2)}
    if id % 2:
        return {"kind": "book", **one, "author": f"Author {id}", "isbn": f"978-{id:09}"}
    return {"kind": "game", **one, "players": id % 5 + 1, "box": {"w": 20, "h": 30}}


def order(id: int) -> dict[str, Any]:
    """One of a caller's."""
    placed = f"2026-03-{id % 28 + 1:02}T10:{id % 60:02}:00+00:00"
    return {"id": id, "total": round(id * 3.05, 2), "placedAt": placed, "note": f"Note {id}"}


class Services:
    """What is answered to which request."""

    def __init__(self, posts: int) -> None:
        self._posts = posts
        self.answer = lru_cache(maxsize=20_000)(self._answer)

    def _answer(self, method: bytes, target: bytes) -> tuple[int, bytes]:
        path, _, query = target.decode().partition("?")
        found = self._found(method, path.strip("/").split("/"), parse_qs(query))
        status = 404 if found is None else 201 if method == b"POST" else 200
        return status, json.dumps(found).encode()

    def _found(self, method: bytes, parts: list[str], query: Mapping[str, list[str]]) -> Any:
        def ids(name: str) -> list[int]:
            return [int(one) for text in query.get(name, ()) for one in text.split(",")]

        if method == b"POST":
            return {"id": 1, "service": parts[0], "status": "created"}
        match parts:
            case ["posts"] if "userId" in query:
                return [one for id in ids("userId") for one in self._posts_of(id)]
            case ["posts"]:
                return [post(id, (id - 1) % USERS + 1) for id in range(1, self._posts + 1)]
            case ["users"]:
                return [user(id) for id in ids("id") or range(1, USERS + 1)]
            case ["users", id]:
                return user(int(id))
            case ["users", id, "posts"]:
                return self._posts_of(int(id))
            case ["posts", id, "comments"]:
                return [comment(int(id), n) for n in range(COMMENTS_PER_POST)]
            case ["comments"]:
                return [comment(id, n) for id in ids("postId") for n in range(COMMENTS_PER_POST)]
            case ["users", id, ("orders" | "addresses" | "payments") as name]:
                return listed(name)(int(id))
            case [("orders" | "addresses" | "payments") as name]:
                return [one for id in ids("userId") for one in listed(name)(id)]
            case ["catalog"]:
                items = [product(id) for id in range(1, PRODUCTS + 1)]
                return {"data": {"items": items}, "meta": {"total": PRODUCTS}}
            case ["stock"]:
                return [{"id": id, "left": id % 9} for id in ids("id")]
            case ["mine"]:
                return [order(id) for id in range(1, ORDERS + 1)]
            case ["rewards", id]:
                return {"userId": int(id), "points": int(id) * 7, "tier": "gold"}
        return None

    def _posts_of(self, id: int) -> list[dict[str, Any]]:
        return [post(id * POSTS_PER_USER + n, id) for n in range(POSTS_PER_USER)]


class Connection(asyncio.Protocol):
    """Answers one request after the other."""

    def __init__(self, services: Services, delay_s: float, failing: bytes, control: bytes) -> None:
        self._services = services
        self._delay_s = delay_s
        self._failing = failing
        self._control = control
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target = url

    def on_message_complete(self) -> None:
        if self._failing and self._failing in self._target:
            status, body = 503, b"{}"
        else:
            status, body = self._services.answer(self._parser.get_method(), self._target)
        head = (
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncache-control: %b\r\n"
            b"content-length: %d\r\n\r\n" % (status, self._control, len(body))
        )
        if self._delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay_s, self._transport.write, head + body)
        else:
            self._transport.write(head + body)


async def serve(port: int, posts: int, delay_s: float, failing: str, control: str) -> None:
    services = Services(posts)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(services, delay_s, failing.encode(), control.encode()),
        "127.0.0.1",
        port,
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--posts", type=int, default=100)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--failing", default="")
    parser.add_argument("--fresh", type=int, default=0)
    parser.add_argument("--private", action="store_true")
    given = parser.parse_args()
    kept = f"{'private, ' if given.private else ''}max-age={given.fresh}"
    control = kept if given.fresh else "no-store"
    uvloop.run(serve(given.port, given.posts, given.delay, given.failing, control))
