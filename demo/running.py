"""A service while it runs: its spec, its data, its settings and what it has counted."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from starlette.requests import Request

from demo.calls import Calls
from demo.errors import Refused
from demo.settings import Settings
from demo.spec import Spec
from demo.store import Store


class Running:
    """The state behind one app."""

    def __init__(self, spec: Spec, store: Store, settings: Settings) -> None:
        self.spec = spec
        self.store = store
        self.settings = settings
        self.calls = Calls()
        self._first_settings = settings
        self._random = Random(spec.name)
        self._busy_keys: set[str] = set()

    def change_settings(self, settings: Settings) -> None:
        """Use these from now on; the same settings bring the same errors and jitter again."""
        self.settings = settings
        self._random.seed(self.spec.name)

    def reset(self, *, data: bool) -> None:
        """Forget counts and settings, and with `data` everything that was written too."""
        self.calls.reset()
        self.change_settings(self._first_settings)
        if data:
            self.store.reseed()

    async def pause(self) -> None:
        """Wait as long as the settings say before a call, or let it fail."""
        settings = self.settings
        delay_ms = settings.delay_ms
        if settings.jitter_ms:
            delay_ms += self._random.uniform(0, settings.jitter_ms)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        if settings.error_rate and self._random.random() < settings.error_rate:
            raise Refused(settings.error_status, "injected", "this service was told to fail")

    async def hold_reply(self) -> None:
        """Wait as long as the settings say between an effect and its reply."""
        if self.settings.reply_delay_ms:
            await asyncio.sleep(self.settings.reply_delay_ms / 1000)

    @contextmanager
    def busy(self, key: str | None) -> Iterator[None]:
        """A write with this key is in progress; a second one at the same time is refused."""
        if key is None or not self.settings.honour_keys:
            yield
            return
        if key in self._busy_keys:
            raise Refused(409, "in_progress", f"a request with the key {key!r} is in progress")
        self._busy_keys.add(key)
        try:
            yield
        finally:
            self._busy_keys.discard(key)


def running(request: Request) -> Running:
    """The service that a request reached."""
    service: Running = request.app.state.running
    return service


def store_of(request: Request) -> Store:
    """The data of the service that a request reached."""
    return running(request).store
