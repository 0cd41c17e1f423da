"""Paths with parameters, built so that no value can change the path's shape, host or query.

A value becomes exactly one path segment, or part of one. Everything but unreserved characters (RFC
3986, section 2.3) is percent-encoded. What common servers decode before they route is refused,
because encoding does not help there: a slash or backslash, dot segments, also hidden behind an
encoded slash, and control characters.

`{name:path}` takes a value of several segments, divided by slashes. Each of them is one segment, so
it cannot be empty, `.` or `..`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote
from uuid import UUID

from plait.backend.numbers import encode
from plait.errors import BadUserInput

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:path)?\}")
_SLASH = re.compile(r"[/\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
VALUE_CHARACTERS_MAX: Final = 2_000
_EXACT = 2**53
"""Below it, every whole number is a float of its own."""


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A path such as `/users/{id}`."""

    text: str
    _parts: Sequence[tuple[str, Callable[[str, object], str] | None]] = field(
        init=False, repr=False, compare=False
    )
    """Text as it stands there, and parameters with what makes text of their values."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parts", _parts(self.text))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in braces, each once, in order."""
        return _parameters(self.text)

    @property
    def problem(self) -> str | None:
        """Why this is no usable template, or `None`."""
        rest = _PARAMETER.sub("", self.text)
        if not self.text.startswith("/"):
            return "a path starts with '/'"
        if "{" in rest or "}" in rest:
            return "a parameter is a name in braces, such as {id} or {file:path}"
        if any(mark in rest for mark in "?#") or _CONTROL.search(rest):
            return "a path holds no query, no fragment and no control characters"
        if not self.text.isascii():
            return "a path is ASCII: write other characters percent-encoded, 'ü' as '%C3%BC'"
        return None

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters' values in an encoded `path` that this template makes; else `None`."""
        found = _matcher(self.text).fullmatch(path)
        if found is None:
            return None
        values: dict[str, str] = {}
        for name, value in zip(_occurrences(self.text), found.groups(), strict=True):
            if values.setdefault(name, unquote(value)) != unquote(value):
                return None
        return values

    def meets(self, other: "PathTemplate") -> bool:
        """Whether there may be a path that both make."""
        if ":path}" in self.text or ":path}" in other.text:
            return True
        own, others = self.text.split("/"), other.text.split("/")
        return len(own) == len(others) and all(
            "{" in one or "{" in two or one == two for one, two in zip(own, others, strict=True)
        )

    def fill(self, values: Mapping[str, object]) -> str:
        """The path with each parameter in its place, percent-encoded.

        Raises `BadUserInput` for a value that may not stand in a path.
        """
        made = []
        for part, make in self._parts:
            if make is None:
                made.append(part)
            elif type(value := values[part]) is int:
                made.append(plain_text(part, value))  # digits, and nothing to look for
            else:
                made.append(make(part, value))
        return "".join(made)


@lru_cache(maxsize=10_000)  # asked for with every load, of the few templates of a graph
def _parameters(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(match[1] for match in _PARAMETER.finditer(text)))


def _parts(text: str) -> tuple[tuple[str, Callable[[str, object], str] | None], ...]:
    parts: list[tuple[str, Callable[[str, object], str] | None]] = []
    end = 0
    for match in _PARAMETER.finditer(text):
        parts.append((text[end : match.start()], None))
        parts.append((match[1], path_values if match[2] else path_value))
        end = match.end()
    parts.append((text[end:], None))
    return tuple([one for one in parts if one[0]])


@lru_cache(maxsize=10_000)
def _matcher(text: str) -> re.Pattern[str]:
    made, end = "", 0
    for match in _PARAMETER.finditer(text):
        made += re.escape(text[end : match.start()]) + ("(.+)" if match[2] else "([^/]+)")
        end = match.end()
    return re.compile(made + re.escape(text[end:]))


def _occurrences(text: str) -> list[str]:
    return [match[1] for match in _PARAMETER.finditer(text)]


def path_values(name: str, value: object) -> str:
    """`value` as path segments, divided by slashes. Raises `BadUserInput`."""
    return "/".join(path_value(name, part) for part in plain_text(name, value).split("/"))


def path_value(name: str, value: object) -> str:
    """`value` as part of a path segment. Raises `BadUserInput`."""
    text = plain_text(name, value)
    if text == "":
        raise BadUserInput(f"The value of '{name}' may not be empty.")
    if _SLASH.search(text):
        raise BadUserInput(f"The value of '{name}' may not hold a slash or backslash.")
    parts = re.split(r"[/\\]|%2f|%5c", text, flags=re.IGNORECASE)
    if any(part.replace("%2e", ".").replace("%2E", ".") in (".", "..") for part in parts):
        raise BadUserInput(f"The value of '{name}' may not hold a '.' or '..' path segment.")
    return quote(text, safe="")


def query_pairs(name: str, wire_name: str, value: object) -> list[tuple[str, str]]:
    """`value` as query parameters: a list repeats the name, null leaves it out."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [(wire_name, plain_text(name, item)) for item in value]
    return [(wire_name, plain_text(name, value))]


def query_text(pairs: Iterable[tuple[str, str]]) -> str:
    """A query string: everything but unreserved characters (RFC 3986, section 2.3) and slashes is
    percent-encoded."""
    return "&".join([f"{_encoded(name)}={_encoded(value)}" for name, value in pairs])


def repeated_text(name: str, texts: Sequence[str]) -> str:
    """As `query_text`, for one name with several values."""
    whole = "".join(texts)
    if not (whole.isascii() and whole.isalnum()):
        texts = [_encoded(text) for text in texts]
    start = f"{_encoded(name)}="
    return start + f"&{start}".join(texts)


def _encoded(text: str) -> str:
    return text if text.isascii() and text.isalnum() else quote(text)


def header_value(name: str, value: object) -> str:
    """`value` as a header's value: printable ASCII, so that it cannot start another header."""
    text = plain_text(name, value)
    if not _HEADER_VALUE.fullmatch(text) or text != text.strip():
        raise BadUserInput(f"The value of '{name}' has characters that a header may not hold.")
    return text


def plain_text(name: str, value: object) -> str:
    """A scalar as the text that goes on the wire."""
    is_whole = type(value) is int
    text = str(value) if is_whole else scalar_text(name, value)
    if len(text) > VALUE_CHARACTERS_MAX:
        raise BadUserInput(
            f"The value of '{name}' is longer than {VALUE_CHARACTERS_MAX} characters."
        )
    if not is_whole and _CONTROL.search(text):
        raise BadUserInput(f"The value of '{name}' may not hold control characters.")
    return text


def json_body(value: object) -> bytes:
    """A JSON body. Raises `BadUserInput` for a value that JSON cannot hold."""
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadUserInput("The body holds a value that JSON cannot express.") from error


def scalar_text(name: str, value: object) -> str:
    """A scalar as text, of any length. Raises `BadUserInput` for what is none."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return scalar_text(name, value.value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))  # JSON knows one number there, whether 7 or 7.0 is written
    if isinstance(value, (int, float, Decimal, UUID)):
        return str(value)
    raise BadUserInput(f"The value of '{name}' must be a single value, not {type(value).__name__}.")
