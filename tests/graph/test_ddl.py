"""Constraints and indexes, on each server: made, seen, and dropped. The statements for each kind of server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from services.server import Server
from syrupy.assertion import SnapshotAssertion

from cortex_rx.errors import GraphSchemaError
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.ddl import DDL, Rule
from cortex_rx.graph.schema import (
    FENCE,
    LABELS,
    drop_graph_schema,
    initialize_graph_schema,
    verify_graph_schema,
)

_KEYS = {f"constraint on :{label}(_key)" for label in (*LABELS, FENCE)}


async def test_the_schema_is_made_once_seen_and_dropped(graph: CypherGraphAdapter, server: Server) -> None:
    server.ask("CREATE (:Memory {note: 'mine'})-[:IS_NEAR]->(:Mine {importance: 50})")
    before = await verify_graph_schema(graph)
    assert not before.valid
    assert {*before.missing} > _KEYS
    assert str(before).startswith("the graph lacks constraint on :Memory(_key), ")
    await initialize_graph_schema(graph)
    await initialize_graph_schema(graph)
    assert (await verify_graph_schema(graph)).missing == ()
    server.ask("CREATE (:Memory {_key: 'a'}), (:Fact {_key: 'a'})")
    with pytest.raises(Exception, match="(?i)constraint"):
        server.ask("CREATE (:Memory {_key: 'a'})")
    await drop_graph_schema(graph)
    await drop_graph_schema(graph)
    assert await verify_graph_schema(graph) == before
    assert server.ask("MATCH (n:Memory)-[:IS_NEAR]->(m) RETURN n.note AS note, m.importance AS importance") == [
        {"note": "mine", "importance": 50}
    ]


async def test_several_clients_make_it_at_a_time(graph: CypherGraphAdapter) -> None:
    await asyncio.gather(*(initialize_graph_schema(graph) for _ in range(3)))
    assert (await verify_graph_schema(graph)).valid


async def test_what_stands_in_the_way_is_said_and_all_else_is_made(graph: CypherGraphAdapter, server: Server) -> None:
    server.ask("CREATE (:Fact {_key: 'twice'}), (:Fact {_key: 'twice'})")
    with pytest.raises(GraphSchemaError, match=r"lacks constraint on :Fact\(_key\), and") as raised:
        await initialize_graph_schema(graph)
    assert "twice" not in str(raised.value)
    assert (await verify_graph_schema(graph)).missing == ("constraint on :Fact(_key)",)
    assert server.ask("MATCH (n:Fact) RETURN count(n) AS count") == [{"count": 2}]
    server.ask("MATCH (n:Fact) WITH n LIMIT 1 DELETE n")
    await initialize_graph_schema(graph)
    assert (await verify_graph_schema(graph)).valid


async def test_numbers_stay_as_they_are(graph: CypherGraphAdapter, server: Server) -> None:
    server.ask("CREATE (:Memory {importance: 50}), (:Fact {confidence: 90}), (:Context {depth: 1})")
    await initialize_graph_schema(graph)
    server.ask("CREATE (:Memory {importance: 50.5}), (:Fact {confidence: 90.5}), (:Context {depth: 5000000000})")
    found = server.ask("MATCH (n) RETURN coalesce(n.importance, n.confidence, n.depth) AS value")
    assert sorted(row["value"] for row in found) == [1, 50, 50.5, 90, 90.5, 5_000_000_000]  # type: ignore[type-var]


@pytest.mark.parametrize("name", DDL)
def test_the_statements(name: str, snapshot: SnapshotAssertion) -> None:
    ddl = DDL[name]
    some = [Rule("constraint", "Fact", "_key"), Rule("index", "Fact", "subject"), Rule("index", "Fact", "confidence")]
    wanted = list(ddl.wanted(some))
    assert [*ddl.shown, *map(ddl.create, wanted), *map(ddl.drop, wanted)] == snapshot


@pytest.mark.parametrize(
    ("name", "records", "rules"),
    [
        (
            "Neo4j",
            [
                {"type": "UNIQUENESS", "labelsOrTypes": ["Fact"], "properties": ["_key"]},
                {"type": "NODE_PROPERTY_EXISTENCE", "labelsOrTypes": ["Fact"], "properties": ["fact"]},
                {"type": "UNIQUENESS", "labelsOrTypes": ["Fact"], "properties": ["a", "b"]},
                {"type": "LOOKUP", "labelsOrTypes": None, "properties": None, "state": "ONLINE"},
                {"type": "RANGE", "labelsOrTypes": ["Fact"], "properties": ["subject"], "state": "POPULATING"},
                {"type": "RANGE", "labelsOrTypes": ["Fact"], "properties": ["factId"], "state": "FAILED"},
                {"type": "TEXT", "labelsOrTypes": ["Fact"], "properties": ["fact"], "state": "ONLINE"},
            ],
            [Rule("constraint", "Fact", "_key"), Rule("index", "Fact", "subject")],
        ),
        (
            "Memgraph",
            [
                {"constraint type": "unique", "label": "Fact", "properties": ["_key"], "data_type": ""},
                {"constraint type": "unique", "label": "User", "properties": "_key"},
                {"constraint type": "exists", "label": "Fact", "properties": "fact", "data_type": ""},
                {"constraint type": "unique", "label": "Fact", "properties": ["a", "b"], "data_type": ""},
                {"index type": "label", "label": "Fact", "property": None, "count": 3},
                {"index type": "label+property", "label": "Fact", "property": ["_key"], "count": 3},
                {"index type": "label+property", "label": "Fact", "property": "subject", "count": 3},
                {"index type": "edge-type", "label": "KNOWS", "property": None, "count": 3},
            ],
            [
                Rule("constraint", "Fact", "_key"),
                Rule("constraint", "User", "_key"),
                Rule("index", "Fact", "_key"),
                Rule("index", "Fact", "subject"),
            ],
        ),
    ],
)
def test_what_a_server_shows(name: str, records: list[Mapping[str, Any]], rules: list[Rule]) -> None:
    assert list(DDL[name].read(records)) == rules
