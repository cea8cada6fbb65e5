"""The borders between the engine and other code: stock operators, and code of users.

Everything in a flow happens on the thread of its event loop. Other code may call from another thread
(`ops.observe_on`, `ops.subscribe_on`), or without a flow (`observable.subscribe()`, `await observable`). Here its calls
are brought back to the loop, in their order, and get a flow. Between two operators of the engine there is no border, so
nothing here costs a token anything.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from reactivex import abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from cortex_rx.engine.scheduler import FlowScheduler, FlowTask, Witness
from cortex_rx.engine.straight import FlowObservable

__all__ = ["Bordered", "FlowSource", "witnessed"]

T = TypeVar("T")


class Bordered(FlowObservable[T]):
    """The observable of an operator or source of the engine; other code that subscribes to it passes the border.

    A subclass says how it connects.  It is an object rather than a closure, since a waiting stream holds six of them.
    """

    def subscribed(self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Other code subscribes, on any thread; it may dispose on any thread, too."""
        return _subscribed(self, observer, scheduler)


class FlowSource(Bordered[T]):
    """A source of the engine; `connect(observer, flow)` starts it."""

    def __init__(self, connect: Callable[[abc.ObserverBase[T], FlowScheduler], abc.DisposableBase]) -> None:
        super().__init__()
        self._connect = connect

    def connect(self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        flow = FlowScheduler.of(scheduler)
        if flow.witness is not None:
            observer, flow = witnessed(self, observer, flow)
        return self._connect(observer, flow)


def witnessed(
    source: FlowObservable[T], observer: abc.ObserverBase[T], flow: FlowScheduler
) -> tuple[abc.ObserverBase[T], FlowScheduler]:
    """The observer and the flow for a source under a witness, which is told of what leaves a source with an origin."""
    witness = flow.witness
    assert witness is not None
    if source.rewrites:
        witness.rewrites()
    if source.origin is None:
        return observer, flow  # an operator of a user: what is told is what it gets
    witness.enters(source)
    upstream = flow.child()
    upstream.witness = None
    return _Witnessed(observer, witness), upstream


class _Witnessed(abc.ObserverBase[T]):
    """Tells the witness downstream what goes to an operator of a user, or to a stock one."""

    def __init__(self, observer: abc.ObserverBase[T], witness: Witness) -> None:
        self._observer, self._witness = observer, witness

    def on_next(self, value: T) -> None:
        self._witness.left(value)
        self._observer.on_next(value)

    def on_error(self, error: Exception) -> None:
        self._observer.on_error(error)

    def on_completed(self) -> None:
        self._witness.completed()
        self._observer.on_completed()


def _subscribed(
    source: FlowObservable[T], observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None
) -> abc.DisposableBase:
    own = not isinstance(scheduler, FlowScheduler)
    flow = scheduler if isinstance(scheduler, FlowScheduler) else _flow_instead_of(scheduler)
    running, connect = SingleAssignmentDisposable(), source.connect

    def start() -> None:
        try:
            running.disposable = connect(observer, flow)
        except Exception as error:
            observer.on_error(error)

    def fail(failed: asyncio.Future[None]) -> None:
        running.dispose()
        observer.on_error(failed.exception())  # type: ignore[arg-type]  # `run` would raise it; here it is all there is

    if own:
        FlowScheduler.detached.add(flow)
        flow.failed.add_done_callback(fail)
    if flow.is_here():
        running.disposable = connect(observer, flow)
    else:
        flow.call(start)
    return Disposable(lambda: flow.call(running.dispose))


def _flow_instead_of(scheduler: abc.SchedulerBase | None) -> FlowScheduler:
    """A flow of its own for code that subscribes without one; refused within a running pipeline."""
    loop: asyncio.AbstractEventLoop | None
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    task = asyncio.current_task() if loop else None
    # `await observable` subscribes in a task, with an AsyncIOScheduler; `ops.subscribe_on` does it in a callback.
    awaits = isinstance(scheduler, AsyncIOScheduler) and scheduler._loop is loop and task is not None
    within = isinstance(task, FlowTask) or threading.get_ident() in FlowScheduler.subscribing
    if loop and (scheduler is None or awaits) and not within:
        return FlowScheduler()
    if scheduler is None and loop is None:
        raise TypeError(
            "this pipeline runs on asyncio, and no event loop runs here: use asyncio.run(run(pipeline)), or subscribe "
            "in a coroutine"
        )
    what = "no scheduler" if scheduler is None else f"a {type(scheduler).__name__}"
    raise TypeError(
        f"this pipeline was subscribed to with {what}, and not with the scheduler of the running pipeline: leave out "
        "ops.subscribe_on, and pass on the scheduler that your own operator gets; use run() or stream() for a pipeline "
        "within another"
    )
