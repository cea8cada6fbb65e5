"""Check that an operator keeps the promises that every operator makes: ours, and users'.

    >>> from reactivex import operators as ops
    >>> from cortex_rx.events import Custom
    >>> report = check_operator(lambda: ops.filter(lambda event: True), points=10)
    >>> print(report.summary)
    checked:
      what an operator does not own passes on, unchanged, in order, once (18 events, two of a kind...
      what comes is handed on at once: tokens never wait for side work (to the instant)
      ...

An operator that does not keep them fails the test, and the message shows what came and what went out:

    >>> check_operator(lambda: ops.filter(lambda event: not isinstance(event, Custom)))
    Traceback (most recent call last):
    ...
    cortex_rx.testing.operators._judge.BrokenPromise: broken promise: what an operator does not own passes on, ...
    Custom tool_call {'name': 'look'} came and never went out
    ...
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from cortex_rx import validation
from cortex_rx.engine.scheduler import LIMIT
from cortex_rx.events import StreamEvent
from cortex_rx.testing._heap import set_aside
from cortex_rx.testing.diagrams.trace import Trace
from cortex_rx.testing.operators._bounds import check_bounds
from cortex_rx.testing.operators._judge import BrokenPromise, Options, Promise
from cortex_rx.testing.operators._promises import Checker
from cortex_rx.testing.operators._rig import Operator

__all__ = ["BrokenPromise", "Promise", "Report", "check_operator"]

S = TypeVar("S")
STAGE = 40  # the events that a stage may hold: the 32 of its mailbox, one in work, and some


@dataclass(frozen=True)
class Report:
    """What was checked, as pairs of a promise and how; what was not, and why; and the trace of the usual answer."""

    checked: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
    trace: Trace

    @property
    def summary(self) -> str:
        """What was checked and what was not, as text."""
        lines = ["checked:", *(f"  {promise} ({how})" for promise, how in self.checked)]
        if self.skipped:
            lines += ["not checked:", *(f"  {promise} ({why})" for promise, why in self.skipped)]
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.summary}\n\n{self.trace}"


@overload
def check_operator(
    make: Callable[[], Operator],
    *,
    upstream: Callable[[], Operator] | None = None,
    rewrites: bool | Callable[[str], str] = False,
    stage: bool = False,
    handles_errors: bool = False,
    holds_first: float = 0.0,
    extra: Sequence[StreamEvent] = (),
    holds: int | None = None,
    memory: int | None = 1 << 20,
    limit: float = LIMIT,
    points: int = 80,
    ignore: Collection[str] = (),
) -> Report: ...
@overload
def check_operator(
    make: Callable[[S], Operator],
    *,
    store: Callable[[], S],
    upstream: Callable[[S], Operator] | None = None,
    rewrites: bool | Callable[[str], str] = False,
    stage: bool = False,
    handles_errors: bool = False,
    holds_first: float = 0.0,
    extra: Sequence[StreamEvent] = (),
    holds: int | None = None,
    memory: int | None = 1 << 20,
    limit: float = LIMIT,
    points: int = 80,
    ignore: Collection[str] = (),
) -> Report: ...
def check_operator(
    make: Callable[..., Operator],
    *,
    store: Callable[[], Any] | None = None,
    upstream: Callable[..., Operator] | None = None,
    rewrites: bool | Callable[[str], str] = False,
    stage: bool = False,
    handles_errors: bool = False,
    holds_first: float = 0.0,
    extra: Sequence[StreamEvent] = (),
    holds: int | None = None,
    memory: int | None = 1 << 20,
    limit: float = LIMIT,
    points: int = 80,
    ignore: Collection[str] = (),
) -> Report:
    """Run an operator in every way that its promises require, in virtual time, and return what was checked.

    Call it in a plain test (not `async def`), since it runs its own loops. `make` returns a fresh operator, a `Step` or
    a `Chain`. Raises `BrokenPromise`, an `AssertionError`, at the first promise that is not kept.

    What the operator works with:

    * `store` makes a fresh store. `make` then gets it, with calls that take 0.2 s or stall. Its `close()` is awaited.
    * `upstream` makes a step that must stand before the operator (`begin`, if it needs `Begun`); it gets the plain
      store.
    * `extra` are events to put between the deltas, for the operator to read.

    What it may do:

    * `rewrites`: it is a transformer, and owns the text. If this is a function from the input text to the expected
      text, the output is compared with it.
    * `stage`: events may wait in it; delay is its purpose.
    * `handles_errors`: it may end differently when the source fails, or reopen the source.
    * `holds_first`: the seconds for which it may hold the events up to the first delta.
    * `holds`: the number of events that it may hold while nobody reads (by default none, 40 for a stage).
    * `memory`: the bytes that it may hold of a long answer, and three times as many while a store stalls. None: not
      measured, for example if the store of the test keeps the text in this process.
    * `limit`: the seconds for which it may continue after it was stopped.
    * `ignore`: fields of events that may differ between two runs (times of a store with its own clock).

    `points` is the number of steps at which a run is cancelled, evenly spread.
    """
    validation.function("make", make)
    for name, function in (("store", store), ("upstream", upstream)):
        validation.optional(validation.function)(name, function)
    (validation.function if callable(rewrites) else validation.flag)("rewrites", rewrites)
    validation.flag("stage", stage)
    validation.flag("handles_errors", handles_errors)
    validation.amount("seconds", zero=True)("holds_first", holds_first)
    validation.each(validation.instance(StreamEvent, "an event"), "a list of events")("extra", extra)
    for name, count in (("holds", holds), ("memory", memory)):
        validation.optional(validation.whole())(name, count)
    validation.amount("seconds")("limit", limit)
    validation.whole(1)("points", points)
    validation.each(validation.name, "names of fields", set, frozenset)("ignore", ignore)
    if holds is None:
        holds = STAGE if stage else 0
    options = Options(
        make,
        store,
        upstream,
        rewrites,
        stage,
        handles_errors,
        holds_first,
        tuple(extra),
        holds,
        memory,
        limit,
        points,
        frozenset(ignore),
    )
    checker = Checker(options)
    with set_aside():
        usual = checker.passing()
        checker.empty()
        checker.failing()
        checker.faults()
        checker.same()
        checker.fresh()
        check_bounds(checker)
        checker.stops()
    return Report(tuple(checker.done), tuple(checker.skipped), usual.trace)
