"""A request's variables and the arguments of its fields, as graphql-core and Strawberry have them.

Both ask the same of every value again and again. A plain scalar that is what it must be is taken as
it is; for everything else they are asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
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
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT

from plait.graph.blame import DEFINITION
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

    __slots__ = ("_constant", "_schema", "_step", "_variables")

    def __init__(self, schema: PlaitSchema, step: Step) -> None:
        self._schema = schema
        self._step = step
        self._variables = _all_plain_variables(step)
        """Python name -> variable, where each argument is a variable of a plain scalar."""
        self._constant: Mapping[str, Any] | None = {} if not step.definition.args else None

    @property
    def is_constant(self) -> bool:
        """Whether they are the same in every request."""
        return self._constant is not None

    def of(self, variables: Variables) -> Mapping[str, Any]:
        """What they are in one request. Raises for those that cannot be."""
        if self._constant is not None:
            return self._constant
        plain = variables.plain
        if self._variables is not None and plain is not None:
            return {name: plain[variable] for name, variable in self._variables}
        step = self._step
        coerced = get_argument_values(step.definition, step.node, variables.values())
        return self._schema.arguments_of(step.definition, coerced)


def _all_plain_variables(step: Step) -> tuple[tuple[str, str], ...] | None:
    given = {one.name.value: one.value for one in step.node.arguments or ()}
    found = []
    for name, argument in step.definition.args.items():
        value, of = given.get(name), argument.extensions.get(DEFINITION)
        bare = getattr(argument.type, "of_type", argument.type)
        is_plain = bare is get_named_type(bare) and bare.name in _PLAIN
        if not isinstance(value, VariableNode) or not is_plain or of is None:
            return None
        found.append((of.python_name, value.name.value))
    return tuple(found)
