"""What the graph shows of a record of each table."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.graph_items import ITEMS, item
from syrupy.assertion import SnapshotAssertion

from cortex_rx.backends.sqlite import outbox
from cortex_rx.graph.projection import Edge, End, Projection, project
from cortex_rx.graph.schema import LABELS, RELATED, RELATIONSHIPS, TABLES, shortened


def _drawn(projection: Projection) -> str:
    """As a person reads it."""
    lines = [f"{projection.owner}, revision {projection.revision}"]
    for node in projection.nodes:
        lines += [f"  {name}: {value!r}" for name, value in node.properties.items()]
    for edge in projection.edges:
        ends = ("this" if end == projection.owner else str(end) for end in (edge.start, edge.end))
        said = ", ".join(f"{name}: {value!r}" for name, value in edge.properties.items())
        lines.append(f"{edge.type}  {' -> '.join(ends)}" + (f"  {{{said}}}" if said else ""))
    lines += [f"end  {node.at}  {dict(node.properties)}" for node in projection.ends]
    return "\n".join(lines)


def _with(table: str, **changed: Any) -> dict[str, Any]:
    """The item of a table, with other values in its record; None takes one out."""
    record = {name: value for name, value in {**ITEMS[table]["record"], **changed}.items() if value is not None}
    return {**ITEMS[table], "record": record}


def _edges(item: dict[str, Any], type_: str) -> list[Edge]:
    return [edge for edge in project(item).edges if edge.type == type_]


def _statements(item: dict[str, Any]) -> list[Edge]:
    return [edge for edge in project(item).edges if {edge.start.label, edge.end.label} == {"Entity"}]


@pytest.mark.parametrize("table", TABLES)
def test_a_record(table: str, snapshot: SnapshotAssertion) -> None:
    assert _drawn(project(ITEMS[table])) == snapshot


def test_each_table_and_each_type_has_a_sample() -> None:
    drawn = [project(each) for each in ITEMS.values()]
    assert TABLES.keys() == ITEMS.keys() == {*outbox.TABLES, "mutable"}
    structure = {type_ for type_, one in RELATIONSHIPS.items() if one.ends != (("Entity", "Entity"),)}
    assert {edge.type for one in drawn for edge in one.edges} >= structure - {"SUPERSEDES"}
    assert {node.at.label for one in drawn for node in (*one.nodes, *one.ends)} == LABELS.keys()


@pytest.mark.parametrize("table", TABLES)
def test_a_deleted_record_has_the_same_key_and_nothing_else(table: str) -> None:
    there = project(ITEMS[table])
    gone = project({name: value for name, value in ITEMS[table].items() if name != "record"})
    assert gone == Projection(there.owner, there.revision, (), (), (), there.identity, {})
    assert there.nodes[0].properties.items() >= gone.identity.items()


def test_a_partial_memory_says_how_far_it_is() -> None:
    partial = _with(
        "memories",
        isPartial=True,
        contentLength=1_234,
        partialMetadata={"userMessage": "Where?", "streamId": "s-1", "streamStartTime": 1_500, "updates": 3},
    )
    found = project(partial).nodes[0].properties
    said = {name: found[name] for name in ("isPartial", "contentLength", "estimatedTokens", "updates")}
    assert said == {"isPartial": True, "contentLength": 1_234, "estimatedTokens": 308, "updates": 3}
    assert found["streamStartTime"] == "1970-01-01T00:00:01.500Z"
    assert "userMessage" not in found
    assert "estimatedTokens" not in project(ITEMS["memories"]).nodes[0].properties


# --- facts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predicate", "qualifier", "type_", "name", "of"),
    [
        ("lives_in", None, "LIVES_IN", "lives_in", None),
        ("livesIn", None, "LIVES_IN", "lives_in", None),
        ("resides at", None, "LIVES_IN", "lives_in", None),
        ("favorite", "food", "FAVORITE", "favorite", "food"),
        ("favourite food", None, "FAVORITE", "favorite", "food"),
        ("is afraid of", None, RELATED, "is_afraid_of", None),
        ("child of", None, RELATED, "child_of", None),  # CHILD_OF is that of contexts
        ("IN_SPACE", None, RELATED, "in_space", None),
        ("`]-() DETACH DELETE n //", None, RELATED, "detach_delete_n", None),
        ("\\u0060", None, RELATED, "u0060", None),
    ],
)
def test_a_known_predicate_is_a_type_and_all_others_are_a_property(
    predicate: str, qualifier: str | None, type_: str, name: str, of: str | None
) -> None:
    (edge,) = _statements(_with("facts", predicate=predicate, qualifier=qualifier))
    assert (edge.type, edge.properties["predicate"], edge.properties.get("qualifier")) == (type_, name, of)
    assert edge.properties["factId"] == "f-1"


@pytest.mark.parametrize("said", [{"polarity": "negative"}, {"tense": "past"}, {"tense": "future"}])
def test_only_what_is_so_now_has_the_type_of_its_predicate(said: dict[str, str]) -> None:
    (edge,) = _statements(_with("facts", predicate="lives_in", **said))
    assert edge.type == RELATED
    assert edge.properties["predicate"] == "lives_in"
    assert edge.properties.items() >= said.items()


@pytest.mark.parametrize("closed", ["changed", "wrong"])
def test_a_closed_fact_keeps_its_node_and_its_times_and_loses_its_edge_between_entities(closed: str) -> None:
    held = project(ITEMS["facts"])
    ended = project(_with("facts", closed=closed, supersededBy="f-2", knownUntil=1_800_000_000_000))
    assert len(_statements(ITEMS["facts"])) == 1
    assert not any(edge.start.label == "Entity" for edge in ended.edges)
    assert ended.nodes[0].properties == {
        **held.nodes[0].properties,
        "closed": closed,
        "supersededBy": "f-2",
        "knownUntil": "2027-01-15T08:00:00.000Z",
    }
    (edge,) = (edge for edge in ended.edges if edge.type == "SUPERSEDES")
    assert (edge.start, edge.end) == (End("Fact", '["support","f-2"]'), ended.owner)
    assert edge.properties == {"version": 2, "reason": closed}


@pytest.mark.parametrize("missing", ["subject", "predicate", "object"])
def test_a_fact_without_a_part_has_no_edge_between_entities_and_mentions_the_others(missing: str) -> None:
    lacking = _with("facts", **{missing: None})
    assert not _statements(lacking)
    named = {"subject": "Ada", "object": "blue"}
    named.pop(missing, None)
    assert {edge.end.key for edge in _edges(lacking, "MENTIONS")} == {
        f'["support","{name}"]' for name in named.values()
    }


def test_a_fact_about_one_entity_mentions_it_once() -> None:
    itself = _with("facts", subject="Ada", predicate="knows", object="Ada")
    (edge,) = _edges(itself, "MENTIONS")
    assert edge.properties == {"role": "both"}
    (edge,) = _statements(itself)
    assert (edge.type, edge.start) == ("KNOWS", edge.end)


def test_a_conversation_with_many_sources_is_named_once_with_all_messages() -> None:
    assert [(edge.end.key, edge.properties["messageIds"]) for edge in _edges(ITEMS["facts"], "EXTRACTED_FROM")] == [
        ('["support","c-1"]', ["q-1", "a-1", "q-2"]),
        ('["support","c-2"]', []),
    ]


# --- others -----------------------------------------------------------------------------------------------------------


def test_an_immutable_entry_of_another_type_is_no_fact() -> None:
    assert not _edges(_with("memories", immutableRef={"type": "article", "id": "f-1"}), "SOURCED_FROM")


def test_a_participant_that_is_named_twice_is_there_once() -> None:
    said = {"userId": "ada", "participantId": "phone"}
    assert len(_edges(_with("conversations", participants=said, participantId="phone"), "HAS_PARTICIPANT")) == 1


def test_a_context_whose_parent_is_gone_is_the_child_of_none() -> None:
    orphan = _with("contexts", parentMemorySpaceId=None)
    assert not _edges(orphan, "CHILD_OF")
    assert project(orphan).nodes[0].properties["parentId"] == "x-1"


def test_what_must_be_there_is_named_as_the_store_knows_it() -> None:
    long = "x" * 5_000
    found = project({**_with("contexts", parentId=long), "memorySpaceId": long})
    assert sorted(found.needs.values(), key=str) == [
        {"table": "contexts", "memorySpaceId": "sales", "entityId": long},
        {"table": "conversations", "memorySpaceId": long, "entityId": "c-1"},
    ]
    ends = {end for edge in found.edges for end in (edge.start, edge.end)}
    assert {*found.needs, *(end.at for end in found.ends)} == ends - {found.owner}


def test_long_names_are_shortened_where_there_is_an_index() -> None:
    long = "x" * 5_000
    drawn = project({**_with("facts", subject=long, object=long + "y", fact=long), "entityId": long})
    node = drawn.nodes[0].properties
    assert (node["factId"], node["subject"], node["fact"]) == (shortened(long), shortened(long), long)
    entities = {end.at: end.properties["name"] for end in drawn.ends if end.at.label == "Entity"}
    assert len(entities) == 2
    assert [len(name) for name in entities.values()] == [1_064, 1_064]
    assert [edge.properties["factId"] for edge in drawn.edges if edge.type == "FAVORITE"] == [shortened(long)]


def test_the_deepest_value_that_a_store_takes_is_json() -> None:
    deep: list[Any] = []
    for _ in range(99):
        deep = [deep]
    assert project(_with("mutable", value=deep)).nodes[0].properties["value"] == "[" * 100 + "]" * 100


def test_an_item_of_no_table_is_refused() -> None:
    with pytest.raises(KeyError):
        project(item("messages", "a-1", {}))
