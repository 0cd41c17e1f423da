"""From a reply's body to the rows of each key. Pure; every way in which a body can be wrong ends
here."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from plait.backend.build import Load
from plait.backend.spec import Batch, EndpointSpec
from plait.errors import BadBackendResponse

Row = Any
"""JSON: what one key gets. A dict, a list of them, a scalar; `None` where the backend has no such
row."""


def single_row(endpoint: EndpointSpec, body: bytes) -> Row:
    """What a single reply holds, below the endpoint's `unwrap`. Raises `BadBackendResponse`."""
    return unwrapped(endpoint, decoded(endpoint, body), endpoint.unwrap)


def batch_rows(
    endpoint: EndpointSpec, batch: Batch, body: bytes, loads: Sequence[Load]
) -> tuple[dict[tuple[str, ...], Row | BadBackendResponse], int]:
    """Each key's row (`None` when missing) or rows (`[]`), and how many rows nobody asked for.

    A key whose rows contradict each other gets an error of its own. When some row tells no key,
    the keys that found nothing get an error too: the row may have been theirs.
    """
    unwrap = endpoint.unwrap if batch.unwrap is None else batch.unwrap
    rows = unwrapped(endpoint, decoded(endpoint, body), unwrap)
    if not isinstance(rows, list):
        raise _bad(endpoint, "the batch's reply is not a list of rows")
    found, extra, keyless = _by_key(batch, rows, {load.key for load in loads})
    return {
        load.key: _of_key(endpoint, batch, found.get(load.key), keyless) for load in loads
    }, extra


def decoded(endpoint: EndpointSpec, body: bytes) -> Any:
    """The body as JSON. Raises `BadBackendResponse`, without any of the body in the message."""
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        kind = "HTML" if body.lstrip()[:1] == b"<" else "not valid JSON"
        raise _bad(endpoint, f"the reply is {kind}") from None


def unwrapped(endpoint: EndpointSpec, value: Any, path: tuple[str, ...]) -> Any:
    """What lies at `path` below `value`. Raises `BadBackendResponse` when the path is not there."""
    for name in path:
        if not isinstance(value, dict) or name not in value:
            raise _bad(endpoint, f"the reply has no property '{'.'.join(path)}'")
        value = value[name]
    return value


def property_of(row: Any, path: tuple[str, ...]) -> Any:
    """The value at `path` in a row, or `None` when any part of it is missing."""
    for name in path:
        if not isinstance(row, dict):
            return None
        row = row.get(name)
    return row


def _by_key(
    batch: Batch, rows: list[Any], wanted: set[tuple[str, ...]]
) -> tuple[dict[tuple[str, ...], list[Any]], int, bool]:
    found: dict[tuple[str, ...], list[Any]] = {}
    extra = 0
    keyless = False
    for row in rows:
        key = _row_key(batch.keys, row)
        if key is None:
            keyless = True
        elif key in wanted:
            found.setdefault(key, []).append(row)
        else:
            extra += 1
    return found, extra, keyless


def _row_key(keys: Mapping[str, tuple[str, ...]], row: Any) -> tuple[str, ...] | None:
    parts = []
    for path in keys.values():
        value = property_of(row, path)
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, str | int | float):
            return None
        parts.append(value if isinstance(value, str) else str(value))
    return tuple(parts)


def _of_key(
    endpoint: EndpointSpec, batch: Batch, rows: list[Any] | None, keyless: bool
) -> Row | BadBackendResponse:
    if rows is None:
        if keyless:
            keys = " and ".join(f"'{'.'.join(path)}'" for path in batch.keys.values())
            return _bad(
                endpoint,
                f"a row of the batch {batch.method} {batch.path.text} has no {keys} to tell its "
                "key by: name the property in key=...",
            )
        return [] if batch.many else None
    if batch.many:
        return rows
    if any(row != rows[0] for row in rows[1:]):
        return _bad(endpoint, "the batch holds several different rows for one key")
    return rows[0]


def _bad(endpoint: EndpointSpec, what: str) -> BadBackendResponse:
    message = f"Backend '{endpoint.backend.name}' sent a reply that cannot be used: {what}."
    return BadBackendResponse(message, backend=endpoint.backend.name, endpoint=endpoint.label)
