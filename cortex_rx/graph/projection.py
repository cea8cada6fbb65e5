"""What the graph shows of a record: a pure function from an item of the outbox to nodes and edges.

>>> item = {"revision": 7, "table": "facts", "entityId": "f-1", "memorySpaceId": "support", "record": {
...     "fact": "Ada lives in Bern.", "subject": "Ada", "predicate": "livesIn", "object": "Bern",
...     "polarity": "positive", "tense": "present", "confidence": 90, "sources": [], "createdAt": 0}}
>>> for edge in project(item).edges:
...     print(edge.type, edge.start, "->", edge.end)
IN_SPACE Fact ["support","f-1"] -> MemorySpace ["support"]
MENTIONS Fact ["support","f-1"] -> Entity ["support","Ada"]
MENTIONS Fact ["support","f-1"] -> Entity ["support","Bern"]
LIVES_IN Entity ["support","Ada"] -> Entity ["support","Bern"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from cortex_rx.beliefs.predicates import PREDICATES
from cortex_rx.graph.schema import LABELS, PREDICATE_TYPES, RELATED, TABLES, key_of, shortened
from cortex_rx.graph.values import property_value

__all__ = ["Edge", "End", "Node", "Projection", "iso_time", "project"]

PREVIEW = 200
"""Code points of the content of a memory that its node has."""


# --- what comes out ---------------------------------------------------------------------------------------------------


class End(NamedTuple):
    """A node, as an edge names it: its label and its key."""

    label: str
    key: str

    def __str__(self) -> str:
        return f"{self.label} {self.key}"


class Node(NamedTuple):
    """A node, with all its properties but its key and its revision. None of them is None."""

    at: End
    parts: tuple[str, ...]
    """What its key is made of, in full."""
    properties: Mapping[str, Any]


class Edge(NamedTuple):
    """An edge, with all its properties but its owner and its revision. Two of one projection differ in type or ends."""

    type: str
    start: End
    end: End
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Projection:
    """What the graph shows of one record."""

    owner: End
    """The node of the record. As a text it is the `_owner` of its edges."""
    revision: int
    nodes: tuple[Node, ...]
    """The node. There is none if the record is gone: then the node in the graph goes. One whose label may be `bare`
    stays with no more than the properties of its key, as long as an edge of another record ends at it."""
    ends: tuple[Node, ...]
    """Nodes that need no record, and at which its edges end: with no more than the properties of their keys."""
    edges: tuple[Edge, ...]
    identity: Mapping[str, str]
    """The properties of the key of the node, also if the record is gone."""
    needs: Mapping[End, Mapping[str, str]]
    """The other records at whose nodes its edges end, as `graphSync:exists` takes them."""


def project(item: Mapping[str, Any]) -> Projection:
    """The projection of a record, as an item of `graphSync:getBatch` has it. Equal items have equal projections.

    Times are ISO 8601 in UTC, objects are JSON, and texts with an index are `shortened`.

    A fact keeps its node, with its times, when it is superseded. Only a fact that nothing has closed has an edge
    between its entities, so these edges say what holds. If it says that something is so now, and its predicate is one
    of `predicates.toml`, then the predicate in upper case is the type of the edge. Otherwise the type is `RELATED`.

    Raises `KeyError` for a table that no graph shows.
    """
    label = TABLES[item["table"]].name
    this = _bare(label, *(item[name] for name in _IDENTITY[label]))
    record: _Record | None = item.get("record")
    if record is None:
        return Projection(this.at, item["revision"], (), (), (), this.properties, {})
    node = this._replace(properties={**this.properties, **_properties(label, record)})
    lines = list(_LINES[label](this, item.get("memorySpaceId", ""), record)) if label in _LINES else []
    others = {end.at: end for line in lines for end in (line.start, line.end) if end.at != this.at}
    return Projection(
        this.at,
        item["revision"],
        (node,),
        tuple(end for end in others.values() if LABELS[end.at.label].bare),
        tuple(Edge(line.type, line.start.at, line.end.at, _present(line.properties)) for line in lines),
        this.properties,
        {at: _record_key(end) for at, end in others.items() if not LABELS[at.label].bare},
    )


# --- nodes ------------------------------------------------------------------------------------------------------------

_Record: TypeAlias = Mapping[str, Any]

_IDENTITY: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("Memory", "Conversation", "Fact", "Context"), ("memorySpaceId", "entityId")),
    **dict.fromkeys(("MemorySpace", "User", "Agent"), ("entityId",)),
    "Immutable": ("entityType", "entityId"),
    "Mutable": ("namespace", "entityId"),
}
"""The fields of an item that make the key of a node, by label."""
_TIMES = frozenset(
    (
        *("createdAt", "updatedAt", "completedAt", "registeredAt", "streamStartTime", "grantedAt"),
        *("validFrom", "validUntil", "knownFrom", "knownUntil"),
    )
)
_EPOCH = datetime(1970, 1, 1)
_CYCLE = 146_097 * 86_400_000  # milliseconds of 400 years, after which the calendar repeats itself


@lru_cache(1_000)  # most edges end at few nodes: a space, its users and agents
def _bare(label: str, *parts: str) -> Node:
    """The node with this label and these parts of its key."""
    names = LABELS[label].key
    shown = {name: shortened(part) for name, part in zip(names, parts, strict=True)}
    return Node(End(label, key_of(*parts)), parts, shown)


def _record_key(node: Node) -> dict[str, str]:
    names = _IDENTITY[node.at.label]
    return {"table": str(LABELS[node.at.label].table), **dict(zip(names, node.parts, strict=True))}


def _properties(label: str, record: _Record) -> dict[str, Any]:
    """The properties of a record's node, without those of its key."""
    shown = {**record, **_MADE[label](record)} if label in _MADE else record
    found = _present({name: shown.get(name) for name in LABELS[label].properties})
    for name in LABELS[label].indexed:
        if isinstance(value := found.get(name), str):
            found[name] = shortened(value)
    return found


