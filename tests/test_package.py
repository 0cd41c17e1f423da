"""What is shipped: a wheel that holds `plait` alone, and a container whose steps work.

The gate (`.ci/run`) installs the wheel with its dependencies from the registry; here they are those
of this environment, so that the tests need no network.
"""

import os
import re
import shlex
import shutil
import site
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port, running


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel made of it."""
    source, out = tmp_path_factory.mktemp("source") / "plait", tmp_path_factory.mktemp("dist")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), "."]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    return out


def test_the_wheel_holds_plait_alone_with_its_files(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"plait"}
    for needed in ("py.typed", "edge/graphiql/plait.js", "edge/graphiql/vendor/graphiql.min.js"):
        assert f"plait/{needed}" in names
    assert not [name for name in names if "server" in name.split("/")]


def test_the_sdist_can_be_built_from(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as opened:
        names = opened.getnames()
    assert any(name.endswith("server/plait/__init__.py") for name in names)


def test_the_tutorial_works_from_the_wheel_in_an_environment_of_its_own(
    dist: Path, tmp_path: Path
) -> None:
    (wheel,) = dist.glob("*.whl")
    python = environment(tmp_path / "venv")
    install = [python, "-m", "pip", "install", "-qq", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, timeout=60)
    folder = tmp_path / "a folder of the user's"
    folder.mkdir()
    where = subprocess.run(
        [python, "-c", "import plait; print(plait.__file__)"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(tmp_path))
    ended = subprocess.run(
        [python, str(ROOT / "tests" / "tutorial.py")],
        cwd=folder,
        env={**os.environ, "TUTORIAL_README": str(ROOT / "README.md")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def environment(folder: Path) -> str:
    """A new environment that sees the dependencies of this one, and not its plait."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    # A line of a .pth file becomes part of the path; .pth files in there, such as the one of an
    # editable install, are not read.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return str(folder / "bin" / "python")


def instructions() -> Iterator[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n", " ", text).strip().splitlines():
        if line:
            name, _, rest = line.partition(" ")
            yield name, rest


@pytest.mark.skipif(
    subprocess.run([ROOT / ".ci" / "compiles", sys.executable], check=False).returncode != 0,
    reason="no machine code can be made here",
)
def test_the_containers_steps_work_by_hand(tmp_path: Path) -> None:
    """Each COPY and RUN of the build stage, in folders that stand for the image's; then the command
    with the image's settings, over a graph of the user's own."""
    opt, build, data = tmp_path / "opt", tmp_path / "build", tmp_path / "data"
    for folder in (opt, build, data):
        folder.mkdir()
    stages = 0
    settings: dict[str, str] = {}
    for name, rest in instructions():
        stages += name == "FROM"
        if stages == 1 and name == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                copied(ROOT / source, build / (target if len(sources) == 1 else "") / "")
        elif stages == 1 and name == "RUN":
            command = rest.replace("/opt", str(opt)).replace(
                "python -m venv", f"{shlex.quote(sys.executable)} -m venv"
            )
            if "-r requirements" in command:  # all of it must be here already, as locked
                command += " --no-index"
            quickly = {**os.environ, "MYPYC_OPT_LEVEL": "0"}
            subprocess.run(["sh", "-c", command], cwd=build, env=quickly, check=True, timeout=400)
        elif name == "ENV":
            settings |= dict(part.split("=", 1) for part in shlex.split(rest))
        if stages == 1 and "venv /opt" in rest:
            (packages,) = (opt / Path(rest).name / "lib").glob("python*/site-packages")
            for bundled in packages.glob("setuptools*"):  # older Pythons bring one of their own
                shutil.rmtree(bundled)
            (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    assert ("CMD", '["plait", "serve"]') in instructions()
    assert ("VOLUME", str(Path(settings["PLAIT_LEDGER_PATH"]).parent)) in instructions()
    graph = tmp_path / "graph"
    graph.mkdir()
    library = (ROOT / "README.md").read_text().split("```python\n")[2].split("```")[0]
    (graph / "library.py").write_text(library)
    port = free_port()
    chosen = {name: one for name, one in settings.items() if name.startswith("PLAIT_")}
    chosen |= {
        "PLAIT_PORT": str(port),
        "PLAIT_LEDGER_PATH": str(data / "ledger.sqlite3"),
        "PLAIT_GRAPH": "library:graph",
        "PLAIT_NATIVE": "on",
    }
    with running([str(opt / "plait" / "bin" / "plait"), "serve"], port, cwd=graph, **chosen):
        (health,) = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
        assert "/health/live" in health
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5) as reply:
            assert reply.status == 200
    look = "import plait.native; print(plait.native.USE)"
    python = opt / "plait" / "bin" / "python"
    here = {**os.environ, "PLAIT_NATIVE": "on"}
    used = subprocess.run(
        [python, "-c", look], cwd=graph, env=here, stdout=subprocess.PIPE, check=True
    )
    assert used.stdout == b"yes\n"


def copied(source: Path, target: Path) -> None:
    if source.is_dir():
        left_out = (ROOT / ".dockerignore").read_text().replace("**/", "").split()
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*left_out))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
