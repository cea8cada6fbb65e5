"""When the text of a stream came, in a bounded number of slots."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import add

from cortex_rx.events import Delta
from cortex_rx.models.records import StreamTimeline

__all__ = ["SLOTS", "Timeline"]

SLOTS = 256
_FIRST = 2.0**-6  # seconds: the width of a slot at first


class Timeline:
    """Counts deltas and code points in at most `SLOTS` equal slots of time.

    When a delta lies beyond the last slot, each two slots become one of twice the width.

    >>> line = Timeline()
    >>> line.add(0.0, [0.01, 3.0], [Delta("ab", 0, 0, 0, 0.01), Delta("c", 1, 2, 0, 3.0)])
    >>> line.add(0.0, [5.0], [Delta("d", 2, 3, 0, 5.0)])
    >>> record = line.record()
    >>> record.slot_ms, len(record.chunks), record.chunks[0], record.characters[0], record.chunks[-1]
    (31.25, 161, 1, 2, 1)
    """

    def __init__(self) -> None:
        self._width = _FIRST
        self._chunks: list[int] = []
        self._characters: list[int] = []

    def add(self, opened: float, times: Sequence[float], deltas: Sequence[Delta]) -> None:
        """Count deltas that passed at these times, which rise.  The slots begin at `opened`."""
        while times[-1] - opened >= SLOTS * self._width:
            self._width *= 2
            self._chunks, self._characters = _halved(self._chunks), _halved(self._characters)
        lengths = [0, *accumulate([len(delta.text) for delta in deltas])]
        at = 0
        while at < len(times):  # once for each slot that they touch
            slot = max(int((times[at] - opened) / self._width), 0)
            end = max(bisect_left(times, opened + (slot + 1) * self._width, at), at + 1)
            new = [0] * (slot + 1 - len(self._chunks))
            self._chunks += new
            self._characters += new
            self._chunks[slot] += end - at
            self._characters[slot] += lengths[end] - lengths[at]
            at = end

    def record(self) -> StreamTimeline | None:
        """The slots up to the last delta; None without one."""
        if not self._chunks:
            return None
        return StreamTimeline(
            slot_ms=self._width * 1000,
            chunks=tuple(self._chunks),
            characters=tuple(self._characters),
        )


def _halved(slots: list[int]) -> list[int]:
    """Each two slots as one."""
    return [*map(add, slots[::2], [*slots[1::2], 0])]
