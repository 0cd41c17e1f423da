"""Ids of requests, traces and spans: random hexadecimal digits, of which many are drawn at once.

They tell things apart, and are no secrets.
"""

import os
import sys
from random import randbytes
from typing import Final

BYTES_DRAWN = 2_048


class _Digits:
    """Digits that nobody has taken yet."""

    __slots__ = ("_at", "_drawn")

    def __init__(self) -> None:
        self._drawn = ""
        self._at = 0

    def take(self, count: int) -> str:
        start, end = self._at, self._at + count
        if end > len(self._drawn):
            self._drawn = randbytes(BYTES_DRAWN).hex()
            start, end = 0, count
        self._at = end
        return self._drawn[start:end]

    def renew(self) -> None:
        """Draw others: a forked process has a copy of its parent's."""
        self._drawn = ""


_DIGITS: Final = _Digits()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_DIGITS.renew)


def new_id(count: int) -> str:
    """`count` digits, not all of them zero: that would be no id (W3C Trace Context, section 3.2).
    `count` is even and at most 2 * `BYTES_DRAWN`."""
    found = _DIGITS.take(count)
    while found[0] == "0" and not found.strip("0"):
        found = _DIGITS.take(count)
    return found
