"""Embedding where a failure must not stop what it is for: it is logged, without the text, and there is no vector."""

from __future__ import annotations

import logging
from typing import Any

from cortex_rx.embedding.embedder import Embedder

__all__ = ["query_embedding", "text_embedding"]

log: logging.Logger = logging.getLogger("cortex_rx")


async def text_embedding(embedder: Embedder, text: str, what: str) -> dict[str, Any]:
    """The `embedding` of a text to be stored, with its `embedding_model`, as keywords of a typed call; or none. `what`
    it is, as "a memory", stands in the log."""
    try:
        vector = await embedder.embed_text(text)
    except Exception as error:
        log.warning("%s is stored without an embedding: %s", what, type(error).__name__)
        return {}
    return _keywords(embedder, vector)


async def query_embedding(embedder: Embedder, query: str, *, required: bool = False) -> dict[str, Any]:
    """The same for a query. If it is `required`, the error is raised."""
    try:
        vector = await embedder.embed_query(query)
    except Exception as error:
        if required:
            raise
        log.warning("a search goes on without the embedding of its query: %s", type(error).__name__)
        return {}
    return _keywords(embedder, vector)


def _keywords(embedder: Embedder, vector: list[float] | None) -> dict[str, Any]:
    named = {} if embedder.model is None else {"embedding_model": embedder.model}
    return {} if vector is None else {"embedding": vector, **named}
