"""What a graph author tests with: scripted backends, calls counted, nothing real."""

import asyncio
from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, arg, by_ids, this, write_together
from plait.errors import SettingsError
from plait.testing import GraphTest, Sent, UnscriptedCall, reply

books = Backend("books", idempotency_key="Idempotency-Key")
list_books = books.get("/books", unwrap="items")
get_author = books.get("/authors/{id}", batch=by_ids("/authors"))
create_book = books.post("/books")


@strawberry.type
class Author:
    id: strawberry.ID
    name: str


@strawberry.type
class Book:
    id: strawberry.ID
    author: Author | None = get_author(id=this.authorId)


@strawberry.type
class Query:
    books: list[Book] = list_books()
    author: Author | None = get_author(id=arg(strawberry.ID))

    @strawberry.field
    async def wrong(self, info: strawberry.Info) -> str:
        await get_author.load(info, idd=7)
        return "never"


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def add(self, info: strawberry.Info, title: str) -> str:
        (outcome,) = await write_together(info, create_book(body={"title": title}))
        return type(outcome).__name__


graph = Graph(query=Query, mutation=Mutation, backends=[books])
BOOKS = {"items": [{"id": 1, "authorId": 10}, {"id": 2, "authorId": 11}]}


def test_scripted_backends_answer_and_their_calls_are_told() -> None:
    script = {"GET /books": BOOKS, "GET /authors?id=10&id=11": [{"id": 10, "name": "R. Cord"}]}
    with GraphTest(graph, books=script) as test:
        answer = test.ask("{ books { author { name } } }")
    assert answer == {"data": {"books": [{"author": {"name": "R. Cord"}}, {"author": None}]}}
    assert test.calls == {"books": ["GET /books", "GET /authors?id=10&id=11"]}


def test_a_reply_has_a_status_and_a_function_sees_the_call() -> None:
    seen: list[Sent] = []

    def create(sent: Sent) -> Any:
        seen.append(sent)
        return reply({"id": 3}, status=201)

    script = {"GET /authors/10": reply(status=503), "POST /books": create}
    with GraphTest(graph, books=script) as test:
        answer = test.ask("{ author(id: 10) { name } }")
        assert answer["errors"][0]["extensions"]["http"] == {"status": 503}
        answer = test.ask('mutation { add(title: "Knots") }', idempotency_key="k1")
    assert answer["data"] == {"add": "Succeeded"}
    assert seen[0].body == {"title": "Knots"}
    assert seen[0].headers["idempotency-key"]


def test_a_call_that_is_not_scripted_fails_the_test_and_says_what_is() -> None:
    with (
        GraphTest(graph, books={"GET /books": BOOKS}) as test,
        pytest.raises(UnscriptedCall, match=r"asked GET /authors/7; its script has: GET /books\."),
    ):
        test.ask("{ author(id: 7) { name } }")


def test_a_name_that_is_no_backend_is_refused() -> None:
    with pytest.raises(SettingsError, match="no backend 'bokks'"):
        GraphTest(graph, bokks={})


def test_it_works_inside_a_running_loop() -> None:
    async def main() -> dict[str, Any]:
        async with GraphTest(graph, books={"GET /authors/1": {"id": 1, "name": "A"}}) as test:
            return await test.ask_async("{ author(id: 1) { name } }")

    assert asyncio.run(main()) == {"data": {"author": {"name": "A"}}}


def test_nothing_of_the_environment_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIT_BACKENDS__BOOKS__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PLAIT_DOCUMENT_DEPTH_MAX", "1")
    with GraphTest(graph, books={"GET /authors/1": {"id": 1, "name": "A"}}) as test:
        assert test.ask("{ author(id: 1) { name } }")["data"]["author"] == {"name": "A"}


def test_a_parameter_that_load_does_not_have_is_named_in_the_log() -> None:
    with GraphTest(graph) as test:
        answer = test.ask("{ wrong }")
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_ERROR"
    (event,) = [one for one in test.events if type(one).__name__ == "FieldFailed"]
    assert "has no parameter 'idd'. Did you mean 'id'?" in str(event.error)  # type: ignore[union-attr]
