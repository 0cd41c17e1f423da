"""Breaks the code in small ways, one at a time, and counts how many of them a test notices.

    make mutants                       # all modules that decide things; takes about an hour
    make mutants MUTANTS='*verdict*'   # only those whose name fits

mutmut does the work, in a folder of its own (`.mutants`), on the tests that run in this process. A
mutant that no test notices stands for a promise that nothing holds. The score of a module is the
share of its mutants that were noticed; below `SCORE_MIN` in any folder the command fails.
"""

import shutil
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".mutants"
LIMIT_S = 2 * 60 * 60
SCORE_MIN = 0.9
NOTICED = {"killed", "timeout", "suspicious", "segfault", "caught by type check"}


def main(patterns: list[str]) -> int:
    """Run mutmut and tell the score; 1 where it is too low."""
    prepare()
    command = [str(Path(sys.executable).with_name("mutmut")), "run", *patterns]
    try:
        subprocess.run(command, cwd=WORK, timeout=LIMIT_S, check=True)
    except subprocess.TimeoutExpired:
        print(f"Given up after {LIMIT_S} s; the score is of what was tried.")
    except subprocess.CalledProcessError as error:
        return error.returncode
    return report(results(), patterns)


def prepare() -> None:
    """The folder in which mutmut works: the package under `src`, where it expects it."""
    WORK.mkdir(exist_ok=True)
    for name in ("src", "mutants"):
        shutil.rmtree(WORK / name, ignore_errors=True)
    shutil.copytree(ROOT / "server" / "plait", WORK / "src" / "plait")
    for name in ("tests", "bench", "demo", "resolvers"):
        shutil.copytree(ROOT / name, WORK / name, dirs_exist_ok=True)
    for name in ("pyproject.toml", "schema.graphql", "README.md"):
        shutil.copy(ROOT / name, WORK / name)


def results() -> dict[str, str]:
    """What became of each mutant, by name."""
    command = [str(Path(sys.executable).with_name("mutmut")), "results", "--all", "true"]
    told = subprocess.run(command, cwd=WORK, check=True, capture_output=True, text=True).stdout
    pairs = (line.strip().partition(": ") for line in told.splitlines() if ": " in line)
    return {name: outcome for name, _, outcome in pairs}


def report(outcomes: dict[str, str], patterns: list[str]) -> int:
    """Print the score of each module and folder, and each mutant that nothing noticed."""
    tried = {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome != "not checked"
        and (not patterns or any(fnmatch(name, one) for one in patterns))
    }
    modules: dict[str, Counter[bool]] = {}
    for name, outcome in tried.items():
        module = name.rpartition(".")[0]
        for group in (module, f"{module.rpartition('.')[0]}.*"):
            modules.setdefault(group, Counter())[outcome in NOTICED] += 1
    for name, outcome in sorted(tried.items()):
        if outcome not in NOTICED:
            print(f"{outcome:10} {name}")
    low = False
    for group, counts in sorted(modules.items()):
        score = counts[True] / counts.total()
        is_low = group.endswith(".*") and score < SCORE_MIN
        low = low or is_low
        mark = "  too low" if is_low else ""
        print(f"{score:6.1%}  {counts[True]:5} of {counts.total():5}  {group}{mark}")
    return 1 if low or not tried else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
