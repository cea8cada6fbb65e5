"""Check that an operator holds a bounded amount: with a slow reader, over a long answer, and with a stalled store."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import AsyncGenerator

from cortex_rx.engine import stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.events import Delta, Opened, StreamEvent
from cortex_rx.testing.operators._judge import BrokenPromise, Promise
from cortex_rx.testing.operators._promises import SLOW, Checker
from cortex_rx.testing.operators._rig import TURN, StepLoop, drive
from cortex_rx.testing.virtual import EPOCH

__all__ = ["check_bounds"]

CAPACITY = 4  # of the mailbox of the slow reader
SIZE = 4096  # the size of a delta of the long answer, in code points of one byte each
LOOK = 150  # deltas after which it looks at what is held
LENGTH = 7 * LOOK + 1  # deltas of the long answer, 4.3 MB: it looks at the last one, too
PACE = 0.01


class _Text(str):
    """A text that can be weakly referenced, to see whether it is still held."""


class _Long:
    """A long answer; `given` counts its deltas, `peak` those whose text was still held.  It ends where more is held
    than may be.
    """

    def __init__(self, length: int, size: int, most: int = 0, most_bytes: int = 0) -> None:
        self.length, self.size, self.most, self.most_bytes = length, size, most, most_bytes
        self.given = 0
        self.peak = self.peak_bytes = 0
        self._texts: list[weakref.ref[_Text]] = []
        self._base = 0

    async def __call__(self, _: object) -> AsyncGenerator[StreamEvent, None]:
        yield Opened(TURN, "stream-1", EPOCH)
        for number in range(self.length):
            await asyncio.sleep(PACE)
            text = _Text(f"{number:08d}".ljust(self.size, "x"))
            if self.size > 100:
                self._texts.append(weakref.ref(text))
                if number % LOOK == 0 and self._too_much(number):
                    return
            self.given += 1
            yield Delta(text, number, number * self.size, 0, number * PACE)
            del text

    def _too_much(self, number: int) -> bool:
        gc.collect()
        self._texts = [each for each in self._texts if each() is not None]
        traced = tracemalloc.get_traced_memory()[0]
        if number <= LOOK:  # until then caches fill
            self._base = traced
        self.peak = max(self.peak, len(self._texts))
        self.peak_bytes = max(self.peak_bytes, traced - self._base)
        return self.peak > self.most or self.peak_bytes > self.most_bytes


def check_bounds(checker: Checker) -> None:
    _slow_reader(checker)
    options = checker.options
    if options.memory is None:
        checker.skipped.append((Promise.BOUNDED, "over a long answer: what is held is not measured"))
        return
    _long_answer(checker, answers=None)
    how = f"a reader that pauses; {LENGTH * SIZE / 1e6:.0f} MB of text"
    if options.store is not None:
        _long_answer(checker, answers=1)
        how += "; a store that stalls"
    checker.done.append((Promise.BOUNDED, how))


def _slow_reader(checker: Checker) -> None:
    """A reader reads three events, then pauses: the source must stop."""
    long, counts = _Long(4000, 8), [0, 0]
    read = 3

    async def main(_: StepLoop) -> None:
        async with checker.made() as (operator, upstream):
            source = from_async_iterable(long)
            pipeline = (upstream(source) if upstream else source).pipe(operator)
            async with stream(pipeline, capacity=CAPACITY) as events:
                for _event in range(read):
                    await anext(events, None)
                for at in range(2):
                    await asyncio.sleep(4000 * PACE / 3)
                    counts[at] = long.given

    drive(main)
    options = checker.options
    most = read + CAPACITY + 1 + options.holds
    if counts[1] > counts[0] or (counts[0] > most and not options.rewrites):
        moved = f"{counts[0]} deltas, later {counts[1]}" if counts[1] > counts[0] else f"{counts[0]} deltas"
        what = f"a reader that pauses after {read} events (capacity {CAPACITY}): the source ran on to {moved}"
        raise BrokenPromise(Promise.BOUNDED, f"{what}; at most {most} are allowed")


def _long_answer(checker: Checker, answers: int | None) -> None:
    """A long answer for a fast reader: how much is still held, in events and in bytes."""
    options = checker.options
    most_bytes = options.memory or 0
    most = options.holds + 256
    if answers is not None:  # what waits for a store that stalls is bounded by its size alone
        most_bytes *= 3
        most = most_bytes // SIZE
    long = _Long(LENGTH, SIZE, most, most_bytes)

    async def main(_: StepLoop) -> None:
        async with checker.made(SLOW, answers) as (operator, upstream):
            source = from_async_iterable(long)
            pipeline = (upstream(source) if upstream else source).pipe(operator)
            try:
                async with asyncio.timeout(LENGTH * PACE + 60), stream(pipeline) as events:
                    async for event in events:
                        del event
            except Exception:
                return  # it may give up

    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    try:
        drive(main)
    finally:
        if not traced:
            tracemalloc.stop()
    where = f"after {long.given} deltas of {SIZE} bytes" + (", while the store stalls," if answers else "")
    if long.peak > most:
        raise BrokenPromise(Promise.BOUNDED, f"{where} it held the texts of {long.peak}; at most {most} are allowed")
    if long.peak_bytes > most_bytes:
        what = f"{where} it held {long.peak_bytes:,} bytes; at most {most_bytes:,} are allowed"
        raise BrokenPromise(Promise.BOUNDED, what)
