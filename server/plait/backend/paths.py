"""Paths into JSON: how an author writes them, and what stands there.

`price.amount` is the property `amount` of the property `price`. A backslash takes a dot, or another
backslash, as part of a name: `geo\\.lat` is one property.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]
"""Names of properties, outermost first."""


def parsed_path(text: str) -> Path:
    """The path that `text` writes; of an empty text none."""
    if "\\" not in text:
        return tuple(text.split(".")) if text else ()
    names = [""]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            names[-1] += next(characters, character)
        elif character == ".":
            names.append("")
        else:
            names[-1] += character
    return tuple(names)


def path_text(path: Path) -> str:
    """`path` as an author would write it."""
    return ".".join(name.replace("\\", "\\\\").replace(".", "\\.") for name in path)


def property_of(row: Any, path: Path) -> Any:
    """The value at `path` through objects alone, `None` when any part of it is missing."""
    for name in path:
        if not isinstance(row, dict):
            return None
        row = row.get(name)
    return row


def value_at(row: Any, path: Path) -> Any:
    """The value at `path`, `None` where there is none. Below a list it is the list of what its
    items have there, in order; what they have as lists is joined to one."""
    for place, name in enumerate(path):
        if type(row) is list:
            return joined(value_at(item, path[place:]) for item in row)
        if not isinstance(row, dict):
            return None
        row = row.get(name)
    return row


def value_that_is_at(row: Any, path: Path) -> Any:
    """As `value_at`. Raises `LookupError` where there is none."""
    if is_absent(row, path):
        raise LookupError(path)
    return value_at(row, path)


def is_absent(row: Any, path: Path) -> bool:
    """Whether a row lacks the property at `path`, which is not the same as null. A list lacks what
    each of its items lacks."""
    for place, name in enumerate(path):
        if row is None:
            return False
        if type(row) is list:
            return bool(row) and all(is_absent(item, path[place:]) for item in row)
        if not isinstance(row, dict) or name not in row:
            return True
        row = row[name]
    return False


def holder_of(row: Any, path: Path) -> dict[str, Any]:
    """The innermost object on the way to what is absent."""
    holder: dict[str, Any] = {}
    for name in path:
        if type(row) is list:
            row = next((item for item in row if isinstance(item, dict)), None)
        if not isinstance(row, dict):
            break
        holder, row = row, row.get(name)
    return holder


def joined(values: Iterable[Any]) -> list[Any]:
    """One list of values, and of the items of those that are lists."""
    found: list[Any] = []
    for value in values:
        if type(value) is list:
            found += value
        else:
            found.append(value)
    return found
