"""What a backend and an endpoint are: plain values, made once when a graph is built. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from plait.backend.template import PathTemplate

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # RFC 9110, section 9.2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSpec:
    """One REST API with its policy."""

    name: str
    url: str | None = None
    """Base URL; `PLAIT_BACKENDS__<NAME>__URL` overrides it."""
    timeout_s: float = 5.0
    """The longest a whole call may take, from the first byte sent to the last received."""
    connect_timeout_s: float = 1.0
    read_timeout_s: float | None = None
    """The longest silence between two received pieces. `None`: as `timeout_s`."""
    connections: int = 64
    """The most connections open at once."""
    keepalive_s: float = 15.0
    reply_bytes_max: int = 10 * 1024 * 1024
    """The largest reply that is read, decompressed."""
    redirects: int = 0
    """How many redirects within the same origin are followed, for safe methods."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every call."""
    forward: tuple[str, ...] = ()
    """Headers of the client's request that are passed on, in lower case. Part of every cache
    key."""
    idempotency_key: str | None = None
    """The header under which the backend honours idempotency keys; `None`: it honours none."""
    show_problem: bool = False
    """Whether a failed call's problem document (RFC 9457) reaches the client: title and detail."""
    strict: bool = False
    """Whether a row that lacks a property that is read is an error, and not null there."""
    health_path: str = "/"
    """What readiness asks for; any answer below 500 means that it is up."""
    names: Literal["camel", "snake"] | None = None
    """How its properties are spelled. `None`: either is read, and the GraphQL name is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How many keys become one call, and how the reply's rows find back to their keys.

    `many` tells one-to-many grouping from one row a key. `keys` maps each key parameter to the
    property of a row that holds its value.
    """

    path: PathTemplate
    method: Literal["GET", "POST"]
    ids: str
    """The query parameter, or the property of the body, that carries the ids. Empty: the body is
    the list."""
    place: Literal["repeated", "joined", "body"]
    keys: Mapping[str, tuple[str, ...]]
    many: bool
    separator: str = ":"
    """Between the parts of a composite key in a query parameter."""
    id_type: type[int] | type[str] | None = None
    """What an id is in a JSON body. `None`: as the graph holds it."""
    unwrap: tuple[str, ...] | None = None
    """The path from the body to the rows. `None`: as the endpoint's."""
    size: int = 100
    """The most keys in one call."""
    always: bool = False
    """Whether even one key goes this way, as where there is no single form."""
    key_matches: Literal["exact", "ignore_case"] = "exact"
    """How a row's key and the one asked for are compared. UUIDs never depend on case, and numbers
    never on how they are written."""

    @property
    def label(self) -> str:
        """How logs name it: `GET /users?id=`."""
        ids = f"?{self.ids}=" if self.place != "body" else ""
        return f"{self.method} {self.path.text}{ids}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """How long an endpoint's rows stay usable, in seconds. `None`: what the backend's reply
    says."""

    enabled: bool = True
    ttl_s: float | None = None
    stale_while_revalidate_s: float | None = None
    stale_if_error_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EndpointSpec:
    """One method and path template on a backend. Compared by identity: two alike keep loaders of
    their own."""

    backend: BackendSpec
    method: Method
    path: PathTemplate
    query: Mapping[str, str] = field(default_factory=dict)
    """Parameter -> the name of the query parameter on the wire."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Parameter -> header name."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Query parameters that are the same in every call."""
    required: tuple[str, ...] = ()
    """Parameters beside those of the path that every call must have."""
    has_body: bool = False
    """Whether a parameter `body` is sent as JSON."""
    reads: bool = True
    """Whether calling it changes nothing, so that its replies may be shared and cached."""
    unwrap: tuple[str, ...] = ()
    batch: Batch | None = None
    cache: CachePolicy = CachePolicy()
    timeout_s: float | None = None
    reply_bytes_max: int | None = None
    none_on: frozenset[int] = frozenset({404})
    """Statuses that mean that there is no such row. An empty success means so too."""
    next: tuple[str, ...] = ()
    """The path from the body to the URL of the page that follows, where a list comes in several."""
    pages_max: int = 10
    """How many pages of a list are read before the reply counts as too long."""
    show_problem: bool | None = None
    """In place of the backend's."""
    page_headers: tuple[str, ...] | None = None
    """Set where each reply is one page, to be shown as such: the headers that are kept beside its
    body."""
    strict: bool | None = None
    """In place of the backend's."""
    keyed_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Parameter -> the property of each row that has its value. Empty: as the batch's keys."""
    early: bool = True
    """Whether it may be asked before the row that it belongs to is there."""
    content_type: str | None = None
    """What a body is sent as. `None`: as the backend's fixed header says, else JSON."""
    failed_when: tuple[tuple[tuple[str, ...], tuple[Any, ...] | None], ...] = ()
    """(path in the body, what it holds) that make a success a failure. `None`: anything but null,
    false and what is empty."""
    key_header: str | None = None
    """The header under which a write here is done once, however often it comes under one key."""
    repeatable: bool = False
    """Whether a write here can be sent again without being done again, whatever its method."""
    purges: tuple["EndpointSpec", ...] = ()
    """What reads something else once this endpoint has written."""
    # What follows from the rest, and is asked for with every key and call:
    label: str = field(init=False, repr=False)
    """How messages, logs and metrics name it: method and path template."""
    key_parameters: tuple[str, ...] = field(init=False, repr=False)
    """The parameters that tell the keys of one batch apart."""
    shared_parameters: tuple[tuple[int, str], ...] = field(init=False, repr=False)
    """The others, with their places among `parameters`."""
    body_is_all: bool = field(init=False, repr=False)
    """Whether one reply's body is all that is needed of it."""

    def __post_init__(self) -> None:
        keys = tuple(self.batch.keys) if self.batch else self.parameters
        shared = [one for one in enumerate(self.parameters) if one[1] not in keys]
        is_all = not (self.failed_when or self.next) and self.page_headers is None
        object.__setattr__(self, "label", f"{self.method} {self.path.text}")
        object.__setattr__(self, "key_parameters", keys)
        object.__setattr__(self, "shared_parameters", tuple(shared))
        object.__setattr__(self, "body_is_all", is_all)

    @property
    def known(self) -> Mapping[str, tuple[str, ...]]:
        """Parameter -> the property of its rows that holds what was asked for: what is known of a
        row before it is there."""
        if self.keyed_by or self.batch is None:
            return self.keyed_by
        return self.batch.keys if self.batch.key_matches == "exact" else {}

    @property
    def is_strict(self) -> bool:
        """Whether its rows must have every property that is read of them."""
        return self.backend.strict if self.strict is None else self.strict

    @property
    def parameters(self) -> tuple[str, ...]:
        """Every parameter's name, in the order path, query, headers, body."""
        body = ("body",) if self.has_body else ()
        return (*self.path.parameters, *self.query, *self.headers, *body)

    @property
    def needed(self) -> tuple[str, ...]:
        """The parameters without which there is no call."""
        keys = self.batch.keys if self.batch else ()
        return tuple(dict.fromkeys((*self.path.parameters, *self.required, *keys)))
