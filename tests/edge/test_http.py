"""One request over HTTP, from its bytes to its answer, its headers and its line in the log."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from plait.clock import TestClock
from plait.edge.graphiql import Asset
from plait.edge.http import GraphQLEndpoint
from plait.emit import Events
from plait.errors import BadUserInput, LedgerUnavailable
from plait.events import FieldFailed, RequestFinished
from plait.query.answer import Executed
from plait.query.done import Done, Request

pytestmark = pytest.mark.sources  # it hands in an executor of its own
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
JSON = {"content-type": "application/json", "x-request-id": "r1", "traceparent": TRACE}
PAGE = Asset(content_type="text/html", body=b"<page>", gzip=b"gz", headers=())
STYLE = Asset(content_type="text/css", body=b"style", gzip=b"gz", headers=(("etag", '"1"'),))


class Executor:
    """Answers what it is given, and keeps what it was asked."""

    def __init__(self, done: Done, clock: TestClock) -> None:
        self.done = done
        self.sharing = None
        self.asked: list[Request] = []
        self.hangs = False
        self.was_given_up = False
        self.defect: Exception | None = None
        self._clock = clock

    def begin(self, request: Request, then: Callable[[Any], object]) -> "Executor":
        self.asked.append(request)
        if not self.hangs:
            self._clock.advance(0.25)
            then(self)
        return self

    def leave(self) -> None:
        self.was_given_up = True


def done(**more: Any) -> Done:
    given: dict[str, Any] = {
        "body": b'{"data":{}}',
        "codes": ("A", "B"),
        **more,
    }
    return Done(
        answer=Executed(**given), name="Named", kind="query", calls=3, executed_by="compiled"
    )


class Sent:
    """What the endpoint sent, and what it told."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.messages: list[Any] = []
        self.events: list[Any] = []

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        assert [one["type"] for one in self.messages] == [
            "http.response.start",
            "http.response.body",
        ]
        return bytes(self.messages[1]["body"])

    @property
    def error(self) -> Any:
        (error,) = json.loads(self.body)["errors"]
        return error


def ask(
    *pieces: bytes,
    method: str = "POST",
    path: str = "/graphql",
    query_string: bytes = b"",
    answer: Done | None = None,
    leaves: bool = False,
    hangs: bool = False,
    graphiql: bool = True,
    caller_of: Callable[[Mapping[str, str]], str] | None = None,
    limit: int = 100,
    root: str = "",
    **headers: str,
) -> Sent:
    clock = TestClock()
    made = Sent(Executor(answer or done(), clock))
    made.executor.hangs = hangs
    named = {name.replace("_", "-"): value for name, value in {**JSON, **headers}.items()}
    waiting: list[Any] = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
        for number, piece in enumerate(pieces)
    ]
    if leaves:
        waiting.append({"type": "http.disconnect"})

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        made.messages.append(message)

    options: dict[str, Any] = {"caller_of": caller_of} if caller_of else {}
    endpoint = GraphQLEndpoint(
        clock=clock,
        events=Events(made.events.append),
        body_bytes_max=limit,
        pages=(lambda mounted: PAGE if mounted == root else STYLE) if graphiql else None,
        assets={"style.css": STYLE},
        **options,
    )
    endpoint.shared.executor = made.executor  # type: ignore[assignment]
    scope = {
        "type": "http",
        "method": method,
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "query_string": query_string,
        "root_path": root,
    }
    asyncio.run(endpoint(scope, path, receive, send))
    return made


def test_a_post_is_answered_with_what_the_operation_made() -> None:
    sent = ask(
        b'{"query":"{a}","variables":{"x":1},',
        b'"operationName":"O"}',
        authorization="Bearer a",
        idempotency_key="k",
    )
    assert (sent.status, sent.body) == (200, b'{"data":{}}')
    assert sent.headers == {
        "content-type": "application/json; charset=utf-8",
        "content-length": "11",
        "server-timing": 'total;dur=250.0, calls;desc="3"',
        "x-request-id": "r1",
    }
    (request,) = sent.executor.asked
    assert (request.query, request.variables, request.operation_name) == ("{a}", {"x": 1}, "O")
    assert (request.idempotency_key, request.only_queries) == ("k", False)
    assert len(request.caller) == 32
    origin = request.origin
    assert (origin.request_id, origin.traceparent) == ("r1", TRACE)
    assert origin.headers["authorization"] == "Bearer a"
    assert sent.events == [
        RequestFinished(
            request_id="r1",
            trace_id="a" * 32,
            operation="Named",
            kind="query",
            http_status=200,
            error_codes=("A", "B"),
            calls=3,
            duration_ms=250.0,
            executed_by="compiled",
        )
    ]


def test_a_get_may_only_query() -> None:
    sent = ask(method="GET", query_string=b"query=%7Ba%7D", accept="application/json")
    assert sent.status == 200
    assert (sent.executor.asked[0].query, sent.executor.asked[0].only_queries) == ("{a}", True)
    assert sent.executor.asked[0].idempotency_key is None


def test_an_answer_says_what_else_there_is_to_say() -> None:
    made = done(replayed=True, retry_after_s=1.2, status=503)
    sent = ask(b'{"query":"{a}"}', answer=made, accept="application/graphql-response+json")
    assert sent.status == 503
    assert sent.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    assert (sent.headers["idempotent-replayed"], sent.headers["retry-after"]) == ("true", "2")


