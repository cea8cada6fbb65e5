"""Values that change: what is stored, and what a change gives. The names are Cortex's."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from cortex_rx.models.records import Record

__all__ = ["DeletedKey", "MutableRecord", "MutableTransactionResult", "PurgedKeys", "PurgedNamespace"]


class MutableRecord(Record):
    """A key and its value. `version` is one more after each change. It is 1 at first, or higher if keys were deleted
    from the namespace: a key that is made again has no version that it had before. Times are epoch milliseconds.

    `access_count` and `last_accessed` are Cortex's: nobody counts the accesses, there or here, so they are 0 and None.

    >>> row = {"namespace": "n", "key": "k", "value": {"aKey": 1}, "version": 1, "createdAt": 5, "updatedAt": 5}
    >>> record = MutableRecord.from_row(row)
    >>> record.value, record["createdAt"], record["created_at"]
    ({'aKey': 1}, 5.0, 5.0)
    """

    _positions: ClassVar[tuple[str, ...]] = (
        *("_id", "namespace", "key", "value", "created_at", "updated_at", "access_count", "user_id", "metadata"),
        "last_accessed",
    )

    namespace: str
    key: str
    value: Any
    created_at: float
    updated_at: float
    access_count: int = 0
    user_id: str | None = None
    metadata: dict[str, Any] | None = None
    last_accessed: float | None = None
    version: int


class DeletedKey(Record):
    """A key that was deleted."""

    deleted: bool
    namespace: str
    key: str


class PurgedNamespace(Record):
    """A namespace without its keys: `deleted` is how many there were."""

    deleted: int
    namespace: str


class PurgedKeys(Record):
    """The keys that were deleted from a namespace: `purged["keys"]`, as in Cortex, or `purged.deleted_keys`.

    >>> purged = PurgedKeys.from_row({"deleted": 1, "namespace": "n", "keys": ["k"]})
    >>> purged["keys"], purged.deleted_keys, dict(purged)
    (('k',), ('k',), {'deleted': 1, 'namespace': 'n', 'keys': ('k',)})
    """

    deleted: int
    namespace: str
    deleted_keys: tuple[str, ...] = Field(alias="keys")  # `keys` is a method of each record

    def __getitem__(self, key: str) -> Any:
        """The value of a field, by Cortex's name or by ours."""
        return super().__getitem__("deleted_keys" if key == "keys" else key)

    def __contains__(self, key: object) -> bool:
        return key == "keys" or super().__contains__(key)


class MutableTransactionResult(Record):
    """What a transaction did: the result of each operation, in their order."""

    success: bool
    operations_executed: int
    results: tuple[MutableRecord | DeletedKey, ...]
