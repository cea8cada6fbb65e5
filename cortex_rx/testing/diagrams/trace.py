"""Record what passes, with times, and draw it as marbles.

    >>> import reactivex as rx
    >>> from reactivex import operators as ops
    >>> from cortex_rx.engine import run
    >>> from cortex_rx.testing import Trace, run_virtual
    >>> trace = Trace()
    >>> words = rx.interval(0.02).pipe(ops.take(3), ops.map("Hello wide world".split().__getitem__))
    >>> _ = run_virtual(run(words.pipe(trace.tap("words"), ops.map(len), trace.tap("lengths"), ops.delay(0.01))))
    >>> print(trace)
    ms         20  60
    words    --a-b-(c|)
    lengths  --5-4-(5|)
    <BLANKLINE>
    1 frame = 10 ms
    a = 'Hello'
    b = 'wide'
    c = 'world'

One character is one frame; `(ab)` came within one frame, `|` completed, `#` failed, `!` was disposed before its end.
Lanes are aligned: one column is one frame. A long silence is written as `{3600 frames}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

from reactivex import Notification, Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.notification import OnCompleted, OnError, OnNext

from cortex_rx import validation as check
from cortex_rx.testing.diagrams._describe import describe
from cortex_rx.testing.diagrams._layout import Layout, lay_out
from cortex_rx.testing.diagrams._svg import draw_svg
from cortex_rx.testing.diagrams._text import draw_text
from cortex_rx.testing.virtual import VirtualLoop

__all__ = ["Kind", "Mark", "Trace"]

T = TypeVar("T")
Kind: TypeAlias = Literal["next", "error", "completed", "disposed"]
"""The kind of a mark."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that happened on a lane: `at` seconds; `value` is the item or the exception."""

    at: float
    kind: Kind
    value: Any = None


class Trace:
    """Named lanes of what happened, with times.

    `frame` is the number of seconds of one character; None finds the longest round time that separates all marks.
    `label` describes a value in words, for the legend. `clock` returns the time in seconds. The default is the time of
    the running loop, since its start if it is virtual, else since the first use of the trace.
    """

    def __init__(
        self,
        frame: float | None = None,
        *,
        label: Callable[[Any], str] = describe,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.frame: float | None = check.optional(check.amount("seconds"))("frame", frame)
        check.function("label", label)
        check.optional(check.function)("clock", clock)
        self.lanes: dict[str, list[Mark]] = {}
        self._label = label
        self._clock = clock
        self._origin: float | None = None

    def _now(self) -> float:
        if self._clock:
            return self._clock()
        loop = asyncio.get_running_loop()
        if self._origin is None:
            self._origin = 0.0 if isinstance(loop, VirtualLoop) else loop.time()
        return loop.time() - self._origin

    def lane(self, lane: str) -> list[Mark]:
        """The marks of a lane, which is created if missing. Lanes are drawn in the order of their creation."""
        return self.lanes.setdefault(lane, [])

    def note(self, lane: str, what: object) -> None:
        """Record something on a lane, now: an Rx notification, or any other value as an `OnNext`."""
        if isinstance(what, OnError):
            self._mark(lane, "error", what.exception)
        elif isinstance(what, OnCompleted):
            self._mark(lane, "completed")
        else:
            item: Any = what
            self._mark(lane, "next", item.value if isinstance(what, OnNext) else item)

    def _mark(self, lane: str, kind: Kind, value: object = None) -> None:
        self.lane(lane).append(Mark(self._now(), kind, value))

    def tap(self, lane: str) -> Callable[[Observable[T]], Observable[T]]:
        """An operator that passes everything on, and records it on `lane` before that."""
        self.lane(lane)

        def operator(source: Observable[T]) -> Observable[T]:
            def subscribe(
                observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                self._now()  # on a loop that is not virtual the time counts from here
                over = False

                def on_next(item: T) -> None:
                    self._mark(lane, "next", item)
                    observer.on_next(item)

                def on_error(error: Exception) -> None:
                    nonlocal over
                    over = True
                    self._mark(lane, "error", error)
                    observer.on_error(error)

                def on_completed() -> None:
                    nonlocal over
                    over = True
                    self._mark(lane, "completed")
                    observer.on_completed()

                def disposed() -> None:
                    nonlocal over
                    if not over:
                        over = True
                        self._mark(lane, "disposed")

                upstream = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)
                return CompositeDisposable(Disposable(disposed), upstream)

            return Observable(subscribe)

        return operator

    def values(self, lane: str) -> list[Any]:
        """The items that passed on a lane."""
        return [mark.value for mark in self.lanes[lane] if mark.kind == "next"]

    def times(self, lane: str) -> list[float]:
        """The times, in seconds, of everything on a lane."""
        return [mark.at for mark in self.lanes[lane]]

    def notifications(self, lane: str) -> list[Notification[Any]]:
        """What passed on a lane, as Rx notifications (without disposals)."""
        make: dict[Kind, Callable[[Any], Notification[Any]]] = {
            "next": OnNext,
            "error": OnError,
            "completed": lambda _: OnCompleted(),
        }
        return [make[mark.kind](mark.value) for mark in self.lanes[lane] if mark.kind in make]

    def _layout(self) -> Layout:
        return lay_out(
            {lane: [(mark.at, mark.kind, mark.value) for mark in marks] for lane, marks in self.lanes.items()},
            self.frame,
            self._label,
        )

    def text(self, *, times: bool = True, legend: bool = True) -> str:
        """The lanes as text, with a line of times above and a legend below them."""
        return draw_text(self._layout(), times=times, legend=legend)

    def drawn(self, lane: str) -> str:
        """One lane alone, without its name, in the form that `parse_marbles` reads. `key` explains its letters."""
        layout = self._layout()
        cells = layout.lanes[lane]
        alone = replace(layout, columns=tuple(sorted(cells)), lanes={"": cells}, ends={"": layout.ends[lane]})
        return draw_text(alone, times=False, legend=False).strip()

    @property
    def key(self) -> dict[str, Any]:
        """What each letter of the drawing stands for."""
        return self._layout().key

    def svg(self, title: str = "Marble diagram") -> str:
        """The lanes as one `<svg>` element: self-contained, well-formed XML, the same for the same trace.

        Its `<title>` is `title`, and its `<desc>` says in words what happened. Each marble has a tooltip.
        """
        return draw_svg(self._layout(), title)

    def __str__(self) -> str:
        return self.text()

    def _repr_svg_(self) -> str:
        return self.svg()
