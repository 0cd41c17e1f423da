"""The wire in each of its ways."""

import asyncio
from functools import partial

import pytest
import uvloop

from plait.backend import client
from plait.backend.transport import HttpTransport


@pytest.fixture(params=["own", "own on uvloop", "httpx"])
def every_wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs over our own connections, on both event loops, and over httpx's."""
    if request.param == "httpx":
        monkeypatch.setattr(client, "HttpTransport", partial(HttpTransport, by_httpx=True))
    if request.param == "own on uvloop":
        monkeypatch.setattr(asyncio, "run", uvloop.run)
