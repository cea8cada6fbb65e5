"""How every operator of the engine is made from a function that connects it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from cortex_rx.engine.border import flow_observable
from cortex_rx.engine.scheduler import FlowScheduler, Transform

__all__ = ["lift"]

T = TypeVar("T")
U = TypeVar("U")


def lift(
    connect: Callable[[Observable[T], abc.ObserverBase[U], FlowScheduler], abc.DisposableBase],
) -> Transform[T, U]:
    """The operator whose subscriptions are made by `connect(source, observer, flow)`.

    `connect` keeps the contract of `FlowObservable`: it emits nothing after its end, and nothing once it is disposed.
    """

    def operator(source: Observable[T]) -> Observable[U]:
        def start(observer: abc.ObserverBase[U], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            return connect(source, observer, FlowScheduler.of(scheduler))

        return flow_observable(start)

    return operator
