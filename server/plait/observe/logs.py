"""Structured logs: one line a request and one a call that failed, under the request's id; at debug
one for every call. No values, no secrets."""

import sys
from typing import Any

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

    tells_calls = lowest <= LEVELS["debug"]

    def observe(event: Event) -> None:
        if not tells_calls and (
            (type(event) is CallFinished and event.error_code is None) or type(event) is CacheRead
        ):
            return  # the usual case: the line of its request counts it
        match event:
            case RequestFinished() if event.http_status < 500 and lowest > LEVELS["info"]:
                pass
            case WriteSettled() if event.outcome == "succeeded" and lowest > LEVELS["info"]:
                pass
            case RequestFinished():
                log = logger.warning if event.http_status >= 500 else logger.info
                log("request_cancelled" if event.cancelled else "request", **_fields(event))
            case CallFinished():
                log = logger.warning if event.error_code else logger.debug
                fields = _fields(event)
                if problem := fields.pop("problem", None):
                    logger.debug("problem", request_id=event.request_id, problem=problem)
                log("call", **fields)
            case WriteSettled():
                log = logger.info if event.outcome == "succeeded" else logger.warning
                log("write", **_fields(event))
            case CacheRead():
                logger.debug("cache_read", **_fields(event))
            case CacheFailed():
                logger.warning("cache_failed", **_fields(event))
            case RowsUnexpected():
                logger.warning("rows_unexpected", **_fields(event))
            case LedgerOpened():
                logger.warning("ledger_opened", **_fields(event))
            case PropertyAbsent():
                logger.warning("property_absent", **_fields(event))
            case FieldFailed():
                logger.error(
                    "field_failed",
                    request_id=event.request_id,
                    path=event.path,
                    exc_info=event.error,
                )
            case _:
                logger.info(type(event).__name__, **_fields(event))

    return observe


def _fields(event: Any) -> dict[str, Any]:
    fields = {name: getattr(event, name) for name in event.__slots__}
    return {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in fields.items()
        if value not in (None, "", (), False) or type(value) is int
    }


def _is_text(log_format: str) -> bool:
    return log_format == "text" or (log_format == "auto" and sys.stderr.isatty())


def _logger(level: int, text: bool) -> Any:
    renderer: Any = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    errors: list[Any] = [] if text else [structlog.processors.format_exc_info]
    return structlog.wrap_logger(
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
