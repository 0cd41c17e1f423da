"""Resolvers and permissions of the root run beside the calls of compiled code: the answer is
graphql-core's, nothing of an author's runs twice, and nothing leaves before its permission."""

import asyncio
import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import strawberry
from graphql import GraphQLError
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension

from plait import Backend, Graph, arg, by_ids, this
from plait.backend.keys import Keys
from plait.backend.loader import KeyBatch
from plait.query.asked import LoadBatch
from plait.query.document import Directs, Documents
from plait.query.explain import explain_text, tree
from plait.query.reading import DocumentLimits as Limits
from plait.settings import Settings
from plait.testing import GraphTest, Sent, reply
from tests.query.test_compile import sights, told
from tests.query.test_resolving import in_one_turn, noted

b = Backend("b", "http://b.test")
get_user = b.get("/users/{id}", batch=by_ids("/users", key="id", ids="id"), keyed_by="id")
get_few = b.get("/few/{id}", batch=by_ids("/few", key="id", ids="id", size=3))
get_orders = b.get("/orders/of/{id}")
get_prices = b.get("/prices")
RUNS: list[str] = []
GATES: dict[str, asyncio.Event] = {}


class Asked(BasePermission):
    message = "Not for you."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        RUNS.append(f"asked {info.path.key} {kwargs.get('id', '')}".strip())
        assert source is None
        return info.context.headers.get("x-may") != "no" and kwargs.get("id") != "9"


class AskedSlowly(BasePermission):
    message = "Not for you either."

    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        RUNS.append(f"slowly {info.path.key}")
        if "permission" in GATES:
            await GATES["permission"].wait()
        await asyncio.sleep(0)
        return info.context.headers.get("x-may-later") != "no" and kwargs.get("id") != "9"


class AskedBelow(BasePermission):
    message = "Not below."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        RUNS.append("below")
        return bool(source.id == 10)


class Shouted(FieldExtension):
    def resolve(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs)

    async def resolve_async(
        self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any
    ) -> Any:
        return await next_(source, info, **kwargs)


@strawberry.type
class Order:
    id: int
    user_id: strawberry.ID | None = None
    buyer: "User | None" = get_user(id=this.userId)
    secret: "User | None" = get_user(id=this.userId, permission_classes=[AskedBelow])


@strawberry.type
class User:
    id: strawberry.ID
    name: str
    orders: list[Order] = get_orders(id=this.id)


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(strawberry.ID), permission_classes=[Asked])
    must: User = get_user(id=arg(strawberry.ID), permission_classes=[Asked])
    slow: User | None = get_user(id=arg(strawberry.ID), permission_classes=[AskedSlowly])
    both: User | None = get_user(id=arg(strawberry.ID), permission_classes=[Asked, AskedSlowly])
    many: list[User | None] = get_user.many(
        id=arg(list[strawberry.ID], name="ids"), permission_classes=[Asked]
    )
    few: list[User | None] = get_few.many(id=arg(list[strawberry.ID], name="ids"))
    prices: list[float] = get_prices(permission_classes=[Asked])
    silent: User | None = get_user(
        id=arg(strawberry.ID),
        extensions=[PermissionExtension([Asked()], fail_silently=True)],
    )
    silently: User | None = get_user(
        id=arg(strawberry.ID),
        extensions=[PermissionExtension([AskedSlowly()], fail_silently=True)],
    )
    shouted: User | None = get_user(id=arg(strawberry.ID), extensions=[Shouted()])
    open: User | None = get_user(id=arg(strawberry.ID))

    @strawberry.field
    async def word(self, fails: bool = False) -> str | None:
        RUNS.append("word")
        if "word" in GATES:
            await GATES["word"].wait()
        if fails:
            raise GraphQLError("told", extensions={"code": "OWN"})
        return "w"

    @strawberry.field
    async def must_word(self, fails: bool = True) -> str:
        RUNS.append("must word")
        await asyncio.sleep(0)
        if fails:
            raise GraphQLError("told", extensions={"code": "OWN"})
        return "w"

    @strawberry.field
    async def order(self, info: strawberry.Info) -> Order:
        RUNS.append("order")
        return Order(id=10, user_id=strawberry.ID("3"))

    @strawberry.field
    def sum(self, of: list[int]) -> int:
        RUNS.append("sum")
        return sum(of)

    @strawberry.field
    async def one_of_few(self, info: strawberry.Info, id: strawberry.ID, turns: int = 0) -> str:
        RUNS.append("one of few")
        for _ in range(turns):
            await asyncio.sleep(0)
        return str((await get_few.load(info, id=id))["name"])

    @strawberry.field
    async def loaded(self, info: strawberry.Info, id: strawberry.ID) -> str | None:
        RUNS.append("loaded")
        if "word" in GATES:
            await GATES["word"].wait()
        row = await get_user.load(info, id=id)
        return str(row["name"])


