"""What every route of every service does around its handler."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from demo.caching import cacheable
from demo.errors import Refused
from demo.idempotency import KEY_HEADER
from demo.replies import as_json, respond
from demo.running import Running, running

LOOKUP: Final = "lookup"
"""The tag of a POST route that only reads."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ServiceRoute(APIRoute):
    """Counts the call, waits or fails as configured, and completes the headers."""

    def get_route_handler(self) -> Handler:
        """The handler with everything around it."""
        answer = super().get_route_handler()
        method = next(iter(self.methods or {"GET"}))
        label = f"{method} {self.path}"
        writes = method != "GET" and LOOKUP not in self.tags

        async def handle(request: Request) -> Response:
            service = running(request)
            key = request.headers.get(KEY_HEADER)
            request.state.label = label
            with service.calls.entered(label, key):
                response = await _answered(service, request, answer, key if writes else None)
                if getattr(request.state, "effect", False):
                    await service.hold_reply()
            return _finished(service, request, response, writes=writes)

        return handle


def new_router() -> APIRouter:
    """A router for a service's routes."""
    return APIRouter(route_class=ServiceRoute)


def refusal(service: Running, request: Request, refused: Refused) -> Response:
    """An error reply in the service's style."""
    response = respond(refused.status, as_json(service.spec.errors(refused)))
    return _finished(service, request, response, writes=True)


async def _answered(
    service: Running, request: Request, answer: Handler, key: str | None
) -> Response:
    try:
        with service.busy(key):
            await service.pause()
            return await answer(request)
    except Refused as refused:
        return refusal(service, request, refused)
    except RequestValidationError as malformed:
        return refusal(service, request, _malformed(malformed))
    except HTTPException as error:
        detail = Refused(error.status_code, "bad_request", str(error.detail))
        return refusal(service, request, detail)


def _malformed(error: RequestValidationError) -> Refused:
    problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return Refused(400, "bad_request", "; ".join(problems))


def _finished(service: Running, request: Request, response: Response, *, writes: bool) -> Response:
    if writes or response.status_code != 200:
        response.headers["cache-control"] = "no-store"
    else:
        response = cacheable(request, response, service.spec.cache_control)
    request_id = request.headers.get("x-request-id")
    if request_id is not None:
        response.headers["x-request-id"] = request_id
    return response
