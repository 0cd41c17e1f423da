"""Calls in flight are shared, and nothing else of one request reaches another."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from plait import Backend as PlaitBackend
from plait import by_ids
from plait.backend.cache import RowCache, open_store
from plait.backend.call import Call, Origin, Reply
from plait.backend.fetch import Fetcher, Fetching
from plait.backend.identity import endpoint_identity, server_identity
from plait.backend.keys import Keys
from plait.backend.loads import Fetched, LoadOutcome, LoadOutcomes
from plait.backend.spec import BackendSpec, Batch, CachePolicy, EndpointSpec
from plait.backend.template import PathTemplate
from plait.clock import SystemClock, TestClock
from plait.emit import Events
from plait.errors import BackendError, BackendTimeout
from tests.conftest import free_port, needs, running

B = BackendSpec(name="b", url="http://b")
GET = EndpointSpec(backend=B, method="GET", path=PathTemplate("/x/{id}"))
KEPT = EndpointSpec(
    backend=B, method="GET", path=PathTemplate("/x/{id}"), cache=CachePolicy(ttl_s=60)
)
PUT = EndpointSpec(backend=B, method="PUT", path=PathTemplate("/x/{id}"), reads=False)
ROW = b'{"id": 1}'


@dataclass
class Backend:
    """Answers when it is told to, in the order in which it was asked."""

    def __post_init__(self) -> None:
        self.url = "http://b"
        self.identity = server_identity("b", self.url, {})
        self.asked: list[asyncio.Future[Reply]] = []

    def begin(self, call: Call, then: object) -> None:
        """Nothing: every call waits."""

    async def call(self, call: Call) -> Reply:
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.asked) < count:  # noqa: ASYNC110  # turns of the loop, no time
                await asyncio.sleep(0)

    def answer(self, place: int, body: bytes = ROW) -> None:
        self.asked[place].set_result(Reply(status=200, headers={}, body=body))


class AtOnce(Backend):
    """As `Backend`, of calls that take no task."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.begun: list[Any] = []
        self.calls: list[Call] = []
        self.given_up: list[int] = []

    def begin(self, call: Call, then: Any) -> Any:
        place = len(self.begun)
        self.begun.append(then)
        self.calls.append(call)
        return lambda: self.given_up.append(place)


def fetcher(backend: Backend, cache: RowCache | None = None) -> Fetcher:
    return Fetcher(
        {"b": backend}, endpoints=[GET, KEPT], cache=cache, clock=SystemClock(), events=Events()
    )


def ask(
    made: Fetcher, *, endpoint: EndpointSpec = GET, id: int = 1, since: float = 0.0, **origin: Any
) -> "asyncio.Task[LoadOutcomes]":
    keys = keys_of(endpoint, id)
    return asyncio.create_task(made.fetch(keys, Origin(**origin), since=since))


def keys_of(endpoint: EndpointSpec, *ids: int) -> Keys:
    keys = Keys(endpoint)
    keys.add_column({}, "id", ids)
    return keys


def rows_of(outcomes: LoadOutcomes) -> list[Mapping[str, Any]]:
    assert all(isinstance(one, Fetched) for one in outcomes.values()), outcomes
    return [one.row for one in outcomes.values() if isinstance(one, Fetched)]


def only(outcomes: LoadOutcomes) -> LoadOutcome:
    (outcome,) = outcomes.values()
    return outcome


def row_of(outcomes: LoadOutcomes) -> Mapping[str, Any]:
    outcome = only(outcomes)
    assert isinstance(outcome, Fetched), outcome
    row: Mapping[str, Any] = outcome.row
    return row


def written(made: Fetcher) -> Any:
    return made.written(Call(endpoint=PUT, path="/x/1", method="PUT"), {"id": 1}, {})


def test_a_call_that_takes_no_task_is_given_up_and_joined_no_more() -> None:
    async def main() -> None:
        backend = AtOnce()
        made = fetcher(backend)
        first, second = ask(made), ask(made)
        await asyncio.sleep(0)
        for task, gone in ((first, []), (second, [0])):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert backend.given_up == gone  # when nobody waits for it any more
        assert list(made._coalescer) == []
        again = ask(made)
        await asyncio.sleep(0)
        assert len(backend.begun) == 2
        backend.begun[1](Reply(status=200, headers={}, body=ROW))
        assert row_of(await again) == {"id": 1}
        assert backend.given_up == [0]

    asyncio.run(main())


