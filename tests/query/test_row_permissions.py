"""Permissions of fields of rows: compiled code asks those that answer at once, and graphql-core
says what is shown where they refuse. Each is asked once for a row, whoever makes the answer."""

import asyncio
import gc
import json
from collections.abc import Mapping
from typing import Any

import pytest
import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension

from plait import Backend, Graph, arg, by_ids, this
from plait.query.document import Documents
from plait.query.reading import DocumentLimits
from plait.testing import GraphTest, reply
from tests.query.test_compile import sights, told
from tests.query.test_resolving import in_one_turn, noted
from tests.query.test_sharing import kept

b = Backend("b", "http://b.test")
get_user = b.get("/users/{id}", batch=by_ids("/users"))
get_pay = b.get("/pay/{id}", batch=by_ids("/pay"))
get_note = b.get("/note")
ASKED: list[Any] = []
"""Whom permissions were asked for."""


class Own(BasePermission):
    """Lets callers see what is theirs, and the boss see all."""

    message = "That is somebody else's."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        ASKED.append(source.id)
        caller = info.context.headers.get("x-user")
        return caller == "boss" or caller == str(source.id)


class OwnSlowly(Own):
    async def has_permission(  # type: ignore[override]  # as Strawberry has it
        self, source: Any, info: strawberry.Info, **kwargs: Any
    ) -> bool:
        return super().has_permission(source, info, **kwargs)


class First(BasePermission):
    """Lets the first of a list be seen, and hides that it could not tell which that is."""

    message = "Only of the first."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        try:
            return 0 in info.path.as_list()
        except Exception:
            return False


class Same(BasePermission):
    """Lets be asked for what is the row's own."""

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return bool(kwargs["id"] == source.id)


class Curious(BasePermission):
    """Asks for all that there is to know."""

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        raw = info._raw_info
        told = [info.context.arguments_of(info), info.variable_values["id"], info.python_name]
        told += [info.root_value, raw.field_name, str(raw.return_type), raw.parent_type.name]
        told += [one.name for one in info.selected_fields]
        ASKED.append(str(told))
        return raw.schema is graph.core and raw.operation in raw.context.document.definitions


class Notes(BasePermission):
    """Leaves something for others to see."""

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        info.context.fallbacks.append({"path": ["noted"], "kind": "value"})
        return True


class Quiet(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs)


@strawberry.type
class Pay:
    id: int
    amount: int


@strawberry.type
class Home:
    street: str = strawberry.field(permission_classes=[Own])
    pay: Pay | None = get_pay(id=this.id, permission_classes=[Own])
    id: int = 0


@strawberry.type
class User:
    id: int
    name: str
    salary: int | None = strawberry.field(permission_classes=[Own])
    must: int = strawberry.field(permission_classes=[Own])
    slow: int | None = strawberry.field(permission_classes=[OwnSlowly])
    first: int | None = strawberry.field(permission_classes=[First])
    curious: int | None = strawberry.field(permission_classes=[Curious])
    noted: int | None = strawberry.field(permission_classes=[Notes])
    silent: int | None = strawberry.field(
        extensions=[PermissionExtension([Own()], fail_silently=True)]
    )
    both: int | None = strawberry.field(extensions=[PermissionExtension([Own()]), Quiet()])
    home: Home | None = None
    hidden: Home | None = strawberry.field(permission_classes=[Own])
    pay: Pay | None = get_pay(id=this.id, permission_classes=[Own])
    silent_pay: Pay | None = get_pay(
        id=this.id, extensions=[PermissionExtension([Own()], fail_silently=True)]
    )
    note: str | None = get_note(permission_classes=[Own])
    pay_of: Pay | None = get_pay(id=arg(int), permission_classes=[Same])
    paid_slowly: Pay | None = get_pay(id=this.id, permission_classes=[OwnSlowly])

    @strawberry.field(permission_classes=[Own])
    def shout(self) -> str | None:
        ASKED.append(f"shout {self.id}")
        return self.name.upper()

    @strawberry.field(permission_classes=[Own])
    def times(self, by: int) -> int | None:
        return self.id * by


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(int))
    users: list[User] = b.get("/all")()


graph = Graph(query=Query)


