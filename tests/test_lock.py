"""The lock files are whole: they hold what pyproject.toml asks for, all that it brings, and
hashes."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ASKED = PROJECT["project"]["dependencies"]
LOCKS = {
    "requirements.lock": ASKED,
    "requirements-dev.lock": [*ASKED, *PROJECT["project"]["optional-dependencies"]["dev"]],
    "requirements-native.lock": [
        *ASKED,
        *PROJECT["project"]["optional-dependencies"]["native"],
    ],
    "requirements-build.lock": PROJECT["build-system"]["requires"],
}
RELOCK = "run `make lock`"


def locked(name: str) -> dict[str, Version]:
    """The versions that a lock file holds, whatever their markers."""
    lines = re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / name).read_text(), flags=re.MULTILINE)
    return {canonicalize_name(found): Version(version) for found, version in lines}


def needed(texts: list[str], extras: tuple[str, ...] = ("",)) -> Iterator[Requirement]:
    """The requirements among `texts` that hold on this interpreter."""
    for requirement in map(Requirement, texts):
        environments = [{**default_environment(), "extra": extra} for extra in extras]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            yield requirement


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_is_asked_for_and_all_that_it_brings(name: str) -> None:
    versions = locked(name)
    waiting = list(needed(LOCKS[name]))
    seen = set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        assert key[0] in versions, f"{requirement} is not in {name}: {RELOCK}"
        assert versions[key[0]] in requirement.specifier, f"{requirement} in {name}: {RELOCK}"
        installed = importlib.metadata.distribution(requirement.name)
        assert Version(installed.version) == versions[key[0]], f"{key[0]} is not as locked"
        waiting += needed(installed.requires or [], ("", *requirement.extras))
    assert len(seen) >= len(LOCKS[name])


@pytest.mark.parametrize("name", LOCKS)
def test_every_file_in_a_lock_has_a_hash_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    for entry in re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
    assert "://" not in text


def test_locks_agree_with_each_other() -> None:
    one, other = locked("requirements.lock"), locked("requirements-dev.lock")
    assert {name: other.get(name) for name in one} == one


def test_a_lock_serves_interpreters_that_need_more_than_this_one() -> None:
    # redis asks for it below 3.11.3, which is Debian 12's Python.
    assert re.search(
        r"^async-timeout==\S+ ; python_full_version < '3\.11\.3'",
        (ROOT / "requirements.lock").read_text(),
        flags=re.MULTILINE,
    )
