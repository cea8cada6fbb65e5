"""What an exchange leaves: its messages in the conversation, and its memories.

A stream goes from open to finished, where both messages and both memories are there, or to empty, where the question is there
alone, marked.  From empty it may be opened again: then the question is there already when the answer comes, and is completed.
So it may from finished, if the answer is incomplete: that is taken back first.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import conversations
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["INCOMPLETE", "add_partial", "reopen", "store_answer", "store_unanswered", "withdraw"]

INCOMPLETE = "incomplete"
"""The reason of an answer that was ended before its end: it may be completed."""

# A memory of a stream has from the stream what both its memories have in common.
_ADD = (
    "INSERT INTO memories (seq, space, id, text, stream, partial, content_type, source_type, source_user_id,"
    " source_user_name, source_timestamp, user_id, agent_id, participant_id, role, conversation, message, importance, tags,"
    " embedding, created, updated, metadata)"
    " SELECT {seq}, space, :id, :text, :stream, :partial, :content_type, 'conversation', user_id, user_name, started, user_id,"
    " agent_id, participant_id, :role, conversation, :message, importance, :tags, :embedding, created, :now, metadata"
    " FROM streams WHERE seq = :of"
)
# Two numbers are taken: the one before the answer's is for the question, whenever it becomes a memory.
_ADD_ANSWER = _ADD.format(seq="coalesce(:seq, (SELECT seq FROM sqlite_sequence WHERE name = 'memories') + 2, 2)")
_ADD_QUESTION = _ADD.format(seq="(SELECT seq - 1 FROM memories WHERE stream = :of AND partial)")


def add_partial(work: Transaction, stream: sqlite3.Row | Mapping[str, Any], seq: int | None = None) -> None:
    """Make the partial memory of the answer, of the text that the stream has; `seq` is its place in the order, None the last."""
    work.db.execute(
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
            "embedding": None,
            "now": work.now,
        },
    )


def reopen(work: Transaction, stream: sqlite3.Row) -> None:
    """Make the partial memory of a stream that was closed without an answer, in the place that it had."""
    add_partial(work, stream, _question(work, stream)["seq"] + 1)


def withdraw(work: Transaction, stream: sqlite3.Row) -> bool:
    """Take an incomplete answer out of its conversation and its memories: the question stands as one without an answer, and the
    text is that of an attempt.  Whether that was possible: not for another answer, nor where the question's memory was deleted."""
    if stream["reason"] != INCOMPLETE:
        return False
    question = work.db.execute(
        "UPDATE memories SET stream = ? WHERE space = ? AND id = ?",
        (stream["seq"], stream["space"], stream["question_memory"]),
    )
    if not question.rowcount:
        return False
    conversations.remove_message(work, stream, stream["answer"], stream["answer_message"])
    at = (stream["space"], stream["memory"])
    work.db.execute("DELETE FROM chunks WHERE memory = (SELECT seq FROM memories WHERE space = ? AND id = ?)", at)
    work.db.execute("DELETE FROM memories WHERE space = ? AND id = ?", at)
    work.db.execute("UPDATE streams SET answer_message = NULL WHERE seq = ?", (stream["seq"],))
    return True


def _question(work: Transaction, stream: sqlite3.Row) -> sqlite3.Row:
    """The memory of the question of a stream that was closed; it cannot be gone, or the stream were gone with it."""
    row: sqlite3.Row = work.db.execute(
        "SELECT seq, text FROM memories WHERE space = ? AND id = ?", (stream["space"], stream["question_memory"])
    ).fetchone()
    return row


def store_answer(work: Transaction, stream: sqlite3.Row, answer: int, length: int, args: dict[str, Any]) -> None:
    """Both messages and both memories; `args` are those of `streams:finalize`."""
    about: dict[str, Any] = {**_metadata(stream), **args.get("metadata", {})}
    ended: dict[str, Any] = {"finishReason": args["reason"]} if "reason" in args else {}
    if "usage" in args:
        ended["usage"] = args["usage"]
    again = stream["question_message"] is not None
    question_message = stream["question_message"] if again else f"msg-{work.new_id()}"
    answer_message = f"msg-{work.new_id()}"
    message = (answer_message, "agent", answer, work.now, stream["participant_id"], _json({**about, **ended}))
    if again:
        conversations.set_metadata(work, stream, stream["question"], question_message, stream["metadata"])
        conversations.add_answer(work, stream, stream["question"], question_message, message)
    else:
        question = _question_message(stream, question_message, stream["metadata"])
        conversations.add_messages(work, stream, [question, message])
    question_memory = _remember_question(work, stream, question_message, args, alone=length == 0)
    if not length:
        _drop_partial(work, stream, answer)
    work.db.execute(
        "UPDATE streams SET state = 'finished', question_memory = ?, question_message = ?, answer_message = ?,"
        " updated = ?, reason = ?, usage = ? WHERE seq = ?",
        (
            question_memory,
            question_message,
            answer_message,
            work.now,
            args.get("reason"),
            text_store.as_json(args, "usage"),
            stream["seq"],
        ),
    )
    if length:
        chunks = args.get("chunks", [])
        work.db.execute(
            "UPDATE memories SET partial = 0, message = ?, embedding = ?, metadata = ?, chunks = ?, updated = ?"
            " WHERE space = ? AND id = ?",
            (
                answer_message,
                _floats(args.get("agentEmbedding")),
                _json(about),
                len(chunks),
                work.now,
                stream["space"],
                stream["memory"],
            ),
        )
        if chunks:
            _store_chunks(work, stream, answer, chunks)
        else:
            text_store.finish(work, answer)


