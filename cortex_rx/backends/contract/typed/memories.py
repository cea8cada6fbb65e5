"""The functions `memories:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

import builtins
from typing import Any

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.typed.rows import DeletedMemory, FoundMemory, Memory, Surroundings

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
        source_type: str | None = None,
        conversation_id: str | None = None,
        limit: int | None = None,
        include_partial: bool | None = None,
        include_chunks: bool | None = None,
    ) -> Call[builtins.list[Memory]]:
        """Memories, newest first."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if source_type is not None:
            args["sourceType"] = source_type
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if limit is not None:
            args["limit"] = limit
        if include_partial is not None:
            args["includePartial"] = include_partial
        if include_chunks is not None:
            args["includeChunks"] = include_chunks
        return Call(self._backend.query, "memories:list", args)

    def search(
        self,
        *,
        memory_space_id: str,
        query: str,
        user_id: str | None = None,
        tags: builtins.list[str] | None = None,
        source_type: str | None = None,
        min_importance: float | None = None,
        limit: int | None = None,
        include_partial: bool | None = None,
    ) -> Call[builtins.list[FoundMemory]]:
        """Memories that have words of the query, best first; with `tags` only those that have any of the tags."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "query": query}
        if user_id is not None:
            args["userId"] = user_id
        if tags is not None:
            args["tags"] = tags
        if source_type is not None:
            args["sourceType"] = source_type
        if min_importance is not None:
            args["minImportance"] = min_importance
        if limit is not None:
            args["limit"] = limit
        if include_partial is not None:
            args["includePartial"] = include_partial
        return Call(self._backend.query, "memories:search", args)

    def around(
        self,
        *,
        memory_space_id: str,
        memory_ids: builtins.list[str],
        turns: int | None = None,
        user_id: str | None = None,
        include_partial: bool | None = None,
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
        return Call(self._backend.query, "memories:around", args)

    def count(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        source_type: str | None = None,
        include_partial: bool | None = None,
        include_chunks: bool | None = None,
    ) -> Call[int]:
        """How many memories there are."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if source_type is not None:
            args["sourceType"] = source_type
        if include_partial is not None:
            args["includePartial"] = include_partial
        if include_chunks is not None:
            args["includeChunks"] = include_chunks
        return Call(self._backend.query, "memories:count", args)

    def delete_memory(self, *, memory_space_id: str, memory_id: str) -> Call[DeletedMemory]:
        """Removes the memory, and its words from the index.

        Raises `MemoryNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "memoryId": memory_id}
        return Call(self._backend.mutation, "memories:deleteMemory", args)
