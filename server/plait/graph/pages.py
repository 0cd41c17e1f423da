"""Relay connections over a backend's pages.

A backend's page starts somewhere: at a cursor of its own, or at a position in the list. A cursor
of ours says where an item stands, so that asking for what comes after it is one call again:

- Where pages name their successor, it is the page's cursor and the item's place in that page. The
  last edge of a page carries the next page's cursor, so that plain forward paging never fetches a
  row twice.
- Where pages are numbered, or start at an offset, it is the position in the whole list.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
import strawberry

from plait.backend.decode import linked
from plait.backend.paths import parsed_path, property_of
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


FIRST_DEFAULT = 20
POSITION_MAX = 2**53
"""The last position that JSON's numbers hold exactly everywhere."""

ConnectionRow: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of which page a connection field wants."""

    first: int
    skip: int
    """How many of the page's items come before."""
    values: Mapping[str, Any]
    """The paging parameters' values."""
    cursor: str | None = None
    """The page's own cursor, where pages have one."""
    position: int = 0
    """Where the window starts in the whole list, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages(ABC):
    """How a backend's list comes in pages."""

    items: tuple[str, ...]
    cursor: str
    size: str
    size_max: int
    total: tuple[str, ...]
    total_header: str

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters that paging adds to an endpoint."""
        return {"page_cursor": self.cursor, "page_size": self.size}

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that are read of a reply."""
        return ("link", *((self.total_header,) if self.total_header else ()))

    def window(self, first: int | None, after: str | None) -> Window:
        """The page to ask for. Raises `BadUserInput` for a `first` or `after` that cannot be."""
        first = FIRST_DEFAULT if first is None else first
        if not 0 <= first <= self.size_max:
            raise BadUserInput(f"'first' must be between 0 and {self.size_max}.")
        return self._window(first, after)

    @abstractmethod
    def _window(self, first: int, after: str | None) -> Window: ...

    @abstractmethod
    def row(self, window: Window, body: Any, headers: Mapping[str, str]) -> ConnectionRow | None:
        """The reply's page as a row of `Connection`; `None` when it is no page."""

    def items_of(self, body: Any) -> list[Any] | None:
        """The page's rows, where it has any."""
        items = property_of(body, self.items) if self.items else body
        return items if isinstance(items, list) else None

    def total_of(self, body: Any, headers: Mapping[str, str]) -> Any:
        """How many rows the whole list has, as far as the reply says it."""
        if self.total:
            return property_of(body, self.total)
        text = headers.get(self.total_header, "")
        return int(text) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorPages(Pages):
    """Made by `cursor_pages` and `link_pages`."""

    next: tuple[str, ...]
    is_link: bool
    """Whether the successor is named by its URL."""

    def _window(self, first: int, after: str | None) -> Window:
        cursor, skip, size = _cursor_of(after) if after is not None else (None, 0, None)
        # A page that its backend counts by its size must be asked for in that size again.
        size = min(max(1, first + skip if size is None else size), self.size_max)
        values = {"page_cursor": cursor, "page_size": size}
        return Window(first=first, skip=skip, values=values, cursor=cursor)

    def row(self, window: Window, body: Any, headers: Mapping[str, str]) -> ConnectionRow | None:
        """See `Pages`."""
        items, following = self.items_of(body), self._following(body, headers)
        if items is None or following is _NONE_TOLD:
            return None
        if following is not None and following == window.cursor:
            return None  # a page that follows itself has no end
        size = window.values["page_size"] if self.is_link else None
        shown = items[window.skip : window.skip + window.first]
        is_last = window.skip + len(shown) >= len(items)
        cursors = [
            _encoded([window.cursor, window.skip + place + 1, size]) for place in range(len(shown))
        ]
        if following is not None and is_last:
            # Even where none of this page is shown: an empty page need not be the last one.
            cursors[-1:] = [_encoded([following, 0, size])]
        return _row(
            shown,
            cursors[: len(shown)],
            end=cursors[-1] if cursors else None,
            has_next=following is not None or not is_last,
            has_previous=window.cursor is not None or window.skip > 0,
            total=self.total_of(body, headers),
        )

    def _following(self, body: Any, headers: Mapping[str, str]) -> Any:
        """The next page's cursor; `None` where nothing follows."""
        if not self.is_link or self.next:
            told = property_of(body, self.next)
        else:
            told = linked(headers, "next")
        if told is None or told is False or told == "":
            return None  # ways to say that nothing follows
        if self.is_link:
            query = urlsplit(told).query if isinstance(told, str) else ""
            return parse_qs(query).get(self.cursor, [_NONE_TOLD])[0]
        return str(told) if isinstance(told, str | int) and told is not True else _NONE_TOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedPages(Pages):
    """Made by `page_numbers` and `offsets`: pages that start at a position in the list."""

    more: tuple[str, ...]
    first_page: int | None
    """The number of the first page; `None` where a page is named by its offset."""

    def _window(self, first: int, after: str | None) -> Window:
        position = _position_of(after) if after is not None else 0
        # Without a word on what follows, one item beyond the window tells it.
        wanted = first if self._tells_more or first == self.size_max else first + 1
        if self.first_page is None:
            values = {"page_cursor": position, "page_size": max(1, wanted)}
            return Window(first=first, skip=0, values=values, position=position)
        size = self._size_for(position, max(1, wanted)) or self._size_for(position, max(1, first))
        size = size or self.size_max
        page = self.first_page + position // size
        values = {"page_cursor": page, "page_size": size}
        return Window(first=first, skip=position % size, values=values, position=position)

    @property
    def _tells_more(self) -> bool:
        return bool(self.total or self.total_header or self.more)

    def _size_for(self, position: int, wanted: int) -> int | None:
        """The smallest size in which all that is wanted lies within one page."""
        return next(
            (
                size
                for size in range(wanted, self.size_max + 1)
                if position // size == (position + wanted - 1) // size
            ),
            None,
        )

    def row(self, window: Window, body: Any, headers: Mapping[str, str]) -> ConnectionRow | None:
        """See `Pages`."""
        items = self.items_of(body)
        if items is None:
            return None
        if len(items) < window.values["page_size"] and linked(headers, "next"):
            return None  # its pages are smaller than was asked for: rows would be missed
        items = items[: window.values["page_size"]]
        shown = items[window.skip : window.skip + window.first]
        total = self.total_of(body, headers)
        end = window.position + len(shown)
        cursors = [_encoded(window.position + place + 1) for place in range(len(shown))]
        return _row(
            shown,
            cursors,
            end=cursors[-1] if cursors else None,
            has_next=self._has_next(window, items, shown, end, total, body),
            has_previous=window.position > 0,
            total=total,
        )

    def _has_next(
        self,
        window: Window,
        items: Sequence[Any],
        shown: Sequence[Any],
        end: int,
        total: Any,
        body: Any,
    ) -> bool:
        if window.skip + len(shown) < len(items):
            return True
        if isinstance(total, int):
            return end < total and bool(shown or window.first == 0)
        if self.more:
            return bool(property_of(body, self.more))
        # A page that is not full is the last one.
        return bool(len(items) >= window.values["page_size"])


