"""`write_together`: what a mutation resolver calls to write to several backends at once.

    account, contact = await write_together(
        info, create_account(body=account_body), create_contact(body=contact_body)
    )
    match account:
        case Succeeded(value=row): ...

All writes leave at the same time. One that fails takes no other with it: each has an outcome of its
own, and those that are no success are added to the errors at the field's path, next to the data.
"""

import asyncio
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Protocol, TypeVar, overload

from plait.backend.call import Origin
from plait.writes.idempotency import checked_key, key_from_header
from plait.writes.outcome import Outcome, Succeeded
from plait.writes.plan import AskedWrites
from plait.writes.write import SendWrite, Write, WriteReply
from plait.writes.writes import Writes

__all__ = ["InfoLike", "SendWrite", "Write", "WriteContext", "WriteReply", "write_together"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")


class Forgetful(Protocol):
    """What remembers rows for the request."""

    def forget(self) -> None:
        """Load everything anew from now on."""
        ...


class WriteContext(Protocol):
    """What writes need to know of the client's request. One for each request."""

    @property
    def origin(self) -> Origin: ...

    @property
    def caller(self) -> str:
        """Whose keys count: an opaque id of the caller's scope. Empty: nobody in particular."""
        ...

    @property
    def idempotency_key(self) -> str | None:
        """The `Idempotency-Key` header as it came, not checked. `None`: there was none."""
        ...

    @property
    def writes(self) -> Writes: ...

    @property
    def loaders(self) -> Forgetful:
        """The request's loaders."""
        ...

    @property
    def mutation_fields(self) -> MutableMapping[str, int]:
        """How often each place, and each field, asked under each key. Begins empty; only this
        module uses it."""
        ...

    @property
    def writing_tasks(self) -> MutableMapping[str, object]:
        """The task that writes, of each field and key. As above."""
        ...

    def fields_of(self, info: Any) -> frozenset[str]:
        """The keys in the answer of all fields of the operation."""
        ...

    def reads_of(self, place: str) -> bytes | None:
        """What the resolver has read on the way to the writes at `place`, as JSON, where it is to
        be kept."""
        ...

    def note_writes(self, info: Any, outcomes: Sequence[Outcome[Any]]) -> None:
        """Say in the answer what became of the writes, whatever becomes of the field's value."""
        ...

    def arguments_of(self, info: Any) -> Mapping[str, object]:
        """The field's arguments with variables filled in, as what JSON can hold."""
        ...

    def report(self, error: Exception, info: Any) -> None:
        """Add `error` to the reply's errors at the field's path; the data stays."""
        ...

    def note_replayed(self) -> None:
        """The ledger answered for a field, and nothing was sent."""
        ...


class InfoLike(Protocol):
    """What a resolver knows of the field that it resolves."""

    @property
    def field_name(self) -> str: ...

    @property
    def context(self) -> WriteContext: ...

    @property
    def path(self) -> Any: ...


@overload
async def write_together(
    info: InfoLike,
    a: Write[A],
    /,
    *,
    key: str | None = None,
) -> tuple[Outcome[A]]: ...


@overload
async def write_together(
    info: InfoLike,
    a: Write[A],
    b: Write[B],
    /,
    *,
    key: str | None = None,
) -> tuple[Outcome[A], Outcome[B]]: ...


@overload
async def write_together(
    info: InfoLike,
    a: Write[A],
    b: Write[B],
    c: Write[C],
    /,
    *,
    key: str | None = None,
) -> tuple[Outcome[A], Outcome[B], Outcome[C]]: ...


@overload
async def write_together(
    info: InfoLike,
    a: Write[A],
    b: Write[B],
    c: Write[C],
    d: Write[D],
    /,
    *,
    key: str | None = None,
) -> tuple[Outcome[A], Outcome[B], Outcome[C], Outcome[D]]: ...


@overload
async def write_together(
    info: InfoLike,
    a: Write[A],
    b: Write[B],
    c: Write[C],
    d: Write[D],
    e: Write[E],
    /,
    *,
    key: str | None = None,
) -> tuple[Outcome[A], Outcome[B], Outcome[C], Outcome[D], Outcome[E]]: ...


@overload
async def write_together(
    info: InfoLike,
    a: Write[A],
    b: Write[B],
    c: Write[C],
    d: Write[D],
    e: Write[E],
    f: Write[F],
    /,
    *,
    key: str | None = None,
) -> tuple[Outcome[A], Outcome[B], Outcome[C], Outcome[D], Outcome[E], Outcome[F]]: ...


@overload
async def write_together(
    info: InfoLike, /, *writes: Write[Any], key: str | None = None
) -> tuple[Outcome[Any], ...]: ...


async def write_together(
    info: InfoLike, /, *writes: Write[Any], key: str | None = None
) -> tuple[Outcome[Any], ...]:
    """Send all `writes` at once; one outcome for each, in their order.

    `key` is the caller's idempotency key, in place of the `Idempotency-Key` header. The same key
    with the same field, arguments and values replays what came of it the first time, and drives
    again what stayed unfinished, where that cannot do it twice.

    Several calls of one resolver are told apart by their order, so they are made one after another
    in one task: a call from a second one raises `RuntimeError`, unless it has a `key` of its own.

    Raises, when nothing was sent: `KeyMissing`, `KeyInvalid`, `KeyReused`, `KeyInProgress`,
    `BadUserInput`, `OperationTooCostly`, `LedgerUnavailable`.
    """
    if not writes:
        return ()
    outcomes = await info.context.writes.together(_asked(info, writes, key))
    info.context.loaders.forget()  # what is read from here on must see what was written
    info.context.note_writes(info, outcomes)
    _tell(info, outcomes)
    return outcomes


async def write_alone(info: InfoLike, write: Write[A]) -> Outcome[A]:
    """Make one write. Its failure is its caller's to raise, and is not added to the errors."""
    (outcome,) = await info.context.writes.together(_asked(info, (write,), None))
    info.context.loaders.forget()
    info.context.note_writes(info, (outcome,))
    if outcome.replayed:
        info.context.note_replayed()
    return outcome


def _asked(info: InfoLike, writes: tuple[Write[Any], ...], key: str | None) -> AskedWrites:
    context = info.context
    checked = _key(context, key)
    seen = _place_seen(info, checked)
    _check_order(context, seen)
    place = next_place(context, info, checked)
    _count(context, seen)
    return AskedWrites(
        writes=writes,
        key=checked,
        caller=context.caller,
        field_name=schema_name(info),
        place=place,
        fields=context.fields_of(info),
        occurrence=_count(context, f"# {schema_name(info)} {checked or ''}"),
        arguments=context.arguments_of(info),
        reads=context.reads_of(place) if checked is not None else None,
        origin=context.origin,
    )


def _check_order(context: WriteContext, seen: str) -> None:
    # Of two tasks, chance decides which one writes first: a request that comes again would be told
    # the one's outcome for the other's, or write the one twice and the other never.
    task = asyncio.current_task()
    if context.writing_tasks.setdefault(seen, task) is not task:
        raise RuntimeError(
            "write_together was called in several tasks of one resolver, so their order is left to"
            " chance. Make it one call of all writes, or calls that follow each other, or give each"
            " a key=... of its own."
        )


def _key(context: WriteContext, key: str | None) -> str | None:
    if key is not None:
        return checked_key(key)
    header = context.idempotency_key
    return key_from_header(header) if header is not None else None


class Counting(Protocol):
    """What counts the calls of `write_together` in a request."""

    @property
    def mutation_fields(self) -> MutableMapping[str, int]: ...


def next_place(context: Counting, info: InfoLike, key: str | None) -> str:
    """What stands for the field's next writes under a key: its response path, so that nothing that
    runs before it moves it; and which of its calls it is."""
    call = context.mutation_fields.get(_place_seen(info, key), 0)
    return f"{path_of(info)}#{call}"


def _place_seen(info: InfoLike, key: str | None) -> str:
    return f"{path_of(info)} {key or ''}"


def path_of(info: InfoLike) -> str:
    """The field's response path."""
    return ".".join(map(str, info.path.as_list()))


def schema_name(info: InfoLike) -> str:
    """The field's name in the schema, whatever the document calls it."""
    return str(getattr(info, "_raw_info", info).field_name)


def _count(context: WriteContext, seen: str) -> int:
    # Of the place under this key: another key's writes must not move the count of this one's.
    count = context.mutation_fields.get(seen, 0)
    context.mutation_fields[seen] = count + 1
    return count


def _tell(info: InfoLike, outcomes: tuple[Outcome[Any], ...]) -> None:
    if all(outcome.replayed for outcome in outcomes):
        info.context.note_replayed()
    for outcome in outcomes:
        if not isinstance(outcome, Succeeded):
            info.context.report(outcome.error, info)
