"""Whether a write had an effect, and what is told of it."""

from typing import Any

import pytest
from msgspec.structs import fields, replace

from plait import Backend
from plait.errors import (
    BackendDisconnected,
    BackendError,
    BackendHttpError,
    BackendRedirected,
    BackendRefused,
    BackendTimeout,
    BackendUnreachable,
    BadBackendResponse,
    BadUserInput,
    NotFound,
    PlaitError,
    ResponseTooLarge,
)
from plait.writes.ledger import LOST, WriteRecord
from plait.writes.outcome import Failed, Succeeded, Unknown, told
from plait.writes.records import (
    converted,
    outcome_of,
    record_of,
    replayed,
    say_who_may_ask_again,
    unreadable,
)
from plait.writes.verdict import answered_status, may_try_again, reason_for, verdict_on
from plait.writes.write import Write, WriteReply

b = Backend("b", "http://b.test", idempotency_key="Idempotency-Key")
keyed = b.post("/rows")(body=1)
keyless = b.post("/rows", idempotency_key=None)(body=1)


def error(kind: type[BackendError] = BackendHttpError, **more: Any) -> BackendError:
    return kind("It broke.", backend="b", endpoint="POST /rows", **more)


def http(status: int) -> BackendError:
    return error(status=status)


F, U = "failed", "unknown"


@pytest.mark.parametrize(
    ("raised", "first", "doubtful", "doubtful_keyed"),
    [
        *((http(status), F, U, F) for status in (400, 402, 415, 422)),
        *((http(status), F, U, U) for status in (401, 403, 404, 405, 408, 409, 410, 412)),
        *((http(status), F, U, U) for status in (413, 423, 425, 428, 429, 451, 499)),
        *((http(status), F, U, U) for status in (501, 505, 511)),
        *((http(status), U, U, U) for status in (500, 502, 503, 504, 507, 520, 599)),
        *((http(status), U, U, U) for status in (300, 301, 304, 308, 399)),
        (error(BackendRefused, status=200), F, U, F),
        (error(NotFound), F, U, U),
        (error(NotFound, status=410), F, U, U),
        (error(BackendRedirected), U, U, U),
        (error(BackendTimeout), U, U, U),
        (error(BackendTimeout, sent="no"), F, U, U),
        (error(BackendUnreachable, sent="no"), F, U, U),
        (error(BackendDisconnected), U, U, U),
        (error(BadBackendResponse), U, U, U),
        (error(ResponseTooLarge), U, U, U),
        (BadUserInput("No."), F, U, U),
        (ValueError("secret"), U, U, U),
    ],
)
def test_what_became_of_a_write(
    raised: Exception, first: str, doubtful: str, doubtful_keyed: str
) -> None:
    for honours in (False, True):
        assert verdict_on(raised, in_doubt=False, honours_keys=honours) == first
    assert verdict_on(raised, in_doubt=True, honours_keys=False) == doubtful
    assert verdict_on(raised, in_doubt=True, honours_keys=True) == doubtful_keyed


@pytest.mark.parametrize(
    ("raised", "again"),
    [
        *((http(status), True) for status in (401, 403, 404, 407, 408, 409, 421, 423, 424)),
        *((http(status), True) for status in (425, 426, 428, 429, 451, 500, 501, 503, 511)),
        *((http(status), False) for status in (400, 402, 405, 406, 410, 411, 412, 413, 414)),
        *((http(status), False) for status in (415, 416, 417, 422)),
        (error(BackendRefused, status=200), True),
        (error(BackendUnreachable, sent="no"), True),
        (error(NotFound), True),
        (error(NotFound, status=410), False),
        (BadUserInput("No."), False),
        (ValueError(), False),
    ],
)
def test_what_can_be_mended_may_be_asked_for_again(raised: Exception, again: bool) -> None:
    assert may_try_again(raised) is again


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (http(503), 503),
        (error(NotFound), 404),
        (error(NotFound, status=410), 410),
        (error(BackendTimeout), None),
        (BadUserInput("No."), None),
        (ValueError(), None),
    ],
)
def test_the_status_that_an_error_stands_for(raised: Exception, status: int | None) -> None:
    assert answered_status(raised) == status


