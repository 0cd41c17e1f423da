"""Whether fields that share a response name can be merged (GraphQL, section 5.3.2), in time that
grows with the document and not with its square.

graphql-core compares fields in pairs; a selection set of `n` equal fields costs `n²/2` comparisons
and ends in "Validation aborted." Here the fields of one response name are compared as a group, each
with the first, because what must be equal is an equivalence: the shape of the type, the field's
name, its arguments. Two questions are asked, each of the merged selections below in turn:

    shape     all fields of one response name, whatever their parents, must have one shape
    sameness  fields whose parents may be one object must be the same field with the same arguments

Parents may be one object unless they are different object types. So the fields of a name fall into
one group for each object type among the parents, and fields of interfaces, which may be any of
them, stand in every group.

A set of fields is looked at once for each question, however many ways lead to it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
    VisitorAction,
    get_named_type,
    is_leaf_type,
    type_from_ast,
)
from graphql.language import (
    ListValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """One field of the document, with the type that it is selected on."""

    node: FieldNode
    parent: Any
    type: Any
    """Its declared type; `None` where the parent has no such field, which another rule reports."""


class OverlappingFields(ValidationRule):
    """In place of graphql-core's rule of the same purpose; the verdicts are equal."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fields: dict[tuple[int, int], _Field] = {}
        self._sameness: dict[int, object] = {}
        self._asked: set[tuple[str, frozenset[int]]] = set()
        self._reached: set[str] = set()

    def enter_document(self, node: Any, *_: Any) -> VisitorAction:
        """Look at every operation, and at the fragments that none of them reaches."""
        fragments = []
        for definition in node.definitions:
            if isinstance(definition, OperationDefinitionNode):
                root = self.context.schema.get_root_type(definition.operation)
                self._check([(definition.selection_set, root)])
            elif isinstance(definition, FragmentDefinitionNode):
                fragments.append(definition)
        for fragment in fragments:
            if fragment.name.value not in self._reached:
                type_ = type_from_ast(self.context.schema, fragment.type_condition)
                self._check([(fragment.selection_set, type_)])
        return None

    def _check(self, selections: list[tuple[SelectionSetNode, Any]]) -> None:
        fields = self._collected(selections)
        if not self._ask("shape", fields):
            self._ask("sameness", fields)

    def _ask(self, question: str, fields: list[_Field]) -> bool:
        """Whether there is a conflict. The first one found is reported."""
        waiting = [fields]
        while waiting:
            fields = waiting.pop()
            asked = (question, frozenset(map(id, fields)))
            if asked in self._asked:
                continue
            self._asked.add(asked)
            for name, named in _by_response_name(fields).items():
                groups = [named] if question == "shape" else _by_common_parents(named)
                for group in groups:
                    if reason := self._conflict(question, group):
                        self._report(name, reason)
                        return True
                    if below := self._below(group):
                        waiting.append(below)
        return False

    def _conflict(self, question: str, group: list[_Field]) -> tuple[str, _Field, _Field] | None:
        if len(group) == 1:
            return None
        if question == "sameness":
            return self._not_the_same(group)
        typed = [one for one in group if one.type is not None]
        for other in typed[1:]:
            if _shapes_conflict(typed[0].type, other.type):
                types = f"they return conflicting types '{typed[0].type}' and '{other.type}'"
                return types, typed[0], other
        for one in group:
            if _is_streamed(one.node):  # two streams cannot be merged, not even equal ones
                other = next(two for two in group if two is not one)
                return "they have overlapping stream directives", one, other
        return None

    def _not_the_same(self, group: list[_Field]) -> tuple[str, _Field, _Field] | None:
        first = group[0]
        for other in group[1:]:
            one, two = first.node.name.value, other.node.name.value
            if one != two:
                return f"'{one}' and '{two}' are different fields", first, other
            if self._arguments(first.node) != self._arguments(other.node):
                return "they have differing arguments", first, other
        return None

    def _arguments(self, node: FieldNode) -> object:
        if not node.arguments:
            return None
        known = self._sameness.get(id(node))
        if known is None:
            known = self._sameness[id(node)] = frozenset(
                (one.name.value, _value(one.value)) for one in node.arguments
            )
        return known

    def _below(self, group: list[_Field]) -> list[_Field]:
        selections = [
            (one.node.selection_set, get_named_type(one.type) if one.type else None)
            for one in group
            if one.node.selection_set
        ]
        return self._collected(selections) if selections else []

    def _collected(self, selections: Iterable[tuple[SelectionSetNode, Any]]) -> list[_Field]:
        """The fields of several selection sets together, fragments spread out."""
        found: dict[int, _Field] = {}
        spread: set[str] = set()
        waiting = [*selections][::-1]
        while waiting:
            selection_set, parent = waiting.pop()
            for node in selection_set.selections:
                if isinstance(node, FieldNode):
                    field = self._field(node, parent)
                    found[id(field)] = field
                elif isinstance(node, InlineFragmentNode):
                    condition = node.type_condition
                    type_ = type_from_ast(self.context.schema, condition) if condition else parent
                    waiting.append((node.selection_set, type_))
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                    spread.add(node.name.value)
                    self._reached.add(node.name.value)
                    if fragment := self.context.get_fragment(node.name.value):
                        type_ = type_from_ast(self.context.schema, fragment.type_condition)
                        waiting.append((fragment.selection_set, type_))
        return list(found.values())

    def _field(self, node: FieldNode, parent: Any) -> _Field:
        key = (id(node), id(parent))
        field = self._fields.get(key)
        if field is None:
            has_fields = isinstance(parent, GraphQLObjectType | GraphQLInterfaceType)
            definition = parent.fields.get(node.name.value) if has_fields else None
            type_ = definition.type if definition else None
            field = self._fields[key] = _Field(node, parent, type_)
        return field

    def _report(self, name: str, reason: tuple[str, _Field, _Field]) -> None:
        text, one, other = reason
        self.report_error(
            GraphQLError(
                f"Fields '{name}' conflict because {text}."
                " Use different aliases on the fields to fetch both if this was intentional.",
                [one.node, other.node],
            )
        )


