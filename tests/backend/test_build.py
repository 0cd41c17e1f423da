"""From values to calls: what one key asks for, and what several ask for together."""

from typing import Any

import pytest

from plait import Backend, by_ids, grouped
from plait.backend.call import Origin
from plait.backend.encode import batch_call, single_call
from plait.backend.identity import endpoint_identity, row_key, server_identity
from plait.backend.keys import Key, Keys, key_of, key_told, why_alone
from plait.backend.spec import EndpointSpec
from plait.backend.template import json_body
from plait.errors import BadUserInput

b = Backend("b", "http://b.test")
ORIGIN = Origin(request_id="r")


def spec(path: str = "/rows/{id}", **options: Any) -> EndpointSpec:
    return b.get(path, **options).spec


PLAIN = spec(query={"q": "Q", "r": "R"}, headers={"h": "X-H"}, constants={"c": "1"})
REPEATED = spec(batch=by_ids("/rows", ids="ids"), query=("q",))
JOINED = spec(batch=by_ids("/rows", ids="ids", joined=True))
BODY = spec(batch=by_ids("/rows/find", body="ids"))
BARE = spec(batch=by_ids("/rows/find", body=""))
NUMBERS = spec(batch=by_ids("/rows/find", body="ids", id_type=int))
TEXTS = spec(batch=by_ids("/rows/find", body="ids", id_type=str))
COMPOSITE = spec("/rows/{a}/{b}", batch=by_ids("/rows", ids="k", key={"a": "x", "b": "y"}))
COMPOSITE_BODY = spec("/rows/{a}/{b}", batch=by_ids("/find", body="k", key={"a": "x", "b": "y"}))
BELOW = spec("/teams/{team}/rows/{id}", batch=by_ids("/teams/{team}/rows", ids="id"))
LOOKUP = b.lookup(by_ids("/rows", ids="ids", joined=True)).spec


def test_a_single_call_has_every_value_in_its_place() -> None:
    call = single_call(PLAIN, {"id": "a b", "q": [1, 2], "h": "x"}, ORIGIN)
    assert (call.method, call.path, call.body) == ("GET", "/rows/a%20b", None)
    assert call.query == "c=1&Q=1&Q=2"
    assert call.headers == (("X-H", "x"),)
    assert call.origin is ORIGIN
    assert (call.key_count, call.template) == (1, "")


def test_what_is_null_is_left_out() -> None:
    call = single_call(PLAIN, {"id": 1, "q": None, "r": "", "h": None}, ORIGIN)
    assert call.query == "c=1&R="
    assert call.headers == ()


def test_a_body_is_json() -> None:
    write = b.post("/rows/{id}").spec
    call = single_call(write, {"id": 1, "body": {"a": None}}, ORIGIN)
    assert (call.method, call.body) == ("POST", b'{"a":null}')
    assert single_call(write, {"id": 1, "body": None}, ORIGIN).body == b"null"
    assert single_call(write, {"id": 1}, ORIGIN).body is None
    assert single_call(b.delete("/rows/{id}").spec, {"id": 1}, ORIGIN).body is None
    with pytest.raises(BadUserInput) as caught:
        json_body({1: object()})
    assert str(caught.value) == "The body holds a value that JSON cannot express."


@pytest.mark.parametrize(
    ("endpoint", "values", "method", "path", "query", "body"),
    [
        (REPEATED, {}, "GET", "/rows", "ids=1&ids=2", None),
        (REPEATED, {"q": 5}, "GET", "/rows", "q=5&ids=1&ids=2", None),
        (JOINED, {}, "GET", "/rows", "ids=1%2C2", None),
        (BODY, {}, "POST", "/rows/find", "", b'{"ids":[1,"2"]}'),
        (BARE, {}, "POST", "/rows/find", "", b'[1,"2"]'),
        (NUMBERS, {}, "POST", "/rows/find", "", b'{"ids":[1,2]}'),
        (TEXTS, {}, "POST", "/rows/find", "", b'{"ids":["1","2"]}'),
        (BELOW, {"team": "t 1"}, "GET", "/teams/t%201/rows", "id=1&id=2", None),
    ],
)
def test_several_keys_are_one_call(
    endpoint: EndpointSpec, values: Any, method: str, path: str, query: Any, body: Any
) -> None:
    assert endpoint.batch is not None
    keys = Keys(endpoint)
    keys.add_column(values, "id", [1, "2", 1, "1", 3])
    assert len(keys) == 3
    call = batch_call(endpoint.batch, keys, list(keys.values)[:2], ORIGIN)
    assert (call.method, call.path, call.query, call.body) == (method, path, query, body)
    assert call.key_count == 2
    assert call.template == endpoint.batch.label
    assert call.origin is ORIGIN


