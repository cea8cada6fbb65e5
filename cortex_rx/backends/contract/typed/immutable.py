"""The functions `immutable:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import Call

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import (
        FoundEntry,
        ImmutablePage,
        ImmutableRecord,
        ImmutableRow,
        ImmutableVersion,
        PurgedEntries,
        PurgedEntry,
        PurgedVersions,
    )
__all__ = ["Immutable"]


class Immutable:
    """The functions `immutable:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def store(
        self,
        *,
        type: str,
        id: str,
        data: Mapping[str, Any],
        user_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Call[ImmutableRecord]:
        """Stores an entry, or the next version of it.

        Raises `VersionConflict`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"type": type, "id": id, "data": data}
        if user_id is not None:
            args["userId"] = user_id
        if metadata is not None:
            args["metadata"] = metadata
        if expected_version is not None:
            args["expectedVersion"] = expected_version
        if operation_id is not None:
            args["operationId"] = operation_id
        return Call(self._backend.mutation, "immutable:store", args)

    def purge(self, *, type: str, id: str) -> Call[PurgedEntry]:
        """Deletes an entry with all its versions.

        Raises `EntryNotFound`.
        """
        args: dict[str, Any] = {"type": type, "id": id}
        return Call(self._backend.mutation, "immutable:purge", args)

    def get(self, *, type: str, id: str) -> Call[ImmutableRecord | None]:
        """The entry with its earlier versions; None if there is none."""
        args: dict[str, Any] = {"type": type, "id": id}
        return Call(self._backend.query, "immutable:get", args)

    def get_version(self, *, type: str, id: str, version: int) -> Call[ImmutableVersion | None]:
        """A version of an entry; None if it never was or is not kept any more."""
        args: dict[str, Any] = {"type": type, "id": id, "version": version}
        return Call(self._backend.query, "immutable:getVersion", args)

    def get_history(self, *, type: str, id: str) -> Call[builtins.list[ImmutableVersion]]:
        """The versions that are kept, oldest first, the current one too."""
        args: dict[str, Any] = {"type": type, "id": id}
        return Call(self._backend.query, "immutable:getHistory", args)

    def get_at_timestamp(self, *, type: str, id: str, timestamp: int) -> Call[ImmutableVersion | None]:
        """The version that was current at that time."""
        args: dict[str, Any] = {"type": type, "id": id, "timestamp": timestamp}
        return Call(self._backend.query, "immutable:getAtTimestamp", args)

    def list(
        self,
        *,
        type: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[ImmutableRow]]:
        """Entries, of a type, of a user, or all."""
        args: dict[str, Any] = {}
        if type is not None:
            args["type"] = type
        if user_id is not None:
            args["userId"] = user_id
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "immutable:list", args)

    def page(
        self,
        *,
        type: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Call[ImmutablePage]:
        """A page of the entries that `immutable:list` gives, oldest first."""
        args: dict[str, Any] = {}
        if type is not None:
            args["type"] = type
        if user_id is not None:
            args["userId"] = user_id
        if limit is not None:
            args["limit"] = limit
        if cursor is not None:
            args["cursor"] = cursor
        return Call(self._backend.query, "immutable:page", args)

    def count(self, *, type: str | None = None, user_id: str | None = None) -> Call[int]:
        """How many entries `immutable:list` gives without a limit."""
        args: dict[str, Any] = {}
        if type is not None:
            args["type"] = type
        if user_id is not None:
            args["userId"] = user_id
        return Call(self._backend.query, "immutable:count", args)

    def search(
        self, *, query: str, type: str | None = None, user_id: str | None = None, limit: int | None = None
    ) -> Call[builtins.list[FoundEntry]]:
        """Entries with the query in a key or in a value of their current data, in capital or small letters; best first,
        the newest first of equals.
        """
        args: dict[str, Any] = {"query": query}
        if type is not None:
            args["type"] = type
        if user_id is not None:
            args["userId"] = user_id
        if limit is not None:
            args["limit"] = limit
        return Call(self._backend.query, "immutable:search", args)

    def purge_many(
        self,
        *,
        type: str | None = None,
        user_id: str | None = None,
        created_before: int | None = None,
        dry_run: bool | None = None,
    ) -> Call[PurgedEntries]:
        """Deletes the entries that fit all filters, with their versions; with `dryRun` nothing."""
        args: dict[str, Any] = {}
        if type is not None:
            args["type"] = type
        if user_id is not None:
            args["userId"] = user_id
        if created_before is not None:
            args["createdBefore"] = created_before
        if dry_run is not None:
            args["dryRun"] = dry_run
        return Call(self._backend.mutation, "immutable:purgeMany", args)

    def purge_versions(
        self, *, type: str, id: str, keep_latest: int | None = None, older_than: int | None = None
    ) -> Call[PurgedVersions]:
        """Deletes earlier versions: all but the newest `keepLatest`, those written before `olderThan`; with both, only
        those that both mean.

        Raises `EntryNotFound`.
        """
        args: dict[str, Any] = {"type": type, "id": id}
        if keep_latest is not None:
            args["keepLatest"] = keep_latest
        if older_than is not None:
            args["olderThan"] = older_than
        return Call(self._backend.mutation, "immutable:purgeVersions", args)
