"""`persist_partial` with `show="at once"`: events pass at once, and their text is stored beside the stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

from cortex_rx.backends.base import Backend
from cortex_rx.engine import End, Inbox
from cortex_rx.errors import StoreError, StreamNotFound
from cortex_rx.events import Problem, StreamEvent
from cortex_rx.operators._support.pending import PendingText
from cortex_rx.operators._support.writing import begin_stream, log_problem, while_streaming
from cortex_rx.retry.judge import is_transient, judge
from cortex_rx.retry.pauses import retrying
from cortex_rx.retry.table import Verdict
from cortex_rx.spool.spool import Spool

__all__ = ["PersistAtOnce"]

_FAILED = "the stream was cut off, and the store failed too"
_STOPPED = "the stream was stopped, and the store failed"


class PersistAtOnce:
    """Stores the text that passes, one write at a time."""

    def __init__(self, inbox: Inbox[StreamEvent], backend: Backend, spool: Spool | None) -> None:
        self._inbox, self._backend, self._spool = inbox, backend, spool
        self._pending = PendingText(inbox.flow, backend)

    async def run(self) -> AsyncGenerator[StreamEvent, None]:
        """Store what passes, then what is left at the end; emit `PartialStored` and `Problem`."""
        inbox, pending = self._inbox, self._pending
        try:
            async for batch in inbox:
                while batch:
                    batch = pending.absorb(batch)
                    if pending.failed is None:
                        async for event in self._store():
                            yield event
                    elif batch:
                        pending.texts.clear()  # given up, and superseded
            if inbox.end is End.COMPLETED and pending.ended:
                return  # `finalize` stores the rest
            if inbox.end is End.CANCELLED and pending.texts and pending.opened and pending.begun is None:
                await self._begin_after_stop()
                async for event in self._store():
                    yield event
        except asyncio.CancelledError:
            if self._spool:
                await self._spool_unfinished(self._spool)
            raise
        if lost := await self._not_stored():
            raise lost
        if self._leaves():
            await pending.release(self._backend, inbox.error)

    async def _store(self) -> AsyncGenerator[StreamEvent, None]:
        """Append the pending text. Retry while the store may come back; the first failure is a `Problem`."""
        backoff, reported = while_streaming(self._inbox), False
        while self._pending.texts and self._pending.begun:
            try:
                yield await self._pending.store(release=self._leaves(), error=self._inbox.error)
            except Exception as error:
                verdict = judge(error).verdict
                if verdict in (Verdict.TAKEN, Verdict.CONFLICT):
                    raise
                recoverable = verdict is Verdict.TRANSIENT
                if not reported or not recoverable:
                    reported = True
                    yield log_problem(Problem.of("storage", error, recoverable=recoverable), self._pending.opened)
                if not await backoff.again(error):
                    self._pending.failed = error
                    return

    async def _begin_after_stop(self) -> None:
        """The stream was cancelled before the store could begin. The text was shown, so it is kept all the same."""
        assert self._pending.opened is not None
        try:
            ask = partial(begin_stream, self._backend, self._pending.opened)
            self._pending.absorb([await retrying(ask, while_streaming(self._inbox))])
        except Exception as error:
            if not is_transient(error):
                raise
            self._pending.failed = error

    async def _spool_unfinished(self, spool: Spool) -> None:
        """The flush took too long after a stop. If the store has the text nevertheless, it may be sent again."""
        self._inbox.finish(End.CANCELLED)
        async for batch in self._inbox:
            while batch := self._pending.absorb(batch):
                self._pending.texts.clear()
        if self._pending.texts:
            await self._pending.spool_rest(spool, _STOPPED)

    async def _not_stored(self) -> Exception | None:
        """The error for the text of a stream that was cut off: no `finalize` will send it."""
        pending, ended_by = self._pending, self._inbox.error
        refused = isinstance(ended_by, StoreError) and not is_transient(ended_by)
        never_begun = pending.begun is None and pending.begin_failed and not refused
        if not (pending.failed or never_begun):
            return None
        spool = None if isinstance(pending.failed, StreamNotFound) else self._spool  # deleted: not wanted any more
        cancelled = self._inbox.end is End.CANCELLED
        if spool is None and cancelled:
            return pending.failed  # no reader gets a Problem now: the error is logged, and kept with the flow
        if not pending.texts and (spool is None or pending.begun):
            return None
        lost = await pending.spool_rest(spool, _STOPPED if cancelled else _FAILED)
        lost.__cause__ = ended_by or pending.failed
        return lost if pending.texts else None  # a question alone was only begun

    def _leaves(self) -> bool:
        """Whether the stream was cut off before its end, so this process will not finish it."""
        return self._inbox.end in (End.FAILED, End.CANCELLED) and not self._pending.ended
