"""Which services share a process."""

from collections.abc import Sequence
from typing import Final

from demo.ports import chosen

_TOGETHER: Final = (
    ("users", "addresses", "rewards"),
    ("orders", "payments"),
    ("recommendations", "catalog", "inventory", "reviews"),
    (
        "accounts",
        "crm",
        "marketing",
        "billing",
        "support",
        "audit",
        "analytics",
        "monitoring",
        "fraud",
        "articles",
        "comments",
    ),
)


def groups(
    only: Sequence[str] | None = None, isolate: Sequence[str] = ()
) -> tuple[tuple[str, ...], ...]:
    """The wanted services, one tuple a process; each isolated one is alone in its own."""
    wanted, alone = set(chosen(only)), chosen(isolate)
    for name in alone:
        if name not in wanted:
            raise ValueError(f"cannot isolate {name}: it is not among the services to start")
    shared = (
        tuple(name for name in group if name in wanted and name not in alone) for group in _TOGETHER
    )
    return (*filter(None, shared), *((name,) for name in alone))
