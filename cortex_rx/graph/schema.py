"""What the graph is made of: labels with their keys and properties, types of relationships with their ends; and the
constraints and indexes that a server must have.

>>> LABELS["Memory"].key, RELATIONSHIPS["MENTIONS"].ends
(('memorySpaceId', 'memoryId'), (('Fact', 'Entity'),))
>>> key_of("support", "mem-1")
'["support","mem-1"]'

The functions for the constraints ask the adapter. Here it is one of a server that has none, and makes none:

>>> import asyncio
>>> from cortex_rx.graph.dialects import NEO4J
>>> class Bare:
...     dialect = NEO4J
...     async def alter(self, statement):
...         return []
>>> report = asyncio.run(verify_graph_schema(Bare()))
>>> report.valid, report.missing[0]
(False, 'constraint on :Memory(_key)')
>>> asyncio.run(initialize_graph_schema(Bare()))
Traceback (most recent call last):
...
cortex_rx.errors.GraphSchemaError: the graph lacks constraint on :Memory(_key), ..., and the server does not make it
>>> asyncio.run(drop_graph_schema(Bare()))
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from cortex_rx import validation as check
from cortex_rx.beliefs.predicates import PREDICATES
from cortex_rx.errors import GraphQueryError, GraphSchemaError, InvalidArgument
from cortex_rx.graph.adapter import GraphAdapter
from cortex_rx.graph.ddl import DDL, Ddl, Rule
from cortex_rx.models.records import Record

__all__ = [
    "FENCE",
    "KEY",
    "LABELS",
    "OWNER",
    "PREDICATE_TYPES",
    "RELATED",
    "RELATIONSHIPS",
    "REVISION",
    "TABLES",
    "GraphSchemaReport",
    "Label",
    "Relationship",
    "drop_graph_schema",
    "initialize_graph_schema",
    "key_of",
    "shortened",
    "verify_graph_schema",
]

KEY = "_key"
"""The property of each node that is unique among those of its label."""
REVISION = "_rev"
"""The property of each node and edge: the revision of the outbox row from which it was written; 0 of a bare node."""
OWNER = "_owner"
"""The property of each edge: the label and the key of the record that says that there is this edge."""
FENCE = "CortexSync"
"""The label of the node that lets one drainer write at a time. It is of no record."""

_MOST = 1_000  # bytes of a text in a key, or with an index
_quoted = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Label:
    """A label of nodes."""

    name: str
    key: tuple[str, ...]
    """The properties whose values make the key, in their order."""
    properties: tuple[str, ...]
    """The other properties that a node may have."""
    indexed: tuple[str, ...] = ()
    """The properties with an index, so that nodes are found by them. Their texts are `shortened`."""
    table: str | None = None
    """The table of the records, by its name in the contract; None if no record is such a node."""
    bare: bool = False
    """Whether a node may be there without a record, with no more than its key, because an edge ends at it."""


@dataclass(frozen=True, slots=True)
class Relationship:
    """A type of relationships."""

    type: str
    ends: tuple[tuple[str, str], ...]
    """From which label to which: the pairs that there are."""
    properties: tuple[str, ...] = ()
    first: Literal["start", "end"] = "start"
    """The end that a statement should name first, since it has fewer edges: some servers look at all edges of the
    first one."""


_TIMES = ("createdAt", "updatedAt")

LABELS: Mapping[str, Label] = {
    label.name: label
    for label in (
        Label(
            "Memory",
            ("memorySpaceId", "memoryId"),
            (
                *("participantId", "userId", "agentId", "content", "contentLength", "contentType", "sourceType"),
                *("sourceUserId", "importance", "tags", "version", "isPartial", "isArchived", "chunkCount"),
                *("estimatedTokens", "updates", "streamStartTime", *_TIMES),
            ),
            (
                *("memoryId", "memorySpaceId", "importance", "sourceType", "userId", "contentType"),
                "createdAt",
            ),
            table="memories",
        ),
        Label(
            "Conversation",
            ("memorySpaceId", "conversationId"),
            ("participantId", "type", "userId", "agentId", "messageCount", *_TIMES),
            ("conversationId", "memorySpaceId", "type", "userId"),
            table="conversations",
        ),
        Label(
            "Fact",
            ("memorySpaceId", "factId"),
            (
                *("participantId", "userId", "fact", "factType", "subject", "predicate", "object", "qualifier"),
                *("polarity", "tense", "confidence", "sourceType", "tags", "version", "validFrom", "validUntil"),
                *("knownFrom", "knownUntil", "closed", "supersedes", "supersededBy", *_TIMES),
            ),
            ("factId", "memorySpaceId", "factType", "confidence", "subject", "sourceType"),
            table="facts",
        ),
        Label(
            "Context",
            ("memorySpaceId", "contextId"),
            (
                *("purpose", "status", "depth", "userId", "parentId", "rootId", "participants", "version"),
                *(*_TIMES, "completedAt"),
            ),
            ("contextId", "memorySpaceId", "status", "depth", "userId", "parentId"),
            table="contexts",
        ),
        Label(
            "MemorySpace",
            ("memorySpaceId",),
            ("name", "type", "status", "participantCount", *_TIMES),
            ("type", "status"),
            table="memorySpaces",
            bare=True,
        ),
        Label("User", ("userId",), ("version", *_TIMES), table="users", bare=True),
        Label("Participant", ("memorySpaceId", "participantId"), (), ("participantId",), bare=True),
        Label("Entity", ("memorySpaceId", "name"), (), ("name", "memorySpaceId"), bare=True),
        Label(
            "Agent",
            ("agentId",),
            ("name", "description", "status", "registeredAt", "updatedAt"),
            ("status",),
            table="agents",
            bare=True,
        ),
        Label(
            "Immutable",
            ("immutableType", "immutableId"),
            ("data", "version", "userId", "metadata", *_TIMES),
            ("immutableType",),
            table="immutable",
        ),
        Label(
            "Mutable",
            ("namespace", "key"),
            ("value", "version", "userId", "metadata", *_TIMES),
            ("namespace",),
            table="mutable",
        ),
    )
}
"""The labels, by name."""
TABLES: Mapping[str, Label] = {label.table: label for label in LABELS.values() if label.table}
"""The label of each table's records."""

