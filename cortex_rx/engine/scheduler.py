"""The scheduler of a running pipeline: its tasks, its gates, its clock."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from weakref import WeakSet

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.internal.constants import UTC_ZERO
from reactivex.scheduler.eventloop import AsyncIOScheduler

from cortex_rx.engine.deadline import TimeoutPolicy
from cortex_rx.engine.straight import subscribe

T = TypeVar("T")
U = TypeVar("U")
Transform = Callable[[Observable[T]], Observable[U]]
"""An operator: from an observable of one type to an observable of another."""
log: logging.Logger = logging.getLogger("cortex_rx")

LIMIT: float = 8.0
"""Seconds that a task may run after a dispose."""


@dataclass(slots=True)
class ReopenState:
    """The state of a source under `resume`: how many items it has emitted, the number of this reopening (0: the first
    opening), and the error that ended the last one. `memo` belongs to the source, which finds its content again. The
    source sets `over` when it has emitted everything: a later error, of its closing, does not open it again."""

    emitted: int = 0
    retry: int = 0
    cause: Exception | None = None
    memo: dict[object, Any] = field(default_factory=dict[object, Any])
    over: bool = False


class Gate:
    """What a source waits for: the bounded amount of items that a reader downstream still holds."""

    __slots__ = ("_room", "capacity", "held", "waiting")

    def __init__(self, capacity: float) -> None:
        # Both are floats: they are compared for every token, and CPython compares two floats fastest.
        self.capacity: float = float(capacity)
        self.held: float = 0.0
        self.waiting: int = 0
        self._room: asyncio.Event | None = None  # made for the first that waits: most gates are never full

    @property
    def full(self) -> bool:
        """Whether the source must wait."""
        return self.held >= self.capacity

    def release(self, weight: float = 1) -> None:
        """Release `weight`; a waiting source may go on."""
        self.held -= weight
        if self.waiting and self._room and self.held < self.capacity:
            self._room.set()

    def open(self) -> None:
        """Never be full again."""
        self.capacity = float("inf")
        self.release(0)

    async def wait(self) -> None:
        """Wait until it is not full."""
        self._room = room = self._room or asyncio.Event()
        self.waiting += 1
        try:
            while self.held >= self.capacity:
                room.clear()
                await room.wait()
        finally:
            self.waiting -= 1


async def wait_for_capacity(gates: Sequence[Gate]) -> None:
    """Wait until no gate is full. All are checked again after each wait, since another source may have filled one."""
    while full := next((gate for gate in gates if gate.full), None):
        await full.wait()


class Witness(Protocol):
    """Is told what the next observable upstream that has an origin emits, for the operators of users between."""

    def enters(self, source: Any, /) -> None:
        """Other code subscribes to the observable `source`, which has an origin."""
        ...

    def left(self, item: Any, /) -> None:
        """`item` goes to other code, on the thread of the loop."""
        ...

    def completed(self) -> None:
        """The source has completed."""
        ...

    def rewrites(self) -> None:
        """An operator between may change the items."""
        ...


_unlisted: WeakSet[asyncio.Task[Any]] = WeakSet()


def unlisted(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Take a task out of `asyncio.all_tasks`; see `FlowTask`."""
    asyncio.tasks._unregister_task(task)
    _unlisted.add(task)
    return task


