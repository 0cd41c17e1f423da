"""From a document's text to a parsed, validated and limited one, kept by its text.

The same few documents come again and again, so the work is done once for each text. Only valid
ones are kept: invalid ones would let anybody fill the store.
"""

import logging
import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    OverlappingFieldsCanBeMergedRule,
    SelectionSetNode,
    Source,
    ValueNode,
    parse,
    specified_rules,
)

from plait.graph.execution import Selected
from plait.graph.graph import TOO_MANY_SPREADS, Graph
from plait.query.answered import FieldError
from plait.query.code import CodeStore
from plait.query.held import Resolvers, resolvers_of
from plait.query.joins import NotCompiled
from plait.query.mixed import Mixed, mixed_of
from plait.query.overlap import OverlappingFields
from plait.query.plan import Plan, planned
from plait.query.prepared import Prepared, prepared
from plait.query.selection import decided_by
from plait.query.variables import VariableLimits, depth_error, list_error

NAME_CHARACTERS_MAX = 200
"""The longest name. Names are repeated: an alias once a row, and in the path of each error."""
ERRORS_MAX = 20
RULES = tuple(
    OverlappingFields if rule is OverlappingFieldsCanBeMergedRule else rule
    for rule in specified_rules
)
STORE_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLimits:
    """How large a document may be."""

    characters: int = 100_000
    tokens: int = 2_000
    depth: int = 20
    fields: int = 2_000
    introspection: bool = True
    values: VariableLimits = field(default_factory=VariableLimits)


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document that may be executed."""

    text: str
    ast: DocumentNode
    operations: tuple[OperationDefinitionNode, ...]

    plans: dict[tuple[int, bool], Plan] = field(default_factory=dict, repr=False, compare=False)
    code: CodeStore = field(default_factory=CodeStore, repr=False, compare=False)
    directs: "dict[int, Directs]" = field(default_factory=dict, repr=False, compare=False)
    """How its operations are executed without the executor, where they can be."""
    _selected: dict[int, Selected | None] = field(default_factory=dict, repr=False, compare=False)

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
        plan = self.plans.get((id(operation), is_granted))
        if plan is None:
            plan = planned(
                operation, self.fragments, graph.core, graph.fields, is_granted=is_granted
            )
            self.plans[id(operation), is_granted] = plan
        return plan

    @cached_property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        """Its fragments, by name."""
        return {
            one.name.value: one
            for one in self.ast.definitions
            if isinstance(one, FragmentDefinitionNode)
        }

    @cached_property
    def _line_ends(self) -> list[int]:
        return line_ends(self.text)

    def places(self, error: GraphQLError | FieldError) -> list[dict[str, int]]:
        """Where an error's nodes stand in the text: line and column, from 1."""
        return places(error, self._line_ends)

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation that a request means; `None` when its name finds none, or is missing among
        several."""
        if name is None:
            return self.operations[0] if len(self.operations) == 1 else None
        return next((one for one in self.operations if one.name and one.name.value == name), None)


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
        choice = tuple(variables.get(name) for name in self._decided_by)
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


class DocumentErrors(Exception):
    """The document cannot be executed; `errors` say why."""

    def __init__(self, errors: list[GraphQLError], code: str, text: str = "") -> None:
        super().__init__(code)
        self.errors = errors
        self.code = code
        self._text = text

    def places(self, error: GraphQLError | FieldError) -> list[dict[str, int]]:
        """As `Document.places`."""
        return places(error, line_ends(self._text))


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
        document = self._read(text)
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

    def _read(self, text: str) -> Document:
        limits = self._limits
        if len(text) > limits.characters:
            raise _too_large(f"has {len(text)} characters", limits.characters)
        source = Source(text)
        try:
            ast = parse(source, max_tokens=limits.tokens)
        except GraphQLError as error:
            raise DocumentErrors([error], "GRAPHQL_PARSE_FAILED", text) from None
        except RecursionError:
            too_deep = GraphQLError("The document nests too deeply.")
            raise DocumentErrors([too_deep], "GRAPHQL_PARSE_FAILED") from None
        # graphql-core looks for the line of every error it makes, shown or not, by reading the
        # text up to it. Without one it has nothing to read; `places` finds the lines of what is
        # shown.
        source.body = ""
        # Limits come first: validation must not meet an unbounded document.
        try:
            errors = limit_errors(ast, limits, text)
        except RecursionError:
            errors = [GraphQLError(TOO_MANY_SPREADS)]
        if errors:
            raise DocumentErrors(errors, "OPERATION_TOO_COSTLY", text)
        if not limits.introspection and (asked := introspection_in(ast)):
            off = GraphQLError("Introspection is turned off here.", nodes=asked)
            raise DocumentErrors([off], "INTROSPECTION_DISABLED", text)
        errors = self._graph.validate(
            ast, RULES, errors_max=ERRORS_MAX, hide_suggestions=self.hides_suggestions
        )
        if errors:
            raise DocumentErrors(errors[:ERRORS_MAX], "GRAPHQL_VALIDATION_FAILED", text)
        operations = tuple(
            one for one in ast.definitions if isinstance(one, OperationDefinitionNode)
        )
        return Document(text=text, ast=ast, operations=operations, code=self.code)


_LINE_END = re.compile(r"\r\n|[\n\r]")
_LONG_NAME = re.compile(rf"[_A-Za-z][_0-9A-Za-z]{{{NAME_CHARACTERS_MAX},}}")


def line_ends(text: str) -> list[int]:
    """The position after each line end of `text`."""
    return [match.end() for match in _LINE_END.finditer(text)]


def places(error: GraphQLError | FieldError, ends: list[int]) -> list[dict[str, int]]:
    """Where an error's nodes stand: line and column, from 1."""
    found = []
    for position in error.positions or ():
        line = bisect_left(ends, position + 1)
        start = ends[line - 1] if line else 0
        found.append({"line": line + 1, "column": position - start + 1})
    return found


