"""What lines say: one a request, one a call that failed, as JSON on standard error."""

import json
from typing import Any, get_args

import pytest

from plait.events import (
    CacheFailed,
    CacheRead,
    CallFinished,
    Event,
    FieldFailed,
    LedgerOpened,
    PropertyAbsent,
    RequestFinished,
    RowsUnexpected,
    WriteSettled,
)
from plait.observe.logs import Log, LogObserver

REQUEST = RequestFinished(
    request_id="r",
    trace_id="t",
    operation=None,
    kind="query",
    http_status=200,
    error_codes=(),
    calls=0,
    duration_ms=1.23456,
    executed_by="compiled",
)


def call(error_code: str | None = None, problem: str | None = None) -> CallFinished:
    return CallFinished(
        request_id="r",
        trace_id="t",
        backend="b",
        endpoint="GET /x",
        keys=1,
        http_status=503,
        error_code=error_code,
        attempts=1,
        duration_ms=2.0,
        problem=problem,
    )


def lines(capsys: pytest.CaptureFixture[str], level: str, *events: Event) -> list[dict[str, Any]]:
    observe = LogObserver(Log(level, "json"))
    for event in events:
        observe(event)
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_what_there_is_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = lines(capsys, "info", REQUEST)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "request_id": "r",
        "trace_id": "t",
        "kind": "query",
        "http_status": 200,
        "calls": 0,  # a number says something when it is 0, and nothing else does
        "duration_ms": 1.23,
        "executed_by": "compiled",
    }


def test_calls_have_lines_where_they_failed_or_at_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, "info", call()) == []
    assert [one["level"] for one in lines(capsys, "debug", call())] == ["debug"]
    (failed,) = lines(capsys, "warning", call("BACKEND_ERROR", problem="Sold out"))
    assert (failed["level"], failed["error_code"]) == ("warning", "BACKEND_ERROR")
    assert "problem" not in failed  # it may hold a client's values
    told = lines(capsys, "debug", call("BACKEND_ERROR", problem="Sold out"))
    assert [one.get("problem") for one in told] == ["Sold out", None]


def test_a_line_is_written_whatever_it_tells(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = lines(capsys, "debug", call("X", problem="half \ud83d and ünicode"))[:1]
    assert line["problem"] == "half \ud83d and ünicode"
    try:
        raise ValueError("it broke")
    except ValueError as error:
        failed = FieldFailed(request_id="r", path="a.b", error=error)
    (line,) = lines(capsys, "error", failed)
    assert (line["event"], line["path"]) == ("field_failed", "a.b")
    assert "ValueError: it broke" in line["exception"]


def test_a_line_may_have_nothing_else_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    Log("info", "json")("info", "ready", {})
    line = json.loads(capsys.readouterr().err)
    assert {*line} == {"timestamp", "level", "event"}


EVENTS: list[Event] = [
    REQUEST,
    call("BACKEND_ERROR"),
    CacheRead(request_id="r", backend="b", endpoint="GET /x", fresh=1, stale=0, missed=2),
    CacheFailed(operation="read", reason="TimeoutError"),
    RowsUnexpected(backend="b", endpoint="GET /x", extra=3),
    PropertyAbsent(
        backend="b",
        endpoint="GET /x",
        field="A.b",
        file="a.py",
        line=1,
        property="b",
        nearest="B",
        rows=10,
    ),
    WriteSettled(
        request_id="r",
        trace_id="t",
        backend="b",
        endpoint="POST /x",
        outcome="unknown",
        error_code="BACKEND_TIMEOUT",
        attempts=1,
        duration_ms=1.0,
    ),
    LedgerOpened(unfinished=2),
    FieldFailed(request_id="r", path="a", error=KeyError("k")),
]


def test_every_event_has_a_line_with_all_that_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert {type(one) for one in EVENTS} == set(get_args(Event))
    told = lines(capsys, "debug", *EVENTS)
    assert [line["event"] for line in told] == [
        "request",
        "call",
        "cache_read",
        "cache_failed",
        "rows_unexpected",
        "property_absent",
        "write",
        "ledger_opened",
        "field_failed",
    ]
    assert told[5]["nearest"] == "B"
    assert told[6]["outcome"] == "unknown"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_lines_have_the_same_to_say_as_text(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    observe = LogObserver(Log("info", log_format))
    for event in EVENTS:
        observe(event)
    said = capsys.readouterr().err
    for word in ("request", "BACKEND_ERROR", "unfinished", "KeyError", "warning", "write"):
        assert word in said
    assert "cache_read" not in said  # that is for debugging
    assert "\x1b" not in said  # colours are for terminals
    assert ('{"timestamp"' in said) is (log_format == "json")
