"""The functions `mutable:*` of a backend.

Written by docs/generate.py (make docs) from the contract's data: edit that.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.call import LEFT_OUT, Call

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import (
        DeletedKey,
        MutableEntry,
        MutableOperation,
        MutablePage,
        MutableRead,
        MutableTransaction,
        PurgedKeys,
        PurgedNamespace,
    )
__all__ = ["Mutable"]


class Mutable:
    """The functions `mutable:*` of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def set(
        self,
        *,
        namespace: str,
        key: str,
        value: Any,
        user_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Call[MutableEntry]:
        """Makes a key, or replaces its value.

        Raises `VersionConflict`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"namespace": namespace, "key": key, "value": value}
        if user_id is not None:
            args["userId"] = user_id
        if metadata is not None:
            args["metadata"] = metadata
        if expected_version is not None:
            args["expectedVersion"] = expected_version
        if operation_id is not None:
            args["operationId"] = operation_id
        return Call(self._backend.mutation, "mutable:set", args)

    def update(
        self,
        *,
        namespace: str,
        key: str,
        operation: Literal["increment", "decrement", "append", "custom"],
        operand: Any = LEFT_OUT,
        initial: Any = LEFT_OUT,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Call[MutableEntry]:
        """Changes the value that is there.

        Raises `KeyNotFound`, `ValueNotNumber`, `ValueNotArray`, `VersionConflict`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"namespace": namespace, "key": key, "operation": operation}
        if operand is not LEFT_OUT:
            args["operand"] = operand
        if initial is not LEFT_OUT:
            args["initial"] = initial
        if expected_version is not None:
            args["expectedVersion"] = expected_version
        if operation_id is not None:
            args["operationId"] = operation_id
        return Call(self._backend.mutation, "mutable:update", args)

    def delete_key(self, *, namespace: str, key: str, operation_id: str | None = None) -> Call[DeletedKey]:
        """Deletes a key.

        Raises `KeyNotFound`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"namespace": namespace, "key": key}
        if operation_id is not None:
            args["operationId"] = operation_id
        return Call(self._backend.mutation, "mutable:deleteKey", args)

    def purge_namespace(self, *, namespace: str, dry_run: bool | None = None) -> Call[PurgedNamespace]:
        """Deletes all keys of a namespace; with `dryRun`, only says how many there are."""
        args: dict[str, Any] = {"namespace": namespace}
        if dry_run is not None:
            args["dryRun"] = dry_run
        return Call(self._backend.mutation, "mutable:purgeNamespace", args)

    def transaction(
        self,
        *,
        operations: builtins.list[MutableOperation],
        reads: builtins.list[MutableRead] | None = None,
        operation_id: str | None = None,
    ) -> Call[MutableTransaction]:
        """Does the operations in their order, all or none.

        Raises `KeyNotFound`, `ValueNotNumber`, `VersionConflict`, `IdempotencyConflict`.
        """
        args: dict[str, Any] = {"operations": operations}
        if reads is not None:
            args["reads"] = reads
        if operation_id is not None:
            args["operationId"] = operation_id
        return Call(self._backend.mutation, "mutable:transaction", args)

    def purge_many(
        self,
        *,
        namespace: str,
        key_prefix: str | None = None,
        user_id: str | None = None,
        updated_before: int | None = None,
    ) -> Call[PurgedKeys]:
        """Deletes the keys of a namespace that pass the filters."""
        args: dict[str, Any] = {"namespace": namespace}
        if key_prefix is not None:
            args["keyPrefix"] = key_prefix
        if user_id is not None:
            args["userId"] = user_id
        if updated_before is not None:
            args["updatedBefore"] = updated_before
        return Call(self._backend.mutation, "mutable:purgeMany", args)

    def get(self, *, namespace: str, key: str) -> Call[MutableEntry | None]:
        """The key with its value; None if there is none."""
        args: dict[str, Any] = {"namespace": namespace, "key": key}
        return Call(self._backend.query, "mutable:get", args)

    def get_record(self, *, namespace: str, key: str) -> Call[MutableEntry | None]:
        """As `mutable:get`: Cortex's clients call it by this name, too."""
        args: dict[str, Any] = {"namespace": namespace, "key": key}
        return Call(self._backend.query, "mutable:getRecord", args)

    def exists(self, *, namespace: str, key: str) -> Call[bool]:
        """Whether there is such a key."""
        args: dict[str, Any] = {"namespace": namespace, "key": key}
        return Call(self._backend.query, "mutable:exists", args)

    def list(
        self,
        *,
        namespace: str,
        key_prefix: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[builtins.list[MutableEntry]]:
        """Keys of a namespace, the oldest first."""
        args: dict[str, Any] = {"namespace": namespace}
        if key_prefix is not None:
            args["keyPrefix"] = key_prefix
        if user_id is not None:
            args["userId"] = user_id
        if limit is not None:
            args["limit"] = limit
        if offset is not None:
            args["offset"] = offset
        return Call(self._backend.query, "mutable:list", args)

    def page(
        self,
        *,
        namespace: str,
        key_prefix: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Call[MutablePage]:
        """A page of what `mutable:list` gives."""
        args: dict[str, Any] = {"namespace": namespace}
        if key_prefix is not None:
            args["keyPrefix"] = key_prefix
        if user_id is not None:
            args["userId"] = user_id
        if limit is not None:
            args["limit"] = limit
        if cursor is not None:
            args["cursor"] = cursor
        return Call(self._backend.query, "mutable:page", args)

    def count(self, *, namespace: str, key_prefix: str | None = None, user_id: str | None = None) -> Call[int]:
        """How many keys `mutable:list` gives without a limit."""
        args: dict[str, Any] = {"namespace": namespace}
        if key_prefix is not None:
            args["keyPrefix"] = key_prefix
        if user_id is not None:
            args["userId"] = user_id
        return Call(self._backend.query, "mutable:count", args)
