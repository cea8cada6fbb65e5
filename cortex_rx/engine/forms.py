"""The forms of an operator that handles items: `passing`, `beside`, `stage`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable

from cortex_rx.engine.lift import lift
from cortex_rx.engine.mailboxes import End, Inbox, Mailbox
from cortex_rx.engine.scheduler import (
    FlowScheduler,
    Transform,
    cancelled_by_us,
    closing,
    failure_of,
    wait_for_capacity,
)
from cortex_rx.engine.straight import Both, step_aside, straight, subscribe

T = TypeVar("T")
U = TypeVar("U")

Emit: TypeAlias = Callable[[T], None]
"""Passes an item on downstream."""
EndStream: TypeAlias = Callable[[Exception | None], None]
"""Ends the stream at this place: with an error, or with None, completed."""
AtEnd: TypeAlias = Callable[[Exception | None], Exception | None]
"""Gets the error of the source (None: it completed), may emit, and returns the error to pass on."""
Passing: TypeAlias = tuple[Callable[[T], None], AtEnd | None]
"""What `passing` calls: with each item, and at the end."""


def passing(
    make: Callable[[Emit[U], FlowScheduler, EndStream], Passing[T]],
    emits_once: bool = False,
) -> Transform[T, U]:
    """An operator that awaits nothing.

    `make(emit, flow, end)` returns the function for each item, and the function for the end or None. The function for
    the end gets the error of the source (None: it completed), may emit, and returns the error to pass on. `end(None)`
    or `end(error)` ends the stream at this place: the source is disposed, then the end is passed on.

    `emits_once` promises that the operator emits at most one item for an item, at most one at the end, none at any
    other time, and never calls `end`. Then no check is needed whether the subscription still stands, which saves a call
    per item.

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

    def connect(source: Observable[T], observer: abc.ObserverBase[U], flow: FlowScheduler) -> abc.DisposableBase:
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
        on_next, at_end = make(emit, flow, end)
        upstream.disposable = subscribe(source, on_next, end, end, flow)
        return upstream

    return lift(connect)


