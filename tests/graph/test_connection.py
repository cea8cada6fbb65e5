"""A server that is away, refuses, is silent or is something else: typed errors that say what to do, and no secret."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from neo4j import exceptions as theirs
from services.fixtures import NEO4J
from services.server import Server

from cortex_rx import is_transient
from cortex_rx.errors import (
    GraphBusy,
    GraphConnectionError,
    GraphError,
    GraphQueryError,
    GraphRefused,
    GraphTimeout,
    InvalidArgument,
)
from cortex_rx.graph import dialects
from cortex_rx.graph._bolt import Transaction
from cortex_rx.graph.cypher import CypherGraphAdapter
from cortex_rx.models.graph import GraphConnectionConfig, GraphNode

SECRET = "not-to-be-shown"


def config(server: Server, **other: Any) -> GraphConnectionConfig:
    username, password = server.auth
    given = {"uri": server.uri, "username": username, "password": password, "database": server.database}
    return GraphConnectionConfig(**{**given, **other})


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """The port of a server that serves its connections so, one after the other."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            with suppress(OSError):
                await serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await listener.wait_closed()


class Relay:
    """Stands between an adapter and a server. When the client sends `marker`, the server does not get it: the
    connection is silent from then on, or cut. A relay that is `down` takes no new connection."""

    COMMIT = b"\x00\x02\xb0\x12\x00\x00"
    RUN = b"\xb3\x10"

    def __init__(self, port: int) -> None:
        self._port = port
        self.marker: bytes | None = None
        self.cuts = self.down = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            return
        back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(self._up(reader, forth), self._through(back, writer))
        finally:
            forth.close()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.down or (self.marker is not None and self.marker in data):
                if self.cuts or self.down:
                    raise ConnectionResetError
                await asyncio.Event().wait()  # until the test ends
            writer.write(data)
        raise ConnectionResetError

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)


@asynccontextmanager
async def relayed(server: Server, **other: Any) -> AsyncIterator[tuple[CypherGraphAdapter, Relay]]:
    relay = Relay(int(server.uri.rpartition(":")[2]))
    async with (
        listening(relay) as port,
        CypherGraphAdapter(config(server, uri=f"bolt://127.0.0.1:{port}", retry_time=0, **other)) as adapter,
    ):
        yield adapter, relay


# --- connecting -------------------------------------------------------------------------------------------------------


