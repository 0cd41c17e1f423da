"""How large a request's variables may be, beside their bytes: no value is looked at for its meaning
before its size is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plait.errors import OperationTooCostly

VALUE_DEPTH_MAX = 50
"""How deep lists and objects of one value may nest, in variables and in the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableLimits:
    """The most that values may hold."""

    depth: int = VALUE_DEPTH_MAX
    list_items: int = 2_000
    """Items of one list."""


def variables_error(
    variables: Mapping[str, Any] | None, limits: VariableLimits
) -> OperationTooCostly | None:
    """Why the variables are too much, if they are. Looks at each value once, without recursion."""
    level: list[Any] = list(variables.values()) if variables else []
    for _ in range(limits.depth):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                if len(value) > limits.list_items:
                    return list_error(len(value), limits)
                below.extend(value)
        if not below:
            return None
        level = below
    if any(isinstance(value, (dict, list)) for value in level):
        return depth_error(limits)
    return None


def list_error(count: int, limits: VariableLimits) -> OperationTooCostly:
    """The error of a list of `count` items."""
    return OperationTooCostly(
        f"A list has {count} items, and {limits.list_items} are allowed. Ask for less at once.",
        limit="request_list_items_max",
        value=limits.list_items,
    )


def depth_error(limits: VariableLimits) -> OperationTooCostly:
    """The error of a value that nests too deeply."""
    return OperationTooCostly(
        f"A value nests more than the {limits.depth} lists and objects that are allowed.",
        limit="value_depth",
        value=limits.depth,
    )