def all_tasks(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """`asyncio.all_tasks`, and the tasks of pipelines, which are not in it."""
    hidden = {task for task in list(_unlisted) if task.get_loop() is loop and not task.done()}
    return asyncio.all_tasks(loop) | hidden


class FlowTask(asyncio.Task[None], abc.DisposableBase):
    """A task of a flow. It is not in `asyncio.all_tasks`, so cancelling all tasks of a loop does not reach it.

    A program that shuts down does that, and so does `asyncio.run` before it closes the loop. Such a cancellation must
    not break into a flush. It reaches the task that runs the pipeline, which disposes this one and waits for it. Where
    no task does that, a `Keeper` does.
    """

    __slots__ = ("_stop", "asked", "closing", "disposed", "on_error", "reads")

    def __init__(
        self,
        work: Coroutine[Any, Any, None],
        loop: asyncio.AbstractEventLoop,
        on_error: Callable[[Exception], object],
        stop: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(work, loop=loop)
        unlisted(self)
        self._stop = stop
        self.closing: bool = False
        """Whether its generator is being closed: a dispose does not interrupt that."""
        self.disposed: bool = False
        self.reads: bool = False
        """Whether it reads a source, and so runs code of others."""
        self.asked: bool = False
        """Whether one of us asked it to end. Other cancellations are foreign, such as that of a timeout in a source."""
        self.on_error: Callable[[Exception], object] = on_error
        """Hears of it when the task was cancelled, and nobody of us asked for that."""

    def dispose(self) -> None:
        """Ask the task to end, by its `stop` or by a cancellation. Once: another one would interrupt the cleanup."""
        if not self.disposed:
            self.disposed = True
            if self._stop:
                self._stop()
            elif not self.closing:
                self.end()

    def end(self) -> None:
        """Cancel the task, because we want it to end."""
        self.asked = True
        super().cancel()


class Keeper(asyncio.Task[None]):
    """Stands in `asyncio.all_tasks` for a pipeline that no task waits for. Cancelling it stops the pipeline.

    It ends when everything of the pipeline has ended and is flushed.
    """

    def __init__(self, flow: FlowScheduler) -> None:
        self._left: asyncio.Future[None] = flow.future()
        self._flow = flow
        super().__init__(self._keep(), loop=flow._loop)

    def cancel(self, msg: Any | None = None) -> bool:
        """Stop the pipeline."""
        if self.done() or self._left.done():
            return False
        self._flow.fail(ForeignCancellation("the pipeline"))
        self.leave()
        return True

    def leave(self) -> None:
        """The pipeline is left, or has ended."""
        if not self._left.done():
            self._left.set_result(None)

    def end(self) -> None:
        """Cancel the task itself."""
        super().cancel()

    async def _keep(self) -> None:
        await self._left
        await self._flow.__aexit__()
        self._flow.keeper = None  # no cycle is left


class closing(Generic[T]):
    """`contextlib.aclosing` for a `FlowTask`: a dispose does not interrupt the closing."""

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

    subscribing: ClassVar[set[int]] = set()
    """The threads on which a pipeline is being subscribed to just now; that takes one call."""
    detached: ClassVar[set[FlowScheduler]] = set()
    """The flows of pipelines that no `run` holds. asyncio holds tasks weakly, so something must hold these."""

    def __init__(
        self,
        parent: FlowScheduler | None = None,
        gate: Gate | None = None,
        reopen_state: ReopenState | None = None,
        timeout_policy: TimeoutPolicy | None = None,
        replays_upstream: bool = False,
        witness: Witness | None = None,
    ) -> None:
        super().__init__(parent._loop if parent else asyncio.get_running_loop())
        self._root: FlowScheduler | None = parent._root or parent if parent else None
        self.parent: FlowScheduler | None = parent
        self.gates: tuple[Gate, ...] = (parent.gates if parent else ()) + ((gate,) if gate else ())
        self.reopen_state: ReopenState | None = reopen_state or (parent.reopen_state if parent else None)
        self.timeout_policy: tuple[TimeoutPolicy, ...] = (parent.timeout_policy if parent else ()) + (
            (timeout_policy,) if timeout_policy else ()
        )
        # A step downstream must see again what was read of the source before it was opened here.
        self.replays_upstream: bool = replays_upstream or (parent is not None and parent.replays_upstream)
        self.witness: Witness | None = witness or (parent.witness if parent else None)
        self.thrown: asyncio.CancelledError | None = None
        """A foreign cancellation that is being thrown into the source, which came while its task did not read."""
        self._tasks: set[FlowTask] = set()
        self.keeper: Keeper | None = None
        if parent is not None:
            self.time: Callable[[], float] = parent.time
            return
        # The clock of the loop. For a stock loop it is called directly, since it is read for every token.
        stock = type(self._loop).time is asyncio.BaseEventLoop.time
        self.time = time.monotonic if stock else self._loop.time
        self._thread = threading.get_ident()
        self._work = CompositeDisposable()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self.flush_errors: list[Exception] = []
        self.flushed: list[Any] = []
        """What operators have emitted since they were disposed. It is shown to nobody; see `report_flushed`."""
        self.stopped_by: str | None = None
        """Why the pipeline was stopped, as whoever stopped it says."""

    @classmethod
    def of(cls, scheduler: abc.SchedulerBase | None) -> FlowScheduler:
        """The flow that an operator was subscribed with. Raises `TypeError` if it is another scheduler."""
        if not isinstance(scheduler, cls):
            raise TypeError("this operator awaits and needs a FlowScheduler: use run() or stream()")
        return scheduler

    def is_here(self) -> bool:
        """Whether this is the thread of the loop."""
        return threading.get_ident() == self.root._thread

    def call(self, what: Callable[[], object]) -> None:
        """Call `what` on the thread of the loop: now, or soon if this is another thread."""
        if self.is_here():
            what()
            return
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            log.debug("the loop is closed: nothing of the flow is left to call")

    def child(
        self,
        gate: Gate | None = None,
        reopen_state: ReopenState | None = None,
        timeout_policy: TimeoutPolicy | None = None,
        replays_upstream: bool = False,
        witness: Witness | None = None,
    ) -> FlowScheduler:
        """The flow for everything upstream of an operator, where something differs."""
        return FlowScheduler(self, gate, reopen_state, timeout_policy, replays_upstream, witness)

    @property
    def root(self) -> FlowScheduler:
        """The flow of the whole pipeline."""
        return self._root or self

    @property
    def now(self) -> datetime:
        """The time of the loop, so a virtual loop is enough for virtual time."""
        return UTC_ZERO + timedelta(seconds=self._loop.time())

    def soon(self, what: Callable[[], object]) -> None:
        """Call `what` when the loop comes round. An error that it raises is the caller's."""

        def call() -> None:
            try:
                what()
            except Exception as error:
                self.fail(error)

        self._loop.call_soon(call)

    def wall(self) -> float:
        """Seconds since the epoch, by the wall clock of the loop if it has one (a virtual loop does)."""
        wall: Callable[[], float] = getattr(self._loop, "wall", time.time)
        return wall()

    def future(self) -> asyncio.Future[Any]:
        """A future of the loop of the flow."""
        return self._loop.create_future()

    def spawn(
        self,
        work: Coroutine[Any, Any, None],
        stop: Callable[[], None] | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> FlowTask:
        """Run `work` as a task of this flow. Disposing calls `stop`, which asks it to end, or cancels it.

        No task ends unheard: `on_error` is told when it was cancelled and nobody of us asked for that. Without it, the
        caller gets the error.
        """
        task = FlowTask(work, self._loop, on_error or self.fail, stop)
        flow: FlowScheduler | None = self
        while flow:
            flow._tasks.add(task)
            flow = flow.parent
        task.add_done_callback(self._ended)
        if self.root in self.detached and self.root.keeper is None:
            self.root.keeper = Keeper(self.root)
        return task

    def invoke_action(self, action: abc.ScheduledAction[U], state: U | None = None) -> abc.DisposableBase:
        """Run what a stock operator has scheduled. The caller gets its errors, which would be lost in the loop."""
        try:
            return super().invoke_action(action, state)
        except Exception as error:
            self.fail(error)
            return Disposable()

    def _ended(self, task: FlowTask) -> None:
        flow: FlowScheduler | None = self
        while flow:
            flow._tasks.discard(task)
            flow = flow.parent
        if task.cancelled():
            if not task.asked:
                try:
                    task.on_error(ForeignCancellation("a task of the pipeline"))
                except Exception as bug:
                    self.fail(bug)
        elif error := task.exception():
            self.fail(error)
        root = self.root
        if not root._tasks and root in self.detached:
            self.detached.discard(root)
            if root.keeper:
                root.keeper.leave()

    def fail(self, error: BaseException) -> None:
        """Code downstream raised when it got an item. The caller gets the error, no operator does."""
        if not self.root.failed.done():
            self.root.failed.set_exception(error)
            self.root.failed.exception()  # no warning if a cancelled caller does not ask for it

    def report_flush_failure(self, error: Exception) -> None:
        """A flush failed after the subscription was disposed."""
        log.error("a flush failed after the stream was stopped: %s", type(error).__name__)
        self.root.flush_errors.append(error)

    def report_flushed(self, item: object) -> None:
        """An operator has flushed after the subscription was disposed, and would emit `item`."""
        self.root.flushed.append(item)

    def subscribe(self, source: Observable[T], observer: abc.ObserverBase[T], gate: Gate | None = None) -> None:
        """Start `source`; it is disposed when the flow is closed."""
        flow = self.child(gate)
        self.subscribing.add(self.root._thread)
        try:
            self._work.add(subscribe(source, observer.on_next, observer.on_error, observer.on_completed, flow))
        finally:
            self.subscribing.discard(self.root._thread)

    async def join(self, limit: float = LIMIT, grace: float = 1.0) -> None:
        """Wait until every task spawned upstream has ended. A task is cancelled after `limit`, and given up `grace`
        later; both are in seconds.

        A cancellation that comes meanwhile does not interrupt the cleanup; it is raised afterwards."""
        cancelled: asyncio.CancelledError | None = None
        for seconds in (limit, grace):
            end = self.time() + seconds
            while (rest := self._left()) and (left := end - self.time()) > 0:
                try:
                    await asyncio.wait(rest, timeout=left)
                except asyncio.CancelledError as error:
                    cancelled = error
            for task in rest:
                log.warning("a task did not end within %s s", seconds)
                task.end()
        for task in self._left():
            asyncio.tasks._register_task(task)  # given up: whoever ends the loop may cancel it once more
        if cancelled:
            raise cancelled

    def _left(self) -> set[FlowTask | Keeper]:
        """The tasks upstream that still run, but the running one."""
        tasks: set[FlowTask | Keeper] = {*self._tasks}
        if self.keeper and not self.keeper.done():
            tasks.add(self.keeper)
        return tasks - {asyncio.current_task()}

    def leave_sources(self) -> None:
        """Cancel once more what still reads or closes a source, after the pipeline was stopped. Flushes go on."""
        for task in [task for task in self.root._tasks if task.reads]:
            log.warning("the source could not be closed in time: it is left")
            task.end()

    async def upstream_ended(self, limit: float) -> None:
        """Wait until every task spawned upstream has ended, `limit` seconds at most. No task is cancelled."""
        end = self.time() + limit
        while self._tasks and (left := end - self.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)

    async def result(self, done: asyncio.Future[T]) -> T:
        """The result of `done`, or the error that code downstream raised."""
        await asyncio.wait((done, self.failed), return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            self.failed.result()
        return done.result()

    async def __aenter__(self) -> FlowScheduler:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._work.dispose()
        await self.join()


class ForeignCancellation(Exception):
    """A source or a worker was cancelled by its own code, not by the pipeline. That is a failure, not an end."""


class AbnormalEnd(Exception):
    """A source or a worker raised a `BaseException` that is no `Exception`; it is the cause."""


def cancelled_by_us() -> bool:
    """Whether one of us asked the running task to end. A task that is not of a flow is ours, whoever cancelled it."""
    task = asyncio.current_task()
    if isinstance(task, FlowTask):
        return task.asked
    return task is not None and task.cancelling() > 0


def failure_of(error: BaseException, what: str) -> Exception:
    """What to pass on of what `what` has raised.

    Raised again are a cancellation that we asked for, and what ends the program.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error
    if not isinstance(error, asyncio.CancelledError):
        return as_exception(error, what)
    if cancelled_by_us():
        raise error
    failure = ForeignCancellation(what)
    failure.__cause__ = error
    return failure


def as_exception(error: BaseException, what: str) -> Exception:
    """The error, or the `AbnormalEnd` that it causes."""
    if isinstance(error, Exception):
        return error
    failure = AbnormalEnd(f"{what} raised {type(error).__name__}")
    failure.__cause__ = error
    return failure
