"""`record`: a marble diagram of what passes at each step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from typing import Any, TypeVar

from reactivex import Observable
from reactivex import operators as ops

from cortex_rx import validation as check
from cortex_rx.chain import Chain, Operator, Step, step
from cortex_rx.engine import run
from cortex_rx.events import StreamEvent
from cortex_rx.models.turn import Turn
from cortex_rx.sources.model_stream import Source, from_stream
from cortex_rx.testing import Trace, VirtualLoop, run_virtual

__all__ = ["Recording", "record"]

T = TypeVar("T")

DRAWN = 60  # the most marbles drawn on a lane; more would be too small to read


@dataclass(frozen=True, repr=False)
class Recording:
    """What passed at each step.  A notebook shows it as a marble diagram, a terminal as text.

    **Unbounded**: it holds every event on every lane.  Of a long recording only the beginning is drawn, with a note.
    """

    trace: Trace
    """The lanes, with times: the source, then the output of each step."""
    events: tuple[StreamEvent, ...]
    """The output of the whole chain."""
    error: Exception | None
    """The error of the stream, if it failed."""

    def _drawn(self) -> tuple[Trace, str]:
        """The part that is drawn, and a note on the rest."""
        lanes = self.trace.lanes
        full = [marks[DRAWN - 1].at for marks in lanes.values() if len(marks) > DRAWN]
        if not full:
            return self.trace, ""
        until, part = min(full), Trace(self.trace.frame)
        part.lanes.update((name, [m for m in marks[:DRAWN] if m.at <= until]) for name, marks in lanes.items())
        drawn, there = (sum(map(len, each.lanes.values())) for each in (part, self.trace))
        return part, f"the first {drawn:,} of {there:,} marbles; .trace has all of them"

    def __repr__(self) -> str:
        drawn, rest = self._drawn()
        return f"{drawn}\n\n{rest}" if rest else str(drawn)

    def _repr_svg_(self) -> str:
        return self._drawn()[0].svg()

    def _repr_html_(self) -> str | None:
        drawn, rest = self._drawn()
        return f"{drawn.svg()}<div>{escape(rest)}</div>" if rest else None


async def record(
    source: Source,
    chain: Operator | None = None,
    *,
    turn: Turn | None = None,
    virtual: bool = False,
    frame: float | None = None,
) -> Recording:
    """Run `source` through `chain` to its end and return a recording: a lane for the source, and one for each step.

    `source` is an observable of events, or a source for `from_stream`.  For the latter, `turn` is its turn, by default
    a placeholder in the memory space "recording".  The chain works as usual: what it stores is really stored.

    With `virtual`, it runs in virtual time, on a loop of its own in a thread: hours pass in a moment, and the diagram
    is the same each time.  This is for scripted sources.  A source that waits for a socket, or for the notebook's loop,
    needs real time.  `frame` is the number of seconds of one character in the diagram.

    A stream that fails also gives a recording, with its `error`.  Raises `ChainOrderError` and `InvalidArgument` before
    anything runs, `cortex_rx.testing.Deadlock` if nothing can ever happen in virtual time, and the error of an operator
    with a bug.

    >>> import asyncio
    >>> from cortex_rx import operators as cx
    >>> async def model():
    ...     for word in ("Hello ", "wide ", "world"):
    ...         await asyncio.sleep(0.02)
    ...         yield word
    >>> asyncio.run(record(model, cx.chain(cx.limit(8, then="end")), virtual=True))
    ms      0 20
    source  a-b-(c!)
    limit   a-b-(de|)
    <BLANKLINE>
    1 frame = 10 ms
    a = Opened 'a question' in recording/recording
    b = Delta 'Hello ' @0
    c = Delta 'wide ' @6
    d = Delta 'wi' @6
    e = Ended limit @8
    """
    check.optional(check.amount("seconds"))("frame", frame)
    check.optional(check.instance(Turn, "a Turn"))("turn", turn)
    check.optional(check.function)("chain", chain)
    check.flag("virtual", virtual)
    if turn is None and isinstance(source, Observable):
        events: Observable[Any] = source
    else:
        events = from_stream(source, turn=turn or Turn("recording", "recording", "a question", agent_id="nobody"))
    trace = Trace(frame)
    steps = Chain(()) if chain is None else _steps(chain)
    pipeline = _tapped(steps, trace)(events) if steps else trace.tap("source")(events)
    out = list(trace.lanes)[-1]

    async def play() -> Exception | None:
        try:
            await run(pipeline.pipe(ops.count()))  # `count` emits an item even for an empty stream
        except Exception as error:
            if not any(mark.value is error for mark in trace.lane(out)):
                raise  # the stream did not fail with it: it is a bug in an operator
            return error
        return None

    in_virtual_time = virtual and not isinstance(asyncio.get_running_loop(), VirtualLoop)
    error = await (_in_virtual_time(play) if in_virtual_time else play())
    return Recording(trace, tuple(trace.values(out)), error)


def _steps(chain: Operator) -> Chain:
    if isinstance(chain, Chain):
        return chain
    return Chain((chain if isinstance(chain, Step) else step("chain", chain),))


def _tapped(chain: Chain, trace: Trace) -> Chain:
    """The same steps, checked in the same order, with their outputs and the input of the first one recorded."""
    source = "source" if "source" not in chain else "(source)"

    def tapped(one: Step, first: bool) -> Step:
        def apply(given: Observable[StreamEvent]) -> Observable[StreamEvent]:
            return trace.tap(one.name)(one.apply(trace.tap(source)(given) if first else given))

        return replace(one, apply=apply)

    for lane in (source, *chain.names):  # lanes are drawn in the order in which they are made
        trace.lane(lane)
    return Chain(tapped(one, at == 0) for at, one in enumerate(chain))


async def _in_virtual_time(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it on a virtual loop in another thread, since this thread has a loop.  A cancellation is passed on and
    awaited."""
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    cancelled = False

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        running.append((task.get_loop(), task))
        if cancelled:
            raise asyncio.CancelledError
        return await make()

    work = asyncio.create_task(asyncio.to_thread(lambda: run_virtual(main())))
    try:
        # An interrupt may be delivered to the other thread, and is handled only when this thread wakes.
        while not work.done():
            await asyncio.wait({work}, timeout=0.1)
    except asyncio.CancelledError:
        cancelled = True
        for loop, task in running:
            with suppress(RuntimeError):  # it has finished, and its loop is closed
                loop.call_soon_threadsafe(task.cancel)
        await asyncio.wait({work})
        raise
    return work.result()
