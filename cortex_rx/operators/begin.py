"""Make the question durable before the answer is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from functools import partial

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import Inbox, beside
from cortex_rx.engine.scheduler import cancelled_by_us
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
from cortex_rx.streams.takeover import LEASE, new_token

__all__ = ["begin"]

_HEARTBEAT = 3.0  # seconds


@operator(needs=[Opened], emits=[Begun, Problem])
def begin(backend: Backend, wait: timedelta = timedelta(seconds=2), token: bool = True) -> Operator:
    """Store the question under the id of its stream, and own the stream. The first delta waits for it, at most `wait`.

    The question is stored while the model is asked. It is stored before the first token is shown, so the exchange can
    be found and finished, whatever happens after that.

    ```text
    begin(store)
    source  O---a-----b-c(E|)
    store   [---]------------
    out     O---(Ba)--b-c(E|)

    O = Opened, B = Begun, E = Ended, [ ] = a write
    ```

    Reads `Opened`; emits `Begun`, with the token that resumes the stream in another process, unless `token` is False.
    The stream belongs to this writer for 10 s, and as long as the writer gives a sign of life: a write, or a heartbeat
    every 3 s. A stream that was taken over with a token is owned already.

    A store that is slow or cannot be reached delays the answer by `wait` at most. Then a `Problem` is emitted and the
    tokens go on. The store is retried beside them with growing pauses, and a few more times at the end of the answer.
    What the store refuses for good, such as another turn under the same idempotency key, ends the stream with that
    error before anything is shown. On cancellation the write in flight is completed and the lease is released, so the
    next writer need not wait.

    Commonly used for: the first step of every chain that stores.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(begin(SqliteBackend(":memory:"), wait=timedelta(seconds=1)))
    begin(backend=SqliteBackend(':memory:'), wait=datetime.timedelta(seconds=1))

    See also: `persist_partial`, `finalize`.
    """
    backend = checked_backend("backend", backend)
    limit = check.seconds()("wait", wait)
    check.flag("token", token)

    async def worker(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        async for opened, *_ in inbox:
            assert isinstance(opened, Opened)
            failures: list[Exception] = []
            ask = partial(begin_stream, backend, opened, new_token() if token else None)
            call = asyncio.ensure_future(retrying(ask, while_streaming(inbox), failures.append))
            try:
                await asyncio.wait({call}, timeout=limit)
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
                    # The loop ends and has cancelled the call. Repeating it is safe.
                    begun = await retrying(ask, while_streaming(inbox))
                if inbox.disposed.is_set():
                    await release_lease(backend, opened, begun)  # no step downstream will do it
                    return
                yield begun
                break
            except Exception as error:
                if not is_transient(error):
                    raise
                yield log_problem(Problem.of("initialization", error, recoverable=False), opened)
                return
            finally:
                if not call.done():
                    call.cancel()
                    await asyncio.wait({call})
        else:
            return
        inbox.gate.open()  # the source never waits from now on
        inbox.tick = _HEARTBEAT
        async for _ in inbox:
            await _heartbeat(backend, opened, begun)

    # The gate is full while `Opened` is handled: the source asks the model, but emits nothing.
    return beside(worker, weigh=lambda _: 1, capacity=1, wants=frozenset({Opened}))


async def _heartbeat(backend: Backend, opened: Opened, begun: Begun) -> None:
    """Renew the lease. A failure is retried at the next heartbeat. Writes find out whether another writer owns the
    stream."""
    try:
        await renewal(backend, opened, begun, milliseconds(LEASE))
    except Exception as error:  # whatever it is, the answer goes on
        log.info("no heartbeat: %s (stream %s)", type(error).__name__, opened.stream_id)