@strawberry.type
class Mutation:
    read: User | None = get_user(id=arg(strawberry.ID), permission_classes=[Asked])


graph = Graph(query=Query, mutation=Mutation)


class Script(dict[str, Any]):
    """Every user and their orders, but for what else is said."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, self.answer)

    def answer(self, sent: Sent) -> Any:
        path, _, query = sent.target.partition("?")
        id = path.rpartition("/")[2]
        if path == "/prices":
            return [1.5, 2]
        if path == "/few" or query:
            return [self.user(one.partition("=")[2]) for one in query.split("&")]
        return (
            self.user(id)
            if path.startswith(("/users", "/few"))
            else [{"id": 10, "userId": int(id) + 1}]
        )

    def user(self, id: str) -> dict[str, Any]:
        return {"id": int(id), "name": f"n{id}"}


def both_ways(
    document: str, variables: Any = None, script: Mapping[str, Any] = Script(), **headers: str
) -> tuple[str, list[str], Any, list[str]]:
    """Who made the answer, what ran, the answer, which is graphql-core's too, and the calls."""
    found: list[tuple[list[str], Any, list[str]]] = []
    for count in (1_000, 0):
        RUNS.clear()
        with GraphTest(graph, b=script) as test, noted(test) as ways, sights(count), in_one_turn():
            answer = told(test.ask(document, variables, **headers))
            found.append((list(RUNS), answer, sorted(map(in_order, test.calls.get("b", [])))))
    (runs, answer, calls), (runs_by_code, answer_by_code, calls_by_code) = found
    assert json.dumps(answer_by_code) == json.dumps(answer)
    assert sorted(runs_by_code) == sorted(runs)
    if any(name in script for name in ("GET /users/1",)):
        assert {*calls} <= {*calls_by_code}  # what left early is asked for in vain
    else:
        assert calls_by_code == calls
    return (ways[0] if ways else "core"), runs, answer, calls


def in_order(call: str) -> str:
    """A call, its keys in order."""
    path, _, query = call.partition("?")
    return f"{path}?{'&'.join(sorted(query.split('&')))}" if query else call


FULL = "{ id name orders { id buyer { name } } }"


