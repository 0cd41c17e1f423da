"""From replies to rows: every way in which a body can be wrong, and who gets which row."""

from typing import Any

import pytest

from plait import Backend, by_ids, grouped
from plait.backend.call import Call, Reply
from plait.backend.decode import (
    batch_rows,
    decoded,
    linked,
    listed_rows,
    next_page,
    page_call,
    single_row,
    unwrapped,
)
from plait.backend.keys import key_of
from plait.backend.paths import property_of
from plait.backend.spec import EndpointSpec
from plait.errors import BadBackendResponse

b = Backend("b", "http://b.test")
CANNOT = "Backend 'b' sent a reply that cannot be used: "


def spec(path: str = "/rows/{id}", **options: Any) -> EndpointSpec:
    return b.get(path, **options).spec


PLAIN = spec()
ONE = spec(batch=by_ids("/rows", ids="ids"))
MANY = spec(batch=grouped("/rows", key="owner.id", ids="ids"))
LOOSE = spec(batch=by_ids("/rows", ids="ids", key_matches="ignore_case"))
PAIR = spec("/rows/{a}/{b}", batch=by_ids("/rows", ids="k", key={"a": "x", "b": "y"}))


def reply(body: bytes, content_type: str = "application/json", **headers: str) -> Reply:
    return Reply(status=200, headers={"content-type": content_type, **headers}, body=body)


@pytest.mark.parametrize(
    ("body", "content_type", "value"),
    [
        (b"", "application/json", None),
        (b"  \n", "application/json", None),
        (b'{"a":1}', "", {"a": 1}),
        (b' {"a":1} ', "application/json", {"a": 1}),
        (b"5", "application/json", 5),
        (b"null", "application/json", None),
        (b'\xef\xbb\xbf{"a":"\xc3\xbc"}', "application/json", {"a": "ü"}),
        (b'{"a":"\xc3\xbc"}', "application/json; charset=UTF-8", {"a": "ü"}),
        (b'{"a":"\xc3\xbc"}', 'application/json; charset="utf8"', {"a": "ü"}),
        (b'{"a":"\xfc"}', "application/json; charset=iso-8859-1", {"a": "ü"}),
        # The names of parameters do not depend on case.
        (b'{"a":"\x80"}', "application/json; Charset=windows-1252", {"a": "€"}),
        ('{"a":"ü"}'.encode("utf-16"), "application/json; charset=utf-16", {"a": "ü"}),
        ('{"a":"ü"}'.encode("utf-16-le"), "application/json", {"a": "ü"}),
        ('["ü"]'.encode("utf-32"), "application/json", ["ü"]),
    ],
)
def test_a_body_is_read_in_its_charset(body: bytes, content_type: str, value: Any) -> None:
    assert decoded(PLAIN, reply(body, content_type)) == value


