"""The words a graph author writes: backends, endpoints and batch forms. Values only; nothing is
called here.

Mistakes are not raised here either: a field's bindings are kept as they were written, with file
and line, and `check.py` reports all that is wrong at once when the graph is built.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

from strawberry.extensions import FieldExtension
from typing_extensions import Unpack

from plait.backend.paths import parsed_path
from plait.backend.spec import BackendSpec, Batch, CachePolicy, EndpointSpec, Method
from plait.backend.template import PathTemplate
from plait.graph import options as rules
from plait.graph.bindings import UNSET_DEFAULT, FieldOptions, Place, caller_place
from plait.graph.field import Declaration, Form, declared_field
from plait.graph.inputs import to_json
from plait.graph.load import InfoLike, load_many_rows, load_row
from plait.graph.options import (
    BackendOptions,
    BatchOptions,
    Names,
    ReadOptions,
    WriteOptions,
    usable,
)
from plait.graph.pages import Pages
from plait.writes.write import Write

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchForm:
    """How many keys become one call. Made by `by_ids` and `grouped`."""

    path: str
    many: bool
    key: str | Mapping[str, str] | None = None
    ids: str | None = None
    body: str | None = None
    joined: bool = False
    unwrap: str | None = None
    size: int = 100
    method: Literal["GET", "POST"] | None = None
    separator: str = ":"
    key_matches: Literal["exact", "ignore_case"] = "exact"
    id_type: type[int] | type[str] | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    """The options as they were written."""


def by_ids(
    path: str, *, key: str | Mapping[str, str] | None = None, **options: Unpack[BatchOptions]
) -> BatchForm:
    """Many rows by their ids in one call, one row a key.

    `key` is the row's property that holds the id [the parameter's name]. A mapping from parameters
    to properties makes a composite key: joined by `separator` in a query, objects in a body.
    """
    return BatchForm(path=path, many=False, key=key, given=options, **usable(options, rules.BATCH))


def grouped(
    path: str, *, key: str | Mapping[str, str], **options: Unpack[BatchOptions]
) -> BatchForm:
    """The rows of many parents in one call; `key` is the row's property that names its parent.

    A parent without rows gets an empty list.
    """
    return BatchForm(path=path, many=True, key=key, given=options, **usable(options, rules.BATCH))


class Backend:
    """One REST API: its name, its policy, and the endpoints made from it.

    `url` may be left to the setting `PLAIT_BACKENDS__<NAME>__URL`, which overrides it.
    """

    def __init__(
        self, name: str, url: str | None = None, **options: Unpack[BackendOptions]
    ) -> None:
        self.place = caller_place()
        self.given: Mapping[str, Any] = dict(options)
        rest = usable(self.given, rules.BACKEND)
        forward = tuple(header.lower() for header in _listed(rest.pop("forward", ())))
        self.spec = BackendSpec(name=name, url=url, forward=forward, **rest)

    def get(
        self,
        path: str,
        *,
        batch: BatchForm | None = None,
        pages: Pages | None = None,
        **options: Unpack[ReadOptions],
    ) -> "ReadEndpoint":
        """An endpoint that reads. Parameters stand in braces in `path`; further ones in `query`,
        `headers`."""
        spec = _endpoint(self.spec, "GET", path, options)
        return ReadEndpoint(self, spec, caller_place(), options, batch=batch, pages=pages)

    def lookup(
        self, batch: BatchForm, *, params: Sequence[str] = (), **options: Unpack[ReadOptions]
    ) -> "ReadEndpoint":
        """An endpoint that exists only in batch form: even one key goes that way.

        `params` names its key parameters [those of a composite `key`, else `id`].
        """
        composite = tuple(batch.key) if isinstance(batch.key, Mapping) else ()
        query = dict.fromkeys(params or composite or ("id",), "")
        spec = _endpoint(
            self.spec,
            batch.method or ("GET" if batch.body is None else "POST"),
            batch.path,
            options,
        )
        spec = replace(spec, query={**spec.query, **query})
        return ReadEndpoint(
            self, spec, caller_place(), options, batch=batch, always=True, keys=tuple(query)
        )

    def read_by_post(self, path: str, **options: Unpack[ReadOptions]) -> "ReadEndpoint":
        """A POST that changes nothing, such as a search: its parameter `body` is sent as JSON.

        It is cached only with a `ttl_s` (RFC 9110, section 9.3.3).
        """
        spec = replace(_endpoint(self.spec, "POST", path, options), has_body=True)
        return ReadEndpoint(self, spec, caller_place(), options)

    def post(self, path: str, **options: Unpack[WriteOptions]) -> "WriteEndpoint[Any]":
        """An endpoint that writes: its parameter `body` is sent as JSON."""
        return WriteEndpoint(
            self, _write(self.spec, "POST", path, options), caller_place(), options
        )

    def put(self, path: str, **options: Unpack[WriteOptions]) -> "WriteEndpoint[Any]":
        """An endpoint that replaces what is at `path` with `body`."""
        return WriteEndpoint(self, _write(self.spec, "PUT", path, options), caller_place(), options)

    def patch(self, path: str, **options: Unpack[WriteOptions]) -> "WriteEndpoint[Any]":
        """An endpoint that changes what is at `path` by `body`."""
        return WriteEndpoint(
            self, _write(self.spec, "PATCH", path, options), caller_place(), options
        )

    def delete(self, path: str, **options: Unpack[WriteOptions]) -> "WriteEndpoint[Any]":
        """An endpoint that removes what is at `path`. It sends no body."""
        return WriteEndpoint(
            self, _write(self.spec, "DELETE", path, options), caller_place(), options
        )


class FieldMaker:
    """Makes fields of one endpoint, in one form. The one place that says what a field may have."""

    def __init__(self, endpoint: Any, spec: EndpointSpec, form: Form, pages: Pages | None) -> None:
        self._declaration = Declaration(endpoint=endpoint, spec=spec, form=form, pages=pages)

    def __call__(
        self,
        parameters: Mapping[str, Any] | None = None,
        /,
        *,
        fallback: Any = UNSET_DEFAULT,
        description: str | None = None,
        deprecation_reason: str | None = None,
        name: str | None = None,
        permission_classes: Sequence[type] = (),
        extensions: Sequence[FieldExtension] = (),
        directives: Sequence[object] = (),
        **bindings: Any,
    ) -> Any:
        """A field that shows the endpoint's row or rows.

        Each parameter is bound to `arg(...)`, to `this.property` or to a plain value. Those that
        have the name of an option stand in a dict before: `find({"name": arg(str)}, page=1)`.

        `fallback` is the value in place of a failed call; `name` the field's GraphQL name. All
        options but `fallback` are what `strawberry.field` has under their names. Raises `TypeError`
        for a parameter that is bound twice.
        """
        given = dict(parameters or {})
        if twice := given.keys() & bindings.keys():
            raise TypeError(f"The parameter '{min(twice)}' is bound twice.")
        options = FieldOptions(
            fallback=fallback,
            description=description,
            deprecation_reason=deprecation_reason,
            name=name,
            permission_classes=permission_classes,
            extensions=extensions,
            directives=directives,
        )
        return declared_field(self._declaration, given | bindings, options, caller_place())


class ReadEndpoint(FieldMaker):
    """An endpoint that reads. Called with bindings it makes a field; in resolvers, `load` calls
    it."""

    many: FieldMaker
    """Makes a list field: one parameter is bound to a list, and each of its items is a key of its
    own. The rows keep the list's order; a missing or failed one is null at its place, or an error
    there."""
    connection: FieldMaker
    """Makes a Relay connection over this endpoint's pages, with the arguments `first` and
    `after`."""

    def __init__(
        self,
        backend: Backend,
        spec: EndpointSpec,
        place: Place,
        given: Mapping[str, Any],
        *,
        batch: BatchForm | None = None,
        pages: Pages | None = None,
        always: bool = False,
        keys: Sequence[str] = (),
    ) -> None:
        self.backend = backend
        self.place = place
        self.given = given
        self.form = batch
        self.pages = pages
        if pages:
            query = {**spec.query, **pages.parameters}
            spec = replace(spec, query=query, unwrap=(), page_headers=pages.headers)
        keys = keys or spec.path.parameters or tuple(spec.query)
        self.spec = replace(spec, batch=_batch(batch, keys, spec.query, always) if batch else None)
        self.key_candidates = tuple(keys)
        super().__init__(self, self.spec, "one", pages)
        self.many = FieldMaker(self, self.spec, "many", pages)
        self.connection = FieldMaker(self, self.spec, "connection", pages)

    async def load(self, info: InfoLike, /, **values: Any) -> Any:
        """The row or rows, from within a resolver; `None` when the backend has none.

        It shares the batch and the cache of all fields on this endpoint. Raises `PlaitError`;
        `TypeError` for a parameter that the endpoint does not have, or that is missing.
        """
        _check_values(self.spec, values)
        return await load_row(info, self.spec, values)

    async def load_many(
        self, info: InfoLike, /, *, return_exceptions: bool = False, **values: Any
    ) -> list[Any]:
        """The rows of a list of keys, in order: exactly one of `values` is a list.

        Raises the first failure, or with `return_exceptions` leaves it in the failed row's place;
        `TypeError` as `load` does.
        """
        _check_values(self.spec, values)
        return await load_many_rows(info, self.spec, values, return_exceptions=return_exceptions)


class WriteEndpoint(Generic[T]):
    """An endpoint that writes. Called with values it makes a write for `write_together`."""

    field: FieldMaker
    """Makes a mutation field that makes this one write and shows the reply's row; bound as a
    reading field is."""

    def __init__(
        self, backend: Backend, spec: EndpointSpec, place: Place, given: Mapping[str, Any]
    ) -> None:
        self.backend = backend
        self.given = given
        self.spec = spec
        self.place = place
        self.field = FieldMaker(self, spec, "write", None)

    def __call__(self, /, **values: Any) -> Write[T]:
        """The write of `values`. `body` may be a Strawberry input, a dict, a list or a scalar.

        Raises `TypeError` for a parameter that the endpoint does not have, or that is missing.
        """
        _check_values(self.spec, values)
        return Write(
            endpoint=self.spec,
            values={
                name: to_json(value, self.spec.backend.names) for name, value in values.items()
            },
            target=self.spec.backend.name,
        )


def _endpoint(
    backend: BackendSpec, method: Method, path: str, options: Mapping[str, Any]
) -> EndpointSpec:
    return _endpoint_of(backend, method, path, **usable(options, rules.READ))


def _endpoint_of(
    backend: BackendSpec,
    method: Method,
    path: str,
    *,
    query: Names = (),
    headers: Names = (),
    constants: Mapping[str, str] | None = None,
    required: Sequence[str] = (),
    unwrap: str = "",
    timeout_s: float | None = None,
    reply_bytes_max: int | None = None,
    cache: bool = True,
    ttl_s: float | None = None,
    stale_while_revalidate_s: float | None = None,
    stale_if_error_s: float | None = None,
    none_on: Sequence[int] = (404,),
    next: str = "",
    pages_max: int = 10,
    show_problem: bool | None = None,
    strict: bool | None = None,
    failed_when: str | Mapping[str, Any] = "",
    content_type: str | None = None,
    keyed_by: str | Mapping[str, str] = "",
    early: bool = True,
) -> EndpointSpec:
    return EndpointSpec(
        backend=backend,
        method=method,
        path=PathTemplate(path),
        query=_named(query),
        headers=_named(headers),
        constants=dict(constants or {}),
        required=_listed(required),
        unwrap=parsed_path(unwrap),
        timeout_s=timeout_s,
        reply_bytes_max=reply_bytes_max,
        none_on=frozenset(none_on),
        next=parsed_path(next),
        pages_max=pages_max,
        show_problem=show_problem,
        strict=strict,
        failed_when=_failures(failed_when),
        content_type=content_type,
        keyed_by=_keyed_by(keyed_by, PathTemplate(path).parameters or tuple(_named(query))),
        early=early,
        cache=CachePolicy(
            enabled=cache,
            ttl_s=ttl_s,
            stale_while_revalidate_s=stale_while_revalidate_s,
            stale_if_error_s=stale_if_error_s,
        ),
    )


def _write(backend: BackendSpec, method: Method, path: str, options: WriteOptions) -> EndpointSpec:
    spec = _endpoint(backend, method, path, {**options, "cache": False})
    given: Any = options.get("purges", ())
    listed = given if isinstance(given, list | tuple) else ()
    purged = [one for one in listed if isinstance(one, ReadEndpoint)]
    own = usable(options, rules.WRITE)
    return replace(
        spec,
        reads=False,
        key_header=own.get("idempotency_key", backend.idempotency_key),
        repeatable=own.get("repeatable", False),
        has_body=method != "DELETE",
        purges=tuple(one.spec for one in purged),
    )


def _keyed_by(
    given: str | Mapping[str, str], parameters: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    if isinstance(given, str):
        return {parameters[0]: parsed_path(given)} if given and len(parameters) == 1 else {}
    return {name: parsed_path(path) for name, path in given.items()}


def _failures(
    given: str | Mapping[str, Any],
) -> tuple[tuple[tuple[str, ...], tuple[Any, ...] | None], ...]:
    if isinstance(given, str):
        return ((parsed_path(given), None),) if given else ()
    return tuple(
        (parsed_path(path), tuple(value) if isinstance(value, list | tuple) else (value,))
        for path, value in given.items()
    )


def _batch(form: BatchForm, keys: Sequence[str], wire: Mapping[str, str], always: bool) -> Batch:
    if isinstance(form.key, Mapping):
        by_parameter = {name: parsed_path(value) for name, value in form.key.items()}
    else:
        by_parameter = {name: parsed_path(form.key or name) for name in _key_of(form, keys, wire)}
    name = form.ids if form.body is None else form.body
    return Batch(
        path=PathTemplate(form.path),
        method=form.method or ("GET" if form.body is None else "POST"),
        ids=name if name is not None else next(iter(by_parameter), ""),
        place="body" if form.body is not None else "joined" if form.joined else "repeated",
        keys=by_parameter,
        many=form.many,
        separator=form.separator,
        key_matches=form.key_matches,
        id_type=form.id_type,
        unwrap=None if form.unwrap is None else parsed_path(form.unwrap),
        size=form.size,
        always=always,
    )


def _key_of(form: BatchForm, keys: Sequence[str], wire: Mapping[str, str]) -> tuple[str, ...]:
    """The one parameter that tells keys apart: the only one that is not in the batch's own path; of
    several, the one that has the name of the ids, or of the row's property. Else none."""
    own = [name for name in keys if name not in PathTemplate(form.path).parameters]
    named = [name for name in own if {name, wire.get(name)} & {form.ids, form.key} - {None}]
    return tuple(own if len(own) == 1 else named[:1])


def _named(names: Names) -> dict[str, str]:
    if isinstance(names, Mapping):
        return dict(names)
    return {name.replace("-", "_"): name for name in _listed(names)}


def _listed(names: Sequence[str]) -> tuple[str, ...]:
    """One name is a list of one."""
    return (names,) if isinstance(names, str) else tuple(names)


def _check_values(spec: EndpointSpec, values: Mapping[str, Any]) -> None:
    unknown = set(values) - set(spec.parameters)
    missing = {*spec.path.parameters, *spec.required} - set(values)
    if unknown:
        name = sorted(unknown)[0]
        near = difflib.get_close_matches(name, spec.parameters, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(spec.parameters)}."
        raise TypeError(
            f"{spec.label} of backend '{spec.backend.name}' has no parameter '{name}'. {hint}"
        )
    if missing:
        wrong = ", ".join(sorted(missing))
        raise TypeError(f"{spec.label} of backend '{spec.backend.name}' needs a value for {wrong}.")
