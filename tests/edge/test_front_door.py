"""What may come in: every request that could stop or bloat the gateway has a bound, and says which.

Bounds are counted in objects, bytes, calls and turns of the loop, not in seconds: how long it takes
is measured by `python -m bench.front_door`.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NewType, cast

import httpx
import pytest
import strawberry
from graphql import ExecutionResult, parse
from strawberry.extensions import SchemaExtension
from strawberry.scalars import JSON as JsonScalar
from strawberry.schema.config import StrawberryConfig

from plait import Backend, Graph, arg, by_ids, this, write_together
from plait.clock import Pace, Turns
from plait.events import FieldFailed, RequestFinished
from plait.settings import Settings
from tests.conftest import ROOT, Asker, Wire, free_port, gateway, running

people = Backend("people", "http://people.test")
get_person = people.get("/people/{id}", batch=by_ids("/people", size=100))
get_file = people.get("/files/{path:path}")
write_note = people.post("/notes")


class Money:
    def __repr__(self) -> str:
        return "Money(secret='hunter2')"


Amount = NewType("Amount", object)
AMOUNT = strawberry.scalar(name="Amount", serialize=lambda value: value, parse_value=str)


@strawberry.type
class Person:
    id: strawberry.ID
    friends: list["Person"] = get_person.many(id=this.friendIds)

    @strawberry.field
    def wealth(self) -> Amount | None:
        return Amount(Money())


@strawberry.type
class File:
    size: int


@strawberry.input
class Note:
    text: str


@strawberry.type
class Query:
    person: Person | None = get_person(id=arg(strawberry.ID))
    people: list[Person | None] = get_person.many(id=arg(list[strawberry.ID], name="ids"))
    file: File | None = get_file(path=arg(str))

    @strawberry.field
    def echo(self, value: JsonScalar) -> str:
        return "read"

    @strawberry.field
    def numbers(self, count: int) -> list[int]:
        return list(range(count))

    @strawberry.field
    async def slow(self) -> str:
        await asyncio.sleep(30)
        return "never"


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def notes(self, info: strawberry.Info, count: int) -> list[str]:
        made = await write_together(info, *(write_note(body={"n": n}) for n in range(count)))
        return [type(one).__name__ for one in made]

    @strawberry.mutation
    def note(self, note: Note) -> str:
        return note.text


config = StrawberryConfig(scalar_map={Amount: AMOUNT})
graph = Graph(query=Query, mutation=Mutation, config=config)
extended = Graph(query=Query, mutation=Mutation, config=config, extensions=[SchemaExtension])

GRAPHS = pytest.mark.parametrize("served", [graph, extended], ids=["plain", "with extensions"])


def answer(request: httpx.Request) -> httpx.Response:
    if request.method == "POST":
        return httpx.Response(201, json={})
    ids = request.url.params.get_list("id")
    rows = [{"id": id, "friendIds": list(range(10))} for id in ids or [request.url.path[8:]]]
    return httpx.Response(200, json=rows if ids else rows[0])


def asked(
    query: str, variables: Any = None, *, served: Graph = graph, **settings: Any
) -> tuple[dict[str, Any], Wire, Asker]:
    """The answer of a gateway with the default limits, but for `settings`."""
    wire = Wire(answer)

    async def main() -> tuple[dict[str, Any], Asker]:
        limits = Settings(ledger_path=Path(":memory:"), **settings)
        async with gateway(served, {"people": wire}, settings=limits) as ask:
            return await ask(query, variables), ask

    found, ask = asyncio.run(main())
    return found, wire, ask


def error_of(found: dict[str, Any]) -> dict[str, Any]:
    """The one error's extensions, without what differs from request to request."""
    (error,) = found["errors"]
    return {name: one for name, one in error["extensions"].items() if name != "request_id"}


CYCLE = "{ person(id: 1) {" + "friends {" * 8 + "id" + "}" * 8 + "} }"


@GRAPHS
def test_an_answer_holds_no_more_objects_than_the_limit(served: Graph) -> None:
    found, wire, _ = asked(CYCLE, served=served)
    assert found["data"] is None
    assert error_of(found) == {
        "code": "OPERATION_TOO_COSTLY",
        "limit": "answer_objects_max",
        "value": 10_000,
    }
    assert len(wire.calls) <= 3


