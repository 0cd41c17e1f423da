"""Which endpoint a field's row came from: the nearest field above it that declares one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)

from plait.backend.spec import EndpointSpec
from plait.graph.fields import Fetch, FieldTable


def endpoint_above(table: FieldTable, info: GraphQLResolveInfo[Any]) -> EndpointSpec | None:
    """The endpoint that gave the row in which a field is being resolved."""
    names = [key for key in info.path.as_list()[:-1] if isinstance(key, str)]
    return endpoint_at(table, info.schema, info.operation, info.fragments, names)


def endpoint_at(
    table: FieldTable,
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    names: Sequence[str],
) -> EndpointSpec | None:
    """The endpoint of the last field on the way of `names`, keys of the answer, that has one."""
    found: EndpointSpec | None = None
    types: list[Any] = [schema.get_root_type(operation.operation)]
    selections: list[SelectionSetNode | None] = [operation.selection_set]
    for key in names:
        nodes = [node for one in selections for node in _fields(one, key, fragments)]
        asked = [
            (type_, node.name.value)
            for type_ in types
            for node in nodes
            if isinstance(type_, GraphQLObjectType) and node.name.value in type_.fields
        ]
        entries = [table.get(type_.name, {}).get(name) for type_, name in asked]
        found = next((one.endpoint for one in entries if isinstance(one, Fetch)), found)
        types = _object_types(schema, [type_.fields[name] for type_, name in asked])
        selections = [node.selection_set for node in nodes]
    return found


def _object_types(schema: GraphQLSchema, definitions: Iterable[GraphQLField]) -> list[Any]:
    named = [get_named_type(one.type) for one in definitions]
    return [
        possible
        for type_ in named
        for possible in (
            [type_] if isinstance(type_, GraphQLObjectType) else _possible(schema, type_)
        )
    ]


def _possible(schema: GraphQLSchema, type_: Any) -> Sequence[Any]:
    return schema.get_possible_types(type_) if hasattr(type_, "resolve_type") else ()


def _fields(
    selections: SelectionSetNode | None, key: str, fragments: Mapping[str, FragmentDefinitionNode]
) -> list[FieldNode]:
    found: list[FieldNode] = []
    for node in selections.selections if selections else ():
        if isinstance(node, FieldNode):
            if (node.alias or node.name).value == key:
                found.append(node)
        elif isinstance(node, FragmentSpreadNode):
            fragment = fragments.get(node.name.value)
            found += _fields(fragment.selection_set if fragment else None, key, fragments)
        elif isinstance(node, InlineFragmentNode):
            found += _fields(node.selection_set, key, fragments)
    return found


def response_keys(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[str]:
    """The keys in the answer of a selection's fields, whatever directives say."""
    for node in selections.selections:
        if isinstance(node, FieldNode):
            yield (node.alias or node.name).value
        elif isinstance(node, FragmentSpreadNode):
            yield from response_keys(fragments[node.name.value].selection_set, fragments)
        elif isinstance(node, InlineFragmentNode):
            yield from response_keys(node.selection_set, fragments)
