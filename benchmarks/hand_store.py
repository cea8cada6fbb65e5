"""The store that one would write for `hand.py`: conversations and messages in a SQLite file, and one thread that
writes.

It imports nothing of the package.  A question and the message of its answer, which is marked as partial, are one
transaction; so is each append; so is the end.  What is acknowledged is on the disk (`synchronous=FULL`, WAL).  It has
no index of words, no memories, no streams that another process can take over, and no second writer.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["HandStore"]

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE conversations (
    id TEXT PRIMARY KEY, space TEXT NOT NULL, user_id TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE messages (
    id TEXT PRIMARY KEY, conversation TEXT NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL, partial INTEGER NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL
);
CREATE INDEX messages_by_conversation ON messages (conversation);
"""


class HandStore:
    """Takes the three calls of `hand.py`, by the names that the contract has for them."""

    def __init__(self, path: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        """Write in one transaction; it is durable when this returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, path, args)

    def _write(self, path: str, args: Mapping[str, Any]) -> Any:
        db, now, stream = self._db, round(time.time() * 1000), args["streamId"]
        db.execute("BEGIN IMMEDIATE")
        try:
            if path == "streams:begin":
                conversation = args["conversationId"]
                db.execute(
                    "INSERT INTO conversations VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET updated = excluded.updated",
                    (conversation, args["memorySpaceId"], args["userId"], now, now),
                )
                db.executemany(
                    "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (f"{stream}-question", conversation, "user", args["userMessage"], 0, now, now),
                        (f"{stream}-answer", conversation, "agent", "", 1, now, now),
                    ],
                )
            else:
                partial = path == "streams:append"
                done = db.execute(
                    "UPDATE messages SET text = text || ?, partial = ?, updated = ?"
                    " WHERE id = ? AND partial AND length(text) = ?",
                    (args["text"], partial, now, f"{stream}-answer", args["start"]),
                )
                if done.rowcount != 1:
                    raise ValueError(f"{path} at {args['start']}: something else is stored")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        return None

    async def close(self) -> None:
        """Finish what was asked, and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._db.close)
        self._thread.shutdown()
