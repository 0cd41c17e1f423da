"""Rows as structs that are made for one selection: nothing is read of a reply but what is selected,
it is checked on the way, and most often it is what the answer shows as it is.

A struct has the properties that are selected, under the names that they have in the answer, and
behind them those that only tell rows apart: these are taken away before the answer is written.
Where a name in the answer is not the property's, the answer's object is made beside the struct.

msgspec is strict: a value that is not of its type is refused, and the whole reply with it. Then
rows are read as plain JSON, where a value that is not as usual costs no more than itself.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from graphql import (
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from msgspec import NODEFAULT, UNSET, Raw, UnsetType

from plait.backend.numbers import number
from plait.graph.fields import Fetch, FieldTable, Property, Row
from plait.query.plan import Step
from plait.query.selection import Part, Selections, below_of

Decode: TypeAlias = Callable[[bytes], Any]
Own: TypeAlias = Callable[[str, Any], str]
"""(prefix, value) -> the name by which code finds the value."""

_PLAIN: Mapping[str, Any] = {
    "String": str,
    "Int": Annotated[int, msgspec.Meta(ge=GRAPHQL_MIN_INT, le=GRAPHQL_MAX_INT)],
    "Boolean": bool,
}
"""What of JSON is shown as it is, by scalar."""
_KEYS = (str, _PLAIN["Int"], str | int)
"""Types that a key may be read from."""


class NotTyped(Exception):
    """A selection whose rows cannot be structs."""


@dataclass(slots=True, kw_only=True)
class Shape:
    """The struct of one selection, while it is worked out. In code, `r` is an object of it."""

    fields: list[tuple[str, Any, Any, str]] = field(default_factory=list)
    """Attribute, type, default, name in JSON."""
    by_name: dict[str, str] = field(default_factory=dict)
    """Name in JSON -> attribute."""
    shown: dict[str, str] = field(default_factory=dict)
    """What the answer's object has: expressions by their keys."""
    first: list[str] = field(default_factory=list)
    """What is done for each row while all of it is as it came."""
    then: list[str] = field(default_factory=list)
    """What is done afterwards."""
    hidden: list[str] = field(default_factory=list)
    """Attributes that are no part of the answer."""
    is_itself: bool = True
    """Whether the struct is what the answer shows."""
    is_strict: bool = False
    """Whether a row must have every property: one that lacks some is refused."""
    is_flat: bool = True
    """Whether it shows no objects inside."""

    def add(self, name: str, type_: Any, default: Any = NODEFAULT) -> str:
        """A further property; its attribute. Raises `NotTyped` where it is one already."""
        if name in self.by_name:
            raise NotTyped
        attribute = self.by_name[name] = f"f{len(self.fields)}"
        self.fields.append((attribute, type_, default, name))
        return attribute

    @property
    def absent(self) -> Any:
        """What stands for a property that may be null and is not there."""
        return NODEFAULT if self.is_strict else None

    def key(self, name: str) -> str:
        """The attribute of a property that tells rows apart. Raises `NotTyped`."""
        attribute = self.by_name.get(name)
        if attribute is None:
            attribute = self.add(name, str | int | None, self.absent)
            self.hidden.append(attribute)
            return attribute
        type_ = next(type_ for one, type_, _, _ in self.fields if one == attribute)
        if type_ not in _KEYS and type_ not in [one | None for one in _KEYS]:
            raise NotTyped
        return attribute

    def struct(self) -> type[msgspec.Struct]:
        """The struct."""
        return msgspec.defstruct(
            "Row",
            [(attribute, type_, default) for attribute, type_, default, _ in self.fields],
            rename={attribute: name for attribute, _, _, name in self.fields},
            kw_only=True,
            gc=False,
        )

    def code(self, depth: int) -> list[str]:
        """The lines that are done for each row."""
        hide = [f"r.{one} = UNSET" for one in self.hidden] if self.is_itself else []
        return ["    " * depth + line for line in (*self.first, *self.then, *hide)]

    @property
    def value(self) -> str:
        """The expression of what the answer shows."""
        if self.is_itself:
            return "r"
        return f"{{{', '.join(f'{key!r}: {value}' for key, value in self.shown.items())}}}"


