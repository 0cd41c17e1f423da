"""What is no mistake, but worth knowing before a graph is served: where one call a row is made."""

from collections.abc import Iterator

from strawberry.types.base import StrawberryContainer, StrawberryList, get_object_definition
from strawberry.types.lazy_type import LazyType
from strawberry.types.union import StrawberryUnion

from plait.graph.field import DeclaredField
from plait.graph.graph import Graph


def hints_of(graph: Graph) -> tuple[str, ...]:
    """A sentence for each endpoint that is used below a list and has no batch form."""
    found: dict[str, None] = {}
    seen: set[tuple[type, bool]] = set()
    waiting = [(root, False) for root in graph.roots]
    while waiting:
        cls, in_list = waiting.pop()
        definition = get_object_definition(cls)
        if definition is None or (cls, in_list) in seen:
            continue
        seen.add((cls, in_list))
        for field in definition.fields:
            if isinstance(field, DeclaredField) and in_list:
                found.update(dict.fromkeys(_hint(field, definition.name)))
            type_ = field.resolve_type(type_definition=definition)
            waiting += _below(type_, in_list)
        waiting += [
            (one.origin, in_list)
            for one in graph.object_definitions
            if definition in one.interfaces
        ]
    return tuple(found)


def _hint(field: DeclaredField, type_name: str) -> Iterator[str]:
    spec = field.declaration.spec
    if spec.batch is None and field.declaration.form in ("one", "many"):
        yield (
            f"{type_name}.{field.python_name} ({field.place.file}:{field.place.line}) is asked for "
            f"below a list, and {spec.label} of '{spec.backend.name}' has no batch form: "
            "one call a row. If the API can take many ids at once, add batch=by_ids(...)."
        )


def _below(type_: object, in_list: bool) -> list[tuple[type, bool]]:
    while isinstance(type_, StrawberryContainer | LazyType):
        in_list = in_list or isinstance(type_, StrawberryList)
        type_ = type_.resolve_type() if isinstance(type_, LazyType) else type_.of_type
    if isinstance(type_, StrawberryUnion):
        return [(one, in_list) for one in type_.types if isinstance(one, type)]
    return [(type_, in_list)] if isinstance(type_, type) else []
