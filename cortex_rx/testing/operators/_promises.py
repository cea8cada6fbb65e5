"""The promises of an operator, each as a check. `check_operator` runs them all."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cortex_rx.errors import CortexError
from cortex_rx.events import Delta
from cortex_rx.testing.operators._judge import BrokenPromise, Judge, Promise, text_of
from cortex_rx.testing.operators._rig import (
    Endless,
    Operator,
    Play,
    Script,
    Source,
    StepLoop,
    drive,
    plain,
    play,
    script,
    slowed,
)

__all__ = ["Checker"]

SLOW = 0.2  # seconds that a call of a slow store takes


@dataclass
class Checker(Judge):
    """Runs the operator in every way that a promise requires."""

    done: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @asynccontextmanager
    async def made(
        self, delay: float = 0.0, answers: int | None = None
    ) -> AsyncGenerator[tuple[Operator, Operator | None]]:
        """A fresh operator, and its upstream step, over a fresh store whose calls take `delay` seconds."""
        o = self.options
        if o.store is None:
            yield o.make(), o.upstream() if o.upstream else None
            return
        store = o.store()
        try:
            seen = slowed(store, delay, answers=answers) if delay or answers is not None else store
            yield o.make(seen), o.upstream(store) if o.upstream else None
        finally:
            if close := getattr(store, "close", None):
                closed: Awaitable[object] | None = close()
                if closed is not None:
                    await closed

    def script(self, **how: Any) -> Script:
        return script(self.options.extra, **how)

    def run(self, script: Script, promise: str, *, delay: float = SLOW, **how: Any) -> Play:
        """One run, which must end and leave nothing."""
        record = Play(Source(script))

        async def main(_: StepLoop) -> Play:
            async with self.made(delay) as (operator, upstream):
                return await play(script, operator, upstream, record=record, **how)

        try:
            done, left, loop = drive(main)
        except Endless as error:
            raise BrokenPromise(promise, str(error), record.trace) from error
        if isinstance(done.error, TimeoutError) and loop.time() >= 3600:
            raise BrokenPromise(promise, "it did not end within an hour", done.trace)
        self.nothing_left(left, loop, done, promise)
        return done

    def nothing_left(self, left: Sequence[str], loop: StepLoop, done: Play, promise: str) -> None:
        if left:
            raise BrokenPromise(Promise.STOPS, "left behind: " + "; ".join(left), done.trace)
        if done.source.opened != done.source.closed:
            raise BrokenPromise(Promise.STOPS, "the source was not closed", done.trace)
        if loop.problems:
            raise BrokenPromise(Promise.STOPS, "asyncio reports: " + "; ".join(loop.problems), done.trace)

    # --- the promises -------------------------------------------------------------------------------------------------

    def passing(self) -> Play:
        """The usual answer, beside a slow store: order, time, completion."""
        o = self.options
        done = self.run(self.script(), Promise.COMPLETES)
        if done.error:
            self.broken(Promise.COMPLETES, f"it failed: {done.error!r}", done)
        self.order(done)
        self.done.append((Promise.ORDER, f"{len(done.came)} events, two of a kind that it does not know"))
        if o.stage:
            self.skipped.append((Promise.AT_ONCE, "delay is its purpose"))
        else:
            self.at_once(done)
            self.done.append(
                (Promise.AT_ONCE, "to the instant" if not o.store else f"with a store of {SLOW:g} s a call")
            )
        if o.rewrites:
            self.text(done)
            self.done.append((Promise.TEXT, "against the given function" if callable(o.rewrites) else "offsets alone"))
        self.done.append((Promise.COMPLETES, "the usual answer, an empty source, an answer without text"))
        return done

    def empty(self) -> None:
        for nothing in (Script([]), self.script(deltas=0), Script(self.script().items[:1])):
            done = self.run(nothing, Promise.COMPLETES)
            if done.error is not None and not isinstance(done.error, CortexError):
                self.broken(Promise.COMPLETES, f"without text it failed: {done.error!r}", done)
            if any(isinstance(event, Delta) for event in done.out):
                self.broken(Promise.COMPLETES, "text came out of a source that gave none", done)
            if done.error is None:
                self.order(done)

    def failing(self) -> None:
        """A source that fails: at once, before the text, in it, at its end."""
        plays = 0
        for deltas in (None, 0, 1, 5, 12):
            error = ConnectionError("the provider hung up")
            whole = Script([]) if deltas is None else self.script(deltas=deltas, end=False)
            done = self.run(Script(whole.items, error), Promise.FAILS)
            plays += 1
            if self.options.handles_errors:
                continue
            if done.error is None:
                self.broken(Promise.FAILS, "the error was hidden: it completed", done)
            if done.error is not error:
                self.broken(Promise.FAILS, f"another error arrived: {done.error!r}", done)
            if done.trace.lanes["out"][-1].kind != "error":
                self.broken(Promise.FAILS, "something came after the error", done)
            try:
                self.order(done)
            except BrokenPromise as lost:
                self.broken(Promise.FAILS, lost.what, done)
            if self.options.rewrites:
                completed = self.run(whole, Promise.COMPLETES)
                if text_of(done) != text_of(completed):
                    what = f"the text before the error is {text_of(done)!r}; without the error, {text_of(completed)!r}"
                    self.broken(Promise.FAILS, what, done)
        how = "it ends; it may handle them" if self.options.handles_errors else "the very error"
        self.done.append((Promise.FAILS, f"{plays} places, {how}"))

    def faults(self) -> None:
        """An observer downstream that raises."""
        count = len(self.run(self.script(), Promise.COMPLETES).out)
        for number in sorted({0, count // 2, count - 1}):
            bug = ZeroDivisionError("a bug downstream")
            done = self.run(self.script(), Promise.BARE, fault=(number, bug))
            if done.error is not bug:
                self.broken(Promise.BARE, f"the caller got {done.error!r}", done)
            if done.source.opened > 1:
                self.broken(Promise.BARE, "the source was opened again", done)
        self.done.append((Promise.BARE, "at the first event, in the middle, at the last"))

    def stops(self) -> None:
        """Cancelled at every callback of the loop, once and twice; left after every event."""
        threads = set(threading.enumerate())
        whole: list[int] = []

        async def count(loop: StepLoop) -> None:
            async with self.made(SLOW) as (operator, upstream):
                await play(self.script(), operator, upstream)
                whole.append(loop.step)

        drive(count)
        points = _spread(whole[0], self.options.points)
        for at in points:
            self._cancelled((at,))
        for at in _spread(whole[0], max(1, self.options.points // 2)):
            self._cancelled((at, at + 1 + at % 5))
        items = len(self.run(self.script(), Promise.STOPS).out)
        for taken in range(items):
            self.run(self.script(), Promise.STOPS, take=taken)
        gc.collect()
        if new := set(threading.enumerate()) - threads:
            names = ", ".join(sorted(thread.name for thread in new))
            raise BrokenPromise(Promise.STOPS, f"left behind: the threads {names}")
        how = f"cancelled at {len(points)} of {whole[0]} steps, left after each of {items} events"
        self.done.append((Promise.STOPS, how))

    def _cancelled(self, steps: tuple[int, ...]) -> None:
        record = Play(Source(self.script()))
        times: list[float] = []

        async def main(loop: StepLoop) -> float:
            async with self.made(SLOW) as (operator, upstream):
                task = asyncio.create_task(play(record.source.script, operator, upstream, record=record))

                def on_step(step: int) -> None:
                    if step in steps and not task.done():
                        times.append(loop.time())
                        task.cancel()

                loop.on_step = on_step
                await asyncio.wait([task])
                loop.on_step = None
                if not task.cancelled() and (error := task.exception() or record.error):
                    raise BrokenPromise(Promise.STOPS, f"cancelled, it failed: {error!r}", record.trace)
                return loop.time()

        where = " and ".join(f"step {step}" for step in steps)
        try:
            ended, left, loop = drive(main)
            if times and ended - times[0] > self.options.limit:
                what = f"it went on for {ended - times[0]:.3g} s (at most {self.options.limit:g} s)"
                raise BrokenPromise(Promise.STOPS, what, record.trace)
            if times and (more := sum(at > times[0] for at, _ in record.source.read)):
                raise BrokenPromise(Promise.STOPS, f"the source was read on: {more} more events", record.trace)
            self.nothing_left(left, loop, record, Promise.STOPS)
        except Endless as error:
            raise BrokenPromise(Promise.STOPS, f"cancelled at {where}: {error}", record.trace) from error
        except BrokenPromise as broken:
            raise BrokenPromise(Promise.STOPS, f"cancelled at {where}: {broken.what}", broken.trace) from None

    def same(self) -> None:
        """Two operators, two stores, one input."""
        first, second = (self.run(self.script(), Promise.SAME) for _ in range(2))
        self._compare(Promise.SAME, first, second, "the second time", exact=True)
        self.done.append((Promise.SAME, "two runs, compared as JSON"))

    def fresh(self) -> None:
        """One operator, subscribed to again, and twice at once."""
        alone = self.run(self.script(), Promise.FRESH, delay=0.0)
        stored = self.options.store is not None

        async def both(_: StepLoop) -> tuple[Play, Play]:
            async with self.made() as (operator, upstream):
                scripts = self.script(), self.script(number=2 if stored else 1)
                first, second = await asyncio.gather(*(play(each, operator, upstream) for each in scripts))
                return first, second

        async def again(_: StepLoop) -> tuple[Play, Play]:
            async with self.made() as (operator, upstream):
                first = await play(self.script(), operator, upstream)
                return first, await play(self.script(number=2 if stored else 1), operator, upstream)

        for main, when in ((again, "when subscribed to again"), (both, "when subscribed to twice at once")):
            for done in drive(main)[0]:
                self._compare(Promise.FRESH, alone, done, when, exact=False)
        self.done.append((Promise.FRESH, "subscribed to again, and twice at once"))

    def _compare(self, promise: str, first: Play, second: Play, when: str, *, exact: bool) -> None:
        ignore = self.options.ignore
        ones, others = ([plain(event, ignore) for event in done.out] for done in (first, second))
        if not exact:
            ones, others = (
                _shapes(ones, self.options.store is not None),
                _shapes(others, self.options.store is not None),
            )
        if repr(first.error) != repr(second.error):
            self.broken(promise, f"{when} it ended with {second.error!r}, before with {first.error!r}", second)
        for at, (one, other) in enumerate(zip(ones, others, strict=False)):
            if one != other:
                self.broken(promise, f"{when} the event {at} is {other}, before it was {one}", second)
        if len(ones) != len(others):
            self.broken(promise, f"{when} there are {len(others)} events, before {len(ones)}", second)


def _spread(total: int, most: int) -> list[int]:
    """At most `most` of the numbers 1 to `total`, evenly spread, including the first and the last."""
    if total <= most:
        return list(range(1, total + 1))
    return sorted({1 + round(at * (total - 1) / max(1, most - 1)) for at in range(most)})


def _shapes(events: list[Any], stored: bool) -> list[Any]:
    """Events in a form that can be compared between runs at different times, or between streams of one store.

    Floats are rounded to a microsecond, and times of day are all equal. With a store, strings are numbered in order of
    appearance.
    """
    names: dict[str, int] = {}

    def shape(value: Any, key: str = "") -> Any:
        match value:
            case dict():
                return {name: shape(each, name) for name, each in _items(value)}
            case list():
                return [shape(each) for each in _elements(value)]
            case float() | int() if not isinstance(value, bool):
                return "time of day" if value >= 1e9 else round(value, 6)
            case str() if stored and key not in ("type", "text", "reason", "phase", "code", "name"):
                return names.setdefault(value, len(names))
            case _:
                return value

    return [shape(event) for event in events]


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    yield from value.items()


def _elements(value: Any) -> Iterator[Any]:
    yield from value
