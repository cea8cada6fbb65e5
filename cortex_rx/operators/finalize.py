"""Store the exchange: once, whole, or not at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from cortex_rx.backends.backend import Backend
from cortex_rx.chain import Operator, operator
from cortex_rx.errors import (
    ChainOrderError,
    Diverged,
    EmptyAnswer,
    Fenced,
    Gap,
    IdempotencyConflict,
    NotStored,
    StoreUnavailable,
    StreamNotFound,
)
from cortex_rx.events import Begun, Custom, Delta, Ended, Opened, PartialStored, Problem, Remembered, StreamEvent
from cortex_rx.flow import End, Inbox, beside
from cortex_rx.operators._checks import backend_of, callback
from cortex_rx.operators._exchange import Embed, Exchange, Extract, derive
from cortex_rx.operators._store import Backoff, said
from cortex_rx.types import MemoryEntry

__all__ = ["finalize"]


@operator(
    needs=[Begun],
    reads=[Opened, Delta, PartialStored, Ended, Custom, Problem],
    emits=[Remembered, Problem],
    takes_text=True,
)
def finalize(
    backend: Backend, extract_content: Extract | None = None, generate_embedding: Embed | None = None
) -> Operator:
    """When the answer has ended, store the exchange in one transaction: both messages, both memories, all or nothing, once.

    The partial memory becomes the memory of the answer, under the same id.

    ```text
    source  B-a-b-c-(e|)        e = Ended
    store           [----]
    out     B-a-b-c-e----(R|)
    ```

    Reads `Delta`, `PartialStored` and `Ended`; emits `Remembered`.  Downstream of `persist_partial` it holds only the text after
    the last `PartialStored`; without that, or with one of the functions below, it holds the whole answer (**unbounded**).

    It acts once it has seen `Ended`, also when the stream was cancelled after that.  A stream that fails or is cut off before
    is not finalised: its partial stays.  It is safe to finalise again: the same text gives the stored exchange, another text is
    an `IdempotencyConflict`.  An answer that is blank, calls no tools and is no refusal fails with `EmptyAnswer`; the question is
    kept, marked unanswered.  One that is a refusal is stored as any other; its message says so (`finishReason`: `refusal`).  If
    the store cannot, after four tries in two seconds, the stream fails with `NotStored`, which carries the text
    that is not durable.  `Fenced`, `Diverged`, `Gap` and `StreamNotFound` end the stream as they are.

    `extract_content(question, answer)` gives the text that is remembered of the question; `generate_embedding(text)` the
    embedding of each of the two memories.  Both may be async; where one fails, a `Problem` says so and the exchange is stored
    without its result.

    Commonly used for: the step that makes an answer a memory.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(finalize(SqliteBackend(":memory:")))
    finalize(backend=SqliteBackend(':memory:'))

    See also: `begin`, `persist_partial`, `remember_stream`.
    """
    backend = backend_of(backend)
    callback("extract_content", extract_content)
    callback("generate_embedding", generate_embedding)
    whole = extract_content is not None or generate_embedding is not None

    async def worker(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        exchange = Exchange(whole)
        async for batch in inbox:
            exchange.take(batch)
            del batch  # or the events would be held until the next
        ended, opened, begun = exchange.ended, exchange.opened, exchange.begun
        if ended is None or opened is None:
            if inbox.end is End.COMPLETED:
                message = "the stream was cut off before it ended; its partial is kept"
                yield said(Problem("finalization", "INCOMPLETE", message, recoverable=True), opened)
            return
        if begun is None:
            if exchange.excused is None:
                raise ChainOrderError("finalize got no Begun: it belongs after begin(...)")
            message = "the store could not begin the exchange, so it is not stored"
            raise NotStored(message, exchange.tail) from exchange.excused
        args: dict[str, Any] = {
            "streamId": opened.stream_id,
            "memorySpaceId": opened.turn.memory_space_id,
            "epoch": begun.epoch,
            "reason": ended.reason,
        }
        empty = exchange.empty
        if empty:
            path, args["outcome"] = "streams:close", "empty"
        else:
            path = "streams:finalize"
            args |= {
                "attempt": begun.attempt + exchange.attempt,
                "start": exchange.start,
                "text": exchange.tail,
                "length": exchange.end,  # of what passed here: a step before may have changed lengths
            }
            if ended.usage:
                args["usage"] = ended.usage.model_dump(by_alias=True, exclude_none=True)
            if whole:
                derived = derive(inbox, args, opened.turn.user_message, exchange.text, extract_content, generate_embedding)
                async for problem in derived:
                    yield said(problem, opened)
        backoff, told = Backoff(inbox), False
        while True:
            try:
                stored = await backend.mutation(path, args)
                break
            except StoreUnavailable as error:
                if not told:
                    told = True
                    yield said(Problem.of("finalization", error, recoverable=True), opened)
                if not await backoff.again():
                    raise exchange.lost() from error
            except _MEANT:
                raise
            except Exception as error:
                raise exchange.lost() from error
        if empty:
            raise EmptyAnswer("Response stream completed but produced no content; the question is kept as unanswered.")
        yield Remembered(
            stored["conversation"]["conversationId"],
            tuple(stored["conversation"]["messageIds"]),
            tuple(MemoryEntry.from_row(row) for row in stored["memories"]),
            stored["stored"] == "before",
        )

    wants = frozenset({Opened, Begun, Delta, PartialStored, Ended, Custom, Problem})
    return beside(worker, _INTERVAL, capacity=_BATCH, wants=wants, gated=False)


_MEANT = (Fenced, Diverged, Gap, IdempotencyConflict, StreamNotFound)  # what the store says of this very exchange
_INTERVAL = 0.25  # seconds between two looks at what passed; the end is seen at once
_BATCH = 2048  # events that passed are looked at sooner
