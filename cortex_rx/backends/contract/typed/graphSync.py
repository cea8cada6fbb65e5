"""The functions `graphSync:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import GraphSettings, OutboxItem, OutboxStats
__all__ = ["GraphSync"]


class GraphSync:
    """The functions `graphSync:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def keep(self, *, enabled: bool) -> Call[GraphSettings]:
        """Says whether a graph is kept."""
        args: dict[str, Any] = {"enabled": enabled}
        return Call(self._backend.mutation, "graphSync:keep", args)

    def get_settings(self) -> Call[GraphSettings]:
        """Whether a graph is kept."""
        args: dict[str, Any] = {}
        return Call(self._backend.query, "graphSync:getSettings", args)

    def get_unsynced_items(self, *, limit: int | None = None, after: int | None = None) -> Call[list[OutboxItem]]:
        """The rows with a revision higher than `after`, oldest first."""
        args: dict[str, Any] = {}
        if limit is not None:
            args["limit"] = limit
        if after is not None:
            args["after"] = after
        return Call(self._backend.query, "graphSync:getUnsyncedItems", args)

    def get_sync_stats(self) -> Call[OutboxStats]:
        """What is in the outbox."""
        args: dict[str, Any] = {}
        return Call(self._backend.query, "graphSync:getSyncStats", args)
