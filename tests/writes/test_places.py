"""What a resolver's writes are known by: where in the answer the field stands, and which of its
calls it is."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from plait import Backend
from plait.backend.call import Origin
from plait.errors import BackendTimeout, KeyInvalid
from plait.writes.outcome import Succeeded, Unknown
from plait.writes.plan import AskedWrites
from plait.writes.together import next_place, path_of, schema_name, write_alone, write_together

write = Backend("b", "http://b.test").post("/rows")
COMMON: dict[str, Any] = {
    "target": "b",
    "endpoint": "POST /rows",
    "key": "k",
    "attempts": 1,
    "duration_ms": 1.0,
}
DONE: Any = Succeeded(**COMMON, value=1)
AGAIN: Any = Succeeded(**COMMON, value=1, replayed=True)
DOUBT: Any = Unknown(
    **COMMON, reason="r", error=BackendTimeout("r", backend="b", endpoint="POST /rows")
)


class Context:
    """Keeps what it is told."""

    def __init__(self, header: str | None = None, *outcomes: Any) -> None:
        self.origin = Origin(request_id="r")
        self.caller = "c"
        self.idempotency_key = header
        self.mutation_fields: dict[str, int] = {}
        self.writing_tasks: dict[str, object] = {}
        self.writes = self
        self.loaders = self
        self.asked: list[AskedWrites] = []
        self.outcomes = outcomes or (DONE,)
        self.told: list[Any] = []
        self.forgot = 0

    async def together(self, asked: AskedWrites) -> Any:
        self.asked.append(asked)
        return self.outcomes

    def forget(self) -> None:
        self.forgot += 1

    def arguments_of(self, info: Any) -> Any:
        return {"a": 1}

    def fields_of(self, info: Any) -> frozenset[str]:
        return frozenset({"x", "y"})

    def reads_of(self, place: str) -> bytes:
        return f"reads on the way to {place}".encode()

    def note_writes(self, info: Any, outcomes: Any) -> None:
        self.told.append(("writes", tuple(outcomes)))

    def note_replayed(self) -> None:
        self.told.append("replayed")

    def report(self, error: Exception, info: Any) -> None:
        self.told.append(("error", error))


def info(context: Context, *path: Any, name: str = "save") -> Any:
    raw = SimpleNamespace(field_name=name)
    shown = SimpleNamespace(as_list=lambda: list(path or ("a",)))
    return SimpleNamespace(context=context, field_name="python", path=shown, _raw_info=raw)


def test_a_place_is_the_response_path_and_the_call() -> None:
    context = Context()
    assert path_of(info(context, "a", 0, "b")) == "a.0.b"
    assert next_place(context, info(context, "a"), "k") == "a#0"
    assert schema_name(info(context, name="saveIt")) == "saveIt"
    assert schema_name(SimpleNamespace(field_name="plain")) == "plain"  # type: ignore[arg-type]


def test_everything_of_the_request_is_asked_along() -> None:
    context = Context("k1")
    asyncio.run(write_together(info(context), write(body=1)))
    (asked,) = context.asked
    assert (asked.key, asked.caller, asked.field_name, asked.place) == ("k1", "c", "save", "a#0")
    assert (asked.arguments, asked.reads, asked.fields) == (
        {"a": 1},
        b"reads on the way to a#0",
        {"x", "y"},
    )
    assert (asked.occurrence, asked.origin) == (0, context.origin)
    assert len(asked.writes) == 1
    assert context.forgot == 1
    assert context.told == [("writes", (DONE,))]


def test_each_place_counts_its_own_calls_under_each_key() -> None:
    context = Context('"k1"')

    async def main() -> None:
        for path in ("a", "a", "b", "a"):
            await write_together(info(context, path), write(body=1))
        await write_together(info(context, "a"), write(body=1), key="k2")
        await write_together(info(context, "a", name="drop"), write(body=1))
        await write_alone(info(context, "a"), write(body=1))

    asyncio.run(main())
    assert [(one.place, one.occurrence, one.key) for one in context.asked] == [
        ("a#0", 0, "k1"),
        ("a#1", 1, "k1"),
        ("b#0", 2, "k1"),
        ("a#2", 3, "k1"),
        ("a#0", 0, "k2"),
        ("a#3", 0, "k1"),
        ("a#4", 4, "k1"),
    ]
    assert [one.reads for one in context.asked][3:5] == [
        b"reads on the way to a#2",
        b"reads on the way to a#0",
    ]


@pytest.mark.parametrize("header", ["k", None])
def test_calls_whose_order_is_left_to_chance_are_refused(header: str | None) -> None:
    context = Context(header)

    async def main() -> None:
        here, there = info(context, "a"), info(context, "b")
        with pytest.raises(RuntimeError, match="in several tasks of one resolver"):
            await asyncio.gather(
                write_together(here, write(body=1)), write_together(here, write(body=2))
            )
        await asyncio.gather(
            write_together(there, write(body=3)),
            write_together(there, write(body=4), key="k4"),
            write_together(there, write(body=5), key="k5"),
        )

    asyncio.run(main())
    assert [(one.place, one.key, one.writes[0].values["body"]) for one in context.asked] == [
        ("a#0", header, 1), ("b#0", header, 3), ("b#0", "k4", 4), ("b#0", "k5", 5),
    ]  # fmt: skip


def test_without_a_key_nothing_that_was_read_is_kept() -> None:
    context = Context()
    asyncio.run(write_together(info(context), write(body=1)))
    assert (context.asked[0].key, context.asked[0].reads) == (None, None)


def test_a_key_that_is_none_is_refused_before_anything_is_asked() -> None:
    for context, key in ((Context("a b"), None), (Context("k"), "")):
        with pytest.raises(KeyInvalid):
            asyncio.run(write_together(info(context), write(body=1), key=key))
        assert context.asked == []


def test_what_became_of_writes_is_told_and_every_failure_reported() -> None:
    context = Context("k", AGAIN, DOUBT)
    asyncio.run(write_together(info(context), write(body=1), write(body=2)))
    assert context.told == [("writes", (AGAIN, DOUBT)), ("error", DOUBT.error)]
    context = Context("k", AGAIN, AGAIN)
    asyncio.run(write_together(info(context), write(body=1), write(body=2)))
    assert context.told == [("writes", (AGAIN, AGAIN)), "replayed"]


def test_one_write_alone_leaves_its_failure_to_its_caller() -> None:
    context = Context("k", DOUBT)
    assert asyncio.run(write_alone(info(context), write(body=1))) is DOUBT
    assert context.told == [("writes", (DOUBT,))]
    context = Context("k", AGAIN)
    asyncio.run(write_alone(info(context), write(body=1)))
    assert context.told == [("writes", (AGAIN,)), "replayed"]
    assert context.forgot == 1


def test_no_writes_ask_for_nothing() -> None:
    context = Context("k")
    assert asyncio.run(write_together(info(context))) == ()
    assert (context.asked, context.forgot, context.told) == ([], 0, [])
