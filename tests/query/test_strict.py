"""Rows that must have every property: those that do are shown by compiled code, and what is missing
of the others is told as graphql-core tells it."""

import datetime
from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, arg, by_ids, prop, this
from plait.testing import GraphTest
from tests.query.test_compile import asked, sights, way_of

b = Backend("b", "http://b.test", strict=True)
lax = Backend("lax", "http://lax.test")
get_team = b.get("/teams/{id}", batch=by_ids("/teams", key="id"))
get_house = b.get("/houses/{street}", required=("street",))
list_users = b.get("/users")
list_others = b.get("/others", strict=False)
list_lax = lax.get("/users")


@strawberry.type
class Team:
    id: int
    name: str | None


@strawberry.type
class House:
    street: str | None


@strawberry.type
class Address:
    street: str | None
    house: House | None = get_house(street=this.street)


@strawberry.type
class User:
    id: int
    name: str | None
    user_name: str | None
    deep: str | None = prop("a.b")
    size: int | None = 3
    rate: float | None
    tags: list[str] | None
    made: datetime.datetime | None
    address: Address | None
    others: list[Address] | None
    team: Team | None = get_team(id=this.teamId)
    deep_team: Team | None = get_team(id=this.a.team)

    @strawberry.field
    def shout(self) -> str:
        return (self.name or "").upper()


@strawberry.type
class Query:
    users: list[User] = list_users()
    others: list[User] = list_others()
    lax: list[User] = list_lax()
    team: Team | None = get_team(id=arg(int))


graph = Graph(query=Query)
USER: dict[str, Any] = {
    "id": 1,
    "name": "Ada",
    "userName": "ada",
    "a": {"b": "x", "team": 8},
    "rate": 1.5,
    "tags": ["a"],
    "made": "2026-01-02T00:00:00Z",
    "address": {"street": "s"},
    "others": [{"street": None}],
    "teamId": 7,
}
ALL = (
    "{ users { id name userName deep size rate tags made address { street house { street } }"
    " others { street } team { id name } deepTeam { name } } }"
)


def script(*users: Any, of: str = "users") -> dict[str, Any]:
    return {
        f"GET /{of}": list(users),
        "GET /teams?id=7&id=8": [{"id": 7, "name": "seven"}, {"id": 8, "name": None}],
        "GET /teams/7": {"id": 7, "name": "seven"},
        "GET /teams/8": {"id": 8, "name": None},
        "GET /houses/s": {"street": "s"},
    }


def without(*path: str, row: Any = None) -> dict[str, Any]:
    """A user that lacks a property."""
    row = dict(USER if row is None else row)
    if len(path) == 1:
        del row[path[0]]
    else:
        row[path[0]] = without(*path[1:], row=row[path[0]])
    return row


@pytest.mark.parametrize(
    ("document", "user", "way"),
    [
        (ALL, USER, "code"),
        ("{ users { id name } }", USER, "code"),
        ("{ users { n: name id } }", USER, "code"),
        ("{ users { id name } }", {"id": 1, "name": None}, "code"),
        ("{ users { id name } }", {"id": 1}, "left"),
        ("{ users { n: name id } }", {"id": 1}, "left"),
        ("{ users { rate } }", {"rate": None}, "code"),
        ("{ users { rate } }", {}, "left"),
        ("{ users { size } }", {}, "code"),
        ("{ users { size } }", {"size": None}, "code"),
        ("{ users { tags } }", {}, "left"),
        ("{ users { tags size } }", {}, "left"),
        ("{ users { made } }", {"made": None}, "code"),
        ("{ users { made } }", {}, "left"),
        ("{ users { made size } }", {}, "left"),
        ("{ users { made size } }", {"made": None}, "code"),
        ("{ users { userName } }", {"user_name": "snake"}, "code"),
        ("{ users { userName } }", {"user_name": "snake", "userName": None}, "code"),
        ("{ users { userName } }", {"userName": None}, "code"),
        ("{ users { userName } }", {"user_name": None}, "code"),
        ("{ users { userName } }", {}, "left"),
        ("{ users { n: userName size } }", {}, "left"),
        ("{ users { n: userName size } }", {"user_name": "snake"}, "code"),
        ("{ users { address { street } } }", {"address": None}, "code"),
        ("{ users { address { street } } }", {}, "left"),
        ("{ users { address { street } size } }", without("address", "street"), "left"),
        ("{ users { address { street } } }", without("address", "street"), "left"),
        ("{ users { address { house { street } } } }", without("address", "street"), "left"),
        ("{ users { others { street } } }", {"others": []}, "code"),
        ("{ users { others { street } } }", {"others": [{}]}, "left"),
        ("{ users { others { street } size } }", {"others": [{}]}, "left"),
        ("{ users { team { name } } }", {"teamId": None}, "code"),
        ("{ users { team { name } } }", {}, "left"),
        ("{ users { team { name } size } }", {}, "left"),
        ("{ users { deepTeam { name } } }", {"a": None}, "code"),
        ("{ users { deepTeam { name } } }", {"a": {}}, "left"),
        ("{ users { deep } }", {"a": {}}, "left"),
        ("{ users { shout } }", USER, "not compiled"),
        ("{ others { id name userName size } }", {"id": 1}, "code"),
        ("{ others { shout } }", {"id": 1}, "code"),
        ("{ others { team { name } } }", {}, "code"),
    ],
)
def test_what_is_missing_is_told_and_all_else_is_compiled(
    document: str, user: Any, way: str
) -> None:
    of = "others" if "{ others {" in document[:10] else "users"
    expected, found, made_by, _ = asked(script(user, of=of), document, graph=graph)
    assert found == expected
    assert bool(found["errors"]) == (way == "left")
    assert made_by == way


def test_a_row_of_a_batch_that_lacks_its_key_is_told() -> None:
    given = script(USER) | {"GET /teams/7": {"name": "seven"}}
    expected, found, _, _ = asked(given, "{ users { team { id } } }", graph=graph)
    assert found == expected
    assert found["errors"]


def test_what_asks_other_backends_is_not_concerned() -> None:
    with GraphTest(graph, lax={"GET /users": [{"id": 1}]}, b={}) as test, sights(0):
        answer = test.ask("{ lax { id name shout } }")
        assert answer["data"] == {"lax": [{"id": 1, "name": None, "shout": ""}]}
        assert way_of(test) == "code"
