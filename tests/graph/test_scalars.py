"""Numbers and times are what was written: from backends to answers, and from documents and
variables to backends."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
import strawberry
from dateutil.parser import isoparse
from graphql import GraphQLError, parse_value
from graphql.utilities.coerce_input_value import coerce_input_literal
from hypothesis import given
from hypothesis import strategies as st

from plait import Backend, Graph, arg, prop, this
from plait.backend.numbers import encode
from plait.graph.scalars import WrittenDateTime, parsed_datetime, parsed_decimal, parsed_time
from plait.testing import GraphTest, Sent

b = Backend("b", "http://b.test")
get_row = b.get("/row")
find = b.get("/find", query=("at", "price", "time"))
create = b.post("/rows")


@strawberry.type
class Tag:
    id: strawberry.ID


get_tag = b.get("/tags/{id}")


@strawberry.type
class Row:
    at: dt.datetime | None
    time: dt.time | None
    price: Decimal | None
    ids: list[int] | None = prop("items.id")
    tags: list[Tag | None] | None = get_tag.many(id=this.items.tagId)

    @strawberry.field
    def later(self) -> str:
        assert self.at is not None
        return (self.at + dt.timedelta(seconds=1)).isoformat()


@strawberry.type
class Query:
    row: Row | None = get_row()
    find: Row | None = find(
        at=arg(dt.datetime | None), price=arg(Decimal | None), time=arg(dt.time | None)
    )


@strawberry.type
class Mutation:
    create: Row | None = create.field(body=arg(strawberry.scalars.JSON))


graph = Graph(query=Query, mutation=Mutation)


def shown(selection: str, row: Any) -> Any:
    with GraphTest(graph, b={"GET /row": row}) as test:
        return test.ask(f"{{ row {{ {selection} }} }}")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2026-11-25T10:00:00Z", "2026-11-25T10:00:00+00:00"),
        ("2026-11-25T10:00:00.5Z", "2026-11-25T10:00:00.500000+00:00"),
        ("2026-11-25T10:00:00.123456Z", "2026-11-25T10:00:00.123456+00:00"),
        ("2026-11-25T10:00:00.123456000Z", "2026-11-25T10:00:00.123456+00:00"),
        ("2026-11-25T10:00:00.123456789Z", "2026-11-25T10:00:00.123456789+00:00"),
        ("2026-11-25T10:00:00.0000001+02:00", "2026-11-25T10:00:00.0000001+02:00"),
        ("2026-11-25T10:00:00.1234567", "2026-11-25T10:00:00.1234567"),
        ("2026-11-25", "2026-11-25T00:00:00"),
    ],
)
def test_a_point_in_time_keeps_all_of_its_digits(text: str, answer: str) -> None:
    assert shown("at", {"at": text})["data"] == {"row": {"at": answer}}


def test_nanoseconds_are_counted_from_the_cut_time() -> None:
    row = {"at": "2026-11-25T10:00:00.123456789Z"}
    assert shown("later", row)["data"]["row"]["later"] == "2026-11-25T10:00:01.123456+00:00"
    made = parsed_datetime(row["at"])
    assert isinstance(made, WrittenDateTime)
    assert made == dt.datetime(2026, 11, 25, 10, 0, 0, 123456, dt.UTC)
    assert made.isoformat(timespec="seconds") == "2026-11-25T10:00:00+00:00"
    assert made.isoformat(" ") == "2026-11-25 10:00:00.123456789+00:00"


def test_a_time_of_day_keeps_all_of_its_digits() -> None:
    assert shown("time", {"time": "10:00:00.123456789"})["data"]["row"] == {
        "time": "10:00:00.123456789"
    }
    assert parsed_time("10:00:00.1") == dt.time(10, 0, 0, 100000)


@given(st.datetimes(min_value=dt.datetime(2000, 1, 1), timezones=st.none() | st.timezones()))
def test_points_in_time_are_read_as_strawberry_reads_them(value: dt.datetime) -> None:
    text = value.isoformat()
    assert parsed_datetime(text) == isoparse(text)
    assert parsed_datetime(text).isoformat() == isoparse(text).isoformat()


@pytest.mark.parametrize("text", ["2026", "2026-11", "2026-11-25T24:00:00", "20261125T101500"])
def test_the_rarer_forms_are_read_too(text: str) -> None:
    assert parsed_datetime(text) == isoparse(text)


@pytest.mark.parametrize("wrong", ["yesterday", "", "2026-13-01", 5, None, True, []])
def test_what_is_no_point_in_time_is_the_backends_fault(wrong: Any) -> None:
    with pytest.raises(GraphQLError):
        parsed_datetime(wrong)
    if wrong is not None:
        answer = shown("at", {"at": wrong})
        assert answer["errors"][0]["extensions"]["code"] == "BAD_BACKEND_RESPONSE"


@pytest.mark.parametrize(
    ("value", "exact"), [(0.1, "0.1"), ("1.10", "1.10"), (7, "7"), (Decimal("2.50"), "2.50")]
)
def test_a_decimal_is_what_was_written(value: Any, exact: str) -> None:
    assert str(parsed_decimal(value)) == exact


@pytest.mark.parametrize("wrong", [True, None, [], "much", {}])
def test_what_is_no_decimal_is_refused(wrong: Any) -> None:
    with pytest.raises(GraphQLError, match="Value cannot represent a Decimal"):
        parsed_decimal(wrong)


LONG = "1234567890.12345678901234567890"


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (f"{{ find(price: {LONG}) {{ price }} }}", None),
        (f'{{ find(price: "{LONG}") {{ price }} }}', None),
        ("query ($p: Decimal) { find(price: $p) { price } }", {"p": LONG}),
    ],
)
def test_a_decimal_reaches_the_backend_whole(query: str, variables: Any) -> None:
    with GraphTest(graph, b={f"GET /find?price={LONG}": {"price": LONG}}) as test:
        assert test.ask(query, variables)["data"] == {"find": {"price": LONG}}


def test_times_reach_the_backend_whole() -> None:
    at, time = "2026-11-25T10:00:00.123456789+00:00", "10:00:00.1234567"
    with GraphTest(graph, b={f"GET /find?at={at}&time={time}": {"at": at}}) as test:
        query = f'{{ find(at: "2026-11-25T10:00:00.123456789Z", time: "{time}") {{ at }} }}'
        assert test.ask(query)["data"] == {"find": {"at": at}}


def test_numbers_in_a_literal_of_json_reach_the_backend_as_written() -> None:
    sent: list[Any] = []

    def answer(one: Sent) -> Any:
        sent.append(one.body)
        return {}

    with GraphTest(graph, b={"POST /rows": answer}) as test:
        test.ask("mutation { create(body: {a: 19.10, b: [1.5, 2], c: {d: true, e: null}}) { at } }")
        variable = "mutation ($x: JSON) { create(body: {a: $x, b: TEXT}) { at } }"
        test.ask(variable, {"x": 2.5})
    assert sent == [
        {"a": 19.1, "b": [1.5, 2], "c": {"d": True, "e": None}},
        {"a": 2.5, "b": "TEXT"},
    ]
    json = graph.core.get_type("JSON")
    literal = coerce_input_literal(parse_value(f"{{a: 19.10, b: [{LONG}, 1e400]}}"), json)
    assert encode(literal) == f'{{"a":19.10,"b":[{LONG},1e400]}}'.encode()


def test_below_a_list_a_path_reads_each_item() -> None:
    row = {"items": [{"id": 1, "tagId": 8}, {"id": 2, "tagId": None}, {"id": 3, "tagId": 9}]}
    script = {"GET /row": row, "GET /tags/8": {"id": 8}, "GET /tags/9": {"id": 9}}
    with GraphTest(graph, b=script) as test:
        answer = test.ask("{ row { ids tags { id } } }")
    assert answer["data"]["row"] == {
        "ids": [1, 2, 3],
        "tags": [{"id": "8"}, None, {"id": "9"}],
    }
