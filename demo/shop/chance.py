"""Choices that look random and are the same on every run and every machine."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, TypeVar

Option = TypeVar("Option")

_FIRST_DAY: Final = datetime(2024, 1, 1)


def number(low: int, high: int, *about: object) -> int:
    """A number from low to high (both possible), decided by what it is about."""
    digest = blake2b(repr(about).encode(), digest_size=8).digest()
    return low + int.from_bytes(digest, "big") % (high - low + 1)


def pick(options: Sequence[Option], *about: object) -> Option:
    """One of the options."""
    return options[number(0, len(options) - 1, *about)]


def happens(percent: int, *about: object) -> bool:
    """True in that many cases of a hundred."""
    return number(1, 100, *about) <= percent


def moment(days: int, *about: object) -> str:
    """A time in the first `days` days of the shop's life, as ISO text with Z."""
    seconds = number(0, days * 86_400 - 1, *about)
    return (_FIRST_DAY + timedelta(seconds=seconds)).isoformat() + "Z"