@pytest.mark.parametrize(
    ("document", "way"),
    [
        (f"{{ user(id: 1) {FULL} }}", "code"),
        (f"{{ slow(id: 1) {FULL} both(id: 2) {{ name }} }}", "code"),
        ("{ a: user(id: 1) { name } b: user(id: 2) { name } c: slow(id: 3) { name } }", "code"),
        ("{ many(ids: [1, 2, 1]) { name orders { id } } prices }", "code"),
        ("query ($id: ID!) { user(id: $id) { name } open(id: $id) { id } __typename }", "code"),
        ("{ sum(of: [1, 2]) user(id: 1) { name } t: __typename word }", "code"),
        ("{ word open(id: 1) { name } w: word(fails: true) }", "code"),
        ("{ word prices loaded(id: 4) }", "code"),
        # In one batch, and in one call for one key.
        ("{ word open(id: 1) { name } loaded(id: 4) }", "code"),
        ("{ loaded(id: 4) open(id: 1) { name } a: loaded(id: 1) b: loaded(id: 5) }", "code"),
        ("{ loaded(id: 1) open(id: 1) { name } }", "code"),
        ("{ few(ids: [1, 2, 3, 4]) { name } oneOfFew(id: 2) a: oneOfFew(id: 4) }", "code"),
        ("{ few(ids: [1]) { id } a: oneOfFew(id: 2, turns: 3) }", "code"),
        (
            "{ few(ids: [1]) { id } a: oneOfFew(id: 3, turns: 3) b: oneOfFew(id: 2, turns: 7) }",
            "code",
        ),
        ("{ silently(id: 9) { name } loaded(id: 4) open(id: 1) { name } }", "left"),
        ("{ ...F open(id: 3) { id } } fragment F on Query { user(id: 1) { name } word }", "code"),
        (
            "query ($id: ID!) { user(id: $id) @skip(if: false) { name } word @skip(if: true) }",
            "code",
        ),
        # What is refused shows null, where it may.
        ("{ user(id: 9) { name } open(id: 1) { name } }", "code"),
        ("{ user(id: 9) { name } word }", "code"),
        ("{ open(id: 1) { name orders { id } } both(id: 9) { name orders { id } } }", "code"),
        ("{ prices must(id: 9) { name } }", "left"),
        ("{ many(ids: [1]) { name } silent(id: 1) { name } }", "code"),
        # It shows something in place of what it asks for.
        ("{ silent(id: 9) { name } open(id: 1) { name } }", "left"),
        # Others are asked for, or may ask, in the very turn in which that shows.
        ("{ silent(id: 9) { name } slow(id: 1) { name } }", "left"),
        ("{ silently(id: 9) { name } slow(id: 1) { name } }", "left"),
        ("{ slow(id: 1) { name } silently(id: 9) { name } }", "left"),
        # What is no permission may do anything.
        ("{ shouted(id: 1) { name } word }", "core"),
        # Here a field's value is needed before it is known what is below it.
        ("mutation { read(id: 1) { name } }", "core"),
    ],
)
def test_answers(document: str, way: str) -> None:
    assert both_ways(document, {"id": "1"} if "$" in document else None)[0] == way


@pytest.mark.parametrize(
    ("script", "way"),
    [
        ({"GET /users/1": reply(status=503)}, "code"),
        ({"GET /users/1": reply(status=404)}, "code"),
        ({"GET /users/1": {"id": 1, "name": {}}}, "left"),
        ({"GET /users/1": {"id": 2, "name": "another"}, "GET /orders/of/2": []}, "code"),
        ({"GET /orders/of/1": reply(status=500)}, "code"),
        ({"GET /orders/of/1": [{"id": "x"}]}, "left"),
    ],
)
@pytest.mark.parametrize("field", ["user", "slow", "must"])
def test_what_backends_do_below_a_permission(field: str, script: dict[str, Any], way: str) -> None:
    document = f"{{ {field}(id: 1) {{ name orders {{ id }} }} word }}"
    found, runs, answer, _ = both_ways(document, script=Script(script))
    assert len(runs) == 2
    assert found == way
    if "GET /users/1" not in script or way == "left":
        assert answer["errors"]


def test_permissions_see_the_request() -> None:
    way, runs, answer, calls = both_ways(f"{{ user(id: 1) {FULL} word }}", x_may="no")
    assert (way, runs, calls) == ("code", ["asked user 1", "word"], [])
    assert answer["data"] == {"user": None, "word": "w"}
    assert [one["path"] for one in answer["errors"]] == [["user"]]
    way, _, answer, calls = both_ways(f"{{ prices slow(id: 1) {FULL} }}", x_may_later="no")
    assert (way, calls) == ("code", ["GET /prices"])
    assert answer["data"] == {"prices": [1.5, 2.0], "slow": None}


def test_who_may_ask_at_once_asks_in_one_batch() -> None:
    document = "{ a: user(id: 1) { id } b: slow(id: 2) { id } open(id: 3) { id } }"
    assert both_ways(document)[3] == ["GET /users?id=1&id=2&id=3"]


def test_permissions_of_rows_are_asked_beside_resolvers() -> None:
    way, runs, answer, _ = both_ways("{ user(id: 1) { orders { secret { name } } } word }")
    assert (way, "below" in runs) == ("code", True)
    assert answer["data"]["user"]["orders"] == [{"secret": {"name": "n2"}}]


