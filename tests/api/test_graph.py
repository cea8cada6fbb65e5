"""`cortex.graph`: a client with a graph, in virtual time and on each server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings
from typing import Any

import pytest
from helpers.graph_stores import fill
from helpers.memory_graph import MemoryGraph

from cortex_rx import Cortex, CortexConfig, CypherGraphAdapter, GraphConfig
from cortex_rx.api._graph import GraphNotKept
from cortex_rx.errors import GraphConnectionError, GraphSchemaError, InvalidArgument, UnsupportedOption
from cortex_rx.graph.draining import TRIES, Drainer
from cortex_rx.models.graph import GraphRecordKey
from cortex_rx.testing import assert_no_leaks, run_virtual

TURN: dict[str, Any] = {
    "memory_space_id": "support", "conversation_id": "c-1", "user_message": "Where is it?", "user_id": "ada",
    "user_name": "Ada",
}  # fmt: skip


FACT: dict[str, Any] = {
    "memorySpaceId": "support", "fact": "Tea is hot.", "factType": "knowledge", "confidence": 80,
    "sourceType": "manual",
}  # fmt: skip


def contents(graph: MemoryGraph) -> set[str]:
    return {one["content"] for one in graph.shown("Memory")}


def client(graph: Any, **how: Any) -> Cortex:
    return Cortex(":memory:", graph=graph, **how)


def test_each_stream_brings_what_it_has_stored_to_the_graph() -> None:
    graph = MemoryGraph()

    async def main() -> None:
        async with assert_no_leaks(), client(graph) as cortex:
            assert cortex.graph_adapter is graph and not (await cortex.graph.status()).by_table
            result = await cortex.memory.remember_stream(["In ", "Lisbon."], **TURN)
            assert contents(graph) == {"Where is it?", "In Lisbon."}
            assert result["progressiveProcessing"]["graphSyncEvents"][0]["eventType"] == "finalized"
            assert result["progressiveProcessing"]["graphSyncEvents"][0]["nodeId"] == result.memories[1].memory_id
            await cortex.memory.remember(**{**TURN, "conversation_id": "c-2"}, agent_response="There.")
            assert "There." in contents(graph)
            await cortex.memory.remember_stream(["Here."], {"syncToGraph": False}, **TURN)
            assert "Here." not in contents(graph) and (await cortex.graph.status()).unsynced > 0
            options = {"progressiveGraphSync": True, "graphSyncInterval": 0}
            result = await cortex.memory.remember_stream(["Everywhere."], options, **TURN)
            kinds = [one.event_type for one in result.progressive_processing.graph_sync_events]
            assert (
                kinds[0] == "node-created" and kinds[-1] == "finalized" and {"Here.", "Everywhere."} < contents(graph)
            )
            assert (await cortex.graph.status()).unsynced == 0

    run_virtual(main())


def test_a_block_with_auto_sync_keeps_the_graph_up_to_date_and_leaves_nothing() -> None:
    graph = MemoryGraph()

    async def main() -> None:
        async with assert_no_leaks(), client(GraphConfig(graph, auto_sync=True)) as cortex:
            await cortex.users.update("ada", {"name": "Ada"})
            await cortex.facts.store(FACT)
            await asyncio.sleep(5)
            assert len(graph.shown("User")) == len(graph.shown("Fact")) == 1
            await cortex.users.delete("ada")
            await asyncio.sleep(5)
            assert graph.shown("User") == []

    run_virtual(main())


def test_a_worker_that_cannot_work_says_so(caplog: Any) -> None:
    graph = MemoryGraph()
    graph.has_schema = False

    async def main() -> None:
        async with client(GraphConfig(graph, auto_sync=True)) as cortex:
            await asyncio.sleep(5)
            with pytest.raises(GraphSchemaError, match="initialize"):
                await cortex.graph.drain()
            with pytest.raises(GraphSchemaError):
                await cortex.graph.sync()

    run_virtual(main())
    assert "the graph is no longer kept up to date: GraphSchemaError" in caplog.text


def test_what_was_there_before_is_synced_with_progress_and_goes_on_where_it_was() -> None:
    graph = MemoryGraph()

    async def main() -> None:
        async with client(graph) as cortex:
            for number in range(10):
                await cortex.memory.store("support", f"Thing {number}")
            cortex.graph._drainer = Drainer(graph, cortex.backend, batch=3)  # type: ignore[arg-type]
            told: list[tuple[int, int]] = []

            def hear(written: int, of: int) -> None:
                told.append((written, of))
                graph.away = len(told) == 2

            with pytest.raises(GraphConnectionError):
                await cortex.graph.initial_sync(hear)
            assert told == [(3, 10), (6, 10)] and len(contents(graph)) == 6
            graph.away = False
            await asyncio.sleep(60)
            report = await cortex.graph.initial_sync(hear)
            assert told[2:] == [(3, 4), (4, 4)] and report.written == 4 and len(contents(graph)) == 10
            assert (await cortex.graph.initial_sync()).written == 0

    run_virtual(main())


def test_dead_letters_are_listed_and_tried_again() -> None:
    graph = MemoryGraph()
    graph.refuses = lambda row: str(row.get("content", "")).startswith("Bad")

    async def main() -> None:
        async with client(graph) as cortex:
            bad = [await cortex.memory.store("support", f"Bad {number}") for number in range(2)]
            await cortex.memory.store("support", "Good")
            for _ in range(TRIES):
                await cortex.graph.drain()
                await asyncio.sleep(300)
            letters = await cortex.graph.dead_letters()
            assert [one.entity_id for one in letters] == [one.memory_id for one in bad]
            assert {(one.table, one.attempts, one.error) for one in letters} == {
                ("memories", TRIES, "GRAPH_QUERY_ERROR")
            }
            assert await cortex.graph.dead_letters(limit=1, after=letters[0].revision) == letters[1:]
            assert (await cortex.graph.status()).failed == 2
            graph.refuses = lambda row: False
            assert await cortex.graph.retry(letters[0]) == 1
            await cortex.graph.drain()
            assert contents(graph) == {"Good", "Bad 0"}
            assert await cortex.graph.retry(GraphRecordKey("memories", "no-such", "support")) == 0
            assert await cortex.graph.retry() == 1
            await cortex.graph.drain()
            assert contents(graph) == {"Good", "Bad 0", "Bad 1"} and await cortex.graph.dead_letters() == []
            with pytest.raises(InvalidArgument, match="table"):
                await cortex.graph.retry({"table": "messages", "entityId": "x"})

    run_virtual(main())


def test_a_call_that_asks_for_the_graph_is_noted_once_it_is_initialized() -> None:
    async def main() -> None:
        async with client(MemoryGraph()) as cortex:
            with pytest.warns(GraphNotKept, match=r"cortex\.graph\.initialize\(\)"):
                await cortex.memory_spaces.register({"memorySpaceId": "s", "type": "team"}, sync_to_graph=True)
            assert (await cortex.graph.status()).unsynced == 0
            await cortex.graph.initialize()
            assert (await cortex.graph.status()).by_table == {"memorySpaces": 1}  # what was there
            await cortex.graph.drain()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                await cortex.facts.store(FACT, {"syncToGraph": True})
            assert (await cortex.graph.status()).by_table == {"facts": 1}
            await cortex.graph.drain()
            assert (await cortex.graph.status()).unsynced == 0

    run_virtual(main())


def test_what_is_no_graph_is_refused_by_name() -> None:
    for graph in ("bolt://localhost", object()):
        with pytest.raises(InvalidArgument, match=r"^graph: got .*; accepted: a GraphAdapter"):
            Cortex(":memory:", graph=graph)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedOption, match=r"^orphan_cleanup: .*cortex\.graph\.orphans"):
        GraphConfig(MemoryGraph(), orphan_cleanup=True)  # type: ignore[call-arg]
    with pytest.raises(InvalidArgument, match="the graph once"):
        Cortex(CortexConfig(":memory:", MemoryGraph()), graph=MemoryGraph())  # type: ignore[arg-type]
    graph = MemoryGraph()
    for config in (CortexConfig(":memory:", graph), CortexConfig(":memory:", GraphConfig(graph))):
        assert Cortex(config).graph_adapter is graph
    with pytest.raises(AttributeError, match=r"Cortex has no graph: no graph is given"):
        _ = Cortex(":memory:").graph
    assert Cortex(":memory:").graph_adapter is None


def test_without_a_graph_nothing_of_it_is_loaded() -> None:
    program = (
        "import asyncio, sys, cortex_rx\n"
        "async def main():\n"
        "    async with cortex_rx.Cortex(':memory:') as cortex:\n"
        "        turn = dict(memory_space_id='s', conversation_id='c', user_message='?', agent_id='a')\n"
        "        await cortex.memory.remember_stream(['Yes.'], **turn)\n"
        "        settings = await cortex.backend.query('graphSync:getSettings', {})\n"
        "        assert settings == {'enabled': False}, settings\n"
        "asyncio.run(main())\n"
        "of_graphs = ('neo4j', 'cortex_rx.graph', 'cortex_rx.models.graph')\n"
        "print([name for name in sys.modules if name.startswith(of_graphs)])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- on each server ---------------------------------------------------------------------------------------------------


async def test_on_a_server_the_graph_is_what_the_store_says(graph: CypherGraphAdapter) -> None:
    async with Cortex(":memory:", graph=graph) as cortex:
        with pytest.raises(GraphSchemaError):
            await cortex.graph.drain()
        await fill(cortex.backend)  # type: ignore[arg-type]
        await cortex.graph.initialize()
        report = await cortex.graph.initial_sync()
        assert report.written > 10 and report.waiting == report.failed == 0
        options = {"progressiveGraphSync": True, "graphSyncInterval": 0}
        result = await cortex.memory.remember_stream(["In ", "Lisbon."], options, **TURN)
        events = result.progressive_processing.graph_sync_events
        assert [events[0].event_type, events[-1].event_type] == ["node-created", "finalized"]
        (node,) = await graph.find_nodes("Memory", {"memoryId": result.memories[1].memory_id})
        assert (node.properties["content"], node.properties["isPartial"]) == ("In Lisbon.", False)
        asked = "MATCH (m:Memory)-[:REFERENCES]->(c:Conversation {conversationId: $id}) RETURN m.content AS content"
        found = await graph.query(asked, {"id": "c-1"}, read=True)
        assert {"Where is it?", "In Lisbon."} <= {one["content"] for one in found.records}
        await cortex.memory.delete("support", result.memories[1].memory_id)
        await cortex.graph.drain()
        assert await graph.find_nodes("Memory", {"memoryId": result.memories[1].memory_id}) == []
        assert (await cortex.graph.status()).unsynced == 0
