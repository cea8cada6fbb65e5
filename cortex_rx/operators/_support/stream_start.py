"""The worker of `begin`: stores the question while the model is asked, then renews the lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial

from cortex_rx.backends.base import Backend
from cortex_rx.engine import Inbox
from cortex_rx.engine.scheduler import cancelled_by_us, unlisted
from cortex_rx.errors import Fenced, StillOwned
from cortex_rx.events import Begun, Opened, Problem, StreamEvent
from cortex_rx.operators._support.writing import (
    begin_stream,
    log,
    log_problem,
    milliseconds,
    release_lease,
    renewal,
    while_streaming,
)
from cortex_rx.retry.judge import is_transient
from cortex_rx.retry.pauses import retrying
from cortex_rx.streams.stopping import heed_stop
from cortex_rx.streams.takeover import LEASE
from cortex_rx.streams.writers import locate, writing
from cortex_rx.unique import new_token

__all__ = ["StreamStart"]

_HEARTBEAT = 3.0  # seconds


@dataclass(frozen=True, slots=True)
class StreamStart:
    """The arguments of `begin`; `run` is the worker of one subscription."""

    backend: Backend
    wait: float
    """Seconds that the source waits at most."""
    token: bool

    async def run(self, inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        """Begin the stream once it is opened; emit `Begun`, then send heartbeats."""
        batch = await anext(inbox, None)
        if batch is None:
            return
        opened = batch[0]
        assert isinstance(opened, Opened)
        failures: list[Exception] = []
        ask = partial(begin_stream, self.backend, opened, new_token() if self.token else None)
        call = unlisted(asyncio.ensure_future(retrying(ask, while_streaming(inbox), failures.append)))
        try:
            await asyncio.wait({call}, timeout=self.wait)
            if failures and is_transient(failures[0]):
                yield log_problem(Problem.of("initialization", failures[0], recoverable=True), opened)
            elif not call.done():
                slow = Problem("initialization", "STORE_SLOW", "the store is slow to begin", recoverable=True)
                yield log_problem(slow, opened)
            inbox.release()
            try:
                begun = await call
            except asyncio.CancelledError:
                if cancelled_by_us():
                    raise
                begun = await retrying(ask, while_streaming(inbox))  # a loop that ends has cancelled the call
        except StillOwned as error:
            raise locate(error, self.backend) from None
        except Exception as error:
            if not is_transient(error):
                raise
            yield log_problem(Problem.of("initialization", error, recoverable=False), opened)
            return
        finally:
            if not call.done():
                call.cancel()
                await asyncio.wait({call})
        if inbox.disposed:
            await release_lease(self.backend, opened, begun)  # no step downstream will do it
            yield begun
            return
        with writing(self.backend, opened.stream_id):
            yield begun
            inbox.close()  # the source never waits from now on, and its items pass without this step
            inbox.tick = _HEARTBEAT
            async for _ in inbox:
                await self._heartbeat(inbox, opened, begun)

    async def _heartbeat(self, inbox: Inbox[StreamEvent], opened: Opened, begun: Begun) -> None:
        """Renew the lease. A failure is retried at the next one. `Fenced` if another writer has taken the stream."""
        try:
            renewed = await renewal(self.backend, opened, begun, milliseconds(LEASE))
        except Fenced:
            if inbox.end is None:  # else a write says it, or the answer was stored before
                raise
        except Exception as error:  # the answer goes on in any case
            log.info("no heartbeat: %s (stream %s)", type(error).__name__, opened.stream_id)
        else:
            if inbox.end is None:
                heed_stop(inbox.flow, renewed, begun.token)
