"""A REST service that counts what it did, for `bench.kills`: `POST /effects` with `{"n": ...}`.

    python -m bench.target PORT FILE (keyed|plain)

A keyed one does what comes under one idempotency key once; a plain one does it as often as it is
asked. What it did is in a SQLite file, committed to the disc before it answers.
"""

import asyncio
import json
import random
import sqlite3
import sys
from typing import Any

import uvicorn


class Target:
    """The service as an ASGI app."""

    def __init__(self, path: str, *, is_keyed: bool) -> None:
        self._is_keyed = is_keyed
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("CREATE TABLE IF NOT EXISTS effects (n INTEGER, key TEXT)")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["method"] != "POST":
            await _answer(send, 200, {})
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        await asyncio.sleep(random.random() * 0.02)
        self._do(json.loads(body)["n"], headers.get("idempotency-key", ""))
        await asyncio.sleep(random.random() * 0.02)
        await _answer(send, 201, {"done": True})

    def _do(self, n: int, key: str) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        known = self._database.execute("SELECT 1 FROM effects WHERE key = ?", (key,)).fetchone()
        if not (self._is_keyed and known):
            self._database.execute("INSERT INTO effects VALUES (?, ?)", (n, key))
        self._database.execute("COMMIT")


async def _answer(send: Any, status: int, body: Any) -> None:
    content = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    port, path, kind = sys.argv[1:]
    uvicorn.run(
        Target(path, is_keyed=kind == "keyed"),
        port=int(port),
        log_level="critical",
        lifespan="off",
    )