@GRAPHS
def test_the_limit_counts_list_items_and_objects_once(served: Graph) -> None:
    query = "{ numbers(count: 99) }"
    # The root is an object too.
    assert "errors" not in asked(query, served=served, answer_objects_max=100)[0]
    assert error_of(asked(query, served=served, answer_objects_max=99)[0])["value"] == 99
    people = "{ people(ids: [1, 2, 3]) { id } }"
    assert "errors" not in asked(people, served=served, answer_objects_max=4)[0]
    assert asked(people, served=served, answer_objects_max=3)[0]["data"] is None


@GRAPHS
def test_an_answer_has_no_more_bytes_than_the_limit(served: Graph) -> None:
    name = "a" * 150
    query = f"{{ people(ids: {list(range(100))}) {{ {name}: id }} }}"
    assert "errors" not in asked(query, served=served, answer_bytes_max=20_000)[0]
    error = error_of(asked(query, served=served, answer_bytes_max=10_000)[0])
    assert error == {"code": "OPERATION_TOO_COSTLY", "limit": "answer_bytes_max", "value": 10_000}


def test_an_operation_ends_at_its_time_and_says_so() -> None:
    start = time.monotonic()
    found, _, _ = asked("{ slow }", request_timeout_s=0.2)
    assert time.monotonic() - start < 10
    assert error_of(found)["code"] == "REQUEST_TIMEOUT"
    assert error_of(found)["value"] == 0.2


def test_others_are_let_in_while_rows_become_objects() -> None:
    """Counted in turns of the loop: with turns of no length, one for each item and field."""

    async def main() -> tuple[int, Any]:
        turns = 0

        async def neighbour() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        text = "{ numbers(count: 200) echo(value: 1) }"
        task = asyncio.create_task(neighbour())
        running = graph.execute(
            text,
            parse(text),
            variables=None,
            operation_name=None,
            context=SimpleNamespace(pace=Pace(Turns(turn_s=0))),
        )
        result = await cast(Awaitable[ExecutionResult], running)
        task.cancel()
        return turns, result.data

    turns, data = asyncio.run(main())
    assert data == {"numbers": list(range(200)), "echo": "read"}
    assert turns > 200


def test_those_that_wait_for_their_turn_are_woken_a_few_at_a_time() -> None:
    async def main() -> int:
        pace, most, awake = Pace(), 0, 0

        async def work() -> None:
            nonlocal awake
            await pace.breathe()
            awake += 1

        tasks = [asyncio.create_task(work()) for _ in range(2_000)]
        await asyncio.sleep(0)
        while not all(task.done() for task in tasks):
            before = awake
            await asyncio.sleep(0)
            most = max(most, awake - before)
        return most

    assert asyncio.run(main()) <= 256


def test_a_small_operation_does_not_stand_behind_all_of_a_large_one() -> None:
    async def main() -> int:
        turns = Turns()
        large, small, done = Pace(turns), Pace(turns), 0

        async def work() -> None:
            nonlocal done
            await large.breathe()
            done += 1

        tasks = [asyncio.create_task(work()) for _ in range(2_000)]
        await asyncio.sleep(0)
        await small.breathe()
        before = done
        await asyncio.gather(*tasks)
        return before

    assert asyncio.run(main()) <= 256


MANY = "query ($i: [ID!]!) { people(ids: $i) { id } }"
DEEP = "query ($v: JSON!) { echo(value: $v) }"
TOO_LARGE: dict[str, tuple[str, Any, str | None]] = {
    "list literal": ("{ people(ids: [" + "1 " * 2_001 + "]) { id } }", None, None),
    "list variable": (MANY, {"i": [1] * 2_001}, "request_list_items_max"),
    "characters": ("{ echo(value: 1) }" + " " * 100_000, None, None),
    "name": ("{ " + "a" * 201 + ": __typename }", None, None),
    "deep literal": ("{ echo(value: " + "[" * 52 + "]" * 52 + ") }", None, None),
    "deep variable": (DEEP, {"v": json.loads("[" * 60 + "]" * 60)}, "value_depth"),
    "fields": ("{ " + " ".join(f"a{n}: __typename" for n in range(2_001)) + " }", None, None),
}


