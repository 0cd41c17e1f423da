"""How the properties of each type are spelled, where the backends that its rows come from declare
their `names`, and agree. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
)
from strawberry.types.field import StrawberryField

from plait.graph.field import DEFINITION, DeclaredField, Spelling


def spellings_of(schema: GraphQLSchema) -> Mapping[str, Spelling]:
    """By the names of types. One that a resolver shows too is not in it: whose row that returns,
    nobody can know."""
    found: dict[str, set[Spelling | None]] = defaultdict(set)
    waiting = list(_given(schema))
    while waiting:
        type_, names = waiting.pop()
        if names in found[type_.name]:
            continue
        found[type_.name].add(names)
        if is_abstract_type(type_):
            waiting += [(one, names) for one in schema.get_possible_types(type_)]
        for field in getattr(type_, "fields", {}).values():
            inner = get_named_type(field.type)
            if is_composite_type(inner) and _reads_its_row(field):
                waiting.append((inner, names))
    return {
        name: one
        for name, all_of in found.items()
        if len(all_of) == 1 and (one := next(iter(all_of)))
    }


def _given(schema: GraphQLSchema) -> Iterator[tuple[Any, Spelling | None]]:
    """What fields show by themselves: types, and how their rows are spelled."""
    for owner in schema.type_map.values():
        if not isinstance(owner, GraphQLObjectType | GraphQLInterfaceType):
            continue
        for field in owner.fields.values():
            type_, definition = get_named_type(field.type), field.extensions.get(DEFINITION)
            if not is_composite_type(type_) or _reads_its_row(field):
                continue
            names = None
            if isinstance(definition, DeclaredField):
                names = definition.declaration.spec.backend.names
                if definition.declaration.form == "connection":
                    type_ = get_named_type(type_.fields["nodes"].type)  # type: ignore[union-attr]
            yield type_, names


def _reads_its_row(field: GraphQLField) -> bool:
    definition = field.extensions.get(DEFINITION)
    return (
        isinstance(definition, StrawberryField)
        and not isinstance(definition, DeclaredField)
        and definition.base_resolver is None
    )
