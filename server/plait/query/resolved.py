"""Resolvers that compiled code runs: those of the root that only compute."""

from collections.abc import Callable
from typing import Any

from graphql import FieldNode, GraphQLField
from graphql.execution.values import get_argument_values

from plait.graph.ran import Ran
from plait.query.arguments import Variables


class Resolver:
    """A field of the root whose resolver neither waits nor looks at the request."""

    __slots__ = ("_definition", "_function", "_node", "key", "type")

    def __init__(
        self,
        key: str,
        definition: GraphQLField,
        node: FieldNode,
        function: Callable[[], Any] | None = None,
    ) -> None:
        self.key = key
        """The field's key in the answer."""
        self.type = definition.type
        self._definition = definition
        self._node = node
        self._function = function

    def run(self, variables: Variables) -> Ran:
        """Run it. Raises for arguments that cannot be: then it was not run."""
        definition = self._definition
        arguments: dict[str, Any] = {}
        if definition.args:
            arguments = get_argument_values(definition, self._node, variables.values())
        assert definition.resolve is not None
        try:
            if self._function is not None:
                return Ran(self._function())
            return Ran(definition.resolve(None, None, **arguments))
        except Exception as error:
            return Ran(error=error)
