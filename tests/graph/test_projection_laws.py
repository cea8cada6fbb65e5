"""What is true of the projection of any record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers.graph_items import items
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.graph.projection import End, Node, project
from cortex_rx.graph.schema import LABELS, RELATIONSHIPS, TABLES


def _identity(item: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(item.get(name) for name in ("table", "memorySpaceId", "entityType", "namespace", "entityId"))


@given(items(), items())
def test_two_records_are_two_nodes(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (project(one).owner == project(other).owner) == (_identity(one) == _identity(other))


@pytest.mark.parametrize("table", TABLES)
@given(data=st.data())
def test_equal_items_have_equal_projections(data: st.DataObject, table: str) -> None:
    item = data.draw(items(table))
    projected = project(item)
    assert project(json.loads(json.dumps(item))) == projected
    assert item["revision"] == projected.revision
    if "record" in item:
        turned = {**item, "record": dict(reversed(item["record"].items()))}
        assert project(turned).edges == projected.edges
        assert project(turned).nodes[0].properties == projected.nodes[0].properties


@given(items("memories", "conversations", "facts", "contexts"))
def test_nothing_of_another_memory_space_is_in_it(item: dict[str, Any]) -> None:
    found = project(item)
    bare: dict[End, Node] = {end.at: end for end in found.ends}
    space = item["memorySpaceId"]
    for edge in found.edges:
        for end in (edge.start, edge.end):
            if LABELS[end.label].key[0] != "memorySpaceId" or end == found.owner:
                continue  # users and agents are the whole store's
            of = bare[end].parts[0] if end in bare else found.needs[end]["memorySpaceId"]
            # A grant names the space that it opens the context to, and a parent may have been opened by another.
            assert of == space or edge.type in ("GRANTS_ACCESS_TO", "CHILD_OF")
    for node in found.nodes:
        assert node.parts[0] == space


@pytest.mark.parametrize("table", TABLES)
@given(data=st.data())
def test_it_fits_the_schema(data: st.DataObject, table: str) -> None:
    found = project(data.draw(items(table)))
    for node in (*found.nodes, *found.ends):
        label = LABELS[node.at.label]
        assert len(node.at.key.encode()) < 3_000
        assert [name for name in label.key if name in node.properties] == [*label.key]
        assert node.properties.keys() <= {*label.key, *label.properties}
        assert all(len(str(node.properties.get(name, "")).encode()) < 1_100 for name in label.indexed)
        assert all(map(_storable, node.properties.values()))
        assert node in found.nodes or (label.bare and node.properties.keys() == {*label.key})
    for edge in found.edges:
        kind = RELATIONSHIPS[edge.type]
        assert (edge.start.label, edge.end.label) in kind.ends
        assert edge.properties.keys() <= {*kind.properties}
        assert all(map(_storable, edge.properties.values()))
    drawn = [(edge.type, edge.start, edge.end) for edge in found.edges]
    assert len({*drawn}) == len(drawn)
    ends = {end for _, *both in drawn for end in both}
    assert {end.at for end in found.ends} | found.needs.keys() == ends - {found.owner}


def _storable(value: object) -> bool:
    """Whether each server stores it as it is: a scalar of 64 bits, or a list of scalars of one kind."""
    if isinstance(value, list):
        return len({type(one) for one in value}) <= 1 and all(map(_storable, value))
    return isinstance(value, str | float) or (isinstance(value, int) and -(2**63) <= value < 2**63)
