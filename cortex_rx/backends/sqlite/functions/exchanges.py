"""What an exchange stores: its messages in the conversation, and its memories.

A stream goes from open to finished, with both messages and both memories, or to empty, with the marked question alone.
An empty stream may be opened again; then the stored question is completed when the answer comes. A finished stream may
be opened again if its answer is incomplete; then the answer is withdrawn first.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.sqlite import text_store, vectors
from cortex_rx.backends.sqlite.functions import conversations
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["INCOMPLETE", "add_partial", "question_of", "reopen", "store_answer", "store_unanswered", "withdraw"]

INCOMPLETE = "incomplete"
"""The reason of an answer that was cut short. It may be completed."""

# A memory of a stream takes from the stream what both its memories have in common.
_ADD = (
    "INSERT INTO memories (seq, space, id, text, stream, partial, content_type, source_type, source_user_id,"
    " source_user_name, source_timestamp, user_id, agent_id, participant_id, role, conversation, message,"
    " importance, tags, created, updated, metadata)"
    " SELECT {seq}, space, :id, :text, :stream, :partial, :content_type, 'conversation', user_id, user_name,"
    " started, user_id,"
    " agent_id, participant_id, :role, conversation, :message, importance, :tags, created, :now, metadata"
    " FROM streams WHERE seq = :of"
)
# Two numbers are taken: the one before the answer's is for the question, which becomes a memory later.
_ADD_ANSWER = _ADD.format(seq="coalesce(:seq, (SELECT seq FROM sqlite_sequence WHERE name = 'memories') + 2, 2)")
_ADD_QUESTION = _ADD.format(seq="(SELECT seq - 1 FROM memories WHERE stream = :of AND partial)")


def add_partial(tx: Transaction, stream: sqlite3.Row | Mapping[str, Any], seq: int | None = None) -> None:
    """Make the partial memory of the stream's answer. `seq` is its position in the order; None is the last."""
    tx.db.execute(
        _ADD_ANSWER,
        {
            "seq": seq,
            "of": stream["seq"],
            "id": stream["memory"],
            "text": stream["answer"],
            "stream": stream["seq"],
            "partial": 1,
            "content_type": "raw",
            "role": "agent",
            "message": None,
            "tags": stream["tags"],
            "now": tx.now,
        },
    )


def reopen(tx: Transaction, stream: sqlite3.Row) -> None:
    """Make the partial memory of a stream that was closed without an answer, in its old position."""
    add_partial(tx, stream, question_of(tx, stream)["seq"] + 1)


_CHANGED = "SELECT 1 FROM memories WHERE space = ? AND id = ? AND (version > 1 OR archived)"


def withdraw(tx: Transaction, stream: sqlite3.Row) -> bool:
    """Take an incomplete answer out of the conversation and the memories. The question is unanswered then, and the text
    belongs to an attempt. The ids stay.

    Returns whether this was possible: not for a complete answer, nor if the question's memory was deleted, nor if that
    of the answer was changed or archived: somebody has made it what it shall be.
    """
    if stream["reason"] != INCOMPLETE or tx.db.execute(_CHANGED, (stream["space"], stream["memory"])).fetchone():
        return False
    question = tx.db.execute(
        "UPDATE memories SET stream = ? WHERE space = ? AND id = ?",
        (stream["seq"], stream["space"], stream["question_memory"]),
    )
    if not question.rowcount:
        return False
    conversations.remove_message(tx, stream, stream["answer"], stream["answer_message"])
    at = (stream["space"], stream["memory"])
    tx.db.execute("DELETE FROM chunks WHERE memory = (SELECT seq FROM memories WHERE space = ? AND id = ?)", at)
    tx.db.execute("DELETE FROM memories WHERE space = ? AND id = ?", at)
    return True


def question_of(tx: Transaction, stream: sqlite3.Row) -> sqlite3.Row:
    """The memory of a closed stream's question. It exists, since the stream would be deleted with it."""
    row: sqlite3.Row = tx.db.execute(
        "SELECT seq, text, version FROM memories WHERE space = ? AND id = ?",
        (stream["space"], stream["question_memory"]),
    ).fetchone()
    return row


def store_answer(tx: Transaction, stream: sqlite3.Row, answer: int, length: int, args: dict[str, Any]) -> None:
    """Store both messages and both memories. `args` are those of `streams:finalize`."""
    about: dict[str, Any] = {**_metadata(stream), **args.get("metadata", {})}
    ended: dict[str, Any] = {"finishReason": args["reason"]} if "reason" in args else {}
    if "usage" in args:
        ended["usage"] = args["usage"]
    message = (stream["answer_message"], "agent", answer, tx.now, stream["participant_id"], _json({**about, **ended}))
    if stream["question_kept"]:
        conversations.set_metadata(tx, stream, stream["question"], stream["question_message"], stream["metadata"])
        conversations.add_answer(tx, stream, message)
    else:
        conversations.add_messages(tx, stream, [_question_message(stream, stream["metadata"]), message])
    _remember_question(tx, stream, args, alone=length == 0)
    if not length:
        _drop_partial(tx, stream, answer)
    tx.db.execute(
        "UPDATE streams SET state = 'finished', question_kept = 1, updated = ?, reason = ?, usage = ? WHERE seq = ?",
        (tx.now, args.get("reason"), text_store.as_json(args, "usage"), stream["seq"]),
    )
    if length:
        _complete_memory(tx, stream, answer, _json(about), args)


