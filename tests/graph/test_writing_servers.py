"""The statements of a batch on each server: it ends with the same nodes and edges as the graph in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from helpers.graph_items import ITEMS
from helpers.memory_graph import MemoryGraph

from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.projection import End, project
from cortex_rx.graph.schema import initialize_graph_schema
from cortex_rx.graph.writing import Fence, FenceLost, write

_NODES = "MATCH (n) WHERE NOT n:CortexSync RETURN labels(n)[0] AS label, properties(n) AS properties"
_EDGES = (
    "MATCH (a)-[r]->(b) RETURN type(r) AS type, labels(a)[0] AS start, a._key AS a, labels(b)[0] AS end, b._key AS b, "
    "properties(r) AS properties"
)


def _changed(table: str, revision: int, **values: Any) -> dict[str, Any]:
    of = ITEMS[table]
    return {**of, "revision": revision, "record": {**of["record"], **values}}


def _gone(table: str, revision: int) -> dict[str, Any]:
    return {**{name: value for name, value in ITEMS[table].items() if name != "record"}, "revision": revision}


async def _content(graph: CypherGraphAdapter) -> tuple[Any, Any]:
    nodes = (await graph.query(_NODES)).records
    edges = (await graph.query(_EDGES)).records
    found = {
        (one["type"], End(one["start"], one["a"]), End(one["end"], one["b"]), one["properties"]["_owner"]): one
        for one in edges
    }
    there = {End(one["label"], one["properties"]["_key"]): one["properties"] for one in nodes}
    assert len(there) == len(nodes) and len(found) == len(edges), "each once"
    return there, {edge: one["properties"] for edge, one in found.items()}


_OPEN = {"closed": None, "supersededBy": None, "polarity": "positive", "tense": "present"}
_CLOSED = {"closed": "changed", "supersededBy": "f-2"}
HISTORY: Sequence[Sequence[Mapping[str, Any]]] = (
    list(ITEMS.values()),
    list(ITEMS.values()),
    [_changed("facts", 8, **_OPEN), _changed("agents", 9, name="New")],
    [_changed("agents", 8, name="Old"), _changed("facts", 9, **_OPEN, object="Basel")],
    [{**_changed("facts", 10, **_OPEN), "entityId": "f-2"}, _changed("facts", 11, **_OPEN | _CLOSED)],
    [_changed("memories", 12, userId="eve", immutableRef=None, conversationRef=None)],
    [_changed("contexts", 13, grantedAccess=[]), _gone("users", 13), _gone("conversations", 13)],
    [_gone("facts", 14), _gone("mutable", 14), _gone("immutable", 14), _gone("memorySpaces", 14), _gone("agents", 14)],
    [_gone("memories", 15), _gone("contexts", 15)],
    list(ITEMS.values()),
)  # fmt: skip


async def test_a_server_ends_as_the_graph_in_memory(graph: CypherGraphAdapter) -> None:
    await initialize_graph_schema(graph)
    memory, fence = MemoryGraph(), Fence("store", 1)
    for step, items in enumerate(HISTORY):
        projections = [project(one) for one in items]
        expected = await write(memory, fence, projections)  # type: ignore[arg-type]
        assert await write(graph, fence, projections) == expected, step
        assert await _content(graph) == (memory.nodes, memory.edges), step
    before = await _content(graph)
    await write(graph, Fence("store", 5), [])
    for late in (fence, Fence("other", 9)):
        with pytest.raises(FenceLost):
            await write(graph, late, [project(_gone("users", 20)), project(_changed("agents", 20, name="Late"))])
    assert await _content(graph) == before
