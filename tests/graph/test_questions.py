"""What is near an entity, and how two hang together, on each graph server."""

from __future__ import annotations

import random
from collections import deque

import pytest
from helpers.graph_stores import fill, tell, write_changes

from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import InvalidArgument
from cortex_rx.graph.questions import graph_facts, named_entities, path, related
from cortex_rx.recollection import recall


@pytest.fixture
async def backend(graph):
    async with SqliteBackend(":memory:") as store:
        await fill(store)
        await write_changes(store, graph)
        yield store


async def test_what_is_near(backend, graph):
    near = await related(graph, "support", "Ada")
    assert [(one.name, one.steps, [*map(str, one.statements)]) for one in near] == [
        ("Bern", 1, ["Ada -lives_in-> Bern"]),
        ("Bob", 1, ["Ada -knows-> Bob"]),
        ("Switzerland", 2, ["Bern -located_in-> Switzerland"]),
        ("tea", 2, ["Bob -likes-> tea"]),
    ]
    assert near[0].statements[0].fact_id == "f-0"
    assert [one.name for one in await related(graph, "support", "Ada", depth=1)] == ["Bern", "Bob"]
    assert [one.name for one in await related(graph, "support", "Ada", limit=3)] == ["Bern", "Bob", "Switzerland"]
    assert await related(graph, "support", "nobody") == []
    with pytest.raises(InvalidArgument, match="depth"):
        await related(graph, "support", "Ada", depth=0)


async def test_how_two_hang_together(backend, graph):
    found = await path(graph, "support", "tea", "Switzerland")
    assert found is not None and found.entities == ("tea", "Bob", "Ada", "Bern", "Switzerland")
    assert [one.fact_id for one in found.statements] == ["f-2", "f-1", "f-0", "f-3"] and found.length == 4
    assert await path(graph, "support", "tea", "Switzerland", max_hops=3) is None
    assert await path(graph, "support", "tea", "nobody") is None
    itself = await path(graph, "support", "tea", "tea")
    assert itself is not None and (itself.entities, itself.length) == (("tea",), 0)


async def test_only_what_holds_is_followed(backend, graph):
    await backend.mutation("facts:deleteFact", {"memorySpaceId": "support", "factId": "f-1"})
    await write_changes(backend, graph)
    assert await path(graph, "support", "Ada", "tea") is None
    await backend.mutation(
        "facts:store",
        {
            "memorySpaceId": "support",
            "factId": "n-1",
            "fact": "Ada does not like tea.",
            "factType": "preference",
            "subject": "Ada",
            "predicate": "likes",
            "object": "tea",
            "polarity": "negative",
            "tags": [],
            "confidence": 80,
            "sourceType": "manual",
        },
    )
    await write_changes(backend, graph)
    assert await path(graph, "support", "Ada", "tea") is None


async def test_no_path_leads_to_another_memory_space(backend, graph):
    """Two with the same entities, and an edge between them that nobody should have made."""
    await tell(backend, "other", "f-1", "Ada", "knows", "Carl")
    await tell(backend, "other", "f-2", "Carl", "likes", "coffee")
    await write_changes(backend, graph)
    await graph.query(
        "MATCH (a:Entity {_key: $start}) MATCH (b:Entity {_key: $end}) CREATE (a)-[:RELATED {_owner: 'Fact x', "
        "_rev: 1, polarity: 'positive', factId: 'x', predicate: 'knows'}]->(b)",
        {"start": '["support","Ada"]', "end": '["other","Ada"]'},
    )
    near = {space: {one.name for one in await related(graph, space, "Ada", depth=5)} for space in ("support", "other")}
    assert near == {"support": {"Bern", "Bob", "Switzerland", "tea"}, "other": {"Carl", "coffee"}}
    assert await path(graph, "support", "Ada", "Carl") is None
    assert await path(graph, "other", "coffee", "Bern") is None
    assert await named_entities(graph, "support", "Does Carl like coffee or tea?") == ["tea"]


async def test_paths_are_shortest(graph):
    """Against a search in random graphs, some of which are not connected."""
    for seed in range(4):
        chance, space = random.Random(seed), f"space {seed}"
        lines = {(chance.randrange(12), chance.randrange(12)) for _ in range(10 + seed)}
        keys = [f'["{space}","{number}"]' for number in range(12)]
        rows = [{"key": key, "name": str(number), "space": space} for number, key in enumerate(keys)]
        await graph.query(
            "UNWIND $rows AS row CREATE (:Entity {_key: row.key, _rev: 0, name: row.name, memorySpaceId: row.space})",
            {"rows": rows},
        )
        await graph.query(
            "UNWIND $rows AS row MATCH (a:Entity {_key: row.start}) MATCH (b:Entity {_key: row.end}) "
            "CREATE (a)-[:RELATED {_owner: 'x', polarity: 'positive', factId: row.fact, predicate: 'knows'}]->(b)",
            {"rows": [{"start": keys[one], "end": keys[two], "fact": f"{one}-{two}"} for one, two in lines]},
        )
        steps = {0: 0}
        border = deque([0])
        while border:
            at = border.popleft()
            for near in {one for line in lines if at in line for one in line} - steps.keys():
                steps[near] = steps[at] + 1
                border.append(near)
        found = {one.name: one.steps for one in await related(graph, space, "0", depth=10)}
        assert found == {str(number): far for number, far in steps.items() if far}
        for number in range(12):
            way = await path(graph, space, "0", str(number), max_hops=11)
            assert (way.length if way else None) == steps.get(number)
            for line, two in zip(way.statements, zip(way.entities, way.entities[1:]), strict=True) if way else ():
                assert {line.subject, line.object} == {*two} and line.fact_id == f"{line.subject}-{line.object}"


async def test_recall_with_the_facts_of_the_graph(backend, graph):
    """A fact two steps from what the question names: no word of it stands there."""
    question = "What may Ada offer her friend?"
    without = await recall(backend, "support", question)
    assert "f-2" not in {fact.fact_id for fact in without.facts}
    found = await recall(backend, "support", question, facts=graph_facts(graph, backend))
    ids = [fact.fact_id for fact in found.facts]
    assert ids.index("f-1") < ids.index("f-2") and found.facts[0].score == 1
    assert {fact.fact_id for fact in without.facts} <= {*ids}
    assert "Bob likes tea." in found.format_for_llm()


async def test_recall_with_no_entity_in_the_question_is_as_without_a_graph(backend, graph):
    for question in ("lives", "nothing of this"):
        without = await recall(backend, "support", question)
        found = await recall(backend, "support", question, facts=graph_facts(graph, backend))
        assert [fact.fact_id for fact in found.facts] == [fact.fact_id for fact in without.facts]


async def test_facts_of_another_user_stay_with_him(backend, graph):
    for user in ("ada", "eve"):
        await backend.mutation(
            "facts:store",
            {
                "memorySpaceId": "support",
                "factId": f"u-{user}",
                "fact": f"Ada told {user}.",
                "factType": "event",
                "subject": "Ada",
                "predicate": "told",
                "object": user,
                "userId": user,
                "tags": [],
                "confidence": 80,
                "sourceType": "manual",
            },
        )
    await write_changes(backend, graph)
    find = graph_facts(graph, backend)
    ids = {fact.fact_id for fact in await find("support", "Ada", user_id="ada", limit=20)}
    assert "u-ada" in ids and "u-eve" not in ids
