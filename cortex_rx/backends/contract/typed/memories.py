"""The functions `memories:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import (
        ArchivedMemory,
        ConversationRef,
        DeletedMemories,
        DeletedMemory,
        EmbeddedMemories,
        Forgotten,
        FoundMemory,
        ImmutableRef,
        Memory,
        MemoryExport,
        MemoryPage,
        MemoryVersion,
        MutableRef,
        Reembedding,
        RestoredMemory,
        Surroundings,
        UnembeddedPage,
        UpdatedMemories,
        Vector,
    )
__all__ = ["Memories"]


class Memories:
    """The functions `memories:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def get(self, *, memory_space_id: str, memory_id: str, include_partial: bool | None = None) -> Call[Memory | None]:
        """The memory with its full content, or None."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryId": memory_id}
        if include_partial is not None:
            args["includePartial"] = include_partial
        return Call(self._backend.query, "memories:get", args)

    def list(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: str | None = None,
        conversation_id: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        include_partial: bool | None = None,
        include_chunks: bool | None = None,
        include_archived: bool | None = None,
    ) -> Call[builtins.list[Memory]]:
        """Memories, newest first, without the first `offset` of them."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if source_type is not None:
            args["sourceType"] = source_type
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        if include_partial is not None:
            args["includePartial"] = include_partial
        if include_chunks is not None:
            args["includeChunks"] = include_chunks
        if include_archived is not None:
            args["includeArchived"] = include_archived
        return Call(self._backend.query, "memories:list", args)

    def page(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: str | None = None,
        conversation_id: str | None = None,
        include_archived: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Call[MemoryPage]:
        """The memories of a space, page by page, in the order of `list` from its end on."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if source_type is not None:
            args["sourceType"] = source_type
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if include_archived is not None:
            args["includeArchived"] = include_archived
        if limit is not None:
            args["limit"] = limit
        if cursor is not None:
            args["cursor"] = cursor
        return Call(self._backend.query, "memories:page", args)

    def search(
        self,
        *,
        memory_space_id: str,
        query: str,
        strategy: Literal["auto", "keyword", "semantic"] | None = None,
        embedding: builtins.list[float] | None = None,
        embedding_model: str | None = None,
        alpha: float | None = None,
        user_id: str | None = None,
        participant_id: str | None = None,
        tags: builtins.list[str] | None = None,
        tag_match: Literal["any", "all"] | None = None,
        source_type: str | None = None,
        content_type: str | None = None,
        min_importance: float | None = None,
        conversation_id: str | None = None,
        created_after: int | None = None,
        created_before: int | None = None,
        updated_after: int | None = None,
        updated_before: int | None = None,
        source_after: int | None = None,
        source_before: int | None = None,
        neighbours: bool | None = None,
        min_score: float | None = None,
        limit: int | None = None,
        offset: int | None = None,
        explain: bool | None = None,
        include_partial: bool | None = None,
        include_archived: bool | None = None,
    ) -> Call[builtins.list[FoundMemory]]:
        """Memories that have words of the query, best first, without the first `offset` of them.

        Raises `EmbeddingMismatch`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "query": query}
        if strategy is not None:
            args["strategy"] = strategy
        if embedding is not None:
            args["embedding"] = embedding
        if embedding_model is not None:
            args["embeddingModel"] = embedding_model
        if alpha is not None:
            args["alpha"] = alpha
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if tags is not None:
            args["tags"] = tags
        if tag_match is not None:
            args["tagMatch"] = tag_match
        if source_type is not None:
            args["sourceType"] = source_type
        if content_type is not None:
            args["contentType"] = content_type
        if min_importance is not None:
            args["minImportance"] = min_importance
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if created_after is not None:
            args["createdAfter"] = created_after
        if created_before is not None:
            args["createdBefore"] = created_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if source_after is not None:
            args["sourceAfter"] = source_after
        if source_before is not None:
            args["sourceBefore"] = source_before
        if neighbours is not None:
            args["neighbours"] = neighbours
        if min_score is not None:
            args["minScore"] = min_score
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        if explain is not None:
            args["explain"] = explain
        if include_partial is not None:
            args["includePartial"] = include_partial
        if include_archived is not None:
            args["includeArchived"] = include_archived
        return Call(self._backend.query, "memories:search", args)

    def around(
        self,
        *,
        memory_space_id: str,
        memory_ids: builtins.list[str],
        turns: int | None = None,
        user_id: str | None = None,
        include_partial: bool | None = None,
        include_archived: bool | None = None,
    ) -> Call[builtins.list[Surroundings]]:
        """For each of the ids, in their order, the memories that stand around it in its conversation: the `turns`
        nearest before it and the `turns` nearest after it, each list in the order of the conversation.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryIds": memory_ids}
        if turns is not None:
            args["turns"] = turns
        if user_id is not None:
            args["userId"] = user_id
        if include_partial is not None:
            args["includePartial"] = include_partial
        if include_archived is not None:
            args["includeArchived"] = include_archived
        return Call(self._backend.query, "memories:around", args)

    def count(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: str | None = None,
        include_partial: bool | None = None,
        include_chunks: bool | None = None,
        include_archived: bool | None = None,
    ) -> Call[int]:
        """How many memories there are."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if source_type is not None:
            args["sourceType"] = source_type
        if include_partial is not None:
            args["includePartial"] = include_partial
        if include_chunks is not None:
            args["includeChunks"] = include_chunks
        if include_archived is not None:
            args["includeArchived"] = include_archived
        return Call(self._backend.query, "memories:count", args)

    def store(
        self,
        *,
        memory_space_id: str,
        content: str,
        content_type: Literal["raw", "summarized", "fact"],
        source_type: Literal["conversation", "system", "tool", "a2a", "fact-extraction"],
        importance: float,
        tags: builtins.list[str],
        memory_id: str | None = None,
        source_user_id: str | None = None,
        source_user_name: str | None = None,
        source_timestamp: int | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        participant_id: str | None = None,
        message_role: Literal["user", "agent", "system"] | None = None,
        conversation_ref: ConversationRef | None = None,
        immutable_ref: ImmutableRef | None = None,
        mutable_ref: MutableRef | None = None,
        embedding: builtins.list[float] | None = None,
        embedding_model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Call[Memory]:
        """Stores one memory: any text, with what is known of it.

        Raises `IdempotencyConflict`, `EmbeddingMismatch`.
        """
        args: dict[str, Any] = {
            "memorySpaceId": memory_space_id,
            "content": content,
            "contentType": content_type,
            "sourceType": source_type,
            "importance": importance,
            "tags": tags,
        }
        if memory_id is not None:
            args["memoryId"] = memory_id
        if source_user_id is not None:
            args["sourceUserId"] = source_user_id
        if source_user_name is not None:
            args["sourceUserName"] = source_user_name
        if source_timestamp is not None:
            args["sourceTimestamp"] = source_timestamp
        if user_id is not None:
            args["userId"] = user_id
        if agent_id is not None:
            args["agentId"] = agent_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if message_role is not None:
            args["messageRole"] = message_role
        if conversation_ref is not None:
            args["conversationRef"] = conversation_ref
        if immutable_ref is not None:
            args["immutableRef"] = immutable_ref
        if mutable_ref is not None:
            args["mutableRef"] = mutable_ref
        if embedding is not None:
            args["embedding"] = embedding
        if embedding_model is not None:
            args["embeddingModel"] = embedding_model
        if metadata is not None:
            args["metadata"] = metadata
        return Call(self._backend.mutation, "memories:store", args)

    def delete_memory(
        self, *, memory_space_id: str, memory_id: str, cascade_delete_facts: bool | None = None
    ) -> Call[DeletedMemory]:
        """Removes the memory, and its words from the index.

        Raises `MemoryNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryId": memory_id}
        if cascade_delete_facts is not None:
            args["cascadeDeleteFacts"] = cascade_delete_facts
        return Call(self._backend.mutation, "memories:deleteMemory", args)

    def update(
        self,
        *,
        memory_space_id: str,
        memory_id: str,
        content: str | None = None,
        embedding: builtins.list[float] | None = None,
        embedding_model: str | None = None,
        importance: float | None = None,
        tags: builtins.list[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
        retract_facts: bool | None = None,
    ) -> Call[Memory]:
        """Changes a memory.

        Raises `MemoryNotFound`, `VersionConflict`, `EmbeddingMismatch`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryId": memory_id}
        if content is not None:
            args["content"] = content
        if embedding is not None:
            args["embedding"] = embedding
        if embedding_model is not None:
            args["embeddingModel"] = embedding_model
        if importance is not None:
            args["importance"] = importance
        if tags is not None:
            args["tags"] = tags
        if metadata is not None:
            args["metadata"] = metadata
        if expected_version is not None:
            args["expectedVersion"] = expected_version
        if operation_id is not None:
            args["operationId"] = operation_id
        if retract_facts is not None:
            args["retractFacts"] = retract_facts
        return Call(self._backend.mutation, "memories:update", args)

    def update_many(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: str | None = None,
        content_type: str | None = None,
        conversation_id: str | None = None,
        with_tags: builtins.list[str] | None = None,
        min_importance: float | None = None,
        max_importance: float | None = None,
        created_after: int | None = None,
        created_before: int | None = None,
        importance: float | None = None,
        tags: builtins.list[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        include_archived: bool | None = None,
    ) -> Call[UpdatedMemories]:
        """Changes all memories that pass the filters, as `update` does, all or none."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if source_type is not None:
            args["sourceType"] = source_type
        if content_type is not None:
            args["contentType"] = content_type
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if with_tags is not None:
            args["withTags"] = with_tags
        if min_importance is not None:
            args["minImportance"] = min_importance
        if max_importance is not None:
            args["maxImportance"] = max_importance
        if created_after is not None:
            args["createdAfter"] = created_after
        if created_before is not None:
            args["createdBefore"] = created_before
        if importance is not None:
            args["importance"] = importance
        if tags is not None:
            args["tags"] = tags
        if metadata is not None:
            args["metadata"] = metadata
        if include_archived is not None:
            args["includeArchived"] = include_archived
        return Call(self._backend.mutation, "memories:updateMany", args)

    def delete_many(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        participant_id: str | None = None,
        source_type: str | None = None,
        content_type: str | None = None,
        conversation_id: str | None = None,
        with_tags: builtins.list[str] | None = None,
        min_importance: float | None = None,
        max_importance: float | None = None,
        created_after: int | None = None,
        created_before: int | None = None,
        include_archived: bool | None = None,
        cascade_delete_facts: bool | None = None,
    ) -> Call[DeletedMemories]:
        """Deletes all memories that pass the filters, as `deleteMemory` does, all or none."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if source_type is not None:
            args["sourceType"] = source_type
        if content_type is not None:
            args["contentType"] = content_type
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if with_tags is not None:
            args["withTags"] = with_tags
        if min_importance is not None:
            args["minImportance"] = min_importance
        if max_importance is not None:
            args["maxImportance"] = max_importance
        if created_after is not None:
            args["createdAfter"] = created_after
        if created_before is not None:
            args["createdBefore"] = created_before
        if include_archived is not None:
            args["includeArchived"] = include_archived
        if cascade_delete_facts is not None:
            args["cascadeDeleteFacts"] = cascade_delete_facts
        return Call(self._backend.mutation, "memories:deleteMany", args)

    def archive(self, *, memory_space_id: str, memory_id: str) -> Call[ArchivedMemory]:
        """Archives a memory: it is in no list, count, search or neighbourhood any more, unless archived ones are asked
        for.

        Raises `MemoryNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryId": memory_id}
        return Call(self._backend.mutation, "memories:archive", args)

    def restore_from_archive(self, *, memory_space_id: str, memory_id: str) -> Call[RestoredMemory]:
        """Brings an archived memory back, as it was.

        Raises `MemoryNotFound`, `MemoryNotArchived`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryId": memory_id}
        return Call(self._backend.mutation, "memories:restoreFromArchive", args)

    def get_version(self, *, memory_space_id: str, memory_id: str, version: int) -> Call[MemoryVersion | None]:
        """The memory as it was in a version, with its full content; None if it has no such version."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryId": memory_id, "version": version}
        return Call(self._backend.query, "memories:getVersion", args)

    def get_history(self, *, memory_space_id: str, memory_id: str) -> Call[builtins.list[MemoryVersion]]:
        """All versions of the memory, the current one last, each with at most the first 65,536 code points of its
        content.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryId": memory_id}
        return Call(self._backend.query, "memories:getHistory", args)

    def get_at_timestamp(self, *, memory_space_id: str, memory_id: str, timestamp: int) -> Call[MemoryVersion | None]:
        """The version that was there at a time, with its full content; None before the memory was made."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryId": memory_id, "timestamp": timestamp}
        return Call(self._backend.query, "memories:getAtTimestamp", args)

    def export_memories(
        self,
        *,
        memory_space_id: str,
        format: Literal["json", "csv"],
        user_id: str | None = None,
        include_embeddings: bool | None = None,
        include_facts: bool | None = None,
        include_archived: bool | None = None,
    ) -> Call[MemoryExport]:
        """The memories in the order in which they were made, with their full content, as a text: a JSON array, or CSV
        as RFC 4180 has it, with a header, lists as JSON, and an apostrophe before a text that a spreadsheet would take
        for a formula.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "format": format}
        if user_id is not None:
            args["userId"] = user_id
        if include_embeddings is not None:
            args["includeEmbeddings"] = include_embeddings
        if include_facts is not None:
            args["includeFacts"] = include_facts
        if include_archived is not None:
            args["includeArchived"] = include_archived
        return Call(self._backend.query, "memories:exportMemories", args)

    def forget(
        self,
        *,
        memory_space_id: str,
        memory_id: str | None = None,
        message_id: str | None = None,
        erase: bool | None = None,
    ) -> Call[Forgotten]:
        """Forgets a memory, or what is remembered of a message: the memory of its exchange, and those that were stored
        alone and name no other message.

        Raises `MemoryNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if memory_id is not None:
            args["memoryId"] = memory_id
        if message_id is not None:
            args["messageId"] = message_id
        if erase is not None:
            args["erase"] = erase
        return Call(self._backend.mutation, "memories:forget", args)

    def reembed(self, *, model: str, dimension: int) -> Call[Reembedding]:
        """Moves the whole store, all memory spaces, to another embedding model."""
        args: dict[str, Any] = {"model": model, "dimension": dimension}
        return Call(self._backend.mutation, "memories:reembed", args)

    def unembedded(self, *, model: str, after: int | None = None, limit: int | None = None) -> Call[UnembeddedPage]:
        """The memories and chunks of all memory spaces that have no embedding of a model, with their full content, in
        the order in which they were stored.
        """
        args: dict[str, Any] = {"model": model}
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return Call(self._backend.query, "memories:unembedded", args)

    def embed(self, *, model: str, vectors: builtins.list[Vector]) -> Call[EmbeddedMemories]:
        """Stores embeddings of memories and chunks, of the model of `memories:reembed`.

        Raises `EmbeddingMismatch`.
        """
        args: dict[str, Any] = {"model": model, "vectors": vectors}
        return Call(self._backend.mutation, "memories:embed", args)
