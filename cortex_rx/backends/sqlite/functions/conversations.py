"""`conversations:*`: what was said, in order.

A conversation is known by its memory space and its id; so two spaces may use one id and never see each other's messages.
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


def add_messages(work: Transaction, stream: sqlite3.Row, messages: list[Message]) -> None:
    """Append messages to the conversation that this stream belongs to."""
    conversation, count = _grow(work, stream, len(messages))
    _insert(work, conversation, count, messages)


def _grow(work: Transaction, stream: sqlite3.Row, by: int) -> tuple[int, int]:
    """Count `by` more messages in the conversation that this stream belongs to; its number, and how many it had.

    It is made if there is none.  A participant not known yet is added.
    """
    owner = (stream["user_id"], stream["agent_id"], stream["participant_id"])
    row = work.db.execute(
        "SELECT seq, message_count FROM conversations WHERE space = ? AND id = ?",
        (stream["space"], stream["conversation"]),
    ).fetchone()
    if row is not None:
        work.db.execute(
            "UPDATE conversations SET user_id = coalesce(user_id, ?), agent_id = coalesce(agent_id, ?),"
            " participant_id = coalesce(participant_id, ?), message_count = message_count + ?, updated = ? WHERE seq = ?",
            (*owner, by, work.now, row["seq"]),
        )
        return int(row["seq"]), int(row["message_count"])
    kind = "agent-agent" if stream["user_id"] is None else "user-agent"
    made = work.db.execute(
        "INSERT INTO conversations (space, id, type, user_id, agent_id, participant_id, message_count, created, updated)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (stream["space"], stream["conversation"], kind, *owner, by, stream["created"], work.now),
    )
    assert made.lastrowid is not None
    return made.lastrowid, 0


def add_answer(work: Transaction, stream: sqlite3.Row, text: int, question: str, answer: Message) -> None:
    """Insert a message just behind that of the question, which has this text and id; what stands there moves on by one."""
    conversation, _ = _grow(work, stream, 1)
    row = work.db.execute(
        "SELECT position FROM messages WHERE text = ? AND conversation = ? AND id = ?", (text, conversation, question)
    ).fetchone()
    # By way of negative numbers, for no two messages may have one position at any time.
    work.db.execute(
        "UPDATE messages SET position = -position WHERE conversation = ? AND position > ?", (conversation, row[0])
    )
    work.db.execute(
        "UPDATE messages SET position = 1 - position WHERE conversation = ? AND position < 0", (conversation,)
    )
    _insert(work, conversation, row[0] + 1, [answer])


def remove_message(work: Transaction, stream: sqlite3.Row, text: int, message: str) -> None:
    """Take a message of a stream away, which has this text and id; what stands behind it moves up, and an empty conversation goes."""
    row = work.db.execute(
        "SELECT conversation, position FROM messages JOIN conversations ON seq = conversation"
        " WHERE text = ? AND space = ? AND messages.id = ?",
        (text, stream["space"], message),
    ).fetchone()
    conversation, position = row
    work.db.execute("DELETE FROM messages WHERE conversation = ? AND position = ?", (conversation, position))
    # By way of negative numbers, as in add_answer.
    work.db.execute(
        "UPDATE messages SET position = -position WHERE conversation = ? AND position > ?", (conversation, position)
    )
    work.db.execute(
        "UPDATE messages SET position = -position - 1 WHERE conversation = ? AND position < 0", (conversation,)
    )
    work.db.execute(
        "UPDATE conversations SET message_count = message_count - 1, updated = ? WHERE seq = ?",
        (work.now, conversation),
    )
    work.db.execute("DELETE FROM conversations WHERE seq = ? AND message_count = 0", (conversation,))


def _insert(work: Transaction, conversation: int, position: int, messages: list[Message]) -> None:
    work.db.executemany(
        "INSERT INTO messages (conversation, position, id, role, text, timestamp, participant_id, metadata)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        ((conversation, position + at, *message) for at, message in enumerate(messages)),
    )


def set_metadata(work: Transaction, stream: sqlite3.Row, text: int, message: str, metadata: str | None) -> None:
    """Replace the metadata of the message of this text and id, which is in the conversation that this stream belongs to."""
    work.db.execute(
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


def _messages(work: Transaction, conversation: int, first: int, stop: int) -> list[dict[str, Any]]:
    """The messages at the positions from `first` up to `stop`, contents whole."""
    rows = work.db.execute(
        "SELECT * FROM messages WHERE conversation = ? AND position >= ? AND position < ? ORDER BY position",
        (conversation, first, stop),
    ).fetchall()
    messages: list[dict[str, Any]] = []
    for row in rows:
        message: dict[str, Any] = {
            "id": row["id"],
            "role": row["role"],
            "content": text_store.read_text(work, row["text"]),
            "timestamp": row["timestamp"],
        }
        if row["participant_id"] is not None:
            message["participantId"] = row["participant_id"]
        if row["metadata"] is not None:
            message["metadata"] = json.loads(row["metadata"])
        messages.append(message)
    return messages


def _find(work: Transaction, args: dict[str, Any]) -> sqlite3.Row | None:
    found: sqlite3.Row | None = work.db.execute(
        "SELECT * FROM conversations WHERE space = ? AND id = ?", (args["memorySpaceId"], args["conversationId"])
    ).fetchone()
    return found


def get(work: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`conversations:get`: with all messages, contents whole."""
    row = _find(work, args)
    if row is None:
        return None
    return {**_row(row), "messages": _messages(work, row["seq"], 0, row["message_count"])}


def _filters(args: dict[str, Any]) -> dict[str, Any]:
    return {"space": args["memorySpaceId"], "user": args.get("userId"), "type": args.get("type")}


def list_rows(work: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`conversations:list`: newest first, without messages."""
    rows = work.db.execute(
        "SELECT * FROM conversations WHERE space = :space AND (:user IS NULL OR user_id = :user)"
        " AND (:type IS NULL OR type = :type) ORDER BY seq DESC LIMIT :limit",
        {**_filters(args), "limit": args["limit"]},
    )
    return [_row(row) for row in rows.fetchall()]


def count(work: Transaction, args: dict[str, Any]) -> int:
    """`conversations:count`."""
    row = work.db.execute(
        "SELECT count(*) FROM conversations WHERE space = :space AND (:user IS NULL OR user_id = :user)"
        " AND (:type IS NULL OR type = :type)",
        _filters(args),
    ).fetchone()
    number: int = row[0]
    return number


def history(work: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:getHistory`: a page of the messages; `offset` counts in the order asked for."""
    row = _find(work, args)
    if row is None:
        raise ConversationNotFound("no conversation of this id in the memory space")
    total = int(row["message_count"])
    offset = min(args["offset"], total)
    stop = min(offset + args["limit"], total)
    # Messages are only ever added, and move on where one gets between, so their positions have no gaps and a page is found without counting.
    if args["sortOrder"] == "asc":
        messages = _messages(work, row["seq"], offset, stop)
    else:
        messages = _messages(work, row["seq"], total - stop, total - offset)[::-1]
    return {"messages": messages, "total": total, "hasMore": stop < total, "conversationId": row["id"]}
