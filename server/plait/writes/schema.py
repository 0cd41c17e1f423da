"""The SQLite ledger's tables, and how a file of any earlier version gets them."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from plait.errors import LedgerUnavailable

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE entries (
            id TEXT PRIMARY KEY,
            field_name TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            started_at REAL NOT NULL,
            expires_at REAL NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX entries_by_expiry ON entries (expires_at)",
        """
        CREATE TABLE writes (
            entry_id TEXT NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            target TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            key TEXT NOT NULL,
            state TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            http_status INTEGER,
            code TEXT,
            message TEXT NOT NULL,
            retryable INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            duration_ms REAL NOT NULL,
            value BLOB,
            PRIMARY KEY (entry_id, position)
        )
        """,
    ),
    (
        "ALTER TABLE entries ADD COLUMN generation INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE entries ADD COLUMN holder TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE entries ADD COLUMN reads BLOB",
        "ALTER TABLE entries ADD COLUMN request TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE entries ADD COLUMN place TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX entries_by_request ON entries (request) WHERE request != ''",
        'ALTER TABLE writes ADD COLUMN "values" BLOB',
        "CREATE INDEX writes_unfinished ON writes (entry_id) WHERE state IN ('pending', 'unknown')",
        """
        CREATE TABLE expired (
            id TEXT PRIMARY KEY,
            generation INTEGER NOT NULL,
            forget_at REAL NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX expired_by_time ON expired (forget_at)",
        "CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), now REAL NOT NULL)",
        "INSERT INTO clock VALUES (1, 0)",
    ),
)
"""What takes the schema from version n to n + 1. Only added to: files of every version exist."""


def connected(path: str, busy_s: float) -> sqlite3.Connection:
    """A connection to the file at `path`, which has the newest tables.

    Every commit of it is on the disc when it returns. Raises `sqlite3.Error`; `LedgerUnavailable`
    for a file that a newer release made.
    """
    database = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
    try:
        _refuse_newer(database)  # before anything in it is changed
        _use_wal(database, busy_s)
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def migrate(database: sqlite3.Connection) -> None:
    """Bring the tables up to date, all at once or not at all."""
    if _version(database) == len(MIGRATIONS):
        return
    with transaction(database):
        version = _version(database)  # again: another process may have been quicker
        for statement in (line for migration in MIGRATIONS[version:] for line in migration):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or none of it.

    IMMEDIATE: two processes must not both read "nothing there" and then both write it.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _use_wal(database: sqlite3.Connection, busy_s: float) -> None:
    """SQLite does not wait here by itself when several processes make the file at once."""
    give_up = time.monotonic() + busy_s
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                raise
        time.sleep(0.01)


def _refuse_newer(database: sqlite3.Connection) -> None:
    version = _version(database)
    if version > len(MIGRATIONS):
        raise LedgerUnavailable(
            f"The ledger of writes has schema {version}, made by a newer release;"
            f" this one knows up to {len(MIGRATIONS)}."
        )


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])
