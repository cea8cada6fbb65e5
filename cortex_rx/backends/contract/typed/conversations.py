"""The functions `conversations:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

import builtins
from typing import Any, Literal

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.typed.rows import Conversation, ConversationWithMessages, History

__all__ = ["Conversations"]


class Conversations:
    """The functions `conversations:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def get(self, *, memory_space_id: str, conversation_id: str) -> Call[ConversationWithMessages | None]:
        """The conversation with all its messages and its pending exchanges, or None."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "conversationId": conversation_id}
        return Call(self._backend.query, "conversations:get", args)

    def list(
        self,
        *,
        memory_space_id: str,
        user_id: str | None = None,
        type: Literal["user-agent", "agent-agent"] | None = None,
        include_pending: bool | None = None,
        limit: int | None = None,
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
        return Call(self._backend.query, "conversations:list", args)

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
