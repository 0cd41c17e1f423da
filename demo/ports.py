"""Which services there are, and which port each one has."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

HOST: Final = "127.0.0.1"
DEFAULT_BASE_PORT: Final = 8101
_HIGHEST_PORT: Final = 65_535

SERVICES: Final = (
    "users",
    "orders",
    "addresses",
    "payments",
    "rewards",
    "recommendations",
    "catalog",
    "inventory",
    "reviews",
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
)

PORTS: Final[Mapping[str, int]] = MappingProxyType(
    {name: offset for offset, name in enumerate(SERVICES)}
)
"""Service name -> how far its port is from the base port."""


class UnknownService(ValueError):
    """A name that is not one of the demo's services."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown service {name!r}; there are: {', '.join(SERVICES)}")


def urls(base_port: int = DEFAULT_BASE_PORT, only: Iterable[str] | None = None) -> dict[str, str]:
    """Service name -> its URL, such as `http://127.0.0.1:8101` for users."""
    return {name: f"http://{HOST}:{base_port + PORTS[name]}" for name in chosen(only)}


def checked(base_port: int) -> int:
    """A base port that leaves room for all services' ports; or 0, which stands for a free one."""
    highest = _HIGHEST_PORT - len(SERVICES) + 1
    if not 0 <= base_port <= highest:
        raise ValueError(f"the base port must be from 0 to {highest}, not {base_port}")
    return base_port


def chosen(only: Iterable[str] | None) -> tuple[str, ...]:
    """The named services in port order; all of them when `only` is None."""
    if only is None:
        return SERVICES
    wanted = set(only)
    for name in sorted(wanted - set(SERVICES)):
        raise UnknownService(name)
    return tuple(name for name in SERVICES if name in wanted)
