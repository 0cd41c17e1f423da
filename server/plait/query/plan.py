"""What an operation will ask of backends, known from its text and the table of fields alone. Pure.

A field with an endpoint is a *step*. Its parameters come from arguments, from constants, or from
the row that it belongs to; where they come from the row, the step waits for it. So steps leave in
*waves*: those that need no row, then those that need the rows of the first, and so on.

A row's own key is known before the row is there: it was asked for by it. Steps that need no more
than that leave early, together with the step that brings the row: in
`user(id: 7) { name orders { id } }` both calls leave at once. What comes for a row that turns out
not to be there is dropped; a row that says another key than it was asked for by has its steps
called anew.

Early is not always better: a step that leaves before its batch would have been complete makes two
calls of one. So none leaves early where that would take it from the others of its batch. Where an
endpoint has no batch form there are none.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_abstract_type,
    is_list_type,
)

from plait.backend.identity import endpoint_identity
from plait.backend.paths import Path
from plait.graph.fields import Binding, Custom, Fetch, FieldTable, Object, Property, Row
from plait.query.selection import (
    FIELDS_MAX,
    Condition,
    Nodes,
    Part,
    Selections,
    TooLarge,
    alternatives,
    below_of,
)

ASKED_FIRST = "a permission or an extension is asked first"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """A field that asks an endpoint, at one place of the operation."""

    index: int
    path: tuple[str, ...]
    """Keys of the answer, outermost first."""
    parent: "Step | None"
    """The step whose rows it belongs to."""
    fetch: Fetch
    declared: str
    """The name of the type that the field shows, as the schema has it."""
    node: FieldNode
    definition: GraphQLField
    conditions: tuple[Condition, ...]
    """It is part of the operation where one of them holds."""
    why_late: str = ""
    """Why it must wait for its row; empty where it need not."""
    is_guarded: bool = False
    """Whether permissions are asked before it leaves."""
    after: str = ""
    """The path of the resolver that returns its row, where one does."""
    below: "dict[str, Selection]" = field(default_factory=dict)
    """What is asked of its rows, by their type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A property that holds objects of which something is asked."""

    property: Property
    conditions: tuple[Condition, ...]
    below: "Mapping[str, Selection]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A resolver of the root that returns objects of which something is asked."""

    conditions: tuple[Condition, ...]
    is_list: bool
    below: "Mapping[str, Selection]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is asked of the rows of one type, as far as it takes calls."""

    steps: tuple[Step, ...] = ()
    insides: tuple[Inside, ...] = ()
    returned: tuple[Returned, ...] = ()
    """What resolvers of the root return."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is."""
        return not self.steps and not self.insides


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplanned:
    """A field of which nobody can tell what it will ask for."""

    path: tuple[str, ...]
    label: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps of one operation, and when each of them leaves."""

    root: Selection = Selection()
    steps: tuple[Step, ...] = ()
    unplanned: tuple[Unplanned, ...] = ()
    early: frozenset[int] = frozenset()
    """The steps that leave together with the one that brings their row."""
    waves: tuple[int, ...] = ()
    """The wave of each step, from 1."""
    places: Mapping[tuple[tuple[str, ...], str], Step] = field(default_factory=dict)
    """Each step by its path and the type that it is a field of."""

    @property
    def is_whole(self) -> bool:
        """Whether everything that the operation asks for is in it."""
        return not self.unplanned


def planned(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    schema: GraphQLSchema,
    fields: FieldTable,
    *,
    is_granted: bool = False,
) -> Plan:
    """The plan of an operation that fits the schema. With `is_granted`, what asks permissions at
    the root is planned as if they had let it, and what hangs on what resolvers of the root return
    too: nothing of it may leave before they have. Of mutations that is planned where they have one
    field: of several each is over, with all that is below it, before the next one begins."""
    root = schema.get_root_type(operation.operation)
    assert root is not None
    planner = _Planner(schema, fields, fragments, is_granted=is_granted)
    try:
        if operation.operation is not OperationType.QUERY and not (
            is_granted and planner.has_one_write(root, operation)
        ):
            return _unplanned(operation)
        selection = planner.selection(root, [(operation.selection_set, ())], _Above())
    except TooLarge:
        why = f"the operation has more than {FIELDS_MAX} fields, its fragments spread"
        return Plan(unplanned=(Unplanned(path=(), label=root.name, why=why),))
    steps = tuple(planner.steps)
    early = _early(steps)
    return Plan(
        root=selection,
        steps=steps,
        unplanned=tuple(planner.unplanned),
        early=early,
        waves=_waves(steps, early),
        places=planner.places,
    )


def _unplanned(operation: OperationDefinitionNode) -> Plan:
    kind = operation.operation.value
    why = "its writes decide what is read" if kind == "mutation" else "it lasts"
    return Plan(unplanned=(Unplanned(path=(), label=kind, why=why),))


# --- reading the operation


def _writes(entry: object) -> bool:
    """Whether a mutation's field is as most are: what it returns is known when it has written."""
    return isinstance(entry, Custom) or (isinstance(entry, Fetch) and entry.form == "write")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Above:
    """What is known of the rows whose fields are read."""

    path: tuple[str, ...] = ()
    step: Step | None = None
    known: Mapping[Path, str] = field(default_factory=dict)
    """Properties whose values follow from what was asked for."""
    why_unknown: str = ""
    """Why nothing below may leave early."""
    after: str = ""
    """The path of the resolver that returns the rows."""