def _by_response_name(fields: Iterable[_Field]) -> dict[str, list[_Field]]:
    groups: dict[str, list[_Field]] = {}
    for field in fields:
        name = (field.node.alias or field.node.name).value
        groups.setdefault(name, []).append(field)
    return groups


def _by_common_parents(fields: list[_Field]) -> Iterator[list[_Field]]:
    """One group for each object type among the parents; whatever may be any object is in all."""
    anywhere = []
    by_object: dict[int, list[_Field]] = {}
    for field in fields:
        if isinstance(field.parent, GraphQLObjectType):
            by_object.setdefault(id(field.parent), []).append(field)
        else:
            anywhere.append(field)
    if not by_object:
        yield anywhere
    for group in by_object.values():
        yield anywhere + group


def _shapes_conflict(one: Any, other: Any) -> bool:
    while True:
        for wrapper in (GraphQLNonNull, GraphQLList):
            if isinstance(one, wrapper) != isinstance(other, wrapper):
                return True
        if not isinstance(one, GraphQLNonNull | GraphQLList):
            return (is_leaf_type(one) or is_leaf_type(other)) and one is not other
        one, other = one.of_type, other.of_type


def _is_streamed(node: FieldNode) -> bool:
    return any(one.name.value == "stream" for one in node.directives or ())


def _value(node: ValueNode) -> object:
    """A value as something that compares; the order of an input object's fields does not count."""
    match node:
        case ObjectValueNode(fields=fields):
            return node.kind, frozenset((one.name.value, _value(one.value)) for one in fields)
        case ListValueNode(values=values):
            return node.kind, tuple(map(_value, values))
        case VariableNode(name=name):
            return node.kind, name.value
        case StringValueNode(value=text, block=block):
            return node.kind, text, bool(block)
        case _:
            return node.kind, str(getattr(node, "value", None))
