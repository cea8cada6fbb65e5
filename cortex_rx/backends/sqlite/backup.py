"""Backup: a copy of the store by SQLite's own API, while it is in use."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, suppress

from cortex_rx.backends.sqlite.connection import translate_errors
from cortex_rx.errors import InvalidArgument, StoreUnavailable

__all__ = ["copy_database"]

_STEP = 256  # pages copied at a time; between two steps other threads run, and the copy may be cancelled


class _StopCopying(Exception):
    """The task that waited for the backup was cancelled."""


def copy_database(
    source: sqlite3.Connection, path: str, target: str, overwrite: bool, cancelled: threading.Event
) -> None:
    """Copy what `source` sees into a draft beside `target`, and rename it at the end.

    `source` is in a read transaction. In WAL mode this blocks no writer, and it fixes the moment that is copied.
    """
    if os.path.exists(target):
        if path != ":memory:" and os.path.samefile(path, target):
            raise InvalidArgument("target", target, "another file than the store itself")
        if not overwrite:
            raise InvalidArgument("target", target, "a path without a file, or overwrite=True")
    import tempfile  # here, since it is rarely needed

    folder = os.path.dirname(target)
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{os.path.basename(target)}.", suffix=".partial", dir=folder)
        os.close(handle)
    except OSError as error:
        raise StoreUnavailable(f"{target}: the backup cannot be made there ({error.strerror})") from error

    def watch(_status: int, _remaining: int, _total: int) -> None:
        if cancelled.is_set():
            raise _StopCopying

    try:
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on, `source` sees nothing newer
        with translate_errors(target), closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            source.backup(copy, pages=_STEP, progress=watch, sleep=0.01)
            # Makes the copy one file; opening it sets WAL again.
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
        os.replace(draft, target)
        _sync_folder(folder)
    except _StopCopying:
        pass
    except OSError as error:
        raise StoreUnavailable(f"{target}: the backup failed ({error.strerror})") from error
    finally:
        for leftover in (draft, f"{draft}-journal", f"{draft}-wal", f"{draft}-shm"):
            with suppress(OSError):
                os.unlink(leftover)


def _sync_folder(folder: str) -> None:
    """Make the new name durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
