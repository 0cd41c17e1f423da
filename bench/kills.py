"""Kills the gateway and its targets (SIGKILL) at random under several clients, and counts whether
ledger, effects and answers agree.

    python -m bench.kills [KILLS [CLIENTS]]

Each client sends one mutation after another, each under a key of its own, and asks again with the
same key until the answer is final. At the end: a key may have had no second effect on the target
that honours keys, nothing that was told as succeeded may lack its effect, nothing that was told as
failed may have one, and no write may be left pending.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TRIES_MAX = 400
FINAL_S = 60.0


@dataclass
class Report:
    """What was seen."""

    kills: Counter[str] = field(default_factory=Counter)
    keys: int = 0
    requests: int = 0
    above_one: int = 0
    """Keys with more than one effect on a target."""
    false_outcomes: int = 0
    """Keys that were told as succeeded without an effect, or as failed with one."""
    unknown_for_good: int = 0
    """Writes to the plain target that stay unknown: nobody may send them again."""
    never_final: int = 0
    pending: int = 0
    """Writes that the ledger has as pending at the end."""
    final_s: list[float] = field(default_factory=list)
    """How long each key took to its final answer."""

    @property
    def is_clean(self) -> bool:
        """Whether everything agrees."""
        return not (self.above_one or self.false_outcomes or self.never_final or self.pending)


class Process:
    """A server that is started again after it was killed."""

    def __init__(self, name: str, port: int, command: list[str], **environment: str) -> None:
        self.name = name
        self._port = port
        self._command = command
        self._environment = {**os.environ, **environment}
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> None:
        """Until it takes connections."""
        for _ in range(600):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self._process.returncode}")
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} takes no connections")

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """End it as an operator would."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(15)
            return
        self.kill()


