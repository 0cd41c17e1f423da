"""Numbers as they were written, and copies that share nothing."""

import pickle
from typing import Any

import pytest

from plait.backend.numbers import copied, decode, encode, encode_sorted, number
from plait.backend.written import Written


@pytest.mark.parametrize(
    ("text", "is_written"),
    [
        ("1.5", False),
        ("-0.25", False),
        ("0.1", False),
        ("123456789.123456", False),
        ("1234567890.12345", False),
        ("19.10", True),
        ("1e5", True),
        ("1E5", True),
        ("1.0", False),
        ("1.00", True),
        ("1e400", True),
        ("0.1234567890123456789", True),
        ("1.2345678901234567", False),
        ("12345678901234567890.5", True),
    ],
)
def test_a_number_is_kept_as_it_was_written(text: str, is_written: bool) -> None:
    made = number(text)
    assert isinstance(made, Written) is is_written
    assert float(made) == float(text)
    assert encode([made]) == f"[{text}]".encode()
    assert str(made) == text
    assert encode(decode(f'{{"a":[{text}]}}'.encode())) == f'{{"a":[{text}]}}'.encode()


def test_a_written_number_is_a_float_that_can_be_sent_elsewhere() -> None:
    made = Written("19.10")
    assert made + 1 == 20.1
    again = pickle.loads(pickle.dumps(made))
    assert (type(again), str(again)) == (Written, "19.10")


def test_what_is_no_json_says_what_it_is() -> None:
    for make in (encode, encode_sorted):
        with pytest.raises(TypeError) as caught:
            make({"a": 1j})
        assert str(caught.value) == "A complex is no JSON."
    assert encode_sorted({"b": 1, "a": Written("1.0e1")}) == b'{"a":1.0e1,"b":1}'


@pytest.mark.parametrize(
    "value",
    [{"a": {"b": [1, {"c": []}]}, "d": "x"}, [[1], {"a": [2]}, "x", None], {}, [], 5, None, "x"],
)
def test_a_copy_shares_nothing_that_can_change(value: Any) -> None:
    made = copied(value)
    assert made == value

    def parts(one: Any) -> list[int]:
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        own = [id(one)] if isinstance(one, dict | list) else []
        return own + [each for item in inner for each in parts(item)]

    assert not set(parts(made)) & set(parts(value))


def test_what_cannot_change_is_not_copied() -> None:
    written = Written("1.0e1")
    row = {"a": written, "b": [written]}
    made = copied(row)
    assert made["a"] is written
    assert made["b"][0] is written
