"""The servers of a run: one for all workers. Each test has an empty database that no other test has meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import neo4j
import pytest
from services import memgraph
from services.arcadedb import OwnArcadeDB
from services.fixtures import do_without
from services.neo4j import OwnNeo4j
from services.run import Run, Unavailable, required
from services.server import Server, kill

from cortex_rx.graph._program import Program


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


@pytest.mark.slow(reason="a server of its own, started twice")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["arcadedb", "neo4j"])
def test_a_server_that_was_killed_starts_again_on_its_port_with_what_was_written(tmp_path: Path, kind: str) -> None:
    start = {"arcadedb": OwnArcadeDB, "neo4j": OwnNeo4j}[kind]
    try:
        own = start(tmp_path)
    except Unavailable as error:
        do_without(kind, error)
    with closing_program(own.program):
        own.server.ask("CREATE (:Left {key: 1})")
        kill(own.program)
        with pytest.raises(neo4j.exceptions.ServiceUnavailable):
            own.server.ask("RETURN 1")
    again = start(tmp_path, port=own.port)
    with closing_program(again.program):
        assert again.server == own.server
        assert again.server.ask("MATCH (n:Left) RETURN n.key AS key") == [{"key": 1}]


@contextmanager
def closing_program(program: Program) -> Iterator[None]:
    try:
        yield
    finally:
        program.stop()


def test_a_server_that_is_required_is_not_skipped(monkeypatch) -> None:
    monkeypatch.setenv("CORTEX_REQUIRE", " neo4j,")
    assert required() == {"neo4j"}
    with pytest.raises(pytest.skip.Exception, match="arcadedb: none here"):
        do_without("arcadedb", Unavailable("none here"))
    with pytest.raises(pytest.fail.Exception, match="CORTEX_REQUIRE has neo4j: none here"):
        do_without("neo4j", Unavailable("none here"))


def test_a_required_server_that_nobody_knows_is_an_error(monkeypatch) -> None:
    monkeypatch.setenv("CORTEX_REQUIRE", "arcadedb,neo5j")
    with pytest.raises(pytest.UsageError, match="CORTEX_REQUIRE: neo5j; known: arcadedb, neo4j, memgraph"):
        required()


def test_memgraph_is_left_alone_where_it_has_something_in_it(tmp_path: Path, monkeypatch, arcadedb: Server) -> None:
    """Another server plays Memgraph: it is only asked what it has."""
    arcadedb.ask("CREATE (:Kept)")
    monkeypatch.setattr(memgraph, "Server", lambda kind, uri, auth, database: arcadedb)
    monkeypatch.setenv("MEMGRAPH_URI", arcadedb.uri)
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(tmp_path))
    run = Run.begin()
    try:
        for _ in range(2):
            with pytest.raises(Unavailable, match="is not empty"), memgraph.database(run):
                pass
    finally:
        run.end()
    assert arcadedb.ask("MATCH (n) RETURN labels(n) AS labels") == [{"labels": ["Kept"]}]
