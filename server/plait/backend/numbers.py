"""JSON in and out, with every number as it was written.

A double holds some seventeen digits: a price of `19.10` would go on as `19.1`, and a long amount
without its end. Where a float says something else than the text did, the text is kept beside it.
"""

from typing import Any

import msgspec


class Written(float):
    """A float that knows how it was written: in arithmetic it is the nearest double (`inf` where
    there is none), as JSON or text it is what the backend, or the client, sent."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> "Written":
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type["Written"], tuple[str]]:
        return Written, (self.text,)


_SAFE_CHARACTERS = 16
"""Sign, point and fifteen digits: every decimal number of that many comes back from a double."""


def number(text: str) -> float:
    """The float that `text` means; a `Written` where the float alone would lose something."""
    if len(text) <= _SAFE_CHARACTERS and text[-1] != "0" and "e" not in text and "E" not in text:
        return float(text)
    made = float(text)
    return made if repr(made) == text else Written(text)


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
