"""Make the question durable before the answer is shown."""

from __future__ import annotations

from datetime import timedelta

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import beside
from cortex_rx.events import Begun, Opened, Problem
from cortex_rx.operators._support.stream_start import StreamStart

__all__ = ["begin"]


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
    every 3 s. A heartbeat that finds another writer ends the stream with `Fenced`. A stream that was taken over with a
    token is owned already.

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
    start = StreamStart(backend, wait=check.seconds()("wait", wait), token=check.flag("token", token))
    # The gate is full while `Opened` is handled: the source asks the model, but emits nothing.
    return beside(start.run, weigh=lambda _: 1, capacity=1, wants=frozenset({Opened}), holds=True)