def test_permissions_of_what_resolvers_return_are_for_graphql_core(
    caplog: pytest.LogCaptureFixture,
) -> None:
    document = "{ order { secret { name } } word }"
    way, runs, answer, _ = both_ways(document)
    assert (way, "below" in runs, "errors" in answer) == ("core", True, True)
    assert "n" in json.dumps(answer["data"])
    assert not [one for one in caplog.records if "compiled" in one.getMessage()]
    code = Documents(graph, Limits()).get(document)
    made = code.direct(code.operations[0], graph).code(None)
    assert made.why == "Order.secret: a permission or an extension is asked first"


@pytest.mark.sources
def test_a_defect_is_told_to_whoever_has_joined() -> None:
    async def main() -> None:
        batch = LoadBatch(Keys(get_user.spec))
        defect = RuntimeError("made up")
        batch.fetching = SimpleNamespace(defect=defect)  # type: ignore[assignment]
        guest = KeyBatch(Keys(get_user.spec))
        key = guest.keys.add({"id": 1})
        waiting, gone = guest.future(key), guest.future(key)
        gone.cancel()
        batch.guests = [guest]
        batch.tell_guests()
        assert waiting.exception() is defect

    asyncio.run(main())


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("It did not come to that.")


async def _settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
def gates() -> Any:
    yield GATES
    GATES.clear()


def test_nothing_leaves_before_its_permission(gates: dict[str, asyncio.Event]) -> None:
    """Neither the field's own call nor what may leave together with it."""

    async def main() -> None:
        gates["permission"] = gate = asyncio.Event()
        async with GraphTest(graph, b=Script()) as test:
            with sights(0), noted(test) as ways:
                asked = asyncio.ensure_future(
                    test.ask_async("{ slow(id: 1) { name orders { id } } open(id: 5) { id } }")
                )
                await _until(lambda: bool(test.sent))
                await _settled()
                assert test.calls["b"] == ["GET /users/5"]
                gate.set()
                answer = await asked
            assert ways == ["code"]
            assert sorted(test.calls["b"][1:]) == ["GET /orders/of/1", "GET /users/1"]
            assert answer["data"]["slow"] == {"name": "n1", "orders": [{"id": 10}]}

    asyncio.run(main())


def test_resolvers_and_calls_take_the_time_of_the_slowest(gates: dict[str, asyncio.Event]) -> None:
    """All calls have come while a resolver is still at it."""

    async def main() -> None:
        gates["word"] = gate = asyncio.Event()
        async with GraphTest(graph, b=Script()) as test:
            with sights(0), noted(test) as ways:
                asked = asyncio.ensure_future(test.ask_async(f"{{ word open(id: 1) {FULL} }}"))
                await _until(lambda: len(test.sent) == 3)
                await _settled()
                assert not asked.done()
                gate.set()
                answer = await asked
            assert ways == ["code"]
            assert list(answer["data"]) == ["word", "open"]

    asyncio.run(main())


@pytest.mark.parametrize("load", ["loaded(id: 1)", "loaded(id: 2)"])
def test_a_resolver_gets_what_was_asked_for_already(
    load: str, gates: dict[str, asyncio.Event]
) -> None:
    async def main() -> None:
        gates["word"] = gate = asyncio.Event()
        async with GraphTest(graph, b=Script()) as test:
            with sights(0), noted(test) as ways:
                document = f"{{ {load} open(id: 1) {{ name }} }}"
                asked = asyncio.ensure_future(test.ask_async(document))
                await _until(lambda: bool(test.sent))
                await _settled()
                gate.set()
                answer = await asked
            assert ways == ["code"]
            others = ["GET /users/2"] if "2" in load else []
            assert test.calls["b"] == ["GET /users/1", *others]
            assert answer["data"]["loaded"] == ("n2" if others else "n1")

    asyncio.run(main())


def test_what_is_in_one_batch_fails_alike() -> None:
    down = Script({"GET /users?id=1&id=4": reply(status=503)})
    way, _, answer, calls = both_ways("{ open(id: 1) { name } loaded(id: 4) }", script=down)
    assert (way, calls) == ("code", ["GET /users?id=1&id=4"])
    assert [one["path"] for one in answer["errors"]] == [["loaded"], ["open"]]


