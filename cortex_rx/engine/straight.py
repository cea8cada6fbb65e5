"""How the operators of the engine subscribe to each other: nothing stands between two of them.

The stock `Observable.subscribe` puts an `AutoDetachObserver` before each observer.  It holds back what comes after the end
or after a disposal, and costs one call for each item and operator.  Whoever subscribes by it, a stock operator or code of
users, gets it from a `FlowObservable` too.  Only `subscribe` of this module leaves it out.

Then the operator upstream keeps the contract by itself: it emits nothing after its end, and nothing once it is disposed.  Most
need not ask for that.  One that emits at most one item for each that it gets, and is disposed when its source is, has nothing
left to emit.  Only such an operator takes `straight(observer)`.  All others use `observer.on_next`, which asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler import CurrentThreadScheduler

__all__ = ["FlowObservable", "Link", "straight", "subscribe"]

T = TypeVar("T")

Connect = Callable[[abc.ObserverBase[T], abc.SchedulerBase | None], abc.DisposableBase]


class FlowObservable(Observable[T]):
    """What the forms and frames of the engine give: `connect(observer, scheduler)` starts it."""

    def __init__(self, connect: Connect[T]) -> None:
        super().__init__(connect)
        self.connect: Connect[T] = connect


class Link(abc.ObserverBase[T], abc.DisposableBase):
    """One subscription of an operator to another one: as the stock `AutoDetachObserver`, with a way around it."""

    def __init__(self, on_next: abc.OnNext[T], on_error: abc.OnError, on_completed: abc.OnCompleted) -> None:
        self.straight: abc.OnNext[T] = on_next
        """Hand an item on, whether or not somebody still listens."""
        self._on_error, self._on_completed = on_error, on_completed
        self._stopped = False
        self._upstream: abc.DisposableBase = Disposable()

    def connect(self, source: FlowObservable[T], scheduler: abc.SchedulerBase | None) -> None:
        """Start `source`; what fails here is an error of the stream, or is raised if that has ended."""
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

    def on_next(self, value: T) -> None:
        if not self._stopped:
            self.straight(value)

    def on_error(self, error: Exception) -> None:
        if not self._stopped:
            self._stopped = True
            try:
                self._on_error(error)
            finally:
                self._upstream.dispose()

    def on_completed(self) -> None:
        if not self._stopped:
            self._stopped = True
            try:
                self._on_completed()
            finally:
                self._upstream.dispose()

    def dispose(self) -> None:
        self._stopped = True
        self._upstream.dispose()


def straight(observer: abc.ObserverBase[T]) -> abc.OnNext[T]:
    """How an operator hands items on that keeps the contract by itself: see above.

    To a stock operator or to code of users it goes through the stock observer all the same.
    """
    return observer.straight if isinstance(observer, Link) else observer.on_next


def subscribe(
    source: Observable[T],
    on_next: abc.OnNext[T],
    on_error: abc.OnError,
    on_completed: abc.OnCompleted,
    scheduler: abc.SchedulerBase | None,
) -> abc.DisposableBase:
    """As `source.subscribe`, for the engine's own operators, with nothing in between if `source` is one of them too."""
    if not isinstance(source, FlowObservable):
        return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)
    link = Link(on_next, on_error, on_completed)
    trampoline = CurrentThreadScheduler.singleton()
    if trampoline.schedule_required():  # as the stock `subscribe`: sources run when everybody has subscribed
        trampoline.schedule(lambda *_: link.connect(source, scheduler))
    else:
        link.connect(source, scheduler)
    return link
