"""What becomes of a stream that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import FlowScheduler, passing
from cortex_rx.engine.frames import after_failure, per_subscription
from cortex_rx.errors import ResumableStreamError, StoreError
from cortex_rx.events import (
    Begun,
    Delta,
    Ended,
    Opened,
    PartialStored,
    Problem,
    Replayed,
    Resumed,
    Rewound,
    RolledBack,
    StreamEvent,
)
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.operators._support.writing import log_problem
from cortex_rx.retry.judge import judge
from cortex_rx.retry.pauses import SHORT_PAUSES, Backoff, retrying

__all__ = ["recover"]


@operator(
    needs=[Begun],
    reads=[Opened, Replayed, Resumed, Rewound, Delta, PartialStored, Ended],
    emits=[Problem, RolledBack, Ended],
    captures_text=True,
)
def recover(
    strategy: Literal["store-partial", "rollback", "best-effort"],
    backend: Backend,
) -> Operator:
    """When the stream fails: first everything upstream comes to rest, what has to be flushed is flushed; then as `strategy` says.

    ```text
    recover("store-partial", store)
    source  O-(Ba)----bP-----P----#
    store   [-]---([a)-]([b)-(][)-]
    out     O-(Ba)----bP-----P----#

    recover("rollback", store)
    source  O-(Ba)----bP-----P----#
    store   [-]---([a)-]([b)-(][)-(][)-]---
    out     O-(Ba)----bP-----P---------(K#)

    recover("best-effort", store)
    source  O-(Ba)----bP-----P----#
    store   [-]---([a)-]([b)-(][)-]----
    out     O-(Ba)----bP-----P----(XE|)

    O = Opened, B = Begun, E = Ended, P = PartialStored, K = RolledBack, X = Problem, # = ConnectionError, [ ] = a write
    ```

    * `store-partial`: what arrived stays in the partial memory, to the last character; the stream fails with
      `ResumableStreamError`, which carries the token that resumes it and what had happened.  Without `persist_partial` nothing
      is durable, and the error is passed on.
    * `rollback`: the partial answer and the question are deleted, `RolledBack` says so, and the error is passed on.  A store that
      cannot is asked four times in two seconds; then a `Problem` says that they are still there.
    * `best-effort`: what there is becomes the answer, with the reason `error`; the exchange is stored and marked, and the result
      lists what had happened.  Without any text the error is passed on.

    It stands after `persist_partial` and before `finalize`.  A stream that has come to its `Ended` has not failed: what fails after
    that is passed on, and so are `Fenced`, `Diverged` and `Gap` (another writer), what the caller did wrong, and `NotStored`.
    When it is stopped it does nothing.  A recovery that has begun is finished.  Holds nothing of the text.

    Commonly used for: saying once, for a whole application, what a broken answer leaves behind.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(recover("rollback", SqliteBackend(":memory:")))
    recover(strategy='rollback', backend=SqliteBackend(':memory:'))

    See also: `resume`, `persist_partial`, `finalize`.
    """
    check.one_of("store-partial", "rollback", "best-effort")("strategy", strategy)
    backend = checked_backend("backend", backend)

    def made(flow: FlowScheduler) -> Operator:
        seen = _Seen()

        async def act(error: Exception, emit: Callable[[StreamEvent], None]) -> Exception | None:
            opened, begun = seen.opened, seen.begun
            if seen.position.ended or opened is None or begun is None or _is_bare(error):
                return error
            if strategy == "store-partial":
                if seen.stored < seen.position.offset:
                    return error  # there is no `persist_partial` before it
                failed = ResumableStreamError(error, begun.token)
                failed.__cause__ = error
                return failed
            if strategy == "best-effort":
                if not seen.position.offset:
                    return error
                emit(log_problem(Problem.of("streaming", error, recoverable=True), opened))
                emit(Ended("error", seen.position.offset, seen.position.index))
                return None
            rollback = Streams(backend).rollback(
                stream_id=opened.stream_id, memory_space_id=opened.turn.memory_space_id, epoch=begun.epoch
            )
            try:
                await retrying(lambda: rollback, Backoff(SHORT_PAUSES))
                emit(RolledBack(opened.stream_id, begun.memory_id))
            except StoreError as failure:
                emit(log_problem(Problem.of("storage", failure, recoverable=False), opened))
            return error

        noted: Operator = passing(seen.noting, emits_once=True)
        recovered: Operator = after_failure(act)
        return lambda source: recovered(noted(source))

    return per_subscription(made)


def _is_bare(error: Exception) -> bool:
    """No failure of the stream, or one that has been dealt with: passed on as it is."""
    rule = judge(error)
    return rule.as_is or rule.verdict.of_exchange


class _Seen:
    """What has passed."""

    def __init__(self) -> None:
        self.opened: Opened | None = None
        self.begun: Begun | None = None
        self.position = TextPosition()
        self.stored = 0  # how much of the text is durable

    def noting(
        self, emit: Callable[[StreamEvent], None], flow: FlowScheduler, end: Callable[[Exception | None], None]
    ) -> tuple[Callable[[StreamEvent], None], None]:
        """Pass everything on, and note it."""

        position = self.position

        def on_next(event: StreamEvent) -> None:
            if type(event) is Delta and event.attempt == position.attempt:
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
