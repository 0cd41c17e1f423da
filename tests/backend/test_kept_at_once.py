"""What one reply brings is kept without a task where the cache is in this process: the same rows,
under the same keys, for as long, as by the task that reads all else."""

import asyncio
from typing import Any

import pytest

from plait import Backend, by_ids, cursor_pages, grouped
from plait.backend.ask import Asker
from plait.backend.asking import Asking
from plait.backend.cache import RowCache, open_store
from plait.backend.call import Call, Origin, Reply
from plait.backend.flight import Flight
from plait.backend.identity import row_key
from plait.backend.keep import Keeper
from plait.backend.keys import Keys
from plait.backend.loads import Fetched
from plait.backend.numbers import decode, encode
from plait.backend.spec import EndpointSpec
from plait.clock import TestClock
from plait.emit import Events
from plait.events import Event

b = Backend("b", "http://b.test")
ONE = b.get("/rows/{id}", batch=by_ids("/rows", ids="ids", joined=True)).spec
MANY = b.get("/owners/{id}/rows", batch=grouped("/rows", ids="owner", key="owner")).spec
WRAPPED = b.get(
    "/rows/{id}", batch=by_ids("/rows", ids="ids", unwrap="data.rows"), unwrap="data"
).spec
PAGES = b.get("/pages/{id}", pages=cursor_pages(items="data", next="next")).spec
REFUSING = b.get("/rows/{id}", failed_when="error", batch=by_ids("/rows", ids="ids")).spec
WRAPPED_MANY = b.get(
    "/owners/{id}/rows", unwrap="data", batch=grouped("/rows", ids="owner", key="owner")
).spec
SCOPE = (("authorization", "a"),)


class Server:
    """A backend that answers at once, or in a task."""

    url = "http://b.test"
    identity = "s"

    def __init__(self, reply: Reply, *, at_once: bool) -> None:
        self.reply = reply
        self.at_once = at_once

    def begin(self, call: Call, then: Any) -> Any:
        if not self.at_once:
            return None
        then(self.reply)
        return lambda: None

    async def call(self, call: Call) -> Reply:
        return self.reply


def brought(
    endpoint: EndpointSpec, reply: Reply, *ids: Any, at_once: bool, scope: Any = ()
) -> dict[str, Any]:
    """All that can be seen of it."""
    clock = TestClock()
    events: list[Event] = []

    async def main() -> dict[str, Any]:
        store = open_store("memory://", clock=clock, entries_max=99, bytes_max=99_000, timeout_s=1)
        cache = RowCache(store, clock=clock, events=Events())
        keeper = Keeper(cache, clock)
        asker = Asker(keeper, clock=clock, events=Events(events.append))
        keys = Keys(endpoint)
        asked = [keys.add({"id": one}) for one in ids]
        family = ("e", scope)
        server = Server(reply, at_once=at_once)
        asking = Asking(keys=keys, server=server, origin=Origin(), family=family)
        flight = Flight(family, asked, clock.wall() - 1)
        over = asyncio.Event()
        flight.then(over.set)
        asker.begin(asking, flight)
        if at_once and endpoint.body_is_all and "link" not in reply.headers:
            assert flight.is_over
            assert not asker._tasks
        await asyncio.wait_for(over.wait() if not flight.is_over else asyncio.sleep(0), 5)
        assert flight.brought is not None
        found = flight.brought
        kept = await keeper.read(endpoint, [row_key(family, key) for key in asked], 0.0)
        if at_once:
            assert {entry.asked_at for entry in kept.values()} <= {flight.asked_at}
        return {
            "outcomes": {
                key: (one.row, one.status) if isinstance(one, Fetched) else (one.code, str(one))
                for key, one in found.outcomes().items()
            },
            "body": found.body,
            "is_batch": found.is_batch and found.body is not None,
            "fresh_until": found.fresh_until,
            "kept": {
                key: (
                    encode(decode(entry.row)),
                    entry.fresh_until,
                    entry.revalidate_until,
                    entry.error_until,
                    entry.etag,
                    entry.last_modified,
                )
                for key, entry in kept.items()
            },
            "events": events,
        }

    return asyncio.run(main())


