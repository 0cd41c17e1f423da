"""What the ledger knows of writes and how that changes. Pure: a store runs it in its transactions.

An entry stands for the writes of one place in a request under one key. Each write goes

    pending ──> succeeded                                    final
       │ └────> failed      final, unless it may be tried again
       └──────> unknown     final, unless sending it again cannot do it twice

`pending` is committed, with what is to be sent, before the first byte leaves, so a write that may
have been sent is always known. A driven write is pending again, in the next epoch: what a slow
earlier attempt still reports is recognised by its older one. What is sent again is what was
committed first, whatever the resolver computes by then.

`decide` says what is to be done about a request:

    the ledger has, under this key                         decision
    -----------------------------------------------------  --------------------------------
    nothing, or a finished entry that has expired          Start     all writes
    an entry with another fingerprint, or other writes     Conflict
    writes pending since less than the lease, of a         InProgress
    process that may be alive
    only writes with a final outcome                       Replay
    a write that failed and may be tried again             Resume    it
    an unknown write, or one pending whose process is      Resume    it, in doubt, if repeatable
    gone                                                   else it stays or becomes unknown

An entry with a pending or unknown write is not finished, and does not expire.
"""

from collections.abc import Callable, Iterable
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from plait.writes.idempotency import write_key

State: TypeAlias = Literal["pending", "succeeded", "failed", "unknown"]

LOST = "The gateway stopped before the write's outcome was recorded. It may have taken effect."
UNFINISHED: frozenset[State] = frozenset({"pending", "unknown"})


class WriteRecord(Struct, frozen=True, kw_only=True, gc=False):
    """What the ledger holds of one write."""

    target: str
    endpoint: str
    key: str
    """What the backend gets as its idempotency key."""
    state: State = "pending"
    epoch: int = 1
    """How often it was driven."""
    http_status: int | None = None
    code: str | None = None
    message: str = ""
    retryable: bool = False
    attempts: int = 0
    duration_ms: float = 0.0
    value: bytes | None = None
    """JSON; only of a success."""
    values: bytes | None = None
    """JSON: the parameters' values that are sent. `None` in entries of the first schema."""


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """The writes of one place under one key. Times are seconds since 1970."""

    id: str
    field_name: str
    fingerprint: str
    started_at: float
    """When it was last driven."""
    expires_at: float
    generation: int = 0
    """How often its key expired before and was used again."""
    holder: str = ""
    """The process that drives it."""
    reads: bytes | None = None
    """JSON: what the resolver had read before it asked for the writes."""
    request: str = ""
    """What all entries under the caller's key have in common."""
    place: str = ""
    """The field's response path, and which of its calls this is: `a#0`."""
    writes: tuple[WriteRecord, ...]

    @property
    def is_finished(self) -> bool:
        """Whether every write has succeeded or failed."""
        return all(write.state not in UNFINISHED for write in self.writes)

    def is_over(self, now: float) -> bool:
        """Whether its key may be used anew."""
        return self.expires_at <= now and self.is_finished


class Intent(Struct, frozen=True, kw_only=True, gc=False):
    """A write that is wanted."""

    target: str
    endpoint: str
    values: bytes
    """JSON."""
    repeatable: bool
    """Whether sending it again cannot do it twice."""


class Wanted(Struct, frozen=True, kw_only=True):
    """A request's wish to make writes."""

    id: str
    field_name: str
    fingerprint: str
    now: float
    lease_s: float
    expiry_s: float
    intents: tuple[Intent, ...]
    reads: bytes | None = None
    request: str = ""
    place: str = ""
    fields: frozenset[str] = frozenset()
    """The keys in the answer of all fields of the operation."""
    former_id: str | None = None
    """What an entry of the first schema would be called."""
    former_fingerprint: str | None = None


class Drive(Struct, frozen=True, kw_only=True):
    """One write to be sent now. `in_doubt`: an earlier attempt may have taken effect."""

    position: int
    in_doubt: bool = False


class Start(Struct, frozen=True, kw_only=True):
    """New: send all. `entry` is to be committed first."""

    entry: Entry
    drives: tuple[Drive, ...]


