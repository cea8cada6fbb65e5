"""Backup: a copy of the store through SQLite's own API, while it is in use."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, suppress

from cortex_rx.backends.sqlite.connection import translate_errors
from cortex_rx.errors import InvalidArgument, StoreUnavailable

__all__ = ["copy_database"]

_STEP = 256  # pages copied at a time: between two steps the thread lets others run, and looks whether it is to stop


class _StopCopying(Exception):
    """The task that waited for the backup was cancelled."""


def copy_database(
    source: sqlite3.Connection, path: str, target: str, overwrite: bool, cancelled: threading.Event
) -> None:
    """Copy what `source` sees into the new file `target`, by way of a file beside it that is renamed at the end.

    `source` is within a read transaction, which in WAL mode hinders no writer, and fixes the moment that is copied.
    """
    if os.path.exists(target):
        if path != ":memory:" and os.path.samefile(path, target):
            raise InvalidArgument("target", target, "another file than the store itself")
        if not overwrite:
            raise InvalidArgument("target", target, "a path where no file is, or overwrite=True")
    import tempfile  # here, for it is seldom needed

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
        source.execute(
            "SELECT count(*) FROM sqlite_schema"
        ).fetchone()  # the moment: from here on nothing newer is seen
        with translate_errors(target), closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            source.backup(copy, pages=_STEP, progress=watch, sleep=0.01)
            copy.execute(
                "PRAGMA journal_mode = DELETE"
            ).fetchone()  # so that the copy is one file; opening it sets WAL again
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
