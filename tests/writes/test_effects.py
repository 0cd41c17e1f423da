"""One request has one effect on each target, and what is told is what happened."""

import asyncio
import contextlib
import datetime as dt
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import strawberry
from msgspec import structs

from plait import (
    Backend,
    Graph,
    SettingsError,
    Succeeded,
    arg,
    by_ids,
    cli,
    create_app,
    write_together,
)
from plait.app import check_backends
from plait.backend.call import Origin
from plait.clock import TestClock
from plait.emit import Events
from plait.errors import KeyInProgress, KeyMissing, KeyReused, LedgerUnavailable
from plait.events import FieldFailed, LedgerOpened
from plait.settings import Settings
from plait.testing import GraphTest, Sent, _Defaults, reply
from plait.writes.idempotency import former_entry_id, former_fingerprint
from plait.writes.ledger import InProgress, Intent, Resume, Start, Wanted, WriteRecord
from plait.writes.memory import EXPIRED_KEPT_S, MemoryLedger
from plait.writes.plan import AskedWrites
from plait.writes.schema import MIGRATIONS
from plait.writes.sqlite import SqliteLedger
from plait.writes.write import Write
from plait.writes.write import WriteReply as Answered
from plait.writes.writes import Writes
from tests.conftest import ROOT

shop = Backend("shop", "http://shop.test")
bank = Backend("bank", "http://bank.test", idempotency_key="Idempotency-Key")
get_price = shop.get("/prices/{item}")
get_prices = shop.get("/prices", query=("item",))
get_row = shop.get("/rows/{id}", batch=by_ids("/rows"))
pay = bank.post("/payments")
note = shop.post("/notes")


@strawberry.type
class Query:
    ok: bool = True


@strawberry.type
class Bought:
    paid: str
    price: int | None


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def buy(self, info: strawberry.Info, item: int) -> Bought | None:
        row = await get_price.load(info, item=item)
        (paid,) = await write_together(info, pay(body={"item": item, "amount": row["amount"]}))
        return Bought(paid=type(paid).__name__, price=row["amount"])

    @strawberry.mutation
    async def stamp(self, info: strawberry.Info) -> str:
        now = dt.datetime.now(dt.UTC)
        (paid,) = await write_together(info, pay(body={"at": now}))
        return type(paid).__name__

    @strawberry.mutation
    async def both(self, info: strawberry.Info, item: int) -> str:
        one, two = await write_together(info, pay(body={"item": item}), note(body={"item": item}))
        return f"{type(one).__name__} {type(two).__name__}"

    @strawberry.mutation
    async def twice(self, info: strawberry.Info) -> str:
        (one,) = await write_together(info, pay(body={"n": 1}))
        (two,) = await write_together(info, pay(body={"n": 2}))
        return f"{type(one).__name__} {type(two).__name__}"

    @strawberry.mutation
    async def drawn(self, info: strawberry.Info) -> str:
        outcomes = await write_together(info, *(pay(body=n) for n in range(DRAWN[0])))
        return " ".join(type(one).__name__ for one in outcomes)

    @strawberry.mutation
    async def keyed(self, info: strawberry.Info, key: str) -> str:
        (one,) = await write_together(info, pay(body=1), key=key)
        return type(one).__name__

    @strawberry.mutation
    async def nothing(self, info: strawberry.Info) -> int:
        return len(await write_together(info))

    @strawberry.mutation
    async def several(self, info: strawberry.Info) -> int:
        rows = await get_prices.load_many(info, item=[1, 2])
        await write_together(info, pay(body={"amounts": [row["amount"] for row in rows]}))
        return len(rows)

    @strawberry.mutation
    async def paired(self, info: strawberry.Info) -> int:
        rows = await asyncio.gather(*(get_price.load(info, item=item) for item in (1, 2, 3)))
        await write_together(info, pay(body={"amounts": [row["amount"] for row in rows]}))
        return len(rows)

    @strawberry.mutation
    async def batched(self, info: strawberry.Info) -> int:
        async with asyncio.TaskGroup() as group:
            given_up = group.create_task(get_row.load(info, id=4))
            rows = [group.create_task(get_row.load(info, id=one)) for one in (1, 2, 3)]
            await asyncio.sleep(0)
            given_up.cancel()
        await write_together(info, pay(body=[row.result()["id"] for row in rows]))
        return len(rows)

    @strawberry.mutation
    async def chained(self, info: strawberry.Info, own: bool) -> list[int]:
        async def one(item: int) -> int:
            await asyncio.sleep(0.05 * (item == LATE[0]))
            key = f"{info.context.idempotency_key}:{item}" if own else None
            (paid,) = await write_together(info, pay(body=item), key=key)
            assert isinstance(paid, Succeeded)
            return int(paid.value)

        return [*await asyncio.gather(one(1), one(2))]

    single: int | None = pay.field(body=arg(int))


DRAWN = [1]
LATE = [1]
graph = Graph(query=Query, mutation=Mutation)


class Bank:
    """Honours keys: what it did under a key is told again, and not done again."""

    def __init__(self) -> None:
        self.effects: dict[str, Any] = {}
        self.sent: list[Sent] = []
        self.broken: Any = None

    def __call__(self, sent: Sent) -> Any:
        self.sent.append(sent)
        broken, self.broken = self.broken, None
        if broken == "lost":  # done, and the reply never came
            self.effects.setdefault(sent.headers["idempotency-key"], sent.body)
            return reply(status=502)
        if broken is not None:
            return broken
        self.effects.setdefault(sent.headers["idempotency-key"], sent.body)
        return len(self.effects)


def shopping(
    bank: Bank, prices: dict[str, Any], *, path: Path | None = None, made: Graph = graph
) -> GraphTest:
    script = {f"GET /prices/{item}": lambda _, item=item: prices[item] for item in "123"}
    script |= {f"GET /prices?item={item}": lambda _, item=item: prices[item] for item in "12"}
    settings = _Defaults(ledger_path=path) if path else None  # type: ignore[call-arg]
    return GraphTest(
        made,
        settings=settings,
        shop={**script, "POST /notes": {"ok": True}},
        bank={"POST /payments": bank},
    )


def prices() -> dict[str, Any]:
    return {item: {"amount": 10 * int(item)} for item in "123"}


def codes(answer: dict[str, Any]) -> list[str]:
    return [one["extensions"]["code"] for one in answer.get("errors", ())]


def told(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (one["path"], one["outcome"], one["replayed"])
        for one in answer["extensions"]["plait"]["writes"]
    ]


BUY_TWO = "mutation { a: buy(item: 1) { paid } b: buy(item: 2) { paid } }"


