"""A plan in words and numbers: what an operation will ask for, when, why not earlier; and
afterwards, how it went."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphql import OperationDefinitionNode
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values

from plait.backend.paths import path_text
from plait.backend.span import Span
from plait.backend.spec import EndpointSpec
from plait.errors import BadUserInput
from plait.graph.fields import Binding, Constant, Fetch, Given, Row
from plait.graph.graph import Graph
from plait.query.compile import NOT_WHOLE
from plait.query.document import Document, Documents
from plait.query.latency import Latency
from plait.query.plan import Plan, Selection, Step
from plait.query.reading import DocumentErrors, DocumentLimits
from plait.query.selection import ALWAYS, Condition, holds

ROWS_ASSUMED = 10
"""How many rows a list is taken to have where nobody can know."""
VALUE_CHARACTERS_SHOWN = 60
AS_REPLIED = "as the reply says"

LatencyOf = Callable[[str, str, str], Latency | None]
"""(backend, endpoint's label, its batch's label) -> how long calls take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One step."""

    path: str
    field: str
    backend: str
    endpoint: str
    wave: int
    early: bool
    """Whether it leaves together with the call that brings its row."""
    guarded: bool
    """Whether permissions are asked before it leaves."""
    waits_for: str | None
    """The path of the step whose rows must be there before it leaves."""
    why: str
    """Why it does not leave early."""
    parameters: Mapping[str, str]
    keys: int
    is_exact: bool
    """Whether `keys` and `calls` are known, and not taken from the rows that lists may have."""
    batch: str | None
    calls: int
    cache: str
    when: str
    """The variables that it depends on."""
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What an operation will ask for."""

    waves: int
    calls: int
    is_exact: bool
    rows_assumed: int
    p50_ms: float | None
    """Of the longest way through the waves; `None` where the time of a call on it is not known."""
    longest: tuple[str, ...]
    """The paths of the steps on that way."""
    steps: tuple[Explained, ...]
    unplanned: tuple[Mapping[str, str], ...]
    resolvers: tuple[str, ...] = ()
    """The paths of the resolvers of the root that steps wait for. They run in the first wave."""
    why_not_compiled: str = ""
    """Why graphql-core makes the answer; empty where code does that is compiled for it."""


@dataclass(slots=True)
class _Count:
    keys: int
    is_exact: bool


@dataclass(slots=True, kw_only=True)
class _Counter:
    """How many keys each step asks for."""

    rows_assumed: int
    variables: Mapping[str, Any] | None
    arguments: Callable[[Step], Mapping[str, Any]]
    found: dict[int, _Count] = field(default_factory=dict)

    def visit(self, selection: Selection, rows: int, exact: bool) -> None:
        for step in selection.steps:
            if self.variables is not None and not holds(step.conditions, self.variables):
                continue
            count = self._keys(step, rows, exact)
            self.found[step.index] = count
            shown = step.fetch.form == "connection" or (
                step.fetch.form == "one" and step.fetch.is_list
            )
            factor = self.rows_assumed if shown else 1
            for below in step.below.values():
                self.visit(below, count.keys * factor, count.is_exact and not shown)
        for inside in selection.insides:
            listed = inside.property.is_list
            factor = self.rows_assumed if listed else 1
            for below in inside.below.values():
                self.visit(below, rows * factor, exact and not listed)

        for one in selection.returned:
            factor = self.rows_assumed if one.is_list else 1
            for below in one.below.values():
                self.visit(below, rows * factor, exact and not one.is_list)

    def _keys(self, step: Step, rows: int, exact: bool) -> _Count:
        bindings = step.fetch.bindings
        hangs_on_row = any(isinstance(one, Row) for one in bindings.values())
        count = _Count(rows, exact) if hangs_on_row else _Count(1, True)
        if step.fetch.form == "many":
            listed = self._length(step)
            known = listed is not None
            count = _Count(
                count.keys * (self.rows_assumed if listed is None else listed),
                count.is_exact and known,
            )
        return count

    def _length(self, step: Step) -> int | None:
        binding = step.fetch.bindings.get(step.fetch.list_parameter or "")
        if isinstance(binding, Constant):
            return len(binding.written)
        if not isinstance(binding, Given):
            return None
        try:
            given = self.arguments(step).get(binding.name)
        except Exception:  # a variable that is not given
            return None
        return len(dict.fromkeys(map(str, given))) if isinstance(given, list) else None


