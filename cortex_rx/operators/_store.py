"""What the operators that write have in common."""

from __future__ import annotations

from cortex_rx.events import Delta, StreamEvent
from cortex_rx.flow import Inbox

MAX_PENDING = 1_048_576
"""What may wait for a stalled store before the source waits too: weights as `weigh` counts them, about bytes."""

_OVERHEAD = 240  # what an event costs beside its text: measured with tracemalloc


def weigh(event: StreamEvent) -> float:
    """What an event that waits costs, in bytes or nearly."""
    return len(event.text) + _OVERHEAD if type(event) is Delta else _OVERHEAD


class Backoff:
    """Pauses between tries: 0.1 s, doubled each time up to 5 s, as long as the stream runs; after its end three tries more."""

    def __init__(self, inbox: Inbox[StreamEvent], after_end: int = 3) -> None:
        self._inbox = inbox
        self._pause = 0.1
        self._left = after_end

    async def again(self) -> bool:
        """Pause; whether to try again."""
        if self._inbox.end is not None:
            self._left -= 1
            if self._left < 0:
                return False
        await self._inbox.rest(self._pause)
        self._pause = min(2 * self._pause, 5.0)
        return True
