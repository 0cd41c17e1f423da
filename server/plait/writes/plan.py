"""From what a resolver asks for to what the ledger is asked for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from plait.backend.call import Origin
from plait.writes.keys import entry_id, fingerprint, write_key
from plait.writes.ledger import Intent, Wanted
from plait.writes.write import Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The writes of one mutation field, and on whose behalf they are made."""

    writes: tuple[Write[Any], ...]
    key: str | None
    """The caller's key, checked. `None`: there is none, so nothing can be replayed."""
    caller: str
    """Whose keys these are: the same key of another caller is another key."""
    field_name: str
    occurrence: int = 0
    """How often, from 0, the field asked under this key in one document."""
    arguments: Mapping[str, object]
    origin: Origin = field(default_factory=Origin)


def plan(asked: Asked, *, now: float, lease_s: float, expiry_s: float) -> Wanted:
    """What the ledger is asked for; `now` is seconds since 1970.

    Without a caller's key the entry gets a random id, and with it every write a random key. Raises
    `BadUserInput` for a value that JSON cannot hold.
    """
    entry = _entry_id(asked)
    return Wanted(
        id=entry,
        field_name=asked.field_name,
        fingerprint=fingerprint(
            caller=asked.caller,
            field_name=asked.field_name,
            arguments=asked.arguments,
            writes=asked.writes,
        ),
        now=now,
        lease_s=lease_s,
        expiry_s=expiry_s,
        intents=tuple(_intent(entry, *numbered) for numbered in enumerate(asked.writes)),
    )


def _entry_id(asked: Asked) -> str:
    if asked.key is None:
        return uuid4().hex
    return entry_id(
        caller=asked.caller,
        key=asked.key,
        field_name=asked.field_name,
        occurrence=asked.occurrence,
    )


def _intent(entry: str, position: int, write: Write[Any]) -> Intent:
    return Intent(
        target=write.target_name,
        endpoint=write.endpoint.label,
        key=write_key(entry, position, write),
        repeatable=write.is_repeatable,
    )
