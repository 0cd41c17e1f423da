"""Rewards: one user at a time, and none for every 17th user."""

from typing import Annotated, Final

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.errors import found
from demo.replies import ok
from demo.route import new_router
from demo.running import store_of
from demo.shop.chance import number
from demo.shop.people import USER_IDS
from demo.spec import Spec
from demo.store import Store

router = new_router()

_SCHEMA: Final = """
CREATE TABLE rewards (user INTEGER PRIMARY KEY, points INTEGER NOT NULL);
"""
_LEVELS: Final = (("Starter", 500), ("Regular", 2000), ("Insider", 4000), ("Partner", None))


@router.get("/rewards/{userId}")
async def one(request: Request, user_id: Annotated[int, Path(alias="userId")]) -> Response:
    """A user's points, and the level they are good for."""
    row = store_of(request).row("SELECT * FROM rewards WHERE user = ?", user_id)
    reward = found(row, "rewards of user", user_id)
    return ok({**reward, "level": _level(reward["points"])})


def _level(points: int) -> dict[str, object]:
    name, next_at = next(level for level in _LEVELS if level[1] is None or points < level[1])
    return {"name": name, "next_at": next_at}


def _seed(store: Store) -> None:
    members = (user for user in USER_IDS if user % 17)
    store.fill(
        "INSERT INTO rewards VALUES (?, ?)",
        ((user, number(0, 5000, "points", user)) for user in members),
    )


SERVICE: Final = Spec(
    name="rewards",
    about="The users' bonus points.",
    router=router,
    errors=errors.flat,
    schema=_SCHEMA,
    seed=_seed,
)