@pytest.mark.parametrize(("query", "variables", "limit"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_too_large_is_refused_before_anything_is_asked(
    query: str, variables: Any, limit: str | None
) -> None:
    found, wire, _ = asked(query, variables, document_tokens_max=20_000)
    error = error_of(found)
    assert error["code"] == "OPERATION_TOO_COSTLY"
    assert error.get("limit") == limit
    assert "data" not in found
    assert wire.calls == []
    assert len(json.dumps(found)) < 1_000


def test_a_value_as_deep_as_allowed_is_taken() -> None:
    deep = json.loads("[" * 48 + "]" * 48)
    found, _, _ = asked("query ($v: JSON!) { echo(value: $v) }", {"v": deep})
    assert found == {"data": {"echo": "read"}}


def test_keys_of_one_operation_are_limited_across_fields() -> None:
    query = "{ a: people(ids: [1, 2]) { id } b: person(id: 3) { id } c: person(id: 1) { id } }"
    found, _, _ = asked(query, request_keys_max=2)
    assert found["data"] == {"a": [{"id": "1"}, {"id": "2"}], "b": None, "c": {"id": "1"}}
    assert error_of(found)["limit"] == "request_keys_max"


def test_calls_that_leave_are_limited_and_those_that_do_not_are_not_counted() -> None:
    files = "{ " + " ".join(f'f{n}: file(path: "{n}") {{ size }}' for n in range(3)) + " }"
    found, wire, _ = asked(files, request_calls_max=2)
    assert {one["extensions"].get("limit") for one in found["errors"]} == {"request_calls_max"}
    assert wire.calls == []  # they would have left together
    same = "{ a: person(id: 1) { id } b: person(id: 1) { id } c: people(ids: [1]) { id } }"
    assert "errors" not in asked(same, request_calls_max=1)[0]


def test_writes_count_as_calls_and_are_refused_before_any_of_them_leaves() -> None:
    found, wire, ask = asked("mutation { notes(count: 4) }", request_calls_max=3)
    assert error_of(found)["limit"] == "request_calls_max"
    assert wire.calls == []
    found, wire, ask = asked("mutation { notes(count: 3) }", request_calls_max=3)
    assert found["data"] == {"notes": ["Succeeded"] * 3}
    (event,) = [one for one in ask.events if isinstance(one, RequestFinished)]
    assert event.calls == 3


def test_what_an_error_repeats_of_the_request_is_cut() -> None:
    unknown = " ".join(f"u{n}: 1" for n in range(30))
    found, _, _ = asked(f'mutation {{ note(note: {{ {unknown} text: "{"x" * 90_000}" }}) }}')
    assert {one["extensions"]["code"] for one in found["errors"]} == {"GRAPHQL_VALIDATION_FAILED"}
    assert all(len(one["message"]) < 600 for one in found["errors"])
    assert len(json.dumps(found)) < 20_000
    found, _, _ = asked("query ($n: Int!) { numbers(count: $n) }", {"n": "y" * 100_000})
    assert error_of(found)["code"] == "BAD_USER_INPUT"
    assert len(json.dumps(found)) < 1_000


def test_all_errors_together_are_bounded_in_number_and_bytes() -> None:
    name = "a" * 190
    query = "{ " + " ".join(f'{name}{n}: person(id: "..") {{ id }}' for n in range(180)) + " }"
    found, _, _ = asked(query)
    assert len(found["errors"]) <= 101
    assert "more errors are not listed" in found["errors"][-1]["message"]
    assert len(json.dumps(found["errors"])) < 110_000


def test_the_place_of_an_error_is_its_line_and_column() -> None:
    found, _, _ = asked('{\r\n  a: __typename\n\r  person(id: "..") { id }\n}')
    assert found["errors"][0]["locations"] == [{"line": 4, "column": 3}]
    found, _, _ = asked("{\n  nope\n}")
    assert found["errors"][0]["locations"] == [{"line": 2, "column": 3}]


@GRAPHS
def test_many_equal_fields_are_valid(served: Graph) -> None:
    found, _, _ = asked("{ " + "person(id: 1) { id } " * 200 + "}", served=served)
    assert found == {"data": {"person": {"id": "1"}}}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ persn(id: 1) { id } }", None),
        ("{ person(i: 1) { id } }", None),
        ("{ ... on Persn { id } }", None),
        ("mutation { note(note: {txt: 1}) }", None),
        ("mutation ($n: Note!) { note(note: $n) }", {"n": {"txt": 1}}),
    ],
)
@GRAPHS
def test_with_introspection_off_no_error_suggests_a_name(
    served: Graph, query: str, variables: Any
) -> None:
    found, _, _ = asked(query, variables, served=served, introspection=False)
    assert found["errors"]
    assert "Did you mean" not in str(found)