def _store_chunks(work: Transaction, stream: sqlite3.Row, answer: int, chunks: list[dict[str, Any]]) -> None:
    """Memories of the chunks of an answer; it is found through them from now on."""
    seq = work.db.execute(
        "SELECT seq FROM memories WHERE space = ? AND id = ?", (stream["space"], stream["memory"])
    ).fetchone()["seq"]
    last = 0
    for part, chunk in enumerate(chunks):
        start, stop, vector = chunk["start"], chunk["end"], _floats(chunk.get("embedding"))
        work.db.execute(
            "INSERT INTO chunks (memory, part, space, id, start, stop, overlap, embedding) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (seq, part, stream["space"], f"mem-{work.new_id()}", start, stop, start < last, vector),
        )
        last = stop
    text_store.finish_parts(work, answer, ((chunk["start"], chunk["end"]) for chunk in chunks))


def store_unanswered(work: Transaction, stream: sqlite3.Row, outcome: str, reason: str | None) -> None:
    """The question alone, marked; it is there already if the stream was closed before."""
    about = {**_metadata(stream), "unanswered": outcome}
    if reason is not None:
        about["finishReason"] = reason
    message, memory = stream["question_message"], stream["question_memory"]
    if message is None:
        message = f"msg-{work.new_id()}"
        conversations.add_messages(work, stream, [_question_message(stream, message, _json(about))])
        tags = json.loads(stream["tags"])
        marked = json.dumps(tags if "unanswered" in tags else [*tags, "unanswered"], ensure_ascii=False)
        memory = _remember_question(work, stream, message, {}, alone=True, tags=marked)
    else:
        conversations.set_metadata(work, stream, stream["question"], message, _json(about))
    _drop_partial(work, stream, stream["answer"])
    work.db.execute(
        "UPDATE streams SET state = 'empty', question_memory = ?, question_message = ?, updated = ?, reason = ?,"
        " usage = NULL WHERE seq = ?",
        (memory, message, work.now, reason, stream["seq"]),
    )


def _metadata(stream: sqlite3.Row) -> dict[str, Any]:
    metadata: dict[str, Any] = json.loads(stream["metadata"] or "{}")
    return metadata


def _floats(embedding: list[float] | None) -> bytes | None:
    return None if embedding is None else array("d", embedding).tobytes()


def _json(value: dict[str, Any]) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None


def _question_message(stream: sqlite3.Row, message: str, metadata: str | None) -> conversations.Message:
    return message, "user", stream["question"], stream["started"], stream["participant_id"], metadata


def _drop_partial(work: Transaction, stream: sqlite3.Row, answer: int) -> None:
    """The answer has no text, so there is no memory of it; what attempts wrote is kept, out of the index."""
    text_store.unindex(work, answer)
    text_store.release(work, answer)
    work.db.execute("DELETE FROM memories WHERE stream = ? AND partial", (stream["seq"],))


def _remember_question(
    work: Transaction, stream: sqlite3.Row, message: str, args: dict[str, Any], *, alone: bool, tags: str | None = None
) -> str:
    """Make the memory of the question, just before that of the answer, or complete the one that is there; its id.

    `alone`: there is no memory of the answer, so the stream goes with this one.
    """
    summary = args.get("userContent")
    made = {
        "content_type": "raw" if summary is None else "summarized",
        "stream": stream["seq"] if alone else None,
        "tags": stream["tags"] if tags is None else tags,
        "embedding": _floats(args.get("userEmbedding")),
        "now": work.now,
    }
    text = int(stream["question"]) if summary is None else text_store.create(work, stream["space"], summary)
    if stream["question_memory"] is not None:
        there = _question(work, stream)
        if there["text"] != text:
            text_store.unindex(work, there["text"])
        text_store.finish(work, text)
        work.db.execute(
            "UPDATE memories SET text = :text, content_type = :content_type, stream = :stream, tags = :tags,"
            " embedding = :embedding, updated = :now WHERE seq = :seq",
            {**made, "text": text, "seq": there["seq"]},
        )
        return str(stream["question_memory"])
    text_store.finish(work, text)
    memory = f"mem-{work.new_id()}"
    work.db.execute(
        _ADD_QUESTION,
        {
            **made,
            "of": stream["seq"],
            "id": memory,
            "text": text,
            "partial": 0,
            "role": "user",
            "message": message,
        },
    )
    return memory
