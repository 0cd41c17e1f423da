"""Whether a document plainly fits the schema: one walk, where graphql-core has some thirty rules
look at each node.

Nearly all documents are valid, and use a small part of the language. Of these it is said here that
they are. Of all others nothing is said: graphql-core's rules then find what is wrong with them, if
anything is. So this may be as narrow as it likes, and must never take what a rule would not.
"""

from collections.abc import Sequence
from typing import Any, Final

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLIncludeDirective,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    GraphQLUnionType,
    InlineFragmentNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    ValidationContext,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    is_input_type,
    type_from_ast,
)
from graphql.utilities import TypeInfo, do_types_overlap, validate_input_literal
from graphql.validation.rules.variables_in_allowed_position import allowed_variable_usage
from strawberry.types.base import StrawberryMaybe

from plait.query.overlap import OverlappingFields

FRAGMENT_WORK_MAX: Final = 5_000
"""How often all operations together may come by a fragment's spreads and variables: far below the
50,000 at which graphql-core gives up."""

CONDITIONS: Final = {"skip": GraphQLSkipDirective, "include": GraphQLIncludeDirective}
_WRAPPING: Final = (GraphQLNonNull, GraphQLList)
_WITH_FIELDS: Final = (GraphQLObjectType, GraphQLInterfaceType)
_COMPOSITE: Final = (GraphQLObjectType, GraphQLInterfaceType, GraphQLUnionType)


def plainly_fits(document: DocumentNode, schema: GraphQLSchema) -> bool:
    """Whether graphql-core's rules, and Strawberry's, surely find nothing wrong with `document`."""
    try:
        _Walk(document, schema).walk()
    except _NotPlain:
        return False
    return True


class _NotPlain(Exception):
    """Something is wrong, or unusual."""


class _Part:
    """What one operation or fragment uses."""

    def __init__(self) -> None:
        self.spreads: list[str] = []
        """The names of fragments."""
        self.variables: list[tuple[str, GraphQLInputType, Any]] = []
        """With the type of the place where each stands, and the default of that."""