@pytest.mark.parametrize(
    ("limit", "document", "data"),
    [
        (
            "request_calls_max",
            "{ prices open(id: 1) { name } loaded(id: 4) }",
            {"prices": [1.5, 2.0], "open": None, "loaded": None},
        ),
        (
            "request_keys_max",
            "{ loaded(id: 1) user(id: 2) { name } word }",
            {"loaded": None, "user": {"name": "n2"}, "word": "w"},
        ),
    ],
)
def test_a_limit_holds_for_both_sides_together(limit: str, document: str, data: Any) -> None:
    limits = GraphTest(graph).settings.model_copy(update={limit: 1})
    answers = []
    for count in (1_000, 0):
        with GraphTest(graph, settings=limits, b=Script()) as test, sights(count):
            answers.append(told(test.ask(document)))
    assert answers[0] == answers[1]
    assert answers[1]["data"] == data
    assert {one["extensions"]["limit"] for one in answers[1]["errors"]} == {limit}


class WithLateCalls(GraphTest):
    """With calls that wait for the gate `call`."""

    def _wire(self, name: str) -> Any:
        async def answer(request: httpx.Request) -> httpx.Response:
            await GATES["call"].wait()
            return httpx.Response(200, json={"id": 1, "name": "late"})

        return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    "document", ["{ word open(id: 1) { name } }", "{ user(id: 1) { name } t: __typename }"]
)
def test_a_call_that_takes_too_long_costs_its_own_field(
    document: str, gates: dict[str, asyncio.Event]
) -> None:
    limits = GraphTest(graph).settings.model_copy(update={"request_timeout_s": 0.1})

    async def ask(times: int) -> tuple[list[str], Any]:
        gates["call"] = asyncio.Event()
        async with WithLateCalls(graph, settings=limits) as test:
            with sights(times), noted(test) as ways:
                answer = await asyncio.wait_for(test.ask_async(document), 5)
        return ways, told(answer)

    (_, expected), (ways, found) = asyncio.run(ask(1_000)), asyncio.run(ask(0))
    assert (found, ways) == (expected, ["left"])
    assert len(found["data"]) == 2
    assert [one["extensions"]["code"] for one in found["errors"]] == ["BACKEND_TIMEOUT"]


@pytest.mark.parametrize(
    "document",
    ["{ slow(id: 1) { name } mustWord prices }", "{ mustWord slow(id: 1) { name } prices }"],
)
def test_what_must_be_there_and_fails_ends_it_whatever_is_still_asked(
    document: str, gates: dict[str, asyncio.Event]
) -> None:
    async def ask(times: int) -> tuple[list[str], Any]:
        gates["permission"] = asyncio.Event()
        async with GraphTest(graph, b=Script()) as test:
            before = asyncio.all_tasks()
            with sights(times), noted(test) as ways:
                answer = await asyncio.wait_for(test.ask_async(document), 5)
            await _settled()
            assert asyncio.all_tasks() == before
        return ways, told(answer)

    (_, expected), (ways, found) = asyncio.run(ask(1_000)), asyncio.run(ask(0))
    assert (found, ways) == (expected, ["left"])
    assert found["data"] is None


def test_nothing_is_left_of_what_was_handed_on(gates: dict[str, asyncio.Event]) -> None:
    limits = GraphTest(graph).settings.model_copy(update={"request_timeout_s": 0.05})

    async def main() -> None:
        gates["word"] = asyncio.Event()
        async with GraphTest(graph, settings=limits, b=Script()) as test:
            before = asyncio.all_tasks()
            with sights(0), noted(test) as ways, pytest.MonkeyPatch.context() as patch:
                patch.setattr("plait.query.interpret.GRACE_S", 0.0)
                answer = await test.ask_async("{ silent(id: 9) { name } word }")
            await _settled()
            assert (ways, answer["data"]) == (["left"], None)
            assert asyncio.all_tasks() == before

    asyncio.run(main())


