"""Heads of replies that are said again. Pure.

A server that is asked much says the same head again and again, but for the length of the body. What
is byte for byte a head that was parsed before, with other digits for its length, and is followed by
a body of just that length, means what it meant then, and need not be parsed again.
"""

from collections.abc import Sequence

HEAD_BYTES_MAX = 4 * 1024
"""Larger ones are parsed each time."""
LENGTH = b"content-length"
_LENGTHS = (LENGTH, b"transfer-encoding")
_STARTS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_LINE_END = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_DIGITS_MAX = 10


class Head:
    """A head without the digits of its length: what is before them, and what behind."""

    __slots__ = ("_after", "_before")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._after = after

    def length_of(self, data: bytes) -> bytes:
        """The digits of the length of `data`, where it is this head with a body of that length;
        else nothing."""
        if not data.startswith(self._before):
            return b""
        start = len(self._before)
        stop = data.find(_LINE_END, start)
        length = data[start:stop]
        if stop - start > _DIGITS_MAX or not length.isdigit():
            return b""
        if not data.startswith(self._after, stop):
            return b""
        return length if stop + len(self._after) + int(length) == len(data) else b""


def head_of(data: bytes, headers: Sequence[tuple[bytes, bytes]], size: int) -> Head | None:
    """The head of a reply that `data` is all of, and that was parsed as `headers`, their names in
    lower case, and a body of `size` bytes; `None` where it says more of its length than that."""
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
