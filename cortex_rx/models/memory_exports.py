"""What an export of memories has of each, in the store and in a client that streams it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["export_columns", "exported"]

_COLUMNS = (
    *("memoryId", "content", "contentType", "sourceType", "userId", "agentId", "participantId", "conversationId"),
    *("importance", "tags", "version", "createdAt", "updatedAt", "metadata"),
)


def export_columns(embeddings: bool, facts: bool) -> tuple[str, ...]:
    """The names of the columns.

    >>> export_columns(False, True)[-2:]
    ('metadata', 'facts')
    """
    return (*_COLUMNS, *(("embedding",) if embeddings else ()), *(("facts",) if facts else ()))


def exported(row: Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """A memory as it is exported, without what it does not have.

    >>> memory = {"memoryId": "m", "conversationRef": {"conversationId": "c", "messageIds": []}, "accessCount": 1}
    >>> exported(memory, export_columns(False, False))
    {'memoryId': 'm', 'conversationId': 'c'}
    """
    conversation = (row.get("conversationRef") or {}).get("conversationId")
    given = {**row, "conversationId": conversation}
    return {name: given[name] for name in columns if given.get(name) is not None}