class Shapes:
    """Works out the structs of a selection, and writes the functions that go with them."""

    def __init__(
        self,
        selections: Selections,
        fields: FieldTable,
        *,
        own: Own,
        lookup: Callable[[tuple[str, ...], str], tuple[Step, int]],
        value_of: Callable[[Any], Callable[[Any], Any]],
        functions: list[str],
    ) -> None:
        self._selections = selections
        self._fields = fields
        self._own = own
        self._lookup = lookup
        self._value_of = value_of
        self._functions = functions

    def shape(
        self,
        type_: GraphQLObjectType,
        parts: Sequence[Part],
        path: tuple[str, ...],
        *,
        top: bool,
        is_strict: bool,
    ) -> Shape:
        """The shape of a row, or with `top=False` of an object inside one. Raises `NotTyped`."""
        table = self._fields.get(type_.name, {})
        collected = self._selections.collected(type_, parts)
        entries = [
            (key, nodes, table.get(nodes[0][0].name.value)) for key, nodes in collected.items()
        ]
        made = Shape(is_itself=_is_itself(entries), is_strict=is_strict)
        looked_up = []
        for key, nodes, entry in entries:
            if nodes[0][0].name.value == "__typename":
                made.shown[key] = repr(type_.name)
                if made.is_itself:
                    made.then.append(f"r.{made.add(key, Raw, Raw())} = {type_.name!r}")
            elif isinstance(entry, Fetch) and top:
                made.shown[key] = ""  # in its place; what tells it comes behind all that is shown
                looked_up.append((key, made.add(key, Raw, Raw()) if made.is_itself else ""))
            elif isinstance(entry, Property):
                declared = type_.fields[nodes[0][0].name.value].type
                if entry.below is None:
                    attribute = self._leaf(made, entry, declared)
                else:
                    own_path = (*path, key)
                    inner = self._inside(made, entry, declared, below_of(nodes), own_path)
                    attribute = self._object(made, entry, declared, inner)
                made.shown[key] = f"r.{attribute}"
            else:
                raise NotTyped
        for key, own in looked_up:
            step, index = self._lookup((*path, key), type_.name)
            made.shown[key] = found = f"shown_{index}[{key_of(made, step)}]"
            if own:
                made.first.append(f"r.{own} = {found}")
        return made

    def _leaf(self, shape: Shape, entry: Property, declared: Any) -> str:
        name = _name_of(entry)
        if name in shape.by_name and not shape.is_itself:
            raise NotTyped  # shown twice, perhaps differently
        bare, default = _bare(declared)
        nullable = default is None
        type_ = _exact_type(bare)
        is_id = is_leaf_type(bare) and bare.name == "ID"
        if type_ is None:
            type_ = str | int if is_id else Any
        if nullable and type_ is not Any:
            type_ = type_ | None
        second = entry.reader.paths[1][0] if nullable and len(entry.reader.paths) > 1 else ""
        if second and shape.is_strict:
            type_, default = type_ | UnsetType, UNSET  # one of the two must be there
        elif nullable:
            default = shape.absent
        attribute = shape.add(name, type_, default)
        own = f"r.{attribute}"
        if second:
            hidden = shape.add(second, type_, default)
            other = f"r.{hidden}"
            shape.hidden.append(hidden)
            if shape.is_strict:
                shape.then.append(f"if {own} is UNSET and {other} is UNSET: unusual()")
                shape.then.append(f"if {own} is UNSET: {own} = None")
                other = f"None if {other} is UNSET else {other}"
            shape.then.append(f"if {own} is None: {own} = {other}")
        if is_id:
            shape.then.append(f"if type({own}) is int: {own} = str({own})")
        elif type_ is Any:
            value = self._own("value", self._value_of(declared))
            is_float = is_leaf_type(bare) and bare.name == "Float"
            check = f"if type({own}) is not float: " if is_float else ""
            shape.then.append(f"{check}{own} = {value}({own})")
        return attribute

    def _inside(
        self,
        shape: Shape,
        entry: Property,
        declared: Any,
        parts: Sequence[Part],
        path: tuple[str, ...],
    ) -> Shape:
        named = get_named_type(declared)
        if not isinstance(named, GraphQLObjectType) or len(entry.reader.paths) > 1:
            raise NotTyped
        return self.shape(named, parts, path, top=False, is_strict=shape.is_strict)

    def _object(self, shape: Shape, entry: Property, declared: Any, inner: Shape) -> str:
        shape.is_flat = False
        bare, default = _bare(declared)
        type_: Any = inner.struct()
        is_list = isinstance(bare, GraphQLList)
        if is_list:
            item, item_default = _bare(bare.of_type)
            if isinstance(item, GraphQLList):
                raise NotTyped
            type_ = _list_of(type_, nullable=item_default is None)
        if default is None:
            type_, default = type_ | None, shape.absent
        attribute = shape.add(_name_of(entry), type_, default)
        if inner.is_itself and not inner.code(0):
            return attribute
        name = f"inside_{len(self._functions)}"
        self._functions.append(
            "\n".join([f"def {name}(r):", *inner.code(1), f"    return {inner.value}"])
        )
        own = f"r.{attribute}"
        made = f"[x if x is None else {name}(x) for x in {own}]" if is_list else f"{name}({own})"
        shape.then.append(f"if {own} is not None: {own} = {made}")
        return attribute


