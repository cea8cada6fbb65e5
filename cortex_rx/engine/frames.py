"""A source that waits for its readers, and operators that wrap everything upstream of them.

`pull` and `from_async_iterable` make a source. `resume` and `after_failure` act when everything upstream has failed.
`per_subscription` makes an operator anew for each subscription. `upstream_flow` changes the flow of everything
upstream.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable

from cortex_rx.engine.border import FlowSource
from cortex_rx.engine.forms import Emit
from cortex_rx.engine.lift import lift
from cortex_rx.engine.scheduler import (
    FlowScheduler,
    Gate,
    ReopenState,
    Transform,
    cancelled_by_us,
    closing,
    failure_of,
    wait_for_capacity,
)
from cortex_rx.engine.straight import Both, Link, pass_on, straight, subscribe

T = TypeVar("T")
U = TypeVar("U")


def from_async_iterable(open_: Callable[[ReopenState | None], AsyncGenerator[T, None]]) -> Observable[T]:
    """A cold observable that emits items while no gate downstream is full. It reads one item ahead.

    `open_(reopen_state)` opens the source; the state is None unless `resume` stands downstream. Only an error of
    opening or reading is an error of the source. An error that an observer raises is the caller's.

    >>> from cortex_rx.engine import run
    >>> async def letters(point):
    ...     for letter in "ab":
    ...         yield letter
    >>> asyncio.run(run(from_async_iterable(letters)))
    'b'
    """
    return pull(lambda flow: open_(flow.reopen_state))


def pull(open_: Callable[[FlowScheduler], AsyncGenerator[T, None]]) -> Observable[T]:
    """As `from_async_iterable`, for a source that needs more of the flow, such as its clock and its timeout policy."""

    def connect(observer: abc.ObserverBase[T], flow: FlowScheduler) -> abc.DisposableBase:
        async def pump() -> None:
            # The end is passed on after the source is closed: it may dispose, which must not interrupt the closing.
            end = observer.on_completed
            try:
                items = open_(flow)
            except BaseException as error:
                observer.on_error(failure_of(error, "the source"))
                return
            emit, time, since, count = straight(observer), flow.time, flow.time(), 0
            gates: Sequence[Gate] = flow.gates
            read: Callable[[], Awaitable[T]] = items.__anext__

            async def throw(error: asyncio.CancelledError) -> T:
                nonlocal read
                read, flow.thrown = items.__anext__, error
                return await items.athrow(error)

            async with closing(items):
                while True:
                    try:
                        item = await read()
                    except StopAsyncIteration:
                        break
                    except BaseException as error:
                        end = partial(observer.on_error, failure_of(error, "the source"))
                        break
                    try:
                        # Asked after reading, so a gate that holds the first item back does not hold the opening back.
                        for gate in gates:
                            if gate.held >= gate.capacity:
                                await wait_for_capacity(gates)
                                break
                        if running.disposed:
                            await asyncio.sleep(0)  # the cancellation arrives here, unless the source has swallowed it
                            return
                        count += 1
                        if not count & 15:
                            if time() - since > 0.001:  # a source that never waits lets other tasks run
                                await asyncio.sleep(0)
                                since = time()
                            gates = [gate for gate in flow.gates if gate.capacity != math.inf]  # some are for the start
                            emit = straight(observer)  # the next operator may have stepped aside
                    except asyncio.CancelledError as error:
                        if cancelled_by_us():
                            raise
                        # A timeout of the source's own may be behind it: as if it had come while the source was read.
                        read = partial(throw, error)
                    emit(item)
            end()

        running = flow.spawn(pump(), on_error=observer.on_error)
        running.reads = True
        return running

    return FlowSource(connect)


def resume(again: Callable[[Exception, int], float | Exception | None]) -> Transform[T, T]:
    """After an error, subscribe to the source again, with a flow that carries the `ReopenState`.

    `again(error, retry)` returns after how many seconds. None passes the error on, another error replaces it.
    Everything upstream starts anew with each opening; nothing downstream does.

    >>> from reactivex import operators as ops
    >>> from cortex_rx.engine import run
    >>> async def model(point):
    ...     yield point.emitted
    ...     if point.retry == 0:
    ...         raise ConnectionError("the line broke")
    >>> asyncio.run(run(from_async_iterable(model).pipe(resume(lambda error, retry: 0.0), ops.to_list())))
    [0, 1]
    """

    def connect(source: Observable[T], observer: abc.ObserverBase[T], flow: FlowScheduler) -> abc.DisposableBase:
        emit = straight(observer)
        upstream = SerialDisposable()  # disposed at once, not when the cancellation arrives
        emitted = 0

        def on_next(item: T) -> None:
            nonlocal emitted
            emitted += 1
            emit(item)

        async def work() -> None:
            state = ReopenState()
            while True:
                error = await _until_ended(source, on_next, flow.child(reopen_state=state), upstream)
                if error is None:
                    return observer.on_completed()
                seconds = None if state.over else again(error, state.retry + 1)
                if seconds is None or isinstance(seconds, Exception):
                    return observer.on_error(seconds or error)
                try:
                    await asyncio.sleep(seconds)
                except asyncio.CancelledError as cancelled:
                    return observer.on_error(failure_of(cancelled, "a reopening"))
                state = ReopenState(emitted, state.retry + 1, error, state.memo)

        return Both(upstream, flow.spawn(work(), on_error=observer.on_error))

    return lift(connect)


async def _until_ended(
    source: Observable[T], on_next: Emit[T], scope: FlowScheduler, upstream: SerialDisposable
) -> Exception | None:
    """Subscribe to the source, and wait until it and all its tasks have ended; return its error."""
    ended = scope.future()

    def end(error: Exception | None = None) -> None:
        if not ended.done():
            ended.set_result(error)

    upstream.disposable = running = subscribe(source, on_next, end, end, scope)
    error: Exception | None
    try:
        error = await ended
    except asyncio.CancelledError as cancelled:
        error = failure_of(cancelled, "a reopening")
    finally:
        running.dispose()
    try:
        await scope.join()
    except asyncio.CancelledError as cancelled:
        error = failure_of(cancelled, "a reopening")
    return error


def after_failure(act: Callable[[Exception, Emit[T]], Awaitable[Exception | None]]) -> Transform[T, T]:
    """When the source fails, wait until everything upstream has ended, then call `act(error, emit)`.

    `act` may emit items. It returns the error to pass on, or None to complete.

    >>> import reactivex as rx
    >>> from cortex_rx.engine import run
    >>> async def forgive(error, emit):
    ...     emit("b")
    ...     return None  # completed
    >>> asyncio.run(run(rx.concat(rx.of("a"), rx.throw(ValueError())).pipe(after_failure(forgive))))
    'b'
    """

    def connect(source: Observable[T], observer: abc.ObserverBase[T], flow: FlowScheduler) -> abc.DisposableBase:
        scope = flow.child()

        def emit(item: T) -> None:
            if isinstance(observer, Link) and observer.stopped:
                flow.report_flushed(item)
            else:
                observer.on_next(item)

        async def work(error: Exception) -> None:
            upstream.dispose()
            try:
                await scope.join()
            except asyncio.CancelledError:  # a recovery that has begun is finished
                if cancelled_by_us():
                    raise
            try:
                outcome = await act(error, emit)
            except BaseException as final:
                outcome = failure_of(final, "a recovery")
            observer.on_error(outcome) if outcome else observer.on_completed()

        def on_error(error: Exception) -> None:
            flow.spawn(work(error), lambda: None, observer.on_error)  # a recovery that has begun is finished

        upstream = subscribe(source, straight(observer), on_error, observer.on_completed, scope)
        return upstream

    return lift(connect)


def per_subscription(make: Callable[[FlowScheduler], Transform[T, U]]) -> Transform[T, U]:
    """An operator that `make(flow)` makes anew for each subscription, so its state belongs to one run.

    >>> import reactivex as rx
    >>> from reactivex import operators as ops
    >>> from cortex_rx.engine import run
    >>> def since_start(flow: FlowScheduler):
    ...     begun = flow.time()
    ...     return ops.map(lambda item: (item, flow.time() - begun < 60))
    >>> asyncio.run(run(rx.of("a").pipe(per_subscription(since_start))))
    ('a', True)
    """

    def connect(source: Observable[T], observer: abc.ObserverBase[U], flow: FlowScheduler) -> abc.DisposableBase:
        return pass_on(make(flow)(source), observer, flow)

    return lift(connect)


def upstream_flow(change: Callable[[FlowScheduler], FlowScheduler]) -> Transform[T, T]:
    """An operator that subscribes to the source with `change(flow)`, usually a child that carries something upstream.

    >>> from cortex_rx.engine import run
    >>> source = pull(lambda flow: flag(flow.replays_upstream))
    >>> async def flag(value):
    ...     yield value
    >>> asyncio.run(run(source.pipe(upstream_flow(lambda flow: flow.child(replays_upstream=True)))))
    True
    """

    def connect(source: Observable[T], observer: abc.ObserverBase[T], flow: FlowScheduler) -> abc.DisposableBase:
        return pass_on(source, observer, change(flow))

    return lift(connect)
