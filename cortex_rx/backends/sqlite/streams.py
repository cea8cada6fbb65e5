"""`streams:*`: an exchange from its question to its end, safe against crashes, repetitions and second writers.

Every function here is one transaction.  The epoch is compared in it, so a writer that was replaced can change nothing.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from cortex_rx.backends.backend import HEAD_LENGTH
from cortex_rx.backends.sqlite import exchanges, memories, texts
from cortex_rx.backends.sqlite.arguments import (
    Spec,
    any_text,
    embedding,
    importance,
    integer,
    json_object,
    name,
    one_of,
    ranges,
    strings,
)
from cortex_rx.backends.sqlite.texts import Work
from cortex_rx.errors import Diverged, Fenced, Gap, IdempotencyConflict, InvalidArgument, StreamNotFound

__all__ = ["APPEND", "BEGIN", "CLOSE", "FINALIZE", "GET", "append", "begin", "close", "finalize", "get"]

BEGIN: Spec = (
    {
        "streamId": name,
        "memorySpaceId": name,
        "conversationId": name,
        "userMessage": any_text,
        "importance": importance,
        "tags": strings,
    },
    {
        "userId": name,
        "userName": any_text,
        "agentId": name,
        "participantId": name,
        "metadata": json_object,
        "startedAt": integer,
    },
)
APPEND: Spec = (
    {
        "streamId": name,
        "memorySpaceId": name,
        "epoch": integer,
        "attempt": integer,
        "start": integer,
        "text": any_text,
    },
    {},
)
FINALIZE: Spec = (
    {**APPEND[0], "length": integer},
    {
        "reason": any_text,
        "usage": json_object,
        "userContent": any_text,
        "userEmbedding": embedding,
        "agentEmbedding": embedding,
        "metadata": json_object,
        "chunks": ranges,
    },
)
CLOSE: Spec = (
    {"streamId": name, "memorySpaceId": name, "epoch": integer, "outcome": one_of("empty")},
    {"reason": any_text},
)
GET: Spec = ({"memorySpaceId": name, "streamId": name}, {})


def _find(work: Work, args: dict[str, Any]) -> sqlite3.Row | None:
    found: sqlite3.Row | None = work.db.execute(
        "SELECT * FROM streams WHERE space = ? AND id = ?", (args["memorySpaceId"], args["streamId"])
    ).fetchone()
    return found


def _owned(work: Work, args: dict[str, Any]) -> sqlite3.Row:
    """The stream, if the caller's epoch is its epoch."""
    stream = _find(work, args)
    if stream is None or stream["state"] == "deleted":
        raise StreamNotFound("no stream of this id in the memory space, or its memory was deleted")
    if args["epoch"] != stream["epoch"]:
        raise Fenced(f"the stream is at epoch {stream['epoch']}, this write at {args['epoch']}")
    return stream