def _complete_memory(
    tx: Transaction, stream: sqlite3.Row, answer: int, metadata: str | None, args: dict[str, Any]
) -> None:
    """Turn the partial memory into the memory of the answer, and index its text."""
    chunks = args.get("chunks", [])
    tx.db.execute(
        "UPDATE memories SET partial = 0, message = ?, metadata = ?, updated = ? WHERE space = ? AND id = ?",
        (stream["answer_message"], metadata, tx.now, stream["space"], stream["memory"]),
    )
    embedded = "agentEmbedding" in args
    seq = _answer_number(tx, stream) if chunks or embedded else 0
    if embedded:
        vectors.add(tx, seq, vectors.WHOLE, args["agentEmbedding"], args.get("embeddingModel"))
    if chunks:
        _store_chunks(tx, stream, seq, answer, args)
    else:
        text_store.finish(tx, answer)


def _answer_number(tx: Transaction, stream: sqlite3.Row) -> int:
    """The number of the answer's memory."""
    row = tx.db.execute("SELECT seq FROM memories WHERE space = ? AND id = ?", (stream["space"], stream["memory"]))
    return int(row.fetchone()["seq"])


def _store_chunks(tx: Transaction, stream: sqlite3.Row, seq: int, answer: int, args: dict[str, Any]) -> None:
    """Store the chunks of an answer as memories. From now on the answer is found through them."""
    chunks: list[dict[str, Any]] = args["chunks"]
    tx.db.execute("UPDATE memories SET chunks = ? WHERE seq = ?", (len(chunks), seq))
    last = 0
    for part, chunk in enumerate(chunks):
        start, stop = chunk["start"], chunk["end"]
        tx.db.execute(
            "INSERT INTO chunks (memory, part, space, id, start, stop, overlap) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (seq, part, stream["space"], f"mem-{tx.new_id()}", start, stop, start < last),
        )
        vectors.add(tx, seq, part, chunk.get("embedding"), args.get("embeddingModel"))
        last = stop
    text_store.finish_parts(tx, answer, ((chunk["start"], chunk["end"]) for chunk in chunks))


def store_unanswered(tx: Transaction, stream: sqlite3.Row, outcome: str, reason: str | None) -> None:
    """Store the question alone, marked. It is stored already if the stream was closed before."""
    about = {**_metadata(stream), "unanswered": outcome}
    if reason is not None:
        about["finishReason"] = reason
    if stream["question_kept"]:
        conversations.set_metadata(tx, stream, stream["question"], stream["question_message"], _json(about))
    else:
        conversations.add_messages(tx, stream, [_question_message(stream, _json(about))])
        tags = json.loads(stream["tags"])
        marked = json.dumps(tags if "unanswered" in tags else [*tags, "unanswered"], ensure_ascii=False)
        _remember_question(tx, stream, {}, alone=True, tags=marked)
    _drop_partial(tx, stream, stream["answer"])
    tx.db.execute(
        "UPDATE streams SET state = 'empty', question_kept = 1, updated = ?, reason = ?, usage = NULL WHERE seq = ?",
        (tx.now, reason, stream["seq"]),
    )


def _metadata(stream: sqlite3.Row) -> dict[str, Any]:
    metadata: dict[str, Any] = json.loads(stream["metadata"] or "{}")
    return metadata


def _json(value: dict[str, Any]) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None


def _question_message(stream: sqlite3.Row, metadata: str | None) -> conversations.Message:
    return stream["question_message"], "user", stream["question"], stream["started"], stream["participant_id"], metadata


def _drop_partial(tx: Transaction, stream: sqlite3.Row, answer: int) -> None:
    """Delete the partial memory of an answer without text. The text of attempts is kept, without its index."""
    text_store.unindex(tx, answer)
    text_store.release(tx, answer)
    tx.db.execute("DELETE FROM memories WHERE stream = ? AND partial", (stream["seq"],))


def _remember_question(
    tx: Transaction, stream: sqlite3.Row, args: dict[str, Any], *, alone: bool, tags: str | None = None
) -> None:
    """Make the memory of the question, just before the answer's, or complete the stored one.

    `alone`: the answer has no memory, so the stream is deleted with this one.
    """
    summary = args.get("userContent")
    made = {
        "content_type": "raw" if summary is None else "summarized",
        "stream": stream["seq"] if alone else None,
        "tags": stream["tags"] if tags is None else tags,
        "now": tx.now,
    }
    there = question_of(tx, stream) if stream["question_kept"] else None
    if there is not None and there["version"] > 1:  # somebody has made it what it shall be
        tx.db.execute("UPDATE memories SET stream = ? WHERE seq = ?", (made["stream"], there["seq"]))
        return
    text = int(stream["question"]) if summary is None else text_store.create(tx, stream["space"], summary)
    if there is not None:
        if there["text"] != text:
            text_store.unindex(tx, there["text"])
        text_store.finish(tx, text)
        tx.db.execute(
            "UPDATE memories SET text = :text, content_type = :content_type, stream = :stream, tags = :tags,"
            " updated = :now WHERE seq = :seq",
            {**made, "text": text, "seq": there["seq"]},
        )
        vectors.replace(tx, there["seq"], vectors.WHOLE, args.get("userEmbedding"), args.get("embeddingModel"))
        return
    text_store.finish(tx, text)
    stored = tx.db.execute(
        _ADD_QUESTION,
        {
            **made,
            "of": stream["seq"],
            "id": stream["question_memory"],
            "text": text,
            "partial": 0,
            "role": "user",
            "message": stream["question_message"],
        },
    )
    vectors.add(tx, stored.lastrowid or 0, vectors.WHOLE, args.get("userEmbedding"), args.get("embeddingModel"))
