"""The benchmark of the graph, with few rows: it runs, compares what is stored, and each bar can fail."""

from __future__ import annotations

from benchmarks.graph import bars, by_degree, pairs
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.schema import initialize_graph_schema


async def test_both_ways_write_the_same(graph: CypherGraphAdapter) -> None:
    await initialize_graph_schema(graph)
    took = await pairs(graph, 20, 2)
    assert {name: len(times) for name, times in took.items()} == {"drainer": 2, "hand": 2}
    degrees = await by_degree(graph, [5, 60], 3)
    assert list(degrees) == [5, 60] and min(degrees.values()) > 0
    assert await graph.count_edges("IN_SPACE") == 60 + 9 * 3, "each is there once"


def test_each_bar_can_fail() -> None:
    good = bars({"drainer": [1.2, 9.0, 1.3], "hand": [1.0, 1.0, 1.0]}, {1_000: 1.0, 50_000: 1.4})
    bad = bars({"drainer": [1.2, 1.4, 9.0], "hand": [1.0, 1.0, 1.0]}, {1_000: 1.0, 50_000: 1.6})
    assert [bar.holds for bar in good] == [True, True]
    assert [bar.holds for bar in bad] == [False, False]