@pytest.mark.parametrize(
    ("body", "content_type", "what"),
    [
        (b"{", "application/json", "the reply is not valid JSON"),
        (b"secret", "application/json", "the reply is not valid JSON"),
        (b'{"a":"\xfc"}', "application/json", "the reply is not valid JSON"),
        (b'{"a":1}', "application/json; charset=klingon", "the reply is not valid JSON"),
        (b"\n<html>secret", "text/html", "the reply is HTML"),
        (b"[" * 5_000, "application/json", "the reply is not valid JSON"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_without_any_of_it(
    body: bytes, content_type: str, what: str
) -> None:
    with pytest.raises(BadBackendResponse) as caught:
        decoded(PLAIN, reply(body, content_type))
    assert str(caught.value) == f"{CANNOT}{what}."
    assert (caught.value.backend, caught.value.endpoint) == ("b", "GET /rows/{id}")


def test_what_lies_below_unwrap_is_the_row() -> None:
    deep = spec(unwrap="data.row")
    assert single_row(deep, reply(b'{"data":{"row":{"a":1}}}')) == {"a": 1}
    assert single_row(deep, reply(b'{"data":{"row":null}}')) is None
    assert single_row(deep, reply(b"")) is None
    for body in (b"{}", b'{"data":null}', b'{"data":[]}', b"[]", b"5"):
        with pytest.raises(BadBackendResponse) as caught:
            single_row(deep, reply(body))
        assert str(caught.value) == f"{CANNOT}the reply has no property 'data.row'."
    assert unwrapped(deep, 5, ()) == 5


def test_a_batch_is_a_list_below_its_own_unwrap_or_the_endpoints() -> None:
    own = spec(unwrap="a", batch=by_ids("/rows", unwrap="b"))
    theirs = spec(unwrap="a", batch=by_ids("/rows"))
    bare = spec(unwrap="a", batch=by_ids("/rows", unwrap=""))
    body = reply(b'{"a":[1],"b":[2]}')
    assert own.batch is not None
    assert theirs.batch is not None
    assert bare.batch is not None
    assert listed_rows(own, own.batch, body) == [2]
    assert listed_rows(theirs, theirs.batch, body) == [1]
    assert listed_rows(bare, bare.batch, reply(b"[3]")) == [3]
    assert listed_rows(bare, bare.batch, reply(b"")) == []
    with pytest.raises(BadBackendResponse, match="the batch's reply is not a list of rows"):
        listed_rows(bare, bare.batch, body)


def found(endpoint: EndpointSpec, keys: list[Any], rows: list[Any]) -> Any:
    """What each key got, and how many rows nobody asked for; an error by its words."""
    asked = [key_of(endpoint, key if isinstance(key, dict) else {"id": key}) for key in keys]
    assert endpoint.batch is not None
    by_key, extra = batch_rows(endpoint, endpoint.batch, rows, asked)
    told = [by_key[key] for key in asked]
    return [str(one) if isinstance(one, BadBackendResponse) else one for one in told], extra


UPPER = "AAAAAAAA-0000-0000-0000-00000000000A"


@pytest.mark.parametrize(
    ("endpoint", "keys", "rows", "told"),
    [
        (ONE, [1, 2], [{"id": 2}, {"id": 1}], ([{"id": 1}, {"id": 2}], 0)),
        (ONE, ["1", 2], [{"id": "2"}, {"id": 1}], ([{"id": 1}, {"id": "2"}], 0)),
        (ONE, [1, 2], [{"id": 1.0}], ([{"id": 1.0}, None], 0)),
        (ONE, [1, 2], [None, {"id": 2}], ([None, {"id": 2}], 0)),
        (ONE, [1, 2], [], ([None, None], 0)),
        (ONE, [1, 2], [{"id": 1}, {"id": 9}, {"id": 8}], ([{"id": 1}, None], 2)),
        (ONE, [1, 2], [{"id": 9}], ([None, None], 1)),
        (ONE, [1, 2], [{"id": 1}, {"id": 1}], ([{"id": 1}, None], 0)),
        (ONE, ["true"], [{"id": True}], ([{"id": True}], 0)),
        (ONE, ["a", "B"], [{"id": "A"}, {"id": "B"}], ([None, {"id": "B"}], 1)),
        (LOOSE, ["a", "ß"], [{"id": "A"}, {"id": "SS"}], ([{"id": "A"}, {"id": "SS"}], 0)),
        (ONE, [UPPER], [{"id": UPPER.lower()}], ([{"id": UPPER.lower()}], 0)),
        (ONE, [UPPER.lower()], [{"id": UPPER}], ([{"id": UPPER}], 0)),
        (
            MANY,
            [1, 2],
            [{"owner": {"id": 1}, "n": 1}, {"owner": {"id": 1}, "n": 2}],
            ([[{"owner": {"id": 1}, "n": 1}, {"owner": {"id": 1}, "n": 2}], []], 0),
        ),
        (
            PAIR,
            [{"a": 1, "b": 2}, {"a": 2, "b": 1}],
            [{"x": "2", "y": 1}],
            ([None, {"x": "2", "y": 1}], 0),
        ),
    ],
)
def test_rows_find_back_to_their_keys(
    endpoint: EndpointSpec, keys: Any, rows: Any, told: Any
) -> None:
    assert found(endpoint, keys, rows) == told


def test_rows_that_contradict_each_other_fail_their_key_alone() -> None:
    rows = [{"id": 1, "n": 1}, {"id": 1, "n": 2}, {"id": 2}]
    (first, second), _ = found(ONE, [1, 2], rows)
    assert first == f"{CANNOT}the batch holds several different rows for one key."
    assert second == {"id": 2}


@pytest.mark.parametrize("row", [{}, {"id": None}, {"id": []}, {"id": {}}, "text", 5, []])
def test_a_row_that_tells_no_key_may_have_been_anybodys(row: Any) -> None:
    (first, second), extra = found(ONE, [1, 2], [{"id": 1}, row])
    assert first == {"id": 1}
    assert second == (
        f"{CANNOT}a row of the batch GET /rows has no 'id' to tell its key by: "
        "name the property in key=...."
    )
    assert extra == 0


def test_the_keys_of_a_pair_are_both_named() -> None:
    (only,), _ = found(PAIR, [{"a": 1, "b": 2}], [{"x": 1}])
    assert "has no 'x' and 'y' to tell its key by" in only


def test_as_many_rows_as_were_asked_for_and_none_of_them_wanted_is_an_error() -> None:
    for rows in ([{"id": 8}, {"id": 9}], [{"id": 7}, {"id": 8}, {"id": 9}]):
        with pytest.raises(BadBackendResponse) as caught:
            found(ONE, [1, 2], rows)
        assert str(caught.value) == (
            f"{CANNOT}no row of the batch GET /rows?ids= has one of the keys asked for as 'id'."
        )


# --- pages


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("", None),
        ('<http://a/2>; rel="next"', "http://a/2"),
        ("<http://a/2>; rel=next", "http://a/2"),
        ('<http://a/2>; REL="Next"', "http://a/2"),
        ('<http://a/1>; rel="prev", <http://a/2>; rel="next"', "http://a/2"),
        ('<http://a/2>; title="x, y"; rel="last next"', "http://a/2"),
        ('<http://a/2>; rel="nextish"', None),
        ('</2?a=1,2>;rel="next"', "/2?a=1,2"),
        ("http://a/2; rel=next", None),
    ],
)
def test_the_next_page_is_where_its_link_says(link: str, target: str | None) -> None:
    assert linked({"link": link}, "next") == target
    assert next_page(PLAIN, reply(b"[]", link=link)) == target


@pytest.mark.parametrize(
    ("body", "url"),
    [
        (b'{"p":{"n":"/2"}}', "/2"),
        (b'{"p":{"n":null}}', None),
        (b'{"p":{"n":""}}', None),
        (b'{"p":{"n":false}}', None),
        (b"{}", None),
        (b"[]", None),
    ],
)
def test_the_next_page_is_where_the_body_says(body: bytes, url: str | None) -> None:
    endpoint = spec(next="p.n")
    assert next_page(endpoint, reply(body, link='</other>; rel="next"')) == url


@pytest.mark.parametrize("body", [b'{"p":{"n":5}}', b'{"p":{"n":true}}', b'{"p":{"n":["/2"]}}'])
def test_what_is_no_url_is_no_next_page(body: bytes) -> None:
    with pytest.raises(BadBackendResponse) as caught:
        next_page(spec(next="p.n"), reply(body))
    assert str(caught.value) == f"{CANNOT}'p.n' is no URL of a next page."


@pytest.mark.parametrize(
    ("base", "url", "path", "query"),
    [
        ("http://b.test", "http://b.test/rows?page=2", "/rows", "page=2"),
        ("http://b.test/", "/rows?page=2&page=3", "/rows", "page=2&page=3"),
        ("http://b.test/v1", "http://b.test/v1/rows?a=", "/rows", "a="),
        ("http://b.test/v1/", "/v1/more", "/more", ""),
        ("http://b.test", "?page=2", "/now", "page=2"),
        ("http://b.test", "next", "/next", ""),
        ("http://b.test:80", "http://b.test:80/x", "/x", ""),
        ("http://b.test", "/a b/ü%20c", "/a%20b/%C3%BC%20c", ""),
    ],
)
def test_a_page_below_the_base_is_called(base: str, url: str, path: str, query: Any) -> None:
    call = Call(endpoint=PLAIN, path="/now", query="old=1", headers=(("h", "1"),))
    made = page_call(call, url, base)
    assert (made.path, made.query) == (path, query)
    assert (made.endpoint, made.headers, made.method) == (PLAIN, (("h", "1"),), "GET")


@pytest.mark.parametrize(
    "url",
    [
        "https://b.test/v1/rows",
        "http://c.test/v1/rows",
        "http://b.test:8080/v1/rows",
        "http://b.test/v2/rows",
        "http://b.test/v1",
        "//evil.test/v1/rows",
    ],
)
def test_a_page_at_another_place_is_not_called(url: str) -> None:
    with pytest.raises(BadBackendResponse) as caught:
        page_call(Call(endpoint=PLAIN, path="/now"), url, "http://b.test/v1")
    assert str(caught.value) == f"{CANNOT}its next page is at another place."


def test_a_page_without_a_valid_address_is_not_called() -> None:
    with pytest.raises(BadBackendResponse) as caught:
        page_call(Call(endpoint=PLAIN, path="/now"), "http://[b", "http://b.test")
    assert str(caught.value) == f"{CANNOT}its next page has no valid address."


@pytest.mark.parametrize(
    ("row", "path", "value"),
    [
        ({"a": {"b": 1}}, ("a", "b"), 1),
        ({"a": {"b": 1}}, ("a",), {"b": 1}),
        ({"a": 1}, ("a", "b"), None),
        ({"a": None}, ("a", "b"), None),
        ([], ("a",), None),
        (5, (), 5),
    ],
)
def test_a_property_that_is_not_there_is_null(row: Any, path: Any, value: Any) -> None:
    assert property_of(row, path) == value
