"""Imports point downward, each library has its place, the public surface is what it says."""

import ast
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

import plait

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "server" / "plait"
LAYERS = [
    *("errors", "events", "emit", "clock", "burst", "heads", "ids", "settings"),
    *("backend", "writes", "graph", "query"),
]
SERVED = ["edge", "observe", "gateway", "app", "testing", "find", "remote", "serve", "cli"]
ROOMS = [*LAYERS, "native", *SERVED, "__main__"]
TOP_LEVEL = {
    *("server", "resolvers", "tests", "bench", "demo", "schema.graphql", "Dockerfile"),
    *("pyproject.toml", "Makefile", ".ci", ".dockerignore", ".gitignore"),
    *("requirements.lock", "requirements-build.lock", "requirements-dev.lock"),
    *("requirements-mutants.lock", "requirements-native.lock", "setup.py"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"),
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path: Path) -> None:
    own = part(path)
    for name in imports(path):
        if not name.startswith("plait."):
            continue
        other = name.split(".")[1]
        if own != "__init__":  # which shows what all of them make
            assert ROOMS.index(other) <= ROOMS.index(own), f"{own} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_library_has_its_place(path: Path) -> None:
    own = str(path.relative_to(PACKAGE))
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & {"resolvers", "demo"}
    assert "httpx" not in tops or own in ("backend/transport.py", "backend/wire.py", "remote.py")
    assert "fastapi" not in tops or own == "app.py"
    assert not tops & {"strawberry", "graphql"} or part(path) in ("graph", "query")
    assert "aiocache" not in tops or own == "backend/cache.py"


def test_nothing_lies_about_at_the_top() -> None:
    """Where a test that goes wrong, or a tool, leaves its files."""
    command = ["git", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    assert {name.partition("/")[0] for name in listed.stdout.splitlines()} == TOP_LEVEL


def test_the_graph_imports_public_names_only() -> None:
    for path in (ROOT / "resolvers").rglob("*.py"):
        assert not {name for name in imports(path) if name.startswith("plait.")}


PUBLIC = {
    "Backend",
    "BackendError",
    "BadUserInput",
    "Connection",
    "Example",
    "Failed",
    "Graph",
    "GraphError",
    "Outcome",
    "PlaitError",
    "SettingsError",
    "Succeeded",
    "Unknown",
    "arg",
    "by_ids",
    "create_app",
    "cursor_pages",
    "discriminator",
    "grouped",
    "link_pages",
    "offsets",
    "page_numbers",
    "prop",
    "this",
    "write_together",
}
"""What a graph author imports. A name more or less here is a decision."""


def test_the_public_surface_is_its_list() -> None:
    assert sorted(plait.__all__) == sorted(PUBLIC)
    assert sorted(plait.__all__) == plait.__all__
    modules = {name for name in vars(plait) if isinstance(vars(plait)[name], ModuleType)}
    shown = {name for name in vars(plait) if not name.startswith("_")} - modules
    assert shown == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC - {"this", "Outcome"}))
def test_each_public_name_says_what_it_is(name: str) -> None:
    assert len((getattr(plait, name).__doc__ or "").split()) >= 4
