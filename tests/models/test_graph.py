"""The models of the graph: what they refuse, beside what tests/test_validation_hostile.py tries."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from cortex_rx.errors import InvalidArgument, UnsupportedOption
from cortex_rx.models.graph import (
    GraphConnectionConfig,
    GraphEdge,
    GraphNode,
    GraphOperation,
    ShortestPathConfig,
    TraversalConfig,
)

GIVEN = {"node": GraphNode("Memory"), "edge": GraphEdge("LIKES", "1", "2"), "id": "1", "properties": {"k": 1}}
TAKES = {
    "CREATE_NODE": {"node"},
    "UPDATE_NODE": {"id", "properties"},
    "DELETE_NODE": {"id"},
    "CREATE_EDGE": {"edge"},
    "DELETE_EDGE": {"id"},
}


@pytest.mark.parametrize("kind", TAKES)
def test_an_operation_takes_what_its_type_needs_and_nothing_else(kind: Any) -> None:
    for number in range(len(GIVEN) + 1):
        for names in itertools.combinations(GIVEN, number):
            values: dict[str, Any] = {name: GIVEN[name] for name in names}
            if set(names) == TAKES[kind]:
                made = GraphOperation(kind, **values)
                assert {name: made[name] for name in GIVEN} == {**dict.fromkeys(GIVEN), **values}
            else:
                with pytest.raises(
                    InvalidArgument, match=f"{kind} takes {' and '.join(sorted(TAKES[kind]))}$"
                ) as wrong:
                    GraphOperation(kind, **values)
                assert wrong.value.field in TAKES[kind] ^ set(names)


@pytest.mark.parametrize(
    "uri", ["bolt://localhost", "bolt+s://h:1", "bolt+ssc://[::1]:7687", "neo4j://h", "neo4j+s://h"]
)
def test_a_uri_of_a_bolt_server_is_accepted(uri: str) -> None:
    assert GraphConnectionConfig(uri).uri == uri


@pytest.mark.parametrize(
    "uri",
    ["localhost", "localhost:7687", "bolt://", "bolt:///", "http://h", "bolt://h:port", "bolt://u@h", "BOLT+X://h"],
)
def test_another_uri_is_refused(uri: str) -> None:
    with pytest.raises(
        InvalidArgument, match=r"^uri: got 'another text'; accepted: a URI such as bolt://localhost:7687"
    ):
        GraphConnectionConfig(uri)


def test_the_password_is_not_shown() -> None:
    config = GraphConnectionConfig("bolt://localhost", "neo4j", "a secret")
    assert config.password == "a secret"
    assert "secret" not in f"{config!r} {config}"


def test_a_condition_in_cypher_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedOption, match=r"^filter: .* a condition in Cypher stands in a `query`$"):
        TraversalConfig("1", filter="node.k = 1")
    assert TraversalConfig("1", filter=None, filterParams=None) == TraversalConfig("1")
    assert ShortestPathConfig("1", "2", relationshipTypes=["LIKES"]).relationship_types == ("LIKES",)
