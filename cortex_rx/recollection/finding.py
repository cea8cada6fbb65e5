"""A search whose query is embedded by the client."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import Memories
from cortex_rx.backends.contract.typed.rows import FoundMemory
from cortex_rx.embedding.attempts import query_embedding
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.errors import EmbeddingMismatch, InvalidArgument, MissingExtra
from cortex_rx.models.options import SearchOptions

__all__ = ["find"]

log: logging.Logger = logging.getLogger("cortex_rx")


async def find(
    backend: Backend,
    space: Mapping[str, Any],
    query: str,
    options: SearchOptions,
    keywords: Mapping[str, Any],
    default: Embedder | None,
) -> list[FoundMemory]:
    """The rows of `memories:search` with these keywords, made of the options, and the embedding of the query.

    The query is embedded once, by the embedder of the options or the default one, if they ask for it. If that fails,
    takes longer than the embedder's `query_timeout`, or cannot be compared with what the store has, the search goes on
    without it, and the log says so. With the strategy "semantic", which has nothing else, the error is raised.
    """
    memories, required = Memories(backend), options.strategy == "semantic"
    embedder = options.embedder(default)
    if required and embedder is None and options.embedding is None:
        raise InvalidArgument("embedding", None, 'an embedding of the query, or an embedder, with "semantic"')
    vector = {} if embedder is None else await query_embedding(embedder, query, required=required)
    try:
        return await memories.search(**space, query=query, **keywords, **vector)
    except (EmbeddingMismatch, MissingExtra) as error:
        if required or not vector:
            raise
        log.warning("a search goes on without the embedding of its query: %s", type(error).__name__)
    return await memories.search(**space, query=query, **keywords)