AGE = {"cache-control": "max-age=60, stale-if-error=9", "etag": '"e"', "last-modified": "x"}
LATIN = {"content-type": "application/json; charset=latin-1"}
CASES: list[tuple[str, EndpointSpec, bytes, dict[str, str], tuple[Any, ...]]] = [
    ("one", ONE, b' {"id": 1, "price": 19.10} ', AGE, (1,)),
    ("one", ONE, b'{"id": 1, "price": 19.10}', AGE, (1,)),
    ("a batch", ONE, b'[{"id": 2, "price": 1.50}, {"id": 1, "b": "\\u00e9"}]', AGE, (1, 2)),
    ("one is missing", ONE, b'[{"id": 2}]', AGE, (1, 2)),
    ("with holes", ONE, b'[null, {"id": 2}]', AGE, (1, 2)),
    ("rows that differ", ONE, b'[{"id": 1}, {"id": 1, "a": 2}, {"id": 2}]', AGE, (1, 2)),
    ("rows that say the same", ONE, b'[{"id": 1}, {"id": 1}, {"id": 2}]', AGE, (1, 2)),
    ("rows that nobody asked for", ONE, b'[{"id": 1}, {"id": 9}]', AGE, (1, 2)),
    ("none that was asked for", ONE, b'[{"id": 8}, {"id": 9}]', AGE, (1, 2)),
    ("a row without a key", ONE, b'[{"id": 1}, {"a": 9}]', AGE, (1, 2)),
    ("ids as texts", ONE, b'[{"id": "1"}, {"id": 2}]', AGE, (1, 2)),
    ("no list", ONE, b'{"id": 1}', AGE, (1, 2)),
    ("no JSON", ONE, b'[{"id": 1}, {', AGE, (1, 2)),
    ("no text", ONE, b'[{"id": 1, "a": "\xff"}]', AGE, (1, 2)),
    ("half a character", ONE, b'{"id": 1, "a": "\\ud800"}', AGE, (1,)),
    ("null", ONE, b"null", AGE, (1,)),
    ("Latin-1", ONE, '{"id": 1, "a": "é"}'.encode("latin-1"), {**AGE, **LATIN}, (1,)),
    ("a batch in UTF-16", ONE, '[{"id": 1}, {"id": 2}]'.encode("utf-16"), AGE, (1, 2)),
    ("groups", MANY, b'[{"owner": 1, "n": 1.0}, {"owner": 2}, {"owner": 1}]', AGE, (1, 2, 3)),
    ("a group alone", MANY, b'[{"n": 1.10}, {"n": 2}]', AGE, (1,)),
    ("no rows", MANY, b"[]", AGE, (1, 2)),
    ("wrapped", WRAPPED, b'{"data": {"rows": [{"id": 1}, {"id": 2, "n": 1.10}]}}', AGE, (1, 2)),
    ("one wrapped", WRAPPED, b'{"data": {"id": 1}}', AGE, (1,)),
    ("not wrapped", WRAPPED, b'{"id": 1}', AGE, (1,)),
    ("a page", PAGES, b'{"data": [{"id": 1}], "next": null}', AGE, (1,)),
    ("a failure that says so", REFUSING, b'{"error": "e"}', AGE, (1,)),
    ("a success where failures say so", REFUSING, b'{"id": 1}', AGE, (1,)),
    ("not to be kept", ONE, b'{"id": 1}', {"cache-control": "no-store"}, (1,)),
    ("an end", ONE, b'{"id": 1}', {"expires": "Fri, 01 Jan 2100 00:00:00 GMT"}, (1,)),
    ("a validator", ONE, b'{"id": 1}', {"etag": '"e"'}, (1,)),
    ("a date", ONE, b'{"id": 1}', {"last-modified": "Sat, 01 Jan 2000 00:00:00 GMT"}, (1,)),
    ("nobody says so", ONE, b'{"id": 1}', {}, (1,)),
    ("private", ONE, b'{"id": 1}', {"cache-control": "private, max-age=9"}, (1,)),
    ("further pages", ONE, b'{"id": 1}', {**AGE, "link": '</x>; rel="prev"'}, (1,)),
]  # fmt: skip


