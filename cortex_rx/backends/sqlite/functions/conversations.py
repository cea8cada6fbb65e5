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
from cortex_rx.backends.sqlite.functions import paging, stream_reads
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import ConversationNotFound, InvalidArgument

__all__ = [
    "Message",
    "add_answer",
    "add_last",
    "add_messages",
    "chosen",
    "count",
    "enter",
    "erase_message",
    "find",
    "get",
    "get_message",
    "get_messages",
    "history",
    "leave",
    "list_rows",
    "message_of",
    "messages_of",
    "named",
    "page",
    "pending_of",
    "remove_message",
    "row_of",
    "set_metadata",
    "stored_message",
    "there",
    "whole",
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
    """After a stream was taken out of its conversation: an empty one that a stream has made is deleted, and what it
    was told by the stream is forgotten."""
    gone = tx.db.execute(
        "DELETE FROM conversations WHERE seq = :seq AND message_count = 0 AND given IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM streams WHERE space = :space AND conversation_seq = :seq AND state = 'open')",
        {"space": space, "seq": conversation},
    )
    if not gone.rowcount:
        tx.db.execute(_TOLD, {"seq": conversation})


# What it was given when a call made it; else what its streams tell of it, the first one first.
_TOLD = """
UPDATE conversations SET
    user_id = coalesce(json_extract(given, '$.userId'), (SELECT user_id FROM streams
        WHERE conversation_seq = :seq AND user_id IS NOT NULL ORDER BY seq LIMIT 1)),
    agent_id = coalesce(json_extract(given, '$.agentId'), (SELECT agent_id FROM streams
        WHERE conversation_seq = :seq AND agent_id IS NOT NULL ORDER BY seq LIMIT 1)),
    participant_id = coalesce(json_extract(given, '$.participantId'), (SELECT participant_id FROM streams
        WHERE conversation_seq = :seq AND participant_id IS NOT NULL ORDER BY seq LIMIT 1)),
    created = coalesce((SELECT created FROM streams
        WHERE conversation_seq = :seq AND given IS NULL ORDER BY seq LIMIT 1), created),
    type = coalesce((SELECT CASE WHEN user_id IS NULL THEN 'agent-agent' ELSE 'user-agent' END FROM streams
        WHERE conversation_seq = :seq AND given IS NULL ORDER BY seq LIMIT 1), type)
WHERE seq = :seq
"""


def add_messages(tx: Transaction, stream: sqlite3.Row, messages: list[Message]) -> None:
    """Put the messages of an exchange into its conversation, in the order of asking."""
    position, last = int(stream["message_count"]), stream["last_exchange"]
    # A message that was added while this was the newest exchange has its number, and stands behind it.
    if last is not None and last >= stream["seq"]:
        position = _place(tx, stream["conversation_seq"], stream["seq"], position)
        _shift(tx, stream["conversation_seq"], position, len(messages))
    _insert(tx, stream["conversation_seq"], position, stream["seq"], messages)


def add_answer(tx: Transaction, stream: sqlite3.Row, answer: Message) -> None:
    """Insert the answer's message just after the question's, which is there. Later messages move by one."""
    conversation = stream["conversation_seq"]
    position, exchange = _kept(tx, stream, stream["question"], stream["question_message"])
    _shift(tx, conversation, position + 1, 1)
    _insert(tx, conversation, position + 1, exchange, [answer])


def add_last(tx: Transaction, conversation: sqlite3.Row, message: Message) -> None:
    """Add a message behind all exchanges that were begun before: it has the number of the last one of the file."""
    row = tx.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'streams'").fetchone()
    exchange = 0 if row is None else int(row["seq"])
    _insert(tx, conversation["seq"], conversation["message_count"], exchange, [message])


def remove_message(tx: Transaction, stream: sqlite3.Row, text: int, message: str) -> None:
    """Remove a message of a stream, with this text and id. Later messages move up."""
    conversation = stream["conversation_seq"]
    position, _ = _kept(tx, stream, text, message)
    _remove(tx, conversation, position)


# By its index: SQLite takes all messages of a conversation for few.
_BY_ID = "SELECT * FROM messages INDEXED BY messages_by_id WHERE conversation = ? AND id = ?"


def stored_message(tx: Transaction, conversation: int, message: str) -> sqlite3.Row | None:
    """The row of the message with this id."""
    row: sqlite3.Row | None = tx.db.execute(_BY_ID, (conversation, message)).fetchone()
    return row


def erase_message(tx: Transaction, conversation: int, message: str) -> int | None:
    """Remove a message from a conversation, by its id. Later messages move up. Returns its text, which stays; None if
    it is not there."""
    row = stored_message(tx, conversation, message)
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


def row_of(row: sqlite3.Row) -> dict[str, Any]:
    """A conversation in the form of the contract, without its messages."""
    given = {} if row["given"] is None else json.loads(row["given"])
    participants = {
        "userId": row["user_id"],
        "agentId": row["agent_id"],
        "participantId": row["participant_id"],
        "memorySpaceIds": given.get("memorySpaceIds"),
    }
    metadata = None if row["metadata"] is None else json.loads(row["metadata"])
    told = {"participantId": row["made_by"], "metadata": metadata}
    return {
        "conversationId": row["id"],
        "memorySpaceId": row["space"],
        "type": row["type"],
        "participants": {key: value for key, value in participants.items() if value is not None},
        "messageCount": row["message_count"],
        "createdAt": row["created"],
        "updatedAt": row["updated"],
        **{key: value for key, value in told.items() if value is not None},
    }


def message_of(tx: Transaction, row: sqlite3.Row, limit: int | None = None) -> dict[str, Any]:
    """A message in the form of the contract, with at most `limit` code points of its content."""
    told = {
        "participantId": row["participant_id"],
        "metadata": None if row["metadata"] is None else json.loads(row["metadata"]),
    }
    return {
        "id": row["id"],
        "role": row["role"],
        "content": text_store.read_text(tx, row["text"], limit),
        "timestamp": row["timestamp"],
        **{key: value for key, value in told.items() if value is not None},
    }


def messages_of(tx: Transaction, conversation: int, first: int, stop: int) -> list[dict[str, Any]]:
    """The messages at the positions from `first` up to `stop`, with their full content."""
    rows = tx.db.execute(
        "SELECT * FROM messages WHERE conversation = ? AND position >= ? AND position < ? ORDER BY position",
        (conversation, first, stop),
    ).fetchall()
    return [message_of(tx, row) for row in rows]


_FIND = "SELECT * FROM conversations WHERE space = ? AND id = ?"


def named(tx: Transaction, space: str, conversation: str) -> sqlite3.Row | None:
    """The row of the conversation with this id in the memory space."""
    row: sqlite3.Row | None = tx.db.execute(_FIND, (space, conversation)).fetchone()
    return row


def find(tx: Transaction, args: dict[str, Any]) -> sqlite3.Row | None:
    """The row of a conversation; None if the memory space has none with this id. Raises `InvalidArgument` if the two
    ids stand swapped."""
    space, conversation = args["memorySpaceId"], args["conversationId"]
    found = named(tx, space, conversation)
    # It tells nothing that the same call with the ids in their places would not tell.
    if found is None and named(tx, conversation, space) is not None:
        accepted = "the id of a conversation: it is a memory space, which has a conversation with the id memorySpaceId"
        raise InvalidArgument("conversationId", conversation, f"{accepted}, so the two stand swapped")
    return found


def there(tx: Transaction, args: dict[str, Any]) -> sqlite3.Row:
    """The same, or `ConversationNotFound`."""
    row = find(tx, args)
    if row is None:
        raise ConversationNotFound("no conversation with this id in the memory space")
    return row


def whole(tx: Transaction, row: sqlite3.Row) -> dict[str, Any]:
    """A conversation with all messages and their full content, and the exchanges that have not ended."""
    messages = messages_of(tx, row["seq"], 0, row["message_count"])
    return {**row_of(row), "messages": messages, "pending": pending_of(tx, row)}


def get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`conversations:get`."""
    row = find(tx, args)
    return None if row is None else whole(tx, row)


def get_message(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`conversations:getMessage`."""
    conversation = find(tx, args)
    if conversation is None:
        return None
    row = stored_message(tx, conversation["seq"], args["messageId"])
    return None if row is None else message_of(tx, row)


def get_messages(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`conversations:getMessagesByIds`: in the order of the conversation."""
    conversation = find(tx, args)
    if conversation is None:
        return []
    wanted = dict.fromkeys(args["messageIds"])
    found = [stored_message(tx, conversation["seq"], one) for one in wanted]
    rows = sorted((row for row in found if row is not None), key=lambda row: int(row["position"]))
    return [message_of(tx, row) for row in rows]


def pending_of(tx: Transaction, conversation: sqlite3.Row) -> list[dict[str, Any]]:
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


_SHOWN = "(message_count > 0 OR given IS NOT NULL OR :pending)"
_DATED = "(:start IS NULL OR created >= :start) AND (:end IS NULL OR created <= :end)"
_NAMED = (
    "SELECT conversations.* FROM (SELECT DISTINCT value FROM json_each(:ids)) CROSS JOIN conversations"
    " ON space = :space AND id = value WHERE (:user IS NULL OR user_id = :user) AND (:type IS NULL OR type = :type)"
)
_OF_TYPE = "SELECT * FROM conversations WHERE space = :space AND type = '{}'"
_REST = f" AND seq > :after AND {_SHOWN} AND {_DATED}"
_TYPES = ("user-agent", "agent-agent")


def chosen(
    tx: Transaction, args: dict[str, Any], *, newest: bool = False, limit: int = -1, after: int = 0, offset: int = 0
) -> sqlite3.Cursor:
    """The rows of the conversations that the filters of a call let through, oldest or newest first, behind the one
    with the number `after`. What the call has no argument for narrows nothing."""
    if "conversationIds" in args:
        statement = f"{_NAMED}{_REST}"
    else:  # of each type in its order, by an index, and the two merged
        of_user = " AND user_id = :user" if "userId" in args else ""
        types = (kind for kind in _TYPES if args.get("type", kind) == kind)
        statement = " UNION ALL ".join(f"{_OF_TYPE.format(kind)}{of_user}{_REST}" for kind in types)
    return tx.db.execute(
        f"{statement} ORDER BY seq {'DESC' if newest else 'ASC'} LIMIT :limit OFFSET :offset",
        {
            "space": args["memorySpaceId"],
            "user": args.get("userId"),
            "type": args.get("type"),
            "pending": args.get("includePending", False),
            "start": args.get("dateStart"),
            "end": args.get("dateEnd"),
            "ids": json.dumps(args.get("conversationIds", [])),
            "after": after,
            "limit": limit,
            "offset": offset,
        },
    )


def list_rows(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`conversations:list`: newest first, without messages."""
    rows = chosen(tx, args, newest=True, limit=args["limit"], offset=args["offset"])
    return [row_of(row) for row in rows.fetchall()]


def page(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:page`: oldest first, without messages."""
    rows = chosen(tx, args, limit=args["limit"] + 1, after=paging.start_of(args)).fetchall()
    return paging.page(rows, args["limit"], row_of)


# '' is all of the memory space.
_COUNT = (
    "SELECT coalesce(sum(number), 0) FROM conversation_counts"
    " WHERE space = :space AND user_id = coalesce(:user, '') AND (:type IS NULL OR type = :type)"
)
# One without a message, that no call has made, has an open stream: else it would be deleted.
_HIDDEN = (
    "SELECT count(*) FROM (SELECT DISTINCT conversation_seq FROM streams WHERE space = :space AND state = 'open')"
    " CROSS JOIN conversations ON seq = conversation_seq WHERE message_count = 0 AND given IS NULL"
    " AND (:user IS NULL OR user_id = :user) AND (:type IS NULL OR type = :type)"
)


def count(tx: Transaction, args: dict[str, Any]) -> int:
    """`conversations:count`: the number that the triggers keep, without those that have only pending exchanges."""
    given = {"space": args["memorySpaceId"], "user": args.get("userId"), "type": args.get("type")}
    number: int = tx.db.execute(_COUNT, given).fetchone()[0]
    return number if args["includePending"] else number - int(tx.db.execute(_HIDDEN, given).fetchone()[0])


def history(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:getHistory`: a page of the messages. `offset` counts in the requested order, from `after` on."""
    row = there(tx, args)
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
    messages = messages_of(tx, row["seq"], first, end)
    has_last = stop == total and (start < total or total == 0) if ascending else start == 0
    pending = [
        one for one in pending_of(tx, row) if first <= one["position"] < end or (has_last and one["position"] == total)
    ]
    return {
        "messages": messages if ascending else messages[::-1],
        "pending": pending if ascending else pending[::-1],
        "total": total,
        "hasMore": stop < total,
        "conversationId": row["id"],
    }


def _position_of(tx: Transaction, conversation: int, message: str) -> int:
    row = stored_message(tx, conversation, message)
    if row is None:
        raise InvalidArgument("after", message, "the id of a message of this conversation")
    return int(row["position"])
