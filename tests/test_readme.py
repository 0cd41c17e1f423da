"""The README is true: its examples run, its settings and codes are those there are."""

import ast
import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from plait import create_app
from plait.backend.transport import scripted
from plait.cli import main
from plait.settings import BackendSettings, Settings
from plait.testing import Scripted, _Defaults, _posted, reply
from tests.conftest import ROOT, Shop

TEXT = (ROOT / "README.md").read_text()
PACKAGE = ROOT / "server" / "plait"
WRITING = TEXT[TEXT.index("## Writing from a service") : TEXT.index("## Running it")]
CURL = re.findall(r"```sh\n(curl .*?)```\n+```text\n(.*?)```", WRITING, flags=re.DOTALL)


def test_every_setting_is_in_the_readme_with_its_default_and_its_words() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description
        default = field.get_default(call_default_factory=True)
        shown = str(default).lower() if isinstance(default, bool) else default
        shown = "" if default in (None, (), {}) else shown
        assert f"| `PLAIT_{name.upper()}` | {shown} | {field.description} |" in TEXT
    for name, field in BackendSettings.model_fields.items():
        assert f"| `__{name.upper()}` | {field.description} |" in TEXT


def test_every_code_that_the_code_can_send_is_in_the_readme_and_no_other() -> None:
    pattern = re.compile(r"[A-Z]+(_[A-Z]+)+")
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                    found.add(code)
                case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code))):
                    found.add(code)
                case ast.Dict(keys=keys, values=values):
                    for key, value in zip(keys, values, strict=True):
                        if isinstance(key, ast.Constant) and key.value == "code":
                            found |= _texts(value)
                case ast.Call(func=ast.Name(id="DocumentErrors" | "HttpError")):
                    found |= {one for arg in node.args for one in _texts(arg)}
    codes = {code for code in found if pattern.fullmatch(code)}
    table = TEXT[TEXT.index("| code | meaning") : TEXT.index("With `Accept:")]
    listed = {code for code in re.findall(r"`([A-Z_]+)`", table) if not code.startswith("PLAIT_")}
    assert len(codes) > 20
    assert codes | {"BAD_REQUEST"} == listed


def _texts(node: ast.expr) -> set[str]:
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_the_tutorial_can_be_followed_to_its_end(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "tests" / "tutorial.py")]
    ended = subprocess.run(
        script, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("\n") == 5


@pytest.mark.parametrize(("command", "expected"), CURL)
def test_what_a_service_sends_is_answered_as_the_readme_says(
    demo_shop: Shop, command: str, expected: str
) -> None:
    text = command.replace("http://127.0.0.1:8000", demo_shop.url)
    shown = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True).stdout
    for line in expected.strip().splitlines():
        assert line in shown


def test_the_mutation_that_it_shows_does_what_it_says() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", WRITING, flags=re.DOTALL)
    module = sys.modules["readme_mutation"] = ModuleType("readme_mutation")
    exec(compile(code, "README.md", "exec"), vars(module))
    script: dict[str, dict[str, Any]] = {
        "orders": {"POST /orders": {"id": "o1", "cents": 500}},
        "payments": {"POST /payments": reply(status=422)},
    }
    query = 'mutation { buy(input: {product: "p1"}) }'
    sent: list[bytes] = []

    async def main() -> Any:
        wires = {name: scripted(_answers(answers)) for name, answers in script.items()}

        def mail(method: str, target: str, headers: Any, body: bytes) -> Any:
            sent.append(body)
            return 202, {}, b""

        backends: Any = {name: {"url": f"http://{name}.test"} for name in (*script, "mails")}
        app = create_app(
            module.graph,
            _Defaults(backends=backends, ledger_path=Path(":memory:")),
            transports={**wires, "mails": scripted(mail)},
            observers=(),
        )
        async with app.lifespan():
            return await _posted(app, {"query": query}, {"idempotency-key": "k"})

    answer = asyncio.run(main())
    assert answer["data"] == {"buy": ["Succeeded", "Failed", "Succeeded"]}
    assert sent == [b"about=o1"]


def _answers(answers: dict[str, Any]) -> Any:
    def answer(method: str, target: str, headers: Any, body: bytes) -> Any:
        made = answers[f"{method} {target}"]
        if isinstance(made, Scripted):
            return made.status, made.headers, b""
        assert json.loads(body) == {"product": "p1"}
        return 201, {"content-type": "application/json"}, json.dumps(made).encode()

    return answer


def test_the_services_examples_are_found() -> None:
    assert len(CURL) == 5


def test_make_knows_the_commands_that_the_readme_names() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make (\w+)", TEXT, flags=re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_what_plait_explain_prints_is_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = TEXT[TEXT.index("### Which calls a query makes") :]
    query, printed = re.findall(r"```(?:graphql|text)\n(.*?)```", section, flags=re.DOTALL)[:2]
    file = tmp_path / "dashboard.graphql"
    file.write_text(query)
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(file), "resolvers:graph"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == printed