class Resume(Struct, frozen=True, kw_only=True):
    """Unfinished: send what `drives` names, replay the rest. `entry` is to be committed first."""

    entry: Entry
    drives: tuple[Drive, ...]


class Replay(Struct, frozen=True, kw_only=True):
    """Nothing to send: `entry` has the outcomes. It may have changed and is to be committed."""

    entry: Entry


class Conflict(Struct, frozen=True, kw_only=True):
    """The key was used with another payload; or, where `writes_differ`, the same request makes
    other writes than it did then."""

    writes_differ: bool = False


class InProgress(Struct, frozen=True, kw_only=True):
    """The same request has been running for `since_s` seconds, and counts as running for
    `left_s`."""

    since_s: float
    left_s: float


Decision: TypeAlias = Start | Resume | Replay | Conflict | InProgress


class Ledger(Protocol):
    """A store of entries. Every method raises `LedgerUnavailable`; nothing has changed then."""

    async def begin(self, wanted: Wanted) -> Decision:
        """Run `decide` and commit its entry, as one step that nothing else comes between."""
        ...

    async def settle(self, entry_id: str, position: int, record: WriteRecord) -> None:
        """Commit what `settled` makes of an outcome. An entry that is gone stays gone."""
        ...

    async def recall(self, entry_id: str, now: float) -> bytes | None:
        """What the resolver of an entry that is not over had read."""
        ...

    async def sweep(self, now: float, entries_max: int) -> int:
        """Forget up to `entries_max` entries that are over, the oldest first. How many it was."""
        ...

    async def unfinished(self) -> int:
        """How many entries have a pending or unknown write."""
        ...

    async def check(self) -> None:
        """Whether writes could be recorded now."""
        ...

    async def close(self) -> None:
        """Give up files and connections."""
        ...


class Entries(Protocol):
    """Where a ledger keeps its entries, in the middle of one step that nothing comes between."""

    def load(self, entry_id: str) -> Entry | None:
        """The entry of that id."""
        ...

    def of_request(self, request: str) -> Iterable[Entry]:
        """The entries that have it in common."""
        ...

    def generation(self, entry_id: str) -> int:
        """How often its key expired, where its entry is gone."""
        ...

    def save(self, entry: Entry) -> None:
        """Keep it, in place of what was kept under its id."""
        ...


def begun(
    entries: Entries, wanted: Wanted, *, holder: str, is_dead: Callable[[str], bool]
) -> Decision:
    """Decide about `wanted`, whose time is the ledger's, and keep what follows. `holder` is the
    process that asks; `is_dead` tells whether another one is known to have ended."""
    before = entries.load(wanted.id)
    if before is None:
        wanted, before = _otherwise_named(entries, wanted)
    decision = decide(
        before,
        wanted,
        generation=entries.generation(wanted.id) if before is None else 0,
        is_abandoned=before is not None and is_dead(before.holder),
    )
    match decision:
        case Start(entry=entry) | Resume(entry=entry):
            held = replace(entry, holder=holder)
            entries.save(held)
            return replace(decision, entry=held)
        case Replay(entry=entry):
            if entry != before:
                entries.save(entry)
        case Conflict() | InProgress():
            pass
    return decision


def _otherwise_named(entries: Entries, wanted: Wanted) -> tuple[Wanted, Entry | None]:
    """The entry of `wanted` under another alias, or as the first schema called it, while it
    counts."""
    if not wanted.request:
        return wanted, None
    if (same := renamed(wanted, entries.of_request(wanted.request))) is not None:
        return replace(wanted, id=same.id), same
    former = entries.load(wanted.former_id or "")
    if former is None or former.is_over(wanted.now):
        return wanted, None
    return replace(wanted, id=former.id, fingerprint=wanted.former_fingerprint or ""), former


