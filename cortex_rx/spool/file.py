"""The file of a spool. It is opened for each transaction and closed after it, since it is rarely needed. So nothing has
to be closed, and nothing is shared with a child process.

Everything here blocks; `Spool` runs it on a thread.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_rx.backends.sqlite.connection import check_path, create_file, release, retry_while_busy, translate_errors
from cortex_rx.errors import NotACortexFile, SpoolBusy, StoreTooNew
from cortex_rx.unique import new_id

__all__ = ["DRAIN_LEASE", "PIECE", "Entry", "SpoolFile"]

PIECE = 262_144
"""How many code points of a text are written, read and sent at a time."""
DRAIN_LEASE = 30_000
"""How long (ms) a silent drainer counts as alive."""

_APPLICATION_ID = 0x43585350  # "CXSP"
_VERSION = 1
_LOCK_TIMEOUT = 10.0  # seconds that a transaction waits for another process
_SCHEMA = (
    # `cause` makes an entry a dead letter. `turn` holds the arguments of `streams:begin`, `args` those of the call,
    # without the text.
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, space TEXT NOT NULL,"
    " stream TEXT, operator TEXT NOT NULL, path TEXT NOT NULL, args TEXT NOT NULL, turn TEXT, began REAL NOT NULL,"
    " length INTEGER NOT NULL, created INTEGER NOT NULL, cause TEXT, code TEXT)",
    "CREATE TABLE pieces (entry INTEGER NOT NULL REFERENCES entries (seq) ON DELETE CASCADE, n INTEGER NOT NULL,"
    " text TEXT NOT NULL, PRIMARY KEY (entry, n))",
    "CREATE TABLE drainer (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, until INTEGER NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One call that the store has not taken: the function `path` with `args`, and its text, in pieces."""

    seq: int
    id: str
    space: str
    stream: str | None
    operator: str
    path: str
    args: dict[str, Any]
    begin: dict[str, Any] | None
    """The arguments of `streams:begin`, for an answer; None for another call, whose `args` are complete."""
    length: int
    """The length of its text."""
    created: int
    cause: str | None
    code: str | None


def _json(value: Mapping[str, Any]) -> str:
    # The value was checked. `default` is for mappings that are not dicts.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=dict)


_COLUMNS = "seq, id, space, stream, operator, path, args, turn, length, created, cause, code"


# The times of two entries tell which stream began first, unless the clock was set back between the two: then `created`
# is earlier than in the entry before, and the order in which they were added counts.
_NEXT = f"""SELECT {_COLUMNS} FROM (
        SELECT *, sum(set_back) OVER (ORDER BY seq) AS times_set FROM (
            SELECT *, created < lag(created, 1, 0) OVER (ORDER BY seq) AS set_back FROM entries WHERE cause IS NULL
        )
    ) WHERE seq NOT IN (SELECT value FROM json_each(?)) ORDER BY times_set, began, seq LIMIT 1"""  # noqa: S608


def _entry(row: Iterable[Any]) -> Entry:
    seq, id, space, stream, operator, path, args, begin, length, created, cause, code = row
    begun = None if begin is None else json.loads(begin)
    return Entry(seq, id, space, stream, operator, path, json.loads(args), begun, length, created, cause, code)


