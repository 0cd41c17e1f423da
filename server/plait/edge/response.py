"""What is sent back."""

from functools import lru_cache
from typing import TypeAlias

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

CLOSES: Headers = ((b"connection", b"close"),)
"""Said of the last answer of a connection."""


class Response:
    """What is sent back."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(self, status: int, content_type: str, headers: Headers, body: bytes) -> None:
        self.status = status
        self.content_type = content_type
        self.headers = headers
        """Beside those that tell of the body."""
        self.body = body

    def all_headers(self) -> Headers:
        """Those that tell of the body too."""
        return (
            (b"content-type", typed(self.content_type)),
            (b"content-length", b"%d" % len(self.body)),
            *self.headers,
        )

    def head(self, start: bytes, added: Headers) -> bytes:
        """All that stands before the body: `start`, its own headers and those that are `added`."""
        return b"%b%b%b\r\n" % (start, lines(self.all_headers()), lines(added))


def lines(headers: Headers) -> bytes:
    """Headers as they stand in a message."""
    text = b""
    for name, value in headers:
        text += b"%b: %b\r\n" % (name, value)
    return text


@lru_cache(maxsize=100)
def typed(content_type: str) -> bytes:
    """A header's value. Text is in UTF-8."""
    said = "charset" in content_type
    return (content_type if said else f"{content_type}; charset=utf-8").encode()