def decide(
    entry: Entry | None, wanted: Wanted, *, generation: int = 0, is_abandoned: bool = False
) -> Decision:
    """What is to be done about `wanted`, given what the ledger has under its id.

    `generation` is how often the key expired before, where the entry itself is gone.
    `is_abandoned` tells that the process that drove the entry is known to be dead.
    """
    if entry is None:
        return _start(wanted, generation=generation, epoch=1)
    if entry.is_over(wanted.now):
        epoch = 1 + max(write.epoch for write in entry.writes)
        return _start(wanted, generation=entry.generation + 1, epoch=epoch)
    if entry.fingerprint != wanted.fingerprint:
        return Conflict()
    if not _are_the_same(entry, wanted):
        return Conflict(writes_differ=True)
    since_s = max(0.0, wanted.now - entry.started_at)
    is_pending = any(write.state == "pending" for write in entry.writes)
    if is_pending and not is_abandoned and since_s < wanted.lease_s:
        return InProgress(since_s=since_s, left_s=wanted.lease_s - since_s)
    return _resume(entry, wanted)


def renamed(wanted: Wanted, entries: Iterable[Entry]) -> Entry | None:
    """The entry of the same field under another alias: an alias changes no write, so a request that
    comes again with another one must not make them again. `entries` are those of its key."""
    _, _, call = wanted.place.rpartition("#")
    for entry in entries:
        path, _, entry_call = entry.place.rpartition("#")
        is_same = entry.fingerprint == wanted.fingerprint and entry_call == call
        if (
            is_same
            and path.partition(".")[0] not in wanted.fields
            and not entry.is_over(wanted.now)
        ):
            return entry
    return None


def settled(held: WriteRecord, outcome: WriteRecord) -> WriteRecord | None:
    """The record to keep once `outcome` is known, or `None` when what is held is better.

    A success is a fact, whichever attempt reports it. Anything else an older epoch has to say was
    overtaken when the write was driven again.
    """
    if held.state == "succeeded":
        return None
    if outcome.state == "succeeded" or outcome.epoch >= held.epoch:
        epoch = max(held.epoch, outcome.epoch)
        return replace(outcome, epoch=epoch, key=held.key, values=held.values)
    return None


def _are_the_same(entry: Entry, wanted: Wanted) -> bool:
    held = [(write.target, write.endpoint) for write in entry.writes]
    return held == [(intent.target, intent.endpoint) for intent in wanted.intents]


def _start(wanted: Wanted, *, generation: int, epoch: int) -> Start:
    entry = Entry(
        id=wanted.id,
        field_name=wanted.field_name,
        fingerprint=wanted.fingerprint,
        started_at=wanted.now,
        expires_at=wanted.now + wanted.expiry_s,
        generation=generation,
        reads=wanted.reads,
        request=wanted.request,
        place=wanted.place,
        writes=tuple(
            WriteRecord(
                target=one.target,
                endpoint=one.endpoint,
                key=write_key(wanted.id, generation, position, one.target, one.endpoint),
                epoch=epoch,
                values=one.values,
            )
            for position, one in enumerate(wanted.intents)
        ),
    )
    return Start(entry=entry, drives=tuple(Drive(position=i) for i in range(len(entry.writes))))


def _resume(entry: Entry, wanted: Wanted) -> Resume | Replay:
    drives: list[Drive] = []
    writes: list[WriteRecord] = []
    for position, (write, intent) in enumerate(zip(entry.writes, wanted.intents, strict=True)):
        if drive := _drive(position, write, intent):
            drives.append(drive)
            writes.append(_driven(write, intent))
        else:
            writes.append(_lost(write) if write.state == "pending" else write)
    if not drives:
        return Replay(entry=replace(entry, writes=tuple(writes)))
    return Resume(
        entry=replace(
            entry,
            started_at=wanted.now,
            expires_at=wanted.now + wanted.expiry_s,
            writes=tuple(writes),
        ),
        drives=tuple(drives),
    )


def _drive(position: int, write: WriteRecord, intent: Intent) -> Drive | None:
    if write.state == "failed" and write.retryable:
        return Drive(position=position)
    if write.state in UNFINISHED and intent.repeatable:
        return Drive(position=position, in_doubt=True)
    return None


def _driven(write: WriteRecord, intent: Intent) -> WriteRecord:
    return WriteRecord(
        target=write.target,
        endpoint=write.endpoint,
        key=write.key,
        epoch=write.epoch + 1,
        values=intent.values if write.values is None else write.values,
    )


def _lost(write: WriteRecord) -> WriteRecord:
    return replace(write, state="unknown", code="BACKEND_ERROR", message=LOST)