RELATED = "RELATED"
"""The type of what a fact says, if its predicate has no type of its own."""
_SAID = ("factId", "predicate", "qualifier", "polarity", "tense", "confidence", "validFrom", "validUntil")

_STRUCTURE: tuple[Relationship, ...] = (
    Relationship(
        "IN_SPACE",
        tuple((label, "MemorySpace") for label in ("Memory", "Conversation", "Fact", "Context")),
        ("createdAt",),
    ),
    Relationship("REFERENCES", (("Memory", "Conversation"),), ("messageIds", "createdAt")),
    Relationship("RELATES_TO", (("Memory", "User"), ("Memory", "Agent"))),
    Relationship("SOURCED_FROM", (("Memory", "Fact"),), ("version",)),
    Relationship("STORED_BY", (("Memory", "Participant"),)),
    Relationship("INVOLVES", (("Conversation", "User"), ("Conversation", "Agent"), ("Context", "User"))),
    Relationship("HAS_PARTICIPANT", (("Conversation", "Participant"),)),
    Relationship("MENTIONS", (("Fact", "Entity"),), ("role",)),
    Relationship("EXTRACTED_FROM", (("Fact", "Conversation"),), ("messageIds",)),
    Relationship("EXTRACTED_BY", (("Fact", "Participant"),)),
    # The record of the former fact says it: a fact is superseded by one other, and may supersede many.
    Relationship("SUPERSEDES", (("Fact", "Fact"),), ("version", "reason"), first="end"),
    Relationship("CHILD_OF", (("Context", "Context"),), ("depth",)),
    Relationship("TRIGGERED_BY", (("Context", "Conversation"),), ("messageIds",)),
    Relationship("GRANTS_ACCESS_TO", (("Context", "MemorySpace"),), ("scope", "grantedAt")),
)

_TAKEN = {RELATED, *(one.type for one in _STRUCTURE)}
PREDICATE_TYPES: Mapping[str, str] = {name: name.upper() for name in PREDICATES if name.upper() not in _TAKEN}
"""The type of each predicate of `predicates.toml` that has one of its own. No predicate has that of the structure."""