def test_equal_loads_share_a_call() -> None:
    async def main() -> None:
        backend = Backend()
        made = fetcher(backend)
        first, second = ask(made), ask(made)
        await backend.until(1)
        backend.answer(0)
        assert row_of(await first) == row_of(await second) == {"id": 1}
        assert len(backend.asked) == 1

    asyncio.run(main())


def test_one_requests_deadline_ends_its_own_waiting_alone() -> None:
    async def main() -> None:
        backend, clock = Backend(), SystemClock()
        made = fetcher(backend)
        short, long = ask(made, deadline=clock.now() + 0.05), ask(made)
        cut = only(await short)
        assert isinstance(cut, BackendTimeout)
        backend.answer(0)
        assert row_of(await long) == {"id": 1}

    asyncio.run(main())


def test_a_deadline_that_has_passed_asks_nobody() -> None:
    async def main() -> None:
        backend = Backend()
        outcome = only(await ask(fetcher(backend), deadline=SystemClock().now() - 1))
        assert isinstance(outcome, BackendTimeout)
        await asyncio.sleep(0.01)
        assert backend.asked == []

    asyncio.run(main())


def test_who_leaves_takes_the_call_along_only_as_the_last() -> None:
    async def main() -> None:
        backend = Backend()
        made = fetcher(backend)
        first, second = ask(made), ask(made)
        await backend.until(1)
        first.cancel()
        await asyncio.sleep(0)
        assert not backend.asked[0].cancelled()
        second.cancel()
        await asyncio.sleep(0.01)
        assert backend.asked[0].cancelled()

    asyncio.run(main())


def test_a_late_twin_is_not_failed_by_the_first_ones_clock() -> None:
    async def main() -> None:
        backend = Backend()
        made = fetcher(backend)
        first = ask(made)
        await backend.until(1)
        late = ask(made)
        await asyncio.sleep(0)
        error = BackendTimeout("too slow", backend="b", endpoint="GET /x/{id}")
        backend.asked[0].set_exception(error)
        await backend.until(2)
        backend.answer(1)
        failed = only(await first)
        assert isinstance(failed, BackendError)
        assert row_of(await late) == {"id": 1}

    asyncio.run(main())


def test_who_asks_after_a_write_does_not_join_what_was_asked_before() -> None:
    async def main() -> None:
        backend = Backend()
        made = fetcher(backend)
        before = ask(made)
        await backend.until(1)
        await written(made)
        after = ask(made)
        await backend.until(2)
        backend.answer(0, b'{"id": "old"}')
        backend.answer(1, b'{"id": "new"}')
        assert (row_of(await before), row_of(await after)) == ({"id": "old"}, {"id": "new"})

    asyncio.run(main())


def test_what_was_not_written_is_joined_as_before() -> None:
    async def main() -> None:
        backend = Backend()
        elsewhere = replace(GET, path=PathTemplate("/y/{id}"))
        made = Fetcher(
            {"b": backend},
            endpoints=[GET, elsewhere],
            cache=None,
            clock=SystemClock(),
            events=Events(),
        )
        asked = [(GET, 1), (GET, 2), (elsewhere, 1)]
        before = [ask(made, endpoint=endpoint, id=one) for endpoint, one in asked]
        await backend.until(3)
        await written(made)
        after = [ask(made, endpoint=endpoint, id=one) for endpoint, one in asked]
        await backend.until(4)
        await asyncio.sleep(0.01)
        assert len(backend.asked) == 4
        for place, body in enumerate((b'"old"', b'"two"', b'"elsewhere"', b'"new"')):
            backend.answer(place, body)
        assert [row_of(await one) for one in before] == ["old", "two", "elsewhere"]
        assert [row_of(await one) for one in after] == ["new", "two", "elsewhere"]

    asyncio.run(main())


