"""`live`: show an answer while it streams, in one output of a notebook."""

from __future__ import annotations

import asyncio
import importlib
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Literal, TypeAlias

from cortex_rx import validation as check
from cortex_rx.errors import MissingExtra
from cortex_rx.events import (
    Delta,
    Ended,
    Measured,
    Opened,
    PartialStored,
    Problem,
    Recalled,
    Replayed,
    Rewound,
    StreamEvent,
    Waiting,
)
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.models.records import StreamMetrics
from cortex_rx.models.results import EnhancedRememberStreamResult
from cortex_rx.pipeline.answer import Answer
from cortex_rx.streams.stopping import AnswerStopped

__all__ = ["Live", "State", "live"]

TAIL = 2_000  # code points of an answer that are shown
TENTH = timedelta(milliseconds=100)
ROLES: dict[str | None, str] = {"user": "question", "agent": "answer"}

State: TypeAlias = Literal["waiting", "streaming", "storing", "remembered", "interrupted", "stopped", "failed"]
"""The state of an answer that is shown."""


class Live:
    """What `live` shows of an answer: the end of its text, how much of it is stored, metrics, and finally the outcome.

    It is text (`repr`) and HTML, in which everything is escaped.  Its size is bounded, whatever the length of the
    answer.

    >>> view = Live()
    >>> view.add(Delta("Hello", index=0, offset=0, attempt=0, at=0.25))
    True
    >>> view
    streaming: 5 characters in 1 delta, stored up to 0, first text after 250 ms, 20 characters/s
    Hello
    """

    def __init__(self) -> None:
        self.state: State = "waiting"
        self.tail: str = ""
        """The last 2,000 characters of the text."""
        self.characters: int = 0
        self.deltas: int = 0
        self.stored: int = 0
        """The length of the durable text, as far as the stream has reported it."""
        self.problems: tuple[str, ...] = ()
        """The codes of the failures beside the stream, each once."""
        self.recalled: int | None = None
        """How many texts of the memory the model was given; None if nothing was recalled for it."""
        self.metrics: StreamMetrics | None = None
        self.notes: tuple[str, ...] = ()
        """What is waited for; at the end the outcome, and how to find the memory."""
        self._position = TextPosition()
        self._first: float | None = None  # seconds since `Opened`; None for a late reader
        self._last = 0.0

    def add(self, event: StreamEvent) -> bool:
        """Add an event, and return whether it changed what is shown."""
        move = self._position.take(event)
        if move is Move.OTHER:
            return False
        if move is Move.ANEW:
            self._begin()
        match event:
            case Delta(text=text, at=at):
                if event.index == 0:
                    self._first = at
                self._last, self.deltas, self.characters = at, event.index + 1, event.offset + len(text)
                self.tail = (self.tail + text)[-TAIL:]
                self.state = "streaming"
            case Recalled(result=result):
                self.recalled = len(result.context)
            case Waiting(reason=reason, until=until):
                self.notes = (f"waiting until {datetime.fromtimestamp(until, UTC):%H:%M:%S} UTC: {reason}",)
            case Opened() if self.notes:
                self.notes = ()
            case Replayed(text=text):
                self.characters, self.deltas, self.tail = event.offset, event.index, text[-TAIL:]
                self.state = "streaming" if text else self.state
            case Rewound(offset=offset) if move is Move.CUT and offset < self.characters:
                self.tail = self.tail[: max(0, len(self.tail) - (self.characters - offset))]
                self.characters, self.stored = offset, min(self.stored, offset)
                self.state = "streaming"
            case PartialStored(offset=offset):
                self.stored = offset
            case Ended():
                self.state = "storing"
            case Problem(code=code) if code not in self.problems:
                self.problems += (code,)
            case Measured(metrics=metrics):
                self.metrics = metrics
            case _:
                return move is Move.ANEW
        return True

    def _begin(self) -> None:
        self.tail, self.characters, self.deltas, self.stored = "", 0, 0, 0

    def remembered(self, result: EnhancedRememberStreamResult) -> None:
        """The answer is stored."""
        self.state, self.stored = "remembered", self.characters
        if result.performance:  # it was measured
            self.metrics = result.stream_metrics
        there = result.conversation
        self.notes = (
            *(f"{ROLES.get(memory.message_role, 'memory')}: {memory.memory_id}" for memory in result.memories),
            f"conversation: {there.conversation_id}{', stored by an earlier run' if result.stored_before else ''}",
        )

    def ended(self, state: Literal["interrupted", "stopped", "failed"], notes: tuple[str, ...], stored: int) -> None:
        """The answer did not reach its end; `stored` code points of it are in the store."""
        self.state, self.notes, self.stored = state, notes, stored

    def _figures(self) -> str:
        many = "delta" if self.deltas == 1 else "deltas"
        parts = [f"{self.characters:,} characters in {self.deltas:,} {many}", f"stored up to {self.stored:,}"]
        if metrics := self.metrics:
            if metrics.first_chunk_latency is not None:
                parts.append(f"first text after {metrics.first_chunk_latency:,.0f} ms")
            parts.append(f"{metrics.characters_per_second:,.0f} characters/s")
            if metrics.inter_chunk_p95 is not None:
                parts.append(f"95 % of the gaps up to {metrics.inter_chunk_p95:,.0f} ms")
        else:
            if self._first is not None:
                parts.append(f"first text after {self._first * 1000:,.0f} ms")
            if self._last >= 0.1:  # a shorter time gives no useful rate
                parts.append(f"{self.characters / self._last:,.0f} characters/s")
        if self.recalled is not None:
            parts.append(f"{self.recalled:,} texts recalled")
        if self.problems:
            parts.append(f"problems: {', '.join(self.problems)}")
        return ", ".join(parts)

    def _shown(self) -> str:
        before = self.characters - len(self.tail)
        return f"[{before:,} characters before]\n…{self.tail}" if before > 0 else self.tail

    def __repr__(self) -> str:
        return "\n".join(filter(None, (f"{self.state}: {self._figures()}", self._shown(), *self.notes)))

    def _repr_html_(self) -> str:
        whole = max(self.characters, 1)
        notes = "".join(f"<div><code>{escape(note)}</code></div>" for note in self.notes)
        return (
            f'<div style="max-width: 60em"><div><b>{self.state}</b> {escape(self._figures())}</div>'
            f'<progress max="{whole}" value="{min(self.stored, whole)}" title="stored" style="width: 100%"></progress>'
            f'<pre style="white-space: pre-wrap; max-height: 24em; overflow: auto">{escape(self._shown())}</pre>'
            f"{notes}</div>"
        )