def test_a_field_that_failed_before_it_wrote_moves_no_other_fields_key() -> None:
    target, known = Bank(), prices()
    with shopping(target, known) as test:
        known["1"] = reply(status=500)
        first = test.ask(BUY_TWO, idempotency_key="k")
        assert first["data"] == {"a": None, "b": {"paid": "Succeeded"}}
        known["1"] = {"amount": 10}
        second = test.ask(BUY_TWO, idempotency_key="k")
        assert second["data"] == {"a": {"paid": "Succeeded"}, "b": {"paid": "Succeeded"}}
        assert told(second) == [(["a"], "succeeded", False), (["b"], "succeeded", True)]
    assert sorted(body["item"] for body in target.effects.values()) == [1, 2]


def test_each_call_of_one_resolver_has_a_key_of_its_own() -> None:
    target = Bank()
    with shopping(target, prices()) as test:
        for _ in range(2):
            answer = test.ask("mutation { twice }", idempotency_key="k")
            assert answer["data"] == {"twice": "Succeeded Succeeded"}
    assert [body["n"] for body in target.effects.values()] == [1, 2]
    assert len(target.sent) == 2


def test_a_key_may_come_as_an_argument() -> None:
    target = Bank()
    with shopping(target, prices()) as test:
        for key, header in (("a", "k"), ("a", "l"), ("b", "k")):
            test.ask(f'mutation {{ keyed(key: "{key}") }}', idempotency_key=header)
        assert codes(test.ask('mutation { keyed(key: "") }')) == ["IDEMPOTENCY_KEY_INVALID"]
        assert test.ask("mutation { nothing }") == {"data": {"nothing": 0}}
    assert len(target.effects) == len(target.sent) == 2


def test_a_defect_in_a_write_is_unknown_to_the_client_and_whole_in_the_log() -> None:
    async def main() -> None:
        seen: list[Any] = []
        defect = RuntimeError("secret")

        async def send(write: Any, key: str | None, origin: Origin) -> Answered:
            raise defect

        ledger = RefusingLedger()
        writes = Writes(ledger=ledger, send=send, clock=TestClock(), events=Events(seen.append))
        (outcome,) = await writes.together(asked(origin=Origin(request_id="r")))
        assert "secret" not in outcome.message
        failed, told_of = seen
        assert failed == FieldFailed(request_id="r", path="save", error=defect)
        assert (told_of.outcome, told_of.error_code) == ("unknown", "BACKEND_ERROR")
        assert (told_of.request_id, told_of.backend) == ("r", "bank")
        assert (told_of.endpoint, told_of.attempts) == ("POST /payments", 1)

        seen.clear()

        async def fine(write: Any, key: str | None, origin: Origin) -> Answered:
            return Answered(value=1, http_status=200)

        def convert(_: Any) -> Any:
            raise defect

        writes = Writes(ledger=ledger, send=fine, clock=TestClock(), events=Events(seen.append))
        odd = structs.replace(pay(body=1), convert=convert)
        (outcome,) = await writes.together(asked(odd, key="l", origin=Origin(request_id="r")))
        assert type(outcome).__name__ == "Unknown"
        assert [type(one).__name__ for one in seen] == ["WriteSettled", "FieldFailed"]
        await writes.close(1)
        await ledger.close()

    asyncio.run(main())


def test_a_gateway_that_stops_or_has_no_key_takes_no_write() -> None:
    async def main() -> None:
        async def send(write: Any, key: str | None, origin: Origin) -> Answered:
            return Answered(value=1, http_status=200)

        ledger = RefusingLedger()
        strict = writes_of(ledger, send, require_key=True)
        with pytest.raises(KeyMissing) as missing:
            await strict.together(asked(key=None))
        assert str(missing.value) == (
            "This mutation needs an Idempotency-Key header, and none was sent."
        )
        assert await strict.together(asked(key="k"))
        await strict.close(1)
        with pytest.raises(LedgerUnavailable) as stopping:
            await strict.together(asked(key="l"))
        assert str(stopping.value) == "The gateway is stopping and takes no more writes."
        await ledger.close()

    asyncio.run(main())


