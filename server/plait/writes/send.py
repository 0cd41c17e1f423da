"""One write over HTTP: the call with its idempotency key, and what the reply says."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from plait.backend.call import Call, Handler, Origin, Reply
from plait.backend.decode import accepted, unwrapped
from plait.backend.encode import single_call
from plait.backend.spec import EndpointSpec
from plait.errors import BackendHttpError, BadBackendResponse
from plait.writes.verdict import verdict_on
from plait.writes.write import SendWrite, Write, WriteReply

Forget: TypeAlias = Callable[[Call, Mapping[str, Any], Mapping[str, str]], Awaitable[None]]
"""(call, its values, the reply's headers): told of every write that took effect, or may have."""


def http_send(clients: Mapping[str, Handler], written: Forget) -> SendWrite:
    """Sends each write once, over the layered calls of its backend."""

    async def send(write: Write[Any], key: str | None, origin: Origin) -> WriteReply:
        endpoint = write.endpoint
        call = single_call(endpoint, write.values, origin)
        if key is not None and endpoint.key_header is not None:
            call = call.with_headers((endpoint.key_header.lower(), key))
        try:
            reply = await clients[endpoint.backend.name](call)
            if reply.status == 304:
                raise _no_success(endpoint, reply.status)
            body = _accepted(endpoint, reply)
        except Exception as error:
            if verdict_on(error, in_doubt=False, honours_keys=False) == "unknown":
                await written(call, write.values, {})
            raise
        await written(call, write.values, reply.headers)
        if isinstance(body, Exception):  # it took effect; its value is what is lost
            raise body
        value = None if body is None else unwrapped(endpoint, body, endpoint.unwrap)
        return WriteReply(value=value, http_status=reply.status, attempts=reply.attempts)

    return send


def _accepted(endpoint: EndpointSpec, reply: Reply) -> Any:
    """The body, or why it cannot be read. Raises `BackendRefused` where it says that the write
    failed."""
    try:
        return accepted(endpoint, reply)
    except BadBackendResponse as error:
        return error


def _no_success(endpoint: EndpointSpec, status: int) -> BackendHttpError:
    name = endpoint.backend.name
    return BackendHttpError(
        f"Backend '{name}' answered with status {status}.",
        backend=name,
        endpoint=endpoint.label,
        status=status,
    )
