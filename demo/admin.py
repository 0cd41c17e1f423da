"""`/_admin`: how tests look into a service and make it misbehave; and `/health`."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from demo.replies import ok
from demo.running import running

router = APIRouter(tags=["admin"])
"""The routes that no service counts as calls."""


@router.get("/health")
async def health(request: Request) -> Response:
    """Whether the service runs."""
    return ok({"service": running(request).spec.name, "status": "ok"})


@router.get("/_admin/config")
async def config(request: Request) -> Response:
    """The settings in use."""
    return ok(running(request).settings.wire())


@router.post("/_admin/config")
async def change_config(
    request: Request, changes: Annotated[dict[str, Any], Body(examples=[{"delayMs": 100}])]
) -> Response:
    """Change some of the settings."""
    service = running(request)
    service.change_settings(service.settings.changed(changes))
    return ok(service.settings.wire())


@router.get("/_admin/calls")
async def calls(request: Request) -> Response:
    """How often each route was called."""
    return ok(running(request).calls.wire())


@router.get("/_admin/effects")
async def effects(request: Request) -> Response:
    """What the writes left behind: rows in each table, and effects of each key."""
    service = running(request)
    return ok(
        {
            "tables": {table: service.store.count(table) for table in service.spec.tables},
            "effects": service.store.rows(
                "SELECT route, key, COUNT(*) AS count FROM _effects "
                "GROUP BY route, key ORDER BY MIN(id)"
            ),
        }
    )


@router.post("/_admin/reset")
async def reset(request: Request, data: bool = False) -> Response:
    """Clear the counts and the settings; with `?data=true` start from the seeded data too."""
    running(request).reset(data=data)
    return ok({"reset": True, "data": data})
