"""/graphql over HTTP, as a raw ASGI app that stands ahead of FastAPI's router.

It follows the GraphQL-over-HTTP specification: POST with JSON, GET for queries, and the media types
`application/json` (200 whenever GraphQL could answer) and `application/graphql-response+json` (a
status that tells whether there is data). A POST must say that its body is JSON: a foreign page
cannot send that unasked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias

from plait.clock import Clock
from plait.edge.body import HttpError
from plait.edge.exchange import Exchange, Shared
from plait.edge.graphiql import Asset
from plait.edge.identity import caller_of
from plait.edge.negotiate import media_type_of
from plait.edge.response import Response
from plait.emit import Events
from plait.heads import joined

AsgiScope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
AsgiSend: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[AsgiScope, Receive, AsgiSend], Awaitable[None]]

LOOKED_FOR_AFTER_S = 0.2
"""When somebody begins to look whether the client is still there. Most requests are answered
before, and need no task for it."""


class Disconnected(Exception):
    """The client has gone."""


class GraphQLEndpoint:
    """Answers /graphql and, for browsers, GraphiQL and its files below it."""

    def __init__(
        self,
        *,
        clock: Clock,
        events: Events,
        body_bytes_max: int,
        pages: Callable[[str], Asset] | None,
        assets: Mapping[str, Asset],
        caller_of: Callable[[Mapping[str, str]], str] = caller_of,
        forwarded: Iterable[str] = (),
    ) -> None:
        self.shared = Shared(
            clock=clock,
            events=events,
            body_bytes_max=body_bytes_max,
            caller_of=caller_of,
            forwarded=tuple(sorted(set(forwarded))),
        )
        self._pages = pages
        self._assets = assets

    async def __call__(self, scope: AsgiScope, path: str, receive: Receive, send: AsgiSend) -> None:
        """Answer a request for `path`, which is the scope's without what the app is mounted at."""
        headers = joined(scope["headers"])
        if path.startswith("/graphql/assets/"):
            await self._asset(path.rpartition("/")[2], headers, scope["method"], send)
        elif self._pages and scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            # A browser; with `?query=` too, which the page opens as a tab.
            await send_asset(self._pages(scope.get("root_path", "")), headers, send)
        else:
            await self._graphql(scope, headers, receive, send)

    async def _asset(
        self, name: str, headers: Mapping[str, str], method: str, send: AsgiSend
    ) -> None:
        asset = self._assets.get(name)
        if asset is None or method not in ("GET", "HEAD"):
            await _send(send, Response(404, "text/plain", (), b"There is no such file."))
        else:
            await send_asset(asset, headers, send)

    async def _graphql(
        self, scope: AsgiScope, headers: Mapping[str, str], receive: Receive, send: AsgiSend
    ) -> None:
        exchange = Exchange(self.shared, scope["method"], headers)
        try:
            exchange.media = media_type_of(headers.get("accept", "*/*"))
            raw = await self._raw(scope, headers, receive)
        except HttpError as error:
            exchange.refuse(error)
        except Disconnected:
            exchange.leave()
            return
        else:
            await _answered(exchange, raw, receive)
        if exchange.defect is not None:
            raise exchange.defect
        response = exchange.response
        if response is not None:
            await _send(send, response)
            exchange.sent()

    async def _raw(self, scope: AsgiScope, headers: Mapping[str, str], receive: Receive) -> bytes:
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
        limit = self.shared.body_bytes_max
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


async def _answered(exchange: Exchange, raw: bytes, receive: Receive) -> None:
    """Wait for the answer, and give it up when the client goes: nobody would read it."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(_: object = None) -> None:
        if not over.done():
            over.set_result(None)

    async def look() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        exchange.leave()
        end()

    exchange.begin(raw, end)
    if exchange.is_over:
        return
    looking: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()
    timer = loop.call_later(LOOKED_FOR_AFTER_S, lambda: looking.append(loop.create_task(look())))
    try:
        await over
    finally:
        exchange.leave()  # where the server gives it up
        timer.cancel()
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)


def _too_large(limit: int) -> HttpError:
    return HttpError(413, f"A request body may have at most {limit} bytes.")


async def send_asset(asset: Asset, headers: Mapping[str, str], send: AsgiSend) -> None:
    """Send a file, compressed where the client takes it."""
    etag = dict(asset.headers).get("etag")
    extra = tuple((name.encode(), value.encode()) for name, value in asset.headers)
    if etag is not None and headers.get("if-none-match") == etag:
        response = Response(304, asset.content_type, extra, b"")
    elif "gzip" in headers.get("accept-encoding", ""):
        packed = (*extra, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
        response = Response(200, asset.content_type, packed, asset.gzip)
    else:
        varied = (*extra, (b"vary", b"accept-encoding"))
        response = Response(200, asset.content_type, varied, asset.body)
    await _send(send, response)


async def _send(send: AsgiSend, response: Response) -> None:
    headers = list(response.all_headers())
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
