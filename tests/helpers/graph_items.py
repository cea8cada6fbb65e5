"""Items of `graphSync:getBatch`: one of each table, with everything that its record may have, and any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from cortex_rx.backends.contract.graph_records import RECORD
from cortex_rx.backends.contract.types import (
    Flag,
    Integer,
    Json,
    JsonObject,
    ListOf,
    Number,
    Object,
    OneOf,
    Text,
    Type,
)

__all__ = ["ITEMS", "item", "items"]

_TIME = 1_700_000_000_000
_TIMES = {"createdAt": _TIME, "updatedAt": _TIME + 1_500}


def item(table: str, entity_id: str, record: Mapping[str, Any] | None = None, **where: Any) -> dict[str, Any]:
    """An item; without a record, of one that is deleted."""
    given = {"revision": 7, "table": table, "entityId": entity_id, "attempts": 0, **where}
    return given if record is None else {**given, "record": {**record}}


_SPACE = {"memorySpaceId": "support"}
ITEMS: Mapping[str, dict[str, Any]] = {
    "memories": item(
        "memories",
        "m-1",
        {
            "memoryId": "m-1",
            **_SPACE,
            "content": "Ada lives in Bern. " * 20,
            "contentLength": 380,
            "contentType": "raw",
            "sourceType": "conversation",
            "sourceUserId": "ada",
            "sourceTimestamp": _TIME,
            "userId": "ada",
            "agentId": "helper",
            "participantId": "phone",
            "messageRole": "agent",
            "conversationRef": {"conversationId": "c-1", "messageIds": ["q-1", "a-1"]},
            "immutableRef": {"type": "fact", "id": "f-1", "version": 2},
            "mutableRef": {"namespace": "stock", "key": "pens", "snapshotAt": _TIME},
            "importance": 70.5,
            "tags": ["home", "größe"],
            "version": 3,
            "isPartial": False,
            "isArchived": True,
            "chunkCount": 4,
            **_TIMES,
        },
        **_SPACE,
    ),
    "conversations": item(
        "conversations",
        "c-1",
        {
            "conversationId": "c-1",
            **_SPACE,
            "type": "user-agent",
            "participants": {"userId": "ada", "agentId": "helper", "participantId": "phone"},
            "participantId": "desk",
            "messageCount": 2,
            **_TIMES,
        },
        **_SPACE,
    ),
    "facts": item(
        "facts",
        "f-1",
        {
            "factId": "f-1",
            **_SPACE,
            "fact": "Ada's favourite colour is blue.",
            "factType": "preference",
            "confidence": 90.5,
            "sourceType": "conversation",
            "userId": "ada",
            "participantId": "phone",
            "subject": "Ada",
            "predicate": "favouriteColor",
            "object": "blue",
            "polarity": "positive",
            "tense": "present",
            "tags": ["colours"],
            "sources": [
                {"conversationId": "c-1", "messageIds": ["q-1", "a-1"], "memoryId": "m-1", "start": 0, "end": 9},
                {"memoryId": "m-2"},
                {"conversationId": "c-2"},
                {"conversationId": "c-1", "messageIds": ["a-1", "q-2"]},
            ],
            "validFrom": _TIME - 86_400_000,
            "validUntil": 253_402_300_800_000,
            "knownFrom": _TIME,
            "supersedes": "f-0",
            "version": 2,
            **_TIMES,
        },
        **_SPACE,
    ),
    "contexts": item(
        "contexts",
        "x-2",
        {
            "contextId": "x-2",
            **_SPACE,
            "purpose": "refund",
            "parentId": "x-1",
            "parentMemorySpaceId": "sales",
            "rootId": "x-2",
            "depth": 1,
            "status": "completed",
            "conversationRef": {"conversationId": "c-1", "messageIds": ["q-1"]},
            "userId": "ada",
            "participants": ["support", "helper"],
            "grantedAccess": [{"memorySpaceId": "law", "scope": "read-only", "grantedAt": _TIME + 500}],
            "version": 2,
            "completedAt": _TIME + 1_500,
            **_TIMES,
        },
        **_SPACE,
    ),
    "memorySpaces": item(
        "memorySpaces",
        "support",
        {
            **_SPACE,
            "name": "Support",
            "type": "team",
            "participants": [{"id": "ada", "type": "user", "joinedAt": _TIME}],
            "status": "active",
            **_TIMES,
        },
    ),
    "users": item("users", "ada", {"userId": "ada", "version": 2, **_TIMES}),
    "agents": item(
        "agents",
        "helper",
        {
            "agentId": "helper",
            "name": "Helper",
            "description": "It helps.",
            "status": "active",
            "registeredAt": _TIME,
            "updatedAt": _TIME + 1_500,
        },
    ),
    "immutable": item(
        "immutable",
        "opening-hours",
        {
            "type": "article",
            "id": "opening-hours",
            "data": {"title": "Öffnungszeiten", "hours": {"from": 9, "to": 17.5}, "days": [1, 2, None]},
            "version": 2,
            "userId": "ada",
            "metadata": {"by": "ada"},
            **_TIMES,
        },
        entityType="article",
    ),
    "mutable": item(
        "mutable",
        "pens",
        {
            "namespace": "stock",
            "key": "pens",
            "value": {"blue": 12, "red": [1, 2.5]},
            "userId": "ada",
            "metadata": {"unit": "box"},
            "version": 5,
            **_TIMES,
        },
        namespace="stock",
    ),
}
"""By table."""


# --- any item ---------------------------------------------------------------------------------------------------------

_SPACED = {"memorySpaceId": "memorySpaceId"}
_TABLES: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "GraphMemory": ("memories", "memoryId", _SPACED),
    "GraphConversation": ("conversations", "conversationId", _SPACED),
    "GraphFact": ("facts", "factId", _SPACED),
    "GraphContext": ("contexts", "contextId", _SPACED),
    "GraphMemorySpace": ("memorySpaces", "memorySpaceId", {}),
    "GraphUser": ("users", "userId", {}),
    "GraphAgent": ("agents", "agentId", {}),
    "GraphImmutable": ("immutable", "id", {"entityType": "type"}),
    "GraphMutable": ("mutable", "key", {"namespace": "namespace"}),
}
"""By the name of the record: its table, its field for `entityId`, and those for what else says which it is."""

_ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_IDS = _ANY | st.sampled_from(
    ["ada", "Ada", "support", "sales", '["', '","', "\\", "\0", "é", "e\u0301", "x" * 1_001, "\0" * 999, "`", "\\u0060"]
)
_NUMBERS = st.integers(1 - 2**63, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _ANY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_ANY, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def items(draw: st.DrawFn, *tables: str) -> dict[str, Any]:
    """An item of one of these tables, or of any: deleted, or with a record such as the contract allows it."""
    kinds = [one for one in RECORD.of if isinstance(one, Object) and (not tables or _TABLES[one.name][0] in tables)]
    kind = draw(st.sampled_from(kinds))
    table, id_, where = _TABLES[kind.name]
    record = draw(_values(kind))
    there = draw(st.integers(0, 9)) > 0
    found = {name: record[field] for name, field in where.items()}
    return {**item(table, record[id_], record if there else None, **found), "revision": draw(st.integers(1, 2**63 - 1))}


def _values(of: Type) -> st.SearchStrategy[Any]:
    """What the contract allows."""
    match of:
        case Text(min=0):
            return _IDS | st.just("")
        case Text():
            return _IDS
        case Integer(min=least, max=most):
            return st.integers(least, most)
        case Number(min=low, max=high):
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case OneOf(values=words):
            return st.sampled_from(words)
        case Flag():
            return st.booleans()
        case Json():
            return _JSON
        case JsonObject():
            return st.dictionaries(_ANY, _JSON, max_size=3)
        case ListOf(item=inner):
            return st.lists(_values(inner), max_size=3)
        case Object(fields=known):
            return st.fixed_dictionaries(
                {field.name: _values(field.type) for field in known if field.required},
                optional={field.name: _values(field.type) for field in known if not field.required},
            )
    raise AssertionError(of)
