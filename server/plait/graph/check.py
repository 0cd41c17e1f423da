"""Every mistake in a graph, found before it serves anything and told all at once.

Each check is a generator of `Mistake`s, over one backend, endpoint, type or field. A mistake says
what is wrong, where it stands in the author's code, and what to write instead. What is looked at is
what the author wrote: the table of fields is made of a schema, and of a graph with mistakes there
may be none.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from strawberry.types.base import (
    StrawberryContainer,
    StrawberryList,
    StrawberryObjectDefinition,
    StrawberryOptional,
    get_object_definition,
)
from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType
from strawberry.types.union import StrawberryUnion

from plait.backend.paths import path_text
from plait.errors import Mistake
from plait.graph import options
from plait.graph.bindings import OPTION_NAMES, Argument, Place, This, all_bindings, place_of
from plait.graph.declare import Backend, ReadEndpoint, WriteEndpoint
from plait.graph.field import DeclaredField, PropertyField
from plait.graph.options import problems_of
from plait.graph.pages import Connection
from plait.graph.rows import discriminator_of
from plait.writes.write import Write

Endpoint = ReadEndpoint | WriteEndpoint[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a graph is made of, as found from its root types."""

    types: tuple[type, ...]
    unions: tuple[StrawberryUnion, ...]
    backends: tuple[Backend, ...]
    endpoints: tuple[Endpoint, ...]
    unresolved: tuple[Mistake, ...]
    """Annotations that name no type."""


def mistakes_of(parts: Parts, roots: Mapping[str, type]) -> tuple[Mistake, ...]:
    """Everything that is wrong, in the order of the author's files."""
    found = [
        *parts.unresolved,
        *_backend_mistakes(parts.backends),
        *(mistake for endpoint in parts.endpoints for mistake in _endpoint_mistakes(endpoint)),
        *(mistake for cls in parts.types for mistake in _type_mistakes(cls, roots)),
        *_discriminator_mistakes(parts),
    ]
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda mistake: (mistake.file, mistake.line)))


def mistake(where: str, place: Place, problem: str, remedy: str) -> Mistake:
    """A mistake at `place`."""
    return Mistake(where=where, file=place.file, line=place.line, problem=problem, remedy=remedy)


# --- backends and endpoints


def _backend_mistakes(backends: Iterable[Backend]) -> Iterator[Mistake]:
    backends = tuple(backends)
    counts = Counter(backend.spec.name for backend in backends)
    for backend in backends:
        name, where = backend.spec.name, f"backend '{backend.spec.name}'"
        for problem in problems_of(backend.given, options.BACKEND):
            yield mistake(where, backend.place, *problem)
        for header in forwarded_and_fixed(backend.spec.forward, backend.spec.headers):
            yield mistake(
                where,
                backend.place,
                f"'{header}' is forwarded from the client and fixed too: who sends none would be "
                "given the gateway's.",
                "Keep one of the two, or make two backends.",
            )
        if counts[name] > 1:
            yield mistake(
                where,
                backend.place,
                f"{counts[name]} backends are named '{name}'.",
                "Give each backend a name of its own, or share one Backend between files.",
            )
        if not isinstance(name, str) or not name.isidentifier():
            yield mistake(
                where,
                backend.place,
                f"'{name}' cannot be part of a setting's name.",
                "Use letters, digits and underscores, such as 'user_accounts'.",
            )
        if backend.spec.url is not None and (wrong := url_problem(backend.spec.url)):
            yield mistake(where, backend.place, wrong, "Write it as 'https://api.example.com/v1'.")


def forwarded_and_fixed(forward: Iterable[str], fixed: Iterable[str]) -> list[str]:
    """Headers that a caller's and the gateway's own value would both be sent for."""
    return sorted(set(forward) & {name.lower() for name in fixed})