def test_who_joins_a_refresh_and_leaves_does_not_end_it() -> None:
    async def main() -> None:
        backend, clock = Backend(), TestClock()
        policy = CachePolicy(ttl_s=1, stale_while_revalidate_s=10)
        endpoint = replace(GET, cache=policy)
        store = open_store(None, clock=clock, entries_max=9, bytes_max=9_999, timeout_s=1)
        cache = RowCache(store, clock=clock, events=Events())
        made = Fetcher(
            {"b": backend}, endpoints=[endpoint], cache=cache, clock=clock, events=Events()
        )
        first = ask(made, endpoint=endpoint)
        await backend.until(1)
        backend.answer(0)
        assert row_of(await first) == {"id": 1}
        clock.advance(5)
        assert row_of(await ask(made, endpoint=endpoint)) == {"id": 1}
        await backend.until(2)
        clock.advance(60)  # by now there is nothing to show but what the refresh brings
        left = ask(made, endpoint=endpoint)
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0.01)
        assert not backend.asked[1].cancelled()
        backend.answer(1, b'{"id": "new"}')
        await asyncio.sleep(0.01)
        assert row_of(await ask(made, endpoint=endpoint)) == {"id": "new"}
        assert len(backend.asked) == 2

    asyncio.run(main())


def test_who_wrote_something_does_not_join_any_call_from_before() -> None:
    async def main() -> None:
        backend = Backend()
        made = fetcher(backend)
        before = ask(made)
        await backend.until(1)
        after = ask(made, since=made.now())
        await backend.until(2)
        backend.answer(0)
        backend.answer(1, b'{"id": "new"}')
        assert row_of(await after) == {"id": "new"}
        await before

    asyncio.run(main())


def test_a_row_that_was_asked_for_before_a_write_is_not_kept_after_it() -> None:
    async def main() -> None:
        backend, clock = Backend(), SystemClock()
        store = open_store(None, clock=clock, entries_max=9, bytes_max=9_999, timeout_s=1)
        made = fetcher(backend, RowCache(store, clock=clock, events=Events()))
        before = ask(made, endpoint=KEPT)
        await backend.until(1)
        await written(made)
        backend.answer(0, b'{"id": "old"}')
        await before
        after = ask(made, endpoint=KEPT)
        await backend.until(2)
        backend.answer(1, b'{"id": "new"}')
        assert row_of(await after) == {"id": "new"}
        assert row_of(await ask(made, endpoint=KEPT)) == {"id": "new"}

    asyncio.run(main())


def test_a_write_through_one_gateway_is_seen_through_another(tmp_path: Any) -> None:
    async def main(url: str) -> None:
        backend, clock = Backend(), SystemClock()
        caches = [
            RowCache(
                open_store(url, clock=clock, entries_max=9, bytes_max=9_999, timeout_s=1),
                clock=clock,
                events=Events(),
            )
            for _ in range(2)
        ]
        one, other = (fetcher(backend, cache) for cache in caches)
        first = ask(one, endpoint=KEPT)
        await backend.until(1)
        backend.answer(0, b'{"id": "old"}')
        await first
        assert row_of(await ask(other, endpoint=KEPT)) == {"id": "old"}
        await written(one)
        after = ask(other, endpoint=KEPT)
        await backend.until(2)
        backend.answer(1, b'{"id": "new"}')
        assert row_of(await after) == {"id": "new"}
        for cache in caches:
            await cache.close()

    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with running([needs("redis-server"), *options], port):
        asyncio.run(main(f"redis://127.0.0.1:{port}/0"))


def test_another_place_or_other_fixed_headers_are_another_backend() -> None:
    identities = {
        server_identity("b", "http://b", {}),
        server_identity("b", "http://c", {}),
        server_identity("b", "http://b", {"authorization": "x"}),
    }
    assert len(identities) == 3
    of_each = {endpoint_identity(GET, server) for server in identities}
    assert len(of_each) == 3
    assert endpoint_identity(GET, "s") == endpoint_identity(replace(GET), "s")


class Leaving(Backend):
    """Its calls leave at once, and end at once when they are given up."""

    def begin(self, call: Call, then: object) -> Any:
        """A call that is not answered."""
        return lambda: None


def test_what_is_not_there_at_the_deadline_did_not_answer_in_time() -> None:
    async def main() -> None:
        for backend in (Backend(), Leaving()):
            made = fetcher(backend)
            outcome = only(await ask(made, deadline=SystemClock().now() + 0.02))
            assert isinstance(outcome, BackendTimeout)
            await made.close()

    asyncio.run(main())


BATCH = Batch(
    path=PathTemplate("/x"),
    method="GET",
    ids="id",
    place="repeated",
    keys={"id": ("id",)},
    many=False,
)
MANY = replace(GET, batch=BATCH)


