"""Bring what has changed in the store to a graph."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend, checked_backend
from cortex_rx.chain import Operator, operator
from cortex_rx.engine import beside
from cortex_rx.events import Adapted, Begun, GraphSynced, Opened, PartialStored, Problem, Remembered
from cortex_rx.operators._support.graph_run import GraphWork

if TYPE_CHECKING:
    from cortex_rx.graph.adapter import GraphAdapter

__all__ = ["sync_graph"]


@operator(
    needs=[Remembered],
    reads=[Opened, Begun, Adapted, PartialStored],
    emits=[GraphSynced, Problem],
)
def sync_graph(
    graph: GraphAdapter,
    backend: Backend,
    progressive: bool = False,
    interval: timedelta = timedelta(seconds=5),
    wait: timedelta = timedelta(seconds=10),
) -> Operator:
    """Bring what has changed in the store to a graph: at the end of the stream, or also while it is written.

    ```text
    sync_graph(graph, store)
    source  OBa----(bP)-----(cP)-d----PE(R|)
    store   []-([a)]----([b)]----([cd)][]--------
    out     OBa----(bP)-----(cP)-d----PER----(H|)
    graph   ----------------------------[----]---

    sync_graph(graph, store, progressive=True)
    source  OBa----(bP)-----(cP)-d----PE(R|)
    store   []-([a)]----([b)]----([cd)][]--------
    out     OBaH---(bP)-----(cP)-d----PER----(H|)
    graph   -[-]------------------------[----]---

    O = Opened, B = Begun, E = Ended, P = PartialStored, H = GraphSynced, R = Remembered, [ ] = a write
    ```

    All events pass at once. The store notes which records change, in the transaction that changes them; this step has
    them brought to the graph as they are by then, those of other streams, too. Of all processes one at a time does
    that, by a lease of the store. So nothing is lost and nothing is there twice, whoever ends when, and what could not
    be brought waits in the store: for the next stream, or for `cortex.graph.sync()`.

    At the end it waits for the graph, at most `wait`, and emits `GraphSynced` ("finalized"). If `progressive`, the
    partial answer has a node as soon as it is begun, which follows it at most every `interval`: `Begun` and
    `PartialStored` set the pace, and an `Adapted` multiplies the interval by `strategy.interval`. The node of a stream
    that is rolled back goes.

    A graph that is away, slow, or without its constraints is a `Problem`; the stream and the exchange are as without
    it. A server that is away is asked again after some time, 60 s at most. A record that the graph refuses is tried
    again, five times in all, then it is a dead letter. Constraints are never made here: call
    `initialize_graph_schema(graph)` once.

    It stands after `finalize`. By itself it is a worker that keeps the graph up to date, until it is stopped:
    `outbox(backend).pipe(sync_graph(graph, backend))`. There an error that no later try can mend ends the stream.

    Commonly used for: asking how people, facts and conversations belong together.

    >>> from cortex_rx.backends import SqliteBackend
    >>> from cortex_rx.graph.cypher import CypherGraphAdapter
    >>> graph = CypherGraphAdapter({"uri": "bolt://localhost:7687"})
    >>> print(sync_graph(graph, SqliteBackend(":memory:"), progressive=True))
    sync_graph(graph=CypherGraphAdapter('bolt://localhost:7687', not connected), ..., progressive=True)

    See also: `persist_partial`, `adapt`, `finalize`.
    """
    from cortex_rx.graph.draining import drainer_of  # only who has a graph loads it
    from cortex_rx.graph.outbox import Queued
    from cortex_rx.models.graph import checked_adapter

    drainer = drainer_of(checked_adapter("graph", graph), checked_backend("backend", backend))
    work = GraphWork(
        drainer,
        progressive=check.flag("progressive", progressive),
        interval=check.seconds(zero=True)("interval", interval),
        wait=check.seconds(zero=True)("wait", wait),
    )
    wants = frozenset({Opened, Begun, PartialStored, Remembered, Queued})
    return beside(
        work.run,
        wants=wants,
        gated=False,
        joins=True,
        heeds={Adapted: lambda inbox, event: inbox.pace(event.strategy.interval)},
    )
