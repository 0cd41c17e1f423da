"""Which calls in flight a load joins, and when it no longer does."""

from typing import Any

from plait import Backend, grouped
from plait.backend.coalesce import Coalescer
from plait.backend.flight import Brought, Flight
from plait.backend.keys import Key, key_of

b = Backend("b", "http://b.test")
ROWS = b.get("/{team}/rows/{id}", query=("q",), batch=grouped("/{team}/rows", key="id")).spec
MINE = (("authorization", "me"),)


def key(id: int, q: str | None = None) -> Key:
    return key_of(ROWS, {"team": "t", "id": id, "q": q})


def flying(coalescer: Coalescer, *keys: Key, scope: Any = (), asked_at: float = 1.0) -> Flight:
    flight = Flight(("e", scope), keys, asked_at)
    coalescer.add(flight)
    return flight


def joined(coalescer: Coalescer, *keys: Key, scope: Any = (), since: float = 0.0) -> list[Any]:
    found = coalescer.joined(("e", scope), keys, since)
    return [found.get(one) for one in keys]


def test_what_asks_for_the_same_joins_and_nothing_else_does() -> None:
    made = Coalescer()
    first = flying(made, key(1), key(2))
    other = flying(made, key(1, "x"))
    mine = flying(made, key(1), scope=MINE)
    assert joined(made, key(1), key(3), key(1, "x"), key(2)) == [first, None, other, first]
    assert joined(made, key(1, "x"), key(2, "x"), key(1)) == [other, None, first]
    assert joined(made, key(1), scope=MINE) == [mine]
    assert made.joined(("f", ()), [key(1)], 0.0) == {}
    assert set(made) == {first, other, mine}


def test_of_many_keys_those_that_are_under_way_join() -> None:
    made = Coalescer()
    first = flying(made, key(5))
    many = [key(number) for number in range(20)]
    assert joined(made, *many) == [first if one == key(5) else None for one in many]
    assert joined(made, *many[6:]) == [None] * 14


def test_what_is_over_leaves_what_took_its_place() -> None:
    made = Coalescer()
    first = flying(made, key(1), key(2))
    later = flying(made, key(2))
    made.over(first)
    assert joined(made, key(1), key(2)) == [None, later]
    made.over(later)
    made.over(later)
    assert set(made) == set()


def test_what_was_asked_for_too_early_or_is_over_is_not_joined() -> None:
    made = Coalescer()
    flight = flying(made, key(1), asked_at=5.0)
    assert joined(made, key(1), since=4.9) == [flight]
    assert joined(made, key(1), since=5.0) == [None]
    flight.is_over = True
    assert joined(made, key(1)) == [None]


def test_after_a_write_nobody_joins_what_it_may_have_changed() -> None:
    made = Coalescer()
    elsewhere = Flight(("f", ()), [key(1)], 1.0)
    made.add(elsewhere)
    first, other = flying(made, key(1), key(2)), flying(made, key(1, "x"))
    made.part_from("g", None)
    made.part_from("e", key(1))
    made.part_from("e", key(9))  # which nobody asks for
    assert joined(made, key(1), key(2), key(1, "x")) == [None, first, other]
    made.part_from("e", None)
    assert joined(made, key(1), key(2), key(1, "x")) == [None, None, None]
    assert list(made) == [elsewhere]


def test_what_is_over_makes_room_and_takes_nothing_newer_along() -> None:
    made = Coalescer()
    first = flying(made, key(1), key(2))
    made.part_from("e", key(1))
    second = flying(made, key(1))
    first.land(Brought(outcomes={}))
    assert joined(made, key(1), key(2)) == [second, None]
    second.land(None)
    assert list(made) == []
    assert made._flying == {}  # or every value ever asked for would be remembered