@pytest.mark.parametrize("scope", [(), SCOPE], ids=["for all", "for one"])
@pytest.mark.parametrize(
    ("endpoint", "body", "headers", "ids"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_what_is_kept_at_once_is_what_a_task_keeps(
    endpoint: EndpointSpec, body: bytes, headers: dict[str, str], ids: tuple[Any, ...], scope: Any
) -> None:
    reply = Reply(status=200, headers=headers, body=body)
    here = brought(endpoint, reply, *ids, at_once=True, scope=scope)
    there = brought(endpoint, reply, *ids, at_once=False, scope=scope)
    assert here == there


def begun(server: Server, *ids: int, endpoint: EndpointSpec = ONE) -> tuple[Flight, list[bytes]]:
    """Its flight, and what is kept of it."""

    async def main() -> tuple[Flight, list[bytes]]:
        clock = TestClock()
        store = open_store("memory://", clock=clock, entries_max=99, bytes_max=99_000, timeout_s=1)
        keeper = Keeper(RowCache(store, clock=clock, events=Events()), clock)
        keys = Keys(endpoint)
        asked = [keys.add({"id": one}) for one in ids]
        family = ("e", ())
        asking = Asking(keys=keys, server=server, origin=Origin(), family=family)
        flight = Flight(family, asked, clock.wall())
        over = asyncio.Event()
        flight.then(over.set)
        Asker(keeper, clock=clock, events=Events()).begin(asking, flight)
        await asyncio.wait_for(over.wait(), 5)
        kept = await keeper.read(endpoint, [row_key(family, key) for key in asked], 0.0)
        return flight, [entry.row for entry in kept.values()]

    return asyncio.run(main())


def test_a_row_is_kept_as_it_came() -> None:
    """Cut out of the reply: nothing is written anew."""
    body = b'[{ "id" : 1 }, {"id":2, "price":19.10}]'
    server = Server(Reply(status=200, headers=AGE, body=body), at_once=True)
    assert begun(server, 1, 2)[1] == [b'{ "id" : 1 }', b'{"id":2, "price":19.10}']


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    ("endpoint", "ids", "body", "rows"),
    [
        (
            ONE,
            (1, 2),
            b'[{ "id" : 1 }, {"id":2, "n":1.0}]',
            [b'{ "id" : 1 }', b'{"id":2, "n":1.0}'],
        ),
        (ONE, (1, 3), b'[{ "id" : 1 }]', [b'{ "id" : 1 }', b"null"]),
        (ONE, (1,), b'{ "id" : 1 }', [b'{ "id" : 1 }']),
        (
            WRAPPED,
            (1, 2),
            b'{"x": [{}], "data": {"rows": [{"id":2 }, {"id": 1}], "rows2": 1}}',
            [b'{"id": 1}', b'{"id":2 }'],
        ),
        (WRAPPED, (1,), b'{"data": { "id": 1 } }', [b'{ "id": 1 }']),
        (WRAPPED, (1,), b'{"data": null }', [b"null"]),
        (
            MANY,
            (1, 2),
            b'[{"owner":1, "a":1},{"owner":1 }]',
            [b'[{"owner":1, "a":1},{"owner":1 }]', b"[]"],
        ),
        (REFUSING, (1, 2), b'[{ "id" : 1 }, { "id":2}]', [b'{ "id" : 1 }', b'{ "id":2}']),
        (WRAPPED_MANY, (1,), b'{"data": null }', [b"[]"]),
        (PAGES, (1,), b'{"data": [ 1 ]}', [b'{"body":{"data":[1]},"headers":{}}']),
    ],
)
def test_rows_are_cut_out_of_what_came(
    endpoint: EndpointSpec, ids: Any, body: bytes, rows: list[bytes], at_once: bool
) -> None:
    """Wherever they stand in it, and by whichever way they are kept: nothing is written anew."""
    server = Server(Reply(status=200, headers=AGE, body=body), at_once=at_once)
    assert begun(server, *ids, endpoint=endpoint)[1] == rows


def test_what_came_in_several_pages_is_kept_as_one_list() -> None:
    class Pages(Server):
        async def call(self, call: Call) -> Reply:
            link = {} if call.query else {"link": f'<{self.url}/owners/1/rows?p=2>; rel="next"'}
            body = b"[ 2 ]" if call.query else b"[ 1 ]"
            return Reply(status=200, headers={**AGE, **link}, body=body)

    server = Pages(Reply(status=200, headers={}, body=b""), at_once=False)
    assert begun(server, 1, endpoint=MANY)[1] == [b"[1,2]"]


@pytest.mark.sources
@pytest.mark.parametrize("broken", [(Keeper, "store_here"), (Server, "begin")])
def test_a_defect_ends_its_flight(
    broken: tuple[type, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(*broken, raising)
    server = Server(Reply(status=200, headers=AGE, body=b'{"id": 1}'), at_once=True)
    flight, kept = begun(server, 1)
    assert flight.is_over
    assert isinstance(flight.defect, ZeroDivisionError)
    assert kept == []