class Client:
    """Sends mutations until it is stopped, and each until its answer is final."""

    def __init__(self, number: int, port: int, report: Report, lock: threading.Lock) -> None:
        self.answers: dict[int, tuple[str, str]] = {}
        self._number = number
        self._url = f"http://127.0.0.1:{port}/graphql"
        self._report = report
        self._lock = lock
        self.stopping = threading.Event()

    def run(self) -> None:
        n = self._number * 1_000_000
        while not self.stopping.is_set():
            n += 1
            self._drive(n)

    def _drive(self, n: int) -> None:
        start = time.monotonic()
        shown: tuple[str, str] | None = None
        while shown is None and time.monotonic() - start < FINAL_S:
            shown = self._ask(n)
            if shown is None:
                time.sleep(random.random() * 0.1)
        with self._lock:
            self._report.keys += 1
            if shown is None:
                self._report.never_final += 1
            else:
                self._report.final_s.append(time.monotonic() - start)
                self.answers[n] = shown

    def _ask(self, n: int) -> tuple[str, str] | None:
        """(keyed, plain) where both are final."""
        with self._lock:
            self._report.requests += 1
        body = json.dumps({"query": f"mutation {{ do(n: {n}) }}"}).encode()
        headers = {"content-type": "application/json", "idempotency-key": f"key-{n}"}
        request = urllib.request.Request(self._url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                answer: dict[str, Any] = json.load(reply)
        except (OSError, ValueError, http.client.HTTPException):  # it was killed, maybe half way
            return None
        data = answer.get("data") or {}
        if not data.get("do"):
            return None
        keyed, plain = data["do"].split()
        again = any(one.get("retryable") for one in answer["extensions"]["plait"]["writes"])
        return None if again else (keyed, plain)


def run(kills: int, clients: int, *, seed: int = 0, say: Any = print) -> Report:
    """Kill so many times, under so many clients."""
    chance = random.Random(seed)
    report, lock = Report(), threading.Lock()
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.sqlite3" for name in ("keyed", "plain", "ledger")}
        ports = {name: _free_port() for name in ("keyed", "plain", "gateway")}
        processes = [
            *(_target(name, ports[name], files[name]) for name in ("keyed", "plain")),
            _gateway(ports, files["ledger"]),
        ]
        try:
            for one in processes:
                one.wait()
            workers = [Client(n + 1, ports["gateway"], report, lock) for n in range(clients)]
            threads = [threading.Thread(target=one.run, daemon=True) for one in workers]
            for thread in threads:
                thread.start()
            for count in range(kills):
                time.sleep(0.2 + chance.random() * 0.6)
                victim = chance.choice([*processes, processes[-1]])  # the gateway most often
                victim.kill()
                report.kills[victim.name] += 1
                time.sleep(chance.random() * 0.3)
                victim.start()
                victim.wait()
                if (count + 1) % 10 == 0:
                    say(f"{count + 1} kills, {report.keys} keys, {report.requests} requests")
            time.sleep(1)
            for worker in workers:
                worker.stopping.set()
            for thread in threads:
                thread.join(FINAL_S + 15)
        finally:
            for one in reversed(processes):
                one.stop()
        _compare(report, workers, files)
    return report


def _compare(report: Report, workers: list[Client], files: dict[str, Path]) -> None:
    effects = {name: _effects(files[name]) for name in ("keyed", "plain")}
    for found in effects.values():
        report.above_one += sum(count > 1 for count in found.values())
    for worker in workers:
        for n, told in worker.answers.items():
            for name, outcome in zip(("keyed", "plain"), told, strict=True):
                count = effects[name][n]
                report.unknown_for_good += outcome == "Unknown"
                report.false_outcomes += outcome == "Succeeded" and count != 1
                report.false_outcomes += outcome == "Failed" and count != 0
    database = sqlite3.connect(files["ledger"])
    query = "SELECT count(*) FROM writes WHERE state = 'pending'"
    report.pending = database.execute(query).fetchone()[0]
    database.close()


def _effects(path: Path) -> Counter[int]:
    database = sqlite3.connect(path)
    found: Counter[int] = Counter(
        dict(database.execute("SELECT n, count(*) FROM effects GROUP BY n"))
    )
    database.close()
    return found


def _target(name: str, port: int, path: Path) -> Process:
    return Process(name, port, [sys.executable, "-m", "bench.target", str(port), str(path), name])


def _gateway(ports: dict[str, int], ledger: Path) -> Process:
    command = [sys.executable, "-m", "plait", "serve", "bench.graphs.effects:graph"]
    return Process(
        "gateway",
        ports["gateway"],
        [*command, "--port", str(ports["gateway"])],
        PLAIT_BACKENDS__KEYED__URL=f"http://127.0.0.1:{ports['keyed']}",
        PLAIT_BACKENDS__PLAIN__URL=f"http://127.0.0.1:{ports['plain']}",
        PLAIT_LEDGER_PATH=str(ledger),
        PLAIT_GRAPHIQL="false",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> int:
    """Run, and print what was seen; 1 where something disagrees."""
    options = argparse.ArgumentParser(prog="python -m bench.kills")
    options.add_argument("kills", type=int, nargs="?", default=50, help="how many (50)")
    options.add_argument("clients", type=int, nargs="?", default=4, help="how many ask (4)")
    given = options.parse_args()
    report = run(given.kills, given.clients)
    times = sorted(report.final_s)
    print(f"kills              {report.kills.total()}: {dict(report.kills)}")
    print(f"keys               {report.keys}, requests {report.requests}")
    print(f"effects above one  {report.above_one}")
    print(f"false outcomes     {report.false_outcomes}")
    print(f"unknown for good   {report.unknown_for_good} (plain target, in doubt)")
    print(f"never final        {report.never_final}")
    print(f"left pending       {report.pending}")
    if times:
        half, most = times[len(times) // 2], times[int(len(times) * 0.99)]
        print(f"to a final answer  p50 {half:.2f} s, p99 {most:.2f} s, longest {times[-1]:.2f} s")
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
