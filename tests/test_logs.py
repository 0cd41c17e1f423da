"""What lines say: one a request, one a call that failed, as JSON on standard error."""

import json
from typing import Any

import pytest

from plait.events import CallFinished, Event, FieldFailed, RequestFinished
from plait.observe.logs import log_observer

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
    observe = log_observer(level, "json")
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