def url_problem(url: str) -> str | None:
    """Why `url` is no base URL, or `None`. The URL itself is not repeated: it may hold a
    password."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises for a port that is no number
    except ValueError:
        return "The base URL cannot be read."
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "The base URL does not start with http:// or https:// and a host."
    if parts.query or parts.fragment:
        return "A base URL has no query and no fragment."
    if parts.username or parts.password:
        return "A base URL holds no user or password."
    return None


def _endpoint_mistakes(endpoint: Endpoint) -> Iterator[Mistake]:
    spec = endpoint.spec
    where = f"endpoint {spec.label} of backend '{spec.backend.name}'"
    known = options.READ if isinstance(endpoint, ReadEndpoint) else options.WRITE
    given = endpoint.given.get("purges", ())
    for purged in given if isinstance(given, list | tuple) else ():
        if not isinstance(purged, ReadEndpoint):
            told = f"purges holds {type(purged).__name__}, which is no endpoint that reads."
            yield mistake(where, endpoint.place, told, "Name endpoints: purges=[get_user].")
    for wrong in problems_of(endpoint.given, known):
        yield mistake(where, endpoint.place, *wrong)
    if isinstance(endpoint, ReadEndpoint) and endpoint.form:
        for wrong in problems_of(endpoint.form.given, options.BATCH):
            yield mistake(f"the batch form of {where}", endpoint.place, *wrong)
    for name in spec.required:
        if name not in spec.parameters:
            yield mistake(
                where,
                endpoint.place,
                f"required names '{name}', which is no parameter.",
                _nearest(name, spec.parameters),
            )
    yield from _keyed_by_mistakes(endpoint, where)
    templates = [spec.path, *([spec.batch.path] if spec.batch else [])]
    for template in templates:
        if problem := template.problem:
            yield mistake(
                where,
                endpoint.place,
                f"'{template.text}': {problem}.",
                "Write a path such as '/users/{id}'.",
            )
    if repeated := [name for name, count in Counter(spec.parameters).items() if count > 1]:
        yield mistake(
            where,
            endpoint.place,
            f"The parameter '{repeated[0]}' is declared twice.",
            "Rename one of the two.",
        )
    if isinstance(endpoint, ReadEndpoint) and spec.batch:
        yield from _batch_mistakes(endpoint, where)


def _keyed_by_mistakes(endpoint: Endpoint, where: str) -> Iterator[Mistake]:
    spec, given = endpoint.spec, endpoint.given.get("keyed_by")
    if isinstance(given, str) and given and not spec.keyed_by:
        several = ", ".join(spec.parameters) or "none"
        yield mistake(
            where,
            endpoint.place,
            f"keyed_by={given!r} does not say of which parameter; there are: {several}.",
            "Name it: keyed_by={'<parameter>': '<property of a row>'}.",
        )
    for name in spec.keyed_by:
        if name not in spec.parameters:
            yield mistake(
                where,
                endpoint.place,
                f"keyed_by names '{name}', which is no parameter.",
                _nearest(name, spec.parameters),
            )


def _batch_mistakes(endpoint: ReadEndpoint, where: str) -> Iterator[Mistake]:
    batch = endpoint.spec.batch
    assert batch is not None
    parameters = endpoint.spec.parameters
    several = endpoint.key_candidates
    if not batch.keys and len(several) > 1:
        yield mistake(
            where,
            endpoint.place,
            f"Which of {', '.join(several)} is the batch's key is not clear.",
            f"Say so: key={{'{several[0]}': '<property of a row>'}}.",
        )
    elif not batch.keys:
        yield mistake(
            where,
            endpoint.place,
            "A batch form needs a parameter that holds the key, and this endpoint has none.",
            "Put one in the path, '/users/{id}', or in query=('user_id',).",
        )
    for name in batch.keys:
        if name not in parameters:
            yield mistake(
                where,
                endpoint.place,
                f"The batch's key '{name}' is no parameter.",
                _nearest(name, parameters),
            )
    for name in batch.path.parameters:
        if name in batch.keys or name not in parameters:
            yield mistake(
                where,
                endpoint.place,
                f"'{batch.path.text}' holds '{name}', which differs from key to key "
                "or is no parameter.",
                "A batch's path can hold only parameters that all keys of a batch share.",
            )


# --- types and fields


def _type_mistakes(cls: type, roots: Mapping[str, type]) -> Iterator[Mistake]:
    definition = get_object_definition(cls, strict=True)
    root = next((name for name, root in roots.items() if root is cls), None)
    for field in definition.fields:
        where = f"{definition.name}.{field.python_name}"
        if isinstance(field, DeclaredField):
            yield from _field_mistakes(field, where, root, definition)
        elif problem := _forgotten(field):
            yield mistake(where, place_of(cls), *problem)
        elif isinstance(field, PropertyField) and not all(field.path):
            yield mistake(
                where,
                field.place,
                f"'{path_text(field.path)}' is no property's path.",
                "Write prop('a.b').",
            )


def _forgotten(field: StrawberryField) -> tuple[str, str] | None:
    """An endpoint, or a write, that stands where a field should."""
    if isinstance(field.default, ReadEndpoint | WriteEndpoint):
        label = field.default.spec.label
        called = "(...)" if isinstance(field.default, ReadEndpoint) else ".field(...)"
        return (
            f"It is the endpoint {label} itself, not a field of it.",
            f"Call it: {field.python_name} = endpoint{called}, with its parameters or without.",
        )
    if isinstance(field.default, Write):
        return (
            f"It is a write of {field.default.endpoint.label}, not a field.",
            "Only fields of Mutation may write: use endpoint.field(...) there, or an endpoint that "
            "reads.",
        )
    return None


def _field_mistakes(
    field: DeclaredField, where: str, root: str | None, definition: StrawberryObjectDefinition
) -> Iterator[Mistake]:
    yield from _binding_mistakes(field, where)
    yield from _form_mistakes(field, where, root)
    type_ = _field_type(field, definition)
    if type_ is not None:
        yield from _annotation_mistakes(field, where, type_)
    if root is not None:
        for name, binding in all_bindings(field.bindings):
            if isinstance(binding, This):
                yield mistake(
                    where,
                    field.place,
                    f"'{name}' is bound to {binding}, but {root} has no row to read it from.",
                    f"Bind it to an argument: {name}=arg(strawberry.ID).",
                )


def _is_type(binding: Any) -> bool:
    return not isinstance(binding, This) and (
        isinstance(binding, type)
        or hasattr(binding, "__supertype__")
        or hasattr(binding, "__origin__")
    )


def _binding_mistakes(field: DeclaredField, where: str) -> Iterator[Mistake]:
    spec = field.declaration.spec
    hidden = set(field.declaration.pages.parameters) if field.declaration.pages else set()
    known = tuple(name for name in spec.parameters if name not in hidden)
    for name in field.options.bound:
        yield mistake(
            where,
            field.place,
            f"{name}= is an option of the field, and is bound like a parameter.",
            f"Bind a parameter of that name in a dict before the others: ({{'{name}': ...}}, ...).",
        )
    for name in field.bindings:
        if name not in known:
            yield mistake(
                where,
                field.place,
                f"{spec.label} has no parameter '{name}'.",
                _nearest(name, known, OPTION_NAMES),
            )
    for name, binding in all_bindings(field.bindings):
        if _is_type(binding):
            told = getattr(binding, "__name__", str(binding))
            yield mistake(
                where,
                field.place,
                f"'{name}' is bound to the type {told}, which is no value.",
                f"For a GraphQL argument of that type write {name}=arg({told}).",
            )
    required = spec.needed
    for name in required:
        if name not in field.bindings and name in known:
            yield mistake(
                where,
                field.place,
                f"Nothing is bound to the parameter '{name}' of {spec.label}.",
                f"Add {_bound(name, f'this.{name}')} (a property of the row) or "
                f"{_bound(name, 'arg(strawberry.ID)')}.",
            )
    for name, binding in field.bindings.items():
        if (
            isinstance(binding, Argument)
            and _holds_list(binding.annotation)
            and field.declaration.form in ("one", "connection")
            and name in required
        ):
            yield mistake(
                where,
                field.place,
                f"A list is bound to '{name}', but each call of {spec.label} takes one value.",
                f"Use .many({name}=arg(list[...])) on a list field to load many rows "
                "by their keys.",
            )


def _form_mistakes(field: DeclaredField, where: str, root: str | None) -> Iterator[Mistake]:
    declaration = field.declaration
    if declaration.form == "write" and root != "Mutation":
        yield mistake(
            where,
            field.place,
            f"{declaration.spec.label} writes, but only fields of Mutation may write.",
            "Move the field to Mutation, or declare a POST that only reads with read_by_post(...).",
        )
    if declaration.form == "connection" and declaration.pages is None:
        yield mistake(
            where,
            field.place,
            f"{declaration.spec.label} has no pages to make a connection of.",
            "Declare them: backend.get(..., pages=cursor_pages(items='data', next='next_cursor')).",
        )
    if declaration.form != "connection" and declaration.pages is not None:
        yield mistake(
            where,
            field.place,
            f"{declaration.spec.label} comes in pages.",
            "Bind it with .connection(...).",
        )
    if declaration.form == "many" and not field.bindings:
        yield mistake(
            where, field.place, "many() needs a list to load.", "Write many(id=this.productIds)."
        )


def _annotation_mistakes(field: DeclaredField, where: str, type_: Any) -> Iterator[Mistake]:
    declaration = field.declaration
    nullable = isinstance(type_, StrawberryOptional)
    inner = type_.of_type if nullable else type_
    is_list = isinstance(inner, StrawberryList)
    batch = declaration.spec.batch
    if declaration.form == "many" and not is_list:
        yield _annotation(field, where, "many() loads a list of rows", "list[...]")
    elif declaration.form == "connection" and not _is_connection(inner):
        yield _annotation(field, where, "connection() makes a connection", "Connection[...]")
    elif declaration.form == "one" and batch and batch.many and not is_list:
        yield _annotation(field, where, "grouped() gives each key a list of rows", "list[...]")
    elif declaration.form == "one" and batch and not batch.many and is_list:
        yield mistake(
            where,
            field.place,
            f"The field is a list, but {declaration.spec.label} has one row for each key.",
            "Annotate it as a single type, use grouped(...) if a key has many rows, "
            "or .many(...) to load a list of keys.",
        )
    elif batch and declaration.form in ("one", "many") and not _is_object(inner):
        yield mistake(
            where,
            field.place,
            f"{declaration.spec.label} has rows with properties, and the field is annotated as "
            "a single value.",
            "Annotate it with a type that has fields for the properties.",
        )
    options = field.options.usable
    if options.has_fallback and not _fits(options.fallback, inner, nullable):
        yield mistake(
            where,
            field.place,
            f"The fallback {options.fallback!r} is no value of the field's type.",
            "Write what the field would show: [] for a list, a dict for an object, None where "
            "null is allowed.",
        )
    elif options.has_fallback and options.fallback is None and not nullable:
        yield mistake(
            where,
            field.place,
            "The fallback is None, but the field may not be null.",
            "Annotate it '... | None'.",
        )


def _is_object(type_: Any) -> bool:
    while isinstance(type_, StrawberryContainer | LazyType):
        type_ = type_.resolve_type() if isinstance(type_, LazyType) else type_.of_type
    return isinstance(type_, StrawberryUnion) or get_object_definition(type_) is not None


def _fits(value: Any, inner: Any, nullable: bool) -> bool:
    """Whether a fallback is of the field's type, as far as that can be told from here."""
    if value is None:
        return True  # told in words of its own where null is not allowed
    if isinstance(inner, StrawberryList):
        return isinstance(value, list | tuple)
    if _is_object(inner):
        return isinstance(value, Mapping) or get_object_definition(type(value)) is not None
    simple = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}.get(inner)
    return simple is None or (
        isinstance(value, simple) and (inner is bool or not isinstance(value, bool))
    )


