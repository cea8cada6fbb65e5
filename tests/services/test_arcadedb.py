"""The server of the run: one for all workers, a database for each test."""

from __future__ import annotations

import pytest
from services.server import Server


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_has_an_empty_database(arcadedb: Server, time: str) -> None:
    assert arcadedb.ask("MATCH (n) RETURN count(n) AS n") == [{"n": 0}]
    arcadedb.ask("CREATE (:Left {time: $time})-[:OVER]->(:Right)", time=time)
    assert arcadedb.ask("MATCH (n:Left) RETURN n.time AS time") == [{"time": time}]


def test_a_database_can_be_emptied_within_a_test(arcadedb: Server) -> None:
    arcadedb.ask("CREATE CONSTRAINT once IF NOT EXISTS FOR (n:Left) REQUIRE n.key IS UNIQUE")
    arcadedb.ask("CREATE INDEX found IF NOT EXISTS FOR (n:Left) ON (n.time)")
    arcadedb.ask("CREATE (:Left {key: 1})-[:OVER]->(:Right)")
    arcadedb.empty()
    assert arcadedb.ask("MATCH (n) RETURN count(n) AS n") == [{"n": 0}]
    assert arcadedb.ask("SHOW CONSTRAINTS YIELD name") == []
    assert arcadedb.ask("SHOW INDEXES YIELD name") == []


def test_a_server_shows_no_password(arcadedb: Server) -> None:
    assert arcadedb.auth[1] not in repr(arcadedb)
