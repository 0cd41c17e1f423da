"""The `plait` command: what it serves, what it refuses, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from plait import cli
from plait.native import USE
from tests.conftest import ROOT, free_port, running

GRAPH = """
import strawberry
from plait import Backend, Graph, arg, by_ids

books = Backend("books", "http://127.0.0.1:1", headers={"x-team": "a"})
list_books = books.get("/books")
get_author = books.get("/authors/{id}")

@strawberry.type
class Author:
    id: strawberry.ID

@strawberry.type
class Book:
    id: strawberry.ID
    author: Author | None = get_author(id=__import__("plait").this.authorId)

@strawberry.type
class Query:
    books: list[Book] = list_books()

graph = Graph(query=Query)
"""
WRITING = (
    GRAPH.replace("graph = Graph(query=Query)", "")
    + """
@strawberry.type
class Mutation:
    add: Book | None = books.post("/books").field(body=arg(str))

graph = Graph(query=Query, mutation=Mutation)
"""
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with graphs, and nothing of plait's in the environment."""
    for name in os.environ:
        if name.startswith("PLAIT_") and name != "PLAIT_NATIVE":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    unique = re.sub(r"\W", "_", tmp_path.name)
    (tmp_path / f"library_{unique}.py").write_text(GRAPH)
    (tmp_path / f"writing_{unique}.py").write_text(WRITING)
    return tmp_path


