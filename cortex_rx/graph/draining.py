"""The drainer: it brings each record that has changed to the graph, as the record is now."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from weakref import WeakValueDictionary

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.errors import (
    Fenced,
    GraphError,
    GraphRefused,
    GraphSchemaError,
    GraphSyncError,
    GraphTimeout,
    StoreError,
    code_of,
)
from cortex_rx.graph.adapter import GraphAdapter
from cortex_rx.graph.projection import End, Projection, project
from cortex_rx.graph.schema import verify_graph_schema
from cortex_rx.graph.writing import Fence, FenceLost, write
from cortex_rx.retry.judge import is_transient
from cortex_rx.retry.pauses import doubling
from cortex_rx.unique import chance, new_id

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import OutboxLease, OutboxRecord, RecordKey, SeenOutboxItem

__all__ = ["BATCH", "LEASE", "TRIES", "Drainer", "GraphDrainReport", "RecordId", "drainer_of"]

log: logging.Logger = logging.getLogger("cortex_rx")

BATCH = 1_000
"""Rows of one read, of one transaction and of one acknowledgement."""
LEASE = 30.0
"""Seconds for which a drainer has the outbox for itself, unless it says so again."""
TRIES = 5
"""How often a row is refused before it is a dead letter."""

_FIRST, _LONGEST = 1.0, 300.0  # seconds before a row is tried again
_AWAY_FIRST, _AWAY_LONGEST = 0.5, 60.0  # seconds before a server that is away is asked again
_LOOK = 0.1, 2.0  # seconds between two looks whether another drainer has ended
_END_MISSING = "GRAPH_END_MISSING"

RecordId: TypeAlias = tuple[str, str, str]
"""The table of a record; the memory space, type or namespace that it is in, or an empty text; and its id."""


@dataclass(frozen=True, slots=True)
class GraphDrainReport:
    """What a drain has done. A record that changed meanwhile may be counted twice."""

    written: int = 0
    """Records that the graph shows as they are: written, or deleted from it."""
    failed: int = 0
    """Records that the graph refused. They are tried again later."""
    dead: int = 0
    """Records that the graph refused too often: dead letters."""
    waiting: int = 0
    """Records with an edge to one that is not in the graph yet."""
    behind: frozenset[RecordId] = field(default=frozenset(), repr=False)
    """The records that failed, or wait."""


Told: TypeAlias = Callable[[GraphDrainReport], object]


@dataclass(frozen=True, slots=True)
class _Row:
    item: OutboxRecord
    projection: Projection

    @property
    def id(self) -> RecordId:
        return record_id(self.item)


_SEEN = ("revision", "table", "entityId", "memorySpaceId", "entityType", "namespace")


def record_id(item: Mapping[str, Any]) -> RecordId:
    """What identifies the record that a row is about."""
    within = item.get("memorySpaceId") or item.get("entityType") or item.get("namespace") or ""
    return item["table"], within, item["entityId"]


def _seen(item: OutboxRecord) -> SeenOutboxItem:
    """What the outbox is told of a row."""
    return cast("SeenOutboxItem", {name: value for name, value in item.items() if name in _SEEN})


_drainers: WeakValueDictionary[tuple[int, int], Drainer] = WeakValueDictionary()


def drainer_of(graph: GraphAdapter, backend: Backend) -> Drainer:
    """The drainer from this store to this graph: the same one for all streams, as long as somebody holds it."""
    key = id(graph), id(backend)  # the drainer holds both, so these are no other's while it lives
    found = _drainers.get(key)
    if found is None:
        found = _drainers[key] = Drainer(graph, backend)
    return found


class Drainer:
    """Brings a store's changes to a graph. Of all drainers of a store one at a time writes, by a lease of the store.

    Within a process a drain that is under way serves all who ask meanwhile.
    """

    def __init__(
        self, graph: GraphAdapter, backend: Backend, *, batch: int = BATCH, tries: int = TRIES, lease: float = LEASE
    ) -> None:
        self.graph: GraphAdapter = graph
        self.backend: Backend = backend
        self.outbox: GraphSync = GraphSync(backend)
        self.tries: int = tries
        self.lease: float = lease
        self._most: int = batch
        self.size: int = batch
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()
        self._asked = self._covered = 0
        self._report = GraphDrainReport()
        self._ready = False  # the graph has its constraints, and the store keeps a graph
        self._recover()

    async def drain(self, told: Told | None = None) -> GraphDrainReport:
        """Bring all that has changed until now to the graph. `told` hears after each batch how far it is.

        Raises `GraphSchemaError` if the graph lacks constraints, `GraphSyncError` if it is that of another store, and
        the errors of the server and of the store. After one that is transient the server is not asked for a while: the
        same error is raised at once.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
            self._ready = False
            self._recover()
        self._asked += 1
        asked = self._asked
        async with self._lock:
            if self._covered < asked:
                if self._error is not None and loop.time() < self._again_at:
                    raise self._error
                covers = self._asked
                self._report = await self._once(told)
                self._covered = covers
            return self._report

    @property
    def pause(self) -> float:
        """Seconds until the server is asked again."""
        return 0.0 if self._loop is None else max(0.0, self._again_at - self._loop.time())

    async def keep(self) -> None:
        """Look whether the graph has its constraints, and have the store keep a graph from now on."""
        report = await verify_graph_schema(self.graph)
        if any(one.startswith("constraint") for one in report.missing):
            raise GraphSchemaError(f"{report}: call initialize_graph_schema(graph), or cortex.graph.initialize()")
        if not (await self.outbox.get_settings())["enabled"]:
            await self.outbox.keep(enabled=True)

    def _recover(self) -> None:
        self._error: Exception | None = None
        self._again_at = float("-inf")
        self._pauses = doubling(_AWAY_FIRST, _AWAY_LONGEST)

    async def _once(self, told: Told | None) -> GraphDrainReport:
        try:
            if not self._ready:
                await self.keep()
                self._ready = True
            report = await self._leased(told)
        except Exception as error:
            self._ready = self._ready and not isinstance(error, GraphError)
            if is_transient(error):
                assert self._loop is not None
                if isinstance(error, GraphTimeout):
                    self.size = max(1, self.size // 2)  # it may take that long because it is so much
                self._error = error
                self._again_at = self._loop.time() + next(self._pauses) * (0.5 + chance() / 2)
            raise
        self.size = self._most
        self._recover()
        return report

    async def _leased(self, told: Told | None) -> GraphDrainReport:
        """Drain under a lease. Another drainer is waited for; it writes our rows, too."""
        pauses = doubling(*_LOOK)
        until = (await self.outbox.get_sync_stats())["revision"]
        while True:
            holder = new_id("drainer")
            lease = await self.outbox.lease(holder=holder, seconds=self.lease)
            if lease["held"]:
                run = _Run(self, holder, Fence(lease["store"], lease["term"]), until, told)
                try:
                    return await run.drain()
                except (Fenced, FenceLost) as error:
                    await self._check(holder, lease, error)
                finally:
                    await self._release(holder)
            elif not (due := await self.outbox.get_batch(limit=1)) or due[0]["revision"] > until:
                return GraphDrainReport()
            await asyncio.sleep(next(pauses) * (0.5 + chance() / 2))

    async def _check(self, holder: str, lease: OutboxLease, error: Fenced | FenceLost) -> None:
        """Another drainer has taken over. If nobody has, the graph was written for another store, or a later one."""
        if isinstance(error, FenceLost) and error.store != lease["store"]:
            raise GraphSyncError("the graph is that of another store: give each store a graph of its own") from error
        again = await self.outbox.lease(holder=holder, seconds=self.lease)
        if again["held"] and again["term"] == lease["term"]:
            raise GraphSyncError(
                "the graph was written by a later state of this store, which seems to be restored from a backup: "
                "empty the graph, then sync it anew"
            ) from error
        log.info("another drainer has taken the outbox over")

    async def _release(self, holder: str) -> None:
        try:
            await self.outbox.release(holder=holder)
        except StoreError as error:
            log.info("the lease of the outbox is not given back, and ends by itself: %s", type(error).__name__)

    # For a run.

    def retry_at(self, attempts: int) -> int:
        """When a row is tried again, in epoch milliseconds."""
        pause = min(_FIRST * 2.0 ** min(attempts, 16), _LONGEST) * (0.5 + chance() / 2)
        wall: Callable[[], float] = getattr(self._loop, "wall", time.time)
        return round((wall() + pause) * 1000)


class _Run:
    """One drain under one lease, of what has changed up to the revision `until`."""

    def __init__(self, drainer: Drainer, holder: str, fence: Fence, until: int, told: Told | None) -> None:
        self._drainer, self._holder, self._fence, self._until, self._told = drainer, holder, fence, until, told
        self._graph, self._outbox = drainer.graph, drainer.outbox
        self._report = GraphDrainReport()
        self._written: list[OutboxRecord] = []  # of this batch, not acknowledged yet
        self._waiting: dict[RecordId, OutboxRecord] = {}  # of this round
        self._behind: set[RecordId] = set()
        self._leased_at = _time()

    async def drain(self) -> GraphDrainReport:
        while await self._round():
            pass
        # What they wait for is not on its way. They are not given up.
        for attempts in {item["attempts"] for item in self._waiting.values()}:
            items = [_seen(item) for item in self._waiting.values() if item["attempts"] == attempts]
            retry_at = self._drainer.retry_at(attempts)
            await self._outbox.mark_failed(items=items, error=_END_MISSING, retry_at=retry_at)
        self._behind |= self._waiting.keys()
        return replace(self._report, waiting=len(self._waiting), behind=frozenset(self._behind))

    async def _round(self) -> bool:
        """Write the rows that are due; return whether some wait, and what they wait for may be written now."""
        self._waiting = {}
        after, before = 0, self._report.written
        while after < self._until and (batch := await self._outbox.get_batch(limit=self._drainer.size, after=after)):
            await self._renew()
            after = batch[-1]["revision"]
            try:
                await self._write([row for item in batch if (row := await self._projected(item))])
            finally:
                await self._acknowledge()
            if self._told:
                self._told(replace(self._report, waiting=len(self._waiting)))
        return bool(self._waiting) and self._report.written > before

    async def _projected(self, item: OutboxRecord) -> _Row | None:
        try:
            return _Row(item, project(item))
        except Exception as error:  # a record that no projection expects must not stop the others
            await self._refused(item, error)
            return None

    async def _renew(self) -> None:
        """Renew the lease, when a third of its time is over."""
        if _time() < self._leased_at + self._drainer.lease / 3:
            return
        lease = await self._outbox.lease(holder=self._holder, seconds=self._drainer.lease)
        if not lease["held"] or lease["term"] != self._fence.term:
            raise FenceLost(self._fence.store)
        self._leased_at = _time()

    async def _write(self, rows: Sequence[_Row]) -> None:
        """Write rows in one transaction. Where one of them is refused, write the others without it."""
        if not rows:
            return
        try:
            missing = await write(self._graph, self._fence, [row.projection for row in rows])
        except Exception as error:
            if not _is_of_rows(error):
                raise
            if len(rows) == 1:
                await write(self._graph, self._fence, [])  # where this fails, too, it is not the row
                await self._refused(rows[0].item, error)
                return
            middle = len(rows) // 2
            await self._write(rows[:middle])
            await self._write(rows[middle:])
            return
        wait = await self._which_wait(rows, missing) if missing else frozenset[int]()
        for at, row in enumerate(rows):
            if at in wait:
                self._waiting[row.id] = row.item
            else:
                self._written.append(row.item)

    async def _which_wait(self, rows: Sequence[_Row], missing: Mapping[int, set[End]]) -> set[int]:
        """Those rows that have an edge to a record which the store has, and the graph has not yet.

        An edge to a record that is gone is left out.
        """
        asked: list[tuple[int, RecordKey]] = [
            (at, cast("RecordKey", rows[at].projection.needs[end])) for at, ends in missing.items() for end in ends
        ]
        exist = await self._outbox.exists(records=[key for _, key in asked])
        return {at for (at, _), is_there in zip(asked, exist, strict=True) if is_there}

    async def _refused(self, item: OutboxRecord, error: Exception) -> None:
        """A record cannot be written: it is tried again later, or is a dead letter."""
        dead = item["attempts"] + 1 >= self._drainer.tries
        log.warning("a record of %s is not written to the graph: %s", item["table"], code_of(error))
        retry_at = None if dead else self._drainer.retry_at(item["attempts"])
        await self._outbox.mark_failed(items=[_seen(item)], error=code_of(error), retry_at=retry_at)
        self._behind.add(record_id(item))
        self._report = replace(self._report, failed=self._report.failed + (not dead), dead=self._report.dead + dead)

    async def _acknowledge(self) -> None:
        items, self._written = self._written, []
        if items:
            await self._outbox.mark_synced(items=[_seen(item) for item in items], holder=self._holder)
            self._report = replace(self._report, written=self._report.written + len(items))


def _time() -> float:
    return asyncio.get_running_loop().time()


def _is_of_rows(error: Exception) -> bool:
    """Whether what is written may be the reason."""
    return not (
        is_transient(error)
        or isinstance(error, (GraphRefused, GraphSchemaError, GraphSyncError, StoreError, FenceLost))
    )
