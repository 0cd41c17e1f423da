"""The `plait` command."""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated

import cyclopts
import uvicorn
from cyclopts import Parameter
from rich.console import Console

from plait.app import create_app
from plait.errors import GraphError, PlaitError, SettingsError
from plait.graph.bind import Graph
from plait.graph.sdl import sdl_diff, write_sdl
from plait.settings import Settings, read_settings

DEFAULT_GRAPH = "resolvers:graph"
_GRAPH_VARIABLE = "PLAIT_GRAPH"

cli = cyclopts.App(
    name="plait",
    help="Several REST APIs as one GraphQL graph.",
    version_flags=["--version"],
)

GraphName = Annotated[
    str, Parameter(help="Where the graph is: `module:name`, looked for from this folder.")
]


def main() -> None:
    """Run the command line. Ends the process with 1 for a mistake in a graph or a setting."""
    try:
        cli()
    except PlaitError as error:
        _fail(str(error))


@cli.command
def serve(
    graph: GraphName = DEFAULT_GRAPH,
    *,
    host: Annotated[
        str | None, Parameter(help="Address to listen on [PLAIT_HOST, else 127.0.0.1].")
    ] = None,
    port: Annotated[
        int | None, Parameter(help="Port to listen on [PLAIT_PORT, else 8000].")
    ] = None,
    workers: Annotated[int | None, Parameter(help="Processes that share the port [1].")] = None,
) -> None:
    """Serve a graph.

    Every backend needs a URL: in the graph, or as PLAIT_BACKENDS__<NAME>__URL.
    Example: PLAIT_BACKENDS__BOOKS__URL=http://127.0.0.1:9000 plait serve library:graph
    """
    given = {"host": host, "port": port, "workers": workers}
    settings = read_settings(**{name: value for name, value in given.items() if value is not None})
    create_app(load_graph(graph), settings)  # a mistake shows here, before any worker starts
    os.environ[_GRAPH_VARIABLE] = graph
    _check_port(settings)
    uvicorn.run(
        "plait.cli:app_from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="httptools",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=10,
    )


@cli.command
def schema(
    graph: GraphName = DEFAULT_GRAPH,
    *,
    check: Annotated[
        bool, Parameter(help="Fail, with a diff, when the file is not up to date.")
    ] = False,
    file: Annotated[
        Path | None, Parameter(help="The file to write or check [schema.graphql].")
    ] = None,
) -> None:
    """Print a graph's schema, write it with --file, or check the file with --check."""
    found = load_graph(graph)
    if check:
        path = file or Path("schema.graphql")
        if difference := sdl_diff(found, path):
            print(difference)  # noqa: T201
            _fail(f"{path} is not up to date: run `plait schema {graph} --file {path}`.")
        print(f"{path} is up to date.")  # noqa: T201
    elif file is not None:
        write_sdl(found, file)
        print(f"Wrote {file}.")  # noqa: T201
    else:
        print(found.sdl, end="")  # noqa: T201


def load_graph(name: str) -> Graph:
    """The graph that `module:name` says. Raises `SettingsError` when there is none, `GraphError`
    for its mistakes."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise SettingsError(f"'{name}' is not of the form module:name, such as {DEFAULT_GRAPH}.")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except GraphError:
        raise
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"There is no module '{error.name}' here; looked from {Path.cwd().name}/."
        ) from None
    except AttributeError:
        raise SettingsError(f"The module '{module_name}' has no '{attribute}'.") from None
    if not isinstance(found, Graph):
        raise SettingsError(f"'{name}' is not a Graph: write {attribute} = Graph(query=Query).")
    return found


def app_from_environment() -> object:
    """The app of a worker process."""
    return create_app(load_graph(os.environ.get(_GRAPH_VARIABLE, DEFAULT_GRAPH)))


def _check_port(settings: Settings) -> None:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            reason = error.strerror or "it cannot be used"
            raise SettingsError(
                f"Port {settings.port} on {settings.host}: {reason}. "
                "Choose another with --port or PLAIT_PORT."
            ) from None


def _fail(message: str) -> None:
    Console(stderr=True).print(message, style="red", markup=False, highlight=False)
    sys.exit(1)
