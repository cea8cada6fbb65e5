"""A store with a memory space that has everything, and what can be read of it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_rx import Cortex, SqliteBackend
from cortex_rx.backends.contract.typed import Streams

THEIRS = "their-space"
SHARED = ("sqlite_", "terms", "fact_terms")
"""How tables begin whose rows are of the whole store: SQLite's own, and the words of the index."""


def _fact(user_message: str, text: str) -> list[dict[str, Any]]:
    if not user_message:
        return []
    return [{"fact": user_message, "factType": "identity", "confidence": 90, "subject": "their-subject"}]


@dataclass(frozen=True)
class World:
    """The store; the ids of what the space has, by the name of the argument; and ids that nobody has."""

    backend: SqliteBackend
    cortex: Cortex
    file: Path
    real: dict[str, str]
    unknown: dict[str, str]

    async def read(self) -> list[Any]:
        """Everything that can be read of the space."""
        space, query = {"memorySpaceId": THEIRS}, self.backend.query
        conversation = {**space, "conversationId": self.real["conversationId"]}
        return [
            await query("conversations:get", conversation),
            await query("conversations:list", {**space, "includePending": True}),
            await query("memories:list", {**space, "includePartial": True, "includeChunks": True}),
            await query("facts:list", {**space, "includeSuperseded": True}),
            await query("streams:list", conversation),
            await query("contexts:list", space),
        ]

    def rows(self) -> set[str]:
        """All rows of the file, but for those that stand for the whole store."""
        with closing(sqlite3.connect(self.file)) as db:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()]
            return {
                f"{table} {row}"
                for table in tables
                if not table.startswith(SHARED)
                for row in db.execute(f"SELECT * FROM {table}")
                if (table, row[0]) != ("spaces", 0)  # the counts of the whole store
            }


@asynccontextmanager
async def made_world(file: Path) -> AsyncIterator[World]:
    async with SqliteBackend(file, clock=lambda: 1_764_000_000.0) as backend, Cortex(backend) as cortex:
        turn = {"memory_space_id": THEIRS, "user_id": "their-user", "user_name": "Ada", "participant_id": "their-part"}
        stored = await cortex.memory.remember(
            turn,
            conversation_id="their-conversation",
            user_message="The secret is 4711.",
            agent_response="It is kept.",
            extract_facts=_fact,
            idempotency_key="their-key",
            tags=["their-tag"],
        )
        real = {
            "conversationId": "their-conversation",
            "messageId": stored.conversation.message_ids[0],
            "memoryId": stored.memories[0].memory_id,
            "factId": stored.facts[0].fact_id,
            "streamId": "their-stream",
            "userId": "their-user",
            "participantId": "their-part",
            "idempotencyKey": "their-key",
            "tag": "their-tag",
            "query": "secret",
            "subject": "their-subject",
        }
        stream = {"stream_id": "their-stream", "conversation_id": "their-conversation", "user_message": "Is it secret?"}
        owner = {"user_id": "their-user", "user_name": "Ada"}
        await Streams(backend).begin(
            memory_space_id=THEIRS, **stream, **owner, importance=50, tags=[], claim="their-claim"
        )
        for context, above in (("their-context", {}), ("their-part-of-it", {"parentId": "their-context"})):
            made = {"memorySpaceId": THEIRS, "contextId": context, "purpose": "secret", "userId": "their-user"}
            where = {"conversationRef": {"conversationId": "their-conversation"}}
            await backend.mutation("contexts:create", {**made, **where, **above})
        real |= dict.fromkeys(("contextId", "parentId", "rootId"), "their-context")
        real |= {"keepFactId": real["factId"], "id": real["messageId"], "after": real["messageId"]}
        yield World(backend, cortex, file, real, {name: f"nobodys-{name}" for name in real})