def test_a_write_outlives_the_client_that_asked_for_it() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def send(write: Any, key: str | None, origin: Origin) -> Answered:
            await go.wait()
            return Answered(value=7, http_status=201)

        ledger = RefusingLedger()
        writes = writes_of(ledger, send)
        task = asyncio.create_task(writes.together(asked()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        closing = asyncio.create_task(writes.close(5))
        await closing
        assert ledger.settled == 1
        again = writes_of(ledger, send)
        (outcome,) = await again.together(asked())
        assert outcome.replayed
        await again.close(1)
        await ledger.close()

    asyncio.run(main())


def test_an_alias_changes_no_write() -> None:
    target = Bank()
    with shopping(target, prices()) as test:
        test.ask("mutation { a: buy(item: 1) { paid } }", idempotency_key="k")
        again = test.ask("mutation { z: buy(item: 1) { price } }", idempotency_key="k")
        assert again["data"] == {"z": {"price": 10}}
        assert told(again) == [(["z"], "succeeded", True)]
        # Both at once are two writes, the first of them known.
        both = test.ask(
            "mutation { a: buy(item: 1) { paid } b: buy(item: 1) { paid } }", idempotency_key="k"
        )
        assert told(both) == [(["a"], "succeeded", True), (["b"], "succeeded", False)]
    assert len(target.effects) == 2


def test_what_is_sent_again_is_what_was_asked_for_first() -> None:
    target, known = Bank(), prices()
    query = "mutation { buy(item: 1) { paid price } }"
    with shopping(target, known) as test:
        target.broken = "lost"
        first = test.ask(query, idempotency_key="k")
        assert first["data"] == {"buy": {"paid": "Unknown", "price": 10}}
        known["1"] = {"amount": 99}
        second = test.ask(query, idempotency_key="k")
        assert second["data"] == {"buy": {"paid": "Succeeded", "price": 10}}
        assert codes(second) == []
        target.broken = "lost"
        assert test.ask("mutation { stamp }", idempotency_key="t")["data"] == {"stamp": "Unknown"}
        assert test.ask("mutation { stamp }", idempotency_key="t")["data"] == {"stamp": "Succeeded"}
    bodies = [sent.body for sent in target.sent]
    assert bodies[0] == bodies[1] == {"item": 1, "amount": 10}
    assert bodies[2] == bodies[3]
    assert len(target.effects) == 2


@pytest.mark.parametrize("query", ["buy(item: 1) { paid price }", "several", "paired"])
def test_a_finished_request_is_replayed_though_what_it_read_is_down(
    query: str, tmp_path: Path
) -> None:
    target, known = Bank(), prices()
    with shopping(target, known, path=tmp_path / "ledger") as test:
        first = test.ask(f"mutation {{ {query} }}", idempotency_key="k")
    for item in "123":
        known[item] = reply(status=503)
    with shopping(target, known, path=tmp_path / "ledger") as test:
        again = test.ask(f"mutation {{ {query} }}", idempotency_key="k")
        assert again["data"] == first["data"]
        assert [one[1:] for one in told(again)] == [("succeeded", True)]
        assert "shop" not in test.calls
        # Another caller's key, or another key, reads anew.
        assert "errors" in test.ask(f"mutation {{ {query} }}", idempotency_key="l")
        assert "errors" in test.ask(
            f"mutation {{ {query} }}", idempotency_key="k", authorization="Bearer other"
        )
    assert len(target.effects) == 1


def test_no_write_is_taken_for_another_that_was_first_by_chance() -> None:
    target = Bank()
    with GraphTest(graph, bank={"POST /payments": target}) as test:
        for LATE[0] in 1, 2:
            answer = test.ask("mutation { chained(own: false) }", idempotency_key=f"k{LATE[0]}")
            assert codes(answer) == ["INTERNAL_ERROR"]
        assert [one.body for one in target.sent] == [2, 1]
        for LATE[0] in 1, 2:
            answer = test.ask("mutation { chained(own: true) }", idempotency_key="k")
            assert answer["data"] == {"chained": [4, 3]}
        assert [one.body for one in target.sent] == [2, 1, 2, 1]


def test_what_is_read_in_parallel_under_a_key_is_one_batch() -> None:
    script = {"GET /rows?id=1&id=2&id=3": [{"id": one} for one in (1, 2, 3)]}
    with GraphTest(graph, shop=script, bank={"POST /payments": Bank()}) as test:
        for _ in range(2):
            answer = test.ask("mutation { batched }", idempotency_key="k")
            assert answer["data"] == {"batched": 3}
        assert test.calls["shop"] == ["GET /rows?id=1&id=2&id=3"]


def test_what_is_read_after_a_write_is_never_older_than_it(tmp_path: Path) -> None:
    get_row, put_row = shop.get("/rows/{id}"), shop.put("/rows/{id}")

    @strawberry.type
    class Changed:
        before: int
        between: int
        after: int

        @strawberry.field
        async def later(self, info: strawberry.Info) -> int:
            return int((await get_row.load(info, id=1))["n"])

    @strawberry.type(name="Mutation")
    class Changing:
        @strawberry.mutation
        async def change(self, info: strawberry.Info) -> Changed:
            seen = []
            for _ in range(2):
                row = await get_row.load(info, id=1)
                (known,) = await get_row.load_many(info, id=[1])
                assert known == row
                seen.append(row["n"])
                await write_together(info, put_row(id=1, body={"n": row["n"] + 1}))
            row = await get_row.load(info, id=1)
            return Changed(before=seen[0], between=seen[1], after=row["n"])

    held = [1]
    made = Graph(query=Query, mutation=Changing)

    def ask() -> Any:
        def put(sent: Sent) -> Any:
            held[0] = sent.body["n"]
            return {}

        settings = _Defaults(  # type: ignore[call-arg]
            backends={"shop": {"url": "http://s"}, "bank": {"url": "http://b"}},  # type: ignore[arg-type]
            ledger_path=tmp_path / "ledger",
        )
        script: dict[str, Any] = {"GET /rows/1": lambda _: {"n": held[0]}, "PUT /rows/1": put}
        with GraphTest(made, settings=settings, shop=script) as test:
            answer = test.ask(
                "mutation { change { before between after later } }", idempotency_key="k"
            )
            return answer["data"]["change"], test.calls["shop"]

    first, _ = ask()
    assert first == {"before": 1, "between": 2, "after": 3, "later": 3}
    # Asked again, what led to the writes is as it was; what came after them is read anew.
    held[0] = 9
    again, calls = ask()
    assert again == {"before": 1, "between": 2, "after": 9, "later": 9}
    assert set(calls) == {"GET /rows/1"}


def test_other_arguments_under_the_same_key_are_refused() -> None:
    target = Bank()
    with shopping(target, prices()) as test:
        test.ask("mutation { buy(item: 1) { paid } }", idempotency_key="k")
        answer = test.ask("mutation { buy(item: 2) { paid } }", idempotency_key="k")
        assert codes(answer) == ["IDEMPOTENCY_KEY_REUSED"]
        assert "with another payload" in answer["errors"][0]["message"]
    assert len(target.sent) == 1


def test_a_graph_that_makes_other_writes_by_now_says_so() -> None:
    target = Bank()
    with shopping(target, prices()) as test:
        test.ask("mutation { drawn }", idempotency_key="k")
        DRAWN[0] = 2
        try:
            answer = test.ask("mutation { drawn }", idempotency_key="k")
        finally:
            DRAWN[0] = 1
        assert codes(answer) == ["IDEMPOTENCY_KEY_REUSED"]
        assert "the graph has changed since" in answer["errors"][0]["message"]
    assert len(target.sent) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 409, 423, 503])
def test_what_can_be_mended_is_driven_again_under_the_same_key(status: int) -> None:
    target = Bank()
    with shopping(target, prices()) as test:
        target.broken = reply(status=status)
        first = test.ask("mutation { both(item: 1) }", idempotency_key="k")
        failed = "Failed" if status < 500 else "Unknown"
        assert first["data"] == {"both": f"{failed} Succeeded"}
        assert first["errors"][0]["extensions"]["retryable"] is True
        second = test.ask("mutation { both(item: 1) }", idempotency_key="k")
        assert second["data"] == {"both": "Succeeded Succeeded"}
        assert told(second) == [(["both"], "succeeded", False), (["both"], "succeeded", True)]
        assert test.calls["shop"] == ["POST /notes"]
    assert len(target.effects) == 1


@pytest.mark.parametrize("status", [400, 410, 422])
def test_what_speaks_against_the_write_stays(status: int) -> None:
    target = Bank()
    with shopping(target, prices()) as test:
        target.broken = reply(status=status)
        for _ in range(2):
            answer = test.ask("mutation { both(item: 1) }", idempotency_key="k")
            assert answer["data"] == {"both": "Failed Succeeded"}
            assert answer["errors"][0]["extensions"]["retryable"] is False
    assert len(target.sent) == 1


def test_a_write_without_a_key_is_never_retryable() -> None:
    target = Bank()
    with shopping(target, prices()) as test:
        target.broken = reply(status=401)
        answer = test.ask("mutation { both(item: 1) }")
        assert answer["errors"][0]["extensions"]["retryable"] is False
        (first, _) = answer["extensions"]["plait"]["writes"]
        assert first["retryable"] is False


