"""`conversations:*`: messages in order.

A conversation is identified by its memory space and its id. Two spaces may use the same id for two conversations.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, TypeAlias

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import ConversationNotFound

__all__ = [
    "Message",
    "add_answer",
    "add_messages",
    "count",
    "get",
    "history",
    "list_rows",
    "remove_message",
    "set_metadata",
]

Message: TypeAlias = tuple[str, str, int, int, str | None, str | None]
"""id, role, text, timestamp, participantId, metadata (JSON)."""


def add_messages(tx: Transaction, stream: sqlite3.Row, messages: list[Message]) -> None:
    """Append messages to the conversation that this stream belongs to."""
    conversation, count = _grow(tx, stream, len(messages))
    _insert(tx, conversation, count, messages)


def _grow(tx: Transaction, stream: sqlite3.Row, by: int) -> tuple[int, int]:
    """Count `by` more messages in the stream's conversation. Returns its number, and how many messages it had.

    The conversation is made if there is none. Missing participants are added.
    """
    owner = (stream["user_id"], stream["agent_id"], stream["participant_id"])
    row = tx.db.execute(
        "SELECT seq, message_count FROM conversations WHERE space = ? AND id = ?",
        (stream["space"], stream["conversation"]),
    ).fetchone()
    if row is not None:
        tx.db.execute(
            "UPDATE conversations SET user_id = coalesce(user_id, ?), agent_id = coalesce(agent_id, ?),"
            " participant_id = coalesce(participant_id, ?), message_count = message_count + ?, updated = ?"
            " WHERE seq = ?",
            (*owner, by, tx.now, row["seq"]),
        )
        return int(row["seq"]), int(row["message_count"])
    kind = "agent-agent" if stream["user_id"] is None else "user-agent"
    made = tx.db.execute(
        "INSERT INTO conversations (space, id, type, user_id, agent_id, participant_id, message_count, created,"
        " updated)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (stream["space"], stream["conversation"], kind, *owner, by, stream["created"], tx.now),
    )
    assert made.lastrowid is not None
    return made.lastrowid, 0


def add_answer(tx: Transaction, stream: sqlite3.Row, text: int, question: str, answer: Message) -> None:
    """Insert a message just after the question's message, which has this text and id. Later messages move by one."""
    conversation, _ = _grow(tx, stream, 1)
    row = tx.db.execute(
        "SELECT position FROM messages WHERE text = ? AND conversation = ? AND id = ?", (text, conversation, question)
    ).fetchone()
    # By way of negative numbers, since no two messages may have the same position at any time.
    tx.db.execute(
        "UPDATE messages SET position = -position WHERE conversation = ? AND position > ?", (conversation, row[0])
    )
    tx.db.execute(
        "UPDATE messages SET position = 1 - position WHERE conversation = ? AND position < 0", (conversation,)
    )
    _insert(tx, conversation, row[0] + 1, [answer])


def remove_message(tx: Transaction, stream: sqlite3.Row, text: int, message: str) -> None:
    """Remove a message of a stream, with this text and id. Later messages move up. An empty conversation is deleted."""
    row = tx.db.execute(
        "SELECT conversation, position FROM messages JOIN conversations ON seq = conversation"
        " WHERE text = ? AND space = ? AND messages.id = ?",
        (text, stream["space"], message),
    ).fetchone()
    conversation, position = row
    tx.db.execute("DELETE FROM messages WHERE conversation = ? AND position = ?", (conversation, position))
    # By way of negative numbers, as in add_answer.
    tx.db.execute(
        "UPDATE messages SET position = -position WHERE conversation = ? AND position > ?", (conversation, position)
    )
    tx.db.execute(
        "UPDATE messages SET position = -position - 1 WHERE conversation = ? AND position < 0", (conversation,)
    )
    tx.db.execute(
        "UPDATE conversations SET message_count = message_count - 1, updated = ? WHERE seq = ?",
        (tx.now, conversation),
    )
    tx.db.execute("DELETE FROM conversations WHERE seq = ? AND message_count = 0", (conversation,))


