"""One write over HTTP: the call with its idempotency key, and what the reply says."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from plait.backend.build import single_call
from plait.backend.call import Call, Handler, Origin
from plait.backend.split import decoded, unwrapped
from plait.writes.verdict import verdict_on
from plait.writes.write import Send, Sent, Write

Written: TypeAlias = Callable[[Call, Mapping[str, Any], Mapping[str, str]], Awaitable[None]]
"""(call, its values, the reply's headers): told of every write that took effect, or may have."""


def http_send(clients: Mapping[str, Handler], written: Written) -> Send:
    """Sends each write once, over the layered calls of its backend."""

    async def send(write: Write[Any], key: str | None, origin: Origin) -> Sent:
        endpoint = write.endpoint
        call = single_call(endpoint, write.values, replace(origin, deadline=None))
        if key is not None:
            call = replace(call, headers=(*call.headers, ("idempotency-key", key)))
        try:
            reply = await clients[endpoint.backend.name](call)
        except Exception as error:
            if verdict_on(error, in_doubt=False, honours_keys=False) == "unknown":
                await written(call, write.values, {})
            raise
        await written(call, write.values, reply.headers)
        body = decoded(endpoint, reply)
        value = None if body is None else unwrapped(endpoint, body, endpoint.unwrap)
        return Sent(value=value, http_status=reply.status, attempts=reply.attempts)

    return send