def test_outcomes_are_told_whatever_becomes_of_the_data() -> None:
    target = Bank()

    @strawberry.type
    class Strict:
        one: int = pay.field(body=1)
        two: int = note.field(body=2)

    made = Graph(query=Query, mutation=strawberry.type(type("Mutation", (Strict,), {})))
    with shopping(target, prices(), made=made) as test:
        test.scripts = {**test.scripts, "shop": {"POST /notes": reply(status=422)}}
        answer = test.ask("mutation { one two }", idempotency_key="k")
    assert answer["data"] is None
    assert told(answer) == [(["one"], "succeeded", False), (["two"], "failed", False)]
    failed = answer["extensions"]["plait"]["writes"][1]
    assert failed == {
        "path": ["two"],
        "target": "shop",
        "endpoint": "POST /notes",
        "outcome": "failed",
        "attempts": 1,
        "replayed": False,
        "http": {"status": 422},
        "code": "BACKEND_HTTP_ERROR",
        "message": "Backend 'shop' answered with status 422.",
        "retryable": False,
    }


# --- expiry, time and who holds what


def wanted(
    number: int = 0, *, now: float = 1_000.0, repeatable: bool = True, **more: Any
) -> Wanted:
    intent = Intent(target="t", endpoint="POST /a", values=b"{}", repeatable=repeatable)
    given: dict[str, Any] = {
        "id": f"e{number}",
        "field_name": "save",
        "fingerprint": "f",
        "lease_s": 60.0,
        "expiry_s": 100.0,
        "request": f"r{number}",
        "place": "a#0",
        **more,
    }
    return Wanted(now=now, intents=(intent,), **given)


def record(state: Any, **more: Any) -> WriteRecord:
    return WriteRecord(target="t", endpoint="POST /a", key="k", state=state, **more)


