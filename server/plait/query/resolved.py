"""Resolvers that compiled code runs: those that only compute."""

from typing import Any

from graphql import FieldNode, GraphQLField
from graphql.execution.values import get_argument_values

from plait.graph.fields import Custom
from plait.graph.ran import Ran
from plait.query.arguments import Variables
from plait.query.leaves import completer


class Resolver:
    """A field whose resolver neither waits nor looks at the request."""

    __slots__ = ("_definition", "_function", "_self_of", "key", "node", "place", "shown")

    def __init__(
        self,
        key: str,
        definition: GraphQLField,
        node: FieldNode,
        entry: Custom,
        place: str = "",
    ) -> None:
        self.key = key
        """The field's key in the answer."""
        self.place = place
        """The same for all resolvers of one place of the answer."""
        self.shown = completer(definition.type)
        """What the answer has of what it returns."""
        self.node = node
        self._definition = definition
        self._function = entry.function
        self._self_of = entry.self_of

    def self_of(self, row: dict[str, Any]) -> Any:
        """What it gets as `self` for a row."""
        assert self._self_of is not None
        return self._self_of(row)

    def run(self, owner: Any, variables: Variables) -> Ran:
        """Run it with `owner` for its `self`. Raises for arguments that cannot be: then it was not
        run."""
        definition = self._definition
        arguments: dict[str, Any] = {}
        if definition.args:
            arguments = get_argument_values(definition, self.node, variables.values())
        assert definition.resolve is not None
        try:
            if self._function is not None:
                return Ran(self._function(owner))
            return Ran(definition.resolve(owner, None, **arguments))
        except Exception as error:
            return Ran(error=error)