async def test_a_wrong_password_is_refused_and_not_shown(arcadedb: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    chosen = config(arcadedb, password=SECRET)
    adapter = CypherGraphAdapter(chosen)
    with pytest.raises(GraphRefused, match="refuses the client .*: look at username, password and rights") as refused:
        await adapter.connect()
    assert not is_transient(refused.value)
    shown = [repr(adapter), repr(chosen), str(chosen), caplog.text, *traceback.format_exception(refused.value)]
    assert caplog.records  # the driver says much at that level
    assert SECRET not in "".join(shown)
    with pytest.raises(GraphRefused):
        await CypherGraphAdapter(config(arcadedb, username="", password="")).connect()
    for uri in (
        f"bolt://root:{SECRET}@localhost",
        f"bolt://{SECRET}@localhost",
        f"http://{SECRET}",
        f"bolt://[{SECRET}",
    ):
        with pytest.raises(InvalidArgument, match="without a user or a password in it") as wrong:
            GraphConnectionConfig(uri)
        assert SECRET not in str(wrong.value)
    await adapter.connect(config(arcadedb))  # the right one
    assert await adapter.is_connected()
    await adapter.disconnect()


async def test_an_unknown_database_is_named(server: Server) -> None:
    with pytest.raises(GraphRefused, match="^the server has no database 'elsewhere': name another, or create it$"):
        await CypherGraphAdapter(config(server, database="elsewhere")).connect()


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


async def _noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\xff" * 400)
    await writer.drain()
    await reader.read()


async def _web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("scheme", ["bolt", "bolt+ssc"])
@pytest.mark.parametrize("serve", [_silent, _closing, _noise, _web])
async def test_what_is_no_graph_server_is_said_to_be_none(serve: Any, scheme: str) -> None:
    async with listening(serve) as port:
        adapter = CypherGraphAdapter(GraphConnectionConfig(f"{scheme}://127.0.0.1:{port}", connection_timeout=100))
        with pytest.raises(GraphConnectionError, match=f"127.0.0.1:{port}: is a graph server there?") as away:
            await adapter.connect()
        assert is_transient(away.value)
        with pytest.raises(GraphConnectionError, match=r"call connect\(\) first"):
            await adapter.count_nodes()
        assert not await adapter.is_connected()


async def test_nobody_is_there() -> None:
    async with listening(_closing) as port:
        pass
    with pytest.raises(GraphConnectionError, match=f"^no answer from 127.0.0.1:{port}: is a graph server there?"):
        await CypherGraphAdapter(GraphConnectionConfig(f"bolt://127.0.0.1:{port}")).connect()
    with pytest.raises(InvalidArgument, match=r"^config: got None"):
        await CypherGraphAdapter().connect()


# --- while it is connected --------------------------------------------------------------------------------------------


async def test_a_server_that_was_away_is_used_again(arcadedb: Server) -> None:
    async with relayed(arcadedb) as (adapter, relay):
        await adapter.create_node(GraphNode("Memory", {"k": 1}))
        relay.down = True
        with pytest.raises(GraphConnectionError, match="^no answer from") as away:
            await adapter.create_node(GraphNode("Memory", {"k": 2}))
        assert is_transient(away.value)
        assert "not known" not in str(away.value)  # it was not committed
        assert not await adapter.is_connected()
        relay.down = False
        await adapter.create_node(GraphNode("Memory", {"k": 3}))
    rows = arcadedb.ask("MATCH (n:Memory) RETURN n.k AS k ORDER BY k")
    assert rows == [{"k": 1}, {"k": 3}]


@pytest.mark.parametrize("cuts", [True, False], ids=["cut", "silent"])
@pytest.mark.parametrize("place", ["RUN", "COMMIT"])
async def test_whether_a_write_took_place_is_said(arcadedb: Server, cuts: bool, place: str) -> None:
    async with relayed(arcadedb, query_timeout=60_000 if cuts else 400) as (adapter, relay):
        relay.marker, relay.cuts = getattr(Relay, place), cuts
        with pytest.raises(GraphConnectionError if cuts else GraphTimeout) as failed:
            await adapter.create_node(GraphNode("Memory", {"k": 1}))
        assert is_transient(failed.value)
        assert ("whether the write took place is not known" in str(failed.value)) == (place == "COMMIT")
        if not cuts:
            assert "query_timeout, 0.4 s" in str(failed.value)
        relay.marker = None
    assert arcadedb.ask("MATCH (n:Memory) RETURN n.k AS k") == []


async def test_a_cancelled_operation_leaves_the_adapter_as_it_was(arcadedb: Server) -> None:
    async with relayed(arcadedb) as (adapter, relay):
        relay.marker = Relay.COMMIT
        task = asyncio.create_task(adapter.create_node(GraphNode("Memory", {"k": 1})))
        await asyncio.wait([task], timeout=0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        relay.marker = None
        assert await adapter.count_nodes() == 0
        await adapter.create_node(GraphNode("Memory", {"k": 2}))
        assert await adapter.count_nodes() == 1


async def test_what_an_adapter_has_written_it_reads(arcadedb: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Its sessions share their bookmarks: in a cluster, the next server that is asked waits for the last write."""
    caplog.set_level(logging.DEBUG, "neo4j")
    async with CypherGraphAdapter(config(arcadedb)) as adapter:
        await adapter.create_node(GraphNode("Memory"))
        caplog.clear()
        await adapter.count_nodes()
    (begun,) = [text for text in caplog.messages if "C: BEGIN" in text]
    assert "'bookmarks': [" in begun
    assert "'mode': 'r'" in begun


async def test_a_reading_query_goes_to_a_reader(arcadedb: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "neo4j")
    async with CypherGraphAdapter(config(arcadedb)) as adapter:
        for read in (True, False):
            caplog.clear()
            await adapter.query("RETURN 1 AS one", read=read)
            (begun,) = [text for text in caplog.messages if "C: BEGIN" in text]
            assert ("'mode': 'r'" in begun) == read


@pytest.mark.slow(reason=NEO4J)
async def test_neo4j_refuses_a_write_of_a_reading_query(neo4j_server: Server) -> None:
    async with CypherGraphAdapter(config(neo4j_server)) as adapter:
        with pytest.raises(GraphQueryError, match="AccessMode"):
            await adapter.query("CREATE (n:Memory)", read=True)
        assert await adapter.count_nodes() == 0


@pytest.mark.slow(reason=NEO4J)
async def test_neo4j_logs_no_notifications(neo4j_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with CypherGraphAdapter(config(neo4j_server), dialect=dialects.NEO4J_INTEGER_IDS) as adapter:
        await adapter.find_nodes("NobodyHasIt", {"nor_this": 1})  # two notifications, and one of id()
        await adapter.get_node("1")
    assert caplog.messages == []


# --- what the driver raises -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("Neo.TransientError.Transaction.DeadlockDetected", GraphBusy, "could not do it now"),
        ("Neo.TransientError.General.MemoryPoolOutOfMemoryError", GraphBusy, "could not do it now"),
        ("Neo.TransientError.General.DatabaseUnavailable", GraphConnectionError, "cannot take it now"),
        ("Neo.ClientError.Cluster.NotALeader", GraphConnectionError, "cannot take it now"),
        ("Neo.ClientError.Transaction.TransactionTimedOut", GraphTimeout, "longer query_timeout"),
        ("Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration", GraphTimeout, "longer query_timeout"),
        ("Neo.ClientError.Statement.SyntaxError", GraphQueryError, "refused the query"),
        ("Neo.ClientError.Schema.ConstraintValidationFailed", GraphQueryError, "refused the query"),
        ("Neo.DatabaseError.General.UnknownError", GraphQueryError, "refused the query"),
        ("Neo.ClientError.Security.Forbidden", GraphRefused, "look at username, password and rights"),
        ("Neo.ClientError.Security.CredentialsExpired", GraphRefused, "look at username, password and rights"),
        ("Neo.ClientError.Security.AuthorizationExpired", GraphRefused, "look at username, password and rights"),
        ("Neo.ClientError.Database.DatabaseNotFound", GraphRefused, "no database"),
    ],
)
async def test_an_error_of_the_server_is_one_of_ours(arcadedb: Server, code: str, kind: Any, said: str) -> None:
    async def fails(tx: Transaction) -> None:
        raise theirs.Neo4jError._basic_hydrate(neo4j_code=code, message=SECRET)

    async with CypherGraphAdapter(config(arcadedb, retry_time=0), dialect=dialects.NEO4J) as adapter:
        with pytest.raises(GraphError) as failed:
            await adapter._run(fails)
    assert type(failed.value) is kind
    assert said in str(failed.value)
    assert SECRET not in str(failed.value)
    assert isinstance(failed.value.__cause__, theirs.Neo4jError)
    if isinstance(failed.value, GraphQueryError):
        assert failed.value.server_code == failed.value.__cause__.code


@pytest.mark.parametrize(("dialect", "attempts"), [(dialects.ARCADEDB, 2), (dialects.NEO4J, 1)])
async def test_a_constraint_error_is_tried_again_once_where_a_merge_may_raise_one(
    arcadedb: Server, dialect: dialects.Dialect, attempts: int
) -> None:
    tried: list[str] = []

    async def collides(tx: Transaction) -> None:
        tried.append("once")
        code = "Neo.ClientError.Schema.ConstraintValidationFailed"
        raise theirs.Neo4jError._basic_hydrate(neo4j_code=code, message="")

    async with CypherGraphAdapter(config(arcadedb), dialect=dialect) as adapter:
        with pytest.raises(GraphQueryError, match="ConstraintValidationFailed"):
            await adapter._run(collides)
        assert len(tried) == attempts


async def test_a_value_that_is_there_already_is_not_shown(server: Server) -> None:
    rule = "ON (n:Memory) ASSERT n.k IS UNIQUE" if server.kind == "memgraph" else "FOR (n:Memory) REQUIRE n.k IS UNIQUE"
    server.ask(f"CREATE CONSTRAINT {rule}")
    async with CypherGraphAdapter(config(server)) as adapter:
        await adapter.create_node(GraphNode("Memory", {"k": SECRET}))
        with pytest.raises(GraphQueryError, match="left nothing behind") as refused:
            await adapter.create_node(GraphNode("Memory", {"k": SECRET}))
        assert SECRET not in str(refused.value)
        assert await adapter.count_nodes() == 1