def test_introspection_that_is_off_has_a_code_of_its_own() -> None:
    for query in (
        "{ __schema { types { name } } }",
        '{ ...F } fragment F on Query { __type(name: "A") { name } }',
    ):
        assert error_of(asked(query, introspection=False)[0])["code"] == "INTROSPECTION_DISABLED"
    assert "errors" not in asked("{ __typename }", introspection=False)[0]


@pytest.mark.parametrize(
    "id", ["7/private", "7\\private", "a/../b", "..", "%2e%2e/x", "", "a\x00b"]
)
def test_an_id_is_one_segment_of_a_path(id: str) -> None:
    found, wire, _ = asked("query ($id: ID!) { person(id: $id) { id } }", {"id": id})
    assert error_of(found)["code"] == "BAD_USER_INPUT"
    assert wire.calls == []


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("a/b c/d", "GET /files/a/b%20c/d"),
        ("a", "GET /files/a"),
        ("a/../b", None),
        ("../b", None),
        ("a//b", None),
        ("/a", None),
        ("a/./b", None),
        ("a\\b", None),
        ("a/%2e%2e/b", None),
    ],
)
def test_a_path_parameter_may_hold_segments_and_none_of_them_climbs(
    path: str, call: str | None
) -> None:
    found, wire, _ = asked("query ($p: String!) { file(path: $p) { size } }", {"p": path})
    if call is None:
        assert error_of(found)["code"] == "BAD_USER_INPUT"
        assert wire.calls == []
    else:
        assert wire.calls == [call]


@GRAPHS
def test_a_scalar_that_returns_an_object_is_masked_and_logged(served: Graph) -> None:
    found, _, ask = asked("{ person(id: 1) { id wealth } }", served=served)
    assert found["data"] == {"person": {"id": "1", "wealth": None}}
    assert error_of(found)["code"] == "INTERNAL_ERROR"
    assert "hunter2" not in str(found)
    assert [one.path for one in ask.events if isinstance(one, FieldFailed)] == ["person.wealth"]


def send(method: str, url: str, **more: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        async with gateway(graph, {"people": Wire(answer)}) as ask:
            return await ask.client.request(method, url, **more)

    return asyncio.run(main())


def test_the_path_may_end_in_a_slash() -> None:
    body = {"query": "{ __typename }"}
    assert send("POST", "/graphql/", json=body).json() == {"data": {"__typename": "Query"}}
    assert send("POST", "/graphql/other", json=body).status_code == 404


def test_apollos_persisted_queries_are_told_to_send_the_text() -> None:
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "ab"}}
    post = send("POST", "/graphql", json={"extensions": extensions})
    get = send("GET", "/graphql", params={"extensions": json.dumps(extensions)})
    for found in (post, get):
        assert found.status_code == 200
        (error,) = found.json()["errors"]
        assert error["message"] == "PersistedQueryNotSupported"
        assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert send("POST", "/graphql", json={}).status_code == 400


# --- on a real socket: what is still arriving


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    found = free_port()
    command = [sys.executable, "-m", "plait", "serve", "tests.edge.test_front_door:graph"]
    settings = {
        "PLAIT_LEDGER_PATH": ":memory:",
        "PLAIT_LOG_LEVEL": "error",
        "PLAIT_ARRIVAL_TIMEOUT_S": "1",
    }
    with running([*command, "--port", str(found)], found, **settings):
        yield found


HEAD = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
BODY = b'{"query": "{ __typename }"}'


