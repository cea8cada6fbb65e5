"""The statements that write projections to a graph, all in one transaction.

First the fence, then what is there no more, then nodes, then edges. Each statement has at most 1,000 rows, and writes
nothing unless the fence is held. Labels and types are those of the schema; everything else is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from cortex_rx.errors import GraphSyncError
from cortex_rx.graph.adapter import GraphAdapter, Statement
from cortex_rx.graph.projection import End, Projection
from cortex_rx.graph.schema import FENCE, LABELS, RELATIONSHIPS

__all__ = ["ROWS", "Fence", "FenceLost", "write"]

ROWS = 1_000
"""The most rows of a statement."""

T = TypeVar("T")
Row: TypeAlias = Mapping[str, Any]
_Statements: TypeAlias = Iterator[tuple[str, list[Row]]]

_FENCE = f"(f:{FENCE} {{_key: 'fence'}})"
_CLAIM = (
    f"MERGE {_FENCE} ON CREATE SET f.term = 0, f.store = $store "
    "WITH f WHERE f.term <= $term AND f.store = $store SET f.term = $term RETURN f.term AS term"
)
_HOLDER = f"MATCH {_FENCE} RETURN f.store AS store"
_ROWS = f"MATCH {_FENCE} WHERE f.term = $term AND f.store = $store UNWIND $rows AS row "

# The edge between the entities of a fact depends on these. It is looked for only if one of them has changed: an entity
# may have very many edges.
_SAID = ("subject", "predicate", "object", "qualifier", "polarity", "tense", "closed")
_CHANGED = " OR ".join(f"coalesce(n.{name}, '') <> row.{name}" for name in _SAID)
_UNSAID = (
    f"{_ROWS}MATCH (n:Fact {{_key: row._key}}) WHERE {_CHANGED} "
    "MATCH (n)-[:MENTIONS]->(a:Entity) MATCH (n)-[:MENTIONS]->(b:Entity) "
    "MATCH (a)-[r]->(b) WHERE r._owner = row._owner DELETE r"
)


def _node(label: str) -> str:
    newer = "WITH n, row WHERE coalesce(n._rev, -1) < row._rev SET n = row"
    return f"{_ROWS}MERGE (n:{label} {{_key: row._key}}) {newer}"


def _end(label: str) -> str:
    return f"{_ROWS}MERGE (n:{label} {{_key: row._key}}) ON CREATE SET n = row"


def _delete(label: str) -> str:
    return f"{_ROWS}MATCH (n:{label} {{_key: row._key}}) DETACH DELETE n"


def _bare(label: str) -> str:
    return f"{_ROWS}MATCH (n:{label} {{_key: row._key}}) SET n = row"


def _unused(label: str) -> str:
    return f"{_ROWS}MATCH (n:{label} {{_key: row._key}}) WHERE NOT (n)--() DELETE n"


def _edge(kind: str, start: str, end: str) -> str:
    """The end with fewer edges comes first: some servers look at all edges of the first one."""
    from_, to = f"MATCH (a:{start} {{_key: row.start}})", f"MATCH (b:{end} {{_key: row.end}})"
    edge = f"[r:{kind} {{_owner: row.owner}}]"
    merge = f"{from_} {to} MERGE (a)-{edge}->(b)"
    if RELATIONSHIPS[kind].first == "end":
        merge = f"{to} {from_} MERGE (b)<-{edge}-(a)"
    return f"{_ROWS}{merge} SET r = row.properties RETURN count(r) AS written"


def _stale(label: str) -> str:
    """The edges of a record that are older than its node are of what it was."""
    older = "r._owner = row._owner AND r._rev < row._rev"
    return f"{_ROWS}MATCH (n:{label} {{_key: row._key}}){_OWN[label]}(m) WHERE {older} DELETE r"


def _which(label: str) -> str:
    return f"UNWIND $keys AS key MATCH (n:{label} {{_key: key}}) RETURN n._key AS key"


_OWN = {"Memory": "-[r]->", "Conversation": "-[r]->", "Context": "-[r]->", "Fact": "-[r]-"}
"""Where the edges of a record are, by its label. That a fact is superseded is an edge that ends at it."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write: the store, and the term of its lease. It is held until a later term is claimed."""

    store: str
    term: int


class FenceLost(GraphSyncError):
    """A later term was claimed, or the graph is that of another store; nothing was written."""

    def __init__(self, store: str) -> None:
        super().__init__("another drainer has taken over")
        self.store: str = store


