"""Rows are shown as graphql-core and Strawberry show them, whatever is in them."""

import datetime as dt
import json
from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, arg, discriminator, prop, this
from plait.backend.budget import Budget
from plait.clock import Pace
from plait.testing import GraphTest, reply
from tests.query.test_planned import NEVER, compiled, stock, told

b = Backend("b", "http://b.test")
get_all, get_one, get_pets = b.get("/all"), b.get("/one/{id}"), b.get("/pets")
get_flat = b.get("/flat/{id}")


@strawberry.interface
class Pet:
    name: str | None


@strawberry.type
@discriminator("kind", "cat")
class Cat(Pet):
    lives: int | None


@strawberry.type
@discriminator("kind", "dog")
class Dog(Pet):
    barks: bool | None


@strawberry.type
class Flat:
    id: strawberry.ID
    text: str | None
    sure: str


@strawberry.type
class Inner:
    number: int
    flat: Flat | None = get_flat(id=this.number)


@strawberry.type
class Thing:
    id: strawberry.ID
    text: str
    text_or_null: str | None
    number: int
    number_or_null: int | None
    float_: float = strawberry.field(name="float")
    float_or_null: float | None
    flag: bool
    flag_or_null: bool | None
    day: dt.date | None
    sure_day: dt.date
    inner: Inner
    inner_or_null: Inner | None
    inners: list[Inner]
    inners_or_nulls: list[Inner | None] | None
    pet: Pet | None
    flat: Flat | None = get_flat(id=this.id)
    flat_for_sure: Flat = get_flat(id=this.number)
    deep: int | None = prop("inner.number")
    tags: list[str] | None
    kept: str | None = "as it was"

    @strawberry.field
    async def slow(self) -> str:
        RAN.append("slow")
        return "slow"


RAN: list[str] = []


@strawberry.type
class Query:
    all: list[Thing] = get_all()
    all_or_nulls: list[Thing | None] | None = get_all()
    one: Thing | None = get_one(id=arg(strawberry.ID))
    pets: list[Pet | None] | None = get_pets()


graph = Graph(query=Query, types=[Cat, Dog])
INNER = {"number": 7}
ROW: dict[str, Any] = {
    "id": 1, "text": "a", "textOrNull": "b", "number": 2, "numberOrNull": 3, "float": 1.5,
    "floatOrNull": 2.5, "flag": True, "flagOrNull": False, "day": "2026-01-02",
    "sureDay": "2026-01-03", "inner": INNER, "innerOrNull": INNER, "inners": [INNER, INNER],
    "innersOrNulls": [INNER, None], "tags": ["new", "7"],
    "pet": {"kind": "cat", "name": "Tom", "lives": 9},
}  # fmt: skip
FLAT = (
    "id textOrNull text number numberOrNull float floatOrNull flag flagOrNull day sureDay deep kept"
    " tags"
)
BELOW = (
    "__typename inner { number } innerOrNull { flat { text id } number } inners { number }"
    " innersOrNulls { number __typename } pet { name __typename ... on Cat { lives } }"
    " flat { id text sure again: text } flatForSure { text }"
)
ODD: list[Any] = [
    None, "", "x", "7", 0, 7, -7, 2**31, -(2**31) - 1, 10**30, 1.0, 1.5, -0.0, 1e300, True, False,
    [], [None], ["x"], [INNER], [INNER, {}], [{"number": "x"}], {}, {"number": None}, INNER,
    {"number": 7.5}, {"name": "Rex", "kind": "dog"}, {"name": "Rex"}, {"kind": "ox"},
]  # fmt: skip
FLAT_ROWS = {"4": {"id": 4, "text": "not sure"}, "5": {"id": 5, "text": [], "sure": "s"}}


class Script(dict[str, Any]):
    """What a backend answers that has `rows`."""

    def get(self, call: str, default: Any = None) -> Any:
        """See `dict`."""
        if "/flat/" not in call:
            return super().get("rows")
        id = call.rpartition("/")[2]
        if id == "6":
            return reply(status=503)
        return FLAT_ROWS.get(id, {"id": id, "text": "t", "sure": "s"})


def both(rows: Any, document: str) -> tuple[Any, Any]:
    """What the stock executor answers where the backend has `rows`, and what ours does."""
    with GraphTest(graph, b=Script(rows=rows)) as test, compiled(NEVER):
        with stock():
            expected = answered(test, document)
        return expected, answered(test, document)


