"""The scheduler of a running pipeline: its tasks, its gates, its clock."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.internal.constants import UTC_ZERO
from reactivex.scheduler.eventloop import AsyncIOScheduler

from cortex_rx.engine.deadline import TimeoutPolicy
from cortex_rx.engine.straight import subscribe

T = TypeVar("T")
U = TypeVar("U")
Transform = Callable[[Observable[T]], Observable[U]]
"""From an observable of one thing to an observable of another."""
log: logging.Logger = logging.getLogger("cortex_rx")

LIMIT: float = 8.0
"""Seconds that work may go on after a dispose."""


@dataclass(slots=True)
class ReopenState:
    """From where a source is opened under `resume`: what it emitted so far, the how-manieth reopening this is (0: it is the
    first opening), and what ended the last one.  `memo` is the source's own: what it puts there it finds again.  It says `over`
    when it has given all: what fails after that, its closing, is no reason to open it again."""

    emitted: int = 0
    retry: int = 0
    cause: Exception | None = None
    memo: dict[object, Any] = field(default_factory=dict[object, Any])
    over: bool = False


class Gate:
    """What a source waits for: a bounded amount of work that somebody downstream still holds."""

    __slots__ = ("_room", "capacity", "held", "waiting")

    def __init__(self, capacity: float) -> None:
        # Floats, both of them: they are compared for every token, and CPython compares two floats fastest.
        self.capacity: float = float(capacity)
        self.held: float = 0.0
        self.waiting: int = 0
        self._room = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether a source waits."""
        return self.held >= self.capacity

    def release(self, weight: float = 1) -> None:
        """Let go of `weight`, and let a source that waits go on."""
        self.held -= weight
        if self.waiting and self.held < self.capacity:
            self._room.set()

    def open(self) -> None:
        """Never be full again."""
        self.capacity = float("inf")
        self.release(0)

    async def wait(self) -> None:
        """Until it is not full."""
        self.waiting += 1
        try:
            while self.held >= self.capacity:
                self._room.clear()
                await self._room.wait()
        finally:
            self.waiting -= 1


async def wait_for_capacity(gates: Sequence[Gate]) -> None:
    """Until none of the gates is full; while one is waited for, another source may fill one that was asked before."""
    while full := next((gate for gate in gates if gate.full), None):
        await full.wait()


