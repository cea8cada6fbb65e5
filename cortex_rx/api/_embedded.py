"""Storing a text with its embedding, where a failure of the embedding costs only the vector."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.embeddings import refuses_embeddings, without_embeddings
from cortex_rx.embedding.attempts import text_embedding
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.retry.pauses import SHORT_PAUSES, Backoff, retrying

__all__ = ["store_embedded"]

log: logging.Logger = logging.getLogger("cortex_rx")

T = TypeVar("T")


async def store_embedded(
    store: Callable[..., Call[T]], keywords: dict[str, Any], what: str, text: str, embedder: Embedder | None
) -> T:
    """The result of the typed call `store` with these keywords and the embedding of the text.

    `what`, as "a memory", is stored without a vector if its text cannot be embedded, or if the store refuses what
    `embedder` made; the log says so. A store that cannot be reached is asked again for two seconds.
    """
    if embedder is not None:
        keywords = keywords | await text_embedding(embedder, text, what)
    call = store(**keywords)
    try:
        return await retrying(lambda: call, Backoff(SHORT_PAUSES))
    except Exception as error:
        if embedder is None or not refuses_embeddings(error, call.args):
            raise
        log.warning("%s is stored without an embedding: %s", what, type(error).__name__)
        bare = call.with_args(without_embeddings(call.args))
        return await retrying(lambda: bare, Backoff(SHORT_PAUSES))