def _too_large(what: str, allowed: int) -> DocumentErrors:
    error = GraphQLError(f"The document {what}; at most {allowed} are allowed.")
    return DocumentErrors([error], "OPERATION_TOO_COSTLY")


def limit_errors(ast: DocumentNode, limits: DocumentLimits, text: str = "") -> list[GraphQLError]:
    """What is too large about a document. Linear in its length, whatever its fragments do."""
    if _LONG_NAME.search(text) and (name := _long_name(ast)):
        message = f"The name '{name[:20]}…' has {len(name)} characters; at most "
        return [GraphQLError(f"{message}{NAME_CHARACTERS_MAX} are allowed.")]
    measure = _Measure(
        {one.name.value: one for one in ast.definitions if isinstance(one, FragmentDefinitionNode)},
        limits.values,
    )
    errors = []
    for operation in ast.definitions:
        if isinstance(operation, FragmentDefinitionNode):
            measure.of(operation.selection_set)  # for its values; what it adds counts where it is
            continue
        if not isinstance(operation, OperationDefinitionNode):
            continue
        measure.look_at_defaults(operation)
        depth, fields = measure.of(operation.selection_set)
        if depth > limits.depth:
            message = (
                f"The operation nests {depth} fields deep; at most {limits.depth} are allowed."
            )
            errors.append(GraphQLError(message, nodes=[operation]))
        if fields > limits.fields:
            message = f"The operation selects more than {limits.fields} fields."
            errors.append(GraphQLError(message, nodes=[operation]))
    return errors + measure.value_errors[:1]


def introspection_in(ast: DocumentNode) -> list[FieldNode]:
    """Where the document asks for the schema."""
    return [node for node in _fields_of(ast) if node.name.value in ("__schema", "__type")]


def _fields_of(ast: DocumentNode) -> Iterator[FieldNode]:
    waiting = [one.selection_set for one in ast.definitions if hasattr(one, "selection_set")]
    while waiting:
        for node in waiting.pop().selections:
            if isinstance(node, FieldNode):
                yield node
            below = getattr(node, "selection_set", None)
            if below:
                waiting.append(below)


def _long_name(ast: DocumentNode) -> str | None:
    """The first name that is too long. Walks everything: only called when there may be one."""
    from graphql.language import NameNode, Visitor, visit

    found: list[str] = []

    class Names(Visitor):
        def enter_name(self, node: NameNode, *_: object) -> None:
            if len(node.value) > NAME_CHARACTERS_MAX:
                found.append(node.value)

    visit(ast, Names())
    return found[0] if found else None


class _Measure:
    """Depth and number of fields, with each fragment measured once: spreads double for nothing."""

    def __init__(
        self, fragments: dict[str, FragmentDefinitionNode], values: VariableLimits
    ) -> None:
        self._fragments = fragments
        self._values = values
        self._known: dict[str, tuple[int, int]] = {}
        self.value_errors: list[GraphQLError] = []

    def of(self, selections: SelectionSetNode | None) -> tuple[int, int]:
        depth = fields = 0
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                below_depth, below_fields = self._field(node)
            elif isinstance(node, FragmentSpreadNode):
                below_depth, below_fields = self._fragment(node.name.value)
            elif isinstance(node, InlineFragmentNode):
                below_depth, below_fields = self.of(node.selection_set)
            else:  # there is no fourth kind of selection
                continue
            self._look_at_directives(node.directives)
            depth = max(depth, below_depth)
            fields += below_fields
        return depth, fields

    def look_at_defaults(self, operation: OperationDefinitionNode) -> None:
        """The values outside the selections."""
        self._look_at_directives(operation.directives)
        for variable in operation.variable_definitions or ():
            if variable.default_value:
                self._look_at(variable.default_value)

    def _field(self, node: FieldNode) -> tuple[int, int]:
        for argument in node.arguments or ():
            self._look_at(argument.value)
        if node.name.value in ("__schema", "__type"):
            # Introspection nests deeply by nature, over a bounded schema. graphql-core bounds how
            # often it may go through lists, and the budget what the answer holds.
            return 1, 1
        depth, fields = self.of(node.selection_set)
        return depth + 1, fields + 1

    def _fragment(self, name: str) -> tuple[int, int]:
        if name not in self._known:
            self._known[name] = (0, 0)  # a cycle ends here; validation reports it
            fragment = self._fragments.get(name)
            self._known[name] = self.of(fragment.selection_set if fragment else None)
        return self._known[name]

    def _look_at_directives(self, directives: Iterable[DirectiveNode] | None) -> None:
        for directive in directives or ():
            for argument in directive.arguments or ():
                self._look_at(argument.value)

    def _look_at(self, value: ValueNode) -> None:
        """Note a literal that nests too deeply, or a list with too many items."""
        level = [value]
        for _ in range(self._values.depth + 1):
            below: list[ValueNode] = []
            for node in level:
                if isinstance(node, ObjectValueNode):
                    below += (field.value for field in node.fields)
                elif isinstance(node, ListValueNode):
                    if len(node.values) > self._values.list_items:
                        self._note(str(list_error(len(node.values), self._values)), value)
                        return
                    below += node.values
            if not below:
                return
            level = below
        self._note(str(depth_error(self._values)), value)

    def _note(self, message: str, value: ValueNode) -> None:
        self.value_errors.append(GraphQLError(message, nodes=[value]))
