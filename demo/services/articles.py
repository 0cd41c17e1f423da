"""Articles: camelCase, inside `article`; there is no article 13."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from demo import errors
from demo.errors import found
from demo.replies import ok
from demo.route import new_router
from demo.running import store_of
from demo.shop.chance import moment, pick
from demo.shop.people import USER_IDS
from demo.shop.posts import ARTICLE_IDS
from demo.spec import Spec
from demo.store import Store

router = new_router()

_SCHEMA: Final = """
CREATE TABLE articles (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL, authorId INTEGER NOT NULL,
    publishedOn TEXT NOT NULL
);
"""
_SUBJECTS: Final = ("bamboo", "steel pans", "folding chairs", "cork", "linen", "old clocks")
_ANGLES: Final = ("How to care for {}", "Five reasons for {}", "{} in small flats")
_PARAGRAPHS: Final = (
    "Most people buy too much and look after too little.",
    "A dry cloth and ten minutes a month are enough.",
    "Ask before you throw something away; much can be mended.",
    "We tried it for a year in our own kitchen.",
)


@router.get("/articles/{id}")
async def one(request: Request, id: int) -> Response:
    """An article."""
    row = store_of(request).row("SELECT * FROM articles WHERE id = ?", id)
    return ok({"article": found(row, "article", id)})


def _seed(store: Store) -> None:
    store.fill("INSERT INTO articles VALUES (?, ?, ?, ?, ?)", map(_article, ARTICLE_IDS))


def _article(article: int) -> tuple[object, ...]:
    title = pick(_ANGLES, "angle", article).format(pick(_SUBJECTS, "subject", article))
    paragraphs = (pick(_PARAGRAPHS, "paragraph", article, i) for i in range(3))
    return (
        article,
        title[0].upper() + title[1:],
        "\n\n".join(dict.fromkeys(paragraphs)),
        pick(USER_IDS, "author", article),
        moment(700, "published", article)[:10],
    )


SERVICE: Final = Spec(
    name="articles",
    about="What the shop's magazine says.",
    router=router,
    errors=errors.detail,
    schema=_SCHEMA,
    seed=_seed,
)
