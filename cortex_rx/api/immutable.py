"""`cortex.immutable`: what is kept with all its versions, for all memory spaces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, TypeAlias, get_args

from cortex_rx import validation as check
from cortex_rx.api._exports import exported
from cortex_rx.api._pages import checked_page_size, pages
from cortex_rx.api._repeated import repeated
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.typed import Immutable
from cortex_rx.errors import InvalidArgument
from cortex_rx.models.base import ids, parse
from cortex_rx.models.exports import ExportFormat, ExportResult, stream_export
from cortex_rx.models.immutable import (
    FoundEntry,
    ImmutableEntry,
    ImmutableRecord,
    ImmutableVersion,
    PurgedEntries,
    PurgedEntry,
    PurgedVersions,
)
from cortex_rx.unique import new_id

__all__ = ["ImmutableAPI"]

_Records: TypeAlias = list[ImmutableRecord]  # inside the class, `list` is a method
_Found: TypeAlias = list[FoundEntry]
_Versions: TypeAlias = list[ImmutableVersion]
_COLUMNS = ("type", "id", "version", "data", "userId", "metadata", "createdAt", "updatedAt")
_FORMAT = check.one_of(*get_args(ExportFormat))


class ImmutableAPI:
    """Entries that keep all their versions: articles, policies, profiles. They belong to the whole store, not to a
    memory space; every program that has the store sees them.

    An entry is named by its `type` and its `id`. Storing it again makes another version, and deletes none. The entries
    of type "user" are the profiles of `cortex.users`.

    Arguments are checked first: `InvalidArgument` is raised before the backend is called. If the backend refuses a
    call, the error is a `StoreError`. Times are epoch milliseconds, or a `datetime` with a time zone.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         immutable = ImmutableAPI(backend)
    ...         for days in (14, 30):
    ...             await immutable.store(type="policy", id="refunds", data={"inDays": days})
    ...         now = await immutable.get("policy", "refunds")
    ...         before = await immutable.get_version("policy", "refunds", 1)
    ...         return now.version, now.data, before.data
    >>> asyncio.run(main())
    (2, {'inDays': 30}, {'inDays': 14})
    """

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        self._calls = Immutable(backend)

    async def store(
        self,
        entry: ImmutableEntry | Mapping[str, Any] | None = None,
        *,
        expected_version: int | None = None,
        **keywords: Any,
    ) -> ImmutableRecord:
        """Store an entry, or the next version of it, and return it with its earlier versions.

        `type`, `id` and `data` are required. `user_id` and `metadata` that are left out stay as they were. With
        `expected_version` the entry must have this version, 0 for none; otherwise it is a `VersionConflict`. A store
        that cannot be reached is asked again for two seconds; that makes one version.
        """
        check.optional(check.whole())("expected_version", expected_version)
        given = parse(ImmutableEntry, entry, **keywords).keywords()
        call = self._calls.store(**given, expected_version=expected_version, operation_id=new_id("operation"))
        row = await repeated(call)
        return ImmutableRecord.from_row(row)

    async def get(self, type: str, id: str) -> ImmutableRecord | None:
        """The entry with its earlier versions; None if there is none."""
        row = await self._calls.get(**ids(type=type, id=id))
        return None if row is None else ImmutableRecord.from_row(row)

    async def get_version(self, type: str, id: str, version: int) -> ImmutableVersion | None:
        """A version of an entry; None if it never was or is not kept any more."""
        check.whole(1)("version", version)
        row = await self._calls.get_version(**ids(type=type, id=id), version=version)
        return None if row is None else ImmutableVersion.from_row(row)

    async def get_history(self, type: str, id: str) -> _Versions:
        """The versions that are kept, oldest first, the current one too."""
        rows = await self._calls.get_history(**ids(type=type, id=id))
        return [ImmutableVersion.from_row(row) for row in rows]

    async def get_at_timestamp(self, type: str, id: str, timestamp: int | datetime) -> ImmutableVersion | None:
        """The version that was current at that time; None before the entry was made, and if that version is not kept
        any more."""
        time: int = check.time("timestamp", timestamp)
        row = await self._calls.get_at_timestamp(**ids(type=type, id=id), timestamp=time)
        return None if row is None else ImmutableVersion.from_row(row)

    async def list(
        self, type: str | None = None, user_id: str | None = None, limit: int | None = None, *, offset: int = 0
    ) -> _Records:
        """Entries, newest first, of a type or of a user if given: at most `limit` (100 if it is left out), after
        skipping `offset` of them."""
        page: dict[str, Any] = {
            "limit": check.optional(check.whole())("limit", limit),
            "offset": check.whole()("offset", offset),
        }
        rows = await self._calls.list(**_filters(type, user_id), **page)
        return [ImmutableRecord.from_row(row) for row in rows]

    def iterate(
        self, type: str | None = None, user_id: str | None = None, *, page_size: int = 100
    ) -> AsyncGenerator[ImmutableRecord]:
        """All entries, oldest first, of a type or of a user if given, read page by page."""
        checked_page_size("page_size", page_size)
        given = _filters(type, user_id)
        return pages(
            lambda size, cursor: self._calls.page(**given, limit=size, cursor=cursor),
            ImmutableRecord.from_row,
            page_size,
        )

    async def search(
        self, query: str, type: str | None = None, user_id: str | None = None, limit: int | None = None
    ) -> _Found:
        """The entries whose current data have `query` in a key or a value, in capital or small letters, best first: at
        most `limit` (10 if it is left out)."""
        check.name("query", query)
        check.optional(check.whole())("limit", limit)
        rows = await self._calls.search(query=query, **_filters(type, user_id), limit=limit)
        return [FoundEntry.from_row(row) for row in rows]

    async def count(self, type: str | None = None, user_id: str | None = None) -> int:
        """How many entries there are, of a type or of a user if given."""
        return await self._calls.count(**_filters(type, user_id))

    async def purge(self, type: str, id: str) -> PurgedEntry:
        """Delete an entry with all its versions. Raises `EntryNotFound`."""
        return PurgedEntry.from_row(await self._calls.purge(**ids(type=type, id=id)))

    async def purge_many(
        self,
        type: str | None = None,
        user_id: str | None = None,
        created_before: int | datetime | None = None,
        dry_run: bool = False,
    ) -> PurgedEntries:
        """Delete the entries that fit all filters, with all their versions. With `dry_run` say which, and delete
        nothing.

        Without a filter it is an `InvalidArgument`, not the end of all entries.
        """
        check.flag("dry_run", dry_run)
        time = check.optional(check.time)("created_before", created_before)
        given = _filters(type, user_id)
        if type is None and user_id is None and time is None:
            raise InvalidArgument("type", "nothing", "a value here, or in user_id or created_before")
        return PurgedEntries.from_row(await self._calls.purge_many(**given, created_before=time, dry_run=dry_run))

    async def purge_versions(
        self, type: str, id: str, keep_latest: int | None = None, older_than: int | datetime | None = None
    ) -> PurgedVersions:
        """Delete earlier versions of an entry: all but the newest `keep_latest`, or those written before `older_than`;
        with both, only those that both mean. The current version always stays. Raises `EntryNotFound`.
        """
        entry = ids(type=type, id=id)
        check.optional(check.whole())("keep_latest", keep_latest)
        time = check.optional(check.time)("older_than", older_than)
        if keep_latest is None and time is None:
            raise InvalidArgument("keep_latest", "nothing", "a value here, or in older_than")
        call = self._calls.purge_versions(**entry, keep_latest=keep_latest, older_than=time)
        return PurgedVersions.from_row(await call)

    async def export(
        self, format: ExportFormat = "json", type: str | None = None, user_id: str | None = None
    ) -> ExportResult:
        """The entries as JSON or CSV, oldest first, as their current versions say."""
        _FORMAT("format", format)
        async with aclosing(self.iterate(type, user_id)) as records:
            return await exported(format, _COLUMNS, _rows(records))

    async def stream_export(
        self, format: ExportFormat = "json", type: str | None = None, user_id: str | None = None
    ) -> AsyncGenerator[str]:
        """The text of `export` in pieces, never all of it in memory."""
        _FORMAT("format", format)
        async with aclosing(self.iterate(type, user_id)) as records:
            async for piece in stream_export(format, _COLUMNS, _rows(records)):
                yield piece


def _filters(type: str | None, user_id: str | None) -> dict[str, Any]:
    optional = check.optional(check.name)
    return {"type": optional("type", type), "user_id": optional("user_id", user_id)}


async def _rows(records: AsyncIterator[ImmutableRecord]) -> AsyncGenerator[dict[str, Any]]:
    async for record in records:
        # Without the earlier versions, which a listed entry does not have.
        yield {name: value for name, value in dict(record).items() if name in _COLUMNS and value is not None}