class _Walk:
    """Raises `_NotPlain` where it finds a document not to fit."""

    def __init__(self, document: DocumentNode, schema: GraphQLSchema) -> None:
        self._document = document
        self._schema = schema
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._parts: dict[str, _Part] = {}
        """Of fragments, by name."""
        self._may_overlap = False
        """Whether one response name may have several fields."""
        self._is_wrong = False
        """Whether a literal is not of its type."""

    def walk(self) -> None:
        operations: list[OperationDefinitionNode] = []
        for node in self._document.definitions:
            if type(node) is OperationDefinitionNode:
                operations.append(node)
            elif type(node) is FragmentDefinitionNode and node.name.value not in self._fragments:
                self._fragments[node.name.value] = node
            else:
                raise _NotPlain
        names = {one.name.value for one in operations if one.name}
        if len(names) != len(operations) and (len(operations) > 1 or names):
            raise _NotPlain
        for name, fragment in self._fragments.items():
            if fragment.variable_definitions or fragment.directives:
                raise _NotPlain
            self._parts[name] = part = _Part()
            self._selections(fragment.selection_set, self._composite(fragment), part)
        reached: set[str] = set()
        for operation in operations:
            reached |= self._operation(operation, len(operations))
        if len(reached) != len(self._fragments) or self._has_cycle():
            raise _NotPlain
        if self._may_overlap:
            self._look_for_overlaps()

    def _operation(self, operation: OperationDefinitionNode, operations: int) -> set[str]:
        """The fragments that it reaches."""
        root = self._schema.get_root_type(operation.operation)
        if root is None or operation.operation is OperationType.SUBSCRIPTION:
            raise _NotPlain
        if operation.directives:
            raise _NotPlain
        definitions: dict[str, VariableDefinitionNode] = {}
        for definition in operation.variable_definitions or ():
            self._look_at_definition(definition, definitions)
        part = _Part()
        self._selections(operation.selection_set, root, part)
        reached: dict[str, None] = dict.fromkeys(part.spreads)
        variables = list(part.variables)
        waiting, work = list(reached), 0
        while waiting:
            below = self._parts[waiting.pop()]
            work += (1 + len(below.spreads) + len(below.variables)) * operations
            if work > FRAGMENT_WORK_MAX:
                raise _NotPlain
            variables += below.variables
            for name in below.spreads:
                if name not in reached:
                    reached[name] = None
                    waiting.append(name)
        self._look_at_variables(variables, definitions)
        return set(reached)

    def _look_at_definition(
        self, node: VariableDefinitionNode, definitions: dict[str, VariableDefinitionNode]
    ) -> None:
        name = node.variable.name.value
        type_: Any = type_from_ast(self._schema, node.type)
        if name in definitions or node.directives or type_ is None or not is_input_type(type_):
            raise _NotPlain
        definitions[name] = node
        if node.default_value is not None:
            self._look_at_value(node.default_value, type_, Undefined, _Part())

    def _look_at_variables(
        self,
        variables: list[tuple[str, GraphQLInputType, Any]],
        definitions: dict[str, VariableDefinitionNode],
    ) -> None:
        used: set[str] = set()
        for name, wanted, default in variables:
            definition = definitions.get(name)
            if definition is None:
                raise _NotPlain
            used.add(name)
            own: Any = type_from_ast(self._schema, definition.type)
            own_default = definition.default_value
            if own is not wanted and not allowed_variable_usage(
                self._schema, own, own_default, wanted, default
            ):
                raise _NotPlain
        if len(used) != len(definitions):
            raise _NotPlain

    def _has_cycle(self) -> bool:
        """Whether a fragment leads to itself."""
        work = 0
        for start, part in self._parts.items():
            seen, waiting = set[str](), list(part.spreads)
            while waiting:
                name = waiting.pop()
                if name == start:
                    return True
                if name not in seen:
                    seen.add(name)
                    waiting += self._parts[name].spreads
                work += 1
                if work > FRAGMENT_WORK_MAX:
                    raise _NotPlain
        return False

    def _selections(self, selections: SelectionSetNode, parent: Any, part: _Part) -> None:
        names: set[str] = set()
        nodes: Sequence[Any] = selections.selections
        for node in nodes:
            kind = type(node)
            if node.directives:
                self._look_at_directives(node.directives, part)
            if kind is FieldNode:
                names.add((node.alias or node.name).value)
                self._field(node, parent, part)
                continue
            if kind is InlineFragmentNode:
                inner: Any = parent
                if node.type_condition is not None:
                    inner = self._composite(node)
                    self._look_whether_possible(inner, parent)
                self._selections(node.selection_set, inner, part)
            elif kind is FragmentSpreadNode and not node.arguments:
                fragment = self._fragments.get(node.name.value)
                if fragment is None:
                    raise _NotPlain
                self._look_whether_possible(self._composite(fragment), parent)
                part.spreads.append(node.name.value)
            else:
                raise _NotPlain
        if len(names) != len(nodes):  # some share a name, or are fragments
            self._may_overlap = True

    def _field(self, node: FieldNode, parent: Any, part: _Part) -> None:
        name = node.name.value
        if name == "__typename":
            if node.arguments or node.selection_set is not None:
                raise _NotPlain
            return
        # Fields of introspection have limits of their own.
        if not isinstance(parent, _WITH_FIELDS) or name.startswith("__"):
            raise _NotPlain
        definition = parent.fields.get(name)
        if definition is None:
            raise _NotPlain
        if definition.args or node.arguments:
            self._look_at_given(node.arguments or (), definition.args, part)
        type_: Any = definition.type
        while isinstance(type_, _WRAPPING):
            type_ = type_.of_type
        if isinstance(type_, _COMPOSITE):
            if node.selection_set is None:
                raise _NotPlain
            self._selections(node.selection_set, type_, part)
        elif node.selection_set is not None:
            raise _NotPlain

    def _look_at_given(self, nodes: Sequence[Any], takes: dict[str, Any], part: _Part) -> None:
        """Look at arguments, or at the fields of an object: what `takes` says that there may be."""
        given: set[str] = set()
        for node in nodes:
            name = node.name.value
            taken = takes.get(name)
            if taken is None or name in given:
                raise _NotPlain
            given.add(name)
            if type(node) is ArgumentNode and type(node.value) is NullValueNode:
                if isinstance(taken.type, GraphQLNonNull) or _is_maybe(taken):
                    raise _NotPlain
                continue
            default = taken.default if taken.default is not None else taken.default_value
            self._look_at_value(node.value, taken.type, default, part)
        for name, taken in takes.items():
            if name not in given and _is_required(taken):
                raise _NotPlain

    def _look_at_directives(self, directives: Sequence[DirectiveNode], part: _Part) -> None:
        names: set[str] = set()
        for node in directives:
            name = node.name.value
            directive = self._schema.get_directive(name)
            if directive is None or directive is not CONDITIONS.get(name) or name in names:
                raise _NotPlain
            names.add(name)
            self._look_at_given(node.arguments or (), directive.args, part)

    def _look_at_value(self, node: ValueNode, type_: Any, default: Any, part: _Part) -> None:
        kind = type(node)
        if isinstance(node, VariableNode):
            part.variables.append((node.name.value, type_, default))
            return
        if kind is NullValueNode:  # inside of an object Strawberry has a rule about it
            raise _NotPlain
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        if isinstance(type_, GraphQLList):
            for item in node.values if isinstance(node, ListValueNode) else (node,):
                self._look_at_value(item, type_.of_type, Undefined, part)
        elif isinstance(node, ObjectValueNode):
            if not isinstance(type_, GraphQLInputObjectType) or _is_one_of(type_):
                raise _NotPlain
            self._look_at_given(node.fields, type_.fields, part)
        else:
            if kind is ListValueNode:
                raise _NotPlain
            validate_input_literal(node, type_, self._note)
            if self._is_wrong:
                raise _NotPlain

    def _note(self, error: GraphQLError, path: object) -> None:
        self._is_wrong = True

    def _composite(self, node: InlineFragmentNode | FragmentDefinitionNode) -> Any:
        """The type that a fragment is on."""
        condition = node.type_condition
        type_ = self._schema.type_map.get(condition.name.value) if condition else None
        if not isinstance(type_, _COMPOSITE):
            raise _NotPlain
        return type_

    def _look_whether_possible(self, inner: Any, parent: Any) -> None:
        if inner is not parent and not do_types_overlap(self._schema, inner, parent):
            raise _NotPlain

    def _look_for_overlaps(self) -> None:
        errors: list[GraphQLError] = []
        context = ValidationContext(
            self._schema, self._document, TypeInfo(self._schema), errors.append
        )
        OverlappingFields(context).enter_document(self._document)
        if errors:
            raise _NotPlain


def _is_one_of(type_: GraphQLInputObjectType) -> bool:
    own = type_.extensions.get("strawberry-definition")
    return type_.is_one_of or bool(own is not None and own.is_one_of)


def _is_maybe(argument: Any) -> bool:
    """Whether Strawberry has a rule about nulls that are given for it."""
    own = argument.extensions.get("strawberry-definition")
    return isinstance(getattr(own, "type", None), StrawberryMaybe)


def _is_required(argument: Any) -> bool:
    return (
        isinstance(argument.type, GraphQLNonNull)
        and argument.default is None
        and argument.default_value is Undefined
    )
