"""Reads through the whole engine, with backends replaced at the wire. Calls are counted there."""

import asyncio
import enum
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import strawberry

from plait import Backend, Graph, arg, by_ids, grouped, prop, this
from plait.clock import TestClock
from plait.events import CallFinished
from tests.conftest import Wire, gateway

users = Backend("users", "http://users.test", forward=("authorization",))
orders = Backend("orders", "http://orders.test/v1")
get_user = users.get("/users/{id}", batch=by_ids("/users", size=10), stale_if_error_s=60)
list_orders = orders.get(
    "/users/{user_id}/orders",
    query=("status",),
    unwrap="items",
    batch=grouped("/orders", ids="userId", key="userId"),
)
get_score = orders.get("/scores/{user_id}")


@strawberry.enum
class Tier(enum.Enum):
    GOLD = "gold"


@strawberry.type
class Order:
    id: strawberry.ID
    total: int
    customer: "User | None" = get_user(id=this.userId)


@strawberry.type
class User:
    id: strawberry.ID
    full_name: str = prop("name")
    tier: Tier | None
    orders: list[Order] = list_orders(user_id=this.id, status=arg(str | None))
    guarded: list[Order] = list_orders(user_id=this.id, fallback=[])
    score: int | None = get_score(user_id=this.id)
    mentor: "User | None" = get_user(id=this.mentorId)

    @strawberry.field
    async def shout(self) -> str:
        return self.full_name.upper()


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(strawberry.ID))
    must: User = get_user(id=arg(strawberry.ID))
    users: list[User | None] = get_user.many(id=arg(list[strawberry.ID], name="ids"))


graph = Graph(query=Query)


def user_row(id: str) -> dict[str, Any]:
    return {"id": int(id), "name": f"user {id}", "tier": "gold", "mentorId": None}


def users_answer(request: httpx.Request) -> httpx.Response:
    ids = request.url.params.get_list("id")
    if ids:
        return httpx.Response(200, json=[user_row(id) for id in ids if int(id) < 900])
    id = request.url.path.rpartition("/")[2]
    return httpx.Response(404) if int(id) >= 900 else httpx.Response(200, json=user_row(id))


def orders_answer(request: httpx.Request) -> httpx.Response:
    if "/scores/" in request.url.path:
        return httpx.Response(200, json=7)
    ids = request.url.params.get_list("userId") or [request.url.path.split("/")[3]]
    rows = [{"id": f"{id}-{n}", "userId": int(id), "total": n} for id in ids for n in (1, 2)]
    return httpx.Response(200, json={"items": rows})


def ask(
    query: str,
    users: Callable[[httpx.Request], httpx.Response] = users_answer,
    orders: Callable[[httpx.Request], httpx.Response] = orders_answer,
    **headers: str,
) -> tuple[dict[str, Any], Wire, Wire]:
    """One query against fresh backends: the answer, and what each backend was asked."""
    users_wire, orders_wire = Wire(users), Wire(orders)

    async def main() -> dict[str, Any]:
        async with gateway(graph, {"users": users_wire, "orders": orders_wire}) as send:
            return await send(query, **headers)

    return asyncio.run(main()), users_wire, orders_wire


def codes(answer: dict[str, Any]) -> list[tuple[Any, str]]:
    return [(one.get("path"), one["extensions"]["code"]) for one in answer.get("errors", ())]


def test_one_batch_for_each_endpoint_and_wave() -> None:
    answer, users_wire, orders_wire = ask(
        "{ users(ids: [1, 2, 3, 2]) { id orders { id customer { fullName } } } }"
    )
    assert "errors" not in answer
    assert answer["data"]["users"][3]["orders"][0] == {
        "id": "2-1",
        "customer": {"fullName": "user 2"},
    }
    assert users_wire.calls == ["GET /users?id=1&id=2&id=3"]
    assert orders_wire.calls == ["GET /v1/orders?userId=1&userId=2&userId=3"]


def test_a_batch_is_split_at_its_maximum_and_its_children_stay_together() -> None:
    ids = list(range(1, 26))
    _, users_wire, orders_wire = ask(f"{{ users(ids: {ids}) {{ orders {{ id }} }} }}")
    assert len(users_wire.calls) == 3
    assert len(orders_wire.calls) == 1


