"""The options of backends, endpoints and batch forms: what they mean, as types for editors and type
checkers, and what they may be, as rules. Pure; `check.py` makes mistakes of what does not fit."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict

if TYPE_CHECKING:
    from plait.graph.declare import ReadEndpoint


Names: TypeAlias = Sequence[str] | Mapping[str, str]
"""Parameters: names as they are on the wire, or a mapping from the parameter's name to that on the
wire."""


class BackendOptions(TypedDict, total=False):
    """The policy of a backend. Times are seconds; defaults in brackets."""

    timeout_s: float
    """The longest that a whole call may take [5]."""
    connect_timeout_s: float
    """The longest that connecting may take [1]."""
    read_timeout_s: float | None
    """The longest silence between two received pieces [as timeout_s]."""
    connections: int
    """The most connections open, and calls under way, at once [64]."""
    keepalive_s: float
    """How long an idle connection is kept [15]."""
    reply_bytes_max: int
    """The largest reply that is read, decompressed [10 MiB]."""
    redirects: int
    """How many redirects within the same origin are followed [0]."""
    headers: Mapping[str, str]
    """Sent with every call."""
    forward: Sequence[str]
    """Headers of the client's request that are passed on. They become part of every cache key, so
    that one caller's reply never reaches another."""
    idempotency_key: str | None
    """The header under which the backend honours idempotency keys on writes, such as
    `Idempotency-Key` [None: it honours none, as most do]. Only declare it of a backend that does a
    write once, however often it comes under one key: what is in doubt is sent again there."""
    show_problem: bool
    """Whether title and detail of a failed call's problem document (RFC 9457) reach the client
    [False: only the log, at level debug]."""
    strict: bool
    """Whether a row must have every property that is read of it: one that lacks it is
    BAD_BACKEND_RESPONSE at that field, instead of null [False]."""
    health_path: str
    """What readiness asks for; any answer below 500 means that the backend is up ["/"]."""
    names: Literal["camel", "snake"]
    """How the backend spells its properties, in rows and in bodies made of inputs: `userId` or
    `user_id` [in rows either is read; of inputs a property has the field's GraphQL name]."""


class EndpointOptions(TypedDict, total=False):
    """What any endpoint may have."""

    query: Names
    """Query parameters."""
    headers: Names
    """Header parameters."""
    constants: Mapping[str, str]
    """Query parameters that are the same in every call."""
    required: Sequence[str]
    """Query and header parameters that every call must have: a field that leaves one unbound is a
    mistake. Those in the path always are."""
    unwrap: str
    """The path from the body to the row or rows, such as `data.items`."""
    timeout_s: float
    """In place of the backend's."""
    reply_bytes_max: int
    """In place of the backend's."""
    show_problem: bool
    """In place of the backend's."""
    strict: bool
    """In place of the backend's."""
    failed_when: str | Mapping[str, Any]
    """What in the body makes a success a failure: the path of a property that is there then, such
    as `error`; or paths with the value, or the list of values, that they hold then."""
    content_type: str
    """What a body is sent as: a media type of JSON, or `application/x-www-form-urlencoded` [the
    backend's fixed header, else `application/json`]."""


class WriteOptions(EndpointOptions, total=False):
    """What an endpoint that writes may have besides."""

    idempotency_key: str | None
    """In place of the backend's."""
    repeatable: bool
    """Whether the write can be sent again without being done again, as those of PUT and DELETE can
    [False]."""
    purges: Sequence["ReadEndpoint"]
    """Endpoints that read something else once this one has written: the row whose parameters are
    all among the write's, else all their rows. What reads at the URI that was written, or at the
    reply's Location and Content-Location, need not be named."""


