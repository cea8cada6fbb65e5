"""`CypherGraphAdapter`: Neo4j, Memgraph and ArcadeDB over Bolt, by the official driver.

Every value is a parameter. A label, a type or a key stands in the query, so it must be an identifier. Each operation
is one managed transaction: the driver routes it in a cluster, and tries it again after a transient failure. All
sessions of an adapter share their bookmarks, so what it has written it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar, cast

from cortex_rx import validation as check
from cortex_rx.errors import GraphConnectionError, GraphError, GraphQueryError, InvalidArgument
from cortex_rx.graph._bolt import Link, Transaction, Work, missing_node
from cortex_rx.graph.adapter import Statement
from cortex_rx.graph.dialects import Dialect, dialect_of
from cortex_rx.graph.identifiers import identifier
from cortex_rx.graph.values import parameters, properties
from cortex_rx.models.base import parse
from cortex_rx.models.graph import (
    Direction,
    GraphConnectionConfig,
    GraphEdge,
    GraphNode,
    GraphOperation,
    GraphPath,
    GraphQueryResult,
    ShortestPathConfig,
    TraversalConfig,
)

__all__ = ["CypherGraphAdapter"]

T = TypeVar("T")
_CLEARED = 5_000  # nodes of one transaction, with their edges
_ARROWS: Mapping[Direction, tuple[str, str]] = {"OUTGOING": ("-", "->"), "INCOMING": ("<-", "-"), "BOTH": ("-", "-")}
_limit = check.whole(1, 100_000)


class CypherGraphAdapter:
    """A graph server that speaks Bolt and Cypher. It implements `GraphAdapter`.

    `config` may be given to `connect`, too. The kind of server is read from the name that it gives itself; `dialect` is
    for a server that does not.

    >>> import asyncio
    >>> adapter = CypherGraphAdapter(GraphConnectionConfig("bolt://localhost:7687", "neo4j", "secret"))
    >>> adapter
    CypherGraphAdapter('bolt://localhost:7687', not connected)

    What cannot be a label, a type or a key is refused before anything is sent:

    >>> asyncio.run(adapter.create_node(GraphNode("X\\\\u0060) DETACH DELETE (n")))
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: label: got 'another text'; accepted: 1 to 64 of A-Z, a-z, 0-9 and _, without a
    digit in front
    """

    def __init__(
        self, config: GraphConnectionConfig | Mapping[str, Any] | None = None, *, dialect: Dialect | None = None
    ) -> None:
        self._config = None if config is None else parse(GraphConnectionConfig, config)
        self._given: Dialect | None = check.optional(check.instance(Dialect, "a Dialect"))("dialect", dialect)
        self._link: Link | None = None

    def __repr__(self) -> str:
        uri = None if self._config is None else self._config.uri
        return f"CypherGraphAdapter({uri!r}, {'not connected' if self._link is None else self._link.dialect.name})"

    @property
    def dialect(self) -> Dialect:
        """The kind of server. Raises `GraphConnectionError` before `connect`."""
        return self._connected().dialect

    # --- the connection -----------------------------------------------------------------------------------------------

    async def connect(self, config: GraphConnectionConfig | Mapping[str, Any] | None = None) -> None:
        """Connect to a server, and learn which kind it is. Nothing is written.

        Raises `GraphConnectionError`, and `GraphRefused` for a wrong password, an unknown database or a server of
        another kind. A second call has no effect, but to connect elsewhere disconnect first.
        """
        chosen = self._config if config is None else parse(GraphConnectionConfig, config)
        if chosen is None:
            raise InvalidArgument("config", None, "a GraphConnectionConfig, here or when the adapter is made")
        if self._link is not None:
            if chosen == self._config:
                return
            raise InvalidArgument("config", "another server", "the one that is connected; disconnect first")
        self._config = chosen
        link = Link(chosen)
        try:
            link.dialect = self._given or dialect_of(await link.agent())
            await link.run(_alive, read=True)
        except BaseException:
            await link.close()
            raise
        if self._link is None:
            self._link = link
        else:  # another call was faster
            await link.close()

    async def disconnect(self) -> None:
        """Close all connections. It may be called twice."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *failed: object) -> None:
        await self.disconnect()

    async def is_connected(self) -> bool:
        """Whether the server answers now."""
        try:
            await self._run(_alive, read=True)
        except GraphError:
            return False
        return True

    def _connected(self) -> Link:
        if self._link is None:
            raise GraphConnectionError("the adapter is not connected: call connect() first")
        return self._link

    async def _run(self, work: Work[T], *, read: bool = False) -> T:
        return await self._connected().run(work, read=read)

    # --- nodes --------------------------------------------------------------------------------------------------------

    async def create_node(self, node: GraphNode) -> str:
        """Create a node, and return its id."""
        make = _create_node(node)
        return await self._run(make)

    async def merge_node(self, node: GraphNode, match_properties: Mapping[str, Any]) -> str:
        """Find the node that has the label and `match_properties`, or create it. Set its other properties too. Return
        its id. If several nodes are found, all are set, and the id is that of one of them.
        """
        label, values = _labelled(node), properties("properties", node.properties)
        match, wanted = _wanted("match_properties", match_properties, at_least=1)

        async def work(tx: Transaction) -> str:
            return await tx.id_of(
                f"MERGE (n:{label} {match}) SET n += $properties RETURN {tx.id('n')} AS id",
                {"wanted": wanted, "properties": values},
            )

        return await self._run(work)

    async def get_node(self, node_id: str) -> GraphNode | None:
        """The node with this id, or None."""
        check.name("node_id", node_id)

        async def work(tx: Transaction) -> GraphNode | None:
            found = await tx.rows(f"MATCH (n) WHERE {tx.id('n')} = $id RETURN n", {"id": tx.parameter(node_id)})
            return found[0]["n"] if found else None

        return await self._run(work, read=True)

    async def update_node(self, node_id: str, properties: Mapping[str, Any]) -> None:
        """Set these properties, and remove those that are None. Raises `GraphNotFound`."""
        await self._run(_update_node("node_id", node_id, properties))

    async def delete_node(self, node_id: str, detach: bool = True) -> bool:
        """Delete a node with its edges; without `detach`, one that has edges is refused with `GraphQueryError`. Return
        whether it was there.
        """
        return await self._run(_delete_node("node_id", node_id, check.flag("detach", detach)))

    async def find_nodes(
        self, label: str, properties: Mapping[str, Any] | None = None, limit: int = 100
    ) -> list[GraphNode]:
        """Nodes that have the label and these properties, at most `limit`."""
        named, (match, wanted) = _quoted("label", label), _wanted("properties", properties)
        most = _limit("limit", limit)

        async def work(tx: Transaction) -> list[GraphNode]:
            found = await tx.rows(f"MATCH (n:{named} {match}) RETURN n LIMIT $limit", {"wanted": wanted, "limit": most})
            return [row["n"] for row in found]

        return await self._run(work, read=True)

    async def count_nodes(self, label: str | None = None) -> int:
        """How many nodes there are, of a label or of all."""
        which = "" if label is None else f":{_quoted('label', label)}"
        return await self._count(f"MATCH (n{which}) RETURN count(n) AS count")

    # --- edges --------------------------------------------------------------------------------------------------------

    async def create_edge(self, edge: GraphEdge) -> str:
        """Create an edge, and return its id. Raises `GraphNotFound` if one of its ends is not there."""
        return await self._run(_create_edge(edge))

    async def merge_edge(self, edge: GraphEdge, match_properties: Mapping[str, Any] | None = None) -> str:
        """Find the edge of this type between these ends that has `match_properties`, or create it. Set its other
        properties too. Return its id. Raises `GraphNotFound` if one of its ends is not there.
        """
        return await self._run(_create_edge(edge, match_properties or {}))

    async def delete_edge(self, edge_id: str) -> bool:
        """Delete an edge. Return whether it was there."""
        return await self._run(_delete_edge("edge_id", edge_id))

    async def find_edges(
        self, type: str, properties: Mapping[str, Any] | None = None, limit: int = 100
    ) -> list[GraphEdge]:
        """Edges that have the type and these properties, at most `limit`."""
        named, (match, wanted) = _quoted("type", type), _wanted("properties", properties)
        most = _limit("limit", limit)

        async def work(tx: Transaction) -> list[GraphEdge]:
            found = await tx.rows(
                f"MATCH ()-[r:{named} {match}]->() RETURN r LIMIT $limit", {"wanted": wanted, "limit": most}
            )
            return [row["r"] for row in found]

        return await self._run(work, read=True)

    async def count_edges(self, type: str | None = None) -> int:
        """How many edges there are, of a type or of all."""
        which = "" if type is None else f":{_quoted('type', type)}"
        return await self._count(f"MATCH ()-[r{which}]->() RETURN count(r) AS count")

    async def _count(self, query: str) -> int:
        async def work(tx: Transaction) -> int:
            return cast("int", (await tx.rows(query))[0]["count"])

        return await self._run(work, read=True)

    # --- several ------------------------------------------------------------------------------------------------------

    async def query(
        self, cypher: str, params: Mapping[str, Any] | None = None, *, read: bool = False
    ) -> GraphQueryResult:
        """Run a query. With `read` it may go to a server of the cluster that only reads, and must not write.

        Neo4j and Memgraph then refuse a write; ArcadeDB does not look.
        """
        text, values = check.name("cypher", cypher), parameters(params)

        async def work(tx: Transaction) -> GraphQueryResult:
            return await tx.query(text, values)

        return await self._run(work, read=check.flag("read", read))

    async def write(self, statements: Sequence[Statement]) -> list[list[dict[str, Any]]]:
        """Run statements in one transaction, and return the records of each. If it fails, none took place.

        It may run several times before it succeeds. The values are sent as they are: `values.property_value` makes them
        such that each server stores them.
        """

        async def work(tx: Transaction) -> list[list[dict[str, Any]]]:
            return [await tx.rows(query, values) for query, values in statements]

        return await self._run(work)

    async def batch_write(self, operations: Sequence[GraphOperation]) -> list[str | None]:
        """Run operations in their order, in one transaction. Return the id of what each created, None for the others.

        Raises `GraphNotFound` if an operation needs a node that is not there; then none took place.
        """
        works = [_operation(parse(GraphOperation, one)) for one in check.items("operations", operations, "operations")]

        async def work(tx: Transaction) -> list[str | None]:
            done = [await one(tx) for one in works]
            return [found if isinstance(found, str) else None for found in done]

        return await self._run(work)

    async def alter(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement that changes or shows constraints and indexes, by itself, and return its records."""

        async def work(tx: Transaction) -> list[dict[str, Any]]:
            return await tx.rows(check.name("statement", statement))

        link = self._connected()
        return await link.run(work, read=False, alone=link.dialect.alters_alone)

    async def clear_database(self) -> None:
        """Delete all nodes and edges, in several transactions."""

        async def work(tx: Transaction) -> int:
            found = await tx.rows(
                f"MATCH (n) WITH n LIMIT {_CLEARED} DETACH DELETE n RETURN count(*) AS count"  # a constant
            )
            return cast("int", found[0]["count"])

        while await self._run(work):
            pass

    # --- ways through the graph ---------------------------------------------------------------------------------------

    async def traverse(self, config: TraversalConfig) -> list[GraphNode]:
        """The nodes within `max_depth` edges of a node, without it: each once, the nearest first. Raises
        `GraphNotFound` if there is no such node.
        """
        asked = parse(TraversalConfig, config)
        types, (left, right) = _types(asked.relationship_types), _ARROWS[asked.direction]

        async def work(tx: Transaction) -> list[GraphNode]:
            # Level by level: a pattern of a variable length would visit each path, and there are more of these than
            # nodes. From a list of ids, for ArcadeDB looks these up, but reads all nodes for `IN $ids`.
            start = await tx.node("start_id", asked.start_id)
            found: dict[str, GraphNode] = {}
            level = [start]
            for _ in range(asked.max_depth):
                rows = await tx.rows(
                    f"UNWIND $ids AS one MATCH (n) WHERE {tx.id('n')} = one MATCH (n){left}[{types}]{right}(m) "
                    "RETURN DISTINCT m",
                    {"ids": [tx.parameter(one) for one in level]},
                )
                level = []
                for node in (row["m"] for row in rows):
                    if node.id != start and node.id not in found:
                        found[node.id] = node
                        level.append(node.id)
                if not level:
                    break
            return list(found.values())

        return await self._run(work, read=True)

    async def find_path(self, config: ShortestPathConfig) -> GraphPath | None:
        """A shortest path between two nodes, or None. Raises `GraphNotFound` if one of them is not there."""
        asked = parse(ShortestPathConfig, config)
        types = [_quoted("relationship_types", one) for one in asked.relationship_types]

        async def work(tx: Transaction) -> GraphPath | None:
            start = await tx.node("from_id", asked.from_id)
            end = await tx.node("to_id", asked.to_id)
            if start == end:  # Neo4j refuses to look for that
                node = (await tx.rows(f"MATCH (n) WHERE {tx.id('n')} = $id RETURN n", {"id": tx.parameter(start)}))[0]
                return GraphPath(nodes=(node["n"],), relationships=(), length=0)
            found = await tx.rows(
                f"MATCH (a) WHERE {tx.id('a')} = $source MATCH (b) WHERE {tx.id('b')} = $target "
                f"MATCH p = {tx.shortest_path(types, asked.max_hops)} RETURN p LIMIT 1",
                {"source": tx.parameter(start), "target": tx.parameter(end)},
            )
            return found[0]["p"] if found else None

        return await self._run(work, read=True)


# --- what stands in a query ------------------------------------------------------------------------------------------


def _quoted(field: str, name: object) -> str:
    """A name in quotes: it may be a word of Cypher, but there is no quote in it."""
    return f"`{identifier(field, name)}`"


def _labelled(node: GraphNode) -> str:
    if not isinstance(cast("object", node), GraphNode):
        raise InvalidArgument("node", check.shown(node), "a GraphNode")
    return _quoted("label", node.label)


def _types(types: Sequence[str]) -> str:
    return f":{'|'.join(_quoted('relationship_types', one) for one in types)}" if types else ""


def _wanted(field: str, values: Mapping[str, Any] | None, at_least: int = 0) -> tuple[str, dict[str, Any]]:
    """The pattern of these properties, and their values, which are parameters in `$wanted`."""
    if values is not None and not isinstance(cast("object", values), Mapping):
        raise InvalidArgument(field, check.shown(values), "a mapping of names to values")
    wanted = properties(field, values or {})
    for key, value in wanted.items():
        if value is None:
            raise InvalidArgument(f"{field}.{key}", None, "a value: nothing is equal to None")
    if len(wanted) < at_least:
        raise InvalidArgument(field, "no property", "one property or more, that says which")
    return f"{{{', '.join(f'`{key}`: $wanted.`{key}`' for key in wanted)}}}" if wanted else "", wanted


def _create_node(node: GraphNode) -> Work[str]:
    label, values = _labelled(node), properties("properties", node.properties)

    async def work(tx: Transaction) -> str:
        query = f"CREATE (n:{label}) SET n = $properties RETURN {tx.id('n')} AS id"
        return await tx.id_of(query, {"properties": values})

    return work


def _update_node(field: str, node_id: str, given: Mapping[str, Any]) -> Work[None]:
    check.name(field, node_id)
    check.instance(Mapping, "a mapping of names to values")("properties", given)
    values = properties("properties", given)

    async def work(tx: Transaction) -> None:
        found = await tx.rows(
            f"MATCH (n) WHERE {tx.id('n')} = $id SET n += $properties RETURN count(n) AS count",
            {"id": tx.parameter(node_id), "properties": values},
        )
        if not found[0]["count"]:
            raise missing_node(field)

    return work


def _delete_node(field: str, node_id: str, detach: bool = True) -> Work[bool]:
    check.name(field, node_id)

    async def work(tx: Transaction) -> bool:
        values = {"id": tx.parameter(node_id)}
        if not detach and await tx.rows(f"MATCH (n)-[r]-() WHERE {tx.id('n')} = $id RETURN 1 AS one LIMIT 1", values):
            raise GraphQueryError("the node has edges: delete them first, or give detach=True")
        found = await tx.rows(
            f"MATCH (n) WHERE {tx.id('n')} = $id WITH n DETACH DELETE n RETURN count(*) AS count", values
        )
        return bool(found[0]["count"])

    return work


def _create_edge(edge: GraphEdge, match_properties: Mapping[str, Any] | None = None) -> Work[str]:
    """Create it, or with `match_properties` merge it."""
    if not isinstance(cast("object", edge), GraphEdge):
        raise InvalidArgument("edge", check.shown(edge), "a GraphEdge")
    type, values = _quoted("type", edge.type), properties("properties", edge.properties)
    match, wanted = _wanted("match_properties", match_properties)
    verb = "CREATE" if match_properties is None else "MERGE"

    async def work(tx: Transaction) -> str:
        found = await tx.rows(
            f"MATCH (a) WHERE {tx.id('a')} = $source MATCH (b) WHERE {tx.id('b')} = $target "
            f"{verb} (a)-[r:{type} {match}]->(b) SET r += $properties RETURN {tx.id('r')} AS id",
            {
                "source": tx.parameter(edge.from_node),
                "target": tx.parameter(edge.to_node),
                "wanted": wanted,
                "properties": values,
            },
        )
        if not found:
            await tx.node("from_node", edge.from_node)
            raise missing_node("to_node")
        return str(found[0]["id"])

    return work


def _delete_edge(field: str, edge_id: str) -> Work[bool]:
    check.name(field, edge_id)

    async def work(tx: Transaction) -> bool:
        found = await tx.rows(
            f"MATCH ()-[r]->() WHERE {tx.id('r')} = $id DELETE r RETURN count(*) AS count",
            {"id": tx.parameter(edge_id)},
        )
        return bool(found[0]["count"])

    return work


def _operation(one: GraphOperation) -> Work[Any]:
    if one.node is not None:
        return _create_node(one.node)
    if one.edge is not None:
        return _create_edge(one.edge)
    if one.type == "UPDATE_NODE":
        return _update_node("id", cast("str", one.id), cast("Mapping[str, Any]", one.properties))
    return (_delete_node if one.type == "DELETE_NODE" else _delete_edge)("id", cast("str", one.id))


async def _alive(tx: Transaction) -> None:
    await tx.rows("RETURN 1 AS one")
