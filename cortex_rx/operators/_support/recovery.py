"""What `recover` has seen of a stream, and what it does when the stream fails."""

from __future__ import annotations

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Passing
from cortex_rx.errors import ResumableStreamError, StoreError
from cortex_rx.events import Begun, Delta, Ended, Opened, PartialStored, Problem, RolledBack, StreamEvent
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.operators._support.writing import log_problem
from cortex_rx.retry.judge import judge
from cortex_rx.retry.pauses import SHORT_PAUSES, Backoff, retrying

__all__ = ["Recovery"]


class Recovery:
    """One subscription of `recover`: `watch` notes what passes, `recover` acts on the error."""

    def __init__(self, strategy: str, backend: Backend) -> None:
        self._strategy, self._backend = strategy, backend
        self.opened: Opened | None = None
        self.begun: Begun | None = None
        self.position = TextPosition()
        self.stored = 0  # how much of the text is durable

    def watch(self, emit: Emit[StreamEvent], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
        """Pass every event on, and note it."""
        position = self.position

        def on_next(event: StreamEvent) -> None:
            if type(event) is Delta and event.attempt == position.attempt:  # `take`, written out for every token
                position.last = event
                position.offset += len(event.text)
                return emit(event)
            move = position.take(event)
            if move is Move.ANEW:
                self.stored = position.start
            elif move is Move.CUT:
                self.stored = min(self.stored, position.offset)
            if isinstance(event, Opened):
                self.opened = event
            elif isinstance(event, Begun):
                self.begun = event
            elif isinstance(event, PartialStored) and move is Move.GOES_ON:
                self.stored = event.offset
            return emit(event)

        return on_next, None

    async def recover(self, error: Exception, emit: Emit[StreamEvent]) -> Exception | None:
        """Do what the strategy says; return the error that ends the stream, None if it completes."""
        rule = judge(error)
        dealt_with = self.position.ended or rule.as_is or rule.verdict.of_exchange
        if dealt_with or self.opened is None or self.begun is None:
            return error
        if self._strategy == "store-partial":
            return self._store_partial(error, self.begun)
        if self._strategy == "best-effort":
            return self._end_with_what_came(error, self.opened, emit)
        return await self._roll_back(error, self.opened, self.begun, emit)

    def _store_partial(self, error: Exception, begun: Begun) -> Exception:
        if self.stored < self.position.offset:
            return error  # no `persist_partial` stands before it
        resumable = ResumableStreamError(error, begun.token)
        resumable.__cause__ = error
        return resumable

    def _end_with_what_came(self, error: Exception, opened: Opened, emit: Emit[StreamEvent]) -> Exception | None:
        if not self.position.offset:
            return error
        emit(log_problem(Problem.of("streaming", error, recoverable=True), opened))
        emit(Ended("error", self.position.offset, self.position.index))
        return None

    async def _roll_back(self, error: Exception, opened: Opened, begun: Begun, emit: Emit[StreamEvent]) -> Exception:
        rollback = Streams(self._backend).rollback(
            stream_id=opened.stream_id, memory_space_id=opened.turn.memory_space_id, epoch=begun.epoch
        )
        try:
            await retrying(lambda: rollback, Backoff(SHORT_PAUSES))
            emit(RolledBack(opened.stream_id, begun.memory_id))
        except StoreError as failure:
            emit(log_problem(Problem.of("storage", failure, recoverable=False), opened))
        return error
