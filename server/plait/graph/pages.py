"""Relay connections over a backend's cursor pages.

A backend's cursor names the start of a page. An edge's cursor therefore is that cursor and the
edge's place in the page: asking for what comes after it asks for the same page and skips what is
known, in one call. The last edge of a page carries the next page's cursor, so plain forward paging
never fetches a row twice.
"""

import base64
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import strawberry

from plait.backend.split import property_of
from plait.errors import BadUserInput

T = TypeVar("T")


@strawberry.type(description="Where a page stands in the whole list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follows.")
    has_previous_page: bool = strawberry.field(description="Whether something came before.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge.")
    end_cursor: str | None = strawberry.field(description="Pass it as `after` to get what follows.")


@strawberry.type(description="One item of a list, with its place.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Pass it as `after` to get what follows this item.")
    node: T = strawberry.field(description="The item itself.")


@strawberry.type(description="A part of a list.")
class Connection(Generic[T]):
    """The type of a field made by `endpoint.connection(...)`: `products: Connection[Product]`."""

    edges: list[Edge[T]] = strawberry.field(description="The items, each with its cursor.")
    nodes: list[T] = strawberry.field(description="The items alone.")
    page_info: PageInfo = strawberry.field(description="Where this part stands in the whole list.")
    total_count: int | None = strawberry.field(description="How many there are, if it is known.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorPages:
    """A backend's cursor pages. Made by `cursor_pages`."""

    items: tuple[str, ...]
    next: tuple[str, ...]
    cursor: str
    size: str
    size_max: int
    total: tuple[str, ...]

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters that paging adds to an endpoint."""
        return {"page_cursor": self.cursor, "page_size": self.size}


def cursor_pages(
    *,
    items: str,
    next: str,
    cursor: str = "cursor",
    size: str = "limit",
    size_max: int = 100,
    total: str = "",
) -> CursorPages:
    """Pages that name their successor.

    `items`, `next` and `total` are paths in the reply: to the rows, to the next page's cursor and
    to the count of all rows. `cursor` and `size` are query parameters; `size_max` bounds the
    argument `first`.
    """
    return CursorPages(
        items=_path(items),
        next=_path(next),
        cursor=cursor,
        size=size,
        size_max=size_max,
        total=_path(total),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of which page a connection field wants."""

    first: int
    cursor: str | None
    skip: int

    @property
    def values(self) -> dict[str, Any]:
        """The paging parameters' values."""
        return {"page_cursor": self.cursor, "page_size": max(1, self.first + self.skip)}


FIRST_DEFAULT = 20


def window_of(pages: CursorPages, first: int | None, after: str | None) -> Window:
    """The page to ask for. Raises `BadUserInput` for a `first` or `after` that cannot be."""
    first = FIRST_DEFAULT if first is None else first
    if not 0 <= first <= pages.size_max:
        raise BadUserInput(f"'first' must be between 0 and {pages.size_max}.")
    cursor, skip = _decoded(after) if after is not None else (None, 0)
    if first + skip > pages.size_max:
        raise BadUserInput(f"'first' must be at most {pages.size_max - skip} after this cursor.")
    return Window(first=first, cursor=cursor, skip=skip)


def connection_row(pages: CursorPages, window: Window, reply: Any) -> dict[str, Any] | None:
    """The reply's page as a row of `Connection`; `None` when it is no page."""
    items, following = property_of(reply, pages.items), property_of(reply, pages.next)
    if following is False or following == "":
        following = None  # ways to say that nothing follows
    if not isinstance(items, list) or not isinstance(following, str | int | None):
        return None
    if following is True or (following is not None and str(following) == window.cursor):
        return None  # a page that follows itself has no end
    shown = items[window.skip : window.skip + window.first]
    is_last = window.skip + len(shown) >= len(items)
    edges = [
        {"cursor": _encoded(window.cursor, window.skip + place + 1), "node": node}
        for place, node in enumerate(shown)
    ]
    if edges and is_last and following is not None:
        edges[-1]["cursor"] = _encoded(str(following), 0)
    end = edges[-1]["cursor"] if edges else None
    if following is not None and not items:
        end = _encoded(str(following), 0)  # an empty page need not be the last one
    info = {
        "hasNextPage": following is not None or not is_last,
        "hasPreviousPage": window.cursor is not None or window.skip > 0,
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": end,
    }
    total = property_of(reply, pages.total) if pages.total else None
    return {"edges": edges, "nodes": shown, "pageInfo": info, "totalCount": total}


def _encoded(cursor: str | None, skip: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([cursor, skip])).decode().rstrip("=")


def _decoded(after: str) -> tuple[str | None, int]:
    try:
        raw = base64.urlsafe_b64decode(after + "=" * (-len(after) % 4))
        cursor, skip = msgspec.json.decode(raw, type=tuple[str | None, int])
    except (ValueError, msgspec.DecodeError):
        raise BadUserInput("'after' is not a cursor of this list.") from None
    if skip < 0:
        raise BadUserInput("'after' is not a cursor of this list.")
    return cursor, skip


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")) if text else ()
