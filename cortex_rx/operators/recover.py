"""Decide what a failed stream leaves behind."""

from __future__ import annotations

from typing import Literal

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import FlowScheduler, passing, per_subscription
from cortex_rx.engine.frames import after_failure
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
)
from cortex_rx.operators._support.recovery import Recovery

__all__ = ["recover"]


@operator(
    needs=[Begun],
    reads=[Opened, Replayed, Resumed, Rewound, Delta, PartialStored, Ended],
    emits=[Problem, RolledBack, Ended],
    captures_text=True,
)
def recover(strategy: Literal["store-partial", "rollback", "best-effort"], backend: Backend) -> Operator:
    """When the stream fails, act as `strategy` says, after everything upstream has been flushed and has ended.

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

    * `store-partial`: the text that arrived stays in the partial memory, to the last character. The stream fails with
      `ResumableStreamError`, which carries the token that resumes it and the original error. Without `persist_partial`
      nothing is durable, and the error is passed on.
    * `rollback`: the partial answer and the question are deleted, `RolledBack` is emitted, and the error is passed on.
      If the store fails, it is asked four times in two seconds; then a `Problem` says that they are still there.
    * `best-effort`: the text that arrived becomes the answer, with the reason `error`. The exchange is stored and
      marked, and the result lists the error. Without any text the error is passed on.

    It stands after `persist_partial` and before `finalize`. A stream that has reached its `Ended` has not failed: later
    errors are passed on. So are `Fenced`, `Diverged` and `Gap` (another writer), mistakes of the caller, and
    `NotStored`. When the stream is stopped it does nothing. A recovery that has begun is finished. Holds no text.

    Commonly used for: deciding once, for a whole application, what a broken answer leaves behind.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(recover("rollback", SqliteBackend(":memory:")))
    recover(strategy='rollback', backend=SqliteBackend(':memory:'))

    See also: `resume`, `persist_partial`, `finalize`.
    """
    check.one_of("store-partial", "rollback", "best-effort")("strategy", strategy)
    backend = checked_backend("backend", backend)

    def make(flow: FlowScheduler) -> Operator:
        recovery = Recovery(strategy, backend)
        watched: Operator = passing(recovery.watch, emits_once=True)
        recovered: Operator = after_failure(recovery.recover)
        return lambda source: recovered(watched(source))

    return per_subscription(make)
