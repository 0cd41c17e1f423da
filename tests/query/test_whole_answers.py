"""Every kind of answer, whole: each message, place, code and detail is a promise to clients."""

import asyncio
from typing import Any

import pytest
import strawberry
from graphql import GraphQLError
from strawberry.permission import BasePermission

from plait import Backend, BadUserInput, Graph, arg
from plait.events import FieldFailed
from plait.settings import Settings
from plait.testing import GraphTest, _Defaults, reply

b = Backend("b", "http://b.test")
get_row = b.get("/rows/{id}")
get_stale = b.get("/stale", stale_if_error_s=60)
list_rows = b.get("/rows")


class Nobody(BasePermission):
    message = "Nobody may."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return False


@strawberry.type
class Row:
    id: int
    name: str | None

    @strawberry.field
    def broken(self) -> str:
        raise RuntimeError("secret")

    @strawberry.field
    def told(self) -> str | None:
        raise GraphQLError("For your eyes.", extensions={"code": "OWN", "more": 1})

    @strawberry.field
    def plain(self) -> str | None:
        raise GraphQLError("For your eyes.")

    @strawberry.field
    def nothing(self) -> str:
        return None  # type: ignore[return-value]

    @strawberry.field
    def refused(self) -> str | None:
        raise BadUserInput("Not that one.")

    @strawberry.field(permission_classes=[Nobody])
    def secret(self) -> str | None:
        return "secret"


@strawberry.type
class Query:
    row: Row | None = get_row(id=arg(strawberry.ID))
    safe: Row | None = get_row(id=arg(strawberry.ID), fallback={"id": 0})
    stale: Row | None = get_stale()
    rows: list[Row] | None = list_rows()
    must: Row = get_row(id=arg(strawberry.ID))


@strawberry.type
class Mutation:
    note: int | None = b.post("/notes").field(body=arg(int))


graph = Graph(query=Query, mutation=Mutation)
SCRIPT: dict[str, Any] = {
    "GET /rows/1": {"id": 1, "name": "one"},
    "GET /rows/2": reply(status=503, headers={"retry-after": "7"}),
    "GET /rows/3": {"id": "three"},
    "GET /rows/4": reply(status=404),
    "GET /rows": [{"id": n} for n in range(150)],
}
MASKED = "Something went wrong here. The log tells more, under the request id."


def ask(query: str, variables: Any = None, made: Graph = graph, **settings: Any) -> Any:
    given: Settings | None = None
    if settings:
        backends: Any = {"b": {"url": "http://b.test"}}
        given = _Defaults(backends=backends, ledger_path=":memory:", **settings)
    with GraphTest(made, settings=given, b=SCRIPT) as test:
        return test.ask(query, variables, x_request_id="r1")


