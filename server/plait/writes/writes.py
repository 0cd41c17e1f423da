"""Makes writes: records the intent, sends all at once, records each outcome as it is known.

A write that has begun is carried to its end, whether or not the client still waits: its task
belongs to `Writes`, not to the request. Were it cancelled with the request, every impatient client
would leave an unknown outcome behind.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, assert_never

from msgspec.structs import replace

from plait.backend.numbers import decode
from plait.clock import Clock
from plait.emit import Events
from plait.errors import KeyInProgress, KeyMissing, KeyReused, LedgerUnavailable, PlaitError
from plait.events import FieldFailed, WriteSettled
from plait.writes.ledger import (
    Conflict,
    Drive,
    Entry,
    InProgress,
    Ledger,
    Replay,
    Resume,
    Start,
    Wanted,
    WriteRecord,
)
from plait.writes.outcome import Failed, Outcome, Succeeded, Unknown
from plait.writes.plan import AskedWrites, plan
from plait.writes.records import (
    converted,
    outcome_of,
    record_of,
    replayed,
    say_who_may_ask_again,
    unreadable,
)
from plait.writes.write import SendWrite, Write, WriteReply

R = TypeVar("R")
Outcomes: TypeAlias = tuple[Outcome[Any], ...]

POLL_S = 0.05
"""How often a request that waits for its twin looks for it in the ledger."""
RECORD_AGAIN_S = (0.05, 5.0)
"""How long, at first and at most, until an outcome that the ledger did not take is given to it
again."""


class Writes:
    """Makes the writes of all requests of this process. Made in the app's lifespan, closed with it.

    `expiry_s` is how long a key is remembered, from when its writes were last driven. `wait_s` is
    how long a request waits for its twin under the same key before it is told that one is running.
    `lease_s` is how long a write counts as running where nobody can tell whether its process lives.
    It must be longer than the longest write: a slower one is taken for lost. The ledger stays its
    maker's to close.

    Its time is the wall's when it is made, and from then on the monotonic clock's: a clock that is
    set must not make keys expire, or leases last.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        send: SendWrite,
        clock: Clock,
        events: Events,
        require_key: bool = False,
        expiry_s: float = 86_400.0,
        wait_s: float = 0.0,
        lease_s: float = 60.0,
    ) -> None:
        self._ledger = ledger
        self._send = send
        self._clock = clock
        self._events = events
        self._require_key = require_key
        self._expiry_s = expiry_s
        self._wait_s = wait_s
        self._lease_s = lease_s
        self._since_1970_s = clock.wall() - clock.now()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unrecorded: dict[tuple[str, int], WriteRecord] = {}
        """Outcomes that the ledger did not take, by entry and position."""
        self._recorder: asyncio.Task[None] | None = None
        self._closing = False

    async def together(self, asked: AskedWrites) -> Outcomes:
        """Make the writes, or replay what came of them. One outcome for each, in their order.

        Raises, when nothing was sent: `KeyMissing`, `KeyReused`, `KeyInProgress`, `BadUserInput`,
        `OperationTooCostly`, `LedgerUnavailable`.
        """
        budget = asked.origin.budget
        if budget is not None:  # before anything is sent: a write must not be cut off half-way
            budget.check_calls(len(asked.writes))
        wanted = self._wanted(asked)
        give_up = self._give_up(asked)
        while True:
            outcomes = await self._owned(self._attempt(asked, wanted))
            if not isinstance(outcomes, InProgress):
                for write, outcome in zip(asked.writes, outcomes, strict=True):
                    say_who_may_ask_again(write, outcome, has_key=asked.key is not None)
                return outcomes
            left_s = give_up - self._clock.now()
            if left_s <= 0:
                raise KeyInProgress(
                    "A request with this Idempotency-Key is running. Ask again with the same key.",
                    retry_after_s=_ask_again_s(outcomes),
                )
            await self._clock.sleep(min(POLL_S, left_s))

    async def recall(self, entry_id: str) -> bytes | None:
        """What the resolver of an earlier request with the same key had read, as JSON. Raises
        `LedgerUnavailable`."""
        return await self._ledger.recall(entry_id, self._now())

    async def sweep(self, entries_max: int = 1_000) -> int:
        """Forget up to `entries_max` expired keys. How many it was. Raises `LedgerUnavailable`."""
        return await self._ledger.sweep(self._now(), entries_max)

    async def close(self, timeout_s: float) -> None:
        """Take no more writes; wait for those that are out, and cancel them after `timeout_s`.

        What is cancelled stays pending in the ledger, and counts as lost once its lease is over.
        """
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        unfinished = tuple(self._tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        if self._recorder is not None:
            self._recorder.cancel()
            await asyncio.gather(self._recorder, return_exceptions=True)
        with contextlib.suppress(LedgerUnavailable):  # the log has told of them
            await self._record_again(None)

    def _wanted(self, asked: AskedWrites) -> Wanted:
        if asked.key is None and self._require_key:
            raise KeyMissing("This mutation needs an Idempotency-Key header, and none was sent.")
        if self._closing:
            raise LedgerUnavailable("The gateway is stopping and takes no more writes.")
        return plan(asked, now=self._now(), lease_s=self._lease_s, expiry_s=self._expiry_s)

    def _now(self) -> float:
        """Seconds since 1970, never set back or forward."""
        return self._since_1970_s + self._clock.now()

    def _give_up(self, asked: AskedWrites) -> float:
        """Until when to wait for a twin: within the request's deadline."""
        until = self._clock.now() + self._wait_s
        deadline = asked.origin.deadline
        return until if deadline is None else min(until, deadline)

    async def _owned(self, work: Coroutine[Any, Any, R]) -> R:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: the request that would have got it may be gone

    async def _attempt(self, asked: AskedWrites, wanted: Wanted) -> Outcomes | InProgress:
        """The outcomes, unless the same request is running elsewhere."""
        # What this process knows of the entry and the ledger does not is told first.
        await self._record_again(wanted.id)
        decision = await self._ledger.begin(replace(wanted, now=self._now()))
        match decision:
            case Start(entry=entry, drives=drives) | Resume(entry=entry, drives=drives):
                return await self._driven(asked, entry, drives)
            case Replay(entry=entry):
                return await self._driven(asked, entry, ())
            case Conflict(writes_differ=differ):
                raise KeyReused(_OTHER_WRITES if differ else _OTHER_PAYLOAD)
            case InProgress():
                return decision
            case _:
                assert_never(decision)

    async def _driven(
        self, asked: AskedWrites, entry: Entry, drives: tuple[Drive, ...]
    ) -> Outcomes:
        """Send what is to be sent, all at once; the ledger tells the rest."""
        if asked.origin.budget is not None:
            asked.origin.budget.calls += len(drives)
        outcomes = await _together([self._made(asked, entry, it) for it in drives])
        sent = {it.position: outcome for it, outcome in zip(drives, outcomes, strict=True)}
        return tuple(
            self._converted(asked, write, sent.get(position) or replayed(write, record))
            for position, (write, record) in enumerate(zip(asked.writes, entry.writes, strict=True))
        )

    async def _made(self, asked: AskedWrites, entry: Entry, drive: Drive) -> Outcome[Any]:
        write, record = asked.writes[drive.position], entry.writes[drive.position]
        if record.values is not None:  # as it was asked for first, whatever is computed now
            write = replace(write, values=decode(record.values))
        start = self._clock.now()
        result = await self._sent(asked, write, record.key)
        outcome = outcome_of(
            write,
            record.key,
            result,
            in_doubt=drive.in_doubt,
            duration_ms=(self._clock.now() - start) * 1000,
        )
        await self._record(asked, entry, drive.position, outcome)
        self._events.emit(_event(asked, write, outcome))
        return outcome

    async def _sent(
        self, asked: AskedWrites, write: Write[Any], key: str
    ) -> WriteReply | Exception:
        try:
            return await self._send(write, key if write.honours_keys else None, asked.origin)
        except Exception as error:
            self._tell_the_truth(asked, error)
            return error

    def _converted(
        self, asked: AskedWrites, write: Write[Any], outcome: Outcome[Any]
    ) -> Outcome[Any]:
        try:
            return converted(write, outcome)
        except Exception as error:
            self._tell_the_truth(asked, error)
            return unreadable(write, outcome, error)

    def _tell_the_truth(self, asked: AskedWrites, error: Exception) -> None:
        """Outcomes mask what is no error of ours; operators need to see it."""
        if not isinstance(error, PlaitError):
            request_id = asked.origin.request_id
            self._events.emit(
                FieldFailed(request_id=request_id, path=asked.field_name, error=error)
            )

    async def _record(
        self, asked: AskedWrites, entry: Entry, position: int, outcome: Outcome[Any]
    ) -> None:
        """Record `outcome`. When that fails the caller still gets it, the log says so, and the
        process remembers it until the ledger takes it."""
        record: WriteRecord | None = None
        try:
            record = record_of(outcome, epoch=entry.writes[position].epoch)
            await self._ledger.settle(entry.id, position, record)
        except PlaitError as error:
            if record is not None:
                self._unrecorded[entry.id, position] = record
                self._keep_recording()
            logging.getLogger("plait").error(
                "Request %s: the outcome '%s' of %s on %s could not be recorded: %s",
                asked.origin.request_id,
                _name(outcome),
                outcome.endpoint,
                outcome.target,
                error,
            )

    def _keep_recording(self) -> None:
        if not self._closing and (self._recorder is None or self._recorder.done()):
            self._recorder = asyncio.create_task(self._recording())

    async def _recording(self) -> None:
        """Give the ledger what it did not take, until it has taken it."""
        delay_s, longest_s = RECORD_AGAIN_S
        while self._unrecorded:
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, longest_s)
            with contextlib.suppress(LedgerUnavailable):
                await self._record_again(None)

    async def _record_again(self, entry_id: str | None) -> None:
        """Record what is not yet recorded of an entry, or of all. Raises `LedgerUnavailable`."""
        for key, record in list(self._unrecorded.items()):
            if entry_id in (None, key[0]):
                await self._ledger.settle(*key, record)
                self._unrecorded.pop(key, None)


