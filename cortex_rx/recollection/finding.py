"""A search whose query is embedded by the client."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import Memories
from cortex_rx.embedding.attempts import query_embedding
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.errors import EmbeddingMismatch, InvalidArgument, MissingExtra
from cortex_rx.models.options import SearchOptions

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import FoundMemory

__all__ = ["find", "is_of"]

log: logging.Logger = logging.getLogger("cortex_rx")

_MOST = 2**53  # what a limit may be


async def find(
    backend: Backend,
    space: Mapping[str, Any],
    query: str,
    options: SearchOptions,
    keywords: Mapping[str, Any],
    default: Embedder | None,
    exclude: Collection[str] = (),
) -> list[FoundMemory]:
    """The rows of `memories:search` with these keywords, made of the options, and the embedding of the query.

    The memories of `exclude`, and the chunks of these, are left out before the limit and the offset.

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
        return await _without(exclude, memories, {**space, "query": query, **keywords, **vector})
    except (EmbeddingMismatch, MissingExtra) as error:
        if required or not vector:
            raise
        log.warning("a search goes on without the embedding of its query: %s", type(error).__name__)
    return await _without(exclude, memories, {**space, "query": query, **keywords})


def is_of(row: Mapping[str, Any], memory_ids: Collection[str]) -> bool:
    """Whether a row is one of these memories, or a chunk of one.

    >>> is_of({"memoryId": "mem-2", "chunkMetadata": {"parentMemoryId": "mem-1"}}, {"mem-1"})
    True
    """
    return row["memoryId"] in memory_ids or row.get("chunkMetadata", {}).get("parentMemoryId") in memory_ids


async def _without(exclude: Collection[str], memories: Memories, keywords: dict[str, Any]) -> list[FoundMemory]:
    """As many rows as if the memories of `exclude` were not there. The chunks of one may be many: then more are asked
    for."""
    if not exclude:
        return await memories.search(**keywords)
    start = keywords.get("offset", 0)
    stop = start + keywords["limit"]
    asked = stop + len(exclude)
    while True:
        rows = await memories.search(**keywords | {"offset": 0, "limit": min(asked, _MOST)})
        kept = [row for row in rows if not is_of(row, exclude)]
        if len(kept) >= stop or len(rows) < asked:
            return kept[start:stop]
        asked *= 4