def test_what_takes_too_long(gates: dict[str, asyncio.Event]) -> None:
    """A call costs its own field, and a resolver that goes on the whole operation, as elsewhere."""
    limits = Settings(request_timeout_s=0.05)

    async def ask(document: str, times: int) -> tuple[list[str], Any]:
        never = asyncio.Event()
        gates["word"] = gates["permission"] = never
        async with GraphTest(graph, settings=limits, b=Script()) as test:
            with sights(times), noted(test) as ways, pytest.MonkeyPatch.context() as patch:
                patch.setattr("plait.query.execute.GRACE_S", 0.0)
                patch.setattr("plait.query.interpret.GRACE_S", 0.0)
                answer = await asyncio.wait_for(test.ask_async(document), 5)
            await _settled()
        return ways, told(answer)

    for document in (
        "{ word open(id: 1) { name } }",
        "{ slow(id: 1) { name } open(id: 1) { id } }",
    ):
        ways, answer = asyncio.run(ask(document, 0))
        assert ways in (["late"], ["left"])
        assert answer == asyncio.run(ask(document, 1_000))[1]
        assert answer["data"] is None
        assert [one["extensions"]["code"] for one in answer["errors"]] == ["REQUEST_TIMEOUT"]


def test_who_leaves_leaves_nothing_under_way(gates: dict[str, asyncio.Event]) -> None:
    async def main() -> None:
        gates["word"] = gates["permission"] = asyncio.Event()
        async with GraphTest(graph, b=Script()) as test:
            before = asyncio.all_tasks()
            with sights(0):
                document = "{ word slow(id: 1) { name } open(id: 1) { name } }"
                asked = asyncio.ensure_future(test.ask_async(document))
                await _until(lambda: bool(test.sent))
                asked.cancel()
                await asyncio.wait((asked,))
                await _settled()
            assert asyncio.all_tasks() == before

    asyncio.run(main())


def test_equal_requests_ask_their_permissions_each_for_itself() -> None:
    async def main() -> None:
        async with GraphTest(graph, b=Script()) as test:
            with sights(0):
                document = "{ user(id: 1) { name } }"
                answers = await asyncio.gather(
                    *(test.ask_async(document, x_may=may) for may in ("yes", "no", "yes"))
                )
        assert [one["data"]["user"] for one in answers] == [{"name": "n1"}, None, {"name": "n1"}]

    RUNS.clear()
    asyncio.run(main())
    assert RUNS == ["asked user 1"] * 3


def test_what_is_explained() -> None:
    made = explain_text(
        graph,
        "{ slow(id: 1) { name orders { id } } word }",
        variables=None,
        operation_name=None,
        rows_assumed=10,
    )
    lines = list(tree(made))
    assert lines[:2] == ["1 wave, about 2 calls", "wave 1"]
    assert "│    after its permissions have let it" in lines
    assert lines[-1] == "not planned: word (Query.word): its resolver decides what to load"
    assert [(one.path, one.guarded, one.early) for one in made.steps] == [
        ("slow", True, False),
        ("slow.orders", False, True),
    ]


def test_what_is_explained_of_a_run_is_what_ran() -> None:
    """By graphql-core, which asks permissions on its way."""
    document = "{ slow(id: 1) { name orders { id } } }"
    with GraphTest(graph, b=Script()) as test:
        planned = test.ask(document, x_plait_explain="plan")["extensions"]["plait"]["plan"]
        run = test.ask(document, x_plait_explain="run")["extensions"]["plait"]["plan"]
    assert [(one["path"], one["wave"]) for one in planned["steps"]] == [
        ("slow", 1),
        ("slow.orders", 1),
    ]
    assert planned["unplanned"] == run["steps"] == []
    assert [one["path"] for one in run["unplanned"]] == ["slow"]


def test_why_an_extension_keeps_it_from_being_compiled() -> None:
    document = Documents(graph, Limits()).get("{ shouted(id: 1) { name } }")
    code = Directs(document, document.operations[0], graph).code(None)
    assert (code.source, code.why) == (
        "",
        "Query.shouted asks an extension first, or its permission in a mutation",
    )
