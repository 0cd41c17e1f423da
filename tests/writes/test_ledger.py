"""What the ledger decides, as tables."""

from typing import Any

import pytest
from msgspec.structs import replace

from plait.writes.idempotency import write_key
from plait.writes.ledger import (
    LOST,
    Conflict,
    Drive,
    Entry,
    InProgress,
    Intent,
    Replay,
    Resume,
    Start,
    Wanted,
    WriteRecord,
    decide,
    renamed,
    settled,
)

NOW = 1_000.0


def intent(number: int = 0, *, repeatable: bool = True, values: bytes = b'{"n":1}') -> Intent:
    return Intent(target=f"t{number}", endpoint="POST /rows", values=values, repeatable=repeatable)


def wanted(*intents: Intent, **more: Any) -> Wanted:
    given: dict[str, Any] = {
        "id": "e",
        "field_name": "save",
        "fingerprint": "f",
        "now": NOW,
        "lease_s": 60.0,
        "expiry_s": 3_600.0,
        **more,
    }
    return Wanted(intents=intents or (intent(0),), **given)


def record(number: int = 0, state: Any = "pending", **more: Any) -> WriteRecord:
    given: dict[str, Any] = {"values": b'{"n":0}', **more}
    return WriteRecord(
        target=f"t{number}", endpoint="POST /rows", key=f"key{number}", state=state, **given
    )


def entry(*writes: WriteRecord, **more: Any) -> Entry:
    given: dict[str, Any] = {
        "id": "e",
        "field_name": "save",
        "fingerprint": "f",
        "started_at": NOW - 10,
        "expires_at": NOW + 1_000,
        "holder": "h",
        **more,
    }
    return Entry(writes=writes, **given)


def test_nothing_known_starts_all_writes() -> None:
    asked = wanted(intent(0), intent(1), reads=b"r", request="q", place="a#0")
    decision = decide(None, asked)
    assert decision == Start(
        entry=Entry(
            id="e",
            field_name="save",
            fingerprint="f",
            started_at=NOW,
            expires_at=NOW + 3_600,
            generation=0,
            reads=b"r",
            request="q",
            place="a#0",
            writes=(
                WriteRecord(
                    target="t0",
                    endpoint="POST /rows",
                    key=write_key("e", 0, 0, "t0", "POST /rows"),
                    values=b'{"n":1}',
                ),
                WriteRecord(
                    target="t1",
                    endpoint="POST /rows",
                    key=write_key("e", 0, 1, "t1", "POST /rows"),
                    values=b'{"n":1}',
                ),
            ),
        ),
        drives=(Drive(position=0), Drive(position=1)),
    )


def test_a_key_that_expired_before_makes_other_keys() -> None:
    first, second = decide(None, wanted()), decide(None, wanted(), generation=1)
    assert isinstance(first, Start)
    assert isinstance(second, Start)
    assert second.entry.generation == 1
    assert first.entry.writes[0].key != second.entry.writes[0].key
    assert second.entry.writes[0].key == write_key("e", 1, 0, "t0", "POST /rows")


DONE = record(0, "succeeded", epoch=3)
FINAL = record(0, "failed")
AGAIN = record(0, "failed", retryable=True)
UNKNOWN = record(0, "unknown")
PENDING = record(0, "pending")


@pytest.mark.parametrize(
    ("held", "more", "kind"),
    [
        (DONE, {}, Replay),
        (FINAL, {}, Replay),
        (AGAIN, {}, Resume),
        (UNKNOWN, {}, Resume),
        (PENDING, {}, InProgress),
        (PENDING, {"started_at": NOW - 59.9}, InProgress),
        (PENDING, {"started_at": NOW - 60}, Resume),
        (PENDING, {"started_at": NOW + 60}, InProgress),
        (DONE, {"expires_at": NOW}, Start),
        (DONE, {"expires_at": NOW + 0.1}, Replay),
        (FINAL, {"expires_at": NOW}, Start),
        (AGAIN, {"expires_at": NOW}, Start),
        # What is not finished does not expire.
        (UNKNOWN, {"expires_at": NOW - 1e6}, Resume),
        (PENDING, {"expires_at": NOW - 1e6}, InProgress),
        (PENDING, {"expires_at": NOW - 1e6, "started_at": NOW - 1e6}, Resume),
        # Another payload.
        (DONE, {"fingerprint": "other"}, Conflict),
        (PENDING, {"fingerprint": "other"}, Conflict),
        (DONE, {"fingerprint": "other", "expires_at": NOW}, Start),
        (UNKNOWN, {"fingerprint": "other", "expires_at": NOW}, Conflict),
    ],
)
def test_what_is_done_about_an_entry(held: WriteRecord, more: Any, kind: Any) -> None:
    assert type(decide(entry(held, **more), wanted())) is kind


def test_an_entry_that_is_over_begins_anew_in_the_next_generation_and_epoch() -> None:
    decision = decide(
        entry(DONE, record(1, "failed", epoch=5), expires_at=NOW, generation=4),
        wanted(intent(0), intent(1)),
        generation=9,
    )
    assert isinstance(decision, Start)
    assert decision.entry.generation == 5
    assert [one.epoch for one in decision.entry.writes] == [6, 6]
    assert [one.state for one in decision.entry.writes] == ["pending", "pending"]