def _annotation(field: DeclaredField, where: str, because: str, wanted: str) -> Mistake:
    return mistake(
        where,
        field.place,
        f"{because}, but the field is not annotated as one.",
        f"Annotate it {wanted}.",
    )


def _is_connection(type_: Any) -> bool:
    definition = get_object_definition(type_)
    origin = definition.concrete_of.origin if definition and definition.concrete_of else type_
    return origin is Connection


def _holds_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is list or any(
        _holds_list(part) for part in getattr(annotation, "__args__", ()) if part is not annotation
    )


def _field_type(field: StrawberryField, definition: StrawberryObjectDefinition) -> Any:
    try:
        return field.resolve_type(type_definition=definition)
    except Exception:  # reported as unresolved where the parts are collected
        return None


def _discriminator_mistakes(parts: Parts) -> Iterator[Mistake]:
    for union in parts.unions:
        members = [get_object_definition(type_) for type_ in union.types]
        yield from _undiscriminated(f"union {union.graphql_name}", [m for m in members if m])
    for cls in parts.types:
        definition = get_object_definition(cls, strict=True)
        if definition.is_interface:
            concrete = [get_object_definition(type_, strict=True) for type_ in parts.types]
            members = [one for one in concrete if definition in one.interfaces]
            yield from _undiscriminated(f"interface {definition.name}", members)


def _undiscriminated(
    where: str, members: Iterable[StrawberryObjectDefinition | None]
) -> Iterator[Mistake]:
    known = [one for one in members if one is not None and not one.is_interface]
    marked = [one for one in known if discriminator_of(one.origin)]
    if not marked or len(marked) == len(known):
        return  # all of them, or rows are not read through it at all
    for one in known:
        if one not in marked:
            yield mistake(
                f"{where}, type {one.name}",
                place_of(one.origin),
                "The other types of it are told apart by a discriminator, and this one has none.",
                "Put @discriminator('type', 'its value') below @strawberry.type.",
            )


def _bound(name: str, value: str) -> str:
    """How an author binds a parameter."""
    return f"({{'{name}': {value}}}, ...)" if name in OPTION_NAMES else f"{name}={value}"


def _nearest(name: str, known: Iterable[str], options: Iterable[str] = ()) -> str:
    known = tuple(known)
    if near := difflib.get_close_matches(name, options, n=1):
        return f"Did you mean the option '{near[0]}'?"
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Its parameters are: {', '.join(known)}." if known else "It has no parameters."
