"""Values are shown as graphql-core shows what rows' converters make of them, or not at all."""

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, NewType
from uuid import UUID

import pytest
import strawberry
from graphql import GraphQLError
from hypothesis import example, given
from hypothesis import strategies as st
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from plait import Graph
from plait.backend.written import Written
from plait.graph.rows import RowMismatch, converter
from plait.query.leaves import Unusual, completed, completer, value_of


@strawberry.enum
class Mood(Enum):
    GOOD = "good"
    BAD = "BAD"
    NEVER = 3


Own = NewType("Own", object)
own = strawberry.scalar(name="Own", serialize=lambda value: {"own": value}, parse_value=lambda v: v)


@strawberry.type
class Query:
    price: Decimal | None
    at: datetime | None
    day: date | None
    when: time | None
    uid: UUID | None
    mood: Mood | None
    extra: JSON | None
    name: str | None
    size: int | None
    rate: float | None
    own: Own | None
    prices: list[Decimal | None] | None
    moods: list[Mood]


LEFT = (Unusual, RowMismatch, GraphQLError)
graph = Graph(query=Query, config=StrawberryConfig(scalar_map={Own: own}))
TYPES = {name: field.type for name, field in graph.core.query_type.fields.items()}  # type: ignore[union-attr]
LEAVES = [name for name in TYPES if name not in ("prices", "moods")]
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str).map(Written),
    st.datetimes().map(datetime.isoformat),
    st.datetimes().map(lambda one: f"{one.isoformat()}Z"),
    st.dates().map(date.isoformat),
    st.times().map(time.isoformat),
    st.uuids().map(str),
    st.sampled_from(["GOOD", "good", "bad", "BAD", "NEVER", 3, "3", "", "12:00:00.1234567"]),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


def outcome(work: Callable[[], Any]) -> Any:
    try:
        shown = work()
    except Exception:
        return "nothing"
    return type(shown).__name__, shown


@pytest.mark.parametrize("name", LEAVES)
@given(value=values)
@example(value="2024-05-06T07:08:09.1234567+02:00")
@example(value="1e400")
@example(value=True)
def test_a_value_is_what_graphql_core_shows_of_it(name: str, value: Any) -> None:
    type_ = TYPES[name]

    def as_ever() -> Any:
        if value is None:
            return None
        shown = type_.coerce_output_value(converter(type_)(value))
        assert shown is not None
        return shown

    assert outcome(lambda: value_of(type_)(value)) == outcome(as_ever)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([1, None, "0.10"], ["1", None, "0.10"]),
        ([], []),
        (None, None),
    ],
)
def test_lists(value: Any, shown: Any) -> None:
    assert value_of(TYPES["prices"])(value) == shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prices", "1"),
        ("prices", [[1]]),
        ("prices", ["x"]),
        ("moods", None),
        ("moods", [None]),
        ("moods", ["sad"]),
    ],
)
def test_what_is_not_as_declared_is_left(name: str, value: Any) -> None:
    with pytest.raises(LEFT):
        value_of(TYPES[name])(value)


async def later() -> str:
    return "later"


def test_what_a_resolver_returns_may_be_no_value() -> None:
    work = later()
    for value in (work, ValueError("no"), [1]):
        with pytest.raises(LEFT):
            completed(TYPES["name"], value)
    for value in (work, ValueError("no")):  # of which there would be a text
        with pytest.raises(LEFT):
            completed(TYPES["price"], value)
    work.close()
    with pytest.raises(Unusual):
        completer(graph.core.query_type)({})
    assert completed(graph.core.query_type, None) is None
    assert completed(TYPES["own"], 1) == {"own": 1}
    with pytest.raises(TypeError):
        completed(TYPES["own"], {1, 2})