def explained(
    plan: Plan,
    *,
    latency_of: LatencyOf,
    arguments: Callable[[Step], Mapping[str, Any]],
    variables: Mapping[str, Any] | None = None,
    rows_assumed: int = ROWS_ASSUMED,
) -> Explanation:
    """What a plan will do. Without `variables`, steps that depend on them are all in it."""
    counter = _Counter(rows_assumed=rows_assumed, variables=variables, arguments=arguments)
    counter.visit(plan.root, 1, True)
    steps = tuple(
        _step(plan, one, counter.found[one.index], latency_of)
        for one in plan.steps
        if one.index in counter.found
    )
    longest, ms = _longest(plan, steps)
    return Explanation(
        waves=max((one.wave for one in steps), default=0),
        calls=sum(one.calls for one in steps),
        is_exact=all(one.is_exact for one in steps) and plan.is_whole,
        rows_assumed=rows_assumed,
        p50_ms=ms,
        longest=longest,
        steps=steps,
        resolvers=_resolvers(steps),
        unplanned=tuple(
            {"path": ".".join(one.path), "field": one.label, "why": one.why}
            for one in plan.unplanned
        ),
    )


def _step(plan: Plan, step: Step, count: _Count, latency_of: LatencyOf) -> Explained:
    fetch, spec = step.fetch, step.fetch.endpoint
    batch = spec.batch
    calls = count.keys if batch is None else math.ceil(count.keys / batch.size)
    latency = latency_of(spec.backend.name, spec.label, batch.label if batch else spec.label)
    is_early = step.index in plan.early
    why = step.why_late
    if step.parent is not None and not is_early and not why:
        why = "leaving early would take it from the others of its batch"
    return Explained(
        path=".".join(step.path),
        field=fetch.label,
        backend=spec.backend.name,
        endpoint=spec.label,
        wave=plan.waves[step.index],
        early=is_early,
        guarded=step.is_guarded,
        waits_for=_waits_for(plan, step),
        why=why if _waits_for(plan, step) is not None and not is_early else "",
        parameters=_parameters(fetch),
        keys=count.keys,
        is_exact=count.is_exact,
        batch=f"{batch.label}, at most {batch.size} keys a call" if batch else None,
        calls=calls,
        cache=_cache(spec),
        when=_when(step.conditions),
        p50_ms=round(latency.p50, 1) if latency else None,
        p95_ms=round(latency.p95, 1) if latency else None,
    )


def _waits_for(plan: Plan, step: Step) -> str | None:
    """The step whose rows must be there before this one leaves."""
    if step.parent is None and step.after:
        return step.after
    above = step.parent
    while above is not None and step.index in plan.early:
        step, above = above, above.parent
    return ".".join(above.path) if above else None


def _parameters(fetch: Fetch) -> dict[str, str]:
    return {name: _told(one) for name, one in fetch.bindings.items()}


def _told(binding: Binding) -> str:
    match binding:
        case Row():
            return f"this.{path_text(binding.path)}"
        case Given():
            return f"argument {binding.name}"
        case Constant():
            text = repr(binding.written)
            return text if len(text) <= VALUE_CHARACTERS_SHOWN else f"{text[:57]}..."
    return "{" + ", ".join(f"{name}: {_told(one)}" for name, one in binding.parts.items()) + "}"


def _cache(spec: EndpointSpec) -> str:
    if not spec.cache.enabled:
        return "never"
    if spec.cache.ttl_s is not None:
        return f"{spec.cache.ttl_s:g} s"
    return AS_REPLIED


def _when(conditions: tuple[Condition, ...]) -> str:
    if conditions == ALWAYS:
        return ""
    return " or ".join(
        " and ".join(f"${name} is {str(wanted).lower()}" for name, wanted in one)
        for one in conditions
    )


