"""`memories:*`: storing, reading and deleting memories. Searching is in `search`."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.sqlite import text_store, vectors
from cortex_rx.backends.sqlite.functions import conversations, fact_commits, tokens
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import IdempotencyConflict, InvalidArgument, MemoryNotFound

__all__ = [
    "ANSWERS",
    "CHUNKS",
    "around",
    "at",
    "described",
    "discard",
    "forget_stream",
    "get",
    "id_of",
    "is_there",
    "load",
    "missing",
    "remove",
    "row_of",
    "store",
]

_OPTIONAL = {
    "sourceUserId": "source_user_id",
    "sourceUserName": "source_user_name",
    "userId": "user_id",
    "agentId": "agent_id",
    "participantId": "participant_id",
    "messageRole": "role",
}


ANSWERS = (
    "SELECT memories.*, length, writes, touched, NULL AS chunk, NULL AS part, NULL AS start, NULL AS stop,"
    " NULL AS overlap FROM memories CROSS JOIN texts ON texts.id = memories.text"
)
"""The rows of memories that `row_of` takes."""
CHUNKS = (
    "SELECT memories.*, length, writes, touched, chunks.id AS chunk, part, start, stop, overlap"
    " FROM memories CROSS JOIN texts ON texts.id = memories.text CROSS JOIN chunks ON chunks.memory = memories.seq"
)
"""The same of chunks: each is read as the row of its answer, with its own columns."""


def row_of(tx: Transaction, row: sqlite3.Row, limit: int | None) -> dict[str, Any]:
    """A memory in the form of the contract, with at most `limit` code points of its content."""
    is_chunk = row["chunk"] is not None
    start, stop = (row["start"], row["stop"]) if is_chunk else (0, row["length"])
    end = stop if limit is None else min(stop, start + limit)
    result: dict[str, Any] = {
        "memoryId": row["chunk"] if is_chunk else row["id"],
        "memorySpaceId": row["space"],
        "content": "".join(text_store.read(tx, row["text"], start, end)),
        "contentLength": stop - start,
        **described(row),
        "accessCount": row["access_count"],
    }
    embedding = vectors.of(tx, row["seq"], row["part"] if is_chunk else vectors.WHOLE)
    if embedding is not None:
        result["embedding"] = embedding
    if row["metadata"] is not None:
        result["metadata"] = json.loads(row["metadata"])
    if row["archived"]:
        result["isArchived"] = True
    if row["partial"]:
        result["partialMetadata"] = _partial_metadata(tx, row)
    if is_chunk:
        result["chunkMetadata"] = {
            "parentMemoryId": row["id"],
            "chunkIndex": row["part"],
            "totalChunks": row["chunks"],
            "startOffset": start,
            "endOffset": stop,
            "hasOverlap": bool(row["overlap"]),
        }
    elif row["chunks"]:
        result["chunkCount"] = row["chunks"]
    return result


def described(row: sqlite3.Row) -> dict[str, Any]:
    """What is said of a memory, and of each chunk of it: all but its id, its content, and what was counted since."""
    partial = bool(row["partial"])
    return {
        "contentType": row["content_type"],
        "sourceType": row["source_type"],
        "sourceTimestamp": row["source_timestamp"],
        "importance": row["importance"],
        "tags": json.loads(row["tags"]),
        "version": row["version"],
        "createdAt": row["created"],
        "updatedAt": max(row["updated"], row["touched"]) if partial else row["updated"],
        "isPartial": partial,
        **_owners(row),
        **_references(row),
    }


def _owners(row: sqlite3.Row) -> dict[str, Any]:
    """By whom and for whom a memory is."""
    return {key: row[column] for key, column in _OPTIONAL.items() if row[column] is not None}


def _references(row: sqlite3.Row) -> dict[str, Any]:
    """What a memory refers to, by its row."""
    refs: dict[str, Any] = {} if row["refs"] is None else json.loads(row["refs"])
    if row["conversation"] is not None:
        messages = [row["message"]] if row["message"] is not None else []
        messages += refs.pop("messageIds", [])
        refs["conversationRef"] = {"conversationId": row["conversation"], "messageIds": messages}
    return refs


def _partial_metadata(tx: Transaction, row: sqlite3.Row) -> dict[str, Any]:
    stream = tx.db.execute("SELECT id, question, started FROM streams WHERE seq = ?", (row["stream"],)).fetchone()
    return {
        "userMessage": text_store.read_text(tx, stream["question"], HEAD_LENGTH),
        "streamId": stream["id"],
        "streamStartTime": stream["started"],
        "updates": row["writes"],
    }


def load(tx: Transaction, space: str, question: str | None, answer: str | None) -> list[dict[str, Any]]:
    """The stored memories of a question and its answer, in this order, with cut contents."""
    rows = tx.db.execute(
        # The +: or SQLite would go through all memories of the space in this order.
        f"{ANSWERS} WHERE memories.space = ? AND memories.id IN (?, ?) ORDER BY +seq",
        (space, question, answer),
    )
    return [row_of(tx, row, HEAD_LENGTH) for row in rows.fetchall()]


def get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`memories:get`: the full content, and the ids of the chunks."""
    key = (args["memorySpaceId"], args["memoryId"])
    row = tx.db.execute(f"{ANSWERS} WHERE memories.space = ? AND memories.id = ?", key).fetchone()
    if row is None:
        row = tx.db.execute(f"{CHUNKS} WHERE chunks.space = ? AND chunks.id = ?", key).fetchone()
    if row is None or (row["partial"] and not args["includePartial"]):
        return None
    result = row_of(tx, row, None)
    if "chunkCount" in result:
        ids = tx.db.execute("SELECT id FROM chunks WHERE memory = ? ORDER BY part", (row["seq"],))
        result["chunkIds"] = [chunk["id"] for chunk in ids.fetchall()]
    return result