def _insert(tx: Transaction, conversation: int, position: int, messages: list[Message]) -> None:
    tx.db.executemany(
        "INSERT INTO messages (conversation, position, id, role, text, timestamp, participant_id, metadata)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        ((conversation, position + at, *message) for at, message in enumerate(messages)),
    )


def set_metadata(tx: Transaction, stream: sqlite3.Row, text: int, message: str, metadata: str | None) -> None:
    """Replace the metadata of the message with this text and id in the stream's conversation."""
    tx.db.execute(
        "UPDATE messages SET metadata = ? WHERE text = ? AND id = ?"
        " AND conversation = (SELECT seq FROM conversations WHERE space = ? AND conversations.id = ?)",
        (metadata, text, message, stream["space"], stream["conversation"]),
    )


def _row(row: sqlite3.Row) -> dict[str, Any]:
    owner = {"userId": row["user_id"], "agentId": row["agent_id"], "participantId": row["participant_id"]}
    return {
        "conversationId": row["id"],
        "memorySpaceId": row["space"],
        "type": row["type"],
        "participants": {key: value for key, value in owner.items() if value is not None},
        "messageCount": row["message_count"],
        "createdAt": row["created"],
        "updatedAt": row["updated"],
    }


def _messages(tx: Transaction, conversation: int, first: int, stop: int) -> list[dict[str, Any]]:
    """The messages at the positions from `first` up to `stop`, with their full content."""
    rows = tx.db.execute(
        "SELECT * FROM messages WHERE conversation = ? AND position >= ? AND position < ? ORDER BY position",
        (conversation, first, stop),
    ).fetchall()
    messages: list[dict[str, Any]] = []
    for row in rows:
        message: dict[str, Any] = {
            "id": row["id"],
            "role": row["role"],
            "content": text_store.read_text(tx, row["text"]),
            "timestamp": row["timestamp"],
        }
        if row["participant_id"] is not None:
            message["participantId"] = row["participant_id"]
        if row["metadata"] is not None:
            message["metadata"] = json.loads(row["metadata"])
        messages.append(message)
    return messages


def _find(tx: Transaction, args: dict[str, Any]) -> sqlite3.Row | None:
    found: sqlite3.Row | None = tx.db.execute(
        "SELECT * FROM conversations WHERE space = ? AND id = ?", (args["memorySpaceId"], args["conversationId"])
    ).fetchone()
    return found


def get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`conversations:get`: with all messages and their full content."""
    row = _find(tx, args)
    if row is None:
        return None
    return {**_row(row), "messages": _messages(tx, row["seq"], 0, row["message_count"])}


def _filters(args: dict[str, Any]) -> dict[str, Any]:
    return {"space": args["memorySpaceId"], "user": args.get("userId"), "type": args.get("type")}


def list_rows(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`conversations:list`: newest first, without messages."""
    rows = tx.db.execute(
        "SELECT * FROM conversations WHERE space = :space AND (:user IS NULL OR user_id = :user)"
        " AND (:type IS NULL OR type = :type) ORDER BY seq DESC LIMIT :limit",
        {**_filters(args), "limit": args["limit"]},
    )
    return [_row(row) for row in rows.fetchall()]


def count(tx: Transaction, args: dict[str, Any]) -> int:
    """`conversations:count`."""
    row = tx.db.execute(
        "SELECT count(*) FROM conversations WHERE space = :space AND (:user IS NULL OR user_id = :user)"
        " AND (:type IS NULL OR type = :type)",
        _filters(args),
    ).fetchone()
    number: int = row[0]
    return number


def history(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:getHistory`: a page of the messages. `offset` counts in the requested order."""
    row = _find(tx, args)
    if row is None:
        raise ConversationNotFound("no conversation with this id in the memory space")
    total = int(row["message_count"])
    offset = min(args["offset"], total)
    stop = min(offset + args["limit"], total)
    # Positions have no gaps, since later messages move when one is inserted or removed. So a page is found without
    # counting.
    if args["sortOrder"] == "asc":
        messages = _messages(tx, row["seq"], offset, stop)
    else:
        messages = _messages(tx, row["seq"], total - stop, total - offset)[::-1]
    return {"messages": messages, "total": total, "hasMore": stop < total, "conversationId": row["id"]}
