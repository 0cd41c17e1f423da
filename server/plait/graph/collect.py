"""What a graph is made of: all types, unions, backends and endpoints that can be reached from its
roots."""

import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from strawberry.types.base import (
    StrawberryContainer,
    StrawberryObjectDefinition,
    get_object_definition,
)
from strawberry.types.field import UNRESOLVED, StrawberryField
from strawberry.types.lazy_type import LazyType
from strawberry.types.union import StrawberryUnion

from plait.errors import Mistake
from plait.graph.bindings import place_of
from plait.graph.check import Endpoint, Parts, mistake
from plait.graph.declare import Backend, ReadEndpoint, WriteEndpoint
from plait.graph.field import DeclaredField


def collected(roots: Iterable[type], backends: Iterable[Backend]) -> Parts:
    """Every type, union, backend and endpoint that can be reached from `roots`."""
    types: dict[type, None] = {}
    unions: dict[int, StrawberryUnion] = {}
    unresolved: list[Mistake] = []
    waiting: list[Any] = list(roots)
    while waiting:
        type_ = _unwrapped(waiting.pop(), unions, waiting)
        definition = get_object_definition(type_)
        if definition is None or type_ in types:
            continue
        types[type_] = None
        waiting += [interface.origin for interface in definition.interfaces]
        for field in definition.fields:
            _visit(field, definition, waiting, unresolved)
    endpoints = dict.fromkeys(_endpoints(types))
    found = dict.fromkeys(
        [*backends, *_module_backends(types), *(one.backend for one in endpoints)]
    )
    return Parts(
        types=tuple(types),
        unions=tuple(unions.values()),
        backends=tuple(found),
        endpoints=tuple(endpoints),
        unresolved=tuple(unresolved),
    )


def _unwrapped(type_: Any, unions: dict[int, StrawberryUnion], waiting: list[Any]) -> Any:
    while isinstance(type_, StrawberryContainer | LazyType):
        type_ = type_.resolve_type() if isinstance(type_, LazyType) else type_.of_type
    if isinstance(type_, StrawberryUnion):
        unions[id(type_)] = type_
        waiting.extend(type_.types)
    return type_


def _visit(
    field: StrawberryField,
    definition: StrawberryObjectDefinition,
    waiting: list[Any],
    unresolved: list[Mistake],
) -> None:
    try:
        type_: Any = field.resolve_type(type_definition=definition)
        problem = "Its annotation names no type that can be found here."
    except Exception as error:
        type_, problem = UNRESOLVED, f"Its annotation names no type: {error}"
    if type_ is not UNRESOLVED:
        waiting.append(type_)
        return
    place = field.place if isinstance(field, DeclaredField) else place_of(definition.origin)
    where = f"{definition.name}.{field.python_name}"
    remedy = "Import the type, or define it here; strawberry.lazy breaks import cycles."
    unresolved.append(mistake(where, place, problem, remedy))


def _endpoints(types: Iterable[type]) -> Iterator[Endpoint]:
    for cls in types:
        for field in get_object_definition(cls, strict=True).fields:
            if isinstance(field, DeclaredField):
                yield field.declaration.endpoint
    for value in _module_values(types):
        if isinstance(value, ReadEndpoint | WriteEndpoint):
            yield value


def _module_backends(types: Iterable[type]) -> Iterator[Backend]:
    return (value for value in _module_values(types) if isinstance(value, Backend))


def _module_values(types: Iterable[type]) -> Iterator[object]:
    """What stands in the modules that define the types, and in modules of the same package that
    these import.

    So an endpoint that only a resolver uses is part of the graph too.
    """
    for name in dict.fromkeys(cls.__module__ for cls in types):
        for value in list(vars(sys.modules[name]).values()):
            if isinstance(value, ModuleType) and _top(value.__name__) == _top(name):
                yield from list(vars(value).values())
            else:
                yield value


def _top(module_name: str) -> str:
    return module_name.partition(".")[0]
