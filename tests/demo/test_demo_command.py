"""`python -m demo`: how it starts and how it ends."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

PROJECT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "demo"]
ONLY = ["--only", "users,orders"]


@contextmanager
def started(tmp_path, *options):
    """The running command and the pids of its children."""
    command = subprocess.Popen(
        [*COMMAND, *options],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with command:
        try:
            yield command, _children(command)
        finally:
            command.kill()


def _children(command):
    text = b""
    while b"Ctrl-C" not in text:
        assert select.select([command.stdout], [], [], 10)[0], "not ready in time"
        chunk = os.read(command.stdout.fileno(), 4096)
        assert chunk, command.stderr.read()
        text += chunk
    return {int(pid) for pid in re.findall(rb"^\w+ +http://127.0.0.1:\d+ +(\d+)$", text, re.M)}


def _gone(pids, timeout_s=5):
    deadline = monotonic() + timeout_s
    while any(map(_runs, pids)):
        if monotonic() > deadline:
            return False
        sleep(0.02)
    return True


def _runs(pid):
    try:
        # Empty for a process that has ended and only waits for init to take note.
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_leave_nothing_running(tmp_path, number):
    with started(tmp_path, "--base-port", "0", *ONLY) as (command, children):
        assert len(children) == 2
        command.send_signal(number)
        assert command.wait(10) == 0
        assert _gone(children)
        assert command.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []


def test_a_dead_child_is_named_and_ends_the_rest(tmp_path):
    with started(tmp_path, "--base-port", "0", *ONLY) as (command, children):
        os.kill(max(children), signal.SIGKILL)
        assert command.wait(10) == 1
        assert _gone(children)
        assert b"orders was ended by SIGKILL" in command.stderr.read()


def test_children_notice_when_the_parent_is_killed(tmp_path):
    with started(tmp_path, "--base-port", "0", *ONLY) as (command, children):
        command.kill()
        assert _gone(children)


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*COMMAND, "--base-port", str(port), "--only", "users"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert f"cannot start users: port {port} on 127.0.0.1 is not free" in ended.stderr


@pytest.mark.parametrize("options", [["--only", "nope"], ["--delay-ms", "-1"]])
def test_wrong_options_are_refused(options):
    ended = subprocess.run(
        [*COMMAND, *options], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
