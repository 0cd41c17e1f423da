"""A backend that declares how it spells its names is read and written in that spelling alone."""

from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, arg, by_ids, prop, this, write_together
from plait.errors import GraphError
from plait.testing import GraphTest
from tests.query.test_compile import sights, told

snake = Backend("snake", "http://snake.test", names="snake")
camel = Backend("camel", "http://camel.test", names="camel")
either = Backend("either", "http://either.test")
get_user = snake.get("/users/{id}")
list_users = snake.get("/users")
get_order = snake.get("/orders/{id}", batch=by_ids("/orders"))
get_snaked, get_cameled = snake.get("/shared"), camel.get("/shared")
get_plain = either.get("/plain")
get_camel = camel.get("/own")
add_user, add_camel, add_plain = snake.post("/users"), camel.post("/users"), either.post("/users")


@strawberry.type
class Street:
    house_number: int | None


@strawberry.type
class Order:
    order_total: int | None


@strawberry.type
class User:
    first_name: str | None
    last_name: str | None = strawberry.field(name="surName")
    theName: str | None
    own: str | None = prop("ownName")
    home_street: Street | None
    order_id: strawberry.Private[int | None] = None
    order: Order | None = get_order(id=this.order_id)

    @strawberry.field
    def secret(self) -> int | None:
        return self.order_id


@strawberry.type
class Shared:
    first_name: str | None


@strawberry.type
class Plain:
    first_name: str | None


@strawberry.type
class Own:
    first_name: str | None


@strawberry.type
class Loaded:
    first_name: str | None


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(int))
    users: list[User] = list_users()
    snaked: Shared | None = get_snaked()
    cameled: Shared | None = get_cameled()
    plain: Plain | None = get_plain()
    own: Own | None = get_camel()
    declared: Loaded | None = get_snaked()

    @strawberry.field
    async def loaded(self, info: strawberry.Info) -> Loaded | None:
        return await get_cameled.load(info)  # type: ignore[no-any-return]


@strawberry.input
class NewStreet:
    house_number: int
    zip_code: str | None = strawberry.field(default=None, name="postCode")
    own_path: str | None = prop("in.ownPath")


@strawberry.input
class NewUser:
    first_name: str
    home_street: NewStreet | None = None
    all_streets: list[NewStreet] | None = None


@strawberry.type
class Mutation:
    add_snake: strawberry.scalars.JSON | None = add_user.field(body=arg(NewUser))
    add_parts: strawberry.scalars.JSON | None = add_user.field(
        body={"the_user": arg(NewUser, name="user"), "leftAlone": 1}
    )

    @strawberry.mutation
    async def add_all(self, info: strawberry.Info, user: NewUser) -> int:
        writes = (add_user(body=user), add_camel(body={"u": [user]}), add_plain(body=user))
        return len(await write_together(info, *writes))


graph = Graph(query=Query, mutation=Mutation)
BOTH = {"first_name": "snake", "firstName": "camel"}
ROW = {
    **BOTH,
    "surName": "sur",
    "last_name": "no",
    "the_name": "the",
    "theName": "no",
    "ownName": "own",
    "home_street": {"house_number": 1, "houseNumber": 2},
    "homeStreet": {"house_number": 3},
    "order_id": 5,
    "orderId": 6,
}
FIELDS = "firstName surName theName own homeStreet { houseNumber } secret order { orderTotal }"
SHOWN = {
    "firstName": "snake",
    "surName": "sur",
    "theName": "the",
    "own": "own",
    "homeStreet": {"houseNumber": 1},
    "secret": 5,
    "order": {"orderTotal": 7},
}
SCRIPTS: dict[str, Any] = {
    "snake": {
        "GET /users/1": ROW,
        "GET /users": [ROW, ROW],
        "GET /orders/5": {"order_total": 7, "orderTotal": 8},
        "GET /shared": {"first_name": "snake"},
        "POST /users": {},
    },
    "camel": {"GET /shared": {"firstName": "camel"}, "GET /own": BOTH, "POST /users": {}},
    "either": {"GET /plain": {"first_name": "snake"}, "POST /users": {}},
}


@pytest.mark.parametrize("first", [1_000, 0])
@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (f"{{ user(id: 1) {{ {FIELDS} }} }}", {"user": SHOWN}),
        (f"{{ users {{ {FIELDS} }} }}", {"users": [SHOWN, SHOWN]}),
        ("{ users { firstName } }", {"users": [{"firstName": "snake"}] * 2}),
        ("{ own { firstName } }", {"own": {"firstName": "camel"}}),
        ("{ plain { firstName } }", {"plain": {"firstName": "snake"}}),
        # Where backends differ, or a resolver shows who knows what, either is read.
        (
            "{ snaked { firstName } cameled { firstName } }",
            {"snaked": {"firstName": "snake"}, "cameled": {"firstName": "camel"}},
        ),
        (
            "{ declared { firstName } loaded { firstName } }",
            {"declared": {"firstName": "snake"}, "loaded": {"firstName": "camel"}},
        ),
    ],
)
def test_rows(document: str, expected: Any, first: int) -> None:
    with GraphTest(graph, **SCRIPTS) as test, sights(first):
        assert told(test.ask(document)) == {"data": expected, "errors": []}


HOME = '{houseNumber: 1, postCode: "p", ownPath: "o"}'
USER = f'{{firstName: "a", homeStreet: {HOME}, allStreets: [{{houseNumber: 2}}]}}'


def street(names: str) -> Any:
    number = "house_number" if names == "snake" else "houseNumber"
    return {number: 1, "postCode": "p", "in": {"ownPath": "o"}}


def body(names: str) -> Any:
    if names == "snake":
        streets = [{"house_number": 2}]
        return {"first_name": "a", "home_street": street(names), "all_streets": streets}
    return {"firstName": "a", "homeStreet": street(names), "allStreets": [{"houseNumber": 2}]}


@pytest.mark.parametrize("first", [1_000, 0])
def test_bodies(first: int) -> None:
    with GraphTest(graph, **SCRIPTS) as test, sights(first):
        test.ask(f"mutation {{ addSnake(body: {USER}) }}")
        test.ask(f"mutation {{ addParts(user: {USER}) }}")
        test.ask(f"mutation {{ addAll(user: {USER}) }}")
        first_two, rest = test.sent[:2], dict(test.sent[2:])
    assert [one.body for _, one in first_two] == [
        body("snake"),
        {"the_user": body("snake"), "leftAlone": 1},
    ]
    assert {name: one.body for name, one in rest.items()} == {
        "snake": body("snake"),
        "camel": {"u": [body("camel")]},
        "either": body("camel"),
    }


def test_another_spelling_is_a_mistake() -> None:
    odd = Backend("odd", "http://odd.test", names="kebab")  # type: ignore[arg-type]

    @strawberry.type
    class Odd:
        plain: Plain | None = odd.get("/plain")()

    with pytest.raises(GraphError, match=r"names='kebab' cannot be(.|\n)*'camel' or 'snake'"):
        Graph(query=Odd)
