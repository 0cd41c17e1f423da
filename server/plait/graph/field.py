"""Strawberry fields that are declared instead of resolved: bound to an endpoint, or to a property
of the row.

They are ordinary `StrawberryField`s to Strawberry: arguments, descriptions, deprecation and
permissions work as elsewhere. What they do is filled in when the graph is built, by `bind.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, TypeAlias

from strawberry.annotation import StrawberryAnnotation
from strawberry.extensions import FieldExtension
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField
from strawberry.utils.await_maybe import await_maybe
from strawberry.utils.str_converters import to_camel_case, to_snake_case

from plait.backend.paths import parsed_path
from plait.backend.spec import EndpointSpec
from plait.graph.bindings import (
    UNSET_DEFAULT,
    Argument,
    FieldOptions,
    Place,
    arguments_in,
    caller_place,
)
from plait.graph.pages import FIRST_DEFAULT, Pages
from plait.graph.ran import GRANTED

DEFINITION = "strawberry-definition"
"""Where Strawberry keeps its own definition of a field or type."""
Spelling: TypeAlias = Literal["camel", "snake"]
Form: TypeAlias = Literal["one", "many", "connection", "write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """Which endpoint a field shows, and in which form."""

    endpoint: Any
    spec: EndpointSpec
    form: Form
    pages: Pages | None


class DeclaredField(StrawberryField):
    """A field bound to an endpoint."""

    declaration: Declaration
    bindings: Mapping[str, Any]
    options: FieldOptions
    place: Place

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Raises `TypeError`: whoever calls a field means the endpoint that has the same name."""
        label = self.declaration.spec.label
        raise TypeError(
            f"This is a field of the class that shows '{label}', and not the endpoint itself: in a "
            "class its own names come before those of the module. Give the endpoint another name "
            "than the field, such as 'get_user' where the field is 'user'."
        )

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.declare(self.declaration, self.bindings, self.options, self.place)
        return copied

    def declare(
        self,
        declaration: Declaration,
        bindings: Mapping[str, Any],
        options: FieldOptions,
        place: Place,
    ) -> None:
        """Take on what the author wrote."""
        self.declaration = declaration
        self.bindings = bindings
        self.options = options
        self.place = place
        self.init = self.repr = self.compare = (
            False  # its value comes from a backend, not from the constructor
        )
        self.arguments = _arguments(declaration, bindings, place)

    @property
    def is_basic_field(self) -> bool:
        return False

    @cached_property
    def is_async(self) -> bool:
        """Whether it must be awaited: a permission, or another extension, can do nothing else."""
        return any(not extension.supports_sync for extension in self.extensions)

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: Mapping[str, Any]) -> Any:
        if self.extensions and source is None and _is_asked_elsewhere(info):
            return await_maybe(GRANTED) if self.is_async else GRANTED
        # Types may be in several graphs: what the field does is asked of the one that executes.
        found = info.schema.resolver_of(self)(source, info, kwargs)
        return await_maybe(found) if self.is_async else found


def _is_asked_elsewhere(info: Any) -> bool:
    """Whether a field of the root is run for its permissions alone."""
    granting = getattr(info.context, "granting", None) or ()
    return info.path.key in granting


class PropertyField(StrawberryField):
    """A field that reads a property of the row by a path of its own."""

    path: tuple[str, ...]
    place: Place

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.path, copied.place = self.path, self.place
        return copied


GRAPHQL_NAME = "plait_graphql_name"
"""Where a field keeps the name that its graph derived for it."""


def property_paths(
    field: StrawberryField, names: Spelling | None = None
) -> tuple[tuple[str, ...], ...]:
    """Where a field's value may stand in a row, in the order in which it is looked for: under the
    field's GraphQL name, given or derived, and under its Python name where the other is derived;
    where a backend spells its `names` in one way, there alone."""
    if isinstance(field, PropertyField):
        return (field.path,)
    if field.graphql_name is not None:
        return ((field.graphql_name,),)
    derived = getattr(field, GRAPHQL_NAME, None)
    return paths_of_name(field.python_name, derived, names)


def paths_of_name(
    name: str, derived: str | None = None, names: Spelling | None = None
) -> tuple[tuple[str, ...], ...]:
    """Where the value of an attribute may stand."""
    if names is not None:
        return ((to_snake_case(name) if names == "snake" else to_camel_case(name),),)
    derived = derived or to_camel_case(name)
    return ((derived,),) if derived == name else ((derived,), (name,))


def declared_field(
    declaration: Declaration, bindings: Mapping[str, Any], options: FieldOptions, place: Place
) -> Any:
    """The field of an endpoint with its bindings, as its class sees it."""
    usable = options.usable
    made = DeclaredField(
        graphql_name=usable.name,
        description=usable.description,
        deprecation_reason=usable.deprecation_reason,
        permission_classes=list(usable.permission_classes),
        extensions=list(usable.extensions),
        directives=tuple(usable.directives),
    )
    made.declare(declaration, bindings, options, place)
    return made


def prop(
    path: str,
    *,
    name: str | None = None,
    description: str | None = None,
    deprecation_reason: str | None = None,
    permission_classes: Sequence[type] = (),
    extensions: Sequence[FieldExtension] = (),
    directives: Sequence[object] = (),
) -> Any:
    """A field that reads another property than its name says; `prop("price.amount")` reads a
    nested one.

    On an input type it names the property of the JSON body instead.
    """
    made = PropertyField(
        graphql_name=name,
        description=description,
        deprecation_reason=deprecation_reason,
        permission_classes=list(permission_classes),
        extensions=list(extensions),
        directives=tuple(directives),
    )
    made.path = parsed_path(path)
    made.place = caller_place()
    return made


def _arguments(
    declaration: Declaration, bindings: Mapping[str, Any], place: Place
) -> list[StrawberryArgument]:
    made: dict[str, StrawberryArgument] = {}
    if declaration.form == "connection":
        made["first"] = _argument("first", Argument(annotation=int, default=FIRST_DEFAULT), place)
        made["after"] = _argument("after", Argument(annotation=str | None), place)
    for name, binding in arguments_in(bindings):
        made.setdefault(name, _argument(name, binding, place))
    return list(made.values())


def _argument(name: str, argument: Argument, place: Place) -> StrawberryArgument:
    has_default = argument.default is not UNSET_DEFAULT
    annotation = StrawberryAnnotation(argument.annotation, namespace=dict(place.namespace))
    options: dict[str, Any] = {"default": argument.default} if has_default else {}
    return StrawberryArgument(
        python_name=name,
        graphql_name=None,
        type_annotation=annotation,
        description=argument.description,
        deprecation_reason=argument.deprecation_reason,
        **options,
    )
