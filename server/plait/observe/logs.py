"""Structured logs: one line a request and one a call that failed, under the request's id; at debug
one for every call. No values, no secrets."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

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

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def logger_of(level: str, log_format: str) -> Any:
    """A logger that writes lines on standard error."""
    return _logger(LEVELS[level], _is_text(log_format))


def log_observer(level: str, log_format: str) -> Any:
    """An observer that writes each event as a line on standard error."""
    logger = logger_of(level, log_format)
    lowest = LEVELS[level]

    def observe(event: Event) -> None:
        its = _level_of(event)
        if LEVELS[its] < lowest:
            return  # the usual case: nothing is made for a line that nobody reads
        log = getattr(logger, its)
        match event:
            case RequestFinished():
                log("request_cancelled" if event.cancelled else "request", **_fields(event))
            case CallFinished():
                fields = _fields(event)
                if problem := fields.pop("problem", None):
                    logger.debug("problem", request_id=event.request_id, problem=problem)
                log("call", **fields)
            case FieldFailed():
                log(
                    "field_failed",
                    request_id=event.request_id,
                    path=event.path,
                    exc_info=event.error,
                )
            case _:
                log(_NAMES.get(type(event), type(event).__name__), **_fields(event))

    return observe


_NAMES: Mapping[type, str] = {
    WriteSettled: "write",
    CacheRead: "cache_read",
    CacheFailed: "cache_failed",
    RowsUnexpected: "rows_unexpected",
    LedgerOpened: "ledger_opened",
    PropertyAbsent: "property_absent",
}


def _level_of(event: Event) -> str:
    match event:
        case CallFinished():  # the line of its request counts those that went well
            return "warning" if event.error_code else "debug"
        case RequestFinished():
            return "warning" if event.http_status >= 500 else "info"
        case WriteSettled():
            return "info" if event.outcome == "succeeded" else "warning"
        case CacheRead():
            return "debug"
        case FieldFailed():
            return "error"
        case CacheFailed() | RowsUnexpected() | LedgerOpened() | PropertyAbsent():
            return "warning"
        case _:
            return "info"


def _fields(event: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in event.__slots__:
        value = getattr(event, name)
        if type(value) is float:
            fields[name] = round(value, 2)
        elif value or type(value) is int:  # a 0 says something; None, False and nothing do not
            fields[name] = value
    return fields


def _is_text(log_format: str) -> bool:
    return log_format == "text" or (log_format == "auto" and sys.stderr.isatty())


def _logger(level: int, text: bool) -> Any:
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if text
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    errors: list[Any] = [] if text else [structlog.processors.format_exc_info]
    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *errors,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return logger.bind()  # else each line would put it together anew


def _json(line: Any, **_: Any) -> str:
    """A line as text; what JSON has no form for as Python shows it."""
    try:
        return msgspec.json.encode(line, enc_hook=repr).decode()
    except (TypeError, ValueError, RecursionError):  # half a character, say
        return json.dumps(line, default=repr)
