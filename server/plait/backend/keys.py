"""What is asked for of one endpoint, as columns: what a batch's rows have in common once, and the
values of each. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from plait.backend.spec import Batch, EndpointSpec
from plait.backend.template import json_body, plain_text
from plait.errors import BadUserInput

KEY_CHARACTERS_SHOWN = 80

Key: TypeAlias = tuple[str, ...]
"""What tells one row, or group of rows, from every other of its endpoint: first what it shares with
all of its batch, then a text for each parameter that tells it from them. `7` and `"7"` are one key,
because they are one text on the wire."""
_ABSENT: Final[Any] = object()
_NOTHING: Final[Mapping[str, Any]] = {}


class Keys:
    """Keys of one endpoint, each once, in the order in which they were asked for."""

    __slots__ = ("_names", "endpoint", "shared", "values")

    def __init__(self, endpoint: EndpointSpec) -> None:
        self.endpoint = endpoint
        self._names = endpoint.key_parameters
        self.shared: dict[str, Mapping[str, Any]] = {}
        """The parameters that a batch has in common, by the first text of its keys."""
        self.values: dict[Key, tuple[Any, ...]] = {}
        """The values of those that tell its keys apart."""

    def __len__(self) -> int:
        return len(self.values)

    def of(self, key: Key) -> dict[str, Any]:
        """The parameters of one key."""
        found, values = dict(self.shared[key[0]]), self.values[key]
        for place, name in enumerate(self._names):
            if values[place] is not _ABSENT:
                found[name] = values[place]
        return found

    def add(self, values: Mapping[str, Any]) -> Key:
        """Add the key that `values` ask for. Raises `BadUserInput` for a value that cannot be
        sent."""
        key = key_of(self.endpoint, values)
        self.put(key, values)
        return key

    def put(self, key: Key, values: Mapping[str, Any]) -> None:
        """As `add`, of a key that is known to be that of `values`."""
        if key in self.values:
            return
        names, given = self._names, _as_dict(values)
        if key[0] not in self.shared:
            has_shared = bool(self.endpoint.shared_parameters)
            self.shared[key[0]] = (
                {name: value for name, value in given.items() if name not in names}
                if has_shared
                else _NOTHING
            )
        self.values[key] = tuple([given.get(name, _ABSENT) for name in names])

    def add_column(
        self, values: Mapping[str, Any], name: str, column: Sequence[str | int]
    ) -> list[Key]:
        """Add keys that differ in one parameter: one for each value of the column, in order. Raises
        `BadUserInput`."""
        if len(column) < 2 or self._names != (name,) or not all(type(one) is int for one in column):
            return [self.add({**values, name: one}) for one in column]
        # A whole number is the same text everywhere, and never stands in a batch's way.
        shared = self.add({**values, name: column[0]})[0]
        keys: list[Key] = []
        for one in column:
            key = (shared, str(one))
            self.values[key] = (one,)
            keys.append(key)
        return keys

    def take(self, key: Key, of: "Keys") -> None:
        """Add a key of another's, of the same endpoint."""
        self.values[key] = of.values[key]
        if key[0] not in self.shared:
            self.shared[key[0]] = of.shared[key[0]]


def key_of(endpoint: EndpointSpec, values: Mapping[str, Any]) -> Key:
    """The key that `values` ask for. Raises `BadUserInput` for a value that cannot be sent."""
    given, rest, shared = _as_dict(values), endpoint.shared_parameters, ""
    if rest:
        # By their place: how the graph calls a parameter does not reach the backend, and neither
        # does one that is null.
        others = [(place, given[name]) for place, name in rest if given.get(name) is not None]
        shared = json_body(others).decode() if others else ""
    names = endpoint.key_parameters
    if len(names) == 1:  # as most have
        key: Key = (shared, _text(names[0], given.get(names[0])))
    else:
        key = (shared, *[_text(name, given.get(name)) for name in names])
    batch = endpoint.batch
    if batch is not None and batch.always:
        why = why_alone(batch, key)
        if why is not None:
            raise BadUserInput(why)
    return key


def _as_dict(values: Mapping[str, Any]) -> dict[str, Any]:
    return values if isinstance(values, dict) else dict(values)


NO_TEXT: Final = "\x01"
"""What the text of a list or an object begins with: it goes into no batch."""


def _text(name: str, value: object) -> str:
    if value is None:
        return "\x00"  # apart from every text: a null parameter is left out of the call
    if isinstance(value, (list, tuple, dict)):
        return NO_TEXT + json_body(value).decode()  # apart from the text that looks like it
    return plain_text(name, value)


_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,100})")


def why_alone(batch: Batch, key: Key) -> str | None:
    """Why this key cannot stand among others, and goes in the single form, if it does."""
    texts = key[1:]
    for text in texts:
        if text.startswith(NO_TEXT):
            return f"The value of '{next(iter(batch.keys))}' must be a single value."
    if batch.place == "body":
        if batch.id_type is int and not all(map(_WHOLE.fullmatch, texts)):
            return f"The value of '{next(iter(batch.keys))}' must be a whole number."
        return None
    if len(texts) > 1 and any(batch.separator in one for one in texts):
        return f"A part of a key may not hold '{batch.separator}'."
    if batch.place == "joined" and any("," in one for one in texts):
        return "An id with a comma cannot be asked for in a comma-joined list."
    return None


def key_told(key: Key) -> str:
    """A key for a reader."""
    return ", ".join(map(_text_told, key[1:])) or "all"


def _text_told(text: str) -> str:
    return "nothing" if text == "\x00" else text.removeprefix(NO_TEXT)[:KEY_CHARACTERS_SHOWN]
