"""Make the answer durable while it streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Literal

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import End, Inbox, Mailbox, beside, stage
from cortex_rx.errors import StoreError, StreamNotFound
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
    StreamEvent,
)
from cortex_rx.operators._support.pending import PendingText, append_with_retry, no_begun
from cortex_rx.operators._support.writing import MAX_PENDING, begin_stream, event_cost, log_problem, while_streaming
from cortex_rx.retry.judge import is_transient, judge
from cortex_rx.retry.table import Verdict
from cortex_rx.spool.spool import Spool, checked_spool

__all__ = ["persist_partial"]

_HALF_A_SECOND = timedelta(milliseconds=500)


@operator(
    needs=[Begun],
    reads=[Opened, Replayed, Resumed, Rewound, Delta, Ended, Problem],
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
    """Append the text that came since the last write to the partial memory, at most once an `interval`, one write in flight.

    Tokens pass at once; beside them their text is stored.  When the process dies, what is lost is at most the last interval
    and the write in flight.

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

    Reads `Delta`; emits `PartialStored` for each write.  Each character is sent once.  At the end, on an error and on a
    cancellation what is left is written first.  A write that fails is tried again with growing pauses; the first failure is a
    `Problem`.  Text that waits for a stalled store is bounded by `max_pending` (bytes, about); beyond it the source waits.  If
    the store could not even begin, the text is held until it can (**unbounded**).  `Fenced`, `Diverged` and `Gap` end the stream.
    What a `Rewound` cuts off is not written; where that was written already, what follows is sent from the cut on, and is `Diverged`
    if it is another text.  What cannot be written when the stream fails or is stopped is kept in the `spool`, if there is one, to be delivered later.

    With `show="durable"` a token is passed on only when it is stored: nothing that was shown can be lost, and every token waits
    for a write.  There `interval` is not used.  A store that stays away for 25 s ends the stream with `NotStored`; so does one
    that cannot even begin, when more than `max_pending` waits or the answer has ended.  What the store says of this very stream (it
    is finished, or was deleted) ends it as it is.

    Commonly used for: keeping what there is of an answer when the process, the network or the reader goes away.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(persist_partial(SqliteBackend(":memory:"), show="durable"))
    persist_partial(backend=SqliteBackend(':memory:'), show='durable')

    See also: `begin`, `finalize`.
    """
    backend = checked_backend("backend", backend)
    pause = check.seconds(zero=True)("interval", interval)
    check.whole(1)("max_pending", max_pending)
    check.one_of("at once", "durable")("show", show)
    check.optional(checked_spool)("spool", spool)

    async def worker(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        tail = PendingText(inbox.flow, backend)
        try:
            async for batch in inbox:
                while batch:
                    batch = tail.absorb(batch)
                    if tail.failed is None:
                        async for event in write(inbox, tail):
                            yield event
                    elif batch:
                        tail.texts.clear()  # given up, and superseded
            if inbox.end is End.COMPLETED and tail.ended:
                return  # `finalize` has what is left
            if tail.texts and tail.opened and tail.begun is None and inbox.end is End.CANCELLED:
                # Cancelled before the store had begun: what was shown is kept all the same.
                try:
                    tail.absorb([await begin_stream(backend, tail.opened)])
                except Exception as error:
                    if not is_transient(error):
                        raise
                    tail.failed = error
                async for event in write(inbox, tail):
                    yield event
        except asyncio.CancelledError:
            if spool:  # it took too long after a stop; what the store has of it nevertheless may be sent again
                inbox.finish(End.CANCELLED)
                async for batch in inbox:
                    while batch := tail.absorb(batch):
                        tail.texts.clear()
                if tail.texts:
                    await tail.spool_rest(spool, _STOPPED)
            raise
        if lost := await unstored(inbox, tail):
            raise lost
        if _goes_away(inbox, tail):
            await tail.release(backend)

    async def write(inbox: Inbox[StreamEvent], tail: PendingText) -> AsyncGenerator[StreamEvent, None]:
        backoff, told = while_streaming(inbox), False
        while tail.texts and tail.begun:
            try:
                yield await tail.store(release=_goes_away(inbox, tail))
            except Exception as error:
                verdict = judge(error).verdict
                if verdict in (Verdict.TAKEN, Verdict.CONFLICT):
                    raise
                again = verdict is Verdict.TRANSIENT
                if not told or not again:
                    told = True
                    yield log_problem(Problem.of("storage", error, recoverable=again), tail.opened)
                if not await backoff.again(error):
                    tail.failed = error
                    return

    async def unstored(inbox: Inbox[StreamEvent], tail: PendingText) -> Exception | None:
        """The error for what is not stored of a stream that was cut off: no `finalize` will send it."""
        refused = isinstance(inbox.error, StoreError) and not is_transient(inbox.error)
        never_begun = tail.begun is None and tail.begin_failed and not refused
        if not (tail.failed or never_begun):
            return None
        kept_in = None if isinstance(tail.failed, StreamNotFound) else spool  # deleted: nobody wants it
        cancelled = inbox.end is End.CANCELLED
        if kept_in is None and cancelled:
            return tail.failed  # nobody hears a Problem now: it is logged, and kept with the flow
        if not tail.texts and (kept_in is None or tail.begun):
            return None
        lost = await tail.spool_rest(kept_in, _STOPPED if cancelled else _FAILED)
        lost.__cause__ = inbox.error or tail.failed
        return lost if tail.texts else None  # a question alone was no more than begun

    async def durable(items: Mailbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        tail = PendingText(items.flow, backend)
        held: list[StreamEvent] = []  # from the first text on, if it comes before the store could begin
        weight, ended = 0.0, False
        try:
            while batch := await items.batch():
                if tail.begun is None and not any(type(event) is Begun for event in batch):
                    first = 0 if held else next((at for at, e in enumerate(batch) if type(e) is Delta), len(batch))
                    held += batch[first:]
                    weight += sum(map(event_cost, batch[first:]))
                    batch = batch[:first]
                else:
                    batch, held = held + batch, []
                while batch:
                    rest = tail.absorb(batch)
                    stored = await append_with_retry(tail, spool)
                    for event in batch[: len(batch) - len(rest)]:
                        yield event
                        ended = ended or type(event) is Ended
                    if stored:
                        yield stored
                    batch = rest
                if held and not tail.begin_failed:
                    raise no_begun()
                if weight > max_pending and held:
                    break
        except BaseException:  # however it is cut off
            tail.ended = ended  # `finalize` does the rest only if it has heard of the end
            tail.begun = next((event for event in items.items if type(event) is Begun), tail.begun)
            await tail.release(backend)
            raise
        if held:
            tail.absorb(held)
            raise await tail.spool_rest(spool, "the store could not begin")

    if show == "durable":
        return stage(durable)
    wants = frozenset({Opened, Begun, Replayed, Resumed, Rewound, Delta, Ended, Problem})
    return beside(worker, pause, event_cost, max_pending, wants)


_FAILED = "the stream was cut off, and the store failed too"
_STOPPED = "the stream was stopped, and the store failed"


def _goes_away(inbox: Inbox[StreamEvent], tail: PendingText) -> bool:
    """The stream was cut off, and nobody will finish it here."""
    return inbox.end in (End.FAILED, End.CANCELLED) and not tail.ended
