"""`persist_partial` with `show="durable"`: an event passes only when its text is stored."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from cortex_rx.backends.base import Backend
from cortex_rx.engine import Mailbox
from cortex_rx.events import Begun, Delta, Ended, StreamEvent
from cortex_rx.operators._support.pending import PendingText, append_with_retry, no_begun
from cortex_rx.operators._support.writing import event_cost
from cortex_rx.spool.spool import Spool

__all__ = ["PersistDurable"]


class PersistDurable:
    """Stores all text that waits, then emits its events, then takes what came meanwhile."""

    def __init__(self, mailbox: Mailbox[StreamEvent], backend: Backend, max_pending: int, spool: Spool | None) -> None:
        self._mailbox, self._backend, self._max_pending, self._spool = mailbox, backend, max_pending, spool
        self._pending = PendingText(mailbox.flow, backend)
        self._held: list[StreamEvent] = []  # from the first text on, while the store could not begin
        self._held_cost = 0.0

    async def run(self) -> AsyncGenerator[StreamEvent, None]:
        """Emit each event after its text is stored, and `PartialStored` for each write."""
        pending, ended = self._pending, False
        try:
            while batch := await self._mailbox.batch():
                batch = self._storable(batch)
                while batch:
                    rest = pending.absorb(batch)
                    stored = await append_with_retry(pending, self._spool)
                    for event in batch[: len(batch) - len(rest)]:
                        yield event
                        ended = ended or type(event) is Ended
                    if stored:
                        yield stored
                    batch = rest
                if self._held and not pending.begin_failed:
                    raise no_begun()
                if self._held and self._held_cost > self._max_pending:
                    break
        except BaseException as cut:  # however it is cut off
            pending.ended = ended  # `finalize` stores the rest only if it has seen the end
            pending.begun = next((event for event in self._mailbox.items if type(event) is Begun), pending.begun)
            await pending.release(self._backend, cut if isinstance(cut, Exception) else None)
            raise
        if self._held:
            pending.absorb(self._held)
            raise await pending.spool_rest(self._spool, "the store could not begin")

    def _storable(self, batch: list[StreamEvent]) -> list[StreamEvent]:
        """The events whose text can be stored now. Before `Begun`, events are held from the first text on."""
        if self._pending.begun or any(type(event) is Begun for event in batch):
            storable, self._held = self._held + batch, []
            return storable
        first_text = next((at for at, event in enumerate(batch) if type(event) is Delta), len(batch))
        start = 0 if self._held else first_text
        self._held += batch[start:]
        self._held_cost += sum(map(event_cost, batch[start:]))
        return batch[:start]
