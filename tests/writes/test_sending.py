"""What leaves with a write, and which reply is a success."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import strawberry

from plait import Backend, Graph, arg, by_ids, write_together
from plait.backend.encode import form_body
from plait.errors import BadUserInput
from plait.graph.graph import Graph as Made
from plait.testing import GraphTest, Sent, _Defaults, reply

JSON_API = "application/vnd.api+json"


@strawberry.type
class Row:
    id: int | None


def graph(backend: Backend, field: Any, read: Any = None) -> Made:
    """One mutation field and one query field."""

    @strawberry.type
    class Query:
        row: Row | None = read or backend.get("/row")()

    @strawberry.type
    class Mutation:
        write: Row | None = field

    return Graph(query=Query, mutation=Mutation)


def sent(
    made: Made, mutation: str = 'write(body: "x") { id }', answer: Any = None, **headers: str
) -> tuple[Sent, dict[str, Any]]:
    """The call that left, and the answer."""
    script = {name: answer if answer is not None else {"id": 1} for name in CALLS}
    with GraphTest(made, b=script) as test:
        told = test.ask(f"mutation {{ {mutation} }}", **headers)
    ((_, call),) = test.sent
    return call, told


CALLS = [f"{method} /rows" for method in ("POST", "PUT", "PATCH", "DELETE")]


def test_names_of_headers_do_not_depend_on_case_and_go_out_once() -> None:
    b = Backend(
        "b",
        "http://b.test",
        headers={"Accept": JSON_API, "User-Agent": "me", "Authorization": "A", "X-Fixed": "f"},
        forward=["X-Tenant"],
    )
    made = graph(b, b.post("/rows", headers={"tenant": "X-TENANT"}).field(body=arg(str)))
    call, _ = sent(made, x_tenant="client")
    assert (call.headers["accept"], call.headers["user-agent"]) == (JSON_API, "me")
    assert (call.headers["authorization"], call.headers["x-fixed"]) == ("A", "f")
    assert call.headers["x-tenant"] == "client"
    assert call.headers["content-type"] == "application/json"
    own = b.post("/rows", headers={"tenant": "X-TENANT"}).field(body=arg(str), tenant="own")
    call, _ = sent(graph(b, own), x_tenant="client")
    assert call.headers["x-tenant"] == "own"


@pytest.mark.parametrize(
    ("fixed", "own", "told"),
    [
        ({}, {}, "application/json"),
        ({"Content-Type": JSON_API}, {}, JSON_API),
        ({}, {"content_type": "application/merge-patch+json"}, "application/merge-patch+json"),
        ({"content-type": JSON_API}, {"content_type": "application/json"}, "application/json"),
    ],
)
def test_a_body_says_what_it_is(fixed: Any, own: Any, told: str) -> None:
    b = Backend("b", "http://b.test", headers=fixed)
    call, _ = sent(graph(b, b.patch("/rows", **own).field(body=arg(str))))
    assert call.headers["content-type"] == told
    assert call.body == "x"


def test_a_form_is_sent_as_one() -> None:
    assert parse_qsl(form_body({"a": "x y&z", "b": [1, True], "c": None, "d": "ü"}).decode()) == [
        ("a", "x y&z"),
        ("b", "1"),
        ("b", "true"),
        ("d", "ü"),
    ]
    assert form_body({"long": "x" * 5_000}) == b"long=" + b"x" * 5_000
    for wrong in ("text", [1], None):
        with pytest.raises(BadUserInput, match="A form is an object of names and plain values"):
            form_body(wrong)
    with pytest.raises(BadUserInput, match="'a' must be a single value, not dict"):
        form_body({"a": {}})


def test_a_form_leaves_with_its_type() -> None:
    bodies: list[tuple[Mapping[str, str], bytes]] = []
    from plait import create_app
    from plait.backend.transport import scripted
    from plait.testing import _posted

    b = Backend("b", "http://b.test")
    form = b.post("/rows", content_type="application/x-www-form-urlencoded")
    made = graph(b, form.field(body={"name": arg(str), "tags": arg(list[str])}))

    def answer(
        method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        bodies.append((headers, body))
        return 200, {}, b'{"id": 1}'

    async def main() -> Any:
        settings = _Defaults(ledger_path=Path(":memory:"))
        app = create_app(made, settings, transports={"b": scripted(answer)}, observers=())
        async with app.lifespan():
            query = 'mutation { write(name: "a b", tags: ["x", "y"]) { id } }'
            return await _posted(app, {"query": query}, {})

    import asyncio

    assert asyncio.run(main())["data"] == {"write": {"id": 1}}
    ((headers, body),) = bodies
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert body == b"name=a+b&tags=x&tags=y"


# --- keys


@pytest.mark.parametrize(
    ("backend", "own", "header"),
    [
        ({}, {}, None),
        ({"idempotency_key": "Idempotency-Key"}, {}, "idempotency-key"),
        ({"idempotency_key": "X-Request-Key"}, {}, "x-request-key"),
        ({"idempotency_key": "Idempotency-Key"}, {"idempotency_key": None}, None),
        ({}, {"idempotency_key": "X-Own"}, "x-own"),
        ({"idempotency_key": "Idempotency-Key"}, {"idempotency_key": "X-Own"}, "x-own"),
        ({}, {"repeatable": True}, None),
    ],
)
def test_a_key_goes_out_where_it_is_declared_to_be_honoured(
    backend: Any, own: Any, header: str | None
) -> None:
    b = Backend("b", "http://b.test", **backend)
    call, _ = sent(graph(b, b.post("/rows", **own).field(body=arg(str))), idempotency_key="k")
    keys = {name for name in call.headers if name.endswith("-key") or name == "x-own"}
    assert keys == ({header} if header else set())


def again(method: str, backend: Any, own: Any) -> int:
    """How often a write is sent whose first reply was lost, and that is asked for again."""
    b = Backend("b", "http://b.test", **backend)
    made = graph(b, getattr(b, method)("/rows", **own).field(**BINDINGS[method]))
    lost = reply(status=502)
    with GraphTest(made, b={f"{method.upper()} /rows": lost}) as test:
        for _ in range(2):
            answer = test.ask("mutation { write { id } }", idempotency_key="k")
            assert answer["data"] == {"write": None}
            assert answer["errors"][0]["extensions"]["code"] == "BACKEND_HTTP_ERROR"
    return len(test.sent)


BINDINGS: dict[str, dict[str, Any]] = {
    "post": {"body": 1},
    "patch": {"body": 1},
    "put": {"body": 1},
    "delete": {},
}


@pytest.mark.parametrize(
    ("method", "backend", "own", "times"),
    [
        ("post", {}, {}, 1),
        ("patch", {}, {}, 1),
        ("put", {}, {}, 2),
        ("delete", {}, {}, 2),
        ("post", {"idempotency_key": "Idempotency-Key"}, {}, 2),
        ("post", {"idempotency_key": "Idempotency-Key"}, {"idempotency_key": None}, 1),
        ("post", {}, {"repeatable": True}, 2),
        ("patch", {}, {"idempotency_key": "K"}, 2),
    ],
)
def test_what_is_in_doubt_is_sent_again_only_where_that_cannot_do_it_twice(
    method: str, backend: Any, own: Any, times: int
) -> None:
    assert again(method, backend, own) == times


# --- what is a success


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_2xx_is_a_success(status: int) -> None:
    b = Backend("b", "http://b.test")
    made = graph(b, b.put("/rows").field(body=arg(str)))
    _, told = sent(made, answer=reply({"id": 1}, status=status))
    assert "errors" not in told


def test_a_304_to_a_write_is_none() -> None:
    b = Backend("b", "http://b.test")
    _, told = sent(graph(b, b.put("/rows").field(body=arg(str))), answer=reply(status=304))
    (error,) = told["errors"]
    assert error["extensions"]["http"] == {"status": 304}
    assert error["message"] == (
        "Backend 'b' answered with status 304. Whether it took effect is not known."
    )
    assert (error["extensions"]["backend"], error["extensions"]["endpoint"]) == ("b", "PUT /rows")


@pytest.mark.parametrize(
    ("failed_when", "body", "fails"),
    [
        ("error", {"id": 1}, False),
        ("error", {"id": 1, "error": None}, False),
        ("error", {"id": 1, "error": ""}, False),
        ("error", {"id": 1, "error": []}, False),
        ("error", {"id": 1, "error": False}, False),
        ("error", {"error": "secret"}, True),
        ("error", {"error": {"code": 5}}, True),
        ("meta.error", {"meta": {"error": 1}}, True),
        ("meta.error", {"meta": None}, False),
        ({"status": "error"}, {"status": "error"}, True),
        ({"status": "error"}, {"status": "ok"}, False),
        ({"status": ["error", "fail"]}, {"status": "fail"}, True),
        ({"ok": False}, {"ok": False}, True),
        ({"ok": False}, {"ok": True}, False),
        ({"ok": False}, {"ok": 0}, False),
        ({"code": 1}, {"code": True}, False),
        ({"code": 1}, {"code": 1.0}, True),
        ({"a": 1, "b": 2}, {"a": 0, "b": 2}, True),
        ({"gone": None}, {"gone": None}, True),
        ({"gone": None}, {"id": 1}, False),
        ({"meta.gone": None}, {"meta": {}}, False),
    ],
)
def test_a_success_may_say_in_its_body_that_it_is_none(
    failed_when: Any, body: Any, fails: bool
) -> None:
    b = Backend("b", "http://b.test")
    made = graph(b, b.post("/rows", failed_when=failed_when).field(body=arg(str)))
    _, told = sent(made, answer=body)
    assert bool(told.get("errors")) is fails
    if fails:
        (error,) = told["errors"]
        assert error["extensions"]["code"] == "BACKEND_REFUSED"
        assert error["extensions"]["http"] == {"status": 200}
        assert error["message"] == (
            "Backend 'b' answered with status 200, and says in its reply that the call failed."
        )


def test_such_a_reply_to_a_read_is_an_error_that_is_never_kept() -> None:
    b = Backend("b", "http://b.test")
    get_row = b.get(
        "/rows/{id}", batch=by_ids("/rows", ids="ids"), failed_when="error", unwrap="row", ttl_s=60
    )
    rows = [{"error": "secret"}, {"row": {"id": 1}}]

    @strawberry.type
    class Query:
        row: Row | None = get_row(id=arg(strawberry.ID))

    script = {
        "GET /rows/1": lambda _: rows.pop(0),
        "GET /rows?ids=2&ids=3": {"error": "secret", "row": []},
    }
    with GraphTest(Graph(query=Query), b=script) as test:
        (error,) = test.ask("{ row(id: 1) { id } }")["errors"]
        assert error["extensions"]["code"] == "BACKEND_REFUSED"
        assert "secret" not in str(error)
        assert test.ask("{ row(id: 1) { id } }") == {"data": {"row": {"id": 1}}}
        both = test.ask("{ a: row(id: 2) { id } b: row(id: 3) { id } }")
        assert [one["extensions"]["code"] for one in both["errors"]] == ["BACKEND_REFUSED"] * 2


def test_a_write_whose_success_cannot_be_read_took_effect() -> None:
    b = Backend("b", "http://b.test")
    write = b.post("/rows")

    @strawberry.type
    class Query:
        row: Row | None = b.get("/row")()

    @strawberry.type
    class Mutation:
        @strawberry.mutation
        async def write(self, info: strawberry.Info) -> str:
            (outcome,) = await write_together(info, write(body=1))
            return f"{type(outcome).__name__}: {outcome.message}"

    made = Graph(query=Query, mutation=Mutation)
    with GraphTest(made, b={"POST /rows": reply("<", headers={"x": "y"})}) as test:
        assert test.ask("mutation { write }")["data"]["write"] == "Succeeded: "
