"""The functions `contexts:*` of a backend.

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
        Context,
        ContextChain,
        ContextChanges,
        ContextConversation,
        ContextExport,
        ContextPage,
        ContextVersion,
        DeletedContext,
        DeletedContexts,
        UpdatedContexts,
    )
__all__ = ["Contexts"]


class Contexts:
    """The functions `contexts:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def create(
        self,
        *,
        memory_space_id: str,
        purpose: str,
        description: str | None = None,
        user_id: str | None = None,
        parent_id: str | None = None,
        conversation_ref: ContextConversation | None = None,
        data: Mapping[str, Any] | None = None,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        context_id: str | None = None,
    ) -> Call[Context]:
        """Makes a context, whose participant is its memory space.

        Raises `ParentNotFound`, `ContextReadOnly`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "purpose": purpose}
        if description is not None:
            args["description"] = description
        if user_id is not None:
            args["userId"] = user_id
        if parent_id is not None:
            args["parentId"] = parent_id
        if conversation_ref is not None:
            args["conversationRef"] = conversation_ref
        if data is not None:
            args["data"] = data
        if status is not None:
            args["status"] = status
        if context_id is not None:
            args["contextId"] = context_id
        return Call(self._backend.mutation, "contexts:create", args)

    def update(
        self,
        *,
        memory_space_id: str,
        context_id: str,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        data: Mapping[str, Any] | None = None,
        description: str | None = None,
        completed_at: int | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Call[Context]:
        """Changes a context.

        Raises `ContextNotFound`, `ContextReadOnly`, `VersionConflict`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "contextId": context_id}
        if status is not None:
            args["status"] = status
        if data is not None:
            args["data"] = data
        if description is not None:
            args["description"] = description
        if completed_at is not None:
            args["completedAt"] = completed_at
        if expected_version is not None:
            args["expectedVersion"] = expected_version
        if operation_id is not None:
            args["operationId"] = operation_id
        return Call(self._backend.mutation, "contexts:update", args)

    def delete_context(
        self,
        *,
        memory_space_id: str,
        context_id: str,
        cascade_children: bool | None = None,
        orphan_children: bool | None = None,
    ) -> Call[DeletedContext]:
        """Deletes a context with its versions and grants.

        Raises `ContextNotFound`, `ContextReadOnly`, `HasChildren`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "contextId": context_id}
        if cascade_children is not None:
            args["cascadeChildren"] = cascade_children
        if orphan_children is not None:
            args["orphanChildren"] = orphan_children
        return Call(self._backend.mutation, "contexts:deleteContext", args)

    def add_participant(self, *, memory_space_id: str, context_id: str, participant_id: str) -> Call[Context]:
        """Adds a participant, behind the others, if it is not there.

        Raises `ContextNotFound`, `ContextReadOnly`.
        """
        args: dict[str, Any] = {
            "memorySpaceId": memory_space_id,
            "contextId": context_id,
            "participantId": participant_id,
        }
        return Call(self._backend.mutation, "contexts:addParticipant", args)

    def remove_participant(self, *, memory_space_id: str, context_id: str, participant_id: str) -> Call[Context]:
        """Removes a participant, if it is there.

        Raises `ContextNotFound`, `ContextReadOnly`.
        """
        args: dict[str, Any] = {
            "memorySpaceId": memory_space_id,
            "contextId": context_id,
            "participantId": participant_id,
        }
        return Call(self._backend.mutation, "contexts:removeParticipant", args)

    def grant_access(
        self,
        *,
        memory_space_id: str,
        context_id: str,
        target_memory_space_id: str,
        scope: Literal["read-only", "context-only", "full"],
    ) -> Call[Context]:
        """Gives another memory space access to a context.

        Raises `ContextNotFound`, `ContextReadOnly`.
        """
        args: dict[str, Any] = {
            "memorySpaceId": memory_space_id,
            "contextId": context_id,
            "targetMemorySpaceId": target_memory_space_id,
            "scope": scope,
        }
        return Call(self._backend.mutation, "contexts:grantAccess", args)

    def revoke_access(self, *, memory_space_id: str, context_id: str, target_memory_space_id: str) -> Call[Context]:
        """Takes access to a context away from another memory space, if it has any.

        Raises `ContextNotFound`, `ContextReadOnly`.
        """
        args: dict[str, Any] = {
            "memorySpaceId": memory_space_id,
            "contextId": context_id,
            "targetMemorySpaceId": target_memory_space_id,
        }
        return Call(self._backend.mutation, "contexts:revokeAccess", args)

    def get(
        self, *, memory_space_id: str, context_id: str, include_chain: bool | None = None
    ) -> Call[Context | ContextChain | None]:
        """The context, with its previous versions."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "contextId": context_id}
        if include_chain is not None:
            args["includeChain"] = include_chain
        return Call(self._backend.query, "contexts:get", args)

    def list(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        parent_id: str | None = None,
        root_id: str | None = None,
        depth: int | None = None,
        completed_before: int | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[Context]]:
        """The contexts of the memory space."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if status is not None:
            args["status"] = status
        if parent_id is not None:
            args["parentId"] = parent_id
        if root_id is not None:
            args["rootId"] = root_id
        if depth is not None:
            args["depth"] = depth
        if completed_before is not None:
            args["completedBefore"] = completed_before
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "contexts:list", args)

    def page(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        parent_id: str | None = None,
        root_id: str | None = None,
        depth: int | None = None,
        completed_before: int | None = None,
        include_chain: bool | None = None,
        include_version_history: bool | None = None,
        include_conversations: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Call[ContextPage]:
        """A page of the contexts of the memory space, each as an export has it."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if status is not None:
            args["status"] = status
        if parent_id is not None:
            args["parentId"] = parent_id
        if root_id is not None:
            args["rootId"] = root_id
        if depth is not None:
            args["depth"] = depth
        if completed_before is not None:
            args["completedBefore"] = completed_before
        if include_chain is not None:
            args["includeChain"] = include_chain
        if include_version_history is not None:
            args["includeVersionHistory"] = include_version_history
        if include_conversations is not None:
            args["includeConversations"] = include_conversations
        if limit is not None:
            args["limit"] = limit
        if cursor is not None:
            args["cursor"] = cursor
        return Call(self._backend.query, "contexts:page", args)

    def count(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        parent_id: str | None = None,
        root_id: str | None = None,
        depth: int | None = None,
        completed_before: int | None = None,
    ) -> Call[int]:
        """How many contexts `contexts:list` gives without a limit."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if status is not None:
            args["status"] = status
        if parent_id is not None:
            args["parentId"] = parent_id
        if root_id is not None:
            args["rootId"] = root_id
        if depth is not None:
            args["depth"] = depth
        if completed_before is not None:
            args["completedBefore"] = completed_before
        return Call(self._backend.query, "contexts:count", args)

    def list_granted(
        self, *, memory_space_id: str, limit: int | None = None, offset: int | None = None
    ) -> Call[builtins.list[Context]]:
        """The contexts of other memory spaces to which this one was granted access, in the order of the grants."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "contexts:listGranted", args)

    def search(
        self,
        *,
        memory_space_id: str,
        query: str | None = None,
        user_id: str | None = None,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        parent_id: str | None = None,
        root_id: str | None = None,
        depth: int | None = None,
        completed_before: int | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[Context]]:
        """As `contexts:list`, of the contexts that have all words of the `query` in their purpose or description."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if query is not None:
            args["query"] = query
        if user_id is not None:
            args["userId"] = user_id
        if status is not None:
            args["status"] = status
        if parent_id is not None:
            args["parentId"] = parent_id
        if root_id is not None:
            args["rootId"] = root_id
        if depth is not None:
            args["depth"] = depth
        if completed_before is not None:
            args["completedBefore"] = completed_before
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "contexts:search", args)

    def get_chain(self, *, memory_space_id: str, context_id: str) -> Call[ContextChain]:
        """The context and those around it.

        Raises `ContextNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "contextId": context_id}
        return Call(self._backend.query, "contexts:getChain", args)

    def get_root(self, *, memory_space_id: str, context_id: str) -> Call[Context]:
        """The root of the tree that the context is in: itself, if it has no parent.

        Raises `ContextNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "contextId": context_id}
        return Call(self._backend.query, "contexts:getRoot", args)

    def get_children(
        self,
        *,
        memory_space_id: str,
        context_id: str,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        recursive: bool | None = None,
    ) -> Call[builtins.list[Context]]:
        """The children, also those in other memory spaces that this one sees, in the order in which they were made;
        with `recursive` all descendants.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "contextId": context_id}
        if status is not None:
            args["status"] = status
        if recursive is not None:
            args["recursive"] = recursive
        return Call(self._backend.query, "contexts:getChildren", args)

    def find_orphaned(self, *, memory_space_id: str) -> Call[builtins.list[Context]]:
        """The contexts of the memory space whose parent it does not see any more."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        return Call(self._backend.query, "contexts:findOrphaned", args)

    def get_by_conversation(self, *, memory_space_id: str, conversation_id: str) -> Call[builtins.list[Context]]:
        """The contexts of the memory space that name this conversation."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "conversationId": conversation_id}
        return Call(self._backend.query, "contexts:getByConversation", args)

    def update_many(
        self,
        *,
        memory_space_id: str,
        updates: ContextChanges,
        user_id: str | None = None,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        parent_id: str | None = None,
        root_id: str | None = None,
        depth: int | None = None,
        completed_before: int | None = None,
        dry_run: bool | None = None,
    ) -> Call[UpdatedContexts]:
        """Changes all contexts of the memory space that the filters let by, as `contexts:update` does; without filters,
        all.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "updates": updates}
        if user_id is not None:
            args["userId"] = user_id
        if status is not None:
            args["status"] = status
        if parent_id is not None:
            args["parentId"] = parent_id
        if root_id is not None:
            args["rootId"] = root_id
        if depth is not None:
            args["depth"] = depth
        if completed_before is not None:
            args["completedBefore"] = completed_before
        if dry_run is not None:
            args["dryRun"] = dry_run
        return Call(self._backend.mutation, "contexts:updateMany", args)

    def delete_many(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        parent_id: str | None = None,
        root_id: str | None = None,
        depth: int | None = None,
        completed_before: int | None = None,
        cascade_children: bool | None = None,
        dry_run: bool | None = None,
    ) -> Call[DeletedContexts]:
        """Deletes the contexts of the memory space that the filters let by; without filters, all."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if status is not None:
            args["status"] = status
        if parent_id is not None:
            args["parentId"] = parent_id
        if root_id is not None:
            args["rootId"] = root_id
        if depth is not None:
            args["depth"] = depth
        if completed_before is not None:
            args["completedBefore"] = completed_before
        if cascade_children is not None:
            args["cascadeChildren"] = cascade_children
        if dry_run is not None:
            args["dryRun"] = dry_run
        return Call(self._backend.mutation, "contexts:deleteMany", args)

    def get_version(self, *, memory_space_id: str, context_id: str, version: int) -> Call[ContextVersion | None]:
        """A version of the context, the current one too; None if there is none."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "contextId": context_id, "version": version}
        return Call(self._backend.query, "contexts:getVersion", args)

    def get_history(self, *, memory_space_id: str, context_id: str) -> Call[builtins.list[ContextVersion]]:
        """All versions, oldest first, with the current one."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "contextId": context_id}
        return Call(self._backend.query, "contexts:getHistory", args)

    def get_at_timestamp(self, *, memory_space_id: str, context_id: str, timestamp: int) -> Call[ContextVersion | None]:
        """The version that was the current one at a time: the last that was written then or before."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "contextId": context_id, "timestamp": timestamp}
        return Call(self._backend.query, "contexts:getAtTimestamp", args)

    def export_contexts(
        self,
        *,
        memory_space_id: str,
        format: Literal["json", "csv"],
        user_id: str | None = None,
        status: Literal["active", "completed", "cancelled", "blocked"] | None = None,
        parent_id: str | None = None,
        root_id: str | None = None,
        depth: int | None = None,
        completed_before: int | None = None,
        include_chain: bool | None = None,
        include_version_history: bool | None = None,
        include_conversations: bool | None = None,
    ) -> Call[ContextExport]:
        """The contexts of the memory space as a text: a JSON array, or CSV as RFC 4180 has it."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "format": format}
        if user_id is not None:
            args["userId"] = user_id
        if status is not None:
            args["status"] = status
        if parent_id is not None:
            args["parentId"] = parent_id
        if root_id is not None:
            args["rootId"] = root_id
        if depth is not None:
            args["depth"] = depth
        if completed_before is not None:
            args["completedBefore"] = completed_before
        if include_chain is not None:
            args["includeChain"] = include_chain
        if include_version_history is not None:
            args["includeVersionHistory"] = include_version_history
        if include_conversations is not None:
            args["includeConversations"] = include_conversations
        return Call(self._backend.query, "contexts:exportContexts", args)
