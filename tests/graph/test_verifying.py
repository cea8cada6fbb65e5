"""Whether a graph shows what the store has: what a comparison finds, on each graph server."""

from __future__ import annotations

import pytest
from helpers.graph_stores import fill, remember, write_changes
from helpers.server_snapshots import OnEachServer

from cortex_rx.backends import SqliteBackend
from cortex_rx.graph import verifying
from cortex_rx.graph.verifying import GraphComparison, compare_graph

pytestmark = pytest.mark.timeout(600)  # Neo4j compiles each statement of a comparison once, and slowly


@pytest.fixture
async def backend(graph):
    async with SqliteBackend(":memory:") as store:
        await fill(store)
        await fill(store, "second")
        await write_changes(store, graph)
        yield store


async def test_a_graph_that_is_equal_and_what_is_wrong_with_one_that_is_not(backend, graph, snapshot):
    snapshot = snapshot.use_extension(OnEachServer)
    report = await compare_graph(graph, backend)
    assert report.equal and not report.differences
    assert sum(one.graph for one in report.nodes) == await graph.count_nodes() - 1  # the fence
    assert sum(one.graph for one in report.edges) == await graph.count_edges()
    assert all(one.store == one.graph for one in (*report.nodes, *report.edges))
    assert {one.table for one in report.nodes if one.table and one.store} == {
        *("memories", "conversations", "facts", "contexts", "memorySpaces", "users", "agents", "immutable", "mutable")
    }
    assert str(report) == snapshot(name="equal")

    def key(*parts):
        return str(list(parts)).replace("'", '"').replace(", ", ",")

    for broken, value in (
        ("MATCH (n:Memory {_key: $key}) SET n.importance = 3, n.more = 'x'", key("support", "m-1")),
        ("MATCH (n:Fact {_key: $key}) DETACH DELETE n", key("second", "f-1")),
        ("MATCH (n:Entity {_key: $key}) DETACH DELETE n", key("second", "tea")),
        ("MATCH (:Context {_key: $key})-[r:CHILD_OF]->() SET r.depth = 7", key("support", "x-2")),
        ("MATCH (:Conversation {_key: $key})-[r:IN_SPACE]->() DELETE r", key("support", "c-1")),
        ("CREATE (:Conversation {_key: $key, _rev: 3})", key("support", "nowhere")),
        ("CREATE (:Entity {_key: $key, _rev: 0})", key("support", "unused")),
        ("CREATE (:Mutable {_key: $key, _rev: 1})", key("stock", "second")),  # twice
        ("CREATE (:Note {_key: $key})", "of somebody else"),
        (
            "MATCH (a:Entity {_key: $key})-[r:KNOWS]->(b) CREATE (a)-[:KNOWS {_owner: r._owner, _rev: 1}]->(b)",
            key("support", "Ada"),  # twice
        ),
        (
            "MATCH (a:Entity {_key: $key})-[r:KNOWS]->(b) CREATE (b)-[:KNOWS {_owner: r._owner, _rev: 1}]->(a)",
            key("support", "Ada"),
        ),
        ("MATCH (a:Entity {_key: $key})-[:KNOWS]->(b) CREATE (b)-[:WROTE]->(a)", key("support", "Ada")),
    ):
        await graph.query(broken, {"key": value})
    before = await graph.count_nodes(), await graph.count_edges()
    report = await compare_graph(graph, backend)
    assert not report.equal
    assert str(report) == snapshot(name="different")
    assert GraphComparison.model_validate_json(report.model_dump_json()) == report
    assert (await graph.count_nodes(), await graph.count_edges()) == before


async def test_what_waits_in_the_outbox_is_no_difference(backend, graph):
    await backend.mutation("memories:update", {"memorySpaceId": "support", "memoryId": "m-1", "importance": 7})
    await backend.mutation("memories:deleteMemory", {"memorySpaceId": "second", "memoryId": "m-1"})
    await remember(backend, "support", "m-2")
    report = await compare_graph(graph, backend)
    memories = next(one for one in report.nodes if one.name == "Memory")
    assert (memories.store, memories.graph, memories.queued) == (2, 2, 3)
    assert report.equal and report.queued == 3
    await write_changes(backend, graph)
    report = await compare_graph(graph, backend)
    assert report.equal and not report.queued


async def test_what_changes_meanwhile_is_looked_at_again(backend, graph):
    class Meanwhile:
        """The graph; a memory changes, and is written, before the first answer."""

        done = False

        async def query(self, *args, **keywords):
            if not self.done:
                self.done = True
                await backend.mutation(
                    "memories:update", {"memorySpaceId": "support", "memoryId": "m-1", "tags": ["n"]}
                )
                await write_changes(backend, graph)
            return await graph.query(*args, **keywords)

    report = await compare_graph(Meanwhile(), backend)
    assert report.equal and report.changed == 1


async def test_pages_do_not_matter(backend, graph, monkeypatch):
    for number in range(5):
        await remember(backend, "support", f"n-{number}")
    await write_changes(backend, graph)
    whole = await compare_graph(graph, backend)
    monkeypatch.setattr(verifying, "PAGE", 2)
    assert await compare_graph(graph, backend) == whole
    assert next(one for one in whole.nodes if one.name == "Memory").graph == 7


async def test_an_edge_to_a_record_that_is_gone_is_not_expected(backend, graph):
    said = {"conversationRef": {"conversationId": "c-1", "messageIds": ["q-1"]}}
    await remember(backend, "support", "m-2", **said)
    await write_changes(backend, graph)
    assert next(one for one in (await compare_graph(graph, backend)).edges if one.name == "REFERENCES").store == 1
    await backend.mutation("conversations:deleteConversation", {"memorySpaceId": "support", "conversationId": "c-1"})
    await write_changes(backend, graph)
    report = await compare_graph(graph, backend)
    assert report.equal, str(report)
    assert "REFERENCES" not in {one.name for one in report.edges}
    assert await graph.count_edges("REFERENCES") == 0
