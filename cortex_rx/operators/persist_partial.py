"""Make the answer durable while it streams."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import beside, stage
from cortex_rx.events import Adapted, Begun, Delta, Ended, Opened, PartialStored, Problem, Replayed, Resumed, Rewound
from cortex_rx.operators._support.persist_at_once import PersistAtOnce
from cortex_rx.operators._support.persist_durable import PersistDurable
from cortex_rx.operators._support.writing import MAX_PENDING, event_cost
from cortex_rx.spool.spool import Spool, checked_spool

__all__ = ["persist_partial"]

_HALF_A_SECOND = timedelta(milliseconds=500)


@operator(
    needs=[Begun],
    reads=[Opened, Adapted, Replayed, Resumed, Rewound, Delta, Ended, Problem],
    emits=[PartialStored, Problem],
    captures_text=True,
)
def persist_partial(
    backend: Backend,
    interval: timedelta = _HALF_A_SECOND,
    max_pending: int = MAX_PENDING,
    show: Literal["at once", "durable"] = "at once",
    spool: Spool | None = None,
) -> Operator:
    """Append new text to the partial memory, at most once per `interval`, one write in flight.

    Tokens pass at once; their text is stored beside them. When the process dies, at most the text of the last interval
    and of the write in flight is lost.

    An `Adapted` changes the pace: the interval is multiplied by `strategy.interval`. At most the text of this interval
    is lost then, so on a fast stream that of `interval * stretch` (see `adapt`). On a bursty stream it writes when a
    burst pauses, or when the oldest text that is not stored is so old.

    ```text
    persist_partial(store, 3 * frame)
    source  OBa----b---c-----d----(E|)
    store   []-([a)]----([bc)]----([d)]---
    out     OBa----(bP)c-----(dP)-E---(P|)

    persist_partial(store, show="durable")
    source  O-(Ba)--b----c-----d-----(E|)
    store   [-(][a)-(][b)-(][c)-(][d)----]-----
    out     O-------(BaP)-(bP)--(cP)-----(dPE|)

    O = Opened, B = Begun, E = Ended, P = PartialStored, [ ] = a write, frame = one character
    ```

    Reads `Delta` and `Adapted`; emits `PartialStored` for each write. Each character is sent once. At the end, on an
    error and on a cancellation, the rest is written first. A failed write is retried with growing pauses; the first
    failure is a `Problem`. Text that waits for a stalled store is bounded by `max_pending` (bytes, about); beyond
    it the source waits. If the store could not even begin, the text is held until it can (**unbounded**). `Fenced`,
    `Diverged` and `Gap` end the stream. Text that a `Rewound` cuts off is not written. If it was written already,
    the text that follows is sent from the cut on, and is `Diverged` if it differs. Text that cannot be written when
    the stream fails or is stopped is kept in the `spool`, if there is one, and delivered later.

    With `show="durable"` a token passes only when it is stored: no text that was shown can be lost, and every token
    waits for a write. `interval` and `Adapted` are not used then. If the store stays away for 25 s, the stream ends
    with `NotStored`. The same happens if the store cannot begin and more than `max_pending` waits, or the answer
    has ended. If the store refuses this very stream (it is finished, or was deleted), the stream ends with that
    error.

    Commonly used for: keeping what there is of an answer when the process, the network or the reader goes away.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(persist_partial(SqliteBackend(":memory:"), show="durable"))
    persist_partial(backend=SqliteBackend(':memory:'), show='durable')

    See also: `begin`, `adapt`, `finalize`.
    """
    backend = checked_backend("backend", backend)
    pause = check.seconds(zero=True)("interval", interval)
    check.whole(1)("max_pending", max_pending)
    check.one_of("at once", "durable")("show", show)
    check.optional(checked_spool)("spool", spool)

    if show == "durable":
        return stage(lambda mailbox: PersistDurable(mailbox, backend, max_pending, spool).run())
    wants = frozenset({Opened, Begun, Replayed, Resumed, Rewound, Delta, Ended, Problem})
    return beside(
        lambda inbox: PersistAtOnce(inbox, backend, spool).run(),
        pause,
        event_cost,
        capacity=max_pending,
        wants=wants,
        heeds={Adapted: lambda inbox, event: inbox.pace(event.strategy.interval, event.strategy.pause)},
    )