def begin(work: Work, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:begin`: the question is stored, the answer has a partial memory; or a stream without an answer is taken over."""
    stream = _find(work, args)
    if stream is None:
        return _create(work, args)
    if stream["state"] == "deleted":
        raise StreamNotFound("the memory of this stream was deleted")
    message = args["userMessage"]
    same = (
        stream["conversation"] == args["conversationId"]
        and stream["user_id"] == args.get("userId")
        and stream["agent_id"] == args.get("agentId")
        and stream["participant_id"] == args.get("participantId")
        and texts.length_of(work, stream["question"]) == len(message)
        and texts.compare(work, stream["question"], 0, message)
    )
    if not same:
        raise IdempotencyConflict("another question, owner or conversation is stored under this stream id")
    if stream["state"] == "empty":
        exchanges.reopen(work, stream)
    if stream["state"] != "finished":
        work.db.execute("UPDATE streams SET state = 'open', epoch = epoch + 1 WHERE seq = ?", (stream["seq"],))
        _restart(work, stream, stream["attempt"] + 1)
    now = _find(work, args)
    assert now is not None
    return {"memoryId": now["memory"], "epoch": now["epoch"], "attempt": now["attempt"], "state": now["state"]}


def _create(work: Work, args: dict[str, Any]) -> dict[str, Any]:
    question = texts.create(work, args["memorySpaceId"], args["userMessage"])
    answer = texts.create(work, args["memorySpaceId"])
    memory = f"mem-{work.new_id()}"
    work.db.execute(
        "INSERT INTO streams (space, id, conversation, question, user_id, user_name, agent_id, participant_id, importance,"
        " tags, metadata, started, state, epoch, attempt, answer, memory, created, updated)"
        " VALUES (:space, :id, :conversation, :question, :user_id, :user_name, :agent_id, :participant_id, :importance,"
        " :tags, :metadata, :started, 'open', 1, 0, :answer, :memory, :now, :now)",
        {
            "space": args["memorySpaceId"],
            "id": args["streamId"],
            "conversation": args["conversationId"],
            "question": question,
            "user_id": args.get("userId"),
            "user_name": args.get("userName"),
            "agent_id": args.get("agentId"),
            "participant_id": args.get("participantId"),
            "importance": args["importance"],
            "tags": json.dumps(args["tags"], ensure_ascii=False),
            "metadata": args.get("metadata"),
            "started": args.get("startedAt", work.now),
            "answer": answer,
            "memory": memory,
            "now": work.now,
        },
    )
    stream = _find(work, args)
    assert stream is not None
    work.db.execute("INSERT INTO attempts (stream, attempt, text) VALUES (?, 0, ?)", (stream["seq"], answer))
    # Two numbers are taken: the one before the answer's is for the question, whenever it becomes a memory.
    last = work.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'memories'").fetchone()
    exchanges.add_partial(work, stream, (last[0] if last else 0) + 2)
    return {"memoryId": memory, "epoch": 1, "attempt": 0, "state": "open"}


def _restart(work: Work, stream: sqlite3.Row, attempt: int) -> int:
    """Begin the text of the answer anew, under a higher attempt; what the former one wrote is kept, out of the index."""
    texts.unindex(work, stream["answer"])
    answer = texts.create(work, stream["space"])
    work.db.execute("INSERT INTO attempts (stream, attempt, text) VALUES (?, ?, ?)", (stream["seq"], attempt, answer))
    work.db.execute(
        "UPDATE streams SET attempt = ?, answer = ?, updated = ? WHERE seq = ?",
        (attempt, answer, work.now, stream["seq"]),
    )
    work.db.execute("UPDATE memories SET text = ? WHERE stream = ? AND partial", (answer, stream["seq"]))
    return answer


def _append(work: Work, stream: sqlite3.Row, args: dict[str, Any]) -> tuple[int, int]:
    """Append by the rules of the contract; the text of the answer and its length."""
    attempt, start, body = args["attempt"], args["start"], args["text"]
    if attempt < stream["attempt"]:
        raise Fenced(f"the stream is at attempt {stream['attempt']}, this write at {attempt}")
    open_ = stream["state"] == "open"
    if attempt > stream["attempt"]:
        if not open_:
            raise _conflict(stream)
        if start:
            raise Gap(0, start)
        text = _restart(work, stream, attempt)
    else:
        text = int(stream["answer"])
    end = texts.length_of(work, text)
    if start > end:
        raise Gap(end, start)
    if start < end and not texts.compare(work, text, start, body):
        if not open_:
            raise _conflict(stream)
        raise Diverged(f"what is stored from {start} on is another text")
    rest = body[end - start :]
    if rest:
        if not open_:
            raise _conflict(stream)
        end = texts.extend(work, text, rest, index=not args.get("chunks"))
    return text, end


def _conflict(stream: sqlite3.Row) -> IdempotencyConflict:
    """Why a stream that is not open takes no other text."""
    if stream["state"] == "empty":
        return IdempotencyConflict("the stream was closed as unanswered; begin it again to give it an answer")
    return IdempotencyConflict("another answer is stored under this stream id")


def append(work: Work, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:append`."""
    return {"end": _append(work, _owned(work, args), args)[1]}


def finalize(work: Work, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:finalize`: both messages and both memories, all or nothing, once."""
    stream = _owned(work, args)
    if stream["state"] != "open":
        return _stored_before(work, stream, args)
    answer, end = _append(work, stream, args)
    if end != args["length"]:
        raise Gap(end, args["length"])
    chunks = args.get("chunks")
    if chunks and chunks[-1][1] != end:
        raise InvalidArgument("chunks", f"an end at {chunks[-1][1]}", f"ranges to the end of the answer, {end}")
    exchanges.store_answer(work, stream, answer, end, args)
    return _result(work, args, "now")


def _stored_before(work: Work, stream: sqlite3.Row, args: dict[str, Any]) -> dict[str, Any]:
    """What a finished stream says to one more finalise: the stored result, if it is of the same text."""
    if stream["state"] == "finished" and args["attempt"] < stream["attempt"]:
        raise Fenced(f"the stream is at attempt {stream['attempt']}, this write at {args['attempt']}")
    length = texts.length_of(work, stream["answer"])
    same = (
        stream["state"] == "finished"
        and args["attempt"] == stream["attempt"]
        and args["length"] == length
        and args["start"] + len(args["text"]) <= length
        and texts.compare(work, stream["answer"], args["start"], args["text"])
    )
    if not same:
        raise _conflict(stream)
    return _result(work, args, "before")


def _result(work: Work, args: dict[str, Any], stored: str) -> dict[str, Any]:
    stream = _find(work, args)
    assert stream is not None
    empty = stream["state"] == "empty"
    ids = [stream["question_memory"]] if empty else [stream["question_memory"], stream["memory"]]
    rows = [memories.load(work, stream["space"], memory, HEAD_LENGTH) for memory in ids]
    messages = [stream["question_message"], stream["answer_message"]]
    return {
        "conversation": {
            "conversationId": stream["conversation"],
            "messageIds": [message for message in messages if message is not None],
        },
        "memories": [row for row in rows if row is not None],
        "contentLength": 0 if empty else texts.length_of(work, stream["answer"]),
        "stored": stored,
    }


def close(work: Work, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:close`: the question alone is kept, marked as unanswered."""
    stream = _owned(work, args)
    if stream["state"] == "finished":
        raise IdempotencyConflict("an answer is stored under this stream id")
    if stream["state"] == "empty":
        return _result(work, args, "before")
    exchanges.store_unanswered(work, stream, args["outcome"], args.get("reason"))
    return _result(work, args, "now")


def get(work: Work, args: dict[str, Any]) -> dict[str, Any] | None:
    """`streams:get`."""
    stream = _find(work, args)
    if stream is None or stream["state"] == "deleted":
        return None
    text = work.db.execute("SELECT length, touched FROM texts WHERE id = ?", (stream["answer"],)).fetchone()
    return {
        "streamId": stream["id"],
        "memorySpaceId": stream["space"],
        "conversationId": stream["conversation"],
        "memoryId": stream["memory"],
        "state": stream["state"],
        "epoch": stream["epoch"],
        "attempt": stream["attempt"],
        "length": text["length"],
        "userMessage": texts.whole(work, stream["question"]),
        "createdAt": stream["created"],
        "updatedAt": max(stream["updated"], text["touched"]) if stream["state"] == "open" else stream["updated"],
    }