@pytest.mark.parametrize(
    ("raised", "in_doubt", "reason"),
    [
        (http(500), False, "It broke. Whether it took effect is not known."),
        (
            http(500),
            True,
            "An earlier attempt may have taken effect. The last one failed: It broke.",
        ),
        (
            error(BadBackendResponse),
            False,
            "It seems to have taken effect, but its reply is lost: It broke.",
        ),
        (
            error(BadBackendResponse, status=201),
            False,
            "It seems to have taken effect, but its reply is lost: It broke.",
        ),
        (
            error(ResponseTooLarge, status=200),
            False,
            "It seems to have taken effect, but its reply is lost: It broke.",
        ),
        (
            error(BadBackendResponse, status=300),
            False,
            "It broke. Whether it took effect is not known.",
        ),
        (
            ValueError("secret"),
            False,
            "The write broke off inside the gateway. Whether it took effect is not known.",
        ),
        (
            ValueError("secret"),
            True,
            "An earlier attempt may have taken effect. The last one failed: "
            "The write broke off inside the gateway.",
        ),
    ],
)
def test_why_nobody_can_tell(raised: Exception, in_doubt: bool, reason: str) -> None:
    assert reason_for(raised, in_doubt=in_doubt) == reason


# --- outcomes, and how the ledger keeps them

COMMON: dict[str, Any] = {
    "target": "b",
    "endpoint": "POST /rows",
    "key": "k",
    "attempts": 1,
    "duration_ms": 5.0,
    "http_status": None,
    "replayed": False,
}


def came(result: Any, write: Write[Any] = keyed, *, in_doubt: bool = False) -> Any:
    return outcome_of(write, "k", result, in_doubt=in_doubt, duration_ms=5.0)


def test_a_success_holds_what_was_answered() -> None:
    made = came(WriteReply(value={"id": 1}, http_status=201, attempts=2))
    wanted = {**COMMON, "attempts": 2, "http_status": 201}
    assert made == Succeeded(**wanted, value={"id": 1})
    assert (made.code, made.message) == (None, "")


def test_a_failure_holds_its_error() -> None:
    raised = error(status=422, attempts=3)
    made = came(raised)
    assert made == Failed(**{**COMMON, "attempts": 3, "http_status": 422}, error=raised)
    assert (made.code, made.message) == ("BACKEND_HTTP_ERROR", "It broke.")
    refused = BadUserInput("No.")
    assert came(refused) == Failed(**COMMON, error=refused)
    assert came(raised, keyless, in_doubt=True).__class__ is Unknown
    assert came(raised, keyed, in_doubt=True).__class__ is Failed


def test_what_is_not_known_says_why_and_in_which_error() -> None:
    made = came(error(BackendTimeout, attempts=2))
    assert isinstance(made, Unknown)
    reason = "It broke. Whether it took effect is not known."
    assert (made.reason, made.message, made.code) == (reason, reason, "BACKEND_TIMEOUT")
    assert (str(made.error), made.error.code) == (reason, "BACKEND_TIMEOUT")
    assert isinstance(made.error, BackendTimeout)
    assert (made.error.backend, made.error.endpoint) == ("b", "POST /rows")
    assert (made.error.status, made.error.attempts, made.attempts) == (None, 2, 2)
    defect = came(ValueError("secret"))
    assert isinstance(defect, Unknown)
    assert (defect.code, defect.attempts) == ("BACKEND_ERROR", 1)
    assert "secret" not in defect.message


def test_a_value_is_made_as_the_author_wants_it() -> None:
    write = replace(keyed, convert=lambda row: row["id"])
    assert converted(write, came(WriteReply(value={"id": 7}, http_status=200))).value == 7  # type: ignore[union-attr]
    assert converted(keyed, came(WriteReply(value=5, http_status=200))).value == 5  # type: ignore[union-attr]
    failed = came(http(422))
    assert converted(write, failed) is failed


def test_a_value_that_cannot_be_made_took_effect_all_the_same() -> None:
    success = came(WriteReply(value=1, http_status=201, attempts=2))
    made = unreadable(keyed, success, BadUserInput("Its id is missing."))
    assert made.reason == "It took effect, but its reply cannot be used: Its id is missing."
    assert isinstance(made.error, BadBackendResponse)
    assert (made.error.status, made.http_status, made.attempts) == (201, 201, 2)
    for one in fields(success):
        if one.name != "value":
            assert getattr(made, one.name) == getattr(success, one.name)
    masked = unreadable(keyed, success, ValueError("secret"))
    wanted = "It took effect, but its reply cannot be used: the value cannot be converted."
    assert (masked.reason, str(masked.error)) == (wanted, wanted)


