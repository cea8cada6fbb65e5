"""What a graph server can be asked: the protocol that `CypherGraphAdapter` implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from cortex_rx.graph.dialects import Dialect
from cortex_rx.models.graph import (
    GraphConnectionConfig,
    GraphEdge,
    GraphNode,
    GraphOperation,
    GraphPath,
    GraphQueryResult,
    ShortestPathConfig,
    TraversalConfig,
)

__all__ = ["GraphAdapter", "Statement"]

Statement: TypeAlias = tuple[str, Mapping[str, Any]]
"""A query, and the values of its parameters."""


class GraphAdapter(Protocol):
    """A graph server. An id is a text that the server made.

    Each operation is one transaction: it takes place as a whole, or not at all. Each raises `InvalidArgument` for a
    label, a type or a key that is no identifier, before anything is sent; `GraphConnectionError` if the server is away,
    `GraphRefused` if it refuses the client, `GraphTimeout` after `query_timeout`, `GraphQueryError` if it refuses the
    query.
    """

    @property
    def dialect(self) -> Dialect:
        """The kind of server. Raises `GraphConnectionError` before `connect`."""
        ...

    async def connect(self, config: GraphConnectionConfig | None = None) -> None:
        """Connect to a server, by default the one that the adapter was made for. Nothing is written. If it is connected
        already this has no effect.
        """
        ...

    async def disconnect(self) -> None:
        """Close all connections. It may be called twice."""
        ...

    async def is_connected(self) -> bool:
        """Whether the server answers now."""
        ...

    async def create_node(self, node: GraphNode) -> str:
        """Create a node, and return its id."""
        ...

    async def merge_node(self, node: GraphNode, match_properties: Mapping[str, Any]) -> str:
        """Find the node that has the label and `match_properties`, or create it. Set its other properties too. Return
        its id.
        """
        ...

    async def get_node(self, node_id: str) -> GraphNode | None:
        """The node with this id, or None."""
        ...

    async def update_node(self, node_id: str, properties: Mapping[str, Any]) -> None:
        """Set these properties, and remove those that are None. Raises `GraphNotFound`."""
        ...

    async def delete_node(self, node_id: str, detach: bool = True) -> bool:
        """Delete a node with its edges; without `detach`, one that has edges is refused with `GraphQueryError`. Return
        whether it was there.
        """
        ...

    async def find_nodes(
        self, label: str, properties: Mapping[str, Any] | None = None, limit: int = 100
    ) -> list[GraphNode]:
        """Nodes that have the label and these properties, at most `limit`."""
        ...

    async def create_edge(self, edge: GraphEdge) -> str:
        """Create an edge, and return its id. Raises `GraphNotFound` if one of its ends is not there."""
        ...

    async def merge_edge(self, edge: GraphEdge, match_properties: Mapping[str, Any] | None = None) -> str:
        """Find the edge of this type between these ends that has `match_properties`, or create it. Set its other
        properties too. Return its id. Raises `GraphNotFound` if one of its ends is not there.
        """
        ...

    async def delete_edge(self, edge_id: str) -> bool:
        """Delete an edge. Return whether it was there."""
        ...

    async def find_edges(
        self, type: str, properties: Mapping[str, Any] | None = None, limit: int = 100
    ) -> list[GraphEdge]:
        """Edges that have the type and these properties, at most `limit`."""
        ...

    async def query(
        self, cypher: str, params: Mapping[str, Any] | None = None, *, read: bool = False
    ) -> GraphQueryResult:
        """Run a query. With `read` it may go to a server of the cluster that only reads, and must not write.

        Neo4j and Memgraph then refuse a write; ArcadeDB does not look.
        """
        ...

    async def write(self, statements: Sequence[Statement]) -> list[list[dict[str, Any]]]:
        """Run statements in one transaction, and return the records of each. If it fails, none took place.

        It may run several times before it succeeds. The values are sent as they are: `values.property_value` makes them
        such that each server stores them.
        """
        ...

    async def alter(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement that changes or shows constraints and indexes, by itself, and return its records."""
        ...

    async def traverse(self, config: TraversalConfig) -> list[GraphNode]:
        """The nodes within `max_depth` edges of a node, without it: each once, the nearest first. Raises
        `GraphNotFound` if there is no such node.
        """
        ...

    async def find_path(self, config: ShortestPathConfig) -> GraphPath | None:
        """A shortest path between two nodes, or None. Raises `GraphNotFound` if one of them is not there."""
        ...

    async def batch_write(self, operations: Sequence[GraphOperation]) -> list[str | None]:
        """Run operations in their order, in one transaction. Return the id of what each created, None for the others.

        Raises `GraphNotFound` if an operation needs a node that is not there; then none took place.
        """
        ...

    async def count_nodes(self, label: str | None = None) -> int:
        """How many nodes there are, of a label or of all."""
        ...

    async def count_edges(self, type: str | None = None) -> int:
        """How many edges there are, of a type or of all."""
        ...

    async def clear_database(self) -> None:
        """Delete all nodes and edges, in several transactions."""
        ...
