"""Differential fuzzing for as long as one likes: `make fuzz SECONDS=600 SEED=1`.

Each world (a random graph, a document over it, a backend with faults) is answered three times: by
the stock executor, by ours with a plan, and by compiled code. The answers must be equal, and no way
may make more calls than the others. A difference is printed with the seed that brings it back:
`python -m tests.fuzz --world SEED`.
"""

import argparse
import math
import random
import sys
import time
import warnings
from collections import Counter
from itertools import islice
from typing import Any

import pytest

import plait.query.document
from plait.emit import Events
from plait.events import Event, RequestFinished
from plait.query.joins import NotCompiled
from tests.query.random_graphs import FAULTS, MALFORMED
from tests.query.test_planned import compared

TOLD_EVERY_S = 10.0
KINDS = [(), FAULTS, (*FAULTS, MALFORMED)]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--worlds", type=int, default=None, help="so many, however long it takes")
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--world", type=int, default=None, help="one world alone")
    given = options.parse_args()
    warnings.simplefilter("ignore")  # the stock executor leaves behind what it gave up
    sys.unraisablehook = lambda _: None
    seed = given.seed if given.seed is not None else random.randrange(2**32)
    worlds = iter([given.world]) if given.world is not None else iter(numbers(seed))
    seconds = given.seconds if given.worlds is None else math.inf
    end, counts = time.monotonic() + seconds, Counter[str]()
    print(f"seed {seed}", flush=True)
    told = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        count_ways(patch, counts)
        for world in islice(worlds, given.worlds):
            run(world, counts)
            if time.monotonic() > told + TOLD_EVERY_S:
                told = time.monotonic()
                print(line(counts), flush=True)
            if time.monotonic() > end:
                break
    print(line(counts))
    return 1 if counts["different"] else 0


def numbers(seed: int) -> Any:
    chance = random.Random(seed)
    while True:
        yield chance.randrange(2**32)


def run(world: int, counts: Counter[str]) -> None:
    """Compare one world's answers."""
    chance = random.Random(world)
    faults, plain = chance.choice(KINDS), chance.random() < 0.7
    counts["worlds"] += 1
    try:
        compared(world, faults, plain=plain)
    except AssertionError as error:
        counts["different"] += 1
        print(f"world {world} ({faults}, plain={plain}):\n{str(error)[:2000]}", flush=True)


def count_ways(patch: pytest.MonkeyPatch, counts: Counter[str]) -> None:
    """Note who makes the answers."""
    prepared = plait.query.document.prepared

    def note(event: Event) -> None:
        match event:
            case RequestFinished(executed_by="compiled"):
                counts["by code"] += 1
            case RequestFinished(executed_by="handed_on"):
                counts["left to graphql-core"] += 1

    def tried(*arguments: Any) -> Any:
        try:
            return prepared(*arguments)
        except NotCompiled:
            counts["not compiled"] += 1
            raise

    patch.setattr("plait.app.Events", lambda *observers: Events(*observers, note))
    patch.setattr(plait.query.document, "prepared", tried)


def line(counts: Counter[str]) -> str:
    """What was done so far."""
    names = ("worlds", "by code", "left to graphql-core", "not compiled", "different")
    return ", ".join(f"{counts[name]} {name}" for name in names)


if __name__ == "__main__":
    sys.exit(main())
