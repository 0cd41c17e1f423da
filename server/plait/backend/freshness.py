"""How long a row may be used: RFC 9111 and RFC 5861 as pure functions.

What is kept is one row of one endpoint under one key, not one HTTP reply: the rows of a batch are
kept one by one, each with the lifetime of the reply that brought it. There is no heuristic
freshness (RFC 9111, section 4.2.2): data that nobody declared cacheable is asked for again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from plait.backend.call import Reply
from plait.backend.spec import CachePolicy

SECONDS_MAX = 2**31
KEPT_S_MAX = 7 * 86_400.0
"""The longest that a row is kept at all. So long is remembered what a write made out of date."""
VALIDATOR_KEPT_S = 3_600.0
"""How long a row with a validator is kept beyond its use: a conditional request may still save its
transfer."""

_DIRECTIVE = re.compile(r'\s*([A-Za-z0-9_-]+)\s*(?:=\s*(?:"([^"]*)"|([^\s,;]*)))?\s*(?:,|$)')
_ALWAYS_CONSTANT = frozenset({"accept", "accept-encoding", "user-agent"})


class Use(Enum):
    """What a kept row is good for now."""

    FRESH = auto()
    STALE_REVALIDATE = auto()
    """Serve it, and refresh it in the background (RFC 5861, section 3)."""
    STALE = auto()
    """Ask again; it may stand in when the backend fails, or be confirmed by its validator."""
    EXPIRED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """Until when rows may be used, in seconds since 1970, and what confirms them afterwards."""

    fresh_until: float
    revalidate_until: float
    """The end of stale-while-revalidate; `fresh_until` when there is none."""
    error_until: float
    """The end of stale-if-error; `fresh_until` when there is none."""
    etag: str | None = None
    last_modified: str | None = None


class CacheEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One kept row."""

    row: bytes
    """JSON; `null` when the backend has no such row."""
    asked_at: float
    """When the call that brought it left: it may be older than what was written since."""
    fresh_until: float
    revalidate_until: float
    error_until: float
    etag: str | None = None
    last_modified: str | None = None

    @property
    def kept_until(self) -> float:
        """The last moment at which it is of any use."""
        latest = max(self.fresh_until, self.revalidate_until, self.error_until)
        latest += VALIDATOR_KEPT_S if self.etag or self.last_modified else 0.0
        return min(latest, self.asked_at + KEPT_S_MAX)


def use_of(entry: CacheEntry, now: float) -> Use:
    """What `entry` is good for at `now`."""
    if now < entry.fresh_until:
        return Use.FRESH
    if now < entry.revalidate_until:
        return Use.STALE_REVALIDATE
    return Use.STALE if now < entry.kept_until else Use.EXPIRED


def usable_on_error(entry: CacheEntry, now: float) -> bool:
    """Whether it may stand in for a failed call (RFC 5861, section 4)."""
    return now < max(entry.fresh_until, entry.error_until)


def conditional_headers(entry: CacheEntry) -> tuple[tuple[str, str], ...]:
    """What asks the backend whether the row still holds (RFC 9111, section 4.3.1)."""
    pairs = (("if-none-match", entry.etag), ("if-modified-since", entry.last_modified))
    return tuple((name, value) for name, value in pairs if value is not None)


def lifetime_of(
    reply: Reply,
    policy: CachePolicy,
    *,
    now: float,
    personal: bool,
    varies_with: frozenset[str],
) -> Lifetime | None:
    """How long the rows of `reply` may be used; `None` when they may not be kept.

    `personal` tells that the cache key holds the caller's credentials. Such a row is in a private
    cache of its caller, so `private` allows it, and the rule for shared caches (RFC 9111, section
    3.5) does not apply. `varies_with` are the request headers, in lower case, that are the same in
    all calls under one key.
    """
    directives = cache_control(reply.headers.get("cache-control", ""))
    if not policy.enabled or "no-store" in directives or ("private" in directives and not personal):
        return None
    if not _vary_holds(reply.headers.get("vary", ""), varies_with):
        return None
    age = _age(reply.headers, now)
    must_ask = "no-cache" in directives
    ttl = 0.0 if must_ask else _ttl(reply.headers, directives, policy, now, age)
    strict = must_ask or bool(directives.keys() & {"must-revalidate", "proxy-revalidate"})
    fresh_until = now + max(ttl or 0.0, 0.0)
    lifetime = Lifetime(
        fresh_until=fresh_until,
        revalidate_until=fresh_until
        + _window(directives, "stale-while-revalidate", policy.stale_while_revalidate_s, strict),
        error_until=fresh_until
        + _window(directives, "stale-if-error", policy.stale_if_error_s, strict),
        etag=reply.headers.get("etag"),
        last_modified=reply.headers.get("last-modified"),
    )
    useless = ttl is None or max(lifetime.revalidate_until, lifetime.error_until) <= now
    return None if useless and not (lifetime.etag or lifetime.last_modified) else lifetime


