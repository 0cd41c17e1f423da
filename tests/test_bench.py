"""`make bench` measures what it says, and its picture can be looked at."""

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import engine, instructions
from bench.compare.__main__ import SCENARIOS, Scenario
from bench.compare.picture import picture
from tests.conftest import ROOT


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="CPU is read from /proc")
def test_the_gateway_is_measured_beside_a_plain_app(tmp_path: Path) -> None:
    svg = tmp_path / "bench.svg"
    command = [
        sys.executable,
        "-m",
        "bench.compare",
        "--seconds",
        "0.2",
        "--only",
        "flat list, each",
    ]
    done = subprocess.run(
        [*command, "--svg", str(svg)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    (row,) = (line for line in done.stdout.splitlines() if "a flat list, each alone" in line)
    ours, plain, times = (part.strip() for part in row.split("│")[2:5])
    assert int(ours.replace(",", "")) > 0
    assert int(plain.replace(",", "")) > 0
    assert float(times) > 0
    assert "a flat list, each alone" in svg.read_text()


@pytest.mark.sources
@pytest.mark.parametrize("case", engine.CASES)
def test_the_engine_is_measured_by_itself(case: str) -> None:
    of, query, reply_of = engine.CASES[case]
    made = engine.executor(of, engine.InMemory(reply_of))
    assert asyncio.run(engine.cpu_us(made, query, rounds=1, times=1)) > 0


@pytest.mark.parametrize("name", ["dashboard", "front_door", "kills"])
def test_the_other_measurements_can_be_begun(name: str) -> None:
    """They take minutes: what they measure, others test."""
    assert callable(importlib.import_module(f"bench.{name}").main)


def test_a_scenario_that_is_none_is_told() -> None:
    command = [sys.executable, "-m", "bench.compare", "--only", "nothing of the kind"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "No scenario has 'nothing of the kind' in its name.\n"


def test_the_longer_bar_of_a_pair_is_what_takes_more() -> None:
    drawn = ElementTree.fromstring(picture([("one & two", 10.0, 40.0)]))
    bars = [one for one in drawn.iter() if one.tag.endswith("rect")][:2]
    ours, plain = (float(one.attrib["width"]) for one in bars)
    assert ours * 4 == pytest.approx(plain, rel=0.01)


@pytest.mark.parametrize(
    "scenario",
    [one for one in SCENARIOS if instructions.is_countable(one)],
    ids=lambda one: one.name,
)
def test_what_is_counted_are_answers(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no valgrind either."""
    for name, value in instructions.environment_of(scenario).items():
        monkeypatch.setenv(name, value)
    told: list[str] = []
    answer = asyncio.run(instructions.run(scenario, told.append, rounds=1))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    made = json.loads(body)
    assert made["data"]
    assert ("errors" in made) == ("failing" in scenario.name)
    assert told == ["on", "off"]


def test_who_counts_is_told_where_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.instructions", "--only", "no call"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="apt-get install valgrind"):
        instructions.main()
    monkeypatch.setattr(sys, "argv", ["bench.instructions", "--only", "50 ms"])
    with pytest.raises(SystemExit, match="No scenario that can be counted has '50 ms'"):
        instructions.main()
