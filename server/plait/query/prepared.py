"""A compiled operation with what of its graph it needs to be executed."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import FragmentDefinitionNode, OperationDefinitionNode

from plait.graph.graph import Graph
from plait.graph.pages import Window
from plait.graph.resolve import Bound
from plait.query.arguments import Arguments, Variables
from plait.query.compile import compiled
from plait.query.joins import Compiled, HeldFetch, Join
from plait.query.plan import Plan


class Prepared:
    """A compiled operation with what of its graph it needs. Made once."""

    def __init__(
        self,
        compiled: Compiled,
        bounds: Sequence[Bound],
        arguments: Sequence[Arguments],
    ) -> None:
        self.compiled = compiled
        self.source = compiled.source
        self.bounds = bounds
        self.watches = [bound.watch for bound in bounds]
        self.arguments = arguments
        self.below: list[list[Join]] = [[] for _ in compiled.joins]
        for join in compiled.joins:
            if join.above is not None:
                self.below[join.above].append(join)
        self.roots = [one for one in compiled.joins if one.above is None and not one.is_held]
        self.early = [[one for one in below if one.early is not None] for below in self.below]
        self.is_alone = [
            one.index not in compiled.shared and one.early is None and one.step.fetch.form != "many"
            for one in compiled.joins
        ]
        """Whether no other join asks the same endpoint, and this one asks for different keys."""
        self.fixed: list[dict[str, Any] | None] = [None] * len(compiled.joins)
        """The parameters that are the same for every row and every request, once they are known."""
        self.refused = [0] * len(compiled.joins)
        """How many replies in a row were not as the structs of a join have it."""

    def window(self, join: Join, variables: Variables) -> Window:
        """What a connection shows of which page. Raises `BadUserInput`."""
        pages = join.step.fetch.pages
        assert pages is not None
        given = self.arguments[join.index].of(variables)
        return pages.window(given.get("first"), given.get("after"))


def prepared(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    graph: Graph,
    plan: Plan,
    variables: Mapping[str, Any],
    held: Sequence[HeldFetch] = (),
) -> Prepared:
    """The code of an operation: see `compiled`. Raises `NotCompiled`."""
    schema = graph.schema
    made = compiled(
        operation, fragments, graph.core, graph.fields, schema.kinds, plan, variables, held
    )
    return Prepared(
        made,
        [schema.bound_of(join.step.fetch) for join in made.joins],
        [Arguments(schema, join.step) for join in made.joins],
    )
