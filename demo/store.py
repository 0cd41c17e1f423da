"""A service's SQLite file: short queries, plain transactions, rows as dicts."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

Row = dict[str, Any]
Seed = Callable[["Store"], None]

_BOOKS: Final = """
CREATE TABLE _keys (
    key TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE _effects (id INTEGER PRIMARY KEY, route TEXT NOT NULL, key TEXT);
"""
_SEEDED: Final = 1


class Store:
    """One connection to one file, seeded the first time it is opened."""

    def __init__(self, path: Path, schema: str, seed: Seed) -> None:
        self._schema = schema
        self._seed = seed
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if self._value("PRAGMA user_version") != _SEEDED:
            self.reseed()

    def rows(self, sql: str, *values: object) -> list[Row]:
        """All rows of a query."""
        return [dict(row) for row in self._connection.execute(sql, values)]

    def row(self, sql: str, *values: object) -> Row | None:
        """The first row of a query, if it has one."""
        row = self._connection.execute(sql, values).fetchone()
        return None if row is None else dict(row)

    def add(self, sql: str, *values: object) -> int:
        """Run an INSERT; the new row's number."""
        return self._connection.execute(sql, values).lastrowid or 0

    def change(self, sql: str, *values: object) -> int:
        """Run an UPDATE or DELETE; how many rows it touched."""
        return self._connection.execute(sql, values).rowcount

    def fill(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run an INSERT for each of the rows."""
        self._connection.executemany(sql, rows)

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self._value(f"SELECT COUNT(*) FROM {table}"))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside happen together or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Inside a transaction: takes back only the changes in here when they fail."""
        self._connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO attempt")
            raise
        finally:
            self._connection.execute("RELEASE attempt")

    def reseed(self) -> None:
        """Throw everything away and start from the seeded data."""
        with self.transaction():
            for table in self.rows("SELECT name FROM sqlite_schema WHERE type = 'table'"):
                if not table["name"].startswith("sqlite_"):
                    self._connection.execute(f"DROP TABLE {table['name']}")
            for statement in (_BOOKS + self._schema).split(";"):
                self._connection.execute(statement)
            self._seed(self)
            self._connection.execute(f"PRAGMA user_version = {_SEEDED}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _value(self, sql: str) -> Any:
        return self._connection.execute(sql).fetchone()[0]
