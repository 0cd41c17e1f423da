"""What an operation selects of a type: fields by their key in the answer, fragments spread, and on
which variables each of them depends. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
)

FIELDS_MAX = 5_000
"""How many fields, fragments spread, are looked at."""

Condition: TypeAlias = tuple[tuple[str, bool], ...]
"""Variables and what each must be, all of them."""
ALWAYS: tuple[Condition, ...] = ((),)
Part: TypeAlias = tuple[SelectionSetNode, Condition]
Nodes: TypeAlias = Sequence[tuple[FieldNode, Condition]]
"""The places of the document that ask for one field."""


class TooLarge(Exception):
    """The operation has more than `FIELDS_MAX` fields."""


class Selections:
    """Reads the selections of one operation that fits the schema."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        """With `variables`, only what is asked for under them is read, and depends on nothing."""
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self.seen = 0
        """How many fields and fragments were looked at."""

    def collected(
        self, type_: GraphQLObjectType, parts: Sequence[Part]
    ) -> dict[str, list[tuple[FieldNode, Condition]]]:
        """The fields that are asked of a type, by their key in the answer. Raises `TooLarge`."""
        found: dict[str, list[tuple[FieldNode, Condition]]] = {}
        for selections, condition in parts:
            for node, whole in self._fields_of(type_, selections, condition):
                key = node.alias.value if node.alias else node.name.value
                found.setdefault(key, []).append((node, whole))
        return found

    def possible(self, named: Any) -> Sequence[GraphQLObjectType]:
        """The object types that what is declared as `named` may be."""
        if isinstance(named, GraphQLObjectType):
            return (named,)
        return self._schema.get_possible_types(named) if is_abstract_type(named) else ()

    def _fields_of(
        self, type_: GraphQLObjectType, selections: SelectionSetNode, condition: Condition
    ) -> Iterator[tuple[FieldNode, Condition]]:
        for node in selections.selections:
            self.seen += 1
            if self.seen > FIELDS_MAX:
                raise TooLarge
            own = _condition(node)
            if own and self._variables is not None:
                own = () if holds((own,), self._variables) else None
            if own is None:
                continue
            whole = (*condition, *own)
            if isinstance(node, FieldNode):
                yield node, whole
                continue
            of: Any = node
            if isinstance(node, FragmentSpreadNode):
                of = self._fragments[node.name.value]
            assert isinstance(of, InlineFragmentNode | FragmentDefinitionNode)
            if of.type_condition is None or self._fits(type_, of.type_condition.name.value):
                yield from self._fields_of(type_, of.selection_set, whole)

    def _fits(self, type_: GraphQLObjectType, name: str) -> bool:
        on = self._schema.type_map[name]
        return on is type_ or (
            isinstance(on, GraphQLInterfaceType | GraphQLUnionType)
            and self._schema.is_sub_type(on, type_)
        )


def decided_by(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> frozenset[str]:
    """The variables on which it depends what is asked for."""
    found: set[str] = set()
    waiting: list[Any] = [selections, *(one.selection_set for one in fragments.values())]
    while waiting:
        for node in waiting.pop().selections:
            found.update(name for name, _ in _condition(node) or ())
            if below := getattr(node, "selection_set", None):
                waiting.append(below)
    return frozenset(found)


def below_of(nodes: Nodes) -> list[Part]:
    """What the places of one field ask of what it holds."""
    return [(node.selection_set, one) for node, one in nodes if node.selection_set]


def _condition(node: Any) -> Condition | None:
    """What `@skip` and `@include` ask for; `None` where they leave the node out in any case."""
    found = []
    for directive in node.directives or ():
        if directive.name.value not in ("skip", "include") or not directive.arguments:
            continue
        wanted, value = directive.name.value == "include", directive.arguments[0].value
        if isinstance(value, VariableNode):
            found.append((value.name.value, wanted))
        elif isinstance(value, BooleanValueNode) and value.value is not wanted:
            return None
    return tuple(found)


def alternatives(nodes: Nodes) -> tuple[Condition, ...]:
    """The conditions of which one must hold, for a field to be asked for."""
    found = tuple(dict.fromkeys(condition for _, condition in nodes))
    return ALWAYS if () in found else found


def holds(conditions: Sequence[Condition], variables: Mapping[str, Any]) -> bool:
    """Whether one of `conditions` does."""
    return conditions is ALWAYS or any(
        all(variables.get(name) is wanted for name, wanted in one) for one in conditions
    )
