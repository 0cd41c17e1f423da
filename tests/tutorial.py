"""Follows the README's tutorial as a new user would: its files, its commands, in this folder.

Runs with whatever `plait` is installed for the interpreter, and needs nothing else: a test runs it
with the checkout, the gate with the wheel. The folder also gets a `server.py` of the user's own.
"""

import contextlib
import importlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

README = Path(os.environ.get("TUTORIAL_README", Path(__file__).parent.parent / "README.md"))
QUERY = "{ books { title author { name } } }"
AUTHOR = {"name": "R. Cord"}
ANSWER = {
    "data": {
        "books": [{"title": "Weaving", "author": AUTHOR}, {"title": "Knots", "author": AUTHOR}]
    }
}


def main() -> None:
    text = README.read_text()
    files = dict(
        re.findall(r"`(\w+\.py)`[^`]*(?:`[^`\n]*`[^`]*)*```python\n(.*?)```", text, re.DOTALL)
    )
    assert set(files) == {"books_api.py", "library.py", "test_library.py", "site_app.py"}, set(
        files
    )
    rest, gateway, site = free_port(), free_port(), free_port()
    for name, code in files.items():
        Path(name).write_text(code.replace("9100", str(rest)))
    Path("server.py").write_text(
        "raise RuntimeError('a file of the user that nobody may import')\n"
    )
    Path("pyproject.toml").write_text(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])
    with running("uvicorn", "books_api:app", "--port", str(rest), port=rest):
        for command in (["library:graph", "--workers", "2"], []):  # [tool.plait] names it too
            with running("plait", "serve", *command, "--port", str(gateway), port=gateway):
                assert asked(f"http://127.0.0.1:{gateway}/graphql") == ANSWER
                say(f"plait serve {' '.join(command)}")
        with running("uvicorn", "site_app:app", "--port", str(site), port=site):
            assert asked(f"http://127.0.0.1:{site}/api/graphql") == ANSWER
            page = read(f"http://127.0.0.1:{site}/api/graphql", accept="text/html").decode()
            address = re.findall(r'src="([^"]+)"', page)[0]
            assert address.startswith("/api/graphql/assets/"), address
            assert read(f"http://127.0.0.1:{site}{address}")
            say("mounted in another app, with its page and files")
    sys.path.insert(0, str(Path.cwd()))
    tests = importlib.import_module("test_library")
    names = [name for name in vars(tests) if name.startswith("test_")]
    for name in names:
        getattr(tests, name)()
    say(f"{len(names)} tests without a network")
    checked = run("plait", "check")
    assert "library:graph: no mistakes." in checked, checked
    say("plait check")


@contextlib.contextmanager
def running(module: str, *arguments: str, port: int) -> Iterator[None]:
    quiet = ["--log-level", "warning"] if module == "uvicorn" else []
    command = [sys.executable, "-m", module, *arguments, *quiet]
    process = subprocess.Popen(command, env=environment())
    try:
        for _ in range(300):
            assert process.poll() is None, f"{module} ended with {process.returncode}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        status = process.wait(timeout=20)
    assert module != "plait" or status == 0, f"plait ended with {status}"


def run(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PLAIT_")}
    return {**clean, "PLAIT_LOG_LEVEL": "warning"}


def asked(url: str) -> object:
    return json.loads(read(url, body=json.dumps({"query": QUERY}).encode()))


def read(url: str, body: bytes | None = None, accept: str = "application/json") -> bytes:
    headers = {"content-type": "application/json", "accept": accept}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as reply:
        return bytes(reply.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(text: str) -> None:
    print(f"    {text}", flush=True)


if __name__ == "__main__":
    main()
