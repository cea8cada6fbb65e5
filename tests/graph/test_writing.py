"""The statements of a batch, on a graph in memory: what each does on servers is shown in test_writing_servers.py."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from helpers.graph_items import ITEMS, item
from helpers.lanes import examples
from helpers.memory_graph import MemoryGraph, projected
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_rx.graph.projection import End, project
from cortex_rx.graph.writing import ROWS, Fence, FenceLost, write

FENCE = Fence("store", 1)
ALL = list(ITEMS.values())


def put(graph: MemoryGraph, items: Sequence[Mapping[str, Any]], fence: Fence = FENCE) -> dict[int, set[End]]:
    return asyncio.run(write(graph, fence, [project(one) for one in items]))


def gone(of: Mapping[str, Any], revision: int) -> dict[str, Any]:
    return {**{name: value for name, value in of.items() if name != "record"}, "revision": revision}


def changed(of: Mapping[str, Any], revision: int, **values: Any) -> dict[str, Any]:
    return {**of, "revision": revision, "record": {**of["record"], **values}}


def test_the_graph_shows_what_the_records_say_and_once() -> None:
    graph = MemoryGraph()
    for _ in range(2):
        missing = put(graph, ALL)
        there = projected(ALL)
        assert (graph.nodes, graph.edges) == (there.nodes, there.edges)
    # A fact of `ITEMS` was superseded by one that is not among them.
    lacks = {at: {str(end) for end in ends} for at, ends in missing.items()}
    assert lacks == {
        at: {str(end) for end in project(one).needs if end not in there.nodes}
        for at, one in enumerate(ALL)
        if not project(one).needs.keys() <= there.nodes.keys()
    }


def test_what_is_newer_stays() -> None:
    graph = MemoryGraph()
    old, new = changed(ITEMS["agents"], 8, name="Old"), changed(ITEMS["agents"], 9, name="New")
    put(graph, [new])
    put(graph, [old])
    assert [node["name"] for node in graph.shown("Agent")] == ["New"]


def test_the_edges_of_a_record_are_those_that_it_has_now() -> None:
    graph = MemoryGraph()
    put(graph, ALL)
    other = item("conversations", "c-9", ITEMS["conversations"]["record"], memorySpaceId="support")
    moved = changed(
        ITEMS["memories"],
        9,
        conversationRef={"conversationId": "c-9", "messageIds": []},
        immutableRef=None,
        userId="eve",
    )
    assert put(graph, [other, moved]) == {}
    assert graph.edges == projected([one for one in ALL if one["table"] != "memories"] + [other, moved]).edges
    ends = {(kind, str(end)) for kind, start, end, _ in graph.edges if start.label == "Memory"}
    assert ("REFERENCES", 'Conversation ["support","c-9"]') in ends and ("RELATES_TO", 'User ["eve"]') in ends
    old = {"SOURCED_FROM"}, {'User ["ada"]', 'Conversation ["support","c-1"]'}
    assert not {end for end in ends if end[0] in old[0] or end[1] in old[1]}


@pytest.mark.parametrize(
    "values",
    [{"object": "Basel"}, {"polarity": "negative"}, {"tense": "past"}, {"closed": "changed"}, {"predicate": "likes"}],
    ids=str,
)
def test_what_a_fact_says_of_its_entities_is_one_edge_at_most(values: dict[str, Any]) -> None:
    graph = MemoryGraph()
    fact = changed(ITEMS["facts"], 8, closed=None, supersededBy=None, polarity="positive", tense="present")
    same = {**fact, "entityId": "f-2"}  # another one that says the same
    put(graph, [fact, same])
    put(graph, [now := changed(fact, 9, **values)])
    said = {edge: value for edge, value in graph.edges.items() if edge[1].label == edge[2].label == "Entity"}
    there = projected([now, same]).edges
    assert said == {edge: value for edge, value in there.items() if edge[1].label == edge[2].label == "Entity"}


def test_a_deleted_record_goes_with_its_edges() -> None:
    graph = MemoryGraph()
    put(graph, ALL)
    put(graph, [gone(ITEMS["facts"], 9), gone(ITEMS["conversations"], 9), gone(ITEMS["mutable"], 9)])
    labels = {at.label for at in graph.nodes}
    assert labels & {"Fact", "Conversation", "Mutable"} == set() and "Entity" in labels
    assert {start.label for _, start, _, _ in graph.edges} == {"Memory", "Context"}
    assert {end.label for _, _, end, _ in graph.edges}.isdisjoint({"Fact", "Conversation"})
    left = [one for one in ALL if one["table"] not in ("facts", "conversations", "mutable")]
    assert graph.edges == projected(left).edges


def test_a_user_whose_record_is_gone_is_bare_as_long_as_somebody_is_about_him() -> None:
    graph = MemoryGraph()
    put(graph, ALL)
    put(graph, [gone(ITEMS["users"], 9), gone(ITEMS["memorySpaces"], 9)])
    assert graph.nodes[End("User", '["ada"]')] == {"_key": '["ada"]', "_rev": 0, "userId": "ada"}
    others = [one for one in ALL if one["table"] not in ("users", "memorySpaces")]
    assert graph.edges == projected(others).edges
    alone = MemoryGraph()
    put(alone, [ITEMS["users"]])
    put(alone, [gone(ITEMS["users"], 9)])
    assert alone.nodes == {}


@pytest.mark.parametrize("fence", [Fence("store", 1), Fence("other", 9)], ids=str)
def test_who_has_not_the_fence_writes_nothing(fence: Fence) -> None:
    graph = MemoryGraph()
    put(graph, ALL, Fence("store", 2))
    before = dict(graph.nodes)
    with pytest.raises(FenceLost, match="another drainer has taken over") as lost:
        put(graph, [changed(ITEMS["agents"], 9, name="Late"), gone(ITEMS["users"], 9)], fence)
    assert graph.nodes == before and lost.value.store == "store"
    put(graph, [gone(ITEMS["users"], 9)], Fence("store", 3))


def test_a_thousand_rows_are_one_statement_for_each_label_and_type() -> None:
    graph = MemoryGraph()
    many = [{**ITEMS["memories"], "entityId": f"m-{number}"} for number in range(ROWS)]
    put(graph, [ITEMS["conversations"], ITEMS["facts"], *many])
    (statements,) = graph.transactions
    assert len(statements) == len(set(statements)), "each is sent once"
    kinds = {edge.type for edge in project(many[0]).edges}
    of_memories = [one for one in statements if "MERGE (n:Memory " in one or "(a:Memory " in one]
    assert len(of_memories) == 1 + len(kinds) + 1  # RELATES_TO leads to users, and to agents
    put(graph, [*many, {**ITEMS["memories"], "entityId": "one-more"}])
    assert sum("MERGE (n:Memory " in one for one in graph.transactions[-1]) == 2


TABLES = ("memories", "conversations", "facts", "contexts", "users", "memorySpaces")
IDS = st.sampled_from(["a", "b"])
STATES = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {},
        optional={
            "userId": IDS,
            "subject": IDS,
            "object": IDS,
            "closed": st.sampled_from(["changed", "wrong"]),
            "supersededBy": IDS,
            "conversationRef": IDS.map(lambda one: {"conversationId": one, "messageIds": []}),
            "tense": st.sampled_from(["past", "present"]),
        },
    ),
)


@given(st.lists(st.tuples(st.sampled_from(TABLES), IDS, st.none() | STATES), min_size=1, max_size=30), st.data())
@settings(max_examples=examples(100), deadline=None)
def test_in_whatever_portions_the_graph_ends_as_the_records_are(
    history: list[tuple[str, str, dict[str, Any] | None]], data: st.DataObject
) -> None:
    """Only what holds at the end is compared: each row is of a record as it is at that time."""
    graph = MemoryGraph()
    now: dict[tuple[str, str], dict[str, Any]] = {}
    todo: dict[tuple[str, str], None] = {}
    for revision, (table, name, values) in enumerate(history, start=1):
        of = {**ITEMS[table], "entityId": name}
        cleared = dict.fromkeys(("closed", "supersededBy")) if table == "facts" else {}
        now[table, name] = gone(of, revision) if values is None else changed(of, revision, **{**cleared, **values})
        todo[table, name] = None
        if data.draw(st.booleans()):
            put(graph, [now[one] for one in todo])  # what is not complete comes again
    for _ in range(2):
        put(graph, [now[one] for one in data.draw(st.permutations(list(now)))])
    left = [one for one in now.values() if "record" in one]
    there = projected(left)
    assert graph.edges == there.edges
    bare = {at: node for at, node in graph.nodes.items() if at not in there.nodes}
    assert {at: node for at, node in graph.nodes.items() if at not in bare} == there.nodes
    assert all(node["_rev"] == 0 for node in bare.values()), "only bare nodes, at which edges ended"
