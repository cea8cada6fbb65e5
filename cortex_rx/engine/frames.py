"""A source that waits for its readers, the two frames around everything upstream of them, and what changes how it is subscribed to."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from cortex_rx.engine.scheduler import (
    FlowScheduler,
    ForeignCancellation,
    Gate,
    ReopenState,
    Transform,
    cancelled_by_us,
    closing,
    wait_for_capacity,
)
from cortex_rx.engine.straight import FlowObservable, straight, subscribe

T = TypeVar("T")
U = TypeVar("U")


def from_async_iterable(open_: Callable[[ReopenState | None], AsyncGenerator[T, None]]) -> Observable[T]:
    """A cold observable that hands items on while no gate downstream is full (it reads one ahead).

    Only what opening or reading raises is an error of the source.  What an observer raises is the caller's.

    >>> from cortex_rx.engine import run
    >>> async def letters(point):
    ...     for letter in "ab":
    ...         yield letter
    >>> asyncio.run(run(from_async_iterable(letters)))
    'b'
    """
    return pull(lambda flow: open_(flow.reopen_state))


def pull(open_: Callable[[FlowScheduler], AsyncGenerator[T, None]]) -> Observable[T]:
    """As `from_async_iterable`, for a source that asks the flow for more than where to resume: its clock, its patience."""

    def connect(observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
        flow = FlowScheduler.of(scheduler)
        disposed = False

        async def pump() -> None:
            # The end is passed on when the source is closed: it may dispose, which must not break into the closing.
            end = observer.on_completed
            try:
                items = open_(flow)
            except Exception as error:
                observer.on_error(error)
                return
            emit, time, since, count = straight(observer), flow.time, flow.time(), 0
            gates: Sequence[Gate] = flow.gates
            async with closing(items):
                while True:
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        break
                    except Exception as error:
                        end = partial(observer.on_error, error)
                        break
                    except asyncio.CancelledError:
                        if cancelled_by_us():
                            raise
                        end = partial(observer.on_error, ForeignCancellation("the source"))
                        break
                    # Asked after reading: whoever holds the first item back does not hold the opening back.
                    for gate in gates:
                        if gate.held >= gate.capacity:
                            await wait_for_capacity(gates)
                            break
                    if disposed:
                        await asyncio.sleep(0)  # here the cancellation arrives, unless the source has swallowed it
                        continue
                    emit(item)
                    count += 1
                    if not count & 15:
                        if time() - since > 0.001:  # a source that never waits lets the others live
                            await asyncio.sleep(0)
                            since = time()
                        gates = [gate for gate in flow.gates if gate.capacity != math.inf]  # some were for the start
            end()

        running = flow.spawn(pump())

        def dispose() -> None:
            nonlocal disposed
            disposed = True
            running.dispose()

        return Disposable(dispose)

    return FlowObservable(connect)


def resume(again: Callable[[Exception, int], float | Exception | None]) -> Transform[T, T]:
    """After an error subscribe to the source again, with a flow that carries the `ReopenState`.

    `again(error, retry)` says after how many seconds, or None: then the error is passed on, or the one that it gives in its place.  What is upstream starts anew with
    each opening, what is downstream never does.

    >>> from reactivex import operators as ops
    >>> from cortex_rx.engine import run
    >>> async def model(point):
    ...     yield point.emitted
    ...     if point.retry == 0:
    ...         raise ConnectionError("the line broke")
    >>> asyncio.run(run(from_async_iterable(model).pipe(resume(lambda error, retry: 0.0), ops.to_list())))
    [0, 1]
    """

    def operator(source: Observable[T]) -> Observable[T]:
        def connect(observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            flow, emit = FlowScheduler.of(scheduler), straight(observer)
            upstream = SerialDisposable()  # disposed at once, not when the cancellation arrives

            async def work() -> None:
                emitted, point = 0, ReopenState()

                def on_next(item: T) -> None:
                    nonlocal emitted
                    emitted += 1
                    emit(item)

                while True:
                    scope, ended = flow.child(reopen_state=point), flow.future()

                    def over(error: Exception | None = None, ended: asyncio.Future[Exception | None] = ended) -> None:
                        if not ended.done():
                            ended.set_result(error)

                    upstream.disposable = running = subscribe(source, on_next, over, over, scope)
                    try:
                        error = await ended
                    finally:
                        running.dispose()
                    await scope.join()
                    if error is None:
                        return observer.on_completed()
                    seconds = None if point.over else again(error, point.retry + 1)
                    if seconds is None or isinstance(seconds, Exception):
                        return observer.on_error(seconds or error)
                    await asyncio.sleep(seconds)
                    point = ReopenState(emitted, point.retry + 1, error, point.memo)

            return CompositeDisposable(upstream, flow.spawn(work()))

        return FlowObservable(connect)

    return operator


def after_failure(
    act: Callable[[Exception, Callable[[T], None]], Awaitable[Exception | None]],
) -> Transform[T, T]:
    """When the source fails: everything upstream comes to rest first, then `act(error, emit)`, which may replace the error
    or end it, and emit items.

    >>> import reactivex as rx
    >>> from cortex_rx.engine import run
    >>> async def forgive(error, emit):
    ...     emit("b")
    ...     return None  # completed
    >>> asyncio.run(run(rx.concat(rx.of("a"), rx.throw(ValueError())).pipe(after_failure(forgive))))
    'b'
    """

    def operator(source: Observable[T]) -> Observable[T]:
        def connect(observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            flow = FlowScheduler.of(scheduler)
            scope = flow.child()

            def on_error(error: Exception) -> None:
                async def work() -> None:
                    upstream.dispose()
                    await scope.join()
                    try:
                        outcome = await act(error, observer.on_next)
                    except Exception as final:
                        outcome = final
                    observer.on_error(outcome) if outcome else observer.on_completed()

                flow.spawn(work(), stop=lambda: None)  # a recovery that has begun is finished

            upstream = subscribe(source, straight(observer), on_error, observer.on_completed, scope)
            return upstream

        return FlowObservable(connect)

    return operator


def per_subscription(make: Callable[[FlowScheduler], Transform[T, U]]) -> Transform[T, U]:
    """An operator that `make(flow)` makes anew for each subscription, so that its state belongs to one run.

    >>> import reactivex as rx
    >>> from reactivex import operators as ops
    >>> from cortex_rx.engine import run
    >>> def since_start(flow: FlowScheduler):
    ...     begun = flow.time()
    ...     return ops.map(lambda item: (item, flow.time() - begun < 60))
    >>> asyncio.run(run(rx.of("a").pipe(per_subscription(since_start))))
    ('a', True)
    """

    def operator(source: Observable[T]) -> Observable[U]:
        def connect(observer: abc.ObserverBase[U], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            made = make(FlowScheduler.of(scheduler))(source)
            return subscribe(made, straight(observer), observer.on_error, observer.on_completed, scheduler)

        return FlowObservable(connect)

    return operator


def upstream_flow(change: Callable[[FlowScheduler], FlowScheduler]) -> Transform[T, T]:
    """Subscribe to the source with `change(flow)`, usually a child that carries something upstream.

    >>> from cortex_rx.engine import run
    >>> source = pull(lambda flow: flag(flow.replays_upstream))
    >>> async def flag(value):
    ...     yield value
    >>> asyncio.run(run(source.pipe(upstream_flow(lambda flow: flow.child(replays_upstream=True)))))
    True
    """

    def operator(source: Observable[T]) -> Observable[T]:
        def connect(observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            flow = change(FlowScheduler.of(scheduler))
            return subscribe(source, straight(observer), observer.on_error, observer.on_completed, flow)

        return FlowObservable(connect)

    return operator
