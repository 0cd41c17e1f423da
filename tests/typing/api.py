"""A typed example graph, not run: `mypy --strict` must accept it, and does so in `make test`."""

from typing import assert_type

import strawberry

from plait import (
    Backend,
    Connection,
    Failed,
    Graph,
    Outcome,
    Succeeded,
    Unknown,
    arg,
    by_ids,
    grouped,
    page_numbers,
    prop,
    this,
    write_together,
)

books = Backend("books", "http://127.0.0.1:9100", timeout_s=2, forward=["authorization"])
get_book = books.get("/books/{id}", batch=by_ids("/books", ids="ids", joined=True), ttl_s=30)
list_by_author = books.get(
    "/authors/{id}/books", query=["first"], batch=grouped("/books", ids="author", key="authorId")
)
list_books = books.get(
    "/books", pages=page_numbers(items="data", total_header="x-total"), strict=True, none_on=(410,)
)
create_book = books.post("/books", unwrap="book", purges=[list_by_author])


@strawberry.type
class Author:
    id: strawberry.ID
    name: str = prop("full_name", description="As on the cover.")
    books: list["Book"] = list_by_author(id=this.id, first=arg(int, 10), fallback=[])


@strawberry.type
class Book:
    id: strawberry.ID
    title: str
    tags: list[str] = strawberry.field(default_factory=list[str])
    author_id: strawberry.Private[str]


@strawberry.type
class Query:
    book: Book | None = get_book(id=arg(strawberry.ID))
    books: list[Book | None] = get_book.many(id=arg(list[strawberry.ID], name="ids"))
    shelf: Connection[Book] = list_books.connection(
        description="All of them.", permission_classes=[], extensions=[], directives=[]
    )


@strawberry.type
class Mutation:
    created: Book = create_book.field(body=arg(str))

    @strawberry.mutation
    async def twice(self, info: strawberry.Info, title: str) -> str:
        outcomes = await write_together(info, create_book(body=title), create_book(body=title))
        first, second = outcomes
        return told(first) + told(second)


def told(outcome: Outcome[object]) -> str:
    """Every kind of outcome, so that a new one would show here."""
    match outcome:
        case Succeeded(value=value):
            return str(value)
        case Failed(code=code):
            return assert_type(code, str)
        case Unknown(reason=reason):
            return assert_type(reason, str)


graph = Graph(query=Query, mutation=Mutation)
