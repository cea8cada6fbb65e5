"""The adapter on each server: what an operation does is read from the database by the driver itself.

Neo4j is asked with both kinds of ids: the texts of `elementId()`, and the numbers of `id()` that Memgraph has.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from helpers.lanes import slow
from services.fixtures import NEO4J
from services.server import Server

from cortex_rx.errors import GraphConnectionError, GraphNotFound, GraphQueryError, InvalidArgument
from cortex_rx.graph import GraphAdapter, cypher
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.dialects import NEO4J_INTEGER_IDS, Dialect
from cortex_rx.models.graph import (
    GraphConnectionConfig,
    GraphEdge,
    GraphNode,
    GraphOperation,
    GraphPath,
    ShortestPathConfig,
    TraversalConfig,
)

Case = tuple[str, Dialect | None]
CASES = [
    pytest.param(("arcadedb", None), id="arcadedb"),
    slow(("neo4j_server", None), NEO4J, id="neo4j"),
    slow(("neo4j_server", NEO4J_INTEGER_IDS), NEO4J, id="neo4j-integer-ids"),
    *([pytest.param(("memgraph", None), id="memgraph")] if "MEMGRAPH_URI" in os.environ else []),
]
NOBODY = "9223372036854775"  # an id that no server has given


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def server(request: pytest.FixtureRequest, case: Case) -> Server:
    return request.getfixturevalue(case[0])


@pytest.fixture
async def graph(server: Server, case: Case) -> AsyncIterator[CypherGraphAdapter]:
    config = GraphConnectionConfig(server.uri, *server.auth, database=server.database)
    async with CypherGraphAdapter(config, dialect=case[1]) as adapter:
        yield adapter


def nodes(server: Server) -> list[tuple[list[str], dict[str, Any]]]:
    """The labels and properties of all nodes."""
    rows = server.ask("MATCH (n) RETURN labels(n) AS labels, properties(n) AS properties")
    return sorted(((row["labels"], row["properties"]) for row in rows), key=repr)


def edges(server: Server) -> list[tuple[Any, str, Any, dict[str, Any]]]:
    """The type and properties of all edges, between the `k` of their ends."""
    rows = server.ask("MATCH (a)-[r]->(b) RETURN a.k AS a, type(r) AS type, b.k AS b, properties(r) AS properties")
    return sorted(((row["a"], row["type"], row["b"], row["properties"]) for row in rows), key=repr)


async def node(graph: CypherGraphAdapter, k: object, label: str = "Memory") -> str:
    return await graph.create_node(GraphNode(label, {"k": k}))


# --- nodes ------------------------------------------------------------------------------------------------------------


async def test_a_node_is_created_read_updated_found_and_deleted(graph: CypherGraphAdapter, server: Server) -> None:
    # The label and the keys are words of Cypher.
    one = await graph.create_node(GraphNode("Match", {"end": 1, "where": "here", "order": ["a", "b"]}))
    other = await graph.create_node(GraphNode("Match", {"end": 2}))
    assert nodes(server) == [(["Match"], {"end": 1, "where": "here", "order": ["a", "b"]}), (["Match"], {"end": 2})]

    assert await graph.get_node(other) == GraphNode("Match", {"end": 2}, other)
    await graph.update_node(one, {"end": 3, "where": None, "set": True})
    assert await graph.find_nodes("Match", {"end": 3, "set": True}) == [await graph.get_node(one)]
    assert [found.id for found in await graph.find_nodes("Match", limit=1)] != []
    assert await graph.find_nodes("Match", {"end": 1}) == await graph.find_nodes("Other") == []
    assert (await graph.count_nodes(), await graph.count_nodes("Match"), await graph.count_nodes("Other")) == (2, 2, 0)
    assert nodes(server) == [(["Match"], {"end": 2}), (["Match"], {"end": 3, "order": ["a", "b"], "set": True})]

    assert [await graph.delete_node(one), await graph.delete_node(one)] == [True, False]
    assert await graph.get_node(one) is None
    assert nodes(server) == [(["Match"], {"end": 2})]


async def test_a_merged_node_is_found_or_made(graph: CypherGraphAdapter, server: Server) -> None:
    other = await node(graph, "other")
    one = await graph.merge_node(GraphNode("Memory", {"text": "first", "kept": 1}), {"k": "one"})
    again = await graph.merge_node(GraphNode("Memory", {"text": "second"}), {"k": "one"})
    assert one == again != other
    assert nodes(server) == [(["Memory"], {"k": "one", "kept": 1, "text": "second"}), (["Memory"], {"k": "other"})]
    for nothing in ({}, {"k": None}):
        with pytest.raises(InvalidArgument, match=r"^match_properties"):
            await graph.merge_node(GraphNode("Memory"), nothing)


async def test_merges_at_the_same_time_make_one_node_of_a_key(graph: CypherGraphAdapter, server: Server) -> None:
    rule = "ON (n:Memory) ASSERT n.k IS UNIQUE" if server.kind == "memgraph" else "FOR (n:Memory) REQUIRE n.k IS UNIQUE"
    server.ask(f"CREATE CONSTRAINT {rule}")
    # Two at a time: more would collide again in their second attempts, which begin a second later.
    made = [
        await asyncio.gather(*(graph.merge_node(GraphNode("Memory", {"by": by}), {"k": k}) for by in range(2)))
        for k in range(12)
    ]
    assert [len(set(ids)) for ids in made] == [1] * 12
    assert sorted(found["k"] for _, found in nodes(server)) == list(range(12))


async def test_values_are_stored_as_each_server_stores_them(graph: CypherGraphAdapter, server: Server) -> None:
    given = {
        "text": 'a "quoted" `text`\n\x00 with all sorts: \U0001f600 \\u0060',
        "empty": "",
        "whole": 2**62,
        "real": 1.5,
        "flag": False,
        "texts": ("a", "b"),
        "numbers": [1, 2],
        "reals": [1.5],
        "flags": [True],
        "none": [],
        "mixed": [1, 2.5, "x", None],
        "nested": {"in": [{"x": datetime(2026, 1, 2, 3, 4, tzinfo=UTC)}]},
        "time": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        "day": date(2026, 1, 2),
        "left_out": None,
    }
    stored = {
        **{key: given[key] for key in ("text", "empty", "whole", "real", "flag", "numbers", "reals", "flags", "none")},
        "texts": ["a", "b"],
        "mixed": '[1,2.5,"x",null]',
        "nested": '{"in":[{"x":"2026-01-02T03:04:00+00:00"}]}',
        "time": "2026-01-02T03:04:05.678000+00:00",
        "day": "2026-01-02",
    }
    one = await graph.create_node(GraphNode("Memory", given))
    assert nodes(server) == [(["Memory"], stored)]
    assert await graph.get_node(one) == GraphNode("Memory", stored, one)
    edge = await graph.create_edge(GraphEdge("SELF", one, one, given))
    assert edges(server) == [(None, "SELF", None, stored)]
    assert await graph.find_edges("SELF") == [GraphEdge("SELF", one, one, stored, edge)]
    for key in ("text", "whole", "flag", "time"):
        assert [found.id for found in await graph.find_nodes("Memory", {key: given[key]})] == [one]
    for wrong in (datetime(2026, 1, 2), b"bytes", object(), float("nan"), 2**63, "\ud800", {1: 2}):
        with pytest.raises(InvalidArgument, match=r"^properties\.k: "):
            await graph.update_node(one, {"k": wrong})
    assert nodes(server) == [(["Memory"], stored)]


# --- edges ------------------------------------------------------------------------------------------------------------


async def test_an_edge_is_created_found_and_deleted(graph: CypherGraphAdapter, server: Server) -> None:
    a, b = await node(graph, "a"), await node(graph, "b", "Fact")
    one = await graph.create_edge(GraphEdge("RETURN", a, b, {"end": 1}))
    two = await graph.create_edge(GraphEdge("RETURN", b, a))
    assert edges(server) == [("a", "RETURN", "b", {"end": 1}), ("b", "RETURN", "a", {})]
    assert await graph.find_edges("RETURN", {"end": 1}) == [GraphEdge("RETURN", a, b, {"end": 1}, one)]
    assert len(await graph.find_edges("RETURN", limit=1)) == 1
    assert await graph.find_edges("OTHER") == []
    assert [await graph.count_edges(), await graph.count_edges("RETURN"), await graph.count_edges("OTHER")] == [2, 2, 0]

    assert [await graph.delete_edge(one), await graph.delete_edge(one)] == [True, False]
    assert edges(server) == [("b", "RETURN", "a", {})]
    with pytest.raises(GraphQueryError, match=r"^the node has edges"):
        await graph.delete_node(a, detach=False)
    assert (len(nodes(server)), len(edges(server))) == (2, 1)
    assert await graph.delete_edge(two)
    assert await graph.delete_node(a, detach=False)
    assert nodes(server) == [(["Fact"], {"k": "b"})]


async def test_a_merged_edge_is_found_or_made(graph: CypherGraphAdapter, server: Server) -> None:
    a, b = await node(graph, "a"), await node(graph, "b")
    one = await graph.merge_edge(GraphEdge("LIKES", a, b, {"n": 1, "kept": 1}), {"owner": "x"})
    assert one == await graph.merge_edge(GraphEdge("LIKES", a, b, {"n": 2}), {"owner": "x"})
    assert one != await graph.merge_edge(GraphEdge("LIKES", a, b), {"owner": "y"})
    plain = await graph.merge_edge(GraphEdge("KNOWS", b, a))
    assert plain == await graph.merge_edge(GraphEdge("KNOWS", b, a))
    assert edges(server) == [
        ("a", "LIKES", "b", {"owner": "x", "n": 2, "kept": 1}),
        ("a", "LIKES", "b", {"owner": "y"}),
        ("b", "KNOWS", "a", {}),
    ]


@pytest.mark.parametrize("missing", ["from_node", "to_node"])
async def test_an_edge_needs_its_ends(graph: CypherGraphAdapter, server: Server, missing: str) -> None:
    there = await node(graph, "a")
    ends = {"from_node": there, "to_node": there}
    for gone in (NOBODY, "no id at all"):
        for make in (graph.create_edge, graph.merge_edge):
            with pytest.raises(GraphNotFound, match=f"^{missing}: the graph has no node with this id$"):
                await make(GraphEdge(type="LIKES", **{**ends, missing: gone}))
    assert edges(server) == []


async def test_ids_are_those_of_the_server(graph: CypherGraphAdapter, server: Server) -> None:
    """An id that an operation gave is what the server compares, in each operation: it is a text here, and there it may
    be a number."""
    a, b = await node(graph, "a"), await node(graph, "b")
    edge = await graph.create_edge(GraphEdge("LIKES", a, b))
    function = "elementId" if graph.dialect.element_ids else "id"
    (row,) = server.ask(f"MATCH (a)-[r]->(b) RETURN {function}(a) AS a, {function}(r) AS r, {function}(b) AS b")
    assert {key: str(value) for key, value in row.items()} == {"a": a, "r": edge, "b": b}
    assert {type(value) for value in row.values()} == {str if graph.dialect.element_ids else int}

    assert [found.id for found in await graph.traverse(TraversalConfig(a))] == [b]
    path = await graph.find_path(ShortestPathConfig(a, b))
    assert path is not None
    assert ([one.id for one in path.nodes], [one.id for one in path.relationships]) == ([a, b], [edge])
    made, *_ = await graph.batch_write([GraphOperation("CREATE_EDGE", edge=GraphEdge("KNOWS", b, a))])
    assert made in {found.id for found in await graph.find_edges("KNOWS")}
    # An id is of one kind: an edge has not that of a node.
    if server.kind == "arcadedb":
        assert (await graph.get_node(edge), await graph.delete_node(edge), await graph.delete_edge(a)) == (
            None,
            False,
            False,
        )
    for call in (graph.get_node(NOBODY), graph.get_node("no id")):
        assert await call is None
    for gone in (NOBODY, "no id", "-1", "1.0", "٣"):
        assert not await graph.delete_node(gone)
        assert not await graph.delete_edge(gone)
        with pytest.raises(GraphNotFound):
            await graph.update_node(gone, {"k": 1})
    assert (len(nodes(server)), len(edges(server))) == (2, 2)


# --- ways through the graph -------------------------------------------------------------------------------------------


class Model:
    """A random graph with circles, several edges between two nodes, and parts that are not connected."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.size = 24
        self.edges = sorted(
            (chance.randrange(self.size - 4), chance.choice(["LIKES", "KNOWS", "HAS"]), chance.randrange(self.size - 4))
            for _ in range(30)
        )

    def levels(self, start: int, types: tuple[str, ...] = (), direction: str = "BOTH") -> dict[int, int]:
        """How far the nodes are that can be reached."""
        found, level = {start: 0}, [start]
        while level:
            following = []
            for at in level:
                for a, type, b in self.edges:
                    if types and type not in types:
                        continue
                    ends = [b] if a == at and direction != "INCOMING" else []
                    ends += [a] if b == at and direction != "OUTGOING" else []
                    for end in ends:
                        if end not in found:
                            found[end] = found[at] + 1
                            following.append(end)
            level = following
        return found

    async def stored(self, graph: CypherGraphAdapter) -> list[str]:
        """Write it, and give the ids of its nodes."""
        made = await graph.batch_write(
            [GraphOperation("CREATE_NODE", GraphNode("Memory", {"k": k})) for k in range(self.size)]
        )
        ids = [str(one) for one in made]
        await graph.batch_write(
            [GraphOperation("CREATE_EDGE", edge=GraphEdge(type, ids[a], ids[b])) for a, type, b in self.edges]
        )
        return ids


