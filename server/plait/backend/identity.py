"""When two keys ask for the same: the call as it would be sent, and how its reply is read.

Everything that reaches the backend counts, and so does what becomes of its reply. The cache, the
coalescing of calls in flight and the batches of a wave all go by this.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import TypeAlias

from plait.backend.keys import Key
from plait.backend.numbers import encode
from plait.backend.spec import Batch, EndpointSpec

Scope: TypeAlias = tuple[tuple[str, str], ...]
"""The headers of the client's request that go along: what makes a reply personal."""
Family: TypeAlias = tuple[str, Scope]
"""(endpoint's identity, scope): those for whom equal keys bring the same."""
RowKey: TypeAlias = tuple[str, Key, Scope]
"""(endpoint's identity, key, scope): what tells one row from every other of the process."""


def endpoint_identity(endpoint: EndpointSpec, server: str) -> str:
    """Equal for endpoints that send the same call and read its reply alike. `server` tells where
    calls go and what goes with each of them."""
    told = (
        server,
        endpoint.method,
        endpoint.path.text,
        list(endpoint.query.items()),
        list(endpoint.headers.items()),
        sorted(endpoint.constants.items()),
        endpoint.has_body,
        endpoint.unwrap,
        sorted(endpoint.none_on),
        str(endpoint.cache),
        endpoint.timeout_s,
        endpoint.reply_bytes_max,
        endpoint.next,
        endpoint.pages_max,
        endpoint.page_headers,
        endpoint.failed_when,
        endpoint.content_type,
        _batch(endpoint.batch) if endpoint.batch else None,
    )
    return _digest(encode(told))


def server_identity(name: str, url: str, headers: Mapping[str, str]) -> str:
    """Where a backend is asked, and with which fixed headers. Backends of different names are never
    the same: at one place, one may forward the caller's credentials, and the other must not show
    what they open."""
    return _digest(encode((name, url, sorted(headers.items()))))


def cache_key(backend: str, key: RowKey) -> str:
    """A row's name in the cache: short, plain ASCII, and different for every caller whose
    credentials go along."""
    return f"plait:3:{backend}:{_digest(encode(key))}"


def endpoint_mark(backend: str, identity: str) -> str:
    """The name under which the cache keeps since when an endpoint's rows are out of date."""
    return f"plait:3:{backend}:past:{identity}"


def row_mark(backend: str, key: RowKey) -> str:
    """As `endpoint_mark`, for one row, whoever asked for it."""
    return f"plait:3:{backend}:past:{_digest(encode(key[:2]))}"


def row_key(family: Family, key: Key) -> RowKey:
    """What a row is kept by."""
    identity, scope = family
    return (identity, key, scope)


def _batch(batch: Batch) -> object:
    return (
        batch.method,
        batch.path.text,
        batch.ids,
        batch.place,
        list(batch.keys.items()),
        batch.many,
        batch.separator,
        str(batch.id_type),
        batch.unwrap,
        batch.always,
        batch.key_matches,
        batch.size,
    )


def _digest(value: bytes) -> str:
    return blake2b(value, digest_size=20).hexdigest()
