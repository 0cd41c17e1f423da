"""A plan in words and numbers, and how a run of it went."""

from typing import Any

import pytest
import strawberry

from plait import Graph
from plait.errors import BadUserInput
from plait.events import CallFinished
from plait.query.explain import Explanation, explain_text, tree
from plait.query.latency import CALLS_KEPT, Latencies, Latency
from plait.settings import Settings
from plait.testing import GraphTest, reply
from tests.query.test_plan import ASKED, ROWS, Query, asked, graph


def explained(text: str, variables: Any = None, rows: int = 10) -> Explanation:
    return explain_text(graph, text, variables=variables, operation_name=None, rows_assumed=rows)


@pytest.mark.parametrize(
    ("text", "calls", "waves", "is_exact"),
    [
        ("{ user(id: 1) { name } }", [1], 1, True),
        ("{ user(id: 1) { orders { id } points { total } } }", [1, 1, 1], 1, True),
        # A list of known length, of which equal ids are one key.
        ("{ users(ids: [1, 2, 3, 2]) { points { total } } }", [1, 3], 1, True),
        # A list of unknown length: ten rows, each with a call, since there is no batch form.
        ("{ all { points { total } } }", [1, 10], 2, False),
        ("{ all { orders { id } } }", [1, 1], 2, False),
        ("{ all { fixed { total } } }", [1, 1], 1, True),
        # Rows of rows: the lists multiply.
        (
            "{ all { addresses { users { id } } best { points { total } } } }",
            [1, 1, 1, 10],
            2,
            False,
        ),
        ("{ user(id: 1) { later } }", [1], 1, False),
    ],
)
def test_how_many_calls_in_how_many_waves(
    text: str, calls: list[int], waves: int, is_exact: bool
) -> None:
    made = explained(text)
    assert [one.calls for one in made.steps] == calls
    assert (made.calls, made.waves, made.is_exact) == (sum(calls), waves, is_exact)


def test_a_large_list_takes_several_batches() -> None:
    made = explained("{ all { orders { id } } }", rows=250)
    assert [one.calls for one in made.steps] == [1, 3]


def test_variables_decide_what_is_in_it() -> None:
    text = "query ($y: Boolean!) { user(id: 1) { points @include(if: $y) { total } } }"
    assert [one.when for one in explained(text).steps] == ["", "$y is true"]
    assert len(explained(text, {"y": True}).steps) == 2
    assert len(explained(text, {"y": False}).steps) == 1
    listed = "query ($i: [ID!]!) { users(ids: $i) { name } }"
    assert explained(listed, {"i": ["1", "2"]}).steps[0].keys == 2
    assert explained(listed).steps[0].keys == 10
    with pytest.raises(BadUserInput, match=r"do not fit\.\nVariable '\$i'"):
        explained(listed, {"i": None})


