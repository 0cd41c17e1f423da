"""From what a resolver asks for to what the ledger is asked for. Pure."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from msgspec import Struct, field

from plait.backend.call import Origin
from plait.writes.idempotency import (
    canonical,
    entry_id,
    fingerprint,
    former_entry_id,
    former_fingerprint,
    request_id,
)
from plait.writes.ledger import Intent, Wanted
from plait.writes.write import Write


class AskedWrites(Struct, frozen=True, kw_only=True):
    """The writes of one place in a request, and on whose behalf they are made."""

    writes: tuple[Write[Any], ...]
    key: str | None
    """The caller's key, checked. `None`: there is none, so nothing can be replayed."""
    caller: str
    """Whose keys these are: the same key of another caller is another key."""
    field_name: str
    place: str = ""
    """The field's response path, and which of its calls this is: `a#0`."""
    fields: frozenset[str] = frozenset()
    """The keys in the answer of all fields of the operation."""
    occurrence: int = 0
    """How often, from 0, a field of this name asked under this key in the document: what entries
    of the first schema went by."""
    arguments: Mapping[str, object]
    reads: bytes | None = None
    """JSON: what the resolver has read."""
    origin: Origin = field(default_factory=Origin)


def plan(asked: AskedWrites, *, now: float, lease_s: float, expiry_s: float) -> Wanted:
    """What the ledger is asked for; `now` is seconds since 1970.

    Without a caller's key the entry gets a random id, and with it every write a random key. Raises
    `BadUserInput` for a value that JSON cannot hold.
    """
    caller, field_name, arguments = asked.caller, asked.field_name, asked.arguments
    intents = tuple(
        Intent(
            target=write.target_name,
            endpoint=write.endpoint.label,
            values=canonical(write.values),
            repeatable=write.is_repeatable,
        )
        for write in asked.writes
    )
    if asked.key is None:
        return Wanted(
            id=uuid4().hex,
            field_name=field_name,
            fingerprint="",
            now=now,
            lease_s=lease_s,
            expiry_s=expiry_s,
            intents=intents,
        )
    return Wanted(
        id=entry_id(caller=caller, key=asked.key, place=asked.place),
        field_name=field_name,
        fingerprint=fingerprint(caller=caller, field_name=field_name, arguments=arguments),
        now=now,
        lease_s=lease_s,
        expiry_s=expiry_s,
        intents=intents,
        reads=asked.reads,
        request=request_id(caller=caller, key=asked.key),
        place=asked.place,
        fields=asked.fields,
        former_id=former_entry_id(
            caller=caller, key=asked.key, field_name=field_name, occurrence=asked.occurrence
        ),
        former_fingerprint=former_fingerprint(
            caller=caller, field_name=field_name, arguments=arguments, writes=asked.writes
        ),
    )
