"""What the headers of a reply say that is asked of every reply. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_SPEAK_OF_KEEPING: Final = frozenset({"cache-control", "expires", "etag", "last-modified"})


class Said:
    """What headers say, by their names in lower case. Heads that are said again say the same."""

    __slots__ = ("forbids_keeping", "has_link", "is_encoded", "is_utf8", "speaks_of_keeping")

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.is_encoded = "content-encoding" in headers
        self.is_utf8 = _is_utf8(headers.get("content-type", ""))
        """Whether a body is in UTF-8, or nobody says what it is in."""
        self.has_link = "link" in headers
        self.speaks_of_keeping = not _SPEAK_OF_KEEPING.isdisjoint(headers)
        """Whether it says for how long it may be kept, or what confirms it: most do not."""
        self.forbids_keeping = headers.get("cache-control") == "no-store"


@lru_cache(maxsize=1_000)  # servers say the same few things again and again
def _is_utf8(content_type: str) -> bool:
    charset = content_type.lower().partition("charset")[2]
    return not charset or "utf-8" in charset
