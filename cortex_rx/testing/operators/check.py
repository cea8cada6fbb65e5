"""Whether an operator keeps the promises that every operator makes: ours, and users'.

    >>> from reactivex import operators as ops
    >>> from cortex_rx.events import Custom
    >>> report = check_operator(lambda: ops.filter(lambda event: True), points=10)
    >>> print(report.summary)
    checked:
      what an operator does not own passes on, unchanged, in order, once (17 events, two of a kind that it does not know)
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
STAGE = 40  # what a stage may hold: the 32 of its mailbox, one in hand, and some


@dataclass(frozen=True)
class Report:
    """What was checked: pairs of a promise and how; what was not, and why; the trace of the usual answer."""

    checked: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
    trace: Trace

    @property
    def summary(self) -> str:
        """What was checked, and what was not, as text."""
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
    """Run an operator in every way that its promises ask for, in virtual time, and return what was checked.

    Call it in a plain test (not `async def`): it runs loops of its own.  `make` makes a fresh operator, a `Step` or a
    `Chain`.  Raises `BrokenPromise`, an `AssertionError`, at the first promise that is not kept.

    What the operator works with:

    * `store` makes a fresh store, which `make` is then given, with calls that take 0.2 s, or stall; a `close()` of it
      is awaited.
    * `upstream` makes what must stand before the operator (`begin`, where it needs `Begun`); it gets the store as it
      is.
    * `extra` are events that are put between the deltas, for the operator to read.

    What it may do:

    * `rewrites`: it is a transformer, and owns the text.  Given the function that says what the whole text should
      become, the text is compared with it.
    * `stage`: what passes may wait; delay is its purpose.
    * `handles_errors`: it may end differently when the source fails, or open it again.
    * `holds_first`: for so many seconds it may hold what comes, up to the first delta.
    * `holds`: so many events it may hold when nobody reads (by default none, 40 for a stage).
    * `memory`: so many bytes it may hold of a long answer, and three times as many while a store stalls; None: not
      measured, as where the store of the test keeps the text in this process.
    * `limit`: so many seconds it may go on after it was stopped.
    * `ignore`: fields of events that may differ between two runs (times of a store that has a clock of its own).

    `points` is at how many steps of a run it is cancelled, spread evenly.
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
