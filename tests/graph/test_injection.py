"""Hostile labels, types, keys, ids, predicates and values: refused before anything is sent, or stored as data.

Cypher has no parameters for names, and doubling a quote is not enough: Neo4j reads `\\u0060` as one. So the texts below
try to leave a quoted name, a string and a comment, in each notation.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Coroutine, Iterator
from itertools import product
from typing import Any

import pytest
from services.server import Server

from cortex_rx.errors import GraphNotFound, InvalidArgument
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.graph.identifiers import identifier
from cortex_rx.graph.projection import project
from cortex_rx.graph.schema import RELATED
from cortex_rx.models.graph import GraphEdge, GraphNode, GraphOperation, ShortestPathConfig, TraversalConfig

QUOTES = [
    "`",
    "``",
    "\\u0060",
    "\\U00000060",
    "\\u005c`",
    "\\`",
    "'",
    '"',
    "\\'",
    "\\u0027",
    "｀",
    "\u02cb",
    "]",
    "}",
    ")",
]
ATTACKS = [
    "X{q}) WITH 1 AS x MATCH (v) DETACH DELETE v //",
    "X{q}) DETACH DELETE n RETURN 1 AS id //",
    "{q}]->() MATCH (v) DETACH DELETE v /*",
    "{q}: 1}}) MATCH (v) SET v.k = 'taken' RETURN 1 AS id //",
    "k{q} = 1 OR true WITH n MATCH (v) REMOVE v.k //",
    "{q} RETURN 1 AS id UNION MATCH (v) DETACH DELETE v RETURN 1 AS id //",
    "{q}*1..{q}) CREATE (:Taken) //",
    "{q}\n;MATCH (v) DETACH DELETE v;\n{q}",
    "*/ MATCH (v) DETACH DELETE v /* {q}",
    "X{q}:Y{q}|Z{q}&!W",
    "{q} CALL {{ MATCH (v) DETACH DELETE v }} //",
    "{q} LOAD CSV FROM 'file:///etc/passwd' AS line CREATE (:Taken {{line: line}}) //",
    "$wanted{q}",
    "{q}\u2028MATCH (v) DETACH DELETE v",
]
ODD = [
    *(
        "",
        " ",
        "\t",
        "\n",
        "\x00",
        "a\x00b",
        "a b",
        " a",
        "a ",
        "a\n",
        "\na",
        "1a",
        "1",
        "-1",
        "a-b",
        "a.b",
        "a:b",
        "a|b",
    ),
    *(
        "a,b",
        "a;b",
        "$a",
        "@a",
        "#1:0",
        "a~b",
        "a*",
        "*",
        "%",
        "&a",
        "!a",
        "a/b",
        "a//b",
        "/*",
        "--",
        "(",
        "[",
        "{",
        "<",
    ),
    *(
        "é",
        "ß",
        "名前",
        "\u0430dmin",
        "ａ",
        "a\u0301",
        "a\u200b",
        "\ufeffa",
        "\u202ea",
        "\U0001f600",
        "a" * 65,
        "a" * 10_000,
    ),
]
HOSTILE = [*dict.fromkeys([*(attack.format(q=quote) for attack, quote in product(ATTACKS, QUOTES)), *ODD])]
# As a word of no query they are texts like others. Blank ones are no ids, and no text for an id is one.
IDS = [text for text in HOSTILE if text.strip()]


def test_there_are_many_of_them() -> None:
    assert len(HOSTILE) >= 200
    assert sum("\\u0060" in text for text in HOSTILE) >= 10


def everything(server: Server) -> Any:
    """What the database has: nodes, edges, names and rules."""
    nodes = server.ask("MATCH (n) RETURN labels(n) AS labels, properties(n) AS properties")
    edges = server.ask("MATCH (a)-[r]->(b) RETURN a.k AS a, type(r) AS type, b.k AS b, properties(r) AS properties")
    rules = [] if server.kind == "memgraph" else server.ask("SHOW CONSTRAINTS YIELD name")
    return [sorted(map(repr, rows)) for rows in (nodes, edges, rules)]


def calls(
    graph: CypherGraphAdapter, a: str, b: str, label: str, type: str, key: str
) -> Iterator[Coroutine[Any, Any, Any]]:
    """Each operation, with these names wherever one stands in a query; each call has one of them."""
    one, two, keyed = GraphNode("Memory", {"k": 1}), GraphEdge("LIKES", a, b), {key: 1}
    if label.strip():  # the models refuse a blank one themselves
        named, typed = GraphNode(label), GraphEdge(type, a, b)
        yield graph.create_node(named)
        yield graph.merge_node(named, {"k": 1})
        yield graph.create_edge(typed)
        yield graph.merge_edge(typed)
        yield graph.batch_write([GraphOperation("CREATE_NODE", one), GraphOperation("CREATE_NODE", named)])
        yield graph.batch_write([GraphOperation("CREATE_NODE", one), GraphOperation("CREATE_EDGE", edge=typed)])
        yield graph.traverse(TraversalConfig(a, ["LIKES", type]))
        yield graph.find_path(ShortestPathConfig(a, b, 3, [type]))
    yield graph.find_nodes(label)
    yield graph.find_edges(type)
    yield graph.count_nodes(label)
    yield graph.count_edges(type)
    yield graph.create_node(GraphNode("Memory", keyed))
    yield graph.merge_node(GraphNode("Memory", keyed), {"k": 1})
    yield graph.merge_node(one, keyed)
    yield graph.update_node(a, keyed)
    yield graph.find_nodes("Memory", keyed)
    yield graph.find_edges("LIKES", keyed)
    yield graph.create_edge(GraphEdge("LIKES", a, b, keyed))
    yield graph.merge_edge(two, keyed)
    yield graph.batch_write([GraphOperation("UPDATE_NODE", id=a, properties=keyed)])


async def test_a_hostile_name_is_refused_and_nothing_is_sent(
    graph: CypherGraphAdapter, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = [await graph.create_node(GraphNode("Memory", {"k": k})) for k in ("a", "b")]
    await graph.create_edge(GraphEdge("LIKES", a, b))
    before = everything(server)
    sent: list[object] = []
    run = graph._run

    async def counted(work: Any, **more: Any) -> Any:
        sent.append(work)
        return await run(work, **more)

    monkeypatch.setattr(graph, "_run", counted)
    tried = collections.defaultdict[str, set[str]](set)
    for place, text in enumerate(HOSTILE):
        for number, call in enumerate(calls(graph, a, b, text, text, text)):
            if (
                number + place
            ) % 3:  # each text is tried as a label, as a type and as a key, in turns in each operation
                call.close()
                continue
            with pytest.raises(InvalidArgument, match="accepted: 1 to 64 of A-Z, a-z, 0-9 and _") as refused:
                await call
            assert len(str(refused.value)) < 200  # and so not with the text
            tried[text].add(refused.value.field.partition(": ")[0].replace("relationship_types", "type"))
    assert all({"label", "type"} < tried[text] for text in HOSTILE if text.strip())
    assert sent == []
    assert everything(server) == before
    for call in calls(graph, a, b, "Plain", "PLAIN_TYPE", "plain_key"):  # these do something
        await call
    assert len(sent) == 21


async def test_a_hostile_value_is_stored_as_data(graph: CypherGraphAdapter, server: Server) -> None:
    a = await graph.create_node(GraphNode("Memory", {"k": "a"}))
    every, some = HOSTILE, HOSTILE[::8]
    made = "UNWIND $rows AS row CREATE (n:Memory {k: row.k}) SET n.of = row.of"
    await graph.write([(made, {"rows": [{"k": text, "of": [text]} for text in every if text not in some]})])
    await graph.batch_write(
        [
            *(GraphOperation("CREATE_NODE", GraphNode("Memory", {"k": text, "of": [text]})) for text in some),
            *(GraphOperation("CREATE_EDGE", edge=GraphEdge("LIKES", a, a, {"text": text})) for text in some),
        ]
    )
    rows = server.ask("MATCH (n:Memory) RETURN n.k AS k, n.of AS of")
    assert sorted(str(row["k"]) for row in rows) == sorted(["a", *every])
    assert all(row["of"] == [row["k"]] for row in rows if row["k"] != "a")
    texts = server.ask("MATCH ()-[r]->() RETURN r.text AS text")
    assert sorted(str(row["text"]) for row in texts) == sorted(some)
    for text in some:
        (found,) = await graph.find_nodes("Memory", {"k": text})
        assert found.id == await graph.merge_node(GraphNode("Memory"), {"k": text})
        assert len(await graph.find_edges("LIKES", {"text": text})) == 1
    assert await graph.count_nodes() == len(every) + 1


async def test_a_hostile_id_is_that_of_nothing(graph: CypherGraphAdapter, server: Server) -> None:
    a, b = [await graph.create_node(GraphNode("Memory", {"k": k})) for k in ("a", "b")]
    await graph.create_edge(GraphEdge("LIKES", a, b))
    before = everything(server)
    ids = [text for text in IDS[::3] if text not in ("1", "#1:0")]  # these two may be there
    asked: list[tuple[Callable[[str], Any], Any]] = [
        (graph.get_node, None),
        (graph.delete_node, False),
        (graph.delete_edge, False),
        (lambda text: graph.update_node(text, {"k": 1}), GraphNotFound),
        (lambda text: graph.create_edge(GraphEdge("LIKES", a, text)), GraphNotFound),
        (lambda text: graph.merge_edge(GraphEdge("LIKES", text, b)), GraphNotFound),
        (lambda text: graph.traverse(TraversalConfig(text)), GraphNotFound),
        (lambda text: graph.find_path(ShortestPathConfig(a, text)), GraphNotFound),
    ]
    for place, text in enumerate(ids):
        call, expected = asked[place % len(asked)]
        if expected is GraphNotFound:
            with pytest.raises(GraphNotFound):
                await call(text)
        else:
            assert await call(text) is expected
    assert everything(server) == before


def test_a_hostile_predicate_is_no_type() -> None:
    """What a language model calls a relationship is a property of it, unless it is one of the known ones."""
    item = {"revision": 7, "table": "facts", "entityId": "f-1", "memorySpaceId": "support"}
    record = {"fact": "x", "subject": "Ada", "object": "Bern", "polarity": "positive", "tense": "present"}
    types = set()
    for text in IDS:
        fact = {**item, "record": {**record, "predicate": text, "confidence": 90, "sources": [], "createdAt": 0}}
        (edge,) = [edge for edge in project(fact).edges if (edge.start.label, edge.end.label) == ("Entity", "Entity")]
        types.add(edge.type)
        assert identifier("type", edge.type) == edge.type
        assert isinstance(edge.properties["predicate"], str)
    assert types == {RELATED}
