"""Run a pipeline: to its end, for one reader, or for many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any, Generic, NoReturn, Protocol, Self, TypeAlias, TypeVar, cast, overload

from reactivex import Observable, abc
from reactivex.internal.exceptions import SequenceContainsNoElementsError

from cortex_rx.engine.mailboxes import TWO_READ, Mailbox
from cortex_rx.engine.scheduler import FlowScheduler, Gate, Keeper, as_exception

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")
M = TypeVar("M", bound="ReaderMailbox[Any, Any]")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class _Last(abc.ObserverBase[T]):
    def __init__(self, done: asyncio.Future[T]) -> None:
        self._done = done
        self._value: deque[T] = deque(maxlen=1)

    def on_next(self, value: T) -> None:
        self._value.append(value)

    def on_error(self, error: Exception) -> None:
        _fail(self._done, error)

    def on_completed(self) -> None:
        if self._done.done():
            return
        if self._value:
            self._done.set_result(self._value[0])
        else:
            self._done.set_exception(SequenceContainsNoElementsError())


def _fail(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
        done.exception()  # no warning if a cancelled caller does not ask for it


def _observable(source: object) -> None:
    if not isinstance(source, Observable):
        raise TypeError(f"source: an Observable, not {type(source).__name__}")


async def run(source: Observable[T]) -> T:
    """Run `source` to its end and return the last item; `SequenceContainsNoElementsError` if there was none.

    >>> import reactivex as rx
    >>> asyncio.run(run(rx.of("a", "b")))
    'b'
    """
    _observable(source)
    async with FlowScheduler() as flow:
        done: asyncio.Future[T] = flow.future()
        flow.subscribe(source, _Last(done))
        return await flow.result(done)


class stream(AbstractAsyncContextManager[Mailbox[T]]):
    """Run `source` and read what it emits, at the pace of the reader.

    It is a class, not a generator: a loop that ends closes all generators at once, so this one would be closed before
    the generator of a user that holds it.

    >>> import reactivex as rx
    >>> async def main():
    ...     async with stream(rx.of("a", "b")) as items:
    ...         return [item async for item in items]
    >>> asyncio.run(main())
    ['a', 'b']
    """

    def __init__(self, source: Observable[T], capacity: float = 32) -> None:
        _observable(source)
        if isinstance(capacity, bool) or not isinstance(capacity, int | float) or not capacity >= 1:
            raise TypeError("capacity: a number of items, 1 or more")
        self._source, self._capacity = source, capacity

    async def __aenter__(self) -> Mailbox[T]:
        self._flow = FlowScheduler()
        self._outlet = outlet = Mailbox[T](self._flow, self._capacity)
        self._flow.failed.add_done_callback(self._on_failed)
        try:
            self._flow.subscribe(self._source, outlet, outlet.gate)
        except BaseException:
            await self._flow.__aexit__()
            raise
        self._flow.keeper = self._keeper = Keeper(self._flow)
        return outlet

    def _on_failed(self, failed: asyncio.Future[None]) -> None:
        if error := failed.exception():
            self._outlet.on_error(cast("Exception", error))

    async def __aexit__(self, *_: object) -> None:
        self._keeper.leave()
        await self._flow.__aexit__()
        self._flow.failed.remove_done_callback(self._on_failed)


class Fold(Protocol[T_contra, R_co]):
    """A fold over all items: `add` gets each item, `result` returns the result."""

    def add(self, item: T_contra, /) -> None:
        """Add an item."""
        ...

    def result(self) -> R_co:
        """The result of all items; may raise."""
        ...


class LastItem(Generic[T]):
    """The fold that keeps the last item."""

    def __init__(self) -> None:
        self._value: deque[T] = deque(maxlen=1)

    def add(self, item: T, /) -> None:
        """Replace the item before."""
        self._value.append(item)

    def result(self) -> T:
        """The last item; `SequenceContainsNoElementsError` if there was none."""
        if not self._value:
            raise SequenceContainsNoElementsError
        return self._value[0]


class ReaderMailbox(Mailbox[U], Generic[T, U]):
    """The mailbox of one reader of a `Shared`: `deliver` puts into it what the reader sees of an item.

    A subclass overrides `deliver`, and calls `on_completed` where its part of the stream ends.
    """

    patience: asyncio.TimerHandle | None = None
    """Runs since a wait of its reader was cancelled; see `Shared._cancelled`."""

    def deliver(self, item: T) -> None:
        """Put in what the reader sees of an item; here the item itself."""
        self.on_next(cast("U", item))


class _Fan(abc.ObserverBase[T], Gate):
    """Folds every item, then delivers it to all readers; full while the slowest of them is."""

    def __init__(self, capacity: float, fold: Fold[T, Any], done: asyncio.Future[None]) -> None:
        Gate.__init__(self, capacity)
        self.readers: tuple[ReaderMailbox[T, Any], ...] = ()
        self._add = fold.add
        self.done = done

    def on_error(self, error: Exception) -> None:
        _fail(self.done, error)

    def on_completed(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def on_next(self, value: T) -> None:
        add = self._add  # a local: calling it as `self._add` takes longer
        add(value)
        for reader in self.readers:
            reader.deliver(value)
            held = reader.gate.held
            if held > self.held:  # too high once the reader has read on; `wait` corrects it
                self.held = held

    async def wait(self) -> None:
        while full := [reader for reader in self.readers if reader.gate.full]:
            await full[0].gate.wait()
        self.held = max((reader.gate.held for reader in self.readers), default=0)

    def end(self, error: BaseException | None) -> None:
        for reader in self.readers:
            _end(reader, error)


def _end(reader: Mailbox[Any], error: BaseException | None) -> None:
    if error is None:
        reader.on_completed()
    elif isinstance(error, asyncio.CancelledError):
        reader.on_error(Stopped("the stream was stopped"))
    else:
        reader.on_error(as_exception(error, "the stream"))


class Stopped(Exception):
    """The pipeline was stopped while it was read, or before it was awaited."""


class Shared(Generic[T, R]):
    """A pipeline that runs once, in a task of its own, for any number of readers and awaiters.

    It starts with its first use. The slowest reader sets the pace. Leaving ends only that reader (see `Reader`). When
    it is not used for `linger` seconds, the pipeline is stopped and flushes, unless `detach` was called. Its task is a
    plain one, so no cancel scope of a caller reaches into its cleanup. `started` is called when it starts. Awaiting
    returns the result of the `fold`, or without a fold the last item.

    >>> import reactivex as rx
    >>> async def main():
    ...     shared = Shared(rx.of("a", "b"), linger=1)
    ...     return [item async for item in shared], await shared
    >>> asyncio.run(main())
    (['a', 'b'], 'b')
    """

    @overload
    def __init__(  # the last item is an item
        self: Shared[T, T],  # pyright: ignore[reportInvalidTypeVarUse]
        source: Observable[T],
        *,
        capacity: float = 32,
        linger: float = 0.0,
    ) -> None: ...
    @overload
    def __init__(
        self,
        source: Observable[T],
        fold: Fold[T, R],
        *,
        capacity: float = 32,
        linger: float = 0.0,
        started: Started | None = None,
    ) -> None: ...
    def __init__(
        self,
        source: Observable[T],
        fold: Fold[T, Any] | None = None,
        *,
        capacity: float = 32,
        linger: float = 0.0,
        started: Started | None = None,
    ) -> None:
        self._started = started
        self._source, self._capacity, self._linger = source, capacity, linger
        self._fold: Fold[T, R] = fold if fold is not None else LastItem[Any]()
        self._task: asyncio.Task[R] | None = None
        self._using = 0
        self._timer: asyncio.TimerHandle | None = None
        self._kept = False
        self._stopped: str | None = None
        self.used: bool = False
        """Whether a caller has ever read, awaited, started or stopped it."""

    @property
    def task(self) -> asyncio.Task[R] | None:
        """The task of the pipeline, once it is started."""
        return self._task

    @property
    def flow(self) -> FlowScheduler:
        """The scheduler of the pipeline, once it is started."""
        return self._flow

    def detach(self) -> None:
        """Run to the end, even if all readers leave."""
        self._kept = True

    def release(self) -> None:
        """Wait for no reader any more. Unread items are held for readers that read on."""
        self._fan.open()
        for reader in self._fan.readers:
            reader.gate.open()

    def stop(self, by: str = "stopped") -> None:
        """Stop now: the source is closed, and the items that passed are flushed. The flow is told by what."""
        self.used = True
        self._stopped = self._stopped or by
        if self._task:
            self._flow.stopped_by = self._stopped
            self._task.cancel()

    def start(self) -> asyncio.Task[R]:
        """Start the pipeline, unless it runs. Raises `RuntimeError` on another event loop than its own."""
        if self._task is None:
            self.used = True
            self._flow = FlowScheduler()
            self._fan: _Fan[T] = _Fan(self._capacity, self._fold, self._flow.future())
            self._task = task = asyncio.create_task(self._run())
            if self._started:
                try:
                    self._started(self)
                except BaseException:
                    self._task = None
                    task.cancel()
                    raise
                self._started = None  # it may hold what holds this
            task.add_done_callback(self._over)
            if self._stopped:
                self._flow.stopped_by = self._stopped
                task.cancel()
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
            self.stop("left")

    def _over(self, task: asyncio.Task[R]) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        # An error that no code awaits causes no warning. A task that was cancelled before its first step has not ended
        # its readers yet; for all others the first end counts.
        self._fan.end(asyncio.CancelledError() if task.cancelled() else task.exception())

    async def _run(self) -> R:
        try:
            async with self._flow as flow:
                flow.subscribe(self._source, self._fan, self._fan)
                await flow.result(self._fan.done)
            value = self._fold.result()
        except BaseException as error:
            self._fan.end(error)
            raise
        self._fan.end(None)
        return value

    def _join(self, kind: Callable[[FlowScheduler, float], M]) -> M:
        """Let a reader in, with a new mailbox of this `kind`."""
        task = self._enter()
        mailbox = kind(self._flow, self._capacity)
        if task.done():
            _end(mailbox, asyncio.CancelledError() if task.cancelled() else task.exception())
        self._fan.readers += (mailbox,)
        return mailbox

    def _part(self, mailbox: ReaderMailbox[T, Any]) -> None:
        """A reader has left."""
        if mailbox.patience:
            mailbox.patience.cancel()
            mailbox.patience = None
        if mailbox not in self._fan.readers:  # it had left before: nobody waited for it
            return
        self._fan.readers = tuple(one for one in self._fan.readers if one is not mailbox)
        mailbox.gate.open()
        self._leave()

    def _cancelled(self, mailbox: ReaderMailbox[T, Any]) -> None:
        """A wait of a reader was cancelled. It may go on, but the stream does not wait for that for ever.

        A reader leaves when it is dropped. The frames of a cancelled task hold it as long as anybody holds the task.
        """
        if mailbox.patience:
            mailbox.patience.cancel()
        mailbox.patience = self._flow._loop.call_later(PATIENCE, self._give_up, mailbox)

    def _give_up(self, mailbox: ReaderMailbox[T, Any]) -> None:
        mailbox.patience = None
        reads = mailbox.reading or (mailbox.reader is not None and not mailbox.reader.done())
        if not reads and mailbox in self._fan.readers:
            mailbox.on_error(Stopped("this reader was cancelled, and did not read on"))
            self._part(mailbox)

    def __aiter__(self) -> Reader[ReaderMailbox[T, T], T]:
        return Reader(self, ReaderMailbox[T, T])

    def __await__(self) -> Generator[Any, None, R]:
        return self._wait().__await__()

    async def _wait(self) -> R:
        task = self._enter()
        try:
            await asyncio.wait((task,))  # raises only if this task is cancelled, and does not touch the pipeline
        finally:
            self._leave()
        if task.cancelled():
            raise Stopped("the stream was stopped")
        return task.result()


PATIENCE = 15.0
"""Seconds after which a reader whose wait was cancelled has left, if it does not read on."""

Started: TypeAlias = Callable[[Shared[Any, Any]], None]
"""Gets a pipeline that starts, with its task; may raise to refuse the start."""


class Reader(AsyncIterator[U], Generic[M, U]):
    """One reader of a `Shared`: an iterator with a mailbox of its own, which it has from its first item on.

    A cancellation ends only the wait for an item: the next `anext` goes on, with no item lost or repeated. A reader
    leaves when it is dropped (a `break` drops the iterator of a loop), on any thread, or with `aclose`. One that has
    read to the end of its mailbox has not left: the pipeline then runs to its own end. One whose wait was cancelled has
    left after `PATIENCE`, unless it has read on. An error that ended the stream is raised again by each further
    `anext`. One task at a time may read; a second one that waits gets a `RuntimeError`.

    It is no generator, which would be finished by a cancellation, and which a loop that ends closes.
    """

    __slots__ = ("_future", "_kind", "_mailbox", "_parted", "_shared")

    def __init__(self, shared: Shared[Any, Any], kind: Callable[[FlowScheduler, float], M]) -> None:
        self._parted = False
        self._shared, self._kind = shared, kind
        self._mailbox: M | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> U:
        mailbox = self._mailbox
        if mailbox is None:
            if self._parted:
                raise StopAsyncIteration
            self._mailbox = mailbox = self._shared._join(self._kind)
            # Not `Future[None]`: each call of an alias tries in vain to note it in what it makes.
            self._future: Callable[[], asyncio.Future[None]] = partial(asyncio.Future, loop=mailbox.flow._loop)
        # `Mailbox.__anext__`, in one frame: this runs for every token.
        if mailbox.reading:
            gate = mailbox.gate
            gate.held -= 1.0
            if gate.waiting:
                gate.release(0)
        items: deque[U] = mailbox.items
        if not items:
            mailbox.reading = 0
            try:
                while not items:
                    if mailbox.end:
                        self._at_end(mailbox.end)
                    if mailbox.reader is not None and not mailbox.reader.done():
                        raise RuntimeError(TWO_READ)
                    mailbox.reader = waiter = self._future()
                    await waiter
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and not self._parted:
                    self._shared._cancelled(mailbox)
                del self  # the traceback would keep a reader that is dropped from leaving
                raise
        mailbox.reading = 1
        return items.popleft()

    def _at_end(self, end: Exception | bool) -> NoReturn:
        if end is True and not self._parted:
            self._shared.detach()
        self._part()
        if isinstance(end, Exception):
            raise end
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Leave. Nothing more is read."""
        self._part()
        if mailbox := self._mailbox:
            mailbox.items.clear()
            mailbox.end = True
            mailbox.wake()

    def _part(self) -> None:
        if not self._parted:
            self._parted = True
            if self._mailbox is not None:
                self._shared._part(self._mailbox)

    def __del__(self) -> None:
        if not self._parted and (mailbox := self._mailbox) is not None:
            with suppress(RuntimeError):  # the loop is closed: nothing runs any more
                # Not now: this may be another thread, or in the middle of anything.
                mailbox.flow._loop.call_soon_threadsafe(self._shared._part, mailbox)
