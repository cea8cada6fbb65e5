"""Store the exchange: once, complete, or not at all."""

from __future__ import annotations

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.chain import Operator, operator
from cortex_rx.embedding.embedder import GenerateEmbedding, as_embedder
from cortex_rx.embedding.merging import EmbeddingMergeStrategy, checked_merge_strategy
from cortex_rx.engine import beside
from cortex_rx.errors import InvalidArgument
from cortex_rx.events import (
    Begun,
    Chunked,
    Custom,
    Delta,
    Ended,
    FactsExtracted,
    Opened,
    PartialStored,
    Problem,
    Remembered,
    Replayed,
    Resumed,
    Rewound,
)
from cortex_rx.models.records import SHORTEST_CHUNK
from cortex_rx.operators._support.embedding import Extract
from cortex_rx.operators._support.finalizer import Finalizer
from cortex_rx.spool.spool import Spool, checked_spool

__all__ = ["finalize"]

_INTERVAL = 2.0  # seconds between two looks at what passed; the end is seen at once
_INTERVAL_OF_CHUNKS = 0.25  # the same where each look asks for the embeddings of new chunks
_BATCH = 2048  # after so many events it looks sooner
_READS = (Opened, Begun, Replayed, Resumed, Rewound, Delta, PartialStored, FactsExtracted, Ended, Custom, Problem)


@operator(
    needs=[Begun],
    needs_for={"max_single_memory_size": [Chunked], "embedding_merge_strategy": [Chunked]},
    reads=[Opened, Replayed, Resumed, Rewound, Delta, PartialStored, Chunked, FactsExtracted, Ended, Custom, Problem],
    emits=[Remembered, Problem],
    captures_text=True,
)
def finalize(
    backend: Backend,
    extract_content: Extract | None = None,
    generate_embedding: GenerateEmbedding | None = None,
    max_single_memory_size: int | None = None,
    incremental_embeddings: bool = False,
    spool: Spool | None = None,
    embedding_merge_strategy: EmbeddingMergeStrategy | None = None,
) -> Operator:
    """When the answer has ended, store the exchange once, in one transaction: both messages and both memories.

    The partial memory becomes the memory of the answer, under the same id.

    ```text
    finalize(store)
    source  O--Ba-b-c-(E|)
    store   [--]------([abc)--]---
    out     O--Ba-b-c-E-------(R|)

    O = Opened, B = Begun, E = Ended, R = Remembered, [ ] = a write
    ```

    Reads `Delta`, `PartialStored` and `Ended`; emits `Remembered`. Downstream of `persist_partial` it holds only the
    text after the last `PartialStored`. Without that step, or with one of the functions below, it holds the whole
    answer (**unbounded**).

    It acts once it has seen `Ended`, also if the stream was cancelled after that. If the stream fails or is cut off
    before, it is not finalised, and its partial stays. Finalising again is safe: the same text returns the stored
    exchange, another text is an `IdempotencyConflict`. An answer that is blank, calls no tools and is no refusal fails
    with `EmptyAnswer`; the question is kept, marked unanswered. A refusal is stored like any other answer; its message
    says so (`finishReason`: `refusal`). If the store fails four times in two seconds, the stream fails with
    `NotStored`, which carries the text that is not durable. A stream that is stopped goes on trying for 6 s. With a
    `spool`, everything that was not stored is kept there and delivered later, and the error says where. `Fenced`,
    `Diverged`, `Gap` and `StreamNotFound` end the stream as they are.

    `extract_content(question, answer)` returns the text that is remembered of the question, and may be async.
    `generate_embedding`, an `Embedder` or a function from a text to its vector, sync or async, gets the whole content
    of each memory, and of each chunk. If one fails, or takes more than 30 s, there is a `Problem`, and the exchange is
    stored without its result.

    An answer of more than `max_single_memory_size` code points (at least 32) is stored in chunks, each a memory of its
    own: the chunks of `chunk(..., max_length=...)` upstream. The answer is found through them, and reads back whole. 16
    bytes per chunk are held until the end. If a chunk is longer, or the chunks are not the whole answer, there is a
    `Problem` (`NOT_CHUNKED`), and the answer is one memory.

    Embeddings are asked for by four calls at a time; a function that is not async is called on a thread. With
    `incremental_embeddings` those of chunks are asked for while the answer streams, as soon as it is longer than one
    memory may be. The vectors of the chunks that are stored are held until the end (**unbounded**).

    With `embedding_merge_strategy="average"` no call gets the whole answer. Its vector is the mean of those of its
    chunks (`chunk(...)` upstream), weighted by their lengths, an overlap counted once; the length of the vector is the
    mean of theirs. A chunk that is blank, or for which the function returns None, counts for nothing. With
    `incremental_embeddings`, too, each chunk is asked for as soon as it has closed. Of chunks that are not stored only
    the mean is held. If the embedding of a chunk fails, if the chunks are not the whole answer, or if their vectors
    cancel out, the whole answer is embedded.

    What `extract_facts` upstream has read and could not store yet is stored with the exchange, and `Remembered` has the
    facts of the exchange and what they have revised. If the store refuses them, there is a `Problem`, and the exchange
    is stored without them; they are read again later.

    Commonly used for: making an answer a memory.

    >>> from cortex_rx.backends import SqliteBackend
    >>> print(finalize(SqliteBackend(":memory:")))
    finalize(backend=SqliteBackend(':memory:'))

    See also: `begin`, `persist_partial`, `chunk`, `remember_stream`.
    """
    backend = checked_backend("backend", backend)
    check.optional(check.callback)("extract_content", extract_content)
    embedder = as_embedder(generate_embedding)
    check.optional(checked_spool)("spool", spool)
    most = check.optional(check.whole(SHORTEST_CHUNK))("max_single_memory_size", max_single_memory_size)
    check.flag("incremental_embeddings", incremental_embeddings)
    merge = checked_merge_strategy("embedding_merge_strategy", embedding_merge_strategy)
    if merge and embedder is None:
        raise InvalidArgument("embedding_merge_strategy", merge, "None, unless generate_embedding is given")
    if incremental_embeddings and (embedder is None or (most is None and merge is None)):
        accepted = "False, unless generate_embedding and max_single_memory_size or embedding_merge_strategy are given"
        raise InvalidArgument("incremental_embeddings", incremental_embeddings, accepted)
    finalizer = Finalizer(backend, extract_content, embedder, most, incremental_embeddings, spool, merge)
    wants = frozenset({*_READS, Chunked} if most or merge else _READS)
    interval = _INTERVAL_OF_CHUNKS if incremental_embeddings else _INTERVAL
    return beside(finalizer.run, interval, capacity=_BATCH, wants=wants, gated=False)
