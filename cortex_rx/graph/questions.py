"""Questions about the entities of a memory space: what is near one, and how two hang together.

They follow what current facts say: edges between entities, which the drainer takes away when a fact is closed. What a
fact denies is not followed. Each step is one query, so no question depends on how a server finds paths.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cortex_rx import validation as check
from cortex_rx.backends.base import Backend
from cortex_rx.backends.contract.typed import Facts
from cortex_rx.graph.adapter import GraphAdapter
from cortex_rx.graph.projection import iso_time
from cortex_rx.graph.schema import KEY, key_of, shortened
from cortex_rx.models.facts import FactRecord
from cortex_rx.models.recall_options import FactFinder
from cortex_rx.models.recalled import RecalledFact
from cortex_rx.models.records import Record

__all__ = ["EntityPath", "EntityStatement", "RelatedEntity", "graph_facts", "named_entities", "path", "related"]

DEPTH = 2
LIMIT = 100
_ASKED = 1_000  # entities in one query
_WORDS = 5  # the most words of a name that is looked for in a text


class EntityStatement(Record):
    """What a current fact says of two entities. `predicate` is its name, as in `predicates.toml` if it is there."""

    fact_id: str
    subject: str
    predicate: str
    object: str
    confidence: float | None = None

    def __str__(self) -> str:
        return f"{self.subject} -{self.predicate}-> {self.object}"


class RelatedEntity(Record):
    """An entity, how many steps it is away, and the statements by which the last of them is made."""

    name: str
    steps: int
    statements: tuple[EntityStatement, ...]


class EntityPath(Record):
    """Entities in their order, and a statement between each two of them. `length` counts the statements."""

    entities: tuple[str, ...]
    statements: tuple[EntityStatement, ...]
    length: int

    def __str__(self) -> str:
        return "; ".join(map(str, self.statements)) or self.entities[0]


async def related(
    graph: GraphAdapter, memory_space_id: str, entity: str, depth: int = DEPTH, *, limit: int = LIMIT
) -> list[RelatedEntity]:
    """The entities within `depth` steps of an entity, without it: the nearest first, then by name; at most `limit`.

    A name is that of a subject or an object of a fact, as it stands there. An entity that is not there has none.

    Raises `InvalidArgument` for a depth that is not 1 to 10, and the errors of `GraphAdapter.query`.
    """
    space = check.name("memory_space_id", memory_space_id)
    depth = check.whole(1, 10)("depth", depth)
    limit = check.whole(1, 10_000)("limit", limit)
    walk = _Walk(graph, space, check.name("entity", entity))
    found: list[RelatedEntity] = []
    for steps in range(1, depth + 1):
        reached = await walk.step()
        found += [
            RelatedEntity(name=walk.names[key], steps=steps, statements=_said(lines))
            for key, lines in sorted(reached.items(), key=lambda one: walk.names[one[0]])
        ]
        if not reached or len(found) >= limit:
            break
    return found[:limit]


async def path(
    graph: GraphAdapter, memory_space_id: str, start: str, end: str, *, max_hops: int = 6
) -> EntityPath | None:
    """A shortest path between two entities, in whichever direction its statements point; None if there is none of at
    most `max_hops` statements. Of several it is always the same one.

    Raises `InvalidArgument` for `max_hops` that are not 1 to 20, and the errors of `GraphAdapter.query`.
    """
    space = check.name("memory_space_id", memory_space_id)
    most = check.whole(1, 20)("max_hops", max_hops)
    sides = _Walk(graph, space, check.name("start", start)), _Walk(graph, space, check.name("end", end))
    if not all([await side.is_there() for side in sides]):
        return None
    met = set(sides[0].came) & set(sides[1].came)
    for _ in range(most):
        if met:
            break
        # The smaller border goes on.
        side = min(sides, key=lambda one: len(one.border))
        if not await side.step():
            return None
        met = set(sides[0].came) & set(sides[1].came)
    if not met:
        return None
    first, last = ((side.back(min(met))) for side in sides)
    keys = [*first[0][::-1], *last[0][1:]]
    names = {**sides[0].names, **sides[1].names}
    lines = (*first[1][::-1], *last[1])
    return EntityPath(entities=tuple(names[key] for key in keys), statements=lines, length=len(lines))


async def named_entities(graph: GraphAdapter, memory_space_id: str, text: str, *, limit: int = 10) -> list[str]:
    """The entities of a memory space whose names stand in a text, as whole words: the longest names first.

    Case does not matter where the name in the graph is written as the text, in lower case, or with capital initials.
    """
    query = (
        "UNWIND $names AS name MATCH (n:Entity {name: name}) WHERE n.memorySpaceId = $space "
        "RETURN DISTINCT n.name AS name"
    )
    found: set[str] = set()
    spellings = sorted(_spellings(text))
    for start in range(0, len(spellings), _ASKED):
        values = {"names": spellings[start : start + _ASKED], "space": shortened(memory_space_id)}
        found |= {record["name"] for record in (await graph.query(query, values, read=True)).records}
    return sorted(found, key=lambda name: (-len(name), name))[:limit]


def _spellings(text: str) -> set[str]:
    """What may be a name in a text: up to five words that follow each other, in three spellings.

    >>> sorted(_spellings("Did Ada's cat eat?"))[:6]
    ['Ada', "Ada's", "Ada's Cat", "Ada's Cat Eat", "Ada's cat", "Ada's cat eat"]
    """
    words = [word for word in (one.strip(".,;:!?\"'()[]{}«»“”‘’…") for one in text.split()) if word]
    found: set[str] = set()
    for start in range(len(words)):
        for end in range(start + 1, min(start + _WORDS, len(words)) + 1):
            some = words[start:end]
            bare = [*some[:-1], some[-1].removesuffix("'s").removesuffix("’s")]
            for name in (some, bare):
                for spelling in (name, map(str.lower, name), [word[0].upper() + word[1:] for word in name if word]):
                    found.add(shortened(" ".join(spelling)))
    return found - {""}


class _Walk:
    """A walk from one entity, a step at a time."""

    def __init__(self, graph: GraphAdapter, space: str, entity: str) -> None:
        self._graph, self._space = graph, space
        self._start = key_of(space, entity)
        self.names: dict[str, str] = {self._start: shortened(entity)}
        self.border: list[str] = [self._start]
        self.came: dict[str, tuple[str, EntityStatement] | None] = {self._start: None}
        """From where each entity was reached, and by which statement."""

    async def is_there(self) -> bool:
        found = await self._graph.query(f"MATCH (n:Entity {{{KEY}: $key}}) RETURN n.name AS name", {"key": self._start})
        return bool(found.records)

    async def step(self) -> dict[str, list[EntityStatement]]:
        """The entities that one more step reaches, with the statements that lead there."""
        reached: dict[str, list[tuple[EntityStatement, str]]] = {}
        for start in range(0, len(self.border), _ASKED):
            for row in await _near(self._graph, self._space, self.border[start : start + _ASKED]):
                if row["key"] not in self.came:
                    self.names[row["key"]] = row["name"]
                    reached.setdefault(row["key"], []).append(
                        (_statement(row, self.names[row["origin"]]), row["origin"])
                    )
        for key, lines in reached.items():
            statement, origin = min(lines, key=lambda one: (one[1], one[0].fact_id))
            self.came[key] = origin, statement
        self.border = sorted(reached)
        return {key: [statement for statement, _ in lines] for key, lines in reached.items()}

    def back(self, key: str) -> tuple[list[str], list[EntityStatement]]:
        """The way back from an entity to the start."""
        keys, lines = [key], list[EntityStatement]()
        while (before := self.came[keys[-1]]) is not None:
            keys.append(before[0])
            lines.append(before[1])
        return keys, lines


async def _near(graph: GraphAdapter, space: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """What current facts say of these entities and others."""
    # A time with a sign is after the year 9999.
    query = (
        f"UNWIND $keys AS key MATCH (a:Entity {{{KEY}: key}})-[r]-(b:Entity) "
        "WHERE a.memorySpaceId = $space AND b.memorySpaceId = $space AND r.polarity = 'positive' "
        "AND (r.validUntil IS NULL OR r.validUntil > $now OR r.validUntil STARTS WITH '+') "
        f"RETURN DISTINCT key AS origin, b.{KEY} AS key, b.name AS name, startNode(r).{KEY} = key AS forward, "
        "r.factId AS fact, r.predicate AS predicate, r.confidence AS confidence"
    )
    values = {"keys": list(keys), "space": shortened(space), "now": iso_time(time.time() * 1000)}
    return (await graph.query(query, values, read=True)).records


def _statement(row: Mapping[str, Any], origin: str) -> EntityStatement:
    subject, object_ = (origin, row["name"]) if row["forward"] else (row["name"], origin)
    return EntityStatement(
        fact_id=row["fact"],
        subject=subject,
        predicate=row["predicate"],
        object=object_,
        confidence=row["confidence"],
    )


def _said(lines: Iterable[EntityStatement]) -> tuple[EntityStatement, ...]:
    return tuple(sorted(lines, key=lambda one: (one.fact_id, one.subject)))


# --- for recall -------------------------------------------------------------------------------------------------------

_FACTS = 200  # the most facts of one step


def graph_facts(graph: GraphAdapter, backend: Backend, *, depth: int = DEPTH) -> FactFinder:
    """A finder of facts for `recall`, as its option `facts`: what a search finds, and what is near in the graph.

    What the words of the query find comes first. Then come facts that are near the entities which it names: the current
    facts that mention one are one step away, those that mention another entity of such a fact are two steps away. They
    have the least score of those before, and half of that for each further step. The store is asked for each fact, so
    what is closed since, or is of another user, is left out.

    It raises the errors of the store and of `GraphAdapter.query`: if the graph is away, `recall` fails. Raises
    `InvalidArgument` for a depth that is not 1 to 5.
    """
    steps = check.whole(1, 5)("depth", depth)
    facts = Facts(backend)

    async def find(memory_space_id: str, query: str, *, user_id: str | None, limit: int) -> list[RecalledFact]:
        rows = await facts.search(memory_space_id=memory_space_id, query=query, user_id=user_id, limit=limit)
        stored = [FactRecord.from_row(row) for row in rows]
        best = max((fact.score or 0.0 for fact in stored), default=0.0) or 1.0
        found = [RecalledFact.of(fact, max(fact.score or 0.0, 0.0) / best) for fact in stored]
        known = {fact.fact_id for fact in found}
        least = min((fact.score for fact in found), default=1.0)
        for fact_id, step in await _near_facts(graph, memory_space_id, query, steps, limit):
            if len(found) >= limit:
                break
            if fact_id not in known:
                row = await facts.get(memory_space_id=memory_space_id, fact_id=fact_id)
                if row is not None and "closed" not in row and user_id in (None, row.get("userId")):
                    found.append(RecalledFact.of(FactRecord.from_row(row), least * 0.5 ** (step - 1)))
        return found

    return find


async def _near_facts(graph: GraphAdapter, space: str, query: str, depth: int, limit: int) -> list[tuple[str, int]]:
    """The ids of facts near the entities that a text names, with the steps that they are away."""
    border = {key_of(space, name) for name in await named_entities(graph, space, query)}
    known = set(border)
    found: dict[str, int] = {}
    for step in range(1, depth + 1):
        if not border or len(found) >= limit + _FACTS:
            break
        asked = (
            f"UNWIND $keys AS key MATCH (:Entity {{{KEY}: key}})<-[:MENTIONS]-(f:Fact) "
            "WHERE f.memorySpaceId = $space AND f.closed IS NULL "
            "WITH DISTINCT f ORDER BY f.confidence DESC, f.factId LIMIT $most "
            f"MATCH (f)-[:MENTIONS]->(b:Entity) RETURN f.factId AS fact, f.confidence AS confidence, b.{KEY} AS key"
        )
        values = {"keys": sorted(border), "space": shortened(space), "most": _FACTS}
        records = (await graph.query(asked, values, read=True)).records
        for record in sorted(records, key=lambda one: (-(one["confidence"] or 0), one["fact"])):
            found.setdefault(record["fact"], step)
        border = {record["key"] for record in records} - known
        known |= border
    return list(found.items())
