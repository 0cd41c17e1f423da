"""A service's app inside the test process, called without a network."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.service import create_app


class Caller:
    """Calls one app; several calls at once with `together`."""

    def __init__(self, name: str, data: Path) -> None:
        self.app = create_app(name, data)
        self._runner = asyncio.Runner()

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.together((method, path, options))[0]

    def together(self, *calls: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        return self._runner.run(self._together(calls))

    async def _together(self, calls: Any) -> list[httpx.Response]:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
            return await asyncio.gather(
                *(client.request(method, path, **options) for method, path, options in calls)
            )

    def close(self) -> None:
        self.app.state.running.store.close()
        self._runner.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], Caller]]:
    """Opens a service by name."""
    with ExitStack() as stack:

        def opened(name: str) -> Caller:
            caller = Caller(name, tmp_path)
            stack.callback(caller.close)
            return caller

        yield opened
