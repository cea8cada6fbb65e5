"""What a step gets from stock operators and from code of users is checked: events, of one stream, none lost.

Between two of our own steps there is no guard, so it costs a token nothing there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Any, NamedTuple, cast

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable

from cortex_rx.engine.lift import lift
from cortex_rx.engine.scheduler import FlowScheduler
from cortex_rx.engine.straight import FlowObservable, subscribe
from cortex_rx.errors import BrokenPipeline, EventsLost, NotAnEvent, SecondStream
from cortex_rx.events import Begun, Delta, Ended, Opened, Remembered, Replayed, Rewound, StreamEvent

__all__ = ["ESSENTIAL", "Origin", "guarded", "rewriting"]

Kinds = Collection[type[StreamEvent]]

ESSENTIAL = frozenset({Opened, Begun, Replayed, Rewound, Delta, Ended, Remembered})
"""The events without which a step that reads them does something wrong."""


class Origin(NamedTuple):
    """Where the events of an observable come from.  Only an observable of ours has an `origin`: then nothing that it
    emits needs to be checked."""

    step: str
    """The step that emits them."""
    captured_by: tuple[str, ...]
    """The steps that have stored or shown their text."""


def rewriting(source: Observable[StreamEvent]) -> Observable[StreamEvent]:
    """`source` of a user's step that may change the text, which the next guard downstream is told.

    >>> import asyncio
    >>> from reactivex import operators as ops
    >>> from cortex_rx import Turn, from_stream, run
    >>> answer = from_stream(["a", "b"], turn=Turn("space", "c-1", "Hi!", user_id="ada", user_name="Ada"))
    >>> less = answer.pipe(ops.filter(lambda event: getattr(event, "index", 0) != 1))
    >>> asyncio.run(run(guarded(rewriting(less), "measure", ESSENTIAL))).reason
    'stop'
    """
    if isinstance(source, FlowObservable):
        source.rewrites = True
        return source

    def subscribe(
        observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        if isinstance(scheduler, FlowScheduler) and scheduler.witness is not None:
            scheduler.witness.rewrites()
        return source.subscribe(observer, scheduler=scheduler)

    return Observable(subscribe)


def guarded(
    source: Observable[StreamEvent], step: str, reads: Kinds, *, needs_opened: bool = False, may_be_empty: bool = False
) -> Observable[StreamEvent]:
    """`source` as the step named `step` gets it: ours as it is, any other one checked.

    The stream fails with `NotAnEvent`, with `SecondStream` for another `Opened`, and with `EventsLost` when an event
    that the step `reads` has left our last step and does not arrive in its order.

    >>> import asyncio
    >>> import reactivex as rx
    >>> from cortex_rx.engine import run
    >>> try:
    ...     asyncio.run(run(guarded(rx.of("text"), "begin", ESSENTIAL)))
    ... except NotAnEvent as error:
    ...     print(error.step, error.kind)
    begin str
    """
    if getattr(source, "origin", None) is not None:
        return source

    def connect(
        source: Observable[StreamEvent], observer: abc.ObserverBase[StreamEvent], flow: FlowScheduler
    ) -> abc.DisposableBase:
        again = flow.reopen_state is not None and flow.reopen_state.emitted  # `Opened` came from an earlier opening
        guard = _Guard(observer, step, ESSENTIAL.intersection(reads), needs_opened and not again, may_be_empty)
        scope = flow.child(witness=guard)
        guard.upstream.disposable = subscribe(source, guard.on_next, guard.on_error, guard.on_completed, scope)
        return guard.upstream

    operator = lift(connect)
    return operator(source)


class _Guard(abc.ObserverBase[StreamEvent]):
    """One subscription: what comes, and what has left our last step upstream (it is the witness of its flow)."""

    def __init__(
        self,
        observer: abc.ObserverBase[StreamEvent],
        step: str,
        reads: frozenset[type[StreamEvent]],
        needs_opened: bool,
        may_be_empty: bool,
    ) -> None:
        self.upstream = SingleAssignmentDisposable()
        self._observer, self._step, self._reads = observer, step, reads
        self._needs_opened, self._may_be_empty = needs_opened, may_be_empty
        self._empty, self._over, self._opened = True, False, False
        self._left: deque[StreamEvent] = deque()  # events that have left our last step, and have not come
        self._text_left = False  # text has left it before `Begun`, because the store was slow
        self._last: StreamEvent | None = None  # the last delta that came as it had left
        self._origin: Origin | None = None
        self._captured = False  # the text was stored or shown upstream, so it may not change any more
        self._rewrites = False  # an operator between changes the text, and may
        self._source_completed = False

    # The witness: what leaves our last step.

    def enters(self, source: FlowObservable[Any]) -> None:
        """A stock operator subscribes to `source`, which is ours."""
        self._origin = cast("Origin | None", source.origin) or self._origin
        self._captured = self._captured or bool(self._origin and self._origin.captured_by)

    def left(self, event: Any) -> None:
        """`event` goes to a stock operator."""
        kind = type(event)
        if kind in self._reads and not (kind is Delta and self._rewrites):
            if kind is Begun and self._text_left:
                return  # a step that holds events may well pass it on after that text
            self._left.append(event)
        self._text_left = self._text_left or kind is Delta

    def rewrites(self) -> None:
        """A step between may change the text."""
        self._rewrites = True

    def completed(self) -> None:
        """Our last step has completed."""
        self._source_completed = True

    # What comes.

    def on_next(self, value: StreamEvent) -> None:
        if self._over:
            return
        kind = type(value)
        if error := self._refused(value, kind):
            self._fail(error)
        else:
            self._empty = False
            self._observer.on_next(value)

    def _refused(self, event: StreamEvent, kind: type[StreamEvent]) -> BrokenPipeline | None:
        if kind is Delta:
            if self._needs_opened and not self._opened:
                return self._lost(Opened)
            return self._check_delta(event) if self._origin else None
        if not isinstance(event, StreamEvent):
            return NotAnEvent(self._step, kind.__name__)
        if kind is Opened:
            if self._opened:
                return SecondStream(self._step)
            self._opened = True
        if kind in self._reads and self._left:
            if type(self._left[0]) is kind:  # a user's step may have replaced it
                self._left.popleft()
            elif any(type(one) is kind for one in self._left):
                return self._lost(type(self._left[0]))
        return None

    def _check_delta(self, delta: StreamEvent) -> BrokenPipeline | None:
        left, first = self._left, self._left[0] if self._left else None
        if first is delta or (self._captured and first == delta):
            self._last = left.popleft()
            return None
        if isinstance(first, Opened | Begun):  # they leave before all text
            return self._lost(type(first))
        if Delta not in self._reads or self._rewrites:
            return None
        if not self._captured and delta is not self._last and all(one is not delta for one in left):
            # The operator has made it: it changes the text, which is not yet shown or stored.
            self._rewrites = True
            self._left = deque(one for one in left if type(one) is not Delta)
            return None
        return self._lost(type(first) if first and delta in left else Delta)

    def _lost(self, kind: type[StreamEvent]) -> EventsLost:
        return EventsLost(self._step, kind.__name__, self._origin.step if self._origin else None)

    def on_error(self, error: Exception) -> None:
        if not self._over:
            self._over = True
            self._observer.on_error(error)

    def on_completed(self) -> None:
        if self._over:
            return
        if self._empty and not self._may_be_empty:
            self._fail(EventsLost(self._step, None, self._origin.step if self._origin else None))
        elif self._left and self._source_completed:
            self._fail(self._lost(type(self._left[0])))
        else:
            self._over = True
            self._observer.on_completed()

    def _fail(self, error: BrokenPipeline) -> None:
        """End the stream here. What is upstream is stopped, and flushes what has passed it."""
        self._over = True
        self.upstream.dispose()
        self._observer.on_error(error)
