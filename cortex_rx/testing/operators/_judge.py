"""The names of the promises, the options of `check_operator`, and the judgement of one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from cortex_rx.events import Delta, Ended, StreamEvent
from cortex_rx.testing.diagrams._describe import describe
from cortex_rx.testing.diagrams.trace import Trace
from cortex_rx.testing.operators._rig import Operator, Play, plain

__all__ = ["BrokenPromise", "Judge", "Options", "Promise", "text_of"]


class Promise:
    """What every operator promises, in the words of the reports.

    >>> Promise.FRESH
    'every subscription starts fresh'
    """

    AT_ONCE = "what comes is handed on at once: tokens never wait for side work"
    ORDER = "what an operator does not own passes on, unchanged, in order, once"
    TEXT = "a transformer's deltas follow one another, and its text is what it should be"
    BOUNDED = "it holds a bounded amount, whatever the speeds"
    COMPLETES = "at the end of the source it emits its last events, then completes"
    FAILS = "an error of the source is passed on, itself, after the last events"
    STOPS = "stopped at any point, once or twice, it ends in time and leaves nothing behind"
    FRESH = "every subscription starts fresh"
    BARE = "a bug downstream reaches the caller, bare, and reopens nothing"
    SAME = "the same input gives the same events, to the letter"


class BrokenPromise(AssertionError):
    """An operator, or a backend, does not keep a promise. `trace` is the run of an operator that shows it."""

    def __init__(self, promise: str, what: str, trace: Trace | None = None) -> None:
        drawn = f"\n\n{trace}" if trace and trace.lanes else ""
        super().__init__(f"broken promise: {promise}\n{what}{drawn}")
        self.promise = promise
        self.what = what
        self.trace = trace


@dataclass(frozen=True)
class Options:
    """The options of `check_operator`, which explains them."""

    make: Callable[..., Operator]
    store: Callable[[], Any] | None
    upstream: Callable[..., Operator] | None
    rewrites: bool | Callable[[str], str]
    stage: bool
    handles_errors: bool
    holds_first: float
    extra: tuple[StreamEvent, ...]
    holds: int
    memory: int | None
    limit: float
    points: int
    ignore: frozenset[str]


@dataclass
class Judge:
    """Judges one run of the operator."""

    options: Options

    def owns(self, event: StreamEvent) -> bool:
        return bool(self.options.rewrites) and isinstance(event, (Delta, Ended))

    def order(self, done: Play) -> None:
        """Every event that the operator does not own came out: the same objects, unchanged, in order, once."""
        came = [event for event in done.came if not self.owns(event)]
        known = {id(event) for event in came}
        passed = [event for event in done.out if id(event) in known]
        for event in came:
            times = sum(other is event for other in passed)
            if times == 0:
                copied = any(other == event for other in done.out)
                how = "came out as a copy" if copied else "came and never went out"
                self.broken(Promise.ORDER, f"{describe(event)} {how}", done)
            if times > 1:
                self.broken(Promise.ORDER, f"{describe(event)} came once and went out {times} times", done)
        for first, second in zip(came, passed, strict=True):
            if first is not second:
                self.broken(Promise.ORDER, f"{describe(second)} went out before {describe(first)}", done)
        for event, before in zip(done.came, done.before, strict=True):
            if plain(event) != before:
                self.broken(Promise.ORDER, f"{describe(event)} was changed; it came as {before}", done)

    def at_once(self, done: Play) -> None:
        """No event that the operator does not own waited, except up to the first delta if it may hold these."""
        read = {id(event): at for at, event in done.source.read}
        out = {id(mark.value): mark.at for mark in done.trace.lanes["out"] if mark.kind == "next"}
        first = next((out[id(event)] for event in done.came if isinstance(event, Delta) and id(event) in out), 0.0)
        for event in done.came:
            if self.owns(event) or id(event) not in read:
                continue
            held = out[id(event)] - read[id(event)]
            allowed = self.options.holds_first if read[id(event)] <= first else 0.0
            if held > allowed + 1e-6:
                most = f" (up to the first delta {allowed:g} s are allowed)" if allowed else ""
                self.broken(Promise.AT_ONCE, f"{describe(event)} was held for {held:.3g} s{most}", done)
        if not self.options.holds_first:
            late = next((event for event in done.waited if not self.owns(event)), None)
            if late is not None:
                self.broken(Promise.AT_ONCE, f"{describe(late)} was handed on only after something was awaited", done)

    def text(self, done: Play) -> None:
        """The deltas of a transformer have the right offsets, and the expected text."""
        came = "".join(event.text for event in done.came if isinstance(event, Delta))
        offset = 0
        for index, event in enumerate(event for event in done.out if isinstance(event, Delta)):
            if (event.offset, event.index) != (offset, index):
                where = f"it should be the delta {index} at offset {offset}"
                self.broken(Promise.TEXT, f"{describe(event)} has the index {event.index}: {where}", done)
            offset += len(event.text)
        after = [event for event in done.out if isinstance(event, (Delta, Ended))]
        ended = [event for event in after if isinstance(event, Ended)]
        if len(ended) != sum(isinstance(event, Ended) for event in done.came):
            self.broken(Promise.TEXT, f"{len(ended)} events say that the text has ended", done)
        if ended and (after[-1] is not ended[0] or ended[0].offset != offset):
            self.broken(Promise.TEXT, f"{describe(ended[0])} should come last, at offset {offset}", done)
        if callable(self.options.rewrites) and (want := self.options.rewrites(came)) != (got := text_of(done)):
            self.broken(Promise.TEXT, f"the text is {got!r}, and should be {want!r}", done)

    def broken(self, promise: str, what: str, done: Play) -> NoReturn:
        raise BrokenPromise(promise, what, done.trace)


def text_of(done: Play) -> str:
    return "".join(event.text for event in done.out if isinstance(event, Delta))
