"""Keys of one endpoint that go in one call, and where it goes."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from plait.backend.call import Call, Ended, Handler, Origin, Reply
from plait.backend.freshness import CacheEntry
from plait.backend.identity import Family
from plait.backend.keys import Key, Keys

SPLIT_CALLS_MAX: Final = 32
"""How many further calls one refused batch may cause."""
_NOTHING_KEPT: Mapping[Key, CacheEntry] = {}


class Server(Protocol):
    """One backend as it is called here."""

    @property
    def url(self) -> str: ...

    @property
    def identity(self) -> str:
        """Where calls go and what goes with each of them, as one text."""
        ...

    @property
    def call(self) -> Handler: ...

    def begin(self, call: Call, then: Ended) -> Callable[[], None] | None:
        """As `call` where nothing need be waited for: see `Client.begin`."""
        ...


class Asking:
    """Keys of one endpoint, of which some are asked for on somebody's behalf."""

    __slots__ = (
        "_extra_calls",
        "endpoint",
        "entries",
        "family",
        "first",
        "keys",
        "origin",
        "server",
    )

    def __init__(
        self,
        *,
        keys: Keys,
        server: Server,
        origin: Origin,
        family: Family,
        entries: Mapping[Key, CacheEntry] = _NOTHING_KEPT,
    ) -> None:
        self.keys = keys
        self.endpoint = keys.endpoint
        self.server = server
        self.origin = origin
        self.family = family
        self.entries = entries
        """Kept copies that a validator may confirm."""
        self.first: Reply | BaseException | None = None
        """What the first call has brought, where it is over already."""
        self._extra_calls = SPLIT_CALLS_MAX

    def may_call_again(self) -> bool:
        """Pay for a call that was not planned, if there is one left."""
        budget = self.origin.budget
        if self._extra_calls == 0 or (budget is not None and not budget.may_call(1)):
            return False
        self._extra_calls -= 1
        if budget is not None:
            budget.spend_calls(1)
        return True

    async def call(self, call: Call) -> Reply:
        """Make a call, if it has not been made already. Raises `BackendError`."""
        first, self.first = self.first, None
        if first is None:
            return await self.server.call(call)
        if isinstance(first, BaseException):
            raise first
        return first