@pytest.mark.parametrize(
    ("result", "state", "retryable"),
    [
        (WriteReply(value={"id": 1}, http_status=201), "succeeded", False),
        (http(422), "failed", False),
        (http(401), "failed", True),
        (error(BackendUnreachable, sent="no"), "failed", True),
        (BadUserInput("No."), "failed", False),
        (error(BackendTimeout), "unknown", False),
    ],
)
def test_what_the_ledger_keeps_is_told_again(result: Any, state: str, retryable: bool) -> None:
    made = came(result)
    record = record_of(made, epoch=4)
    assert (record.state, record.epoch, record.retryable) == (state, 4, retryable)
    assert (record.target, record.endpoint, record.key) == ("b", "POST /rows", "k")
    again = replayed(keyed, record)
    assert type(again) is type(made)
    assert again.replayed
    assert (again.target, again.endpoint, again.key) == ("b", "POST /rows", "k")
    assert (again.code, again.message) == (made.code, made.message)
    assert (again.attempts, again.duration_ms) == (made.attempts, 5.0)
    assert again.http_status == made.http_status
    if isinstance(made, Succeeded):
        assert record.value == b'{"id":1}'
        assert again.value == {"id": 1}  # type: ignore[union-attr]
    else:
        assert record.value is None
        assert type(again.error) is type(made.error)  # type: ignore[union-attr]
        assert str(again.error) == str(made.error)  # type: ignore[union-attr]


def test_a_success_without_a_value_and_a_write_that_was_lost() -> None:
    common: dict[str, Any] = {"target": "b", "endpoint": "POST /rows", "key": "k"}
    none = replayed(keyed, WriteRecord(**common, state="succeeded"))
    assert isinstance(none, Succeeded)
    assert none.value is None
    lost = replayed(keyed, WriteRecord(**common))
    assert isinstance(lost, Unknown)
    assert (lost.reason, str(lost.error), lost.code) == (LOST, LOST, "BACKEND_ERROR")
    odd = replayed(keyed, WriteRecord(**common, state="failed", code="FROM_A_LATER_RELEASE"))
    assert isinstance(odd, Failed)
    assert (odd.code, odd.message) == ("BACKEND_ERROR", LOST)


def test_a_success_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(BadUserInput):
        record_of(came(WriteReply(value=object(), http_status=200)), epoch=1)


@pytest.mark.parametrize(
    ("raised", "write", "has_key", "again"),
    [
        (http(401), keyed, True, True),
        (http(401), keyed, False, False),
        (http(422), keyed, True, False),
        (http(401), keyless, True, True),
        (error(BackendTimeout), keyed, True, True),
        (error(BackendTimeout), keyed, False, False),
        (error(BackendTimeout), keyless, True, False),
        (error(BackendTimeout), b.put("/rows", idempotency_key=None)(body=1), True, True),
    ],
)
def test_who_may_ask_again(raised: Any, write: Any, has_key: bool, again: bool) -> None:
    made = came(raised, write)
    say_who_may_ask_again(write, made, has_key=has_key)
    assert made.error.may_ask_again is again
    assert told(made)["retryable"] is again


def test_a_success_and_a_refused_value_have_nothing_to_ask_again() -> None:
    success = came(WriteReply(value=1, http_status=200))
    say_who_may_ask_again(keyed, success, has_key=True)
    assert "retryable" not in told(success)
    refused = came(BadUserInput("No."))
    say_who_may_ask_again(keyed, refused, has_key=True)
    assert not hasattr(refused.error, "may_ask_again")


def test_what_a_client_is_told_of_an_outcome() -> None:
    assert told(came(WriteReply(value=1, http_status=201, attempts=2))) == {
        "target": "b",
        "endpoint": "POST /rows",
        "outcome": "succeeded",
        "attempts": 2,
        "replayed": False,
        "http": {"status": 201},
    }
    assert told(came(error(BackendTimeout))) == {
        "target": "b",
        "endpoint": "POST /rows",
        "outcome": "unknown",
        "attempts": 1,
        "replayed": False,
        "code": "BACKEND_TIMEOUT",
        "message": "It broke. Whether it took effect is not known.",
        "retryable": True,
    }
    shown = told(came(BadUserInput("No.")))
    assert (shown["outcome"], shown["code"], shown["message"]) == (
        "failed",
        "BAD_USER_INPUT",
        "No.",
    )
    assert not {"retryable", "http"} & set(shown)


def test_an_error_of_ours_that_is_none_of_a_backend_is_unknown() -> None:
    made = came(PlaitError("Odd."))
    assert isinstance(made, Unknown)
    assert made.reason == "Odd. Whether it took effect is not known."
