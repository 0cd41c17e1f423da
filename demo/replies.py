"""What a handler answers with."""

import json
from dataclasses import dataclass

import msgspec
from starlette.responses import Response

from demo.errors import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A status and the thing to send as JSON; no body at all when it is None."""

    status: int = 200
    body: object = None

    def encoded(self) -> bytes:
        """The body's bytes."""
        return b"" if self.body is None else as_json(self.body)


def ok(body: object) -> Response:
    """200 with this body."""
    return respond(200, as_json(body))


def respond(status: int, body: bytes) -> Response:
    """A response from bytes that are JSON already, or empty."""
    return Response(body, status, media_type="application/json" if body else None)


def as_json(body: object) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(body)


def as_numbers(text: str | None, parameter: str, at_most: int) -> str:
    """A query parameter such as `1,2,3`, as the JSON list the store's IN queries take."""
    if not text:
        raise Refused(400, "bad_request", f"{parameter} is required")
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        message = f"{parameter} must be whole numbers with commas between, not {text!r}"
        raise Refused(400, "bad_request", message) from None
    return limited(numbers, parameter, at_most)


def limited(values: list[int] | list[str] | None, parameter: str, at_most: int) -> str:
    """A list as the JSON list the store's IN queries take, refused when empty or too long."""
    if not values:
        raise Refused(400, "bad_request", f"{parameter} is required")
    if len(values) > at_most:
        message = f"{parameter}: at most {at_most} values at a time, not {len(values)}"
        raise Refused(400, "too_many", message)
    return json.dumps(values)
