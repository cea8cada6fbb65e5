"""`cortex.vector`: the memories alone, without their facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from cortex_rx import validation as check
from cortex_rx.api._graph import check_sync
from cortex_rx.api._stored_memories import StoredMemories, changed, found, kept
from cortex_rx.backends.base import Backend
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.errors import UnsupportedOption
from cortex_rx.models.base import ids, parse
from cortex_rx.models.memories import (
    DeleteManyResult,
    DeleteResult,
    ManyMemoriesFilter,
    MemoryUpdate,
    UpdateMemoryOptions,
)
from cortex_rx.models.options import DeleteMemoryOptions, SearchOptions
from cortex_rx.models.records import MemoryEntry
from cortex_rx.models.store_input import StoreMemoryInput, StoreMemoryOptions

__all__ = ["VectorAPI"]

_Entries: TypeAlias = list[MemoryEntry]  # inside the class, `list` is a method


class VectorAPI(StoredMemories):
    """The memories alone: what `cortex.memory` does with them, without their facts and conversations.  Every method
    works in one memory space and sees no other.

    Arguments are checked first: `InvalidArgument` or `UnsupportedOption` is raised before the backend is called.  If
    the backend refuses a call, the error is a `StoreError`.  `embedder` gives what embeds contents and queries; None
    for nothing.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         vector = VectorAPI(backend)
    ...         stored = await vector.store("s", {"content": "The office closes at six."})
    ...         await vector.update("s", stored.memory_id, {"content": "The office closes at five."})
    ...         return [one.content for one in await vector.get_history("s", stored.memory_id)]
    >>> asyncio.run(main())
    ['The office closes at six.', 'The office closes at five.']
    """

    def __init__(self, backend: Backend, *, embedder: Callable[[], Embedder | None] | None = None) -> None:
        super().__init__(backend)
        self._embedder: Callable[[], Embedder | None] | None = check.optional(check.function)("embedder", embedder)

    def _default(self) -> Embedder | None:
        return None if self._embedder is None else self._embedder()

    async def store(
        self,
        memory_space_id: str,
        input: StoreMemoryInput | Mapping[str, Any] | str,
        options: StoreMemoryOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> MemoryEntry:
        """Store one memory: `cortex.memory.store`."""
        await check_sync(self._backend, parse(StoreMemoryOptions, options).sync_to_graph)
        return await kept(self._memories, memory_space_id, input, keywords, self._default(), "input")

    async def get(self, memory_space_id: str, memory_id: str) -> MemoryEntry | None:
        """The memory with its whole content, or None if the memory space has no memory with this id."""
        row = await self._memories.get(**ids(memory_space_id=memory_space_id, memory_id=memory_id))
        return None if row is None else MemoryEntry.from_row(row)

    async def search(
        self,
        memory_space_id: str,
        query: str,
        options: SearchOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> _Entries:
        """The memories that match `query`, best first: `cortex.memory.search`.  `enrich_conversation` is refused: that
        is of `cortex.memory`."""
        given = parse(SearchOptions, options, **keywords)
        if given.enrich_conversation:
            raise UnsupportedOption("enrich_conversation", True, "None or False; cortex.memory.search has it")
        rows = await found(self._backend, memory_space_id, query, given, self._default())
        return [MemoryEntry.from_row(row) for row in rows]

    async def update(
        self,
        memory_space_id: str,
        memory_id: str,
        updates: MemoryUpdate | Mapping[str, Any] | None = None,
        options: UpdateMemoryOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> MemoryEntry:
        """Change a memory, and return it: `cortex.memory.update`, without its facts; `reextract_facts` is refused."""
        beside = parse(UpdateMemoryOptions, options)
        for name in ("reextract_facts", "extract_facts"):
            if getattr(beside, name):
                raise UnsupportedOption(name, check.shown(getattr(beside, name)), "None; cortex.memory.update has it")
        given = parse(MemoryUpdate, updates, **keywords)
        await check_sync(self._backend, beside.sync_to_graph)
        memory = ids(memory_space_id=memory_space_id, memory_id=memory_id)
        return await changed(self._memories, memory, given, self._default())

    async def delete(
        self,
        memory_space_id: str,
        memory_id: str,
        options: DeleteMemoryOptions | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> DeleteResult:
        """Delete a memory, and with an answer its chunks.  The facts that it says stay; `cascade_delete_facts=True` is
        refused: that is of `cortex.memory`.

        Raises `MemoryNotFound`, and `InvalidArgument` for a chunk, which can only be deleted with its answer.
        """
        beside = parse(DeleteMemoryOptions, options, **keywords)
        if beside.cascade_delete_facts and "cascade_delete_facts" in beside.model_fields_set:
            raise UnsupportedOption("cascade_delete_facts", True, "None or False; cortex.memory.delete has it")
        memory = ids(memory_space_id=memory_space_id, memory_id=memory_id)
        await check_sync(self._backend, beside.sync_to_graph)
        return DeleteResult.from_row(await self._memories.delete_memory(**memory, cascade_delete_facts=False))

    async def delete_many(
        self,
        memory_space_id: str,
        filters: ManyMemoriesFilter | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> DeleteManyResult:
        """Delete all memories that pass the filters, all or none.  The facts that they say stay.

        `filters` are a `ManyMemoriesFilter`, a mapping of its fields, or keywords: at least one.
        """
        space = ids(memory_space_id=memory_space_id)
        narrowed = parse(ManyMemoriesFilter, filters, **keywords).keywords()
        call = self._memories.delete_many(**space, **narrowed, cascade_delete_facts=False)
        return DeleteManyResult.from_row(await call)