@pytest.fixture(params=["memory", "file"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where a ledger is."""
    return tmp_path / "ledger" if request.param == "file" else None


async def with_ledger(path: Path | None, use: Callable[[Any], Any], **more: Any) -> Any:
    """Without a path, the one in memory."""
    ledger = SqliteLedger(path, **more) if path else MemoryLedger()
    try:
        await ledger.open()
        return await use(ledger)
    finally:
        await ledger.close()


async def key_of(ledger: SqliteLedger, asked: Wanted) -> str:
    decision = await ledger.begin(asked)
    assert isinstance(decision, Start), decision
    await ledger.settle(asked.id, 0, record("succeeded", value=b"1"))
    return decision.entry.writes[0].key


def test_an_expired_key_that_is_used_again_has_an_effect_again(kept: Path | None) -> None:
    async def use(ledger: SqliteLedger) -> None:
        first = await key_of(ledger, wanted())
        assert await ledger.sweep(1_099, 10) == 0
        unswept = await key_of(ledger, wanted(now=1_100))
        assert await ledger.sweep(1_200, 10) == 1
        assert await ledger.sweep(1_200, 10) == 0
        swept = await key_of(ledger, wanted(now=1_200))
        assert len({first, unswept, swept}) == 3
        # Long after, no backend remembers either.
        assert await ledger.sweep(1_300, 10) == 1
        await ledger.sweep(1_300 + EXPIRED_KEPT_S, 10)
        assert await key_of(ledger, wanted(now=2_000 + EXPIRED_KEPT_S)) == first

    asyncio.run(with_ledger(kept, use))


def test_what_is_not_finished_does_not_expire(kept: Path | None) -> None:
    async def use(ledger: SqliteLedger) -> None:
        for number, state in enumerate(["pending", "unknown", "succeeded", "failed"]):
            await ledger.begin(wanted(number))
            if state != "pending":
                await ledger.settle(f"e{number}", 0, record(state))
        assert await ledger.unfinished() == 2
        assert await ledger.sweep(1e9, 10) == 2
        assert await ledger.unfinished() == 2
        assert isinstance(await ledger.begin(wanted(1, now=1e9)), Resume)

    asyncio.run(with_ledger(kept, use))


def test_a_success_stays_whatever_is_told_later(kept: Path | None) -> None:
    async def use(ledger: Any) -> None:
        await key_of(ledger, wanted())
        await ledger.settle("e0", 0, record("failed"))
        await ledger.settle("e0", 1, record("failed"))  # there is no such write
        await ledger.settle("e9", 0, record("failed"))
        known = await ledger.begin(wanted(now=1_001))
        assert [one.state for one in known.entry.writes] == ["succeeded"]

    asyncio.run(with_ledger(kept, use))


def test_what_was_driven_again_keeps_nobody_from_being_forgotten(kept: Path | None) -> None:
    async def use(ledger: Any) -> None:
        await ledger.begin(wanted(0))
        await ledger.settle("e0", 0, record("unknown"))
        await key_of(ledger, wanted(1, now=1_001))
        assert isinstance(await ledger.begin(wanted(0, now=1_050)), Resume)
        await ledger.settle("e0", 0, record("succeeded", epoch=2))
        assert await ledger.sweep(1_110, 10) == 1
        assert await ledger.sweep(1_150, 10) == 1

    asyncio.run(with_ledger(kept, use))


def test_a_sweep_has_a_bound_and_begins_with_the_oldest(kept: Path | None) -> None:
    async def use(ledger: SqliteLedger) -> None:
        for number in range(5):
            await key_of(ledger, wanted(number, now=1_000 + number))
        assert await ledger.sweep(1e6, 2) == 2
        assert await ledger.recall("e1", 1_000) is None
        known = await ledger.begin(wanted(2, now=1_050))
        assert type(known).__name__ == "Replay"
        assert await ledger.sweep(1e6, 10) == 3

    asyncio.run(with_ledger(kept, use))


def test_what_is_asked_at_once_is_committed_together_and_nobody_fails_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    do = SqliteLedger._do

    def counted(self: SqliteLedger, asked: Any, until: float) -> None:
        commits.append(len(asked))
        do(self, asked, until)

    monkeypatch.setattr(SqliteLedger, "_do", counted)

    async def use(ledger: SqliteLedger) -> None:
        await ledger.begin(wanted(0))
        commits.clear()
        found = await asyncio.gather(*(ledger.begin(wanted(number)) for number in range(1, 10)))
        assert [type(one) for one in found] == [Start] * 9
        assert commits == [1, 8]  # the first was on its way already
        # The same key twice in one commit: one of them is the first.
        first, same, other = await asyncio.gather(
            *(ledger.begin(wanted(number)) for number in (10, 11, 11))
        )
        assert [type(one) for one in (first, same, other)] == [Start, Start, InProgress]
        commits.clear()
        spoilt = structs.replace(wanted(13), fingerprint=object())  # SQLite takes no objects
        odd = await asyncio.gather(
            *(ledger.begin(one) for one in (wanted(12), spoilt, wanted(14), wanted(14))),
            return_exceptions=True,
        )
        assert [type(one) for one in odd] == [Start, LedgerUnavailable, Start, InProgress]
        assert commits == [1, 3, 1, 1, 1]
        assert await ledger.recall("e13", 1_000) is None
        again = await asyncio.gather(*(ledger.begin(wanted(number)) for number in range(1, 15)))
        kinds = [type(one) for one in again]
        assert kinds == [InProgress] * 12 + [Start, InProgress]

    asyncio.run(with_ledger(tmp_path / "ledger", use))


def test_each_waits_for_another_process_as_long_as_it_may(tmp_path: Path) -> None:
    path = tmp_path / "ledger"

    async def use(ledger: SqliteLedger) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first = asyncio.create_task(ledger.begin(wanted(1)))  # until 0.6
            await asyncio.sleep(0.1)
            second = asyncio.create_task(ledger.begin(wanted(2)))  # until 0.7
            await asyncio.sleep(0.3)
            third = asyncio.create_task(ledger.begin(wanted(3)))  # until 1.0, with the second
            await asyncio.sleep(0.45)
            other.execute("ROLLBACK")
        found = await asyncio.gather(first, second, third, return_exceptions=True)
        assert [type(one) for one in found] == [LedgerUnavailable, LedgerUnavailable, Start]

    asyncio.run(with_ledger(path, use, busy_s=0.6))


def test_who_has_gone_begins_nothing(tmp_path: Path) -> None:
    async def use(ledger: SqliteLedger) -> None:
        first, second = (asyncio.create_task(ledger.begin(wanted(n))) for n in (1, 2))
        await asyncio.sleep(0)
        second.cancel()
        await first
        assert await ledger.unfinished() == 1

    asyncio.run(with_ledger(tmp_path / "ledger", use))


def test_a_defect_is_told_to_who_waits(tmp_path: Path) -> None:
    class Defect(BaseException):
        pass

    def work(_: object) -> None:
        raise Defect

    async def use(ledger: SqliteLedger) -> None:
        with pytest.raises(Defect):
            await ledger._committed(work)

    asyncio.run(with_ledger(tmp_path / "ledger", use))


def test_what_waits_is_committed_before_the_ledger_closes(tmp_path: Path) -> None:
    path = tmp_path / "ledger"

    async def main() -> None:
        ledger = SqliteLedger(path)
        begun = [asyncio.create_task(ledger.begin(wanted(number))) for number in range(200)]
        await asyncio.sleep(0)
        await ledger.close()
        assert [type(one) for one in await asyncio.gather(*begun)] == [Start] * 200

    asyncio.run(main())
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM entries").fetchone() == (200,)


def test_no_request_reads_all_of_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a write costs must not grow with what was written before."""
    asked: set[str] = set()

    class Noted(sqlite3.Connection):
        def execute(self, sql: str, /, *arguments: Any) -> sqlite3.Cursor:
            asked.add(sql)
            return super().execute(sql, *arguments)

        def executemany(self, sql: str, /, *arguments: Any) -> sqlite3.Cursor:
            asked.add(sql)
            return super().executemany(sql, *arguments)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", partial(connect, factory=Noted))

    async def use(ledger: SqliteLedger) -> None:
        asked.clear()
        for _ in range(2):  # begun, and told
            await ledger.begin(wanted())
            await ledger.settle(wanted().id, 0, record("succeeded", value=b"1"))
        await ledger.begin(wanted(2, former_id="f"))
        await ledger.recall(wanted().id, 1_000)
        await ledger.sweep(1_000, 10)
        await ledger.sweep(10_000, 10)
        await ledger.unfinished()

    asyncio.run(with_ledger(tmp_path / "ledger", use))
    plans = []
    with contextlib.closing(connect(tmp_path / "ledger")) as database:
        for sql in asked:
            if sql.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                found = database.execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?"))
                plans += [(row[3], sql) for row in found]
    assert len(plans) > 10
    # Of the unfinished there are few, and the clock is one row.
    few = "SCAN writes USING INDEX writes_unfinished"
    scans = [(plan, sql) for plan, sql in plans if plan.startswith("SCAN") and plan != few]
    assert {plan for plan, _ in scans} == {"SCAN clock"}, scans


def test_how_many_are_unfinished_is_said_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "ledger"

    async def leave(ledger: SqliteLedger) -> None:
        await ledger.begin(wanted())

    asyncio.run(with_ledger(path, leave))
    with shopping(Bank(), prices(), path=path) as test:
        assert [one for one in test.events if isinstance(one, LedgerOpened)] == [
            LedgerOpened(unfinished=1)
        ]
    with shopping(Bank(), prices()) as test:
        assert not [one for one in test.events if isinstance(one, LedgerOpened)]


def test_what_a_resolver_read_is_recalled_until_the_key_is_over(kept: Path | None) -> None:
    async def use(ledger: SqliteLedger) -> None:
        assert await ledger.recall("e0", 1_000) is None
        await ledger.begin(wanted(reads=b"r"))
        assert await ledger.recall("e0", 1e9) == b"r"
        await ledger.settle("e0", 0, record("succeeded"))
        assert await ledger.recall("e0", 1_099) == b"r"
        assert await ledger.recall("e0", 1_100) is None

    asyncio.run(with_ledger(kept, use))


def test_the_ledgers_time_only_moves_forward(tmp_path: Path) -> None:
    path = tmp_path / "ledger"

    async def main() -> None:
        first, second = SqliteLedger(path), SqliteLedger(path)
        try:
            await first.begin(wanted(0, now=5_000))
            # This process's clock is an hour behind: its time goes on from the ledger's.
            late = await second.begin(wanted(1, now=1_400))
            assert isinstance(late, Start)
            assert late.entry.started_at == 5_000
            assert await second.sweep(1_500, 10) == 0
            running = await second.begin(wanted(0, now=1_430))
            assert running.since_s == 30  # type: ignore[union-attr]
            assert isinstance(await second.begin(wanted(0, now=1_460)), Resume)
        finally:
            await first.close()
            await second.close()

    asyncio.run(main())


def test_the_time_of_a_ledger_in_memory_only_moves_forward() -> None:
    async def use(ledger: MemoryLedger) -> None:
        await ledger.begin(wanted(0, now=5_000))
        late = await ledger.begin(wanted(1, now=1_400))
        assert isinstance(late, Start)
        assert late.entry.started_at == 5_000
        assert await ledger.sweep(1_500, 10) == 0
        running = await ledger.begin(wanted(0, now=1_430))
        assert running.since_s == 30  # type: ignore[union-attr]

    asyncio.run(with_ledger(None, use))


def test_a_full_ledger_in_memory_forgets_what_was_finished_first_and_nothing_else() -> None:
    async def main() -> None:
        ledger = MemoryLedger(entries_max=3)
        await ledger.begin(wanted(0))
        first = await key_of(ledger, wanted(1))
        await key_of(ledger, wanted(2))
        await key_of(ledger, wanted(3))
        assert isinstance(await ledger.begin(wanted(0)), InProgress)
        assert type(await ledger.begin(wanted(2))).__name__ == "Replay"
        # What is made again has the key that it had, which the backend knows.
        assert await key_of(ledger, wanted(1)) == first
        await ledger.begin(wanted(4))
        await ledger.begin(wanted(5))
        with pytest.raises(LedgerUnavailable, match="full of writes whose outcome is not known"):
            await ledger.begin(wanted(6))
        assert await ledger.unfinished() == 3
        await ledger.close()
        with pytest.raises(LedgerUnavailable, match="closed"):
            await ledger.begin(wanted(7))

    asyncio.run(main())


class JumpyClock(TestClock):
    """A clock whose wall can be set apart from what passes."""

    ahead_s: float = 0.0

    def wall(self) -> float:
        return self.time_s + self.ahead_s


class RefusingLedger(MemoryLedger):
    """A ledger that refuses to settle while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False
        self.settled = 0

    async def settle(self, entry_id: str, position: int, record: WriteRecord) -> None:
        if self.refuses:
            raise LedgerUnavailable("The ledger of writes is locked by another process.")
        await super().settle(entry_id, position, record)
        self.settled += 1


def asked(*writes: Write[Any], key: str | None = "k", **more: Any) -> AskedWrites:
    given: dict[str, Any] = {"caller": "", "field_name": "save", "place": "a#0", "arguments": {}}
    return AskedWrites(writes=writes or (pay(body=1),), key=key, **{**given, **more})


def writes_of(ledger: Any, send: Any, clock: Any = None, **more: Any) -> Writes:
    return Writes(ledger=ledger, send=send, clock=clock or TestClock(), events=Events(), **more)


@pytest.mark.parametrize("jump_s", [-3_600.0, 86_400.0, 400 * 86_400.0])
def test_a_clock_that_is_set_makes_no_key_expire_and_no_lease_last(jump_s: float) -> None:
    sent: list[str | None] = []

    async def main() -> None:
        async def send(write: Any, key: str | None, origin: Origin) -> Answered:
            sent.append(key)
            return Answered(value=1, http_status=200)

        async def hang(write: Any, key: str | None, origin: Origin) -> Answered:
            await asyncio.sleep(3_600)
            raise AssertionError

        clock, ledger = JumpyClock(), RefusingLedger()
        writes = writes_of(ledger, send, clock)
        await writes.together(asked())
        hanging = writes_of(ledger, hang, clock)
        stuck = asyncio.create_task(hanging.together(asked(key="stuck")))
        await asyncio.sleep(0.05)
        clock.ahead_s = jump_s
        (again,) = await writes.together(asked())
        assert again.replayed
        assert await writes.sweep() == 0
        with pytest.raises(KeyInProgress):
            await writes.together(asked(key="stuck"))
        clock.advance(61)
        (driven,) = await writes.together(asked(key="stuck"))
        assert not driven.replayed
        stuck.cancel()
        await hanging.close(0)
        await writes.close(1)
        await ledger.close()

    asyncio.run(main())
    assert len(sent) == 2


def test_an_outcome_that_missed_the_ledger_is_recorded_again() -> None:
    async def main() -> None:
        calls = 0

        async def send(write: Any, key: str | None, origin: Origin) -> Answered:
            nonlocal calls
            calls += 1
            ledger.refuses = True
            return Answered(value=7, http_status=201)

        ledger = RefusingLedger()
        writes = writes_of(ledger, send)
        (first,) = await writes.together(asked())
        assert first.value == 7  # type: ignore[union-attr]
        # While the ledger refuses, nothing else is told under this key; another key is free.
        with pytest.raises(LedgerUnavailable):
            await writes.together(asked())
        ledger.refuses = False
        (again,) = await writes.together(asked())
        assert again.replayed
        assert (type(again).__name__, again.value) == ("Succeeded", 7)  # type: ignore[union-attr]
        assert calls == 1
        await writes.together(asked(key="other"))
        ledger.refuses = False
        for _ in range(200):
            if ledger.settled == 2:
                break
            await asyncio.sleep(0.02)
        assert ledger.settled == 2  # by itself, without a request
        await writes.together(asked(key="third"))
        ledger.refuses = False
        await writes.close(1)
        assert ledger.settled == 3  # and at the latest at the end
        await ledger.close()

    asyncio.run(main())


def test_those_who_wait_for_a_locked_ledger_wait_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger"

    async def use(ledger: SqliteLedger) -> None:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        found = await asyncio.gather(
            *(ledger.begin(wanted(number)) for number in range(20)), return_exceptions=True
        )
        took_s = time.monotonic() - start
        blocker.execute("ROLLBACK")
        blocker.close()
        assert all(isinstance(one, LedgerUnavailable) for one in found)
        assert "is locked by another process" in str(found[0])
        assert took_s < 5  # one wait of half a second, and not twenty
        assert isinstance(await ledger.begin(wanted()), Start)

    asyncio.run(with_ledger(path, use, busy_s=0.5))


HOLD = """
import asyncio, sys
from plait.writes.sqlite import SqliteLedger
from tests.writes.test_effects import wanted
async def main():
    ledger = SqliteLedger(sys.argv[1])
    await ledger.begin(wanted())
    print("held", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"

        async def use(ledger: SqliteLedger) -> None:
            running = await ledger.begin(wanted(now=1_001))
            assert type(running).__name__ == "InProgress"
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            assert isinstance(await ledger.begin(wanted(now=1_002)), Resume)

        asyncio.run(with_ledger(path, use))
    finally:
        process.kill()
        process.wait(10)
        assert process.stdout
        process.stdout.close()

    async def nothing(ledger: SqliteLedger) -> None:
        pass

    asyncio.run(with_ledger(path, nothing))
    assert not list(tmp_path.glob("*-held-*"))  # what it left is cleared away


# --- who asks, and how long a twin waits


def test_the_graph_may_say_who_asks() -> None:
    def caller(headers: Any) -> str | None:
        if headers.get("x-user") == "broken":
            raise RuntimeError("secret")
        if headers.get("x-user") == "refused":
            raise KeyReused("Nobody by that name.")
        return headers.get("x-user")

    target = Bank()
    made = Graph(query=Query, mutation=Mutation, caller=caller)
    with shopping(target, prices(), made=made) as test:
        query = "mutation { single(body: 1) }"
        test.ask(query, idempotency_key="k", x_user="anna", authorization="Bearer old")
        again = test.ask(query, idempotency_key="k", x_user="anna", authorization="Bearer new")
        assert [one[2] for one in told(again)] == [True]
        other = test.ask(query, idempotency_key="k", x_user="ben", authorization="Bearer new")
        assert [one[2] for one in told(other)] == [False]
        assert codes(test.ask(query, x_user="broken")) == ["INTERNAL_ERROR"]
        assert "secret" not in str(test.ask(query, x_user="broken"))
        refused = test.ask(query, x_user="refused")
        assert codes(refused) == ["IDEMPOTENCY_KEY_REUSED"]
        assert refused["errors"][0]["message"] == "Nobody by that name."
    assert len(target.effects) == 2


def test_without_that_a_caller_is_its_credential_as_it_came() -> None:
    private = Backend("private", "http://private.test", forward=["cookie"])

    @strawberry.type(name="Query")
    class Root:
        ok: str | None = private.get("/ok")()

    target = Bank()
    made = Graph(query=Root, mutation=Mutation)
    with shopping(target, prices(), made=made) as test:
        query = "mutation { single(body: 1) }"
        for headers in ({}, {"authorization": "a"}, {"authorization": "b"}, {"cookie": "s=1"}):
            for _ in range(2):
                test.ask(query, idempotency_key="k", **headers)
        test.ask(query, idempotency_key="k", x_api_key="not forwarded")
    assert len(target.effects) == 4


def test_a_twin_waits_as_long_as_it_is_told_to() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def send(write: Any, key: str | None, origin: Origin) -> Answered:
            await go.wait()
            return Answered(value=1, http_status=200)

        from plait.clock import SystemClock

        ledger = RefusingLedger()
        writes = writes_of(ledger, send, SystemClock(), wait_s=5.0)
        first = asyncio.create_task(writes.together(asked()))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(writes.together(asked()))
        await asyncio.sleep(0.1)
        assert not second.done()
        # No longer than its own deadline.
        soon = Origin(deadline=time.monotonic() + 0.1)
        with pytest.raises(KeyInProgress) as caught:
            await writes.together(asked(origin=soon))
        assert caught.value.retry_after_s == 1.0
        go.set()
        assert [one.replayed for one in (await first, await second)[1]] == [True]
        await writes.close(1)
        await ledger.close()

    asyncio.run(main())


def test_who_is_told_to_ask_again_is_told_when() -> None:
    async def main() -> None:
        async def send(write: Any, key: str | None, origin: Origin) -> Answered:
            await asyncio.sleep(60)
            raise AssertionError

        clock, ledger = TestClock(), RefusingLedger()
        writes = writes_of(ledger, send, clock)
        task = asyncio.create_task(writes.together(asked()))
        await asyncio.sleep(0.05)
        waits = []
        for passed in (0, 10, 40, 9.5):
            clock.advance(passed)
            with pytest.raises(KeyInProgress) as caught:
                await writes.together(asked())
            waits.append(caught.value.retry_after_s)
        assert waits == [1.0, 10.0, 10.0, 1.0]
        task.cancel()
        await writes.close(0)
        await ledger.close()

    asyncio.run(main())


# --- a ledger that cannot be used


def test_a_ledger_that_was_taken_away_takes_no_write(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    target = Bank()
    with shopping(target, prices(), path=path) as test:
        test.ask("mutation { single(body: 1) }", idempotency_key="k")
        for file in tmp_path.iterdir():
            if "-held-" not in file.name:
                file.unlink()
        answer = test.ask("mutation { single(body: 2) }", idempotency_key="l")
        assert codes(answer) == ["LEDGER_UNAVAILABLE"]
        assert "its file was removed or replaced while it was in use" in str(answer)
        path.touch()  # an empty one in its place forgets what was written
        answer = test.ask("mutation { single(body: 1) }", idempotency_key="k")
        assert codes(answer) == ["LEDGER_UNAVAILABLE"]
    assert len(target.effects) == 1


def test_a_mutation_that_only_reads_needs_no_ledger(tmp_path: Path) -> None:
    @strawberry.type(name="Mutation")
    class Reading:
        @strawberry.mutation
        async def look(self, info: strawberry.Info) -> int:
            row = await get_price.load(info, item=1)
            return int(row["amount"])

    path = tmp_path / "ledger"
    made = Graph(query=Query, mutation=Reading)
    with shopping(Bank(), prices(), path=path, made=made) as test:
        path.unlink()
        assert test.ask("mutation { look }", idempotency_key="k") == {"data": {"look": 10}}


def ready(made: Graph, path: Path, spoil: Callable[[Path], None]) -> tuple[dict[str, Any], int]:
    """What /health/ready says after `spoil`, and the status of a mutation."""
    import httpx

    async def main() -> tuple[dict[str, Any], int]:
        settings = _Defaults(ledger_path=path)  # type: ignore[call-arg]
        wires = {
            name: httpx.MockTransport(lambda _: httpx.Response(200, json={}))
            for name in ("shop", "bank")
        }
        app = create_app(made, settings, transports=wires, observers=(), clock=TestClock())
        async with app.lifespan():
            spoil(path)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                health = (await client.get("/health/ready")).json()
                answer = await client.post(
                    "/graphql",
                    json={"query": "mutation { single(body: 1) }"},
                    headers={"accept": "application/graphql-response+json"},
                )
                return health, answer.status_code

    return asyncio.run(main())


def damage(path: Path) -> None:
    blocker = sqlite3.connect(path)
    blocker.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    blocker.close()
    with path.open("r+b") as file:
        file.write(b"no database, and no ledger" * 1_000)


@pytest.mark.parametrize(
    ("spoil", "ledger", "status"),
    [
        (lambda path: None, "up", 200),
        (lambda path: path.unlink(), "down: The ledger of writes is gone", 503),
        (damage, "down: The ledger of writes is", 503),
    ],
)
def test_readiness_tells_of_the_ledger_and_a_refused_write_is_503(
    tmp_path: Path, spoil: Callable[[Path], None], ledger: str, status: int
) -> None:
    health, found = ready(graph, tmp_path / "ledger", spoil)
    assert health["ledger"].startswith(ledger)
    assert health["status"] == ("ready" if ledger == "up" else "degraded")
    assert found == status


def test_a_graph_without_mutations_needs_no_ledger(tmp_path: Path) -> None:
    @strawberry.type(name="Query")
    class Root:
        row: Bought | None = shop.get("/row")()

    health, _ = ready(Graph(query=Root, backends=[bank]), tmp_path / "ledger", lambda path: None)
    assert health["ledger"] == "not needed"
    assert not (tmp_path / "ledger").exists()


def test_several_workers_with_a_ledger_in_memory_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLAIT_LEDGER_PATH", ":memory:")
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve", "tests.writes.test_effects:graph", "--workers", "2"])
    assert caught.value.code == 2
    assert "2 workers would each remember only their own writes" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize(("lease_s", "fits"), [(60.0, True), (5.1, True), (5.0, False)])
def test_a_lease_must_be_longer_than_the_longest_write(lease_s: float, fits: bool) -> None:
    settings = Settings(ledger_lease_s=lease_s)
    if fits:
        check_backends(graph, settings, {})
        return
    with pytest.raises(SettingsError, match="make the lease longer than every timeout of a write"):
        check_backends(graph, settings, {})


# --- the ledger's file from before


def test_a_file_of_the_first_schema_is_migrated_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    body = {"item": 1, "amount": 10}
    arguments = {"item": 1}
    entry = former_entry_id(caller="", key="k", field_name="buy", occurrence=0)
    fingerprint = former_fingerprint(
        caller="", field_name="buy", arguments=arguments, writes=(pay(body=body),)
    )
    database = sqlite3.connect(path)
    for statement in MIGRATIONS[0]:
        database.execute(statement)
    database.execute("PRAGMA user_version = 1")
    now = time.time()
    database.execute(
        "INSERT INTO entries VALUES (?, 'buy', ?, ?, ?)", (entry, fingerprint, now, now + 1_000)
    )
    database.execute(
        "INSERT INTO writes VALUES (?, 0, 'bank', 'POST /payments', 'old-key', 'unknown', 1, 502,"
        " 'BACKEND_HTTP_ERROR', 'm', 0, 1, 5.0, NULL)",
        (entry,),
    )
    database.commit()
    database.close()
    target, known = Bank(), prices()
    with shopping(target, known, path=path) as test:
        query = "mutation { buy(item: 1) { paid } }"
        assert test.ask(query, idempotency_key="k")["data"] == {"buy": {"paid": "Succeeded"}}
        again = test.ask(query, idempotency_key="k")
        assert told(again) == [(["buy"], "succeeded", True)]
        other = test.ask("mutation { buy(item: 2) { paid } }", idempotency_key="l")
        assert told(other) == [(["buy"], "succeeded", False)]
    assert target.sent[0].headers["idempotency-key"] == "old-key"
    assert len(target.sent) == 2


def test_a_file_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "ledger")
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.close()

    async def nothing(ledger: SqliteLedger) -> None:
        pass

    with pytest.raises(LedgerUnavailable, match="made by a newer release"):
        asyncio.run(with_ledger(tmp_path / "ledger", nothing))


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "ledger"

    async def use(ledger: SqliteLedger) -> None:
        await ledger.begin(wanted())
        for file in path.parent.iterdir():
            assert os.stat(file).st_mode & 0o077 == 0, file

    asyncio.run(with_ledger(path, use))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_BUSY, "is locked by another process"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_CORRUPT, "is damaged"),
        (sqlite3.SQLITE_FULL, "has no room left on its disc"),
        (sqlite3.SQLITE_IOERR_WRITE, "cannot be read or written"),
        (sqlite3.SQLITE_NOTADB, "is not a ledger: its file is no database"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "may not be written to"),
        (sqlite3.SQLITE_ERROR, "cannot be used"),
        (None, "cannot be used"),
    ],
)
def test_why_a_ledger_cannot_be_used_is_told_without_its_path(
    tmp_path: Path, code: Any, reason: str
) -> None:
    error = sqlite3.OperationalError("/secret/path")
    if code is not None:
        error.sqlite_errorcode = code

    def fail(_: object = None) -> None:
        raise error

    async def use(ledger: SqliteLedger) -> None:
        with pytest.raises(LedgerUnavailable) as caught:
            await ledger._in_thread(fail)
        assert str(caught.value) == f"The ledger of writes {reason}."
        if code != sqlite3.SQLITE_BUSY:  # which is waited for
            with pytest.raises(LedgerUnavailable, match=re.escape(str(caught.value))):
                await ledger._committed(fail)

    asyncio.run(with_ledger(tmp_path / "ledger", use))


