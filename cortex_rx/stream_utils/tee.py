"""One stream for several readers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Generic, TypeVar

from cortex_rx import validation as check
from cortex_rx.engine.scheduler import ForeignCancellation
from cortex_rx.stream_utils._common import Changes, reading

__all__ = ["Branch", "tee_stream"]

T = TypeVar("T")


class _Box(Generic[T]):
    """The items that wait for one reader."""

    def __init__(self) -> None:
        self.items: deque[T] = deque()
        self.readers: int = 0  # the readers that are waiting now


class _Tee(Generic[T]):
    """Reads the stream in a task of its own, so that the cancellation of one reader does not affect the others."""

    def __init__(self, stream: AsyncIterable[T], max_ahead: int) -> None:
        self.stream: AsyncIterable[T] = stream
        self.max_ahead: int = max_ahead
        # The boxes of open branches.  The branches themselves are not held, so that a dropped one is noticed.
        self.boxes: set[_Box[T]] = set()
        self.changes: Changes = Changes()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[None] | None = None
        self.over: bool = False
        self.fetching: bool = False
        self.error: Exception | None = None

    def start(self) -> asyncio.Task[None]:
        if self.task is None:
            self.loop = asyncio.get_running_loop()
            self.task = self.loop.create_task(self._read(), name="cortex_rx-tee")
        return self.task

    def leave(self, box: _Box[T]) -> None:
        """A branch is closed; when the last one is, reading ends."""
        self.boxes.discard(box)
        box.items.clear()
        if not self.boxes and self.task and self.fetching:
            self.task.cancel()
        self.changes.tell()

    def _go_on(self) -> bool:
        """Whether a reader is waiting and none is too far behind, or no branch is left."""
        asked = any(box.readers and not box.items for box in self.boxes)
        return not self.boxes or (asked and all(len(box.items) < self.max_ahead for box in self.boxes))

    async def _read(self) -> None:
        try:
            async with reading(self.stream) as items:
                while True:
                    await self.changes.until(self._go_on)
                    if not self.boxes:
                        break
                    self.fetching = True
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        break
                    finally:
                        self.fetching = False
                    for box in self.boxes:
                        box.items.append(item)
                    self.changes.tell()
        except asyncio.CancelledError:
            if self.boxes:  # not cancelled by `leave`: readers must not take this for the end of the stream
                self.error = ForeignCancellation("the reading of a stream")
                raise
        except Exception as error:
            self.error = error
        finally:
            self.over = True
            self.changes.tell()


class Branch(AsyncIterator[T]):
    """One of the streams that `tee_stream` returns.  Close it with `aclose` or `async with`, or drop it."""

    def __init__(self, tee: _Tee[T]) -> None:
        self._tee = tee
        self._box: _Box[T] = _Box()
        tee.boxes.add(self._box)

    async def __anext__(self) -> T:
        tee, box = self._tee, self._box
        if box in tee.boxes and not box.items:
            tee.start()
            box.readers += 1
            tee.changes.tell()
            try:
                await tee.changes.until(lambda: box.items or tee.over or box not in tee.boxes)
            finally:
                box.readers -= 1
        if box.items:
            item = box.items.popleft()
            tee.changes.tell()
            return item
        still = box in tee.boxes
        tee.leave(box)
        if still and tee.error:
            raise tee.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading, so that other branches do not wait for this one.  Closing the last branch closes the stream."""
        tee = self._tee
        tee.leave(self._box)
        if tee.boxes or tee.over:
            return
        before = tee.error
        await asyncio.wait({tee.start()})  # if nobody has read, the task starts only now, to close the stream
        if tee.error and tee.error is not before:
            raise tee.error

    async def __aenter__(self) -> Branch[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        tee, box = self._tee, self._box
        if tee.loop is None:
            tee.leave(box)
        elif box in tee.boxes:
            with suppress(RuntimeError):  # the loop is closed
                tee.loop.call_soon_threadsafe(tee.leave, box)  # garbage collection may run in any thread


def tee_stream(stream: AsyncIterable[T], n: int = 2, *, max_ahead: int = 32) -> tuple[Branch[T], ...]:
    """`n` streams that each yield every item of `stream`, for readers that run concurrently.

    The slowest reader sets the pace: the stream is read when a reader waits for an item, and only while no branch has
    `max_ahead` unread items.  So reading the branches one after the other in one task waits forever.  A closed branch
    and a cancelled reader hold up nobody.  The stream is closed when all branches are.  An error of the stream is
    raised in every branch, after the items before it.

    The stream is read in a task of its own, which starts with the first reader and ends with the stream or the last
    branch.

    >>> import asyncio
    >>> async def words():
    ...     for word in ("It ", "is ", "in ", "Lisbon."):
    ...         yield word
    >>> async def main():
    ...     shown, logged = tee_stream(words())
    ...     return await asyncio.gather(consume(shown), consume(logged))
    >>> from cortex_rx.stream_utils import consume_stream as consume
    >>> asyncio.run(main())
    ['It is in Lisbon.', 'It is in Lisbon.']
    """
    check.whole(1)("n", n)
    tee = _Tee(check.stream("stream", stream), check.whole(1)("max_ahead", max_ahead))
    return tuple(Branch(tee) for _ in range(n))