def test_a_running_request_says_since_and_until_when() -> None:
    assert decide(entry(PENDING), wanted()) == InProgress(since_s=10, left_s=50)
    ahead = decide(entry(PENDING, started_at=NOW + 5), wanted())
    assert ahead == InProgress(since_s=0, left_s=60)


def test_a_dead_process_holds_nothing() -> None:
    decision = decide(entry(PENDING), wanted(), is_abandoned=True)
    assert isinstance(decision, Resume)
    assert decision.drives == (Drive(position=0, in_doubt=True),)
    assert isinstance(decide(entry(DONE), wanted(), is_abandoned=True), Replay)


def test_other_writes_of_the_same_request_are_refused() -> None:
    for held in (
        entry(DONE, record(1, "succeeded")),
        entry(record(7, "succeeded")),
        entry(replace(DONE, endpoint="PUT /rows")),
    ):
        assert decide(held, wanted()) == Conflict(writes_differ=True)
    assert decide(entry(DONE, fingerprint="x"), wanted()) == Conflict(writes_differ=False)


def test_what_is_driven_again_is_what_was_stored() -> None:
    held = entry(
        DONE,
        record(1, "failed", retryable=True, epoch=2, values=b'{"n":7}', code="X", http_status=503),
        record(2, "failed"),
        record(3, "unknown", values=None),
        record(4, "pending"),
        started_at=NOW - 100,
        reads=b"r",
    )
    asked = wanted(*(intent(number) for number in range(5)))
    decision = decide(held, asked)
    assert isinstance(decision, Resume)
    assert decision.drives == (
        Drive(position=1),
        Drive(position=3, in_doubt=True),
        Drive(position=4, in_doubt=True),
    )
    made = decision.entry
    assert (made.started_at, made.expires_at, made.reads) == (NOW, NOW + 3_600, b"r")
    assert made.writes[0] is held.writes[0]
    assert made.writes[2] is held.writes[2]
    assert made.writes[1] == WriteRecord(
        target="t1", endpoint="POST /rows", key="key1", epoch=3, values=b'{"n":7}'
    )
    # An entry of the first schema stored no values: the request's own are sent.
    assert made.writes[3] == WriteRecord(
        target="t3", endpoint="POST /rows", key="key3", epoch=2, values=b'{"n":1}'
    )
    assert made.writes[4].epoch == 2


def test_what_may_not_be_sent_again_stays_or_becomes_unknown() -> None:
    held = entry(UNKNOWN, record(1), started_at=NOW - 100)
    asked = wanted(intent(0, repeatable=False), intent(1, repeatable=False))
    decision = decide(held, asked)
    assert decision == Replay(
        entry=replace(
            held,
            writes=(
                UNKNOWN,
                record(1, "unknown", code="BACKEND_ERROR", message=LOST),
            ),
        )
    )
    # A failure had no effect: it is sent again all the same.
    again = decide(entry(AGAIN), wanted(intent(0, repeatable=False)))
    assert isinstance(again, Resume)
    assert again.drives == (Drive(position=0, in_doubt=False),)


@pytest.mark.parametrize(
    ("held", "outcome", "kept"),
    [
        (record(epoch=1), record(0, "succeeded", epoch=1), ("succeeded", 1)),
        (record(epoch=1), record(0, "failed", epoch=1), ("failed", 1)),
        (record(epoch=1), record(0, "unknown", epoch=1), ("unknown", 1)),
        (record(epoch=2), record(0, "succeeded", epoch=1), ("succeeded", 2)),
        (record(epoch=2), record(0, "failed", epoch=1), None),
        (record(epoch=2), record(0, "unknown", epoch=1), None),
        (record(0, "unknown", epoch=1), record(0, "failed", epoch=2), ("failed", 2)),
        (record(0, "succeeded", epoch=1), record(0, "failed", epoch=2), None),
        (record(0, "succeeded", epoch=1), record(0, "succeeded", epoch=2), None),
    ],
)
def test_which_outcome_is_kept(held: WriteRecord, outcome: WriteRecord, kept: Any) -> None:
    found = settled(held, replace(outcome, key="other", values=None))
    assert (None if found is None else (found.state, found.epoch)) == kept
    if found is not None:
        assert (found.key, found.values) == (held.key, held.values)


def test_an_entry_is_finished_when_each_write_is() -> None:
    assert entry(DONE, FINAL, AGAIN).is_finished
    assert not entry(DONE, UNKNOWN).is_finished
    assert not entry(PENDING).is_finished
    assert entry(DONE, expires_at=NOW).is_over(NOW)
    assert not entry(DONE, expires_at=NOW + 1).is_over(NOW)
    assert not entry(UNKNOWN, expires_at=NOW).is_over(NOW)


@pytest.mark.parametrize(
    ("held", "fields", "found"),
    [
        ({"place": "a#0"}, {"b"}, True),
        ({"place": "a#0"}, {"a", "b"}, False),
        ({"place": "a.0.x#0"}, {"b"}, True),
        ({"place": "a.0.x#0"}, {"a"}, False),
        ({"place": "a#1"}, {"b"}, False),
        ({"place": "a#0", "fingerprint": "other"}, {"b"}, False),
        ({"place": "a#0", "expires_at": NOW}, {"b"}, False),
    ],
)
def test_another_alias_is_the_same_request(held: Any, fields: set[str], found: bool) -> None:
    known = entry(DONE, **held)
    asked = wanted(place="b#0", fields=frozenset(fields))
    assert renamed(asked, [entry(DONE, place="z#9"), known]) is (known if found else None)