def _present(values: _Record) -> dict[str, Any]:
    """The values that are not None, as properties."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        if name in _TIMES:
            found[name] = iso_time(value)
        elif isinstance(value, dict) or (isinstance(value, list) and not all(isinstance(one, str) for one in value)):
            found[name] = property_value(name, value)
        else:  # scalars and texts of the store, where they were checked
            found[name] = value
    return found


@lru_cache(100)  # a record names some of its times several times
def iso_time(milliseconds: float) -> str:
    """ISO 8601 in UTC. From the year 10,000 on, the year has a sign.

    >>> iso_time(1_700_000_000_123), iso_time(2**63 - 1)
    ('2023-11-14T22:13:20.123Z', '+292278994-08-17T07:12:55.807Z')
    """
    cycles, rest = divmod(int(milliseconds), _CYCLE)
    moment = (_EPOCH + timedelta(milliseconds=rest)).isoformat(timespec="milliseconds")
    year = int(moment[:4]) + 400 * cycles
    return f"{'+' * (year >= 10_000)}{year}{moment[4:]}Z"


def _of_memory(record: _Record) -> _Record:
    made: dict[str, Any] = {"content": record["content"][:PREVIEW]}
    if record["isPartial"]:
        made["estimatedTokens"] = record["contentLength"] // 4  # as everywhere, see `StreamMetrics`
        made |= record.get("partialMetadata", {})  # `updates`, `streamStartTime`
    return made


_MADE: Mapping[str, Callable[[_Record], _Record]] = {
    "Memory": _of_memory,
    "Conversation": lambda record: {**record["participants"], **record},
    "MemorySpace": lambda record: {"participantCount": len(record["participants"])},
}
"""Properties that a record has not as they stand, by label."""


# --- edges ------------------------------------------------------------------------------------------------------------


class _Line(NamedTuple):
    type: str
    start: Node
    end: Node
    properties: _Record = MappingProxyType({})


def _in_space(this: Node, space: str, record: _Record) -> _Line:
    return _Line("IN_SPACE", this, _bare("MemorySpace", space), {"createdAt": record["createdAt"]})


def _memory_lines(this: Node, space: str, record: _Record) -> Iterator[_Line]:
    yield _in_space(this, space, record)
    if source := record.get("conversationRef"):
        said = {"messageIds": source["messageIds"], "createdAt": record["createdAt"]}
        yield _Line("REFERENCES", this, _bare("Conversation", space, source["conversationId"]), said)
    if user := record.get("userId"):
        yield _Line("RELATES_TO", this, _bare("User", user))
    if agent := record.get("agentId"):
        yield _Line("RELATES_TO", this, _bare("Agent", agent))
    source = record.get("immutableRef")
    if source and source["type"] == "fact":
        yield _Line("SOURCED_FROM", this, _bare("Fact", space, source["id"]), {"version": source.get("version")})
    if participant := record.get("participantId"):
        yield _Line("STORED_BY", this, _bare("Participant", space, participant))


def _conversation_lines(this: Node, space: str, record: _Record) -> Iterator[_Line]:
    yield _in_space(this, space, record)
    those = record["participants"]
    if user := those.get("userId"):
        yield _Line("INVOLVES", this, _bare("User", user))
    if agent := those.get("agentId"):
        yield _Line("INVOLVES", this, _bare("Agent", agent))
    for participant in dict.fromkeys((those.get("participantId"), record.get("participantId"))):
        if participant:
            yield _Line("HAS_PARTICIPANT", this, _bare("Participant", space, participant))


def _fact_lines(this: Node, space: str, record: _Record) -> Iterator[_Line]:
    yield _in_space(this, space, record)
    subject, object_ = record.get("subject"), record.get("object")
    if subject:
        role = "both" if subject == object_ else "subject"
        yield _Line("MENTIONS", this, _bare("Entity", space, subject), {"role": role})
    if object_ and object_ != subject:
        yield _Line("MENTIONS", this, _bare("Entity", space, object_), {"role": "object"})
    if subject and object_ and record.get("predicate") and not record.get("closed"):
        yield _statement(this, _bare("Entity", space, subject), _bare("Entity", space, object_), record)
    messages: dict[str, dict[str, None]] = {}
    for source in record["sources"]:
        if conversation := source.get("conversationId"):
            messages.setdefault(conversation, {}).update(dict.fromkeys(source.get("messageIds", ())))
    for conversation, ids in messages.items():
        yield _Line("EXTRACTED_FROM", this, _bare("Conversation", space, conversation), {"messageIds": list(ids)})
    if participant := record.get("participantId"):
        yield _Line("EXTRACTED_BY", this, _bare("Participant", space, participant))
    if newer := record.get("supersededBy"):
        ended = {"version": record.get("version"), "reason": record.get("closed")}
        yield _Line("SUPERSEDES", _bare("Fact", space, newer), this, ended)


def _statement(this: Node, subject: Node, object_: Node, record: _Record) -> _Line:
    """What a fact says of its entities."""
    predicate, qualifier = PREDICATES.resolved(record["predicate"], record.get("qualifier"))
    holds = record["polarity"] == "positive" and record["tense"] == "present"
    said = {name: record.get(name) for name in ("polarity", "tense", "confidence", "validFrom", "validUntil")}
    return _Line(
        PREDICATE_TYPES.get(predicate, RELATED) if holds else RELATED,
        subject,
        object_,
        {"factId": this.properties["factId"], "predicate": predicate, "qualifier": qualifier, **said},
    )


def _context_lines(this: Node, space: str, record: _Record) -> Iterator[_Line]:
    yield _in_space(this, space, record)
    if user := record.get("userId"):
        yield _Line("INVOLVES", this, _bare("User", user))
    parent, owner = record.get("parentId"), record.get("parentMemorySpaceId")  # no owner: the parent is gone
    if parent and owner:
        yield _Line("CHILD_OF", this, _bare("Context", owner, parent), {"depth": record["depth"]})
    if source := record.get("conversationRef"):
        said = {"messageIds": source.get("messageIds")}
        yield _Line("TRIGGERED_BY", this, _bare("Conversation", space, source["conversationId"]), said)
    for other, grant in {grant["memorySpaceId"]: grant for grant in record.get("grantedAccess", ())}.items():
        said = {"scope": grant["scope"], "grantedAt": grant["grantedAt"]}
        yield _Line("GRANTS_ACCESS_TO", this, _bare("MemorySpace", other), said)


_LINES: Mapping[str, Callable[[Node, str, _Record], Iterator[_Line]]] = {
    "Memory": _memory_lines,
    "Conversation": _conversation_lines,
    "Fact": _fact_lines,
    "Context": _context_lines,
}
"""The edges of a record, by label."""
