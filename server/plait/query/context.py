"""What one request carries through its execution: `info.context` of every resolver."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from graphql import DocumentNode, GraphQLError, GraphQLResolveInfo, OperationType

from plait.backend.budget import Budget
from plait.backend.call import Origin
from plait.backend.loader import Loaders
from plait.clock import Pace
from plait.errors import LedgerUnavailable, PlaitError
from plait.graph.absent import Absence, Expected
from plait.graph.blame import response_keys
from plait.graph.execution import Selected
from plait.graph.ran import Ran, RowsRan
from plait.graph.recall import Recall, recalled
from plait.query.answered import Beside
from plait.query.marks import MARKS_MAX, fallback_mark
from plait.writes.idempotency import entry_id, key_from_header
from plait.writes.outcome import Outcome, told
from plait.writes.together import next_place
from plait.writes.writes import Writes

WARNINGS_HEADER = "x-plait-warnings"
"""Who sends it, as GraphiQL does, is told what a graph's author should know."""


@dataclass(slots=True, kw_only=True)
class Context:
    """One GraphQL request on its way. Resolvers find it at `info.context`."""

    origin: Origin
    """Request id, trace context, the client's headers and the deadline."""
    loaders: Loaders
    writes: Writes
    caller: str = ""
    """The caller's scope: an opaque digest of its credentials; empty when it is anonymous."""
    idempotency_key: str | None = None
    """The `Idempotency-Key` header as it came."""
    state: dict[str, Any] = field(default_factory=dict)
    """For the graph's own resolvers and extensions."""
    budget: Budget
    """What the operation may still take."""
    pace: Pace
    introspection: bool = True
    """Whether the schema may be asked for; if not, no error may name what it has."""
    document: DocumentNode | None = None
    """What is executed, parsed and validated."""
    is_left: bool = False
    """Whether something of it is still under way, and being ended behind the answer's back."""
    selected: Selected | None = None
    """What graphql-core finds it to select, where that is known already."""
    executor: Any = None
    """What executes the operation; it says so itself."""
    variables: Callable[[], Any] | None = None
    """The values of the operation's variables, as graphql-core has them."""
    plain: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """Arguments that are JSON as they are, by the identity of the field's node."""
    begun: list[asyncio.Future[Any]] = field(default_factory=list)
    """What resolvers were at before graphql-core took over."""
    told: Callable[[], Mapping[str, Any]] | None = None
    """What else the answer tells of the operation, once it has ended."""
    begin: Callable[[Any], Any] | None = None
    """Given the executor, begins the operation's plan; `None` where it has none to run."""
    mutation_fields: dict[str, int] = field(default_factory=dict)
    writing_tasks: dict[str, object] = field(default_factory=dict)
    fallbacks: list[dict[str, Any]] = field(default_factory=list)
    reported: list[GraphQLError] = field(default_factory=list)
    replayed: bool = False
    recalls: dict[str, asyncio.Task[Recall]] = field(default_factory=dict)
    """What is read on the way to each call of `write_together`, by its place. A task, since
    resolvers read many rows at once, and all of them wait for what an earlier request had read."""
    written: list[dict[str, Any]] = field(default_factory=list)
    selves: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    """What resolvers of rows get as `self`, by the identity of the row's place, which is kept with
    it."""
    granting: frozenset[str] = frozenset()
    """The fields of the root, by their keys in the answer, whose permissions alone are run: what
    they ask for is asked for elsewhere."""
    ran: Mapping[str, Ran] = field(default_factory=dict)
    """What resolvers of the root have computed already, by their keys in the answer."""
    ran_of_rows: RowsRan | None = None
    """As `ran`, of rows."""
    absences: dict[Expected, Absence] = field(default_factory=dict)
    """Properties that the graph reads and that no row has had."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The client's request headers, names in lower case."""
        return self.origin.headers

    @property
    def hides_suggestions(self) -> bool:
        """Whether errors may not name what the schema has."""
        return not self.introspection

    def let_go(self) -> None:
        """Part from what executed the operation, once it has been given up. The two know each
        other, and the errors know both: left to the garbage collector, all of a large answer would
        be its work at once."""
        if self.budget.refused is not None:
            self.budget.refused.__traceback__ = self.budget.refused.__context__ = None
        self.begin = self.told = self.variables = None
        self.selves.clear()
        if self.executor is not None:
            self.executor.let_go()
            self.executor = None

    def note_fallback(self, info: Any, kind: Literal["stale", "value"], error: PlaitError) -> None:
        """Say in the answer that the field shows a stale copy or a declared value, and why."""
        if len(self.fallbacks) < MARKS_MAX:
            self.fallbacks.append(fallback_mark(info.path.as_list(), kind, error))

    def note_absences(self, absences: Iterable[Absence]) -> None:
        """Remember that the operation shows null for want of properties that no row has had."""
        for absence in absences:
            self.absences[absence.missed] = absence

    @property
    def shows_warnings(self) -> bool:
        """Whether the answer tells what its graph's author should know. It names properties."""
        return self.introspection and WARNINGS_HEADER in self.headers

    @property
    def tells_more(self) -> bool:
        """Whether resolvers have left something to be told beside the data."""
        noted = self.fallbacks or self.reported or self.written or self.absences
        return bool(noted) or self.replayed or self.told is not None

    def beside(self, given: Mapping[str, Any] | None) -> Beside:
        """What its answer tells beside data and errors, `given` being its result's extensions."""
        collected = getattr(self.executor, "collected_errors", None)
        warnings: list[str] = []
        if self.absences and self.shows_warnings:
            warnings = [str(one) for one in self.absences.values()][:MARKS_MAX]
        return Beside(
            request_id=self.origin.request_id,
            budget=self.budget,
            hides_suggestions=self.hides_suggestions,
            reported=self.reported,
            dropped=getattr(collected, "dropped", 0),
            fallbacks=self.fallbacks,
            replayed=self.replayed,
            written=self.written,
            warnings=warnings,
            given=given or {},
            more=self.told,
        )

    async def recall_of(self, info: Any) -> Recall | None:
        """What a mutation field reads on the way to its next writes: kept with them, for a request
        that comes again under the same key. What it read before its last ones is not in it: nothing
        may be told that is older than a write."""
        path = info.path.as_list()
        is_root = len(path) == 1 and _raw(info).operation.operation is OperationType.MUTATION
        if self.idempotency_key is None or not is_root:
            return None
        key = key_from_header(self.idempotency_key)
        place = next_place(self, info, key)
        if place not in self.recalls:
            entry = entry_id(caller=self.caller, key=key, place=place)
            self.recalls[place] = asyncio.create_task(self._recall(entry))
        return await asyncio.shield(self.recalls[place])  # a resolver may give up one of its reads

    async def _recall(self, entry: str) -> Recall:
        try:
            return recalled(await self.writes.recall(entry))
        except LedgerUnavailable:  # reads go on; a write will say so
            return Recall()

    def fields_of(self, info: Any) -> frozenset[str]:
        """The keys in the answer of all fields of the operation."""
        raw = _raw(info)
        return frozenset(response_keys(raw.operation.selection_set, raw.fragments))

    def reads_of(self, place: str) -> bytes | None:
        """What was read on the way to the writes at `place`, as JSON."""
        recall = self.recalls.get(place)
        return recall.result().told() if recall and recall.done() else None

    def note_writes(self, info: Any, outcomes: Sequence[Outcome[Any]]) -> None:
        """Say in the answer what became of the writes, whatever becomes of the field's value."""
        path = info.path.as_list()
        for outcome in outcomes[: max(0, MARKS_MAX - len(self.written))]:
            self.written.append({"path": path, **told(outcome)})

    def report(self, error: Exception, info: Any) -> None:
        """Add an error at the field's path, beside its data."""
        raw = _raw(info)
        self.reported.append(
            GraphQLError(
                str(error), nodes=raw.field_nodes, path=raw.path.as_list(), original_error=error
            )
        )

    def note_replayed(self) -> None:
        """Say in the answer that writes were told from the ledger."""
        self.replayed = True

    def arguments_of(self, info: Any) -> Mapping[str, object]:
        """The field's arguments as JSON, defaults filled in, whatever the document calls them."""
        from graphql.execution.values import get_argument_values

        from plait.graph.inputs import external

        raw = _raw(info)
        definition = raw.parent_type.fields[raw.field_name]
        node = raw.field_nodes[0]
        plain = self.plain.get(id(node))
        if plain is not None:
            return plain
        assert self.variables is not None
        values = get_argument_values(definition, node, self.variables())  # info's are others
        types = {one.out_name or name: one.type for name, one in definition.args.items()}
        return {name: external(value, types[name]) for name, value in values.items()}


def _raw(info: Any) -> GraphQLResolveInfo[Any]:
    """graphql-core's info, whether a resolver of Strawberry's asks or one of ours."""
    raw: GraphQLResolveInfo[Any] = getattr(info, "_raw_info", info)
    return raw