def test_the_tree_says_why() -> None:
    text = "{ user(id: 1) { points { total } best { orders { id } } later } }"
    assert list(tree(explained(text))) == [
        "2 waves, about 4 calls",
        "wave 1",
        "├─ user  b: GET /users/{id}  1 call",
        "│    id = argument id; 1 key in GET /users?id=, at most 100 keys a call",
        "└─ user.points  b: GET /points/{id}  1 call",
        "     id = this.id",
        "     early: its key is known before its row is there",
        "wave 2",
        "├─ user.best  b: GET /users/{id}  1 call",
        "│    id = this.bestId; 1 key in GET /users?id=, at most 100 keys a call",
        "│    after user: this.bestId shows when the row is there",
        "└─ user.best.orders  b: GET /users/{id}/orders  1 call",
        "     id = this.id; 1 key in GET /orders?id=, at most 100 keys a call",
        "     early: its key is known before its row is there",
        "longest way: user → user.best",
        "Lists are taken to have 10 rows.",
        "not planned: user.later (User.later): its resolver decides what to load",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{ nope }", "1:3: Cannot query field 'nope'"),
        ("{", "1:2: Syntax Error"),
        ("query A { all { id } } query B { all { id } }", "the named ones are: A, B"),
    ],
)
def test_what_cannot_be_executed_is_told(text: str, told: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        explained(text)
    assert told in str(caught.value)


def test_a_mutation_tells_whether_compiled_code_shows_what_it_returns() -> None:
    @strawberry.type
    class Made:
        name: str

        @strawberry.field
        def loud(self) -> str:
            return self.name.upper()

    @strawberry.type
    class Mutation:
        @strawberry.mutation
        async def make(self, name: str) -> Made:
            return Made(name=name)

    made = Graph(query=Query, mutation=Mutation)

    def lines(below: str) -> list[str]:
        text = f'mutation {{ make(name: "a") {{ {below} }} }}'
        told = explain_text(made, text, variables=None, operation_name=None, rows_assumed=1)
        return [*tree(told)][1:]

    planned = "not planned: the operation (mutation): its writes decide what is read"
    assert lines("name") == [planned]
    assert lines("loud") == [planned, "not compiled: Made.loud is not simply held"]


def test_asked_for_a_plan_the_gateway_calls_nothing() -> None:
    with GraphTest(graph, b=ROWS) as test:
        answer = test.ask(ASKED, x_plait_explain="plan")
        plan = answer["extensions"]["plait"]["plan"]
        assert answer["data"] is None
        assert (test.calls, plan["calls"], plan["waves"]) == ({}, 2, 1)
        assert [one["p50_ms"] for one in plan["steps"]] == [None, None]
        test.ask(ASKED)
        # What was measured meanwhile is in it.
        plan = test.ask(ASKED, x_plait_explain="plan")["extensions"]["plait"]["plan"]
    assert all(one["p50_ms"] > 0 for one in plan["steps"])
    assert plan["p50_ms"] == max(one["p50_ms"] for one in plan["steps"])


def test_asked_for_a_run_the_gateway_tells_how_it_went() -> None:
    script = {**ROWS, "GET /points/1": reply(status=503)}
    answer, _ = asked(script, x_plait_explain="run")
    assert answer["data"] == {"user": {"name": "x", "points": None}}
    told = answer["extensions"]["plait"]
    assert told["plan"]["waves"] == 1
    user, points = told["run"]["fetches"]
    assert [(one["wave"], one["keys"], one["failed"]) for one in (user, points)] == [
        (1, ["1"], 0),
        (1, ["1"], 1),
    ]
    (call,) = points["calls"]
    assert (call["call"], call["status"], call["error"]) == (
        "GET /points/{id}",
        503,
        "BACKEND_HTTP_ERROR",
    )
    assert 0 <= user["start_ms"] <= user["end_ms"] <= told["run"]["ms"]
    # Nobody else is told.
    plain, _ = asked(ROWS)
    assert "extensions" not in plain


def test_what_the_cache_had_is_told() -> None:
    script = {
        "GET /users/1": reply({"id": 1, "name": "x"}, headers={"cache-control": "max-age=60"})
    }
    with GraphTest(graph, b=script) as test:
        test.ask("{ user(id: 1) { name } }")
        answer = test.ask("{ user(id: 1) { name } }", x_plait_explain="run")
    (fetch,) = answer["extensions"]["plait"]["run"]["fetches"]
    assert (fetch["cached"], fetch["calls"]) == (1, [])


def test_a_header_that_says_nothing_known_is_refused() -> None:
    answer, calls = None, None
    with GraphTest(graph, b=ROWS) as test:
        answer, calls = test.ask(ASKED, x_plait_explain="yes"), test.calls
    assert answer["errors"][0]["message"] == "The header x-plait-explain is 'plan' or 'run'."
    assert calls == {}


def test_who_may_not_see_the_schema_may_not_see_the_plan() -> None:
    with GraphTest(graph, b=ROWS) as test:
        settings = test.settings.model_copy(update={"introspection": False})
    assert isinstance(settings, Settings)
    with GraphTest(graph, settings=settings, b=ROWS) as test:
        answer = test.ask(ASKED, x_plait_explain="plan")
        assert "turned off" in answer["errors"][0]["message"]
        assert test.calls == {}
        assert "extensions" not in test.ask(ASKED, x_plait_explain="run")


def finished(ms: float, error: str | None = None) -> CallFinished:
    return CallFinished(
        request_id="",
        trace_id="",
        backend="b",
        endpoint="GET /x",
        keys=1,
        http_status=200,
        error_code=error,
        attempts=1,
        duration_ms=ms,
    )


def test_how_long_calls_take_is_what_the_last_ones_took() -> None:
    latencies = Latencies()
    assert latencies.of("b", "GET /x") is None
    latencies(finished(10_000, "BACKEND_TIMEOUT"))
    assert latencies.of("b", "GET /x") is None
    for _ in range(CALLS_KEPT):
        latencies(finished(500))
    for ms in range(CALLS_KEPT):  # and these push those out
        latencies(finished(ms))
    assert latencies.of("b", "GET /y", "GET /x") == Latency(p50=128, p95=243)
    assert latencies.of("c", "GET /x") is None
