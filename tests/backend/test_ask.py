"""How keys become calls: a batch, its halves when it is refused, single calls, further pages."""

import asyncio
from typing import Any
from urllib.parse import unquote

import pytest

from plait import Backend, by_ids, grouped
from plait.backend.ask import Asker
from plait.backend.asking import SPLIT_CALLS_MAX, Asking
from plait.backend.budget import Allowance, Budget
from plait.backend.call import Call, Origin, Reply
from plait.backend.freshness import CacheEntry
from plait.backend.keep import Keeper
from plait.backend.keys import Keys
from plait.backend.loads import Fetched
from plait.backend.spec import EndpointSpec
from plait.clock import TestClock
from plait.emit import Events
from plait.errors import BackendHttpError, BackendTimeout, BadBackendResponse
from plait.events import RowsUnexpected

b = Backend("b", "http://b.test")
ONE = b.get("/rows/{id}", batch=by_ids("/rows", ids="ids", joined=True), none_on=(404, 410)).spec
MANY = b.get("/owners/{id}/rows", batch=grouped("/rows", ids="owner", key="owner")).spec
PLAIN = b.get("/rows/{id}", none_on=(404, 410)).spec
LOOKUP = b.lookup(by_ids("/rows", ids="ids", joined=True)).spec
LIST = b.get("/list", pages_max=3).spec
SEARCH = b.read_by_post("/search").spec


