"""The metrics of one stream, as `measure` counts them."""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from functools import cache
from itertools import repeat
from operator import rshift, sub

from cortex_rx.engine import FlowScheduler
from cortex_rx.events import (
    Delta,
    Ended,
    FactsExtracted,
    GraphSynced,
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
from cortex_rx.folds.timeline import Timeline
from cortex_rx.metering.prices import Prices
from cortex_rx.metering.tokens import Counted, TokenCount
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
    to the answer and begin again with it; times belong to the stream.  If the text is cut back, its bytes are estimated
    in proportion to its length, which is exact if all of it is ASCII.  Text is held for a tokenizer alone: `tokens`.
    """

    def __init__(self, flow: FlowScheduler, prices: Prices, tokens: TokenCount) -> None:
        self._time = flow.time
        self.prices: Prices = prices
        self.tokens: TokenCount = tokens
        self.opened_at: float = flow.wall()
        self.opened: float = self._time()
        self.first: float | None = None
        self.last: float | None = None
        self.ended: float | None = None
        self.bytes: int = 0
        self.facts: int = 0
        self.windows: int = 0
        self.synced: int = 0
        self.records: int = 0
        self.partials: int = 0
        self.errors: int = 0
        self.retries: int = 0
        self.usage: Usage | None = None
        self.model: str | None = None
        self.times: list[float] = []
        self.deltas: list[Delta] = []
        self._position = TextPosition()
        self._gaps: Counter[int] = Counter()
        self._longest = 0.0
        self._timeline: Timeline | None = None

    def fold(self) -> None:
        """Count what was recorded."""
        times, deltas = self.times, self.deltas
        if not times:
            return
        move, text = self._position.take_deltas(deltas)
        if move is Move.ANEW:
            self.bytes = 0
            self.tokens.begin()
        data = text.encode()
        self.bytes += len(data)
        self.tokens.add(text, data)
        if self._timeline is None:
            self._timeline = Timeline()
        self._timeline.add(self.opened, times, deltas)
        if self.last is None:
            self.first = times[0]
        else:
            times.insert(0, self.last)
        self.last = times[-1]
        gaps = array("d", map(sub, times[1:], times))
        self._longest = max(self._longest, max(gaps, default=0.0))
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
            self.windows += 1
        elif isinstance(event, GraphSynced):
            if event.kind != "drained":  # that is a worker's
                self.synced += 1
                self.records += event.records
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
            self.ended, self.usage, self.model = self._time(), event.usage, event.model
        elif isinstance(event, Opened):
            self.opened, self.opened_at = self._time(), event.at

    def _text(self, event: Resumed | Replayed | Rewound, text: str = "") -> None:
        self.fold()
        length = self._position.offset
        move = self._position.take(event)
        if move is Move.ANEW:
            self.bytes = len(text.encode())
            self.tokens.begin(text)
        elif move is Move.CUT and length:
            self.bytes = round(self.bytes * self._position.offset / length)
            self.tokens.cut(self._position.offset)

    def snapshot(self, final: bool = False) -> StreamMetrics:
        """The metrics so far.  The `final` ones have a time line, and the tokenizer's count."""
        self.fold()
        chunks, characters = self._position.index, self._position.offset
        until = self.ended if self.ended is not None else self.last if self.last is not None else self._time()
        duration = until - self.opened
        usage = self.usage or _uncounted()
        counted = Counted(usage.output_tokens, "provider") if usage.output_tokens is not None else None
        counted = counted or (self.tokens.total(self.model) if final else self.tokens.estimate())
        cost = None
        if final and self.model is not None:
            used = usage.model_copy(update={"output_tokens": counted.tokens})
            cost = self.prices.cost(self.model, used, self.opened_at)
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
            estimated_tokens=counted.tokens,
            tokens_from=counted.tokens_from,
            estimated_cost=cost.usd if cost else None,
            prices_from=cost.prices_from if cost else None,
            model=self.model,
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            inter_chunk_max=self._longest * 1000 if self._gaps else None,
            fact_windows=self.windows,
            graph_syncs=self.synced,
            graph_records=self.records,
            timeline=self._timeline.record() if final and self._timeline else None,
        )


@cache  # not at import: the first one builds the model
def _uncounted() -> Usage:
    return Usage()
