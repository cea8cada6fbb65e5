"""`docs/graph-views.md`: each of its queries finds something, on each graph server."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.graph_stores import fill, write_changes

import cortex_rx
from cortex_rx.backends import SqliteBackend

PAGE = (Path(cortex_rx.__file__).parents[1] / "docs" / "graph-views.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```cypher\n(.*?)```", PAGE, re.DOTALL)


async def test_its_queries_find_something(graph):
    assert len(QUERIES) == 5
    async with SqliteBackend(":memory:") as backend:
        await fill(backend)
        await fill(backend, "second")
        await write_changes(backend, graph)
    found = [(await graph.query(query, read=True)).records for query in QUERIES]
    assert all(found)
    assert {row["other"].properties["name"] for row in found[0]} == {"Bern", "Bob"}
    ways = [[node.properties["name"] for node in row["p"].nodes] for row in found[1]]
    assert sorted(ways) == [["Ada", "Bern"], ["Ada", "Bern", "Switzerland"], ["Ada", "Bob"], ["Ada", "Bob", "tea"]]
    assert {row["f.fact"] for row in found[3]} == {"Ada lives_in Bern.", "Ada knows Bob."}
