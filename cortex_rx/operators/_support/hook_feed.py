"""The calls of hooks that `observe` makes of the events that pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from cortex_rx.engine import End, FlowScheduler
from cortex_rx.engine.running import Stopped
from cortex_rx.errors import NotStored, ResumableStreamError, StoreError, StreamNotFound
from cortex_rx.events import (
    Begun,
    Delta,
    Ended,
    FactsExtracted,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Replayed,
    Resumed,
    Rewound,
    RolledBack,
    StreamEvent,
)
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.folds.stream_error import stream_error
from cortex_rx.models.hooks import (
    Growing,
    Outcome,
    ProgressEvent,
    StoppedBy,
    StreamCompleteEvent,
    StreamEndEvent,
    StreamHooks,
)
from cortex_rx.models.records import Phase, StreamError
from cortex_rx.operators._support.hook_runner import ChunkCall, HookCall
from cortex_rx.retry.judge import is_transient

__all__ = ["READS", "HookFeed"]

READS: tuple[type[StreamEvent], ...] = (
    Opened,
    Begun,
    Replayed,
    Delta,
    PartialStored,
    FactsExtracted,
    Resumed,
    Rewound,
    Problem,
    Ended,
    Remembered,
    RolledBack,
)


class HookFeed:
    """A fold over events; `tell` gets the calls of hooks, in order.

    It holds the answer if a hook gets its text, else numbers only.
    """

    def __init__(
        self,
        flow: FlowScheduler,
        hooks: StreamHooks,
        tell: Callable[[HookCall], None],
        every: float,
        expected: int | None,
    ) -> None:
        self._hooks, self._tell, self._every, self._expected = hooks, tell, every, expected
        self._flow, self._time = flow, flow.time
        self._opened, self._opened_at = flow.time(), flow.wall()
        self._text = hooks.on_chunk is not None or hooks.on_complete is not None
        self._stream_id: str | None = None
        self._memory_id: str | None = None
        self._token: str | None = None
        self._stored_at: float | None = None
        self._stored_length = 0
        self._remembered = self._rolled_back = False
        self._facts: set[str] = set()
        self._due = float("-inf")
        self._position = TextPosition()
        self._begin()

    @property
    def phase(self) -> Phase:
        """The phase of the stream: "initialization" before the first text, "finalization" after the last."""
        if self.ended_after is not None:
            return "finalization"
        return "streaming" if self._position.index else "initialization"

    def _begin(self, text: str = "") -> None:
        self._answer = Growing()
        if self._text:
            self._answer.add(text)
        self.ended_after: float | None = None
        self._first: tuple[float, int] | None = None  # when the first text came, and where it ended

    def absorb(self, event: StreamEvent) -> None:
        """One more event has passed."""
        move = self._position.take(event)
        self._note(event, move)
        if move is Move.ANEW:
            self._begin(event.text if isinstance(event, Replayed) else "")
        elif move is Move.CUT:
            self._begin(self._answer.whole()[: self._position.offset])
        if isinstance(event, Delta):
            if move is not Move.OTHER:
                self._delta(event)
        elif isinstance(event, PartialStored):
            self._progress("storage")
        elif isinstance(event, FactsExtracted):
            self._facts |= {fact.fact_id for fact in event.facts}
            self._progress("fact-extraction")
        elif isinstance(event, Problem):
            if self._hooks.on_error:
                self._tell(self._error(event))
        elif isinstance(event, Ended):
            self.ended_after = self._elapsed()
            self._progress("finalization", always=True)
        elif isinstance(event, Remembered):
            self._facts = {fact.fact_id for fact in event.facts} or self._facts
            self._progress("finalization", always=True)
        elif isinstance(event, Opened):
            self._opened, self._opened_at = self._time(), event.at

    def _note(self, event: StreamEvent, move: Move) -> None:
        """Note what is stored, and where."""
        if move is Move.ANEW:
            self._stored_length = self._position.start
        elif move is Move.CUT:
            self._stored_length = min(self._stored_length, self._position.offset)
        if isinstance(event, PartialStored):
            self._stored_at = self._epoch_ms(event.at)
            if move is Move.GOES_ON:
                self._stored_length = event.offset
        elif isinstance(event, Remembered):
            self._remembered, self._stored_length = True, self._position.offset
        elif isinstance(event, RolledBack):
            self._rolled_back, self._stored_length = True, 0
        elif isinstance(event, Begun):
            self._memory_id, self._token = event.memory_id, event.token
        elif isinstance(event, Opened):
            self._stream_id = event.stream_id

    def end(self, end: End | None, error: Exception | None) -> None:
        """The stream has ended."""
        if end is End.FAILED and error is not None:
            if self._hooks.on_error:
                self._tell(self._failure(error))
        elif self._hooks.on_complete and self._complete(end):
            self._tell(
                StreamCompleteEvent(
                    full_response=self._answer.whole(),
                    total_chunks=self._position.index,
                    duration_ms=(self.ended_after or 0.0) * 1000,
                    facts_extracted=len(self._facts),
                )
            )

    def outcome(self, end: End | None, error: Exception | None) -> StreamEndEvent:
        """What is left of the stream; to be asked when everything upstream has ended."""
        root = self._flow.root
        for event in root.flushed:
            self._note(event, self._position.take(event))
        stopped: StoppedBy | None = None
        if end is End.CANCELLED and root.failed.done():  # by code downstream, or by a request in the store
            failure = root.failed.exception()
            if isinstance(failure, Stopped):
                stopped = "request"
            elif isinstance(failure, Exception):
                error = failure
        elif end is End.CANCELLED:
            stopped = cast("StoppedBy", root.stopped_by or "cancelled")
        errors = [error, *root.flush_errors] if error else root.flush_errors
        return StreamEndEvent(
            stream_id=self._stream_id,
            outcome=self._memory_has(errors),
            stopped=stopped,
            length=self._position.offset,
            stored_length=self._stored_length,
            duration_ms=self._elapsed() * 1000,
            error=self._failure(errors[0]) if errors else None,
        )

    def _memory_has(self, errors: Sequence[Exception]) -> Outcome:
        if self._remembered:
            return "remembered"
        if self._rolled_back:
            return "rolled-back"
        if any(isinstance(error, NotStored) and error.spooled for error in errors):
            return "spooled"
        deleted = any(isinstance(error, StreamNotFound) for error in errors)
        return "not-stored" if deleted or (self._memory_id is None and not self._stored_length) else "kept"

    def _failure(self, error: Exception) -> StreamError:
        """An error that ended the stream."""
        if isinstance(error, ResumableStreamError):
            error = error.original_error  # the cause; `StreamError` has the token beside it
        phase = "storage" if self.phase == "streaming" and isinstance(error, StoreError) else self.phase
        return self._error(Problem.of(phase, error, recoverable=is_transient(error)))

    def _complete(self, end: End | None) -> bool:
        if self._memory_id is not None or self._remembered:  # a chain that stores
            return self._remembered
        return end is End.COMPLETED and self.ended_after is not None

    def _delta(self, event: Delta) -> None:
        if self._text:
            self._answer.add(event.text)
        if self._hooks.on_chunk:
            at = self._epoch_ms(self._elapsed())
            self._tell(ChunkCall(event.text, event.index + 1, event.offset, at, self._answer, self._answer.length))
        if self._hooks.on_progress:
            if self._first is None:
                self._first = self._elapsed(), self._position.offset
            self._progress("streaming")

    def _progress(self, phase: Phase, *, always: bool = False) -> None:
        if not self._hooks.on_progress:
            return
        elapsed = self._elapsed()
        if elapsed < self._due and not always:
            return
        self._due = elapsed + self._every
        self._tell(
            ProgressEvent(
                bytes_processed=self._position.offset,
                chunks=self._position.index,
                elapsed_ms=elapsed * 1000,
                estimated_completion=self._estimate(elapsed),
                current_phase=phase if self.ended_after is None else "finalization",
            )
        )

    def _estimate(self, elapsed: float) -> float | None:
        if self._expected is None or self._first is None or self.ended_after is not None:
            return None
        since, start = self._first
        offset = self._position.offset
        came, left = offset - start, self._expected - offset
        if came <= 0 or left < 0 or elapsed <= since:
            return None
        return self._epoch_ms(elapsed + left * (elapsed - since) / came)

    def _error(self, problem: Problem) -> StreamError:
        return stream_error(
            problem,
            chunk_number=self._position.index,
            bytes_processed=self._position.offset,
            partial_memory_id=self._memory_id,
            last_successful_update=self._stored_at,
            saved=self._stored_at is not None or self._remembered,
            resume_token=self._token,
            original_error=problem.error,
        )

    def _elapsed(self) -> float:
        """Seconds since the request."""
        return self._time() - self._opened

    def _epoch_ms(self, elapsed: float) -> float:
        return (self._opened_at + elapsed) * 1000
