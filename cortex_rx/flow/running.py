"""Running a pipeline: to its end, for one reader, for many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar, overload

from reactivex import Observable, abc
from reactivex.internal.exceptions import SequenceContainsNoElementsError

from cortex_rx.flow.boxes import Mailbox
from cortex_rx.flow.scheduler import Flow, Gate, cancelled_by_us

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


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


class Fold(Protocol[T_contra, R_co]):
    """What becomes of all items: `add` is given each of them, `result` says what they come to."""

    def add(self, item: T_contra, /) -> None:
        """Take one more item in."""
        ...

    def result(self) -> R_co:
        """What all items come to; may raise."""
        ...


class LastItem(Generic[T]):
    """The fold that keeps the last item."""

    def __init__(self) -> None:
        self._value: deque[T] = deque(maxlen=1)

    def add(self, item: T, /) -> None:
        """Forget the one before."""
        self._value.append(item)

    def result(self) -> T:
        """The last item; `SequenceContainsNoElementsError` if there was none."""
        if not self._value:
            raise SequenceContainsNoElementsError
        return self._value[0]


class _Fan(abc.ObserverBase[T], Gate):
    """Folds every item, then hands it to all readers; full while the slowest of them is."""

    def __init__(self, capacity: float, fold: Fold[T, Any], done: asyncio.Future[None]) -> None:
        Gate.__init__(self, capacity)
        self.readers: dict[Mailbox[Any], Callable[[T], None]] = {}
        self._add = fold.add
        self._done = done

    def on_error(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    def on_completed(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def on_next(self, value: T) -> None:
        self._add(value)
        held = 0.0
        for reader, give in self.readers.items():
            give(value)
            if reader.gate.held > held:
                held = reader.gate.held
        self.held = held

    async def wait(self) -> None:
        while full := [reader for reader in self.readers if reader.gate.full]:
            await full[0].gate.wait()
        self.held = 0

    def end(self, error: BaseException | None) -> None:
        for reader in self.readers:
            _end(reader, error)


def _end(reader: Mailbox[Any], error: BaseException | None) -> None:
    if error is None:
        reader.on_completed()
    else:
        reader.on_error(error if isinstance(error, Exception) else Stopped("the stream was stopped"))


class Stopped(Exception):
    """The pipeline was stopped while somebody still read from it, or before somebody awaited it."""


class Shared(Generic[T, R]):
    """A pipeline that runs once, in a task of its own, for any number of readers and awaiters.

    It starts with its first use.  The slowest reader sets the pace.  Leaving (a `break`, a cancellation) ends only that
    reader; when nobody has used it for `linger` seconds the pipeline is stopped, and flushes, unless `keep` was called.  The
    task is a plain one: no scope of a caller reaches into its cleanup.  Awaiting gives the result of the `fold`,
    without one the last item.
    """

    @overload
    def __init__(self: Shared[T, T], source: Observable[T], *, capacity: float = 32, linger: float = 0.0) -> None: ...
    @overload
    def __init__(
        self, source: Observable[T], fold: Fold[T, R], *, capacity: float = 32, linger: float = 0.0
    ) -> None: ...
    def __init__(
        self, source: Observable[T], fold: Fold[T, Any] | None = None, *, capacity: float = 32, linger: float = 0.0
    ) -> None:
        self._source, self._capacity, self._linger = source, capacity, linger
        self._fold: Fold[T, R] = fold if fold is not None else LastItem[Any]()
        self._task: asyncio.Task[R] | None = None
        self._using = 0
        self._timer: asyncio.TimerHandle | None = None
        self._kept = self._stopped = False

    @property
    def task(self) -> asyncio.Task[R] | None:
        """The task that runs the pipeline, once it was started."""
        return self._task

    def keep(self) -> None:
        """It runs on to its end, whoever leaves: all text is there, or the user wants it."""
        self._kept = True

    def stop(self) -> None:
        """End it now: the source is closed, what passed is flushed."""
        self._stopped = True
        if self._task:
            self._task.cancel()

    def start(self) -> asyncio.Task[R]:
        """Start the pipeline, unless it runs already.  Raises `RuntimeError` on another loop than it runs on."""
        if self._task is None:
            self._flow = Flow()
            self._fan: _Fan[T] = _Fan(self._capacity, self._fold, self._flow.future())
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._over)
            if self._stopped:
                self._task.cancel()
        elif self._task.get_loop() is not asyncio.get_running_loop():
            raise RuntimeError("this stream runs on another event loop: read and await it there")
        return self._task

    def _enter(self) -> asyncio.Task[R]:
        task = self.start()
        self._using += 1
        if self._timer:
            self._timer.cancel()
            self._timer = None
        return task

    def _leave(self) -> None:
        self._using -= 1
        if not self._using and not self._kept and self._task and not self._task.done():
            self._timer = self._flow._loop.call_later(self._linger, self._stop_if_left)

    def _stop_if_left(self) -> None:
        self._timer = None
        if not self._using and not self._kept:
            self.stop()

    def _over(self, task: asyncio.Task[R]) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not task.cancelled():
            task.exception()  # whoever awaits gets it; if nobody does, that is no reason for a warning

    async def _run(self) -> R:
        try:
            async with self._flow as flow:
                flow.subscribe(self._source, self._fan, self._fan)
                await flow.result(self._fan._done)
            value = self._fold.result()
        except BaseException as error:
            self._fan.end(error)
            raise
        self._fan.end(None)
        return value

    async def read(
        self, make: Callable[[Flow, float], tuple[Mailbox[U], Callable[[T], None]]]
    ) -> AsyncGenerator[U, None]:  # a generator: a `break` finalises it
        """What a new reader sees; `make` gives its mailbox, and what puts an item there."""
        task = self._enter()
        mailbox, give = make(self._flow, self._capacity)
        if task.done():
            _end(mailbox, asyncio.CancelledError() if task.cancelled() else task.exception())
        self._fan.readers[mailbox] = give
        try:
            async for item in mailbox.drain():
                yield item
        finally:
            del self._fan.readers[mailbox]
            mailbox.close()
            self._leave()

    def __aiter__(self) -> AsyncGenerator[T, None]:
        def make(flow: Flow, capacity: float) -> tuple[Mailbox[T], Callable[[T], None]]:
            mailbox: Mailbox[T] = Mailbox(flow, capacity)
            return mailbox, mailbox.on_next

        return self.read(make)

    def __await__(self) -> Generator[Any, None, R]:
        return self._wait().__await__()

    async def _wait(self) -> R:
        task = self._enter()
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._stopped and not cancelled_by_us():
                raise Stopped("the stream was stopped") from None
            raise
        finally:
            self._leave()
