"""The documents that were seen lately, and what was worked out for each of them.

The same few documents come again and again, so the work is done once for each text. Only valid
ones are kept: invalid ones would let anybody fill the store.
"""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
)

from plait.graph.execution import Selected
from plait.graph.graph import Graph
from plait.query.answered import FieldError
from plait.query.code import CodeStore
from plait.query.held import Resolvers, resolvers_of
from plait.query.joins import NotCompiled
from plait.query.mixed import Mixed, mixed_of
from plait.query.places import line_ends, places
from plait.query.plan import Plan, planned
from plait.query.prepared import Prepared, prepared
from plait.query.reading import DocumentLimits, read_document
from plait.query.selection import decided_by

STORE_BYTES_MAX = 16 * 1024 * 1024


class Document:
    """A document that may be executed, and what was worked out for it."""

    __slots__ = (
        "_fragments",
        "_line_ends",
        "_plans",
        "_selected",
        "ast",
        "code",
        "directs",
        "operations",
        "text",
    )

    def __init__(self, text: str, ast: DocumentNode, code: CodeStore) -> None:
        self.text = text
        self.ast = ast
        self.operations = [
            one for one in ast.definitions if isinstance(one, OperationDefinitionNode)
        ]
        self.code = code
        self.directs: dict[int, Directs] = {}
        """How its operations are executed without the executor, where they can be."""
        self._plans: dict[tuple[int, bool], Plan] = {}
        self._selected: dict[int, Selected | None] = {}
        self._fragments: dict[str, FragmentDefinitionNode] | None = None
        self._line_ends: list[int] | None = None

    def selected(self, operation: OperationDefinitionNode) -> Selected | None:
        """What graphql-core has found one of its operations to select, for every request with it;
        `None` where that depends on variables."""
        if id(operation) not in self._selected:
            decided = decided_by(operation.selection_set, self.fragments)
            self._selected[id(operation)] = None if decided else Selected()
        return self._selected[id(operation)]

    def direct(self, operation: OperationDefinitionNode, graph: Graph) -> "Directs":
        """The compiled code of one of its operations."""
        found = self.directs.get(id(operation))
        if found is None:
            found = self.directs[id(operation)] = Directs(self, operation, graph)
        return found

    def plan(
        self, operation: OperationDefinitionNode, graph: Graph, *, is_granted: bool = False
    ) -> Plan:
        """What one of its operations will ask of backends; with `is_granted` as `planned` has it.
        Worked out at first sight."""
        plan = self._plans.get((id(operation), is_granted))
        if plan is None:
            plan = planned(
                operation, self.fragments, graph.core, graph.fields, is_granted=is_granted
            )
            self._plans[id(operation), is_granted] = plan
        return plan

    @property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        """Its fragments, by name."""
        if self._fragments is None:
            self._fragments = {
                one.name.value: one
                for one in self.ast.definitions
                if isinstance(one, FragmentDefinitionNode)
            }
        return self._fragments

    def places(self, error: GraphQLError | FieldError) -> list[dict[str, int]]:
        """Where an error's nodes stand in the text: line and column, from 1."""
        if self._line_ends is None:
            self._line_ends = line_ends(self.text)
        return places(error, self._line_ends)

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation that a request means; `None` when its name finds none, or is missing among
        several."""
        if name is None:
            return self.operations[0] if len(self.operations) == 1 else None
        for one in self.operations:
            if one.name and one.name.value == name:
                return one
        return None


Code: TypeAlias = Prepared | Resolvers | Mixed
"""What executes an operation without the executor."""
SIGHTS_BEFORE_COMPILED = 1
"""How often an operation is executed before it is compiled: most that come twice come again."""
COMPILED_MAX = 8
"""How many of the choices that an operation's conditions leave are compiled."""