def keys_of(endpoint: EndpointSpec, each: list[dict[str, Any]]) -> tuple[Keys, list[Key]]:
    keys = Keys(endpoint)
    return keys, [keys.add(values) for values in each]


def test_a_composite_key_is_joined_in_a_query_and_an_object_in_a_body() -> None:
    pairs = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert COMPOSITE.batch is not None
    call = batch_call(COMPOSITE.batch, *keys_of(COMPOSITE, pairs), ORIGIN)
    assert call.query == "k=1%3Ax&k=2%3Ay"
    assert COMPOSITE_BODY.batch is not None
    call = batch_call(COMPOSITE_BODY.batch, *keys_of(COMPOSITE_BODY, pairs), ORIGIN)
    assert call.body == b'{"k":[{"a":1,"b":"x"},{"a":2,"b":"y"}]}'


def test_keys_are_equal_when_the_backend_could_not_tell_them_apart() -> None:
    one = key_of(REPEATED, {"id": 7})
    assert one == key_of(REPEATED, {"id": "7"})
    assert one == key_of(REPEATED, {"id": 7.0, "q": None})
    assert one != key_of(REPEATED, {"id": "07"})
    assert one != key_of(REPEATED, {"id": 7, "q": 1})
    assert key_of(REPEATED, {"id": None}) != key_of(REPEATED, {"id": "null"})
    assert key_of(REPEATED, {"id": [1]}) != key_of(REPEATED, {"id": "[1]"})
    assert key_of(PLAIN, {"id": 1, "q": "x"}) != key_of(PLAIN, {"id": 1, "r": "x"})
    both = {"id": 1, "q": "x", "r": "y"}
    assert key_of(PLAIN, both) == ("", "1", "x", "y", "\x00")
    assert key_told(key_of(PLAIN, both)) == "1, x, y, nothing"


def test_a_column_asks_for_what_each_of_its_values_would() -> None:
    for column in ([5, 3, 5], ["5", 3, "a b"], []):
        for values in ({}, {"q": "x"}, {"q": None}):
            of_column, one_by_one = Keys(REPEATED), Keys(REPEATED)
            told = of_column.add_column(values, "id", column)
            assert told == [one_by_one.add({**values, "id": one}) for one in column]
            assert of_column.values == one_by_one.values
            assert [of_column.of(key) for key in told] == [one_by_one.of(key) for key in told]
    in_path = Keys(PLAIN)
    first, second = in_path.add_column({"q": "x"}, "id", [1, 2])
    assert in_path.of(first) == {"id": 1, "q": "x"}  # what was not given is not there
    assert in_path.of(second) == {"id": 2, "q": "x"}


def test_keys_of_several_batches_keep_what_each_shares() -> None:
    keys, (a, b_, again) = keys_of(
        REPEATED, [{"id": 1, "q": "x"}, {"id": 1, "q": "y"}, {"id": "1", "q": "x"}]
    )
    assert a == again
    assert [keys.of(one) for one in keys.values] == [{"id": 1, "q": "x"}, {"id": 1, "q": "y"}]
    some = Keys(REPEATED)
    some.take(b_, keys)
    assert [some.of(one) for one in some.values] == [{"id": 1, "q": "y"}]


@pytest.mark.parametrize(
    ("endpoint", "values", "alone"),
    [
        (JOINED, {"id": "a,b"}, True),
        (JOINED, {"id": "a"}, False),
        (REPEATED, {"id": "a,b"}, False),
        (NUMBERS, {"id": "abc"}, True),
        (NUMBERS, {"id": "07"}, True),
        (NUMBERS, {"id": "-7"}, False),
        (NUMBERS, {"id": "-0"}, False),
        (NUMBERS, {"id": "1.5"}, True),
        (NUMBERS, {"id": "1" * 101}, False),
        (NUMBERS, {"id": "1" * 102}, True),
        (TEXTS, {"id": "abc"}, False),
        (COMPOSITE, {"a": "x:y", "b": 1}, True),
        (COMPOSITE, {"a": 1, "b": "x:y"}, True),
        (COMPOSITE_BODY, {"a": "x:y", "b": 1}, False),
        (PLAIN, {"id": "a,b"}, False),
        (REPEATED, {"id": ["a"]}, True),
        (TEXTS, {"id": {"a": 1}}, True),
    ],
)
def test_a_key_that_cannot_stand_among_others_goes_alone(
    endpoint: EndpointSpec, values: Any, alone: bool
) -> None:
    key, batch = key_of(endpoint, values), endpoint.batch
    assert (batch is not None and why_alone(batch, key) is not None) is alone


