"""From an endpoint and values to the call that asks for them, and the identity of what is asked.
Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from plait.backend.call import Call, Origin
from plait.backend.spec import Batch, EndpointSpec
from plait.backend.template import header_value, plain_text, query_pairs
from plait.errors import BadUserInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One row, or group of rows, asked for.

    Equal `key` and `shared` on one endpoint mean the same thing to the backend: `7` and `"7"` are
    one key, because they are one text on the wire.
    """

    values: Mapping[str, Any]
    key: tuple[str, ...]
    """What tells it apart from the others in its batch."""
    shared: str
    """What a whole batch has in common: the parameters that are no keys."""

    @property
    def identity(self) -> tuple[tuple[str, ...], str]:
        """Equal for loads that ask for the same thing."""
        return self.key, self.shared


def load_of(endpoint: EndpointSpec, values: Mapping[str, Any]) -> Load:
    """The load that `values` ask for. Raises `BadUserInput` for a value that cannot be sent."""
    keys = endpoint.key_parameters
    key = tuple(_key_text(name, values.get(name)) for name in keys)
    others = [
        (name, values[name]) for name in endpoint.parameters if name in values and name not in keys
    ]
    shared = msgspec.json.encode(others, enc_hook=str).decode() if others else ""
    return Load(values=values, key=key, shared=shared)


def single_call(endpoint: EndpointSpec, values: Mapping[str, Any], origin: Origin) -> Call:
    """The call that asks for one load, or makes one write."""
    return Call(
        endpoint=endpoint,
        method=endpoint.method,
        path=endpoint.path.fill(values),
        query=(*endpoint.constants.items(), *_query(endpoint, values, without=frozenset())),
        headers=_headers(endpoint, values),
        body=json_body(values.get("body")) if endpoint.has_body else None,
        origin=origin,
    )


def batch_call(endpoint: EndpointSpec, batch: Batch, loads: Sequence[Load], origin: Origin) -> Call:
    """The call that asks for several loads at once. They share all parameters that are no keys."""
    values = loads[0].values
    query = [*endpoint.constants.items(), *_query(endpoint, values, without=frozenset(batch.keys))]
    body = None
    if batch.place == "body":
        body = _ids_body(batch, loads)
    else:
        query += _ids_query(batch, loads)
    return Call(
        endpoint=endpoint,
        method=batch.method,
        path=batch.path.fill(values),
        query=tuple(query),
        headers=_headers(endpoint, values),
        body=body,
        keys=len(loads),
        template=batch.label,
        origin=origin,
    )


def json_body(value: object) -> bytes:
    """A JSON body. Raises `BadUserInput` for a value that JSON cannot hold."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadUserInput("The body holds a value that JSON cannot express.") from error


def _key_text(name: str, value: object) -> str:
    if value is None:
        return "\x00"  # apart from every text: a null parameter is left out of the call
    if isinstance(value, list | tuple | dict):
        return msgspec.json.encode(value, enc_hook=str).decode()
    return plain_text(name, value)


def _query(
    endpoint: EndpointSpec, values: Mapping[str, Any], without: frozenset[str]
) -> list[tuple[str, str]]:
    return [
        pair
        for name, wire_name in endpoint.query.items()
        if name not in without
        for pair in query_pairs(name, wire_name, values.get(name))
    ]


def _headers(endpoint: EndpointSpec, values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (wire_name, header_value(name, values[name]))
        for name, wire_name in endpoint.headers.items()
        if values.get(name) is not None
    )


def _ids_query(batch: Batch, loads: Sequence[Load]) -> list[tuple[str, str]]:
    texts = [batch.separator.join(load.key) for load in loads]
    if batch.place == "repeated":
        return [(batch.ids, text) for text in texts]
    if any("," in text for text in texts):
        raise BadUserInput("An id with a comma cannot be asked for in a comma-joined list.")
    return [(batch.ids, ",".join(texts))]


def _ids_body(batch: Batch, loads: Sequence[Load]) -> bytes:
    ids = [_body_id(batch, load) for load in loads]
    return json_body({batch.ids: ids} if batch.ids else ids)


def _body_id(batch: Batch, load: Load) -> object:
    parts = {name: _typed(batch, name, load.values[name]) for name in batch.keys}
    return parts if len(parts) > 1 else next(iter(parts.values()))


def _typed(batch: Batch, name: str, value: object) -> object:
    if batch.id_type is None:
        return value if isinstance(value, int | str) else plain_text(name, value)
    try:
        return batch.id_type(plain_text(name, value))
    except ValueError:
        raise BadUserInput(f"The value of '{name}' must be a whole number.") from None