class _Planner:
    def __init__(
        self,
        schema: GraphQLSchema,
        fields: FieldTable,
        fragments: Mapping[str, FragmentDefinitionNode],
        *,
        is_granted: bool = False,
    ) -> None:
        self._schema = schema
        self._fields = fields
        self._fragments = fragments
        self._is_granted = is_granted
        self._selections = Selections(schema, fragments)
        self.steps: list[Step] = []
        self.unplanned: list[Unplanned] = []
        self.places: dict[tuple[tuple[str, ...], str], Step] = {}

    def has_one_write(self, root: GraphQLObjectType, operation: OperationDefinitionNode) -> bool:
        """Whether a mutation has one field, and it writes. Raises `TooLarge`."""
        selected = self._selections.collected(root, [(operation.selection_set, ())])
        every = [nodes[0][0].name.value for nodes in selected.values()]
        names = [name for name in every if name != "__typename"]
        entries = [self._fields.get(root.name, {}).get(name) for name in names]
        is_mutation = operation.operation is OperationType.MUTATION
        return is_mutation and len(names) == 1 and _writes(entries[0])

    def selection(
        self, type_: GraphQLObjectType, parts: Sequence[Part], above: _Above
    ) -> Selection:
        steps, insides, returned = list[Step](), list[Inside](), list[Returned]()
        for key, nodes in self._selections.collected(type_, parts).items():
            node = nodes[0][0]
            definition = type_.fields.get(node.name.value)
            if definition is None:
                continue  # __typename and the like
            path = (*above.path, key)
            entry = self._fields.get(type_.name, {}).get(node.name.value)
            match entry:
                case Fetch() if self._may_ask(entry, path) and entry.form != "write":
                    steps.append(self._step(type_, path, entry, definition, nodes, above))
                case Property() if not entry.is_guarded:
                    if entry.below is not None and (
                        below := self._inside(path, entry, definition, nodes, above)
                    ):
                        conditions = alternatives(nodes)
                        insides.append(Inside(property=entry, conditions=conditions, below=below))
                case Custom() if self._is_granted and len(path) == 1:
                    returned += self._returned(path, entry, definition, nodes)
                case Fetch() if type_ is self._schema.mutation_type and _writes(entry):
                    returned += self._returned(path, entry, definition, nodes)
                case _:
                    self._custom(path, entry, definition, nodes)
        return Selection(steps=tuple(steps), insides=tuple(insides), returned=tuple(returned))

    def _may_ask(self, entry: Fetch, path: tuple[str, ...]) -> bool:
        if not entry.is_guarded:
            return True
        is_root = len(path) == 1
        return self._is_granted and (entry.asks_permissions if is_root else entry.guard is not None)

    def _step(
        self,
        type_: GraphQLObjectType,
        path: tuple[str, ...],
        fetch: Fetch,
        definition: GraphQLField,
        nodes: Nodes,
        above: _Above,
    ) -> Step:
        made = Step(
            index=len(self.steps),
            path=path,
            parent=above.step,
            fetch=fetch,
            declared=get_named_type(definition.type).name,
            node=nodes[0][0],
            definition=definition,
            conditions=alternatives(nodes),
            why_late=_why_late(fetch, above) if above.step or above.after else "",
            after=above.after,
            is_guarded=fetch.is_guarded,
        )
        self.steps.append(made)
        self.places[path, type_.name] = made
        known = {} if fetch.form == "connection" else fetch.endpoint.known
        made.below.update(
            self._below(
                definition,
                nodes,
                _Above(
                    path=path,
                    step=made,
                    known={path: parameter for parameter, path in known.items()},
                ),
            )
        )
        return made

    def _inside(
        self,
        path: tuple[str, ...],
        entry: Property,
        definition: GraphQLField,
        nodes: Nodes,
        above: _Above,
    ) -> dict[str, Selection]:
        paths = entry.reader.paths
        known = {
            known[len(paths[0]) :]: parameter
            for known, parameter in above.known.items()
            if len(paths) == 1 and known[: len(paths[0])] == paths[0]
        }
        return self._below(
            definition,
            nodes,
            _Above(
                path=path,
                step=above.step,
                known=known,
                why_unknown=above.why_unknown,
                after=above.after,
            ),
        )

    def _returned(
        self,
        path: tuple[str, ...],
        entry: Custom | Fetch,
        definition: GraphQLField,
        nodes: Nodes,
    ) -> Iterator[Returned]:
        """What hangs on what a resolver, or a write, returns."""
        if isinstance(entry, Custom) and entry.may_load:
            self.unplanned.append(Unplanned(path=path, label=entry.label, why=entry.why))
        why = "its row is what the resolver returns"
        above = _Above(path=path, why_unknown=why, after=".".join(path))
        if below := self._below(definition, nodes, above):
            type_: Any = getattr(definition.type, "of_type", definition.type)
            is_list = is_list_type(definition.type) or is_list_type(type_)
            yield Returned(conditions=alternatives(nodes), is_list=is_list, below=below)

    def _custom(
        self,
        path: tuple[str, ...],
        entry: Any,
        definition: GraphQLField,
        nodes: Nodes,
    ) -> None:
        label = entry.label if entry is not None else ".".join(path)
        if isinstance(entry, Property | Fetch):
            why = ASKED_FIRST
            may_load = isinstance(entry, Fetch)
        else:
            why = entry.why if isinstance(entry, Custom) else "Strawberry resolves it"
            may_load = not isinstance(entry, Custom) or entry.may_load
        if may_load or self._asks_below(definition, nodes):
            self.unplanned.append(Unplanned(path=path, label=label, why=why))

    def _asks_below(self, definition: GraphQLField, nodes: Nodes) -> bool:
        """Whether the rows of a field that is not planned are asked for anything."""
        trial = _Planner(self._schema, self._fields, self._fragments)
        trial._selections = self._selections
        trial._below(definition, nodes, _Above())
        return bool(trial.steps or trial.unplanned)

    def _below(
        self,
        definition: GraphQLField,
        nodes: Nodes,
        above: _Above,
    ) -> dict[str, Selection]:
        named = get_named_type(definition.type)
        parts = below_of(nodes)
        if not parts:
            return {}
        possible = self._selections.possible(named)
        if is_abstract_type(named) and len(possible) > 1:
            why = f"which kind of {named.name} it is shows when it is there"
            above = replace(above, known={}, why_unknown=why)
        found = {one.name: self.selection(one, parts, above) for one in possible}
        return {name: one for name, one in found.items() if not one.is_empty}


