"""What an operation will ask of backends, and when."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
import strawberry
from graphql import FragmentDefinitionNode, OperationDefinitionNode, parse
from strawberry.permission import BasePermission

from plait import Backend, BadUserInput, Graph, arg, by_ids, discriminator, grouped, prop, this
from plait.query import selection
from plait.query.plan import Plan, planned
from plait.query.selection import holds
from plait.testing import GraphTest, reply

b = Backend("b", "http://b.test")
get_user = b.get("/users/{id}", batch=by_ids("/users"))
get_plain = b.get("/plain/{id}")
get_keyed = b.get("/keyed/{id}", keyed_by="meta.id")
get_loose = b.get("/loose/{id}", batch=by_ids("/loose", key_matches="ignore_case"))
list_users = b.get("/users")
list_orders = b.get("/users/{id}/orders", batch=grouped("/orders", key="userId"))
get_points = b.get("/points/{id}")
get_late = b.get("/late/{id}", early=False)
get_in_body = b.lookup(by_ids("/body", body="ids"))
get_int_in_body = b.lookup(by_ids("/ints", body="ids", id_type=int))
by_tag = b.get("/tags/{id}", query=("tag",), batch=by_ids("/tags"))


class Nobody(BasePermission):
    message = "Not for you."

    def has_permission(self, source: Any, info: Any, **_: Any) -> bool:
        return False


@strawberry.type
class Points:
    total: int | None


@strawberry.type
class Order:
    id: int
    user: "User | None" = get_user(id=this.userId)
    by_other: "User | None" = get_user(id=this.otherId)


@strawberry.type
class Address:
    city: str | None
    users: list["User"] = list_users()


@strawberry.type
class User:
    id: int
    name: str | None
    addresses: list[Address]
    orders: list[Order] = list_orders(id=this.id)
    points: Points | None = get_points(id=this.id)
    late: Points | None = get_late(id=this.id)
    fixed: Points | None = get_points(id="1")
    in_body: Points | None = get_in_body(id=this.id)
    int_in_body: Points | None = get_int_in_body(id=this.id)
    tagged: Points | None = by_tag(id="1", tag=this.id)
    best: "User | None" = get_user(id=this.bestId)
    secret: Points | None = get_points(id=this.id, permission_classes=(Nobody,))
    hidden: list[Address] = prop("addresses", permission_classes=(Nobody,))
    meta: "Meta | None"

    @strawberry.field
    async def later(self) -> str:
        return ""

    @strawberry.field
    def loud(self) -> str:
        return ""

    @strawberry.field
    def made(self) -> "Meta":
        return Meta(id=1)


@strawberry.type
class Meta:
    id: int
    points: Points | None = get_points(id=this.id)


@strawberry.type
@discriminator("kind", "a")
class A:
    points: Points | None = get_points(id=this.id)


@strawberry.type
@discriminator("kind", "b")
class B:
    orders: list[Order] = list_orders(id=this.id)


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(strawberry.ID))
    users: list[User | None] = get_user.many(id=arg(list[strawberry.ID], name="ids"))
    plain: User | None = get_plain(id=arg(strawberry.ID))
    keyed: User | None = get_keyed(id=arg(strawberry.ID))
    loose: User | None = get_loose(id=arg(strawberry.ID))
    all: list[User] = list_users()
    any: Annotated[A | B, strawberry.union("Any")] | None = get_user(id=arg(strawberry.ID))
    only: Annotated[A, strawberry.union("Only")] | None = get_user(id=arg(strawberry.ID))
    secret: User | None = get_user(id=arg(strawberry.ID), permission_classes=(Nobody,))


graph = Graph(query=Query)


def plan_of(text: str) -> Plan:
    document = parse(text)
    operation = next(
        one for one in document.definitions if isinstance(one, OperationDefinitionNode)
    )
    fragments = {
        one.name.value: one
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    return planned(operation, fragments, graph.core, graph.fields)


def waves(plan: Plan) -> dict[str, int]:
    return {".".join(one.path): plan.waves[one.index] for one in plan.steps}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ __typename }", {}),
        ("{ user(id: 1) { name } }", {"user": 1}),
        # The batch form says that a row's "id" is what it was asked for by.
        ("{ user(id: 1) { orders { id } points { total } } }", [1, 1, 1]),
        ("query ($i: ID!) { user(id: $i) { points { total } } }", [1, 1]),
        ("{ users(ids: [1, 2]) { points { total } } }", [1, 1]),
        # Orders of user 1 have "userId" 1: the chain is known to its end.
        ("{ user(id: 1) { orders { user { points { total } } } } }", [1, 1, 1, 1]),
        ("{ keyed(id: 1) { meta { points { total } } } }", [1, 1]),
        ("{ keyed(id: 1) { points { total } } }", [1, 2]),
        # Nothing says so of these.
        ("{ plain(id: 1) { points { total } } }", [1, 2]),
        ("{ loose(id: 1) { points { total } } }", [1, 2]),
        ("{ all { points { total } } }", [1, 2]),
        ("{ user(id: 1) { best { points { total } } } }", [1, 2, 2]),
        ("{ user(id: 1) { late { total } } }", [1, 2]),
        # A number or a text is one in a path, and two in a body.
        ("{ user(id: 1) { inBody { total } intInBody { total } tagged { total } } }", [1, 2, 1, 2]),
        # What needs no row at all.
        ("{ all { fixed { total } addresses { users { id } } } }", [1, 1, 1]),
        # Which kind it is shows when it is there; but for a union of one.
        ("{ any(id: 1) { ... on A { points { total } } ... on B { orders { id } } } }", [1, 2, 2]),
        ("{ only(id: 1) { ... on A { points { total } } } }", [1, 1]),
        # Fragments, aliases, merged fields.
        ("{ ...F ...F } fragment F on Query { a: user(id: 1) { points { total } } }", [1, 1]),
        ("{ user(id: 1) { ... { points { total } } } user(id: 1) { fixed { total } } }", [1, 1, 1]),
        ("{ user(id: 1) { ... on Order { id } name } }", {"user": 1}),
        ("{ user(id: 1) @skip(if: true) { points { total } } }", {}),
        ("{ user(id: 1) @include(if: false) { points { total } } }", {}),
        ("{ user(id: 1) @include(if: true) { points { total } } }", [1, 1]),
    ],
)
def test_when_each_step_leaves(text: str, expected: Any) -> None:
    found = waves(plan_of(text))
    assert (found if isinstance(expected, dict) else list(found.values())) == expected


def test_what_would_tear_a_batch_apart_waits_for_it() -> None:
    alone = plan_of("{ user(id: 1) { orders { id } } }")
    assert waves(alone) == {"user": 1, "user.orders": 1}
    # Orders of all users go in one batch, and those of the one with them.
    both = plan_of("{ user(id: 1) { orders { id } } all { orders { id } points { total } } }")
    assert waves(both) == {"user": 1, "user.orders": 2, "all": 1, "all.orders": 2, "all.points": 2}
    # An endpoint without a batch form has no batch to wait for.
    each = plan_of("{ user(id: 1) { points { total } } all { points { total } } }")
    assert waves(each) == {"user": 1, "user.points": 1, "all": 1, "all.points": 2}


@pytest.mark.parametrize(
    ("text", "labels", "paths"),
    [
        ("{ user(id: 1) { loud } }", [], ["user"]),
        ("{ user(id: 1) { later } }", ["User.later"], ["user"]),
        ("{ user(id: 1) { secret { total } } }", ["User.secret"], ["user"]),
        ("{ user(id: 1) { hidden { city } } }", [], ["user"]),
        ("{ user(id: 1) { hidden { users { id } } } }", ["User.hidden"], ["user"]),
        ("{ user(id: 1) { made { id } } }", [], ["user"]),
        ("{ user(id: 1) { made { points { total } } } }", ["User.made"], ["user"]),
        # Nothing leaves for a row that the caller may not see.
        ("{ secret(id: 1) { points { total } } }", ["Query.secret"], []),
    ],
)
def test_what_nobody_can_tell(text: str, labels: list[str], paths: list[str]) -> None:
    plan = plan_of(text)
    assert [one.label for one in plan.unplanned] == labels
    assert list(waves(plan)) == paths
    assert plan.is_whole is (labels == [])


def test_what_depends_on_variables() -> None:
    plan = plan_of(
        "query ($y: Boolean!, $z: Boolean!) { user(id: 1) @include(if: $y) "
        "{ name points @skip(if: $z) { total } } user(id: 1) @skip(if: $y) { name } }"
    )
    user, points = plan.steps
    for y in (True, False):
        for z in (True, False):
            assert holds(user.conditions, {"y": y, "z": z})
            assert holds(points.conditions, {"y": y, "z": z}) is (y and not z)


def test_an_operation_may_be_too_large_to_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "FIELDS_MAX", 3)
    assert plan_of("{ user(id: 1) { name id } }").is_whole
    large = plan_of("{ user(id: 1) { name id loud } }")
    assert (large.steps, large.is_whole) == ((), False)


ROWS: dict[str, Any] = {"GET /users/1": {"id": 1, "name": "x"}, "GET /points/1": {"total": 5}}
ASKED = "{ user(id: 1) { name points { total } } }"


def asked(script: dict[str, Any], text: str = ASKED, **headers: str) -> tuple[Any, list[str]]:
    with GraphTest(graph, b=script) as test:
        answer = test.ask(text, **headers)
    return answer, test.calls["b"]


def test_both_calls_leave_at_once() -> None:
    order: list[str] = []

    def noted(name: str, row: Any) -> Callable[[Any], Any]:
        return lambda sent: order.append(name) or row

    answer, calls = asked({name: noted(name, row) for name, row in ROWS.items()})
    assert answer == {"data": {"user": {"name": "x", "points": {"total": 5}}}}
    assert calls == ["GET /users/1", "GET /points/1"]


@pytest.mark.parametrize(
    ("row", "calls", "points"),
    [
        ({"id": 1}, ["GET /users/1", "GET /points/1"], {"total": 5}),
        # Another key than it was asked for by: the step is called anew.
        ({"id": 2}, ["GET /users/1", "GET /points/1", "GET /points/2"], {"total": 7}),
        ({"id": None}, ["GET /users/1", "GET /points/1"], None),
        ({}, ["GET /users/1", "GET /points/1"], None),
    ],
)
def test_the_row_has_the_last_word(row: Any, calls: list[str], points: Any) -> None:
    script = {**ROWS, "GET /users/1": row, "GET /points/2": {"total": 7}}
    answer, made = asked(script)
    assert (answer["data"]["user"]["points"], made) == (points, calls)


@pytest.mark.parametrize("gone", [reply(status=404), reply(status=500)])
def test_what_comes_for_a_row_that_is_not_there_is_dropped(gone: Any) -> None:
    failing = {"GET /users/1": gone, "GET /points/1": reply(status=503)}
    answer, _ = asked(failing)
    assert answer["data"] == {"user": None}
    # The error of what came early for nothing is nobody's.
    assert len(answer.get("errors", [])) == (1 if gone.status == 500 else 0)


def test_nothing_leaves_for_a_row_that_may_not_be_seen() -> None:
    with GraphTest(graph, b={}) as test:
        answer = test.ask("{ secret(id: 1) { points { total } } }")
    assert answer["data"] == {"secret": None}
    assert test.calls == {}


def test_few_keys_are_asked_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.query.run.EARLY_KEYS_MAX", 3)
    ids = ", ".join(map(str, range(10)))
    rows = [{"id": number} for number in range(0, 10, 2)]
    batch = "GET /users?" + "&".join(f"id={number}" for number in range(10))
    points = {f"GET /points/{number}": {"total": number} for number in range(10)}
    answer, calls = asked(
        {batch: rows, **points}, f"{{ users(ids: [{ids}]) {{ points {{ total }} }} }}"
    )
    totals = [one and one["points"]["total"] for one in answer["data"]["users"]]
    assert totals == [0, None, 2, None, 4, None, 6, None, 8, None]
    assert len(calls) == 1 + 5 + 1  # of the three that left early, one was in vain


@pytest.mark.parametrize("waiting", ["slow { total }", "own", "several"])
def test_a_field_that_is_given_up_takes_no_row_from_the_others(waiting: str) -> None:
    @strawberry.type
    class Must:
        slow: Points = get_points(id="9")

        @strawberry.field
        async def own(self, info: strawberry.Info) -> int:
            return int((await get_points.load(info, id="9"))["total"])

        @strawberry.field
        async def several(self, info: strawberry.Info) -> int:
            return len(await get_points.load_many(info, id=["9"]))

        @strawberry.field
        async def bad(self) -> str:
            raise BadUserInput("No.")

    @strawberry.type
    class Root:
        other: Points | None = get_points(id="9")

        @strawberry.field
        def must(self) -> Must | None:
            return Must()

        @strawberry.field
        async def loaded(self, info: strawberry.Info) -> int:
            return int((await get_points.load(info, id="9"))["total"])

    with GraphTest(Graph(query=Root), b={"GET /points/9": {"total": 3}}) as test:
        answer = test.ask(f"{{ must {{ {waiting} bad }} other {{ total }} loaded }}")
    assert answer["data"] == {"must": None, "other": {"total": 3}, "loaded": 3}
    assert [one["message"] for one in answer["errors"]] == ["No."]


@pytest.mark.parametrize(
    "row", [[{"id": 1, "bestId": 2}], {"rows": [{"bestId": 2}]}, "text", 7, None]
)
def test_what_is_not_as_declared_asks_for_nothing_more(row: Any) -> None:
    answer, calls = asked({"GET /users/1": row}, "{ user(id: 1) { best { name } } }")
    assert calls == ["GET /users/1"]
    assert answer["data"]["user"] in (None, {"best": None})


def test_a_list_in_place_of_a_key_goes_into_no_batch() -> None:
    rows = [{"id": 1, "bestId": 1}, {"id": 2, "bestId": [1]}, {"id": 3, "bestId": {"a": 1}}]
    script: dict[str, Any] = {"GET /users": rows, "GET /users/1": {"id": 1, "name": "x"}}
    answer, calls = asked(script, "{ all { best { name } } }")
    assert calls == ["GET /users", "GET /users/1"]
    assert answer["data"] == {"all": [{"best": {"name": "x"}}, {"best": None}, {"best": None}]}
    assert [error["path"] for error in answer["errors"]] == [["all", 1, "best"], ["all", 2, "best"]]


def test_a_row_that_is_shown_twice_is_paid_for_twice() -> None:
    rows = [{"id": number, "bestId": 1} for number in range(10)]
    script: dict[str, Any] = {"GET /users": rows, "GET /users/1": {"id": 1, "name": "x"}}
    with GraphTest(graph, b=script) as test:
        enough = test.settings.model_copy(update={"answer_objects_max": 21})
        short = test.settings.model_copy(update={"answer_objects_max": 20})
    text = "{ all { best { name } } }"  # the root, ten rows, and what is best ten times
    with GraphTest(graph, settings=enough, b=script) as test:
        assert test.ask(text)["data"] == {"all": [{"best": {"name": "x"}}] * 10}
    with GraphTest(graph, settings=short, b=script) as test:
        assert test.ask(text)["errors"][0]["extensions"]["limit"] == "answer_objects_max"


class Odd:
    """Has no JSON."""


@pytest.mark.parametrize("place", ["row", "child"])
def test_a_defect_in_what_is_asked_is_told_at_its_field_alone(place: str) -> None:
    @strawberry.type
    class Child:
        id: int
        odd: Points | None = get_points(id=Odd())

    @strawberry.type
    class Root:
        row: Child | None = get_plain(id="1")
        child: Points | None = get_points(id=Odd())
        fine: Points | None = get_points(id="1")

    asked_for = "row { id odd { total } }" if place == "row" else "child { total }"
    script: dict[str, Any] = {"GET /plain/1": {"id": 1}, "GET /points/1": {"total": 5}}
    with GraphTest(Graph(query=Root), b=script) as test:
        answer = test.ask(f"{{ {asked_for} fine {{ total }} }}")
    data = {"row": {"id": 1, "odd": None}} if place == "row" else {"child": None}
    assert answer["data"] == {**data, "fine": {"total": 5}}
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INTERNAL_ERROR"
    assert error["path"] == (["row", "odd"] if place == "row" else ["child"])
