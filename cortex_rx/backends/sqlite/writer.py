"""Writing: writes that wait while a transaction runs share the next transaction.

A COMMIT costs a sync of the disk and some pages of the -wal file, however little it holds. So when the thread that
writes is free, it takes all waiting writes, at most `MOST`, does each in its own savepoint, and commits once.

* Callers get nothing before the COMMIT: no result, and no refusal either, since a refusal may depend on another write
  of the same transaction.
* A refused write is undone alone. When SQLite itself fails, in a write or in the COMMIT, the whole transaction is
  undone, and each write is then done alone. So each caller gets the outcome that it would have got alone.
* No write waits for others: a write that finds the thread free is done at once, in its own transaction.
"""

from __future__ import annotations

import asyncio
import copy
import sqlite3
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeAlias

__all__ = ["MOST", "SharedWrites", "Write"]

MOST = 64
"""The most writes in a transaction. Meanwhile other processes cannot write, and no caller gets its result."""

_URGENT = MOST // 2
"""The most urgent writes among them while others wait, so that neither kind starves the other."""

Work: TypeAlias = Callable[[sqlite3.Connection], Any]
Transact: TypeAlias = Callable[[Work], Any]
"""Does `work` in a transaction that is committed when this returns, and undone when it raises."""
Start: TypeAlias = Callable[[Callable[[], None]], object]
"""Runs a job on the thread that writes, after all earlier jobs. The job itself reports when it is done."""


class Write:
    """One write: its `work`, the `answer` for which its caller waits, and the outcome: `error`, or else `result`."""

    __slots__ = ("answer", "error", "result", "work")

    def __init__(self, work: Work, answer: asyncio.Future[Any]) -> None:
        self.work: Work = work
        self.answer: asyncio.Future[Any] = answer
        self.result: Any = None
        self.error: BaseException | None = None


class SharedWrites:
    """The writes of a backend.

    `start` and `transact` run them. `missed` gets the errors of writes whose callers were cancelled.
    """

    def __init__(self, start: Start, transact: Transact, missed: Callable[[BaseException], None]) -> None:
        self._start = start
        self._transact = transact
        self._missed = missed
        # By loop, so that a job wakes one loop, once, and a loop that runs jobs inline does not wait for a thread.
        self._waiting: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Waiting] = weakref.WeakKeyDictionary()

    async def write(self, work: Work, *, urgent: bool = False) -> Any:
        """Do the work. Returns its result when it is durable. Cancelled before the thread takes it, it is not done."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = _Waiting()
        write = Write(work, loop.create_future())
        if waiting.add(write, urgent):
            try:
                self._start(lambda: self._job(loop, waiting))
            except BaseException:
                write.answer.cancel()
                waiting.start_failed()
                raise
        return await write.answer

    def _job(self, loop: asyncio.AbstractEventLoop, waiting: _Waiting) -> None:
        """On the thread that writes."""
        writes = waiting.take()
        _write_all(writes, self._transact)
        for write in writes:
            if write.error is not None and write.answer.cancelled():
                self._missed(write.error)
        if writes:
            with suppress(RuntimeError):  # the loop is closed, so no caller waits
                loop.call_soon_threadsafe(
                    _tell, writes, context=Context()
                )  # for all callers, so in no caller's context


class _Waiting:
    """The writes of one loop that the thread has not taken yet.

    There is one job under way for each `MOST` of them. So writes from before a close are taken before the job that
    closes the backend.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._urgent: deque[Write] = deque()
        self._others: deque[Write] = deque()
        self._jobs = 0

    def add(self, write: Write, urgent: bool) -> bool:
        """Add a write. Returns whether one more job is needed."""
        with self._lock:
            (self._urgent if urgent else self._others).append(write)
            needed = len(self._urgent) + len(self._others) > self._jobs * MOST
            self._jobs += needed
            return needed

    def start_failed(self) -> None:
        """A job was not started, so the next write asks for one."""
        with self._lock:
            self._jobs -= 1

    def take(self) -> list[Write]:
        """The writes that a job does together, without those that were cancelled meanwhile."""
        with self._lock:
            self._jobs = max(self._jobs - 1, 0)  # 0: the job of a failed start runs after all
            taken = _first_of(self._urgent, _URGENT)
            taken += _first_of(self._others, MOST - len(taken))
            taken += _first_of(self._urgent, MOST - len(taken))
        return [write for write in taken if not write.answer.done()]


def _first_of(waiting: deque[Write], most: int) -> list[Write]:
    return [waiting.popleft() for _ in range(min(most, len(waiting)))]


def _write_all(writes: list[Write], transact: Transact) -> None:
    """Do all writes, and set the outcome of each."""
    if len(writes) > 1 and _write_together(writes, transact):
        return
    for write in writes:
        write.result = write.error = None
        try:
            write.result = transact(write.work)
        except BaseException as error:  # of any kind: it belongs to the caller
            write.error = error


def _write_together(writes: list[Write], transact: Transact) -> bool:
    """Do all writes in one transaction. Returns whether each has its outcome; otherwise none of them is done."""
    begun = False

    def work(db: sqlite3.Connection) -> None:
        nonlocal begun
        begun = True
        for write in writes:
            _write_within(db, write)

    try:
        transact(work)
    except BaseException as error:
        if begun and isinstance(error, Exception):
            return False
        # The file could not be opened or locked: each write alone would fail, too.
        for write in writes:
            write.error = _copy(error)
    return True


def _copy(error: BaseException) -> BaseException:
    """Raising an exception changes it, so each caller gets its own copy, if it can be copied."""
    try:
        other = copy.copy(error).with_traceback(error.__traceback__)
    except Exception:
        return error
    other.__cause__ = error.__cause__
    return other


def _write_within(db: sqlite3.Connection, write: Write) -> None:
    """Do one write in the shared transaction. Raises errors after which the transaction cannot go on."""
    db.execute("SAVEPOINT one")
    try:
        write.result = write.work(db)
    except Exception as error:
        if isinstance(error, sqlite3.Error) or not db.in_transaction:
            raise
        db.execute("ROLLBACK TO one")
        write.error = error
    db.execute("RELEASE one")


def _tell(writes: list[Write]) -> None:
    """Give each caller its outcome, on the callers' loop."""
    for write in writes:
        if write.answer.done():  # cancelled meanwhile
            continue
        if isinstance(write.error, StopIteration):  # a future cannot carry it
            refused = RuntimeError("a function of the backend's user raised StopIteration")
            refused.__cause__ = write.error
            write.answer.set_exception(refused)
        elif write.error is not None:
            write.answer.set_exception(write.error)
        else:
            write.answer.set_result(write.result)