async def test_what_is_near_is_visited_once_and_the_nearest_first(graph: CypherGraphAdapter) -> None:
    model = Model(1)
    ids = await model.stored(graph)
    for start, types, direction, depth in [
        *((0, (), direction, depth) for direction in ("OUTGOING", "INCOMING", "BOTH") for depth in (1, 2, 100)),
        *((start, ("LIKES", "HAS"), "BOTH", 3) for start in (3, 7)),
        (model.size - 1, (), "BOTH", 5),
    ]:
        known = model.levels(start, types, direction)
        found = [
            one.properties["k"] for one in await graph.traverse(TraversalConfig(ids[start], types, depth, direction))
        ]
        assert sorted(found) == sorted(k for k, far in known.items() if 0 < far <= depth)
        assert [known[k] for k in found] == sorted(known[k] for k in found)
    assert len(model.levels(0)) > 12  # else it shows little
    with pytest.raises(GraphNotFound, match=r"^start_id: "):
        await graph.traverse(TraversalConfig(NOBODY))


async def test_a_path_is_a_shortest_one(graph: CypherGraphAdapter) -> None:
    model = Model(1)
    ids = await model.stored(graph)
    lengths = set()
    for end in range(model.size):
        for types in ((), ("LIKES", "KNOWS")):
            far = model.levels(0, types).get(end)
            path = await graph.find_path(ShortestPathConfig(ids[0], ids[end], 10, types))
            assert (None if path is None else path.length) == far
            if path is not None:
                lengths.add(path.length)
                check_path(model, path, ids[0], ids[end], types)
    assert lengths >= {0, 1, 2, 3}
    far, end = max((far, end) for end, far in model.levels(0).items())
    assert await graph.find_path(ShortestPathConfig(ids[0], ids[end], far - 1)) is None
    for wrong in ({"from_id": NOBODY, "to_id": ids[0]}, {"from_id": ids[0], "to_id": "no id"}):
        with pytest.raises(GraphNotFound):
            await graph.find_path(ShortestPathConfig(**wrong))


