"""A connection shows every row of a backend's list once, in order, however its pages are named."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st

from plait import Backend, Connection, Graph, arg
from plait.errors import BadUserInput
from plait.graph.pages import Pages, cursor_pages, link_pages, offsets, page_numbers
from plait.testing import GraphTest, reply

SIZE_MAX = 7
Reply = tuple[Any, Mapping[str, str]]
Server = Callable[[list[int], dict[str, Any]], Reply]


def numbered(rows: list[int], values: dict[str, Any], first_page: int = 1) -> list[int]:
    size = values["page_size"]
    start = (values["page_cursor"] - first_page) * size
    assert 1 <= size <= SIZE_MAX
    return rows[start : start + size]


def offset(rows: list[int], values: dict[str, Any]) -> list[int]:
    start, size = values["page_cursor"], values["page_size"]
    assert 1 <= size <= SIZE_MAX
    return rows[start : start + size]


def by_cursor(rows: list[int], values: dict[str, Any]) -> tuple[list[int], int | None]:
    """A cursor is where a page starts; any size may be asked for."""
    start, size = int(values["page_cursor"] or 0), values["page_size"]
    end = start + size
    return rows[start:end], end if end < len(rows) else None


def by_page(rows: list[int], values: dict[str, Any]) -> tuple[list[int], int | None]:
    """A cursor is a page's number: it means something only in the size that it was made for."""
    page, size = int(values["page_cursor"] or 1), values["page_size"]
    start = (page - 1) * size
    return rows[start : start + size], page + 1 if start + size < len(rows) else None


def cursor_server(rows: list[int], values: dict[str, Any]) -> Reply:
    found, following = by_cursor(rows, values)
    return {"data": found, "next": following, "count": len(rows)}, {}


def link_server(rows: list[int], values: dict[str, Any]) -> Reply:
    found, following = by_page(rows, values)
    url = f'<https://b.test/x?a=1&page={following}>; rel="next"'
    return found, {"link": url if following else "", "x-total": str(len(rows))}


def body_link_server(rows: list[int], values: dict[str, Any]) -> Reply:
    found, following = by_page(rows, values)
    url = f"/x?page={following}" if following else None
    return {"data": found, "links": {"next": url}, "count": len(rows)}, {}


COUNTED: dict[str, Any] = {"size_max": SIZE_MAX}
FORMS: dict[str, tuple[Pages, Server]] = {
    "cursors": (
        cursor_pages(items="data", next="next", size_max=SIZE_MAX, total="count"),
        cursor_server,
    ),
    "links": (link_pages(cursor="page", size_max=SIZE_MAX, total_header="X-Total"), link_server),
    "links in the body": (
        link_pages(items="data", cursor="page", next="links.next", size_max=SIZE_MAX),
        body_link_server,
    ),
    "numbers": (page_numbers(**COUNTED), lambda rows, values: (numbered(rows, values), {})),
    "numbers from 0 with a total": (
        page_numbers(first_page=0, items="data", total="count", **COUNTED),
        lambda rows, values: ({"data": numbered(rows, values, 0), "count": len(rows)}, {}),
    ),
    "offsets": (offsets(**COUNTED), lambda rows, values: (offset(rows, values), {})),
    "offsets with a total in a header": (
        offsets(total_header="x-total", **COUNTED),
        lambda rows, values: (offset(rows, values), {"x-total": str(len(rows))}),
    ),
    "offsets with a word on more": (
        offsets(items="data", more="more", **COUNTED),
        lambda rows, values: (
            {
                "data": offset(rows, values),
                "more": values["page_cursor"] + values["page_size"] < len(rows),
            },
            {},
        ),
    ),
}


def page(form: Pages, server: Server, rows: list[int], first: int, after: str | None) -> Any:
    window = form.window(first, after)
    assert set(window.values) == {"page_cursor", "page_size"}
    return form.row(window, *server(rows, dict(window.values)))


