"""What a declared field does when it is executed: values to loads, rows to the field's value."""

import contextlib
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from plait.backend.loader import Loaders, Loading
from plait.backend.loads import Fetched, LoadOutcome
from plait.backend.paths import is_absent, path_text
from plait.backend.spec import EndpointSpec
from plait.errors import BadBackendResponse, BadUserInput, PlaitError, own
from plait.graph.absent import Watch
from plait.graph.fields import Fetch, rows_in
from plait.graph.load import list_parameter, not_found_of, unpacked
from plait.graph.pages import Window
from plait.graph.rows import Converter, RowMismatch, row_of
from plait.writes.outcome import Failed, Succeeded, Unknown
from plait.writes.together import write_alone
from plait.writes.write import Write

AskedKey: TypeAlias = Loading | PlaitError | None
"""What became of one key: it is asked for, it cannot be asked for, or there is none."""
UNSETTLED: Any = object()
"""In place of a value that is not there yet, or that needs a closer look."""


class AskedKeys(msgspec.Struct, frozen=True):
    """What one field has asked for."""

    answers: Sequence[AskedKey]
    """What became of each of its keys."""
    values: Sequence[Mapping[str, Any]] = ()
    """The parameters of each."""
    window: Window | None = None
    """Of a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One declared field of a built graph, and how it is resolved."""

    fetch: Fetch
    convert: Converter
    watch: Watch
    """Looks at the first rows, as they come."""
    strict_above: Callable[[Any], EndpointSpec | None] | None
    """Which endpoint gave the row that the field belongs to; `None` where no endpoint is strict."""
    needed: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "needed", self.fetch.endpoint.needed)

    def resolve(self, source: Any, info: Any, arguments: Mapping[str, Any]) -> Any:
        """The field's value, or an awaitable of it. Loads are asked for at once, before the first
        await."""
        try:
            if self.strict_above:
                self._check_row(source, info)
            if self.fetch.form == "write":
                return self._write(info, self.fetch.values(source, arguments) or {})
            asked = self.ask(info.context.loaders, source, arguments)
            return self._nothing() if asked is None else self._shown(info, asked)
        except PlaitError as error:
            return self._fallback(info, error)

    def ask(self, loaders: Loaders, source: Any, arguments: Mapping[str, Any]) -> AskedKeys | None:
        """Ask for the rows of one source. `None` where there is nothing to ask for. Raises
        `PlaitError`."""
        fetch = self.fetch
        values = fetch.values(source, arguments)
        if values is None:
            return None
        if fetch.form == "one":
            for name in self.needed:
                if name not in values:
                    return None  # no key, no row
            return AskedKeys((loaders.load(fetch.endpoint, values),), (values,))
        if fetch.form == "many":
            return self._ask_many(loaders, values)
        assert fetch.pages is not None
        window = fetch.pages.window(arguments.get("first"), arguments.get("after"))
        values |= window.values
        return AskedKeys((loaders.load(fetch.endpoint, values),), (values,), window)

    def settled(self, asked: AskedKeys) -> Any:
        """The field's value where all of its rows are there and as they must be; else
        `UNSETTLED`, and then `resolve` says what it is. Changes nothing."""
        if self.watch.is_open or self.watch.absences or asked.window is not None:
            return UNSETTLED
        found = []
        is_many = self.fetch.form == "many"
        for loading in asked.answers:
            if not isinstance(loading, Loading):
                return UNSETTLED
            outcomes = loading.batch.outcomes
            outcome = None if outcomes is None else outcomes[loading.key]
            if not isinstance(outcome, Fetched) or outcome.stale_because or outcome.row is None:
                return UNSETTLED
            try:
                found.append(self.convert(outcome.row))
            except RowMismatch:
                return UNSETTLED
        return found if is_many else found[0]

    def _nothing(self) -> list[Any] | None:
        if self.fetch.form == "many":
            return None if self.fetch.nullable else []
        return [] if self.fetch.is_list else None

    def _check_row(self, source: Any, info: Any) -> None:
        """Raises `BadBackendResponse` where a strict endpoint's row lacks what the field needs of
        it."""
        for path in rows_in(self.fetch.bindings):
            if is_absent(row_of(source), path):
                assert self.strict_above is not None
                above = self.strict_above(getattr(info, "_raw_info", info))
                if above is not None and above.is_strict:
                    name, told = above.backend.name, f"it has no property '{path_text(path)}'"
                    message = f"Backend '{name}' sent a row that is not as declared: {told}."
                    raise BadBackendResponse(message, backend=name, endpoint=above.label)

    def _ask_many(self, loaders: Loaders, values: Mapping[str, Any]) -> AskedKeys | None:
        if any(value is None for value in values.values()) or not any(
            isinstance(value, list) for value in values.values()
        ):
            return None
        name, items = list_parameter(values)
        keys: list[AskedKey] = []
        each = []
        for item in items:
            one = {**values, name: item}
            each.append(one)
            try:
                keys.append(None if item is None else loaders.load(self.fetch.endpoint, one))
            except BadUserInput as error:
                keys.append(error)
        return AskedKeys(keys, each)

    # --- what is shown

    def _shown(self, info: Any, asked: AskedKeys) -> Any:
        """The field's value: at once where all of its rows are there."""
        if all(not isinstance(one, Loading) or one.is_over for one in asked.answers):
            return self._value(info, asked)
        return self._value_later(info, asked)

    async def _value_later(self, info: Any, asked: AskedKeys) -> Any:
        # One after the other: they are under way all the same, and most come together.
        for loading in asked.answers:
            if isinstance(loading, Loading) and not loading.is_over:
                with contextlib.suppress(PlaitError):  # a limit: it is told below
                    await loading.future()
        return self._value(info, asked)

    def _value(self, info: Any, asked: AskedKeys) -> Any:
        try:
            if self.fetch.form == "many":
                return self._many(info, asked.answers)
            outcome = _outcome(asked.answers[0])
            if asked.window is not None:
                return self._page(info, outcome, asked.window)
            row = unpacked(info, outcome)
            self._look_at(info, row)
            return self._checked(row, self.fetch.nullable, outcome)
        except PlaitError as error:
            return self._fallback(info, error)

    def _checked(self, row: Any, nullable: bool, outcome: LoadOutcome | None = None) -> Any:
        """The row as the field's type. Raises `NotFound`, `BadBackendResponse`."""
        if row is None:
            if self.fetch.is_list and self.fetch.form == "one":
                return []
            if nullable:
                return None
            status = outcome.status if isinstance(outcome, Fetched) else None
            raise not_found_of(self.fetch.endpoint, status)
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
        spec = self.fetch.endpoint
        name = spec.backend.name
        message = f"Backend '{name}' sent a reply that is not as declared: it {what}."
        return BadBackendResponse(message, backend=name, endpoint=spec.label)

    def _many(self, info: Any, keys: Sequence[AskedKey]) -> list[Any]:
        shown: list[Any] = []
        for key in keys:
            try:
                if isinstance(key, PlaitError):
                    raise key
                outcome = None if key is None else _outcome(key)
                row = None if outcome is None else unpacked(info, outcome)
                self._look_at(info, row)
                shown.append(self._checked(row, self.fetch.items_nullable, outcome))
            except PlaitError as error:
                shown.append(error)  # the executor raises it at the item's own path
        errors = [item for item in shown if isinstance(item, PlaitError)]
        if errors and self.fetch.options.has_fallback:
            return self._fallback(info, errors[0])  # type: ignore[no-any-return]
        return shown

    def _page(self, info: Any, outcome: LoadOutcome, window: Window) -> Any:
        page = unpacked(info, outcome)
        if page is None:
            return self._checked(None, self.fetch.nullable, outcome)
        assert self.fetch.pages is not None
        row = self.fetch.pages.row(window, page["body"], page["headers"])
        if row is None:
            raise self._bad("is no page of rows")
        self._look_at(info, row["nodes"])
        return row

    # --- one write

    async def _write(self, info: Any, values: Mapping[str, Any]) -> Any:
        spec = self.fetch.endpoint
        write: Write[Any] = Write(endpoint=spec, values=values, target=spec.backend.name)
        outcome = await write_alone(info, write)
        match outcome:
            case Succeeded(value=value):
                self._look_at(info, value)
                return self._checked(value, self.fetch.nullable)
            case Failed(error=error):
                raise error.with_traceback(None)
            case Unknown(error=error):
                raise error.with_traceback(None)

    def _fallback(self, info: Any, error: PlaitError) -> Any:
        """The declared value in place of a failed call; re-raises when there is none, or it is the
        caller's fault."""
        options = self.fetch.options
        if not options.has_fallback or isinstance(error, BadUserInput):
            raise own(error)
        info.context.note_fallback(info, "value", error)
        return copy.deepcopy(options.fallback)


def _outcome(key: AskedKey) -> LoadOutcome:
    assert isinstance(key, Loading)
    return key.outcome()
