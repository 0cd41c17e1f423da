"""One write over HTTP: the call with its idempotency key, and what the reply says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from plait.backend.build import single_call
from plait.backend.call import Handler, Origin
from plait.backend.split import decoded, unwrapped
from plait.writes.write import Send, Sent, Write


def http_send(clients: Mapping[str, Handler]) -> Send:
    """Sends each write once, over the layered calls of its backend."""

    async def send(write: Write[Any], key: str | None, origin: Origin) -> Sent:
        endpoint = write.endpoint
        call = single_call(endpoint, write.values, replace(origin, deadline=None))
        if key is not None:
            call = replace(call, headers=(*call.headers, ("idempotency-key", key)))
        reply = await clients[endpoint.backend.name](call)
        body = decoded(endpoint, reply.body)
        value = None if body is None else unwrapped(endpoint, body, endpoint.unwrap)
        return Sent(value=value, http_status=reply.status, attempts=reply.attempts)

    return send
