"""What an export of contexts has of each, in the store and in a client that streams it."""

from __future__ import annotations

__all__ = ["export_columns"]

_COLUMNS = (
    *("contextId", "memorySpaceId", "purpose", "description", "status", "parentId", "rootId", "depth", "childIds"),
    *("userId", "participants", "grantedAccess", "conversationRef", "data", "version", "createdAt", "updatedAt"),
    "completedAt",
)


def export_columns(chain: bool, versions: bool, conversations: bool) -> tuple[str, ...]:
    """The columns of an export as CSV, with what is included.

    >>> export_columns(True, False, False)[-2:]
    ('completedAt', 'ancestors')
    """
    included = (("ancestors", chain), ("versions", versions), ("conversation", conversations))
    return (*_COLUMNS, *(name for name, there in included if there))
