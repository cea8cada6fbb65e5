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
from cortex_rx.graph.outbox import outbox
from cortex_rx.graph.schema import initialize_graph_schema
from cortex_rx.models.graph import GraphDeadLetter, GraphRecordKey, GraphSyncStatus
from cortex_rx.models.options import parse

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
        nothing is written.
        """
        await initialize_graph_schema(self._graph)

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
        check.whole(1)("limit", limit), check.whole()("after", after)
        letters = await self._outbox.get_failed_items(limit=limit, after=after)
        return [GraphDeadLetter.model_validate(letter) for letter in letters]

    async def retry(self, *records: GraphDeadLetter | GraphRecordKey | Mapping[str, Any]) -> int:
        """Have these records tried again now, dead letters and those that wait; without any, all of them. Returns how
        many. A record that has changed meanwhile is tried in any case.
        """
        items: list[RecordKey] = [_key(record) for record in records]
        return (await self._outbox.retry(items=items or None))["retried"]


def _key(record: object) -> RecordKey:
    if isinstance(record, GraphDeadLetter):
        record = {name: getattr(record, name) for name in GraphRecordKey.model_fields}
    key: Any = parse(GraphRecordKey, record).model_dump(by_alias=True, exclude_none=True)
    return key  # type: ignore[no-any-return]