def test_a_key_that_can_go_no_other_way_is_refused() -> None:
    with pytest.raises(BadUserInput) as caught:
        key_of(LOOKUP, {"id": "a,b"})
    wanted = "An id with a comma cannot be asked for in a comma-joined list."
    assert str(caught.value) == wanted
    numbers = b.lookup(by_ids("/find", body="ids", id_type=int)).spec
    with pytest.raises(BadUserInput, match="The value of 'id' must be a whole number"):
        key_of(numbers, {"id": "abc"})
    composite = b.lookup(by_ids("/find", ids="k", key={"a": "x", "b": "y"})).spec
    with pytest.raises(BadUserInput, match="A part of a key may not hold ':'"):
        key_of(composite, {"a": "1:2", "b": "3"})


SERVER = server_identity("b", "http://b.test", {"a": "1"})
SAME: dict[str, Any] = {"query": {"q": "Q"}, "constants": {"c": "1"}, "headers": {"h": "H"}}


@pytest.mark.parametrize(
    "other",
    [
        {"query": {"q": "R"}},
        {"constants": {"c": "2"}},
        {"constants": {}},
        {"headers": {"h": "J"}},
        {"unwrap": "data"},
        {"none_on": (410,)},
        {"ttl_s": 5},
        {"cache": False},
        {"timeout_s": 1},
        {"reply_bytes_max": 5},
        {"next": "n"},
        {"pages_max": 2},
        {"batch": by_ids("/rows")},
        {"batch": grouped("/rows", key="id")},
        {"path": "/other/{id}"},
    ],
)
def test_endpoints_that_send_or_read_otherwise_are_others(other: dict[str, Any]) -> None:
    path = other.get("path", "/rows/{id}")
    other = {name: value for name, value in other.items() if name != "path"}
    same, made = spec(**SAME), spec(path, **{**SAME, **other})
    assert endpoint_identity(same, SERVER) == endpoint_identity(spec(**SAME), SERVER)
    assert endpoint_identity(same, SERVER) != endpoint_identity(made, SERVER)


@pytest.mark.parametrize(
    "options",
    [
        {"ids": "j"},
        {"joined": True},
        {"body": "ids"},
        {"unwrap": "data"},
        {"size": 5},
        {"separator": "-"},
        {"key_matches": "ignore_case"},
        {"id_type": int},
        {"key": "other"},
    ],
)
def test_batches_that_ask_or_match_otherwise_are_others(options: dict[str, Any]) -> None:
    plain = endpoint_identity(spec(batch=by_ids("/rows", ids="i")), SERVER)
    made = spec(batch=by_ids("/rows", **{"ids": "i", **options}))
    assert endpoint_identity(made, SERVER) != plain


def test_another_name_or_place_or_other_headers_are_another_server() -> None:
    assert server_identity("b", "http://b.test", {"a": "1", "b": "2"}) == server_identity(
        "b", "http://b.test", {"b": "2", "a": "1"}
    )
    others = [
        server_identity("c", "http://b.test", {"a": "1"}),
        server_identity("b", "http://c.test", {"a": "1"}),
        server_identity("b", "http://b.test", {"a": "2"}),
        server_identity("b", "http://b.test", {}),
    ]
    assert len({SERVER, *others}) == 5
    assert endpoint_identity(PLAIN, SERVER) != endpoint_identity(PLAIN, others[0])


def test_another_callers_row_is_another() -> None:
    key = key_of(PLAIN, {"id": 1})
    keys = {
        row_key(("e", ()), key),
        row_key(("e", (("authorization", "a"),)), key),
        row_key(("e", (("authorization", "b"),)), key),
        row_key(("f", ()), key),
        row_key(("e", ()), key_of(PLAIN, {"id": 2})),
    }
    assert len(keys) == 5
