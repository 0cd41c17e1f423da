"""Resolvers that compiled code runs: those of the root that only compute."""

from typing import Any

from graphql import FieldNode, GraphQLField
from graphql.execution.values import get_argument_values

from plait.graph.ran import Ran
from plait.query.arguments import Variables


class Resolver:
    """A field of the root whose resolver neither waits nor looks at the request."""

    __slots__ = ("_definition", "_node", "key", "type")

    def __init__(self, key: str, definition: GraphQLField, node: FieldNode) -> None:
        self.key = key
        """The field's key in the answer."""
        self.type = definition.type
        self._definition = definition
        self._node = node

    def run(self, variables: Variables) -> Ran:
        """Run it. Raises for arguments that cannot be: then it was not run."""
        definition = self._definition
        arguments: dict[str, Any] = {}
        if definition.args:
            arguments = get_argument_values(definition, self._node, variables.values())
        assert definition.resolve is not None
        try:
            return Ran(definition.resolve(None, None, **arguments))
        except Exception as error:
            return Ran(error=error)
