"""The three forms of an operator: passing, beside, stage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, SingleAssignmentDisposable

from cortex_rx.engine.mailboxes import End, Inbox, Mailbox
from cortex_rx.engine.scheduler import (
    FlowScheduler,
    ForeignCancellation,
    Transform,
    cancelled_by_us,
    closing,
    wait_for_capacity,
)
from cortex_rx.engine.straight import FlowObservable, straight, subscribe

T = TypeVar("T")
U = TypeVar("U")

Emit: TypeAlias = Callable[[T], None]
"""Hands an item on downstream."""
EndStream: TypeAlias = Callable[[Exception | None], None]
"""Ends the stream here: with an error, or (None) completed."""
AtEnd: TypeAlias = Callable[[Exception | None], Exception | None]
"""Gets the error of the source (None: it completed), may emit, and returns the error to pass on."""
Passing: TypeAlias = tuple[Callable[[T], None], AtEnd | None]
"""What `passing` calls: with each item, and at the end."""


def passing(
    make: Callable[[Emit[U], FlowScheduler, EndStream], Passing[T]],
    emits_once: bool = False,
) -> Transform[T, U]:
    """`make(emit, flow, end)` gives what is done with an item and, if wanted, at the end, before it is passed on.

    What is done at the end gets the error (None: the stream completed), may emit, and returns the error to pass on.
    `end(None)` or `end(error)` ends the stream at this place: upstream is disposed, downstream finishes.

    `emits_once` promises that it emits at most one item for an item, at most one at the end, none at any other time, and never
    calls `end`.  Then nobody has to ask whether somebody still listens, which is a call less for each item.

    >>> import reactivex as rx
    >>> from cortex_rx.engine import run
    >>> def total(emit, flow: FlowScheduler, end):
    ...     seen = []
    ...     def at_end(error):
    ...         emit(sum(seen))
    ...         return error
    ...     return seen.append, at_end
    >>> asyncio.run(run(rx.of(1, 2, 3).pipe(passing(total))))
    6
    """

    def operator(source: Observable[T]) -> Observable[U]:
        def connect(observer: abc.ObserverBase[U], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            upstream = SingleAssignmentDisposable()
            over = False

            def end(error: Exception | None = None) -> None:
                nonlocal over
                if not over:
                    over = True
                    if at_end:
                        error = at_end(error)
                    upstream.dispose()
                    if error:
                        observer.on_error(error)
                    else:
                        observer.on_completed()

            emit = straight(observer) if emits_once else observer.on_next
            on_next, at_end = make(emit, FlowScheduler.of(scheduler), end)
            upstream.disposable = subscribe(source, on_next, end, end, scheduler)
            return upstream

        return FlowObservable(connect)

    return operator


def beside(
    worker: Callable[[Inbox[T]], AsyncGenerator[T, None]],
    interval: float = 0.0,
    weigh: Callable[[T], float] | None = None,
    capacity: float = float("inf"),
    wants: frozenset[type] | None = None,
    gated: bool = True,
) -> Transform[T, T]:
    """Pass every item on at once; `worker` sees what passed and emits items of its own.

    With `wants` it sees only items of these very types.  A worker that never waits for anything as long as items come need not
    be `gated`: at its `capacity` it looks at once, and the source need not wait for that.  The end is passed on when the worker has ended.  A dispose ends the
    inbox as CANCELLED: the worker flushes by itself.

    >>> import reactivex as rx
    >>> from reactivex import operators as ops
    >>> from cortex_rx.engine import run
    >>> async def count(inbox: Inbox) -> AsyncGenerator:
    ...     number = 0
    ...     async for batch in inbox:
    ...         number += len(batch)
    ...     yield f"{number} passed, {inbox.end is End.COMPLETED}"  # the flush: after the loop
    >>> asyncio.run(run(rx.of("a", "b").pipe(beside(count), ops.to_list())))
    ['a', 'b', '2 passed, True']
    """

    def operator(source: Observable[T]) -> Observable[T]:
        def connect(observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            flow = FlowScheduler.of(scheduler)
            inbox: Inbox[T] = Inbox(flow, interval, weigh, capacity)
            emit, gate = straight(observer), inbox.gate

            def on_next(item: T) -> None:
                emit(item)
                if wants is None or type(item) in wants:  # `inbox.put`, written out: this is run for every token
                    inbox.items.append(item)
                    gate.held = held = gate.held + (weigh(item) if weigh else 1.0)
                    if held >= inbox.wake_at:
                        inbox.wake()

            ended = asyncio.Event()
            disposed = inbox.disposed

            def stop() -> None:
                disposed.set()
                finish(End.CANCELLED)

            def finish(end: End, error: Exception | None = None) -> None:
                inbox.finish(end, error)
                ended.set()

            async def work() -> None:
                end: Callable[[], None] | None = None
                async with closing(worker(inbox)) as items:
                    while True:
                        try:
                            item = await anext(items)
                        except StopAsyncIteration:
                            break
                        except Exception as error:
                            end = partial(flow.report_flush_failure if disposed.is_set() else observer.on_error, error)
                            break
                        except asyncio.CancelledError:
                            if cancelled_by_us():
                                if disposed.is_set():
                                    flow.report_flush_failure(TimeoutError("a flush was cut off"))
                                raise
                            end = partial(observer.on_error, ForeignCancellation("a worker"))
                            break
                        if not disposed.is_set():
                            emit(item)
                inbox.close()
                if end is None:
                    await ended.wait()
                    if inbox.error:
                        end = partial(observer.on_error, inbox.error)
                    elif inbox.end is End.COMPLETED:
                        end = observer.on_completed
                if end:
                    end()

            upstream = subscribe(
                source,
                on_next,
                lambda error: finish(End.FAILED, error),
                lambda: finish(End.COMPLETED),
                flow.child(gate) if gated and capacity != float("inf") else flow,
            )
            return CompositeDisposable(upstream, flow.spawn(work(), stop=stop))

        return FlowObservable(connect)

    return operator


def stage(transform: Callable[[Mailbox[T]], AsyncGenerator[U, None]], capacity: float = 32) -> Transform[T, U]:
    """Lift an async generator over items to an operator.  What it awaits delays every item behind it.

    `transform` iterates over the mailbox that it is given, or reads `await mailbox.batch()`, everything that waits.

    >>> import reactivex as rx
    >>> from reactivex import operators as ops
    >>> from cortex_rx.engine import run
    >>> async def translate(words: Mailbox) -> AsyncGenerator:
    ...     async for word in words:
    ...         await asyncio.sleep(0.001)  # somebody is asked
    ...         yield word.upper()
    >>> asyncio.run(run(rx.of("a", "b").pipe(stage(translate), ops.to_list())))
    ['A', 'B']
    """

    def operator(source: Observable[T]) -> Observable[U]:
        def connect(observer: abc.ObserverBase[U], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            flow = FlowScheduler.of(scheduler)
            mailbox: Mailbox[T] = Mailbox(flow, capacity)

            async def work() -> None:
                end = observer.on_completed
                async with closing(transform(mailbox)) as results:
                    while True:
                        try:
                            result = await anext(results)
                        except StopAsyncIteration:
                            break
                        except Exception as error:
                            end = partial(observer.on_error, error)
                            break
                        except asyncio.CancelledError:
                            if cancelled_by_us():
                                raise
                            end = partial(observer.on_error, ForeignCancellation("a stage"))
                            break
                        await wait_for_capacity(flow.gates)
                        observer.on_next(result)
                upstream.dispose()
                end()

            scope = flow.child(mailbox.gate)
            upstream = subscribe(source, mailbox.on_next, mailbox.on_error, mailbox.on_completed, scope)
            return CompositeDisposable(upstream, flow.spawn(work()))

        return FlowObservable(connect)

    return operator
