"""Structured logs: one line a request and one a call that failed, under the request's id; at debug
one for every call. No values, no secrets."""

import json
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import astuple

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

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_encode: Final = msgspec.json.Encoder(enc_hook=repr).encode
"""What JSON has no form for is shown as Python shows it."""


class Log:
    """Writes lines on standard error: JSON, or text for people.

    structlog makes the text. A line of JSON is written with each request, and takes less than half
    of what structlog's chain of processors takes for it.
    """

    __slots__ = ("_file", "_lowest", "_text")

    def __init__(self, level: str, log_format: str) -> None:
        self._lowest = LEVELS[level]
        self._file = sys.stderr
        self._text = _text_logger() if _is_text(log_format) else None

    def has(self, level: str) -> bool:
        """Whether lines of this level are written."""
        return LEVELS[level] >= self._lowest

    def __call__(
        self,
        level: str,
        event: str,
        fields: Mapping[str, Any],
        error: BaseException | None = None,
    ) -> None:
        """Write a line, where there is one to write at this level."""
        if not self.has(level):
            return
        if self._text is not None:
            getattr(self._text, level)(event, **fields, **({"exc_info": error} if error else {}))
            return
        if error is not None:
            told = "".join(traceback.format_exception(error)).rstrip()
            fields = {**fields, "exception": told}
        self._file.write(_line(level, event, fields))
        self._file.flush()


class LogObserver:
    """Writes each event as a line."""

    __slots__ = ("_log", "_tells_all")

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tells_all = log.has("debug")

    def __call__(self, event: Event) -> None:
        """See `plait.events.Observer`."""
        log = self._log
        if type(event) is CallFinished and event.error_code is None and not self._tells_all:
            return  # most events are such
        level = _level_of(event)
        if not log.has(level):
            return  # nothing is made for a line that nobody reads
        if isinstance(event, RequestFinished):
            log(level, "request_cancelled" if event.cancelled else "request", _fields(event))
        elif isinstance(event, CallFinished):
            fields = _fields(event)
            if problem := fields.pop("problem", None):
                log("debug", "problem", {"request_id": event.request_id, "problem": problem})
            log(level, "call", fields)
        elif isinstance(event, FieldFailed):
            told = {"request_id": event.request_id, "path": event.path}
            log(level, "field_failed", told, event.error)
        else:
            log(level, _NAMES[type(event)], _fields(event))


_NAMES: Mapping[type, str] = {
    WriteSettled: "write",
    CacheRead: "cache_read",
    CacheFailed: "cache_failed",
    RowsUnexpected: "rows_unexpected",
    LedgerOpened: "ledger_opened",
    PropertyAbsent: "property_absent",
}


def _level_of(event: Event) -> str:
    if isinstance(event, CallFinished):  # the line of its request counts those that went well
        return "warning" if event.error_code else "debug"
    if isinstance(event, RequestFinished):
        return "warning" if event.http_status >= 500 else "info"
    if isinstance(event, WriteSettled):
        return "info" if event.outcome == "succeeded" else "warning"
    if isinstance(event, CacheRead):
        return "debug"
    return "error" if isinstance(event, FieldFailed) else "warning"


def _fields(event: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    names, values = event.__struct_fields__, astuple(event)
    for place in range(len(values)):
        value = values[place]
        if type(value) is float:
            fields[names[place]] = round(value, 2)
        elif value or type(value) is int:  # a 0 says something; None, False and nothing do not
            fields[names[place]] = value
    return fields


def _is_text(log_format: str) -> bool:
    return log_format == "text" or (log_format == "auto" and sys.stderr.isatty())


def _text_logger() -> Any:
    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return logger.bind()  # else each line would put it together anew


def _line(level: str, event: str, fields: Mapping[str, Any]) -> str:
    at = _encode(datetime.now(UTC)).decode()
    start = f'{{"timestamp":{at},"level":"{level}","event":"{event}"'
    if not fields:
        return f"{start}}}\n"
    try:
        more = _encode(fields).decode()
    except (TypeError, ValueError, RecursionError):  # half a character, say
        more = json.dumps(fields, default=repr)
    return f"{start},{more[1:]}\n"
