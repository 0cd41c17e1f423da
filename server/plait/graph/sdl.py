"""schema.graphql: written from the graph, and compared with it so that it cannot go stale."""

import difflib
from pathlib import Path

from plait.graph.graph import Graph


def write_sdl(graph: Graph, path: Path) -> None:
    """Write the graph's schema to `path`."""
    path.write_text(graph.sdl, encoding="utf-8")


def sdl_diff(graph: Graph, path: Path) -> str:
    """How the file at `path` differs from the graph, as a unified diff; empty when it is up to
    date."""
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        written.splitlines(keepends=True),
        graph.sdl.splitlines(keepends=True),
        fromfile=f"{path.name} (as it is)",
        tofile=f"{path.name} (as the graph is)",
    )
    return "".join(lines)
