"""`cortex.memory_spaces`: the memory spaces themselves."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias, get_args

from cortex_rx import validation as check
from cortex_rx.api._exports import exported
from cortex_rx.api._graph import check_sync
from cortex_rx.api._pages import checked_page_size, pages
from cortex_rx.api._repeated import repeated
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.backends.contract.call import Call
from cortex_rx.backends.contract.typed import MemorySpaces
from cortex_rx.errors import InvalidArgument, MemorySpaceNotFound
from cortex_rx.models.base import ids, parse
from cortex_rx.models.exports import ExportFormat, ExportResult, stream_export
from cortex_rx.models.memory_spaces import (
    DeletedMemorySpace,
    MemorySpace,
    MemorySpaceList,
    MemorySpaceParticipant,
    MemorySpaceStats,
    MemorySpaceStatus,
    MemorySpaceType,
    MemorySpaceUpdate,
    RegisterMemorySpaceParams,
    TimeWindow,
    checked_participants,
)

__all__ = ["MemorySpacesAPI"]

logger: logging.Logger = logging.getLogger("cortex_rx")

_Spaces: TypeAlias = list[MemorySpace]  # inside the class, `list` is a method
_Participant: TypeAlias = str | MemorySpaceParticipant | Mapping[str, Any]

_STEP = 50  # records that a step of a deletion takes: some milliseconds, in which nobody else writes
_COLUMNS = (*("memorySpaceId", "name", "type", "status", "participants", "metadata", "createdAt", "updatedAt"),)
_TYPE, _STATUS = (check.optional(check.one_of(*get_args(one))) for one in (MemorySpaceType, MemorySpaceStatus))
_WINDOW = check.one_of(*get_args(TimeWindow))
_FORMAT = check.one_of(*get_args(ExportFormat))


class MemorySpacesAPI:
    """The memory spaces of a backend: what is registered of them, what is in them, and their end.

    A memory space need not be registered: it is used as soon as something is stored in it. What is registered has a
    type, participants and metadata, and is listed. An archived memory space is read, and not written.

    Arguments are checked first: `InvalidArgument` is raised before the backend is called. If the backend refuses a
    call, the error is a `StoreError`. A change is made again for two seconds if the store cannot be reached; each is
    safe to repeat.

    >>> import asyncio
    >>> from cortex_rx import SqliteBackend
    >>> async def main():
    ...     async with SqliteBackend(":memory:") as backend:
    ...         spaces = MemorySpacesAPI(backend)
    ...         made = await spaces.register(memory_space_id="team-1", type="team", participants=["ada"])
    ...         archived = await spaces.archive("team-1", "The project is over.")
    ...         return made.participants[0].id, archived.status, await spaces.count(status="active")
    >>> asyncio.run(main())
    ('ada', 'archived', 0)
    """

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend = checked_backend("backend", backend)
        self._calls = MemorySpaces(backend)

    async def register(
        self,
        params: RegisterMemorySpaceParams | Mapping[str, Any] | None = None,
        sync_to_graph: bool | None = None,
        **keywords: Any,
    ) -> MemorySpace:
        """Register a memory space. The same again gives what is registered; another one is `MemorySpaceExists`.

        A participant is a `MemorySpaceParticipant`, a mapping of its fields, or the id of a user. Without `joined_at`
        it joins now.
        """
        check.optional(check.flag)("sync_to_graph", sync_to_graph)
        given = parse(RegisterMemorySpaceParams, params, **keywords)
        await check_sync(self._backend, sync_to_graph)
        return await self._changed(self._calls.register(**given.keywords()))

    async def get(self, memory_space_id: str, include_stats: bool = False) -> MemorySpace | None:
        """What is registered, with its `stats` if asked for; None if the memory space is not registered."""
        check.flag("include_stats", include_stats)
        row = await self._calls.get(**ids(memory_space_id=memory_space_id))
        if row is None:
            return None
        stats = {"stats": await self._calls.get_stats(memory_space_id=memory_space_id)} if include_stats else {}
        return MemorySpace.from_row({**row, **stats})

    async def list(
        self,
        type: MemorySpaceType | None = None,
        status: MemorySpaceStatus | None = None,
        participant: str | None = None,
        limit: int = 50,
        offset: int = 0,
        *,
        include_unregistered: bool = False,
    ) -> MemorySpaceList:
        """At most `limit` memory spaces in `spaces`, newest first, after skipping `offset` of them. The filters apply
        before the limit.

        With `include_unregistered`, those that are used and not registered follow, by their ids.
        """
        page = {"limit": check.whole()("limit", limit), "offset": check.whole()("offset", offset)}
        check.flag("include_unregistered", include_unregistered)
        narrowed = _filters(type, status, participant)
        rows = await self._calls.list(**narrowed, **page, include_unregistered=include_unregistered)
        return MemorySpaceList(spaces=tuple(MemorySpace.from_row(row) for row in rows))

    def iterate(
        self,
        type: MemorySpaceType | None = None,
        status: MemorySpaceStatus | None = None,
        participant: str | None = None,
        *,
        page_size: int = 100,
    ) -> AsyncGenerator[MemorySpace]:
        """All registered memory spaces that pass the filters, oldest first, read page by page.

        >>> import asyncio
        >>> from cortex_rx import Cortex
        >>> async def main():
        ...     async with Cortex(":memory:") as cortex:
        ...         for number in range(3):
        ...             await cortex.memory_spaces.register(memory_space_id=f"space-{number}", type="custom")
        ...         return [space.memory_space_id async for space in cortex.memory_spaces.iterate(page_size=2)]
        >>> asyncio.run(main())
        ['space-0', 'space-1', 'space-2']
        """
        narrowed = _filters(type, status, participant)
        checked_page_size("page_size", page_size)
        calls = self._calls
        return pages(
            lambda size, cursor: calls.page(**narrowed, limit=size, cursor=cursor), MemorySpace.from_row, page_size
        )

    async def count(
        self,
        type: MemorySpaceType | None = None,
        status: MemorySpaceStatus | None = None,
        *,
        participant: str | None = None,
        include_unregistered: bool = False,
    ) -> int:
        """How many memory spaces `list` gives without a limit."""
        check.flag("include_unregistered", include_unregistered)
        return await self._calls.count(**_filters(type, status, participant), include_unregistered=include_unregistered)

    async def search(
        self,
        query: str,
        type: MemorySpaceType | None = None,
        status: MemorySpaceStatus | None = None,
        limit: int = 20,
    ) -> _Spaces:
        """At most `limit` registered memory spaces, newest first, in whose id, name or metadata the query occurs, in
        large or small letters. The filters apply before the limit."""
        check.name("query", query)
        check.whole()("limit", limit)
        rows = await self._calls.search(query=query, limit=limit, **_filters(type, status, None))
        return [MemorySpace.from_row(row) for row in rows]

    async def update(
        self,
        memory_space_id: str,
        updates: MemorySpaceUpdate | Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> MemorySpace:
        """Change the `name`, the `metadata`, which replace the former, or the `status`. Raises `MemorySpaceNotFound` if
        it is not registered."""
        changes = parse(MemorySpaceUpdate, updates, **keywords).keywords()
        return await self._changed(self._calls.update(**ids(memory_space_id=memory_space_id), **changes))

    async def update_participants(
        self,
        memory_space_id: str,
        add: Sequence[_Participant] | None = None,
        remove: Sequence[str] | None = None,
    ) -> MemorySpace:
        """Remove participants, by their ids, then add those that are not there: each a `MemorySpaceParticipant`, a
        mapping of its fields, or the id of a user."""
        given = ids(memory_space_id=memory_space_id)
        added = checked_participants("add", add)
        removed = check.optional(check.names)("remove", remove)
        call = self._calls.update_participants(
            **given,
            add=None if added is None else [one.row() for one in added],
            remove=None if removed is None else list(removed),
        )
        return await self._changed(call)

    async def archive(
        self, memory_space_id: str, reason: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> MemorySpace:
        """Archive a memory space: it is read, and not written any more.

        What would write in it raises `MemorySpaceArchived`; answers that are being written are stored to their end. Its
        metadata get the given ones, `archivedAt` and `archiveReason`. One that is used and not registered is registered
        by this. Raises `MemorySpaceNotFound` if it is neither.
        """
        given = ids(memory_space_id=memory_space_id)
        check.optional(check.any_text)("reason", reason)
        kept = check.optional(check.json_mapping)("metadata", metadata)
        return await self._changed(self._calls.archive(**given, reason=reason, metadata=kept))

    async def reactivate(self, memory_space_id: str) -> MemorySpace:
        """Make an archived memory space active again. Raises `MemorySpaceNotFound` if it is not registered."""
        return await self._changed(self._calls.reactivate(**ids(memory_space_id=memory_space_id)))

    async def delete(
        self,
        memory_space_id: str,
        cascade: bool = True,
        reason: str | None = None,
        confirm_id: str | None = None,
    ) -> DeletedMemorySpace:
        """Delete a memory space with everything in it. Its id is free then.

        It is archived first, so that nobody writes in it, and deleted in steps, so that other writers wait for a few
        milliseconds at a time. If the process dies meanwhile, an archived memory space is left; delete it again. Words
        stay in the index of a SQLite file until it merges them: `SqliteBackend.compact` does that now.

        Without `cascade` it is `MemorySpaceHasData` if there are records. `confirm_id`, if it is given, must be the id
        once more. The `reason` goes to the log, and is kept nowhere. Raises `MemorySpaceNotFound` if the memory space
        is neither registered nor used.
        """
        space = ids(memory_space_id=memory_space_id)
        check.flag("cascade", cascade)
        check.optional(check.any_text)("reason", reason)
        if check.optional(check.name)("confirm_id", confirm_id) not in (None, memory_space_id):
            raise InvalidArgument("confirm_id", confirm_id, "the id of the memory space once more, or None")
        if cascade:
            await repeated(self._calls.archive(**space))
            while (await repeated(self._calls.clear(**space, limit=_STEP)))["more"]:
                pass
            try:
                row = await repeated(self._calls.delete_space(**space, cascade=True))
            except MemorySpaceNotFound:  # it was there: the call before had done it
                row = {"deleted": True, "memorySpaceId": memory_space_id, "cascaded": True}
        else:
            row = await self._calls.delete_space(**space, cascade=False)
        why = "" if reason is None else f": {reason}"
        logger.info("the memory space %r was deleted%s", memory_space_id, why)
        return DeletedMemorySpace.from_row(row)

    async def get_stats(
        self, memory_space_id: str, time_window: TimeWindow = "all", include_participants: bool = False
    ) -> MemorySpaceStats:
        """What is in a memory space, registered or only used, made within the window; of its participants too, if asked
        for. It reads all records of the memory space. Raises `MemorySpaceNotFound` if it is neither."""
        row = await self._calls.get_stats(
            **ids(memory_space_id=memory_space_id),
            time_window=_WINDOW("time_window", time_window),
            include_participants=check.flag("include_participants", include_participants),
        )
        return MemorySpaceStats.from_row(row)

    async def export(
        self,
        format: ExportFormat = "json",
        type: MemorySpaceType | None = None,
        status: MemorySpaceStatus | None = None,
        participant: str | None = None,
    ) -> ExportResult:
        """The registered memory spaces that pass the filters as one text, oldest first."""
        async with aclosing(self.iterate(type, status, participant)) as found:
            return await exported(_FORMAT("format", format), _COLUMNS, _rows(found))

    async def stream_export(
        self,
        format: ExportFormat = "json",
        type: MemorySpaceType | None = None,
        status: MemorySpaceStatus | None = None,
        participant: str | None = None,
        *,
        page_size: int = 100,
    ) -> AsyncGenerator[str]:
        """The same text in pieces, however many memory spaces there are."""
        _FORMAT("format", format)
        async with aclosing(self.iterate(type, status, participant, page_size=page_size)) as found:
            async for piece in stream_export(format, _COLUMNS, _rows(found)):
                yield piece

    async def _changed(self, call: Call[Any]) -> MemorySpace:
        return MemorySpace.from_row(await repeated(call))


async def _rows(spaces: AsyncIterator[MemorySpace]) -> AsyncIterator[dict[str, Any]]:
    async for space in spaces:
        row = space.model_dump(by_alias=True, exclude_none=True)
        yield {name: row[name] for name in _COLUMNS if name in row}


def _filters(type: object, status: object, participant: object) -> dict[str, Any]:
    """The filters of a call, as keywords of a typed call."""
    return {
        "type": _TYPE("type", type),
        "status": _STATUS("status", status),
        "participant_id": check.optional(check.name)("participant", participant),
    }