# --- early or not


def _why_late(fetch: Fetch, above: _Above) -> str:
    """Why a step waits for the row that it belongs to."""
    if fetch.is_guarded:
        return "its permission is asked when the row is there"
    spec = fetch.endpoint
    rows = dict(_row_parameters(fetch.bindings))
    if above.why_unknown:
        return above.why_unknown
    if not spec.early:
        return "its endpoint says early=False"
    for path in rows.values():
        if path not in above.known:
            return f"this.{'.'.join(path)} shows when the row is there"
    batch = spec.batch
    # The row's key as JSON may be a number where the argument is a text: that makes no difference
    # in a path or a query, and may in a body.
    if any(name not in fetch.bindings for name in rows) or (
        rows and batch and batch.place == "body" and batch.id_type is None
    ):
        return "whether the key is a number or a text shows when the row is there"
    if batch and any(name not in batch.keys for name in rows):
        return "it is no key of its batch form"
    return ""


def _row_parameters(
    bindings: Mapping[str, Binding], prefix: str = ""
) -> Iterator[tuple[str, Path]]:
    """The parameters that come of the row; those inside a body have the body's name before."""
    for name, one in bindings.items():
        if isinstance(one, Row):
            yield f"{prefix}{name}", one.path
        elif isinstance(one, Object):
            yield from _row_parameters(one.parts, f"{prefix}{name}.")


def _early(steps: Sequence[Step]) -> frozenset[int]:
    """The steps that leave together with their parent's, so that no endpoint is called more often:
    what would be in one batch stays in one, and no batch overtakes another."""
    early = {one.index for one in steps if one.parent is not None and not one.why_late}
    own = _waves(steps, frozenset())
    alike = _alike(steps)
    while True:
        waves = _waves(steps, frozenset(early))
        torn = [group for group in alike if not _keeps_order(group, own, waves)]
        if not torn:
            return frozenset(early)
        early.difference_update(
            above.index for group in torn for one in group for above in _with_those_above(one)
        )


def _keeps_order(group: Sequence[Step], own: Sequence[int], waves: Sequence[int]) -> bool:
    """Whether steps of one wave are still in one, and those of a later one not before them."""
    moves = sorted({(own[one.index], waves[one.index]) for one in group})
    return all(
        before[0] < after[0] and before[1] <= after[1]
        for before, after in itertools.pairwise(moves)
    )


def _with_those_above(step: Step | None) -> Iterator[Step]:
    while step is not None:
        yield step
        step = step.parent


def _alike(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps that may ask in the same batches, together. When a resolver will have returned what
    some hang on nobody knows: these are in no group."""
    found: dict[str, list[Step]] = {}
    for one in steps:
        spec = one.fetch.endpoint
        if spec.batch is None or any(above.after for above in _with_those_above(one)):
            continue
        found.setdefault(endpoint_identity(spec, spec.backend.name), []).append(one)
    return list(found.values())


def _waves(steps: Sequence[Step], early: frozenset[int]) -> tuple[int, ...]:
    waves: list[int] = []
    for one in steps:  # a parent comes before what is below it
        above = waves[one.parent.index] if one.parent else int(bool(one.after))
        waves.append(above if one.index in early else above + 1)
    return tuple(waves)