@pytest.mark.parametrize("name", FORMS)
@given(count=st.integers(0, 30), sizes=st.lists(st.integers(1, SIZE_MAX), min_size=1, max_size=5))
def test_walking_a_list_shows_every_row_once(name: str, count: int, sizes: list[int]) -> None:
    form, server = FORMS[name]
    rows, seen, after = list(range(count)), list[int](), None
    # A page of numbered pages cannot always hold one row more than is wanted.
    is_exact = name.startswith("offsets") or name == "numbers from 0 with a total"
    for turn in range(4 * count + 2):
        first = sizes[turn % len(sizes)]
        found = page(form, server, rows, first, after)
        nodes, info = found["nodes"], found["pageInfo"]
        assert len(nodes) <= first
        assert [edge["node"] for edge in found["edges"]] == nodes
        assert info["hasPreviousPage"] is (turn > 0)
        assert info["startCursor"] == (found["edges"][0]["cursor"] if nodes else None)
        seen += nodes
        assert seen == rows[: len(seen)]
        if not info["hasNextPage"]:
            break
        assert info["endCursor"] is not None
        after = info["endCursor"]
        if first < SIZE_MAX and is_exact:
            assert len(seen) < count  # there is more, as it said
    assert seen == rows


@pytest.mark.parametrize("name", FORMS)
@given(count=st.integers(1, 12), first=st.integers(1, SIZE_MAX), place=st.integers(0, SIZE_MAX))
def test_every_edges_cursor_leads_to_what_follows_it(
    name: str, count: int, first: int, place: int
) -> None:
    form, server = FORMS[name]
    rows = list(range(count))
    edges = page(form, server, rows, first, None)["edges"]
    edge = edges[place % len(edges)]
    following = page(form, server, rows, 1, edge["cursor"])["nodes"]
    if following:
        assert following == rows[edge["node"] + 1 :][:1]
    else:
        # It was the last one of a page: what follows starts at the next.
        info = page(form, server, rows, 1, edge["cursor"])["pageInfo"]
        assert info["hasNextPage"] is (edge["node"] != rows[-1])
        assert not info["hasNextPage"] or info["endCursor"] is not None


@pytest.mark.parametrize(
    ("name", "total"),
    [("cursors", 5), ("links", 5), ("links in the body", None), ("numbers", None)],
)
def test_the_total_is_told_where_the_backend_tells_it(name: str, total: int | None) -> None:
    form, server = FORMS[name]
    assert page(form, server, list(range(5)), 2, None)["totalCount"] == total


@pytest.mark.parametrize("text", ["", "-1", "five", "٣", "1.5"])
def test_a_header_that_is_no_number_is_no_total(text: str) -> None:
    form = offsets(total_header="x-total", more="more")
    found = form.row(form.window(2, None), [1], {"x-total": text})
    assert found is not None
    assert found["totalCount"] is None


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "after", ["", "x", "bnVsbA", "LTE", "W251bGwsLTEsbnVsbF0", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ"]
)
def test_what_is_no_cursor_is_refused(name: str, after: str) -> None:
    # null, -1, [null, -1, null] and a number beyond all lists, as cursors are written
    with pytest.raises(BadUserInput, match="'after' is not a cursor of this list"):
        FORMS[name][0].window(1, after)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("first", [-1, SIZE_MAX + 1])
def test_more_than_a_page_holds_is_refused(name: str, first: int) -> None:
    with pytest.raises(BadUserInput, match=f"'first' must be between 0 and {SIZE_MAX}"):
        FORMS[name][0].window(first, None)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("body", [None, {}, {"data": None}, {"data": {}}, "text", 5])
def test_what_is_no_page_is_none(name: str, body: Any) -> None:
    form, _ = FORMS[name]
    assert form.row(form.window(2, None), body, {}) is None


@pytest.mark.parametrize("url", [5, True, "/x?other=2", ["/x?page=2"]])
def test_a_link_that_names_no_page_is_no_page(url: Any) -> None:
    form, _ = FORMS["links in the body"]
    assert form.row(form.window(2, None), {"data": [1], "links": {"next": url}}, {}) is None


def test_a_link_cannot_change_what_a_call_asks_for() -> None:
    form, _ = FORMS["links"]
    url = '<https://evil.test/admin?page=2&user_id=9>; rel="next"'
    found = form.row(form.window(1, None), [1], {"link": url})
    assert found is not None
    window = form.window(1, found["pageInfo"]["endCursor"])
    assert dict(window.values) == {"page_cursor": "2", "page_size": 1}


def test_pages_smaller_than_asked_for_are_no_pages() -> None:
    form, _ = FORMS["numbers"]
    more = {"link": '</x?page=2>; rel="next"'}
    assert form.row(form.window(5, None), [1, 2, 3], more) is None


