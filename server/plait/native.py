"""Which modules may run as machine code, and whether they do.

`make native` puts machine code of the modules below into `build/native` of a checkout; in a wheel
that is built with `PLAIT_MYPYC=1` it is beside the sources. With it goes a sum of each source: it
is not to be believed where a source has been changed since, nor wanted with `PLAIT_NATIVE=off`.
Then all of the sources run, for the modules know each other's insides.
"""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    ModuleSpec,
    SourceFileLoader,
)
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

SUMS = "native.json"
SHARED = "plait__mypyc"
"""What all of the modules' machine code is in; theirs only leads there."""

MODULES = (
    "plait.backend.ask",
    "plait.backend.asking",
    "plait.backend.boarded",
    "plait.backend.budget",
    "plait.backend.call",
    "plait.backend.client",
    "plait.backend.coalesce",
    "plait.backend.decode",
    "plait.backend.encode",
    "plait.backend.exchanged",
    "plait.backend.failures",
    "plait.backend.fetch",
    "plait.backend.flight",
    "plait.backend.heads",
    "plait.backend.http11",
    "plait.backend.identity",
    "plait.backend.keep",
    "plait.backend.keys",
    "plait.backend.loader",
    "plait.backend.numbers",
    "plait.backend.replies",
    "plait.backend.said",
    "plait.backend.slots",
    "plait.backend.spec",
    "plait.backend.template",
    "plait.backend.transport",
    "plait.burst",
    "plait.edge.exchange",
    "plait.edge.heads",
    "plait.edge.identity",
    "plait.edge.negotiate",
    "plait.edge.response",
    "plait.emit",
    "plait.graph.fields",
    "plait.graph.quick",
    "plait.graph.showing",
    "plait.heads",
    "plait.ids",
    "plait.observe.logs",
    "plait.query.answered",
    "plait.query.arguments",
    "plait.query.asked",
    "plait.query.batches",
    "plait.query.code",
    "plait.query.deadlines",
    "plait.query.direct",
    "plait.query.document",
    "plait.query.done",
    "plait.query.execute",
    "plait.query.failed",
    "plait.query.fits",
    "plait.query.joins",
    "plait.query.latency",
    "plait.query.outcomes",
    "plait.query.places",
    "plait.query.plan",
    "plait.query.prepared",
    "plait.query.respond",
    "plait.query.run",
    "plait.query.sharing",
    "plait.query.shown",
    "plait.query.telling",
    "plait.query.typed",
    "plait.query.variables",
)
"""What runs with every request. What mypyc makes wrong or nothing of is not among it: msgspec's
structs, which have modules of their own; what others derive classes from; functions inside of
functions, each of which would be left to the garbage collector."""

Use: TypeAlias = Literal["no", "off", "stale", "yes"]
"""Whether machine code runs; `no` where there is none, `stale` where a source is another than the
one that it was made of."""


class Chosen:
    """Finds each of the modules as what it is to run as: machine code below `folder`, or with
    `None` the source, whatever is beside that."""

    def __init__(self, package: Path, folder: Path | None) -> None:
        self._package = package
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As any of Python's finders."""
        if self._folder is not None and (name in MODULES or name == SHARED):
            file = str(machine_code_of(self._folder, name))
            return spec_from_file_location(name, file, loader=ExtensionFileLoader(name, file))
        if self._folder is None and name in MODULES:
            file = str(source_of(self._package, name))
            return spec_from_file_location(name, file, loader=SourceFileLoader(name, file))
        return None


def source_of(package: Path, name: str) -> Path:
    """The source of a module. `package` is the folder of the package."""
    return package.joinpath(*name.split(".")[1:]).with_suffix(".py")


def machine_code_of(folder: Path, name: str) -> Path:
    """The machine code of a module. `folder` is the one that the package's would be in."""
    return folder.joinpath(*name.split(".")).with_suffix(EXTENSION_SUFFIXES[0])


def sums(package: Path) -> str:
    """What tells the sources of the modules from others, as JSON."""
    found = {
        name: hashlib.sha256(source_of(package, name).read_bytes()).hexdigest() for name in MODULES
    }
    return json.dumps(found, indent=1) + "\n"


def folder_of(package: Path) -> Path:
    """Where machine code would be."""
    checkout = package.parents[1]
    if (checkout / "setup.py").exists():
        return checkout / "build" / "native"
    return package.parent


def use_of(package: Path, folder: Path, wanted: str | None) -> Use:
    """Whether the machine code in `folder` is to run. `wanted` is what PLAIT_NATIVE says."""
    try:
        noted = (folder / "plait" / SUMS).read_text()
    except OSError:
        return "no"
    if not all(machine_code_of(folder, name).exists() for name in (*MODULES, SHARED)):
        return "no"  # it was made for another Python, or in part
    if wanted is not None and wanted.strip().lower() == "off":
        return "off"
    return "yes" if noted == sums(package) else "stale"


def choose(package: Path, wanted: str | None) -> Use:
    """Have the modules found as what they are to run as, before any of them is imported."""
    folder = folder_of(package)
    use = use_of(package, folder, wanted)
    is_beside = folder == package.parent
    if (use == "yes") != is_beside:  # else Python finds what is wanted by itself
        sys.meta_path.insert(0, Chosen(package, folder if use == "yes" else None))
    return use


USE = choose(Path(__file__).parent, os.environ.get("PLAIT_NATIVE"))
