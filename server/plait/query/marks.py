"""What an answer says of a field that shows something else than what was asked for just now."""

from collections.abc import Sequence
from typing import Any, Literal

from plait.errors import PlaitError

MARKS_MAX = 100
"""How many of a kind one answer tells of."""


def fallback_mark(
    path: Sequence[str | int], kind: Literal["stale", "value"], error: PlaitError
) -> dict[str, Any]:
    """That the field at `path` shows a stale copy or a declared value, and why."""
    mark = {"path": list(path), "kind": kind, "code": error.code}
    if backend := getattr(error, "backend", None):
        mark |= {"backend": backend, "endpoint": getattr(error, "endpoint", "")}
    return mark
