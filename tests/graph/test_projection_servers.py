"""The projection of each table's records on each server: what was written is read back, the same by content."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import pytest
from helpers.graph_items import ITEMS
from services.server import Server

from cortex_rx import SqliteBackend
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.projection import Node, Projection, project
from cortex_rx.graph.schema import LABELS, TABLES, initialize_graph_schema

Found: TypeAlias = tuple[dict[tuple[str, str], dict[str, Any]], list[tuple[str, str, str, dict[str, Any]]]]
"""The properties of nodes by label and key, and the edges: type, owner, and both ends with the properties."""

HOSTILE = (
    *("x", "X", " ", "x ", "a\0b", "é", "e\u0301", "京\U0001f600", 'q"[]{}\\u0000', "\\u0060) DETACH DELETE n //"),
    *("$rows", "`", "'", "x" * 1_001, "y" * 5_000, "\0" * 400, "\\" * 900),
)


async def _written(graph: CypherGraphAdapter, drawn: Iterable[Projection]) -> Found:
    """Write projections by plain statements, each node once. Returns what should be there then."""
    drawn = list(drawn)
    nodes: dict[tuple[str, str], Node] = {}
    for one in drawn:
        nodes |= {(end.at.label, end.at.key): end for end in one.ends if (end.at.label, end.at.key) not in nodes}
        nodes |= {(node.at.label, node.at.key): node for node in one.nodes}
    statements: list[tuple[str, dict[str, Any]]] = [
        (f"CREATE (n:{label}) SET n = $p, n._key = $key", {"p": node.properties, "key": key})
        for (label, key), node in nodes.items()
    ]
    wanted: list[tuple[str, str, str, dict[str, Any]]] = []
    for one in drawn:
        for edge in one.edges:
            match = f"MATCH (a:{edge.start.label} {{_key: $a}}) MATCH (b:{edge.end.label} {{_key: $b}})"
            values = {"a": edge.start.key, "b": edge.end.key, "p": {**edge.properties, "_owner": str(one.owner)}}
            statements.append((f"{match} CREATE (a)-[r:{edge.type}]->(b) SET r = $p RETURN 1 AS one", values))
            wanted.append((edge.type, str(edge.start), str(edge.end), values["p"]))
    done = (await graph.write(statements))[len(nodes) :]
    edges = [edge for edge, rows in zip(wanted, done, strict=True) if rows]  # those whose ends are there
    return {at: {**node.properties, "_key": at[1]} for at, node in nodes.items()}, edges


def _read(server: Server) -> Found:
    nodes = server.ask("MATCH (n) RETURN labels(n)[0] AS label, properties(n) AS p")
    edges = server.ask(
        "MATCH (a)-[r]->(b) RETURN type(r) AS type, labels(a)[0] AS la, a._key AS a, labels(b)[0] AS lb, b._key AS b, "
        "properties(r) AS p"
    )
    found: Any = nodes, edges
    return (
        {(row["label"], row["p"]["_key"]): row["p"] for row in found[0]},
        [(row["type"], f"{row['la']} {row['a']}", f"{row['lb']} {row['b']}", row["p"]) for row in found[1]],
    )


def _order(edges: list[tuple[str, str, str, dict[str, Any]]]) -> list[tuple[str, str, str, dict[str, Any]]]:
    return sorted(edges, key=lambda edge: (*edge[:3], edge[3]["_owner"]))


async def _same(graph: CypherGraphAdapter, server: Server, drawn: Iterable[Projection]) -> Found:
    nodes, edges = await _written(graph, drawn)
    there = _read(server)
    assert there[0] == nodes
    assert _order(there[1]) == _order(edges)
    return there


async def test_everything_that_a_record_may_have_is_stored(graph: CypherGraphAdapter, server: Server) -> None:
    await initialize_graph_schema(graph)
    nodes, edges = await _same(graph, server, map(project, ITEMS.values()))
    assert {label for label, _ in nodes} == LABELS.keys()
    assert {type_ for type_, *_ in edges} >= {"IN_SPACE", "REFERENCES", "STORED_BY", "MENTIONS", "FAVORITE", "INVOLVES"}


async def test_the_records_of_a_store_with_hostile_names_stay_apart(graph: CypherGraphAdapter, server: Server) -> None:
    await initialize_graph_schema(graph)
    backend = SqliteBackend(":memory:")
    await backend.mutation("graphSync:keep", {"enabled": True})
    for name in HOSTILE:
        await _one_of_each(backend, name)
    items = await backend.query("graphSync:getBatch", {"limit": 1_000})
    await backend.close()
    assert {item["table"] for item in items} == TABLES.keys()
    nodes, edges = await _same(graph, server, map(project, items))
    records = [at for at in nodes if at[0] not in ("Participant", "Entity")]
    assert len(records) == len(items)  # the users, agents and spaces that others name are there as records
    assert len(records) == len(HOSTILE) * len(TABLES)
    assert len([edge for edge in edges if edge[0] == "KNOWS"]) == len(HOSTILE)


async def _one_of_each(backend: SqliteBackend, name: str) -> None:
    """A record of each table whose ids, names and values are all this one."""
    do, space = backend.mutation, {"memorySpaceId": name}
    stored = {"content": name, "contentType": "raw", "sourceType": "system", "importance": 50.5, "tags": [name]}
    await do("memories:store", {**space, "memoryId": name, **stored, "userId": name, "agentId": name})
    said = {"fact": name, "factType": "knowledge", "confidence": 90, "sourceType": "manual", "tags": [name]}
    triple = {"subject": name, "predicate": "knows", "object": f"{name}!"}
    await do("facts:store", {**space, "factId": name, **said, **triple})
    who = {"userId": name, "agentId": name}
    await do("conversations:create", {**space, "conversationId": name, "type": "user-agent", "participants": who})
    await do("contexts:create", {**space, "contextId": name, "purpose": name, "userId": name})
    await do("memorySpaces:register", {**space, "type": "team", "name": name})
    await do("users:update", {"userId": name, "data": {name: name}})
    await do("agents:register", {"agentId": name, "name": name})
    await do("immutable:store", {"type": name, "id": name, "data": {name: [name, 2**63 - 1, None, 0.1]}})
    await do("mutable:set", {"namespace": name, "key": name, "value": name})


VALUES: tuple[Any, ...] = (
    *("", "text", 0, 1 - 2**63, 2**63 - 1, 0.1, -0.0, 1e300, 5e-324, True, False, None),
    *([], [1, 2], [0.5, 1.5], [1, 2.5], ["a", ""], [True, False], [1, "a", None], [[1], [2]], [{}], {}, {"a": [{}]}),
)


async def test_any_value_of_a_key_is_stored(graph: CypherGraphAdapter, server: Server) -> None:
    await initialize_graph_schema(graph)
    item = ITEMS["mutable"]
    of = [
        {**item, "entityId": f"k{at}", "record": {**item["record"], "value": value}} for at, value in enumerate(VALUES)
    ]
    nodes, _ = await _same(graph, server, map(project, of))
    stored = [nodes["Mutable", f'["stock","k{at}"]'].get("value") for at in range(len(VALUES))]
    kept = [value for value in VALUES if not isinstance(value, list | dict)]
    assert [(type(one), one) for one in stored[: len(kept)]] == [(type(one), one) for one in kept]
    assert stored[len(kept) :] == [
        *([], [1, 2], [0.5, 1.5], "[1,2.5]", ["a", ""], [True, False], '[1,"a",null]', "[[1],[2]]", "[{}]", "{}"),
        '{"a":[{}]}',
    ]


@pytest.fixture
async def backend() -> Any:
    opened = SqliteBackend(":memory:")
    await opened.mutation("graphSync:keep", {"enabled": True})
    yield opened
    await opened.close()


async def test_current_facts_are_one_query_away_and_superseded_ones_are_there_with_their_times(
    graph: CypherGraphAdapter, server: Server, backend: SqliteBackend
) -> None:
    await initialize_graph_schema(graph)
    said = {"factType": "identity", "confidence": 90, "sourceType": "manual", "tags": [], "memorySpaceId": "support"}
    for at, town in enumerate(("Bern", "Rome", "Oslo")):
        triple = {"subject": "Ada", "predicate": "lives_in", "object": town, "fact": f"Ada lives in {town}."}
        await backend.mutation("facts:store", {**said, **triple, "factId": town, "validFrom": at * 86_400_000})
    await _same(graph, server, map(project, await backend.query("graphSync:getBatch", {})))
    current = "MATCH (f:Fact {memorySpaceId: $space}) WHERE f.closed IS NULL RETURN f.factId AS fact"
    assert server.ask(current, space="support") == [{"fact": "Oslo"}]
    edges = "MATCH (:Entity {memorySpaceId: $space, name: 'Ada'})-[:LIVES_IN]->(b) RETURN b.name AS town"
    assert server.ask(edges, space="support") == [{"town": "Oslo"}]
    past = (
        "MATCH (new:Fact)-[:SUPERSEDES]->(f:Fact {memorySpaceId: $space}) "
        "RETURN f.factId AS fact, f.validFrom AS since, f.validUntil AS until, new.factId AS by ORDER BY since"
    )
    day = "1970-01-0{}T00:00:00.000Z".format
    assert server.ask(past, space="support") == [
        {"fact": "Bern", "since": day(1), "until": day(2), "by": "Rome"},
        {"fact": "Rome", "since": day(2), "until": day(3), "by": "Oslo"},
    ]