def _longest(plan: Plan, steps: tuple[Explained, ...]) -> tuple[tuple[str, ...], float | None]:
    """The way through the waves that takes longest. Where times are not known, the deepest."""
    by_path = {one.path: one for one in steps}
    ways = [tuple(_upward(one, by_path)) for one in steps]
    known = all(one.p50_ms is not None for one in steps)
    best = max(
        ways,
        key=lambda way: (sum(one.p50_ms or 0 for one in way) if known else 0, way[0].wave),
        default=(),
    )
    ms = sum(one.p50_ms or 0 for one in best) if best and known else None
    resolver = best[-1].waits_for if best else None  # whose rows it begins with, where it does
    way = (*((resolver,) if resolver else ()), *(one.path for one in reversed(best)))
    return way, None if ms is None else round(ms, 1)


def _resolvers(steps: Sequence[Explained]) -> tuple[str, ...]:
    paths = {one.path for one in steps}
    awaited = [one.waits_for for one in steps if one.waits_for and one.waits_for not in paths]
    return tuple(dict.fromkeys(awaited))


def _upward(step: Explained | None, by_path: Mapping[str, Explained]) -> Iterator[Explained]:
    while step is not None:
        yield step
        step = by_path.get(step.waits_for) if step.waits_for else None


# --- for people


def tree(made: Explanation) -> Iterator[str]:
    """The explanation as lines of text."""
    calls = f"{'' if made.is_exact else 'about '}{_counted(made.calls, 'call')}"
    time = "" if made.p50_ms is None else f", about {made.p50_ms:g} ms"
    yield f"{_counted(made.waves, 'wave')}, {calls}{time}"
    for wave in range(1, made.waves + 1):
        yield f"wave {wave}"
        of_wave = [one for one in made.steps if one.wave == wave]
        resolvers = made.resolvers if wave == 1 else ()
        for path in resolvers:
            is_last = path == resolvers[-1] and not of_wave
            yield f"{'└─' if is_last else '├─'} {path}  its author's code"
        for one in of_wave:
            yield from _step_lines(one, is_last=one is of_wave[-1])
    if made.longest and made.waves > 1:
        yield f"longest way: {' → '.join(made.longest)}"
    if not made.is_exact and made.steps:
        yield f"Lists are taken to have {made.rows_assumed} rows."
    for other in made.unplanned:
        where = other["path"] or "the operation"
        yield f"not planned: {where} ({other['field']}): {other['why']}"
    if made.why_not_compiled and made.why_not_compiled != NOT_WHOLE:  # that is told above
        yield f"not compiled: {made.why_not_compiled}"


def _step_lines(one: Explained, *, is_last: bool) -> Iterator[str]:
    mark, rail = ("└─", "  ") if is_last else ("├─", "│ ")
    calls = _counted(one.calls, "call")
    ms = "" if one.p50_ms is None else f", {one.p50_ms:g} ms (p95 {one.p95_ms:g})"
    about = "" if one.is_exact else "about "
    yield f"{mark} {one.path}  {one.backend}: {one.endpoint}  {about}{calls}{ms}"
    keys = ", ".join(f"{name} = {value}" for name, value in one.parameters.items())
    told = [
        *([keys] if keys else []),
        *([f"{about}{_counted(one.keys, 'key')} in {one.batch}"] if one.batch else []),
        *([f"cached: {one.cache}"] if one.cache != AS_REPLIED else []),
        *([f"only when {one.when}"] if one.when else []),
    ]
    if told:
        yield f"{rail}   {'; '.join(told)}"
    if one.guarded:
        yield f"{rail}   after its permissions have let it"
    if one.early:
        yield f"{rail}   early: its key is known before its row is there"
    elif one.waits_for:
        yield f"{rail}   after {one.waits_for}: {one.why}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def explanation_of(
    graph: Graph,
    document: Document,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any] | None,
    *,
    latency_of: LatencyOf,
    rows_assumed: int = ROWS_ASSUMED,
    by_code: bool = True,
) -> Explanation:
    """What an operation of a graph will ask for; without `by_code`, where graphql-core makes the
    answer. Variables that do not fit count as not given."""
    definitions = operation.variable_definitions or ()
    coerced = get_variable_values(graph.core, definitions, dict(variables or {}))
    values = coerced if isinstance(coerced, VariableValues) else None

    def arguments(step: Step) -> Mapping[str, Any]:
        given = get_argument_values(step.definition, step.node, values)
        return graph.schema.arguments_of(step.definition, given)

    code = document.direct(operation, graph).code(values.coerced if values else None)
    made = explained(
        document.plan(operation, graph, is_granted=by_code and code.asks_permissions),
        latency_of=latency_of,
        arguments=arguments,
        variables=values.coerced if values else None,
        rows_assumed=rows_assumed,
    )
    return replace(made, why_not_compiled=code.why)


