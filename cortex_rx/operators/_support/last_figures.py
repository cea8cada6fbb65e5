"""The end of `measure`: the last figures, with the cost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator

from cortex_rx.chain import Operator
from cortex_rx.engine import End, Inbox, beside
from cortex_rx.errors import CallbackError
from cortex_rx.events import Ended, Measured, Problem, StreamEvent
from cortex_rx.folds.metrics import Meter

__all__ = ["last_events", "priced"]

log: logging.Logger = logging.getLogger("cortex_rx")


def last_events(meter: Meter) -> Iterator[StreamEvent]:
    """The figures of the whole stream; before them, what a function of the user's failed with."""
    metrics, tokens = meter.snapshot(final=True), meter.tokens
    if tokens.failure and tokens.by_user:
        error = CallbackError("measure", tokens.failure)
        error.__cause__ = tokens.failure
        yield Problem.of("finalization", error, recoverable=True)
    elif tokens.failure:
        log.warning("the tokens are estimated: the tokenizer failed with %s", type(tokens.failure).__name__)
    yield Measured(metrics)


def priced(meter: Meter) -> Operator:
    """Emit the figures at the end, with the prices, which are imported on a thread meanwhile.

    They are imported before it is known whether the stream names its model: so the next streams need no worker.
    """

    async def worker(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        loading = asyncio.get_running_loop().run_in_executor(None, meter.prices.load)
        async for _ in inbox:
            pass
        if inbox.end is End.CANCELLED:
            return  # nobody gets them
        if meter.model is not None:
            await loading
        for event in last_events(meter):
            yield event

    return beside(worker, wants=frozenset({Ended}))
