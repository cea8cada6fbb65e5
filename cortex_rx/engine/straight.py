"""How the operators of the engine subscribe to each other: nothing stands between two of them.

The stock `Observable.subscribe` puts an `AutoDetachObserver` before each observer. It drops what comes after the end or
after a disposal, and costs one call per item and operator. Stock operators and code of users get it from a
`FlowObservable` too. Only `subscribe` of this module leaves it out. What comes from a stock operator or from code of a
user passes an `OnLoop`, which brings it to the thread of the loop.

Without it, the operator upstream must keep the contract: it emits nothing after its end, and nothing once it is
disposed. Most operators need no check for that. An operator that emits at most one item for each item that it gets, and
is disposed together with its source, has nothing left to emit. Only such an operator may use `straight(observer)`. All
others use `observer.on_next`, which checks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable
from reactivex.scheduler import CurrentThreadScheduler

__all__ = ["Both", "FlowObservable", "Link", "OnLoop", "pass_on", "step_aside", "straight", "subscribe"]

T = TypeVar("T")


class FlowObservable(Observable[T]):
    """The observable of an operator or source of the engine; `connect(observer, scheduler)` starts it.

    Stock operators and code of users start it by `subscribed`; see `border.py`.
    """

    origin: object = None
    """What its maker notes of it, for the steps downstream."""
    rewrites: bool = False
    """It may change what it gets, which the witness downstream is told."""

    def connect(self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Start it for an operator of the engine."""
        raise NotImplementedError

    def subscribed(self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Start it for other code."""
        raise NotImplementedError

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self.subscribed(observer, scheduler)


def _nothing(*_: object) -> None:
    """Takes what comes after the end."""


class Link(abc.ObserverBase[T], abc.DisposableBase):
    """One subscription between two operators: a stock `AutoDetachObserver` that can be bypassed."""

    def __init__(self, on_next: abc.OnNext[T], on_error: abc.OnError, on_completed: abc.OnCompleted) -> None:
        self.straight: abc.OnNext[T] = on_next
        """Pass an item on without a check."""
        self._on_error, self._on_completed = on_error, on_completed
        self._stopped = False
        self._upstream: abc.DisposableBase | None = None

    def connect(self, source: FlowObservable[T], scheduler: abc.SchedulerBase | None) -> None:
        """Start `source`. An error of starting is an error of the stream; it is raised if the stream has ended."""
        try:
            upstream = source.connect(self, scheduler)
        except Exception as error:
            if self._stopped:
                raise
            self._stopped = True
            self._on_error(error)
            return
        self._upstream = upstream
        if self._stopped:
            upstream.dispose()

    @property
    def stopped(self) -> bool:
        """Whether it has ended or was disposed: what is emitted now gets nowhere."""
        return self._stopped

    def on_next(self, value: T) -> None:
        if not self._stopped:
            self.straight(value)

    def on_error(self, error: Exception) -> None:
        if not self._stopped:
            self._stopped = True
            try:
                self._on_error(error)
            finally:
                self.dispose()

    def on_completed(self) -> None:
        if not self._stopped:
            self._stopped = True
            try:
                self._on_completed()
            finally:
                self.dispose()

    def dispose(self) -> None:
        self._stopped = True
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.dispose()
            # Both ends of the link hold each other through it; without these no collection of garbage has to find them.
            self.straight = self._on_error = self._on_completed = _nothing


class Both(abc.DisposableBase):
    """Disposes two subscriptions, in this order, once. It has no lock, since the engine disposes on its loop."""

    __slots__ = ("_both",)

    def __init__(self, first: abc.DisposableBase, second: abc.DisposableBase) -> None:
        self._both: tuple[abc.DisposableBase, ...] = (first, second)

    def dispose(self) -> None:
        both, self._both = self._both, ()
        for one in both:
            one.dispose()


class OnLoop(abc.ObserverBase[T], abc.DisposableBase):
    """Gets what other code emits, on any thread, and passes it on to the loop on which it was made, in its order.

    An error that is raised there goes to `fail`.  **Unbounded**: what another thread emits waits for the loop.
    """

    def __init__(
        self,
        on_next: abc.OnNext[T],
        on_error: abc.OnError,
        on_completed: abc.OnCompleted,
        fail: Callable[[Exception], None],
    ) -> None:
        self._on_next, self._on_error, self._on_completed, self._fail = on_next, on_error, on_completed, fail
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._context = copy_context()
        self._lock = threading.Lock()
        self._waiting = 0  # calls that are on their way to the loop: what comes now comes after them
        self._disposed = False
        self._upstream = SingleAssignmentDisposable()

    def subscribe(self, source: Observable[T], scheduler: abc.SchedulerBase | None) -> OnLoop[T]:
        """Subscribe to `source`. A dispose ends this, too: nothing that is on its way arrives after it."""
        upstream = self._upstream
        upstream.disposable = source.subscribe(self, scheduler=scheduler)
        return self

    def on_next(self, value: T) -> None:
        if threading.get_ident() == self._thread and not self._waiting:
            self._on_next(value)
        else:
            self._send(self._on_next, value)

    def on_error(self, error: Exception) -> None:
        if threading.get_ident() == self._thread and not self._waiting:
            self._end(self._on_error, error)
        else:
            self._send(self._end, self._on_error, error)

    def on_completed(self) -> None:
        if threading.get_ident() == self._thread and not self._waiting:
            self._end(self._on_completed)
        else:
            self._send(self._end, self._on_completed)

    def _end(self, call: Callable[..., None], *error: Exception) -> None:
        try:
            call(*error)
        finally:
            self.dispose()

    def _send(self, call: Callable[..., None], *args: Any) -> None:
        with self._lock:
            self._waiting += 1
        try:
            self._loop.call_soon_threadsafe(self._arrive, call, args, context=self._context)
        except RuntimeError:  # the loop is closed: nothing is left that could get it
            self._disposed = True

    def _arrive(self, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        with self._lock:
            self._waiting -= 1
        if self._disposed:
            return
        fail = self._fail  # the call may dispose this
        try:
            call(*args)
        except Exception as error:
            fail(error)

    def dispose(self) -> None:
        self._disposed = True
        upstream, self._upstream = self._upstream, SingleAssignmentDisposable()
        upstream.dispose()
        self._on_next = self._on_error = self._on_completed = self._fail = _nothing  # as `Link.dispose`


def straight(observer: abc.ObserverBase[T]) -> abc.OnNext[T]:
    """How an operator that keeps the contract by itself passes items on; see above.

    Items for a stock operator or for code of users still go through the stock observer.
    """
    return observer.straight if isinstance(observer, Link) else observer.on_next


def step_aside(upstream: abc.DisposableBase, observer: abc.ObserverBase[T]) -> None:
    """An operator has nothing to do with further items: those of its source `upstream` go to its `observer` directly.

    A source that asks again how to hand on, as `pull` does, then saves a call for each item.
    """
    if isinstance(upstream, Link):
        upstream.straight = straight(observer)


def subscribe(
    source: Observable[T],
    on_next: abc.OnNext[T],
    on_error: abc.OnError,
    on_completed: abc.OnCompleted,
    scheduler: abc.SchedulerBase | None,
) -> abc.DisposableBase:
    """`source.subscribe` for operators of the engine, with nothing in between if `source` is one of them too."""
    if not isinstance(source, FlowObservable):
        fail: Callable[[Exception], None] = scheduler.fail  # type: ignore[union-attr]  # every caller has a flow
        return OnLoop(on_next, on_error, on_completed, fail).subscribe(source, scheduler)
    link = Link(on_next, on_error, on_completed)
    trampoline = CurrentThreadScheduler.singleton()
    if trampoline.schedule_required():  # as the stock `subscribe`: sources run when all operators have subscribed
        trampoline.schedule(lambda *_: link.connect(source, scheduler))
    else:
        link.connect(source, scheduler)
    return link


def pass_on(
    source: Observable[T], observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None
) -> abc.DisposableBase:
    """`subscribe` for an operator that only passes on: its own observer keeps the contract, so it needs no link."""
    if isinstance(source, FlowObservable):
        return source.connect(observer, scheduler)
    return subscribe(source, straight(observer), observer.on_error, observer.on_completed, scheduler)
