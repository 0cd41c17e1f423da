"""Parallel writes through the whole engine."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
import strawberry

from plait import Backend, Failed, Graph, Succeeded, Unknown, write_together
from plait.settings import Settings
from tests.conftest import Wire, gateway

first = Backend("first", "http://first.test", idempotency_key="Idempotency-Key")
second = Backend("second", "http://second.test", idempotency_key="Idempotency-Key")
write_first = first.post("/items", unwrap="item")
write_second = second.post("/notes")


@strawberry.type
class Saved:
    first: str
    second: str


@strawberry.type
class Query:
    ok: bool = True


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def save(self, info: strawberry.Info, name: str) -> Saved:
        one, two = await write_together(
            info, write_first(body={"name": name}), write_second(body={"note": name})
        )
        return Saved(first=told(one), second=told(two))


def told(outcome: Any) -> str:
    match outcome:
        case Succeeded(value=value):
            return f"succeeded {value}"
        case Failed(error=error):
            return f"failed {error.code}"
        case Unknown():
            return "unknown"
    raise AssertionError(outcome)


graph = Graph(query=Query, mutation=Mutation)
SAVE = 'mutation { save(name: "a") { first second } }'


class Target:
    """Counts effects by key, as a backend that honours keys does."""

    def __init__(self, reply: Any) -> None:
        self.effects: dict[str, int] = {}
        self.reply = reply
        self.broken: httpx.Response | Exception | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if isinstance(self.broken, Exception):
            raise self.broken
        if self.broken is not None:
            return self.broken
        key = request.headers["idempotency-key"]
        self.effects[key] = 1
        return httpx.Response(201, json=self.reply)


def run(
    *queries: str | tuple[str, str], path: Path | None = None, breaks: Any = None
) -> tuple[list[httpx.Response], Wire, Wire, Target]:
    one, two = Target({"item": 1}), Target({"id": 2})
    two.broken = breaks
    wires = Wire(one), Wire(two)

    async def main() -> list[httpx.Response]:
        settings = Settings(ledger_path=path or Path(":memory:"))
        served = {"first": wires[0], "second": wires[1]}
        async with gateway(graph, served, settings=settings) as send:
            answers = []
            for query in queries:
                text, key = query if isinstance(query, tuple) else (query, "")
                headers = {"idempotency-key": key} if key else {}
                answers.append(
                    await send.client.post("/graphql", json={"query": text}, headers=headers)
                )
                two.broken = None
            return answers

    return asyncio.run(main()), *wires, two


def test_each_write_has_its_outcome_in_order_and_a_key_of_its_own() -> None:
    (answer,), one, two, _ = run((SAVE, "k1"))
    saved = answer.json()["data"]["save"]
    assert saved == {"first": "succeeded 1", "second": "succeeded {'id': 2}"}
    keys = [wire.requests[0].headers["idempotency-key"] for wire in (one, two)]
    assert keys[0] != keys[1]
    assert "k1" not in keys


def test_a_repeated_key_replays_to_any_selection_without_a_call() -> None:
    answers, one, two, _ = run((SAVE, "k1"), ('mutation { b: save(name: "a") { x: first } }', "k1"))
    assert answers[1].json()["data"] == {"b": {"x": "succeeded 1"}}
    assert answers[1].json()["extensions"]["plait"]["replayed"] is True
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert len(one.calls) == len(two.calls) == 1


def test_a_key_with_another_payload_is_refused_and_nothing_is_sent() -> None:
    answers, one, _, _ = run((SAVE, "k1"), (SAVE.replace('"a"', '"b"'), "k1"))
    assert answers[1].json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert len(one.calls) == 1


def test_replay_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    run((SAVE, "k1"), path=path)
    (answer,), one, _, _ = run((SAVE, "k1"), path=path)
    assert answer.json()["data"]["save"]["first"] == "succeeded 1"
    assert one.calls == []


@pytest.mark.parametrize(
    ("breaks", "shown"),
    [
        (httpx.Response(422), "failed BACKEND_HTTP_ERROR"),
        (httpx.ConnectError("refused"), "failed BACKEND_UNREACHABLE"),
        (httpx.ReadTimeout("slow"), "unknown"),
        (httpx.ReadError("reset"), "unknown"),
        (httpx.Response(500), "unknown"),
        (httpx.Response(201, text="{"), "unknown"),
    ],
)
def test_failed_and_unknown_are_told_apart_beside_what_succeeded(breaks: Any, shown: str) -> None:
    (answer,), _, _, _ = run((SAVE, "k1"), breaks=breaks)
    body = answer.json()
    assert body["data"]["save"] == {"first": "succeeded 1", "second": shown}
    (error,) = body["errors"]
    assert error["path"] == ["save"]
    assert error["extensions"]["backend"] == "second"


def test_the_same_key_drives_an_unknown_write_alone_under_its_first_key() -> None:
    answers, one, two, target = run((SAVE, "k1"), (SAVE, "k1"), breaks=httpx.ReadTimeout("slow"))
    assert answers[1].json()["data"]["save"]["second"] == "succeeded {'id': 2}"
    assert len(one.calls) == 1
    assert len({request.headers["idempotency-key"] for request in two.requests}) == 1
    assert list(target.effects.values()) == [1]


def test_writes_leave_at_the_same_time() -> None:
    started: list[str] = []
    both = asyncio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        started.append(request.url.host)
        if len(started) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 5)  # each waits until the other has left too
        return httpx.Response(201, json={"item": 1})

    class Meeting(Wire):
        def transport(self) -> httpx.MockTransport:
            return httpx.MockTransport(handle)

    async def main() -> dict[str, Any]:
        wires = {name: Meeting(lambda _: httpx.Response(500)) for name in ("first", "second")}
        async with gateway(graph, wires) as send:
            return await send(SAVE)

    assert "errors" not in asyncio.run(main())
    assert sorted(started) == ["first.test", "second.test"]


def test_an_invalid_key_is_refused() -> None:
    (answer,), one, _, _ = run((SAVE, "x" * 300))
    assert answer.json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_KEY_INVALID"
    assert one.calls == []
