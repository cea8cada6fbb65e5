"""What becomes of a stream that failed."""

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

    def make(flow: FlowScheduler) -> Operator:
        recovery = Recovery(strategy, backend)
        watched: Operator = passing(recovery.watch, emits_once=True)
        recovered: Operator = after_failure(recovery.recover)
        return lambda source: recovered(watched(source))

    return per_subscription(make)
