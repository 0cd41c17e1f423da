"""Builds Plait. All else about the package is in pyproject.toml.

With PLAIT_MYPYC=1 the modules that run with every request become machine code: mypyc makes C of
them, the machine's compiler does the rest. See server/plait/native.py. MYPYC_OPT_LEVEL=0 has that
done in half of the time, for whoever wants to see that it can be done: it runs slower.
"""

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.dist import Distribution

ROOT = Path(__file__).resolve().parent
PACKAGE = ROOT / "server" / "plait"
BOUND = ["-fvisibility=hidden", "-fno-plt"] if sys.platform == "linux" else []
"""The modules call each other directly, and not as if another library could step in between."""
native: dict[str, Any] = runpy.run_path(str(PACKAGE / "native.py"))


class Compiling(build_ext):
    """Makes machine code, and notes of which sources."""

    def finalize_options(self) -> None:
        from mypyc.build import mypycify  # only here: it is needed for nothing else

        os.chdir(ROOT)
        sources = [native["source_of"](PACKAGE, name) for name in native["MODULES"]]
        files = [str(source.relative_to(ROOT)) for source in sources]
        level = os.environ.get("MYPYC_OPT_LEVEL", "3")
        made = mypycify(
            ["--config-file=pyproject.toml", *files], group_name="plait", opt_level=level
        )
        for extension in made:
            extension.extra_compile_args += BOUND
        self.distribution.ext_modules = made
        super().finalize_options()

    def run(self) -> None:
        sums = native["sums"](PACKAGE)  # of what is about to be read
        for left in Path(self.build_lib).rglob("*.so"):
            left.unlink()  # of modules that are no longer among them
        super().run()
        (Path(self.build_lib) / "plait" / native["SUMS"]).write_text(sums)


class Platform(Distribution):
    """One whose wheel is for one platform."""

    def has_ext_modules(self) -> bool:
        return True


if os.environ.get("PLAIT_MYPYC") == "1":
    setup(cmdclass={"build_ext": Compiling}, distclass=Platform)
else:
    setup()
