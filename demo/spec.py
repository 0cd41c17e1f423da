"""What makes one service different from the others."""

from dataclasses import dataclass

from fastapi import APIRouter

from demo.errors import ErrorStyle
from demo.store import Seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A service: its routes, its data and its habits."""

    name: str
    about: str
    router: APIRouter
    errors: ErrorStyle
    cache_control: str = "max-age=30"
    schema: str = ""
    seed: Seed = lambda store: None
    tables: tuple[str, ...] = ()
    """The tables its writes change; `/_admin/effects` counts their rows."""
