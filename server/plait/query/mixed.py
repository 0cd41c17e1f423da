"""Queries of which some fields of the root are resolvers or ask permissions, and others ask
endpoints. Pure.

Each side is compiled as if it were an operation of its own: the resolvers as in `held.py`, the
fetches as in `compile.py`. A fetch that asks permissions is on both: there its permissions alone
are run, here it waits until they have let it.
"""

from collections.abc import Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_leaf_type,
)
from msgspec import Struct

from plait.graph.fields import Custom, Fetch
from plait.graph.graph import Graph
from plait.query.compile import NotCompiled
from plait.query.held import Resolvers, resolvers_of
from plait.query.plan import planned
from plait.query.prepared import Prepared, prepared
from plait.query.selection import Selections, TooLarge


class Mixed(Struct, frozen=True, kw_only=True):
    """Both sides of a query, each compiled."""

    prepared: Prepared
    resolvers: Resolvers
    guarded: frozenset[str]
    """The fields that ask permissions before they ask an endpoint, by their keys in the answer."""
    order: tuple[str, ...]
    """The keys of the whole answer, in its order."""
    source: str
    """The code, for who wants to read it."""


def mixed_of(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    graph: Graph,
    variables: Mapping[str, Any],
) -> Mixed | None:
    """The code of a query; `None` where it has but one side. `variables` are those that decide what
    is asked for. Raises `NotCompiled`."""
    root = graph.core.query_type
    assert root is not None
    try:
        selected = Selections(graph.core, fragments, variables).collected(
            root, [(operation.selection_set, ())]
        )
    except TooLarge:
        return None  # which is told by who compiles it as a whole
    table, guarded = graph.fields.get(root.name, {}), set[str]()
    asked, resolved = list[FieldNode](), list[FieldNode]()
    has_fetch = False
    for key, found in selected.items():
        nodes = [node for node, _ in found]
        name = nodes[0].name.value
        entry = table.get(name)
        if isinstance(entry, Fetch) and entry.asks_permissions and entry.form != "write":
            guarded.add(key)
            resolved += nodes
        elif isinstance(entry, Custom) and not (
            not entry.may_load and is_leaf_type(get_named_type(root.fields[name].type))
        ):
            resolved += nodes
            continue
        has_fetch |= isinstance(entry, Fetch)
        asked += nodes
    if not resolved or not has_fetch:
        return None
    own = _of(operation, asked)
    plan = planned(own, fragments, graph.core, graph.fields, is_granted=True)
    if not plan.is_whole:
        first = plan.unplanned[0]
        raise NotCompiled(f"{first.label}: {first.why}")
    of_endpoints = prepared(own, fragments, graph, plan, variables)
    of_resolvers = resolvers_of(
        _of(operation, resolved), fragments, graph.schema, variables, guarded=guarded
    )
    return Mixed(
        prepared=of_endpoints,
        resolvers=of_resolvers,
        guarded=frozenset(guarded),
        order=tuple(selected),
        source=f"{of_endpoints.source}\n\n{of_resolvers.source}",
    )


def _of(operation: OperationDefinitionNode, nodes: list[FieldNode]) -> OperationDefinitionNode:
    """An operation with some of the fields of the root. The nodes are the same objects: what is
    known of them holds in both."""
    return OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=operation.directives,
        selection_set=SelectionSetNode(selections=tuple(nodes)),
    )
