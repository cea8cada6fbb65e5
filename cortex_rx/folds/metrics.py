"""The metrics of one stream, as `measure` counts them."""

from __future__ import annotations

import math
import struct
from array import array
from collections import Counter
from itertools import repeat
from operator import rshift, sub

from cortex_rx.engine import FlowScheduler
from cortex_rx.events import (
    Delta,
    Ended,
    FactsExtracted,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Replayed,
    Resumed,
    Rewound,
    StreamEvent,
)
from cortex_rx.folds.position import Move, TextPosition
from cortex_rx.models.records import StreamMetrics, Usage

__all__ = ["BATCH", "LONG", "Meter"]

BATCH = 512  # deltas that are recorded before they are counted
LONG = 2048  # code points: a longer delta is counted at once, so that little text is held
_CUT = 47  # The bits of a float are a logarithmic scale: without the last 47, each bucket is 1.6 to 3.2 % wide.
_LEAST = 1e-6  # seconds; with a smaller gap, two deltas count as simultaneous


class Meter:
    """The metrics of one stream.

    A delta is only recorded, in `times` and `deltas`.  `fold` counts many recorded deltas at once, which is far
    cheaper.  The gaps between deltas become counts on a logarithmic scale, so they take bounded memory.  Sizes belong
    to the answer and begin again with it; times belong to the stream.  No text is held: if the text is cut back, its
    bytes are estimated in proportion to its length, which is exact if all of it is ASCII.
    """

    def __init__(self, flow: FlowScheduler, price: float | None) -> None:
        self._time = flow.time
        self._price = price
        self.opened_at: float = flow.wall()
        self.opened: float = self._time()
        self.first: float | None = None
        self.last: float | None = None
        self.ended: float | None = None
        self.bytes: int = 0
        self.facts: int = 0
        self.partials: int = 0
        self.errors: int = 0
        self.retries: int = 0
        self.usage: Usage | None = None
        self.times: list[float] = []
        self.deltas: list[Delta] = []
        self._position = TextPosition()
        self._gaps: Counter[int] = Counter()

    def fold(self) -> None:
        """Count what was recorded."""
        times, deltas = self.times, self.deltas
        if not times:
            return
        move, text = self._position.take_deltas(deltas)
        if move is Move.ANEW:
            self.bytes = 0
        self.bytes += len(text) if text.isascii() else len(text.encode())
        if self.last is None:
            self.first = times[0]
        else:
            times.insert(0, self.last)
        self.last = times[-1]
        gaps = array("d", map(sub, times[1:], times))
        self._gaps.update(map(rshift, array("q", gaps.tobytes()), repeat(_CUT)))
        times.clear()
        deltas.clear()

    def percentile(self, part: float) -> float | None:
        """The milliseconds below which the fraction `part` of the gaps lies; None without gaps."""
        rank = part * self._gaps.total()
        for bucket in sorted(self._gaps):
            rank -= self._gaps[bucket]
            if rank <= 0:
                (gap,) = struct.unpack("d", struct.pack("q", (bucket << _CUT) + (1 << _CUT - 1)))  # its middle
                return gap * 1000 if gap > _LEAST else 0.0
        return None

    def other(self, event: StreamEvent) -> None:
        """Count an event that is not a delta."""
        if isinstance(event, PartialStored):
            self.partials += 1
        elif isinstance(event, Problem):
            self.errors += 1
        elif isinstance(event, FactsExtracted):
            self.facts += len(event.facts)
        elif isinstance(event, Remembered):
            self.facts = len(event.facts) or self.facts
        elif isinstance(event, Resumed):
            self.retries += 1
            self._text(event)
        elif isinstance(event, Replayed):
            self._text(event, event.text)
        elif isinstance(event, Rewound):
            self._text(event)
        elif isinstance(event, Ended):
            self.ended, self.usage = self._time(), event.usage
        elif isinstance(event, Opened):
            self.opened, self.opened_at = self._time(), event.at

    def _text(self, event: Resumed | Replayed | Rewound, text: str = "") -> None:
        self.fold()
        length = self._position.offset
        move = self._position.take(event)
        if move is Move.ANEW:
            self.bytes = len(text.encode())
        elif move is Move.CUT and length:
            self.bytes = round(self.bytes * self._position.offset / length)

    def snapshot(self) -> StreamMetrics:
        """The metrics so far."""
        self.fold()
        chunks, characters = self._position.index, self._position.offset
        until = self.ended if self.ended is not None else self.last if self.last is not None else self._time()
        duration = until - self.opened
        tokens = self.usage.output_tokens if self.usage else None
        estimated = tokens if tokens is not None else math.ceil(characters / 4)
        return StreamMetrics(
            start_time=self.opened_at * 1000,
            first_chunk_latency=None if self.first is None else (self.first - self.opened) * 1000,
            stream_duration_ms=duration * 1000,
            total_chunks=chunks,
            total_bytes=self.bytes,
            total_characters=characters,
            average_chunk_size=characters / chunks if chunks else 0,
            chunks_per_second=chunks / duration if duration else 0,
            characters_per_second=characters / duration if duration else 0,
            inter_chunk_p50=self.percentile(0.50),
            inter_chunk_p95=self.percentile(0.95),
            inter_chunk_p99=self.percentile(0.99),
            facts_extracted=self.facts,
            partial_updates=self.partials,
            error_count=self.errors,
            retry_count=self.retries,
            estimated_tokens=estimated,
            tokens_from="estimate" if tokens is None else "provider",
            estimated_cost=None if self._price is None else estimated / 1000 * self._price,
        )
