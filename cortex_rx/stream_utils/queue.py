"""A bounded queue, with or without a processor of its items."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from cortex_rx import validation as check
from cortex_rx.engine.scheduler import ForeignCancellation, cancelled_by_us
from cortex_rx.errors import QueueClosed
from cortex_rx.stream_utils._common import Changes, awaited

__all__ = ["AsyncQueue"]

T = TypeVar("T")


class AsyncQueue(AsyncIterator[T]):
    """A queue of at most `max_size` waiting items.  `enqueue` waits while it is full.

    A `processor` is a function, plain or async.  It gets the items in order, one at a time, from a task that exists
    only while there is work.  Without a processor, `async for` reads the items until the queue is closed and empty.
    After `stop`, readers get `QueueClosed`.

    If the processor fails on an item, processing ends: from then on `enqueue`, `drain` and `close` raise its error, and
    the waiting items stay, for `dequeue`.  With `on_error(item, error)`, that function is called, and processing
    continues.

    `async with` closes the queue: at its end the waiting items are processed.  If its body fails or is cancelled, the
    queue is stopped.  Otherwise call `drain`, `close` or `stop` to wait for the task.

    >>> import asyncio
    >>> async def main():
    ...     async with AsyncQueue(print) as queue:
    ...         for word in ("one", "two"):
    ...             await queue.enqueue(word)
    >>> asyncio.run(main())
    one
    two
    >>> async def read():
    ...     queue = AsyncQueue()
    ...     await queue.enqueue("one")
    ...     await queue.close()
    ...     return [item async for item in queue]
    >>> asyncio.run(read())
    ['one']
    """

    def __init__(
        self,
        processor: Callable[[T], Any] | None = None,
        *,
        max_size: int = 1000,
        on_error: Callable[[T, Exception], object] | None = None,
    ) -> None:
        check.optional(check.callback)("processor", processor)
        check.optional(check.callback)("on_error", on_error)
        self.processor: Callable[[T], Any] | None = processor
        self.max_size: int = check.whole(1)("max_size", max_size)
        self._on_error = on_error
        self._items: deque[T] = deque()
        self._changes = Changes()
        self._worker: asyncio.Task[None] | None = None
        self._closed = self._stopped = False
        self._failure: BaseException | None = None

    @property
    def processing(self) -> bool:
        """Whether the processor is working."""
        return self._worker is not None

    def size(self) -> int:
        """The number of waiting items, without the one that is being processed."""
        return len(self._items)

    def is_empty(self) -> bool:
        """Whether no item is waiting."""
        return not self._items

    async def enqueue(self, item: T) -> None:
        """Add an item at the end, after waiting for space.  If this raises, the item is not in the queue.

        Raises `QueueClosed` after `close`, and the error of the processor after it has failed.
        """
        if len(self._items) >= self.max_size:
            self._not_by_the_processor()
        await self._changes.until(lambda: len(self._items) < self.max_size or self._closed or self._failure)
        if self._failure:
            raise self._failure
        if self._closed:
            raise QueueClosed("the queue is closed")
        self._items.append(item)
        self._changes.tell()
        self._work_on()

    def dequeue(self) -> T | None:
        """Remove and return the first waiting item, without waiting; None if there is none.  The processor skips it."""
        if not self._items:
            return None
        item = self._items.popleft()
        self._changes.tell()
        return item

    def clear(self) -> None:
        """Drop the waiting items."""
        self._items.clear()
        self._changes.tell()

    async def __anext__(self) -> T:
        if self.processor:
            raise TypeError("the items of this queue go to its processor")
        await self._changes.until(lambda: self._items or self._closed)
        if self._stopped:
            raise QueueClosed("the queue was stopped")  # not a normal end: items may have been dropped
        if not self._items:
            raise StopAsyncIteration
        item = self._items.popleft()
        self._changes.tell()
        return item

    async def drain(self) -> None:
        """Wait until no item is waiting or being processed.  Raises the error of the processor."""
        self._not_by_the_processor()
        await self._changes.until(lambda: self._failure or not (self._items or self._worker))
        if self._failure:
            raise self._failure

    async def close(self) -> None:
        """Accept no more items.  With a processor, wait until it has processed the waiting items.  Without one, they
        can still be read.

        Cancelling this does not stop the processor; `stop` does.
        """
        self._closed = True
        self._changes.tell()
        if self.processor:
            await self.drain()

    async def stop(self) -> None:
        """Accept no more items, drop the waiting ones, cancel the processing, and wait until it has ended."""
        self._not_by_the_processor()
        self._closed = self._stopped = True
        self.clear()
        before = self._failure
        if self._worker:
            self._worker.cancel()
            await asyncio.wait({self._worker})
        if self._failure and self._failure is not before:
            raise self._failure

    async def __aenter__(self) -> AsyncQueue[T]:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return await self.stop()
        try:
            await self.close()
        except asyncio.CancelledError:
            await self.stop()
            raise

    def _not_by_the_processor(self) -> None:
        if self._worker and asyncio.current_task() is self._worker:
            raise RuntimeError("the processor of a queue waits for its own queue")

    def _work_on(self) -> None:
        if self.processor and self._items and not (self._worker or self._failure or self._stopped):
            self._worker = asyncio.get_running_loop().create_task(self._work(self.processor), name="cortex_rx-queue")
            self._worker.add_done_callback(self._worked)

    def _worked(self, worker: asyncio.Task[None]) -> None:
        self._worker = None
        if not worker.cancelled():
            self._failure = worker.exception()
        elif not self._stopped:
            self._failure = ForeignCancellation("the processing of a queue")
        self._work_on()  # for items that came meanwhile
        self._changes.tell()

    async def _work(self, processor: Callable[[T], Any]) -> None:
        while self._items:
            item = self._items.popleft()
            self._changes.tell()
            try:
                await awaited(processor(item))
            except asyncio.CancelledError as error:
                if cancelled_by_us():
                    raise
                raise ForeignCancellation("the processing of a queue") from error
            except Exception as error:
                if self._on_error is None:
                    raise
                await awaited(self._on_error(item, error))
            await asyncio.sleep(0)  # so that a processor that never waits does not starve other tasks
