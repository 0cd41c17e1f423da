"""From an operation whose root is resolvers to Python code that shows what they return. Pure.

A resolver may return objects of its author's classes, rows as a backend sent them, and lists of
both. For each selection one function is written:

    held(o, is_over)      an object or a row -> what the answer has of it

An object is read where it merely holds what is selected: no code of its author's runs. Whatever is
not as usual raises, as in `compile.py`, and graphql-core shows the same object instead; so does
what takes longer than a turn of the loop.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    is_leaf_type,
)
from msgspec import Struct
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from plait.graph.field import DEFINITION
from plait.graph.fields import Custom, Fetch, Property
from plait.graph.schema import PlaitSchema
from plait.query.arguments import PlainArgument, plain_arguments
from plait.query.compile import (
    CODE_CHARACTERS_MAX,
    Names,
    NotCompiled,
    functions_of,
    unusual,
)
from plait.query.leaves import SCALARS, Unusual, completer
from plait.query.selection import Nodes, Part, Selections, TooLarge, below_of

_PLAIN: Mapping[str, str] = {
    **SCALARS,
    "Float": f"{SCALARS['Float']} or not isfinite({{v}})",  # JSON has no others, and objects may
}
Show = Callable[[Any, Callable[[], bool]], Any]
"""(what a resolver returned, whether the turn is over) -> what the answer has of it. Raises,
whatever it may be, where graphql-core is to show it."""


class RootField(Struct, frozen=True):
    """One field of the root, and how what its resolver returns is shown."""

    key: str
    definition: GraphQLField
    nodes: list[FieldNode]
    """The places of the document that ask for it."""
    show: Show | None
    """`None` where its permissions alone are run."""
    call: Callable[[Any, Any, dict[str, Any]], Any] | None
    """See `Custom`."""
    plain: tuple[PlainArgument, ...] | None
    """Its arguments, where they are plain."""


class Resolvers(Struct, frozen=True, kw_only=True):
    """An operation whose root is resolvers, which may wait, look at the request and write."""

    parent: GraphQLObjectType
    fields: tuple[RootField | str, ...]
    """In the order of the answer; of `__typename`, its key."""
    is_serial: bool
    """Whether each is over before the next one begins, as in a mutation."""
    source: str
    """The code, for who wants to read it."""
    has_lists: bool
    """Whether it shows lists of values, or lists with nothing in some of their places."""


def resolvers_of(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    schema: PlaitSchema,
    variables: Mapping[str, Any],
    *,
    guarded: Collection[str] = (),
) -> Resolvers:
    """The code of an operation that asks nothing but resolvers, and the permissions of the fields
    whose keys are `guarded`. `variables` are those that decide what is asked for. Raises
    `NotCompiled`."""
    parent = schema._schema.get_root_type(operation.operation)
    if parent is None or operation.operation is OperationType.SUBSCRIPTION:
        raise NotCompiled(f"it is a {operation.operation.value}")
    writer = _Writer(schema, Selections(schema._schema, fragments, variables))
    try:
        fields = writer.fields(parent, operation, guarded)
    except TooLarge:
        raise NotCompiled("it has too many fields") from None
    return Resolvers(
        parent=parent,
        fields=fields,
        is_serial=operation.operation is OperationType.MUTATION,
        source=writer.source,
        has_lists=writer.has_lists,
    )


def items(value: Any, is_over: Callable[[], bool]) -> Iterator[Any]:
    """The items of a list. Raises `Unusual` where it is none, and when the turn is over."""
    if type(value) is not list and type(value) is not tuple:
        raise Unusual
    for item in value:
        if is_over():
            raise Unusual
        yield item


class _Writer:
    def __init__(self, schema: PlaitSchema, selections: Selections) -> None:
        if schema.config.default_resolver is not getattr:
            raise NotCompiled("the graph reads objects in a way of its own")
        self._schema = schema
        self._selections = selections
        self._names = Names(isfinite=isfinite, items=items, unusual=unusual)
        self._functions: list[str] = []
        self.source = ""
        self.has_lists = False

    def fields(
        self,
        parent: GraphQLObjectType,
        operation: OperationDefinitionNode,
        guarded: Collection[str],
    ) -> tuple[RootField | str, ...]:
        """The fields of the root."""
        found: list[tuple[str, Nodes]] = []
        shows: dict[str, str] = {}
        table = self._schema.fields.get(parent.name, {})
        selected = self._selections.collected(parent, [(operation.selection_set, ())])
        for key, nodes in selected.items():
            name = nodes[0][0].name.value
            found.append((key, nodes))
            if name == "__typename" or key in guarded:
                continue
            entry = table.get(name)
            if not isinstance(entry, Custom) and not (
                isinstance(entry, Fetch) and entry.form == "write"
            ):
                why = "has no resolver"
                if isinstance(entry, Fetch) and entry.is_guarded:
                    why = "asks an extension first, or its permission in a mutation"
                raise NotCompiled(f"{parent.name}.{name} {why}")
            shows[key] = self._root(parent.fields[name].type, below_of(nodes))
        self.source = "\n\n\n".join(self._functions) + "\n"
        if len(self.source) > CODE_CHARACTERS_MAX:
            raise NotCompiled(f"its code would have more than {CODE_CHARACTERS_MAX} characters")
        made = functions_of(self.source, self._names.values)
        return tuple(
            self._field(parent, key, [node for node, _ in nodes], made.get(shows.get(key, "")))
            if key in shows or key in guarded
            else key
            for key, nodes in found
        )

    def _field(
        self, parent: GraphQLObjectType, key: str, nodes: list[FieldNode], show: Show | None
    ) -> RootField:
        name = nodes[0].name.value
        definition, entry = parent.fields[name], self._schema.fields[parent.name][name]
        plain = plain_arguments(definition, nodes[0])
        call = entry.call if isinstance(entry, Custom) else None
        return RootField(key, definition, nodes, show, call, plain)

    def _root(self, type_: Any, parts: Sequence[Part]) -> str:
        shown = self._shown("v", type_, parts)
        name = self._names.new("show")
        self._functions.append(f"def {name}(v, is_over):\n    return {shown}")
        return name

    def _shown(self, value: str, type_: Any, parts: Sequence[Part]) -> str:
        """The expression of what the answer has of a value."""
        if isinstance(type_, GraphQLNonNull):
            bare = type_.of_type
            if is_leaf_type(bare):
                return self._leaf(value, type_)
            return self._present(value, bare, parts)  # what is null is neither object nor list
        if is_leaf_type(type_):
            return self._leaf(value, type_)
        return f"(None if {value} is None else {self._present(value, type_, parts)})"

    def _present(self, value: str, bare: Any, parts: Sequence[Part]) -> str:
        if isinstance(bare, GraphQLList):
            inner = bare.of_type
            self.has_lists |= not isinstance(inner, GraphQLNonNull) or is_leaf_type(inner.of_type)
            item = self._names.new("x")
            return (
                f"[{self._shown(item, bare.of_type, parts)} for {item} in items({value}, is_over)]"
            )
        return f"{self._held(bare, parts)}({value}, is_over)"

    def _leaf(self, value: str, declared: Any) -> str:
        return f"{self._names.of('leaf', completer(declared))}({value})"

    def _held(self, named: Any, parts: Sequence[Part]) -> str:
        """The name of the function that shows an object or a row."""
        possible = self._selections.possible(named)
        if isinstance(named, GraphQLObjectType):
            return self._object(named, parts)
        definition = named.extensions.get(DEFINITION)
        if getattr(definition, "resolve_type", None) is not None:
            raise NotCompiled(f"{named.name} is told apart by its author's code")
        shows = {type_.name: self._object(type_, parts) for type_ in possible}
        name = self._names.new("held")
        lines = [f"def {name}(o, is_over):"]
        for type_ in possible:
            cls = self._names.of("cls", _class_of(type_))
            lines.append(f"    if type(o) is {cls}: return {shows[type_.name]}(o, is_over)")
        kind = self._schema.kinds.get(named.name)
        if kind is not None:
            lines += ["    if type(o) is dict:", f"        k = {self._names.of('kind', kind)}(o)"]
            for type_name, show in shows.items():
                lines.append(f"        if k == {type_name!r}: return {show}(o, is_over)")
        self._functions.append("\n".join([*lines, "    unusual()"]))
        return name

    def _object(self, type_: GraphQLObjectType, parts: Sequence[Part]) -> str:
        table = self._schema.fields.get(type_.name, {})
        shown, of_object, of_row, then = [], list[str](), list[str](), list[str]()
        for key, nodes in self._selections.collected(type_, parts).items():
            name = nodes[0][0].name.value
            if name == "__typename":
                shown.append(f"{key!r}: {type_.name!r}")
                continue
            entry = table.get(name)
            if not isinstance(entry, Property) or entry.is_guarded:
                raise NotCompiled(f"{type_.name}.{name} is not simply held")
            own, declared = self._names.new("v"), type_.fields[name].type
            of_object.append(f"{own} = h[{entry.attribute!r}]")
            if not self._schema.has_strict:
                of_row.append(f"{own} = {self._names.of('get', entry.reader.get)}(o)")
            then.append(self._checked(own, declared, below_of(nodes)))
            shown.append(f"{key!r}: {own}")
        name, cls = self._names.new("held"), self._names.of("cls", _class_of(type_))
        if self._schema.has_strict:  # what is missing of a row is told by who knows its endpoint
            of_row = ["unusual()"]
        lines = [
            f"def {name}(o, is_over):",
            f"    if type(o) is {cls}:",
            "        h = o.__dict__",
            f"        if {TYPE_CAST_ATTRIBUTE!r} in h: unusual()",
            *(f"        {line}" for line in of_object),
            "    elif type(o) is dict:",
            *(f"        {line}" for line in of_row or ["pass"]),
            "    else:",
            "        unusual()",
            *(f"    {line}" for line in then),
            f"    return {{{', '.join(shown)}}}",
        ]
        self._functions.append("\n".join(lines))
        return name

    def _checked(self, own: str, declared: Any, parts: Sequence[Part]) -> str:
        bare = declared.of_type if isinstance(declared, GraphQLNonNull) else declared
        shown = f"{own} = {self._shown(own, declared, parts)}"
        check = _PLAIN.get(bare.name) if is_leaf_type(bare) else None
        return f"if {check.format(v=own)}: {shown}" if check else shown


def _class_of(type_: GraphQLObjectType) -> type:
    """The class of the objects that are of a type and of no other. Raises `NotCompiled`."""
    definition = type_.extensions.get(DEFINITION)
    if (
        not isinstance(definition, StrawberryObjectDefinition)
        or definition.is_type_of is not None
        or definition.concrete_of is not None
        or issubclass(definition.origin, BaseException)
        or hasattr(definition.origin, "__await__")
    ):
        raise NotCompiled(f"{type_.name} is told apart by its author's code")
    return definition.origin
