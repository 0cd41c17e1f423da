"""What is legal on the wire is read; what leaves is what was meant."""

import asyncio
import codecs
import gzip
import json
from email.utils import formatdate
from typing import Any

import pytest

from plait.backend.call import Call, Origin, Reply
from plait.backend.client import Client
from plait.backend.decode import decoded, linked, next_page, page_call
from plait.backend.replies import retry_after_s
from plait.backend.spec import BackendSpec, EndpointSpec
from plait.backend.template import PathTemplate
from plait.clock import SystemClock
from plait.emit import Events
from plait.errors import BackendHttpError, BadBackendResponse
from plait.events import CallFinished
from plait.observe.logs import Log, LogObserver

SPEC = BackendSpec(name="b", url="http://b.test/v1", forward=("x-name",))
pytestmark = pytest.mark.usefixtures("every_wire")
ENDPOINT = EndpointSpec(backend=SPEC, method="GET", path=PathTemplate("/x"))
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"


def asked(reply: bytes, *, show_problem: bool = False, name: str = "") -> tuple[Reply, bytes]:
    """What a backend that sends these bytes answered, and the head of what it was sent."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply)
        await writer.drain()
        writer.close()

    async def main() -> Reply:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        spec = BackendSpec(
            name="b",
            url=f"http://127.0.0.1:{port}",
            timeout_s=2,
            forward=("x-name",),
            show_problem=show_problem,
        )
        client = Client(spec, clock=SystemClock(), events=Events())
        endpoint = EndpointSpec(backend=spec, method="GET", path=PathTemplate("/x"))
        origin = Origin(headers={"x-name": name} if name else {})
        try:
            return await client.call(Call(endpoint=endpoint, path="/x", origin=origin))
        finally:
            await client.close()
            server.close()

    return asyncio.run(main()), heads[0]


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_no_body_is_expected_where_there_is_none(status: bytes) -> None:
    head = b"HTTP/1.1 " + status + b"\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n"
    assert asked(head)[0].body == b""


def test_an_empty_success_may_call_itself_gzip() -> None:
    head = OK + b"content-encoding: gzip\r\ncontent-length: 0\r\n\r\n"
    assert asked(head)[0].body == b""


def test_gzip_may_have_several_members() -> None:
    packed = gzip.compress(b"[1,") + gzip.compress(b"2]")
    head = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    assert asked(head + packed)[0].body == b"[1,2]"


def test_a_forwarded_header_goes_on_byte_by_byte() -> None:
    _, head = asked(OK + b"content-length: 2\r\n\r\n{}", name="Zoë".encode().decode("latin-1"))
    assert b"x-name: " + "Zoë".encode() in head.lower().replace(b"zo", b"Zo")


@pytest.mark.parametrize(("shown", "told"), [(True, True), (False, False)])
def test_a_problem_document_is_told_where_the_endpoint_allows(shown: bool, told: bool) -> None:
    body = json.dumps({"title": "No credit.", "detail": "You have 3,\nit costs 5."}).encode()
    head = b"HTTP/1.1 403 Forbidden\r\ncontent-type: application/problem+json\r\n"
    with pytest.raises(BackendHttpError) as caught:
        asked(
            head + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body,
            show_problem=shown,
        )
    assert ("No credit.: You have 3, it costs 5" in str(caught.value)) is told
    assert caught.value.problem == "No credit.: You have 3, it costs 5."


def reply(body: bytes, content_type: str = "application/json", **headers: str) -> Reply:
    return Reply(status=200, headers={"content-type": content_type, **headers}, body=body)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"a":"ü"}'.encode(), "application/json"),
        (codecs.BOM_UTF8 + '{"a":"ü"}'.encode(), "application/json; charset=utf-8"),
        ('{"a":"ü"}'.encode("latin-1"), "application/json; charset=ISO-8859-1"),
        ('{"a":"ü"}'.encode("utf-16"), "application/json"),
        ('{"a":"ü"}'.encode("utf-16-be"), "application/json; charset=utf-16"),
    ],
)
def test_every_charset_that_is_told_or_shown_is_read(body: bytes, content_type: str) -> None:
    assert decoded(ENDPOINT, reply(body, content_type)) == {"a": "ü"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b'{"a":"\xff"}', "application/json"), (b"{}", "application/json; charset=klingon")],
)
def test_what_cannot_be_read_is_a_bad_reply(body: bytes, content_type: str) -> None:
    with pytest.raises(BadBackendResponse, match="not valid JSON"):
        decoded(ENDPOINT, reply(body, content_type))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        (formatdate(1_000_060, usegmt=True), 60),
        (formatdate(999_000, usegmt=True), 0),
        ("999999999999", 86_400),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": text}, 1_000_000) == seconds


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ('<https://a/x?page=2>; rel="next"', "https://a/x?page=2"),
        ("</x?page=2>; rel=next", "/x?page=2"),
        ('<a>; rel="prev", <b>; title="a, b"; rel="last next"', "b"),
        ('<a>; rel="nextish"', None),
        ("", None),
    ],
)
def test_links_are_read_by_their_relation(link: str, target: str | None) -> None:
    assert linked({"link": link}, "next") == target


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("?page=2", "/x", "page=2"),
        ("/v1/y?q=a%20b&e=", "/y", "q=a%20b&e="),
        ("http://b.test/v1/x%2Fy", "/x%2Fy", ""),
    ],
)
def test_a_further_page_is_asked_for_where_it_is(url: str, path: str, query: Any) -> None:
    call = page_call(Call(endpoint=ENDPOINT, path="/x"), url, "http://b.test/v1")
    assert (call.path, call.query) == (path, query)


@pytest.mark.parametrize(
    "url", ["http://evil.test/v1/x", "https://b.test/v1/x", "/v2/x", "http://b.test:1/v1/x", "//["]
)
def test_a_further_page_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(BadBackendResponse):
        page_call(Call(endpoint=ENDPOINT, path="/x"), url, "http://b.test/v1")


def test_a_declared_next_is_a_url_or_nothing() -> None:
    endpoint = EndpointSpec(
        backend=SPEC, method="GET", path=PathTemplate("/x"), next=("paging", "next")
    )
    assert next_page(endpoint, reply(b'{"paging": {"next": "/v1/x?p=2"}}')) == "/v1/x?p=2"
    assert next_page(endpoint, reply(b'{"paging": {"next": null}}')) is None
    assert next_page(endpoint, reply(b'{"paging": {"next": ""}}')) is None
    with pytest.raises(BadBackendResponse):
        next_page(endpoint, reply(b'{"paging": {"next": 2}}'))


@pytest.mark.parametrize(("level", "told"), [("debug", True), ("info", False)])
def test_a_problem_is_in_the_log_at_debug_alone(
    level: str, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    event = CallFinished(
        request_id="r1",
        trace_id="",
        backend="b",
        endpoint="GET /x",
        keys=1,
        http_status=403,
        error_code="BACKEND_HTTP_ERROR",
        attempts=1,
        duration_ms=1.0,
        problem="No credit for ada@example.com",
    )
    LogObserver(Log(level, "json"))(event)
    lines = capsys.readouterr().err.splitlines()
    assert any("No credit" in line for line in lines) is told
    assert "call" in json.loads(lines[-1])["event"]
