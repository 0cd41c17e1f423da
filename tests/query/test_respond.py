"""What an answer says beside its bytes: its codes, its status, and what was written until then."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import DocumentNode, GraphQLError

from plait.backend.budget import Allowance, Budget
from plait.backend.call import Origin
from plait.backend.written import Written
from plait.clock import Pace
from plait.emit import Events
from plait.errors import (
    BackendTimeout,
    BadUserInput,
    KeyInProgress,
    KeyReused,
    LedgerUnavailable,
    OperationTooCostly,
    PlaitError,
    RequestTimeout,
)
from plait.query.answer import Answer, Executed, Refused
from plait.query.code import CodeStore
from plait.query.context import Context
from plait.query.document import Document
from plait.query.respond import ERRORS_BYTES_MAX, Operation, answered, given_up, refused

NO_PLACES = SimpleNamespace(places=lambda _: [])


def test_a_refused_document_is_not_executed() -> None:
    errors = [GraphQLError("One. Did you mean 'two'?"), GraphQLError("Three.")]
    answer = refused(errors, "CODE", "r1", NO_PLACES)
    assert (answer.codes, answer.status, answer.always) == (("CODE",), 400, False)
    assert (answer.replayed, answer.retry_after_s) == (False, None)
    never = refused(errors, "CODE", "r1", NO_PLACES, status=405)
    assert (never.status, never.always) == (405, True)
    shown = json.loads(answer.body)
    assert shown == {
        "errors": [
            {
                "message": "One. Did you mean 'two'?",
                "extensions": {"code": "CODE", "request_id": "r1"},
            },
            {"message": "Three.", "extensions": {"code": "CODE", "request_id": "r1"}},
        ]
    }
    hidden = json.loads(refused(errors, "CODE", "r1", NO_PLACES, hide_suggestions=True).body)
    assert hidden["errors"][0]["message"] == "One."


COSTLY = OperationTooCostly("Much.", limit="l", value=5)
WRITTEN = [{"path": ["a"], "outcome": "succeeded"}]


@pytest.mark.parametrize(
    ("error", "has_begun", "written", "status", "extensions"),
    [
        (COSTLY, False, (), 400, {"limit": "l", "value": 5}),
        (COSTLY, True, WRITTEN, 400, {"limit": "l", "value": 5}),
        (
            RequestTimeout("Late.", limit="t", value=1.5),
            True,
            WRITTEN,
            504,
            {"limit": "t", "value": 1.5},
        ),
        (
            KeyInProgress("Wait.", retry_after_s=3.0),
            False,
            (),
            409,
            {"retryable": True, "retry_after_s": 3.0},
        ),
        (PlaitError("Odd."), False, (), 400, {}),
    ],
)
def test_an_operation_that_was_given_up_tells_what_it_wrote(
    error: PlaitError, has_begun: bool, written: Any, status: int, extensions: dict[str, Any]
) -> None:
    answer = given_up(error, "r1", has_begun=has_begun, written=written)
    assert type(answer) is (Executed if has_begun else Refused)
    assert (answer.codes, answer.status, answer.always) == ((error.code,), status, False)
    wanted: dict[str, Any] = {
        "errors": [
            {
                "message": str(error),
                "extensions": {"code": error.code, **extensions, "request_id": "r1"},
            }
        ]
    }
    if has_begun:
        wanted["data"] = None
    if written:
        wanted["extensions"] = {"plait": {"writes": list(written)}}
    assert json.loads(answer.body) == wanted


def context(**more: Any) -> Context:
    made = Context(
        origin=Origin(request_id="r1"),
        loaders=SimpleNamespace(),  # type: ignore[arg-type]
        writes=SimpleNamespace(),  # type: ignore[arg-type]
        budget=Budget(Allowance(bytes=more.pop("bytes", 1_000_000))),
        pace=Pace(),
    )
    for name, value in more.items():
        setattr(made, name, value)
    return made


def answer_to(data: Any, *causes: Any, path: Any = ("a",), **more: Any) -> Answer:
    """The answer to an operation that ended with `data`, and an error for each of `causes`."""
    errors = [
        GraphQLError(str(cause), path=list(path) if path else None, original_error=cause)
        for cause in causes
    ]
    stub: Any = SimpleNamespace()
    document = Document("", DocumentNode(definitions=()), CodeStore())
    operation = Operation(stub, {}, document, stub)
    extensions = more.pop("extensions", None)
    beside = context(**more).beside(extensions)
    return answered(data, errors, beside, operation, Events())


def late(**more: Any) -> BackendTimeout:
    return BackendTimeout("Late.", backend="b", endpoint="e", **more)


def test_an_answer_with_data_says_so() -> None:
    answer = answer_to({"a": Written("1.50")})
    assert answer == Executed(body=b'{"data":{"a":1.50}}', codes=(), status=200)
    answer = answer_to({"a": 1}, replayed=True, written=WRITTEN, extensions={"mine": 1})
    assert answer.replayed
    assert json.loads(answer.body)["extensions"] == {
        "mine": 1,
        "plait": {"replayed": True, "writes": WRITTEN},
    }


@pytest.mark.parametrize(
    ("data", "causes", "more", "status", "codes"),
    [
        ({"a": None}, [late()], {}, 200, ("BACKEND_TIMEOUT",)),
        (None, [late(), late()], {}, 200, ("BACKEND_TIMEOUT",)),
        (None, [KeyReused("K.")], {}, 422, ("IDEMPOTENCY_KEY_REUSED",)),
        (
            None,
            [late(), KeyReused("K.")],
            {},
            422,
            ("BACKEND_TIMEOUT", "IDEMPOTENCY_KEY_REUSED"),
        ),
        ({"a": None}, [KeyReused("K.")], {}, 200, ("IDEMPOTENCY_KEY_REUSED",)),
        ({"a": None}, [LedgerUnavailable("L.")], {}, 503, ("LEDGER_UNAVAILABLE",)),
        ({"a": 1}, [LedgerUnavailable("L.")], {}, 200, ("LEDGER_UNAVAILABLE",)),
        (
            {"a": None},
            [LedgerUnavailable("L.")],
            {"written": WRITTEN},
            200,
            ("LEDGER_UNAVAILABLE",),
        ),
        ({"a": None}, [BadUserInput("B.")], {}, 200, ("BAD_USER_INPUT",)),
    ],
)
def test_the_status_of_an_answer_follows_from_what_went_wrong(
    data: Any, causes: Any, more: Any, status: int, codes: Any
) -> None:
    answer = answer_to(data, *causes, **more)
    assert isinstance(answer, Executed)
    assert (answer.status, answer.codes) == (status, codes)


def test_what_failed_before_anything_ran_has_no_data() -> None:
    answer = answer_to(None, None, path=None)
    assert isinstance(answer, Refused)
    assert answer.status == 400
    assert "data" not in json.loads(answer.body)
    assert answer.codes == ("BAD_USER_INPUT",)


def test_the_longest_wait_is_told() -> None:
    assert answer_to(None, late()).retry_after_s is None
    waits = [late(retry_after_s=2.0), late(retry_after_s=7.0), late()]
    answer = answer_to(None, *waits, ValueError())
    assert answer.retry_after_s == 7.0
    shown = [one["extensions"].get("retry_after_s") for one in json.loads(answer.body)["errors"]]
    assert shown[:3] == [2.0, 7.0, None]


def test_errors_of_many_bytes_are_counted_and_not_all_listed() -> None:
    long = BadUserInput("x" * 10_000)
    answer = answer_to(None, *[long] * 50)
    shown = json.loads(answer.body)["errors"]
    assert len(answer.body) <= ERRORS_BYTES_MAX + 20_000
    assert shown[-1] == {"message": f"{50 - len(shown) + 1} more errors are not listed."}
    assert len(shown) == 10
    huge = answer_to(None, BadUserInput("x" * 200_000))
    assert len(json.loads(huge.body)["errors"]) == 1  # one is always told


def test_an_answer_that_is_too_large_is_given_up_with_what_it_wrote() -> None:
    answer = answer_to({"a": "x" * 200}, bytes=100, written=WRITTEN)
    shown = json.loads(answer.body)
    assert shown["data"] is None
    assert shown["errors"][0]["extensions"]["limit"] == "answer_bytes_max"
    assert shown["extensions"] == {"plait": {"writes": WRITTEN}}
    assert isinstance(answer, Executed)
    assert answer.status == 400


def test_a_context_parts_from_what_executed_it() -> None:
    told: list[str] = []
    made = context()
    made.executor = SimpleNamespace(let_go=lambda: told.append("let go"))
    made.budget.refused = COSTLY
    try:
        raise COSTLY
    except OperationTooCostly:
        pass
    assert COSTLY.__traceback__ is not None
    made.let_go()
    assert (told, made.executor, COSTLY.__traceback__) == (["let go"], None, None)
    made.let_go()
    assert told == ["let go"]
    context().let_go()  # nothing was executed