def test_a_ledger_that_cannot_be_opened_or_is_closed_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "file").touch()
        ledger = SqliteLedger(tmp_path / "file" / "ledger")
        with pytest.raises(LedgerUnavailable) as caught:
            await ledger.open()
        assert str(caught.value) == "The ledger of writes cannot be opened."
        await ledger.close()
        await ledger.close()
        with pytest.raises(LedgerUnavailable) as caught:
            await ledger.check()
        assert str(caught.value) == "The ledger of writes is closed."

    asyncio.run(main())


def test_the_command_lists_what_nobody_knows_of_and_forgets_what_was_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ledger"
    monkeypatch.setenv("PLAIT_LEDGER_PATH", str(path))

    def run(*arguments: str) -> str:
        with contextlib.suppress(SystemExit):
            cli.main(["writes", *arguments])
        shown = capsys.readouterr()
        return shown.out + shown.err

    assert "There is no ledger at" in run()

    async def leave(ledger: SqliteLedger) -> None:
        for number, state in enumerate(["unknown", "succeeded", "pending"]):
            await ledger.begin(wanted(number, now=time.time()))
            if state != "pending":
                await ledger.settle(f"e{number}", 0, record(state, message="Nobody knows."))
        other = SqliteLedger(path)
        assert not await other.forget("e2")  # it is being driven
        await other.close()
        assert [one.id for one in await ledger.unfinished_entries(1)] == ["e0"]

    asyncio.run(with_ledger(path, leave))
    shown = run()
    assert "Unfinished writes" in shown
    assert "Nobody knows." in shown
    assert all(word in shown for word in ("e0", "e2", "save", "POST /a", "unknown", "pending"))
    assert "e1" not in shown
    assert "No entries begin with 'e9'" in run("--forget", "e9")
    assert "No entries begin with ''" in run("--forget", "")
    assert "2 entries begin with 'e'" in run("--forget", "e")
    assert "unknown" in run()
    assert "e0" not in run("--forget", "e0")
    assert "Every write has succeeded or failed." in run("--forget", "e2")

    async def anew(ledger: SqliteLedger) -> None:
        decision = await ledger.begin(wanted(0, now=time.time()))
        assert isinstance(decision, Start)
        assert decision.entry.generation == 1

    asyncio.run(with_ledger(path, anew))