def test_two_fields_on_one_endpoint_share_a_batch() -> None:
    _, users_wire, _ = ask("{ a: user(id: 1) { id } b: must(id: 2) { id } }")
    assert users_wire.calls == ["GET /users?id=1&id=2"]


def test_a_null_argument_is_left_out_and_another_value_is_another_batch() -> None:
    _, _, orders_wire = ask('{ user(id: 1) { orders { id } open: orders(status: "open") { id } } }')
    assert orders_wire.calls == ["GET /v1/users/1/orders", "GET /v1/users/1/orders?status=open"]


def test_a_missing_row_is_null_where_it_may_be_and_an_error_where_it_may_not() -> None:
    answer, _, _ = ask("{ user(id: 900) { id } users(ids: [1, 901]) { id } }")
    assert answer == {"data": {"user": None, "users": [{"id": "1"}, None]}}
    answer, _, _ = ask("{ must(id: 900) { id } }")
    assert codes(answer) == [(["must"], "NOT_FOUND")]
    assert answer["data"] is None


def test_a_foreign_key_that_is_null_makes_no_call() -> None:
    answer, users_wire, _ = ask("{ user(id: 1) { mentor { id } } }")
    assert answer["data"] == {"user": {"mentor": None}}
    assert len(users_wire.calls) == 1


