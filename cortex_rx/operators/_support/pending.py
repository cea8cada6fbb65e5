"""The pending text of `persist_partial`: text that has passed and is not stored."""

from __future__ import annotations

from itertools import groupby
from math import inf
from typing import TYPE_CHECKING, cast

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.engine import FlowScheduler
from cortex_rx.errors import ChainOrderError, NotStored, code_of
from cortex_rx.events import Begun, Delta, Ended, Opened, PartialStored, Problem, StreamEvent
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.operators._support.writing import milliseconds, release_lease
from cortex_rx.retry.judge import judge
from cortex_rx.retry.pauses import Backoff, doubling, retrying, within
from cortex_rx.spool import Spool
from cortex_rx.spool.spool import spool_call
from cortex_rx.streams.stopping import heed_stop
from cortex_rx.streams.takeover import LEASE

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import Appended

__all__ = ["PendingText", "append_with_retry", "no_begun"]

_RETRIED = 25.6  # seconds in which a write is retried: nine tries, if each fails at once


class PendingText:
    """The text that is not stored yet, and its position in the answer."""

    def __init__(self, flow: FlowScheduler, backend: Backend) -> None:
        self._flow = flow
        self._streams = Streams(backend)
        self._base = 0.0
        self.opened: Opened | None = None
        self.begun: Begun | None = None
        self.begin_failed = False  # the store could not begin, and said so
        self.position = TextPosition()
        self.start = 0  # of the pending text
        self.ended = False  # `finalize` stores what comes after that
        self.released = False
        self.failed: Exception | None = None  # given up
        self.texts: list[str] = []

    def absorb(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Take events in. Return the events of a new attempt, if the text before them must be stored first."""
        at = 0
        for kind, run in groupby(events, type):
            alike = list(run)
            if kind is Delta and self.position.continues(deltas := cast("list[Delta]", alike)):
                self.texts.append(self.position.take_deltas(deltas)[1])
                at += len(deltas)
                continue
            for event in alike:
                if self.position.means(event) is Move.ANEW and self.texts and self.begun:
                    return events[at:]
                self._take(event)
                at += 1
        if self.texts and self.begun is None and not self.begin_failed:
            raise no_begun()
        return []

    def _take(self, event: StreamEvent) -> None:
        move = self.position.take(event)
        if move is Move.ANEW:
            self.texts.clear()  # never begun, and superseded
            self.start, self.ended = self.position.start, False
        elif move is Move.CUT:
            self._cut()
        if isinstance(event, Delta):
            if move is not Move.OTHER:
                self.texts.append(event.text)
        elif isinstance(event, Opened):
            self.opened, self._base = event, self._flow.time()
        elif isinstance(event, Begun):
            self.begun = event
        elif isinstance(event, Ended):
            self.ended = True
        elif isinstance(event, Problem):
            self.begin_failed = self.begin_failed or event.phase == "initialization"

    def _cut(self) -> None:
        """The text is cut back: pending text behind the cut is dropped.

        If the cut lies within the stored text, the following text is sent from there. The store compares: a different
        text is `Diverged`.
        """
        self.start, self.ended = min(self.start, self.position.offset), False
        held = "".join(self.texts)[: self.position.offset - self.start]
        self.texts[:] = [held] if held else []

    async def store(self, *, release: bool = False, error: Exception | None = None) -> PartialStored:
        """Append the text, with the source position of its end. `release` also releases the lease, after the `error`
        that ended the stream."""
        append = self.append(release=release, error=error)
        stored = await append
        if self.begun and not self.ended:
            heed_stop(self._flow, stored, self.begun.token)
        self.released = release
        self.texts.clear()
        self.start += len(append.args["text"])
        return PartialStored(self.start, self.position.index, self.position.attempt, self._flow.time() - self._base)

    def append(self, *, release: bool, error: Exception | None = None) -> Call[Appended]:
        """The call that appends the text; the epoch is 0 if the stream was not begun."""
        assert self.opened is not None
        text, mark = "".join(self.texts), self.position.mark
        self.texts[:] = [text] if text else []  # else a stalled store would hold it twice
        return self._streams.append(
            stream_id=self.opened.stream_id,
            memory_space_id=self.opened.turn.memory_space_id,
            epoch=self.begun.epoch if self.begun else 0,
            attempt=self.position.stored_attempt,
            start=self.start,
            text=text,
            lease=0 if release else milliseconds(LEASE),
            state={"index": self.position.index},
            mark=mark.to_json() if mark else None,
            last_error=code_of(error) if release and error else None,
        )

    async def spool_rest(self, spool: Spool | None, message: str) -> NotStored:
        """Keep the text in the spool, if there is one. The error says what is not stored, and where it is kept."""
        assert self.opened is not None
        return await spool_call(spool, self.opened, "persist_partial", self.append(release=True), message)

    async def release(self, backend: Backend, error: Exception | None = None) -> None:
        """Release the lease, unless it was released, or `finalize` needs it. `error`: what ended the stream."""
        if self.opened and self.begun and not self.ended and not self.released:
            await release_lease(backend, self.opened, self.begun, error)


def no_begun() -> ChainOrderError:
    return ChainOrderError("persist_partial got text but no Begun: it belongs after begin(...)")


async def append_with_retry(pending: PendingText, spool: Spool | None) -> PartialStored | None:
    """Store the pending text. No retry begins later than 25.6 s after the first try."""
    if not (pending.texts and pending.begun):
        return None
    try:
        return await retrying(pending.store, Backoff(within(_RETRIED, doubling(0.1, inf))))
    except Exception as error:
        if judge(error).verdict.of_exchange:
            raise
        raise await pending.spool_rest(spool, "the store stays away") from error
