"""`create_app`: mounted in another app, and told what it does not know."""

import asyncio
import logging
from typing import Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from strawberry.extensions import SchemaExtension

import resolvers
from plait import Backend, Graph, SettingsError, arg, by_ids, create_app, write_together
from plait.testing import GraphTest, reply

books = Backend("books", "http://books.test", idempotency_key="Idempotency-Key")
get_book = books.get("/books/{id}", batch=by_ids("/books", key="isbn"))
create_book = books.post("/books")


@strawberry.type
class Book:
    id: strawberry.ID


@strawberry.type
class Query:
    book: Book | None = get_book(id=arg(strawberry.ID))


@strawberry.type
class Mutation:
    added: Book | None = create_book.field(body=arg(str))

    @strawberry.mutation
    async def add(self, info: strawberry.Info) -> str:
        (outcome,) = await write_together(info, create_book(body={}))
        return type(outcome).__name__


graph = Graph(query=Query, mutation=Mutation)
extended = Graph(query=Query, mutation=Mutation, extensions=[SchemaExtension])


def mounted(*, with_lifespan: bool) -> httpx.Response:
    api = create_app(graph)

    async def main() -> httpx.Response:
        outer = FastAPI(lifespan=api.lifespan if with_lifespan else None)
        outer.mount("/api", api)
        transport = httpx.ASGITransport(outer)
        async with (
            outer.router.lifespan_context(outer),
            httpx.AsyncClient(transport=transport, base_url="http://outer") as client,
        ):
            return await client.post("/api/graphql", json={"query": "{ __typename }"})

    return asyncio.run(main())


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIT_LEDGER_PATH", ":memory:")


def test_it_can_be_mounted_below_a_path() -> None:
    assert mounted(with_lifespan=True).json() == {"data": {"__typename": "Query"}}


def test_without_its_lifespan_it_says_what_to_write() -> None:
    answer = mounted(with_lifespan=False)
    assert answer.status_code == 503
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "GATEWAY_NOT_STARTED"
    assert "FastAPI(lifespan=api.lifespan)" in error["message"]


def test_a_transport_for_a_backend_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="no backend 'bokks'"):
        create_app(graph, transports={"bokks": httpx.MockTransport(lambda _: httpx.Response(200))})


@pytest.mark.parametrize("served", [graph, extended], ids=["plain", "with extensions"])
def test_an_expected_error_of_a_backend_is_no_traceback_in_a_log(
    served: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    script = {"GET /books/1": reply(status=500)}
    with caplog.at_level(logging.DEBUG), GraphTest(served, books=script) as test:
        answer = test.ask("{ book(id: 1) { id } }")
    assert answer["errors"][0]["extensions"]["code"] == "BACKEND_HTTP_ERROR"
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def extensions_of(answer: dict[str, Any]) -> dict[str, Any]:
    (error,) = answer["errors"]
    found: dict[str, Any] = error["extensions"]
    return found


@pytest.mark.parametrize("served", [graph, extended], ids=["plain", "with extensions"])
@pytest.mark.parametrize("mutation", ["mutation { add }", 'mutation { added(body: "x") { id } }'])
def test_a_write_without_a_key_is_never_retryable(served: Graph, mutation: str) -> None:
    with GraphTest(served, books={"POST /books": reply(status=503)}) as test:
        assert extensions_of(test.ask(mutation))["retryable"] is False
        assert extensions_of(test.ask(mutation, idempotency_key="k"))["retryable"] is True


def test_a_key_in_progress_says_when_to_ask_again() -> None:
    release = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await release.wait()
        return httpx.Response(201, json={})

    async def main() -> httpx.Response:
        api = create_app(graph, transports={"books": httpx.MockTransport(slow)})
        transport = httpx.ASGITransport(api)
        headers = {"idempotency-key": "k", "accept": "application/graphql-response+json"}
        async with (
            api.lifespan(),
            httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client,
        ):
            body = {"query": "mutation { add }"}
            first = asyncio.create_task(client.post("/graphql", json=body))
            await asyncio.sleep(0.2)
            second = await client.post("/graphql", json=body)
            release.set()
            await first
            return second

    answer = asyncio.run(main())
    assert answer.status_code == 409
    assert answer.headers["retry-after"] == "1"
    found = extensions_of(answer.json())
    assert found["code"] == "IDEMPOTENCY_KEY_IN_PROGRESS"
    assert found["retryable"] is True


def test_a_batch_whose_rows_lack_the_key_names_key_and_call() -> None:
    rows = [{"id": 1}, {"id": 2}]
    query = "{ a: book(id: 1) { id } b: book(id: 2) { id } }"
    with GraphTest(graph, books={"GET /books?id=1&id=2": rows}) as test:
        messages = {one["message"] for one in test.ask(query)["errors"]}
    (message,) = messages
    assert "the batch GET /books has no 'isbn'" in message


def test_the_call_of_a_batch_is_logged_under_its_own_template() -> None:
    rows = [{"id": 1, "isbn": 1}, {"id": 2, "isbn": 2}]
    query = "{ a: book(id: 1) { id } b: book(id: 2) { id } }"
    with GraphTest(graph, books={"GET /books?id=1&id=2": rows}) as test:
        test.ask(query)
    (call,) = [one for one in test.events if type(one).__name__ == "CallFinished"]
    assert call.endpoint == "GET /books?id="  # type: ignore[union-attr]


@pytest.mark.parametrize(("declared_s", "set_s", "answers"), [(0.1, 5.0, True), (5.0, 0.1, False)])
def test_an_operators_timeout_moves_the_whole_limit(
    monkeypatch: pytest.MonkeyPatch, declared_s: float, set_s: float, answers: bool
) -> None:
    slow = Backend("slow", "http://slow.test", timeout_s=declared_s)
    get_slow = slow.get("/books/{id}")

    @strawberry.type
    class Root:
        book: Book | None = get_slow(id=arg(strawberry.ID))

    async def reply_late(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.5)
        return httpx.Response(200, json={"id": 1})

    async def main() -> dict[str, Any]:
        api = create_app(
            Graph(query=Root), transports={"slow": httpx.MockTransport(reply_late)}, observers=()
        )
        transport = httpx.ASGITransport(api)
        async with api.lifespan(), httpx.AsyncClient(transport=transport) as client:
            body = {"query": "{ book(id: 1) { id } }"}
            found: dict[str, Any] = (await client.post("http://x/graphql", json=body)).json()
            return found

    monkeypatch.setenv("PLAIT_BACKENDS__SLOW__TIMEOUT_S", str(set_s))
    answer = asyncio.run(main())
    assert ("errors" not in answer) is answers


@pytest.mark.parametrize(("transport", "by_httpx"), [("plait", False), ("httpx", True)])
def test_an_operator_chooses_who_speaks_with_backends(transport: str, by_httpx: bool) -> None:
    settings = GraphTest(resolvers.graph).settings.model_copy(update={"transport": transport})
    app = create_app(resolvers.graph, settings, observers=())

    async def main() -> set[bool]:
        async with app.lifespan():
            assert app._running is not None
            clients = app._running.clients.values()
            return {one.transport._connections is None for one in clients}

    assert asyncio.run(main()) == {by_httpx}