class SpoolFile:
    """The transactions of a spool."""

    def __init__(self, path: str, max_page_count: int | None, clock: Callable[[], float]) -> None:
        self.path: str = path
        self._max_page_count = max_page_count
        self._clock = clock

    @property
    def exists(self) -> bool:
        return os.path.exists(self.path)

    def _now(self) -> int:
        return round(self._clock() * 1000)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection, None, None]:
        check_path(self.path)
        create_file(self.path)
        with translate_errors(self.path):
            db = sqlite3.connect(
                f"{Path(self.path).as_uri()}?mode=rw", timeout=_LOCK_TIMEOUT, isolation_level=None, uri=True
            )
            try:
                retry_while_busy(lambda: self._prepare(db), _LOCK_TIMEOUT)
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
            finally:
                release(db)

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Check that the file is a spool, or make it one."""
        db.execute("BEGIN")  # or another process could make its tables between two reads
        try:
            application, version, tables = (
                db.execute(look).fetchone()[0]
                for look in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema")
            )
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        if application != _APPLICATION_ID and (application or version or tables):
            raise NotACortexFile(f"{self.path}: the file is another database, not a spool")
        if version > _VERSION:
            raise StoreTooNew(f"{self.path}: the spool has version {version}, this package knows {_VERSION}")
        db.execute("PRAGMA foreign_keys = ON")
        # A transaction here ends when its journal is deleted. EXTRA then syncs the folder. With FULL, the journal may
        # be back after a loss of power and undo an acknowledged transaction.
        db.execute("PRAGMA synchronous = EXTRA")
        db.execute("PRAGMA secure_delete = ON")
        if self._max_page_count is not None:
            db.execute(f"PRAGMA max_page_count = {self._max_page_count:d}")
        if not application:
            self._create(db)

    def _create(self, db: sqlite3.Connection) -> None:
        """Make the tables, unless another process has made them meanwhile."""
        db.execute("PRAGMA auto_vacuum = FULL")  # delivered entries take no space
        db.execute("BEGIN EXCLUSIVE")
        try:
            if not db.execute("PRAGMA application_id").fetchone()[0]:
                for statement in _SCHEMA:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID:d}")
                db.execute(f"PRAGMA user_version = {_VERSION:d}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def add(
        self,
        space: str,
        operator: str,
        path: str,
        args: Mapping[str, Any],
        *,
        text: str = "",
        begin: Mapping[str, Any] | None = None,
        began: float = 0.0,
        cause: tuple[str, str] | None = None,
    ) -> str:
        """Add an entry, durable when this returns. Returns its id. A `cause` (words, code) makes it a dead letter."""
        id = new_id("spool entry")
        row = {
            "id": id,
            "space": space,
            "stream": args.get("streamId"),
            "operator": operator,
            "path": path,
            "args": _json(args),
            "turn": None if begin is None else _json(begin),
            "began": began,
            "length": len(text),
            "created": 0,
            "cause": cause[0] if cause else None,
            "code": cause[1] if cause else None,
        }
        with self._transaction() as db:
            row["created"] = self._now()  # in the transaction: earlier than the entry before only if the clock was set
            seq = db.execute(
                f"INSERT INTO entries ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})",  # noqa: S608
                row,
            ).lastrowid
            for n, at in enumerate(range(0, len(text), PIECE)):
                db.execute("INSERT INTO pieces VALUES (?, ?, ?)", (seq, n, text[at : at + PIECE]))
        return id

    def piece(self, seq: int, n: int) -> str:
        """The n-th piece of an entry's text, or ""."""
        with self._transaction() as db:
            row = db.execute("SELECT text FROM pieces WHERE entry = ? AND n = ?", (seq, n)).fetchone()
        return row[0] if row else ""

    def count(self) -> int:
        """How many entries wait to be delivered."""
        if not self.exists:
            return 0
        with self._transaction() as db:
            return int(db.execute("SELECT count(*) FROM entries WHERE cause IS NULL").fetchone()[0])

    def forget(self, space: str, stream: str, began: float, epoch: int) -> int:
        """Remove the waiting entries of an unfinished answer, up to this epoch; 0 if it was never begun."""
        if not self.exists:
            return 0
        with self._transaction() as db:
            return db.execute(
                "DELETE FROM entries WHERE space = ? AND stream = ? AND began = ? AND path = 'streams:append'"
                " AND cause IS NULL AND coalesce(json_extract(args, '$.epoch'), 0) <= ?",
                (space, stream, began, epoch),
            ).rowcount

    def dead(self, space: str | None, id: str | None = None) -> list[Entry]:
        """The dead letters, of this space and id if they are given, oldest first."""
        if not self.exists:
            return []
        with self._transaction() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE cause IS NOT NULL AND (? OR space = ?) AND (? OR id = ?)"  # noqa: S608
                " ORDER BY seq",
                (space is None, space, id is None, id),
            ).fetchall()
        return [_entry(row) for row in rows]

    def bury(self, seq: int, cause: str, code: str) -> None:
        """Make an entry a dead letter, or change its cause."""
        with self._transaction() as db:
            db.execute("UPDATE entries SET cause = ?, code = ? WHERE seq = ?", (cause, code, seq))

    def remove(self, seq: int) -> None:
        """Remove an entry that was delivered or is not wanted any more."""
        with self._transaction() as db:
            db.execute("DELETE FROM entries WHERE seq = ?", (seq,))

    def next(self, drainer: str, skipped: list[int]) -> Entry | None:
        """The entry whose stream began first. Takes the drainer's lease anew; `SpoolBusy` if another drainer has it."""
        with self._transaction() as db:
            now = self._now()  # in the transaction: no drainer can have taken its lease later
            held = db.execute("SELECT id, until FROM drainer").fetchone()
            # A lease that ends later than its length from now was taken before the clock was set back.
            if held and held[0] != drainer and now < held[1] <= now + DRAIN_LEASE:
                raise SpoolBusy(held[1])
            db.execute("INSERT OR REPLACE INTO drainer VALUES (1, ?, ?)", (drainer, now + DRAIN_LEASE))
            row = db.execute(_NEXT, (json.dumps(skipped),)).fetchone()
        return _entry(row) if row else None

    def renew(self, drainer: str) -> None:
        """Renew the drainer's lease; `SpoolBusy` if it expired and another drainer has begun."""
        with self._transaction() as db:
            found = db.execute("UPDATE drainer SET until = ? WHERE id = ?", (self._now() + DRAIN_LEASE, drainer))
            if not found.rowcount:
                held = db.execute("SELECT until FROM drainer").fetchone()
                raise SpoolBusy(held[0] if held else self._now())

    def leave(self, drainer: str) -> None:
        """Release the drainer's lease."""
        if self.exists:
            with self._transaction() as db:
                db.execute("DELETE FROM drainer WHERE id = ?", (drainer,))
