"""Builds Plait. All else about the package is in pyproject.toml.

With PLAIT_MYPYC=1 the modules that run with every request become machine code beside their sources:
mypyc makes C of them, the machine's compiler does the rest. See server/plait/native.py.
"""

import os
import runpy
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

ROOT = Path(__file__).resolve().parent
PACKAGE = ROOT / "server" / "plait"
WANTED = os.environ.get("PLAIT_MYPYC") == "1"
native: dict[str, Any] = runpy.run_path(str(PACKAGE / "native.py"))
SUMS: Path = PACKAGE / native["SUMS"]


class Compiling(build_ext):
    """Makes machine code."""

    def finalize_options(self) -> None:
        from mypyc.build import mypycify  # only here: it is needed for nothing else

        os.chdir(ROOT)
        sources = [native["source_of"](PACKAGE, name) for name in native["MODULES"]]
        files = [str(source.relative_to(ROOT)) for source in sources]
        self.distribution.ext_modules = mypycify(
            ["--config-file=pyproject.toml", *files], group_name="plait"
        )
        super().finalize_options()

    def run(self) -> None:
        sums = native["sums"](PACKAGE)  # of what is about to be read
        SUMS.unlink(missing_ok=True)
        super().run()
        SUMS.write_text(sums)


class Copying(build_py):
    """Copies the sources, with what says that machine code was made of them."""

    def run(self) -> None:
        if WANTED and not self.editable_mode:
            SUMS.write_text(native["sums"](PACKAGE))
        super().run()


class Platform(Distribution):
    """One whose wheel is for one platform."""

    def has_ext_modules(self) -> bool:
        return True


if WANTED:
    setup(cmdclass={"build_ext": Compiling, "build_py": Copying}, distclass=Platform)
else:
    setup()
