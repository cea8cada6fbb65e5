"""`conversations:deleteConversation` and `conversations:deleteMany`: conversations go, with what is asked for.

What stays names nothing that is gone: neither a memory nor a context has the conversation, nor a source of a fact.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts import changes, extractions
from cortex_rx.backends.sqlite.facts.statements import having
from cortex_rx.backends.sqlite.functions import conversations, leases, memories, stream_ends, stream_reads
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["UNLINKED", "delete", "delete_many"]

_MOST_MESSAGES, _MOST_CONVERSATIONS = 10_000, 1_000  # of a call that deletes many


def delete(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:deleteConversation`."""
    row = conversations.there(tx, args)
    _check_free(tx, args["memorySpaceId"], [row])
    deletion = _Deletion(args["deleteMemories"], args["deleteFacts"])
    messages = deletion.delete(tx, row)
    return {"deleted": True, "conversationId": row["id"], "messagesDeleted": messages, **deletion.fields()}


def delete_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:deleteMany`."""
    narrowed = {**args, "includePending": True}
    _check_free(tx, args["memorySpaceId"], conversations.chosen(tx, narrowed))
    deletion = _Deletion(args["deleteMemories"], args["deleteFacts"])
    messages, deleted, more = 0, list[str](), False
    for row in conversations.chosen(tx, narrowed, limit=_MOST_CONVERSATIONS + 1).fetchall():
        if messages >= _MOST_MESSAGES or len(deleted) == _MOST_CONVERSATIONS:
            more = True
            break
        messages += deletion.delete(tx, row)
        deleted.append(row["id"])
    return {
        "deleted": len(deleted),
        "totalMessagesDeleted": messages,
        "conversationIds": deleted,
        "hasMore": more,
        **deletion.fields(),
    }


_OPEN = (
    "SELECT streams.id, conversation_seq, lease, term FROM streams CROSS JOIN texts ON texts.id = answer"
    " WHERE streams.space = ? AND state = 'open'"
)


def _check_free(tx: Transaction, space: str, rows: Iterable[sqlite3.Row]) -> None:
    """`StillOwned` if somebody writes a stream of one of these conversations."""
    owned = {row["conversation_seq"]: row for row in tx.db.execute(_OPEN, (space,)) if leases.is_owned(tx, row)}
    if owned:
        for row in rows:
            if row["seq"] in owned:
                leases.check_free(tx, owned[row["seq"]])


@dataclass(slots=True)
class _Deletion:
    """What goes with the conversations, and what went."""

    memories_too: bool
    facts_too: bool
    memories: int = 0
    facts: list[str] = field(default_factory=list[str])

    def fields(self) -> dict[str, Any]:
        facts = list(dict.fromkeys(self.facts))
        return {"memoriesDeleted": self.memories, "factsDeleted": len(facts), "factIds": facts}

    def delete(self, tx: Transaction, row: sqlite3.Row) -> int:
        """Delete a conversation. Returns how many messages it had."""
        for stream in stream_reads.open_streams(tx, row["space"], row["seq"]):
            stream_ends.remove(tx, stream)  # an empty conversation goes with the last of them
        messages = tx.db.execute("SELECT id, text FROM messages WHERE conversation = ?", (row["seq"],)).fetchall()
        tx.db.execute("DELETE FROM messages WHERE conversation = ?", (row["seq"],))
        streams = tx.db.execute("SELECT seq FROM streams WHERE conversation_seq = ?", (row["seq"],)).fetchall()
        tx.db.execute(
            "UPDATE streams SET conversation_seq = NULL, conversation = '' WHERE conversation_seq = ?", (row["seq"],)
        )
        remembered = tx.db.execute(_REMEMBERED, (row["space"], row["id"])).fetchall()
        gone = [one["id"] for one in remembered] if self.memories_too else []
        self._facts_of(tx, row, [one["id"] for one in messages], gone)
        for memory in gone:
            memories.remove(tx, row["space"], memory)
        self.memories += len(gone)
        if not gone:
            tx.db.execute(_UNNAMED, (row["space"], row["id"]))
        tx.db.execute(UNLINKED, (row["space"], row["id"]))
        for stream in streams:
            _forget(tx, stream["seq"])
        for message in messages:
            text_store.drop(tx, message["text"])
        tx.db.execute("DELETE FROM conversations WHERE seq = ?", (row["seq"],))
        return int(row["message_count"])

    def _facts_of(self, tx: Transaction, row: sqlite3.Row, messages: list[str], gone: list[str]) -> None:
        """Remove or detach what facts have of the conversation."""
        if (space := text_store.number_of(tx, row["space"])) is None:
            return
        for memory in gone:
            extractions.drop_memory(tx, space, memory)
        said = having(tx, "space = ? AND conversation = ?", (space, row["id"]))
        # What names only a message or a memory.
        said += having(tx, _BY_MESSAGE, (space, json.dumps(messages)))
        said += having(tx, _BY_MEMORY, (space, json.dumps(gone)))
        rows = list({one["seq"]: one for one in said}.values())
        deleted = changes.Deleted(row["id"], frozenset(messages), frozenset(gone))
        if self.facts_too:
            self.facts += changes.remove(tx, space, [one for one in rows if not deleted.leaves(one)])
            rows = [one for one in rows if deleted.leaves(one)]
        changes.forget_places(tx, space, rows, deleted)


_REMEMBERED = "SELECT id FROM memories WHERE space = ? AND conversation = ?"
_UNNAMED = (
    "UPDATE memories SET conversation = NULL, message = NULL,"
    " refs = nullif(json_remove(refs, '$.messageIds'), '{}') WHERE space = ? AND conversation = ?"
)
UNLINKED = "UPDATE contexts SET conversation = NULL, messages = NULL WHERE space = ? AND conversation = ?"
_BY_MESSAGE = (
    "conversation IS NULL AND seq IN (SELECT statement FROM statement_messages"
    " WHERE space = ? AND message IN (SELECT value FROM json_each(?)))"
)
_BY_MEMORY = "space = ? AND memory IN (SELECT value FROM json_each(?))"


def _forget(tx: Transaction, stream: int) -> None:
    """Delete a stream that has ended, unless it went with a memory."""
    state = tx.db.execute("SELECT state FROM streams WHERE seq = ?", (stream,)).fetchone()["state"]
    if state != "deleted":
        memories.forget_stream(tx, stream)
