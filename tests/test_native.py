"""Which modules may run as machine code, and when they do."""

import ast
import json
import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from plait import native
from plait.native import MODULES, SUMS, Sources, source_of, sums, use_of

PACKAGE = Path(native.__file__).parent
LOOK = "import plait.native, plait.query.direct as one; print(plait.native.USE, one.__file__)"


def made(folder: Path) -> Path:
    """A package whose modules have machine code beside them that cannot be loaded."""
    package = folder / "plait"
    for name in MODULES:
        source = source_of(package, name)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"NAME = {name!r}\n")
        source.with_suffix(EXTENSION_SUFFIXES[0]).write_bytes(b"no machine code")
    (package / SUMS).write_text(sums(package))
    return package


def test_machine_code_runs_where_it_was_made_of_these_sources(tmp_path: Path) -> None:
    package = made(tmp_path)
    assert use_of(package, None) == "yes"
    assert use_of(package, "on") == "yes"
    assert use_of(package, " OFF ") == "off"


@pytest.mark.parametrize("name", MODULES)
def test_it_does_not_where_any_source_is_another_one(tmp_path: Path, name: str) -> None:
    package = made(tmp_path)
    source_of(package, name).write_text("NAME = 'changed'\n")
    assert use_of(package, None) == "stale"
    assert use_of(package, "off") == "off"


def test_it_does_not_where_there_is_none(tmp_path: Path) -> None:
    package = made(tmp_path)
    source_of(package, MODULES[3]).with_suffix(EXTENSION_SUFFIXES[0]).unlink()
    assert use_of(package, None) == "no"
    package = made(tmp_path)
    (package / SUMS).unlink()
    assert use_of(package, None) == "no"


def test_sources_are_found_whatever_is_beside_them(tmp_path: Path) -> None:
    package = made(tmp_path)
    name = MODULES[0]
    folder = str(source_of(package, name).parent)
    found = Sources([name]).find_spec(name, [folder])
    assert found is not None
    assert found.origin == str(source_of(package, name))
    assert Sources([name]).find_spec("plait.query.other", [folder]) is None
    assert Sources([name]).find_spec(name, None) is None


def test_the_package_runs_from_its_sources_where_machine_code_is_not_to_be_used(
    tmp_path: Path,
) -> None:
    """Of a copy, whose machine code would not load at all."""
    package = tmp_path / "plait"
    for path in PACKAGE.rglob("*.py"):
        copy = package / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    for name in MODULES:
        source_of(package, name).with_suffix(EXTENSION_SUFFIXES[0]).write_bytes(b"none")
    direct = package / "query" / "direct.py"
    assert looked(tmp_path) == f"no {direct}"
    (package / SUMS).write_text(sums(package))
    assert looked(tmp_path, PLAIT_NATIVE="off") == f"off {direct}"
    direct.write_text(direct.read_text() + "\n")
    assert looked(tmp_path) == f"stale {direct}"
    (package / SUMS).write_text(sums(package))
    assert "ImportError" in looked(tmp_path)


def looked(folder: Path, **environment: str) -> str:
    """Whether machine code runs in a new process, and which file of `plait` is imported there."""
    own = {name: one for name, one in os.environ.items() if name != "PLAIT_NATIVE"}
    ended = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=folder,
        env={**own, "PYTHONPATH": str(folder), **environment},
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


ONCE = {"timeout", "identify", "layer", "scripted", "decoder", "log_observer"}
"""What is called once for a backend, or an operation's code."""
