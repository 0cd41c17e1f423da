"""Each mistake that a graph may hold, made on purpose: where it is told, and in which words."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import strawberry

from plait import (
    Backend,
    Connection,
    Graph,
    GraphError,
    arg,
    by_ids,
    cursor_pages,
    discriminator,
    grouped,
    prop,
    this,
)
from plait.graph import check
from plait.graph.options import BACKEND, BATCH, READ, WRITE

NAMES: Any = {"url": "http://b.test"}


@strawberry.type
class Row:
    id: strawberry.ID


def field(annotation: Any, value: Any, *, mutation: bool = False) -> Graph:
    """A graph with one field."""
    made = type("Mutation" if mutation else "Query", (), {"__annotations__": {"it": annotation}})
    made.it = value  # type: ignore[attr-defined]
    made.__module__ = __name__
    root = strawberry.type(made)
    if not mutation:
        return Graph(query=root)

    @strawberry.type
    class Query:
        row: Row | None = Backend("q", "http://q.test").get("/q")()

    return Graph(query=Query, mutation=root)


def backend(*arguments: Any, **options: Any) -> Graph:
    made = Backend(*arguments, **options)
    return field(Row | None, made.get("/row")())


def endpoint(path: str = "/rows/{id}", **options: Any) -> Graph:
    """A graph with one endpoint, which one field shows."""
    made = Backend("b", **NAMES).get(path, **options)
    known = {name: arg(strawberry.ID) for name in made.spec.parameters}
    return field(Row | None, made(**known))


def one_row(**bindings: Any) -> Graph:
    made = Backend("b", **NAMES).get("/rows/{id}", query=("q",))
    return field(Row | None, made(**bindings))


def rows_of(annotation: Any, form: str = "__call__", batch: Any = None, **bindings: Any) -> Graph:
    made = Backend("b", **NAMES).get("/rows/{id}", batch=batch)
    return field(annotation, getattr(made, form)(**bindings))


def pages_of(annotation: Any, form: str, **options: Any) -> Graph:
    made = Backend("b", **NAMES).get("/rows", **options)
    return field(annotation, getattr(made, form)())


def with_types(*types: type, union: bool = True) -> Graph:
    kind: Any = Annotated[types[0] | types[1], strawberry.union("Kind")]  # type: ignore[index]
    return field(kind, Backend("b", **NAMES).get("/kind")())


@strawberry.type
@discriminator("kind", "a")
class Marked:
    id: strawberry.ID


@strawberry.type
class Unmarked:
    id: strawberry.ID


@strawberry.interface
class Kind:
    id: strawberry.ID


@strawberry.type
@discriminator("kind", "a")
class MarkedKind(Kind):
    pass


@strawberry.type
class UnmarkedKind(Kind):
    pass


@strawberry.type
class BadPath:
    id: strawberry.ID = prop("a..b")


@strawberry.type
class Twin:
    id: strawberry.ID


def twins() -> Graph:
    @strawberry.type(name="Twin")
    class Other:
        name: str

    @strawberry.type
    class Query:
        twin: Twin | None = Backend("b", **NAMES).get("/twin")()
        other: Other | None = Backend("c", **NAMES).get("/other")()

    return Graph(query=Query)


def interface() -> Graph:
    @strawberry.type
    class Query:
        kind: Kind | None = Backend("b", **NAMES).get("/kind")()

    return Graph(query=Query, types=[MarkedKind, UnmarkedKind])


def not_called() -> Graph:
    @strawberry.type
    class Query:
        it: Row | None = Backend("b", **NAMES).get("/rows")  # type: ignore[assignment]

    return Graph(query=Query)


def write_not_called() -> Graph:
    @strawberry.type
    class Query:
        row: Row | None = Backend("q", **NAMES).get("/rows")()

    @strawberry.type
    class Mutation:
        it: Row | None = Backend("b", **NAMES).post("/rows")  # type: ignore[assignment]

    return Graph(query=Query, mutation=Mutation)


def write_for_field() -> Graph:
    @strawberry.type
    class Query:
        it: Row | None = Backend("b", **NAMES).post("/rows")(body=1)  # type: ignore[assignment]

    return Graph(query=Query)


def two_backends() -> Graph:
    @strawberry.type
    class Query:
        one: Row | None = Backend("b", **NAMES).get("/one")()
        two: Row | None = Backend("b", **NAMES).get("/two")()

    return Graph(query=Query)


def purge(purged: Any) -> Graph:
    made = Backend("b", **NAMES).post("/rows", purges=purged)
    return field(Row | None, made.field(body=arg(str)), mutation=True)


MISTAKES: list[tuple[str, Callable[[], Graph], str, str, str]] = [
    # --- backends
    (
        "a header forwarded and fixed",
        lambda: backend("b", **NAMES, forward=["X-Key"], headers={"x-key": "1"}),
        "backend 'b'",
        "'x-key' is forwarded from the client and fixed too",
        "Keep one of the two, or make two backends.",
    ),
    (
        "two backends of one name",
        two_backends,
        "backend 'b'",
        "2 backends are named 'b'.",
        "Give each backend a name of its own, or share one Backend between files.",
    ),
    (
        "a name that no setting can have",
        lambda: backend("my-api", **NAMES),
        "backend 'my-api'",
        "'my-api' cannot be part of a setting's name.",
        "Use letters, digits and underscores",
    ),
    *(
        (f"the base URL {url}", lambda url=url: backend("b", url), "backend 'b'", problem, "https:")
        for url, problem in [
            ("ftp://b.test", "does not start with http:// or https:// and a host"),
            ("http://", "does not start with http:// or https:// and a host"),
            ("b.test", "does not start with http:// or https:// and a host"),
            ("http://b.test/?a=1", "has no query and no fragment"),
            ("http://b.test/#a", "has no query and no fragment"),
            ("http://me@b.test", "holds no user or password"),
            ("http://:secret@b.test", "holds no user or password"),
            ("http://b.test:port", "The base URL cannot be read"),
            ("http://[b.test", "The base URL cannot be read"),
        ]
    ),
    (
        "an option of a backend that there is not",
        lambda: backend("b", **NAMES, timeout=3),
        "backend 'b'",
        "There is no option 'timeout'.",
        "Did you mean 'timeout_s'?",
    ),
    # --- endpoints
    (
        "an option that there is not",
        lambda: endpoint(timeout=3),
        "endpoint GET /rows/{id} of backend 'b'",
        "There is no option 'timeout'.",
        "Did you mean 'timeout_s'?",
    ),
    (
        "an option of a batch that there is not",
        lambda: endpoint(batch=by_ids("/rows", joind=True)),  # type: ignore[call-arg]
        "the batch form of endpoint GET /rows/{id}",
        "There is no option 'joind'.",
        "Did you mean 'joined'?",
    ),
    (
        "required that is no parameter",
        lambda: endpoint(required=["idd"]),
        "endpoint GET /rows/{id}",
        "required names 'idd', which is no parameter.",
        "Did you mean 'id'?",
    ),
    (
        "a key of rows that may be of several parameters",
        lambda: endpoint("/rows/{id}/{lang}", keyed_by="id"),
        "endpoint GET /rows/{id}/{lang}",
        "keyed_by='id' does not say of which parameter; there are: id, lang.",
        "Name it: keyed_by={'<parameter>': '<property of a row>'}.",
    ),
    (
        "a key of rows that is no parameter",
        lambda: endpoint(keyed_by={"idd": "id"}),
        "endpoint GET /rows/{id}",
        "keyed_by names 'idd', which is no parameter.",
        "Did you mean 'id'?",
    ),
    *(
        (
            # A name of plain characters: a test's name with others is not the same in every run.
            f"the path {''.join(one if '!' <= one <= '~' else '?' for one in path)}",
            lambda path=path: endpoint(path),
            "endpoint GET",
            problem,
            "Write a",
        )
        for path, problem in [
            ("rows", "a path starts with '/'"),
            ("/rows/{}", "a parameter is a name in braces"),
            ("/rows/{id:int}", "a parameter is a name in braces"),
            ("/rows}", "a parameter is a name in braces"),
            ("/rows?a=1", "a path holds no query, no fragment and no control characters"),
            ("/rows#a", "a path holds no query, no fragment and no control characters"),
            ("/rows\n", "a path holds no query, no fragment and no control characters"),
            ("/größe", "a path is ASCII"),
        ]
    ),
    (
        "a batch's path",
        lambda: endpoint(batch=by_ids("rows")),
        "endpoint GET /rows/{id}",
        "'rows': a path starts with '/'.",
        "Write a path such as '/users/{id}'.",
    ),
    *(
        (
            f"a parameter called {name} bound like any other",
            lambda name=name, bound=bound: field(
                Row | None, Backend("b", **NAMES).get("/rows", query=(name,))(**{name: bound})
            ),
            "Query.it",
            f"{name}= is an option of the field, and is bound like a parameter.",
            f"({{'{name}': ...}}, ...)",
        )
        for bound in (arg(str), this.x)
        for name in (
            "name",
            "description",
            "fallback",
            "deprecation_reason",
            "permission_classes",
            "extensions",
            "directives",
        )
    ),
    (
        "nothing bound to a parameter called name",
        lambda: field(
            Row | None, Backend("b", **NAMES).get("/rows", query=("name",), required=("name",))()
        ),
        "Query.it",
        "Nothing is bound to the parameter 'name' of GET /rows.",
        "Add ({'name': this.name}, ...) (a property of the row) or ({'name': arg(strawberry.ID)}",
    ),
    (
        "an option with a slip",
        lambda: field(Row | None, Backend("b", **NAMES).get("/rows")(fallbak=None)),
        "Query.it",
        "GET /rows has no parameter 'fallbak'.",
        "Did you mean the option 'fallback'?",
    ),
    (
        "a parameter declared twice",
        lambda: endpoint(query=("id",)),
        "endpoint GET /rows/{id}",
        "The parameter 'id' is declared twice.",
        "Rename one of the two.",
    ),
    (
        "purges that is no endpoint",
        lambda: purge([make_nothing]),
        "endpoint POST /rows",
        "purges holds function, which is no endpoint that reads.",
        "Name endpoints: purges=[get_user].",
    ),
    # --- batch forms
    (
        "a batch whose key is not clear",
        lambda: endpoint("/rows", query=("a", "b"), batch=by_ids("/batch")),
        "endpoint GET /rows",
        "Which of a, b is the batch's key is not clear.",
        "Say so: key={'a': '<property of a row>'}.",
    ),
    (
        "a batch without a key",
        lambda: endpoint("/rows", batch=by_ids("/batch")),
        "endpoint GET /rows",
        "A batch form needs a parameter that holds the key, and this endpoint has none.",
        "Put one in the path, '/users/{id}'",
    ),
    (
        "a batch's key that is no parameter",
        lambda: endpoint(batch=by_ids("/batch", key={"idd": "id"})),
        "endpoint GET /rows/{id}",
        "The batch's key 'idd' is no parameter.",
        "Did you mean 'id'?",
    ),
    (
        "a batch's path that holds the key",
        lambda: endpoint(batch=by_ids("/batch/{id}", key={"id": "id"})),
        "endpoint GET /rows/{id}",
        "'/batch/{id}' holds 'id', which differs from key to key or is no parameter.",
        "A batch's path can hold only parameters that all keys of a batch share.",
    ),
    # --- fields
    (
        "an endpoint that is not called",
        not_called,
        "Query.it",
        "It is the endpoint GET /rows itself, not a field of it.",
        "Call it: it = endpoint(...)",
    ),
    (
        "an endpoint that writes and is not called",
        write_not_called,
        "Mutation.it",
        "It is the endpoint POST /rows itself, not a field of it.",
        "Call it: it = endpoint.field(...)",
    ),
    (
        "a write in place of a field",
        write_for_field,
        "Query.it",
        "It is a write of POST /rows, not a field.",
        "Only fields of Mutation may write: use endpoint.field(...) there",
    ),
    (
        "a property's path that is none",
        lambda: field(BadPath | None, Backend("b", **NAMES).get("/rows")()),
        "BadPath.id",
        "'a..b' is no property's path.",
        "Write prop('a.b').",
    ),
    (
        "a parameter that there is not",
        lambda: one_row(id=arg(strawberry.ID), qq=1),
        "Query.it",
        "GET /rows/{id} has no parameter 'qq'.",
        "Did you mean 'q'?",
    ),
    (
        "a parameter that is not like any other",
        lambda: one_row(id=arg(strawberry.ID), zzz=1),
        "Query.it",
        "GET /rows/{id} has no parameter 'zzz'.",
        "Its parameters are: id, q.",
    ),
    (
        "a parameter of an endpoint without any",
        lambda: field(Row | None, Backend("b", **NAMES).get("/rows")(id=1)),
        "Query.it",
        "GET /rows has no parameter 'id'.",
        "It has no parameters.",
    ),
    (
        "a type in place of a value",
        lambda: one_row(id=strawberry.ID),
        "Query.it",
        "'id' is bound to the type ID, which is no value.",
        "write id=arg(ID)",
    ),
    (
        "a parameter that is left out",
        lambda: one_row(q=1),
        "Query.it",
        "Nothing is bound to the parameter 'id' of GET /rows/{id}.",
        "Add id=this.id (a property of the row) or id=arg(strawberry.ID).",
    ),
    (
        "a list for one value",
        lambda: one_row(id=arg(list[strawberry.ID])),
        "Query.it",
        "A list is bound to 'id', but each call of GET /rows/{id} takes one value.",
        "Use .many(id=arg(list[...])) on a list field",
    ),
    (
        "a list that may be null for one value",
        lambda: one_row(id=arg(list[strawberry.ID] | None)),
        "Query.it",
        "A list is bound to 'id'",
        "Use .many(",
    ),
    (
        "a row where there is none",
        lambda: one_row(id=this.id),
        "Query.it",
        "'id' is bound to this.id, but Query has no row to read it from.",
        "Bind it to an argument: id=arg(strawberry.ID).",
    ),
    (
        "a write outside of Mutation",
        lambda: field(Row | None, Backend("b", **NAMES).post("/rows").field(body=arg(str))),
        "Query.it",
        "POST /rows writes, but only fields of Mutation may write.",
        "Move the field to Mutation, or declare a POST that only reads with read_by_post(...).",
    ),
    (
        "a connection without pages",
        lambda: pages_of(Connection[Row], "connection"),
        "Query.it",
        "GET /rows has no pages to make a connection of.",
        "Declare them: backend.get(..., pages=cursor_pages(",
    ),
    (
        "pages without a connection",
        lambda: pages_of(list[Row], "__call__", pages=cursor_pages(items="d", next="n")),
        "Query.it",
        "GET /rows comes in pages.",
        "Bind it with .connection(...).",
    ),
    (
        "many of nothing",
        lambda: pages_of(list[Row], "many"),
        "Query.it",
        "many() needs a list to load.",
        "Write many(id=this.productIds).",
    ),
    (
        "many that is no list",
        lambda: rows_of(Row | None, "many", id=arg(list[strawberry.ID])),
        "Query.it",
        "many() loads a list of rows, but the field is not annotated as one.",
        "Annotate it list[...].",
    ),
    (
        "a connection that is none",
        lambda: pages_of(list[Row], "connection", pages=cursor_pages(items="d", next="n")),
        "Query.it",
        "connection() makes a connection, but the field is not annotated as one.",
        "Annotate it Connection[...].",
    ),
    (
        "groups of rows that are no list",
        lambda: rows_of(Row | None, batch=grouped("/rows", key="id"), id=arg(strawberry.ID)),
        "Query.it",
        "grouped() gives each key a list of rows, but the field is not annotated as one.",
        "Annotate it list[...].",
    ),
    (
        "a list of what is one row",
        lambda: rows_of(list[Row], batch=by_ids("/rows"), id=arg(strawberry.ID)),
        "Query.it",
        "The field is a list, but GET /rows/{id} has one row for each key.",
        "Annotate it as a single type, use grouped(...) if a key has many rows, or .many(...)",
    ),
    (
        "a single value of what is a row",
        lambda: rows_of(str, batch=by_ids("/rows"), id=arg(strawberry.ID)),
        "Query.it",
        "GET /rows/{id} has rows with properties, and the field is annotated as a single value.",
        "Annotate it with a type that has fields for the properties.",
    ),
    *(
        (
            f"the fallback {fallback!r} for {annotation}",
            lambda annotation=annotation, fallback=fallback: pages_of_fallback(
                annotation, fallback
            ),
            "Query.it",
            f"The fallback {fallback!r} is no value of the field's type.",
            "Write what the field would show",
        )
        for annotation, fallback in [
            (list[Row], {}),
            (Row | None, []),
            (Row | None, "x"),
            (int | None, "1"),
            (int | None, True),
            (str | None, 1),
            (bool | None, 1),
            (float | None, "1"),
        ]
    ),
    (
        "the fallback null where there is none",
        lambda: pages_of_fallback(Row, None),
        "Query.it",
        "The fallback is None, but the field may not be null.",
        "Annotate it '... | None'.",
    ),
    # --- types
    (
        "a type of a union without a discriminator",
        lambda: with_types(Marked, Unmarked),
        "union Kind, type Unmarked",
        "The other types of it are told apart by a discriminator, and this one has none.",
        "Put @discriminator('type', 'its value') below @strawberry.type.",
    ),
    (
        "a type of an interface without a discriminator",
        interface,
        "interface Kind, type UnmarkedKind",
        "The other types of it are told apart by a discriminator, and this one has none.",
        "Put @discriminator('type', 'its value') below @strawberry.type.",
    ),
    (
        "an annotation that names nothing",
        lambda: field("Nowhere", Backend("b", **NAMES).get("/rows")()),
        "Query.it",
        "Its annotation names no type",
        "Import the type, or define it here; strawberry.lazy breaks import cycles.",
    ),
    (
        "what Strawberry refuses",
        twins,
        "schema",
        "Twin is defined multiple times in the schema",
        "Strawberry says what it misses.",
    ),
]


def make_nothing() -> None: ...


def pages_of_fallback(annotation: Any, fallback: Any) -> Graph:
    made = Backend("b", **NAMES).get("/rows")
    return field(annotation, made(fallback=fallback))


@pytest.mark.parametrize(
    ("make", "where", "problem", "remedy"),
    [case[1:] for case in MISTAKES],
    ids=[case[0] for case in MISTAKES],
)
def test_a_mistake_is_told(
    make: Callable[[], Graph], where: str, problem: str, remedy: str
) -> None:
    with pytest.raises(GraphError) as caught:
        make()
    assert {one.where.startswith(where) for one in caught.value.mistakes} == {True}
    assert all(problem in one.problem for one in caught.value.mistakes)
    assert all(remedy in one.remedy for one in caught.value.mistakes)
    for one in caught.value.mistakes:
        assert (Path(one.file), one.line > 0) == (Path(__file__), True)
        assert f"{one.file}:{one.line}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout_s", 0),
        ("timeout_s", "5"),
        ("timeout_s", True),
        ("connect_timeout_s", -1),
        ("read_timeout_s", 0),
        ("connections", 0),
        ("connections", 1.5),
        ("connections", True),
        ("keepalive_s", -1),
        ("reply_bytes_max", 0),
        ("redirects", -1),
        ("headers", {"a": 1}),
        ("headers", ["a"]),
        ("forward", [1]),
        ("forward", 5),
        ("idempotency_key", True),
        ("idempotency_key", "no header"),
        ("show_problem", 1),
        ("strict", None),
        ("health_path", "health"),
        ("health_path", 1),
    ],
)
def test_a_backends_option_that_cannot_be_is_told(name: str, value: Any) -> None:
    assert name in BACKEND
    with pytest.raises(GraphError) as caught:
        backend("b", **NAMES, **{name: value})
    (mistake,) = caught.value.mistakes
    assert mistake.problem == f"{name}={value!r} cannot be."
    assert mistake.remedy.startswith(f"Make it {BACKEND[name].words}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("query", 5),
        ("query", {"a": 1}),
        ("headers", [1]),
        ("constants", ["a"]),
        ("required", 5),
        ("unwrap", 5),
        ("timeout_s", 0),
        ("reply_bytes_max", 0),
        ("show_problem", "no"),
        ("strict", "no"),
        ("cache", 1),
        ("none_on", 404),
        ("keyed_by", ""),
        ("keyed_by", {}),
        ("keyed_by", {"id": 1}),
        ("keyed_by", ["id"]),
        ("early", 1),
        ("none_on", [200]),
        ("none_on", [600]),
        ("none_on", [True]),
        ("none_on", ["404"]),
        ("next", 1),
        ("pages_max", 0),
        ("ttl_s", -1),
        ("stale_while_revalidate_s", -1),
        ("stale_if_error_s", "1"),
    ],
)
def test_an_endpoints_option_that_cannot_be_is_told(name: str, value: Any) -> None:
    assert name in READ
    with pytest.raises(GraphError) as caught:
        endpoint(**{name: value})
    (mistake,) = caught.value.mistakes
    assert mistake.problem == f"{name}={value!r} cannot be."
    assert mistake.remedy.startswith(f"Make it {READ[name].words}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ids", 1),
        ("joined", 1),
        ("body", 1),
        ("unwrap", 1),
        ("size", 0),
        ("method", "PUT"),
        ("separator", 1),
        ("key_matches", "loosely"),
        ("id_type", float),
        ("id_type", "int"),
    ],
)
def test_a_batchs_option_that_cannot_be_is_told(name: str, value: Any) -> None:
    assert name in BATCH
    with pytest.raises(GraphError) as caught:
        endpoint(batch=by_ids("/batch", **{name: value}))
    (mistake,) = caught.value.mistakes
    assert mistake.problem == f"{name}={value!r} cannot be."


@pytest.mark.parametrize("value", [5, "x", None])
def test_a_writes_option_that_cannot_be_is_told(value: Any) -> None:
    assert "purges" in WRITE
    with pytest.raises(GraphError) as caught:
        purge(value)
    assert any(one.problem == f"purges={value!r} cannot be." for one in caught.value.mistakes)


def test_what_is_right_is_no_mistake() -> None:
    backend(
        "b",
        **NAMES,
        timeout_s=0.5,
        connect_timeout_s=1,
        read_timeout_s=None,
        connections=1,
        keepalive_s=0,
        reply_bytes_max=1,
        redirects=0,
        headers={"a": "1"},
        forward="x-key",
        idempotency_key="X-Key",
        show_problem=True,
        strict=True,
        health_path="/",
    )
    endpoint(
        query={"a": "b"},
        headers=["x-a"],
        constants={"c": "d"},
        required=["a"],
        unwrap="data.items",
        none_on=(404, 410),
        next="paging.next",
        pages_max=1,
        ttl_s=0,
        cache=False,
        batch=by_ids("/batch", ids="i", joined=True, size=1, separator="-", id_type=int),
    )
    one_row(id=arg(strawberry.ID), q=arg(list[str] | None))
    pages_of_fallback(int | None, 5)
    pages_of_fallback(float | None, 5)
    pages_of_fallback(list[Row], [])
    pages_of_fallback(Row | None, None)
    purge([])


def test_each_mistake_that_the_checks_can_tell_is_made_here() -> None:
    """The table is complete: each line of the checks that makes a mistake has made one."""
    source = inspect.getsource(check).splitlines()
    makers = ("yield mistake(", "yield _annotation(", "return mistake(")
    made = {number for number, line in enumerate(source, 1) if any(one in line for one in makers)}
    reached: set[int] = set()

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != check.__file__:
            return None
        reached.add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for _, make, *_ in MISTAKES:
            with pytest.raises(GraphError):
                make()
    finally:
        sys.settrace(before)
    assert len(made) > 25
    assert made <= reached
