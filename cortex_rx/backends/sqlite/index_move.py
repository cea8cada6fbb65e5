"""Moving the documents of an older file into the new index, in small steps beside reads and writes.

The old index is searched and written until the new one is whole; so at each moment, also after a kill, the file is one
that works. Any number of processes may move at the same time.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from cortex_rx.backends.sqlite.index import EMPTIED, OLD_STATE, SEARCHED, count, insert, state_in
from cortex_rx.backends.sqlite.text_store import Transaction, read

__all__ = ["STEP", "IndexMove", "drop_old_if_empty"]

STEP = 0.015
"""Seconds after which a step takes no further document. One document takes a few milliseconds."""

_ROWS = 200  # that are read at once

_NEXT = """
SELECT docs.id AS id, docs.text AS text, docs.start AS start, docs.stop AS stop, docs.part AS part,
    texts.space AS space, documents.id IS NULL AS missing
FROM docs CROSS JOIN texts ON texts.id = docs.text LEFT JOIN documents ON documents.id = docs.id
WHERE docs.id > ? ORDER BY docs.id LIMIT ?
"""
# Tables that shrink row by row before they are dropped: dropping a table writes all of its pages in one transaction.
# FTS5's own table is emptied below FTS5, which does not use it any more, but for the records 1 and 10, without which
# it could not open it.
_EMPTY = (
    "DELETE FROM words_data WHERE id IN (SELECT id FROM words_data WHERE id > 10 LIMIT 20)",
    "DELETE FROM words_docsize WHERE id IN (SELECT id FROM words_docsize LIMIT 500)",
    "DELETE FROM docs WHERE id IN (SELECT id FROM docs LIMIT 500)",
)
_DROP = (
    "DROP TABLE words_places",
    "DROP TABLE words",
    "DROP TABLE docs",
    "DROP TABLE moved",
)
_COUNT = """
UPDATE spaces SET (docs, size) = (
    SELECT coalesce(sum(docs), 0), coalesce(sum(size), 0) FROM moved WHERE spaces.id IN (0, space)
)
"""


class IndexMove:
    """The move of one file. Call `step` in a transaction of its own until it returns False."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._done = 0  # documents up to this one are in the new index
        self._found = False  # one that was missing, since the documents were gone through from the first

    def step(self, tx: Transaction) -> bool:
        """Do a little. Returns whether anything is left."""
        state = state_in(tx.db)
        if state is None:
            return False
        until = self._clock() + STEP
        if state == SEARCHED:
            self._move(tx, until)
        elif self._empty(tx.db, until):
            _drop(tx.db)
            return False
        return True

    def _move(self, tx: Transaction, until: float) -> None:
        rows = tx.db.execute(_NEXT, (self._done, _ROWS)).fetchall()
        for row in rows:
            if row["missing"]:
                self._found = True
                place = (row["text"], row["start"], row["stop"], row["part"])
                body = "".join(read(tx, row["text"], row["start"], row["stop"]))
                count(tx, row["space"], 1, insert(tx, row["space"], row["id"], place, body), SEARCHED)
            self._done = row["id"]
            if self._clock() > until:
                return
        if len(rows) == _ROWS:
            return
        if self._found:  # go through them once more, so that none is left that came in where it had been already
            self._done, self._found = 0, False
        else:
            tx.db.execute(_COUNT)
            tx.db.execute("UPDATE settings SET value = ? WHERE name = ?", (EMPTIED, OLD_STATE))

    def _empty(self, db: sqlite3.Connection, until: float) -> bool:
        """Remove rows of the old index. Returns whether none is left."""
        for statement in _EMPTY:
            while db.execute(statement).rowcount:
                if self._clock() > until:
                    return False
        return True


def drop_old_if_empty(db: sqlite3.Connection) -> None:
    """Drop an old index without documents, as that of a new file is."""
    if state_in(db) == SEARCHED and db.execute("SELECT 1 FROM docs LIMIT 1").fetchone() is None:
        _drop(db)


def _drop(db: sqlite3.Connection) -> None:
    for statement in _DROP:
        db.execute(statement)
    db.execute("DELETE FROM settings WHERE name = ?", (OLD_STATE,))
