"""What a new user meets: a clean clone in a folder with a space, both set-up commands, a query.

    .ci/fresh.py PYTHON [--wheel]

The install steps of `make demo` and `make test`, `plait --version`, and one query against the
started demo, which runs without any network. As root the whole of it runs as a user without
rights, where that user may run the interpreter. `--wheel` also follows the README from a wheel,
installed with its dependencies as they are today.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROBE = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
NOBODY = 65_534


def main() -> None:
    if sys.argv[1] == "--query":
        query(*map(int, sys.argv[2:]))
        return
    python = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="plait-fresh-") as parent:
        os.chmod(parent, 0o755)
        folder = Path(parent) / "a folder with a space"
        folder.mkdir()
        user = unprivileged(python, folder)
        version = run(user, [python, "-c", PROBE], folder).strip()
        say(version, f"{python}{', as a user without rights' if user else ''}")
        clone = folder / "plait"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        if user:
            chown(clone)
        say(version, "the install steps of make demo and make test")
        run(user, ["make", ".venv/.installed-dev", f"PYTHON={python}"], clone)
        found = run(user, [".venv/bin/plait", "--version"], clone).strip()
        assert re.fullmatch(r"plait \d+\.\d+\.\d+\S*", found), found
        say(version, f"{found}; make demo, offline")
        ports = [str(free_port()), "0"]
        command = [sys.executable, str(clone / ".ci" / "fresh.py"), "--query", *ports]
        print(run([*offline(), *user], command, clone).rstrip(), flush=True)
        if "--wheel" in sys.argv:
            say(version, "the README's tutorial from the wheel, in another folder")
            from_wheel(user, clone, folder)
    say(version, "all well")


def query(port: int, base_port: int) -> None:
    """Start the demo in this folder and ask it; nothing of it is left."""
    make = ["make", "demo", f"PORT={port}", f"BASE_PORT={base_port}"]
    demo = subprocess.Popen(make, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0)
    try:
        answer = ask(port, "{ user(id: 7) { name rewards { points } } }", demo)
        assert answer["data"]["user"]["name"], answer
        assert "errors" not in answer, answer
        print(f"    {json.dumps(answer)}")
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        printed = demo.communicate(timeout=30)[0].decode()
    assert "Stopped." in printed, printed
    assert "WARNING" not in printed, printed


def from_wheel(user: list[str], clone: Path, folder: Path) -> None:
    """Install the wheel as a user would, and follow the README."""
    python = clone / ".venv" / "bin" / "python"
    run(user, [str(python), "-m", "build", "--no-isolation", "--outdir", "dist", "."], clone)
    (wheel,) = (clone / "dist").glob("*.whl")
    venv, home = folder / "venv", folder / "elsewhere"
    run(user, [str(python), "-m", "venv", str(venv)], clone)
    run(user, [str(venv / "bin" / "python"), "-m", "pip", "install", "-qq", str(wheel)], clone)
    home.mkdir()
    if user:
        chown(home)
    environment = {"TUTORIAL_README": str(clone / "README.md")}
    script = [str(venv / "bin" / "python"), str(clone / "tests" / "tutorial.py")]
    print(run(user, script, home, **environment).rstrip(), flush=True)


def ask(port: int, text: str, server: subprocess.Popen) -> dict:
    """The answer to `text`, once the gateway listens."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": text}).encode(),
        {"content-type": "application/json"},
    )
    for _ in range(300):
        assert server.poll() is None, server.stdout.read().decode()
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return json.load(reply)
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the gateway did not answer within 30 s")


def run(prefix: list[str], command: list[str], folder: Path, **environment: str) -> str:
    """What the command printed. A failure shows all of it."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PLAIT_")}
    ended = subprocess.run(
        [*prefix, *command],
        cwd=folder,
        env={**clean, **({"HOME": str(folder)} if prefix else {}), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    if ended.returncode:
        sys.exit(f"{command} ended with {ended.returncode}:\n{ended.stdout}")
    return ended.stdout


def unprivileged(python: str, folder: Path) -> list[str]:
    """What runs a command as a user without rights; nothing where that cannot be."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    # By way of a shell: the rights are gone only once another program runs.
    probe = [*user, "sh", "-c", '"$0" -c "$1"', python, PROBE]
    may_run = subprocess.run(probe, cwd=folder, capture_output=True)
    return user if may_run.returncode == 0 else []


def offline() -> list[str]:
    """What runs a command with a network of its own that holds nothing but loopback."""
    wrapped = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        subprocess.run([*wrapped, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        print("    (no network namespaces here: not cut off)")
        return []
    return wrapped


def chown(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def say(version: str, text: str) -> None:
    print(f"  [{version}] {text}", flush=True)


if __name__ == "__main__":
    main()