def one(query: str, variables: Any = None, **settings: Any) -> Any:
    """The only error of the answer."""
    (error,) = ask(query, variables, **settings)["errors"]
    return error


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (
            "{ row(id: ",
            {
                "message": "Syntax Error: Unexpected <EOF>.",
                "locations": [{"line": 1, "column": 11}],
                "extensions": {"code": "GRAPHQL_PARSE_FAILED", "request_id": "r1"},
            },
        ),
        (
            "{\n  row(id: 1) {\r\n    nam\n  }\n}",
            {
                "message": "Cannot query field 'nam' on type 'Row'. Did you mean 'name'?",
                "locations": [{"line": 3, "column": 5}],
                "extensions": {"code": "GRAPHQL_VALIDATION_FAILED", "request_id": "r1"},
            },
        ),
        (
            "query A { a: __typename } query B { b: __typename }",
            {
                "message": "Name one of the operations of the document in 'operationName'.",
                "extensions": {"code": "BAD_USER_INPUT", "request_id": "r1"},
            },
        ),
        (
            "{ row(id: 2) { id } }",
            {
                "message": "Backend 'b' answered with status 503.",
                "locations": [{"line": 1, "column": 3}],
                "path": ["row"],
                "extensions": {
                    "code": "BACKEND_HTTP_ERROR",
                    "backend": "b",
                    "endpoint": "GET /rows/{id}",
                    "http": {"status": 503},
                    "retryable": True,
                    "retry_after_s": 7.0,
                    "attempts": 1,
                    "request_id": "r1",
                },
            },
        ),
        (
            "{ r: row(id: 3) { n: id } }",
            {
                "message": "The backend's row is not as declared: 'id' is not of type Int.",
                "locations": [{"line": 1, "column": 19}],
                "path": ["r", "n"],
                "extensions": {
                    "code": "BAD_BACKEND_RESPONSE",
                    "backend": "b",
                    "endpoint": "GET /rows/{id}",
                    "retryable": False,
                    "attempts": 1,
                    "request_id": "r1",
                },
            },
        ),
        (
            "{ must(id: 4) { id } }",
            {
                "message": "Backend 'b' has no such row.",
                "locations": [{"line": 1, "column": 3}],
                "path": ["must"],
                "extensions": {
                    "code": "NOT_FOUND",
                    "backend": "b",
                    "endpoint": "GET /rows/{id}",
                    "http": {"status": 404},
                    "retryable": False,
                    "attempts": 1,
                    "request_id": "r1",
                },
            },
        ),
        (
            "{ row(id: 1) { broken } }",
            {
                "message": MASKED,
                "locations": [{"line": 1, "column": 16}],
                "path": ["row", "broken"],
                "extensions": {"code": "INTERNAL_ERROR", "request_id": "r1"},
            },
        ),
        (
            "{ row(id: 1) { told } }",
            {
                "message": "For your eyes.",
                "locations": [{"line": 1, "column": 16}],
                "path": ["row", "told"],
                "extensions": {"code": "OWN", "more": 1, "request_id": "r1"},
            },
        ),
        (
            "{ row(id: 1) { plain } }",
            {
                "message": "For your eyes.",
                "locations": [{"line": 1, "column": 16}],
                "path": ["row", "plain"],
                "extensions": {"code": "RESOLVER_ERROR", "request_id": "r1"},
            },
        ),
        (
            "{ row(id: 1) { nothing } }",
            {
                "message": "Cannot return null for non-nullable field Row.nothing.",
                "locations": [{"line": 1, "column": 16}],
                "path": ["row", "nothing"],
                "extensions": {"code": "NULL_IN_NON_NULL_FIELD", "request_id": "r1"},
            },
        ),
        (
            "{ row(id: 1) { refused } }",
            {
                "message": "Not that one.",
                "locations": [{"line": 1, "column": 16}],
                "path": ["row", "refused"],
                "extensions": {"code": "BAD_USER_INPUT", "request_id": "r1"},
            },
        ),
        (
            "{ row(id: 1) { secret } }",
            {
                "message": "Nobody may.",
                "locations": [{"line": 1, "column": 16}],
                "path": ["row", "secret"],
                "extensions": {"code": "RESOLVER_ERROR", "request_id": "r1"},
            },
        ),
    ],
)
def test_an_error_is_told_whole(query: str, error: dict[str, Any]) -> None:
    assert one(query) == error


def test_a_variable_that_cannot_be_is_told_before_anything_ran() -> None:
    answer = ask("query ($id: ID!) { row(id: $id) { id } }", {"id": ["x" * 200]})
    (error,) = answer["errors"]
    assert "data" not in answer
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "request_id": "r1"}
    assert error["locations"] == [{"line": 1, "column": 8}]
    assert "x" * 101 not in error["message"]
    assert "…" in error["message"]


def test_long_words_and_messages_are_cut() -> None:
    error = one("{ " + "x" * 101 + " }")
    assert error["message"] == f"Cannot query field '{'x' * 100}…' on type 'Query'."
    error = one("{ " + "x" * 100 + " }")
    assert error["message"] == f"Cannot query field '{'x' * 100}' on type 'Query'."
    long = "F" * 30
    fragments = " ".join(f"...{long}{n}" for n in range(30))
    names = "".join(f" fragment {long}{n} on Query {{ ...{long}{n + 1} }}" for n in range(29))
    error = one(f"{{ {fragments} }} {names} fragment {long}29 on Query {{ ...{long}0 }}")
    assert len(error["message"]) == 501
    assert error["message"].endswith("…")


