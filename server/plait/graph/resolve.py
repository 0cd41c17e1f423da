"""What a declared field does when it is executed: bindings to values, values to loads, rows to the
field's value."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strawberry import UNSET

from plait.backend.ask import Fetched, Outcome
from plait.backend.paths import is_absent, path_text
from plait.backend.spec import EndpointSpec
from plait.errors import BadBackendResponse, BadUserInput, PlaitError, own
from plait.graph.absent import Watch
from plait.graph.bindings import Argument, FieldOptions, This, all_bindings, path_of
from plait.graph.field import Form
from plait.graph.inputs import serialized, to_json
from plait.graph.load import list_parameter, not_found_of, unpacked
from plait.graph.pages import Pages, Window
from plait.graph.rows import Converter, RowMismatch, read, row_of
from plait.writes.outcome import Failed, Succeeded, Unknown
from plait.writes.together import write_alone
from plait.writes.write import Write

LEFT_OUT: Any = UNSET
"""The value of an argument that the client did not give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One declared field of a built graph."""

    spec: EndpointSpec
    form: Form
    pages: Pages | None
    bindings: Mapping[str, Any]
    options: FieldOptions
    nullable: bool
    items_nullable: bool
    is_list: bool
    needed: tuple[str, ...]
    """Parameters without which there is no call."""
    convert: Converter
    type_name: str
    """The type of its rows."""
    serializers: Mapping[str, Callable[[Any], Any]]
    """What makes JSON of an argument of the graph's own scalars, by its Python name."""
    watch: Watch
    """Looks at the first rows, as they come."""
    strict_above: Callable[[Any], EndpointSpec | None] | None
    """Which endpoint gave the row that the field belongs to; `None` where no endpoint is strict."""

    def resolve(self, source: Any, info: Any, arguments: Mapping[str, Any]) -> Any:
        """The field's value, or an awaitable of it. Loads are asked for at once, before the first
        await."""
        try:
            if self.strict_above:
                self._check_row(source, info)
            values = self._values(source, arguments)
            if values is None:
                return [] if self.is_list else None
            match self.form:
                case "one":
                    return self._one(info, values)
                case "many":
                    return self._many(info, values)
                case "connection":
                    return self._connection(info, values, arguments)
                case "write":
                    return self._write(info, values)
        except PlaitError as error:
            return self._fallback(info, error)

    def _check_row(self, source: Any, info: Any) -> None:
        """Raises `BadBackendResponse` where a strict endpoint's row lacks what the field needs of
        it."""
        for _, binding in all_bindings(self.bindings):
            if isinstance(binding, This) and is_absent(row_of(source), path_of(binding)):
                assert self.strict_above is not None
                above = self.strict_above(getattr(info, "_raw_info", info))
                if above is not None and above.is_strict:
                    name = above.backend.name
                    told = f"it has no property '{path_text(path_of(binding))}'"
                    message = f"Backend '{name}' sent a row that is not as declared: {told}."
                    raise BadBackendResponse(message, backend=name, endpoint=above.label)

    def _values(self, source: Any, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """What each parameter is. `None` where one of them narrows to nothing: null, or an empty
        list, asks for no row, and must not become a call without that parameter, which would ask
        for all. Only an argument that the client left out is left out of the call."""
        values: dict[str, Any] = {}
        for name, binding in self.bindings.items():
            value = self._value(name, binding, source, arguments)
            if value is LEFT_OUT:
                continue
            if self.spec.reads:
                if value is None and self.form != "many":
                    return None
                if type(value) is list and name in self.spec.query and self.form != "many":
                    value = [item for item in value if item is not None]
                    if not value and not (isinstance(binding, Argument) and binding.empty_is_all):
                        return None
            values[name] = value
        return values

    def _value(self, name: str, binding: Any, source: Any, arguments: Mapping[str, Any]) -> Any:
        match binding:
            case This():
                return read(source, path_of(binding))
            case Argument():
                python_name = binding.name or name
                given = arguments.get(python_name, LEFT_OUT)
                if given is None and binding.default is None and self.spec.reads:
                    return LEFT_OUT  # its default says that null stands for nothing given
                if given is LEFT_OUT:
                    return LEFT_OUT
                return to_json(serialized(given, self.serializers.get(python_name)))
            case dict():
                return self._object(binding, source, arguments)
            case _:
                return to_json(binding)

    def _object(
        self, bindings: Mapping[str, Any], source: Any, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The part of a body that a dict describes, without what the client left out; and without
        an object inside it of which nothing is left."""
        made: dict[str, Any] = {}
        for name, binding in bindings.items():
            value = self._value(name, binding, source, arguments)
            is_emptied = value == {} and binding != {} and isinstance(binding, dict)
            if value is not LEFT_OUT and not is_emptied:
                made[name] = value
        return made

    # --- one row, or one group of rows

    def _one(self, info: Any, values: Mapping[str, Any]) -> Awaitable[Any] | list[Any] | None:
        if any(name not in values for name in self.needed):
            return [] if self.is_list else None  # no key, no row
        return self._shown(info, info.context.loaders.load(self.spec, values))

    async def _shown(self, info: Any, future: "asyncio.Future[Outcome]") -> Any:
        try:
            outcome = await future
            row = unpacked(info, outcome)
            self._look_at(info, row)
            return self._checked(row, self.nullable, outcome)
        except PlaitError as error:
            return self._fallback(info, error)

    def _checked(self, row: Any, nullable: bool, outcome: Outcome | None = None) -> Any:
        """The row as the field's type. Raises `NotFound`, `BadBackendResponse`."""
        if row is None:
            if self.is_list and self.form == "one":
                return []
            if nullable:
                return None
            raise not_found_of(self.spec, outcome.status if isinstance(outcome, Fetched) else None)
        try:
            return self.convert(row)
        except RowMismatch as error:
            raise self._bad(error.what) from None

    def _look_at(self, info: Any, row: Any) -> None:
        if self.watch.is_open:
            self.watch.see(row)
        if self.watch.absences:
            info.context.note_absences(self.watch.absences)

    def _bad(self, what: str) -> BadBackendResponse:
        name = self.spec.backend.name
        message = f"Backend '{name}' sent a reply that is not as declared: it {what}."
        return BadBackendResponse(message, backend=name, endpoint=self.spec.label)

    # --- a list of keys

    def _many(self, info: Any, values: Mapping[str, Any]) -> Awaitable[Any] | list[Any] | None:
        if any(value is None for value in values.values()) or not any(
            isinstance(value, list) for value in values.values()
        ):
            return None if self.nullable else []
        name, items = list_parameter(values)
        load = info.context.loaders.load
        futures: list[Any] = []
        for item in items:
            try:
                futures.append(None if item is None else load(self.spec, {**values, name: item}))
            except BadUserInput as error:
                futures.append(error)
        return self._shown_many(info, futures)

    async def _shown_many(self, info: Any, futures: Sequence[Any]) -> list[Any]:
        shown: list[Any] = []
        for future in futures:
            try:
                if isinstance(future, PlaitError):
                    raise future
                outcome = None if future is None else await future
                row = None if outcome is None else unpacked(info, outcome)
                self._look_at(info, row)
                shown.append(self._checked(row, self.items_nullable, outcome))
            except PlaitError as error:
                shown.append(error)  # the executor raises it at the item's own path
        errors = [item for item in shown if isinstance(item, PlaitError)]
        if errors and self.options.has_fallback:
            return self._fallback(info, errors[0])  # type: ignore[no-any-return]
        return shown

    # --- pages

    def _connection(
        self, info: Any, values: dict[str, Any], arguments: Mapping[str, Any]
    ) -> Awaitable[Any]:
        assert self.pages is not None
        window = self.pages.window(arguments.get("first"), arguments.get("after"))
        future = info.context.loaders.load(self.spec, {**values, **window.values})
        return self._shown_page(info, future, self.pages, window)

    async def _shown_page(
        self, info: Any, future: "asyncio.Future[Outcome]", pages: Pages, window: Window
    ) -> Any:
        try:
            outcome = await future
            page = unpacked(info, outcome)
            if page is None:
                return self._checked(None, self.nullable, outcome)
            row = pages.row(window, page["body"], page["headers"])
            if row is None:
                raise self._bad("is no page of rows")
            self._look_at(info, row["nodes"])
            return row
        except PlaitError as error:
            return self._fallback(info, error)

    # --- one write

    async def _write(self, info: Any, values: Mapping[str, Any]) -> Any:
        write: Write[Any] = Write(
            endpoint=self.spec,
            values=values,
            target=self.spec.backend.name,
        )
        outcome = await write_alone(info, write)
        match outcome:
            case Succeeded(value=value):
                self._look_at(info, value)
                return self._checked(value, self.nullable)
            case Failed(error=error):
                raise error.with_traceback(None)
            case Unknown(error=error):
                raise error.with_traceback(None)

    def _fallback(self, info: Any, error: PlaitError) -> Any:
        """The declared value in place of a failed call; re-raises when there is none, or it is the
        caller's fault."""
        if not self.options.has_fallback or isinstance(error, BadUserInput):
            raise own(error)
        info.context.note_fallback(info, "value", error)
        return copy.deepcopy(self.options.fallback)
