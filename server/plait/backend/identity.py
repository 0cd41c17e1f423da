"""When two loads are the same: the call as it would be sent, and how its reply is read.

Everything that reaches the backend counts, and so does what becomes of its reply. The cache, the
coalescing of calls in flight and the batches of a wave all go by this.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import TypeAlias

from plait.backend.loads import Load
from plait.backend.numbers import encode
from plait.backend.spec import Batch, EndpointSpec

Scope: TypeAlias = tuple[tuple[str, str], ...]
"""The headers of the client's request that go along: what makes a reply personal."""
LoadKey: TypeAlias = tuple[str, tuple[str, ...], str, Scope]
"""(endpoint's identity, the load's key, what its batch shares, scope)."""


Family: TypeAlias = tuple[str, str, Scope]
"""(endpoint's identity, what a batch shares, scope): what loads have in common that can go in one
call."""


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


def cache_key(backend: str, key: LoadKey) -> str:
    """A row's name in the cache: short, plain ASCII, and different for every caller whose
    credentials go along."""
    return f"plait:2:{backend}:{_digest(encode(key))}"


def endpoint_mark(backend: str, identity: str) -> str:
    """The name under which the cache keeps since when an endpoint's rows are out of date."""
    return f"plait:2:{backend}:past:{identity}"


def row_mark(backend: str, key: LoadKey) -> str:
    """As `endpoint_mark`, for one row, whoever asked for it."""
    return f"plait:2:{backend}:past:{_digest(encode(key[:3]))}"


def load_key(identity: str, load: Load, scope: Scope) -> LoadKey:
    """What tells one load from every other of the process."""
    return (identity, load.key, load.shared, scope)


def key_in(family: Family, load: Load) -> LoadKey:
    """As `load_key`."""
    identity, shared, scope = family
    return (identity, load.key, shared, scope)


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