def user(id: int) -> dict[str, Any]:
    names = ("salary", "must", "slow", "first", "curious", "noted", "silent")
    money = dict.fromkeys(names, 100 * id)
    home = {"street": f"street {id}", "id": id}
    return {"id": id, "name": f"n{id}", "both": 1, "home": home, "hidden": home, **money}


SCRIPT: Mapping[str, Any] = {
    "GET /users/1": user(1),
    "GET /users/2": user(2),
    "GET /all": [user(1), user(2), user(3)],
    "GET /note": "a note",
    **{f"GET /pay/{id}": {"id": id, "amount": 10 * id} for id in (1, 2, 3)},
    "GET /pay?id=1&id=2&id=3": [{"id": id, "amount": 10 * id} for id in (1, 2, 3)],
}


def both_ways(
    document: str, caller: str = "boss", variables: Any = None
) -> tuple[str, list[Any], Any, list[str]]:
    """Who made the answer, what was asked, the answer, which is graphql-core's too, and the
    calls."""
    found = []
    for count in (1_000, 0):
        ASKED.clear()
        with GraphTest(graph, b=SCRIPT) as test, noted(test) as ways, sights(count), in_one_turn():
            answer = told(test.ask(document, variables, x_user=caller))
            found.append((list(ASKED), answer, sorted(test.calls.get("b", []))))
    (asked, answer, calls), (asked_by_code, answer_by_code, calls_by_code) = found
    assert json.dumps(answer_by_code) == json.dumps(answer)
    assert sorted(map(str, asked_by_code)) == sorted(map(str, asked))
    assert calls_by_code == calls
    return ways[0] if ways else "code", asked, answer, calls


def users_of(answer: Any) -> Any:
    return answer["data"]["users"]


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("salary", [100, 200, 300]),
        ("must", [100, 200, 300]),
        ("silent", [100, 200, 300]),
        ("shout", ["N1", "N2", "N3"]),
        ("home { street }", [{"street": f"street {id}"} for id in (1, 2, 3)]),
        ("home { pay { amount } }", [{"pay": {"amount": 10 * id}} for id in (1, 2, 3)]),
        ("pay { amount }", [{"amount": 10 * id} for id in (1, 2, 3)]),
        ("note", ["a note"] * 3),
    ],
)
def test_what_all_permissions_let_be_seen_is_made_by_code(field: str, shown: list[Any]) -> None:
    way, asked, answer, _ = both_ways(f"{{ users {{ name {field} }} }}")
    assert way == "code"
    assert [*users_of(answer)[0]] == ["name", field.partition(" ")[0]]
    assert [[*one.values()][1] for one in users_of(answer)] == shown
    assert [one for one in asked if type(one) is int] == [1, 2, 3]


@pytest.mark.parametrize(
    "field",
    ["salary", "must", "shout", "home { street }", "home { pay { amount } }", "pay { amount }"],
)
def test_what_a_permission_refuses_is_told_where_it_would_be(field: str) -> None:
    way, asked, answer, _ = both_ways(f"{{ users {{ {field} name }} }}", "2")
    is_first = field == "must"  # what must be there, and is not, makes all of the list null
    assert way == ("left" if field in ("must", "home { street }") else "code")  # null goes up
    assert [one["message"] for one in answer["errors"]] == [Own.message] * (1 if is_first else 2)
    places = [one["path"][:2] for one in answer["errors"]]
    assert places == [["users", 0], ["users", 2]][: len(places)]
    assert [one for one in asked if type(one) is int] == ([1] if is_first else [1, 2, 3])


def test_nothing_leaves_for_a_row_that_a_permission_hides() -> None:
    way, _, answer, calls = both_ways("{ users { pay { amount } note } }", "2")
    assert (way, calls) == ("code", ["GET /all", "GET /note", "GET /pay/2"])
    assert [one["pay"] for one in users_of(answer)] == [None, {"amount": 20}, None]
    _, _, answer, calls = both_ways("{ user(id: 1) { pay { amount } } }", "2")
    assert (answer["data"], calls) == ({"user": {"pay": None}}, ["GET /users/1"])


