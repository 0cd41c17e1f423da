"""What is sent back."""

from typing import TypeAlias

import msgspec

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


class Response(msgspec.Struct, frozen=True):
    """What is sent back."""

    status: int
    content_type: str
    headers: Headers
    """Beside those that tell of the body."""
    body: bytes