# --- through the gateway

b = Backend("b", "http://b.test")
list_numbered = b.get("/numbered", pages=page_numbers(size_max=50), ttl_s=60)
list_linked = b.get("/linked/{kind}", pages=link_pages(cursor="page", total_header="X-Total"))
list_offset = b.get("/offset", query=("q",), pages=offsets(items="rows", total="n"))


@strawberry.type
class Row:
    id: int


@strawberry.type
class Query:
    numbered: Connection[Row] = list_numbered.connection()
    linked: Connection[Row] | None = list_linked.connection(kind=arg(str))
    offset: Connection[Row] = list_offset.connection(q=arg(str | None))

    @strawberry.field
    async def raw(self, info: strawberry.Info) -> int:
        return len(await list_numbered.load(info))


SHOWN = "{ nodes { id } edges { cursor } totalCount pageInfo { hasNextPage endCursor } }"


def rows(*ids: int) -> list[dict[str, int]]:
    return [{"id": one} for one in ids]


def test_numbered_pages_through_the_gateway() -> None:
    script = {
        "GET /numbered?page=1&per_page=3": rows(1, 2, 3),
        "GET /numbered?page=2&per_page=3": rows(4),
        "GET /numbered": rows(1, 2),
    }
    with GraphTest(Graph(query=Query), b=script) as test:
        first = test.ask(f"{{ numbered(first: 2) {SHOWN} }}")["data"]["numbered"]
        assert first["nodes"] == rows(1, 2)
        assert first["totalCount"] is None
        assert first["pageInfo"]["hasNextPage"] is True
        after = first["pageInfo"]["endCursor"]
        script["GET /numbered?page=2&per_page=2"] = rows(3, 4)
        script["GET /numbered?page=1&per_page=5"] = rows(1, 2, 3, 4)
        second = test.ask(f'{{ numbered(first: 2, after: "{after}") {SHOWN} }}')["data"]["numbered"]
        assert second["nodes"] == rows(3, 4)
        assert second["pageInfo"]["hasNextPage"] is False
        again = test.ask(f"{{ numbered(first: 2) {SHOWN} }}")["data"]["numbered"]
        assert again == first
        assert test.ask("{ raw }")["data"] == {"raw": 2}
    assert test.calls["b"] == [
        "GET /numbered?page=1&per_page=3",
        "GET /numbered?page=1&per_page=5",
        "GET /numbered",
    ]


def test_linked_pages_through_the_gateway() -> None:
    headers = {"Link": '<http://b.test/linked/a?page=2>; rel="next"', "X-Total": "3"}
    script = {
        "GET /linked/a?per_page=2": reply(rows(1, 2), headers=headers),
        "GET /linked/a?page=2&per_page=2": reply(rows(3), headers={"X-Total": "3"}),
        "GET /linked/none?per_page=20": reply(status=404),
    }
    with GraphTest(Graph(query=Query), b=script) as test:
        first = test.ask(f'{{ linked(kind: "a", first: 2) {SHOWN} }}')["data"]["linked"]
        assert (first["nodes"], first["totalCount"]) == (rows(1, 2), 3)
        after = first["pageInfo"]["endCursor"]
        asked = f'{{ linked(kind: "a", first: 2, after: "{after}") {SHOWN} }}'
        second = test.ask(asked)["data"]["linked"]
        assert second["nodes"] == rows(3)
        assert second["pageInfo"]["hasNextPage"] is False
        assert test.ask(f'{{ linked(kind: "none") {SHOWN} }}') == {"data": {"linked": None}}


def test_offsets_through_the_gateway() -> None:
    script = {
        "GET /offset?q=x&offset=0&limit=2": {"rows": rows(1, 2), "n": 3},
        "GET /offset?q=x&offset=2&limit=2": {"rows": rows(3), "n": 3},
    }
    with GraphTest(Graph(query=Query), b=script) as test:
        first = test.ask(f'{{ offset(q: "x", first: 2) {SHOWN} }}')["data"]["offset"]
        after = first["pageInfo"]["endCursor"]
        second = test.ask(f'{{ offset(q: "x", first: 2, after: "{after}") {SHOWN} }}')
    assert first["pageInfo"]["hasNextPage"] is True
    assert second["data"]["offset"]["nodes"] == rows(3)
    assert second["data"]["offset"]["pageInfo"]["hasNextPage"] is False
