"""`conversations:*` that make a conversation, look for one by its participants, or add a message to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import conversations
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import ConversationExists, IdempotencyConflict, InvalidParticipants

__all__ = ["add_message", "create", "find_conversation", "get_or_create"]


def create(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:create`."""
    _check_participants(args["type"], args["participants"])
    row = conversations.named(tx, args["memorySpaceId"], args["conversationId"])
    if row is None:
        return _make(tx, args, args["conversationId"])
    same = (
        row["given"] is not None
        and row["type"] == args["type"]
        and json.loads(row["given"]) == args["participants"]
        and row["made_by"] == args.get("participantId")
        and _canonical(row["metadata"]) == _canonical(text_store.as_json(args, "metadata"))
    )
    if not same:
        raise ConversationExists("another conversation is stored under this id")
    return conversations.whole(tx, row)


def get_or_create(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:getOrCreate`."""
    _check_participants(args["type"], args["participants"])
    row = _find(tx, args["memorySpaceId"], args["type"], args["participants"])
    if row is None:
        conversation = args["conversationId"] if "conversationId" in args else f"conv-{tx.new_id()}"
        if conversations.named(tx, args["memorySpaceId"], conversation) is not None:
            raise ConversationExists("a conversation of others is stored under this id")
        return _make(tx, args, conversation)
    if row["given"] is None:  # a stream has made it: found by its user, it stays that of this user
        given = json.dumps({"userId": row["user_id"]}, ensure_ascii=False)
        tx.db.execute("UPDATE conversations SET given = ? WHERE seq = ?", (given, row["seq"]))
    return conversations.whole(tx, row)


def find_conversation(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`conversations:findConversation`."""
    row = _find(tx, args["memorySpaceId"], args["type"], args)
    return None if row is None else conversations.whole(tx, row)


def _check_participants(kind: str, participants: Mapping[str, Any]) -> None:
    if kind == "user-agent" and "userId" not in participants:
        raise InvalidParticipants('a conversation "user-agent" needs a userId')
    if kind == "agent-agent" and _parties(participants) is None:
        raise InvalidParticipants(
            'a conversation "agent-agent" needs two memorySpaceIds, or an agentId and another participantId'
        )


def _parties(participants: Mapping[str, Any]) -> str | None:
    """Who talks in a conversation between agents, as a key; None if they are fewer than two."""
    spaces = sorted(set(participants.get("memorySpaceIds", ())))
    if len(spaces) > 1:
        return json.dumps({"spaces": spaces}, ensure_ascii=False)
    agents = sorted({participants[name] for name in ("agentId", "participantId") if name in participants})
    return json.dumps({"agents": agents}, ensure_ascii=False) if len(agents) > 1 else None


_OF_USER = "SELECT * FROM conversations WHERE space = ? AND user_id = ? AND type = 'user-agent' ORDER BY seq LIMIT 1"
_OF_PARTIES = "SELECT * FROM conversations WHERE space = ? AND parties = ? ORDER BY seq LIMIT 1"


def _find(tx: Transaction, space: str, kind: str, participants: Mapping[str, Any]) -> sqlite3.Row | None:
    """The oldest conversation of the participants; None also if they are not enough to look for one."""
    key = participants.get("userId") if kind == "user-agent" else _parties(participants)
    if key is None:
        return None
    found: sqlite3.Row | None = tx.db.execute(
        _OF_USER if kind == "user-agent" else _OF_PARTIES, (space, key)
    ).fetchone()
    return found


_MAKE = (
    "INSERT INTO conversations (space, id, type, user_id, agent_id, participant_id, created, updated, given, parties,"
    " made_by, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _make(tx: Transaction, args: Mapping[str, Any], conversation: str) -> dict[str, Any]:
    given: dict[str, Any] = args["participants"]
    tx.db.execute(
        _MAKE,
        (
            *(args["memorySpaceId"], conversation, args["type"]),
            *(given.get("userId"), given.get("agentId"), given.get("participantId")),
            *(tx.now, tx.now, json.dumps(given, ensure_ascii=False)),
            _parties(given) if args["type"] == "agent-agent" else None,
            *(args.get("participantId"), text_store.as_json(args, "metadata")),
        ),
    )
    text_store.number_for(tx, args["memorySpaceId"])  # the memory space is there from now on
    row = conversations.named(tx, args["memorySpaceId"], conversation)
    assert row is not None
    return conversations.whole(tx, row)


def _canonical(metadata: str | None) -> str | None:
    """To be compared: the order of keys says nothing, and true is not 1."""
    return None if metadata is None else json.dumps(json.loads(metadata), sort_keys=True)


# --- messages ---------------------------------------------------------------------------------------------------------

# The messages that exchanges which have not ended, or may be given an answer yet, will store.
_TAKEN = (
    "SELECT EXISTS (SELECT 1 FROM streams WHERE space = ?1 AND conversation_seq = ?2 AND state = 'open'"
    " AND ?3 IN (question_message, answer_message))"
    " OR EXISTS (SELECT 1 FROM streams INDEXED BY streams_unanswered WHERE space = ?1 AND +conversation_seq = ?2"
    " AND (state = 'empty' OR (state = 'finished' AND reason = 'incomplete')) AND answer_message = ?3)"
)


def add_message(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:addMessage`."""
    row = conversations.there(tx, args)
    message = args["message"]
    stored = conversations.stored_message(tx, row["seq"], message["id"])
    if stored is None:
        if tx.db.execute(_TAKEN, (args["memorySpaceId"], row["seq"], message["id"])).fetchone()[0]:
            raise IdempotencyConflict("the id is that of an exchange's message")
        conversations.add_last(tx, row, _new_message(tx, args["memorySpaceId"], message))
        row = conversations.there(tx, args)
    elif not _is_same(tx, stored, message):
        raise IdempotencyConflict("another message is stored under this id")
    if args["includeMessages"]:
        return conversations.whole(tx, row)
    added = conversations.get_message(tx, {**args, "messageId": message["id"]})
    return {**conversations.row_of(row), "messages": [added], "pending": conversations.pending_of(tx, row)}


def _new_message(tx: Transaction, space: str, message: Mapping[str, Any]) -> conversations.Message:
    text = text_store.create(tx, space, message["content"])
    return (
        message["id"],
        message["role"],
        text,
        tx.now,
        message.get("participantId"),
        text_store.as_json(message, "metadata"),
    )


def _is_same(tx: Transaction, stored: sqlite3.Row, message: Mapping[str, Any]) -> bool:
    return (
        stored["role"] == message["role"]
        and stored["participant_id"] == message.get("participantId")
        and _canonical(stored["metadata"]) == _canonical(text_store.as_json(message, "metadata"))
        and text_store.length_of(tx, stored["text"]) == len(message["content"])
        and text_store.compare(tx, stored["text"], 0, message["content"])
    )
