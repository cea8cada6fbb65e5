"""Transactions on a graph server, by the official driver: its connections, its records and its errors in our terms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, cast

import neo4j
from neo4j import exceptions as theirs
from neo4j.graph import Node, Path, Relationship

from cortex_rx.errors import (
    CortexError,
    GraphBusy,
    GraphConnectionError,
    GraphError,
    GraphNotFound,
    GraphQueryError,
    GraphRefused,
    GraphTimeout,
    InvalidArgument,
)
from cortex_rx.graph.dialects import Dialect
from cortex_rx.models.graph import GraphConnectionConfig, GraphEdge, GraphNode, GraphPath, GraphQueryResult

__all__ = ["Link", "Transaction", "Work", "missing_node"]

T = TypeVar("T")
Work = Callable[["Transaction"], Awaitable[T]]
"""What happens in one transaction. It may be called again, so it changes nothing but the graph."""


def missing_node(field: str) -> GraphNotFound:
    """The error for an id that no node has."""
    return GraphNotFound(f"{field}: the graph has no node with this id")


class Transaction:
    """What an operation does in its transaction: queries, in the dialect of the server."""

    def __init__(self, tx: neo4j.AsyncManagedTransaction | neo4j.AsyncSession, dialect: Dialect) -> None:
        self._tx = tx
        self._dialect = dialect
        self.id = dialect.id_of
        self.parameter = dialect.as_parameter
        self.shortest_path = dialect.shortest_path

    async def rows(self, query: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The records of a query."""
        return [self._plain(dict(record)) async for record in await self._sent(query, values)]

    async def query(self, query: str, values: Mapping[str, Any]) -> GraphQueryResult:
        """The records of a query, and what it changed."""
        result = await self._sent(query, values)
        records = [self._plain(dict(record)) async for record in result]
        counters = (await result.consume()).counters
        stats = {name: number for name in _COUNTERS if (number := getattr(counters, name))}
        return GraphQueryResult(records=records, count=len(records), stats=stats)

    async def id_of(self, query: str, values: Mapping[str, Any]) -> str:
        """The id that a query returns."""
        return str((await self.rows(query, values))[0]["id"])

    async def node(self, field: str, node_id: str) -> str:
        """The id of a node as the server gives it. Raises `GraphNotFound`."""
        query = f"MATCH (n) WHERE {self.id('n')} = $id RETURN {self.id('n')} AS id"
        found = await self.rows(query, {"id": self.parameter(node_id)})
        if not found:
            raise missing_node(field)
        return str(found[0]["id"])

    async def _sent(self, query: str, values: Mapping[str, Any] | None) -> neo4j.AsyncResult:
        text: Any = query  # the driver wants literals only; here a name in it is an identifier
        try:
            return await self._tx.run(text, dict(values or {}))
        except (TypeError, ValueError, OverflowError) as error:  # of the packer; a surrogate is a ValueError
            raise InvalidArgument("params", type(error).__name__, "values that Bolt carries") from error

    def _plain(self, value: Any) -> Any:
        """What the driver has read, with records of ours for nodes, edges and paths, and times as ISO 8601."""
        if isinstance(value, str | int | float | bytes) or value is None:
            return value
        if isinstance(value, dict):
            return {key: self._plain(item) for key, item in cast("dict[str, Any]", value).items()}
        if type(value) is list:
            return [self._plain(item) for item in value]
        if isinstance(value, Node):
            return self._node(value)
        if isinstance(value, Relationship):
            return self._edge(value)
        if isinstance(value, Path):
            edges = tuple(map(self._edge, value.relationships))
            return GraphPath(nodes=tuple(map(self._node, value.nodes)), relationships=edges, length=len(edges))
        return value.iso_format() if hasattr(value, "iso_format") else value

    def _node(self, node: Node) -> GraphNode:
        # Ours have one label. Of another's node it is the first in the alphabet; one without is of none.
        label = min(node.labels, default=_NO_LABEL)
        return GraphNode(label=label, properties=self._plain(dict(node)), id=self._dialect.as_text(node.element_id))

    def _edge(self, edge: Relationship) -> GraphEdge:
        ends = [self._dialect.as_text(end.element_id) for end in edge.nodes if end is not None]
        return GraphEdge(
            type=edge.type,
            from_node=ends[0],
            to_node=ends[1],
            properties=self._plain(dict(edge)),
            id=self._dialect.as_text(edge.element_id),
        )


_NO_LABEL = "(none)"
_COUNTERS = (
    *("nodes_created", "nodes_deleted", "relationships_created", "relationships_deleted", "properties_set"),
    *("labels_added", "labels_removed", "indexes_added", "indexes_removed", "constraints_added", "constraints_removed"),
)


