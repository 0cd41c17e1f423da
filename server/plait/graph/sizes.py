"""How large values are as JSON, roughly: the size of an answer's bytes is checked again."""

from typing import Any

NAME_BYTES = 4
"""What JSON puts around a name: two quotes, a colon and a comma."""
NUMBER_BYTES = 8
"""What a number or a boolean takes."""
_VALUE_DEPTH_MAX = 100


class UnshowableValue(TypeError):
    """A scalar's serializer returned something that is no JSON; its text may hold anything."""


def size_of(value: Any, depth: int = 0) -> int:
    """The size of a JSON value, roughly."""
    if isinstance(value, str):
        return len(value) + 2
    if value is None or isinstance(value, int | float):
        return NUMBER_BYTES
    if depth > _VALUE_DEPTH_MAX:
        raise UnshowableValue(f"A scalar's value nests more than {_VALUE_DEPTH_MAX} deep.")
    if isinstance(value, list | tuple):
        return 2 + sum(size_of(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return 2 + sum(
            len(name) + NAME_BYTES + size_of(item, depth + 1)
            for name, item in value.items()
            if _is_name(name)
        )
    raise UnshowableValue(f"A scalar was serialized as a {type(value).__name__}, not as JSON.")


def _is_name(name: object) -> bool:
    if isinstance(name, str):
        return True
    raise UnshowableValue(f"A scalar's object has a name that is a {type(name).__name__}.")