def exchanged(port: int, pieces: Iterator[bytes] | list[bytes], read_s: float = 5) -> bytes:
    """What comes back, until the server closes or nothing comes any more."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=read_s) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            while piece := connection.recv(65_536):
                received += piece
                if received.endswith(b"}"):
                    break
        except ConnectionError:
            pass
    return received


def test_a_request_within_the_bounds_is_answered(port: int) -> None:
    headers = b"".join(b"x-%d: 1\r\n" % n for n in range(90))
    whole = HEAD + headers + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    assert b'{"data":{"__typename":"Query"}}' in exchanged(port, [whole])
    halves = [whole[:50], whole[50:120], whole[120:]]
    assert b'{"data":{"__typename":"Query"}}' in exchanged(port, halves)


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD + b"a: b\r\n" * 200 + b"\r\n"],
        [HEAD + b"a: " + b"b" * 40_000 + b"\r\n\r\n"],
        [b"GET /graphql?query=" + b"a" * 40_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n"],
        [HEAD + b"a: ", *[b"b" * 10_000] * 20],
    ],
    ids=["number", "bytes", "request line", "without end"],
)
def test_headers_are_bounded_while_they_arrive(port: int, pieces: list[bytes]) -> None:
    reply = exchanged(port, pieces)
    assert reply == b"" or reply.startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([HEAD], b"HTTP/1.1 408"),
        ([HEAD + b"content-length: 27\r\n\r\n" + BODY[:10]], b"HTTP/1.1 408"),
        ([], b""),
    ],
    ids=["half a header", "half a body", "nothing"],
)
def test_what_does_not_arrive_in_time_is_closed(
    port: int, pieces: list[bytes], status: bytes
) -> None:
    assert exchanged(port, pieces, read_s=8).startswith(status)


def test_nothing_is_upgraded_and_nobody_goes_without_an_answer_for_asking(port: int) -> None:
    """As curl and Java's own client ask for HTTP/2."""
    asks = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n"
    request = HEAD + asks + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    for pieces in [[request], [request[:150], request[150:-10], request[-10:]]]:
        assert b'{"data":{"__typename":"Query"}}' in exchanged(port, pieces)
    last = request.replace(b"Upgrade, ", b"Upgrade, close, ")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request + request + last)
        with connection.makefile("rb") as answers:
            assert answers.read().count(b'{"data":{"__typename":"Query"}}') == 3
    refused = exchanged(port, [b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n"])
    assert refused.startswith(b"HTTP/1.1 400 ")


def test_a_connection_is_kept_for_the_next_request(port: int) -> None:
    request = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for _ in range(3):
            connection.sendall(request)
            received = b""
            while not received.endswith(b"}"):
                received += connection.recv(65_536)
            time.sleep(0.5)


def test_a_client_that_leaves_is_told_in_the_log() -> None:
    found = free_port()
    command = [sys.executable, "-m", "plait", "serve", "tests.edge.test_front_door:graph"]
    environment = {"PLAIT_LEDGER_PATH": ":memory:", "PLAIT_LOG_FORMAT": "json"}
    process = subprocess.Popen(
        [*command, "--port", str(found)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
    )
    try:
        for _ in range(200):
            try:
                connection = socket.create_connection(("127.0.0.1", found), timeout=1)
                break
            except OSError:
                time.sleep(0.05)
        slow = b'{"query": "{ slow }"}'
        connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(slow) + slow)
        time.sleep(0.3)
        connection.close()
        time.sleep(0.3)
    finally:
        process.terminate()
        assert process.wait(15) == 0
    assert process.stderr
    with process.stderr as logged:
        lines = [json.loads(line) for line in logged.read().splitlines()]
    assert [one["event"] for one in lines] == ["listening", "request_cancelled"]
    assert lines[1]["cancelled"] is True


def test_a_wave_stays_whole_when_its_rows_take_several_turns() -> None:
    """Hundreds of rows are handed out over several turns of the loop; what they load below leaves
    together all the same."""

    def friend_each(request: httpx.Request) -> httpx.Response:
        ids = request.url.params.get_list("id")
        rows = [{"id": id, "friendIds": [int(id) + 1_000]} for id in ids]
        return httpx.Response(200, json=rows)

    wire = Wire(friend_each)

    async def main() -> list[dict[str, Any]]:
        limits = Settings(ledger_path=Path(":memory:"))
        async with gateway(graph, {"people": wire}, settings=limits) as ask:
            query = "query ($i: [ID!]!) { people(ids: $i) { friends { friends { id } } } }"
            wanted = [list(range(start, start + 500)) for start in range(0, 500_000, 100_000)]
            return await asyncio.gather(*(ask(query, {"i": ids}) for ids in wanted))

    answers = asyncio.run(main())
    assert not any("errors" in answer for answer in answers)
    assert len(wire.calls) == 5 * (5 + 5 + 5)  # of a hundred keys each


def test_errors_with_long_paths_are_bounded_in_bytes() -> None:
    names = [letter * 190 for letter in "abcde"]
    query = (
        f"{{ {names[0]}: person(id: 1) {{ {names[1]}: friends {{ {names[2]}: friends {{"
        f" {names[3]}: friends {{ {names[4]}: wealth }} }} }} }} }}"
    )
    found, _, _ = asked(query)
    assert len(json.dumps(found["errors"])) < 110_000
    assert 50 < len(found["errors"]) < 100
    assert found["errors"][-1]["message"].endswith("more errors are not listed.")
