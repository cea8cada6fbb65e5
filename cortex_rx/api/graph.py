"""`cortex.graph`: the graph of a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cortex_rx import operators as cx
from cortex_rx import validation as check
from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.engine import run
from cortex_rx.graph.adapter import GraphAdapter
from cortex_rx.graph.draining import GraphDrainReport, drainer_of
from cortex_rx.graph.drawing import Picture, draw
from cortex_rx.graph.orphans import OrphanReport, find_orphans, remove_orphans
from cortex_rx.graph.outbox import outbox
from cortex_rx.graph.questions import EntityPath, RelatedEntity, graph_facts, path, related
from cortex_rx.graph.schema import initialize_graph_schema
from cortex_rx.graph.verifying import GraphComparison, compare_graph
from cortex_rx.models.graph import GraphDeadLetter, GraphRecordKey, GraphSyncStatus
from cortex_rx.models.options import parse
from cortex_rx.models.recall_options import FactFinder

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import RecordKey

__all__ = ["GraphAPI"]


class GraphAPI:
    """The graph of a store: a projection of its records, which follows what the store notes of each change."""

    def __init__(self, graph: GraphAdapter, backend: Backend) -> None:
        self._graph, self._backend = graph, backend
        self._outbox = GraphSync(backend)
        self._drainer = drainer_of(graph, backend)

    async def initialize(self) -> None:
        """Make the constraints and indexes that the graph lacks: see `initialize_graph_schema`. Without the constraints
        nothing is written. From then on the store notes each change, and all that is there.
        """
        await initialize_graph_schema(self._graph)
        await self._drainer.keep()

    async def sync(self, every: timedelta = timedelta(seconds=1)) -> None:
        """Keep the graph up to date, until it is cancelled. It looks every `every` whether something has changed.

        A server or a store that is away is asked again later. Any other error is raised: `GraphSchemaError` before
        `initialize`, `GraphSyncError` for the graph of another store.
        """
        await run(outbox(self._backend, every).pipe(cx.sync_graph(self._graph, self._backend)))

    async def drain(self) -> GraphDrainReport:
        """Bring all that has changed until now to the graph, once. Raises the errors of `sync`, and those of a server
        or a store that is away.
        """
        return await self._drainer.drain()

    async def initial_sync(self, on_progress: Callable[[int, int], object] | None = None) -> GraphDrainReport:
        """Bring what was in the store before it kept a graph there: as `drain`, and `on_progress(written, of)` is
        called after each batch, with numbers of records.

        What is written stays written. So after an error, or when its process was killed, the next one goes on.
        """
        check.optional(check.function)("on_progress", on_progress)
        await self._drainer.keep()
        stats = await self._outbox.get_sync_stats()
        of = stats["unsynced"] - stats["waiting"] - stats["failed"]

        def told(report: GraphDrainReport) -> None:
            if on_progress is not None:
                on_progress(report.written, max(of, report.written))

        return await self._drainer.drain(told)

    async def status(self) -> GraphSyncStatus:
        """How many records the graph has not been told of."""
        stats = await self._outbox.get_sync_stats()
        return GraphSyncStatus(
            unsynced=stats["unsynced"], by_table=stats["byTable"], waiting=stats["waiting"], failed=stats["failed"]
        )

    async def dead_letters(self, limit: int = 100, after: int = 0) -> list[GraphDeadLetter]:
        """The records that the graph refused five times, oldest first: at most `limit`, those with a revision higher
        than `after`.
        """
        check.whole(1)("limit", limit)
        check.whole()("after", after)
        letters = await self._outbox.get_failed_items(limit=limit, after=after)
        return [GraphDeadLetter.model_validate(letter) for letter in letters]

    async def retry(self, *records: GraphDeadLetter | GraphRecordKey | Mapping[str, Any]) -> int:
        """Have these records tried again now, dead letters and those that wait; without any, all of them. Returns how
        many. A record that has changed meanwhile is tried in any case.
        """
        items: list[RecordKey] = [_key(record) for record in records]
        return (await self._outbox.retry(items=items or None))["retried"]

    async def verify(self) -> GraphComparison:
        """Compare the graph with the store: all nodes and edges, with their properties. See `compare_graph`."""
        return await compare_graph(self._graph, self._backend)

    async def orphans(self, *, dry_run: bool = True) -> OrphanReport:
        """The nodes that no record speaks of any more, and why each may go. Without `dry_run` they are deleted. See
        `find_orphans` and `remove_orphans`.
        """
        check.flag("dry_run", dry_run)
        return await (find_orphans if dry_run else remove_orphans)(self._graph, self._backend)

    async def related(
        self, memory_space_id: str, entity: str, depth: int = 2, *, limit: int = 100
    ) -> list[RelatedEntity]:
        """The entities within `depth` steps of an entity, by what current facts of its memory space say, the nearest
        first. See `cortex_rx.graph.questions.related`.
        """
        return await related(self._graph, memory_space_id, entity, depth, limit=limit)

    async def path(self, memory_space_id: str, start: str, end: str, *, max_hops: int = 6) -> EntityPath | None:
        """A shortest path between two entities of a memory space, by what its current facts say; None if there is none.
        See `cortex_rx.graph.questions.path`.
        """
        return await path(self._graph, memory_space_id, start, end, max_hops=max_hops)

    def facts(self, depth: int = 2) -> FactFinder:
        """For `recall(..., facts=cortex.graph.facts())`: what words find, then what is near in the graph. See
        `graph_facts`.
        """
        return graph_facts(self._graph, self._backend, depth=depth)

    async def draw(self, memory_space_id: str, label: str, name: str, *, depth: int = 1, limit: int = 40) -> Picture:
        """An SVG of a node of a memory space, and of what is near it. See `cortex_rx.graph.drawing.draw`."""
        return await draw(self._graph, memory_space_id, label, name, depth=depth, limit=limit)


def _key(record: object) -> RecordKey:
    if isinstance(record, GraphDeadLetter):
        record = {name: getattr(record, name) for name in GraphRecordKey.model_fields}
    key: Any = parse(GraphRecordKey, record).model_dump(by_alias=True, exclude_none=True)
    return key  # type: ignore[no-any-return]