def renewed(
    entry: CacheEntry,
    reply: Reply,
    policy: CachePolicy,
    *,
    asked_at: float,
    now: float,
    personal: bool,
    varies_with: frozenset[str],
) -> CacheEntry | None:
    """`entry` after a 304: its row holds, its lifetime begins anew (RFC 9111, section 4.3.4)."""
    lifetime = lifetime_of(reply, policy, now=now, personal=personal, varies_with=varies_with)
    if lifetime is None:
        return None
    return replace(
        entry,
        asked_at=asked_at,
        fresh_until=lifetime.fresh_until,
        revalidate_until=lifetime.revalidate_until,
        error_until=lifetime.error_until,
        etag=lifetime.etag or entry.etag,
        last_modified=lifetime.last_modified or entry.last_modified,
    )


@lru_cache(maxsize=1_000)  # servers say the same few things again and again
def cache_control(text: str) -> Mapping[str, str | None]:
    """Directives by lower-case name. Of one that is given twice, the smaller number holds (section
    4.2.1)."""
    directives: dict[str, str | None] = {}
    for name, quoted, bare in _DIRECTIVE.findall(text):
        value = quoted or bare or None
        name = name.lower()
        if name not in directives or (_seconds(value) or 0.0) < (_seconds(directives[name]) or 0.0):
            directives[name] = value
    return directives


def _ttl(
    headers: Mapping[str, str],
    directives: Mapping[str, str | None],
    policy: CachePolicy,
    now: float,
    age: float,
) -> float | None:
    """Seconds of freshness left; `None` when nothing declares any. The endpoint's own ttl goes
    first.

    A reply that passed another cache has spent its Age already. The author's ttl counts from now:
    it says how old an answer may be beside the backend's own word.
    """
    if policy.ttl_s is not None:
        return policy.ttl_s
    for name in ("s-maxage", "max-age"):
        if name in directives:
            return (_seconds(directives[name]) or 0.0) - age
    if "expires" in headers:
        expires = _date(headers["expires"])
        date = _date(headers.get("date", "")) or now
        # An invalid date, "0" above all, means already expired (section 5.3).
        return 0.0 if expires is None else min(expires - date, SECONDS_MAX) - age
    return None


def _window(
    directives: Mapping[str, str | None], name: str, declared: float | None, strict: bool
) -> float:
    """must-revalidate and no-cache forbid every use of a stale row (sections 5.2.2.2 and
    5.2.2.4)."""
    if strict:
        return 0.0
    return declared if declared is not None else _seconds(directives.get(name)) or 0.0


def _age(headers: Mapping[str, str], now: float) -> float:
    """How old the reply was when it came (section 4.2.3)."""
    date = _date(headers.get("date", ""))
    apparent = max(0.0, now - date) if date is not None else 0.0
    stated = _seconds(headers.get("age", "").split(",")[0].strip()) or 0.0
    # Date has whole seconds, and clocks differ a little: below two seconds nothing is apparent.
    return max(apparent if apparent >= 2.0 else 0.0, stated)


def _vary_holds(vary: str, constant: frozenset[str]) -> bool:
    names = {name.strip().lower() for name in vary.split(",") if name.strip()}
    return names <= (constant | _ALWAYS_CONSTANT)


def _seconds(text: str | None) -> float | None:
    """A number of seconds; an invalid one counts as none, which is stale (section 4.2.1)."""
    if not text or not (text.isascii() and text.isdigit()):
        return None
    return float(min(int(text[:12]), SECONDS_MAX))


@lru_cache(maxsize=1_000)
def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
