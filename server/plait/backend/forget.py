"""What a write makes out of date: from the URIs that it touched to the endpoints, and the rows of
them, that read there. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

from plait.backend.keys import Key, key_of
from plait.backend.spec import EndpointSpec
from plait.errors import BadUserInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """Rows that are out of date: those of one key of an endpoint, or with `None` all of them."""

    endpoint: EndpointSpec
    key: Key | None


def stale_after(
    write: EndpointSpec,
    paths: Sequence[str],
    values: Mapping[str, Any],
    endpoints: Sequence[EndpointSpec],
) -> list[Stale]:
    """What `write` changed, having been sent with `values` to the first of `paths` and touched the
    others.

    An endpoint that reads at one of the paths loses that row; or all rows, where the path alone
    does not tell which, as below a list or a batch.
    """
    found = [
        Stale(endpoint=one, key=_key_of(one, values))
        for one in write.purges
        if one.backend.name == write.backend.name or one in endpoints
    ]
    own, *others = paths
    for endpoint in _near(write, tuple(endpoints)):
        found += _stale_at(endpoint, own)
    for endpoint in endpoints if others else ():
        if endpoint.backend.name == write.backend.name:
            for path in others:
                found += _stale_at(endpoint, path)
    return found


@lru_cache(maxsize=10_000)  # asked for with every write, of the few endpoints of a graph
def _near(write: EndpointSpec, endpoints: tuple[EndpointSpec, ...]) -> list[EndpointSpec]:
    """Those that may read where a write is sent to."""
    return [
        one
        for one in endpoints
        if one.backend.name == write.backend.name
        and (
            write.path.meets(one.path)
            or (one.batch is not None and write.path.meets(one.batch.path))
        )
    ]


def linked_uris(base: str, path: str, headers: Mapping[str, str]) -> Iterator[str]:
    """The paths below `base` that `Location` and `Content-Location` name, on the same origin (RFC
    9111, section 4.4)."""
    named = [name for name in ("location", "content-location") if name in headers]
    if not named:
        return
    root = urlsplit(base)
    prefix = root.path.rstrip("/")
    for name in named:
        try:
            target = urlsplit(urljoin(f"{base.rstrip('/')}{path}", headers[name]))
            same = (target.scheme, target.hostname, target.port) == (
                root.scheme,
                root.hostname,
                root.port,
            )
        except ValueError:
            continue
        if same and target.path.startswith(f"{prefix}/"):
            yield target.path.removeprefix(prefix)


def _stale_at(endpoint: EndpointSpec, path: str) -> Iterator[Stale]:
    values = endpoint.path.match(path)
    if values is not None:
        tells_all = set(endpoint.parameters) <= set(values)
        yield Stale(endpoint=endpoint, key=_key_of(endpoint, values) if tells_all else None)
    elif endpoint.batch is not None and endpoint.batch.path.match(path) is not None:
        yield Stale(endpoint=endpoint, key=None)


def _key_of(endpoint: EndpointSpec, values: Mapping[str, Any]) -> Key | None:
    """The key that `values` tell; `None` where they do not tell one."""
    if not set(endpoint.parameters) <= set(values):
        return None
    try:
        return key_of(endpoint, {name: values[name] for name in endpoint.parameters})
    except BadUserInput:
        return None