RELATIONSHIPS: Mapping[str, Relationship] = {
    each.type: each
    for each in (
        *_STRUCTURE,
        # Most statements are about a few subjects, and say many things of them.
        *(
            Relationship(type_, (("Entity", "Entity"),), _SAID, first="end")
            for type_ in (*PREDICATE_TYPES.values(), RELATED)
        ),
    )
}
"""The types, by name. Messages between agents are no part of this package, so there is no SENT_TO."""


def key_of(*parts: str) -> str:
    """The key of a node: its parts as a JSON array. Two keys of one label are equal only if their parts are.

    A part that has more than 1,000 bytes as JSON is an array of its beginning and its SHA-256: servers refuse to index
    texts of some thousand bytes.

    >>> key_of("a,b", "c") == key_of("a", "b,c")
    False
    >>> key_of("support", "x" * 5_000)
    '["support",["xxx...xxx","c59d3c04..."]]'
    """
    return f"[{','.join(map(_part, parts))}]"


def _part(text: str) -> str:
    said = _quoted(text)
    if len(said) <= _MOST // 4 or len(said.encode()) <= _MOST:
        return said
    return f"[{_quoted(text[:100])},{_quoted(_digest(text))}]"


def shortened(text: str) -> str:
    """A text as a property with an index: one of more than 1,000 bytes is its beginning and its SHA-256.

    >>> shortened("Ada"), len(shortened("x" * 5_000))
    ('Ada', 1064)
    """
    if len(text) <= _MOST // 4 or len(whole := text.encode()) <= _MOST:
        return text
    return whole[:_MOST].decode(errors="ignore") + _digest(text)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


# --- constraints and indexes ------------------------------------------------------------------------------------------


class GraphSchemaReport(Record):
    """Whether a server has the constraints and indexes that the graph needs, and which are missing.

    >>> report = GraphSchemaReport(False, ["constraint on :Memory(_key)"])
    >>> print(report)
    the graph lacks constraint on :Memory(_key)
    >>> report["valid"]
    False
    """

    valid: bool
    """Whether nothing is missing."""
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return f"the graph lacks {', '.join(self.missing) or 'no constraint and no index'}"


def _rules() -> list[Rule]:
    unique = [Rule("constraint", label, KEY) for label in (*LABELS, FENCE)]
    return unique + [Rule("index", label.name, name) for label in LABELS.values() for name in label.indexed]


async def initialize_graph_schema(graph: GraphAdapter) -> None:
    """Make the constraints and indexes that are missing. Each is made by itself, so it may be called again after an
    error; data in the graph stays as it is.

    Raises `GraphSchemaError` if one cannot be made, which says which: another one is in its way, or two nodes have the
    same key. The cause is what the server said.
    """
    failed: GraphQueryError | None = None
    for rule in await _missing(graph):
        try:
            await graph.alter(_ddl(graph).create(rule))
        except GraphQueryError as error:  # somebody else may have made it at the same time
            failed = failed or error
    report = await verify_graph_schema(graph)
    if not report.valid:
        raise GraphSchemaError(f"{report}, and the server does not make it") from failed


async def verify_graph_schema(graph: GraphAdapter) -> GraphSchemaReport:
    """Say which constraints and indexes are missing. Those of other names count, too."""
    missing = await _missing(graph)
    return GraphSchemaReport(valid=not missing, missing=tuple(map(str, missing)))


async def drop_graph_schema(graph: GraphAdapter) -> None:
    """Drop what `initialize_graph_schema` makes. Nodes and edges stay, and so do constraints and indexes of other names
    (on Memgraph they have no names: those on the same properties are dropped).
    """
    ddl = _ddl(graph)
    there = await _there(graph)
    for rule in ddl.wanted(_rules()):
        if rule in there:
            await graph.alter(ddl.drop(rule))


def _ddl(graph: GraphAdapter) -> Ddl:
    name = getattr(getattr(graph, "dialect", None), "name", None)
    if not isinstance(name, str) or name not in DDL:
        raise InvalidArgument("graph", check.shown(graph), "a GraphAdapter, such as CypherGraphAdapter")
    return DDL[name]


async def _missing(graph: GraphAdapter) -> list[Rule]:
    there = await _there(graph)
    return [rule for rule in _ddl(graph).wanted(_rules()) if rule not in there]


async def _there(graph: GraphAdapter) -> set[Rule]:
    ddl = _ddl(graph)
    return {rule for statement in ddl.shown for rule in ddl.read(await graph.alter(statement))}
