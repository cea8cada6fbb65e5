"""Nodes that no record speaks of: what goes, what stays, and why, on each graph server."""

from __future__ import annotations

import json

import pytest
from helpers.graph_stores import fill, tell, write_changes
from helpers.server_snapshots import OnEachServer

from cortex_rx.backends import SqliteBackend
from cortex_rx.graph.orphans import find_orphans, remove_orphans
from cortex_rx.graph.verifying import compare_graph


@pytest.fixture
async def backend(graph):
    async with SqliteBackend(":memory:") as store:
        await fill(store)
        await write_changes(store, graph)
        yield store


async def leave(graph, label: str, name: str, space: str = "support") -> None:
    """A node that no record speaks of, as a drainer leaves it."""
    key = json.dumps([space, name], separators=(",", ":"))
    query = f"CREATE (:{label} {{_key: $key, _rev: 0, memorySpaceId: $space, name: $name}})"
    await graph.query(query, {"key": key, "space": space, "name": name})


async def join(graph, start: str, end: str) -> None:
    await graph.query(
        "MATCH (a:Entity {_key: $start}) MATCH (b:Entity {_key: $end}) "
        "CREATE (a)-[:RELATED {_owner: 'Fact nobody', _rev: 1}]->(b)",
        {"start": f'["support","{start}"]', "end": f'["support","{end}"]'},
    )


async def test_what_goes_what_stays_and_why(backend, graph, snapshot):
    for name in ("alone", "island 1", "island 2", "island 3", "beside Ada"):
        await leave(graph, "Entity", name)
    await join(graph, "island 1", "island 2")
    await join(graph, "island 3", "island 2")
    await join(graph, "beside Ada", "Ada")
    await leave(graph, "Conversation", "c-gone")
    for label in ("Memory", "Fact", "Context", "Participant", "User", "Agent", "MemorySpace", "Immutable", "Mutable"):
        await leave(graph, label, "nowhere")
    await backend.mutation(
        "conversations:create",
        {
            "memorySpaceId": "support",
            "conversationId": "empty",
            "type": "user-agent",
            "participants": {"userId": "ada"},
        },
    )
    await write_changes(backend, graph)
    before = await graph.count_nodes(), await graph.count_edges()
    found = await find_orphans(graph, backend)
    assert str(found) == snapshot.use_extension(OnEachServer)
    assert (await graph.count_nodes(), await graph.count_edges()) == before
    removed = await remove_orphans(graph, backend)
    assert removed == found.model_copy(update={"removed": 5})
    assert (await graph.count_nodes(), await graph.count_edges()) == (before[0] - 5, before[1] - 2)
    assert (await find_orphans(graph, backend)).orphans == ()
    for label in ("Memory", "Fact", "Context", "Participant", "User", "Agent", "MemorySpace", "Immutable", "Mutable"):
        assert len(await graph.find_nodes(label, {"_key": '["support","nowhere"]'})) == 1


async def test_entities_go_with_the_last_fact_that_mentions_them(backend, graph):
    assert (await find_orphans(graph, backend)).orphans == ()
    await graph.query("MATCH (n:Fact {_key: $key}) DETACH DELETE n", {"key": '["support","f-3"]'})
    await graph.query("MATCH (:Entity {_key: $key})<-[r:LOCATED_IN]-() DELETE r", {"key": '["support","Switzerland"]'})
    await graph.query("MATCH (:Entity {_key: $key})-[r:LOCATED_IN]->() DELETE r", {"key": '["support","Bern"]'})
    found = await remove_orphans(graph, backend)
    assert [(one.label, one.key) for one in found.orphans] == [("Entity", '["support","Switzerland"]')]
    assert found.removed == 1


async def test_what_is_mentioned_meanwhile_stays(backend, graph):
    """A drainer writes a fact between the search and the deletion."""
    await leave(graph, "Entity", "Eve")
    await leave(graph, "Entity", "Nobody")

    class Meanwhile:
        query = staticmethod(graph.query)

        async def write(self, statements):
            await tell(backend, "support", "f-9", "Eve", "likes", "tea")
            await write_changes(backend, graph)
            return await graph.write(statements)

    found = await remove_orphans(Meanwhile(), backend)
    assert len(found.orphans) == 2 and found.removed == 1
    assert len(await graph.find_nodes("Entity", {"_key": '["support","Eve"]'})) == 1
    report = await compare_graph(graph, backend)
    assert report.equal, str(report)
