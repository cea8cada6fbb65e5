"""What `cortex.memory` and `cortex.vector` have in common: the memories of a store, as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import is_dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast, get_args, overload

from cortex_rx import validation as check
from cortex_rx.api._conversations import conversation_named
from cortex_rx.api._embedded import store_embedded
from cortex_rx.api._pages import checked_page_size, pages
from cortex_rx.api._repeated import repeated
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Facts, Memories
from cortex_rx.embedding.embedder import Embedder
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import ids, parse
from cortex_rx.models.exports import ExportFormat, ExportResult, stream_export
from cortex_rx.models.facts import FactRecord
from cortex_rx.models.memories import (
    ArchivedMemory,
    EnrichedMemory,
    ManyMemoriesFilter,
    MemoryChanges,
    MemoryUpdate,
    MemoryVersion,
    RestoredMemory,
    UpdateManyResult,
)
from cortex_rx.models.memory_exports import export_columns, exported
from cortex_rx.models.options import MemoryFilter, SearchOptions, SourceType
from cortex_rx.models.records import Conversation, MemoryEntry
from cortex_rx.models.store_input import StoreMemoryInput
from cortex_rx.recollection.finding import find
from cortex_rx.unique import new_id

__all__ = ["StoredMemories", "changed", "found", "kept"]

_Entries: TypeAlias = list[MemoryEntry]  # inside the class, `list` is a method
_Enriched: TypeAlias = list[EnrichedMemory]
_Versions: TypeAlias = list[MemoryVersion]
_FORMAT = check.one_of(*get_args(ExportFormat))
_OF_EXPORTS = ("format", "include_embeddings", "include_facts")


async def kept(
    memories: Memories,
    memory_space_id: str,
    content: Any,
    keywords: dict[str, Any],
    default: Embedder | None,
    named: str = "content",
) -> MemoryEntry:
    """Store a memory: a text, or a `StoreMemoryInput` or a mapping of its fields; embedded by its own embedder or the
    default one."""
    space = ids(memory_space_id=memory_space_id)
    if isinstance(content, str):
        content = {"content": check.any_text(named, content)}
    elif not isinstance(content, StoreMemoryInput | Mapping) and not is_dataclass(content):
        accepted = "a string, or a StoreMemoryInput or a mapping of its fields"
        raise InvalidArgument(named, check.shown(content), accepted)
    given = parse(StoreMemoryInput, content, **keywords)
    memory = {"memory_id": f"mem-{new_id('memory')}", **given.keywords()}
    row = await store_embedded(memories.store, space | memory, "a memory", given.content, given.embedder(default))
    return MemoryEntry.from_row(row)


async def changed(
    memories: Memories, memory: dict[str, Any], given: MemoryUpdate, default: Embedder | None, **more: Any
) -> MemoryEntry:
    """Change a memory; a new content is embedded by its own embedder or the default one."""
    values = memory | given.keywords() | more | {"operation_id": new_id("operation")}
    row = await store_embedded(memories.update, values, "a memory", given.content or "", given.embedder(default))
    return MemoryEntry.from_row(row)


async def found(
    backend: Backend, memory_space_id: str, query: str, given: SearchOptions, default: Embedder | None
) -> Sequence[Any]:
    """The rows that match a query, best first."""
    check.any_text("query", query)
    return await find(backend, ids(memory_space_id=memory_space_id), query, given, given.keywords(), default)


class StoredMemories:
    """The memories of a backend: listed, counted, exported, archived, and their versions."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        self._memories = Memories(backend)

    async def count(
        self,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: SourceType | None = None,
        *,
        include_partial: bool = False,
        include_chunks: bool = False,
        include_archived: bool = False,
    ) -> int:
        """The number of memories, of this user, participant and source if given. It costs the same however many there
        are.

        Answers that still stream count only with `include_partial`, archived memories only with `include_archived`.
        With `include_chunks`, the chunks of an answer count besides the answer.
        """
        narrowed = MemoryFilter(
            user_id=user_id,
            participant_id=participant_id,
            source_type=source_type,
            include_partial=include_partial,
            include_chunks=include_chunks,
            include_archived=include_archived,
        ).keywords()
        return await self._memories.count(**ids(memory_space_id=memory_space_id), **narrowed)

    @overload
    async def list(
        self,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: SourceType | None = None,
        limit: int | None = None,
        enrich_facts: Literal[False] = False,
        *,
        conversation_id: str | None = None,
        offset: int = 0,
        include_partial: bool = False,
        include_chunks: bool = False,
        include_archived: bool = False,
    ) -> _Entries: ...

    @overload
    async def list(
        self,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: SourceType | None = None,
        limit: int | None = None,
        *,
        enrich_facts: Literal[True],
        conversation_id: str | None = None,
        offset: int = 0,
        include_partial: bool = False,
        include_chunks: bool = False,
        include_archived: bool = False,
    ) -> _Enriched: ...

    async def list(
        self,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: SourceType | None = None,
        limit: int | None = None,
        enrich_facts: bool = False,
        *,
        conversation_id: str | None = None,
        offset: int = 0,
        include_partial: bool = False,
        include_chunks: bool = False,
        include_archived: bool = False,
    ) -> _Entries | _Enriched:
        """At most `limit` (100) memories, newest first, without the first `offset` of them.  The filters apply before
        the limit.

        With `enrich_facts`, each is an `EnrichedMemory` with the facts that come from it.  With `include_chunks`, the
        chunks of an answer follow it, in order.  `content` is at most the first 65,536 code points, and
        `content_length` the true length.  Archived memories are listed only with `include_archived`.
        """
        check.flag("enrich_facts", enrich_facts)
        narrowed = MemoryFilter(
            user_id=user_id,
            participant_id=participant_id,
            source_type=source_type,
            conversation_id=conversation_id,
            limit=limit,
            offset=offset,
            include_partial=include_partial,
            include_chunks=include_chunks,
            include_archived=include_archived,
        ).keywords()
        rows = await self._memories.list(**ids(memory_space_id=memory_space_id), **narrowed)
        if enrich_facts:
            return await self._enriched(memory_space_id, rows, conversations=False)
        return [MemoryEntry.from_row(row) for row in rows]

    async def iterate(
        self,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: SourceType | None = None,
        *,
        conversation_id: str | None = None,
        include_archived: bool = False,
        page_size: int = 100,
    ) -> AsyncGenerator[MemoryEntry]:
        """All memories, in the order in which they were made, page by page.

        Chunks and answers that still stream are left out.  An exchange that ends meanwhile stands where it began: it
        may be left out, too.
        """
        narrowed = MemoryFilter(
            user_id=user_id,
            participant_id=participant_id,
            source_type=source_type,
            conversation_id=conversation_id,
            include_archived=include_archived,
        ).keywords()
        rows = self._rows(ids(memory_space_id=memory_space_id) | narrowed, page_size)
        async with aclosing(rows):
            async for row in rows:
                yield MemoryEntry.from_row(row)

    def _rows(self, narrowed: Mapping[str, Any], page_size: int) -> AsyncGenerator[dict[str, Any]]:
        size = checked_page_size("page_size", page_size)

        async def fetch(limit: int, cursor: str | None) -> Mapping[str, Any]:
            return await self._memories.page(**narrowed, limit=limit, cursor=cursor)

        return pages(fetch, lambda row: cast("dict[str, Any]", row), size)

    async def export(
        self,
        memory_space_id: str,
        user_id: str | None = None,
        format: ExportFormat = "json",
        include_embeddings: bool = False,
        include_facts: bool = False,
        *,
        include_archived: bool = False,
    ) -> ExportResult:
        """The memories as JSON or CSV, with their full content, in the order in which they were made.

        With `include_facts`, each has the facts that come from it.
        """
        named = self._exported(memory_space_id, user_id, format, include_embeddings, include_facts, include_archived)
        return ExportResult.from_row(await self._memories.export_memories(**named))

    def _exported(
        self, space: str, user_id: str | None, format: ExportFormat, embeddings: bool, facts: bool, archived: bool
    ) -> dict[str, Any]:
        """The arguments of an export."""
        return {
            **ids(memory_space_id=space),
            **MemoryFilter(user_id=user_id, include_archived=archived).keywords(),
            "format": _FORMAT("format", format),
            "include_embeddings": check.flag("include_embeddings", embeddings),
            "include_facts": check.flag("include_facts", facts),
        }

    async def stream_export(
        self,
        memory_space_id: str,
        user_id: str | None = None,
        format: ExportFormat = "json",
        include_embeddings: bool = False,
        include_facts: bool = False,
        *,
        include_archived: bool = False,
    ) -> AsyncGenerator[str]:
        """The text of `export` in pieces, never all of it in memory."""
        named = self._exported(memory_space_id, user_id, format, include_embeddings, include_facts, include_archived)
        columns = export_columns(include_embeddings, include_facts)
        narrowed = {name: value for name, value in named.items() if name not in _OF_EXPORTS}
        rows = self._whole(memory_space_id, self._rows(narrowed, 100), columns)
        async with aclosing(rows):
            async for piece in stream_export(format, columns, rows):
                yield piece

    async def _whole(
        self, space: str, rows: AsyncGenerator[dict[str, Any]], columns: tuple[str, ...]
    ) -> AsyncGenerator[dict[str, Any]]:
        """The rows of an export, each with its full content; one that is deleted meanwhile is left out."""
        async with aclosing(rows):
            async for row in rows:
                memory: Mapping[str, Any] | None = row
                if row["contentLength"] > len(row["content"]):
                    memory = await self._memories.get(memory_space_id=space, memory_id=row["memoryId"])
                if memory is None:
                    continue
                facts = {}
                if "facts" in columns:
                    facts = {"facts": await Facts(self._backend).list(memory_space_id=space, memory_id=row["memoryId"])}
                yield exported({**memory, **facts}, columns)

    async def update_many(
        self,
        memory_space_id: str,
        filters: ManyMemoriesFilter | Mapping[str, Any] | None = None,
        updates: MemoryChanges | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> UpdateManyResult:
        """Change all memories that pass the filters, all or none; each gets a version.

        `filters` are a `ManyMemoriesFilter`, a mapping of its fields, or keywords: at least one.  `updates` are the new
        `importance`, `tags` or `metadata`.
        """
        space = ids(memory_space_id=memory_space_id)
        narrowed = parse(ManyMemoriesFilter, filters, **keywords).keywords()
        changes = parse(MemoryChanges, updates).keywords()
        call = self._memories.update_many(**space, **narrowed, **changes)
        return UpdateManyResult.from_row(await call)

    async def archive(self, memory_space_id: str, memory_id: str) -> ArchivedMemory:
        """Archive a memory: it is in no list, count, search or recall any more, unless archived ones are asked for.

        `get` shows it, with `is_archived`.  It keeps its tags, its importance and its facts.  Raises `MemoryNotFound`.
        """
        memory = ids(memory_space_id=memory_space_id, memory_id=memory_id)
        row = await repeated(self._memories.archive(**memory))
        return ArchivedMemory.from_row(row)

    async def restore_from_archive(self, memory_space_id: str, memory_id: str) -> RestoredMemory:
        """Bring an archived memory back, as it was.  Raises `MemoryNotArchived` and `MemoryNotFound`."""
        memory = ids(memory_space_id=memory_space_id, memory_id=memory_id)
        return RestoredMemory.from_row(await self._memories.restore_from_archive(**memory))

    async def get_version(self, memory_space_id: str, memory_id: str, version: int) -> MemoryVersion | None:
        """The memory as it was in a version, from 1 on; None if there is none."""
        memory = ids(memory_space_id=memory_space_id, memory_id=memory_id)
        row = await self._memories.get_version(**memory, version=check.whole()("version", version))
        return None if row is None else MemoryVersion.from_row(row)

    async def get_history(self, memory_space_id: str, memory_id: str) -> _Versions:
        """All versions of the memory, the current one last; none if it is not there."""
        rows = await self._memories.get_history(**ids(memory_space_id=memory_space_id, memory_id=memory_id))
        return [MemoryVersion.from_row(row) for row in rows]

    async def get_at_timestamp(
        self, memory_space_id: str, memory_id: str, timestamp: int | datetime
    ) -> MemoryVersion | None:
        """The version that was there at a time: epoch milliseconds, or a `datetime` with a time zone.  None before the
        memory was made."""
        memory = ids(memory_space_id=memory_space_id, memory_id=memory_id)
        row = await self._memories.get_at_timestamp(**memory, timestamp=check.time("timestamp", timestamp))
        return None if row is None else MemoryVersion.from_row(row)

    async def _enriched(self, space: str, rows: Sequence[Any], *, conversations: bool = True) -> _Enriched:
        """The memories with the facts that come from them, and with their conversations, each read once."""
        read: dict[str, Conversation | None] = {}
        found: _Enriched = []
        for row in rows:
            memory = MemoryEntry.from_row(row)
            id = memory.memory_id if memory.chunk_metadata is None else memory.chunk_metadata.parent_memory_id
            facts = await Facts(self._backend).list(memory_space_id=space, memory_id=id)
            ref = memory.conversation_ref if conversations else None
            talk = None
            if ref is not None:
                named = ref["conversationId"]
                if named not in read:
                    there = await conversation_named(self._backend, space, named)
                    read[named] = None if there is None else Conversation.from_row(there)
                talk = read[named]
            wanted = set(() if ref is None else ref["messageIds"])
            found.append(
                EnrichedMemory(
                    memory=memory,
                    conversation=talk,
                    source_messages=tuple(one for one in (talk.messages if talk else ()) if one.id in wanted),
                    facts=tuple(map(FactRecord.from_row, facts)),
                )
            )
        return found
