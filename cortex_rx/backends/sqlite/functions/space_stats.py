"""`memorySpaces:getStats`: what is in a memory space, counted from its records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["of_participant", "stats"]

_DAY = 86_400_000
_WINDOWS = {"24h": _DAY, "7d": 7 * _DAY, "30d": 30 * _DAY, "90d": 90 * _DAY}  # milliseconds
_LEVELS = (("critical", 90), ("high", 70), ("medium", 40), ("low", 10))
_TAGS = 10

_BYTES = (
    "(SELECT coalesce(sum(length(CAST(body AS BLOB))), 0) FROM pieces WHERE place >= {text} << 32"
    " AND place < ({text} + 1) << 32)"
)
_MEMORIES = (
    f"SELECT importance, tags, {_BYTES.format(text='memories.text')} AS bytes FROM memories"  # noqa: S608
    " WHERE space = ? AND NOT partial AND NOT archived AND created >= ?"
)
_MESSAGES = (
    f"SELECT count(*), coalesce(sum({_BYTES.format(text='messages.text')}), 0),"  # noqa: S608
    f" coalesce(sum(CASE WHEN memories.seq IS NULL THEN {_BYTES.format(text='messages.text')} END), 0)"
    " FROM conversations CROSS JOIN messages ON messages.conversation = conversations.seq"
    " LEFT JOIN memories ON memories.text = messages.text AND NOT memories.partial AND NOT memories.archived"
    " AND memories.created >= ?2"
    " WHERE conversations.space = ?1 AND timestamp >= ?2"
)
_CONVERSATIONS = (
    "SELECT count(*) FROM conversations WHERE space = ? AND (message_count > 0 OR given IS NOT NULL) AND created >= ?"
)
_FACTS = (
    "SELECT count(*), coalesce(sum(length(CAST(body AS BLOB))), 0) FROM facts"
    " WHERE space = ? AND closed IS NULL AND created >= ?"
)


def stats(tx: Transaction, space: str, window: str) -> dict[str, Any]:
    """What was made in the memory space within the window."""
    since = _since(tx, window)
    levels: dict[str, int] = dict.fromkeys(("critical", "high", "medium", "low", "trivial"), 0)
    tags: Counter[str] = Counter()
    memories = stored = 0
    for row in tx.db.execute(_MEMORIES, (space, since)):
        memories += 1
        stored += row["bytes"]
        levels[_level(row["importance"])] += 1
        tags.update(set(json.loads(row["tags"])))
    messages, said, only_said = tx.db.execute(_MESSAGES, (space, since)).fetchone()
    facts, known = tx.db.execute(_FACTS, (text_store.number_of(tx, space), since)).fetchone()
    return {
        "memorySpaceId": space,
        "totalMemories": memories,
        "totalConversations": tx.db.execute(_CONVERSATIONS, (space, since)).fetchone()[0],
        "totalFacts": facts,
        "totalMessages": messages,
        "storage": {
            "conversationsBytes": said,
            "memoriesBytes": stored,
            "factsBytes": known,
            "totalBytes": only_said + stored + known,
        },
        "topTags": sorted(tags, key=lambda tag: (-tags[tag], tag))[:_TAGS],
        "importanceBreakdown": levels,
    }


def _since(tx: Transaction, window: str) -> int:
    return tx.now - _WINDOWS[window] if window in _WINDOWS else -1


def _level(importance: float) -> str:
    return next((name for name, least in _LEVELS if importance >= least), "trivial")


_NAMING = {
    "totalMemories": "SELECT count(*) FROM memories WHERE space = ?1 AND participant_id = ?3 AND NOT partial"
    " AND NOT archived AND created >= ?4",
    "totalConversations": "SELECT count(*) FROM conversations WHERE space = ?1 AND participant_id = ?3"
    " AND (message_count > 0 OR given IS NOT NULL) AND created >= ?4",
    "totalFacts": "SELECT count(*) FROM facts WHERE space = ?2 AND participant_id = ?3 AND closed IS NULL"
    " AND created >= ?4",
}


def of_participant(tx: Transaction, args: Mapping[str, Any], participant: str) -> dict[str, int]:
    """How many records of the memory space, made within the window, name a participant."""
    space = args["memorySpaceId"]
    values = (space, text_store.number_of(tx, space), participant, _since(tx, args["timeWindow"]))
    return {name: tx.db.execute(statement, values).fetchone()[0] for name, statement in _NAMING.items()}