def beside(
    worker: Callable[[Inbox[T]], AsyncGenerator[T, None]],
    interval: float = 0.0,
    weigh: Callable[[T], float] | None = None,
    capacity: float = float("inf"),
    wants: frozenset[type] | None = None,
    gated: bool = True,
    holds: bool = False,
    joins: bool = False,
    heeds: Mapping[type, Callable[[Inbox[T], Any], None]] | None = None,
) -> Transform[T, T]:
    """An operator that passes every item on at once; `worker` sees items that have passed, and emits items of its own.

    With `wants` the worker sees only items of exactly these types. The end is passed on when the worker has ended. A
    dispose ends the inbox as CANCELLED, so the worker flushes by itself. A worker that needs no more items calls
    `inbox.close()`. It may still wait for the end; the items pass without a call here, where the source allows it.

    `interval`, `weigh` and `capacity` are those of the `Inbox`. With `gated=False` the source does not wait at
    `capacity`; the worker still looks at once. This is for a worker that never waits while items come. With `holds`,
    items of a source that cannot wait (behind a stock operator that has held them) are held here at `capacity`, until
    the worker has released what it took. With `joins`, the worker can wait for `inbox.upstream.upstream_ended(...)`
    after a dispose, to see in `flow.root.flushed` and `flush_errors` what came of the flushes. `heeds` are functions
    for items that the worker does not see, by their type: each is called with the inbox and the item when it has
    passed. So the pace of a worker changes while it sleeps.

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

    def connect(source: Observable[T], observer: abc.ObserverBase[T], flow: FlowScheduler) -> abc.DisposableBase:
        inbox: Inbox[T] = Inbox(flow, interval, weigh, capacity)
        run = _WorkerRun(worker, inbox, observer)
        emit, gate = straight(observer), inbox.gate

        def on_next(item: T) -> None:
            emit(item)
            if wants is None or type(item) in wants:  # `inbox.put`, written out: this runs for every token
                inbox.items.append(item)
                gate.held = held = gate.held + (weigh(item) if weigh else 1.0)
                if held >= inbox.wake_at:
                    inbox.wake()
            elif heeds and (heed := heeds.get(type(item))):
                heed(inbox, item)

        run.held = held = _Held(run, inbox, on_next) if holds else None
        if gated and capacity != float("inf"):
            inbox.upstream = flow.child(gate)
        elif joins:
            inbox.upstream = flow.child()
        ended = (held or run).source_ended
        run.upstream = upstream = subscribe(source, held.on_next if held else on_next, ended, ended, inbox.upstream)
        inbox.on_close = run.let_pass
        return Both(upstream, flow.spawn(run.work(), run.stop, observer.on_error))

    return lift(connect)


class _Held(Generic[T]):
    """Holds what comes although the source was to wait, and the end after it."""

    def __init__(self, run: _WorkerRun[T], inbox: Inbox[T], on_next: Emit[T]) -> None:
        self._run, self._gate, self._pass_on = run, inbox.gate, on_next
        self._items: deque[T] = deque()
        self._end: Callable[[], None] | None = None
        inbox.on_release = lambda: inbox.flow.soon(self.let_go)  # what the worker emits now comes first

    def on_next(self, item: T) -> None:
        if self._items or self._gate.full:
            self._items.append(item)
        else:
            self._pass_on(item)

    def source_ended(self, error: Exception | None = None) -> None:
        self._end = partial(self._run.source_ended, error)
        if not self._items:
            self._end()

    def let_go(self) -> None:
        """Pass on what is held, unless nothing is to be shown any more."""
        while self._items and not self._run.over:
            self._pass_on(self._items.popleft())
        if self._end:
            self._end()


class _WorkerRun(Generic[T]):
    """One subscription of `beside`: runs the worker, then passes the end on."""

    def __init__(
        self, worker: Callable[[Inbox[T]], AsyncGenerator[T, None]], inbox: Inbox[T], observer: abc.ObserverBase[T]
    ) -> None:
        self._worker, self._inbox, self._observer = worker, inbox, observer
        self.over = False  # nothing more is passed on
        self.held: _Held[T] | None = None
        self.upstream: abc.DisposableBase | None = None

    def stop(self) -> None:
        """The stream was disposed: the worker flushes and ends."""
        self.over = True
        self._inbox.dispose()

    def source_ended(self, error: Exception | None = None) -> None:
        """The source has ended, by this error, or it has completed."""
        self._inbox.finish(End.COMPLETED if error is None else End.FAILED, error)

    def let_pass(self) -> None:
        """The worker takes no more items."""
        held, self.held = self.held, None  # each holds the other
        if held:
            held.let_go()
        if self.upstream:
            step_aside(self.upstream, self._observer)

    async def work(self) -> None:
        """Emit the items of the worker; when it and the source have ended, pass the end on."""
        end = await self._run_worker()
        self.over = self.over or end is not None
        self._inbox.close()
        if end is None:
            try:
                await self._inbox.ended()
            except asyncio.CancelledError as error:
                self._inbox.error = failure_of(error, "a worker")
            if self._inbox.error:
                end = partial(self._observer.on_error, self._inbox.error)
            elif self._inbox.end is End.COMPLETED:
                end = self._observer.on_completed
        if end:
            end()

    async def _run_worker(self) -> Callable[[], None] | None:
        """Run the worker to its end; if it failed, return how that is passed on."""
        inbox, observer, emit = self._inbox, self._observer, straight(self._observer)
        async with closing(self._worker(inbox)) as items:
            while True:
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return None
                except BaseException as error:
                    fail = inbox.flow.report_flush_failure if inbox.disposed else observer.on_error
                    if isinstance(error, asyncio.CancelledError) and cancelled_by_us() and inbox.disposed:
                        fail(TimeoutError("a flush was cut off"))
                    return partial(fail, failure_of(error, "a worker"))
                if inbox.disposed:
                    inbox.flow.report_flushed(item)
                else:
                    emit(item)


def stage(transform: Callable[[Mailbox[T]], AsyncGenerator[U, None]], capacity: float = 32) -> Transform[T, U]:
    """An operator whose items wait for an async generator: what it awaits delays every item behind.

    `transform` iterates over the mailbox that it is given, or reads all waiting items with `await mailbox.batch()`.

    >>> import reactivex as rx
    >>> from reactivex import operators as ops
    >>> from cortex_rx.engine import run
    >>> async def translate(words: Mailbox) -> AsyncGenerator:
    ...     async for word in words:
    ...         await asyncio.sleep(0.001)  # a request
    ...         yield word.upper()
    >>> asyncio.run(run(rx.of("a", "b").pipe(stage(translate), ops.to_list())))
    ['A', 'B']
    """

    def connect(source: Observable[T], observer: abc.ObserverBase[U], flow: FlowScheduler) -> abc.DisposableBase:
        mailbox: Mailbox[T] = Mailbox(flow, capacity)

        async def work() -> None:
            end = observer.on_completed
            async with closing(transform(mailbox)) as results:
                thrown: asyncio.CancelledError | None = None
                while True:
                    try:
                        result = await (results.athrow(thrown) if thrown else anext(results))
                    except StopAsyncIteration:
                        break
                    except BaseException as error:
                        end = partial(observer.on_error, failure_of(error, "a stage"))
                        break
                    thrown = None
                    try:
                        await wait_for_capacity(flow.gates)
                    except asyncio.CancelledError as error:
                        if cancelled_by_us():
                            raise
                        thrown = error  # a timeout of its own may be behind it: as if it had come in the generator
                    observer.on_next(result)
            upstream.dispose()
            end()

        scope = flow.child(mailbox.gate)
        upstream = subscribe(source, mailbox.on_next, mailbox.on_error, mailbox.on_completed, scope)
        return Both(upstream, flow.spawn(work(), on_error=observer.on_error))

    return lift(connect)