_PLACE = """
WITH place (memory, part) AS (
    SELECT seq, NULL FROM memories WHERE space = :space AND id = :id
    UNION ALL SELECT memory, part FROM chunks WHERE space = :space AND id = :id
)
SELECT seq, conversation, part FROM place CROSS JOIN memories ON seq = memory
WHERE (partial = 0 OR :partial) AND (archived = 0 OR :archived) AND (:user IS NULL OR user_id = :user)
"""
_TURNS = (
    f"{ANSWERS} WHERE memories.space = :space AND conversation = :conversation"
    " AND (partial = 0 OR :partial) AND (archived = 0 OR :archived) AND (:user IS NULL OR user_id = :user) AND seq"
)
_TURNS_BEFORE = f"{_TURNS} < :seq ORDER BY seq DESC LIMIT :turns"
_TURNS_AFTER = f"{_TURNS} > :seq ORDER BY seq LIMIT :turns"
_SIBLINGS_BEFORE = f"{CHUNKS} WHERE memory = :seq AND part < :part ORDER BY part DESC LIMIT :turns"
_SIBLINGS_AFTER = f"{CHUNKS} WHERE memory = :seq AND part > :part ORDER BY part LIMIT :turns"


def around(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:around`: for each id, the nearest turns of its conversation and, for a chunk, its nearest siblings."""
    found: list[dict[str, Any]] = []
    for memory in args["memoryIds"]:
        given = {
            "space": args["memorySpaceId"],
            "user": args.get("userId"),
            "partial": args["includePartial"],
            "archived": args["includeArchived"],
            "id": memory,
            "turns": args["turns"],
        }
        place = tx.db.execute(_PLACE, given).fetchone()
        if place is None:
            continue
        given |= dict(place)
        before = _rows(tx, _SIBLINGS_BEFORE, given) + _rows(tx, _TURNS_BEFORE, given)
        after = _rows(tx, _SIBLINGS_AFTER, given) + _rows(tx, _TURNS_AFTER, given)
        found.append({"memoryId": memory, "before": before[::-1], "after": after})
    return found


def _rows(tx: Transaction, statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    return [row_of(tx, row, HEAD_LENGTH) for row in tx.db.execute(statement, values).fetchall()]


def id_of(tx: Transaction, seq: int, part: int) -> str | None:
    """The id of the memory of this number, or of this chunk of it (-1: not a chunk)."""
    if part < 0:
        row = tx.db.execute("SELECT id FROM memories WHERE seq = ?", (seq,)).fetchone()
    else:
        row = tx.db.execute("SELECT id FROM chunks WHERE memory = ? AND part = ?", (seq, part)).fetchone()
    return None if row is None else str(row[0])


def at(tx: Transaction, seq: int, part: int) -> dict[str, Any] | None:
    """The memory of this number, or this chunk of it (-1: not a chunk), with cut content; None if it is not there."""
    if part < 0:
        row = tx.db.execute(f"{ANSWERS} WHERE memories.seq = ?", (seq,)).fetchone()
    else:
        row = tx.db.execute(f"{CHUNKS} WHERE memories.seq = ? AND part = ?", (seq, part)).fetchone()
    return None if row is None else row_of(tx, row, HEAD_LENGTH)


_STORE = (
    "INSERT INTO memories (space, id, text, partial, content_type, source_type, source_user_id, source_user_name,"
    " source_timestamp, user_id, agent_id, participant_id, role, conversation, message, refs, importance, tags,"
    " created, updated, metadata) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# A chunk; an exchange whose memories are not stored yet; one that was closed without an answer, and may get one.
_TAKEN = (
    "SELECT EXISTS (SELECT 1 FROM chunks WHERE space = ?1 AND id = ?2)"
    " OR EXISTS (SELECT 1 FROM streams WHERE space = ?1 AND question_memory = ?2 AND state = 'open')"
    " OR EXISTS (SELECT 1 FROM streams WHERE space = ?1 AND memory = ?2"
    " AND (state = 'empty' OR (state = 'finished' AND reason = 'incomplete')))"
)


def store(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:store`: one memory that belongs to no exchange."""
    space = args["memorySpaceId"]
    if "memoryId" in args and (there := _stored_before(tx, args)) is not None:
        return row_of(tx, there, HEAD_LENGTH)
    memory = args["memoryId"] if "memoryId" in args else f"mem-{tx.new_id()}"
    conversation: dict[str, Any] = args.get("conversationRef", {})
    messages: list[str] = conversation.get("messageIds", [])
    refs: dict[str, Any] = {name: args[name] for name in ("immutableRef", "mutableRef") if name in args}
    if messages[1:]:
        refs["messageIds"] = messages[1:]
    text = text_store.create(tx, space, args["content"])
    text_store.finish(tx, text)
    made = tx.db.execute(
        _STORE,
        (
            *(space, memory, text, args["contentType"], args["sourceType"]),
            *(args.get("sourceUserId"), args.get("sourceUserName"), args.get("sourceTimestamp", tx.now)),
            *(args.get("userId"), args.get("agentId"), args.get("participantId"), args.get("messageRole")),
            *(conversation.get("conversationId"), messages[0] if messages else None),
            json.dumps(refs, ensure_ascii=False) if refs else None,
            *(args["importance"], json.dumps(args["tags"], ensure_ascii=False)),
            *(tx.now, tx.now, text_store.as_json(args, "metadata")),
        ),
    )
    vectors.add(tx, made.lastrowid or 0, vectors.WHOLE, args.get("embedding"), args.get("embeddingModel"))
    (stored,) = load(tx, space, memory, None)
    return stored


def _stored_before(tx: Transaction, args: dict[str, Any]) -> sqlite3.Row | None:
    """The memory that this call has stored before; None if the id is free. Raises `IdempotencyConflict` otherwise."""
    key = (args["memorySpaceId"], args["memoryId"])
    row: sqlite3.Row | None = tx.db.execute(f"{ANSWERS} WHERE memories.space = ? AND memories.id = ?", key).fetchone()
    if row is None:
        if tx.db.execute(_TAKEN, key).fetchone()[0]:
            raise IdempotencyConflict("the id is that of a chunk or of an exchange")
        return None
    first = tx.db.execute("SELECT text FROM memory_versions WHERE memory = ? AND version = 1", (row["seq"],)).fetchone()
    text = row["text"] if first is None else first["text"]
    same = (
        not row["partial"]
        and row["user_id"] == args.get("userId")
        and row["agent_id"] == args.get("agentId")
        and row["participant_id"] == args.get("participantId")
        and row["conversation"] == args.get("conversationRef", {}).get("conversationId")
        and text_store.length_of(tx, text) == len(args["content"])
        and text_store.compare(tx, text, 0, args["content"])
    )
    if not same:
        raise IdempotencyConflict("another content, owner or conversation is stored under this memory id")
    return row


def is_there(tx: Transaction, space: str, memory: str) -> bool:
    """Whether there is a memory with this id, which is no chunk, or a pending exchange that will make it."""
    found = tx.db.execute(
        "SELECT EXISTS (SELECT 1 FROM memories WHERE space = ?1 AND id = ?2) OR EXISTS (SELECT 1 FROM streams"
        " WHERE space = ?1 AND question_memory = ?2 AND state = 'open' AND NOT question_kept)",
        (space, memory),
    )
    return bool(found.fetchone()[0])


def missing(tx: Transaction, space: str, memory: str) -> Exception:
    """Why there is no memory with this id to delete: a chunk is only deleted with its answer."""
    answer = tx.db.execute(
        "SELECT memories.id FROM chunks JOIN memories ON memories.seq = chunks.memory"
        " WHERE chunks.space = ? AND chunks.id = ?",
        (space, memory),
    ).fetchone()
    if answer is not None:
        return InvalidArgument("memoryId", memory, f"{answer['id']}, its answer: a chunk is deleted only with it")
    return MemoryNotFound("no memory with this id in the memory space")


def remove(tx: Transaction, space: str, memory: str) -> None:
    """Delete a memory, its chunks, their words in the index, and its text if no message refers to it. A single chunk is
    not deleted.

    With the memory of an answer, its stream and the texts of former attempts are deleted. With the memory of an
    unanswered question, also the text that was written since it was asked again. With either memory of an exchange
    that has not ended, all of it is deleted, also if that of the question is not stored yet.
    """
    row = tx.db.execute("SELECT seq, stream FROM memories WHERE space = ? AND id = ?", (space, memory)).fetchone()
    if row is None:
        asked = tx.db.execute(
            "SELECT seq FROM streams WHERE space = ? AND question_memory = ? AND state = 'open' AND NOT question_kept",
            (space, memory),
        ).fetchone()
        if asked is None:
            raise missing(tx, space, memory)
        forget_stream(tx, asked["seq"])
        return
    texts = discard(tx, row["seq"])
    if row["stream"] is not None:
        forget_stream(tx, row["stream"])
    for text in texts:
        text_store.drop(tx, text)


_TEXTS = "SELECT text FROM memories WHERE seq = ?1 UNION SELECT text FROM memory_versions WHERE memory = ?1"


def discard(tx: Transaction, seq: int) -> list[int]:
    """Delete a memory by its number, its former versions and its chunks, and take it out of the index. Returns the
    texts, which the caller drops: a message may have them."""
    texts = [row["text"] for row in tx.db.execute(_TEXTS, (seq,)).fetchall()]
    for text in texts:
        text_store.unindex(tx, text)
    tx.db.execute("DELETE FROM chunks WHERE memory = ?", (seq,))
    tx.db.execute("DELETE FROM memories WHERE seq = ?", (seq,))  # its versions by a trigger
    return texts


def forget_stream(tx: Transaction, stream: int, *, leaves: bool = False) -> None:
    """Mark a stream as deleted, and drop the texts that only it refers to.

    It is taken out of its conversation if it `leaves`, or if no message of it is there.
    """
    row = tx.db.execute(
        "SELECT space, question, answer, conversation_seq, question_kept, facts FROM streams WHERE seq = ?", (stream,)
    ).fetchone()
    leaves = leaves or not row["question_kept"]
    attempts = tx.db.execute("SELECT text FROM attempts WHERE stream = ?", (stream,)).fetchall()
    tx.db.execute(
        "UPDATE streams SET state = 'deleted', question = NULL, answer = NULL, metadata = NULL, updated = ?,"
        " conversation_seq = CASE WHEN ? THEN NULL ELSE conversation_seq END WHERE seq = ?",
        (tx.now, leaves, stream),
    )
    if leaves:
        conversations.leave(tx, row["space"], row["conversation_seq"])
    tx.db.execute("DELETE FROM memories WHERE stream = ? AND partial", (stream,))
    tx.db.execute("DELETE FROM attempts WHERE stream = ?", (stream,))
    tokens.detach(tx, stream)
    if row["facts"]:
        fact_commits.forget(tx, stream)
    for text in [row["question"], row["answer"], *(attempt["text"] for attempt in attempts)]:
        if text is not None:
            text_store.drop(tx, text)
