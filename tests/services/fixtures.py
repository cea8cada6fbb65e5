"""The fixtures of the graph servers. tests/conftest.py imports them.

`arcadedb`, `neo4j_server` and `memgraph` give a `Server` with an empty database that only this test has. `server` is
each of them in turn, and `graph` is an adapter that is connected to it. A test with Neo4j is `slow`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import pytest
from helpers.lanes import slow
from services.run import Unavailable, required, this_run
from services.server import Server

if TYPE_CHECKING:
    from cortex_rx.graph.cypher import CypherGraphAdapter

__all__ = ["NEO4J", "arcadedb", "arcadedb_installed", "graph", "memgraph", "neo4j_server", "server"]

NEO4J = "Neo4j takes half a minute to start"


def _database(request: pytest.FixtureRequest, name: str) -> Iterator[Server]:
    try:
        opened = import_module(f"services.{name}").database(this_run(request.config))
        found = opened.__enter__()
    except Unavailable as error:
        do_without(name, error)
    try:
        yield found
    finally:
        opened.__exit__(None, None, None)


def do_without(name: str, error: Unavailable) -> NoReturn:
    """Skip a test for want of a server, or fail it if CORTEX_REQUIRE names that."""
    if name in required():
        pytest.fail(f"CORTEX_REQUIRE has {name}: {error}", pytrace=False)
    pytest.skip(f"{name}: {error}")


@pytest.fixture
def arcadedb_installed() -> None:
    """For a test that starts an ArcadeDB of its own."""
    try:
        import_module("services.arcadedb").need()
    except Unavailable as error:
        do_without("arcadedb", error)


@pytest.fixture
def arcadedb(request: pytest.FixtureRequest) -> Iterator[Server]:
    """ArcadeDB, with a new database."""
    yield from _database(request, "arcadedb")


@pytest.fixture
def neo4j_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Neo4j, with its one database emptied. The test must be marked `slow`."""
    assert request.node.get_closest_marker("slow"), f"a test with Neo4j is slow(reason={NEO4J!r})"
    yield from _database(request, "neo4j")


@pytest.fixture
def memgraph(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The Memgraph of MEMGRAPH_URI, with its database emptied."""
    yield from _database(request, "memgraph")


SERVERS = ["arcadedb", slow("neo4j_server", NEO4J, id="neo4j")]
if "MEMGRAPH_URI" in os.environ:
    SERVERS.append("memgraph")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    """Each graph server; Memgraph where there is one."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def graph(server: Server) -> AsyncIterator[CypherGraphAdapter]:
    """An adapter on the empty database of each graph server."""
    from cortex_rx.graph.cypher import CypherGraphAdapter
    from cortex_rx.models.graph import GraphConnectionConfig

    adapter = CypherGraphAdapter(GraphConnectionConfig(server.uri, *server.auth, database=server.database))
    await adapter.connect()
    yield adapter
    await adapter.disconnect()
