"""Running a pipeline: to its end, for one reader, for many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.internal.exceptions import SequenceContainsNoElementsError

from cortex_rx.flow.boxes import Mailbox
from cortex_rx.flow.scheduler import Flow, Gate, cancelled_by_us

T = TypeVar("T")


class _Last(abc.ObserverBase[T]):
    def __init__(self, done: asyncio.Future[T]) -> None:
        self._done = done
        self._value: deque[T] = deque(maxlen=1)

    def on_next(self, value: T) -> None:
        self._value.append(value)

    def on_error(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    def on_completed(self) -> None:
        if self._done.done():
            return
        if self._value:
            self._done.set_result(self._value[0])
        else:
            self._done.set_exception(SequenceContainsNoElementsError())


async def run(source: Observable[T]) -> T:
    """Run `source` to its end and return the last item."""
    async with Flow() as flow:
        done: asyncio.Future[T] = flow.future()
        flow.subscribe(source, _Last(done))
        return await flow.result(done)


@asynccontextmanager
async def stream(source: Observable[T], capacity: float = 32) -> AsyncGenerator[Mailbox[T], None]:
    """Run `source` and read what it emits, at the pace of the reader."""
    root = Flow()
    outlet: Mailbox[T] = Mailbox(root, capacity)
    root._failed.add_done_callback(lambda failed: outlet.on_error(failed.exception()))  # type: ignore[arg-type]
    async with root:
        root.subscribe(source, outlet, outlet.gate)
        yield outlet


class _Fan(abc.ObserverBase[T], Gate):
    """Hands every item to all readers; full while the slowest of them is."""

    def __init__(self, capacity: float, last: _Last[T]) -> None:
        Gate.__init__(self, capacity)
        self.readers: set[Mailbox[T]] = set()
        self._last = last

    def on_error(self, error: Exception) -> None:
        self._last.on_error(error)

    def on_completed(self) -> None:
        self._last.on_completed()

    def on_next(self, value: T) -> None:
        self._last.on_next(value)
        self.held = 0
        for reader in self.readers:
            reader.on_next(value)
            if reader.gate.held > self.held:
                self.held = reader.gate.held

    async def wait(self) -> None:
        while full := [reader for reader in self.readers if reader.gate.full]:
            await full[0].gate.wait()
        self.held = 0

    def end(self, error: BaseException | None) -> None:
        for reader in self.readers:
            if error is None:
                reader.on_completed()
            else:
                reader.on_error(error if isinstance(error, Exception) else Stopped())


class Stopped(Exception):
    """The pipeline was stopped while somebody still read from it, or before somebody awaited it."""


class Shared(Generic[T]):
    """A pipeline that runs once, in a task of its own, for any number of readers and awaiters.

    The slowest reader sets the pace.  Leaving (a `break`, a cancellation) ends only that reader; when nobody has used it
    for `linger` seconds the pipeline is stopped, and flushes, unless `keep` was called.  The task is a plain one: no scope
    of a caller reaches into its cleanup.
    """

    def __init__(self, source: Observable[T], capacity: float = 32, linger: float = 0.0) -> None:
        self._source, self._capacity, self._linger = source, capacity, linger
        self._task: asyncio.Task[T] | None = None
        self._using = 0
        self._kept = self._stopped = False

    def keep(self) -> None:
        """It runs on to its end, whoever leaves: all text is there, or the user wants it."""
        self._kept = True

    def stop(self) -> None:
        self._stopped = True
        if self._task:
            self._task.cancel()

    def _start(self) -> asyncio.Task[T]:
        self._using += 1
        if self._task is None:
            self._flow = Flow()
            self._done: asyncio.Future[T] = self._flow.future()
            self._fan: _Fan[T] = _Fan(self._capacity, _Last(self._done))
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._task

    def _leave(self) -> None:
        self._using -= 1
        if not self._using:
            self._flow._loop.call_later(self._linger, self._stop_if_left)

    def _stop_if_left(self) -> None:
        if not self._using and not self._kept:
            self.stop()

    async def _run(self) -> T:
        try:
            async with self._flow as flow:
                flow.subscribe(self._source, self._fan, self._fan)
                value = await flow.result(self._done)
        except BaseException as error:
            self._fan.end(error)
            raise
        self._fan.end(None)
        return value

    async def __aiter__(self) -> AsyncGenerator[T, None]:  # a generator: a `break` finalises it
        task = self._start()
        mailbox: Mailbox[T] = Mailbox(self._flow, self._capacity)
        if task.done():
            mailbox.on_completed()
        self._fan.readers.add(mailbox)
        try:
            async for item in mailbox:
                yield item
        finally:
            self._fan.readers.discard(mailbox)
            mailbox.gate.capacity = float("inf")
            mailbox.gate.give(0)
            self._leave()

    def __await__(self) -> Generator[Any, None, T]:
        return self._wait().__await__()

    async def _wait(self) -> T:
        task = self._start()
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._stopped and not cancelled_by_us():
                raise Stopped from None
            raise
        finally:
            self._leave()
