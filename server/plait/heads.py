"""Heads of HTTP/1.1 messages that are said again. Pure.

Who talks much over one connection says the same head again and again, but for the length of the
body. What is byte for byte a head that was parsed before, with other digits for its length, and is
followed by a body of just that length, means what it meant then, and need not be parsed again.
"""

from collections.abc import Collection
from typing import Final, TypeAlias

HEAD_BYTES_MAX: Final = 4 * 1024
"""Larger ones are parsed each time."""
CHANGES_MAX: Final = 64
LENGTH: Final = "content-length"
_LENGTHS = (b"content-length", b"transfer-encoding")
_STARTS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_LINE_END: Final = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_DIGITS_MAX: Final = 10
_ZERO: Final = ord("0")
_NINE: Final = ord("9")

Pairs: TypeAlias = Collection[tuple[bytes, bytes]]
"""Headers as they came, their names in lower case."""


class Head:
    """A head without the digits of its length, which stand between two parts of it."""

    __slots__ = ("_after", "_before")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._after = after

    def length_of(self, data: bytes) -> bytes | None:
        """The digits of the length that `data` says, where it is this head with a body of that
        length, and nothing more."""
        if not data.startswith(self._before):
            return None
        start = stop = len(self._before)
        size, end = 0, min(len(data), start + _DIGITS_MAX)
        while stop < end and _ZERO <= data[stop] <= _NINE:
            size = size * 10 + data[stop] - _ZERO
            stop += 1
        body = stop + len(self._after)
        if stop == start or data[stop:body] != self._after or body + size != len(data):
            return None
        return data[start:stop]

    def body_of(self, data: bytes, length: bytes) -> bytes:
        """The body of what `length_of` has found to be this head."""
        return data[len(self._before) + len(length) + len(self._after) :]


def head_of(data: bytes, headers: Pairs, size: int) -> Head | None:
    """The head of a message that `data` is all of, and that was parsed as `headers` and a body of
    `size` bytes; `None` where it says more of its length than that."""
    said = [value for name, value in headers if name in _LENGTHS]
    body = data.find(_HEAD_END) + len(_HEAD_END)
    if said != [b"%d" % size] or body > HEAD_BYTES_MAX or body + size != len(data):
        return None
    for name in _STARTS:
        at = data.find(name, 0, body)
        if at >= 0:
            start = at + len(name)
            stop = data.find(_LINE_END, start)
            return Head(data[:start], data[stop:body]) if data[start:stop] == said[0] else None
    return None


def is_listened_to(changes: int) -> bool:
    """Whether a head is worth to be kept after so many that came once: who says another with each
    message is listened to once in a while."""
    return changes <= CHANGES_MAX or changes % CHANGES_MAX == 0


def joined(headers: Pairs) -> dict[str, str]:
    """Headers by their names; what is said several times, in one (RFC 9110, section 5.3)."""
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    if len(found) < len(headers):  # some are repeated
        found.clear()
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found
