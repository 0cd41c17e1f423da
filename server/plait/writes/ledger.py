"""What the ledger knows of writes and how that changes. Pure: a store runs it in its transactions.

An entry stands for the writes of one mutation field under one key. Each write goes

    pending ──> succeeded                                    final
       │ └────> failed      final, unless it may be tried again
       └──────> unknown     final, unless sending it again cannot do it twice

`pending` is committed before the first byte leaves, so a write that may have been sent is always
known. A driven write is pending again, in the next epoch: what a slow earlier attempt still reports
is recognised by its older one.

`decide` says what is to be done about a request:

    the ledger has, under this key                         decision
    -----------------------------------------------------  --------------------------------
    nothing, or an entry that has expired                  Start     all writes
    an entry with another fingerprint                      Conflict
    writes pending since less than the lease               InProgress
    only writes with a final outcome                       Replay
    a write that failed and may be tried again             Resume    it
    an unknown write, or one pending for longer than the   Resume    it, in doubt, if repeatable
    lease (its process is gone)                            else it stays or becomes unknown
"""

from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

State: TypeAlias = Literal["pending", "succeeded", "failed", "unknown"]

LOST = "The gateway stopped before the write's outcome was recorded. It may have taken effect."


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRecord:
    """What the ledger holds of one write."""

    target: str
    endpoint: str
    key: str
    """What the backend gets as `Idempotency-Key`."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The writes of one mutation field under one key. Times are seconds since 1970."""

    id: str
    field_name: str
    fingerprint: str
    started_at: float
    """When it was last driven."""
    expires_at: float
    writes: tuple[WriteRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A write that is wanted."""

    target: str
    endpoint: str
    key: str
    repeatable: bool
    """Whether sending it again cannot do it twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request's wish to make writes."""

    id: str
    field_name: str
    fingerprint: str
    now: float
    lease_s: float
    expiry_s: float
    intents: tuple[Intent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One write to be sent now. `in_doubt`: an earlier attempt may have taken effect."""

    position: int
    in_doubt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """New: send all. `entry` is to be committed first."""

    entry: Entry
    drives: tuple[Drive, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Unfinished: send what `drives` names, replay the rest. `entry` is to be committed first."""

    entry: Entry
    drives: tuple[Drive, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Nothing to send: `entry` has the outcomes. It may have changed and is to be committed."""

    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """The key was used with another payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InProgress:
    """The same request is running, for `since_s` seconds."""

    since_s: float


Decision: TypeAlias = Start | Resume | Replay | Conflict | InProgress


class Ledger(Protocol):
    """A store of entries. Every method raises `LedgerUnavailable`; nothing has changed then."""

    async def begin(self, wanted: Wanted) -> Decision:
        """Run `decide` and commit its entry, as one step that nothing else comes between."""
        ...

    async def settle(self, entry_id: str, position: int, record: WriteRecord) -> None:
        """Commit what `settled` makes of an outcome. An entry that is gone stays gone."""
        ...

    async def sweep(self, now: float, entries_max: int) -> int:
        """Forget up to `entries_max` expired entries, the oldest first. How many it was."""
        ...

    async def close(self) -> None:
        """Give up files and connections."""
        ...


def decide(entry: Entry | None, wanted: Wanted) -> Decision:
    """What is to be done about `wanted`, given what the ledger has under its id."""
    if entry is None:
        return _start(wanted, epoch=1)
    running = _is_running(entry, wanted)
    if entry.expires_at <= wanted.now and not running:
        return _start(wanted, epoch=1 + max(write.epoch for write in entry.writes))
    if entry.fingerprint != wanted.fingerprint:
        return Conflict()
    if running:
        return InProgress(since_s=max(0.0, wanted.now - entry.started_at))
    return _resume(entry, wanted)


def settled(held: WriteRecord, outcome: WriteRecord) -> WriteRecord | None:
    """The record to keep once `outcome` is known, or `None` when what is held is better.

    A success is a fact, whichever attempt reports it. Anything else an older epoch has to say was
    overtaken when the write was driven again.
    """
    if held.state == "succeeded":
        return None
    if outcome.state == "succeeded" or outcome.epoch >= held.epoch:
        return replace(outcome, epoch=max(held.epoch, outcome.epoch))
    return None


def _is_running(entry: Entry, wanted: Wanted) -> bool:
    pending = any(write.state == "pending" for write in entry.writes)
    return pending and wanted.now - entry.started_at < wanted.lease_s


def _start(wanted: Wanted, *, epoch: int) -> Start:
    entry = Entry(
        id=wanted.id,
        field_name=wanted.field_name,
        fingerprint=wanted.fingerprint,
        started_at=wanted.now,
        expires_at=wanted.now + wanted.expiry_s,
        writes=tuple(
            WriteRecord(target=it.target, endpoint=it.endpoint, key=it.key, epoch=epoch)
            for it in wanted.intents
        ),
    )
    return Start(entry=entry, drives=tuple(Drive(position=i) for i in range(len(entry.writes))))


def _resume(entry: Entry, wanted: Wanted) -> Resume | Replay:
    drives: list[Drive] = []
    writes: list[WriteRecord] = []
    for position, (write, intent) in enumerate(zip(entry.writes, wanted.intents, strict=True)):
        if drive := _drive(position, write, intent):
            drives.append(drive)
            writes.append(_driven(write))
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
    if write.state in ("pending", "unknown") and intent.repeatable:
        return Drive(position=position, in_doubt=True)
    return None


def _driven(write: WriteRecord) -> WriteRecord:
    return WriteRecord(
        target=write.target, endpoint=write.endpoint, key=write.key, epoch=write.epoch + 1
    )


def _lost(write: WriteRecord) -> WriteRecord:
    return replace(write, state="unknown", code="BACKEND_ERROR", message=LOST)