def test_some_join_several_calls_and_the_rest_is_asked_for() -> None:
    async def main() -> None:
        backend = Backend()
        made = fetcher(backend)
        first, second = ask(made, endpoint=MANY, id=1), ask(made, endpoint=MANY, id=2)
        await backend.until(2)
        both = asyncio.create_task(made.fetch(keys_of(MANY, 1, 2), Origin()))
        third = asyncio.create_task(made.fetch(keys_of(MANY, 1, 2, 3), Origin()))
        await backend.until(3)
        for place in (1, 0, 2):
            backend.answer(place, b'{"id": %d}' % (place + 1))
        ids = [[row["id"] for row in rows_of(await one)] for one in (third, both, first, second)]
        assert ids == [[1, 2, 3], [1, 2], [1], [2]]
        assert len(backend.asked) == 3

    asyncio.run(main())


def test_of_several_calls_only_what_broke_off_is_asked_for_anew() -> None:
    async def main() -> None:
        backend = Backend()
        made = fetcher(backend)
        first, second = ask(made, endpoint=MANY, id=1), ask(made, endpoint=MANY, id=2)
        await backend.until(2)
        both = asyncio.create_task(made.fetch(keys_of(MANY, 1, 2), Origin()))
        await asyncio.sleep(0)
        backend.answer(0, b'{"id": 1}')
        backend.asked[1].set_exception(BackendTimeout("m", backend="b", endpoint="e"))
        await backend.until(3)
        backend.answer(2, b'{"id": 2}')
        assert [row["id"] for row in rows_of(await both)] == [1, 2]
        assert isinstance(only(await second), BackendTimeout)
        assert row_of(await first) == {"id": 1}
        assert len(backend.asked) == 3

    asyncio.run(main())


def test_what_broke_off_is_no_outcome_while_others_are_awaited() -> None:
    async def main() -> None:
        backend = Backend()
        made = fetcher(backend)
        first = ask(made, endpoint=MANY, id=1)
        await backend.until(1)
        over: list[bool] = []
        inquiry = made.inquiry(keys_of(MANY, 1, 2), Origin())
        fetching = Fetching(made, inquiry, then=lambda: over.append(True))
        keys = fetching.keys
        fetching.begin()
        await backend.until(2)
        backend.asked[0].set_exception(BackendTimeout("m", backend="b", endpoint="e"))
        await first
        assert [fetching.has(key) for key in keys] == [False, False]
        backend.answer(1, b'{"id": 2}')
        await backend.until(3)
        assert ([fetching.has(key) for key in keys], over) == ([False, True], [])
        backend.answer(2)
        while not over:  # noqa: ASYNC110  # turns of the loop, no time
            await asyncio.sleep(0)
        assert [fetching.has(key) for key in keys] == [True, True]
        assert [row["id"] for row in rows_of({key: fetching.outcome(key) for key in keys})] == [
            1,
            2,
        ]
        fetching.leave()

    asyncio.run(main())


TEAMS = PlaitBackend("b", "http://b").get("/{team}/rows/{id}", batch=by_ids("/{team}/rows"))


JOINED = PlaitBackend("b", "http://b").get("/rows/{id}", batch=by_ids("/rows", joined=True))


def test_keys_that_cannot_go_with_others_go_alone() -> None:
    async def main() -> list[tuple[str, str]]:
        backend = AtOnce()
        keys = Keys(JOINED.spec)
        for id in ("1", "2,3", "4"):
            keys.add({"id": id})
        task = asyncio.create_task(fetcher(backend).fetch(keys, Origin()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [(call.path, call.query) for call in backend.calls]

    assert asyncio.run(main()) == [("/rows/2%2C3", ""), ("/rows", "id=1%2C4")]


def test_keys_go_together_that_share_all_but_what_tells_them_apart() -> None:
    async def main() -> list[tuple[str, str]]:
        backend = AtOnce()
        keys = Keys(TEAMS.spec)
        for team, ids in (("a", (1, 3, 5, 6, 7)), ("b", (2, 4))):
            for id in ids:
                keys.add({"team": team, "id": id})
        task = asyncio.create_task(fetcher(backend).fetch(keys, Origin()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [(call.path, call.query) for call in backend.calls]

    assert asyncio.run(main()) == [
        ("/a/rows", "id=1&id=3&id=5&id=6&id=7"),
        ("/b/rows", "id=2&id=4"),
    ]
