"""A plan saves time and calls, and never changes an answer: planned execution is held against the
stock executor of Strawberry and graphql-core over random graphs, documents and faults."""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

import plait.graph.graph
import plait.query.document
import plait.query.interpret
from plait.emit import Events
from plait.events import Event
from plait.query.plan import planned
from plait.testing import GraphTest, Sent
from tests.query.random_graphs import FAULTS, MALFORMED, RUNS, World, world

MANY = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = st.integers(0, 2**32)
pytestmark = [  # the stock executor leaves behind what it gave up
    pytest.mark.filterwarnings("ignore:coroutine"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Stock(StrawberryGraphQLCoreExecutionContext):
    """As Strawberry runs it. Our context only gets to know who executes."""

    background_futures: ClassVar[set[Any]] = set()
    begun: ClassVar[list[Any]] = []

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.context_value.executor = self

    def let_go(self) -> None:
        """See `BoundedExecutor`."""


@contextmanager
def stock() -> Iterator[None]:
    """Without a plan, and by the stock executor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plait.query.interpret, "_begun", lambda *_: None)
        patch.setattr(plait.graph.graph, "BoundedExecutor", Stock)
        yield


def opened(made: World) -> GraphTest:
    """The world's graph, with room for whatever document it has."""
    limits = ("characters", "tokens", "fields")
    room = dict.fromkeys([f"document_{name}_max" for name in limits], 10_000_000)
    room["answer_objects_max"] = 10_000_000
    settings = GraphTest(made.graph).settings.model_copy(update=room)
    return GraphTest(made.graph, settings=settings, b=made.script)


def answered(test: GraphTest, made: World) -> tuple[Any, list[Sent]]:
    """The answer, with how often what is its author's has run, and the calls."""
    test.sent.clear()
    RUNS.clear()
    answer = told(test.ask(made.document, made.variables))
    if answer["data"] is not None:  # else some has not begun
        answer["runs"] = dict(RUNS)
    return answer, [sent for _, sent in test.sent]


def told(answer: Any) -> Any:
    """An answer, with its errors by the place where they made null.

    An error at a field that may be null stands there as it is. Where it went further up, the first
    error decides, and what else would have failed below is told or not as time has it (GraphQL,
    section 6.4.4): there it only counts that an error is told.
    """
    places: dict[str, Any] = {}
    for error in answer.get("errors", []):
        error["extensions"].pop("request_id", None)
        place = null_at(answer["data"], error["path"])
        is_own = len(place) == len(error["path"])
        places.setdefault(str(place), []).append(error if is_own else "further up")
    return {
        "data": answer["data"],
        "errors": {
            place: "further up" if "further up" in errors else sorted(errors, key=str)
            for place, errors in places.items()
        },
        "fallbacks": fallbacks(answer),
    }


def fallbacks(answer: Any) -> list[str]:
    """The fallbacks that are seen: one whose place went further up is told or not."""
    marks = answer.get("extensions", {}).get("plait", {}).get("fallbacks", [])
    return sorted(
        str(mark)
        for mark in marks
        if len(null_at(answer["data"], mark["path"])) == len(mark["path"])
    )


def null_at(data: Any, path: list[Any]) -> list[Any]:
    """How far `path` leads."""
    for length, key in enumerate(path):
        if data is None:
            return path[:length]
        data = data[key]
    return path


def keys(calls: list[Sent]) -> Counter[str]:
    """What was asked for, key by key, in whatever batches."""
    found: Counter[str] = Counter()
    for call in calls:
        url = urlsplit(call.target)
        asked = [value for _, value in parse_qsl(url.query)]
        parts = url.path.strip("/").split("/")
        if parts[0] == "one" or parts[0] == "paged":
            found[url.path] += 1
        elif parts[0] == "posted":
            found.update(f"/{parts[1]}#{one}" for one in call.body["ids"])
        elif parts[0] == "pair":
            found[f"/pairs/{parts[1]}#{parts[2]}:{parts[3]}"] += 1
        elif parts[0] == "pairs":
            found.update(f"{url.path}#{one}" for text in asked for one in text.split(","))
        elif asked:
            found.update(f"{url.path}#{one}" for one in asked)
        elif parts[0] in ("of", "each"):
            found[f"/{parts[0]}/{parts[2]}#{parts[1]}"] += 1
        else:
            found[f"/{parts[0]}#{parts[1]}"] += 1
    return found


@contextmanager
def compiled(sights: int) -> Iterator[None]:
    """With operations compiled after so many sights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plait.query.document, "SIGHTS_BEFORE_COMPILED", sights)
        yield


NEVER = 1_000_000


def compared(
    seed: int, faults: tuple[str, ...], *, plain: bool = False
) -> tuple[list[Sent], list[Sent], list[Sent]]:
    """The calls of the stock executor, of a plan, and of compiled code."""
    made = world(seed, faults=faults, plain=plain)
    with opened(made) as test:
        with stock(), compiled(NEVER):
            expected, calls_before = answered(test, made)
        with compiled(NEVER):
            found, calls = answered(test, made)
        with compiled(0):
            by_code, calls_by_code = answered(test, made)
    assert found == expected
    assert by_code == expected
    if not expected["errors"]:  # they keep some ways from asking further, as time has it
        in_vain = keys(calls_by_code) - keys([*calls_before, *calls])
        assert not in_vain or leaves_early(made)
    return calls_before, calls, calls_by_code


def leaves_early(made: World) -> bool:
    """Whether compiled code alone asks for something before its row is there: below what asks
    permissions."""
    document = parse(made.document)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    fragments = {
        one.name.value: one
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    graph = made.graph
    by_plan, by_code = (
        planned(operation, fragments, graph.core, graph.fields, is_granted=is_granted)
        for is_granted in (False, True)
    )
    return len(by_code.early) > len(by_plan.early)


@given(SEEDS)
@MANY
def test_an_answer_is_the_same(seed: int) -> None:
    compared(seed, ())


@given(SEEDS)
@MANY
def test_rows_that_are_missing_failing_or_say_another_key(seed: int) -> None:
    compared(seed, FAULTS)


@given(SEEDS)
@MANY
def test_rows_that_are_not_as_declared(seed: int) -> None:
    compared(seed, (*FAULTS, MALFORMED))


@given(SEEDS, st.sampled_from([(), FAULTS, (*FAULTS, MALFORMED)]))
@MANY
def test_compiled_code_answers_the_same(seed: int, faults: tuple[str, ...]) -> None:
    compared(seed, faults, plain=True)


def test_most_of_what_is_declared_is_answered_by_compiled_code() -> None:
    made = {"by code": 0, "all": 0}

    def count(event: Event) -> None:
        made["by code"] += getattr(event, "executed_by", "") == "compiled"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plait.app.Events", lambda *observers: Events(*observers, count))
        for seed in range(30):
            made["all"] += 1
            compared(seed, (), plain=True)
    assert made["by code"] > made["all"] / 2


@pytest.mark.parametrize("faults", [(), FAULTS])
def test_there_are_no_more_calls_for_the_same_keys(faults: tuple[str, ...]) -> None:
    held, stock_calls, code_calls = 0, 0, 0
    for seed in range(60):
        before, after, by_code = compared(seed, faults)
        if not keys(after) - keys(before):  # nothing was asked for in vain
            assert len(after) <= len(before), seed
            held += 1
        if not keys(by_code) - keys(before):
            # Here and there a batch is divided that another order of arrivals left whole.
            stock_calls += len(before)
            code_calls += len(by_code)
    assert held > 40
    assert code_calls <= stock_calls * 1.01


def test_what_is_given_up_says_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    for seed in range(60):
        made = world(seed, faults=(*FAULTS, MALFORMED))
        with opened(made) as test:
            answered(test, made)
    gc.collect()  # what nobody looked at speaks when it goes
    assert [one.getMessage() for one in caplog.records if one.name == "asyncio"] == []
