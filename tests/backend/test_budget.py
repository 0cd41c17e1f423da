"""What one operation may take, to the last one."""

import pytest

from plait.backend.budget import Allowance, Budget
from plait.errors import OperationTooCostly


def budget(**allowed: int) -> Budget:
    return Budget(Allowance(**allowed))


def refused(error: OperationTooCostly | None) -> tuple[str, str, float]:
    assert error is not None
    return str(error), error.limit, error.value


def test_the_defaults_are_what_the_settings_say() -> None:
    allowed = Allowance()
    assert (allowed.calls, allowed.keys, allowed.objects, allowed.bytes) == (
        2_000,
        10_000,
        10_000,
        10_485_760,
    )


def test_calls_are_counted_as_they_leave() -> None:
    made = budget(calls=3)
    made.spend_calls(2)
    assert made.calls == 2
    assert made.may_call(1)
    assert not made.may_call(2)
    with pytest.raises(OperationTooCostly) as caught:
        made.spend_calls(2)
    assert refused(caught.value) == (
        "This operation needs more calls to backends than the 3 that are allowed. "
        "Ask for less at once.",
        "request_calls_max",
        3,
    )
    assert made.calls == 2
    made.check_calls(1)
    made.spend_calls(1)
    with pytest.raises(OperationTooCostly):
        made.check_calls(1)
    assert made.refused is None


def test_keys_are_counted() -> None:
    made = budget(keys=2)
    made.spend_key()
    made.spend_key()
    with pytest.raises(OperationTooCostly) as caught:
        made.spend_key()
    assert refused(caught.value) == (
        "This operation asks for more different keys than the 2 that are allowed. "
        "Ask for less at once.",
        "request_keys_max",
        2,
    )
    assert made.refused is None


def test_the_object_beyond_the_limit_ends_the_operation_once() -> None:
    made = budget(objects=2, bytes=100)
    stopped: list[int] = []
    made.stop = lambda: stopped.append(1)
    made.spend_object(1)
    made.spend_object(1)
    for _ in range(2):
        with pytest.raises(OperationTooCostly) as caught:
            made.spend_object(1)
        assert caught.value is made.refused
    assert refused(made.refused) == (
        "This operation has more objects and list items in its answer than the 2 that are allowed. "
        "Ask for less at once.",
        "answer_objects_max",
        2,
    )
    assert stopped == [1]


SIZE = (
    "This operation has an answer of more bytes than the 10 that are allowed. "
    "Ask for less at once.",
    "answer_bytes_max",
    10,
)


def test_the_byte_beyond_the_limit_ends_the_operation() -> None:
    made = budget(bytes=10)
    made.spend_object(4)
    made.spend_bytes(6)
    with pytest.raises(OperationTooCostly) as caught:
        made.spend_bytes(1)
    assert refused(caught.value) == SIZE
    made = budget(bytes=10)
    made.spend_object(10)
    with pytest.raises(OperationTooCostly) as caught:
        made.spend_object(1)
    assert refused(caught.value) == SIZE
    assert made.refused is caught.value


def test_the_whole_answer_is_weighed_again() -> None:
    made = budget(bytes=10)
    assert made.check_size(10) is None
    assert refused(made.check_size(11)) == SIZE
    first = made.refused
    assert made.check_size(1) is first
    assert made.check_size(12) is first
