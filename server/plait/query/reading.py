"""From a text to a parsed, validated and limited document. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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
    OverlappingFieldsCanBeMergedRule,
    SelectionSetNode,
    Source,
    ValueNode,
    parse,
    specified_rules,
)

from plait.graph.graph import TOO_MANY_SPREADS, Graph
from plait.query.answered import FieldError
from plait.query.fits import plainly_fits
from plait.query.overlap import OverlappingFields
from plait.query.places import line_ends, places
from plait.query.variables import VariableLimits, depth_error, list_error

NAME_CHARACTERS_MAX = 200
"""The longest name. Names are repeated: an alias once a row, and in the path of each error."""
ERRORS_MAX = 20
RULES = tuple(
    OverlappingFields if rule is OverlappingFieldsCanBeMergedRule else rule
    for rule in specified_rules
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLimits:
    """How large a document may be."""

    characters: int = 100_000
    tokens: int = 2_000
    depth: int = 20
    fields: int = 2_000
    introspection: bool = True
    values: VariableLimits = field(default_factory=VariableLimits)


class DocumentErrors(Exception):
    """The document cannot be executed; `errors` say why."""

    def __init__(self, errors: list[GraphQLError], code: str, text: str = "") -> None:
        super().__init__(code)
        self.errors = errors
        self.code = code
        self._text = text

    def places(self, error: GraphQLError | FieldError) -> list[dict[str, int]]:
        """Where an error's nodes stand in the text: line and column, from 1."""
        return places(error, line_ends(self._text))


def read_document(text: str, graph: Graph, limits: DocumentLimits) -> DocumentNode:
    """The document that `text` is. Raises `DocumentErrors`."""
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
    # graphql-core looks for the line of every error it makes, shown or not, by reading the text up
    # to it. Without one it has nothing to read; `places` finds the lines of what is shown.
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
    if plainly_fits(ast, graph.core):
        return ast
    errors = graph.validate(
        ast, RULES, errors_max=ERRORS_MAX, hide_suggestions=not limits.introspection
    )
    if errors:
        raise DocumentErrors(errors[:ERRORS_MAX], "GRAPHQL_VALIDATION_FAILED", text)
    return ast


_LONG_NAME = re.compile(rf"[_A-Za-z][_0-9A-Za-z]{{{NAME_CHARACTERS_MAX},}}")


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
