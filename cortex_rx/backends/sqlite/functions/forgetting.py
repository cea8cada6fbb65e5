"""`memories:deleteMemory` and `memories:forget`: a memory, or what is remembered of a message, and the facts of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts import changes, extractions
from cortex_rx.backends.sqlite.facts.statements import having
from cortex_rx.backends.sqlite.functions import conversations, memories
from cortex_rx.backends.sqlite.functions.conversation_deletion import UNLINKED
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["delete", "forget", "retract_memory"]


def delete(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:deleteMemory`."""
    space, memory = args["memorySpaceId"], args["memoryId"]
    memories.remove(tx, space, memory)
    gone = _erase_facts(tx, space, [memory], []) if args["cascadeDeleteFacts"] else []
    _unqueue(tx, space, [memory])
    return {"deleted": True, "memoryId": memory, "factsDeleted": len(gone), "factIds": gone}


@dataclass(frozen=True, slots=True)
class _Target:
    """What is to be forgotten: the ids of memories and messages, and the stream that they are of."""

    memories: list[str]
    messages: list[str]
    stream: sqlite3.Row | None


def forget(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:forget`."""
    space, erase = args["memorySpaceId"], args["erase"]
    target = _target(tx, args)
    if target.stream is not None and target.messages:
        target.memories.extend(_naming(tx, target.stream, target.messages))
    there = [memory for memory in target.memories if memories.is_there(tx, space, memory)]
    said = erase and _is_source(tx, space, target)
    if erase:
        facts = _erase_facts(tx, space, target.memories, target.messages)
    else:
        facts = _retract_facts(tx, space, there, target.messages)
    messages = _erase_messages(tx, target) if erase else {}
    for memory in there:
        if memories.is_there(tx, space, memory):  # that of a question goes with a pending answer
            memories.remove(tx, space, memory)
    _unqueue(tx, space, target.memories)
    if not (there or messages or facts or said):
        raise memories.missing(tx, space, args.get("memoryId", ""))
    conversation_gone = _erase_stream(tx, target, messages) if erase else False
    return {
        "memoryDeleted": bool(there),
        "conversationDeleted": conversation_gone,
        "messagesDeleted": len(messages),
        "factsDeleted": len(facts),
        "factIds": facts,
        "restorable": not erase,
    }


# --- what it is -------------------------------------------------------------------------------------------------------

_STREAMS = "SELECT streams.* FROM streams WHERE space = ?1"
_BY_MESSAGE = f"{_STREAMS} AND (question_message = ?2 OR answer_message = ?2)"
_BY_MEMORY = f"{_STREAMS} AND (question_memory = ?2 OR memory = ?2)"
# The same by an index.
_IN_CONVERSATION = f"{_BY_MEMORY} AND conversation_seq = (SELECT seq FROM conversations WHERE space = ?1 AND id = ?3)"  # noqa: S608


def _target(tx: Transaction, args: dict[str, Any]) -> _Target:
    """The memory, or the message and the memory of it. To be erased, a memory has its message, and an exchange that has
    not ended all that it has."""
    space = args["memorySpaceId"]
    if (message := args.get("messageId")) is not None:
        stream = tx.db.execute(_BY_MESSAGE, (space, message)).fetchone()
        if stream is None:
            return _Target([], [message], None)
        question = stream["question_message"] == message
    else:
        memory = args["memoryId"]
        stream = _stream_of(tx, space, memory)
        if stream is None or not args["erase"]:
            return _Target([memory], [], stream)
        question = stream["question_memory"] == memory
    sides = {True: ("question_memory", "question_message"), False: ("memory", "answer_message")}
    whole = args["erase"] and stream["state"] == "open"
    chosen = [sides[side] for side in (True, False) if whole or side is question]
    return _Target([stream[memory] for memory, _ in chosen], [stream[message] for _, message in chosen], stream)


def _stream_of(tx: Transaction, space: str, memory: str) -> sqlite3.Row | None:
    """The stream of which this is the memory of the question or the answer, also if it was deleted."""
    row = tx.db.execute("SELECT conversation FROM memories WHERE space = ? AND id = ?", (space, memory)).fetchone()
    if row is None:
        found = tx.db.execute(_BY_MEMORY, (space, memory))
    else:
        found = tx.db.execute(_IN_CONVERSATION, (space, memory, row["conversation"]))
    stream: sqlite3.Row | None = found.fetchone()
    return stream


_NAMING = (
    "SELECT seq, id, message, refs FROM memories WHERE space = ? AND conversation = ? AND stream IS NULL"
    " AND (message = ? OR EXISTS (SELECT 1 FROM json_each(refs, '$.messageIds') WHERE value = ?))"
)


def _naming(tx: Transaction, stream: sqlite3.Row, messages: Iterable[str]) -> list[str]:
    """The memories that were stored alone and name one of these messages and no other. Those that name others too do
    not name it any more."""
    alone: list[str] = []
    own = (stream["question_memory"], stream["memory"])
    for message in messages:
        for row in tx.db.execute(_NAMING, (stream["space"], stream["conversation"], message, message)).fetchall():
            if row["id"] in own:
                continue
            refs: dict[str, Any] = {} if row["refs"] is None else json.loads(row["refs"])
            named = [row["message"], *refs.pop("messageIds", [])]
            first, *rest = [one for one in named if one != message] or [None]
            if first is None:
                alone.append(row["id"])
                continue
            if rest:
                refs["messageIds"] = rest
            kept = json.dumps(refs, ensure_ascii=False) if refs else None
            tx.db.execute("UPDATE memories SET message = ?, refs = ? WHERE seq = ?", (first, kept, row["seq"]))
    return alone


# --- the facts --------------------------------------------------------------------------------------------------------


def _is_source(tx: Transaction, space: str, target: _Target) -> bool:
    """Whether statements came from these."""
    number = text_store.number_of(tx, space)
    found = tx.db.execute(_SOURCE, (number, json.dumps(target.memories), json.dumps(target.messages)))
    return bool(found.fetchone()[0])


_SOURCE = (
    "SELECT EXISTS (SELECT 1 FROM statements WHERE space = ?1 AND memory IN (SELECT value FROM json_each(?2)))"
    " OR EXISTS (SELECT 1 FROM statement_messages WHERE space = ?1 AND message IN (SELECT value FROM json_each(?3)))"
)


def _erase_facts(tx: Transaction, space: str, memory_ids: Iterable[str], messages: Iterable[str]) -> list[str]:
    """Remove what statements say that came from these. Returns the ids of the facts that are gone."""
    number = text_store.number_of(tx, space)
    if number is None:
        return []
    gone = [fact for memory in memory_ids for fact in changes.erase(tx, number, memory=memory)]
    gone += [fact for message in messages for fact in changes.erase(tx, number, message=message)]
    return list(dict.fromkeys(gone))


def _retract_facts(tx: Transaction, space: str, memory_ids: Iterable[str], messages: list[str]) -> list[str]:
    """Close the facts that come from these alone. Returns their ids."""
    number = text_store.number_of(tx, space)
    if number is None:
        return []
    rows = [row for memory in memory_ids for row in having(tx, "space = ? AND memory = ?", (number, memory))]
    for message in messages:
        named = "seq IN (SELECT statement FROM statement_messages WHERE space = ? AND message = ?)"
        rows += [row for row in having(tx, named, (number, message)) if json.loads(row["messages"]) == [message]]
    own = {row["seq"] for row in rows}
    retracted: list[str] = []
    for fact in dict.fromkeys(row["belief"] for row in rows if row["belief"] is not None and row["until"] is None):
        if all(row["seq"] in own for row in having(tx, "belief = ? AND until IS NULL", (fact,))):
            retracted.append(tx.db.execute("SELECT id FROM facts WHERE seq = ?", (fact,)).fetchone()["id"])
            changes.retract(tx, number, fact)
    return retracted


def retract_memory(tx: Transaction, space: str, memory: str) -> None:
    """Let facts have nothing more of a memory: those that come from it alone are closed, and known as before until now;
    others lose it as a source. What was not read from it yet is not read any more."""
    _retract_facts(tx, space, [memory], [])
    if (number := text_store.number_of(tx, space)) is not None:
        changes.remove(tx, number, having(tx, "space = ? AND memory = ? AND until IS NULL", (number, memory)))
    _unqueue(tx, space, [memory])


def _unqueue(tx: Transaction, space: str, memory_ids: Iterable[str]) -> None:
    """Read no facts from these any more."""
    if (number := text_store.number_of(tx, space)) is not None:
        for memory in memory_ids:
            extractions.drop_memory(tx, number, memory)


# --- the messages -----------------------------------------------------------------------------------------------------


def _erase_messages(tx: Transaction, target: _Target) -> dict[str, int]:
    """Remove the messages from their conversation. Returns the texts of those that were there."""
    if target.stream is None or target.stream["conversation_seq"] is None:
        return {}
    texts = {one: conversations.erase_message(tx, target.stream["conversation_seq"], one) for one in target.messages}
    return {message: text for message, text in texts.items() if text is not None}


def _erase_stream(tx: Transaction, target: _Target, texts: dict[str, int]) -> bool:
    """Mark the stream as deleted, and drop the texts of its messages. Returns whether its conversation is gone."""
    stream = target.stream
    if stream is None:
        return False
    conversation = stream["conversation_seq"]
    both = (conversation, stream["question_message"], stream["answer_message"])
    left = tx.db.execute(
        "SELECT EXISTS (SELECT 1 FROM messages INDEXED BY messages_by_id WHERE conversation = ? AND id IN (?, ?))", both
    )
    memories.forget_stream(tx, stream["seq"], leaves=not left.fetchone()[0])
    for text in texts.values():
        text_store.drop(tx, text)
    if conversation is None:
        return False
    gone = tx.db.execute("SELECT 1 FROM conversations WHERE seq = ?", (conversation,)).fetchone() is None
    named = (stream["space"], stream["conversation"])
    if gone:
        tx.db.execute(UNLINKED, named)
    else:
        tx.db.execute(_UNNAMED, (*named, json.dumps([*texts])))
    return gone


# Contexts that come from these messages come from the others of them alone.
_UNNAMED = """
UPDATE contexts SET messages = (SELECT json_group_array(value) FROM json_each(messages)
    WHERE value NOT IN (SELECT value FROM json_each(?3)))
WHERE space = ?1 AND conversation = ?2
    AND EXISTS (SELECT 1 FROM json_each(messages) WHERE value IN (SELECT value FROM json_each(?3)))
"""
