"""What a request and its answer are over HTTP, as tables: media types, statuses, bodies, ids."""

import hashlib
from typing import Any

import pytest

from plait.edge.body import HttpError, body_of_query, decoded_body
from plait.edge.graphiql import Asset
from plait.edge.http import send_asset
from plait.edge.identity import caller_of, request_id_of, traceparent_of
from plait.edge.negotiate import media_type_of, status_of
from plait.heads import joined
from plait.query.answer import Answer, Executed, Refused

OURS, PLAIN = "application/graphql-response+json", "application/json"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", PLAIN),
        ("", PLAIN),
        ("application/*", PLAIN),
        ("application/json", PLAIN),
        ("text/html", PLAIN),
        (OURS, OURS),
        (OURS.upper(), OURS),
        (f"{OURS}, application/json", OURS),
        (f"application/json, {OURS}", PLAIN),
        (f"application/json;q=0.9, {OURS}", OURS),
        (f"{OURS};q=0.5, application/json;q=0.6", PLAIN),
        (f"{OURS}; charset=utf-8; q=0.7, */*;q=0.1", OURS),
        (f"{OURS};q=0, application/json;q=0.1", PLAIN),
        (f"{OURS};q=nonsense, application/json;q=0.1", PLAIN),
        (f"{OURS};q=5, application/json", OURS),
        (f"{OURS};q=-1, */*", PLAIN),
        ("image/png, application/json;q=0.2", PLAIN),
    ],
)
def test_the_media_type_is_what_the_client_likes_best(accept: str, chosen: str) -> None:
    assert media_type_of(accept) == chosen


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "text/plain, image/*"])
def test_a_client_that_takes_none_of_ours_is_told_what_there_is(accept: str) -> None:
    with pytest.raises(HttpError) as caught:
        media_type_of(accept)
    assert caught.value.status == 406
    assert caught.value.message == ("Accept application/graphql-response+json or application/json.")


@pytest.mark.parametrize(
    ("made", "plain", "ours"),
    [
        (Executed(body=b""), 200, 200),
        (Executed(body=b"", status=503), 200, 503),
        (Refused(body=b"", codes=()), 200, 400),
        (Refused(body=b"", codes=(), status=422), 200, 422),
        (Refused(body=b"", codes=(), status=405, always=True), 405, 405),
    ],
)
def test_the_status_of_an_answer(made: Answer, plain: int, ours: int) -> None:
    assert status_of(made, "application/json") == plain
    assert status_of(made, "application/graphql-response+json") == ours


def test_a_get_is_a_request_too() -> None:
    body = body_of_query(b"query=%7B+a+%7D&variables=%7B%22x%22%3A1%7D&operationName=O")
    assert (body.query, body.variables, body.operation_name) == ("{ a }", {"x": 1}, "O")
    body = body_of_query(b"query=%7Ba%7D")
    assert (body.query, body.variables, body.operation_name) == ("{a}", None, None)
    assert body_of_query(b"query=a&query=b").query == "a"


@pytest.mark.parametrize(
    "query",
    [
        b"query",
        b"query=a&variables=5",
        b"query=a&variables={",
        b"query=a&extensions=[]",
        b"query=\xff",
        b"&".join(b"a%d=1" % n for n in range(11)),
    ],
)
def test_a_query_string_that_cannot_be_read(query: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        body_of_query(query)
    assert (caught.value.status, caught.value.message) == (
        400,
        "The query string cannot be read.",
    )


@pytest.mark.parametrize("query", [b"", b"a=1", b"extensions=%7B%22other%22%3A1%7D"])
def test_a_get_without_a_query(query: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        body_of_query(query)
    wanted = "A GET needs the parameter 'query'; or POST JSON with a 'query'."
    assert (caught.value.status, caught.value.message) == (400, wanted)


def test_a_post_is_json() -> None:
    body = decoded_body(b'{"query":"{a}","variables":{"x":1.50},"operationName":"O","more":1}')
    assert (body.query, body.operation_name) == ("{a}", "O")
    assert str((body.variables or {})["x"]) == "1.50"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The body is not valid JSON in UTF-8."),
        (b"", "The body is not valid JSON in UTF-8."),
        (b'{"query":"\xff"}', "The body is not valid JSON in UTF-8."),
        (b'{"variables":{"a":' + b"[" * 5_000, "The body is not valid JSON in UTF-8."),
        (b"{}", "The body is not a GraphQL request: it has no 'query'."),
        (b'{"query":null}', "The body is not a GraphQL request: it has no 'query'."),
    ],
)
def test_a_post_that_is_no_request(body: bytes, message: str) -> None:
    with pytest.raises(HttpError) as caught:
        decoded_body(body)
    assert (caught.value.status, caught.value.message) == (400, message)


