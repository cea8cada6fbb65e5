"""Whether a graph shows what the store has: each node and edge is compared with the projection of its record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.graph.adapter import GraphAdapter
from cortex_rx.graph.projection import Edge, End, Node, Projection, project
from cortex_rx.graph.schema import KEY, LABELS, OWNER, REVISION, TABLES
from cortex_rx.models.graph import GraphEdge, GraphNode
from cortex_rx.models.records import Record

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import GraphRecord, RecordKey

__all__ = ["GraphComparison", "GraphCount", "GraphDifference", "compare_graph"]

PAGE = 1_000
"""Records, or nodes, that are read at once."""
SHOWN = 100
"""The most differences that a comparison names. All are counted."""
_TIMES = 3  # how often a record is read that changes while it is compared

Kind: TypeAlias = Literal["missing", "surplus", "different"]


class GraphDifference(Record):
    """A node or an edge that is not as its record says."""

    kind: Kind
    """`missing` in the graph; `surplus`: no record says it, or it is there twice; `different` in these `properties`."""
    what: str
    """The label and the key of the node; the type of the edge, and its ends."""
    properties: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind:9} {self.what}{': ' if self.properties else ''}{', '.join(self.properties)}"


class GraphCount(Record):
    """How many nodes of a label there are, or edges of a type. `table`: that of the records with this label."""

    name: str
    table: str | None = None
    store: int = 0
    """How many the records of the store say."""
    graph: int = 0
    """How many the graph has."""
    missing: int = 0
    surplus: int = 0
    different: int = 0
    queued: int = 0
    """How many are not as their record says because it has changed, and its row has not been written yet."""
    unused: int = 0
    """How many nodes are left that need no record, and no record speaks of: see `find_orphans`."""


class GraphComparison(Record):
    """What a graph has, and what it should have. As a text it is a page to read, and `model_dump_json()` is JSON."""

    nodes: tuple[GraphCount, ...]
    """By label."""
    edges: tuple[GraphCount, ...]
    """By type: the types that there are."""
    differences: tuple[GraphDifference, ...]
    """The first hundred."""
    queued: int
    """How many records wait in the outbox."""
    failed: int
    """How many of them are dead letters."""
    changed: int
    """How many changes the store had meanwhile. What they are about may be counted wrong."""

    @property
    def equal(self) -> bool:
        """Whether the graph shows what the store has, but for records that wait in the outbox."""
        return not any(one.missing or one.surplus or one.different for one in (*self.nodes, *self.edges))

    def __str__(self) -> str:
        return "\n".join(_page(self))


def _page(found: GraphComparison) -> Iterator[str]:
    counted = {"missing": 0, "surplus": 0, "different": 0}
    for one in (*found.nodes, *found.edges):
        for kind in counted:
            counted[kind] += getattr(one, kind)
    told = ", ".join(f"{number:,} {kind}" for kind, number in counted.items() if number)
    but = ", but for what waits" if found.queued else ""
    yield f"The graph shows what the store has{but}." if found.equal else f"The graph differs from the store: {told}."
    if found.queued:
        dead = f"; {found.failed:,} of them are dead letters" if found.failed else ""
        yield f"Records that wait in the outbox: {found.queued:,}{dead}."
    if found.changed:
        yield f"The store changed {found.changed:,} times meanwhile: compare again when it is still."
    for title, counts in (("nodes", found.nodes), ("edges", found.edges)):
        columns = ["store", "graph", *counted, "queued", *(["unused"] if title == "nodes" else [])]
        yield ""
        yield f"{title:28}" + "".join(f"{column:>11}" for column in columns)
        for one in counts:
            name = f"{one.name} ({one.table})" if one.table else one.name
            yield f"{name:28}" + "".join(f"{getattr(one, column):11,}" for column in columns)
    if found.differences:
        yield ""
        yield from map(str, found.differences)
        if (more := sum(counted.values()) - len(found.differences)) > 0:
            yield f"and {more:,} more"


async def compare_graph(graph: GraphAdapter, backend: Backend) -> GraphComparison:
    """Compare a graph with the store: all nodes with their properties, and all edges with theirs.

    Store and graph are only read, a page at a time. What is remembered is one hash for each node and each edge. A
    record that waits in the outbox, or changes while it is compared, is no difference. Nodes and edges that the
    drainer has not written are not looked at: those with another label, or without an owner.

    Raises the errors of the store and of `GraphAdapter.query`.
    """
    return await _Comparison(graph, GraphSync(backend)).run()


class _Item(NamedTuple):
    record: GraphRecord
    projection: Projection
    edges: tuple[Edge, ...]
    """Those whose ends the store has."""


_Found: TypeAlias = list[tuple[Counter[str], GraphDifference]]
"""Differences, each with the counts that it belongs to."""


class _Comparison:
    def __init__(self, graph: GraphAdapter, outbox: GraphSync) -> None:
        self._graph, self._outbox = graph, outbox
        self._nodes: dict[str, Counter[str]] = {label: Counter() for label in LABELS}
        self._edges: dict[str, Counter[str]] = {}
        self._differences: list[GraphDifference] = []
        self._said: set[bytes] = set()  # all nodes and edges that the store has
        self._missed: set[bytes] = set()
        self._waiting: set[str] = set()  # the nodes of the records in the outbox, as owners of edges
        self._before = 0

    async def run(self) -> GraphComparison:
        self._before = (await self._outbox.get_sync_stats())["revision"]
        await self._read_outbox()
        for table in TABLES:
            await self._compare_table(table)
        await self._read_outbox()
        for label in LABELS:
            await self._look_for_surplus(label)
        stats = await self._outbox.get_sync_stats()
        return GraphComparison(
            nodes=tuple(_counted(name, found, LABELS[name].table) for name, found in self._nodes.items()),
            edges=tuple(_counted(name, found) for name, found in sorted(self._edges.items())),
            differences=tuple(self._differences),
            queued=stats["unsynced"],
            failed=stats["failed"],
            changed=stats["revision"] - self._before,
        )

    async def _read_outbox(self) -> None:
        after = 0
        while rows := await self._outbox.get_unsynced_items(limit=PAGE, after=after):
            after = rows[-1]["revision"]
            self._waiting |= {str(project(row).owner) for row in rows}

    def _differ(self, found: _Found, waits: bool = False) -> None:
        """Count differences, or what of a record that `waits` is not there yet."""
        for counts, difference in found:
            kind = "queued" if waits else difference.kind
            if difference.kind == "missing":  # a node may be missed as the end of an edge, and as that of a record
                if (said := _hash(kind, difference.what)) in self._missed:
                    continue
                self._missed.add(said)
            counts[kind] += 1
            if not waits and len(self._differences) < SHOWN:
                self._differences.append(difference)

    def _type(self, name: str) -> Counter[str]:
        return self._edges.setdefault(name, Counter())

    # What the store has.

    async def _compare_table(self, table: str) -> None:
        after = 0
        while rows := await self._outbox.get_records(table=table, limit=PAGE, after=after):  # type: ignore[arg-type]
            before, after = after, rows[-1]["position"]
            items = await self._projected(rows)
            for number in range(_TIMES):
                found = await self._compared(items)
                again = [item for item, differences in zip(items, found, strict=True) if differences]
                now: dict[int, GraphRecord] = {}
                if again and number + 1 < _TIMES:
                    now = {
                        row["position"]: row
                        for row in await self._outbox.get_records(table=table, limit=PAGE, after=before)  # type: ignore[arg-type]
                    }
                    changed = {
                        item.record["position"] for item in again if now.get(item.record["position"]) != item.record
                    }
                else:
                    changed = set[int]()
                for item, differences in zip(items, found, strict=True):
                    if item.record["position"] not in changed:
                        self._count(item, differences)
                if not changed:
                    break
                items = await self._projected([now[at] for at in sorted(changed) if at in now])

    async def _projected(self, rows: Sequence[GraphRecord]) -> list[_Item]:
        projections = [project({**row, "revision": 0}) for row in rows]
        needs = {end: key for each in projections for end, key in each.needs.items()}
        asked: list[RecordKey] = list(needs.values())  # type: ignore[arg-type]
        there: list[bool] = []
        for start in range(0, len(asked), PAGE):
            there += await self._outbox.exists(records=asked[start : start + PAGE])
        gone = {end for end, is_there in zip(needs, there, strict=True) if not is_there}
        return [
            _Item(row, each, tuple(edge for edge in each.edges if not gone & {edge.start, edge.end}))
            for row, each in zip(rows, projections, strict=True)
        ]

    def _count(self, item: _Item, differences: _Found) -> None:
        """Count what a record says, and how it differs."""
        owner = item.projection.owner
        for at in (owner, *(node.at for node in item.projection.ends)):
            if (said := _of_node(at)) not in self._said:
                self._said.add(said)
                self._nodes[at.label]["store"] += 1
        for edge in item.edges:
            self._said.add(_of_edge(edge.type, edge.start, edge.end, str(owner)))
            self._type(edge.type)["store"] += 1
        self._differ(differences, waits=item.record["queued"])

    async def _compared(self, items: Sequence[_Item]) -> list[_Found]:
        """The differences of each."""
        found: list[_Found] = [[] for _ in items]
        await self._compare_nodes(items, found)
        await self._compare_edges(items, found)
        return found

    async def _compare_nodes(self, items: Sequence[_Item], found: Sequence[_Found]) -> None:
        by_label: dict[str, dict[str, GraphNode]] = {}
        wanted: dict[str, set[str]] = {}
        nodes: list[tuple[Node, ...]] = []
        for item in items:
            # A node that ends edges of many records is looked for once.
            ends = [node for node in item.projection.ends if node.at.key not in wanted.get(node.at.label, ())]
            nodes.append((*item.projection.nodes, *(node for node in ends if _of_node(node.at) not in self._said)))
            for node in nodes[-1]:
                wanted.setdefault(node.at.label, set()).add(node.at.key)
        for label, keys in wanted.items():
            query = f"UNWIND $keys AS key MATCH (n:{label} {{{KEY}: key}}) RETURN n"
            for part in _parts(sorted(keys)):
                for record in await self._ask(query, keys=part):
                    by_label.setdefault(label, {})[record["n"].properties[KEY]] = record["n"]
        for item, some, differences in zip(items, nodes, found, strict=True):
            for node in some:
                label, counts = node.at.label, self._nodes[node.at.label]
                there = by_label.get(label, {}).get(node.at.key)
                if there is None:
                    differences.append((counts, GraphDifference(kind="missing", what=str(node.at))))
                elif node.at == item.projection.owner or LABELS[label].table is None:
                    names = _differing(node.properties, there.properties)
                    if names:
                        what = GraphDifference(kind="different", what=str(node.at), properties=names)
                        differences.append((counts, what))

    async def _compare_edges(self, items: Sequence[_Item], found: Sequence[_Found]) -> None:
        rows: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
        for number, item in enumerate(items):
            for at, edge in enumerate(item.edges):
                row = {"number": number, "at": at, "start": edge.start.key, "end": edge.end.key}
                ends = edge.type, edge.start.label, edge.end.label
                rows.setdefault(ends, []).append({**row, "owner": str(item.projection.owner)})
        there: dict[tuple[int, int], GraphEdge] = {}
        for (type_, start, end), some in rows.items():
            query = (
                f"UNWIND $rows AS row MATCH (a:{start} {{{KEY}: row.start}})-[r:{type_}]->(b:{end} {{{KEY}: row.end}}) "
                f"WHERE r.{OWNER} = row.owner RETURN row.number AS number, row.at AS at, r"
            )
            for part in _parts(some):
                for record in await self._ask(query, rows=part):
                    there[record["number"], record["at"]] = record["r"]
        for number, item in enumerate(items):
            for at, edge in enumerate(item.edges):
                line = there.get((number, at))
                kind: Kind = "missing" if line is None else "different"
                names = () if line is None else _differing(edge.properties, line.properties)
                if line is None or names:
                    what = f"{edge.type} {edge.start} -> {edge.end}"
                    difference = GraphDifference(kind=kind, what=what, properties=names)
                    found[number].append((self._type(edge.type), difference))

    # What the graph has.

    async def _look_for_surplus(self, label: str) -> None:
        counts, bare = self._nodes[label], LABELS[label].bare
        async for keys in self._keys(label, counts):
            for key, revision in keys.items():
                if _of_node(End(label, key)) in self._said:
                    continue
                if bare and not revision:
                    counts["unused"] += 1
                else:
                    self._surplus(counts, str(End(label, key)), str(End(label, key)), revision)
            await self._look_at_edges(label, list(keys))

    async def _keys(self, label: str, counts: Counter[str]) -> AsyncIterator[dict[str, int]]:
        """The keys of all nodes of a label, a page at a time, with their revisions. A node may be there twice."""
        query = (
            f"MATCH (n:{label}) WHERE n.{KEY} > $after "
            f"RETURN n.{KEY} AS key, n.{REVISION} AS revision ORDER BY key LIMIT {PAGE}"
        )
        after = ""
        while records := await self._ask(query, after=after):
            page: dict[str, int] = {}
            for record in records:
                key = record["key"]
                counts["graph"] += 1
                if key in page or key == after:
                    self._surplus(counts, str(End(label, key)), str(End(label, key)), 0)
                else:
                    page[key] = record["revision"] or 0
            yield page
            after = records[-1]["key"]

    async def _look_at_edges(self, label: str, keys: Sequence[str]) -> None:
        query = (
            f"UNWIND $keys AS key MATCH (a:{label} {{{KEY}: key}})-[r]->(b) WHERE r.{OWNER} IS NOT NULL "
            f"RETURN key, type(r) AS kind, labels(b) AS of, b.{KEY} AS target, "
            f"r.{OWNER} AS owner, r.{REVISION} AS revision"
        )
        once: set[bytes] = set()
        for record in await self._ask(query, keys=keys):
            start, counts = End(label, record["key"]), self._type(record["kind"])
            end = End(min(record["of"], default=""), str(record["target"]))
            counts["graph"] += 1
            said = _of_edge(record["kind"], start, end, record["owner"])
            if said in once or said not in self._said:
                what = f"{record['kind']} {start} -> {end}"
                self._surplus(counts, what, record["owner"], 0 if said in once else record["revision"] or 0)
            once.add(said)

    def _surplus(self, counts: Counter[str], what: str, owner: str, revision: int) -> None:
        """Count it, unless it is of a record that changes."""
        if owner in self._waiting or revision > self._before:
            counts["queued"] += 1
        else:
            self._differ([(counts, GraphDifference(kind="surplus", what=what))])

    async def _ask(self, query: str, **values: Any) -> list[dict[str, Any]]:
        return (await self._graph.query(query, values, read=True)).records


def _counted(name: str, found: Mapping[str, int], table: str | None = None) -> GraphCount:
    return GraphCount(name=name, table=table).model_copy(update=dict(found))


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), PAGE):
        yield items[start : start + PAGE]


def _differing(said: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the properties that are not the same."""
    names: Iterable[str] = {*said, *there} - {KEY, OWNER, REVISION}
    return tuple(sorted(name for name in names if said.get(name) != there.get(name)))


def _of_node(at: End) -> bytes:
    return _hash("node", *at)


def _of_edge(kind: str, start: End, end: End, owner: str) -> bytes:
    return _hash("edge", kind, *start, *end, owner)


def _hash(*parts: str) -> bytes:
    return blake2b(json.dumps(parts).encode(), digest_size=16).digest()