def cursor_pages(
    *,
    items: str,
    next: str,
    cursor: str = "cursor",
    size: str = "limit",
    size_max: int = 100,
    total: str = "",
    total_header: str = "",
) -> CursorPages:
    """Pages that name their successor by a cursor.

    `items`, `next` and `total` are paths in the reply: to the rows, to the next page's cursor and
    to the count of all rows, which the header `total_header` may have instead. `cursor` and `size`
    are query parameters; `size_max` bounds the argument `first`.
    """
    return CursorPages(
        items=parsed_path(items),
        next=parsed_path(next),
        cursor=cursor,
        size=size,
        size_max=size_max,
        total=parsed_path(total),
        total_header=total_header.lower(),
        is_link=False,
    )


def link_pages(
    *,
    cursor: str,
    items: str = "",
    next: str = "",
    size: str = "per_page",
    size_max: int = 100,
    total: str = "",
    total_header: str = "",
) -> CursorPages:
    """Pages that name their successor by its URL: in the header `Link` (RFC 8288) with
    `rel="next"`, or at the path `next` in the body.

    `cursor` is the query parameter of that URL which tells the pages apart, such as `page`. Nothing
    else of the URL is used: what a call asks for stays what the graph says. The rest is as for
    `cursor_pages`; without `items` the reply is the list itself.
    """
    made = cursor_pages(
        items=items,
        next=next,
        cursor=cursor,
        size=size,
        size_max=size_max,
        total=total,
        total_header=total_header,
    )
    return replace(made, is_link=True)


def page_numbers(
    *,
    items: str = "",
    page: str = "page",
    size: str = "per_page",
    size_max: int = 100,
    first_page: int = 1,
    total: str = "",
    total_header: str = "",
    more: str = "",
) -> CountedPages:
    """Pages with numbers, `?page=2&per_page=20`, the first of them `first_page`.

    `items` is the path in the reply to the rows [the reply itself]. Whether something follows is
    told by the count of all rows (at the path `total`, or in the header `total_header`), or by the
    property `more`; without these, by asking for one row beyond the last. Where no page can hold
    that one too, a full page counts as followed by more.
    """
    return CountedPages(
        items=parsed_path(items),
        cursor=page,
        size=size,
        size_max=size_max,
        first_page=first_page,
        total=parsed_path(total),
        total_header=total_header.lower(),
        more=parsed_path(more),
    )


def offsets(
    *,
    items: str = "",
    offset: str = "offset",
    size: str = "limit",
    size_max: int = 100,
    total: str = "",
    total_header: str = "",
    more: str = "",
) -> CountedPages:
    """Pages that start after so many rows, `?offset=40&limit=20`. The rest is as for
    `page_numbers`."""
    made = page_numbers(
        items=items,
        page=offset,
        size=size,
        size_max=size_max,
        total=total,
        total_header=total_header,
        more=more,
    )
    return replace(made, first_page=None)


_NONE_TOLD: Any = object()
"""What says which page follows is nothing that could."""


def _row(
    nodes: list[Any],
    cursors: Sequence[str],
    *,
    end: str | None,
    has_next: bool,
    has_previous: bool,
    total: Any,
) -> ConnectionRow:
    edges = [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)]
    info = {
        "hasNextPage": has_next,
        "hasPreviousPage": has_previous,
        "startCursor": cursors[0] if cursors else None,
        "endCursor": end,
    }
    return {"edges": edges, "nodes": nodes, "pageInfo": info, "totalCount": total}


def _encoded(place: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _cursor_of(after: str) -> tuple[str | None, int, int | None]:
    cursor, skip, size = _decoded(after, tuple[str | None, int, int | None])
    if skip < 0:
        raise _no_cursor()
    return cursor, skip, size


def _position_of(after: str) -> int:
    position: int = _decoded(after, int)
    if not 0 <= position <= POSITION_MAX:
        raise _no_cursor()
    return position


def _decoded(after: str, type_: Any) -> Any:
    try:
        raw = base64.urlsafe_b64decode(after + "=" * (-len(after) % 4))
        return msgspec.json.decode(raw, type=type_)
    except (ValueError, msgspec.DecodeError):
        raise _no_cursor() from None


def _no_cursor() -> BadUserInput:
    return BadUserInput("'after' is not a cursor of this list.")
