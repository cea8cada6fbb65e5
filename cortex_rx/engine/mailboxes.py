"""From push to pull: the mailbox of a reader, the inbox of a worker."""

from __future__ import annotations

import asyncio
import enum
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from reactivex import abc

from cortex_rx.engine.scheduler import FlowScheduler, Gate

T = TypeVar("T")

TWO_READ = "another task waits for the next item of this reader: give each task a reader of its own"


class Mailbox(abc.ObserverBase[T], AsyncIterator[T]):
    """An observer that one reader iterates.

    An item is held until the reader asks for the next one. The end of the source, also an error, comes after the items
    before it; the first end counts. A cancelled wait loses no item: the next one goes on. A second task that waits gets
    a `RuntimeError`.
    """

    def __init__(self, flow: FlowScheduler, capacity: float = 32) -> None:
        self.gate: Gate = Gate(capacity)
        self.flow: FlowScheduler = flow
        self.items: deque[T] = deque()
        self.end: Exception | bool = False
        self.reader: asyncio.Future[None] | None = None
        self.reading: int = 0

    def on_next(self, value: T) -> None:
        self.gate.held += 1.0
        self.items.append(value)
        if self.reader:
            self.wake()

    def on_error(self, error: Exception) -> None:
        if not self.end:
            self.end = error
            self.wake()

    def on_completed(self) -> None:
        if not self.end:
            self.end = True
            self.wake()

    def wake(self) -> None:
        """Wake the reader, if it waits."""
        if (reader := self.reader) is not None:
            self.reader = None
            if not reader.done():
                reader.set_result(None)

    async def __anext__(self) -> T:
        if not await self.more():
            raise StopAsyncIteration
        self.reading = 1
        return self.items.popleft()

    async def batch(self) -> list[T]:
        """All items that wait, at least one; an empty list at the end."""
        await self.more()
        batch = list(self.items)
        self.items.clear()
        self.reading = len(batch)
        return batch

    async def more(self) -> bool:
        """Wait for an item, or (False) for the end. The items returned before are released."""
        if self.reading:
            self.gate.release(self.reading)
            self.reading = 0
        while not self.items:
            if isinstance(self.end, Exception):
                raise self.end
            if self.end:
                return False
            if self.reader is not None and not self.reader.done():
                raise RuntimeError(TWO_READ)
            self.reader = self.flow.future()
            await self.reader
        return True


def _nothing() -> None:
    """What closing an inbox calls unless its operator says otherwise."""


