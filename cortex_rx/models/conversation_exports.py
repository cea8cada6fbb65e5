"""What an export of conversations has of each, in the store and in a client that streams it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["columns", "export_row"]

_COLUMNS = ("conversationId", "type", "participants", "messageCount", "createdAt", "updatedAt", "metadata")


def columns(include_metadata: bool) -> tuple[str, ...]:
    """The columns of an export as CSV.

    >>> columns(False)
    ('conversationId', 'type', 'participants', 'messageCount', 'createdAt', 'updatedAt')
    """
    return _COLUMNS if include_metadata else _COLUMNS[:-1]


def export_row(row: Mapping[str, Any], include_metadata: bool, messages: object = None) -> dict[str, Any]:
    """A row of an export: what it has of a conversation, with its messages for JSON.

    >>> export_row({"conversationId": "c-1", "memorySpaceId": "s", "metadata": {}}, False, [])
    {'conversationId': 'c-1', 'messages': []}
    """
    kept = {name: row[name] for name in columns(include_metadata) if name in row}
    return kept if messages is None else {**kept, "messages": messages}
