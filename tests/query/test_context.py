"""What a resolver finds at `info.context`, and what it says of a request."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, write_together
from plait.errors import BackendTimeout
from plait.testing import GraphTest, reply

b = Backend("b", "http://b.test")
write = b.post("/rows")
get_row = b.get("/row")
SEEN: list[Any] = []


@strawberry.enum
class Colour(Enum):
    RED = "red"
    BLUE = 2


@strawberry.input
class Inner:
    at: dt.datetime | None
    amounts: list[Decimal] | None = None
    number: int = 5


@strawberry.type
class Sub:
    @strawberry.field
    async def save(self, info: strawberry.Info, n: int = 1) -> str:
        SEEN.append((info.context.arguments_of(info), sorted(info.context.fields_of(info))))
        (one,) = await write_together(info, write(body=n))
        return type(one).__name__


@strawberry.type
class Query:
    ok: bool = True


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def save(
        self,
        info: strawberry.Info,
        id: strawberry.ID,
        colour: Colour = Colour.RED,
        inner: Inner | None = None,
        any: strawberry.scalars.JSON | None = None,
        nested: list[list[int]] | None = None,
    ) -> str:
        SEEN.append((info.context.arguments_of(info), sorted(info.context.fields_of(info))))
        (one,) = await write_together(info, write(body=1))
        return type(one).__name__

    @strawberry.mutation
    async def report(self, info: strawberry.Info) -> int | None:
        error = BackendTimeout("Late.", backend="b", endpoint="e")
        info.context.report(error, info)
        return 5

    @strawberry.mutation
    def look(self, info: strawberry.Info) -> strawberry.scalars.JSON:
        context = info.context
        context.state["mine"] = 1
        return {
            "headers": {"x-mine": context.headers["x-mine"]},
            "caller": len(context.caller),
            "key": context.idempotency_key,
            "request_id": context.origin.request_id,
            "has_deadline": context.origin.deadline is not None,
            "state": context.state,
        }

    @strawberry.mutation
    def sub(self) -> Sub:
        return Sub()


graph = Graph(query=Query, mutation=Mutation)


def ask(mutation: str, variables: Any = None, declared: str = "", **headers: str) -> Any:
    SEEN.clear()
    with GraphTest(graph, b={"POST /rows": {}}) as test:
        return test.ask(f"mutation {declared} {{ {mutation} }}", variables, **headers)


DEFAULT = {"id": "1", "colour": "RED"}


@pytest.mark.parametrize(
    ("mutation", "arguments"),
    [
        ('save(id: "1")', DEFAULT),
        ("save(id: 1)", DEFAULT),
        ("other: save(id: 1)", DEFAULT),
        ("save(id: 1, colour: BLUE)", {**DEFAULT, "colour": "BLUE"}),
        (
            'save(id: 1, inner: {at: "2026-11-25T00:00:00Z", amounts: ["1.50", 2.250]})',
            {
                **DEFAULT,
                "inner": {
                    "at": "2026-11-25T00:00:00+00:00",
                    "amounts": ["1.50", "2.250"],
                    "number": 5,
                },
            },
        ),
        ("save(id: 1, inner: {})", {**DEFAULT, "inner": {"number": 5}}),
        ("save(id: 1, inner: {at: null})", {**DEFAULT, "inner": {"at": None, "number": 5}}),
        ("save(id: 1, inner: null)", {**DEFAULT, "inner": None}),
        ("save(id: 1, any: {a: [1, null]})", {**DEFAULT, "any": {"a": [1, None]}}),
        ("save(id: 1, nested: [[1], [2, 3]])", {**DEFAULT, "nested": [[1], [2, 3]]}),
    ],
)
def test_the_arguments_of_a_field_are_what_a_client_would_send(
    mutation: str, arguments: dict[str, Any]
) -> None:
    assert "errors" not in ask(mutation)
    ((seen, _),) = SEEN
    assert seen == arguments


def test_arguments_from_variables_are_the_same_arguments() -> None:
    declared = "($id: ID!, $inner: Inner, $none: JSON)"
    ask(
        "save(id: $id, inner: $inner, any: $none)",
        {"id": 1, "inner": {"amounts": ["1.50"]}},
        declared,
    )
    ((seen, _),) = SEEN
    assert seen == {**DEFAULT, "inner": {"amounts": ["1.50"], "number": 5}}


def test_the_fields_of_the_operation_are_its_keys_in_the_answer() -> None:
    ask(
        "a: save(id: 1) ...F ... { look @skip(if: true) } ... on Mutation { z: report } "
        "sub { save } } fragment F on Mutation { f: report "
    )
    assert SEEN[0][1] == ["a", "f", "look", "sub", "z"]
    assert SEEN[1] == ({"n": 1}, ["a", "f", "look", "sub", "z"])


def test_an_error_is_reported_beside_the_data() -> None:
    answer = ask("r: report", x_request_id="r1")
    assert answer["data"] == {"r": 5}
    assert answer["errors"] == [
        {
            "message": "Late.",
            "locations": [{"line": 1, "column": 13}],
            "path": ["r"],
            "extensions": {
                "code": "BACKEND_TIMEOUT",
                "backend": "b",
                "endpoint": "e",
                "retryable": True,
                "attempts": 1,
                "request_id": "r1",
            },
        }
    ]


def test_a_resolver_finds_who_asks() -> None:
    answer = ask("look", x_mine="m", authorization="a", idempotency_key="k", x_request_id="r1")
    assert answer["data"]["look"] == {
        "headers": {"x-mine": "m"},
        "caller": 32,
        "key": "k",
        "request_id": "r1",
        "has_deadline": True,
        "state": {"mine": 1},
    }


def test_only_so_many_writes_are_told() -> None:
    fields = " ".join(f"f{n}: save(id: {n})" for n in range(102))
    answer = ask(fields)
    told = answer["extensions"]["plait"]["writes"]
    assert len(told) == 100
    assert [one["path"] for one in told] == [[f"f{n}"] for n in range(100)]
    assert len(answer["data"]) == 102


def test_a_write_that_failed_is_told_at_its_field() -> None:
    with GraphTest(graph, b={"POST /rows": reply(status=422)}) as test:
        answer = test.ask("mutation {\n  s: sub { t: save(n: 2) }\n}")
    assert answer["data"] == {"s": {"t": "Failed"}}
    assert [(one["path"], one["locations"]) for one in answer["errors"]] == [
        (["s", "t"], [{"line": 2, "column": 12}])
    ]
    assert answer["extensions"]["plait"]["writes"][0]["path"] == ["s", "t"]


def test_nested_fields_have_places_of_their_own() -> None:
    calls: list[Any] = []
    with GraphTest(graph, b={"POST /rows": lambda sent: calls.append(sent.body) or {}}) as test:
        for _ in range(2):
            answer = test.ask(
                "mutation { a: sub { x: save(n: 1) y: save(n: 2) } b: sub { x: save(n: 3) } }",
                idempotency_key="k",
            )
            assert "errors" not in answer
    assert sorted(calls) == [1, 2, 3]
    assert answer["extensions"]["plait"]["replayed"] is True
