"""Calls hooks one at a time, in order, beside the stream."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from cortex_rx.engine import Inbox
from cortex_rx.engine.scheduler import ForeignCancellation, unlisted
from cortex_rx.events import Problem, StreamEvent
from cortex_rx.models.hooks import (
    Accumulated,
    ChunkEvent,
    Growing,
    ProgressEvent,
    StreamCompleteEvent,
    StreamEndEvent,
    StreamHooks,
)
from cortex_rx.models.records import Phase, StreamError
from cortex_rx.operators._support.writing import log

__all__ = ["LATE", "ChunkCall", "HookCall", "HookRunner"]

_MOST = 1024  # calls that wait before they are merged, however fast the hooks are
_ERRORS = 64  # errors that are kept when calls are merged
LATE = 1.0
"""Seconds that all calls together may take when the stream was stopped; `on_end` has as many of its own."""


@dataclass(slots=True)
class ChunkCall:
    """A `ChunkEvent` in the making; it ends where `answer` has `length` code points."""

    text: str
    number: int
    offset: int
    timestamp: float
    answer: Growing
    length: int
    deltas: int = 1

    def event(self) -> ChunkEvent:
        return ChunkEvent(
            chunk=self.text,
            chunk_number=self.number,
            accumulated=Accumulated(self.answer, self.length),
            timestamp=self.timestamp,
            estimated_tokens=-(-self.length // 4),
            offset=self.offset,
            deltas=self.deltas,
        )


HookCall: TypeAlias = ChunkCall | ProgressEvent | StreamError | StreamCompleteEvent
_NAMES: dict[type[Any], str] = {
    ChunkCall: "on_chunk",
    ProgressEvent: "on_progress",
    StreamError: "on_error",
    StreamCompleteEvent: "on_complete",
}


def _uncancel() -> None:
    while (task := asyncio.current_task()) and task.cancelling():
        task.uncancel()


class HookRunner:
    """An async context manager whose task calls the hooks.

    The first failure of a hook is a `Problem` in the inbox of the worker.
    """

    def __init__(self, inbox: Inbox[StreamEvent], hooks: StreamHooks, limit: float) -> None:
        self._inbox, self._hooks, self._limit = inbox, hooks, limit
        self.stream_id = "not opened"  # for the log
        self._time = inbox.flow.time
        self._waiting: deque[HookCall] = deque()
        self._wakeup = asyncio.Event()
        self._under_way = ""  # the name of the hook that is called now
        self._behind = self._over = self._closed = False
        self._left = dict.fromkeys(_NAMES.values(), limit) | {
            "on_end": limit
        }  # seconds that each hook may still take after the end of the stream
        self._failed: Counter[str] = Counter()
        self._said: list[Problem] = []
        self._untold = 0

    def tell(self, told: HookCall) -> None:
        """Call the hook when its turn has come."""
        self._waiting.append(told)
        if self._under_way:
            self._behind = True
        if len(self._waiting) >= _MOST:
            self._merge()
        self._wakeup.set()

    def own(self, event: StreamEvent) -> bool:
        """Whether it is a `Problem` of one of these hooks."""
        return any(event is problem for problem in self._said)

    async def __aenter__(self) -> HookRunner:
        self._runner = self._task(self._run())
        return self

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that goes on when the loop ends: the calls that wait are made."""
        return unlisted(asyncio.ensure_future(work))

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        if not self._runner.done():
            self._runner.cancel()
            await asyncio.wait({self._runner}, timeout=LATE)
        for name, times in self._failed.items():
            if times > 1:
                log.warning("%s failed %d times (stream %s)", name, times, self.stream_id)
        if untold := self._untold + len(self._waiting):
            log.warning("hooks were too slow: %d calls were left out (stream %s)", untold, self.stream_id)

    async def finish(self) -> None:
        """Wait until all hooks are called, or their time is over."""
        self._over = True
        self._wakeup.set()
        # It takes longer only if a hook does not end when it is cancelled.
        most = self._limit * (1 + sum(getattr(self._hooks, name) is not None for name in self._left))
        await self._wait(self._runner, most)

    async def end(self, event: StreamEndEvent) -> None:
        """Call `on_end`: also when another hook still hangs, and in its own time."""
        self._closed = True
        if not self._runner.done():
            self._runner.cancel()
            await asyncio.wait({self._runner}, timeout=0)
        call = self._task(self._call("on_end", event))
        await self._wait(call, 2 * self._limit)
        if not call.done():
            call.cancel()
            log.warning("on_end was too slow, and is cancelled (stream %s)", self.stream_id)

    async def _wait(self, calls: asyncio.Task[None], most: float) -> None:
        """Wait until these calls are made, for `most` seconds, or `LATE` if the stream is stopped."""
        disposed = unlisted(asyncio.ensure_future(self._inbox.until_disposed()))
        try:
            await asyncio.wait({calls, disposed}, timeout=most, return_when=asyncio.FIRST_COMPLETED)
            if disposed.done() and not calls.done():
                await asyncio.wait({calls}, timeout=LATE)
            elif self._under_way:
                self._problem(self._under_way, TimeoutError("it does not end"))
        finally:
            disposed.cancel()
            await asyncio.wait({disposed})
        if calls.done() and not calls.cancelled():
            calls.result()

    async def _run(self) -> None:
        while self._waiting or not self._over:
            if not self._waiting:
                self._wakeup.clear()
                try:
                    await self._wakeup.wait()
                except asyncio.CancelledError:
                    if self._closed:
                        raise
                    _uncancel()  # all tasks of the loop are cancelled; the stream ends soon, and the hooks hear of it
                continue
            if self._behind:
                self._behind = False
                self._merge()
            told = self._waiting.popleft()
            await self._call(_NAMES[type(told)], told.event() if isinstance(told, ChunkCall) else told)

    async def _call(self, name: str, event: Any) -> None:
        if (left := self._left[name]) <= 0:
            self._untold += 1
            return
        began = self._time()
        self._under_way = name
        try:
            result = cast("Callable[[Any], object]", getattr(self._hooks, name))(event)
            if inspect.isawaitable(result):
                async with asyncio.timeout(min(left, self._limit)):
                    await result
        except Exception as error:
            self._problem(name, error)
        except asyncio.CancelledError:
            if self._closed:
                raise
            _uncancel()  # the hook has cancelled the task that it runs in
            self._problem(name, ForeignCancellation(name))
        finally:
            self._under_way = ""
        if self._over:
            self._left[name] -= self._time() - began
            # No events pass any more, but the waiting calls must be merged in time.
            self._behind |= self._left[name] < self._limit / 2

    def _problem(self, name: str, error: Exception) -> None:
        self._failed[name] += 1
        if self._failed[name] == 1:
            what = f"{name} failed with {type(error).__name__}; the answer goes on"
            phase: Phase = "finalization" if self._over else "streaming"
            problem = Problem(phase, "HOOK_FAILED", what, recoverable=True, error=error)
            log.warning("%s failed with %s (stream %s)", name, type(error).__name__, self.stream_id)
            self._said.append(problem)
            self._inbox.put(problem)

    def _merge(self) -> None:
        """What waits becomes as few calls as tell the same: adjacent chunks one, of progress the last, errors each (the
        first ones and the last)."""
        waiting, self._waiting = self._waiting, deque()
        answer = next((told.answer for told in reversed(waiting) if isinstance(told, ChunkCall)), None)
        latest = {type(told): told for told in waiting}
        pieces: list[ChunkCall] = []
        errors = 0
        for told in waiting:
            if isinstance(told, ChunkCall):
                if told.answer is answer:  # else its text has begun anew since
                    pieces.append(told)
                continue
            if isinstance(told, ProgressEvent) and told is not latest[ProgressEvent]:
                continue
            if isinstance(told, StreamError):
                errors += 1
                if errors > _ERRORS and told is not latest[StreamError]:
                    self._untold += 1
                    continue
            self._join(pieces)
            self._waiting.append(told)
        self._join(pieces)

    def _join(self, pieces: list[ChunkCall]) -> None:
        if pieces:
            first, last = pieces[0], pieces[-1]
            text, deltas = "".join(piece.text for piece in pieces), sum(piece.deltas for piece in pieces)
            self._waiting.append(
                ChunkCall(text, last.number, first.offset, last.timestamp, last.answer, last.length, deltas)
            )
            pieces.clear()