def take(turns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an operation's turns be as short as can be, where they are to be."""
    if turns == "short":
        monkeypatch.setattr(Pace, "is_over", lambda _: True)


def answered(test: GraphTest, document: str) -> Any:
    RAN.clear()
    answer = told(test.ask(document))
    return answer | {"ran": len(RAN)}


@pytest.mark.parametrize("root", ["all", "allOrNulls"])
@pytest.mark.parametrize("fields", [FLAT, f"{FLAT} {BELOW}"])
def test_what_is_as_usual(root: str, fields: str) -> None:
    rows = [ROW | {"id": number, "number": number} for number in range(4)]
    expected, found = both(rows, f"{{ {root} {{ {fields} }} }}")
    assert found == expected
    assert expected["errors"] == {}
    assert expected["data"][root][3]["text"] == "a"


@pytest.mark.parametrize("name", ROW)
@pytest.mark.parametrize("turns", ["long", "short"])
def test_what_is_odd(name: str, turns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take(turns, monkeypatch)
    rows = [row for odd in ODD for row in (ROW, ROW | {name: odd})]
    for fields in (FLAT, f"{FLAT} {BELOW}"):
        expected, found = both(rows, f"{{ allOrNulls {{ {fields} }} }}")
        assert found == expected
    assert expected["errors"]
    for odd in ODD[::4]:  # what makes null of all of them
        expected, found = both([ROW, ROW | {name: odd}], f"{{ all {{ {FLAT} {BELOW} }} }}")
        assert found == expected


@pytest.mark.parametrize("name", ROW)
def test_what_is_missing(name: str) -> None:
    row = {key: value for key, value in ROW.items() if key != name}
    for root in ("all", "allOrNulls"):
        expected, found = both([ROW, row], f"{{ {root} {{ {FLAT} }} }}")
        assert found == expected


@pytest.mark.parametrize("turns", ["long", "short"])
@pytest.mark.parametrize("number", [4, 5, 6, 3])
def test_what_hangs_on_a_row_is_odd_wherever_it_is_shown(
    number: int, turns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(turns, monkeypatch)
    rows = [ROW | {"id": number, "number": 1}, ROW | {"id": 1}, ROW | {"number": number}]
    rows += [ROW | {"id": number, "number": number}] * 2
    document = "{ allOrNulls { flat { id text __typename } flatForSure { id text sure } } }"
    expected, found = both(rows, document)
    assert found == expected
    assert bool(expected["errors"]) is (number != 3)


@pytest.mark.parametrize("rows", [None, {}, "x", [None, ROW], [[ROW]], ["x", ROW, 7], [{}]])
def test_what_are_no_rows(rows: Any) -> None:
    for root in ("all", "allOrNulls"):
        expected, found = both(rows, f"{{ {root} {{ id flat {{ id }} }} }}")
        assert found == expected


def test_kinds_that_nobody_knows() -> None:
    pets = [{"kind": "cat", "name": "a"}, {"kind": "ox"}, {}, {"kind": "dog"}, 7]
    document = "{ pets { name __typename ... on Dog { barks } } }"
    expected, found = both(pets, document)
    assert found == expected
    assert expected["data"]["pets"][3] == {"name": None, "__typename": "Dog", "barks": None}
    assert expected["data"]["pets"][1] is None


@pytest.mark.parametrize(
    "below", [" slow", "flat { id } slow", "inners { number slow: __typename }"]
)
def test_what_has_begun_beside_what_fails_is_ended(below: str) -> None:
    rows = [ROW, ROW | {"text": None}, ROW]
    for document in (f"{{ allOrNulls {{ {below} text }} }}", f"{{ all {{ {below} text }} }}"):
        expected, found = both(rows, document)
        assert found == expected
        assert expected["errors"]


def test_others_have_their_turn_while_many_rows_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    breaths: list[str] = []
    breathe = Pace.breathe

    async def counted(pace: Pace) -> None:
        breaths.append("breath")
        await breathe(pace)

    monkeypatch.setattr(Pace, "is_over", lambda _: True)
    monkeypatch.setattr(Pace, "breathe", counted)
    for fields, least in (("id", 29), ("inner { number } id", 59), ("inners { number } id", 89)):
        breaths.clear()
        expected, found = both([ROW] * 30, f"{{ all {{ {fields} }} }}")
        assert found == expected
        assert len(breaths) >= least


@pytest.mark.sources
@pytest.mark.parametrize(
    "fields", ["text", "number", "id", "inners { number }", "flat { text }", "flat { id text }"]
)
def test_an_answer_is_paid_for_while_it_is_made(
    fields: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Budget, "check_size", lambda *_: None)  # which looks at the whole answer
    rows = [ROW | {"text": "x" * 50}] * 20
    document = f"{{ all {{ {fields} }} }}"
    with GraphTest(graph, b=Script(rows=rows)) as test, compiled(NEVER):
        size = len(json.dumps(test.ask(document)["data"], separators=(",", ":")))
        usual = test.settings
    for limit, fits in ((int(size * 0.85), False), (size * 2, True)):
        settings = usual.model_copy(update={"answer_bytes_max": limit})
        with GraphTest(graph, settings=settings, b=Script(rows=rows)) as test, compiled(NEVER):
            answer = test.ask(document)
        assert ("errors" not in answer) is fits, (limit, size)


@pytest.mark.parametrize(
    ("document", "objects"),
    [
        ("{ all { id } }", 21),
        ("{ all { inner { number } } }", 41),
        ("{ all { inners { number } } }", 61),
        ("{ all { flat { id } flatForSure { id } } }", 61),
        ("{ pets { name } }", 21),
    ],
)
def test_an_answer_is_paid_for_object_by_object(document: str, objects: int) -> None:
    rows = [ROW | {"kind": "cat"}] * 20
    for limit, fits in ((objects, True), (objects - 1, False)):
        with GraphTest(graph, b=Script(rows=rows)) as test:
            settings = test.settings.model_copy(update={"answer_objects_max": limit})
        with GraphTest(graph, settings=settings, b=Script(rows=rows)) as test, compiled(NEVER):
            answer = test.ask(document)
        assert ("errors" not in answer) is fits, limit
