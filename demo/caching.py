"""Cache-Control, strong ETags and 304 replies."""

from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response


def cacheable(request: Request, response: Response, cache_control: str) -> Response:
    """A read's reply with its cache headers; 304 when the caller has this very body."""
    response.headers["cache-control"] = cache_control
    if request.method != "GET":
        return response
    tag = f'"{blake2b(response.body, digest_size=12).hexdigest()}"'
    if _has(request.headers.get("if-none-match"), tag):
        return Response(None, 304, {"cache-control": cache_control, "etag": tag})
    response.headers["etag"] = tag
    return response


def _has(if_none_match: str | None, tag: str) -> bool:
    if if_none_match is None:
        return False
    tags = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return tag in tags or "*" in tags