class FlowTask(asyncio.Task[None]):
    """A task of a flow.  A loop that ends asks it to end as a dispose does.

    `asyncio.run` cancels every task at once when its main task has ended, before it closes the loop: that must not break
    into a flush.  It does so while the loop stands still; by that it is told from a timeout inside the work, which cancels
    the task that it runs in.
    """

    closing = False
    """Its generator is being closed: a dispose does not break into that."""

    def __init__(self, work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(work, loop=loop)
        self.stop: Callable[[], object] = super().cancel

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel it; or, when the loop ends, ask it to stop, and cancel it only after `LIMIT`."""
        if asyncio._get_running_loop() is not None:
            return super().cancel(msg)
        if self.done():
            return False
        self.stop()
        self.get_loop().call_later(LIMIT, super().cancel)
        return True


class closing(Generic[T]):
    """`contextlib.aclosing` for the work of a flow: a dispose that comes while it closes does not break into that."""

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items

    async def __aenter__(self) -> AsyncGenerator[T, None]:
        return self._items

    async def __aexit__(self, *_: object) -> None:
        task = asyncio.current_task()
        if isinstance(task, FlowTask):
            task.closing = True
        await self._items.aclose()


class FlowScheduler(AsyncIOScheduler):
    """The scheduler of a running pipeline, or (a child) of the part of it that lies upstream of an operator."""

    def __init__(
        self,
        parent: FlowScheduler | None = None,
        gate: Gate | None = None,
        reopen_state: ReopenState | None = None,
        timeout_policy: TimeoutPolicy | None = None,
        replays_upstream: bool = False,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.root: FlowScheduler = parent.root if parent else self
        self.parent: FlowScheduler | None = parent
        self.gates: tuple[Gate, ...] = (parent.gates if parent else ()) + ((gate,) if gate else ())
        self.reopen_state: ReopenState | None = reopen_state or (parent.reopen_state if parent else None)
        self.timeout_policy: tuple[TimeoutPolicy, ...] = (parent.timeout_policy if parent else ()) + (
            (timeout_policy,) if timeout_policy else ()
        )
        # Somebody downstream must see once more what had been read of the source before it was opened here.
        self.replays_upstream: bool = replays_upstream or (parent is not None and parent.replays_upstream)
        # The clock of the loop; a stock loop's without its Python frame, for it is read for every token.
        stock = type(self._loop).time is asyncio.BaseEventLoop.time
        self.time: Callable[[], float] = time.monotonic if stock else self._loop.time
        self._tasks: set[asyncio.Task[None]] = set()
        self._work = CompositeDisposable()
        if parent is None:
            self._failed: asyncio.Future[None] = self._loop.create_future()
            self.flush_errors: list[Exception] = []

    @classmethod
    def of(cls, scheduler: abc.SchedulerBase | None) -> FlowScheduler:
        """The flow that an operator was subscribed with.  Raises `TypeError` outside of one."""
        if not isinstance(scheduler, cls):
            raise TypeError("this operator awaits and needs a FlowScheduler: use run() or stream()")
        return scheduler

    def child(
        self,
        gate: Gate | None = None,
        reopen_state: ReopenState | None = None,
        timeout_policy: TimeoutPolicy | None = None,
        replays_upstream: bool = False,
    ) -> FlowScheduler:
        """What an operator subscribes its source with when something upstream must be told apart."""
        return FlowScheduler(self, gate, reopen_state, timeout_policy, replays_upstream)

    @property
    def now(self) -> datetime:
        """The clock of the loop, so that a virtual loop is enough for virtual time."""
        return UTC_ZERO + timedelta(seconds=self._loop.time())

    def wall(self) -> float:
        """Seconds since the epoch; by the loop's own wall clock if it has one (a virtual loop does)."""
        wall: Callable[[], float] = getattr(self._loop, "wall", time.time)
        return wall()

    def future(self) -> asyncio.Future[Any]:
        """A future of the loop that the flow runs on."""
        return self._loop.create_future()

    def spawn(self, work: Coroutine[Any, Any, None], stop: Callable[[], None] | None = None) -> abc.DisposableBase:
        """Run `work` as a task of this flow.  Disposing calls `stop`, which asks it to end by itself, or cancels it."""
        task = FlowTask(work, self._loop)
        flow: FlowScheduler | None = self
        while flow:
            flow._tasks.add(task)
            task.add_done_callback(flow._tasks.discard)
            flow = flow.parent
        task.add_done_callback(self._ended)

        # A Disposable acts once: a second cancel would break into the cleanup that the first one began.
        def cancel() -> None:
            if not task.closing:
                asyncio.Task.cancel(task)

        disposable = Disposable(stop or cancel)
        task.stop = disposable.dispose
        return disposable

    def invoke_action(self, action: abc.ScheduledAction[U], state: U | None = None) -> abc.DisposableBase:
        """Run what a stock operator has scheduled; what it raises is the caller's, and would else be lost in the loop."""
        try:
            return super().invoke_action(action, state)
        except Exception as error:
            self.fail(error)
            return Disposable()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Somebody's code downstream raised while it was handed an item: no operator's business, the caller's."""
        if not self.root._failed.done():
            self.root._failed.set_exception(error)
            self.root._failed.exception()  # a caller who was cancelled meanwhile does not ask: no reason for a warning

    def report_flush_failure(self, error: Exception) -> None:
        """A flush failed when nobody listens any more."""
        log.error("a flush failed after the stream was stopped: %s", type(error).__name__)
        self.root.flush_errors.append(error)

    def subscribe(self, source: Observable[T], observer: abc.ObserverBase[T], gate: Gate | None = None) -> None:
        """Start `source`; it is disposed when the flow is left."""
        flow = self.child(gate)
        self._work.add(subscribe(source, observer.on_next, observer.on_error, observer.on_completed, flow))

    async def join(self, limit: float = LIMIT, grace: float = 1.0) -> None:
        """Wait until every task spawned upstream has ended; what takes longer than `limit` is cancelled, and given up after
        `grace`.

        A cancellation that comes meanwhile does not break into the cleanup; it is raised afterwards."""
        cancelled: asyncio.CancelledError | None = None
        for seconds in (limit, grace):
            end = self.time() + seconds
            while (rest := self._tasks - {asyncio.current_task()}) and (left := end - self.time()) > 0:
                try:
                    await asyncio.wait(rest, timeout=left)
                except asyncio.CancelledError as error:
                    cancelled = error
            for task in rest:
                log.warning("a task did not end within %s s", seconds)
                task.cancel()
        if cancelled:
            raise cancelled

    async def result(self, done: asyncio.Future[T]) -> T:
        """`done`, or what somebody downstream raised."""
        await asyncio.wait((done, self._failed), return_when=asyncio.FIRST_COMPLETED)
        if self._failed.done():
            self._failed.result()
        return done.result()

    async def __aenter__(self) -> FlowScheduler:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._work.dispose()
        await self.join()


class ForeignCancellation(Exception):
    """A source or a worker was cancelled by something of its own, not by us: that is a failure, not our end."""


def cancelled_by_us() -> bool:
    """Whether somebody asked the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
