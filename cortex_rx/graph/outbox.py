"""What has changed in a store since its graph was told, as a source of events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta

from reactivex import Observable

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.events import StreamEvent
from cortex_rx.retry.judge import is_transient

__all__ = ["Queued", "outbox"]

log: logging.Logger = logging.getLogger("cortex_rx")


@dataclass(slots=True)
class Queued(StreamEvent):
    """There are records of which the graph of this store has not been told."""


def outbox(backend: Backend, every: timedelta = timedelta(seconds=1)) -> Observable[StreamEvent]:
    """Emit `Queued` when there is something to tell the graph. It looks every `every`, and never completes.

    With `sync_graph` it is a worker that keeps the graph up to date: `outbox(backend).pipe(sync_graph(graph,
    backend))`. A store that is unavailable is asked again; any other error of it ends the stream.
    """
    rows, pause = GraphSync(checked_backend("backend", backend)), check.seconds()("every", every)

    async def changes() -> AsyncGenerator[StreamEvent, None]:
        yield Queued()  # the first drain also has the store keep a graph
        while True:
            await asyncio.sleep(pause)
            try:
                due = await rows.get_batch(limit=1)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("the outbox is looked at later: %s", type(error).__name__)
            else:
                if due:
                    yield Queued()

    return from_async_iterable(lambda _: changes())
