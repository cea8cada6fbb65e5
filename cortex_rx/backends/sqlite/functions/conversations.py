"""`conversations:*`: messages in order.

A conversation is identified by its memory space and its id. Two spaces may use the same id for two conversations.

It has the exchanges in the order in which they were asked. Its messages are those of exchanges that have ended, at
positions without gaps. An exchange that ends before one that was asked later is put in its place.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left
from typing import Any, TypeAlias

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import stream_reads
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import ConversationNotFound, InvalidArgument

__all__ = [
    "Message",
    "add_answer",
    "add_messages",
    "count",
    "enter",
    "erase_message",
    "get",
    "history",
    "leave",
    "list_rows",
    "remove_message",
    "set_metadata",
]

Message: TypeAlias = tuple[str, str, int, int, str | None, str | None]
"""id, role, text, timestamp, participantId, metadata (JSON)."""


def enter(tx: Transaction, args: dict[str, Any]) -> int:
    """The number of the conversation of a stream that begins. It is made if there is none.

    Participants that it does not have yet are added.
    """
    owner = (args.get("userId"), args.get("agentId"), args.get("participantId"))
    row = tx.db.execute(
        "SELECT seq, user_id, agent_id, participant_id FROM conversations WHERE space = ? AND id = ?",
        (args["memorySpaceId"], args["conversationId"]),
    ).fetchone()
    if row is None:
        kind = "agent-agent" if owner[0] is None else "user-agent"
        made = tx.db.execute(
            "INSERT INTO conversations (space, id, type, user_id, agent_id, participant_id, created, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (args["memorySpaceId"], args["conversationId"], kind, *owner, tx.now, tx.now),
        )
        assert made.lastrowid is not None
        return made.lastrowid
    if any(mine is not None and theirs is None for mine, theirs in zip(owner, row[1:], strict=True)):
        tx.db.execute(
            "UPDATE conversations SET user_id = coalesce(user_id, ?), agent_id = coalesce(agent_id, ?),"
            " participant_id = coalesce(participant_id, ?) WHERE seq = ?",
            (*owner, row["seq"]),
        )
    return int(row["seq"])


def leave(tx: Transaction, space: str, conversation: int) -> None:
    """After a stream was taken out of its conversation: an empty one is deleted, and what it was told by the stream
    is forgotten."""
    gone = tx.db.execute(
        "DELETE FROM conversations WHERE seq = :seq AND message_count = 0 AND NOT EXISTS"
        " (SELECT 1 FROM streams WHERE space = :space AND conversation_seq = :seq AND state = 'open')",
        {"space": space, "seq": conversation},
    )
    if not gone.rowcount:
        tx.db.execute(_TOLD, {"seq": conversation})


# What the streams of a conversation tell of it, the first one first.
_TOLD = """
UPDATE conversations SET
    user_id = (SELECT user_id FROM streams WHERE conversation_seq = :seq AND user_id IS NOT NULL ORDER BY seq LIMIT 1),
    agent_id = (SELECT agent_id FROM streams WHERE conversation_seq = :seq AND agent_id IS NOT NULL
        ORDER BY seq LIMIT 1),
    participant_id = (SELECT participant_id FROM streams WHERE conversation_seq = :seq AND participant_id IS NOT NULL
        ORDER BY seq LIMIT 1),
    (created, type) = (SELECT created, CASE WHEN user_id IS NULL THEN 'agent-agent' ELSE 'user-agent' END
        FROM streams WHERE conversation_seq = :seq ORDER BY seq LIMIT 1)
