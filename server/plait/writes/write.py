"""One write before it is sent, and the seam at which it is."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Struct

from plait.backend.call import Origin
from plait.backend.spec import IDEMPOTENT_METHODS, EndpointSpec

T_co = TypeVar("T_co", covariant=True)


class Write(Struct, Generic[T_co], frozen=True, kw_only=True, eq=False):
    """A call that changes something, not yet made. Its value will be a `T_co`."""

    endpoint: EndpointSpec
    values: Mapping[str, object]
    """Parameter -> value. Part of the fingerprint, so JSON must be able to hold them."""
    target: str = ""
    """How outcomes name it. Empty: the backend's name."""
    convert: Callable[[Any], T_co] | None = None
    """Makes the value of the reply's JSON, fresh or from the ledger. `None`: the JSON itself."""

    @property
    def target_name(self) -> str:
        """What outcomes call the target."""
        return self.target or self.endpoint.backend.name

    @property
    def honours_keys(self) -> bool:
        """Whether the backend does a write once, however often it gets it under one key."""
        return self.endpoint.key_header is not None

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice cannot do it twice: by key, by declaration, or by RFC 9110,
        section 9.2.2."""
        endpoint = self.endpoint
        return self.honours_keys or endpoint.repeatable or endpoint.method in IDEMPOTENT_METHODS


class WriteReply(Struct, frozen=True, kw_only=True):
    """What a backend answered to a write that took effect."""

    value: object
    """JSON: the ledger keeps it, so that it can be replayed."""
    http_status: int | None
    attempts: int = 1


SendWrite: TypeAlias = Callable[[Write[Any], str | None, Origin], Awaitable[WriteReply]]
"""Makes the call, with the header `Idempotency-Key` where it gets a key. Raises `BackendError`, or
`RequestError` when it found the values unfit and sent nothing.

One that tries several times must not let a later refusal hide an earlier doubt: when any attempt
may have taken effect, that attempt's error is the one to raise. `sent="no"` speaks for all of them.
"""
