"""Make the answer durable while it streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Literal

from cortex_rx.backends.backend import Backend
from cortex_rx.chain import Operator, operator
from cortex_rx.errors import Diverged, Fenced, Gap, StoreError, StoreUnavailable, StreamNotFound
from cortex_rx.events import Begun, Delta, Ended, Opened, PartialStored, Problem, Replayed, StreamEvent
from cortex_rx.flow import End, Inbox, Mailbox, beside, stage
from cortex_rx.operators._checks import backend_of, count, one_of, seconds, spool_of
from cortex_rx.operators._store import MAX_PENDING, Backoff, begin_stream, said, weigh
from cortex_rx.operators._tail import Tail, insist, no_begun
from cortex_rx.spool import Spool

__all__ = ["persist_partial"]

_HALF_A_SECOND = timedelta(milliseconds=500)


@operator(
    needs=[Begun], reads=[Opened, Replayed, Delta, Ended, Problem], emits=[PartialStored, Problem], takes_text=True
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
    What cannot be written when the stream fails or is stopped is kept in the `spool`, if there is one, to be delivered later.

    With `show="durable"` a token is passed on only when it is stored: nothing that was shown can be lost, and every token waits
    for a write.  There `interval` is not used.  A store that stays away for 25 s ends the stream with `NotStored`; so does one
    that cannot even begin, when more than `max_pending` waits or the answer has ended.

    Commonly used for: keeping what there is of an answer when the process, the network or the reader goes away.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(persist_partial(SqliteBackend(":memory:"), show="durable"))
    persist_partial(backend=SqliteBackend(':memory:'), show='durable')

    See also: `begin`, `finalize`.
    """
    backend = backend_of(backend)
    pause = seconds("interval", interval, zero=True)
    count("max_pending", max_pending)
    one_of("show", show, ("at once", "durable"))
    spool_of(spool)

    async def worker(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        tail = Tail(inbox.flow)
        given_up = False
        async for batch in inbox:
            while batch:
                batch = tail.take(batch)
                if given_up and batch:
                    tail.texts.clear()  # superseded by a new attempt
                elif not given_up:
                    async for event in write(inbox, tail):
                        yield event
                    given_up = bool(tail.texts and tail.begun)
        if inbox.end is End.COMPLETED:
            return  # `finalize` has the text that is left
        if tail.begun is None and tail.opened and not await begun_late(inbox, tail):
            return
        async for event in write(inbox, tail):
            yield event
        if _goes_away(inbox, tail):
            await tail.release(backend)

    async def begun_late(inbox: Inbox[StreamEvent], tail: Tail) -> bool:
        """Cut off before the store had begun: whether it has begun now, for what was shown."""
        assert tail.opened is not None
        if tail.texts and inbox.end is End.CANCELLED:
            try:
                tail.begun = await begin_stream(backend, tail.opened)
            except (StoreUnavailable, asyncio.CancelledError) as error:
                if spool is None:
                    raise
                lost = await tail.lost(spool, _STOPPED)
                if isinstance(error, StoreUnavailable):
                    raise lost from error
                raise
            return True
        refused = isinstance(inbox.error, StoreError) and not isinstance(inbox.error, StoreUnavailable)
        if tail.excused and not refused and (tail.texts or spool):
            lost = await tail.lost(spool, _FAILED)
            if tail.texts:
                raise lost from inbox.error
        return False

    async def write(inbox: Inbox[StreamEvent], tail: Tail) -> AsyncGenerator[StreamEvent, None]:
        backoff, told = Backoff(inbox), False
        try:
            while tail.texts and tail.begun:
                try:
                    yield await tail.store(backend, release=_goes_away(inbox, tail))
                except (Fenced, Diverged, Gap):
                    raise
                except Exception as error:
                    again = isinstance(error, StoreUnavailable)
                    if not told or not again:
                        told = True
                        yield said(Problem.of("storage", error, recoverable=again), tail.opened)
                    if again and await backoff.again():
                        continue
                    if inbox.end is None or inbox.end is End.COMPLETED:
                        return
                    kept_in = None if isinstance(error, StreamNotFound) else spool  # deleted: nobody wants it
                    if inbox.end is End.FAILED:
                        # No `finalize` follows, which would still have the text.
                        raise await tail.lost(kept_in, _FAILED) from inbox.error
                    if kept_in is None:
                        raise  # nobody hears a Problem now: it is logged, and kept with the flow
                    raise await tail.lost(kept_in, _STOPPED) from error
        except asyncio.CancelledError:
            if spool and tail.texts:  # it took too long after a stop; what the store has of it may be sent again
                await tail.lost(spool, _STOPPED)
            raise

    async def durable(items: Mailbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        tail = Tail(items.flow)
        held: list[StreamEvent] = []  # from the first text on, if it comes before the store could begin
        weight = 0.0
        while batch := await items.batch():
            if tail.begun is None and not any(type(event) is Begun for event in batch):
                first = 0 if held else next((at for at, e in enumerate(batch) if type(e) is Delta), len(batch))
                held += batch[first:]
                weight += sum(map(weigh, batch[first:]))
                batch = batch[:first]
            else:
                batch, held = held + batch, []
            while batch:
                rest = tail.take(batch)
                stored = await insist(tail, backend, spool)
                for event in batch[: len(batch) - len(rest)]:
                    yield event
                if stored:
                    yield stored
                batch = rest
            if held and not tail.excused:
                raise no_begun()
            if weight > max_pending and held:
                break
        if held:
            tail.take(held)
            raise await tail.lost(spool, "the store could not begin")

    if show == "durable":
        return stage(durable)
    wants = frozenset({Opened, Begun, Replayed, Delta, Ended, Problem})
    return beside(worker, pause, weigh, max_pending, wants)


_FAILED = "the stream failed, and the store too"
_STOPPED = "the stream was stopped, and the store failed"


def _goes_away(inbox: Inbox[StreamEvent], tail: Tail) -> bool:
    """The stream was cut off, and nobody will finish it here."""
    return inbox.end in (End.FAILED, End.CANCELLED) and not tail.ended
