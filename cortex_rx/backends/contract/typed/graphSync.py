"""The functions `graphSync:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import (
        DeadLetter,
        FailedItems,
        GraphRecord,
        GraphSettings,
        OutboxItem,
        OutboxLease,
        OutboxRecord,
        OutboxStats,
        RecordKey,
        ReleasedOutbox,
        RetriedItems,
        SeenOutboxItem,
        SyncedItems,
    )
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
        """All rows with a revision higher than `after`, oldest first, whether they are due or not."""
        args: dict[str, Any] = {}
        if limit is not None:
            args["limit"] = limit
        if after is not None:
            args["after"] = after
        return Call(self._backend.query, "graphSync:getUnsyncedItems", args)

    def get_batch(self, *, limit: int | None = None, after: int | None = None) -> Call[list[OutboxRecord]]:
        """The rows that are due with a revision higher than `after`, oldest first, with their records, all as they are
        at one moment.
        """
        args: dict[str, Any] = {}
        if limit is not None:
            args["limit"] = limit
        if after is not None:
            args["after"] = after
        return Call(self._backend.query, "graphSync:getBatch", args)

    def get_records(
        self,
        *,
        table: Literal[
            "memories", "conversations", "facts", "contexts", "memorySpaces", "users", "agents", "immutable", "mutable"
        ],
        limit: int | None = None,
        after: int | None = None,
    ) -> Call[list[GraphRecord]]:
        """The records of a table with a position higher than `after`, oldest first, as `getBatch` gives them, whether
        they have changed or not, all as they are at one moment.
        """
        args: dict[str, Any] = {"table": table}
        if limit is not None:
            args["limit"] = limit
        if after is not None:
            args["after"] = after
        return Call(self._backend.query, "graphSync:getRecords", args)

    def exists(self, *, records: list[RecordKey]) -> Call[list[bool]]:
        """Whether each of these records is there, in this order."""
        args: dict[str, Any] = {"records": records}
        return Call(self._backend.query, "graphSync:exists", args)

    def get_sync_stats(self) -> Call[OutboxStats]:
        """What is in the outbox."""
        args: dict[str, Any] = {}
        return Call(self._backend.query, "graphSync:getSyncStats", args)

    def lease(self, *, holder: str, seconds: float) -> Call[OutboxLease]:
        """Takes the lease of the outbox, or renews it, for so many seconds of the store's clock."""
        args: dict[str, Any] = {"holder": holder, "seconds": seconds}
        return Call(self._backend.mutation, "graphSync:lease", args)

    def release(self, *, holder: str) -> Call[ReleasedOutbox]:
        """Ends the lease of this holder, if it has it."""
        args: dict[str, Any] = {"holder": holder}
        return Call(self._backend.mutation, "graphSync:release", args)

    def mark_synced(self, *, items: list[SeenOutboxItem], holder: str) -> Call[SyncedItems]:
        """Takes away the rows that have the given revisions, and says how many these were.

        Raises `Fenced`.
        """
        args: dict[str, Any] = {"items": items, "holder": holder}
        return Call(self._backend.mutation, "graphSync:markSynced", args)

    def mark_failed(self, *, items: list[SeenOutboxItem], error: str, retry_at: int | None = None) -> Call[FailedItems]:
        """Counts one more attempt for the rows that have the given revisions, and says how many these were."""
        args: dict[str, Any] = {"items": items, "error": error}
        if retry_at is not None:
            args["retryAt"] = retry_at
        return Call(self._backend.mutation, "graphSync:markFailed", args)

    def get_failed_items(self, *, limit: int | None = None, after: int | None = None) -> Call[list[DeadLetter]]:
        """The dead letters with a revision higher than `after`, oldest first."""
        args: dict[str, Any] = {}
        if limit is not None:
            args["limit"] = limit
        if after is not None:
            args["after"] = after
        return Call(self._backend.query, "graphSync:getFailedItems", args)

    def retry(self, *, items: list[RecordKey] | None = None) -> Call[RetriedItems]:
        """Makes rows that have failed due now, with no attempts: the dead letters, and those that wait to be tried
        again; with `items` only those of these records.
        """
        args: dict[str, Any] = {}
        if items is not None:
            args["items"] = items
        return Call(self._backend.mutation, "graphSync:retry", args)
