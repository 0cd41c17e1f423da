"""Comments on articles: snake_case, a bare list."""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.replies import limited, ok
from demo.route import new_router
from demo.running import store_of
from demo.shop import people
from demo.shop.chance import pick
from demo.shop.posts import ARTICLE_IDS
from demo.spec import Spec
from demo.store import Store

router = new_router()

_MOST_ARTICLES: Final = 200
_COMMENT_IDS: Final = range(1, 401)
_SCHEMA: Final = """
CREATE TABLE comments (
    id INTEGER PRIMARY KEY, article_id INTEGER NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX comments_by_article ON comments (article_id);
"""
_TEXTS: Final = (
    "I did not know that.",
    "My grandmother said the same.",
    "More pictures, please.",
    "Has anybody tried this outdoors?",
    "Works for me.",
)
_OF_ARTICLES: Final = """
SELECT * FROM comments WHERE article_id IN (SELECT value FROM json_each(?))
ORDER BY article_id, id
"""


@router.get("/articles/{id}/comments")
async def of_article(request: Request, id: int) -> Response:
    """The comments on an article; none is an empty list."""
    return ok(store_of(request).rows(_OF_ARTICLES, f"[{id}]"))


@router.get("/comments")
async def of_articles(
    request: Request, article_id: Annotated[list[int] | None, Query()] = None
) -> Response:
    """The comments on up to 200 articles by `?article_id=1&article_id=2`."""
    ids = limited(article_id, "article_id", _MOST_ARTICLES)
    return ok(store_of(request).rows(_OF_ARTICLES, ids))


def _seed(store: Store) -> None:
    store.fill("INSERT INTO comments VALUES (?, ?, ?, ?)", map(_comment, _COMMENT_IDS))


def _comment(comment: int) -> tuple[object, ...]:
    author = pick(people.USER_IDS, "commenter", comment)
    return (
        comment,
        pick(ARTICLE_IDS, "commented", comment),
        people.full_name(author),
        pick(_TEXTS, "comment", comment),
    )


SERVICE: Final = Spec(
    name="comments",
    about="What readers say about articles.",
    router=router,
    errors=errors.detail,
    schema=_SCHEMA,
    seed=_seed,
)
