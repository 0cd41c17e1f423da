"""From an operation whose root is resolvers to Python code that shows what they return. Pure.

A resolver may return objects of its author's classes, rows as a backend sent them, and lists of
both. For each selection one function is written:

    held(o, is_over, fetched, spend)   an object or a row -> what the answer has of it

What fields with endpoints show is what `fetched` says of the values that their parameters have
there. It is run twice: first to hear these, and once the rows are there to show them.

An object is read where it merely holds what is selected: no code of its author's runs. Whatever is
not as usual raises, as in `compile.py`, and graphql-core shows the same object instead; so does
what takes longer than a turn of the loop, and what would be larger than an answer may be: each
object is paid for as it is shown, for the same one may be shown a thousand times.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_leaf_type,
)
from msgspec import Struct
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from plait.backend.paths import Path
from plait.graph.field import DEFINITION
from plait.graph.fields import Custom, Fetch, Property, Row
from plait.graph.rows import read
from plait.graph.schema import PlaitSchema
from plait.graph.sizes import NAME_BYTES, NUMBER_BYTES, size_of
from plait.query.arguments import PlainArgument, plain_arguments
from plait.query.joins import HeldFetch, NotCompiled
from plait.query.leaves import SCALARS, Unusual, completer
from plait.query.plan import ASKED_FIRST
from plait.query.selection import Nodes, Part, Selections, TooLarge, below_of
from plait.query.writing import CODE_CHARACTERS_MAX, Names, as_key, functions_of, unusual

_PLAIN: Mapping[str, str] = {
    **SCALARS,
    "Float": f"{SCALARS['Float']} or not isfinite({{v}})",  # JSON has no others, and objects may
}
Fetched = Callable[[int, Any], Any]
"""(which of the fields with endpoints, the values that its parameters have) -> what it shows."""
Spend = Callable[[int], object]
"""Takes so many bytes of what the answer may still have. Raises `Unusual` where there are none."""
Show = Callable[[Any, Callable[[], bool], Fetched | None, Spend], Any]
"""(what a resolver returned, whether the turn is over, what fields with endpoints show, what pays)
-> what the answer has of it. Raises, whatever it may be, where graphql-core is to show it."""


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
    has_fetches: bool = False
    """Whether fields with endpoints hang on what it returns."""


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
    fetches: tuple[HeldFetch, ...] = ()
    """The fields with endpoints that hang on what they return: `Fetched` has their places here."""


def resolvers_of(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    schema: PlaitSchema,
    variables: Mapping[str, Any],
    *,
    guarded: Collection[str] = (),
    may_fetch: bool = False,
) -> Resolvers:
    """The code of an operation that asks nothing but resolvers, and the permissions of the fields
    whose keys are `guarded`; where it `may_fetch`, what they return may have fields with endpoints.
    `variables` are those that decide what is asked for. Raises `NotCompiled`."""
    parent = schema._schema.get_root_type(operation.operation)
    if parent is None or operation.operation is OperationType.SUBSCRIPTION:
        raise NotCompiled(f"it is a {operation.operation.value}")
    selections = Selections(schema._schema, fragments, variables)
    writer = _Writer(schema, selections, may_fetch=may_fetch)
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
        fetches=tuple(writer.fetches),
    )


def items(value: Any, is_over: Callable[[], bool]) -> Iterator[Any]:
    """The items of a list. Raises `Unusual` where it is none, and when the turn is over."""
    if type(value) is not list and type(value) is not tuple:
        raise Unusual
    for item in value:
        if is_over():
            raise Unusual
        yield item


class _At(NamedTuple):
    """A place of the answer."""

    path: tuple[str, ...]
    types: tuple[Any, ...]


class _Writer:
    def __init__(self, schema: PlaitSchema, selections: Selections, *, may_fetch: bool) -> None:
        if schema.config.default_resolver is not getattr:
            raise NotCompiled("the graph reads objects in a way of its own")
        self._schema = schema
        self._selections = selections
        self._names = Names(
            as_key=as_key,
            isfinite=isfinite,
            items=items,
            read=read,
            size_of=size_of,
            unusual=unusual,
        )
        self._functions: list[str] = []
        self._may_fetch = may_fetch
        self.fetches: list[HeldFetch] = []
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
            type_ = parent.fields[name].type
            shows[key] = self._root(type_, below_of(nodes), _At((key,), (type_,)))
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
        has_fetches = any(one.path[0] == key for one in self.fetches)
        return RootField(key, definition, nodes, show, call, plain, has_fetches)

    def _root(self, type_: Any, parts: Sequence[Part], at: _At) -> str:
        shown = self._shown("v", type_, parts, at)
        name = self._names.new("show")
        self._functions.append(f"def {name}(v, is_over, fetched, spend):\n    return {shown}")
        return name

    def _shown(self, value: str, type_: Any, parts: Sequence[Part], at: _At) -> str:
        """The expression of what the answer has of a value."""
        if isinstance(type_, GraphQLNonNull):
            bare = type_.of_type
            if is_leaf_type(bare):
                return self._leaf(value, type_)
            return self._present(value, bare, parts, at)  # what is null is neither object nor list
        if is_leaf_type(type_):
            return self._leaf(value, type_)
        return f"(None if {value} is None else {self._present(value, type_, parts, at)})"

    def _present(self, value: str, bare: Any, parts: Sequence[Part], at: _At) -> str:
        if isinstance(bare, GraphQLList):
            inner = bare.of_type
            self.has_lists |= not isinstance(inner, GraphQLNonNull) or is_leaf_type(inner.of_type)
            item = self._names.new("x")
            shown = self._shown(item, bare.of_type, parts, at)
            return f"[{shown} for {item} in items({value}, is_over)]"
        return f"{self._held(bare, parts, at)}({value}, is_over, fetched, spend)"

    def _leaf(self, value: str, declared: Any) -> str:
        return f"{self._names.of('leaf', completer(declared))}({value})"

    def _held(self, named: Any, parts: Sequence[Part], at: _At) -> str:
        """The name of the function that shows an object or a row."""
        possible = self._selections.possible(named)
        if isinstance(named, GraphQLObjectType):
            return self._object(named, parts, at)
        definition = named.extensions.get(DEFINITION)
        if getattr(definition, "resolve_type", None) is not None:
            raise NotCompiled(f"{named.name} is told apart by its author's code")
        shows = {type_.name: self._object(type_, parts, at) for type_ in possible}
        name = self._names.new("held")
        lines = [f"def {name}(o, is_over, fetched, spend):"]
        for type_ in possible:
            cls = self._names.of("cls", _class_of(type_))
            own = f"{shows[type_.name]}(o, is_over, fetched, spend)"
            lines.append(f"    if type(o) is {cls}: return {own}")
        kind = self._schema.kinds.get(named.name)
        if kind is not None:
            lines += ["    if type(o) is dict:", f"        k = {self._names.of('kind', kind)}(o)"]
            for type_name, show in shows.items():
                own = f"{show}(o, is_over, fetched, spend)"
                lines.append(f"        if k == {type_name!r}: return {own}")
        self._functions.append("\n".join([*lines, "    unusual()"]))
        return name

    def _object(self, type_: GraphQLObjectType, parts: Sequence[Part], at: _At) -> str:
        table = self._schema.fields.get(type_.name, {})
        shown, of_object, of_row, then = [], list[str](), list[str](), list[str]()
        fixed, sizes = 0, list[str]()
        for key, nodes in self._selections.collected(type_, parts).items():
            name = nodes[0][0].name.value
            fixed += len(key) + NAME_BYTES
            if name == "__typename":
                fixed += len(type_.name) + 2
                shown.append(f"{key!r}: {type_.name!r}")
                continue
            entry, path = table.get(name), (*at.path, key)
            if isinstance(entry, Fetch | Property) and entry.is_guarded:
                raise NotCompiled(f"{entry.label}: {ASKED_FIRST}")
            if isinstance(entry, Fetch) and self._may_fetch:
                shown.append(f"{key!r}: {self._fetched(type_.name, entry, nodes, path, at)}")
                continue
            if not isinstance(entry, Property):
                raise NotCompiled(f"{type_.name}.{name} is not simply held")
            own, declared = self._names.new("v"), type_.fields[name].type
            of_object.append(f"{own} = h[{entry.attribute!r}]")
            if not self._schema.has_strict:
                of_row.append(f"{own} = {self._names.of('get', entry.reader.get)}(o)")
            inner = _At(path, (*at.types, declared))
            then.append(self._checked(own, declared, below_of(nodes), inner))
            if is_leaf_type(get_named_type(declared)):
                sizes.append(_size(own, declared))
            shown.append(f"{key!r}: {own}")
        name, cls = self._names.new("held"), self._names.of("cls", _class_of(type_))
        if self._schema.has_strict:  # what is missing of a row is told by who knows its endpoint
            of_row = ["unusual()"]
        lines = [
            f"def {name}(o, is_over, fetched, spend):",
            f"    if type(o) is {cls}:",
            "        h = o.__dict__",
            f"        if {TYPE_CAST_ATTRIBUTE!r} in h: unusual()",
            *(f"        {line}" for line in of_object),
            "    elif type(o) is dict:",
            *(f"        {line}" for line in of_row or ["pass"]),
            "    else:",
            "        unusual()",
            *(f"    {line}" for line in then),
            f"    spend({' + '.join([str(fixed), *sizes])})",
            f"    return {{{', '.join(shown)}}}",
        ]
        self._functions.append("\n".join(lines))
        return name

    def _fetched(
        self, type_name: str, fetch: Fetch, nodes: Nodes, path: tuple[str, ...], at: _At
    ) -> str:
        """The expression of what a field with an endpoint shows."""
        values = [
            self._value(one.path, is_list=fetch.form == "many")
            for one in fetch.bindings.values()
            if isinstance(one, Row)
        ]
        key = values[0] if len(values) == 1 else f"({', '.join(values)})"
        made = HeldFetch(path=path, types=at.types, type_name=type_name, nodes=nodes)
        self.fetches.append(made)
        return f"fetched({len(self.fetches) - 1}, {key})"

    def _value(self, path: Path, *, is_list: bool) -> str:
        value = f"read(o, {path!r})"
        return f"as_key({value})" if is_list else value

    def _checked(self, own: str, declared: Any, parts: Sequence[Part], at: _At) -> str:
        bare = declared.of_type if isinstance(declared, GraphQLNonNull) else declared
        shown = f"{own} = {self._shown(own, declared, parts, at)}"
        check = _PLAIN.get(bare.name) if is_leaf_type(bare) else None
        return f"if {check.format(v=own)}: {shown}" if check else shown


def _size(own: str, declared: Any) -> str:
    """The expression of how large a value is as JSON, roughly."""
    bare = declared.of_type if isinstance(declared, GraphQLNonNull) else declared
    if not is_leaf_type(bare):
        return f"size_of({own})"
    match bare.name:
        case "Int" | "Float" | "Boolean":
            return str(NUMBER_BYTES)
        case "String" | "ID":
            return f"len({own})" if bare is not declared else f"len({own} or '')"
    return f"size_of({own})"


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
