"""Store the exchange: once, whole, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import End, Inbox, beside
from cortex_rx.errors import ChainOrderError, EmptyAnswer, InvalidArgument
from cortex_rx.events import (
    Begun,
    Chunked,
    Custom,
    Delta,
    Ended,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Replayed,
    Resumed,
    Rewound,
    StreamEvent,
)
from cortex_rx.folds.exchange import Exchange
from cortex_rx.models.records import SHORTEST_CHUNK, MemoryEntry
from cortex_rx.operators._support.embedding import ChunkEmbedder, Embed, Extract, enrich
from cortex_rx.operators._support.writing import log_problem, while_streaming
from cortex_rx.retry.judge import is_transient, judge
from cortex_rx.spool.spool import Spool, checked_spool, spool_call

__all__ = ["finalize"]


@operator(
    needs=[Begun],
    needs_for={"max_single_memory_size": [Chunked]},
    reads=[Opened, Replayed, Resumed, Rewound, Delta, PartialStored, Chunked, Ended, Custom, Problem],
    emits=[Remembered, Problem],
    captures_text=True,
)
def finalize(
    backend: Backend,
    extract_content: Extract | None = None,
    generate_embedding: Embed | None = None,
    max_single_memory_size: int | None = None,
    incremental_embeddings: bool = False,
    spool: Spool | None = None,
) -> Operator:
    """When the answer has ended, store the exchange in one transaction: both messages, both memories, all or nothing, once.

    The partial memory becomes the memory of the answer, under the same id.

    ```text
    finalize(store)
    source  O--Ba-b-c-(E|)
    store   [--]------([abc)--]---
    out     O--Ba-b-c-E-------(R|)

    O = Opened, B = Begun, E = Ended, R = Remembered, [ ] = a write
    ```

    Reads `Delta`, `PartialStored` and `Ended`; emits `Remembered`.  Downstream of `persist_partial` it holds only the text after
    the last `PartialStored`; without that, or with one of the functions below, it holds the whole answer (**unbounded**).

    It acts once it has seen `Ended`, also when the stream was cancelled after that.  A stream that fails or is cut off before
    is not finalised: its partial stays.  It is safe to finalise again: the same text gives the stored exchange, another text is
    an `IdempotencyConflict`.  An answer that is blank, calls no tools and is no refusal fails with `EmptyAnswer`; the question is
    kept, marked unanswered.  One that is a refusal is stored as any other; its message says so (`finishReason`: `refusal`).  If
    the store cannot, after four tries in two seconds, the stream fails with `NotStored`, which carries the text
    that is not durable; with a `spool` all that the store could not take is kept there, to be delivered later, and the error
    says where.  `Fenced`, `Diverged`, `Gap` and `StreamNotFound` end the stream as they are.

    `extract_content(question, answer)` gives the text that is remembered of the question; `generate_embedding(text)` the
    embedding of each memory.  Both may be async; where one fails, or takes more than 30 s, a `Problem` says so and the
    exchange is stored without its result.

    An answer of more than `max_single_memory_size` code points (at least 32) is stored in chunks, each a memory of its own:
    those that `chunk(..., max_length=...)` upstream has cut.  It is found through them, and reads back whole.  Of a chunk 16
    bytes are held to the end.  If one is longer, or they are not the whole answer, a `Problem` says so (`NOT_CHUNKED`), and
    the answer is one memory.  Embeddings of chunks are asked for four at a time, by a function that is not async in a thread;
    with `incremental_embeddings` while the answer still streams, as soon as it is longer than one memory may be.

    Commonly used for: the step that makes an answer a memory.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(finalize(SqliteBackend(":memory:")))
    finalize(backend=SqliteBackend(':memory:'))

    See also: `begin`, `persist_partial`, `chunk`, `remember_stream`.
    """
    backend = checked_backend("backend", backend)
    check.optional(check.callback)("extract_content", extract_content)
    check.optional(check.callback)("generate_embedding", generate_embedding)
    check.optional(checked_spool)("spool", spool)
    most = check.optional(check.whole(SHORTEST_CHUNK))("max_single_memory_size", max_single_memory_size)
    check.flag("incremental_embeddings", incremental_embeddings)
    if incremental_embeddings and (most is None or generate_embedding is None):
        accepted = "False, unless max_single_memory_size and generate_embedding are given"
        raise InvalidArgument("incremental_embeddings", incremental_embeddings, accepted)
    whole = extract_content is not None or generate_embedding is not None

    async def worker(inbox: Inbox[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
        async with ChunkEmbedder(inbox, generate_embedding) as vectors:
            exchange = Exchange(whole)
            async for batch in inbox:
                exchange.absorb(batch)
                if most is not None and incremental_embeddings:
                    await vectors.look(batch, exchange, most)
                del batch  # or the events would be held until the next
            ended, opened, begun = exchange.ended, exchange.opened, exchange.begun
            if ended is None or opened is None:
                if inbox.end is End.COMPLETED:
                    message = "the stream was cut off before it ended; its partial is kept"
                    yield log_problem(Problem("finalization", "INCOMPLETE", message, recoverable=True), opened)
                return
            if begun is None and exchange.begin_failed is None:
                raise ChainOrderError("finalize got no Begun: it belongs after begin(...)")
            call, empty = exchange.call(backend, opened, begun, ended), exchange.empty
            args = call.args
            if most is not None and exchange.end > most and not empty:
                args["chunks"] = exchange.chunks(most)
                if not args["chunks"]:
                    message = f"no chunk(..., max_length={most}) has cut all of the answer; it is stored as one memory"
                    yield log_problem(Problem("finalization", "NOT_CHUNKED", message, recoverable=True), opened)
            if whole and not empty and (begun or spool):
                derived = enrich(inbox, args, opened.turn.user_message, exchange.text, extract_content, vectors)
                async for problem in derived:
                    yield log_problem(problem, opened)
            lost = partial(spool_call, spool, opened, "finalize", call)
            if begun is None:
                raise await lost(
                    "the store could not begin the exchange, so it is not stored"
                ) from exchange.begin_failed
            backoff, told = while_streaming(inbox), False
            try:
                while True:
                    try:
                        stored = await call
                        break
                    except Exception as error:
                        if judge(error).verdict.of_exchange:
                            raise
                        if is_transient(error) and not told:
                            told = True
                            yield log_problem(Problem.of("finalization", error, recoverable=True), opened)
                        if not await backoff.again(error):
                            raise await lost(_NOT_STORED) from error
            except asyncio.CancelledError:
                if spool:  # it took too long after a stop; if the store has it nevertheless, it may be sent again
                    await lost(_NOT_STORED)
                raise
            if empty:
                raise EmptyAnswer(
                    "Response stream completed but produced no content; the question is kept as unanswered."
                )
            yield Remembered(
                stored["conversation"]["conversationId"],
                tuple(stored["conversation"]["messageIds"]),
                tuple(MemoryEntry.from_row(row) for row in stored["memories"]),
                stored["stored"] == "before",
            )

    wants = frozenset(
        {
            *(Opened, Begun, Replayed, Resumed, Rewound, Delta, PartialStored, Ended, Custom, Problem),
            *((Chunked,) if most else ()),
        }
    )
    return beside(worker, _INTERVAL, capacity=_BATCH, wants=wants, gated=False)


_NOT_STORED = "the exchange could not be stored"
_INTERVAL = 0.25  # seconds between two looks at what passed; the end is seen at once
_BATCH = 2048  # events that passed are looked at sooner
