"""Heads of replies that are said again, of errors too: what they mean, without parsing."""

from typing import Final

from plait.backend.exchanged import RawReply
from plait.backend.said import Said
from plait.heads import LENGTH, Head, Pairs, head_of, joined

_LENGTH: Final = LENGTH.encode()
_TYPE: Final = b"content-type"


class ReplyHead:
    """The head of a reply, and what it means."""

    __slots__ = ("_head", "_headers", "_place", "_said", "content_type", "joined", "status")

    def __init__(self, head: Head, status: int, headers: Pairs) -> None:
        self._head = head
        self.status = status
        self._headers = list(headers)
        self._place = [name for name, _ in headers].index(_LENGTH)
        self.joined = joined(headers)
        """Its headers, as they were with their own length."""
        self._said = Said(self.joined)
        self.content_type = content_type_of(headers)

    def reply(self, data: bytes) -> RawReply | None:
        """The reply that `data` is, where it is this head with a body of the length it says."""
        length = self._head.length_of(data)
        if length is None:
            return None
        headers, told = self._headers.copy(), self.joined.copy()
        headers[self._place] = (_LENGTH, length)
        told[LENGTH] = length.decode("ascii")
        return RawReply(self.status, headers, self._head.body_of(data, length), told, self._said)


def reply_head_of(data: bytes, status: int, headers: Pairs, size: int) -> ReplyHead | None:
    """See `plait.heads.head_of`."""
    head = head_of(data, headers, size)
    return None if head is None else ReplyHead(head, status, headers)


def content_type_of(headers: Pairs) -> bytes:
    """What a body is said to be, in lower case and without its parameters; `b""` where it is not
    said."""
    for name, value in headers:
        if name == _TYPE:
            return value.partition(b";")[0].strip().lower()
    return b""
