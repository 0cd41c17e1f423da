"""Which modules may run as machine code, and when they do."""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from plait import native
from plait.native import (
    MODULES,
    SHARED,
    SUMS,
    Chosen,
    folder_of,
    machine_code_of,
    source_of,
    sums,
    use_of,
)
from tests.conftest import free_port

PACKAGE = Path(native.__file__).parent
LOOK = "import plait.native, plait.query.direct as one; print(plait.native.USE, one.__file__)"


def made(folder: Path) -> tuple[Path, Path]:
    """A package, and a folder with machine code of its modules that cannot be loaded."""
    package, code = folder / "server" / "plait", folder / "build" / "native"
    for name in MODULES:
        source = source_of(package, name)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"NAME = {name!r}\n")
    compiled(package, code)
    return package, code


def compiled(package: Path, folder: Path) -> None:
    """Put what stands for machine code in its place."""
    for name in (*MODULES, SHARED):
        code = machine_code_of(folder, name)
        code.parent.mkdir(parents=True, exist_ok=True)
        code.write_bytes(b"no machine code")
    (folder / "plait" / SUMS).write_text(sums(package))


def test_machine_code_runs_where_it_was_made_of_these_sources(tmp_path: Path) -> None:
    package, code = made(tmp_path)
    assert use_of(package, code, None) == "yes"
    assert use_of(package, code, "on") == "yes"
    assert use_of(package, code, " OFF ") == "off"


@pytest.mark.parametrize("name", MODULES)
def test_it_does_not_where_any_source_is_another_one(tmp_path: Path, name: str) -> None:
    package, code = made(tmp_path)
    source_of(package, name).write_text("NAME = 'changed'\n")
    assert use_of(package, code, None) == "stale"
    assert use_of(package, code, "off") == "off"


@pytest.mark.parametrize("name", [MODULES[3], SHARED])
def test_it_does_not_where_some_is_missing(tmp_path: Path, name: str) -> None:
    package, code = made(tmp_path)
    machine_code_of(code, name).unlink()
    assert use_of(package, code, None) == "no"


def test_it_does_not_where_nobody_says_what_it_was_made_of(tmp_path: Path) -> None:
    package, code = made(tmp_path)
    (code / "plait" / SUMS).unlink()
    assert use_of(package, code, None) == "no"


def test_it_is_in_the_build_of_a_checkout_else_beside_the_sources(tmp_path: Path) -> None:
    package, code = made(tmp_path)
    assert folder_of(package) == package.parent
    (tmp_path / "setup.py").touch()
    assert folder_of(package) == code


def test_each_module_is_found_as_what_it_is_to_run_as(tmp_path: Path) -> None:
    package, code = made(tmp_path)
    name = MODULES[0]
    for folder, file in [(code, machine_code_of(code, name)), (None, source_of(package, name))]:
        found = Chosen(package, folder).find_spec(name, None)
        assert found is not None
        assert found.origin == str(file)
        assert Chosen(package, folder).find_spec("plait.query.computed", None) is None
    shared = Chosen(package, code).find_spec(SHARED, None)
    assert shared is not None
    assert shared.origin == str(machine_code_of(code, SHARED))
    assert Chosen(package, None).find_spec(SHARED, None) is None


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package's own sources, in another folder."""
    package = tmp_path / "server" / "plait"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


@pytest.mark.parametrize("is_checkout", [True, False])
def test_sources_run_where_machine_code_is_not_to(copy: Path, is_checkout: bool) -> None:
    """Whose machine code would not load at all."""
    folder, direct = copy.parent, copy / "query" / "direct.py"
    code = folder
    if is_checkout:
        (folder.parent / "setup.py").touch()
        code = folder.parent / "build" / "native"
    assert looked(folder) == f"no {direct}"
    compiled(copy, code)
    assert "ImportError" in looked(folder)  # it is used, and is none
    assert looked(folder, PLAIT_NATIVE="off") == f"off {direct}"
    direct.write_text(direct.read_text() + "\n")
    assert looked(folder) == f"stale {direct}"
    (code / "plait" / SUMS).unlink()
    assert looked(folder) == f"no {direct}"


def test_who_serves_is_told_that_machine_code_is_out_of_date(copy: Path, tmp_path: Path) -> None:
    compiled(copy, copy.parent)
    direct = copy / "query" / "direct.py"
    direct.write_text(direct.read_text() + "\n")
    graph = "import plait, strawberry\n@strawberry.type\nclass Query:\n    ok: bool = True\n"
    (tmp_path / "one.py").write_text(f"{graph}graph = plait.Graph(query=Query)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "plait", "serve", "one:graph", "--port", str(free_port())],
        cwd=tmp_path,
        env={**others(), "PYTHONPATH": str(copy.parent), "PLAIT_LEDGER_PATH": ":memory:"},
        stderr=subprocess.PIPE,
    )
    assert process.stderr
    with process.stderr as logged:
        lines = []
        for line in logged:
            lines.append(json.loads(line))
            if lines[-1]["event"] == "listening":
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    assert [one["event"] for one in lines] == ["native_stale", "listening"]
    assert "make native" in lines[0]["reason"]
    assert lines[1]["native"] is False


def others() -> dict[str, str]:
    """The environment without what it says of machine code."""
    return {name: one for name, one in os.environ.items() if name != "PLAIT_NATIVE"}


def looked(folder: Path, **environment: str) -> str:
    """Whether machine code runs in a new process, and which file of `plait` is imported there."""
    ended = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=folder,
        env={**others(), "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return (ended.stdout + ended.stderr).strip()


def test_it_runs_where_the_tests_say_so(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--native"):
        pytest.skip("it is not said")
    assert native.USE == "yes"
    for name in MODULES:
        __import__(name)
        assert str(sys.modules[name].__file__).endswith(EXTENSION_SUFFIXES[0]), name


def test_sums_tell_every_module() -> None:
    assert list(json.loads(sums(PACKAGE))) == list(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_nothing_that_mypyc_makes_wrong(name: str) -> None:
    tree = ast.parse(source_of(PACKAGE, name).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base) for base in node.bases}
            assert not bases & {"msgspec.Struct", "Struct"}, f"{node.name}: its options are lost"
    for within in ast.walk(tree):
        if isinstance(within, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = {
                one.name
                for one in ast.walk(within)
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one is not within
            }
            assert not inner or within.name in ONCE, f"{within.name}: {inner} would be garbage"


ONCE = {"timeout", "identify", "layer", "scripted", "decoder"}
"""What is called once for a backend, or an operation's code."""