class _Paint:
    """Shows changes, at most once in `every` seconds, and the last state at the end."""

    def __init__(self, view: Live, show: Callable[[Live], object], every: float) -> None:
        self._view, self._show, self._every = view, show, every
        self._loop = asyncio.get_running_loop()
        self._due = -math.inf  # the first text is shown at once
        self._timer: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_at(max(self._due, self._loop.time()), self.now)

    def now(self) -> None:
        self.stop()
        self._due = self._loop.time() + self._every
        self._show(self._view)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


_ending: set[asyncio.Task[None]] = set()  # an event loop holds its tasks only weakly


async def live(answer: Answer, *, every: timedelta = TENTH, show: Callable[[Live], object] | None = None) -> None:
    """Show an answer in one output while it streams, to its end.  Then `await answer` has the result.

    It shows the text, how much of it is stored, and metrics, at most once in `every`, however many tokens come.  If
    output cannot be updated, as in a terminal, only the last state is shown.  If `show` is given, it is called with the
    view instead.

    An interrupted cell, or a cancellation, stops the answer.  Its text is stored, and the display says how much of it
    is in the store, under which id, and how to find it.  A second interrupt does not disturb that.  A stream that fails
    is shown in the same way, and the error is raised.

    Needs the extra `jupyter`, unless `show` is given; raises `MissingExtra` without it.  Raises `InvalidArgument`
    before anything runs.

    >>> import asyncio
    >>> from cortex_rx import Cortex
    >>> turn = dict(memory_space_id="s", conversation_id="c-1", user_message="Hi!", user_id="ada", user_name="Ada")
    >>> async def main(states):
    ...     async with Cortex(":memory:") as cortex:
    ...         answer = cortex.memory.remember_stream(["Hello ", "Ada"], **turn)
    ...         await live(answer, show=lambda view: states.append((view.state, view.tail, view.stored)))
    ...         return states
    >>> asyncio.run(main([]))[-1]
    ('remembered', 'Hello Ada', 9)
    """
    pause = check.seconds()("every", every)
    check.instance(Answer, "an Answer, as remember_stream returns it")("answer", answer)
    check.optional(check.function)("show", show)
    view = Live()
    show = show or _display()
    show(view)
    paint = _Paint(view, show, pause)
    try:
        async for event in answer.events():
            if view.add(event):
                paint.soon()
        view.remembered(await answer)
    except asyncio.CancelledError:  # a kernel also turns an interrupt into this
        paint.stop()
        # In a task of its own, so that a second interrupt leaves the cell and the state is still shown.
        ending = asyncio.create_task(_stopped(answer, view, paint))
        _ending.add(ending)
        ending.add_done_callback(_ending.discard)
        await asyncio.shield(ending)
        raise
    except Exception as error:
        paint.stop()
        await _say(answer, view, "stopped" if isinstance(error, AnswerStopped) else "failed")
        paint.now()
        raise
    paint.now()


async def _stopped(answer: Answer, view: Live, paint: _Paint) -> None:
    await answer.stop()
    await _say(answer, view, "interrupted")
    paint.now()


async def _say(answer: Answer, view: Live, state: Literal["interrupted", "stopped", "failed"]) -> None:
    """Show what the store holds: the stream does not report writes after it was stopped."""
    try:
        kept = await answer.kept()
    except Exception as error:
        view.ended(state, (f"the store could not be read: {type(error).__name__}",), view.stored)
        return
    if kept is None and answer._backend is None:
        view.ended(state, ("this answer has no backend: look in your store for what is kept",), view.stored)
        return
    if kept is None:
        view.ended(state, ("the store holds no text of this answer",), 0)
        return
    space, memory = kept.memory_space_id, kept.memory_id
    if not kept.is_partial:
        found, what = f"cortex.memory.get({space!r}, {memory!r})", "the whole answer"
    else:
        found, what = f"cortex.memory.get({space!r}, {memory!r}, include_partial=True)", "a partial memory"
    size = f"{kept.content_length:,} characters"
    view.ended(state, (f"kept: {size}, {what}, with the question", f"find it: await {found}"), kept.content_length)


def _display() -> Callable[[Live], object]:
    """A function that shows a view in one output of the running cell."""
    try:
        ipython = importlib.import_module("IPython")
        shown = importlib.import_module("IPython.display")
    except ImportError as error:
        raise MissingExtra("the live display", "jupyter") from error
    shell = ipython.get_ipython()
    if shell is None or type(shell).__name__ == "TerminalInteractiveShell":
        ends = ("remembered", "interrupted", "stopped", "failed")
        return lambda view: shown.display(view) if view.state in ends else None
    handle = shown.DisplayHandle()
    begun = False

    def show(view: Live) -> None:
        nonlocal begun
        (handle.update if begun else handle.display)(view)
        begun = True

    return show
