"""JSON in and out, with every number as it was written.

A double holds some seventeen digits: a price of `19.10` would go on as `19.1`, and a long amount
without its end. Where a float says something else than the text did, the text is kept beside it.
"""

from typing import Any, Final

import msgspec

from plait.backend.written import Written

_SAFE_CHARACTERS: Final = 16
"""Sign, point and fifteen digits: every decimal number of that many comes back from a double."""


def number(text: str) -> Any:  # of what is said to be a float machine code makes a plain one
    """The float that `text` means; a `Written` where the float alone would lose something."""
    if len(text) <= _SAFE_CHARACTERS and text[-1] != "0" and "e" not in text and "E" not in text:
        return float(text)
    made = float(text)
    if repr(made) == text:
        return made
    return Written(text)  # in one expression with the other, it would be a plain float again


decode = msgspec.json.Decoder(float_hook=number).decode
"""Bytes as JSON. Raises `msgspec.DecodeError`, `UnicodeDecodeError`, `RecursionError`."""


def _as_written(value: Any) -> Any:
    if isinstance(value, Written):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"A {type(value).__name__} is no JSON.")


encode = msgspec.json.Encoder(enc_hook=_as_written).encode
"""JSON as bytes. Raises `TypeError`, `ValueError`, `RecursionError` for what is no JSON."""

encode_sorted = msgspec.json.Encoder(enc_hook=_as_written, order="sorted").encode
"""As `encode`, with the names of objects in order."""


def copied(value: Any) -> Any:
    """JSON that shares nothing changeable with `value`."""
    if type(value) is dict:
        return {
            name: copied(item) if type(item) in (dict, list) else item
            for name, item in value.items()
        }
    if type(value) is list:
        return [copied(item) if type(item) in (dict, list) else item for item in value]
    return value
