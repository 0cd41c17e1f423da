"""Finds the graph that a command means: by argument, by `PLAIT_GRAPH`, or by the folder's
pyproject.toml."""

import importlib
import sys
import tomllib
import traceback
from pathlib import Path

from plait.errors import GraphError, SettingsError
from plait.graph.graph import Graph

PROJECT_FILE = "pyproject.toml"


def graph_name(given: str | None, setting: str | None) -> str:
    """Which graph is meant. Raises `SettingsError` when nothing says so."""
    name = given or setting or _from_project()
    if name is None:
        raise SettingsError(
            "No graph is named: write `plait serve module:name`, set PLAIT_GRAPH=module:name, or "
            f'put `graph = "module:name"` under [tool.plait] in {PROJECT_FILE}.'
        )
    return name


def load_graph(name: str) -> Graph:
    """The graph that `module:name` says, looked for from this folder. Raises `SettingsError` when
    there is none, `GraphError` for its mistakes."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise SettingsError(f"'{name}' is not of the form module:name, such as library:graph.")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except GraphError:
        raise
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"There is no module '{error.name}': looked for from the folder {Path.cwd().name}/ "
            f"to load '{name}'."
        ) from None
    except Exception as error:
        raise SettingsError(f"'{module_name}' cannot be imported: {_told(error)}") from None
    if not hasattr(module, attribute):
        raise SettingsError(f"The module '{module_name}' has no '{attribute}'.")
    found = getattr(module, attribute)
    if not isinstance(found, Graph):
        raise SettingsError(f"'{name}' is not a Graph: write {attribute} = Graph(query=Query).")
    return found


def _from_project() -> str | None:
    try:
        with Path(PROJECT_FILE).open("rb") as file:
            table = tomllib.load(file).get("tool", {}).get("plait", {})
    except FileNotFoundError:
        return None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{PROJECT_FILE} cannot be read: {error}.") from None
    if unknown := set(table) - {"graph"}:
        raise SettingsError(f"[tool.plait] in {PROJECT_FILE} has no '{sorted(unknown)[0]}'.")
    name = table.get("graph")
    if name is not None and not isinstance(name, str):
        raise SettingsError(f"[tool.plait] graph in {PROJECT_FILE} must be a text.")
    return name


def _told(error: Exception) -> str:
    """What went wrong, and where in the author's own code: the innermost place in this folder."""
    here = str(Path.cwd())
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(here) and "site-packages" not in frame.filename
    ]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        place = f" ({Path(error.filename or '?').name}:{error.lineno})"
        return f"{error.msg}{place}."
    return f"{type(error).__name__}: {error}{place}."
