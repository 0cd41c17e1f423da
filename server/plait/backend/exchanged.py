"""What an exchange is asked, what it brings, and how it fails."""

from collections.abc import Mapping, Sequence
from enum import Enum, auto

from plait.backend.said import Said


class Failure(Enum):
    """How an exchange failed."""

    CONNECT = auto()
    CONNECT_TIMEOUT = auto()
    READ_TIMEOUT = auto()
    TIMEOUT = auto()
    """The exchange as a whole took longer than it may."""
    FORBIDDEN = auto()
    """The request is none that HTTP allows. It was not sent."""
    PROTOCOL = auto()
    """What came is no HTTP."""
    CLOSED = auto()
    """The other side ended the connection before its reply was whole."""
    TOO_LARGE = auto()
    """The reply has more bytes than may be read."""


class ExchangeError(Exception):
    """An exchange that brought no reply. Its cause is the system's error, where there is one."""

    def __init__(self, failure: Failure, told: str = "") -> None:
        super().__init__(told or failure.name.lower())
        self.failure = failure
        self.is_stale = False
        """Whether not a byte had come: a kept connection may have been closed long before."""


class RawReply:
    """A reply as it came: names in lower case, the body still encoded."""

    __slots__ = ("body", "headers", "joined", "said", "status")

    def __init__(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        joined: Mapping[str, str] | None = None,
        said: Said | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.joined = joined
        """As `WireReply.headers`, where that was made already."""
        self.said = said
        """What these say, where it was looked at already."""


class ReplyLimits:
    """What is wanted of a reply's body."""

    __slots__ = ("bytes_max", "error_bytes_max", "error_type")

    def __init__(self, *, bytes_max: int, error_bytes_max: int, error_type: bytes | None) -> None:
        self.bytes_max = bytes_max
        self.error_bytes_max = error_bytes_max
        """Of a reply that is no success and whose type is `error_type`."""
        self.error_type = error_type
        """`None`: whatever its type, and all of it or nothing."""


class WireReply:
    """A reply with its headers joined, whoever brought it."""

    __slots__ = ("body", "headers", "is_decoded", "status")

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes, *, is_decoded: bool = False
    ) -> None:
        self.status = status
        self.headers = headers
        """Names in lower case."""
        self.body = body
        self.is_decoded = is_decoded
        """Whether its content encoding is undone already."""
