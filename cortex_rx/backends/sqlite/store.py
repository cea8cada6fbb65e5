"""The backend itself: its threads, connections and transactions, at a cancellation, a fork and a close, too."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from cortex_rx import validation as check
from cortex_rx.backends.sqlite.backup import copy_database
from cortex_rx.backends.sqlite.connection import (
    LONGEST_WAIT,
    MOST_PAGES,
    Settings,
    checkpoint,
    connect_reader,
    connect_writer,
    is_writable,
    keep_undo_in_memory,
    language_in,
    not_waiting,
    release,
    translate_errors,
)
from cortex_rx.backends.sqlite.functions import MUTATIONS, QUERIES
from cortex_rx.backends.sqlite.functions.memory_spaces import check_active
from cortex_rx.backends.sqlite.index import DocumentCache, state_in
from cortex_rx.backends.sqlite.index_move import STEP, IndexMove
from cortex_rx.backends.sqlite.language import LANGUAGES, Language
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.vectors import MatrixCache
from cortex_rx.backends.sqlite.writer import SharedWrites
from cortex_rx.errors import StoreClosed, StoreReadOnly, StoreUnavailable
from cortex_rx.retry.judge import is_transient
from cortex_rx.unique import new_id

__all__ = ["SqliteBackend"]

T = TypeVar("T")

logger: logging.Logger = logging.getLogger(__name__)

_READERS = 2  # threads that read, so that a search does not wait for a backup
_MOVE_PAUSE = 1.0  # seconds until the next step of a move, if another process writes
_VECTOR_CACHE = 256 * 2**20
_FORK_WAIT = 60.0  # seconds that a fork waits for running operations

_all: weakref.WeakSet[SqliteBackend] = weakref.WeakSet()


def _random_id() -> str:
    return new_id("row")


class SqliteBackend:
    """Memory in one SQLite file.

    `path`: the file, made with mode 0600 if there is none, or ":memory:". `read_only`: open it with `mode=ro`; a file
    that this process may not write is always opened so. `busy_timeout`: seconds that an operation waits for another
    process; then it raises `StoreBusy`, and callers such as the operators try again. Opening waits up to three times as
    long. `max_page_count`: the maximum size of the file, in pages (of 1,024 bytes in a new file); beyond it,
    `StoreFull`. `language`: of the index, whose words are stemmed: one of `LANGUAGES`; "none" leaves words as they
    stand. It is set when the file is made, "english" if nothing is said, and kept in it; for a file with another one,
    opening raises `LanguageMismatch`. `vector_cache`: the most bytes of memory in which vectors are kept for searches
    by embedding; the memory spaces that were not searched for the longest time go first. `clock`: epoch seconds.
    `new_id`: makes unique ids of rows.

    The file is opened by the first use, not here. Use it as `async with SqliteBackend(path) as backend`, or call
    `close()`. It may be used from any number of tasks, loops and threads. Writes run one after the other; writes that
    wait at the same time share a transaction.

    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         return await backend.query("memories:count", {"memorySpaceId": "support"})
    >>> asyncio.run(main())
    0
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        busy_timeout: float = 1.0,
        max_page_count: int | None = None,
        language: str | None = None,
        vector_cache: int = _VECTOR_CACHE,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        # Loaded here: with the library it would be a fifteenth of the import, and a call would load it on the loop.
        from cortex_rx.backends.contract import checks

        self._checked = checks.check
        self._needs_active = checks.needs_active_space
        name = check.file_path("path", path)
        check.flag("read_only", read_only)
        check.amount("seconds", LONGEST_WAIT, zero=True)("busy_timeout", busy_timeout)
        check.optional(check.whole(1, MOST_PAGES))("max_page_count", max_page_count)
        check.optional(check.one_of(*LANGUAGES))("language", language)
        check.whole()("vector_cache", vector_cache)
        check.function("clock", clock)
        check.function("new_id", new_id)
        # Absolute from now on, so that a change of the working directory does not matter.
        where = name if name == ":memory:" else os.path.abspath(name)
        self._settings = Settings(where, read_only, busy_timeout, max_page_count, language)
        self.clock: Callable[[], float] = clock
        """Epoch seconds, by which it says when something was stored."""
        self._new_id = new_id
        self._matrices = MatrixCache(vector_cache)
        self._documents = DocumentCache()
        self._closed = False
        self._writing = threading.Lock()  # held while a transaction runs; inline executors may run on several threads
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._opened = False
        self._read_only = read_only
        self._language: Language  # of the file, when it is open
        self._is_moving = False  # whether the file may have an old index
        self._start_threads()
        _all.add(self)

    def _start_threads(self) -> None:
        """Make the threads and locks of this process."""
        self._pid = os.getpid()
        self._idle = threading.Condition()  # notified when nothing runs any more
        self._running = 0
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="cortex-sqlite-write")
        self._read_threads = ThreadPoolExecutor(_READERS, thread_name_prefix="cortex-sqlite-read")
        self._writes = SharedWrites(self._start_write, self._transact, self._missed)
        self._mover: threading.Thread | None = None  # moves an older file's index, and ends with that
        self._stopping = threading.Event()

    def __repr__(self) -> str:
        return f"SqliteBackend({self._settings.path!r})"

    async def __aenter__(self) -> SqliteBackend:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def query(self, path: str, args: Mapping[str, Any]) -> Any:
        """Read: call the function `path` with `args`."""
        self._check_open()
        checked = self._checked("query", path, args)
        function = QUERIES[path]

        def read(db: sqlite3.Connection) -> Any:
            # From here on this transaction sees one state of the file. The time is read afterwards, so that no lease
            # in it is from a later time: a lease of the future would be taken for one from before the clock was set.
            db.execute("SELECT 1 FROM spaces WHERE id = 0").fetchone()
            return function(self._transaction(db), checked)

        return await self._read(read)

    async def mutation(self, path: str, args: Mapping[str, Any]) -> Any:
        """Write: call the function `path` with `args`, all or nothing, durable when this returns.

        If the awaiting task is cancelled, a write that has begun is completed; otherwise it is not begun.
        """
        self._check_open()
        checked = self._checked("mutation", path, args)
        function = MUTATIONS[path]
        guarded = self._needs_active(path)

        def write(db: sqlite3.Connection) -> Any:
            tx = self._transaction(db)
            if guarded:
                check_active(tx, checked["memorySpaceId"])
            return function(tx, checked)

        # The first token of an answer waits for `streams:begin`, so this goes before the writes of running answers.
        return await self._writes.write(write, urgent=path == "streams:begin")

    def _transaction(self, db: sqlite3.Connection) -> Transaction:
        now = round(self.clock() * 1000)
        return Transaction(db, now, self._new_id, self._language, self._is_moving, self._matrices, self._documents)

    async def close(self) -> None:
        """Finish running operations and release threads, connections and the -wal file. A second call does nothing."""
        if self._pid != os.getpid():
            self._closed = True  # nothing of this process is open
            return
        first = not self._closed
        self._closed = True
        self._stopping.set()
        try:
            # Shielded, so that it is completed even if this task is cancelled before it has begun.
            shutting = asyncio.get_running_loop().run_in_executor(self._write_thread, self._shut if first else _nothing)
            await asyncio.shield(shutting)
        except RuntimeError:
            if first:
                raise
            return  # the first close has ended the thread
        self._write_thread.shutdown(wait=True)  # its last job is done, so it ends at once
        if self._mover is not None:
            self._mover.join()  # it waits for that thread only

    async def backup(self, target: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Copy the store, as it is at this moment, into the file `target`. Reads and writes go on meanwhile.

        The copy is one file without -wal, with mode 0600. It is complete, or it does not exist. `InvalidArgument` if
        `target` exists and `overwrite` is not set, or if it is the store itself.
        """
        path = check.file_path("target", target)
        check.flag("overwrite", overwrite)
        self._check_open()
        cancelled = threading.Event()

        def copy(db: sqlite3.Connection) -> None:
            copy_database(db, self._settings.path, os.path.abspath(path), overwrite, cancelled)

        try:
            await self._read(copy)
        except asyncio.CancelledError:
            cancelled.set()  # the thread stops at the next step and removes the unfinished copy
            raise

    async def compact(self) -> None:
        """Merge the index and empty the -wal file, so that no bytes of deleted texts are left in the file.

        A deleted text is gone from all results at once. Its words stay in the file's index until SQLite merges it. This
        merges it now: it writes the whole index anew, in one transaction.
        """
        self._check_open()
        await self._run(self._write_thread, self._compact)

    def _compact(self) -> None:
        move = IndexMove()
        while self._transact(lambda db: move.step(self._transaction(db))):
            pass
        self._keep_undo_in_memory(False)  # it changes the whole index
        try:
            self._transact(lambda db: db.execute("INSERT INTO terms (terms) VALUES ('optimize')").fetchall())
            self._transact(lambda db: db.execute("INSERT INTO fact_terms (fact_terms) VALUES ('optimize')").fetchall())
        finally:
            self._keep_undo_in_memory(True)
        if self._writer is not None and not self._settings.in_memory:
            with self._writing, translate_errors(self._settings.path):
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _keep_undo_in_memory(self, yes: bool) -> None:
        self._open()
        with self._writing, translate_errors(self._settings.path):
            if self._writer is not None:
                keep_undo_in_memory(self._writer, yes)

    def _start_mover(self) -> None:
        if self._is_moving and not self._read_only and self._mover is None:
            self._mover = threading.Thread(target=self._move_index, name="cortex-sqlite-move", daemon=True)
            self._mover.start()

    def _move_index(self) -> None:
        """On a thread of its own: move an older file's index, step by step on the thread that writes."""
        move, pause = IndexMove(), STEP
        while not self._stopping.wait(pause):  # as long as a step takes
            try:
                if not self._write_thread.submit(self._move_step, move).result():
                    return
                pause = STEP
            except RuntimeError:  # closed meanwhile
                return
            except Exception as error:
                if is_transient(error):  # busy: others write
                    pause = _MOVE_PAUSE
                    continue
                # The old index is searched, and the next opening goes on.
                logger.warning("%s: the index of the older file cannot be moved now: %s", self, type(error))
                return

    def _move_step(self, move: IndexMove) -> bool:
        with self._counted():
            if self._closed:
                return False
            self._open()
            with self._writing, translate_errors(self._settings.path):
                if self._writer is None:
                    return False
                with not_waiting(self._writer, self._settings):
                    self._is_moving = _in_transaction(
                        self._writer, "BEGIN IMMEDIATE", lambda db: move.step(self._transaction(db))
                    )
            return self._is_moving

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self._settings.path}: the backend was closed")
        if self._pid != os.getpid():
            if self._writer is not None or self._readers:
                raise StoreUnavailable(f"{self._settings.path}: open in the parent process; make a backend in this one")
            self._start_threads()

    async def _run(self, executor: Executor, job: Callable[[], T]) -> T:
        """Run a job on a thread, and wait for it."""
        abandoned = False

        def work() -> T:
            try:
                return job()
            except Exception as error:
                if abandoned:
                    self._missed(error)
                raise

        running = self._start(executor, work)
        try:
            return await running
        except asyncio.CancelledError:
            abandoned = True
            raise

    def _start(self, executor: Executor, job: Callable[[], T]) -> asyncio.Future[T]:
        """Run a job on a thread, through the running loop. The backend itself is not bound to a loop."""

        def work() -> T:
            with self._counted():
                return job()

        try:
            return asyncio.get_running_loop().run_in_executor(executor, work)
        except RuntimeError as error:
            if self._closed:
                raise StoreClosed(f"{self._settings.path}: the backend was closed") from error
            raise StoreUnavailable(f"{self._settings.path}: no thread could be started: {error}") from error

    def _start_write(self, job: Callable[[], None]) -> None:
        self._start(_WithoutWakeUp(self._write_thread), job)

    def _missed(self, error: BaseException) -> None:
        logger.warning("%s failed after the task that waited for it was cancelled: %s", self, type(error))

    @contextmanager
    def _counted(self) -> Generator[None, None, None]:
        with self._idle:
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._settings.in_memory:
            return await self._run(self._write_thread, lambda: self._transact(work, "BEGIN"))
        return await self._run(self._read_threads, lambda: self._with_reader(work))

    def _open(self) -> None:
        """Open the file, if it is not open: for writing if possible, so that readers find it migrated. On a thread."""
        if self._opened:
            return  # checked without the lock, so that a read does not wait for a write
        with self._writing:
            if not self._opened:
                self._read_only = not is_writable(self._settings)
                settings = self._settings
                opened = connect_reader(settings, alone=True) if self._read_only else connect_writer(settings)
                try:
                    self._language = language_in(opened, settings)
                    self._is_moving = state_in(opened) is not None
                    self._start_mover()
                except BaseException:
                    release(opened)
                    raise
                if self._read_only:
                    self._readers.append(opened)
                else:
                    self._writer = opened
                self._opened = True

    def _transact(self, work: Callable[[sqlite3.Connection], T], begin: str = "BEGIN IMMEDIATE") -> T:
        self._open()
        with self._writing, translate_errors(self._settings.path):
            if self._writer is None:
                raise StoreReadOnly(f"{self._settings.path}: the file is open for reading only")
            return _in_transaction(self._writer, begin, work)

    def _with_reader(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._open()
        try:
            db = self._readers.pop()
        except IndexError:
            db = connect_reader(self._settings, alone=self._read_only)
        try:
            with translate_errors(self._settings.path):
                return _in_transaction(db, "BEGIN", work)
        finally:
            self._readers.append(db)

    def _shut(self) -> None:
        """On the writer's thread, after all earlier jobs."""
        self._read_threads.shutdown(wait=True)
        with self._idle:
            self._idle.wait_for(lambda: self._running == 0)
        self._disconnect()
        self._write_thread.shutdown(wait=False)

    def _disconnect(self) -> None:
        with self._writing:
            while self._readers:
                release(self._readers.pop())
            writer, self._writer, self._opened = self._writer, None, False
            if writer is not None:
                try:
                    checkpoint(writer)
                except sqlite3.Error as error:
                    # The writes are durable in the -wal file; the next process that opens the file moves them.
                    logger.info("%s: no checkpoint at close: %s", self, error)
                release(writer)
        self._matrices.clear()
        self._documents.clear()

    # SQLite keeps the locks of a file per process, in tables that a child inherits although the locks are not its own.
    # So a connection that is open at a fork makes even a new connection of the child unsafe. Hence none is open at a
    # fork.

    def _before_fork(self) -> None:
        self._idle.acquire()
        if not self._idle.wait_for(lambda: self._running == 0, _FORK_WAIT):
            logger.warning("%s: a fork while an operation runs; the child cannot use this backend", self)
        elif not self._settings.in_memory:
            self._disconnect()

    def _after_fork(self, *, child: bool) -> None:
        busy = self._running > 0
        self._idle.release()
        if child:
            self._writing = threading.Lock()
            if not busy:
                self._start_threads()


class _WithoutWakeUp(Executor):
    """A thread for jobs that wake the loop themselves when they are done, so that it is not woken twice."""

    def __init__(self, thread: Executor) -> None:
        self._thread = thread

    def submit(self, job: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run the job. The future is unused; it never completes."""
        self._thread.submit(job, *args, **kwargs)
        return asyncio.get_running_loop().create_future()


def _nothing() -> None:
    """The job that a second `close` waits for."""


def _in_transaction(db: sqlite3.Connection, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
    db.execute(begin)
    try:
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk may have ended it already
            db.execute("ROLLBACK")
        raise
    return result


_forking: list[SqliteBackend] = []


def _before_fork() -> None:
    for backend in list(_all):
        _forking.append(backend)
        backend._before_fork()  # pyright: ignore[reportPrivateUsage]


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop()._after_fork(child=False)  # pyright: ignore[reportPrivateUsage]


def _after_fork_in_child() -> None:
    while _forking:
        _forking.pop()._after_fork(child=True)  # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
