"""The records on disk: one SQLite file in WAL mode, one JSON document per number.

A write is read, changed and stored inside one BEGIN IMMEDIATE transaction, so that writers in any
number of threads or processes lose nothing; a reader never waits for a writer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from operator import itemgetter
from pathlib import Path

from contract.reference.fields import Record
from contract.reference.seed import Seed

__all__ = ["Store"]

TABLES = (
    "CREATE TABLE IF NOT EXISTS numbers (id TEXT PRIMARY KEY, position INTEGER NOT NULL UNIQUE,"
    " own INTEGER NOT NULL, record TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS resources (id TEXT NOT NULL, field TEXT NOT NULL, PRIMARY KEY (id, field))",
)


class Store:
    """The numbers and resources of one database file, filled with *seed* when the file is new.

    *durable* makes each commit reach the disk before the answer goes out; without it a commit survives
    the end of the process, but not a power cut. *wait* is how many seconds a writer waits for another.

    Raises:
        OSError: *path* can't be opened, or holds something else.
    """

    def __init__(self, path: Path, seed: Seed, *, durable: bool = True, wait: float = 10.0) -> None:
        try:
            self._connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
            self._open(seed, durable)
        except sqlite3.DatabaseError as error:
            raise OSError(f"{path} can't be used as the database: {error}") from error

    def _open(self, seed: Seed, durable: bool) -> None:
        with ExitStack() as unless_opened:
            unless_opened.callback(self._connection.close)
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
            self._connection.execute("PRAGMA journal_mode = WAL")
            with self.transaction():
                for table in TABLES:
                    self._connection.execute(table)
                if self._connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,):
                    self._fill(seed)
            unless_opened.pop_all()

    def _fill(self, seed: Seed) -> None:
        oldest_first = sorted((*seed.numbers, *seed.foreign), key=itemgetter("created_at"))
        rows = [
            (record["id"], position, record in seed.numbers, json.dumps(record))
            for position, record in enumerate(oldest_first)
        ]
        self._connection.executemany("INSERT INTO numbers VALUES (?, ?, ?, ?)", rows)
        resources = [(resource_id, field) for field, resource_id in seed.resources.items()]
        self._connection.executemany("INSERT INTO resources VALUES (?, ?)", resources)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the one write lock; commit at the end, undo everything when the block raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def get(self, number_id: str, *, foreign: bool = False) -> Record | None:
        """Return the number of the project with that id; with *foreign*, one of any project."""
        row = self._connection.execute(
            "SELECT record FROM numbers WHERE id = ? AND (own OR ?)", (number_id, foreign)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, number_id: str, record: Record) -> None:
        """Replace the stored record; call it inside `transaction`."""
        row = (record["id"], json.dumps(record), number_id)
        self._connection.execute("UPDATE numbers SET id = ?, record = ? WHERE id = ?", row)

    def newest_first(self) -> list[tuple[int, Record]]:
        """Return the project's numbers with their positions; a higher position is newer."""
        query = "SELECT position, record FROM numbers WHERE own ORDER BY position DESC"
        rows = self._connection.execute(query)
        return [(position, json.loads(record)) for position, record in rows]

    def exists(self, field: str, resource_id: str) -> bool:
        """Tell whether the request field *field* may name the resource *resource_id*."""
        row = self._connection.execute(
            "SELECT 1 FROM resources WHERE id = ? AND field = ?", (resource_id, field)
        ).fetchone()
        return row is not None

    def close(self) -> None:
        """Close the file; the store can't be used afterwards."""
        self._connection.close()
