"""`endpoint.load(...)` inside ordinary resolvers: the same loaders, batches and cache as declared
fields."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from plait.backend.loader import Loaders
from plait.backend.loads import Fetched, LoadOutcome
from plait.backend.numbers import copied
from plait.backend.spec import EndpointSpec
from plait.errors import NotFound, PlaitError, own
from plait.graph.inputs import to_json
from plait.graph.recall import MISSING, Recall


class ReadContext(Protocol):
    """What reading needs of `info.context`."""

    @property
    def loaders(self) -> Loaders: ...

    async def recall_of(self, info: Any) -> Recall | None:
        """What a mutation field reads on the way to its next writes, where that is kept for a
        request that comes again."""
        ...

    def note_fallback(self, info: Any, kind: Literal["stale", "value"], error: PlaitError) -> None:
        """Say in the answer that the field shows a stale copy or a declared value, and why."""
        ...


class InfoLike(Protocol):
    """`strawberry.Info`, as far as loading needs it."""

    @property
    def context(self) -> Any: ...


async def load_row(info: InfoLike, spec: EndpointSpec, values: Mapping[str, Any]) -> Any:
    """The row or rows of `values`. Raises `PlaitError`."""
    context: ReadContext = info.context
    asked = {name: to_json(value, spec.backend.names) for name, value in values.items()}
    recall = await context.recall_of(info)
    if recall is not None and (found := recall.find(spec, asked)) is not MISSING:
        return copied(found)
    row = unpacked(info, await context.loaders.load(spec, asked).future())
    if spec.page_headers is not None and row is not None:
        row = row["body"]
    if recall is not None:
        recall.note(spec, asked, row)
    return copied(row)  # a resolver may change it, and others have it too


async def load_many_rows(
    info: InfoLike, spec: EndpointSpec, values: Mapping[str, Any], *, return_exceptions: bool
) -> list[Any]:
    """The rows of a list of keys, in order."""
    name, items = list_parameter(values)
    context: ReadContext = info.context
    names = spec.backend.names
    shared = {key: to_json(value, names) for key, value in values.items() if key != name}
    asked = [{**shared, name: to_json(item, names)} for item in items]
    recall = await context.recall_of(info)
    known = [recall.find(spec, one) if recall else MISSING for one in asked]
    futures = [
        context.loaders.load(spec, one).future()
        for one, found in zip(asked, known, strict=True)
        if found is MISSING
    ]
    outcomes = iter(await asyncio.gather(*futures))
    rows: list[Any] = []
    for one, found in zip(asked, known, strict=True):
        try:
            row = unpacked(info, next(outcomes)) if found is MISSING else found
            if recall is not None:
                recall.note(spec, one, row)
            rows.append(copied(row))
        except PlaitError as error:
            if not return_exceptions:
                raise
            rows.append(error)
    return rows


def list_parameter(values: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
    """The one parameter that holds a list. Raises `TypeError` unless there is exactly one."""
    lists = [name for name, value in values.items() if isinstance(value, list | tuple)]
    if len(lists) != 1:
        raise TypeError("Exactly one parameter must be a list of keys.")
    return lists[0], values[lists[0]]


def unpacked(info: Any, outcome: LoadOutcome) -> Any:
    """The row of an outcome; a stale copy is noted. Raises the error of a failed one."""
    if not isinstance(outcome, Fetched):
        raise own(outcome)
    if outcome.stale_because is not None:
        info.context.note_fallback(info, "stale", outcome.stale_because)
    return outcome.row


def not_found_of(spec: EndpointSpec, status: int | None) -> NotFound:
    """The error of a row that must be there and is not. `status` is what the backend answered,
    where it said so by one."""
    return NotFound(
        f"Backend '{spec.backend.name}' has no such row.",
        backend=spec.backend.name,
        endpoint=spec.label,
        status=status,
    )
