"""A graph held against replies that its backends gave."""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import strawberry

from plait import Backend, Connection, Graph, SettingsError, arg, by_ids, cli, cursor_pages, this
from plait.backend.record import REPLIES_MAX, recorded
from plait.graph.recorded import Finding, held_against, unknown
from plait.testing import GraphTest, _Defaults, reply

MODULE = """
import strawberry
from plait import Backend, Graph, prop

books = Backend("books", "http://127.0.0.1:1")

@strawberry.type
class Book:
    title: str | None = prop("titel")
    pages: int | None

@strawberry.type
class Query:
    books: list[Book] = books.get("/books")()

graph = Graph(query=Query)
"""

b = Backend("b", "http://b.test")
get_user = b.get("/users/{id}", batch=by_ids("/users", ids="id"))
list_posts = b.get("/posts")
list_paged = b.get("/paged", pages=cursor_pages(items="data", next="next"))


@strawberry.type
class User:
    id: strawberry.ID
    name: str
    nickname: str | None


@strawberry.type
class Post:
    id: strawberry.ID
    user: User | None = get_user(id=this.userID)


@strawberry.type
class Query:
    user: User | None = get_user(id=arg(strawberry.ID))
    posts: list[Post] = list_posts()
    paged: Connection[Post] = list_paged.connection()


graph = Graph(query=Query)
SCRIPT: dict[str, Any] = {
    "GET /users/1": {"id": 1, "name": "A"},
    "GET /users?id=2&id=3": [{"id": 2, "name": ["B"]}, {"id": 3}],
    "GET /posts": [{"id": 1, "userId": 1}],
    "GET /paged?limit=20": {"data": [{"id": 9, "userId": 1}], "next": None},
}


def record(folder: Path, *queries: str) -> None:
    settings = _Defaults(
        backends={"b": {"url": "http://b.test"}},  # type: ignore[arg-type]
        ledger_path=Path(":memory:"),
        record_replies=folder,
    )
    with GraphTest(graph, settings=settings, b=SCRIPT) as test:
        for query in queries:
            test.ask(query)


def of(findings: tuple[Finding, ...]) -> list[tuple[str, str, str, str, bool]]:
    return [(one.endpoint, one.field, one.problem, one.remedy, one.is_mistake) for one in findings]


def test_replies_are_recorded_and_the_graph_is_held_against_them(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "replies"
    record(
        folder,
        '{ user(id: "1") { id } }',
        '{ a: user(id: "2") { id } b: user(id: "3") { id } }',
        "{ posts { id } paged { nodes { id } } }",
    )
    (path,) = folder.iterdir()
    assert path.name == "b.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = tuple(recorded(folder))
    assert [(one.endpoint, one.is_batch) for one in kept[:2]] == [
        ("GET /users/{id}", False),
        ("GET /users/{id}", True),
    ]
    assert unknown(graph, kept) == ()
    users, posts, paged = "b: GET /users/{id}", "b: GET /posts", "b: GET /paged"
    assert sorted(of(held_against(graph, kept))) == sorted(
        [
            (users, "User.name", "'name' is not of type String (1 row)", "", True),
            (users, "User.name", "no value for 'name' (1 row)", "", True),
            (users, "User.nickname", "'nickname' is missing from all of 3 rows", "", False),
            (
                posts,
                "Post.user",
                "'userID' is missing from all of 1 row",
                "Did you mean 'userId'?",
                True,
            ),
            (
                paged,
                "Post.user",
                "'userID' is missing from all of 1 row",
                "Did you mean 'userId'?",
                True,
            ),
        ]
    )


def test_no_more_than_the_first_replies_are_kept(tmp_path: Path) -> None:
    record(tmp_path, *["{ posts { id } }"] * (REPLIES_MAX + 3))
    assert len(tuple(recorded(tmp_path))) == REPLIES_MAX


def test_what_is_no_json_is_not_kept_and_an_endpoint_of_no_field_is_told(tmp_path: Path) -> None:
    with GraphTest(
        graph,
        settings=_Defaults(
            backends={"b": {"url": "http://b.test"}},  # type: ignore[arg-type]
            ledger_path=Path(":memory:"),
            record_replies=tmp_path,
        ),
        b={"GET /posts": reply("x", headers={"content-type": "text/html"}), "GET /users/1": None},
    ) as test:
        test.ask("{ posts { id } }")
        test.ask('{ user(id: "1") { id } }')
    line = {"endpoint": "GET /gone", "batch": False, "body": []}
    (tmp_path / "b.jsonl").write_text(json.dumps(line) + "\n")
    assert unknown(graph, tuple(recorded(tmp_path))) == ("b: GET /gone",)


def test_a_reply_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    line = {"endpoint": "GET /users/{id}", "batch": True, "body": {"rows": []}}
    (tmp_path / "b.jsonl").write_text(json.dumps(line))
    (finding,) = held_against(graph, tuple(recorded(tmp_path)))
    assert "the batch's reply is not a list of rows" in finding.problem


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"endpoint": "GET /a", "status": "x"}'])
def test_a_file_that_is_no_record_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    good = json.dumps({"endpoint": "GET /posts", "body": []})
    (tmp_path / "b.jsonl").write_text(f"{good}\n{text}\n")
    with pytest.raises(SettingsError, match=r"b\.jsonl:2: it is no recorded reply"):
        tuple(recorded(tmp_path))


def test_an_empty_folder_and_one_that_cannot_be_made_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no recorded replies"):
        tuple(recorded(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="PLAIT_RECORD_REPLIES: the folder cannot be made"):
        record(tmp_path / "file" / "below", "{ posts { id } }")


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs `plait check --replies` on rows of books; what it ends with, and what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "recorded_books", raising=False)
    Path("recorded_books.py").write_text(MODULE)

    def run(rows: Any) -> tuple[int, str]:
        Path("replies").mkdir(exist_ok=True)
        line = {"endpoint": "GET /books", "body": rows}
        Path("replies/books.jsonl").write_text(json.dumps(line))
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(tmp_path))
            try:
                cli.main(["check", "recorded_books:graph", "--replies", "replies"])
                code = 0
            except SystemExit as error:
                code = int(error.code or 0)
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return run


def test_the_command_fails_for_what_is_wrong(check: Callable[..., tuple[int, str]]) -> None:
    code, shown = check([{"title": "T", "pages": "many"}])
    assert code == 1
    assert "'titel' is missing from all of 1 row. Did you mean 'title'?" in shown
    assert "Book.title (" in shown
    assert "recorded_books.py:9)" in shown
    assert "'pages' is not of type Int" in shown
    assert "1 recorded replies: 2 mistakes." in shown
    assert "no mistakes." not in shown


def test_the_command_only_hints_at_what_may_be_left_out(
    check: Callable[..., tuple[int, str]],
) -> None:
    code, shown = check([{"titel": "T"}])
    assert code == 0
    assert "hint: Book.pages" in shown
    assert "1 recorded replies: no mistakes." in shown