class Link:
    """The driver's connections to one server."""

    dialect: Dialect

    def __init__(self, config: GraphConnectionConfig) -> None:
        self._config = config
        self._bookmarks = neo4j.AsyncGraphDatabase.bookmark_manager()
        patience = config.connection_timeout / 1000
        try:
            self._driver = neo4j.AsyncGraphDatabase.driver(
                config.uri,
                auth=(config.username, config.password) if config.username else None,
                max_connection_pool_size=config.max_connection_pool_size,
                connection_timeout=patience,
                connection_acquisition_timeout=patience,
                max_transaction_retry_time=config.retry_time / 1000,
            )
        except Exception as error:
            raise self._translated(error, wrote=False) from error

    async def close(self) -> None:
        """Close all connections."""
        with suppress(theirs.DriverError, theirs.Neo4jError, OSError):  # then they are closed, only not politely
            await self._driver.close()

    async def agent(self) -> str:
        """The name that the server gives itself."""
        try:
            async with asyncio.timeout(self._config.connection_timeout / 1000):
                return (await self._driver.get_server_info()).agent
        except TimeoutError as error:
            raise GraphConnectionError(f"no answer from {self._place()}: is a graph server there?") from error
        except Exception as error:
            raise self._translated(error, wrote=False) from error

    async def run(self, work: Work[T], *, read: bool, alone: bool = False) -> T:
        """Do it in one managed transaction. `alone`: in none, as one statement that the server commits by itself."""
        seconds = self._config.query_timeout / 1000
        committing = False

        @neo4j.unit_of_work(timeout=seconds)
        async def timed(tx: neo4j.AsyncManagedTransaction | neo4j.AsyncSession) -> T:
            nonlocal committing
            committing = False
            done = await work(Transaction(tx, self.dialect))
            committing = True
            return done

        try:
            async with asyncio.timeout(seconds):
                return await self._managed(timed, read, alone)
        except TimeoutError as error:
            wrote = committing and not read
            raise GraphTimeout(f"it took longer than query_timeout, {seconds:g} s{_unknown(wrote)}") from error
        except CortexError:
            raise
        except Exception as error:
            raise self._translated(error, wrote=committing and not read) from error

    async def _managed(
        self,
        timed: Callable[[neo4j.AsyncManagedTransaction | neo4j.AsyncSession], Awaitable[T]],
        read: bool,
        alone: bool,
    ) -> T:
        quiet: dict[str, Any] = {"notifications_min_severity": "OFF"} if self.dialect.filters_notifications else {}
        again = self.dialect.repeats_constraint_errors and not read
        while True:
            access = neo4j.READ_ACCESS if read else neo4j.WRITE_ACCESS
            async with self._driver.session(
                database=self._config.database,
                bookmark_manager=self._bookmarks,
                default_access_mode=access,
                **quiet,
            ) as session:
                execute = session.execute_read if read else session.execute_write
                try:
                    return await (timed(session) if alone else execute(timed))
                except theirs.ConstraintError:
                    if not again:
                        raise
                    again = False

    def _place(self) -> str:
        return self._config.uri.partition("://")[2]

    def _translated(self, error: Exception, *, wrote: bool) -> GraphError:
        """Our error for one of the driver. What the server said may hold a user's text, so only the cause has it."""
        code = getattr(error, "code", None) or ""
        if "DatabaseNotFound" in code:
            return GraphRefused(f"the server has no database {self._config.database!r}: name another, or create it")
        if isinstance(error, theirs.AuthError) or ".Security." in code:
            return GraphRefused(f"{self._place()} refuses the client ({code}): look at username, password and rights")
        if isinstance(error, theirs.ConfigurationError | theirs.UnsupportedServerProduct):
            return GraphRefused(f"{self._place()} cannot be used ({type(error).__name__}): look at the uri")
        if "TimedOut" in code or "Terminated" in code:
            return GraphTimeout(f"the server ended the transaction ({code}): give it a longer query_timeout", code)
        if isinstance(error, theirs.Neo4jError):
            if isinstance(error, theirs.DatabaseUnavailable | theirs.NotALeader | theirs.ForbiddenOnReadOnlyDatabase):
                return GraphConnectionError(f"{self._place()} cannot take it now ({code}): try again later")
            if isinstance(error, theirs.TransientError):
                return GraphBusy(f"the server could not do it now ({code}): try again later", code)
            return GraphQueryError(f"the server refused the query ({code}); it left nothing behind", code)
        known = isinstance(error, theirs.DriverError | OSError)
        what = "no answer from" if known else f"{type(error).__name__} when asking"
        return GraphConnectionError(f"{what} {self._place()}: is a graph server there?{_unknown(wrote)}")


def _unknown(wrote: bool) -> str:
    return "; whether the write took place is not known" if wrote else ""
