"""Measure the stream."""

from __future__ import annotations

import math
from datetime import timedelta

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Passing, passing
from cortex_rx.events import (
    Delta,
    Ended,
    FactsExtracted,
    Measured,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Replayed,
    Resumed,
    StreamEvent,
)
from cortex_rx.folds.metrics import BATCH, LONG, Meter

__all__ = ["measure"]


@operator(
    needs=[Opened],
    reads=[Replayed, Delta, Ended, PartialStored, FactsExtracted, Resumed, Problem, Remembered],
    emits=[Measured],
)
def measure(every: timedelta | None = None, price: float | None = None) -> Operator:
    """Measure the stream at this place: latency of the first token, throughput, gaps, and counts of what happened.

    The time of a delta is the time at which it passes here; the request begins with `Opened`. Facts, partial writes,
    errors and retries are counted by their events, so those of the steps upstream are counted.

    ```text
    measure()
    source  O-a-b-c-(E|)
    out     O-a-b-c-(EM|)

    measure(every=3 * frame)
    source  O-a-b----c-(E|)
    out     O-a-(bM)-c-(EM|)

    O = Opened, E = Ended, M = Measured, frame = one character
    ```

    Emits `Measured` at the end, however the stream ends. With `every`, also when a delta passes and so much time has
    gone by since the last one. `price` is in USD per 1,000 tokens of the answer; without it there is no
    `estimated_cost`. Memory is bounded: percentiles come from counts on a logarithmic scale, exact to 4 %.

    Commonly used for: dashboards, a progress line, finding out why an answer was slow.

    >>> print(measure(every=timedelta(seconds=1)))
    measure(every=datetime.timedelta(seconds=1))

    See also: `result`.
    """
    pause = check.optional(check.seconds())("every", every)
    check.optional(check.amount("USD for 1,000 tokens", zero=True))("price", price)

    def make(emit: Emit[StreamEvent], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
        meter = Meter(flow, price)
        time, times = flow.time, meter.times
        note, keep = times.append, meter.deltas.append  # both are emptied in place
        due = math.inf if pause is None else flow.time() + pause

        def on_next(event: StreamEvent) -> None:
            nonlocal due
            if type(event) is Delta:
                note(time())
                keep(event)
                emit(event)
                if len(times) == BATCH or len(event.text) > LONG:
                    meter.fold()
                if pause is not None and (now := time()) >= due:
                    due = now + pause
                    emit(Measured(meter.snapshot()))
            else:
                meter.other(event)
                emit(event)

        def at_end(error: Exception | None) -> Exception | None:
            if error is not None:
                meter.errors += 1
            emit(Measured(meter.snapshot()))
            return error

        return on_next, at_end

    return passing(make, emits_once=pause is None)
