"""The functions `conversations:*` of a backend.

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
        Conversation,
        ConversationExport,
        ConversationPage,
        ConversationWithMessages,
        DeletedConversation,
        DeletedConversations,
        FoundConversation,
        History,
        Message,
        NewMessage,
        Participants,
    )
__all__ = ["Conversations"]


class Conversations:
    """The functions `conversations:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def create(
        self,
        *,
        conversation_id: str,
        memory_space_id: str,
        type: Literal["user-agent", "agent-agent"],
        participants: Participants,
        participant_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Call[ConversationWithMessages]:
        """Makes a conversation.

        Raises `ConversationExists`, `InvalidParticipants`.
        """
        args: dict[str, Any] = {
            "conversationId": conversation_id,
            "memorySpaceId": memory_space_id,
            "type": type,
            "participants": participants,
        }
        if participant_id is not None:
            args["participantId"] = participant_id
        if metadata is not None:
            args["metadata"] = metadata
        return Call(self._backend.mutation, "conversations:create", args)

    def get_or_create(
        self,
        *,
        memory_space_id: str,
        type: Literal["user-agent", "agent-agent"],
        participants: Participants,
        conversation_id: str | None = None,
        participant_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Call[ConversationWithMessages]:
        """The oldest conversation of this type of the user, or of the same set of memory spaces or agents; else it
        makes one, with this `conversationId` or one of the store's own.

        Raises `ConversationExists`, `InvalidParticipants`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "type": type, "participants": participants}
        if conversation_id is not None:
            args["conversationId"] = conversation_id
        if participant_id is not None:
            args["participantId"] = participant_id
        if metadata is not None:
            args["metadata"] = metadata
        return Call(self._backend.mutation, "conversations:getOrCreate", args)

    def add_message(
        self, *, memory_space_id: str, conversation_id: str, message: NewMessage, include_messages: bool | None = None
    ) -> Call[ConversationWithMessages]:
        """Adds a message behind all that was begun before.

        Raises `ConversationNotFound`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "conversationId": conversation_id, "message": message}
        if include_messages is not None:
            args["includeMessages"] = include_messages
        return Call(self._backend.mutation, "conversations:addMessage", args)

    def delete_conversation(
        self,
        *,
        memory_space_id: str,
        conversation_id: str,
        delete_memories: bool | None = None,
        delete_facts: bool | None = None,
    ) -> Call[DeletedConversation]:
        """Deletes a conversation with its messages.

        Raises `ConversationNotFound`, `StillOwned`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "conversationId": conversation_id}
        if delete_memories is not None:
            args["deleteMemories"] = delete_memories
        if delete_facts is not None:
            args["deleteFacts"] = delete_facts
        return Call(self._backend.mutation, "conversations:deleteConversation", args)

    def delete_many(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        type: Literal["user-agent", "agent-agent"] | None = None,
        delete_memories: bool | None = None,
        delete_facts: bool | None = None,
    ) -> Call[DeletedConversations]:
        """Deletes the conversations of a user or type, or all of the memory space, as `deleteConversation` does; also
        those that have only pending exchanges.

        Raises `StillOwned`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if type is not None:
            args["type"] = type
        if delete_memories is not None:
            args["deleteMemories"] = delete_memories
        if delete_facts is not None:
            args["deleteFacts"] = delete_facts
        return Call(self._backend.mutation, "conversations:deleteMany", args)

    def get(self, *, memory_space_id: str, conversation_id: str) -> Call[ConversationWithMessages | None]:
        """The conversation with all its messages and its pending exchanges, or None."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "conversationId": conversation_id}
        return Call(self._backend.query, "conversations:get", args)

    def get_message(self, *, memory_space_id: str, conversation_id: str, message_id: str) -> Call[Message | None]:
        """The message with this id of the conversation, or None."""
        args: dict[str, Any] = {
            "memorySpaceId": memory_space_id,
            "conversationId": conversation_id,
            "messageId": message_id,
        }
        return Call(self._backend.query, "conversations:getMessage", args)

    def get_messages_by_ids(
        self, *, memory_space_id: str, conversation_id: str, message_ids: builtins.list[str]
    ) -> Call[builtins.list[Message]]:
        """The messages with these ids that the conversation has, each once, in its order."""
        args: dict[str, Any] = {
            "memorySpaceId": memory_space_id,
            "conversationId": conversation_id,
            "messageIds": message_ids,
        }
        return Call(self._backend.query, "conversations:getMessagesByIds", args)

    def find_conversation(
        self,
        *,
        memory_space_id: str,
        type: Literal["user-agent", "agent-agent"],
        user_id: str | None = None,
        memory_space_ids: builtins.list[str] | None = None,
        agent_id: str | None = None,
        participant_id: str | None = None,
    ) -> Call[ConversationWithMessages | None]:
        """The conversation that `getOrCreate` would find, or None; also if what it is found by is not given."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "type": type}
        if user_id is not None:
            args["userId"] = user_id
        if memory_space_ids is not None:
            args["memorySpaceIds"] = memory_space_ids
        if agent_id is not None:
            args["agentId"] = agent_id
        if participant_id is not None:
            args["participantId"] = participant_id
        return Call(self._backend.query, "conversations:findConversation", args)

    def list(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        type: Literal["user-agent", "agent-agent"] | None = None,
        include_pending: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[Conversation]]:
        """Conversations without their messages, newest first."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if type is not None:
            args["type"] = type
        if include_pending is not None:
            args["includePending"] = include_pending
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "conversations:list", args)

    def page(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        type: Literal["user-agent", "agent-agent"] | None = None,
        include_pending: bool | None = None,
        date_start: int | None = None,
        date_end: int | None = None,
        conversation_ids: builtins.list[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Call[ConversationPage]:
        """Conversations without their messages, oldest first."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if type is not None:
            args["type"] = type
        if include_pending is not None:
            args["includePending"] = include_pending
        if date_start is not None:
            args["dateStart"] = date_start
        if date_end is not None:
            args["dateEnd"] = date_end
        if conversation_ids is not None:
            args["conversationIds"] = conversation_ids
        if limit is not None:
            args["limit"] = limit
        if cursor is not None:
            args["cursor"] = cursor
        return Call(self._backend.query, "conversations:page", args)

    def count(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        type: Literal["user-agent", "agent-agent"] | None = None,
        include_pending: bool | None = None,
    ) -> Call[int]:
        """How many conversations there are."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if user_id is not None:
            args["userId"] = user_id
        if type is not None:
            args["type"] = type
        if include_pending is not None:
            args["includePending"] = include_pending
        return Call(self._backend.query, "conversations:count", args)

    def get_history(
        self,
        *,
        memory_space_id: str,
        conversation_id: str,
        limit: int | None = None,
        offset: int | None = None,
        after: str | None = None,
        sort_order: Literal["asc", "desc"] | None = None,
    ) -> Call[History]:
        """A page of the messages.

        Raises `ConversationNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "conversationId": conversation_id}
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        if after is not None:
            args["after"] = after
        if sort_order is not None:
            args["sortOrder"] = sort_order
        return Call(self._backend.query, "conversations:getHistory", args)

    def search(
        self,
        *,
        memory_space_id: str,
        query: str,
        user_id: str | None = None,
        type: Literal["user-agent", "agent-agent"] | None = None,
        date_start: int | None = None,
        date_end: int | None = None,
        limit: int | None = None,
    ) -> Call[builtins.list[FoundConversation]]:
        """Conversations with messages that have this text, in small or capital letters: those first in which most
        messages have it, of equal ones the newest.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "query": query}
        if user_id is not None:
            args["userId"] = user_id
        if type is not None:
            args["type"] = type
        if date_start is not None:
            args["dateStart"] = date_start
        if date_end is not None:
            args["dateEnd"] = date_end
        if limit is not None:
            args["limit"] = limit
        return Call(self._backend.query, "conversations:search", args)

    def export_conversations(
        self,
        *,
        memory_space_id: str,
        format: Literal["json", "csv"],
        user_id: str | None = None,
        type: Literal["user-agent", "agent-agent"] | None = None,
        date_start: int | None = None,
        date_end: int | None = None,
        conversation_ids: builtins.list[str] | None = None,
        include_metadata: bool | None = None,
    ) -> Call[ConversationExport]:
        """Conversations as a text, in the order of `page`."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "format": format}
        if user_id is not None:
            args["userId"] = user_id
        if type is not None:
            args["type"] = type
        if date_start is not None:
            args["dateStart"] = date_start
        if date_end is not None:
            args["dateEnd"] = date_end
        if conversation_ids is not None:
            args["conversationIds"] = conversation_ids
        if include_metadata is not None:
            args["includeMetadata"] = include_metadata
        return Call(self._backend.query, "conversations:exportConversations", args)