class Directs:
    """The compiled code of one operation: one for each choice of what its conditions leave in."""

    def __init__(
        self, document: Document, operation: OperationDefinitionNode, graph: Graph
    ) -> None:
        self._document = document
        self._operation = operation
        self._graph = graph
        self._sights = 0
        self._decided_by = tuple(sorted(decided_by(operation.selection_set, document.fragments)))
        self._known: dict[tuple[Any, ...], Code | None] = {}
        self.why = ""
        """Why it is not compiled, where it is not."""

    def get(self, variables: Mapping[str, Any]) -> Code | None:
        """The code for a request with these variables; `None` where there is none, or not yet."""
        choice = tuple([variables.get(name) for name in self._decided_by])
        if choice in self._known:
            self._document.code.touch((self, choice))
            return self._known[choice]
        self._sights += 1
        if self._sights <= SIGHTS_BEFORE_COMPILED or len(self._known) >= COMPILED_MAX:
            return None
        made = self._known[choice] = self._compiled(variables)
        if made is not None:
            forget = partial(self._known.pop, choice, None)
            self._document.code.add((self, choice), len(made.source), forget)
        return made

    def forget(self) -> None:
        """Let go of the code: the document is no longer kept."""
        for choice in self._known:
            self._document.code.drop((self, choice))

    def code(self, variables: Mapping[str, Any] | None) -> "CodeText":
        """The code as text. What depends on variables that are not given is taken to be asked
        for."""
        given = variables or dict.fromkeys(self._decided_by, True)
        made = self._compiled(given)
        if made is None:
            return CodeText(why=self.why)
        asks = isinstance(made, Mixed) or (
            isinstance(made, Prepared) and made.compiled.asks_permissions
        )
        return CodeText(source=made.source, asks_permissions=asks)

    def _compiled(self, variables: Mapping[str, Any]) -> Code | None:
        graph, document, operation = self._graph, self._document, self._operation
        try:
            if graph.is_extended:
                raise NotCompiled("schema extensions see every field")
            if operation.operation is OperationType.QUERY:
                plan = document.plan(operation, graph)
                if not plan.is_whole:
                    plan = document.plan(operation, graph, is_granted=True)
                    mixed = mixed_of(operation, document.fragments, graph, plan, variables)
                    if mixed is not None:
                        return mixed
                if plan.steps or plan.is_whole:
                    return prepared(operation, document.fragments, graph, plan, variables)
            plan = document.plan(operation, graph, is_granted=True)
            if plan.steps and operation.operation is OperationType.MUTATION:
                mixed = mixed_of(operation, document.fragments, graph, plan, variables)
                if mixed is not None:
                    return mixed
            return resolvers_of(operation, document.fragments, graph.schema, variables)
        except NotCompiled as error:
            self.why = str(error)
        except Exception as error:  # graphql-core executes it; but somebody should know
            self.why = f"a defect: {type(error).__name__}"
            logging.getLogger("plait").exception("An operation could not be compiled")
        return None


class CodeText(NamedTuple):
    """The code of an operation for a reader."""

    source: str = ""
    why: str = ""
    """Why there is none, where there is none."""
    asks_permissions: bool = False
    """Whether it asks permissions itself, and so may plan what is below them."""


class Documents:
    """The documents that were seen lately."""

    def __init__(self, graph: Graph, limits: DocumentLimits, *, entries_max: int = 1_000) -> None:
        self._graph = graph
        self._limits = limits
        self._entries_max = entries_max
        self._bytes = 0
        self._known: OrderedDict[str, Document] = OrderedDict()
        self.code = CodeStore()
        """The compiled code of all of them."""

    @property
    def hides_suggestions(self) -> bool:
        """Whether no error may name what the schema has: it may not be asked for either."""
        return not self._limits.introspection

    def get(self, text: str) -> Document:
        """The document of `text`. Raises `DocumentErrors`."""
        document = self._known.get(text)
        if document is not None:
            self._known.move_to_end(text)
            return document
        document = Document(text, read_document(text, self._graph, self._limits), self.code)
        self._keep(document)
        return document

    def _keep(self, document: Document) -> None:
        self._known[document.text] = document
        self._bytes += len(document.text)
        while len(self._known) > self._entries_max or self._bytes > STORE_BYTES_MAX:
            text, document = self._known.popitem(last=False)
            self._bytes -= len(text)
            for directs in document.directs.values():
                directs.forget()
