"""From a document's text to a parsed, validated and limited one, kept by its text.

The same few documents come again and again, so the work is done once for each text. Only valid
ones are kept: invalid ones would let anybody fill the store.
"""

from collections import OrderedDict
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

from plait.graph.bind import Graph

ERRORS_MAX = 20
STORE_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLimits:
    """How large a document may be."""

    tokens: int = 10_000
    depth: int = 20
    fields: int = 5_000
    introspection: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that may be executed."""

    text: str
    ast: DocumentNode
    operations: tuple[OperationDefinitionNode, ...]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation that a request means; `None` when its name finds none, or is missing among
        several."""
        if name is None:
            return self.operations[0] if len(self.operations) == 1 else None
        return next((one for one in self.operations if one.name and one.name.value == name), None)


class DocumentErrors(Exception):
    """The document cannot be executed; `errors` say why."""

    def __init__(self, errors: list[GraphQLError], code: str) -> None:
        super().__init__(code)
        self.errors = errors
        self.code = code


class Documents:
    """The documents that were seen lately."""

    def __init__(self, graph: Graph, limits: DocumentLimits, *, entries_max: int = 1_000) -> None:
        self._graph = graph
        self._limits = limits
        self._entries_max = entries_max
        self._bytes = 0
        self._known: OrderedDict[str, Document] = OrderedDict()

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
            text, _ = self._known.popitem(last=False)
            self._bytes -= len(text)

    def _read(self, text: str) -> Document:
        try:
            ast = parse(text, max_tokens=self._limits.tokens)
        except GraphQLError as error:
            raise DocumentErrors([error], "GRAPHQL_PARSE_FAILED") from None
        except RecursionError:
            too_deep = GraphQLError("The document nests too deeply.")
            raise DocumentErrors([too_deep], "GRAPHQL_PARSE_FAILED") from None
        # Limits come first: validation compares fields in pairs, and must not meet an unbounded
        # document.
        if errors := limit_errors(ast, self._limits):
            raise DocumentErrors(errors, "OPERATION_TOO_COSTLY")
        if errors := self._graph.validate(ast):
            raise DocumentErrors(errors[:ERRORS_MAX], "GRAPHQL_VALIDATION_FAILED")
        operations = tuple(
            one for one in ast.definitions if isinstance(one, OperationDefinitionNode)
        )
        return Document(text=text, ast=ast, operations=operations)


def limit_errors(ast: DocumentNode, limits: DocumentLimits) -> list[GraphQLError]:
    """What is too large about a document. Linear in its length, whatever its fragments do."""
    measure = _Measure(
        {one.name.value: one for one in ast.definitions if isinstance(one, FragmentDefinitionNode)}
    )
    errors = []
    for operation in ast.definitions:
        if not isinstance(operation, OperationDefinitionNode):
            continue
        depth, fields = measure.of(operation.selection_set)
        if depth > limits.depth:
            message = (
                f"The operation nests {depth} fields deep; at most {limits.depth} are allowed."
            )
            errors.append(GraphQLError(message, nodes=[operation]))
        if fields > limits.fields:
            message = f"The operation selects more than {limits.fields} fields."
            errors.append(GraphQLError(message, nodes=[operation]))
    if not limits.introspection and measure.introspects:
        errors.append(GraphQLError("Introspection is turned off here."))
    return errors


class _Measure:
    """Depth and number of fields, with each fragment measured once: spreads double for nothing."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, tuple[int, int]] = {}
        self.introspects = False

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
            depth = max(depth, below_depth)
            fields += below_fields
        return depth, fields

    def _field(self, node: FieldNode) -> tuple[int, int]:
        if node.name.value in ("__schema", "__type"):
            self.introspects = True
            return 1, 1  # introspection nests deeply by nature, over a bounded schema
        depth, fields = self.of(node.selection_set)
        return depth + 1, fields + 1

    def _fragment(self, name: str) -> tuple[int, int]:
        if name not in self._known:
            self._known[name] = (0, 0)  # a cycle ends here; validation reports it
            fragment = self._fragments.get(name)
            self._known[name] = self.of(fragment.selection_set if fragment else None)
        return self._known[name]
