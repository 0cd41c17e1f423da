"""Queries that ask endpoints and beside that have resolvers and permissions of the root, or hang
on what these return, and mutations of one field with endpoints below what it returns. Pure.

Each side is compiled as if it were an operation of its own: the resolvers as in `held.py`, the
fetches as in `compile.py`. A fetch that asks permissions is on both: there its permissions alone
are run, here it waits until they have let it. So is one that hangs on what a resolver returns:
there the values of its parameters are found, here it waits for these.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_leaf_type,
)
from msgspec import Struct

from plait.graph.fields import Custom, Fetch
from plait.graph.graph import Graph
from plait.query.held import Resolvers, resolvers_of
from plait.query.joins import NotCompiled
from plait.query.plan import Plan
from plait.query.prepared import Prepared, prepared
from plait.query.selection import Selections, TooLarge


class Mixed(Struct, frozen=True, kw_only=True):
    """Both sides of a query, each compiled."""

    prepared: Prepared
    resolvers: Resolvers
    guarded: frozenset[str]
    """The fields that ask permissions before they ask an endpoint, by their keys in the answer."""
    returning: frozenset[str]
    """The resolvers that fields with endpoints hang on, as these."""
    order: tuple[str, ...]
    """The keys of the whole answer, in its order."""
    source: str
    """The code, for who wants to read it."""


def mixed_of(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    graph: Graph,
    plan: Plan,
    variables: Mapping[str, Any],
) -> Mixed | Resolvers | None:
    """The code of a query, or of a mutation of one field; of resolvers alone where it has nothing
    else, and `None` where it has none of them. Its plan takes permissions to be granted.
    `variables` are those that decide what is asked for. Raises `NotCompiled`."""
    root = graph.core.get_root_type(operation.operation)
    assert root is not None
    try:
        selected = Selections(graph.core, fragments, variables).collected(
            root, [(operation.selection_set, ())]
        )
    except TooLarge:
        return None  # which is told by who compiles it as a whole
    table, guarded = graph.fields.get(root.name, {}), set[str]()
    asked, resolved = list[FieldNode](), list[FieldNode]()
    returning, has_fetch = set[str](), False
    is_query = operation.operation is OperationType.QUERY
    for key, found in selected.items():
        nodes = [node for node, _ in found]
        name = nodes[0].name.value
        entry = table.get(name)
        if not is_query:
            resolved += nodes
            if name != "__typename":
                returning.add(key)
            continue
        if isinstance(entry, Fetch) and entry.asks_permissions and entry.form != "write":
            guarded.add(key)
            resolved += nodes
        elif isinstance(entry, Custom) and not (
            not entry.may_load
            and entry.guard is None
            and is_leaf_type(get_named_type(root.fields[name].type))
        ):
            returning.add(key)
            resolved += nodes
            continue
        has_fetch |= isinstance(entry, Fetch)
        asked += nodes
    if not resolved:
        return None
    of_resolvers = resolvers_of(
        _of(operation, resolved),
        fragments,
        graph.schema,
        variables,
        guarded=guarded,
        may_fetch=True,
    )
    if not has_fetch and not of_resolvers.fetches:
        return of_resolvers if not asked else None
    for one in plan.unplanned:
        is_asked = not one.path or one.path[0] in selected
        if is_asked and (len(one.path) != 1 or one.path[0] not in returning):
            raise NotCompiled(f"{one.label}: {one.why}")
    of_endpoints = prepared(
        _of(operation, asked),
        fragments,
        graph,
        replace(plan, unplanned=()),
        variables,
        of_resolvers.fetches,
    )
    return Mixed(
        prepared=of_endpoints,
        resolvers=of_resolvers,
        guarded=frozenset(guarded),
        returning=frozenset(one.path[0] for one in of_resolvers.fetches),
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
