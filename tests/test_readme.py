"""The README is true: its example runs, and its settings are those there are."""

import re
import sys
from pathlib import Path

import httpx

from plait.settings import Settings
from tests.conftest import ROOT, free_port, running

TEXT = (ROOT / "README.md").read_text()


def test_every_setting_is_in_the_readme_with_its_words() -> None:
    for name, field in Settings.model_fields.items():
        assert f"| `PLAIT_{name.upper()}` |" in TEXT
        assert field.description
        assert field.description in TEXT


def test_the_first_type_can_be_followed_to_its_answer(tmp_path: Path) -> None:
    service, graph = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    rest, port = free_port(), free_port()
    (tmp_path / "books_api.py").write_text(service)
    (tmp_path / "library.py").write_text(graph.replace("9100", str(rest)))
    path = {"PYTHONPATH": str(tmp_path), "PLAIT_LEDGER_PATH": ":memory:"}
    uvicorn = [sys.executable, "-m", "uvicorn", "books_api:app", "--port", str(rest)]
    plait = [sys.executable, "-m", "plait", "serve", "library:graph", "--port", str(port)]
    query = {"query": "{ books { title author { name } } }"}
    with running(uvicorn, rest, **path), running(plait, port, **path):
        answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json=query).json()
    author = {"name": "R. Cord"}
    assert answer == {
        "data": {
            "books": [{"title": "Weaving", "author": author}, {"title": "Knots", "author": author}]
        }
    }


def test_make_knows_the_commands_that_the_readme_names() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)", TEXT)) <= targets