@pytest.mark.parametrize(
    ("pragma", "reason"),
    [
        ("max_page_count = 1", "has no room left on its disc"),
        ("query_only = ON", "may not be written to"),
    ],
)
def test_a_ledger_that_is_full_or_read_only_takes_no_write_and_comes_back(
    tmp_path: Path, pragma: str, reason: str
) -> None:
    async def use(ledger: SqliteLedger) -> None:
        await ledger.begin(wanted(0))
        database = ledger._database
        assert database is not None
        # SQLite's own thread is the one that may use it.
        await ledger._in_thread(lambda: database.execute(f"PRAGMA {pragma}"))
        large = Intent(target="t", endpoint="POST /a", values=b"x" * 100_000, repeatable=True)
        with pytest.raises(LedgerUnavailable) as caught:
            await ledger.begin(structs.replace(wanted(1), intents=(large,)))
        assert str(caught.value) == f"The ledger of writes {reason}."
        with pytest.raises(LedgerUnavailable) if "query" in pragma else contextlib.nullcontext():
            assert type(await ledger.begin(wanted(0, now=1_001))).__name__ == "InProgress"
        undo = "max_page_count = 1000000" if "page" in pragma else "query_only = OFF"
        await ledger._in_thread(lambda: database.execute(f"PRAGMA {undo}"))
        assert isinstance(await ledger.begin(structs.replace(wanted(1), intents=(large,))), Start)

    asyncio.run(with_ledger(tmp_path / "ledger", use))
