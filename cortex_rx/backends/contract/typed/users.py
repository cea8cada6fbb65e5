"""The functions `users:*` of a backend.

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
        DeletedUser,
        DeletedUsers,
        UpdatedUsers,
        UserPage,
        UserProfile,
        UserVersion,
    )
__all__ = ["Users"]


class Users:
    """The functions `users:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def update(
        self,
        *,
        user_id: str,
        data: Mapping[str, Any],
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Call[UserProfile]:
        """Stores a profile, or the next version of it, which replaces all of its data.

        Raises `VersionConflict`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"userId": user_id, "data": data}
        if expected_version is not None:
            args["expectedVersion"] = expected_version
        if operation_id is not None:
            args["operationId"] = operation_id
        return Call(self._backend.mutation, "users:update", args)

    def merge(
        self,
        *,
        user_id: str,
        updates: Mapping[str, Any],
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Call[UserProfile]:
        """Puts the updates into the data of a profile: objects are merged key by key, at any depth, and all other
        values replace those that are there.

        Raises `UserNotFound`, `VersionConflict`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"userId": user_id, "updates": updates}
        if expected_version is not None:
            args["expectedVersion"] = expected_version
        if operation_id is not None:
            args["operationId"] = operation_id
        return Call(self._backend.mutation, "users:merge", args)

    def get_or_create(self, *, user_id: str, defaults: Mapping[str, Any] | None = None) -> Call[UserProfile]:
        """The profile, which is made of `defaults` if there is none."""
        args: dict[str, Any] = {"userId": user_id}
        if defaults is not None:
            args["defaults"] = defaults
        return Call(self._backend.mutation, "users:getOrCreate", args)

    def update_many(
        self,
        *,
        user_ids: builtins.list[str],
        updates: Mapping[str, Any],
        skip_versioning: bool | None = None,
        operation_id: str | None = None,
    ) -> Call[UpdatedUsers]:
        """Merges the updates into each of these profiles, as `users:merge`, in one transaction.

        Raises `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"userIds": user_ids, "updates": updates}
        if skip_versioning is not None:
            args["skipVersioning"] = skip_versioning
        if operation_id is not None:
            args["operationId"] = operation_id
        return Call(self._backend.mutation, "users:updateMany", args)

    def delete_user_profile(self, *, user_id: str, dry_run: bool | None = None) -> Call[DeletedUser]:
        """Deletes a profile with all its versions; with `dryRun` nothing."""
        args: dict[str, Any] = {"userId": user_id}
        if dry_run is not None:
            args["dryRun"] = dry_run
        return Call(self._backend.mutation, "users:deleteUserProfile", args)

    def delete_many(self, *, user_ids: builtins.list[str]) -> Call[DeletedUsers]:
        """Deletes each of these profiles, as `users:deleteUserProfile`."""
        args: dict[str, Any] = {"userIds": user_ids}
        return Call(self._backend.mutation, "users:deleteMany", args)

    def get(self, *, user_id: str) -> Call[UserProfile | None]:
        """The profile; None if there is none."""
        args: dict[str, Any] = {"userId": user_id}
        return Call(self._backend.query, "users:get", args)

    def exists(self, *, user_id: str) -> Call[bool]:
        """Whether there is a profile."""
        args: dict[str, Any] = {"userId": user_id}
        return Call(self._backend.query, "users:exists", args)

    def list(self, *, limit: int | None = None, offset: int | None = None) -> Call[builtins.list[UserProfile]]:
        """Profiles."""
        args: dict[str, Any] = {}
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "users:list", args)

    def search(
        self,
        *,
        data: Mapping[str, Any] | None = None,
        created_before: int | None = None,
        created_after: int | None = None,
        updated_before: int | None = None,
        updated_after: int | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[UserProfile]]:
        """The profiles that fit the filters."""
        args: dict[str, Any] = {}
        if data is not None:
            args["data"] = data
        if created_before is not None:
            args["createdBefore"] = created_before
        if created_after is not None:
            args["createdAfter"] = created_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "users:search", args)

    def page(
        self,
        *,
        data: Mapping[str, Any] | None = None,
        created_before: int | None = None,
        created_after: int | None = None,
        updated_before: int | None = None,
        updated_after: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Call[UserPage]:
        """A page of the profiles that `users:search` gives."""
        args: dict[str, Any] = {}
        if data is not None:
            args["data"] = data
        if created_before is not None:
            args["createdBefore"] = created_before
        if created_after is not None:
            args["createdAfter"] = created_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        if limit is not None:
            args["limit"] = limit
        if cursor is not None:
            args["cursor"] = cursor
        return Call(self._backend.query, "users:page", args)

    def count(
        self,
        *,
        data: Mapping[str, Any] | None = None,
        created_before: int | None = None,
        created_after: int | None = None,
        updated_before: int | None = None,
        updated_after: int | None = None,
    ) -> Call[int]:
        """How many profiles `users:search` gives without a limit."""
        args: dict[str, Any] = {}
        if data is not None:
            args["data"] = data
        if created_before is not None:
            args["createdBefore"] = created_before
        if created_after is not None:
            args["createdAfter"] = created_after
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        if updated_after is not None:
            args["updatedAfter"] = updated_after
        return Call(self._backend.query, "users:count", args)

    def get_version(self, *, user_id: str, version: int) -> Call[UserVersion | None]:
        """A version of a profile; None if it never was or is not kept any more."""
        args: dict[str, Any] = {"userId": user_id, "version": version}
        return Call(self._backend.query, "users:getVersion", args)

    def get_history(self, *, user_id: str) -> Call[builtins.list[UserVersion]]:
        """The versions that are kept, newest first, the current one too."""
        args: dict[str, Any] = {"userId": user_id}
        return Call(self._backend.query, "users:getHistory", args)

    def get_at_timestamp(self, *, user_id: str, timestamp: int) -> Call[UserVersion | None]:
        """The version that was current at that time."""
        args: dict[str, Any] = {"userId": user_id, "timestamp": timestamp}
        return Call(self._backend.query, "users:getAtTimestamp", args)
