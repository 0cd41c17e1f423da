"""The table of fields: what each field of a built graph does, as values.

`Graph.fields[type][field]`, by their GraphQL names, is a `Fetch` (it asks an endpoint), a
`Property` (it reads the row) or `Custom` (its author's code decides). It is filled once, when the
graph is built; what resolves, plans and explains reads it here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from strawberry import UNSET

from plait.backend.paths import Path
from plait.backend.spec import EndpointSpec
from plait.graph.bindings import FieldOptions, Place
from plait.graph.field import Form, Spelling
from plait.graph.guards import Guard
from plait.graph.inputs import serialized, to_json
from plait.graph.pages import Pages
from plait.graph.rows import Reader, read

LEFT_OUT: Any = UNSET
"""The value of an argument that the client did not give."""


JSON_KINDS: Mapping[str, type] = {
    "String": str,
    "ID": str,
    "Int": int,
    "Boolean": bool,
    "Float": float,
}
"""What is shown as it is, by scalar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A parameter is what stands at a path of the row: `this.userId`."""

    path: Path

    def value(self, source: Any, arguments: Mapping[str, Any]) -> Any:
        """What it is for one row, or one object that a resolver made."""
        return read(source, self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A parameter is an argument of the field. `name` is the argument's Python name."""

    name: str
    empty_is_all: bool = False
    null_is_nothing: bool = False
    """Whether null stands for nothing given, as its default says."""
    is_list: bool = False
    serialize: Callable[[Any], Any] | None = None
    """What makes JSON of a scalar of the graph's own."""
    names: Spelling | None = None
    """How the backend spells properties."""

    def value(self, source: Any, arguments: Mapping[str, Any]) -> Any:
        """What the client gave, as JSON. Raises `TypeError` for what has none."""
        given = arguments.get(self.name, LEFT_OUT)
        if given is LEFT_OUT or (given is None and self.null_is_nothing):
            return LEFT_OUT
        if self.serialize is None and (type(given) is int or type(given) is str):
            return given
        return to_json(serialized(given, self.serialize), self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A parameter is the same in every call. `written` is the value as its author wrote it."""

    written: Any
    names: Spelling | None = None

    def value(self, source: Any, arguments: Mapping[str, Any]) -> Any:
        """The value as JSON. Raises `TypeError` for what has none."""
        return to_json(self.written, self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """A part of a body: what the client left out is not in it, and neither is an object inside it
    of which nothing is left."""

    parts: "Mapping[str, Binding]"

    def value(self, source: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The object as JSON."""
        made: dict[str, Any] = {}
        for name, binding in self.parts.items():
            value = binding.value(source, arguments)
            is_emptied = value == {} and isinstance(binding, Object) and bool(binding.parts)
            if value is not LEFT_OUT and not is_emptied:
                made[name] = value
        return made


Binding: TypeAlias = Row | Given | Constant | Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A field that shows an endpoint's row or rows."""

    label: str
    """`User.orders`."""
    endpoint: EndpointSpec
    form: Form
    bindings: Mapping[str, Binding]
    options: FieldOptions = field(default_factory=FieldOptions)
    list_parameter: str | None = None
    """Of `.many`, the parameter that holds the list, where the bindings alone tell it."""
    pages: Pages | None = None
    nullable: bool
    items_nullable: bool
    is_list: bool
    type_name: str
    """The type of its rows."""
    is_guarded: bool = False
    """Whether a permission, or another extension, is asked first."""
    asks_permissions: bool = False
    """Whether permissions are asked first, and nothing else is."""
    guard: Guard | None = None
    """These permissions, where they answer at once."""
    self_of: Callable[[dict[str, Any]], Any] | None = None
    """What they get as `source`, made of a row."""
    place: Place

    def values(self, source: Any, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """What each parameter is. `None` where one of them narrows to nothing: null, or an empty
        list, asks for no row, and must not become a call without that parameter, which would ask
        for all. Only an argument that the client left out is left out of the call."""
        return self._values(self.bindings, source, arguments)

    def fixed_values(self, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """As `values`, of the parameters that are the same for every row."""
        fixed = {name: one for name, one in self.bindings.items() if not isinstance(one, Row)}
        return self._values(fixed, None, arguments)

    def _values(
        self, bindings: "Mapping[str, Binding]", source: Any, arguments: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        values: dict[str, Any] = {}
        spec, is_many = self.endpoint, self.form == "many"
        for name, binding in bindings.items():
            value = binding.value(source, arguments)
            if value is LEFT_OUT:
                continue
            if spec.reads and not is_many:
                if value is None:
                    return None
                if type(value) is list and name in spec.query:
                    value = [item for item in value if item is not None]
                    if not value and not (isinstance(binding, Given) and binding.empty_is_all):
                        return None
            values[name] = value
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A field that reads the row."""

    label: str
    """`User.name`."""
    owner: type
    """The class that has the field."""
    reader: Reader
    below: str | None = None
    """The type of the objects that it holds, if it holds any."""
    is_list: bool = False
    is_guarded: bool = False
    """Whether a permission, or another extension, is asked first."""
    guard: Guard | None = None
    """Its permissions, where nothing else is asked and they answer at once."""
    self_of: Callable[[dict[str, Any]], Any] | None = None
    """What these get as `source`, made of a row."""
    place: Place | None = None
    """Where it is declared, where that is known."""
    attribute: str = ""
    """What objects that resolvers make have it under."""
    json_kind: type | None = None
    """The kind of value that is shown as it is, of those that JSON has; `None` where there is none,
    or where it is not simply read from an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """A field whose value its author's code makes."""

    label: str
    may_load: bool
    """Whether it can wait for something, and so may ask backends itself."""
    why: str
    guard: Guard | None = None
    """Its permissions, where it has any that answer at once."""
    function: Callable[[Any], Any] | None = None
    """Its code, where that needs nothing but a `self`."""
    self_of: Callable[[dict[str, Any]], Any] | None = None
    """What that is, made of a row."""
    call: Callable[[Any, Any, dict[str, Any]], Any] | None = None
    """Calls it with (source, graphql-core's info, arguments by their Python names); `None` where
    others have a say: permissions and extensions."""


Field: TypeAlias = Fetch | Property | Custom
FieldTable: TypeAlias = Mapping[str, Mapping[str, Field]]
"""By the GraphQL names of type and field."""


def rows_in(bindings: Mapping[str, Binding]) -> Iterator[Path]:
    """Every path of the row that bindings read; those inside a body too."""
    for binding in bindings.values():
        if isinstance(binding, Row):
            yield binding.path
        elif isinstance(binding, Object):
            yield from rows_in(binding.parts)