@pytest.mark.parametrize("body", [b"[]", b'{"query":5}', b'{"query":"a","variables":[]}'])
def test_a_post_of_another_shape_names_it(body: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        decoded_body(body)
    assert caught.value.status == 400
    assert caught.value.message.startswith("The body is not a GraphQL request: Expected ")
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize(
    "read",
    [
        lambda: decoded_body(b'{"extensions":{"persistedQuery":{"version":1}}}'),
        lambda: body_of_query(b"extensions=%7B%22persistedQuery%22%3A%7B%7D%7D"),
    ],
)
def test_a_hash_instead_of_a_query_is_told_in_the_words_that_clients_know(read: Any) -> None:
    with pytest.raises(HttpError) as caught:
        read()
    assert (caught.value.status, caught.value.message, caught.value.code) == (
        200,
        "PersistedQueryNotSupported",
        "PERSISTED_QUERY_NOT_SUPPORTED",
    )


def test_a_header_that_comes_twice_is_joined() -> None:
    pairs = [(b"a", b"1"), (b"b", b"\xfc"), (b"a", b"2")]
    assert joined(pairs) == {"a": "1, 2", "b": "ü"}


async def sent(asset: Asset, headers: dict[str, str]) -> tuple[int, dict[bytes, bytes], bytes]:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await send_asset(asset, headers, send)
    start, body = messages
    assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
    return start["status"], dict(start["headers"]), body["body"]


def test_a_file_is_sent_as_the_client_takes_it() -> None:
    import asyncio

    asset = Asset(
        content_type="text/css", body=b"body", gzip=b"gz", headers=(("etag", '"1"'), ("x", "y"))
    )
    plain = asyncio.run(sent(asset, {}))
    assert plain == (
        200,
        {
            b"content-type": b"text/css; charset=utf-8",
            b"content-length": b"4",
            b"etag": b'"1"',
            b"x": b"y",
            b"vary": b"accept-encoding",
        },
        b"body",
    )
    status, headers, body = asyncio.run(sent(asset, {"accept-encoding": "br, gzip"}))
    assert (status, body, headers[b"content-encoding"]) == (200, b"gz", b"gzip")
    assert (headers[b"content-length"], headers[b"vary"]) == (b"2", b"accept-encoding")
    status, headers, body = asyncio.run(sent(asset, {"if-none-match": '"1"'}))
    assert (status, body, headers[b"etag"]) == (304, b"", b'"1"')
    assert asyncio.run(sent(asset, {"if-none-match": '"2"'}))[0] == 200
    bare = Asset(content_type="image/png; charset=binary", body=b"", gzip=b"", headers=())
    status, headers, _ = asyncio.run(sent(bare, {"if-none-match": '"1"'}))
    assert (status, headers[b"content-type"]) == (200, b"image/png; charset=binary")


# --- who asks

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("given", ["a", "A-1_2.3:4", "x" * 128])
def test_a_request_keeps_its_id(given: str) -> None:
    assert request_id_of({"x-request-id": given}) == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\n", "ü", "a;b"])
def test_an_id_that_may_not_go_into_logs_is_replaced(given: str) -> None:
    made = request_id_of({"x-request-id": given})
    assert made != given
    assert len(made) == 32
    assert request_id_of({}) != request_id_of({})


def test_a_trace_goes_on_or_begins() -> None:
    assert traceparent_of({"traceparent": TRACE}) == TRACE
    for wrong in (
        "",
        "ff" + TRACE[2:],
        TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        TRACE.replace("b7ad6b7169203331", "0" * 16),
        TRACE.upper(),
        TRACE + "-x",
    ):
        made = traceparent_of({"traceparent": wrong})
        assert made != wrong
        assert made.startswith("00-")
        assert made.endswith("-01")
        assert traceparent_of({"traceparent": made}) == made


def test_the_caller_is_a_digest_of_the_credentials() -> None:
    one, other = caller_of({"authorization": "Bearer a"}), caller_of({"authorization": "Bearer b"})
    assert caller_of({}) == caller_of({"authorization": ""}) == ""
    assert len({one, other, ""}) == 3
    assert len(one) == 32
    assert "Bearer" not in one
    assert one == hashlib.sha256(b"Bearer a").hexdigest()[:32]  # as it stands in ledgers


def test_a_credential_that_the_graph_forwards_tells_callers_apart() -> None:
    forwarded = frozenset({"cookie", "x-api-key", "accept-language"})
    callers = [
        caller_of(headers, forwarded=forwarded)
        for headers in (
            {"cookie": "a"},
            {"cookie": "b"},
            {"cookie": "b", "authorization": ""},
            {"cookie": "b", "authorization": "b"},
            {"authorization": "b"},
            {"x-api-key": "b"},
            {"cookie": "b", "x-api-key": "b"},
            {"accept-language": "de"},
        )
    ]
    assert callers[1] == callers[2]
    assert callers[-1] == ""
    assert len(set(callers)) == 7
    assert caller_of({"cookie": "a"}) == ""


def test_the_graphs_own_word_on_who_asks_goes_first() -> None:
    headers = {"authorization": "a", "x-user": "anna"}
    by_user = caller_of(headers, caller=lambda found: found.get("x-user"))
    assert by_user == caller_of({"x-user": "anna"}, caller=lambda found: found.get("x-user"))
    assert len(by_user) == 32
    assert by_user != caller_of({"authorization": "anna"})
    for nobody in (None, ""):
        assert caller_of(headers, caller=lambda _, nobody=nobody: nobody) == ""
