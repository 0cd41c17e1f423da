"""/graphql over HTTP, as a raw ASGI app that stands ahead of FastAPI's router.

It follows the GraphQL-over-HTTP specification: POST with JSON, GET for queries, and the media types
`application/json` (200 whenever GraphQL could answer) and `application/graphql-response+json` (a
status that tells whether there is data). A POST must say that its body is JSON: a foreign page
cannot send that unasked.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs

import msgspec
from msgspec.structs import replace

from plait.backend.call import Origin
from plait.backend.numbers import number
from plait.clock import Clock
from plait.edge.graphiql import Asset
from plait.edge.identity import caller_of, request_id_of, traceparent_of
from plait.errors import PlaitError
from plait.events import Events, FieldFailed, RequestFinished
from plait.query.context import WARNINGS_HEADER
from plait.query.direct import Direct
from plait.query.done import Done, Request
from plait.query.execute import EXPLAIN_HEADER, Executor
from plait.query.sharing import Sharing

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
MediaType: TypeAlias = Literal["application/json", "application/graphql-response+json"]


class GraphQLBody(msgspec.Struct, rename="camel"):
    """The body of a POST, as the specification has it."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class HttpError(Exception):
    """A request that is no GraphQL request."""

    status: int
    message: str
    code: str = "BAD_REQUEST"
    headers: tuple[tuple[bytes, bytes], ...] = ()


CLIENT_LEFT = 499
"""What logs have as the status of a request whose client left before it was answered."""


class Disconnected(Exception):
    """The client has gone."""


_decode_body = msgspec.json.Decoder(GraphQLBody, float_hook=number).decode
_decode_variables = msgspec.json.Decoder(dict[str, Any], float_hook=number).decode


