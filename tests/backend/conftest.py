"""The wire in each of its ways."""

import asyncio
from functools import partial
from typing import Any

import pytest
import uvloop

from plait.backend import client
from plait.backend.transport import HttpTransport
from plait.backend.wire import Http11Transport


@pytest.fixture(params=["own", "own on uvloop", "httpx", "own in httpx"])
def every_wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs over our own connections, on both event loops; over httpx's; and over ours as
    a transport of httpx's."""
    if request.param == "httpx":
        monkeypatch.setattr(client, "HttpTransport", partial(HttpTransport, by_httpx=True))
    if request.param == "own in httpx":
        own = Http11Transport(reply_bytes_max=3_000_000)

        def handed_in(*arguments: Any, **options: Any) -> HttpTransport:
            return HttpTransport(*arguments, **{**options, "transport": own})

        monkeypatch.setattr(client, "HttpTransport", handed_in)
    if request.param == "own on uvloop":
        monkeypatch.setattr(asyncio, "run", uvloop.run)