async def _together(work: Sequence[Coroutine[Any, Any, R]]) -> list[R]:
    """The results of what is done at the same time: the first without a task of its own. Where one
    fails, which only a defect does, or all of it is cancelled, none is left behind."""
    if not work:
        return []
    tasks = [asyncio.create_task(one) for one in work[1:]]
    try:
        return [await work[0], *[await task for task in tasks]]
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


_OTHER_PAYLOAD = "This Idempotency-Key was used before, with another payload."
_OTHER_WRITES = (
    "This Idempotency-Key was used before, and the same request made other writes then: the graph "
    "has changed since."
)


def _ask_again_s(running: InProgress) -> float:
    """When to look again at what is running: after as long as it has been, for most end soon; and
    at the latest when it counts as lost."""
    return min(max(1.0, running.since_s), max(1.0, running.left_s))


def _event(asked: AskedWrites, write: Write[Any], outcome: Outcome[Any]) -> WriteSettled:
    return WriteSettled(
        request_id=asked.origin.request_id,
        trace_id=asked.origin.trace_id,
        backend=write.endpoint.backend.name,
        endpoint=outcome.endpoint,
        outcome=_name(outcome),
        error_code=outcome.code,
        attempts=outcome.attempts,
        duration_ms=outcome.duration_ms,
    )


def _name(outcome: Outcome[Any]) -> Literal["succeeded", "failed", "unknown"]:
    match outcome:
        case Succeeded():
            return "succeeded"
        case Failed():
            return "failed"
        case Unknown():
            return "unknown"
        case _:
            assert_never(outcome)
