"""Call hooks with the events of a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

from cortex_rx import validation as check
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import Inbox, beside
from cortex_rx.engine.scheduler import LIMIT
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import Opened, Problem, StreamEvent
from cortex_rx.models.hooks import OnChunk, OnComplete, OnEnd, OnError, OnProgress, StreamHooks
from cortex_rx.operators._support.hook_feed import READS, HookFeed
from cortex_rx.operators._support.hook_runner import LATE, HookRunner

__all__ = ["observe"]

_FLUSH = LIMIT - LATE - 0.25  # seconds after a stop that `on_end` waits for the steps upstream


@operator(needs=[Opened], reads=READS, emits=[Problem], captures_text=True)
def observe(
    on_chunk: OnChunk | None = None,
    on_progress: OnProgress | None = None,
    on_error: OnError | None = None,
    on_complete: OnComplete | None = None,
    on_end: OnEnd | None = None,
    *,
    every: timedelta = timedelta(milliseconds=250),
    expected_length: int | None = None,
    call_timeout: timedelta = timedelta(seconds=10),
) -> Operator:
    """Call your functions with each piece of the answer, its progress, its failures, and its end.

    The hooks, sync or async, are called beside the stream: no token waits for them. One is called at a time, in the
    order of the events. They see what passes here, so this step stands last.

    ```text
    observe(on_chunk=slowly, on_complete=slowly)
    source  O-a-b-c-(E|)
    out     O-a-b-c-E-----------|

    O = Opened, E = Ended
    ```

    | hook | is called with | when |
    |---|---|---|
    | `on_chunk` | `ChunkEvent` | text arrives |
    | `on_progress` | `ProgressEvent` | text, a part or facts arrive (once per `every`); the text ends; all is stored |
    | `on_error` | `StreamError` | a `Problem` passes; the stream fails |
    | `on_complete` | `StreamCompleteEvent` | the stream has completed, and is stored (after `begin`); it never failed |
    | `on_end` | `StreamEndEvent` | the stream has ended in any way, once: its outcome in memory, and what stopped it |

    `every` is a time, not a number of pieces, because the size and pace of pieces differ a hundredfold between models,
    and a person can read four figures a second. With `expected_length`, in code points, progress has an
    `estimated_completion`.

    A hook that returns before the next event passes gets every piece by itself. For a slower hook, waiting calls are
    merged: text becomes one `ChunkEvent`, only the last progress counts, errors stay single. So no text is left out,
    unless it begins anew. However slow a hook is, at most 1,024 calls wait; of more than 64 errors, the first ones and
    the last are kept.

    A hook that raises, or takes longer than `call_timeout`, is called again the next time. Its first failure is a
    `Problem` and a line in the log. The end of the stream waits for the call in progress and for the remaining calls,
    those of each hook together no longer than `call_timeout`. Calls that are left out then are logged. A stream that is
    stopped waits one second for all calls, and cancels them. `on_end` is called last, when the steps upstream have
    flushed, or 6.75 s after a stop; it has a second of its own then, however the other hooks hang. A sync hook runs in
    the event loop, so it must not block. A hook that awaits its own answer waits for itself, until `call_timeout`.

    With `on_chunk` or `on_complete` it holds the text of the answer once (**unbounded**), else only numbers.

    Commonly used for: a progress bar, a websocket, an audit log.

    >>> import asyncio
    >>> from cortex_rx import Turn, from_stream, run
    >>> def show(event):
    ...     print(event.chunk_number, event.accumulated)
    >>> source = from_stream(["Good", " day"], turn=Turn("space", "c-1", "Hi!", agent_id="helper"))
    >>> _ = asyncio.run(run(source.pipe(observe(show, on_complete=lambda event: print(event.total_chunks, "chunks")))))
    1 Good
    2 Good day
    2 chunks

    See also: `measure`, `StreamHooks`.
    """
    hooks = StreamHooks(
        on_chunk=on_chunk, on_progress=on_progress, on_error=on_error, on_complete=on_complete, on_end=on_end
    )
    if hooks == StreamHooks():
        raise InvalidArgument("hooks", None, f"at least one of {', '.join(StreamHooks.model_fields)}")
    pause, limit = check.seconds(zero=True)("every", every), check.seconds()("call_timeout", call_timeout)
    check.optional(check.whole(1))("expected_length", expected_length)

    async def worker(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        async with HookRunner(inbox, hooks, limit) as runner:
            feed = HookFeed(inbox.flow, hooks, runner.tell, pause, expected_length)
            async for batch in inbox:
                for event in batch:
                    if runner.own(event):
                        yield event
                        continue
                    if type(event) is Opened:
                        runner.stream_id = event.stream_id
                    feed.absorb(event)
                del batch  # or the events would be held until the next
            ended_at = inbox.flow.time()
            feed.end(inbox.end, inbox.error)
            await runner.finish()
            if on_end is not None:
                if inbox.disposed:  # what was shown is being flushed; the call has its time after that
                    await inbox.upstream.upstream_ended(ended_at + _FLUSH - inbox.flow.time())
                await runner.end(feed.outcome(inbox.end, inbox.error))
        async for batch in inbox:  # problems of hooks that failed since
            for event in batch:
                yield event

    return beside(worker, wants=frozenset(READS), gated=False, joins=on_end is not None)