def test_what_is_refused_as_a_whole_names_its_limit() -> None:
    assert ask("{ rows { id } }", answer_objects_max=10) == {
        "errors": [
            {
                "message": "This operation has more objects and list items in its answer than the "
                "10 that are allowed. Ask for less at once.",
                "extensions": {
                    "code": "OPERATION_TOO_COSTLY",
                    "limit": "answer_objects_max",
                    "value": 10,
                    "request_id": "r1",
                },
            }
        ],
        "data": None,
    }
    query = "query ($x: ID!) { row(id: $x) { id } }"
    too_many = ask(query, {"x": ["1"] * 3}, request_list_items_max=2)
    assert too_many["errors"][0]["extensions"]["limit"] == "request_list_items_max"
    assert "data" not in too_many


def test_introspection_that_is_off_names_nothing() -> None:
    error = one("{ __schema { types { name } } }", introspection=False)
    assert error == {
        "message": "Introspection is turned off here.",
        "locations": [{"line": 1, "column": 3}],
        "extensions": {"code": "INTROSPECTION_DISABLED", "request_id": "r1"},
    }
    hidden = one("{ row(id: 1) { nam } }", introspection=False)
    assert hidden["message"] == "Cannot query field 'nam' on type 'Row'."
    inside = '{ ...F } fragment F on Query { ... on Query { __type(name: "Row") { name } } }'
    assert one(inside, introspection=False)["extensions"]["code"] == "INTROSPECTION_DISABLED"


def test_more_errors_than_there_is_room_for_are_counted() -> None:
    answer = ask("{ rows { id told } }")
    errors = answer["errors"]
    assert len(errors) == 101
    assert len({tuple(error["path"]) for error in errors[:100]}) == 100
    assert errors[100] == {"message": "50 more errors are not listed."}
    assert len(answer["data"]["rows"]) == 150


def test_what_failed_inside_is_in_the_log_whole() -> None:
    with GraphTest(graph, b=SCRIPT) as test:
        test.ask("{ r: row(id: 1) { b: broken } }", x_request_id="r1")
    (event,) = [one for one in test.events if isinstance(one, FieldFailed)]
    assert (event.request_id, event.path, str(event.error)) == ("r1", "r.b", "secret")


def test_what_stands_in_is_told() -> None:
    assert ask("{ s: safe(id: 2) { id } }") == {
        "data": {"s": {"id": 0}},
        "extensions": {
            "plait": {
                "fallbacks": [
                    {
                        "path": ["s"],
                        "kind": "value",
                        "code": "BACKEND_HTTP_ERROR",
                        "backend": "b",
                        "endpoint": "GET /rows/{id}",
                    }
                ]
            }
        },
    }


def test_a_stale_copy_is_told() -> None:
    replies = [reply({"id": 5}, headers={"cache-control": "max-age=0"}), reply(status=500)]
    with GraphTest(graph, b={"GET /stale": lambda _: replies.pop(0)}) as test:
        test.ask("{ stale { id } }")
        answer = test.ask("{ stale { id } }")
    assert answer["data"] == {"stale": {"id": 5}}
    assert answer["extensions"]["plait"]["fallbacks"] == [
        {
            "path": ["stale"],
            "kind": "stale",
            "code": "BACKEND_HTTP_ERROR",
            "backend": "b",
            "endpoint": "GET /stale",
        }
    ]


def test_only_so_many_marks_are_told() -> None:
    fields = " ".join(f"f{n}: safe(id: 2) {{ id }}" for n in range(105))
    answer = ask(f"{{ {fields} }}")
    assert len(answer["extensions"]["plait"]["fallbacks"]) == 100


def test_a_client_that_asks_with_get_may_not_write() -> None:
    import httpx

    from plait import create_app

    async def main() -> Any:
        backends: Any = {"b": {"url": "http://b.test"}}
        app = create_app(graph, _Defaults(backends=backends, ledger_path=":memory:"), observers=())
        async with app.lifespan():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                url = "/graphql?query=mutation{note(body:1)}"
                return await client.get(url, headers={"x-request-id": "r1"})

    answer = asyncio.run(main())
    assert answer.status_code == 405
    assert answer.json() == {
        "errors": [
            {
                "message": "A GET can only query: send mutations with POST.",
                "extensions": {"code": "BAD_USER_INPUT", "request_id": "r1"},
            }
        ]
    }