class Server:
    """A backend: answers by what stands behind the question mark, or by the path."""

    url = "http://b.test"
    identity = "s"

    def __init__(self, answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.calls: list[Call] = []

    def begin(self, call: Call, then: object) -> None:
        """Nothing: every call waits."""

    async def call(self, call: Call) -> Reply:
        asked = f"{call.path}?{unquote(call.query)}" if call.query else call.path
        self.asked.append(asked)
        self.calls.append(call)
        answer = self.answers(asked) if callable(self.answers) else self.answers[asked]
        if isinstance(answer, int):
            raise BackendHttpError("m", backend="b", endpoint="e", status=answer)
        if isinstance(answer, Exception):
            raise answer
        body, headers = answer if isinstance(answer, tuple) else (answer, {})
        return Reply(status=304 if body == b"304" else 200, headers=headers, body=body)


def ask(
    endpoint: EndpointSpec,
    answers: Any,
    *ids: Any,
    budget: Budget | None = None,
    entry: CacheEntry | None = None,
    events: list[Any] | None = None,
    **values: Any,
) -> tuple[list[Any], Server]:
    """The outcome of each id: a row, (status, row) of one that is missing, or an error's code."""
    server = Server(answers)
    clock = TestClock()
    told = events if events is not None else []
    asker = Asker(Keeper(None, clock), clock=clock, events=Events(told.append))
    keys = Keys(endpoint)
    asked = [keys.add({"id": one}) for one in ids] or [keys.add(values)]
    asking = Asking(
        keys=keys,
        server=server,
        origin=Origin(budget=budget),
        family=("e", ()),
        entries={key: entry for key in asked if entry is not None},
    )
    outcomes = asyncio.run(asker.ask(asking, asked))

    def shown(outcome: Any) -> Any:
        if not isinstance(outcome, Fetched):
            return outcome.code, getattr(outcome, "status", None)
        return outcome.row if outcome.status is None else (outcome.status, outcome.row)

    return [shown(outcomes[key]) for key in asked], server


def batch(bad: set[str], status: int = 422) -> Any:
    """A backend that refuses a whole call for one bad id in it."""

    def answer(asked: str) -> Any:
        ids = asked.partition("ids=")[2].split(",") if "?" in asked else [asked.rpartition("/")[2]]
        if bad & set(ids):
            return status
        rows = ",".join(f'{{"id":{one}}}' for one in ids)
        return (rows if "?" not in asked else f"[{rows}]").encode()

    return answer


def test_several_keys_are_one_call_and_one_is_the_single_form() -> None:
    outcomes, server = ask(ONE, batch(set()), 1, 2)
    assert outcomes == [{"id": 1}, {"id": 2}]
    assert server.asked == ["/rows?ids=1,2"]
    outcomes, server = ask(ONE, batch(set()), 1)
    assert (outcomes, server.asked) == ([{"id": 1}], ["/rows/1"])
    outcomes, server = ask(LOOKUP, batch(set()), 1)
    assert (outcomes, server.asked) == ([{"id": 1}], ["/rows?ids=1"])


@pytest.mark.parametrize("status", [400, 410, 413, 414, 422])
def test_one_bad_id_fails_alone(status: int) -> None:
    outcomes, server = ask(PLAIN_BATCH, batch({"3"}, status), 1, 2, 3, 4)
    assert outcomes == [{"id": 1}, {"id": 2}, ("BACKEND_HTTP_ERROR", status), {"id": 4}]
    assert sorted(server.asked) == sorted(
        ["/rows?ids=1,2,3,4", "/rows?ids=1,2", "/rows?ids=3,4", "/rows/3", "/rows/4"]
    )


PLAIN_BATCH = b.get("/rows/{id}", batch=by_ids("/rows", ids="ids", joined=True), none_on=()).spec


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_what_is_no_fault_of_an_id_fails_all_at_once(status: int) -> None:
    outcomes, server = ask(ONE, batch({"3"}, status), 1, 2, 3)
    assert outcomes == [("BACKEND_HTTP_ERROR", status)] * 3
    assert len(server.asked) == 1
    late = BackendTimeout("m", backend="b", endpoint="e")
    assert ask(ONE, lambda _: late, 1, 2)[0] == [("BACKEND_TIMEOUT", None)] * 2


@pytest.mark.parametrize("status", [404, 410])
def test_a_status_that_means_none_means_it_single_and_batched(status: int) -> None:
    assert ask(ONE, {"/rows/1": status}, 1)[0] == [(status, None)]
    assert ask(PLAIN, {"/rows/1": status}, 1)[0] == [(status, None)]
    many = b.get(
        "/owners/{id}/rows", batch=grouped("/rows", ids="owner", key="owner"), none_on=(404, 410)
    ).spec
    assert ask(many, {"/owners/1/rows": status}, 1)[0] == [(status, [])]
    # In a batch it is one of its ids that has none.
    outcomes, _ = ask(ONE, batch({"2"}, status), 1, 2)
    assert outcomes == [{"id": 1}, (status, None)]
    lookup = b.lookup(by_ids("/rows", ids="ids", joined=True), none_on=(404, 410)).spec
    assert ask(lookup, batch({"2"}, status), 2)[0] == [(status, None)]


def test_another_status_of_a_lookup_of_one_is_its_error() -> None:
    outcomes, server = ask(LOOKUP, batch({"2"}, 422), 2)
    assert (outcomes, len(server.asked)) == ([("BACKEND_HTTP_ERROR", 422)], 1)


def test_a_parent_without_rows_has_an_empty_list() -> None:
    assert ask(MANY, {"/owners/1/rows": 404}, 1)[0] == [(404, [])]
    assert ask(MANY, {"/owners/1/rows": b""}, 1)[0] == [[]]
    assert ask(PLAIN, {"/rows/1": b""}, 1)[0] == [None]


def test_a_refused_batch_has_a_bound_on_its_further_calls() -> None:
    ids = [str(number) for number in range(1, 101)]
    outcomes, server = ask(PLAIN_BATCH, lambda asked: 422, *ids)
    assert outcomes == [("BACKEND_HTTP_ERROR", 422)] * 100
    assert len(server.asked) == 1 + SPLIT_CALLS_MAX


def test_further_calls_are_paid_and_end_with_the_operations_allowance() -> None:
    budget = Budget(Allowance(calls=4))
    budget.spend_calls(1)
    _, server = ask(PLAIN_BATCH, batch({"3"}), 1, 2, 3, 4, budget=budget)
    assert (len(server.asked), budget.calls) == (4, 4)
    wide = Budget(Allowance(calls=100))
    _, server = ask(PLAIN_BATCH, batch({"3"}), 1, 2, 3, 4, budget=wide)
    assert (len(server.asked), wide.calls) == (5, 4)


def test_rows_that_nobody_asked_for_are_told() -> None:
    events: list[Any] = []
    body = b'[{"id":1},{"id":2},{"id":9}]'
    ask(ONE, {"/rows?ids=1,2": body}, 1, 2, events=events)
    assert events == [RowsUnexpected(backend="b", endpoint="GET /rows/{id}", extra=1)]
    events.clear()
    ask(ONE, batch(set()), 1, 2, events=events)
    assert events == []


def test_rows_that_contradict_each_other_fail_their_key() -> None:
    body = b'[{"id":1,"n":1},{"id":1,"n":2},{"id":2}]'
    outcomes, _ = ask(ONE, {"/rows?ids=1,2": body}, 1, 2)
    assert outcomes == [("BAD_BACKEND_RESPONSE", None), {"id": 2}]


def kept(row: bytes = b'{"id":1}') -> CacheEntry:
    return CacheEntry(
        row=row, asked_at=0, fresh_until=0, revalidate_until=0, error_until=0, etag='"1"'
    )


def test_a_validator_asks_whether_the_row_still_holds() -> None:
    outcomes, server = ask(PLAIN, {"/rows/1": b"304"}, 1, entry=kept())
    assert outcomes == [{"id": 1}]
    assert server.calls[0].headers == (("if-none-match", '"1"'),)
    outcomes, server = ask(PLAIN, {"/rows/1": b"304"}, 1)
    assert outcomes == [("BAD_BACKEND_RESPONSE", None)]
    assert server.calls[0].headers == ()


def link(url: str) -> dict[str, str]:
    return {"link": f'<{url}>; rel="next"'}


def test_a_list_in_several_pages_is_read_to_its_end() -> None:
    answers = {
        "/list": (b"[1]", link("/list?p=2")),
        "/list?p=2": (b"[2]", link("/list?p=3")),
        "/list?p=3": (b"[3]", {}),
    }
    budget = Budget(Allowance(calls=5))
    outcomes, server = ask(LIST, answers, budget=budget)
    assert outcomes == [[1, 2, 3]]
    assert server.asked == ["/list", "/list?p=2", "/list?p=3"]
    assert budget.calls == 2  # the first was paid by who asked
    answers["/list?p=3"] = (b"[3]", link("/list?p=4"))
    assert ask(LIST, answers)[0] == [("BAD_BACKEND_RESPONSE", None)]
    short = Budget(Allowance(calls=1))
    assert ask(LIST, answers, budget=short)[0] == [("OPERATION_TOO_COSTLY", None)]


@pytest.mark.parametrize(
    ("endpoint", "answers", "values"),
    [
        (LIST, {"/list": (b"[1]", link("/list?p=2")), "/list?p=2": (b"{}", {})}, {}),
        (LIST, {"/list": (b"[1]", link("http://evil.test/list"))}, {}),
        (SEARCH, {"/search": (b"[1]", link("/search?p=2"))}, {"body": {}}),
    ],
)
def test_a_page_that_cannot_be_read_on_is_an_error_and_not_a_shorter_list(
    endpoint: EndpointSpec, answers: Any, values: Any
) -> None:
    assert ask(endpoint, answers, **values)[0] == [(BadBackendResponse.code, None)]


def test_one_object_is_no_list_in_pages() -> None:
    assert ask(LIST, {"/list": (b'{"a":1}', link("/list?p=2"))})[0] == [{"a": 1}]
