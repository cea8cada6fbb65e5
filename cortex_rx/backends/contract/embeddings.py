"""Calls that carry embeddings, and what remains of them when a store refuses these.

A text must never be lost for its embedding. So a writer sends a refused call again without them, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from cortex_rx.errors import EmbeddingMismatch, InvalidArgument

__all__ = ["refuses_embeddings", "without_embeddings"]

_WITH_EMBEDDINGS = frozenset({"chunks", "facts", "extractions"})
_FIELDS = frozenset({"embedding", "userEmbedding", "agentEmbedding", "embeddingModel"})


def without_embeddings(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call without the embeddings, also those of chunks and facts.

    >>> chunk = {"start": 0, "end": 1, "embedding": [1.0]}
    >>> without_embeddings({"text": "x", "agentEmbedding": [1.0], "chunks": [chunk]})
    {'text': 'x', 'chunks': [{'start': 0, 'end': 1}]}
    """
    rest = {name: value for name, value in args.items() if name not in _FIELDS}
    for name in _WITH_EMBEDDINGS & rest.keys():
        rest[name] = [without_embeddings(one) for one in cast("list[dict[str, Any]]", rest[name])]
    return rest


def refuses_embeddings(error: Exception, args: Mapping[str, Any]) -> bool:
    """Whether a call with these arguments failed for its embeddings: without them it may succeed.

    >>> refuses_embeddings(InvalidArgument("chunks[3].embedding[0]", "a string", "a number"), {"userEmbedding": ["x"]})
    True
    >>> refuses_embeddings(InvalidArgument("text", "a number", "a string"), {"userEmbedding": [1.0]})
    False
    """
    about = isinstance(error, EmbeddingMismatch) or (
        isinstance(error, InvalidArgument) and not _FIELDS.isdisjoint(re.findall(r"\w+", error.field))
    )
    return about and without_embeddings(args) != args