async def write(graph: GraphAdapter, fence: Fence, projections: Sequence[Projection]) -> dict[int, set[End]]:
    """Write projections, in one transaction that takes place as a whole or not at all.

    Returns which are not complete, by their position: the nodes that their edges lack. Raises `FenceLost`, and the
    errors of `GraphAdapter.write`.
    """
    batch = _Batch(projections)
    values = {"term": fence.term, "store": fence.store}
    edges = list(batch.edges())
    statements: list[Statement] = [(_CLAIM, values)]
    statements += [(cypher, {**values, "rows": rows}) for cypher, rows in batch.nodes()]
    first = len(statements)
    statements += [(cypher, {**values, "rows": [edge.row for edge in some]}) for cypher, some in edges]
    statements += [(cypher, {**values, "rows": rows}) for cypher, rows in batch.stale()]
    results = await graph.write(statements)
    if not results[0]:
        found = (await graph.query(_HOLDER)).records
        raise FenceLost(found[0]["store"] if found else fence.store)
    lacking = [
        edge
        for (_, some), records in zip(edges, results[first:], strict=False)
        if records[0]["written"] < len(some)
        for edge in some
    ]
    return await _missing(graph, lacking) if lacking else {}


async def _missing(graph: GraphAdapter, edges: Sequence[_Line]) -> dict[int, set[End]]:
    """The ends of these edges that are not there, by the position of their projection."""
    ends: dict[str, dict[str, None]] = {}
    for edge in edges:
        for label, key in edge.ends:
            ends.setdefault(label, {})[key] = None
    there: set[End] = set()
    for label, keys in ends.items():
        for some in _parts(keys):
            found = await graph.query(_which(label), {"keys": some})
            there |= {End(label, record["key"]) for record in found.records}
    missing: dict[int, set[End]] = {}
    for edge in edges:
        if lacks := {*edge.ends} - there:
            missing.setdefault(edge.position, set()).update(lacks)
    return missing


@dataclass(frozen=True, slots=True)
class _Line:
    """A row for an edge, and the position of the projection that it is of."""

    position: int
    ends: tuple[End, End]
    row: Row


class _Batch:
    """The rows of projections, each node once, by the statement that writes them."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self._nodes: dict[str, dict[str, Row]] = {}
        self._ends: dict[str, dict[str, Row]] = {}
        self._gone: dict[str, list[Row]] = {}
        self._edges: dict[tuple[str, str, str], list[_Line]] = {}
        self._facts: list[Row] = []
        self._owners: dict[str, list[Row]] = {}
        for position, each in enumerate(projections):
            self._add(position, each)

    def _add(self, position: int, each: Projection) -> None:
        label, key = each.owner
        mark = {"_owner": str(each.owner), "_rev": each.revision}
        for node in each.nodes:
            self._nodes.setdefault(label, {})[key] = {**node.properties, "_key": key, "_rev": each.revision}
        if not each.nodes:
            self._gone.setdefault(label, []).append({"_key": key, "_rev": 0, **each.identity})
        elif label in _OWN:
            self._owners.setdefault(label, []).append({"_key": key, **mark})
        if label == "Fact":
            says: Row = each.nodes[0].properties if each.nodes else {}
            self._facts.append({"_key": key, **mark, **{name: says.get(name, "") for name in _SAID}})
        for node in each.ends:
            row = {**node.properties, "_key": node.at.key, "_rev": 0}
            self._ends.setdefault(node.at.label, {}).setdefault(node.at.key, row)
        for edge in each.edges:
            row = {
                "start": edge.start.key,
                "end": edge.end.key,
                "owner": mark["_owner"],
                "properties": {**edge.properties, **mark},
            }
            kind = edge.type, edge.start.label, edge.end.label
            self._edges.setdefault(kind, []).append(_Line(position, (edge.start, edge.end), row))

    def nodes(self) -> _Statements:
        """What goes, and all nodes."""
        yield from _each(_UNSAID, self._facts)
        for label, nodes in self._nodes.items():
            yield from _each(_node(label), nodes.values())
        for label, gone in self._gone.items():
            if LABELS[label].bare:
                yield from _each(_bare(label), gone)
                yield from _each(_unused(label), gone)
            else:
                yield from _each(_delete(label), gone)
        for label, ends in self._ends.items():
            written = self._nodes.get(label, {})
            yield from _each(_end(label), [row for key, row in ends.items() if key not in written])

    def edges(self) -> Iterator[tuple[str, list[_Line]]]:
        """All edges. These statements return how many they have written."""
        for (kind, start, end), lines in self._edges.items():
            cypher = _edge(kind, start, end)
            for some in _parts(lines):
                yield cypher, some

    def stale(self) -> _Statements:
        """Edges of records that are there, and have not these edges any more."""
        for label, rows in self._owners.items():
            yield from _each(_stale(label), rows)


def _each(cypher: str, rows: Iterable[Row]) -> _Statements:
    for some in _parts(rows):
        yield cypher, some


def _parts(items: Iterable[T]) -> Iterator[list[T]]:
    """The items in lists of at most `ROWS`."""
    left = iter(items)
    while part := list(islice(left, ROWS)):
        yield part
