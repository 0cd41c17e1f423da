"""The ledger in one SQLite file. Several processes on one machine may share it.

All of SQLite runs in one thread of its own, so that no commit holds up the event loop. What has
been asked for while one commit was made is committed together in the next. Every commit is on the
disc when anybody is told of it (WAL with `synchronous = FULL`). WAL needs shared memory, so the
file may not lie on a network file system.

Its time only moves forward: it is never behind what an earlier commit, of whichever process, was
made at.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from msgspec.structs import replace

from plait.errors import LedgerUnavailable
from plait.writes.holders import Holder
from plait.writes.ledger import (
    Decision,
    Entry,
    Resume,
    Start,
    Wanted,
    WriteRecord,
    begun,
    settled,
)
from plait.writes.memory import EXPIRED_KEPT_S
from plait.writes.schema import connected, transaction

R = TypeVar("R")

_COLUMNS = (
    "target, endpoint, key, state, epoch, http_status, code, message, retryable, attempts,"
    ' duration_ms, value, "values"'
)
_ENTRY_COLUMNS = (
    "id, field_name, fingerprint, started_at, expires_at, generation, holder, reads, request, place"
)
_LOAD_ENTRY = f"SELECT {_ENTRY_COLUMNS} FROM entries WHERE id = ?"
_LOAD_WRITES = f"SELECT {_COLUMNS} FROM writes WHERE entry_id = ? ORDER BY position"
_LOAD_WRITE = f"SELECT {_COLUMNS} FROM writes WHERE entry_id = ? AND position = ?"
_SAVE_ENTRY = (
    f"INSERT OR REPLACE INTO entries ({_ENTRY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SAVE_WRITE = (
    f"INSERT OR REPLACE INTO writes (entry_id, position, {_COLUMNS})"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UNFINISHED = "SELECT entry_id FROM writes WHERE state IN ('pending', 'unknown')"
_OVER = (
    f"SELECT id FROM entries WHERE expires_at <= ? AND id NOT IN ({_UNFINISHED})"
    " ORDER BY expires_at LIMIT ?"
)
_FORGET_EXPIRED = "DELETE FROM expired WHERE forget_at <= ?"
_FORGET = "DELETE FROM entries WHERE id = ?"
_LIST_UNFINISHED = f"SELECT id FROM entries WHERE id IN ({_UNFINISHED}) ORDER BY started_at LIMIT ?"
_COUNT_UNFINISHED = f"SELECT count(DISTINCT entry_id) FROM ({_UNFINISHED})"
_OF_REQUEST = "SELECT id FROM entries WHERE request = ? AND request != ''"  # as its index has it
_EXPIRED = "SELECT generation FROM expired WHERE id = ?"
_TIME = "SELECT now FROM clock"
_SET_TIME = "UPDATE clock SET now = ?"
_TOUCH = "UPDATE clock SET now = now"
_REMEMBER = (
    "INSERT OR REPLACE INTO expired (id, generation, forget_at)"
    " SELECT id, generation + 1, ? FROM entries WHERE id = ?"
)

_REASONS = {
    sqlite3.SQLITE_BUSY: "is locked by another process",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_FULL: "has no room left on its disc",
    sqlite3.SQLITE_IOERR: "cannot be read or written",
    sqlite3.SQLITE_NOTADB: "is not a ledger: its file is no database",
    sqlite3.SQLITE_READONLY: "may not be written to",
}


TOGETHER_MAX = 64
"""How many requests are committed together, at most."""
Work: TypeAlias = Callable[[sqlite3.Connection], Any]
"""What is done inside a transaction; it may be done anew where that came to nothing."""


class _Asked:
    """One request to the ledger, and who waits for it."""

    __slots__ = ("error", "future", "result", "until", "work")

    def __init__(self, work: Work, future: "asyncio.Future[Any]", until: float) -> None:
        self.work = work
        self.future = future
        self.until = until
        """How long it waits for other processes, by the monotonic clock."""
        self.result: Any = None
        self.error: BaseException | None = None

    def tell(self) -> None:
        """Tell who waits."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SqliteLedger:
    """A `Ledger` in the file at `path`, which is made when it is first used.

    `busy_s` is how long a request waits for another process's transaction, those that wait before
    it included. After any failure the next use tries again, so a ledger that comes back is used
    again; but not one whose file was taken away: an empty one in its place would forget what was
    written.
    """

    def __init__(self, path: str | Path, *, busy_s: float = 2.0) -> None:
        self._path = str(path)
        self._busy_s = busy_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="plait-ledger")
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        """Device and inode of the file that was opened."""
        self._holder = Holder(Path(self._path))
        self._ahead_s = 0.0
        """How far the ledger's time is ahead of this process's."""
        self._closed = False
        self._waiting: list[_Asked] = []
        self._is_committing = False
        self._under_way: set[asyncio.Future[Any]] = set()

    async def open(self) -> None:
        """Open or make the file now. Raises `LedgerUnavailable`, with the reason."""
        await self._in_thread(self._opened)

    async def begin(self, wanted: Wanted) -> Decision:
        """See `Ledger`."""
        return await self._committed(lambda database: self._begin(database, wanted))

    async def settle(self, entry_id: str, position: int, record: WriteRecord) -> None:
        """See `Ledger`."""
        await self._committed(lambda database: self._settle(database, entry_id, position, record))

    async def recall(self, entry_id: str, now: float) -> bytes | None:
        """See `Ledger`."""
        return await self._committed(lambda database: self._recall(database, entry_id, now))

    async def sweep(self, now: float, entries_max: int) -> int:
        """See `Ledger`."""
        return await self._committed(lambda database: self._sweep(database, now, entries_max))

    async def unfinished(self) -> int:
        """See `Ledger`."""
        return await self._committed(self._unfinished)

    async def unfinished_entries(self, entries_max: int) -> list[Entry]:
        """The entries with a pending or unknown write, the oldest first."""
        return await self._committed(lambda database: self._list(database, entries_max))

    async def forget(self, entry_id: str) -> bool:
        """Forget an entry that somebody has looked into: its key may be used anew, and stands for
        another request then. Whether there was one, and no process was driving it."""
        return await self._committed(lambda database: self._forget(database, entry_id))

    async def check(self) -> None:
        """See `Ledger`."""
        await self._committed(self._check)

    async def close(self) -> None:
        """Close the file, once all that was asked for is done. It cannot be used again."""
        if self._closed:
            return
        try:
            if self._under_way:
                await asyncio.wait(tuple(self._under_way))
            await self._in_thread(self._close)
        finally:
            self._closed = True
            self._thread.shutdown(wait=False)

    async def _committed(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """What `work` returns, once it is committed; with whatever else waits, in one commit. Until
        when it may wait for other processes is counted from here, so that those who stand behind
        each other for one lock do not each wait for it anew."""
        self._check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        self._waiting.append(_Asked(work, future, time.monotonic() + self._busy_s))
        if not self._is_committing:
            self._commit_next()
        return await _translated(future)

    def _commit_next(self) -> None:
        """Have what waits committed. The event loop's."""
        waiting, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
        self._is_committing = bool(waiting)
        if waiting:
            work = asyncio.get_running_loop().run_in_executor(self._thread, self._commit, waiting)
            work.add_done_callback(partial(self._was_committed, waiting))

    def _was_committed(self, done: Sequence[_Asked], work: "asyncio.Future[None]") -> None:
        self._commit_next()  # the thread goes on while those that waited are told
        defect = work.exception()
        for one in done:
            one.error = one.error or defect
            one.tell()

    async def _in_thread(self, work: Callable[[], R]) -> R:
        """What `work` returns, outside a transaction."""
        self._check_open()
        loop = asyncio.get_running_loop()
        return await _translated(loop.run_in_executor(self._thread, work))

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerUnavailable("The ledger of writes is closed.")

    # --- in the thread

    def _commit(self, asked: Sequence[_Asked]) -> None:
        """Do all of it in one transaction. Where that comes to nothing, each by itself: none fails
        for another's sake."""
        asked = [one for one in asked if not one.future.cancelled()]
        while asked:
            try:
                self._do(asked, min(one.until for one in asked))
                return
            except Exception as error:
                if _is_locked(error):  # those that have waited long enough, wait no more
                    now = time.monotonic() + _TICK_S
                    for one in asked:
                        one.error = error if one.until <= now else None
                    asked = [one for one in asked if one.error is None]
                elif len(asked) == 1:
                    asked[0].error = error
                    return
                else:
                    for one in asked:
                        self._commit([one])
                    return

    def _do(self, asked: Sequence[_Asked], until: float) -> None:
        database = self._opened()
        self._check_file()
        left_ms = max(0, int((until - time.monotonic()) * 1000))
        database.execute(f"PRAGMA busy_timeout = {left_ms}")
        with transaction(database):
            for one in asked:
                one.result = one.work(database)

    def _begin(self, database: sqlite3.Connection, wanted: Wanted) -> Decision:
        wanted = replace(wanted, now=self._time(database, wanted.now))
        holder = self._holder
        entries = _Entries(database)
        decision = begun(entries, wanted, holder=holder.name, is_dead=holder.is_dead)
        if isinstance(decision, Start | Resume):
            database.execute(_SET_TIME, (wanted.now,))
        return decision

    def _settle(
        self, database: sqlite3.Connection, entry_id: str, position: int, record: WriteRecord
    ) -> None:
        row = database.execute(_LOAD_WRITE, (entry_id, position)).fetchone()
        if row is not None and (kept := settled(_record(row), record)):
            database.execute(_SAVE_WRITE, (entry_id, position, *_values(kept)))

    def _recall(self, database: sqlite3.Connection, entry_id: str, now: float) -> bytes | None:
        entry = _load(database, entry_id)
        if entry is None or entry.is_over(self._time(database, now)):
            return None
        return entry.reads

    def _sweep(self, database: sqlite3.Connection, now: float, entries_max: int) -> int:
        now = self._time(database, now)
        database.execute(_FORGET_EXPIRED, (now,))
        over = [row[0] for row in database.execute(_OVER, (now, entries_max))]
        for id_ in over:
            database.execute(_REMEMBER, (now + EXPIRED_KEPT_S, id_))
            database.execute(_FORGET, (id_,))
        return len(over)

    def _unfinished(self, database: sqlite3.Connection) -> int:
        return int(database.execute(_COUNT_UNFINISHED).fetchone()[0])

    def _list(self, database: sqlite3.Connection, entries_max: int) -> list[Entry]:
        ids = database.execute(_LIST_UNFINISHED, (entries_max,)).fetchall()
        return [entry for (id_,) in ids if (entry := _load(database, id_)) is not None]

    def _forget(self, database: sqlite3.Connection, entry_id: str) -> bool:
        entry = _load(database, entry_id)
        if entry is None:
            return False
        is_pending = any(write.state == "pending" for write in entry.writes)
        if is_pending and not self._holder.is_dead(entry.holder):
            return False
        now = self._time(database, time.time())
        database.execute(_REMEMBER, (now + EXPIRED_KEPT_S, entry_id))
        database.execute(_FORGET, (entry_id,))
        return True

    def _check(self, database: sqlite3.Connection) -> None:
        database.execute(_TOUCH)  # a write: a full disc shows only then

    def _close(self) -> None:
        self._holder.close()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _time(self, database: sqlite3.Connection, now: float) -> float:
        told = float(database.execute(_TIME).fetchone()[0])
        self._ahead_s = max(self._ahead_s, told - now)
        return now + self._ahead_s

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            self._check_file()
            _make_private_file(Path(self._path))
            self._holder.open()
            self._database = connected(self._path, self._busy_s)
            self._file = self._on_disc()
        return self._database

    def _on_disc(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _check_file(self) -> None:
        if self._file is not None and self._on_disc() != self._file:
            raise LedgerUnavailable(
                "The ledger of writes is gone: its file was removed or replaced while it was in "
                "use. Put it back, or restart the gateway to begin a new one."
            )


_TICK_S = 0.002
"""SQLite waits in whole milliseconds."""


def _is_locked(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, sqlite3.Error) and code == sqlite3.SQLITE_BUSY


async def _translated(future: "asyncio.Future[R]") -> R:
    """What it brings. Raises `LedgerUnavailable` for what SQLite and the file system raise."""
    try:
        return await future
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"The ledger of writes {_reason(error)}.") from error
    except OSError as error:
        raise LedgerUnavailable("The ledger of writes cannot be opened.") from error


def _make_private_file(path: Path) -> None:
    """Replies of backends lie in it: only the owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Never opened where it exists: POSIX drops all of a process's locks on a file with any `close`.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


class _Entries:
    """See `Entries`: those of one transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def load(self, entry_id: str) -> Entry | None:
        return _load(self._database, entry_id)

    def of_request(self, request: str) -> Iterator[Entry]:
        for (id_,) in self._database.execute(_OF_REQUEST, (request,)).fetchall():
            if (entry := _load(self._database, id_)) is not None:
                yield entry

    def generation(self, entry_id: str) -> int:
        row = self._database.execute(_EXPIRED, (entry_id,)).fetchone()
        return int(row[0]) if row else 0

    def save(self, entry: Entry) -> None:
        _save(self._database, entry)


def _load(database: sqlite3.Connection, entry_id: str) -> Entry | None:
    row = database.execute(_LOAD_ENTRY, (entry_id,)).fetchone()
    if row is None:
        return None
    id_, field_name, fingerprint, started_at, expires_at, *more = row
    generation, holder, reads, request, place = more
    return Entry(
        id=id_,
        field_name=field_name,
        fingerprint=fingerprint,
        started_at=started_at,
        expires_at=expires_at,
        generation=generation,
        holder=holder,
        reads=reads,
        request=request,
        place=place,
        writes=tuple(map(_record, database.execute(_LOAD_WRITES, (entry_id,)))),
    )


def _save(database: sqlite3.Connection, entry: Entry) -> None:
    values = (
        entry.id,
        entry.field_name,
        entry.fingerprint,
        entry.started_at,
        entry.expires_at,
        entry.generation,
        entry.holder,
        entry.reads,
        entry.request,
        entry.place,
    )
    database.execute(_SAVE_ENTRY, values)
    rows = [(entry.id, position, *_values(write)) for position, write in enumerate(entry.writes)]
    database.executemany(_SAVE_WRITE, rows)


def _record(row: tuple[Any, ...]) -> WriteRecord:
    target, endpoint, key, state, epoch, http_status, code, message, retryable, *rest = row
    attempts, duration_ms, value, values = rest
    return WriteRecord(
        target=target,
        endpoint=endpoint,
        key=key,
        state=state,
        epoch=epoch,
        http_status=http_status,
        code=code,
        message=message,
        retryable=bool(retryable),
        attempts=attempts,
        duration_ms=duration_ms,
        value=value,
        values=values,
    )


def _values(record: WriteRecord) -> tuple[object, ...]:
    """In the order of `_COLUMNS`."""
    return (
        record.target,
        record.endpoint,
        record.key,
        record.state,
        record.epoch,
        record.http_status,
        record.code,
        record.message,
        record.retryable,
        record.attempts,
        record.duration_ms,
        record.value,
        record.values,
    )


def _reason(error: sqlite3.Error) -> str:
    # SQLite's own message may hold the file's path; the low byte of its code is the kind of error.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _REASONS.get(code, "cannot be used")
