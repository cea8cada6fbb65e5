"""`cortex.mutable`: values that change, by namespace and key, for the whole store."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, cast

from cortex_rx import validation as check
from cortex_rx.api._changes import MutableTransaction, changed
from cortex_rx.api._pages import checked_page_size, pages
from cortex_rx.api._repeated import repeated
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Mutable
from cortex_rx.errors import InvalidArgument, VersionConflict
from cortex_rx.models.base import ids
from cortex_rx.models.mutable import DeletedKey, MutableRecord, MutableTransactionResult, PurgedKeys, PurgedNamespace
from cortex_rx.unique import new_id

__all__ = ["MutableAPI"]

_Records: TypeAlias = list[MutableRecord]  # inside the class, `list` is a method


class MutableAPI:
    """Values that change: counters, settings, what is true now. The newest value of a key counts, no other is kept.

    The table is the whole store's: it has no memory spaces. A key belongs to a namespace; both are strings that are not
    empty. A value is JSON, also None.

    Arguments are checked first: `InvalidArgument` is raised before the backend is called. If the backend refuses a
    call, the error is a `StoreError`. Every change is one transaction in the store, so none is lost, whoever else
    writes. All but the purges have an id by which the store knows them: a store that cannot be reached is asked again
    for two seconds, and the change is made once.

    >>> import asyncio
    >>> from cortex_rx import Cortex
    >>> async def main():
    ...     async with Cortex(":memory:") as cortex:
    ...         await asyncio.gather(*(cortex.mutable.increment("visits", "home") for _ in range(100)))
    ...         return (await cortex.mutable.get("visits", "home")).value
    >>> asyncio.run(main())
    100
    """

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        self._calls = Mutable(backend)

    async def set(
        self,
        namespace: str,
        key: str,
        value: Any,
        user_id: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
    ) -> MutableRecord:
        """Make a key, or replace its value. A user or metadata that is left out stays as it is stored.

        `expected_version` is the version that the change is for, 0 for a new key; if another is stored, it is a
        `VersionConflict`.
        """
        call = self._calls.set(
            **ids(namespace=namespace, key=key),
            value=check.json_value("value", value),
            user_id=check.optional(check.name)("user_id", user_id),
            metadata=check.optional(check.json_mapping)("metadata", metadata),
            expected_version=check.optional(check.whole())("expected_version", expected_version),
            operation_id=new_id("operation"),
        )
        row = await repeated(call)
        return MutableRecord.from_row(row)

    async def get(self, namespace: str, key: str) -> MutableRecord | None:
        """The key with its value, as Cortex gives it: `(await get(...)).value` is the value. None if there is none."""
        row = await self._calls.get(**ids(namespace=namespace, key=key))
        return None if row is None else MutableRecord.from_row(row)

    async def get_record(self, namespace: str, key: str) -> MutableRecord | None:
        """As `get`."""
        row = await self._calls.get_record(**ids(namespace=namespace, key=key))
        return None if row is None else MutableRecord.from_row(row)

    async def exists(self, namespace: str, key: str) -> bool:
        """Whether there is such a key."""
        return await self._calls.exists(**ids(namespace=namespace, key=key))

    async def update(self, namespace: str, key: str, updater: Callable[[Any], Any]) -> MutableRecord:
        """Replace the value by what `updater`, a function, plain or async, makes of it.

        It gets the value, or None if there is no such key, which is then made. If somebody else changes the key
        meanwhile, it is called again, with the new value. If it raises, nothing is changed. For numbers `increment` is
        cheaper.
        """
        where = ids(namespace=namespace, key=key)
        check.callback("updater", updater)
        while True:
            row = await self._calls.get(**where)
            value = await changed(updater, None if row is None else row["value"])
            version = 0 if row is None else row["version"]
            call = self._calls.set(**where, value=value, expected_version=version, operation_id=new_id("operation"))
            try:
                stored = await repeated(call)
            except VersionConflict:
                continue
            return MutableRecord.from_row(stored)

    async def increment(self, namespace: str, key: str, amount: float = 1) -> MutableRecord:
        """Add to a number; a key that is not there is made, from 0 on. Each call gets a value of its own.

        Raises `ValueNotNumber` if the key has another value, and `InvalidArgument` if the sum is no finite number of 64
        bits.
        """
        return await self._add(namespace, key, amount, "increment")

    async def decrement(self, namespace: str, key: str, amount: float = 1) -> MutableRecord:
        """Subtract from a number; otherwise as `increment`."""
        return await self._add(namespace, key, amount, "decrement")

    async def _add(self, namespace: str, key: str, amount: float, operation: Any) -> MutableRecord:
        call = self._calls.update(
            **ids(namespace=namespace, key=key),
            operation=operation,
            operand=check.number("amount", amount),
            initial=0,
            operation_id=new_id("operation"),
        )
        try:
            row = await repeated(call)
        except InvalidArgument as error:
            if error.field != "operand":
                raise
            raise InvalidArgument("amount", error.given, error.accepted) from None
        return MutableRecord.from_row(row)

    async def delete(self, namespace: str, key: str) -> DeletedKey:
        """Delete a key. Raises `KeyNotFound` if there is none."""
        call = self._calls.delete_key(**ids(namespace=namespace, key=key), operation_id=new_id("operation"))
        row = await repeated(call)
        return DeletedKey.from_row(row)

    async def list(
        self,
        namespace: str,
        key_prefix: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
        *,
        offset: int = 0,
    ) -> _Records:
        """Keys of a namespace, the oldest first: those that begin with `key_prefix`, and of the user, if given.

        At most `limit` of them (100 if it is left out), after the first `offset`.
        """
        rows = await self._calls.list(
            **_filters(namespace, key_prefix, user_id),
            limit=check.optional(check.whole())("limit", limit),
            offset=check.whole()("offset", offset),
        )
        return [MutableRecord.from_row(row) for row in rows]

    def iterate(
        self, namespace: str, *, key_prefix: str | None = None, user_id: str | None = None, page_size: int = 100
    ) -> AsyncGenerator[MutableRecord]:
        """All keys that `list` would give, page by page. What is made meanwhile comes at the end."""
        filters = _filters(namespace, key_prefix, user_id)
        checked_page_size("page_size", page_size)
        return pages(
            lambda size, cursor: self._calls.page(**filters, limit=size, cursor=cursor),
            MutableRecord.from_row,
            page_size,
        )

    async def count(self, namespace: str, key_prefix: str | None = None, user_id: str | None = None) -> int:
        """How many keys `list` would give without a limit."""
        return await self._calls.count(**_filters(namespace, key_prefix, user_id))

    async def purge_namespace(self, namespace: str, dry_run: bool = False) -> PurgedNamespace:
        """Delete all keys of a namespace; with `dry_run`, only say how many there are."""
        where = ids(namespace=namespace)
        call = self._calls.purge_namespace(**where, dry_run=check.flag("dry_run", dry_run))
        return PurgedNamespace.from_row(await call)

    async def purge_many(
        self,
        namespace: str,
        key_prefix: str | None = None,
        user_id: str | None = None,
        updated_before: int | datetime | None = None,
    ) -> PurgedKeys:
        """Delete the keys of a namespace that pass all filters, and say which; without a filter, all of them.

        `updated_before`: those whose last change is earlier than this, in epoch milliseconds or as a `datetime` with a
        time zone.
        """
        before = check.optional(check.time)("updated_before", updated_before)
        call = self._calls.purge_many(**_filters(namespace, key_prefix, user_id), updated_before=before)
        return PurgedKeys.from_row(await call)

    async def transaction(
        self, callback: Callable[[MutableTransaction], Any] | Iterable[Mapping[str, object]]
    ) -> MutableTransactionResult:
        """Make several changes, all or none.

        `callback`, plain or async, gets a `MutableTransaction`. What it reads is checked when its writes are made: if
        somebody has changed it meanwhile, the callback is called again, with new values. If it raises, nothing is
        changed. In its place there may be a list of operations, as the contract has them: {"op": "set", "namespace":
        ..., "key": ..., "value": ...}; the other ops are "update", "delete", "increment" and "decrement", with an
        `amount`.
        """
        if not callable(callback):
            return await self._transact(_operations(callback), [])
        while True:
            tx = MutableTransaction(self._calls)
            try:
                operations = await _called(callback, tx)
            except Exception:
                # What was read in several steps may never have been so at one time: then it runs again.
                if await self._is_current(tx):
                    raise
                continue
            try:
                return await self._transact(operations, tx.reads())
            except VersionConflict:
                continue

    async def _is_current(self, tx: MutableTransaction) -> bool:
        """Whether nobody has changed what a transaction has read."""
        try:
            await self._transact([], tx.reads())
        except VersionConflict:
            return False
        return True

    async def _transact(self, operations: Any, reads: Any) -> MutableTransactionResult:
        call = self._calls.transaction(operations=operations, reads=reads, operation_id=new_id("operation"))
        try:
            row = await repeated(call)
        except InvalidArgument as error:
            raise _of_callback(error) from None
        return MutableTransactionResult.from_row(row)


async def _called(callback: Callable[[MutableTransaction], Any], tx: MutableTransaction) -> list[dict[str, Any]]:
    made = callback(tx)
    if inspect.isawaitable(made):
        await made
    return await tx.operations()


def _filters(namespace: str, key_prefix: str | None, user_id: str | None) -> dict[str, Any]:
    return {
        **ids(namespace=namespace),
        "key_prefix": check.optional(check.any_text)("key_prefix", key_prefix),
        "user_id": check.optional(check.name)("user_id", user_id),
    }


def _operations(given: object) -> list[Any]:
    """Operations as the contract has them, checked."""
    # Loaded here, since it is a fifteenth of the import, and few programs give a list.
    from cortex_rx.backends.contract.checks import check as checked_call

    found = check.items("callback", given, "a function, plain or async, or a list of operations")
    try:
        checked = checked_call("mutation", "mutable:transaction", {"operations": found})
    except InvalidArgument as error:
        raise _of_callback(error) from None
    return cast("list[Any]", checked["operations"])


def _of_callback(error: InvalidArgument) -> InvalidArgument:
    """The error about an operation, as one about the argument `callback`."""
    return InvalidArgument(f"callback{error.field.removeprefix('operations')}", error.given, error.accepted)
