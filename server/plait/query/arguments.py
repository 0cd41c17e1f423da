"""A request's variables and the arguments of its fields, as graphql-core and Strawberry have them.

Both ask the same of every value again and again. A plain scalar that is what it must be is taken as
it is; for everything else they are asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLSchema,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    TypeNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
)
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values
from graphql.pyutils import Undefined
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from graphql.utilities.coerce_input_value import coerce_input_literal
from strawberry.relay import GlobalID
from strawberry.types.base import StrawberryMaybe

from plait.graph.field import DEFINITION
from plait.graph.schema import PlaitSchema
from plait.query.plan import Step

_PLAIN: Mapping[str, type] = {"Int": int, "String": str, "ID": str, "Boolean": bool}


class Variables:
    """The variables of one request. `plain` are their values; `None` where they cannot be taken as
    they are."""

    __slots__ = ("_definitions", "_given", "_schema", "_values", "plain")

    def __init__(
        self,
        schema: GraphQLSchema,
        definitions: Sequence[VariableDefinitionNode],
        given: Mapping[str, Any] | None,
    ) -> None:
        self._schema = schema
        self._definitions = definitions
        self._given = given or {}
        self._values: VariableValues | None = None
        self.plain = _plain(definitions, self._given)

    @property
    def coerced(self) -> Mapping[str, Any]:
        """Their values. Raises `ValueError` where one of them is none."""
        if self.plain is not None:
            return self.plain
        coerced: Mapping[str, Any] = self.values().coerced
        return coerced

    def values(self) -> VariableValues:
        """As graphql-core has them. Raises `ValueError`."""
        if self._values is None:
            found = get_variable_values(self._schema, self._definitions, dict(self._given))
            if isinstance(found, list):
                raise ValueError("The variables are not as the operation declares them.")
            self._values = found
        return self._values


def _plain(
    definitions: Sequence[VariableDefinitionNode], given: Mapping[str, Any]
) -> dict[str, Any] | None:
    found = {}
    for one in definitions:
        type_: TypeNode = one.type
        if isinstance(type_, NonNullTypeNode):
            type_ = type_.type
        name = one.variable.name.value
        value = given.get(name)
        if isinstance(type_, ListTypeNode) or value is None:
            return None
        assert isinstance(type_, NamedTypeNode)
        kind = _PLAIN.get(type_.name.value)
        if type(value) is not kind:
            return None
        if type(value) is int and not GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT:
            return None
        found[name] = value
    return found


class Arguments:
    """The arguments of one step's field, by their Python names."""

    __slots__ = ("_constant", "_plain", "_schema", "_step")

    def __init__(self, schema: PlaitSchema, step: Step) -> None:
        self._schema = schema
        self._step = step
        self._plain = plain = plain_arguments(step.definition, step.node)
        self._constant: Mapping[str, Any] | None = None
        if plain is not None and all(one.variable is None for one in plain):
            self._constant = {one.python_name: one.value for one in plain}

    @property
    def is_constant(self) -> bool:
        """Whether they are the same in every request."""
        return self._constant is not None

    def of(self, variables: Variables) -> Mapping[str, Any]:
        """What they are in one request. Raises for those that cannot be."""
        if self._constant is not None:
            return self._constant
        plain = variables.plain
        if self._plain is not None and plain is not None:
            return {one.python_name: one.of(plain) for one in self._plain}
        step = self._step
        coerced = get_argument_values(step.definition, step.node, variables.values())
        return self._schema.arguments_of(step.definition, coerced)


class PlainArgument(NamedTuple):
    """An argument that is a plain scalar, from a variable or as the document has it."""

    name: str
    python_name: str
    variable: str | None
    value: Any = None

    def of(self, variables: Mapping[str, Any]) -> Any:
        """Its value, which is JSON too."""
        return self.value if self.variable is None else variables[self.variable]


def plain_arguments(definition: GraphQLField, node: FieldNode) -> tuple[PlainArgument, ...] | None:
    """The arguments of a field, where each of them is a plain scalar, or left out without a
    default."""
    given = {one.name.value: one.value for one in node.arguments or ()}
    found = []
    for name, argument in definition.args.items():
        value, own = given.get(name), argument.extensions.get(DEFINITION)
        if own is None or own.python_name is None:
            return None
        if value is None:
            if argument.default_value is not Undefined or argument.default is not None:
                return None
            continue
        bare: Any = getattr(argument.type, "of_type", argument.type)
        if bare is not get_named_type(bare) or bare.name not in _PLAIN or _is_made(own.type):
            return None
        if isinstance(value, VariableNode):
            found.append(PlainArgument(name, own.python_name, value.name.value))
            continue
        constant = coerce_input_literal(value, bare)
        if type(constant) is not _PLAIN[bare.name]:
            return None
        found.append(PlainArgument(name, own.python_name, None, constant))
    return tuple(found)


def _is_made(type_: Any) -> bool:
    """Whether resolvers get an object made of the scalar."""
    return isinstance(type_, StrawberryMaybe) or getattr(type_, "of_type", type_) is GlobalID