def test_who_fails_silently_shows_nothing() -> None:
    way, asked, answer, _ = both_ways("{ users { silent } }", "2")
    assert (way, asked, answer["errors"]) == ("code", [1, 2, 3], [])
    assert users_of(answer) == [{"silent": None}, {"silent": 200}, {"silent": None}]
    way, asked, answer, calls = both_ways("{ users { silentPay { amount } } }", "2")
    assert (way, asked, answer["errors"]) == ("left", [1, 2, 3], [])
    assert [one["silentPay"] for one in users_of(answer)] == [None, {"amount": 20}, None]
    assert calls == ["GET /all", "GET /pay/2"]


def test_a_permission_that_looks_where_it_stands_is_asked_by_graphql_core() -> None:
    way, _, answer, _ = both_ways("{ users { first } }")
    assert way == "left"
    assert users_of(answer) == [{"first": 100}, {"first": None}, {"first": None}]


def test_permissions_are_told_of_the_request() -> None:
    document = "query ($id: Int!) { user(id: $id) { c: curious } }"
    way, asked, answer, _ = both_ways(document, variables={"id": 1})
    assert (way, answer["data"]) == ("code", {"user": {"c": 100}})
    assert asked == ["[{}, 1, 'curious', None, 'curious', 'Int', 'User', 'curious']"]


def test_what_a_permission_leaves_in_the_context_is_told() -> None:
    way, _, answer, _ = both_ways("{ user(id: 1) { noted } }")
    assert way == "code"
    assert answer["extensions"]["plait"]["fallbacks"] == [{"path": ["noted"], "kind": "value"}]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("{ users { slow } }", "User.slow: a permission or an extension is asked first"),
        ("{ users { both } }", "User.both: a permission or an extension is asked first"),
        ("{ users { times(by: 2) } }", "its plan is not whole"),
        ("{ users { paidSlowly { id } } }", "its plan is not whole"),
        ("{ user(id: 1) { payOf(id: 1) { id } } }", "its plan is not whole"),
        ("{ users { hidden { street } } }", "User.hidden: a permission or an extension is asked"),
    ],
)
def test_others_are_for_graphql_core(document: str, why: str) -> None:
    assert both_ways(document)[2]["errors"] == []
    known = Documents(graph, DocumentLimits()).get(document)
    assert known.direct(known.operations[0], graph).code(None).why.startswith(why)


def test_nobody_gets_an_answer_that_another_was_let_see() -> None:
    """The header that decides is no credential, and goes to no backend."""
    fresh = {
        path: reply(row, headers={"cache-control": "max-age=60"}) for path, row in SCRIPT.items()
    }

    async def main() -> list[Any]:
        async with GraphTest(graph, b=fresh) as test:
            with sights(0), in_one_turn():
                asks = [
                    test.ask_async("{ users { salary pay { amount } } }", x_user=caller)
                    for caller in ("boss", "1", "2", "boss", "1")
                ]
                together = await asyncio.gather(*asks)
                later = await test.ask_async("{ users { salary pay { amount } } }", x_user="nobody")
                return [*together, later]

    boss, one, two, boss_again, one_again, nobody = asyncio.run(main())
    shown = [[row["salary"] for row in users_of(answer)] for answer in (boss, one, two, nobody)]
    assert shown == [[100, 200, 300], [100, None, None], [None, 200, None], [None] * 3]
    assert (boss_again["data"], one_again["data"]) == (boss["data"], one["data"])
    paid = [[row["pay"] and row["pay"]["amount"] for row in users_of(a)] for a in (one, nobody)]
    assert paid == [[10, None, None], [None] * 3]


def test_a_refusal_leaves_nothing_to_the_collector() -> None:
    document = "{ users { name salary pay { amount } shout } }"

    async def main() -> tuple[dict[str, int], dict[str, int]]:
        async with GraphTest(graph, b=SCRIPT) as test:
            for _ in range(3):
                answer = await test.ask_async(document, x_user="2")
            assert len(answer["errors"]) == 6
            gc.collect()
            gc.disable()
            try:
                before = kept("Direct", "Computed", "Ran", "FailedRow", "StrawberryGraphQLError")
                for _ in range(5):
                    await test.ask_async(document, x_user="2")
                return before, kept(*before)
            finally:
                gc.enable()

    with sights(0), in_one_turn():
        before, after = asyncio.run(main())
    assert all(after[kind] <= count for kind, count in before.items())
