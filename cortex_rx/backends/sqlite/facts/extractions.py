"""How far the texts of a stream were read for facts, and what is to be read yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["drop", "drop_memory", "enqueue", "failed", "progress", "queued", "read_up_to", "take"]


def progress(tx: Transaction, stream: int) -> dict[str, int]:
    """How far each side of the stream was read, or is in the queue."""
    rows = tx.db.execute("SELECT side, stop FROM extractions WHERE stream = ?", (stream,)).fetchall()
    return {row["side"]: int(row["stop"]) for row in rows}


def read_up_to(tx: Transaction, stream: int, side: str, stop: int) -> None:
    """Note that a side was read up to here. It never goes back; another attempt begins anew, after `drop`."""
    tx.db.execute(
        "INSERT INTO extractions (stream, side, stop) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET stop = max(stop, excluded.stop)",
        (stream, side, stop),
    )


def enqueue(
    tx: Transaction,
    space: int,
    stream: sqlite3.Row,
    side: str,
    window: tuple[int, int],
    *,
    error: str | None = None,
    tries: int = 0,
    dead: bool = False,
) -> None:
    """Put a window into the queue; one that is there gets the error and the tries."""
    memory = stream["question_memory"] if side == "question" else stream["memory"]
    tx.db.execute(
        "INSERT INTO extraction_queue (space, stream, side, start, stop, memory, state, tries, error, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, side, start) DO UPDATE SET"
        " stop = excluded.stop, state = excluded.state, tries = excluded.tries, error = excluded.error",
        (space, stream["seq"], side, *window, memory, "dead" if dead else "queued", tries, error, tx.now),
    )


def queued(tx: Transaction, stream: int, side: str, window: tuple[int, int]) -> sqlite3.Row | None:
    """The row of the queue that begins with this window."""
    found: sqlite3.Row | None = tx.db.execute(
        "SELECT * FROM extraction_queue WHERE stream = ? AND side = ? AND start = ? AND stop >= ?",
        (stream, side, *window),
    ).fetchone()
    return found


def failed(tx: Transaction, stream: int, error: str) -> list[sqlite3.Row]:
    """The windows of the stream that are in the queue with this error, in order of the texts."""
    rows: list[sqlite3.Row] = tx.db.execute(
        "SELECT * FROM extraction_queue WHERE stream = ? AND error = ? ORDER BY side DESC, start", (stream, error)
    ).fetchall()
    return rows


def take(tx: Transaction, row: sqlite3.Row, stop: int) -> None:
    """Take the beginning of a window, up to `stop`, out of the queue."""
    if stop < row["stop"]:
        # Of windows with other boundaries, one may begin there: it has the rest, then.
        other = tx.db.execute(
            "UPDATE extraction_queue SET stop = max(stop, ?) WHERE stream = ? AND side = ? AND start = ?",
            (row["stop"], row["stream"], row["side"], stop),
        )
        if not other.rowcount:
            tx.db.execute("UPDATE extraction_queue SET start = ? WHERE id = ?", (stop, row["id"]))
            return
    tx.db.execute("DELETE FROM extraction_queue WHERE id = ?", (row["id"],))


def drop(tx: Transaction, stream: int, sides: Sequence[str] = ("question", "answer")) -> None:
    """Forget what was read of a stream, and what was to be read."""
    for side in sides:
        tx.db.execute("DELETE FROM extractions WHERE stream = ? AND side = ?", (stream, side))
        tx.db.execute("DELETE FROM extraction_queue WHERE stream = ? AND side = ?", (stream, side))


def drop_memory(tx: Transaction, space: int, memory: str) -> None:
    """Read no more of the text of a memory that is deleted."""
    tx.db.execute("DELETE FROM extraction_queue WHERE space = ? AND memory = ?", (space, memory))