def named(folder: Path, kind: str) -> str:
    (path,) = folder.glob(f"{kind}_*.py")
    return f"{path.stem}:graph"


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of the command in this process."""
    status = 0
    try:
        cli.main(list(arguments))
    except SystemExit as error:
        status = int(error.code or 0)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_with_no_graph_it_says_so_in_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = ended(capsys, "serve")
    assert (status, out) == (2, "")
    assert err.startswith("No graph is named: write `plait serve module:name`")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("import nothing_of_the_kind", "There is no module 'nothing_of_the_kind'"),
        ("graph = 5", "is not a Graph: write graph = Graph(query=Query)."),
        ("other = 5", "has no 'graph'"),
        ("def broken(:", "cannot be imported: invalid syntax (broken_"),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero (broken_"),
        (GRAPH.replace('"/authors/{id}"', '"authors/{id}", ttl_s=-1'), "graph has 2 mistakes."),
        (GRAPH.replace('"http://127.0.0.1:1"', "None"), "Backend 'books' has no URL"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("--workers", "2")])
def test_a_graph_that_cannot_be_served_ends_with_one_message_and_status_2(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    module: str,
    words: str,
    more: tuple[str, ...],
) -> None:
    name = f"broken_{abs(hash((str(folder), module, more)))}"
    (folder / f"{name}.py").write_text(module)
    status, out, err = ended(capsys, "serve", f"{name}:graph", *more)
    assert (status, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PLAIT_PROT", "1", "there is no such setting. Did you mean PLAIT_PORT?"),
        ("PLAIT_BACKENDS__BOKS__URL", "http://x", "no backend 'boks'. Did you mean 'books'?"),
        ("PLAIT_BACKENDS__BOOKS__ULR", "http://x", "no setting ULR. Did you mean URL?"),
        ("PLAIT_BACKENDS__BOOKS__TIMEOUT_S", "-1", "must be a number, such as 2.5"),
        ("PLAIT_BACKENDS__BOOKS__URL", "ftp://x", "does not start with http://"),
        ("PLAIT_BACKENDS__BOOKS__TOKEN_FILE", "/nowhere", "No such file"),
        ("PLAIT_PORT", "abc", "PLAIT_PORT: it must be a whole number, such as 8000"),
        ("PLAIT_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("PLAIT_GRAPHIQL", "perhaps", "true or false"),
        ("PLAIT_BACKENDS", "books", "PLAIT_BACKENDS: it must be JSON"),
        ("PLAIT_CACHE_URL", "redis://host:port", "PLAIT_CACHE_URL is not memory://"),
        ("PLAIT_CACHE_URL", "redis://host/books", "PLAIT_CACHE_URL is not memory://"),
        ("PLAIT_HOST", "256.0.0.1", "Port 8000 on 256.0.0.1"),
    ],
)
def test_a_setting_that_cannot_be_is_told_by_its_name(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    words: str,
) -> None:
    monkeypatch.setenv(variable, value)
    status, _, err = ended(capsys, "serve", named(folder, "library"))
    assert status == 2
    assert words in err
    assert "Traceback" not in err


def test_a_dotenv_file_is_read_and_checked_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / ".env").write_text("PLAIT_PROT=1\nOTHER=2\n")
    assert "PLAIT_PROT: there is no such setting" in ended(capsys, "check")[2]


def test_a_variable_that_is_near_no_setting_is_told_and_left_alone(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAIT_HOME", "/elsewhere")
    status, out, err = ended(capsys, "check", named(folder, "library"))
    assert status == 0
    assert "PLAIT_HOME is no setting" in " ".join(err.split())
    assert "no mistakes." in out


@pytest.mark.parametrize("spoil", ["damaged", "no folder"])
def test_a_ledger_that_cannot_be_used_is_refused_at_start(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: str,
) -> None:
    path = folder / "ledger.sqlite3"
    if spoil == "damaged":
        path.write_bytes(b"this is no database, and it is long enough to tell" * 100)
    else:
        (folder / "file").write_text("")
        path = folder / "file" / "ledger.sqlite3"
    monkeypatch.setenv("PLAIT_LEDGER_PATH", str(path))
    status, _, err = ended(capsys, "serve", named(folder, "writing"))
    assert status == 2
    assert err.startswith("The ledger of writes")


def test_check_shows_policies_and_hints(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "key").write_text("hunter2\n")
    monkeypatch.setenv("PLAIT_BACKENDS__BOOKS__HEADERS__X_API_KEY_FILE", str(folder / "key"))
    monkeypatch.setenv("PLAIT_BACKENDS__BOOKS__TIMEOUT_S", "7.5")
    status, out, err = ended(capsys, "check", named(folder, "library"))
    assert status == 0
    assert "http://127.0.0.1:1" in out
    assert "7.5 s" in out
    assert "x_api_key" in out
    assert "no mistakes." in out
    assert "hint: Book.author" in err
    assert "GET /authors/{id} of 'books' has no batch form" in err
    assert "hunter2" not in out + err


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        ((), 0, ""),
        (("--max-calls", "11", "--max-waves", "2"), 0, ""),
        (("--max-calls", "10"), 1, "11 calls, and at most 10 are allowed (--max-calls)."),
        (("--max-waves", "1"), 1, "2 waves, and at most 1 are allowed (--max-waves)."),
        (("--rows", "3", "--max-calls", "4"), 0, ""),
        (("--variables", "{"), 2, "--variables is no JSON object"),
        (("--variables", "@none.json"), 2, "none.json cannot be read"),
    ],
)
def test_explain_says_which_calls_and_may_fail_for_too_many(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    status: int,
    told: str,
) -> None:
    (folder / "q.graphql").write_text("{ books { author { id } } }")
    arguments = ("explain", "q.graphql", named(folder, "library"), *options)
    ended_with, out, err = ended(capsys, *arguments)
    assert ended_with == status
    assert told in err
    assert status == 2 or "books.author  books: GET /authors/{id}" in out


def test_explain_speaks_json_and_takes_variables_from_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "q.graphql").write_text(
        "query A { books { id } } query B { books { author { id } } }"
    )
    (folder / "v.json").write_text("{}")
    arguments = ("explain", "q.graphql", named(folder, "library"), "--json")
    status, out, _ = ended(capsys, *arguments, "--operation", "B", "--variables", "@v.json")
    assert status == 0
    assert [one["path"] for one in json.loads(out)["steps"]] == ["books", "books.author"]
    status, _, err = ended(capsys, *arguments)
    assert status == 2
    assert "the named ones are: A, B" in err


def test_a_running_gateway_is_asked_for_its_plan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "q.graphql").write_text("query Q { books { author { id } } }")
    port = free_port()
    url = f"http://127.0.0.1:{port}/graphql"
    command = [sys.executable, "-m", "plait", "serve", named(folder, "library")]
    asking = ("explain", "q.graphql", "--gateway", url, "--header", "x-a: b: c")
    with running([*command, "--port", str(port)], port, cwd=folder, PLAIT_INTROSPECTION="on"):
        status, out, err = ended(capsys, *asking, "--max-calls", "5")
        assert (status, err) == (1, "11 calls, and at most 5 are allowed (--max-calls).\n")
        assert "books.author  books: GET /authors/{id}" in out
        status, out, _ = ended(capsys, *asking, "--json")
        assert (status, json.loads(out)["waves"]) == (0, 2)
        (folder / "q.graphql").write_text("{ none }")
        status, _, err = ended(capsys, *asking)
        assert status == 2
        assert "The gateway refuses the operation.\nCannot query field 'none'" in err
        status, _, err = ended(capsys, *asking[:-3], url.removesuffix("graphql") + "no")
        assert (status, "Name the endpoint itself" in err) == (2, True)
    status, _, err = ended(capsys, *asking)
    assert (status, f"The gateway at {url} cannot be asked" in err) == (2, True)
    status, _, err = ended(capsys, *asking, "--rows", "3")
    assert (status, "not asked for --code or --rows" in err) == (2, True)
    secret = url.replace("//", "//me:hunter2@")
    status, _, err = ended(capsys, "explain", "q.graphql", "--gateway", secret)
    assert (status, "hunter2" in err) == (2, False)
    status, _, err = ended(capsys, *asking, "--header", "none")
    assert (status, "--header 'none' is not 'name: value'" in err) == (2, True)


def test_help_shows_names_in_angles_and_commands_whole(capsys: pytest.CaptureFixture[str]) -> None:
    out = ended(capsys, "serve", "--help")[1]
    assert "PLAIT_BACKENDS__BOOKS__URL=http://127.0.0.1:9000\n" in re.sub(r" +\n", "\n", out)
    assert "module:name" in out


def test_it_tells_its_version() -> None:
    for command in (["plait"], [sys.executable, "-m", "plait"]):
        path = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        told = subprocess.run(
            [*command, "--version"], env=path, capture_output=True, text=True, check=True
        )
        assert re.fullmatch(r"plait \d+\.\d+\.\d+\n", told.stdout)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "::"])
def test_it_says_where_it_listens_and_ends_well(folder: Path, host: str) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 on this machine")
    port = free_port()
    command = [sys.executable, "-m", "plait", "serve", named(folder, "library")]
    process = subprocess.Popen(
        [*command, "--host", host, "--port", str(port)], cwd=folder, stderr=subprocess.PIPE
    )
    assert process.stderr
    with process.stderr as logged:
        line: dict[str, Any] = json.loads(logged.readline())
        url = line["url"].replace("[::]", "[::1]")
        for _ in range(100):
            try:
                urllib.request.urlopen(url.replace("/graphql", "/health/live"), timeout=5).close()
                break
            except OSError:
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert logged.read() == b""
    assert line["event"] == "listening"
    assert line["native"] is (USE == "yes")
    assert line["url"] == f"http://{f'[{host}]' if ':' in host else host}:{port}/graphql"


def test_a_port_in_use_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = ended(capsys, "serve", named(folder, "library"), "--port", str(port))
    assert status == 2
    assert f"Port {port} on 127.0.0.1: address already in use" in err


def test_a_graph_without_mutations_makes_no_ledger(folder: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "plait", "serve", named(folder, "library")]
    with running([*command, "--port", str(port)], port, cwd=folder):
        assert not (folder / ".plait").exists()
    with running([*command[:-1], named(folder, "writing"), "--port", str(port)], port, cwd=folder):
        assert (folder / ".plait" / "ledger.sqlite3").exists()


def test_reload_starts_anew_when_a_file_changes_and_outlives_a_mistake(folder: Path) -> None:
    port = free_port()
    path = folder / f"{named(folder, 'library').partition(':')[0]}.py"
    command = [sys.executable, "-m", "plait", "serve", f"{path.stem}:graph", "--reload"]

    def is_titled(title: str) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql", headers={"accept": "text/html"}
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as reply:
                return f"<title>{title} " in reply.read().decode()
        except OSError:
            return False

    with running([*command, "--port", str(port)], port, cwd=folder):
        assert eventually(lambda: is_titled("Plait"))
        path.write_text("1 / 0")
        assert eventually(lambda: not is_titled("Plait"))
        path.write_text(GRAPH.replace("query=Query)", "query=Query, title='Second')"))
        assert eventually(lambda: is_titled("Second"))


def eventually(condition: Any) -> bool:
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_reload_and_workers_exclude_each_other(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = named(folder, "library")
    status, _, err = ended(capsys, "serve", name, "--reload", "--workers", "2")
    assert status == 2
    assert "--reload serves with one process" in err


def test_the_projects_own_graph_is_named_in_its_pyproject() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "plait", "schema", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout == "schema.graphql is up to date.\n"
