"""One batch of keys on its way, as it is shown to who asks how an operation went."""

from dataclasses import dataclass, field

KEYS_SHOWN = 20


@dataclass(slots=True, kw_only=True)
class CallShown:
    """One call of a batch."""

    label: str
    """Method and path template."""
    key_count: int
    start: float
    end: float
    status: int | None
    error: str | None
    attempts: int


@dataclass(slots=True, kw_only=True)
class Span:
    """Keys of one endpoint that left together. Times are readings of the clock, in seconds."""

    backend: str
    endpoint: str
    wave: int
    """Which of the operation's waves it left with, from 1."""
    keys_told: tuple[str, ...]
    """The first of them, as text."""
    count: int
    """How many keys there are."""
    start: float
    end: float | None = None
    """`None` while it is under way."""
    cached: int = 0
    """How many keys the cache had."""
    joined: int = 0
    """How many keys other requests' calls brought."""
    failed: int = 0
    """How many keys failed."""
    calls: list[CallShown] = field(default_factory=list)
