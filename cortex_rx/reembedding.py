"""`reembed`: move a store to another embedding model while it is in use.

>>> import asyncio
>>> from cortex_rx import Cortex, Embedder
>>> old, new = Embedder(lambda text: [1.0], "old"), Embedder(lambda text: [len(text), 1], "new")
>>> async def main():
...     async with Cortex(":memory:", generate_embedding=old) as cortex:
...         await cortex.memory.remember(
...             memory_space_id="support", conversation_id="c-1", user_message="Where is it?",
...             agent_response="In Lisbon.", agent_id="helper")
...         done = await cortex.memory.reembed(new)
...         return done, [memory.embedding for memory in await cortex.memory.list("support")]
>>> asyncio.run(main())
(Reembedded(model='new', dimension=2, embedded=2), [(10.0, 1.0), (12.0, 1.0)])
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.typed import Memories
from cortex_rx.embedding.embedder import Embedder, GenerateEmbedding, as_embedder
from cortex_rx.errors import InvalidArgument
from cortex_rx.retry.pauses import Backoff, doubling, retrying, within

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import Unembedded, Vector

__all__ = ["ReembedProgress", "Reembedded", "reembed"]

T = TypeVar("T")

_PATIENCE = 60.0  # seconds for which a store or an embedder that fails for now is asked again


@dataclass(frozen=True, slots=True)
class ReembedProgress:
    """How far it is: `embedded` of about `total` memories and chunks. What is stored meanwhile comes on top."""

    embedded: int
    total: int


@dataclass(frozen=True, slots=True)
class Reembedded:
    """The store has embeddings of this model now; `embedded` were made by this call."""

    model: str
    dimension: int
    embedded: int


async def reembed(
    backend: Backend,
    generate_embedding: GenerateEmbedding,
    *,
    embedding_model: str | None = None,
    batch_size: int = 100,
    on_progress: Callable[[ReembedProgress], object] | None = None,
) -> Reembedded:
    """Embed all that a store has, in every memory space, by this model, and make it the store's own.

    What has a vector of another model gets one of this, and so does what has none: so it is also the way to give a
    store its first embeddings. The embedder must say the name of its model, or `embedding_model` does.

    Searches go on over the old vectors until the last memory has a new one; then the models change places at once.
    Writes with either model are taken until then, afterwards only those with the new one. At most `batch_size` texts,
    of about a million code points together, are held at a time. If it is cancelled or its process killed, the same call
    goes on where that was. `on_progress`, sync or async, is called after each batch.

    A store or an embedder that fails for now is asked again for a minute. Its last error is raised, and what was done
    is kept. `EmbeddingMismatch`: meanwhile another process began to move the store to a third model.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend
    >>> asyncio.run(reembed(SqliteBackend(":memory:"), len))
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: embedding_model: got None; accepted: the name of the model
    """
    backend = checked_backend("backend", backend)
    embedder = as_embedder(generate_embedding, embedding_model)
    if embedder is None:
        raise InvalidArgument("generate_embedding", None, "an Embedder, or a function")
    if embedder.model is None:
        raise InvalidArgument("embedding_model", None, "the name of the model")
    check.whole(1)("batch_size", batch_size)
    check.optional(check.callback)("on_progress", on_progress)
    memories, model = Memories(backend), embedder.model
    dimension = embedder.dimension or await _dimension(embedder)
    move = memories.reembed(model=model, dimension=dimension)
    state = await _asked(move)
    embedded, total, after, looked_on = 0, 0, None, False
    changed = False  # something was while it was embedded
    while True:
        page = await _asked(memories.unembedded(model=model, after=after, limit=batch_size))
        total = max(total, embedded + page.get("left", 0))
        if page["memories"]:
            stored, sent = await _embed(memories, embedder, page["memories"])
            embedded, changed = embedded + stored, changed or stored < sent
            after, looked_on = page.get("next"), False
            if on_progress and inspect.isawaitable(
                told := on_progress(ReembedProgress(embedded, max(embedded, total)))
            ):
                await told
            continue
        if changed:
            after, changed = None, False
            continue
        state = await _asked(move)
        if state["current"]:
            break
        # Something was stored meanwhile: it comes next, or it is of a memory that had been looked at.
        after, looked_on = (None if looked_on else after), True
    while not state["done"]:
        state = await _asked(move)
    return Reembedded(model, dimension, embedded)


async def _embed(memories: Memories, embedder: Embedder, page: list[Unembedded]) -> tuple[int, int]:
    """Embed the texts of a page and store their vectors; return how many were stored, of how many."""
    texts = [memory["content"] for memory in page]
    found = await _retried(lambda: embedder.embed(texts))
    vectors: list[Vector] = []
    for memory, vector in zip(page, found, strict=True):
        one: Vector = {
            "memorySpaceId": memory["memorySpaceId"],
            "memoryId": memory["memoryId"],
            "updatedAt": memory["updatedAt"],
        }
        if vector is not None:
            one["embedding"] = vector
        vectors.append(one)
    assert embedder.model is not None
    stored = await _asked(memories.embed(model=embedder.model, vectors=vectors))
    return stored["stored"], sum("embedding" in one for one in vectors)


async def _dimension(embedder: Embedder) -> int:
    (vector,) = await _retried(lambda: embedder.embed(["text"]))
    if vector is None:
        raise InvalidArgument("generate_embedding", None, "a vector for any text, or an Embedder with its dimension")
    return len(vector)


async def _asked(call: Call[T]) -> T:
    """The result of a call of the store, which may be repeated."""
    return await _retried(lambda: call)


async def _retried(call: Callable[[], Awaitable[T]]) -> T:
    return await retrying(call, Backoff(within(_PATIENCE, doubling(0.1, 5.0))))
