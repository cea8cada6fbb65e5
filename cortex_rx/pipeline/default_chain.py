"""The chain that `remember_stream` runs: every option adds, removes or configures one named step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from cortex_rx import operators as cx
from cortex_rx import validation as check
from cortex_rx.backends.base import Backend
from cortex_rx.chain import Chain, Step
from cortex_rx.embedding.embedder import Embedder, GenerateEmbedding
from cortex_rx.errors import InvalidArgument
from cortex_rx.facts.extractor import Extractor
from cortex_rx.models.facts import FactDeduplication, checked_deduplication
from cortex_rx.models.options import STREAMING_OPTIONS, StreamingOptions, parse
from cortex_rx.spool.spool import Spool

if TYPE_CHECKING:
    from cortex_rx.graph.adapter import GraphAdapter

__all__ = ["default_chain", "shared_chain"]


_RETRIES = 3
_OF_FACTS = ("progressive_fact_extraction", "fact_extraction_threshold", "belief_revision")
_OF_GRAPH = ("progressive_graph_sync", "graph_sync_interval")
_SYNC_INTERVAL = STREAMING_OPTIONS["graph_sync_interval"].ours
_shared: WeakValueDictionary[tuple[int, int, int, int, str | None, int], Chain] = WeakValueDictionary()


def default_chain(
    backend: Backend,
    options: StreamingOptions | Mapping[str, Any] | None = None,
    *,
    extract_content: Callable[..., Any] | None = None,
    generate_embedding: GenerateEmbedding | None = None,
    extract_facts: Extractor | None = None,
    fact_deduplication: FactDeduplication | None = None,
    spool: Spool | None = None,
    graph: GraphAdapter | None = None,
) -> Chain:
    """The chain that `remember_stream` runs with these options, as a value that can be taken apart and recomposed.

    >>> from cortex_rx.backends import SqliteBackend
    >>> default_chain(SqliteBackend(":memory:")).names
    ('begin', 'persist_partial', 'recover', 'finalize', 'measure')
    >>> default_chain(SqliteBackend(":memory:"), {"streamTimeout": 30_000, "storePartialResponse": False}).names
    ('timeout', 'begin', 'recover', 'finalize', 'measure')
    >>> print(default_chain(SqliteBackend(":memory:"), {"maxSingleMemorySize": 4_000})["chunk"])
    chunk(strategy='sentence', size=4000, max_length=4000)
    >>> default_chain(SqliteBackend(":memory:"), extract_facts=lambda user_message, text: []).names
    ('begin', 'persist_partial', 'extract_facts', 'recover', 'finalize', 'measure')

    With a `graph`, `sync_graph` stands after `finalize`.
    """
    chosen = parse(StreamingOptions, options)
    steps: list[Step] = []
    if chosen.stream_timeout is not None:
        steps.append(cx.timeout(idle=_ms(chosen.stream_timeout)))
    if chosen.max_retries is not None or chosen.partial_failure_handling == "retry":
        retries = _RETRIES if chosen.max_retries is None else chosen.max_retries
        if retries:
            longest = _ms(chosen.max_retry_after)
            steps.append(cx.resume(retries, _ms(chosen.retry_delay), max_retry_after=longest))
    if chosen.max_response_length is not None:
        steps.append(cx.limit(chosen.max_response_length))
    steps.append(cx.begin(backend, token=chosen.generate_resume_token))
    if chosen.enable_adaptive_processing:
        steps.append(cx.adapt())
    if (cut := _chunk(chosen, generate_embedding)) is not None:
        steps.append(cut)
    strategy = chosen.partial_failure_handling
    if chosen.store_partial_response:
        interval, most = _ms(chosen.partial_response_interval), chosen.max_buffer_size
        # The partial of a stream that is to be rolled back need not be kept.
        kept_in = None if strategy == "rollback" else spool
        steps.append(cx.persist_partial(backend, interval, most, spool=kept_in))
    if (facts := _facts(backend, chosen, extract_facts, fact_deduplication, generate_embedding)) is not None:
        steps.append(facts)
    steps.append(cx.recover("store-partial" if strategy == "retry" else strategy, backend))
    steps.append(
        cx.finalize(
            backend,
            extract_content,
            generate_embedding,
            chosen.max_single_memory_size,
            chosen.incremental_embeddings,
            spool,
            chosen.embedding_merge_strategy,
        )
    )
    if (synced := _graph(backend, chosen, graph)) is not None:
        steps.append(synced)
    steps.append(cx.measure())
    if (hooks := chosen.hooks) is not None:
        given = (hooks.on_chunk, hooks.on_progress, hooks.on_error, hooks.on_complete, hooks.on_end)
        steps.append(cx.observe(*given))
    return Chain(steps)


def shared_chain(
    backend: Backend,
    spool: Spool | None,
    embedder: Embedder | None,
    extractor: Extractor | None,
    deduplication: FactDeduplication | None,
    graph: GraphAdapter | None = None,
) -> Chain:
    """The `default_chain` of these, without options: the same one for all streams, as long as somebody holds it.

    Its steps hold no state of a stream. To make them anew took a third of the time of making an `Answer`, and 45
    objects, which each garbage collection examined.
    """
    # The chain holds them, so these are no other's while it lives.
    key = id(backend), id(spool), id(embedder), id(extractor), deduplication, id(graph)
    found = _shared.get(key)
    if found is None:
        found = _shared[key] = default_chain(
            backend,
            generate_embedding=embedder,
            extract_facts=extractor,
            fact_deduplication=deduplication,
            spool=spool,
            graph=graph,
        )
    return found


def _ms(milliseconds: float) -> timedelta:
    return timedelta(milliseconds=milliseconds)


def _chunk(chosen: StreamingOptions, generate_embedding: GenerateEmbedding | None) -> Step | None:
    """The step that cuts the answer into chunks, if any."""
    strategy, most = chosen.chunking_strategy, chosen.max_single_memory_size
    if strategy == "semantic":
        if generate_embedding is None:
            accepted = "an Embedder or a function, which chunking_strategy 'semantic' needs"
            raise InvalidArgument("generate_embedding", None, accepted)
        return cx.chunk(strategy, chosen.chunk_size, max_length=most, embedder=generate_embedding)
    if strategy is not None:
        return cx.chunk(strategy, chosen.chunk_size, max_length=most)
    if chosen.chunk_size is not None:
        raise InvalidArgument("chunk_size", chosen.chunk_size, "None, unless chunking_strategy says what it counts")
    if most is None and (merge := chosen.embedding_merge_strategy) is not None:
        accepted = "None, unless there are chunks: give chunking_strategy or max_single_memory_size"
        raise InvalidArgument("embedding_merge_strategy", merge, accepted)
    # As many sentences as fit: at one code point each, a chunk of `most` code points holds `most` of them.
    return None if most is None else cx.chunk("sentence", most, max_length=most)


def _facts(
    backend: Backend,
    chosen: StreamingOptions,
    extractor: Extractor | None,
    deduplication: FactDeduplication | None,
    generate_embedding: GenerateEmbedding | None,
) -> Step | None:
    """The step that reads facts, if there is an extractor."""
    check.optional(check.callback)("extract_facts", extractor)
    checked_deduplication("fact_deduplication", deduplication)
    if extractor is None:
        for name in _OF_FACTS:
            if name in chosen.model_fields_set and getattr(chosen, name) is not False:
                raise InvalidArgument(name, getattr(chosen, name), "None, unless extract_facts is given")
        if deduplication is not None:
            raise InvalidArgument("fact_deduplication", deduplication, "None, unless extract_facts is given")
        return None
    return cx.extract_facts(
        extractor,
        backend,
        chosen.fact_extraction_threshold,
        progressive=chosen.progressive_fact_extraction,
        deduplication=deduplication or "structural",
        revise=chosen.belief_revision,
        embedder=generate_embedding if deduplication == "semantic" else None,
    )


def _graph(backend: Backend, chosen: StreamingOptions, graph: GraphAdapter | None) -> Step | None:
    """The step that brings the exchange to the graph, if there is one."""
    if graph is None:
        for name in ("sync_to_graph", *_OF_GRAPH):
            if name in chosen.model_fields_set and getattr(chosen, name) is not False:
                raise InvalidArgument(name, getattr(chosen, name), "None or False: no graph is given")
        return None
    asks = chosen.progressive_graph_sync
    if asks and not chosen.sync_to_graph:
        raise InvalidArgument("progressive_graph_sync", True, "False, unless sync_to_graph is on")
    if chosen.graph_sync_interval != _SYNC_INTERVAL and not asks:
        raise InvalidArgument("graph_sync_interval", chosen.graph_sync_interval, "None, unless progressive_graph_sync")
    if not chosen.sync_to_graph:
        return None
    return cx.sync_graph(graph, backend, asks, _ms(chosen.graph_sync_interval))