WHERE seq = :seq
"""


def add_messages(tx: Transaction, stream: sqlite3.Row, messages: list[Message]) -> None:
    """Put the messages of an exchange into its conversation, in the order of asking."""
    position, last = int(stream["message_count"]), stream["last_exchange"]
    if last is not None and last > stream["seq"]:
        position = _place(tx, stream["conversation_seq"], stream["seq"], position)
        _shift(tx, stream["conversation_seq"], position, len(messages))
    _insert(tx, stream["conversation_seq"], position, stream["seq"], messages)


def add_answer(tx: Transaction, stream: sqlite3.Row, answer: Message) -> None:
    """Insert the answer's message just after the question's, which is there. Later messages move by one."""
    conversation = stream["conversation_seq"]
    position, exchange = _kept(tx, stream, stream["question"], stream["question_message"])
    _shift(tx, conversation, position + 1, 1)
    _insert(tx, conversation, position + 1, exchange, [answer])


def remove_message(tx: Transaction, stream: sqlite3.Row, text: int, message: str) -> None:
    """Remove a message of a stream, with this text and id. Later messages move up."""
    conversation = stream["conversation_seq"]
    position, _ = _kept(tx, stream, text, message)
    _remove(tx, conversation, position)


def erase_message(tx: Transaction, conversation: int, message: str) -> int | None:
    """Remove a message from a conversation, by its id. Later messages move up. Returns its text, which stays; None if
    it is not there."""
    row = tx.db.execute(
        "SELECT position, text FROM messages WHERE conversation = ? AND id = ?", (conversation, message)
    ).fetchone()
    if row is None:
        return None
    _remove(tx, conversation, row["position"])
    return int(row["text"])


def _remove(tx: Transaction, conversation: int, position: int) -> None:
    tx.db.execute("DELETE FROM messages WHERE conversation = ? AND position = ?", (conversation, position))
    _shift(tx, conversation, position + 1, -1)
    _count(tx, conversation, -1)


def _kept(tx: Transaction, stream: sqlite3.Row, text: int, message: str) -> tuple[int, int]:
    """Position and exchange of a message that is there, with this text and id."""
    row = tx.db.execute(
        "SELECT position, exchange FROM messages WHERE text = ? AND conversation = ? AND id = ?",
        (text, stream["conversation_seq"], message),
    ).fetchone()
    return int(row["position"]), int(row["exchange"])


def _place(tx: Transaction, conversation: int, exchange: int, count: int) -> int:
    """The position of the first of `count` messages that does not stand before this exchange."""

    def exchange_at(position: int) -> int:
        found: int = tx.db.execute(
            "SELECT exchange FROM messages WHERE conversation = ? AND position = ?", (conversation, position)
        ).fetchone()[0]
        return found

    return bisect_left(range(count), exchange, key=exchange_at)


def _shift(tx: Transaction, conversation: int, position: int, by: int) -> None:
    """Move the messages from this position on."""
    # By way of negative numbers, since no two messages may have the same position at any time.
    tx.db.execute(
        "UPDATE messages SET position = -1 - (position + ?) WHERE conversation = ? AND position >= ?",
        (by, conversation, position),
    )
    tx.db.execute(
        "UPDATE messages SET position = -1 - position WHERE conversation = ? AND position < 0", (conversation,)
    )


def _insert(tx: Transaction, conversation: int, position: int, exchange: int, messages: list[Message]) -> None:
    _count(tx, conversation, len(messages))
    rows = ((conversation, position + at, exchange, *message) for at, message in enumerate(messages))
    tx.db.execute(_INSERT[len(messages)], [value for row in rows for value in row])


_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INTO = "INSERT INTO messages (conversation, position, exchange, id, role, text, timestamp, participant_id, metadata)"
_INSERT = {number: f"{_INTO} VALUES {', '.join([_ROW] * number)}" for number in (1, 2)}


def _count(tx: Transaction, conversation: int, by: int) -> None:
    tx.db.execute(
        "UPDATE conversations SET message_count = message_count + ?, updated = ? WHERE seq = ?",
        (by, tx.now, conversation),
    )


def set_metadata(tx: Transaction, stream: sqlite3.Row, text: int, message: str, metadata: str | None) -> None:
    """Replace the metadata of the message with this text and id in the stream's conversation."""
    tx.db.execute(
        "UPDATE messages SET metadata = ? WHERE text = ? AND id = ? AND conversation = ?",
        (metadata, text, message, stream["conversation_seq"]),
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
    """`conversations:get`: with all messages and their full content, and the exchanges that have not ended."""
    row = _find(tx, args)
    if row is None:
        return None
    messages = _messages(tx, row["seq"], 0, row["message_count"])
    return {**_row(row), "messages": messages, "pending": _pending(tx, row)}


def _pending(tx: Transaction, conversation: sqlite3.Row) -> list[dict[str, Any]]:
    """The exchanges that have not ended, in the order of asking."""
    count = int(conversation["message_count"])
    pending: list[dict[str, Any]] = []
    for stream in stream_reads.open_streams(tx, conversation["space"], conversation["seq"]):
        if stream["question_kept"]:
            position, _ = _kept(tx, stream, stream["question"], stream["question_message"])
        else:
            position = _place(tx, conversation["seq"], stream["seq"], count)
        pending.append({**stream_reads.pending_fields(tx, stream), "position": position})
    return pending


def _filters(args: dict[str, Any]) -> dict[str, Any]:
    return {
        "space": args["memorySpaceId"],
        "user": args.get("userId"),
        "type": args.get("type"),
        "pending": args["includePending"],
    }


_NARROWED = (
    " FROM conversations WHERE space = :space AND (message_count > 0 OR :pending)"
    " AND (:user IS NULL OR user_id = :user) AND (:type IS NULL OR type = :type)"
)


def list_rows(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`conversations:list`: newest first, without messages."""
    rows = tx.db.execute(
        f"SELECT *{_NARROWED} ORDER BY seq DESC LIMIT :limit", {**_filters(args), "limit": args["limit"]}
    )
    return [_row(row) for row in rows.fetchall()]


def count(tx: Transaction, args: dict[str, Any]) -> int:
    """`conversations:count`."""
    row = tx.db.execute(f"SELECT count(*){_NARROWED}", _filters(args)).fetchone()
    number: int = row[0]
    return number


def history(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:getHistory`: a page of the messages. `offset` counts in the requested order, from `after` on."""
    row = _find(tx, args)
    if row is None:
        raise ConversationNotFound("no conversation with this id in the memory space")
    total = int(row["message_count"])
    ascending = args["sortOrder"] == "asc"
    begin = 0
    if "after" in args:
        place = _position_of(tx, row["seq"], args["after"])
        begin = place + 1 if ascending else total - place
    start = min(begin + args["offset"], total)
    stop = min(start + args["limit"], total)
    # Positions have no gaps, since later messages move when one is inserted or removed. So a page is found without
    # counting.
    first, end = (start, stop) if ascending else (total - stop, total - start)
    messages = _messages(tx, row["seq"], first, end)
    has_last = stop == total and (start < total or total == 0) if ascending else start == 0
    pending = [
        one for one in _pending(tx, row) if first <= one["position"] < end or (has_last and one["position"] == total)
    ]
    return {
        "messages": messages if ascending else messages[::-1],
        "pending": pending if ascending else pending[::-1],
        "total": total,
        "hasMore": stop < total,
        "conversationId": row["id"],
    }


def _position_of(tx: Transaction, conversation: int, message: str) -> int:
    row = tx.db.execute(
        "SELECT position FROM messages WHERE conversation = ? AND id = ?", (conversation, message)
    ).fetchone()
    if row is None:
        raise InvalidArgument("after", message, "the id of a message of this conversation")
    return int(row["position"])