class ReadOptions(EndpointOptions, total=False):
    """What an endpoint that reads may have besides.

    Without `ttl_s`, a reply is fresh for as long as its `Cache-Control` or `Expires` says; with
    neither it is not cached. `no-store` and `private` always hold.
    """

    none_on: Sequence[int]
    """Statuses that mean that there is no such row [404]. An empty success always does."""
    next: str
    """The path from the body to the URL of the next page, where a list comes in several. The header
    `Link` (RFC 8288) with `rel="next"` is followed without it."""
    pages_max: int
    """How many pages of a list are read before it counts as too long, which is an error [10]."""
    keyed_by: str | Mapping[str, str]
    """The property of each row that has the value of the endpoint's parameter, or a dict from
    parameter to property [as the batch form's key]. What hangs on it alone is asked for at the same
    time as the row itself."""
    early: bool
    """Whether it may be asked for at the same time as the row that it belongs to, where its
    parameters are known before that row is there [True]. What comes for a row that turns out not to
    be there is dropped."""
    cache: bool
    """Whether replies may be cached at all [True]."""
    ttl_s: float
    """How long a row is fresh, whatever the backend's max-age says."""
    stale_while_revalidate_s: float
    """How long after that it is still served while it is refreshed (RFC 5861)."""
    stale_if_error_s: float
    """How long after that it stands in when the backend fails (RFC 5861)."""


class BatchOptions(TypedDict, total=False):
    """How ids are sent and rows are found."""

    ids: str
    """The query parameter that carries the ids: `?id=1&id=2` [the key parameter's name]."""
    joined: bool
    """One query parameter with commas instead: `?ids=1,2`."""
    body: str
    """Instead of a query: the property of a JSON body that holds the ids. Empty: the body is the
    list."""
    unwrap: str
    """The path from the body to the rows [the endpoint's]."""
    size: int
    """The most keys in one call [100]."""
    method: Literal["GET", "POST"]
    """[POST with a body, else GET]"""
    separator: str
    """Between the parts of a composite key in a query [":"]."""
    key_matches: Literal["exact", "ignore_case"]
    """How a row's key is compared with the one asked for ["exact"]. UUIDs never depend on case."""
    id_type: type[int] | type[str]
    """What an id is in a JSON body [as the graph has it]."""


class Rule(NamedTuple):
    """What a value must be."""

    words: str
    fits: Callable[[Any], bool]


Rules: TypeAlias = Mapping[str, Rule]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_error_status(value: object) -> bool:
    return _is_whole(value) and 400 <= value <= 599  # type: ignore[operator]


def _is_names(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(one, str) for pair in value.items() for one in pair)
    return _is_texts(value)


def _is_texts(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, Sequence) and all(isinstance(one, str) for one in value)
    )


def _is_failures(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(path, str) and path for path in value)
        and all(_is_plain(one) for one in value.values())
    )


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


