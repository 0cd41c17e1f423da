"""Equal operations share an execution and an answer; nothing of one caller reaches another."""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, arg, this
from plait.clock import TestClock
from plait.query.done import Done
from plait.query.respond import whole
from plait.query.sharing import ENTRY_BYTES, Sharing
from plait.settings import Settings
from plait.testing import GraphTest, Sent, reply
from tests.query.test_compile import sights

b = Backend("b", "http://b.test", forward=("authorization", "x-tenant"))
get_user = b.get("/users/{id}")
get_points = b.get("/points/{id}")
put_user = b.put("/users/{id}")


@strawberry.type
class Points:
    total: int


@strawberry.type
class User:
    id: int
    name: str | None
    points: Points | None = get_points(id=this.id)


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(int))


@strawberry.type
class Mutation:
    rename: User | None = put_user.field(id=arg(int), body={"name": arg(str, name="name")})


graph = Graph(query=Query, mutation=Mutation)
USER = "query ($id: Int!) { user(id: $id) { name } }"
FRESH = {"cache-control": "max-age=60"}


def user(*, headers: dict[str, str] | None = None) -> Callable[[Sent], Any]:
    """Answers with what the call came with, and differently each time."""
    count = 0

    def answer(sent: Sent) -> Any:
        nonlocal count
        count += 1
        told = sent.headers.get("authorization", ""), sent.headers.get("x-tenant", "")
        return reply({"id": 1, "name": f"{count} {' '.join(told)}".strip()}, headers=headers or {})

    return answer


def run(script: Any, work: Callable[[GraphTest], Any], **settings: Any) -> tuple[Any, list[str]]:
    """What `work` brings, and the calls that it took; every operation compiled at first sight."""

    async def main() -> Any:
        given = GraphTest(graph).settings.model_copy(update=settings)
        async with GraphTest(graph, settings=given, b=script) as test:
            with sights(0):
                found = await work(test)
            return found, test.calls.get("b", [])

    found: tuple[Any, list[str]] = asyncio.run(main())
    return found


async def at_once(test: GraphTest, *asks: Any) -> list[Any]:
    return await asyncio.gather(*(test.ask_async(*ask, **headers) for *ask, headers in asks))


def names(answers: list[Any]) -> list[str]:
    return [answer["data"]["user"]["name"] for answer in answers]


def test_equal_queries_under_way_are_one_execution() -> None:
    async def work(test: GraphTest) -> Any:
        return await at_once(test, *[(USER, {"id": 1}, {})] * 20)

    answers, calls = run({"GET /users/1": user()}, work)
    assert (names(answers), calls) == (["1"] * 20, ["GET /users/1"])


@pytest.mark.parametrize(
    "other",
    [
        (USER, {"id": 1}, {"authorization": "Bearer bob"}),
        (USER, {"id": 1}, {"x_tenant": "t2"}),
        (USER, {"id": 1}, {"cookie": "a=1", "authorization": "Bearer ada", "x_tenant": "t2"}),
    ],
)
@pytest.mark.parametrize("headers", [None, FRESH, {"cache-control": "private, max-age=60"}])
def test_other_credentials_share_nothing(other: Any, headers: Any) -> None:
    mine = (USER, {"id": 1}, {"authorization": "Bearer ada"})

    async def work(test: GraphTest) -> Any:
        first = await at_once(test, mine, other)
        return first, await at_once(test, other, mine)

    (first, then), _ = run({"GET /users/1": user(headers=headers)}, work)
    for answers, (one, two) in ((first, (mine, other)), (then, (other, mine))):
        for answer, (_, _, sent) in zip(answers, (one, two), strict=True):
            told = answer["data"]["user"]["name"].partition(" ")[2].strip()
            expected = (sent.get("authorization", ""), sent.get("x_tenant", ""))
            assert told == " ".join(expected).strip()


def test_other_variables_or_words_share_nothing() -> None:
    async def work(test: GraphTest) -> Any:
        return await at_once(
            test,
            (USER, {"id": 1}, {}),
            (USER, {"id": 2}, {}),
            (USER.replace("name", "n: name"), {"id": 1}, {}),
        )

    answers, calls = run({"GET /users/1": user(), "GET /users/2": user()}, work)
    assert [list(answer["data"]["user"]) for answer in answers] == [["name"], ["name"], ["n"]]
    assert sorted(calls) == ["GET /users/1", "GET /users/2"]  # keys are shared all the same


def test_each_is_told_errors_under_its_own_id() -> None:
    async def work(test: GraphTest) -> Any:
        both = "query ($id: Int!) { user(id: $id) { name points { total } } }"
        return await at_once(test, *[(both, {"id": 1}, {})] * 5)

    script = {"GET /users/1": user(), "GET /points/1": reply(status=500)}
    answers, calls = run(script, work)
    ids = {answer["errors"][0]["extensions"]["request_id"] for answer in answers}
    assert (len(ids), len(calls)) == (5, 2)
    assert all(answer["data"]["user"]["points"] is None for answer in answers)


def test_a_finished_answer_is_told_again_while_all_of_it_is_fresh() -> None:
    both = "query ($id: Int!) { user(id: $id) { id name points { total } } }"

    async def work(test: GraphTest) -> Any:
        told = [await test.ask_async(both, {"id": 1}) for _ in range(3)]
        executor = test._app._gateway().executor
        return told, len(executor.sharing._kept)

    points = reply({"total": 5}, headers=FRESH)
    (told, kept), calls = run({"GET /users/1": user(headers=FRESH), "GET /points/1": points}, work)
    assert (told[0], kept, len(calls)) == (told[2], 1, 2)
    # Of something that nobody calls fresh, nothing is kept.
    (told, kept), calls = run(
        {"GET /users/1": user(headers=FRESH), "GET /points/1": {"total": 1}}, work
    )
    assert (kept, calls) == (0, ["GET /users/1", *["GET /points/1"] * 3])


