"""From an endpoint and values to the call that asks for them, and what tells loads apart. Pure."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from plait.backend.call import Call, Origin
from plait.backend.loads import Load
from plait.backend.numbers import encode
from plait.backend.spec import Batch, EndpointSpec
from plait.backend.template import (
    header_value,
    plain_text,
    query_pairs,
    query_text,
    repeated_text,
    scalar_text,
)
from plait.errors import BadUserInput

KEY_CHARACTERS_SHOWN = 80


def load_of(endpoint: EndpointSpec, values: Mapping[str, Any]) -> Load:
    """The load that `values` ask for. Raises `BadUserInput` for a value that cannot be sent."""
    keys, rest = _parameters_of(endpoint)
    key = tuple([_key_text(name, values.get(name)) for name in keys])
    # By their place: how the graph calls a parameter does not reach the backend, and neither does
    # one that is null.
    others = [(place, values[name]) for place, name in rest if values.get(name) is not None]
    shared = _told(others) if others else ""
    batch = endpoint.batch
    alone = batch is not None and _why_not_batched(batch, key) is not None
    if batch is not None and alone and batch.always:
        raise BadUserInput(_why_not_batched(batch, key) or "")
    return Load(values=values, key=key, shared=shared, alone=alone)


@lru_cache(maxsize=10_000)  # asked for with every load, of the few endpoints of a graph
def _parameters_of(
    endpoint: EndpointSpec,
) -> tuple[tuple[str, ...], tuple[tuple[int, str], ...]]:
    """The parameters that tell keys apart, and the others with their places."""
    keys = endpoint.key_parameters
    rest = [one for one in enumerate(endpoint.parameters) if one[1] not in keys]
    return keys, tuple(rest)


def loads_of(
    endpoint: EndpointSpec, values: Mapping[str, Any], name: str, items: Sequence[str | int]
) -> list[Load]:
    """As `load_of`, for loads that differ in one parameter. Raises `BadUserInput`."""
    if _parameters_of(endpoint)[0] != (name,) or {*map(type, items)} != {int}:
        return [load_of(endpoint, {**values, name: item}) for item in items]
    # A whole number is the same text everywhere, and never stands in a batch's way.
    first = load_of(endpoint, {**values, name: items[0]})
    shared = first.shared
    rest = [
        Load(values={**values, name: item}, key=(str(item),), shared=shared) for item in items[1:]
    ]
    return [first, *rest]


def key_told(load: Load) -> str:
    """A load's key for a reader."""
    return ", ".join(_part_told(part) for part in load.key) or "all"


def _part_told(part: str) -> str:
    return "nothing" if part == "\x00" else part.removeprefix("\x01")[:KEY_CHARACTERS_SHOWN]


def single_call(endpoint: EndpointSpec, values: Mapping[str, Any], origin: Origin) -> Call:
    """The call that asks for one load, or makes one write."""
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


def batch_call(endpoint: EndpointSpec, batch: Batch, loads: Sequence[Load], origin: Origin) -> Call:
    """The call that asks for several loads at once. They share all parameters that are no keys."""
    values = loads[0].values
    query = _query(endpoint, values, without=frozenset(batch.keys))
    body = None
    if batch.place == "body":
        body = _ids_body(batch, loads)
    else:
        query = f"{query}&{_ids_query(batch, loads)}" if query else _ids_query(batch, loads)
    return Call(
        endpoint=endpoint,
        method=batch.method,
        path=batch.path.fill(values),
        query=query,
        headers=_headers(endpoint, values),
        body=body,
        key_count=len(loads),
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
    items = value if isinstance(value, list | tuple) else [value]
    return [(name, scalar_text(name, item)) for item in items]


def json_body(value: object) -> bytes:
    """A JSON body. Raises `BadUserInput` for a value that JSON cannot hold."""
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadUserInput("The body holds a value that JSON cannot express.") from error


def _key_text(name: str, value: object) -> str:
    if value is None:
        return "\x00"  # apart from every text: a null parameter is left out of the call
    if isinstance(value, list | tuple | dict):
        return "\x01" + _told(value)  # apart from the text that looks like it
    return plain_text(name, value)


def _told(value: object) -> str:
    return json_body(value).decode()


_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,100})")


def _why_not_batched(batch: Batch, key: tuple[str, ...]) -> str | None:
    """Why this key cannot stand among others, if it cannot."""
    if batch.place == "body":
        if batch.id_type is int and not all(map(_WHOLE.fullmatch, key)):
            return f"The value of '{next(iter(batch.keys))}' must be a whole number."
        return None
    if len(key) > 1 and any(batch.separator in part for part in key):
        return f"A part of a key may not hold '{batch.separator}'."
    if batch.place == "joined" and any("," in part for part in key):
        return "An id with a comma cannot be asked for in a comma-joined list."
    return None


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


def _ids_query(batch: Batch, loads: Sequence[Load]) -> str:
    texts = [batch.separator.join(load.key) for load in loads]
    return repeated_text(batch.ids, texts if batch.place == "repeated" else [",".join(texts)])


def _ids_body(batch: Batch, loads: Sequence[Load]) -> bytes:
    ids = [_body_id(batch, load) for load in loads]
    return json_body({batch.ids: ids} if batch.ids else ids)


def _body_id(batch: Batch, load: Load) -> object:
    parts = {
        name: _typed(batch, text, load.values[name])
        for name, text in zip(batch.keys, load.key, strict=True)
    }
    return parts if len(parts) > 1 else next(iter(parts.values()))


def _typed(batch: Batch, text: str, value: object) -> object:
    if batch.id_type is int:
        return int(text)
    if batch.id_type is str:
        return text
    return value if isinstance(value, int | str) else text
