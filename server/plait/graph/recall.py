"""What a mutation's resolver read, kept with its writes: a request that comes again under the same
key reads the same rows, so that it asks for the same writes, whatever has changed since, and gets
its replay when a backend that it read from is down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from plait.backend.numbers import decode, encode, encode_sorted
from plait.backend.spec import EndpointSpec
from plait.errors import PlaitError

BYTES_MAX = 256 * 1024
"""How much of what one field read is kept; beyond it nothing is."""

MISSING: Any = object()


@dataclass(slots=True, kw_only=True)
class Recall:
    """What a mutation field reads on the way to one call of `write_together`: by an earlier request
    with the same key, and now."""

    earlier: Mapping[str, Any] = field(default_factory=dict)
    now: dict[str, Any] = field(default_factory=dict)

    def find(self, spec: EndpointSpec, values: Mapping[str, Any]) -> Any:
        """The row or rows that the earlier request got; `MISSING` where it did not ask."""
        return self.earlier.get(_name(spec, values), MISSING)

    def note(self, spec: EndpointSpec, values: Mapping[str, Any], row: Any) -> None:
        """Remember what was read."""
        self.now[_name(spec, values)] = row

    def told(self) -> bytes | None:
        """All that was read, as JSON; nothing where it is too much."""
        if not self.now and not self.earlier:
            return None
        told = encode({**self.earlier, **self.now})
        return told if len(told) <= BYTES_MAX else None


def recalled(told: bytes | None) -> Recall:
    """What was read earlier."""
    try:
        return Recall(earlier=decode(told) if told else {})
    except msgspec.DecodeError as error:
        raise PlaitError("What an earlier request had read cannot be recalled.") from error


def _name(spec: EndpointSpec, values: Mapping[str, Any]) -> str:
    return encode_sorted([spec.backend.name, spec.label, values]).decode()
