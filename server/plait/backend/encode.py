"""From an endpoint and values to the call that asks for them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from plait.backend.call import Call, Origin
from plait.backend.keys import Key, Keys
from plait.backend.spec import Batch, EndpointSpec
from plait.backend.template import (
    header_value,
    json_body,
    query_pairs,
    query_text,
    repeated_text,
    scalar_text,
)
from plait.errors import BadUserInput


def single_call(endpoint: EndpointSpec, values: Mapping[str, Any], origin: Origin) -> Call:
    """The call that asks for one key, or makes one write."""
    query = ""
    if endpoint.constants or endpoint.query:
        query = _query(endpoint, values, without=frozenset())
    return Call(
        endpoint=endpoint,
        method=endpoint.method,
        path=endpoint.path.fill(values),
        query=query,
        headers=_headers(endpoint, values) if endpoint.headers else (),
        body=_body(endpoint, values["body"]) if endpoint.has_body and "body" in values else None,
        origin=origin,
    )


def batch_call(batch: Batch, keys: Keys, asked: Sequence[Key], origin: Origin) -> Call:
    """The call that asks for those of `keys` that are `asked`, at once. They share all parameters
    that tell no keys apart."""
    endpoint, values = keys.endpoint, keys.of(asked[0])
    query = _query(endpoint, values, without=frozenset(batch.keys))
    body = None
    if batch.place == "body":
        body = _ids_body(batch, keys, asked)
    else:
        ids = _ids_query(batch, asked)
        query = f"{query}&{ids}" if query else ids
    return Call(
        endpoint=endpoint,
        method=batch.method,
        path=batch.path.fill(values),
        query=query,
        headers=_headers(endpoint, values),
        body=body,
        key_count=len(asked),
        template=batch.label,
        origin=origin,
    )


FORM = "application/x-www-form-urlencoded"


def _body(endpoint: EndpointSpec, value: object) -> bytes:
    return form_body(value) if endpoint.content_type == FORM else json_body(value)


def form_body(value: object) -> bytes:
    """A form: names with plain values, of which a list repeats the name. Raises `BadUserInput` for
    anything else."""
    if not isinstance(value, Mapping):
        raise BadUserInput("A form is an object of names and plain values.")
    pairs = [
        pair
        for name, item in value.items()
        if item is not None
        for pair in _form_pairs(str(name), item)
    ]
    return urlencode(pairs).encode()


def _form_pairs(name: str, value: object) -> list[tuple[str, str]]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return [(name, scalar_text(name, item)) for item in items]


def _query(endpoint: EndpointSpec, values: Mapping[str, Any], without: frozenset[str]) -> str:
    pairs = list(endpoint.constants.items())
    for name, wire_name in endpoint.query.items():
        if name not in without:
            pairs += query_pairs(name, wire_name, values.get(name))
    return query_text(pairs) if pairs else ""


def _headers(endpoint: EndpointSpec, values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (wire_name, header_value(name, values[name]))
        for name, wire_name in endpoint.headers.items()
        if values.get(name) is not None
    )


def _ids_query(batch: Batch, asked: Sequence[Key]) -> str:
    texts = [batch.separator.join(key[1:]) for key in asked]
    return repeated_text(batch.ids, texts if batch.place == "repeated" else [",".join(texts)])


def _ids_body(batch: Batch, keys: Keys, asked: Sequence[Key]) -> bytes:
    ids = [_body_id(batch, key, keys.values[key]) for key in asked]
    return json_body({batch.ids: ids} if batch.ids else ids)


def _body_id(batch: Batch, key: Key, values: Sequence[Any]) -> object:
    parts = {
        name: _typed(batch, text, value)
        for name, text, value in zip(batch.keys, key[1:], values, strict=True)
    }
    return parts if len(parts) > 1 else next(iter(parts.values()))


def _typed(batch: Batch, text: str, value: object) -> object:
    if batch.id_type is int:
        return int(text)
    if batch.id_type is str:
        return text
    return value if isinstance(value, (int, str)) else text
