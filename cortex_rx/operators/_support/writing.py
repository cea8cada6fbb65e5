"""Functions that the writing operators share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.typed import Streams
from cortex_rx.engine import Inbox
from cortex_rx.engine.scheduler import LIMIT
from cortex_rx.errors import code_of
from cortex_rx.events import Begun, Delta, Opened, Problem, StreamEvent
from cortex_rx.retry.pauses import SHORT_PAUSES, Backoff, doubling
from cortex_rx.streams.takeover import LEASE, TOKEN_TTL, token_hash

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import BegunStream, Lease

log: logging.Logger = logging.getLogger("cortex_rx")

MAX_PENDING = 1_048_576
"""What may wait for a stalled store before the source waits too, as `event_cost` counts: about bytes."""

_LAST_TRY = LIMIT - 2.0
"""Seconds after a stop in which a try may begin. It then ends in time, also if SQLite waits 1 s for a lock."""

_OVERHEAD = 240.0  # bytes of an event beside its text, measured with tracemalloc


def event_cost(event: StreamEvent) -> float:
    """The memory of a waiting event, in bytes, about."""
    return len(event.text) + _OVERHEAD if type(event) is Delta else _OVERHEAD


def log_problem(problem: Problem, opened: Opened | None) -> Problem:
    """Log the problem, and return it."""
    stream = opened.stream_id if opened else "not opened"
    log.warning("%s: %s (stream %s)", problem.phase, problem.code, stream)
    return problem


async def begin_stream(backend: Backend, opened: Opened, token: str | None = None) -> Begun:
    """Store the question and own the stream. Repeating it is safe, because the claim is the same.

    A stream that was taken over is owned already.
    """
    if taken := opened.resumed:
        # Its deltas carry the attempt.
        return Begun(
            taken.memory_id, taken.epoch, 0, opened.token, message_ids=taken.message_ids, memory_ids=taken.memory_ids
        )
    args = opened.arguments() | {"lease": milliseconds(LEASE)}
    if token:
        args |= {"token": token_hash(token), "tokenTtl": milliseconds(TOKEN_TTL)}
    begun: BegunStream = await Call(backend.mutation, "streams:begin", args)
    before = begun["state"] == "finished"
    ids = tuple(begun["messageIds"]), tuple(begun["memoryIds"])
    return Begun(begun["memoryId"], begun["epoch"], begun["attempt"], token, before, *ids)


async def release_lease(backend: Backend, opened: Opened, begun: Begun, error: Exception | None = None) -> None:
    """Release the lease, so the next writer need not wait until it expires. `error`: what this writer failed with."""
    try:
        await renewal(backend, opened, begun, lease=0, error=error)
    except Exception as error:  # it expires by itself
        log.info("the lease was not released: %s (stream %s)", type(error).__name__, opened.stream_id)


def renewal(backend: Backend, opened: Opened, begun: Begun, lease: int, error: Exception | None = None) -> Call[Lease]:
    """The call that renews the lease, in ms; 0 releases it."""
    return Streams(backend).renew(
        stream_id=opened.stream_id,
        memory_space_id=opened.turn.memory_space_id,
        epoch=begun.epoch,
        lease=lease,
        last_error=code_of(error) if error else None,
    )


def milliseconds(time: timedelta) -> int:
    """Milliseconds, the unit of the store."""
    return round(time.total_seconds() * 1000)


def while_streaming(inbox: Inbox[StreamEvent]) -> Backoff:
    """Pauses between tries: 0.1 s, doubled up to 5 s, while the stream runs.

    After its end there are three more tries: then the caller gets the text with the error. Nobody gets it when the
    stream was stopped: then tries go on, the last of them at `_LAST_TRY`.
    """

    async def rest(seconds: float) -> None:
        await (inbox.rest(seconds) if inbox.end is None else asyncio.sleep(seconds))

    def pauses() -> Iterator[float]:
        yield from takewhile(lambda _: inbox.end is None, doubling(0.1, 5.0))
        yield from takewhile(lambda _: not inbox.disposed, SHORT_PAUSES)
        for pause in doubling(0.1, 0.5):
            if not inbox.disposed or (left := inbox.disposed_at + _LAST_TRY - inbox.flow.time()) <= 0:
                return
            yield min(pause, left)

    return Backoff(pauses(), rest)
