"""Nodes that no record speaks of any more: entities that no fact mentions, and conversations without a record.

The rules: an entity is kept by a fact that mentions it, a conversation by a memory, a fact or a context that refers to
it. What is connected with such a node is kept, too. A node whose record the store has is never an orphan, and a node of
another label never goes: users, participants, agents and memory spaces stay.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import GraphSync
from cortex_rx.graph.adapter import GraphAdapter, Statement
from cortex_rx.graph.projection import End
from cortex_rx.graph.schema import FENCE, KEY, LABELS
from cortex_rx.models.records import Record

if TYPE_CHECKING:
    from cortex_rx.backends.contract.typed.rows import RecordKey

__all__ = ["RULES", "GraphOrphan", "OrphanReport", "find_orphans", "remove_orphans"]

RULES: Mapping[str, tuple[str, ...]] = {"Entity": ("Fact",), "Conversation": ("Memory", "Fact", "Context")}
"""The labels whose nodes may go, and the labels of the nodes that keep one by an edge to it."""
PAGE = 1_000


class GraphOrphan(Record):
    """A node that nothing keeps, and why it may go."""

    label: str
    key: str
    reason: str
    island: tuple[str, ...] = ()
    """The other nodes that go with it, since they are connected: with nothing that would keep one of them."""

    def __str__(self) -> str:
        return f"{self.label} {self.key}: {self.reason}"


class OrphanReport(Record):
    """The orphans of a graph. `kept`: why nodes stay that nothing refers to. `removed`: how many were deleted."""

    orphans: tuple[GraphOrphan, ...]
    kept: tuple[GraphOrphan, ...]
    removed: int = 0

    def __str__(self) -> str:
        lines = [f"{len(self.orphans):,} orphans, {self.removed:,} of them removed."]
        lines += [str(one) for one in self.orphans]
        if self.kept:
            lines += ["", f"Kept, though nothing refers to them: {len(self.kept):,}."]
            lines += [str(one) for one in self.kept]
        return "\n".join(lines)


async def find_orphans(graph: GraphAdapter, backend: Backend) -> OrphanReport:
    """The orphans of a graph, with the reason for each. Nothing is changed: this is the dry run of `remove_orphans`.

    Raises the errors of the store and of `GraphAdapter.query`.
    """
    return await _Search(graph, GraphSync(backend)).run()


async def remove_orphans(graph: GraphAdapter, backend: Backend) -> OrphanReport:
    """Delete the orphans of a graph.

    Each is looked at again in the transaction that deletes it, which no drainer can overlap: one that has got an edge
    from a node that keeps it stays. An entity that a fact mentions later comes back with that fact.

    Raises the errors of the store and of `GraphAdapter.write`.
    """
    found = await find_orphans(graph, backend)
    removed = 0
    by_label: dict[str, list[str]] = {}
    for one in found.orphans:
        by_label.setdefault(one.label, []).append(one.key)
    for label, keys in by_label.items():
        for start in range(0, len(keys), PAGE):
            # The fence is written first: a drainer writes it, too, so the server lets one of both wait.
            lock: Statement = (f"MATCH (f:{FENCE} {{{KEY}: 'fence'}}) SET f.cleaned = coalesce(f.cleaned, 0) + 1", {})
            delete: Statement = (
                f"UNWIND $keys AS key MATCH (n:{label} {{{KEY}: key}}) WHERE {_unkept('n', label)} "
                "DETACH DELETE n RETURN count(*) AS removed",
                {"keys": keys[start : start + PAGE]},
            )
            removed += (await graph.write([lock, delete]))[1][0]["removed"]
    return found.model_copy(update={"removed": removed})


def _unkept(node: str, label: str) -> str:
    return " AND ".join(f"NOT ({node})<--(:{keeper})" for keeper in RULES[label])


class _Search:
    def __init__(self, graph: GraphAdapter, outbox: GraphSync) -> None:
        self._graph, self._outbox = graph, outbox
        self._near: dict[End, set[End]] = {}  # the nodes that nothing refers to, and what they are connected with
        self._recorded: set[End] = set()
        self._kept: list[GraphOrphan] = []

    async def run(self) -> OrphanReport:
        alone = [at for label in RULES for at in await self._unreferenced(label)]
        await self._look_for_records(alone)
        unrecorded = {at: None for at in alone if at not in self._recorded}
        for label in RULES:
            await self._visit(label, [at.key for at in unrecorded if at.label == label])
        orphans: list[GraphOrphan] = []
        seen: set[End] = set()
        for at in unrecorded:
            if at not in seen:
                island = _connected(at, self._near)
                seen |= island
                # All that nothing refers to was visited. So what was not is kept, and keeps what it is connected with.
                outside = {near for one in island for near in self._near[one]} - unrecorded.keys()
                if outside:
                    self._kept += [_kept(one, f"it is connected with {min(outside)}") for one in sorted(island)]
                else:
                    orphans += [_orphan(one, island) for one in sorted(island)]
        self._kept += [_kept(at, "the store has its record") for at in alone if at in self._recorded]
        return OrphanReport(orphans=tuple(orphans), kept=tuple(self._kept))

    async def _unreferenced(self, label: str) -> list[End]:
        """The nodes of a label to which none that would keep it has an edge."""
        query = (
            f"MATCH (n:{label}) WHERE n.{KEY} > $after AND {_unkept('n', label)} "
            f"RETURN n.{KEY} AS key ORDER BY key LIMIT {PAGE}"
        )
        found: list[End] = []
        while records := await self._ask(query, after=found[-1].key if found else ""):
            found += [End(label, record["key"]) for record in records]
        return found

    async def _look_for_records(self, nodes: Sequence[End]) -> None:
        """Which of these nodes have a record in the store."""
        asked: dict[End, RecordKey] = {}
        for at in nodes:
            label = LABELS[at.label]
            if label.table is None:
                continue
            space, name = json.loads(at.key)
            if isinstance(space, str) and isinstance(name, str):
                asked[at] = {"table": label.table, "memorySpaceId": space, "entityId": name}  # type: ignore[typeddict-item]
            else:  # the key has not the whole id, so nobody can say that there is no record
                self._recorded.add(at)
        ends = list(asked)
        for start in range(0, len(ends), PAGE):
            some = ends[start : start + PAGE]
            there = await self._outbox.exists(records=[asked[at] for at in some])
            self._recorded |= {at for at, yes in zip(some, there, strict=True) if yes}

    async def _visit(self, label: str, keys: Sequence[str]) -> None:
        """Find out what these nodes are connected with. To be in the same memory space connects nothing."""
        others = " OR ".join(f"b:{other}" for other in dict.fromkeys((*RULES, *_KEEPERS)))
        query = (
            f"UNWIND $keys AS key MATCH (a:{label} {{{KEY}: key}})--(b) WHERE {others} "
            f"RETURN DISTINCT key, labels(b) AS of, b.{KEY} AS other"
        )
        for start in range(0, len(keys), PAGE):
            some = keys[start : start + PAGE]
            self._near.update((End(label, key), set()) for key in some)
            for record in await self._ask(query, keys=some):
                self._near[End(label, record["key"])].add(End(min(record["of"]), record["other"]))

    async def _ask(self, query: str, **values: Any) -> list[dict[str, Any]]:
        return (await self._graph.query(query, values, read=True)).records


def _connected(at: End, near: Mapping[End, Collection[End]]) -> set[End]:
    """A node, and all of those that were visited with which it is connected."""
    island, border = {at}, [at]
    while border:
        more = {one for one in near[border.pop()] if one in near} - island
        island |= more
        border += more
    return island


_KEEPERS = tuple(dict.fromkeys(keeper for keepers in RULES.values() for keeper in keepers))


def _kept(at: End, reason: str) -> GraphOrphan:
    return GraphOrphan(label=at.label, key=at.key, reason=reason)


def _orphan(at: End, island: Collection[End]) -> GraphOrphan:
    keepers = [keeper.lower() for keeper in RULES[at.label]]
    named = " or ".join(filter(None, (", ".join(keepers[:-1]), keepers[-1])))
    reason = f"no {named} refers to it"
    if LABELS[at.label].table is not None:
        reason += ", and the store has no record of it"
    others = tuple(str(one) for one in sorted(island) if one != at)
    return GraphOrphan(label=at.label, key=at.key, reason=reason, island=others)
