"""`cortex.graph`: compare, look for orphans, ask and draw. What each does is tested in tests/graph."""

from __future__ import annotations

import pytest
from helpers.graph_stores import fill

from cortex_rx import Cortex, CypherGraphAdapter, GraphConnectionConfig, SqliteBackend
from cortex_rx.errors import InvalidArgument


@pytest.fixture
async def cortex(arcadedb):
    config = GraphConnectionConfig(arcadedb.uri, *arcadedb.auth, database=arcadedb.database)
    backend = SqliteBackend(":memory:")
    async with CypherGraphAdapter(config) as graph, Cortex(backend, graph=graph) as cortex:
        await cortex.graph.initialize()
        await fill(backend)
        yield cortex


async def test_what_a_client_asks_of_its_graph(cortex):
    before = await cortex.graph.verify()
    assert before.equal and before.queued  # nothing was brought there yet, and nothing is forgotten
    counts = [(one.store, one.graph, one.missing, one.queued) for one in before.nodes]
    assert [sum(each) for each in zip(*counts, strict=True)] == [20, 0, 0, 20]
    report = await cortex.graph.drain()
    assert (report.failed, report.dead, report.waiting) == (0, 0, 0)
    after = await cortex.graph.verify()
    assert after.equal and not after.queued and sum(one.graph for one in after.nodes) == 20

    assert [one.name for one in await cortex.graph.related("support", "Ada", 1)] == ["Bern", "Bob"]
    way = await cortex.graph.path("support", "tea", "Bern")
    assert way is not None and way.entities == ("tea", "Bob", "Ada", "Bern")
    assert await cortex.graph.path("support", "tea", "Bern", max_hops=2) is None
    recalled = await cortex.memory.recall("support", "What may Ada offer?", facts=cortex.graph.facts())
    assert "f-2" in {fact.fact_id for fact in recalled.facts}
    drawn = await cortex.graph.draw("support", "Entity", "Ada", depth=2, limit=5)
    assert drawn.nodes == 5 and drawn.svg.startswith("<svg ")


async def test_orphans_are_shown_before_they_go(cortex):
    await cortex.graph.drain()
    graph = cortex.graph_adapter
    await graph.query("CREATE (:Entity {_key: $key, _rev: 0})", {"key": '["support","Eve"]'})
    shown = await cortex.graph.orphans()
    assert (len(shown.orphans), shown.removed) == (1, 0) and await graph.count_nodes("Entity") == 6
    assert (await cortex.graph.orphans(dry_run=False)).removed == 1
    assert await graph.count_nodes("Entity") == 5 and (await cortex.graph.verify()).equal
    with pytest.raises(InvalidArgument, match="dry_run"):
        await cortex.graph.orphans(dry_run="no")