REQUEST = b'{"query":"{a}"}'


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"method": "PUT"}, 405, "GraphQL is asked with GET or POST."),
        (
            {"content_type": "text/plain"},
            415,
            "Send the request as JSON, with 'Content-Type: application/json'.",
        ),
        (
            {"content_type": ""},
            415,
            "Send the request as JSON, with 'Content-Type: application/json'.",
        ),
        ({"content_type": "application/json; charset=latin-1"}, 415, "JSON is sent in UTF-8."),
        (
            {"content_encoding": "gzip"},
            415,
            "Compressed request bodies are not read: send it as it is.",
        ),
        ({"content_length": "101"}, 413, "A request body may have at most 100 bytes."),
        ({"content_length": "9" * 30}, 413, "A request body may have at most 100 bytes."),
        ({"limit": 14}, 413, "A request body may have at most 14 bytes."),
        (
            {"accept": "image/png"},
            406,
            "Accept application/graphql-response+json or application/json.",
        ),
    ],
)
def test_a_request_that_is_none_is_refused(
    options: dict[str, Any], status: int, message: str
) -> None:
    sent = ask(REQUEST, **options)
    assert sent.status == status
    assert sent.error == {
        "message": message,
        "extensions": {"code": "BAD_REQUEST", "request_id": "r1"},
    }
    assert sent.executor.asked == []
    assert sent.headers["x-request-id"] == "r1"
    assert sent.headers.get("allow") == ("GET, POST" if status == 405 else None)
    (event,) = sent.events
    assert (event.http_status, event.error_codes, event.kind) == (status, ("BAD_REQUEST",), "none")
    assert (event.operation, event.calls, event.cancelled) == (None, 0, False)


@pytest.mark.parametrize(
    "options",
    [
        {"content_type": "Application/JSON; Charset=UTF-8"},
        {"content_type": "application/json ; charset=utf-8"},
        {"content_encoding": "identity"},
        {"content_length": "100"},
        {"content_length": "many"},
        {"limit": 15},
        {"accept": "*/*"},
    ],
)
def test_a_request_at_the_edge_of_what_is_allowed_is_taken(options: dict[str, Any]) -> None:
    assert ask(REQUEST, **options).status == 200


def test_a_hash_instead_of_a_document_has_its_own_code_in_the_log_too() -> None:
    sent = ask(b'{"extensions":{"persistedQuery":{"version":1}}}')
    assert sent.status == 200
    assert sent.error["extensions"]["code"] == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert sent.events[0].error_codes == ("PERSISTED_QUERY_NOT_SUPPORTED",)


def test_a_client_that_leaves_is_told_in_the_log_and_gives_its_operation_up() -> None:
    for pieces, hangs in (((REQUEST,), True), ((), False)):
        sent = ask(*pieces, leaves=True, hangs=hangs)
        assert sent.messages == []
        (event,) = sent.events
        assert (event.http_status, event.cancelled) == (499, True)
        assert (event.error_codes, event.kind, event.trace_id) == ((), "none", "a" * 32)
        assert sent.executor.was_given_up is hangs


def refuse(error: Exception) -> Callable[[Mapping[str, str]], str]:
    def caller(_: Mapping[str, str]) -> str:
        raise error

    return caller


def test_the_graphs_word_on_who_asks_may_refuse_and_may_fail() -> None:
    sent = ask(REQUEST, caller_of=lambda headers: f"by {headers['x-request-id']}")
    assert sent.executor.asked[0].caller == "by r1"
    for error, status in ((BadUserInput("Nobody."), 400), (LedgerUnavailable("Nobody."), 503)):
        sent = ask(REQUEST, caller_of=refuse(error))
        assert (sent.status, sent.error["message"]) == (status, "Nobody.")
        assert sent.error["extensions"] == {"code": error.code, "request_id": "r1"}
        assert sent.events[0].error_codes == (error.code,)
    defect = RuntimeError("secret")
    sent = ask(REQUEST, caller_of=refuse(defect))
    assert (sent.status, sent.error["extensions"]["code"]) == (500, "INTERNAL_ERROR")
    assert sent.error["message"] == (
        "Something went wrong here. The log tells more, under the request id."
    )
    failed, finished = sent.events
    assert failed == FieldFailed(request_id="r1", path="caller", error=defect)
    assert (finished.http_status, finished.error_codes) == (500, ("INTERNAL_ERROR",))


# --- pages and files


@pytest.mark.parametrize(
    ("options", "is_page"),
    [
        ({"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, True),
        ({"accept": "text/html", "root": "/api"}, True),
        ({"accept": "text/html", "query_string": b"query=%7Ba%7D"}, True),
        ({"accept": "text/html", "graphiql": False, "query_string": b"query=%7Ba%7D"}, False),
        ({"accept": "application/json", "query_string": b"query=%7Ba%7D"}, False),
        ({"query_string": b"query=%7Ba%7D"}, False),
    ],
)
def test_a_browser_gets_the_page(options: dict[str, Any], is_page: bool) -> None:
    sent = ask(method="GET", **options)
    assert sent.status == 200
    assert (sent.body == b"<page>") is is_page


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_is_found_by_its_name(method: str) -> None:
    sent = ask(method=method, path="/graphql/assets/style.css", accept_encoding="gzip")
    assert (sent.status, sent.body) == (200, b"gz")
    assert ask(method=method, path="/graphql/assets/a/style.css").body == b"style"
    sent = ask(method=method, path="/graphql/assets/style.css", if_none_match='"1"')
    assert sent.status == 304


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/graphql/assets/none.css"), ("POST", "/graphql/assets/style.css")],
)
def test_a_file_that_there_is_not(method: str, path: str) -> None:
    sent = ask(method=method, path=path)
    assert (sent.status, sent.body) == (404, b"There is no such file.")
    assert sent.headers["content-type"] == "text/plain; charset=utf-8"
