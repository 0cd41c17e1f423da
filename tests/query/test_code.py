"""Compiled code is bounded, whatever is asked for."""

import asyncio
from typing import Any

import pytest

import plait.query.code
from plait.query.code import BYTES_A_CHARACTER, BYTES_EACH, CodeStore
from plait.query.compile import JOINS_MAX
from plait.query.document import COMPILED_MAX, Documents
from plait.query.reading import DocumentLimits
from plait.testing import GraphTest
from tests.query.test_compile import ONE, graph, sights


def test_what_was_not_used_lately_goes_first() -> None:
    gone: list[str] = []
    room = 3 * (100 * BYTES_A_CHARACTER + BYTES_EACH)
    store = CodeStore(room)
    for name in "abc":
        store.add(name, 100, lambda name=name: gone.append(name))  # type: ignore[misc]
    store.touch("a")
    store.add("d", 100, lambda: gone.append("d"))
    assert (gone, len(store)) == (["b"], 3)
    store.drop("a")
    store.add("e", 100, lambda: gone.append("e"))
    assert (gone, len(store)) == (["b"], 3)
    store.add("f", 10_000, lambda: gone.append("f"))  # too large by itself
    assert len(store) == 0
    assert gone == ["b", "c", "d", "e", "f"]


def test_documents_that_go_take_their_code_with_them() -> None:
    documents = Documents(graph, DocumentLimits(), entries_max=2)
    with sights(0):
        for number in range(5):
            document = documents.get(f"{{ a{number}: things {{ name }} }}")
            assert document.direct(document.operations[0], graph).get({}) is not None
    assert len(documents.code) == 2


def test_code_that_was_let_go_is_made_again() -> None:
    async def main() -> list[Any]:
        async with GraphTest(graph, b={"GET /all": [ONE]}) as test:
            documents = test._app._gateway().executor._documents
            documents.code._bytes_max = 1
            return [await test.ask_async("{ things { name } }") for _ in range(3)]

    with sights(0):
        answers = asyncio.run(main())
    assert answers == [{"data": {"things": [{"name": "one"}]}}] * 3


def test_of_the_choices_that_conditions_leave_only_some_are_compiled() -> None:
    names = [f"v{number}" for number in range(5)]
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"{name}: name @include(if: ${name})" for name in names)
    documents = Documents(graph, DocumentLimits())
    document = documents.get(f"query ({declared}) {{ things {{ id {fields} }} }}")
    directs = document.direct(document.operations[0], graph)
    with sights(0):
        made = [
            directs.get({name: bool(number & 1 << place) for place, name in enumerate(names)})
            for number in range(32)
        ]
    assert sum(one is not None for one in made) == COMPILED_MAX == len(documents.code)


@pytest.mark.parametrize(
    "document",
    [
        "{ " + " ".join(f"a{number}: things {{ name }}" for number in range(JOINS_MAX + 1)) + " }",
        "{ things { " + " ".join(f"a{number}: name" for number in range(700)) + " } }",
    ],
)
def test_what_is_very_large_is_not_compiled(document: str) -> None:
    documents = Documents(graph, DocumentLimits(tokens=10_000))
    found = documents.get(document)
    code = found.direct(found.operations[0], graph).code({})
    assert code.source == ""
    assert "more than" in code.why


def test_random_documents_do_not_grow_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plait.query.code, "CODE_BYTES_MAX", 1)
    documents = Documents(graph, DocumentLimits())
    for number in range(50):
        document = documents.get(f"{{ a{number}: things {{ name }} }}")
        document.direct(document.operations[0], graph).get({})
    assert len(documents.code) == 0  # each was seen once


def test_fields_that_hang_on_one_property_gather_it_once() -> None:
    documents = Documents(graph, DocumentLimits())
    of_one, of_two = "friend { name } sure { name }", "friend { name } lone { name }"
    counts = []
    for fields in (of_one, of_two):
        found = documents.get(f"{{ things {{ {fields} }} }}")
        source = found.direct(found.operations[0], graph).code({}).source
        counts.append(source.count("def typed_gather_"))
    assert counts == [1, 2]