def check_path(model: Model, path: GraphPath, start: str, end: str, types: tuple[str, ...]) -> None:
    """Its edges are edges of the model, of these types, and lead from node to node."""
    assert (path.nodes[0].id, path.nodes[-1].id) == (start, end)
    assert len(path.nodes) == len(path.relationships) + 1 == path.length + 1
    at = {one.id: one.properties["k"] for one in path.nodes}
    for before, edge, after in zip(path.nodes, path.relationships, path.nodes[1:], strict=False):
        assert {edge.from_node, edge.to_node} == {before.id, after.id}
        assert (at[edge.from_node], edge.type, at[edge.to_node]) in model.edges
        assert not types or edge.type in types


# --- several ----------------------------------------------------------------------------------------------------------


async def test_a_query_gives_records_of_ours_and_what_it_changed(graph: CypherGraphAdapter, server: Server) -> None:
    made = await graph.query(
        "UNWIND $rows AS row CREATE (n:Memory {k: row.k, at: row.at})",
        {"rows": [{"k": 1, "at": datetime(2026, 1, 2, tzinfo=UTC)}, {"k": 2, "at": None}]},
    )
    assert (made.records, made.count) == ([], 0)
    assert made.stats["nodes_created"] == 2
    assert nodes(server) == [(["Memory"], {"k": 1, "at": "2026-01-02T00:00:00+00:00"}), (["Memory"], {"k": 2})]
    a, b = [(await graph.find_nodes("Memory", {"k": k}))[0] for k in (1, 2)]
    edge = await graph.create_edge(GraphEdge("LIKES", str(a.id), str(b.id)))
    likes = GraphEdge("LIKES", str(a.id), str(b.id), {}, edge)
    read = await graph.query("MATCH p = (a)-[r]->(b) RETURN p, r, a.k AS k, [a, b] AS both, {r: r} AS map", read=True)
    path = GraphPath(nodes=(a, b), relationships=(likes,), length=1)
    assert read.records == [{"p": path, "r": likes, "k": 1, "both": [a, b], "map": {"r": likes}}]
    assert (read.count, read.stats) == (1, {})
    with pytest.raises(GraphQueryError, match="SyntaxError") as refused:
        await graph.query("RETURN 'a secret' +")
    assert "secret" not in str(refused.value)
    for wrong in ({"x": object()}, {"x": {1: 2}}, [1]):
        with pytest.raises(InvalidArgument, match=r"^params"):
            await graph.query("RETURN 1", wrong)  # type: ignore[arg-type]


