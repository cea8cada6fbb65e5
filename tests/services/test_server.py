"""The servers of a run: one for all workers. Each test has an empty database that no other test has meanwhile."""

from __future__ import annotations

import pytest
from services.server import Server


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_has_an_empty_database(server: Server, time: str) -> None:
    assert server.ask("MATCH (n) RETURN count(n) AS n") == [{"n": 0}]
    server.ask("CREATE (:Left {time: $time})-[:OVER]->(:Right)", time=time)
    assert server.ask("MATCH (n:Left) RETURN n.time AS time") == [{"time": time}]


def test_a_database_can_be_emptied_within_a_test(server: Server) -> None:
    if server.kind == "memgraph":
        server.ask("CREATE CONSTRAINT ON (n:Left) ASSERT n.key IS UNIQUE")
    else:
        server.ask("CREATE CONSTRAINT once FOR (n:Left) REQUIRE n.key IS UNIQUE")
        server.ask("CREATE INDEX found FOR (n:Left) ON (n.time)")
    server.ask("CREATE (:Left {key: 1})-[:OVER]->(:Right)")
    server.empty()
    assert server.ask("MATCH (n) RETURN count(n) AS n") == [{"n": 0}]
    server.ask("UNWIND [1, 2] AS time CREATE (:Left {key: 1, time: time})")  # no constraint is left
    if server.kind != "memgraph":
        assert server.ask("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name") == []


def test_a_server_shows_no_password(server: Server) -> None:
    assert not server.auth[1] or server.auth[1] not in repr(server)