_CONTENT_TYPE = re.compile(
    r"application/x-www-form-urlencoded|[a-z]+/([a-z0-9.+-]*\+)?json(; ?[a-z-]+=[^;\s]+)?",
    re.IGNORECASE,
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_KEY_HEADER = Rule(
    "the name of the header that the backend honours, such as 'Idempotency-Key', or None",
    lambda it: it is None or (isinstance(it, str) and bool(_HEADER_NAME.fullmatch(it))),
)
_SECONDS = Rule("a number of seconds above 0", lambda value: _is_number(value) and value > 0)
_SECONDS_OR_0 = Rule("a number of seconds, 0 or more", lambda it: _is_number(it) and it >= 0)
_SECONDS_OR_NONE = Rule(
    "a number of seconds above 0, or None",
    lambda value: value is None or (_is_number(value) and value > 0),
)
_COUNT = Rule("a whole number above 0", lambda value: _is_whole(value) and value > 0)
_COUNT_OR_0 = Rule("a whole number, 0 or more", lambda value: _is_whole(value) and value >= 0)
_FLAG = Rule("True or False", lambda value: isinstance(value, bool))
_TEXT = Rule("a text", lambda value: isinstance(value, str))
_PAIRS = Rule("a dict of texts", lambda it: isinstance(it, Mapping) and _is_names(it))
_NAMES = Rule("a list of names, or a dict from parameter to name", _is_names)
_TEXTS = Rule("a list of names", _is_texts)

BACKEND: Rules = {
    "timeout_s": _SECONDS,
    "connect_timeout_s": _SECONDS,
    "read_timeout_s": _SECONDS_OR_NONE,
    "connections": _COUNT,
    "keepalive_s": _SECONDS_OR_0,
    "reply_bytes_max": _COUNT,
    "redirects": _COUNT_OR_0,
    "headers": _PAIRS,
    "forward": _TEXTS,
    "idempotency_key": _KEY_HEADER,
    "show_problem": _FLAG,
    "strict": _FLAG,
    "health_path": Rule(
        "a path such as '/health'", lambda value: isinstance(value, str) and value.startswith("/")
    ),
    "names": Rule("'camel' or 'snake'", lambda value: value in ("camel", "snake")),
}
ENDPOINT: Rules = {
    "query": _NAMES,
    "headers": _NAMES,
    "constants": _PAIRS,
    "required": _TEXTS,
    "unwrap": _TEXT,
    "timeout_s": _SECONDS,
    "reply_bytes_max": _COUNT,
    "show_problem": _FLAG,
    "strict": _FLAG,
    "failed_when": Rule(
        "a path such as 'error', or a dict from path to the value, or list of values, of a failure",
        lambda it: (isinstance(it, str) and it != "") or _is_failures(it),
    ),
    "content_type": Rule(
        "a media type of JSON, such as 'application/merge-patch+json', or "
        "'application/x-www-form-urlencoded'",
        lambda it: isinstance(it, str) and bool(_CONTENT_TYPE.fullmatch(it)),
    ),
}
WRITE: Rules = {
    **ENDPOINT,
    "idempotency_key": _KEY_HEADER,
    "repeatable": _FLAG,
    "purges": Rule("a list of endpoints that read", lambda value: isinstance(value, list | tuple)),
}
READ: Rules = {
    **ENDPOINT,
    "keyed_by": Rule(
        "the path of a property such as 'id', or a dict from parameter to path",
        lambda it: (
            (isinstance(it, str) and it != "")
            or (isinstance(it, Mapping) and bool(it) and _is_names(it))
        ),
    ),
    "early": _FLAG,
    "cache": _FLAG,
    "none_on": Rule(
        "a list of statuses from 400 to 599, such as (404, 410)",
        lambda it: isinstance(it, list | tuple) and all(_is_error_status(one) for one in it),
    ),
    "next": _TEXT,
    "pages_max": _COUNT,
    "ttl_s": _SECONDS_OR_0,
    "stale_while_revalidate_s": _SECONDS_OR_0,
    "stale_if_error_s": _SECONDS_OR_0,
}
BATCH: Rules = {
    "ids": _TEXT,
    "joined": _FLAG,
    "body": _TEXT,
    "unwrap": _TEXT,
    "size": _COUNT,
    "method": Rule("'GET' or 'POST'", lambda value: value in ("GET", "POST")),
    "separator": _TEXT,
    "key_matches": Rule(
        "'exact' or 'ignore_case'", lambda value: value in ("exact", "ignore_case")
    ),
    "id_type": Rule("the type int or str, without quotes", lambda value: value in (int, str)),
}


class Problem(NamedTuple):
    """One option that cannot be right."""

    problem: str
    remedy: str


def problems_of(options: Mapping[str, Any], rules: Rules) -> Iterator[Problem]:
    """What is wrong with `options`, one sentence each."""
    from difflib import get_close_matches

    for name, value in options.items():
        rule = rules.get(name)
        if rule is None:
            near = get_close_matches(name, rules, n=1, cutoff=0.5)
            known = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(rules)}."
            yield Problem(f"There is no option '{name}'.", known)
        elif not rule.fits(value):
            yield Problem(f"{name}={value!r} cannot be.", f"Make it {rule.words}.")


def usable(options: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Those that are as they must be. The others are reported, and stand for their defaults until
    then."""
    return {
        name: value for name, value in options.items() if name in rules and rules[name].fits(value)
    }
