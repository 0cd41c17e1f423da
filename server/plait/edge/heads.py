"""Heads of requests that are said again over one connection: what they mean, without parsing."""

from collections.abc import Mapping

from plait.heads import LENGTH, Head, Pairs, head_of


class RequestHead:
    """The head of a request, and its headers."""

    __slots__ = ("_head", "_headers")

    def __init__(self, head: Head, headers: Mapping[str, str]) -> None:
        self._head = head
        self._headers = {**headers}

    def request(self, data: bytes) -> tuple[dict[str, str], bytes] | None:
        """The headers and the body of the request that `data` is, where it is this head with a body
        of the length it says."""
        length = self._head.length_of(data)
        if length is None:
            return None
        headers = self._headers.copy()
        headers[LENGTH] = length.decode("ascii")
        return headers, self._head.body_of(data, length)


def request_head_of(
    data: bytes, pairs: Pairs, headers: Mapping[str, str], size: int
) -> RequestHead | None:
    """See `plait.heads.head_of`; `headers` are the pairs, joined."""
    head = head_of(data, pairs, size)
    return None if head is None else RequestHead(head, headers)
