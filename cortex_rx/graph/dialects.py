"""In what the graph servers differ: the ids, the shortest path, what is tried again.

>>> dialect_of("Neo4j/5.26.28"), dialect_of("Neo4j/5.26.0 compatible (ArcadeDB 26.10.2)").name
(Dialect('Neo4j'), 'ArcadeDB')
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cortex_rx.errors import GraphRefused

__all__ = ["ARCADEDB", "MEMGRAPH", "NEO4J", "NEO4J_INTEGER_IDS", "Dialect", "dialect_of"]


@dataclass(frozen=True, repr=False)
class Dialect:
    """A kind of graph server.

    >>> NEO4J.id_of("n"), MEMGRAPH.id_of("n")
    ('elementId(n)', 'id(n)')
    >>> NEO4J.as_parameter("4:graph:7"), MEMGRAPH.as_parameter("7"), MEMGRAPH.as_parameter("seven")
    ('4:graph:7', 7, None)
    >>> MEMGRAPH.shortest_path(["KNOWS", "LIKES"], 4)
    '(a)-[:KNOWS|LIKES *BFS ..4]-(b)'
    """

    name: str
    element_ids: bool = True
    """Whether ids are the texts of `elementId()`; otherwise they are the numbers of `id()`."""
    has_shortest_path: bool = True
    """Whether it has `shortestPath`; otherwise it has `*BFS`."""
    filters_notifications: bool = False
    """Whether it can be told to send no notifications: the driver logs them with the query."""
    repeats_constraint_errors: bool = False
    """Whether two MERGEs of one key at a time may end in an error that a second attempt has not."""

    alters_alone: bool = False
    """Whether constraints and indexes are changed and shown only outside a transaction."""

    def __repr__(self) -> str:
        return f"Dialect({self.name!r})"

    def id_of(self, variable: str) -> str:
        """The expression for the id of a node or an edge."""
        return f"{'elementId' if self.element_ids else 'id'}({variable})"

    def as_parameter(self, given: str) -> str | int | None:
        """An id as the server compares it. None, which is equal to nothing, if it cannot be an id there."""
        if self.element_ids:
            return given
        return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None

    def as_text(self, element_id: str) -> str:
        """The id of what the driver has read. Where ids are numbers the driver gives them in digits, and Neo4j's own
        has the number at its end.
        """
        return element_id if self.element_ids else element_id.rpartition(":")[2]

    def shortest_path(self, types: Sequence[str], most: int) -> str:
        """The pattern of a shortest path from `a` to `b` over at most `most` edges of these types, or of any."""
        which = f":{'|'.join(types)}" if types else ""
        if self.has_shortest_path:
            return f"shortestPath((a)-[{which}*..{most}]-(b))"
        return f"(a)-[{which} *BFS ..{most}]-(b)"


NEO4J = Dialect("Neo4j", filters_notifications=True)
"""Neo4j 5 and later."""
NEO4J_INTEGER_IDS = Dialect("Neo4j", element_ids=False, filters_notifications=True)
"""Neo4j, asked for `id()`: the ids of versions before 5, which all have."""
MEMGRAPH = Dialect("Memgraph", element_ids=False, has_shortest_path=False, alters_alone=True)
"""Memgraph."""
ARCADEDB = Dialect("ArcadeDB", repeats_constraint_errors=True)
"""ArcadeDB with its Bolt plugin."""


def dialect_of(agent: str) -> Dialect:
    """The dialect of a server, by the name that it gives itself. The others call themselves compatible with Neo4j.

    >>> dialect_of("Neo4j/v5.11.0 compatible graph database server - Memgraph")
    Dialect('Memgraph')
    """
    for part, dialect in (("ArcadeDB", ARCADEDB), ("Memgraph", MEMGRAPH), ("Neo4j/", NEO4J)):
        if part in agent:
            return dialect
    raise GraphRefused("the server is neither Neo4j nor Memgraph nor ArcadeDB, and no other is known")
