"""Makes the app of a service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from demo import admin
from demo.errors import Refused
from demo.idempotency import KEY_HEADER
from demo.ports import PORTS, UnknownService
from demo.route import refusal
from demo.running import Running, running
from demo.settings import Settings
from demo.spec import Spec
from demo.store import Store


def create_app(name: str, data: Path, *, delay_ms: float = 0) -> FastAPI:
    """The app of the named service, with its data in `data/<name>.db`."""
    spec = load(name)
    store = Store(data / f"{name}.db", spec.schema, spec.seed)
    app = FastAPI(title=f"{name} (demo)", description=spec.about, lifespan=_lifespan)
    app.state.running = Running(spec, store, Settings(delay_ms=delay_ms))
    app.include_router(admin.router)
    app.include_router(spec.router)
    app.add_exception_handler(Refused, _on_refused)
    app.add_exception_handler(RequestValidationError, _on_malformed)
    app.add_exception_handler(HTTPException, _on_no_route)
    return app


def load(name: str) -> Spec:
    """The spec of the named service."""
    if name not in PORTS:
        raise UnknownService(name)
    spec: Spec = import_module(f"demo.services.{name}").SERVICE
    return spec


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.running.store.close()


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(running(request), request, error)


async def _on_malformed(request: Request, error: Exception) -> Response:
    return await _on_refused(request, Refused(400, "bad_request", str(error)))


async def _on_no_route(request: Request, error: Exception) -> Response:
    """A call that no route takes, or not with this method: count it all the same."""
    assert isinstance(error, HTTPException)
    service = running(request)
    with service.calls.entered(
        f"{request.method} (no such route)", request.headers.get(KEY_HEADER)
    ):
        message = f"{request.method} {request.url.path}: {error.detail}"
        return refusal(service, request, Refused(error.status_code, "no_route", message))