class End(enum.Enum):
    """How a stream ended, for the worker beside it."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Inbox(AsyncIterator[list[T]]):
    """The items that passed an operator since its worker last looked, in batches; the last batch comes after the end.

    `interval` is the shortest time between two batches, in seconds; the worker may change it, and `pace` stretches it.
    `end` says how the stream ended, None before that. The waiting items are bounded: `weigh(item)` is what an item
    counts, by default 1, and the source waits while `capacity` is reached.
    """

    def __init__(
        self, flow: FlowScheduler, interval: float, weigh: Callable[[T], float] | None, capacity: float
    ) -> None:
        self.gate: Gate = Gate(capacity)
        self.interval: float = interval
        self.factor: float = 1.0  # by which the interval is multiplied
        self.quiet: float | None = None  # seconds without an item after which a batch is due, see `pace`
        self.tick: float | None = None  # seconds of silence before an empty batch (for a heartbeat)
        self.end: End | None = None
        self.error: Exception | None = None
        self.disposed: bool = False  # whether the subscription was disposed, maybe after the end
        self.disposed_at: float = math.inf  # when, by the clock of the flow
        self._on_dispose: asyncio.Event | None = None  # made for the first that waits
        self.flow: FlowScheduler = flow
        self.upstream: FlowScheduler = flow  # the flow of everything upstream, for a worker of `beside(joins=True)`
        self.wake_at: float = math.inf  # a sleeping worker wakes when so much is held
        self.on_close: Callable[[], None] = _nothing
        self.on_release: Callable[[], None] = _nothing
        self.items: list[T] | deque[T] = []
        self._weigh = weigh
        self._handed = 0.0
        self._last = float("-inf")
        self._wakeup: asyncio.Future[bool] | None = None

    def put(self, item: T) -> None:
        """Add an item that passed."""
        self.items.append(item)
        self.gate.held += self._weigh(item) if self._weigh else 1.0
        if self.gate.held >= self.wake_at:
            self.wake()

    def finish(self, end: End, error: Exception | None = None) -> None:
        """No more items will pass; the first call counts."""
        if self.end is None:
            self.end, self.error = end, error
            self.wake()

    def dispose(self) -> None:
        """The subscription is disposed: no more items will pass, and the worker flushes."""
        self.disposed, self.disposed_at = True, min(self.disposed_at, self.flow.time())
        if self._on_dispose:
            self._on_dispose.set()
        self.finish(End.CANCELLED)

    async def until_disposed(self) -> None:
        """Wait until the subscription is disposed."""
        if not self.disposed:
            self._on_dispose = self._on_dispose or asyncio.Event()
            await self._on_dispose.wait()

    def close(self) -> None:
        """The worker reads no more: hold no items, and never make the source wait.  It may still wait for the end."""
        self.gate.open()
        self.items = deque(maxlen=0)
        on_close, self.on_close, self.on_release = self.on_close, _nothing, _nothing  # they hold what holds this inbox
        on_close()

    def release(self) -> None:
        """Let the source go on before the last batch is done."""
        if self._handed:
            self.gate.release(self._handed)
            self._handed = 0.0
            self.on_release()

    def pace(self, factor: float, quiet: float | None = None) -> None:
        """From now on multiply the interval by `factor`; a worker that waits for its next batch follows at once.

        With `quiet` a batch is due when no item has come for so many seconds (to one and a half times as many). The
        interval then counts from the first item that waits, not from the batch before.
        """
        if (factor, quiet) != (self.factor, self.quiet):
            self.factor, self.quiet = factor, quiet
            self.wake()

    async def rest(self, seconds: float) -> None:
        """Wait `seconds`, or until the stream ends."""
        until = self.flow.time() + seconds
        while self.end is None and not await self._sleep(until - self.flow.time(), paced=True):
            pass

    async def ended(self) -> None:
        """Wait until the stream ends."""
        while self.end is None:
            await self._sleep(None, paced=True)

    def wake(self, timer: bool = False) -> None:
        """Wake the worker, if it sleeps."""
        self.wake_at = math.inf
        if self._wakeup and not self._wakeup.done():
            self._wakeup.set_result(timer)

    async def _sleep(self, seconds: float | None, *, paced: bool = False) -> bool:
        """Sleep; return whether the time is over, rather than an item came. A paced sleep ends when no more may wait,
        not for one item."""
        self._wakeup = self.flow.future()
        self.wake_at = self.gate.capacity if paced else -math.inf
        timer = self.flow._loop.call_later(seconds, self.wake, True) if seconds is not None else None
        try:
            return await self._wakeup
        finally:
            self._wakeup, self.wake_at = None, math.inf
            if timer:
                timer.cancel()

    async def _paused(self, seconds: float, quiet: float) -> bool:
        """Sleep until no item has come for `quiet` seconds, `seconds` at most; False if something else woke the worker.

        It looks twice in that time: to be woken by each item would cost more than all else that is done for it.
        """
        until, number, still = self.flow.time() + seconds, len(self.items), 0
        while still < 2 and (left := until - self.flow.time()) > 0:
            if not await self._sleep(min(left, quiet / 2), paced=True):
                return False
            still = still + 1 if len(self.items) == number else 0
            number = len(self.items)
        return True

    async def __anext__(self) -> list[T]:
        self.release()
        over, since = False, self._last  # nothing that waits is older than that
        while self.end is None:
            if self.quiet is not None and not self.items:
                if await self._sleep(self.tick):
                    return []
                since = self.flow.time()
                continue
            # The pause comes first, also when no item waits yet: most often some have come when it is over.
            left = 0.0 if over else since + self.interval * self.factor - self.flow.time()
            if left > 0 and not self.gate.full:
                over = await (self._sleep(left, paced=True) if self.quiet is None else self._paused(left, self.quiet))
            elif self.items:
                break
            elif await self._sleep(self.tick):
                return []
        if not self.items:
            raise StopAsyncIteration
        self._last = self.flow.time()
        batch, self.items = list(self.items), []
        self._handed = self.gate.held  # of this batch alone: the batch before was released
        return batch
