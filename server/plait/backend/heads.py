"""Heads of replies that are said again. Pure.

A server that is asked much says the same head again and again, but for the length of the body, also
while it fails. What is byte for byte a head that was parsed before, with other digits for its
length, and is followed by a body of just that length, means what it meant then, and need not be
parsed again.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

from plait.backend.exchanged import RawReply

HEAD_BYTES_MAX = 4 * 1024
"""Larger ones are parsed each time."""
_LENGTH: Final = b"content-length"
_LENGTHS = (_LENGTH, b"transfer-encoding")
_TYPE: Final = b"content-type"
_STARTS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_LINE_END: Final = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_DIGITS_MAX: Final = 10
_ZERO: Final = ord("0")
_NINE: Final = ord("9")

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


class Head:
    """A head without the digits of its length, which stand between two parts of it, and what it
    means."""

    __slots__ = ("_after", "_before", "_headers", "_place", "content_type", "joined", "status")

    def __init__(self, before: bytes, after: bytes, status: int, headers: Headers) -> None:
        self._before = before
        self._after = after
        self.status = status
        self._headers = headers
        self._place = [name for name, _ in headers].index(_LENGTH)
        self.joined = joined(headers)
        """Its headers, as they were with their own length."""
        self.content_type = content_type_of(headers)

    def reply(self, data: bytes) -> RawReply | None:
        """The reply that `data` is, where it is this head with a body of the length it says."""
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
        length = data[start:stop]
        headers, told = list(self._headers), self.joined.copy()
        headers[self._place] = (_LENGTH, length)
        told["content-length"] = length.decode("ascii")
        return RawReply(self.status, headers, data[body:], told)


def head_of(data: bytes, status: int, headers: Headers, size: int) -> Head | None:
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
            if data[start:stop] != said[0]:
                return None
            return Head(data[:start], data[stop:body], status, headers)
    return None


def content_type_of(headers: Headers) -> bytes:
    """What a body is said to be, in lower case and without its parameters; `b""` where it is not
    said."""
    for name, value in headers:
        if name == _TYPE:
            return value.partition(b";")[0].strip().lower()
    return b""


def joined(headers: Headers) -> dict[str, str]:
    """Headers by their names; what is said several times, in one."""
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    if len(found) < len(headers):  # some are repeated
        found.clear()
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found