def test_an_ordinary_resolver_sees_the_row_as_self() -> None:
    answer, _, _ = ask("{ user(id: 1) { shout tier score } }")
    assert answer["data"]["user"] == {"shout": "USER 1", "tier": "GOLD", "score": 7}


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (httpx.Response(500, text="secret trouble"), "BACKEND_HTTP_ERROR"),
        (httpx.Response(403), "BACKEND_HTTP_ERROR"),
        (httpx.Response(302, headers={"location": "http://elsewhere/"}), "BACKEND_REDIRECTED"),
        (httpx.Response(200, text="<html>secret</html>"), "BAD_BACKEND_RESPONSE"),
        (httpx.Response(200, text='{"items": [{"id": 1'), "BAD_BACKEND_RESPONSE"),
        (httpx.Response(200, json={"other": []}), "BAD_BACKEND_RESPONSE"),
        (httpx.Response(200, json={"items": 5}), "BAD_BACKEND_RESPONSE"),
        (
            httpx.Response(200, json={"items": [{"id": "1", "total": "secret"}]}),
            "BAD_BACKEND_RESPONSE",
        ),
        (httpx.Response(200, json={"items": [{"id": "1"}]}), "BAD_BACKEND_RESPONSE"),
        (httpx.Response(200, json={"items": [None]}), "BAD_BACKEND_RESPONSE"),
        (httpx.Response(200, content=b"[" * 100_000), "BAD_BACKEND_RESPONSE"),
        (httpx.Response(200, content=b" " * 11_000_000), "BACKEND_RESPONSE_TOO_LARGE"),
    ],
)
def test_whatever_a_backend_does_wrong_has_a_code_and_stays_in_its_field(
    reply: httpx.Response, code: str
) -> None:
    answer, _, _ = ask(
        "{ user(id: 1) { id } other: user(id: 1) { orders { total } } }", orders=lambda _: reply
    )
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == code
    assert error["extensions"]["backend"] == "orders"
    assert error["extensions"]["endpoint"] == "GET /users/{user_id}/orders"
    assert error["path"][:2] == ["other", "orders"]
    assert answer["data"] == {"user": {"id": "1"}, "other": None}
    assert "secret" not in str(answer)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (httpx.ConnectError("no"), "BACKEND_UNREACHABLE"),
        (httpx.ConnectTimeout("no"), "BACKEND_TIMEOUT"),
        (httpx.ReadTimeout("no"), "BACKEND_TIMEOUT"),
        (httpx.ReadError("no"), "BACKEND_DISCONNECTED"),
        (httpx.RemoteProtocolError("no"), "BACKEND_DISCONNECTED"),
    ],
)
def test_a_broken_connection_has_a_code(raised: Exception, code: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise raised

    answer, _, _ = ask("{ user(id: 1) { score id } }", orders=fail)
    assert codes(answer) == [(["user", "score"], code)]
    assert answer["data"] == {"user": {"score": None, "id": "1"}}
    assert answer["errors"][0]["extensions"]["retryable"] is True


def test_a_failed_chunk_fails_its_own_keys_only() -> None:
    def answer_some(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500) if "id=11" in str(request.url) else users_answer(request)

    answer, _, _ = ask(f"{{ users(ids: {list(range(1, 21))}) {{ id }} }}", users=answer_some)
    shown = [one and one["id"] for one in answer["data"]["users"]]
    assert shown == [str(id) for id in range(1, 11)] + [None] * 10
    assert [path for path, _ in codes(answer)] == [["users", place] for place in range(10, 20)]


@pytest.mark.parametrize(
    ("rows", "shown", "failed"),
    [
        ([user_row("1")], ["1", None], []),
        ([user_row("1"), user_row("2"), user_row("77")], ["1", "2"], []),
        ([user_row("1"), user_row("1"), user_row("2")], ["1", "2"], []),
        ([user_row("1"), {**user_row("1"), "name": "x"}, user_row("2")], [None, "2"], [0]),
        ([user_row("1"), {"name": "keyless"}], ["1", None], [1]),
    ],
    ids=["missing row", "extra row", "equal rows", "contradicting rows", "row without key"],
)
def test_rows_of_a_batch_find_their_keys(
    rows: list[Any], shown: list[str | None], failed: list[int]
) -> None:
    answer, _, _ = ask(
        "{ users(ids: [1, 2]) { id } }", users=lambda _: httpx.Response(200, json=rows)
    )
    assert [one and one["id"] for one in answer["data"]["users"]] == shown
    assert codes(answer) == [(["users", place], "BAD_BACKEND_RESPONSE") for place in failed]


def test_a_declared_fallback_fills_the_field_and_the_answer_says_so() -> None:
    answer, _, _ = ask("{ user(id: 1) { guarded { id } } }", orders=lambda _: httpx.Response(503))
    assert answer["data"] == {"user": {"guarded": []}}
    assert "errors" not in answer
    (mark,) = answer["extensions"]["plait"]["fallbacks"]
    assert mark == {
        "path": ["user", "guarded"],
        "kind": "value",
        "code": "BACKEND_HTTP_ERROR",
        "backend": "orders",
        "endpoint": "GET /users/{user_id}/orders",
    }


@pytest.mark.parametrize(
    "value", ["../1", "..", ".", "a/../b", "%2e%2e", "..%2fadmin", "1\r\nx: y", ""]
)
def test_a_value_that_would_change_the_path_is_refused(value: str) -> None:
    async def main() -> dict[str, Any]:
        async with gateway(graph, {"users": wire, "orders": Wire(orders_answer)}) as send:
            return await send("query ($id: ID!) { user(id: $id) { id } }", {"id": value})

    wire = Wire(users_answer)
    assert codes(asyncio.run(main())) == [(["user"], "BAD_USER_INPUT")]
    assert wire.calls == []


def test_a_value_is_one_encoded_segment_of_the_path() -> None:
    async def main() -> None:
        async with gateway(graph, {"users": wire, "orders": Wire(orders_answer)}) as send:
            await send("query ($id: ID!) { user(id: $id) { id } }", {"id": "a b?c=d#e%2fü"})

    wire = Wire(lambda _: httpx.Response(404))
    asyncio.run(main())
    assert wire.calls == ["GET /users/a%20b%3Fc%3Dd%23e%252f%C3%BC"]


class Caching:
    """A users backend whose replies may be kept."""

    def __init__(self, control: str, **headers: str) -> None:
        self.headers = {"cache-control": control, **headers}
        self.broken = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.broken:
            return httpx.Response(503)
        if "etag" in self.headers and request.headers.get("if-none-match") == self.headers["etag"]:
            return httpx.Response(304, headers=self.headers)
        reply = users_answer(request)
        reply.headers.update(self.headers)
        return reply


def served(backend: Caching, *steps: Any) -> tuple[list[dict[str, Any]], Wire]:
    """Queries, headers for the next query, and seconds to let pass, in one gateway."""
    wire, clock = Wire(backend), TestClock()
    answers = []

    async def main() -> None:
        async with gateway(
            graph, {"users": wire, "orders": Wire(orders_answer)}, clock=clock
        ) as send:
            for step in steps:
                if isinstance(step, str):
                    answers.append(await send(step))
                elif isinstance(step, tuple):
                    answers.append(await send(step[0], authorization=step[1]))
                elif callable(step):
                    step()
                else:
                    clock.advance(step)

    asyncio.run(main())
    return answers, wire


def test_rows_of_a_batch_are_cached_by_key() -> None:
    _, wire = served(
        Caching("max-age=30"), "{ users(ids: [1, 2]) { id } }", "{ users(ids: [2, 3]) { id } }"
    )
    assert wire.calls == ["GET /users?id=1&id=2", "GET /users/3"]


def test_a_row_is_asked_for_again_once_its_max_age_is_over() -> None:
    one = "{ user(id: 1) { id } }"
    _, wire = served(Caching("max-age=30"), one, 29, one, 2, one)
    assert len(wire.calls) == 2


@pytest.mark.parametrize("control", ["no-store", "max-age=0", "private, max-age=60", ""])
def test_what_may_not_be_kept_is_asked_for_each_time(control: str) -> None:
    one = "{ user(id: 1) { id } }"
    _, wire = served(Caching(control), one, one)
    assert len(wire.calls) == 2


def test_a_row_with_an_etag_is_confirmed_and_not_sent_again() -> None:
    one = "{ user(id: 1) { fullName } }"
    answers, wire = served(Caching("max-age=10", etag='"v1"'), one, 11, one, 5, one)
    assert answers[0] == answers[1] == answers[2]
    assert [request.headers.get("if-none-match") for request in wire.requests] == [None, '"v1"']


def test_a_stale_copy_stands_in_for_a_failed_call_and_the_answer_says_so() -> None:
    backend = Caching("max-age=10")
    one = "{ user(id: 1) { id } }"
    answers, _ = served(backend, one, 11, lambda: setattr(backend, "broken", True), one, 60, one)
    assert answers[1]["data"] == {"user": {"id": "1"}}
    assert answers[1]["extensions"]["plait"]["fallbacks"][0]["kind"] == "stale"
    assert codes(answers[2]) == [(["user"], "BACKEND_HTTP_ERROR")]


def test_one_callers_row_never_reaches_another() -> None:
    one = "{ user(id: 1) { id } }"
    _, wire = served(
        Caching("private, max-age=60"),
        (one, "Bearer ada"),
        (one, "Bearer bob"),
        (one, "Bearer ada"),
    )
    assert [one.headers["authorization"] for one in wire.requests] == ["Bearer ada", "Bearer bob"]


def test_concurrent_misses_of_one_key_make_one_call_and_share_its_failure() -> None:
    wire = Wire(lambda _: httpx.Response(500))

    async def main() -> list[dict[str, Any]]:
        async with gateway(graph, {"users": wire, "orders": Wire(orders_answer)}) as send:
            one = "query ($id: ID!) { user(id: $id) { id } }"
            await send(one, {"id": "2"})
            return await asyncio.gather(*(send(one, {"id": "1"}) for _ in range(20)))

    answers = asyncio.run(main())
    assert wire.calls == ["GET /users/2", "GET /users/1"]
    assert len({answer["errors"][0]["extensions"]["request_id"] for answer in answers}) == 20
    assert {code for answer in answers for _, code in codes(answer)} == {"BACKEND_HTTP_ERROR"}


def test_ids_of_the_request_are_passed_on_and_returned() -> None:
    wire = Wire(users_answer)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def main() -> httpx.Response:
        async with gateway(graph, {"users": wire, "orders": Wire(orders_answer)}) as send:
            headers = {"x-request-id": "req-1", "traceparent": trace}
            body = {"query": "{ user(id: 1) { id } }"}
            response = await send.client.post("/graphql", json=body, headers=headers)
            (call,) = [event for event in send.events if isinstance(event, CallFinished)]
            assert (call.request_id, call.trace_id) == ("req-1", trace[3:35])
            return response

    assert asyncio.run(main()).headers["x-request-id"] == "req-1"
    (request,) = wire.requests
    assert request.headers["x-request-id"] == "req-1"
    assert request.headers["traceparent"].startswith(trace[:35])
    assert request.headers["traceparent"] != trace