class GraphQLEndpoint:
    """Answers /graphql and, for browsers, GraphiQL and its files below it."""

    def __init__(
        self,
        executor: Callable[[], Executor],
        *,
        clock: Clock,
        events: Events,
        body_bytes_max: int,
        pages: Callable[[str], Asset] | None,
        assets: Mapping[str, Asset],
        caller_of: Callable[[Mapping[str, str]], str] = caller_of,
        forwarded: Iterable[str] = (),
    ) -> None:
        self._forwarded = tuple(sorted(set(forwarded)))
        self._caller_of = caller_of
        self._executor = executor
        self._clock = clock
        self._events = events
        self._body_bytes_max = body_bytes_max
        self._pages = pages
        self._assets = assets

    async def __call__(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        """Answer a request for `path`, which is the scope's without what the app is mounted at."""
        headers = headers_of(scope["headers"])
        if path.startswith("/graphql/assets/"):
            await self._asset(path.rpartition("/")[2], headers, scope["method"], send)
        elif self._pages and scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            # A browser; with `?query=` too, which the page opens as a tab.
            await send_asset(self._pages(scope.get("root_path", "")), headers, send)
        else:
            await self._graphql(scope, headers, receive, send)

    async def _asset(self, name: str, headers: Mapping[str, str], method: str, send: Send) -> None:
        asset = self._assets.get(name)
        if asset is None or method not in ("GET", "HEAD"):
            await _send(send, 404, "text/plain", b"There is no such file.")
        else:
            await send_asset(asset, headers, send)

    async def _graphql(
        self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        start = self._clock.now()
        request_id = request_id_of(headers)
        traceparent = traceparent_of(headers)
        media: MediaType = "application/json"
        extra: tuple[tuple[bytes, bytes], ...] = ()
        done: Done | None = None
        codes: tuple[str, ...] = ()
        try:
            media = media_type_of(headers.get("accept", "*/*"))
            raw = await self._raw(scope, headers, receive)
            caller = self._caller(headers, request_id)
            executor = self._executor()
            share = self._share_key(scope, headers, raw, caller) if executor.sharing else None
            found = await _shared(executor.sharing, share)
            if isinstance(found, Done):
                done = found
            else:
                is_get = scope["method"] == "GET"
                body = body_of_query(raw) if is_get else decoded_body(raw)
                request = _request(body, scope, headers, request_id, traceparent, caller)
                request = replace(request, share=share, joined=found)
                done = await self._run(executor, request, receive)
            status, payload = status_of(done, media), done.answer.body
            codes, extra = done.answer.codes, _headers_of(done, self._clock.now() - start)
        except HttpError as error:
            codes, status, extra = (error.code,), error.status, error.headers
            payload = _error_body(error, request_id)
        except Disconnected:
            self._finished(None, (), CLIENT_LEFT, request_id, traceparent, start, cancelled=True)
            return
        await _send(send, status, media, payload, (*extra, (b"x-request-id", request_id.encode())))
        self._finished(done, codes, status, request_id, traceparent, start)

    def _caller(self, headers: Mapping[str, str], request_id: str) -> str:
        """Whose request it is. Raises `HttpError` where the graph's own function refuses it."""
        try:
            return self._caller_of(headers)
        except PlaitError as error:
            status = error.http_status or 400
            raise HttpError(status, str(error), error.code) from None
        except Exception as error:
            self._events.emit(FieldFailed(request_id=request_id, path="caller", error=error))
            message = "Something went wrong here. The log tells more, under the request id."
            raise HttpError(500, message, "INTERNAL_ERROR") from None

    def _share_key(
        self, scope: Scope, headers: Mapping[str, str], raw: bytes, caller: str
    ) -> tuple[object, ...] | None:
        """Equal for requests that ask for the same, on behalf of the same; `None` for one that
        asks for more than an answer."""
        if EXPLAIN_HEADER in headers or WARNINGS_HEADER in headers:
            return None
        scoped = [headers.get(name) for name in self._forwarded]
        return (scope["method"], raw, caller, *scoped)

    async def _raw(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> bytes:
        """The body of a POST, or a GET's query string. Raises `HttpError`, `Disconnected`."""
        if scope["method"] == "GET":
            query_string: bytes = scope["query_string"]
            return query_string
        if scope["method"] != "POST":
            allowed = ((b"allow", b"GET, POST"),)
            raise HttpError(405, "GraphQL is asked with GET or POST.", headers=allowed)
        if headers.get("content-type") == "application/json" and "content-encoding" not in headers:
            return await self._read(headers, receive)
        content_type, _, parameters = headers.get("content-type", "").partition(";")
        if content_type.strip().lower() != "application/json":
            raise HttpError(415, "Send the request as JSON, with 'Content-Type: application/json'.")
        if "charset" in parameters.lower() and "utf-8" not in parameters.lower():
            raise HttpError(415, "JSON is sent in UTF-8.")
        if headers.get("content-encoding", "identity") != "identity":
            raise HttpError(415, "Compressed request bodies are not read: send it as it is.")
        return await self._read(headers, receive)

    async def _read(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        limit = self._body_bytes_max
        length = headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > limit:
            raise _too_large(limit)
        first = await receive()
        if first["type"] == "http.request" and not first.get("more_body"):
            whole: bytes = first.get("body", b"")
            if len(whole) > limit:
                raise _too_large(limit)
            return whole
        body = bytearray(first.get("body", b""))
        if first["type"] == "http.disconnect":
            raise Disconnected
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            body += message.get("body", b"")
            if len(body) > limit:
                raise _too_large(limit)
            if not message.get("more_body"):
                return bytes(body)

    async def _run(self, executor: Executor, request: Request, receive: Receive) -> Done:
        """Run the operation, and give it up when the client goes: nobody would read the answer."""
        client = _Client(receive)
        try:
            return await executor.run(request)
        except asyncio.CancelledError:
            if client.has_left():
                raise Disconnected from None
            raise
        finally:
            await client.let_go()

    def _finished(
        self,
        done: Done | None,
        codes: tuple[str, ...],
        status: int,
        request_id: str,
        traceparent: str,
        start: float,
        *,
        cancelled: bool = False,
    ) -> None:
        self._events.emit(
            RequestFinished(
                request_id=request_id,
                trace_id=traceparent[3:35],
                operation=done.name if done else None,
                kind=done.kind if done else "none",
                http_status=status,
                error_codes=codes,
                cancelled=cancelled,
                calls=done.calls if done else 0,
                duration_ms=(self._clock.now() - start) * 1000,
            )
        )


@lru_cache(maxsize=1_000)  # clients say the same few things again and again
def media_type_of(accept: str) -> MediaType:
    """The answer's media type. Raises `HttpError` 406 when the client accepts none of ours."""
    chosen: MediaType | None = None
    best = 0.0
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        offer = _OFFERS.get(name)
        weight = next((_weight(one[2:]) for one in parameters if one.startswith("q=")), 1.0)
        if offer is not None and weight > best:
            chosen, best = offer, weight
    if chosen is None:
        raise HttpError(406, "Accept application/graphql-response+json or application/json.")
    return chosen


_OFFERS: Mapping[str, MediaType] = {
    "application/graphql-response+json": "application/graphql-response+json",
    "application/json": "application/json",
    "application/*": "application/json",
    "*/*": "application/json",
    "text/html": "application/json",
    "": "application/json",
}


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def status_of(done: Done, media: MediaType) -> int:
    """The HTTP status of an answer, by the specification's section on the media type."""
    if done.not_allowed:
        return 405
    if media == "application/json":
        return 200
    if done.answer.has_data:
        return 200
    return done.answer.request_status or (200 if done.answer.was_executed else 400)


def body_of_query(query_string: bytes) -> GraphQLBody:
    """A GET's parameters as a request. Raises `HttpError`."""
    try:
        found = parse_qs(
            query_string.decode("ascii"), strict_parsing=bool(query_string), max_num_fields=10
        )
        fields = {name: values[0] for name, values in found.items()}
        variables = _decode_variables(fields["variables"]) if "variables" in fields else None
        extensions = (
            msgspec.json.decode(fields["extensions"], type=dict[str, Any])
            if "extensions" in fields
            else None
        )
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise HttpError(400, "The query string cannot be read.") from None
    if "query" not in fields:
        _refuse_persisted(extensions)
        raise HttpError(400, "A GET needs the parameter 'query'; or POST JSON with a 'query'.")
    return GraphQLBody(
        query=fields["query"], variables=variables, operation_name=fields.get("operationName")
    )


def _refuse_persisted(extensions: Mapping[str, Any] | None) -> None:
    """A client of Apollo's automatic persisted queries sends a hash first, and the text when it is
    told that hashes are not known here: in these words, with 200."""
    if extensions and "persistedQuery" in extensions:
        raise HttpError(200, "PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")


def decoded_body(body: bytes) -> GraphQLBody:
    """A POST's body as a request. Raises `HttpError`."""
    try:
        found = _decode_body(body)
    except msgspec.ValidationError as error:
        # msgspec's words name the property and the type that it must have, and no value.
        raise HttpError(400, f"The body is not a GraphQL request: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpError(400, "The body is not valid JSON in UTF-8.") from None
    if found.query is None:
        _refuse_persisted(found.extensions)
        raise HttpError(400, "The body is not a GraphQL request: it has no 'query'.")
    return found


def _request(
    body: GraphQLBody,
    scope: Scope,
    headers: Mapping[str, str],
    request_id: str,
    traceparent: str,
    caller: str,
) -> Request:
    assert body.query is not None
    return Request(
        query=body.query,
        variables=body.variables,
        operation_name=body.operation_name,
        origin=Origin(request_id=request_id, traceparent=traceparent, headers=headers),
        caller=caller,
        idempotency_key=headers.get("idempotency-key"),
        only_queries=scope["method"] == "GET",
    )


async def _shared(sharing: Sharing | None, key: tuple[object, ...] | None) -> Done | Direct | None:
    """What an equal request was told, or is about to be."""
    found = sharing.find(key) if sharing is not None and key is not None else None
    return await found if isinstance(found, asyncio.Future) else found


LOOKED_FOR_AFTER_S = 0.2
"""When somebody begins to look whether the client is still there. Most requests are answered
before, and need no task for it."""


class _Client:
    """Who waits for an answer: the task that makes it is cancelled when the client leaves."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._looking: asyncio.Task[None] | None = None
        self._has_left = False
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOKED_FOR_AFTER_S, self._look)

    def has_left(self) -> bool:
        """Whether it was cancelled for that, and for nothing else."""
        return self._has_left and self._task is not None and self._task.uncancel() == 0

    async def let_go(self) -> None:
        """Look no longer."""
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def _look(self) -> None:
        self._looking = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        if self._task is not None:
            self._task.cancel()


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The request's headers by name. One that is sent twice is joined, as RFC 9110, section 5.3
    allows."""
    pairs = list(pairs)
    once = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    if len(once) == len(pairs):
        return once
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return {name: ", ".join(found) for name, found in values.items()}


def _headers_of(done: Done, seconds: float) -> tuple[tuple[bytes, bytes], ...]:
    """What the answer's headers say of it. Server-Timing is a W3C specification."""
    timing = b'total;dur=%.1f, calls;desc="%d"' % (seconds * 1000, done.calls)
    headers = [(b"server-timing", timing)]
    if done.answer.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    if done.answer.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % math.ceil(done.answer.retry_after_s)))
    return tuple(headers)


def _error_body(error: HttpError, request_id: str) -> bytes:
    extensions = {"code": error.code, "request_id": request_id}
    return msgspec.json.encode({"errors": [{"message": error.message, "extensions": extensions}]})


def _too_large(limit: int) -> HttpError:
    return HttpError(413, f"A request body may have at most {limit} bytes.")


async def send_asset(asset: Asset, headers: Mapping[str, str], send: Send) -> None:
    """Send a file, compressed where the client takes it."""
    etag = dict(asset.headers).get("etag")
    extra = tuple((name.encode(), value.encode()) for name, value in asset.headers)
    if etag is not None and headers.get("if-none-match") == etag:
        await _send(send, 304, asset.content_type, b"", extra)
    elif "gzip" in headers.get("accept-encoding", ""):
        packed = (*extra, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
        await _send(send, 200, asset.content_type, asset.gzip, packed)
    else:
        await _send(
            send, 200, asset.content_type, asset.body, (*extra, (b"vary", b"accept-encoding"))
        )


@lru_cache(maxsize=100)
def _typed(content_type: str) -> bytes:
    typed = f"{content_type}; charset=utf-8" if "charset" not in content_type else content_type
    return typed.encode()


async def _send(
    send: Send,
    status: int,
    content_type: str,
    body: bytes,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    start = [
        (b"content-type", _typed(content_type)),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