def test_who_asks_after_a_write_is_told_what_it_changed() -> None:
    async def work(test: GraphTest) -> Any:
        before = await test.ask_async(USER, {"id": 1})
        again = await test.ask_async(USER, {"id": 1})
        await test.ask_async('mutation { rename(id: 1, name: "x") { id } }')
        return names([before, again, await test.ask_async(USER, {"id": 1})])

    script = {"GET /users/1": user(headers=FRESH), "PUT /users/1": {"id": 1, "name": "x"}}
    found, _ = run(script, work)
    assert found == ["1", "1", "2"]


def test_sharing_can_be_turned_off() -> None:
    async def work(test: GraphTest) -> Any:
        assert test._app._gateway().executor.sharing is None
        return await at_once(test, *[(USER, {"id": 1}, {})] * 3)

    answers, calls = run({"GET /users/1": user()}, work, share="off")
    assert (names(answers), calls) == (["1"] * 3, ["GET /users/1"])  # a call is still a call


def test_who_explains_shares_nothing() -> None:
    async def work(test: GraphTest) -> Any:
        return await at_once(
            test, (USER, {"id": 1}, {}), (USER, {"id": 1}, {"x_plait_explain": "run"})
        )

    answers, _ = run({"GET /users/1": user()}, work)
    assert "extensions" not in answers[0]
    assert answers[1]["extensions"]["plait"]["run"]


def kept(*kinds: str) -> dict[str, int]:
    """How many objects of each kind there are; other tests may have left some."""
    counts = Counter(type(one).__name__ for one in gc.get_objects())
    return {kind: counts[kind] for kind in kinds}


def test_an_operation_leaves_nothing_to_the_collector() -> None:
    both = "query ($id: Int!) { user(id: $id) { id name points { total } } }"

    async def work(test: GraphTest) -> Any:
        ask = partial(test.ask_async, both, {"id": 1})
        await ask()
        gc.collect()
        gc.disable()
        try:
            before = kept("Direct", "Flight", "Fetching", "Asking", "Budget", "Reply", "Done")
            for _ in range(5):
                await asyncio.gather(ask(), ask())
            return before, kept(*before)
        finally:
            gc.enable()

    script = {"GET /users/1": user(), "GET /points/1": {"total": 1}}
    (before, after), _ = run(script, work)
    assert all(after[kind] <= count for kind, count in before.items())


# --- the store itself


def done(body: bytes = b"{}") -> Done:
    return Done(answer=whole(body), kind="query", calls=3)


def nobody(_: object) -> None:
    raise AssertionError("told")


def found(sharing: Sharing, key: str) -> Any:
    return sharing.find((key,), nobody)


def test_a_lead_tells_who_waits_and_keeps_what_is_fresh() -> None:
    async def main() -> None:
        clock = TestClock()
        sharing = Sharing(clock, bytes_max=10_000)
        assert found(sharing, "k") is None
        lead = sharing.lead(("k",), ["e"])
        waiting: list[Any] = []
        assert sharing.find(("k",), waiting.append) is lead
        lead.end(done(), clock.wall() + 10, None)
        assert waiting == []  # nobody is told in the middle of another's work
        await asyncio.sleep(0)
        (told,) = waiting
        assert isinstance(told, Done)
        assert told.calls == 0  # they were another's
        again = found(sharing, "k")
        assert isinstance(again, Done)
        assert (again.answer, again.calls) == (told.answer, 0)
        clock.advance(10)
        assert found(sharing, "k") is None

    asyncio.run(main())


def test_what_began_before_a_write_is_not_kept_and_not_joined() -> None:
    async def main() -> None:
        clock = TestClock()
        sharing = Sharing(clock, bytes_max=10_000)
        lead = sharing.lead(("k",), ["e"])
        sharing.written(["x"])
        assert found(sharing, "k") is None
        lead.end(done(), clock.wall() + 10, None)
        assert found(sharing, "k") is None
        sharing.lead(("k",), ["e"]).end(done(), clock.wall() + 10, None)
        sharing.lead(("l",), ["f"]).end(done(), clock.wall() + 10, None)
        sharing.written(["e"])
        assert found(sharing, "k") is None
        assert found(sharing, "l") is not None

    asyncio.run(main())


def test_who_leads_and_leaves_leaves_the_others_to_themselves() -> None:
    async def main() -> None:
        sharing = Sharing(TestClock(), bytes_max=10_000)
        lead = sharing.lead(("k",), ["e"])
        waiting: list[Any] = []
        assert sharing.find(("k",), waiting.append) is lead
        lead.end(None, 0.0, None)
        await asyncio.sleep(0)
        assert waiting == [None]
        assert found(sharing, "k") is None

    asyncio.run(main())


def test_answers_are_kept_up_to_a_size() -> None:
    clock = TestClock()
    sharing = Sharing(clock, bytes_max=2 * (ENTRY_BYTES + 101))
    for number in range(3):
        lead = sharing.lead((str(number),), ["e"])
        lead.end(done(b"x" * 100), clock.wall() + 10, None)
    assert [found(sharing, str(number)) is not None for number in range(3)] == [False, True, True]
    nothing = Sharing(clock, bytes_max=0)
    nothing.lead(("k",), ["e"]).end(done(), clock.wall() + 10, None)
    assert found(nothing, "k") is None


def test_the_setting_is_on_by_default() -> None:
    assert Settings.model_fields["share"].default == "on"
