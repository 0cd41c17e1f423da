"""Values in paths, queries and headers: none of them changes a call's shape."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from plait.backend.numbers import number
from plait.backend.template import (
    VALUE_CHARACTERS_MAX,
    PathTemplate,
    header_value,
    path_value,
    path_values,
    plain_text,
    query_pairs,
)
from plait.errors import BadUserInput


class Colour(Enum):
    RED = "red"
    SEVEN = 7


class Text(str, Enum):  # noqa: UP042  # as it was written before StrEnum
    A = "a b"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        ("", ""),
        (7, "7"),
        (-7, "-7"),
        (7.0, "7"),
        (-0.0, "0"),
        (7.5, "7.5"),
        (1e300, "1e+300"),
        (float(2**53), "9007199254740992.0"),
        (float(2**53 - 1), "9007199254740991"),
        (-float(2**53), "-9007199254740992.0"),
        (number("19.10"), "19.10"),
        (True, "true"),
        (False, "false"),
        (Colour.RED, "red"),
        (Colour.SEVEN, "7"),
        (Text.A, "a b"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 11, 25), "2026-11-25"),
        (datetime(2026, 11, 25, 1, tzinfo=UTC), "2026-11-25T01:00:00+00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_a_scalar_is_written_as_json_would(value: Any, text: str) -> None:
    assert plain_text("p", value) == text
    assert query_pairs("p", "wire", value) == [("wire", text)]


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), b"x", None])
def test_what_is_no_scalar_is_refused(value: Any) -> None:
    kind = type(value).__name__
    with pytest.raises(BadUserInput) as caught:
        plain_text("p", value)
    assert str(caught.value) == f"The value of 'p' must be a single value, not {kind}."


@pytest.mark.parametrize(
    "text", ["a\nb", "\x00", "\x1f", "\x7f", "\x80", "\x9f", "\u2028", "\u2029", "\ud800"]
)
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        plain_text("p", text)
    assert str(caught.value) == "The value of 'p' may not hold control characters."


def test_a_long_value_is_refused() -> None:
    assert plain_text("p", "x" * VALUE_CHARACTERS_MAX)
    with pytest.raises(BadUserInput) as caught:
        plain_text("p", "x" * (VALUE_CHARACTERS_MAX + 1))
    assert str(caught.value) == "The value of 'p' is longer than 2000 characters."


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("a b", "a%20b"),
        ("a?b#c", "a%3Fb%23c"),
        ("a%b", "a%25b"),
        ("ü", "%C3%BC"),
        ("a:b@c", "a%3Ab%40c"),
        ("a.b", "a.b"),
        ("...", "..."),
        ("~-_", "~-_"),
        (7, "7"),
    ],
)
def test_a_value_becomes_one_segment(value: Any, encoded: str) -> None:
    assert path_value("p", value) == encoded
    assert PathTemplate("/a/{p}/b").fill({"p": value}) == f"/a/{encoded}/b"


@pytest.mark.parametrize("value", ["a/b", "a\\b", "/", "\\"])
def test_a_slash_is_refused(value: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        path_value("p", value)
    assert str(caught.value) == "The value of 'p' may not hold a slash or backslash."


@pytest.mark.parametrize(
    "value",
    [
        *(".", "..", "%2e", "%2E%2e", ".%2E", "a%2f..", "..%2Fa", "a%5C..", "%2f..%5cb", "%2F."),
    ],
)
def test_dot_segments_are_refused_however_they_are_hidden(value: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        path_value("p", value)
    assert str(caught.value) == "The value of 'p' may not hold a '.' or '..' path segment."


def test_an_empty_segment_is_refused() -> None:
    with pytest.raises(BadUserInput) as caught:
        path_value("p", "")
    assert str(caught.value) == "The value of 'p' may not be empty."


def test_a_path_parameter_is_several_segments() -> None:
    assert path_values("p", "a/b c/d") == "a/b%20c/d"
    assert PathTemplate("/f/{p:path}").fill({"p": "a/b"}) == "/f/a/b"
    for wrong in ("a//b", "/a", "a/", "a/../b", "a/%2e%2E"):
        with pytest.raises(BadUserInput, match="'p'"):
            path_values("p", wrong)


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        (None, []),
        ([], []),
        ([1, "b", True], [("w", "1"), ("w", "b"), ("w", "true")]),
        ((1, 2), [("w", "1"), ("w", "2")]),
    ],
)
def test_a_list_repeats_its_name_and_null_is_left_out(value: Any, pairs: Any) -> None:
    assert query_pairs("p", "w", value) == pairs


@pytest.mark.parametrize("value", ["a", "a b", "~", " "[:0], 7])
def test_a_header_takes_printable_ascii(value: Any) -> None:
    assert header_value("p", value) == str(value)


@pytest.mark.parametrize("value", [" a", "a ", "ü", "€", " "])
def test_what_a_header_may_not_hold_is_refused(value: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        header_value("p", value)
    assert str(caught.value) == "The value of 'p' has characters that a header may not hold."


@pytest.mark.parametrize(
    ("template", "parameters"),
    [
        ("/a", ()),
        ("/a/{b}", ("b",)),
        ("/a/{b}/{c}/{b}", ("b", "c")),
        ("/a/{b:path}", ("b",)),
        ("/{A_1}-{b}", ("A_1", "b")),
    ],
)
def test_a_templates_parameters(template: str, parameters: tuple[str, ...]) -> None:
    assert PathTemplate(template).parameters == parameters
    assert PathTemplate(template).problem is None


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/a/{b}", "/a/1", {"b": "1"}),
        ("/a/{b}", "/a/a%20b", {"b": "a b"}),
        ("/a/{b}", "/a/1/2", None),
        ("/a/{b}", "/a/", None),
        ("/a/{b}", "/A/1", None),
        ("/a/{b:path}", "/a/1/2", {"b": "1/2"}),
        ("/a.b/{c}", "/aXb/1", None),
        ("/a/{b}/{b}", "/a/1/1", {"b": "1"}),
        ("/a/{b}/{b}", "/a/1/2", None),
        ("/a/{b}/c", "/a/1/c", {"b": "1"}),
        ("/a", "/a", {}),
        ("/a", "/a/", None),
    ],
)
def test_a_template_matches_the_paths_that_it_makes(
    template: str, path: str, values: dict[str, str] | None
) -> None:
    assert PathTemplate(template).match(path) == values


@pytest.mark.parametrize("make", [path_value, path_values, header_value, plain_text])
def test_every_refusal_names_the_parameter(make: Any) -> None:
    for wrong in ("\n", "x" * 3_000, [], b"x"):
        with pytest.raises(BadUserInput, match="The value of 'mine' "):
            make("mine", wrong)


def test_a_refusal_in_a_query_names_the_parameter_and_not_the_wires_name() -> None:
    for wrong in ("\n", ["a", "\n"], {}):
        with pytest.raises(BadUserInput, match="The value of 'mine' "):
            query_pairs("mine", "wire", wrong)


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        ("/rows/{id}", "/rows/{key}", True),
        ("/rows/{id}", "/rows/7", True),
        ("/rows/{id}", "/{kind}/7", True),
        ("/rows/a-{id}", "/rows/{id}-b", True),
        ("/rows", "/rows", True),
        ("/rows", "/rowz", False),
        ("/rows/{id}", "/rows", False),
        ("/rows/{id}", "/cats/{id}", False),
        ("/rows/{id}", "/rows/{id}/parts", False),
        ("/{at:path}", "/rows/1/parts", True),
        ("/rows/1/parts", "/{at:path}", True),
    ],
)
def test_templates_that_may_make_the_same_path_meet(one: str, other: str, meets: bool) -> None:
    assert PathTemplate(one).meets(PathTemplate(other)) is meets
    assert PathTemplate(other).meets(PathTemplate(one)) is meets
