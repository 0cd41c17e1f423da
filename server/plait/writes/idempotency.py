"""Idempotency keys: what a caller may send, what each write gets, and what tells requests apart.

The header follows draft-ietf-httpapi-idempotency-key-header, section 2.1: a string of structured
fields (RFC 8941, section 3.3.3), in double quotes. The bare form that many clients send is taken as
well; `"abc"` and `abc` are the same key.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from plait.backend.numbers import encode_sorted
from plait.errors import BadUserInput, KeyInvalid
from plait.writes.write import Write

KEY_CHARACTERS_MAX = 255

_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_ESCAPED = re.compile(r'\\(["\\])')
# No space, quote or comma: two header lines arrive joined by ", " and must not pass for one key.
_BARE = re.compile(r"[\x21\x23-\x2b\x2d-\x7e]*")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_NAMESPACE = UUID(
    "5b0f3a0e-7c52-4f7c-9a3d-2f6f0f0b8a61"
)  # never changes: keys would change with it


def key_from_header(raw: str) -> str:
    """The key in an `Idempotency-Key` header. Raises `KeyInvalid`."""
    text = raw.strip(" \t")
    if quoted := _QUOTED.fullmatch(text):
        return checked_key(_ESCAPED.sub(r"\1", quoted[1]))
    if not _BARE.fullmatch(text):
        raise KeyInvalid(
            'The Idempotency-Key must be one string in double quotes, such as "8e03978e-40d5".'
        )
    return checked_key(text)


def checked_key(text: str) -> str:
    """`text`, if it may be a key: 1 to 255 printable ASCII characters. Raises `KeyInvalid`."""
    if not text:
        raise KeyInvalid("The Idempotency-Key is empty.")
    if len(text) > KEY_CHARACTERS_MAX:
        raise KeyInvalid(f"The Idempotency-Key is longer than {KEY_CHARACTERS_MAX} characters.")
    if not _PRINTABLE.fullmatch(text):
        raise KeyInvalid("The Idempotency-Key holds characters that are not printable ASCII.")
    return text


def entry_id(*, caller: str, key: str, place: str) -> str:
    """What the ledger calls the writes of one place in a request. A digest: the ledger holds no
    caller's key.

    `place` is the field's response path, and which of its calls of `write_together` it is.
    """
    return _digest(["place", caller, key, place])


def request_id(*, caller: str, key: str) -> str:
    """What all entries of one request have in common."""
    return _digest(["request", caller, key])


def write_key(entry: str, generation: int, position: int, target: str, endpoint: str) -> str:
    """The key that a backend gets for one write: the same on every attempt, on every machine.

    `generation` counts how often the caller's key expired and was used again: what a backend kept
    of the former use must not answer for this one.
    """
    parts = [entry, generation, position, target, endpoint]
    return _uuid5(canonical(parts))


def _uuid5(name: bytes) -> str:
    """As `str(uuid.uuid5(_NAMESPACE, name))`, in a fifth of the time (RFC 9562, section 5.5)."""
    found = bytearray(hashlib.sha1(_NAMESPACE.bytes + name, usedforsecurity=False).digest()[:16])
    found[6] = found[6] & 0x0F | 0x50
    found[8] = found[8] & 0x3F | 0x80
    text = found.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def fingerprint(*, caller: str, field_name: str, arguments: Mapping[str, object]) -> str:
    """What must be equal for two requests to be the same one (section 2.4 of the draft): known
    before anything was read.

    Neither whitespace nor the selection count: they change no write. Raises `BadUserInput` for a
    value that JSON cannot hold.
    """
    return _digest(["request", caller, field_name, arguments])


def former_entry_id(*, caller: str, key: str, field_name: str, occurrence: int) -> str:
    """What the ledger's first schema called an entry: `occurrence` counts, from 0, how often the
    field asked under this key in one document."""
    return _digest(["entry", caller, key, field_name, occurrence])


def former_fingerprint(
    *,
    caller: str,
    field_name: str,
    arguments: Mapping[str, object],
    writes: Sequence[Write[Any]],
) -> str:
    """The fingerprint of an entry of the first schema: it held the writes' values too."""
    sent = [(write.target_name, write.endpoint.label, write.values) for write in writes]
    return _digest(["fingerprint", caller, field_name, arguments, sent])


def canonical(value: object) -> bytes:
    """`value` as JSON, names sorted, no whitespace. Raises `BadUserInput` where there is none."""
    try:
        return encode_sorted(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        raise BadUserInput("A write holds a value that JSON cannot express.") from None


def _digest(value: object) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()
