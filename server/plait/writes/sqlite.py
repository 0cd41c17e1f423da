"""The ledger in one SQLite file. Several processes on one machine may share it.

All of SQLite runs in one thread of its own, so that no commit holds up the event loop. Every
commit is on the disc when it returns (WAL with `synchronous = FULL`). WAL needs shared memory, so
the file may not lie on a network file system.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from plait.errors import LedgerUnavailable
from plait.writes.ledger import (
    Decision,
    Entry,
    Replay,
    Resume,
    Start,
    Wanted,
    WriteRecord,
    decide,
    settled,
)
from plait.writes.schema import connected, transaction

R = TypeVar("R")

_COLUMNS = (
    "target, endpoint, key, state, epoch, http_status, code, message, retryable, attempts,"
    " duration_ms, value"
)
_LOAD_ENTRY = "SELECT id, field_name, fingerprint, started_at, expires_at FROM entries WHERE id = ?"
_LOAD_WRITES = f"SELECT {_COLUMNS} FROM writes WHERE entry_id = ? ORDER BY position"
_LOAD_WRITE = f"SELECT {_COLUMNS} FROM writes WHERE entry_id = ? AND position = ?"
_SAVE_ENTRY = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)"
_SAVE_WRITE = (
    f"INSERT OR REPLACE INTO writes (entry_id, position, {_COLUMNS})"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SWEEP = (
    "DELETE FROM entries WHERE id IN"
    " (SELECT id FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)"
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


class SqliteLedger:
    """A `Ledger` in the file at `path`, which is made when it is first used. `:memory:` works too.

    `busy_s` is how long a transaction waits for another process's. After any failure the next use
    tries again, so a ledger that comes back is used again.
    """

    def __init__(self, path: str | Path, *, busy_s: float = 2.0) -> None:
        self._path = str(path)
        self._busy_s = busy_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="plait-ledger")
        self._database: sqlite3.Connection | None = None
        self._closed = False

    async def open(self) -> None:
        """Open or make the file now. Raises `LedgerUnavailable`, with the reason."""
        await self._in_thread(self._opened)

    async def begin(self, wanted: Wanted) -> Decision:
        """See `Ledger`."""
        return await self._in_thread(lambda: self._begin(wanted))

    async def settle(self, entry_id: str, position: int, record: WriteRecord) -> None:
        """See `Ledger`."""
        await self._in_thread(lambda: self._settle(entry_id, position, record))

    async def sweep(self, now: float, entries_max: int) -> int:
        """See `Ledger`."""
        return await self._in_thread(lambda: self._sweep(now, entries_max))

    async def close(self) -> None:
        """Close the file, once all that was asked for is done. It cannot be used again."""
        if self._closed:
            return
        try:
            await self._in_thread(self._close)
        finally:
            self._closed = True
            self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], R]) -> R:
        if self._closed:
            raise LedgerUnavailable("The ledger of writes is closed.")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"The ledger of writes {_reason(error)}.") from error
        except OSError as error:
            raise LedgerUnavailable("The ledger of writes cannot be opened.") from error

    def _begin(self, wanted: Wanted) -> Decision:
        with self._transaction() as database:
            before = _load(database, wanted.id)
            decision = decide(before, wanted)
            match decision:
                case Start(entry=entry) | Resume(entry=entry) | Replay(entry=entry):
                    if entry != before:
                        _save(database, entry)
        return decision

    def _settle(self, entry_id: str, position: int, record: WriteRecord) -> None:
        with self._transaction() as database:
            row = database.execute(_LOAD_WRITE, (entry_id, position)).fetchone()
            if row is not None and (kept := settled(_record(row), record)):
                database.execute(_SAVE_WRITE, (entry_id, position, *_values(kept)))

    def _sweep(self, now: float, entries_max: int) -> int:
        with self._transaction() as database:
            return database.execute(_SWEEP, (now, entries_max)).rowcount

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self._opened()
        with transaction(database):
            yield database

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            if self._path != ":memory:":
                _make_private_file(Path(self._path))
            self._database = connected(self._path, self._busy_s)
        return self._database


def _make_private_file(path: Path) -> None:
    """Replies of backends lie in it: only the owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Never opened where it exists: POSIX drops all of a process's locks on a file with any `close`.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _load(database: sqlite3.Connection, entry_id: str) -> Entry | None:
    row = database.execute(_LOAD_ENTRY, (entry_id,)).fetchone()
    if row is None:
        return None
    id_, field_name, fingerprint, started_at, expires_at = row
    return Entry(
        id=id_,
        field_name=field_name,
        fingerprint=fingerprint,
        started_at=started_at,
        expires_at=expires_at,
        writes=tuple(map(_record, database.execute(_LOAD_WRITES, (entry_id,)))),
    )


def _save(database: sqlite3.Connection, entry: Entry) -> None:
    values = (entry.id, entry.field_name, entry.fingerprint, entry.started_at, entry.expires_at)
    database.execute(_SAVE_ENTRY, values)
    rows = [(entry.id, position, *_values(write)) for position, write in enumerate(entry.writes)]
    database.executemany(_SAVE_WRITE, rows)


def _record(row: tuple[Any, ...]) -> WriteRecord:
    target, endpoint, key, state, epoch, http_status, code, message, retryable, *rest = row
    attempts, duration_ms, value = rest
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
    )


def _reason(error: sqlite3.Error) -> str:
    # SQLite's own message may hold the file's path; the low byte of its code is the kind of error.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _REASONS.get(code, "cannot be used")
