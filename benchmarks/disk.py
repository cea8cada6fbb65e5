"""What a run asks of the disk: its commits and the bytes it writes; and a disk whose sync takes longer.

All connections that are opened meanwhile are counted, whoever opens them: the module `sqlite3` is given a connection
that counts.  A commit that wrote nothing (that of a reader) does not count, and does not wait.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

__all__ = ["Disk", "sync_time", "written"]

_IO = Path("/proc/self/io")


def written() -> int:
    """Bytes that this process has handed to the system to write, so far; 0 where the system does not say."""
    if not _IO.exists():
        return 0
    fields = dict(line.split(": ") for line in _IO.read_text().splitlines())
    return int(fields["wchar"])


def sync_time(folder: Path | None = None, times: int = 50) -> float:
    """Seconds that the disk of a folder takes to sync 8 kB that were added to a file: the median of some."""
    taken: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            file.write(b"x" * 8192)
            file.flush()
            before = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - before)
    return median(taken)


class Disk:
    """Counts commits, and lets each take `sync` seconds longer, on the thread that commits."""

    def __init__(self, sync: float = 0.0) -> None:
        self.sync = sync
        self.commits = 0

    def _commit(self, wrote: bool) -> None:
        if wrote:
            self.commits += 1
            if self.sync:
                time.sleep(self.sync)  # before the commit, so that nobody sees it earlier than on such a disk

    @contextmanager
    def watching(self) -> Generator[Disk, None, None]:
        """Connections that are opened meanwhile are counted until they are closed."""
        disk = self

        class Watched(sqlite3.Connection):
            changes = 0

            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    self._note()
                return super().execute(sql, *args)

            def commit(self) -> None:
                self._note()
                super().commit()

            def _note(self) -> None:
                before, self.changes = self.changes, self.total_changes
                disk._commit(self.changes > before)

        with mock.patch.object(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Watched)):
            yield self
