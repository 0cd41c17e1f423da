"""Where in a document's text an error's nodes stand. Pure."""

import re
from bisect import bisect_left

from graphql import GraphQLError

from plait.query.answered import FieldError

_LINE_END = re.compile(r"\r\n|[\n\r]")


def line_ends(text: str) -> list[int]:
    """The position after each line end of `text`."""
    return [match.end() for match in _LINE_END.finditer(text)]


def places(error: GraphQLError | FieldError, ends: list[int]) -> list[dict[str, int]]:
    """Where an error's nodes stand: line and column, from 1."""
    found: list[dict[str, int]] = []
    for position in error.positions or ():
        line = bisect_left(ends, position + 1)
        start = ends[line - 1] if line else 0
        found.append({"line": line + 1, "column": position - start + 1})
    return found
