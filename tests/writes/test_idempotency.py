"""Idempotency keys: which texts are one, and what they make."""

from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait import Backend
from plait.errors import BadUserInput, KeyInvalid
from plait.writes.idempotency import (
    _NAMESPACE,
    canonical,
    checked_key,
    entry_id,
    fingerprint,
    former_entry_id,
    former_fingerprint,
    key_from_header,
    request_id,
    write_key,
)


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        (' \t"abc"\t ', "abc"),
        ('"a b"', "a b"),
        ('"a\\"b"', 'a"b'),
        ('"a\\\\b"', "a\\b"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("a=b;c", "a=b;c"),
        ("!#$%&'()*+-./:;<=>?@[]^_`{|}~", "!#$%&'()*+-./:;<=>?@[]^_`{|}~"),
        ("x" * 255, "x" * 255),
    ],
)
def test_what_is_a_key(raw: str, key: str) -> None:
    assert key_from_header(raw) == key


ONE_STRING = 'The Idempotency-Key must be one string in double quotes, such as "8e03978e-40d5".'


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "The Idempotency-Key is empty."),
        ('""', "The Idempotency-Key is empty."),
        ("   ", "The Idempotency-Key is empty."),
        ("a b", ONE_STRING),
        ("a,b", ONE_STRING),
        ('"a", "b"', ONE_STRING),
        ('"a', ONE_STRING),
        ('a"', ONE_STRING),
        ('"a\\b"', ONE_STRING),
        ("ü", ONE_STRING),
        ('"ü"', ONE_STRING),
        ("a\nb", ONE_STRING),
        ("x" * 256, "The Idempotency-Key is longer than 255 characters."),
    ],
)
def test_what_is_none(raw: str, message: str) -> None:
    with pytest.raises(KeyInvalid) as caught:
        key_from_header(raw)
    assert str(caught.value) == message


def test_a_key_that_an_author_gives_is_checked_too() -> None:
    assert checked_key("a b, c") == "a b, c"
    with pytest.raises(KeyInvalid) as caught:
        checked_key("a\nb")
    assert str(caught.value) == (
        "The Idempotency-Key holds characters that are not printable ASCII."
    )


def test_an_entry_is_its_callers_keys_and_places_alone() -> None:
    ids = {
        entry_id(caller=caller, key=key, place=place)
        for caller in ("", "c")
        for key in ("k", "l")
        for place in ("a#0", "a#1", "b#0")
    }
    assert len(ids) == 12
    assert all(len(one) == 64 for one in ids)
    requests = {request_id(caller=caller, key=key) for caller in ("", "c") for key in ("k", "l")}
    assert len(requests | ids) == 16
    # What stands in the first schema's files.
    former = former_entry_id(caller="", key="k", field_name="save", occurrence=0)
    assert former == "85117a4eed4b031b8b4d6a4c09c3155697944bcc06c33c213013ec0370bbc6f0"
    assert former != former_entry_id(caller="", key="k", field_name="save", occurrence=1)


def test_a_writes_key_is_the_same_everywhere_and_for_no_other_write() -> None:
    parts: list[tuple[Any, ...]] = [
        ("e", 0, 0, "t", "POST /a"),
        ("f", 0, 0, "t", "POST /a"),
        ("e", 1, 0, "t", "POST /a"),
        ("e", 0, 1, "t", "POST /a"),
        ("e", 0, 0, "u", "POST /a"),
        ("e", 0, 0, "t", "POST /b"),
    ]
    keys = [write_key(*one) for one in parts]
    assert len(set(keys)) == len(parts)
    assert UUID(keys[0]).version == 5
    assert keys[0] == write_key("e", 0, 0, "t", "POST /a") == "9c5fb382-2a4e-5721-840f-2b94cd168018"


def test_a_request_is_its_caller_field_and_arguments() -> None:
    base: dict[str, Any] = {"caller": "c", "field_name": "save", "arguments": {"a": 1, "b": [2]}}
    same = fingerprint(**{**base, "arguments": {"b": [2], "a": 1}})
    assert fingerprint(**base) == same
    others = [
        {"caller": "d"},
        {"field_name": "drop"},
        {"arguments": {"a": 1}},
        {"arguments": {"a": 1, "b": [2], "c": None}},
        {"arguments": {"a": "1", "b": [2]}},
    ]
    assert len({same, *(fingerprint(**{**base, **one}) for one in others)}) == 6


def test_the_first_schema_took_the_writes_in() -> None:
    b = Backend("b", "http://b.test")
    post, put = b.post("/rows"), b.put("/rows")
    base: dict[str, Any] = {"caller": "c", "field_name": "save", "arguments": {}}
    prints = {
        former_fingerprint(**base, writes=writes)
        for writes in (
            (),
            (post(body=1),),
            (post(body=2),),
            (put(body=1),),
            (post(body=1), post(body=1)),
        )
    }
    assert len(prints) == 5


def test_canonical_json() -> None:
    assert canonical({"b": 1, "a": [True, None, "ü"]}) == '{"a":[true,null,"ü"],"b":1}'.encode()
    for wrong in ({1: 2}.keys(), object(), {"a": {1, 2}.__iter__()}):
        with pytest.raises(BadUserInput) as caught:
            canonical(wrong)
        assert str(caught.value) == "A write holds a value that JSON cannot express."


def test_what_stands_in_ledgers_never_changes() -> None:
    base: dict[str, Any] = {"caller": "c", "field_name": "save", "arguments": {"a": 1}}
    post = Backend("b", "http://b.test").post("/rows")
    assert (
        entry_id(caller="c", key="k", place="a#0")
        == "89edd4eb15cf3106897187efff7dd053c4c41f0d87ffb6b49161e9a9c1ecac2b"
    )
    assert (
        request_id(caller="c", key="k")
        == "ac4edcf32d44266380531925664090c611e6236dcf7eea5f175c9553ea99e367"
    )
    assert fingerprint(**base) == "f54c3efcb505a5edd07bb88599a7b480bffcd2feca00dec4b6c8036fcbdcdff9"
    assert (
        former_fingerprint(**base, writes=(post(body=1),))
        == "792064dcbaf5ebe4585a806596625c7363ec767b9e32f513867ae12d47e90e70"
    )


def test_only_blanks_and_tabs_stand_around_a_key() -> None:
    assert key_from_header("XkeyX") == "XkeyX"
    for raw in ("\nkey", "key\x0b", '\r"key"'):
        with pytest.raises(KeyInvalid):
            key_from_header(raw)


@given(st.lists(st.text(max_size=20), min_size=3, max_size=3), st.integers(0, 9), st.integers(0, 9))
def test_what_a_write_gets_is_a_uuid_of_version_5(
    texts: list[str], generation: int, position: int
) -> None:
    entry, target, endpoint = texts
    name = canonical([entry, generation, position, target, endpoint]).decode()
    expected = str(uuid5(_NAMESPACE, name))
    assert write_key(entry, generation, position, target, endpoint) == expected
