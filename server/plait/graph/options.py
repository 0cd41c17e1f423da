"""What the options of backends, endpoints and batch forms may be. Pure; `check.py` makes mistakes
of what does not fit."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias


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
