"""The functions `memorySpaces:*` of a backend.

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
        ClearedSpace,
        DeletedSpace,
        MemorySpacePage,
        MemorySpaceRow,
        MemorySpaceStats,
        NewParticipant,
    )
__all__ = ["MemorySpaces"]


class MemorySpaces:
    """The functions `memorySpaces:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def register(
        self,
        *,
        memory_space_id: str,
        type: Literal["personal", "team", "project", "custom"],
        name: str | None = None,
        participants: builtins.list[NewParticipant] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Call[MemorySpaceRow]:
        """Registers a memory space.

        Raises `MemorySpaceExists`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "type": type}
        if name is not None:
            args["name"] = name
        if participants is not None:
            args["participants"] = participants
        if metadata is not None:
            args["metadata"] = metadata
        return Call(self._backend.mutation, "memorySpaces:register", args)

    def update(
        self,
        *,
        memory_space_id: str,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        status: Literal["active", "archived"] | None = None,
    ) -> Call[MemorySpaceRow]:
        """Changes what is given.

        Raises `MemorySpaceNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if name is not None:
            args["name"] = name
        if metadata is not None:
            args["metadata"] = metadata
        if status is not None:
            args["status"] = status
        return Call(self._backend.mutation, "memorySpaces:update", args)

    def add_participant(self, *, memory_space_id: str, participant: NewParticipant) -> Call[MemorySpaceRow]:
        """Adds a participant.

        Raises `MemorySpaceNotFound`, `ParticipantExists`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "participant": participant}
        return Call(self._backend.mutation, "memorySpaces:addParticipant", args)

    def remove_participant(self, *, memory_space_id: str, participant_id: str) -> Call[MemorySpaceRow]:
        """Removes a participant, if it is there.

        Raises `MemorySpaceNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "participantId": participant_id}
        return Call(self._backend.mutation, "memorySpaces:removeParticipant", args)

    def update_participants(
        self,
        *,
        memory_space_id: str,
        add: builtins.list[NewParticipant] | None = None,
        remove: builtins.list[str] | None = None,
    ) -> Call[MemorySpaceRow]:
        """Removes participants, then adds those that are not there.

        Raises `MemorySpaceNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if add is not None:
            args["add"] = add
        if remove is not None:
            args["remove"] = remove
        return Call(self._backend.mutation, "memorySpaces:updateParticipants", args)

    def archive(
        self, *, memory_space_id: str, reason: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> Call[MemorySpaceRow]:
        """Archives a memory space: it is read, and not written any more.

        Raises `MemorySpaceNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if reason is not None:
            args["reason"] = reason
        if metadata is not None:
            args["metadata"] = metadata
        return Call(self._backend.mutation, "memorySpaces:archive", args)

    def reactivate(self, *, memory_space_id: str) -> Call[MemorySpaceRow]:
        """Makes an archived memory space active again.

        Raises `MemorySpaceNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        return Call(self._backend.mutation, "memorySpaces:reactivate", args)

    def clear(self, *, memory_space_id: str, limit: int | None = None) -> Call[ClearedSpace]:
        """Deletes `limit` records of a memory space, or a few more: a fact goes with all that was said of it."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if limit is not None:
            args["limit"] = limit
        return Call(self._backend.mutation, "memorySpaces:clear", args)

    def delete_space(self, *, memory_space_id: str, cascade: bool) -> Call[DeletedSpace]:
        """Deletes a memory space: what is registered, and with `cascade` all that is in it, in one transaction.

        Raises `MemorySpaceNotFound`, `MemorySpaceHasData`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id, "cascade": cascade}
        return Call(self._backend.mutation, "memorySpaces:deleteSpace", args)

    def get(self, *, memory_space_id: str) -> Call[MemorySpaceRow | None]:
        """What is registered; None if it is not."""
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        return Call(self._backend.query, "memorySpaces:get", args)

    def list(
        self,
        *,
        type: Literal["personal", "team", "project", "custom"] | None = None,
        status: Literal["active", "archived"] | None = None,
        participant_id: str | None = None,
        include_unregistered: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[MemorySpaceRow]]:
        """Memory spaces, newest first."""
        args: dict[str, Any] = {}
        if type is not None:
            args["type"] = type
        if status is not None:
            args["status"] = status
        if participant_id is not None:
            args["participantId"] = participant_id
        if include_unregistered is not None:
            args["includeUnregistered"] = include_unregistered
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "memorySpaces:list", args)

    def count(
        self,
        *,
        type: Literal["personal", "team", "project", "custom"] | None = None,
        status: Literal["active", "archived"] | None = None,
        participant_id: str | None = None,
        include_unregistered: bool | None = None,
    ) -> Call[int]:
        """How many `memorySpaces:list` gives without a limit."""
        args: dict[str, Any] = {}
        if type is not None:
            args["type"] = type
        if status is not None:
            args["status"] = status
        if participant_id is not None:
            args["participantId"] = participant_id
        if include_unregistered is not None:
            args["includeUnregistered"] = include_unregistered
        return Call(self._backend.query, "memorySpaces:count", args)

    def page(
        self,
        *,
        type: Literal["personal", "team", "project", "custom"] | None = None,
        status: Literal["active", "archived"] | None = None,
        participant_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Call[MemorySpacePage]:
        """Registered memory spaces, oldest first, page by page."""
        args: dict[str, Any] = {}
        if type is not None:
            args["type"] = type
        if status is not None:
            args["status"] = status
        if participant_id is not None:
            args["participantId"] = participant_id
        if limit is not None:
            args["limit"] = limit
        if cursor is not None:
            args["cursor"] = cursor
        return Call(self._backend.query, "memorySpaces:page", args)

    def find_by_participant(self, *, participant_id: str) -> Call[builtins.list[MemorySpaceRow]]:
        """All registered memory spaces that have this participant, newest first."""
        args: dict[str, Any] = {"participantId": participant_id}
        return Call(self._backend.query, "memorySpaces:findByParticipant", args)

    def search(
        self,
        *,
        query: str,
        type: Literal["personal", "team", "project", "custom"] | None = None,
        status: Literal["active", "archived"] | None = None,
        participant_id: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[MemorySpaceRow]]:
        """Registered memory spaces, newest first, in whose id, name or metadata (as JSON) the query occurs, in large or
        small letters.
        """
        args: dict[str, Any] = {"query": query}
        if type is not None:
            args["type"] = type
        if status is not None:
            args["status"] = status
        if participant_id is not None:
            args["participantId"] = participant_id
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "memorySpaces:search", args)

    def get_stats(
        self,
        *,
        memory_space_id: str,
        time_window: Literal["24h", "7d", "30d", "90d", "all"] | None = None,
        include_participants: bool | None = None,
    ) -> Call[MemorySpaceStats]:
        """What is in a memory space, registered or only used: what `memories:count`, `conversations:count` and
        `facts:count` count, and the messages.

        Raises `MemorySpaceNotFound`.
        """
        args: dict[str, Any] = {"memorySpaceId": memory_space_id}
        if time_window is not None:
            args["timeWindow"] = time_window
        if include_participants is not None:
            args["includeParticipants"] = include_participants
        return Call(self._backend.query, "memorySpaces:getStats", args)