def key_of(shape: Shape, step: Step) -> str:
    """The expression of what a step's parameters are in a row. Raises `NotTyped`."""
    found = []
    for binding in step.fetch.bindings.values():
        if isinstance(binding, Row):
            if len(binding.path) != 1:
                raise NotTyped
            found.append(f"r.{shape.key(binding.path[0])}")
    return found[0] if len(found) == 1 else f"({', '.join(found)})"


def decoder(row: Any, unwrap: Sequence[str]) -> Decode:
    """Reads a reply whose rows lie below `unwrap`. Raises `msgspec.DecodeError`, and others, for
    what is not as declared."""
    type_ = row
    for name in reversed(unwrap):
        type_ = msgspec.defstruct("Around", [("f", type_)], rename={"f": name}, gc=False)
    decode, depth = msgspec.json.Decoder(type_, float_hook=number).decode, len(unwrap)

    def read(body: bytes) -> Any:
        _check_sound(body)
        found = decode(body)
        for _ in range(depth):
            found = found.f
        return found

    return read


_DIGITS_MAX = 4_300
"""Digits of a whole number that is read at all."""
_LONG_NUMBER = re.compile(rb"\d{%d}" % _DIGITS_MAX)
_STRIDE: Final = 4_096
"""Every run of more digits than that goes over a multiple of it."""
_NEAR: Final = 64
_ZERO: Final = ord("0")
_NINE: Final = ord("9")


def _check_sound(body: bytes) -> None:
    """Refuse what a reader of all of it refuses. Raises `ValueError`: of what is not selected
    msgspec looks neither at the encoding of text nor at the length of numbers."""
    if not body.isascii():
        body.decode()
    for place in range(_STRIDE - 1, len(body), _STRIDE):
        if not _ZERO <= body[place] <= _NINE:
            continue
        # A long run goes on for a while to one side of it at least.
        if body[place : place + _NEAR].isdigit() or body[place - _NEAR : place].isdigit():
            if _LONG_NUMBER.search(body):
                raise ValueError("a number with too many digits")
            return


def _is_itself(entries: Sequence[tuple[str, Any, Any]]) -> bool:
    """Whether each property is shown once and under its own name, and none has the name of
    something else."""
    read = [_name_of(entry) for _, _, entry in entries if isinstance(entry, Property)]
    for key, _, entry in entries:
        if isinstance(entry, Property):
            if _name_of(entry) != key:
                return False
        elif key in read:
            return False
    return len(set(read)) == len(read)


def _name_of(entry: Property) -> str:
    """The one property that a field reads. Raises `NotTyped`."""
    reader = entry.reader
    if entry.is_guarded or reader.has_default or any(len(path) != 1 for path in reader.paths):
        raise NotTyped
    return reader.paths[0][0]


def _bare(declared: Any) -> tuple[Any, Any]:
    """The type without its mark of what may not be null, and the default of what may."""
    if isinstance(declared, GraphQLNonNull):
        return declared.of_type, NODEFAULT
    return declared, None


def _exact_type(bare: Any) -> Any:
    """What msgspec checks exactly as it must be, and what is shown as it is; else `None`."""
    if is_leaf_type(bare):
        return _PLAIN.get(bare.name)
    if isinstance(bare, GraphQLList):
        item, default = _bare(bare.of_type)
        type_ = _exact_type(item)
        if type_ is not None:
            return _list_of(type_, nullable=default is None)
    return None


def _list_of(item: Any, *, nullable: bool) -> Any:
    return list[item | None] if nullable else list[item]
