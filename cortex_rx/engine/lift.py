"""How every operator of the engine is made from a function that connects it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from reactivex import Observable, abc

from cortex_rx.engine.border import Bordered, witnessed
from cortex_rx.engine.scheduler import FlowScheduler, Transform

__all__ = ["lift"]

T = TypeVar("T")
U = TypeVar("U")

Connect: TypeAlias = Callable[[Observable[T], abc.ObserverBase[U], FlowScheduler], abc.DisposableBase]


def lift(connect: Connect[T, U]) -> Transform[T, U]:
    """The operator whose subscriptions are made by `connect(source, observer, flow)`.

    `connect` keeps the contract of `FlowObservable`: it emits nothing after its end, and nothing once it is disposed.
    """

    def operator(source: Observable[T]) -> Observable[U]:
        return _Lifted(connect, source)

    return operator


class _Lifted(Bordered[U], Generic[T, U]):
    """An operator that was applied to a source."""

    def __init__(self, connect: Connect[T, U], source: Observable[T]) -> None:
        super().__init__()
        self._connect, self._source = connect, source

    def connect(self, observer: abc.ObserverBase[U], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        flow = FlowScheduler.of(scheduler)
        if flow.witness is not None:
            observer, flow = witnessed(self, observer, flow)
        return self._connect(self._source, observer, flow)
