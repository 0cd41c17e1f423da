"""The `plait` command."""

import asyncio
import importlib.metadata
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from plait.app import create_app
from plait.backend.record import recorded
from plait.errors import PlaitError, SettingsError
from plait.find import graph_name, load_graph
from plait.gateway import effective
from plait.graph.graph import Graph
from plait.graph.hints import hints_of
from plait.graph.recorded import held_against, unknown
from plait.graph.sdl import sdl_diff, write_sdl
from plait.query.explain import ROWS_ASSUMED, Explanation, code_of_text, explain_text, tree
from plait.remote import plan_of
from plait.serve import CANNOT_START, serve_app
from plait.settings import Settings, foreign, read_settings, variables
from plait.writes.memory import MEMORY
from plait.writes.sqlite import SqliteLedger

NOT_UP_TO_DATE = 1
WRITES_SHOWN = 1_000
ID_SHOWN = 10

cli = cyclopts.App(
    name="plait",
    help="Several REST APIs as one GraphQL graph.",
    version=lambda: f"plait {importlib.metadata.version('plait')}",
    version_flags=["--version"],
    help_format="plaintext",
)

GraphName = Annotated[
    str | None,
    Parameter(
        help="The graph, as module:name, looked for from this folder "
        "[PLAIT_GRAPH, else graph under [tool.plait] in pyproject.toml]."
    ),
]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line [the process's]. Ends the process with 2 for a mistake in a graph or a
    setting."""
    try:
        cli(sys.argv[1:] if arguments is None else arguments)
    except PlaitError as error:
        _say(str(error))
        sys.exit(CANNOT_START)


@cli.command
def serve(
    graph: GraphName = None,
    *,
    host: Annotated[
        str | None, Parameter(help="Address to listen on [PLAIT_HOST, else 127.0.0.1].")
    ] = None,
    port: Annotated[
        int | None, Parameter(help="Port to listen on [PLAIT_PORT, else 8000].")
    ] = None,
    workers: Annotated[
        int | None, Parameter(help="Processes that share the port [PLAIT_WORKERS, else 1].")
    ] = None,
    reload: Annotated[
        bool, Parameter(help="Start anew when a file of this folder changes.", negative=())
    ] = False,
) -> None:
    """Serve a graph.

    Every backend needs a URL: in the graph, or as a variable such as
    PLAIT_BACKENDS__BOOKS__URL=http://127.0.0.1:9000
    """
    settings = _settings(host=host, port=port, workers=workers)
    if reload and settings.workers > 1:
        raise SettingsError("--reload serves with one process: leave out --workers.")
    name = graph_name(graph, settings.graph)
    found = load_graph(name)
    if settings.workers > 1 and found.writes and str(settings.ledger_path) == MEMORY:
        raise SettingsError(
            f"PLAIT_LEDGER_PATH is {MEMORY}, and {settings.workers} workers would each remember "
            "only their own writes: a request that comes again could be done twice. Name a file, "
            "or serve with one worker."
        )
    app = create_app(found, settings)
    sys.exit(serve_app(app, name, settings, reload=reload))


@cli.command
def check(
    graph: GraphName = None,
    *,
    replies: Annotated[
        Path | None,
        Parameter(help="A folder of recorded replies to hold the graph against."),
    ] = None,
) -> None:
    """Look for mistakes in a graph and its settings, without serving it.

    Prints the policy of each backend as it holds with these settings, and where a field may make
    one call for each row of a list.

    With --replies it says instead which properties the recorded replies lack, or have otherwise
    than the graph declares, and ends with 1 where one is wrong. No backend needs a URL for that. A
    gateway records replies where PLAIT_RECORD_REPLIES names a folder.
    """
    settings = read_settings()
    name = graph_name(graph, settings.graph)
    found = load_graph(name)
    if replies is not None:
        sys.exit(0 if _fits(found, replies) else NOT_UP_TO_DATE)
    _show_policies(found, settings)
    for hint in hints_of(found):
        _say(f"hint: {hint}", style="yellow")
    create_app(found, settings)
    for variable in foreign(variables()):
        _say(f"hint: {variable} is no setting of Plait's, and is left alone.", style="yellow")
    print(f"{name}: no mistakes.")  # noqa: T201


@cli.command
def schema(
    graph: GraphName = None,
    *,
    check: Annotated[
        bool, Parameter(help="Fail, with a diff, when the file is not up to date.", negative=())
    ] = False,
    file: Annotated[
        Path | None, Parameter(help="The file to write or check [schema.graphql].")
    ] = None,
) -> None:
    """Print a graph's schema, write it with --file, or compare the file with --check."""
    name = graph_name(graph, read_settings().graph)
    found = load_graph(name)
    if check:
        path = file or Path("schema.graphql")
        if difference := sdl_diff(found, path):
            print(difference)  # noqa: T201
            _say(f"{path} is not up to date. Write it: plait schema {name} --file {path}")
            sys.exit(NOT_UP_TO_DATE)
        print(f"{path} is up to date.")  # noqa: T201
    elif file is not None:
        write_sdl(found, file)
        print(f"Wrote {file}.")  # noqa: T201
    else:
        print(found.sdl, end="")  # noqa: T201


@cli.command
def explain(
    document: Annotated[Path, Parameter(help="A file with the operation.")],
    graph: GraphName = None,
    *,
    variables: Annotated[
        str | None, Parameter(help="The operation's variables, as JSON or as @file.")
    ] = None,
    operation: Annotated[
        str | None, Parameter(help="Which operation, where the file has several.")
    ] = None,
    rows: Annotated[
        int, Parameter(help="How many rows a list is taken to have [10].")
    ] = ROWS_ASSUMED,
    gateway: Annotated[
        str | None,
        Parameter(
            help="Ask the gateway at this URL, such as http://127.0.0.1:8000/graphql, which knows "
            "how long calls take."
        ),
    ] = None,
    header: Annotated[
        tuple[str, ...],
        Parameter(help="A header for the gateway: 'name: value'. May be repeated.", negative=()),
    ] = (),
    json: Annotated[bool, Parameter(help="Print JSON, for tools.", negative=())] = False,
    code: Annotated[
        bool,
        Parameter(help="Print the code that makes its answers, and nothing else.", negative=()),
    ] = False,
    max_calls: Annotated[
        int | None, Parameter(help="End with 1 where more calls than this may be made.")
    ] = None,
    max_waves: Annotated[
        int | None, Parameter(help="End with 1 where calls wait for each other longer than this.")
    ] = None,
) -> None:
    """Say which calls an operation will make, in which waves, and why one waits for another.

    Nothing is called, and no backend needs a URL. Lists of unknown length are taken to have --rows
    rows. How long calls take is known to a running gateway: --gateway asks that instead.
    """
    text, given = _read(document), _variables(variables)
    if gateway is not None:
        if code or rows != ROWS_ASSUMED:
            raise SettingsError("A gateway is not asked for --code or --rows: leave --gateway out.")
        made = plan_of(
            gateway, text, variables=given, operation_name=operation, headers=_headers(header)
        )
        _tell_plan(made, json=json)
        sys.exit(NOT_UP_TO_DATE if _is_over(made, max_calls, max_waves) else 0)
    found = load_graph(graph_name(graph, read_settings().graph))
    if code:
        print(code_of_text(found, text, variables=given, operation_name=operation), end="")  # noqa: T201
        return
    made = explain_text(
        found,
        text,
        variables=given,
        operation_name=operation,
        rows_assumed=rows,
    )
    _tell_plan(made, json=json)
    sys.exit(NOT_UP_TO_DATE if _is_over(made, max_calls, max_waves) else 0)


def _tell_plan(made: Explanation, *, json: bool) -> None:
    if json:
        print(msgspec.json.format(msgspec.json.encode(made), indent=2).decode())  # noqa: T201
    else:
        for line in tree(made):
            print(line)  # noqa: T201


def _headers(given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition(":") for one in given]
    if wrong := next((name for name, colon, _ in pairs if not colon or not name.strip()), None):
        raise SettingsError(f"--header '{wrong}' is not 'name: value'.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _is_over(made: Explanation, max_calls: int | None, max_waves: int | None) -> bool:
    over = [
        f"{count} {what}, and at most {most} are allowed (--max-{what})."
        for count, most, what in (
            (made.calls, max_calls, "calls"),
            (made.waves, max_waves, "waves"),
        )
        if most is not None and count > most
    ]
    for one in over:
        _say(one)
    if made.unplanned and (max_calls is not None or max_waves is not None):
        _say("Not all of it can be planned: more calls may come of that.", "yellow")
    return bool(over)


def _variables(given: str | None) -> dict[str, object] | None:
    if given is None:
        return None
    text = _read(Path(given[1:])) if given.startswith("@") else given
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise SettingsError(f"--variables is no JSON object: {error}.") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from None


@cli.command
def writes(
    *,
    forget: Annotated[
        str | None,
        Parameter(
            help="An entry to forget, by the beginning of its id: its key then stands for a new "
            "request."
        ),
    ] = None,
) -> None:
    """List the writes in the ledger of which nobody knows what became.

    Who asks again under the same key finishes those that can be sent again. The others stay until
    somebody has looked at the target, and forgets them here.
    """
    path = read_settings().ledger_path
    if not path.exists():
        raise SettingsError(f"There is no ledger at {path} (PLAIT_LEDGER_PATH).")
    asyncio.run(_show_writes(SqliteLedger(path), forget))


async def _show_writes(ledger: SqliteLedger, forget: str | None) -> None:
    try:
        entries = await ledger.unfinished_entries(WRITES_SHOWN)
        if forget is not None:
            meant = [one.id for one in entries if forget and one.id.startswith(forget)]
            if len(meant) != 1:
                raise SettingsError(
                    f"{len(meant) or 'No'} entries begin with '{forget}': name one of those listed."
                )
            if not await ledger.forget(meant[0]):
                raise SettingsError(f"Entry {forget} is being driven: it cannot be forgotten now.")
            entries = [one for one in entries if one.id != meant[0]]
    finally:
        await ledger.close()
    if not entries:
        print("Every write has succeeded or failed.")  # noqa: T201
        return
    table = Table(title="Unfinished writes", title_justify="left")
    for column in ("entry", "since (UTC)", "field", "target", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("endpoint", "last word"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        since = f"{datetime.fromtimestamp(entry.started_at, UTC):%Y-%m-%d %H:%M:%S}"
        for write in entry.writes:
            row = (write.target, write.state, write.endpoint, write.message)
            table.add_row(entry.id[:ID_SHOWN], since, entry.field_name, *row)
    _print_table(table)


def _settings(**given: object) -> Settings:
    return read_settings(**{name: value for name, value in given.items() if value is not None})


def _show_policies(graph: Graph, settings: Settings) -> None:
    table = Table(title="Backends", title_justify="left")
    table.add_column("backend", no_wrap=True)
    table.add_column("url", overflow="fold", ratio=1)
    for column in ("timeout", "connections", "credentials", "forwards", "idempotency keys"):
        table.add_column(column, overflow="fold")
    for spec in graph.backends:
        holds, own = effective(spec, settings), settings.backends.get(spec.name)
        secrets = [*(["token"] if own and own.token else []), *(own.headers if own else ())]
        table.add_row(
            spec.name,
            holds.url or "not set",
            f"{holds.timeout_s:g} s",
            str(holds.connections),
            ", ".join(secrets) or "none",
            ", ".join(spec.forward) or "nothing",
            spec.idempotency_key or "none honoured",
        )
    _print_table(table)


def _print_table(table: Table) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = 140
    console.print(table)


def _fits(graph: Graph, folder: Path) -> bool:
    """Show what recorded replies say of the graph; whether nothing of it is wrong."""
    kept = tuple(recorded(folder))
    findings = held_against(graph, kept)
    for endpoint in unknown(graph, kept):
        _say(f"hint: {endpoint} was recorded, and the graph does not have it.", style="yellow")
    for one in findings:
        where = f"{one.field} ({one.place.file}:{one.place.line})" if one.place else "The reply"
        told = f"{where}, {one.endpoint}: {one.problem}. {one.remedy}".rstrip()
        _say(told if one.is_mistake else f"hint: {told}", "red" if one.is_mistake else "yellow")
    wrong = sum(one.is_mistake for one in findings)
    print(f"{len(kept)} recorded replies: {wrong or 'no'} mistakes.")  # noqa: T201
    return not wrong


def _say(message: str, style: str = "red") -> None:
    Console(stderr=True).print(message, style=style, markup=False, highlight=False, soft_wrap=True)