async def test_statements_are_written_together_or_not_at_all(graph: CypherGraphAdapter, server: Server) -> None:
    found = await graph.write(
        [
            ("UNWIND $rows AS k CREATE (n:Memory {k: k}) RETURN n.k AS k", {"rows": [1, 2]}),
            ("MATCH (n:Memory) RETURN count(n) AS count", {}),
        ]
    )
    assert found == [[{"k": 1}, {"k": 2}], [{"count": 2}]]
    with pytest.raises(GraphQueryError):
        await graph.write([("CREATE (n:Memory {k: $k})", {"k": 3}), ("RETURN 1 +", {})])
    with pytest.raises(InvalidArgument, match=r"^params"):
        await graph.write([("CREATE (n:Memory {k: $k})", {"k": 4}), ("RETURN $k", {"k": 2**64})])
    assert sorted(one["k"] for _, one in nodes(server)) == [1, 2]
    assert await graph.write([]) == []


async def test_a_batch_is_done_in_its_order_or_not_at_all(graph: CypherGraphAdapter, server: Server) -> None:
    a, b = await node(graph, "a"), await node(graph, "b")
    gone = await graph.create_edge(GraphEdge("KNOWS", a, b))
    made = await graph.batch_write(
        [
            GraphOperation("CREATE_NODE", GraphNode("Fact", {"k": "c"})),
            GraphOperation("UPDATE_NODE", id=a, properties={"n": 1}),
            GraphOperation("UPDATE_NODE", id=a, properties={"n": 2}),
            GraphOperation("CREATE_EDGE", edge=GraphEdge("LIKES", a, b)),
            GraphOperation("DELETE_EDGE", id=gone),
            GraphOperation("DELETE_NODE", id=NOBODY),
        ]
    )
    (c,) = await graph.find_nodes("Fact")
    assert made == [c.id, None, None, (await graph.find_edges("LIKES"))[0].id, None, None]
    before = (nodes(server), edges(server))
    assert before[1] == [("a", "LIKES", "b", {})]
    with pytest.raises(GraphNotFound, match=r"^id: "):
        await graph.batch_write(
            [
                GraphOperation("CREATE_NODE", GraphNode("Fact", {"k": "d"})),
                GraphOperation("DELETE_NODE", id=b),
                GraphOperation("UPDATE_NODE", id=b, properties={"n": 1}),
            ]
        )
    assert (nodes(server), edges(server)) == before
    assert await graph.batch_write([GraphOperation("DELETE_NODE", id=a)]) == [None]
    assert (len(nodes(server)), edges(server)) == (2, [])


async def test_a_database_is_cleared_in_several_transactions(
    graph: CypherGraphAdapter, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cypher, "_CLEARED", 5)
    await Model(2).stored(graph)
    assert len(edges(server)) == 30
    await graph.clear_database()
    assert nodes(server) == []


async def test_the_adapter_is_a_graph_adapter(graph: CypherGraphAdapter) -> None:
    adapter: GraphAdapter = graph
    assert await adapter.is_connected()
    await graph.connect()  # a second time: nothing happens
    with pytest.raises(InvalidArgument, match=r"^config: got 'another server'"):
        await graph.connect(GraphConnectionConfig("bolt://localhost:1"))
    await adapter.disconnect()
    await adapter.disconnect()
    with pytest.raises(GraphConnectionError, match=r"call connect\(\) first"):
        await adapter.count_nodes()
    await adapter.connect()
    assert await adapter.count_nodes() == 0