# --- how it went


def run_told(spans: Sequence[Span], start: float, end: float) -> dict[str, Any]:
    """What was asked for, with times in milliseconds from the operation's start."""

    def at(time: float) -> float:
        return round((time - start) * 1000, 2)

    return {
        "ms": at(end),
        "waves": max((one.wave for one in spans), default=0),
        "fetches": [
            {
                "backend": one.backend,
                "endpoint": one.endpoint,
                "wave": one.wave,
                "keys": one.keys_told,
                "count": one.count,
                "cached": one.cached,
                "joined": one.joined,
                "failed": one.failed,
                "start_ms": at(one.start),
                "end_ms": at(end if one.end is None else one.end),
                "unfinished": one.end is None,
                "calls": [
                    {
                        "call": call.label,
                        "keys": call.key_count,
                        "status": call.status,
                        "error": call.error,
                        "attempts": call.attempts,
                        "start_ms": at(call.start),
                        "end_ms": at(call.end),
                    }
                    for call in one.calls
                ],
            }
            for one in spans
        ],
    }


def explain_text(
    graph: Graph,
    text: str,
    *,
    variables: Mapping[str, Any] | None,
    operation_name: str | None,
    rows_assumed: int,
) -> Explanation:
    """As `explanation_of`, from an operation's text. Raises `BadUserInput` for one that cannot be
    executed."""
    document, operation = _read(graph, text, variables, operation_name)
    return explanation_of(
        graph,
        document,
        operation,
        variables,
        latency_of=lambda *_: None,
        rows_assumed=rows_assumed,
    )


def code_of_text(
    graph: Graph, text: str, *, variables: Mapping[str, Any] | None, operation_name: str | None
) -> str:
    """The code that makes an operation's answers. Raises `BadUserInput`, also where there is
    none."""
    document, operation = _read(graph, text, variables, operation_name)
    code = document.direct(operation, graph).code(variables)
    if not code.source:
        raise BadUserInput(f"The operation is not compiled: {code.why}.")
    return code.source


def _read(
    graph: Graph, text: str, variables: Mapping[str, Any] | None, operation_name: str | None
) -> tuple[Document, OperationDefinitionNode]:
    try:
        document = Documents(graph, DocumentLimits()).get(text)
    except DocumentErrors as error:
        places = [error.places(one) for one in error.errors]
        told = [
            f"{place[0]['line']}:{place[0]['column']}: {one.message}" if place else one.message
            for one, place in zip(error.errors, places, strict=True)
        ]
        raise BadUserInput("The operation cannot be executed.\n" + "\n".join(told)) from None
    operation = document.operation(operation_name)
    if operation is None:
        names = ", ".join(one.name.value for one in document.operations if one.name) or "none"
        raise BadUserInput(f"Which operation is meant is not clear; the named ones are: {names}.")
    if variables is not None:
        coerced = get_variable_values(
            graph.core, operation.variable_definitions or (), dict(variables)
        )
        if isinstance(coerced, list):
            told = [one.message for one in coerced]
            raise BadUserInput("The variables do not fit.\n" + "\n".join(told))
    return document, operation
