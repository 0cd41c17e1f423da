"""Articles and what readers say of them."""

from datetime import date

import strawberry

from plait import this
from resolvers.backends import get_article, list_comments


@strawberry.type(description="What a reader says.")
class Comment:
    id: strawberry.ID
    author: str
    text: str


@strawberry.type(description="Something to read.")
class Article:
    id: strawberry.ID
    title: str
    body: str
    published_on: date


@strawberry.type(description="An article and its comments, fetched at the same time.")
class ArticleWithComments:
    id: strawberry.ID
    article: Article = get_article(id=this.id)
    comments: list[Comment] = list_comments(article_id=this.id)
