"""What of an author's code compiled code runs: resolvers that only compute, and permissions that
answer at once."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution.values import get_argument_values
from msgspec import Struct

from plait.graph.fields import Custom, Fetch, Property
from plait.graph.graph import is_awaitable
from plait.graph.ran import GRANTED, Ran, raised
from plait.graph.rows import row_of
from plait.query.arguments import Variables
from plait.query.context import Context
from plait.query.leaves import Unusual, completer


class Execution(Struct, frozen=True, kw_only=True):
    """What a permission may be told of the request."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Variables
    context: Context


class RowInfo:
    """graphql-core's `info` of one field, for all rows of a place. Where in the answer a row stands
    it does not know: who asks for that is asked again by graphql-core, which does."""

    root_value = abort_signal = None
    is_awaitable = staticmethod(is_awaitable)

    def __init__(self, resolver: "Resolver", execution: Execution) -> None:
        self.field_name = resolver.node.name.value
        self.field_nodes = list(resolver.nodes)
        self.return_type = resolver.definition.type
        self.parent_type = resolver.parent
        self.schema = execution.schema
        self.fragments = execution.fragments
        self.operation = execution.operation
        self.variable_values = execution.variables  # which has what is `coerced`
        self.context = execution.context
        self.is_not_enough = False
        """Whether it was asked for what it does not know."""

    def __getattr__(self, name: str) -> Any:
        self.is_not_enough = True
        raise Unusual(name)


class Resolver:
    """A field of the root or of a row that its author's code has a say in, and no backend."""

    __slots__ = (
        "_function",
        "_guard",
        "_self_of",
        "definition",
        "is_asked_elsewhere",
        "key",
        "node",
        "nodes",
        "parent",
        "path",
        "place",
        "shown",
        "types",
    )

    def __init__(
        self,
        key: str,
        parent: GraphQLObjectType,
        nodes: tuple[FieldNode, ...],
        entry: Custom | Property | Fetch,
        place: str = "",
        path: tuple[str, ...] = (),
        types: tuple[Any, ...] = (),
    ) -> None:
        self.key = key
        """The field's key in the answer."""
        self.place = place
        """The same for all of one place of the answer."""
        self.path = path
        """Its keys in the answer, outermost first, where it is a row's."""
        self.types = types
        """The types that the schema has for these."""
        self.parent = parent
        self.node, self.nodes = nodes[0], nodes
        self.definition = parent.fields[self.node.name.value]
        self.shown = completer(self.definition.type)
        """What the answer has of what it returns."""
        self.is_asked_elsewhere = isinstance(entry, Fetch)
        """Whether it has permissions alone: what they let show an endpoint is asked for."""
        self._guard = entry.guard
        self._self_of = entry.self_of
        self._function = _function_of(entry)

    @property
    def asks_permissions(self) -> bool:
        """Whether it has permissions."""
        return self._guard is not None

    def self_of(self, row: dict[str, Any]) -> Any:
        """What it gets as `self` for a row."""
        assert self._self_of is not None
        return self._self_of(row)

    def run(self, owner: Any, variables: Variables, info: RowInfo | None = None) -> Ran:
        """Run it with `owner` for its `self`; its permissions are told `info`. Raises for arguments
        that cannot be, and where `info` does not say enough: then it was not run."""
        if self._guard is not None:
            ran = self._asked(owner, info)
            if not ran.is_granted:
                return ran
        definition = self.definition
        arguments: dict[str, Any] = {}
        if definition.args:
            arguments = get_argument_values(definition, self.node, variables.values())
        assert definition.resolve is not None
        try:
            if self._function is not None:
                return Ran(self._function(owner))
            return Ran(definition.resolve(owner, None, **arguments))
        except Exception as error:
            return raised(error)

    def _asked(self, owner: Any, info: RowInfo | None) -> Ran:
        assert self._guard is not None
        assert info is not None
        try:
            said = self._guard.ask(owner, info)
        except Exception as error:
            if info.is_not_enough:
                raise Unusual from None
            return raised(error)
        if info.is_not_enough:
            raise Unusual
        return Ran(said)


def _function_of(entry: Custom | Property | Fetch) -> Callable[[Any], Any] | None:
    """What it does with a `self`, where that is all that it needs."""
    if isinstance(entry, Custom):
        return entry.function
    if isinstance(entry, Fetch):
        return lambda _: GRANTED  # what it asks for is asked for elsewhere
    get = entry.reader.get
    return lambda owner: get(row_of(owner) or {})
