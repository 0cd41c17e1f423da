"""Which modules may run as machine code, and whether they do.

`make native`, and a wheel that is built with `PLAIT_MYPYC=1`, put machine code beside the sources
of the modules below, with a sum of each source. Python itself prefers it to the source. It is not
to be believed where a source has been changed since, nor wanted with `PLAIT_NATIVE=off`; then all
of the sources run, for the modules know each other's insides.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

SUMS = "native.json"

MODULES = (
    "plait.backend.ask",
    "plait.backend.budget",
    "plait.backend.client",
    "plait.backend.coalesce",
    "plait.backend.decode",
    "plait.backend.encode",
    "plait.backend.fetch",
    "plait.backend.flight",
    "plait.backend.http11",
    "plait.backend.keep",
    "plait.backend.loader",
    "plait.backend.slots",
    "plait.backend.template",
    "plait.backend.transport",
    "plait.edge.exchange",
    "plait.edge.identity",
    "plait.edge.negotiate",
    "plait.observe.logs",
    "plait.query.arguments",
    "plait.query.asked",
    "plait.query.batches",
    "plait.query.direct",
    "plait.query.run",
    "plait.query.shown",
    "plait.query.typed",
    "plait.query.variables",
)
"""What runs with every request. What mypyc makes wrong or nothing of is not among it: msgspec's
structs, which have modules of their own; what others derive classes from; functions inside of
functions, each of which would be left to the garbage collector."""

Use: TypeAlias = Literal["no", "off", "stale", "yes"]
"""Whether machine code runs; `no` where there is none, `stale` where a source is another than the
one that it was made of."""


class Sources:
    """Finds the sources of some modules, whatever else is beside them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As any of Python's finders."""
        if name not in self._names or not path:
            return None
        return FileFinder(path[0], (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name, target)


def source_of(package: Path, name: str) -> Path:
    """The source of a module. `package` is the folder of the package."""
    return package.joinpath(*name.split(".")[1:]).with_suffix(".py")


def sums(package: Path) -> str:
    """What tells the sources of the modules from others, as JSON."""
    found = {
        name: hashlib.sha256(source_of(package, name).read_bytes()).hexdigest() for name in MODULES
    }
    return json.dumps(found, indent=1) + "\n"


def use_of(package: Path, wanted: str | None) -> Use:
    """Whether the machine code beside the sources is to run. `wanted` is what PLAIT_NATIVE
    says."""
    try:
        noted = (package / SUMS).read_text()
    except OSError:
        return "no"
    if not all(
        source_of(package, name).with_suffix(EXTENSION_SUFFIXES[0]).exists() for name in MODULES
    ):
        return "no"  # it was made for another Python, or in part
    if wanted is not None and wanted.strip().lower() == "off":
        return "off"
    return "yes" if noted == sums(package) else "stale"


USE = use_of(Path(__file__).parent, os.environ.get("PLAIT_NATIVE"))
if USE != "yes":
    sys.meta_path.insert(0, Sources(MODULES))
