"""What each kind of server is sent, for a person to read. Memgraph is in no run without MEMGRAPH_URI, so its statements
stand here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from cortex_rx.errors import GraphRefused
from cortex_rx.graph._bolt import Transaction, Work
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.dialects import ARCADEDB, MEMGRAPH, NEO4J, Dialect, dialect_of
from cortex_rx.models.graph import (
    GraphEdge,
    GraphNode,
    GraphOperation,
    GraphPath,
    ShortestPathConfig,
    TraversalConfig,
)

NODE, NEAR = GraphNode("Memory", {}, "7"), GraphNode("Memory", {}, "8")
EDGE = GraphEdge("LIKES", "7", "8", {}, "9")
OPERATIONS: Mapping[str, Any] = {
    "create_node": lambda graph: graph.create_node(GraphNode("Memory", {"k": 1, "left_out": None})),
    "merge_node": lambda graph: graph.merge_node(GraphNode("Memory", {"n": 1}), {"k": 1, "space": "a"}),
    "get_node": lambda graph: graph.get_node("7"),
    "get_node, no id of it": lambda graph: graph.get_node("4:graph:7"),
    "update_node": lambda graph: graph.update_node("7", {"k": None, "n": [1, "x"]}),
    "delete_node": lambda graph: graph.delete_node("7"),
    "find_nodes": lambda graph: graph.find_nodes("Memory", {"k": 1}, 5),
    "count_nodes": lambda graph: graph.count_nodes("Memory"),
    "create_edge": lambda graph: graph.create_edge(GraphEdge("LIKES", "7", "8", {"n": 1})),
    "merge_edge": lambda graph: graph.merge_edge(GraphEdge("LIKES", "7", "8", {"n": 1}), {"owner": "x"}),
    "delete_edge": lambda graph: graph.delete_edge("9"),
    "find_edges": lambda graph: graph.find_edges("LIKES", {"n": 1}),
    "count_edges": lambda graph: graph.count_edges(),
    "query": lambda graph: graph.write([("RETURN $k AS k", {"k": 1})]),
    "batch_write": lambda graph: graph.batch_write(
        [GraphOperation("UPDATE_NODE", id="7", properties={"n": 1}), GraphOperation("DELETE_EDGE", id="9")]
    ),
    "traverse": lambda graph: graph.traverse(TraversalConfig("7", ["LIKES", "KNOWS"], 3, "INCOMING")),
    "find_path": lambda graph: graph.find_path(ShortestPathConfig("7", "8", 4, ["LIKES", "KNOWS"])),
    "find_path, of any type": lambda graph: graph.find_path(ShortestPathConfig("7", "8")),
}


class Recorder:
    """In the place of the driver's transaction: it keeps what is sent, and answers with a row that has all columns."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def run(self, query: str, values: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        self.sent.append(query + "".join(f"\n    {name} = {value!r}" for name, value in values.items()))
        path = GraphPath(nodes=(NODE, NEAR), relationships=(EDGE,), length=1)
        row = {"id": values.get("id", 7), "count": 1, "n": NODE, "m": NEAR, "r": EDGE, "p": path}

        async def rows() -> AsyncIterator[dict[str, Any]]:
            yield row

        return rows()


async def statements(dialect: Dialect) -> str:
    graph = CypherGraphAdapter(dialect=dialect)
    said = []
    for name, call in OPERATIONS.items():
        recorder = Recorder()

        async def run(work: Work[Any], *, read: bool = False, recorder: Recorder = recorder) -> Any:
            recorder.sent.append("(reads)" if read else "(writes)")
            return await work(Transaction(recorder, dialect))  # type: ignore[arg-type]

        graph._run = run  # type: ignore[method-assign]
        await call(graph)
        said.append("\n".join([f"{name} {recorder.sent[0]}", *recorder.sent[1:]]))
    return "\n\n".join(said)


@pytest.mark.parametrize("dialect", [MEMGRAPH, NEO4J, ARCADEDB], ids=lambda one: one.name)
async def test_what_is_sent(dialect: Dialect, snapshot: Any) -> None:
    assert await statements(dialect) == snapshot


def test_a_server_is_known_by_its_name_and_another_is_refused() -> None:
    assert dialect_of("Neo4j/5.26.28") is dialect_of("Neo4j/2026.09.0") is NEO4J
    assert dialect_of("Neo4j/5.26.0 compatible (ArcadeDB 26.10.2)") is ARCADEDB
    assert dialect_of("Neo4j/v5.11.0 compatible graph database server - Memgraph") is MEMGRAPH
    for agent in ("", "Neptune/1.3", "FalkorDB"):
        with pytest.raises(GraphRefused, match="neither Neo4j nor Memgraph nor ArcadeDB"):
            dialect_of(agent)
