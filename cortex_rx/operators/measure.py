"""Measure the stream."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from reactivex import compose

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import Emit, EndStream, FlowScheduler, Passing, passing, per_subscription
from cortex_rx.events import (
    Delta,
    Ended,
    FactsExtracted,
    GraphSynced,
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
from cortex_rx.metering.prices import GivenPrices, Prices
from cortex_rx.metering.tokenizers import installed
from cortex_rx.metering.tokens import TokenCount, checked_tokens
from cortex_rx.operators._support.last_figures import last_events, priced

__all__ = ["measure"]


@operator(
    needs=[Opened],
    reads=[Replayed, Delta, Ended, PartialStored, FactsExtracted, GraphSynced, Resumed, Problem, Remembered],
    emits=[Measured, Problem],
)
def measure(
    every: timedelta | None = None,
    prices: GivenPrices = "auto",
    tokens: Callable[[str], int] | Literal["auto", "estimate", "o200k_base", "cl100k_base"] = "auto",
) -> Operator:
    """Measure the stream at this place: latency of the first token, throughput, gaps, tokens, their cost, and counts.

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
    gone by since the last one; then without a cost, and with an estimate of the tokens.

    **Tokens** are the provider's, where the stream carries its usage. Else the tokenizer of the model counts them, if
    its encoding is known (OpenAI's) and the extra `tokens` is installed; else they are an estimate. `tokens` is the
    name of an encoding, for models whose name says nothing, or a function that counts the tokens of a text: of a long
    answer it gets pieces that end with a word. If it fails, that is a `Problem`, and the tokens are estimated.

    **The cost** is that of the provider's counts; without them, that of the answer's tokens alone. `prices` is a table
    of `Price`s by the name of the model, with or without its date. "auto" takes the prices in `genai-prices`, if the
    extra `prices` is installed. A model that has no price there, or that the stream does not name, has no cost.

    Holds at most 65,536 code points, and only for a tokenizer. Percentiles come from counts on a logarithmic scale,
    exact to 4 %.

    Commonly used for: dashboards, a progress line, finding out why an answer was slow, or what it cost.

    >>> print(measure(every=timedelta(seconds=1)))
    measure(every=datetime.timedelta(seconds=1))

    See also: `result`.
    """
    pause = check.optional(check.seconds())("every", every)
    table, count = Prices(prices), checked_tokens("tokens", tokens)
    library = installed()
    once = pause is None and not callable(count)  # a function of the user's may fail: then there are two events

    def measuring(given: Meter | None = None) -> Operator:
        def make(emit: Emit[StreamEvent], flow: FlowScheduler, end: EndStream) -> Passing[StreamEvent]:
            meter = given or Meter(flow, table, TokenCount(count, library))
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
                meter.errors += error is not None
                for event in last_events(meter) if given is None else ():
                    emit(event)
                return error

            return on_next, at_end

        return passing(make, emits_once=once)

    def with_prices(flow: FlowScheduler) -> Operator:
        meter = Meter(flow, table, TokenCount(count, library))
        return compose(measuring(meter), priced(meter))

    once_loaded = measuring()
    # The first stream of a process imports the prices, beside the loop.
    return lambda source: (once_loaded if table.ready else per_subscription(with_prices))(source)
