"""`streams:*`: an exchange from its question to its end, safe against crashes, repeated calls and second writers.

Every function is one transaction. It compares the epoch, so a writer that was replaced can change nothing.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import (
    conversations,
    exchanges,
    fact_commits,
    leases,
    memories,
    stream_reads,
    tokens,
)
from cortex_rx.backends.sqlite.text_store import Transaction, WriterState
from cortex_rx.errors import Diverged, Fenced, Gap, IdempotencyConflict

__all__ = ["append", "begin", "close", "finalize", "result"]


def begin(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:begin`: stores the question and the partial memory of the answer, or takes an unanswered stream over."""
    found = leases.find(tx, args)
    stream: sqlite3.Row | dict[str, Any]
    if found is None or found["state"] == "rolledBack":
        stream = _create(tx, args, found)
    else:
        _begin_again(tx, found, args)
        stream = leases.get_live(tx, args)
    if "token" in args:
        tokens.issue(tx, stream, args["token"], args)
    if args["readFacts"] and stream["state"] == "open":
        fact_commits.register(tx, stream)
    return {
        "memoryId": stream["memory"],
        "epoch": stream["epoch"],
        "attempt": stream["attempt"],
        "state": stream["state"],
        **stream_reads.id_fields(stream),
        **leases.lease_field(tx, stream),
    }


def _begin_again(tx: Transaction, stream: sqlite3.Row, args: dict[str, Any]) -> None:
    """Check that it is the same stream, and take it over if it has no answer yet and no owner."""
    leases.require_live(stream)
    message = args["userMessage"]
    same = (
        stream["conversation"] == args["conversationId"]
        and stream["user_id"] == args.get("userId")
        and stream["agent_id"] == args.get("agentId")
        and stream["participant_id"] == args.get("participantId")
        and text_store.length_of(tx, stream["question"]) == len(message)
        and text_store.compare(tx, stream["question"], 0, message)
    )
    if not same:
        raise IdempotencyConflict("another question, owner or conversation is stored under this stream id")
    if "claim" in args and stream["claim"] == args["claim"] and stream["claim_token"] is None:
        return  # the call that made the current epoch, again
    if stream["state"] == "finished" and not (args["completes"] and exchanges.withdraw(tx, stream)):
        return
    if stream["state"] != "open":
        exchanges.reopen(tx, stream)
    else:
        leases.check_free(tx, stream)
    leases.log_takeover(tx, stream)
    leases.bump_epoch(tx, stream, args.get("claim"))
    _restart(tx, stream, stream["attempt"] + 1, leases.writer_state(tx, args))


def _create(tx: Transaction, args: dict[str, Any], rolled_back: sqlite3.Row | None) -> dict[str, Any]:
    """Make a new stream, and its conversation if there is none. Returns the columns that the caller needs.

    After a rollback it has a higher epoch, so that writers of the stream before are refused.
    """
    epoch, breaks = 1, list[list[int]]()
    if rolled_back is not None:
        epoch = rolled_back["epoch"] + 1
        breaks = [[epoch, 0, 0]]  # nothing of any attempt is certain, since attempts are counted anew
        tx.db.execute("DELETE FROM streams WHERE seq = ?", (rolled_back["seq"],))
    question = text_store.create(tx, args["memorySpaceId"], args["userMessage"])
    writer_state = leases.writer_state(tx, args)
    stream: dict[str, Any] = {
        "space": args["memorySpaceId"],
        "conversation": args["conversationId"],
        "conversation_seq": conversations.enter(tx, args),
        "question": question,
        "answer": text_store.create(tx, args["memorySpaceId"], "", writer_state),
        "memory": f"mem-{tx.new_id()}",
        "question_message": f"msg-{tx.new_id()}",
        "answer_message": f"msg-{tx.new_id()}",
        "question_memory": f"mem-{tx.new_id()}",
        "tags": json.dumps(args["tags"], ensure_ascii=False),
        "epoch": epoch,
        "attempt": 0,
        "state": "open",
    }
    made = tx.db.execute(
        "INSERT INTO streams (space, id, conversation, conversation_seq, question, user_id, user_name, agent_id,"
        " participant_id, importance, tags, metadata, started, state, epoch, attempt, answer, memory, question_memory,"
        " question_message, answer_message, created, updated, claim, breaks)"
        " VALUES (:space, :id, :conversation, :conversation_seq, :question, :user_id, :user_name, :agent_id,"
        " :participant_id, :importance, :tags, :metadata, :started, :state, :epoch, :attempt, :answer, :memory,"
        " :question_memory, :question_message, :answer_message, :now, :now, :claim, :breaks)",
        {
            **stream,
            "id": args["streamId"],
            "user_id": args.get("userId"),
            "user_name": args.get("userName"),
            "agent_id": args.get("agentId"),
            "participant_id": args.get("participantId"),
            "importance": args["importance"],
            "metadata": text_store.as_json(args, "metadata"),
            "started": args.get("startedAt", tx.now),
            "claim": args.get("claim"),
            "breaks": json.dumps(breaks),
            "now": tx.now,
        },
    )
    stream.update(seq=made.lastrowid, lease=writer_state[0], term=writer_state[1], facts=0)
    exchanges.add_partial(tx, stream)
    return stream


def _restart(tx: Transaction, stream: sqlite3.Row, attempt: int, writer_state: WriterState) -> int:
    """Begin the text of the answer anew, under a higher attempt. The former text is kept, without its index and without
    what was read from it."""
    if stream["facts"]:
        fact_commits.withdraw(tx, stream, ["answer"])
    text_store.unindex(tx, stream["answer"])
    answer = text_store.create(tx, stream["space"], "", writer_state)
    tx.db.execute(
        "INSERT INTO attempts (stream, attempt, text) VALUES (?, ?, ?)",
        (stream["seq"], stream["attempt"], stream["answer"]),
    )
    tx.db.execute(
        "UPDATE streams SET attempt = ?, answer = ?, updated = ? WHERE seq = ?",
        (attempt, answer, tx.now, stream["seq"]),
    )
    tx.db.execute("UPDATE memories SET text = ? WHERE stream = ? AND partial", (answer, stream["seq"]))
    return answer


def _append(tx: Transaction, stream: sqlite3.Row, args: dict[str, Any]) -> tuple[int, int]:
    """Append to the answer by the rules of the contract. Returns the answer's text and its new length."""
    attempt, start, body = args["attempt"], args["start"], args["text"]
    if attempt < stream["attempt"]:
        raise Fenced(f"the stream is at attempt {stream['attempt']}, this write is at {attempt}")
    open_ = stream["state"] == "open"
    if attempt > stream["attempt"]:
        if not open_:
            raise _conflict(stream)
        if start:
            raise Gap(0, start)
        text = _restart(tx, stream, attempt, (stream["lease"], stream["term"], None, None, None))
        state = (0, 0, 0)
    else:
        text = int(stream["answer"])
        state = (int(stream["length"]), int(stream["indexed"]), int(stream["lead"]))
    end = state[0]
    if start > end:
        raise Gap(end, start)
    if start < end and not text_store.compare(tx, text, start, body):
        if not open_:
            raise _conflict(stream)
        raise Diverged(f"another text is stored from {start} on")
    rest = body[end - start :]
    if rest and not open_:
        raise _conflict(stream)
    writer_state = leases.writer_state(tx, args, at_end=start + len(body) >= end)
    if rest:
        end = text_store.extend(tx, text, state, rest, writer_state, index=not args.get("chunks"))
    elif open_ and writer_state != text_store.UNCHANGED:
        text_store.save_writer_state(tx, text, writer_state)
    return text, end


def _conflict(stream: sqlite3.Row) -> IdempotencyConflict:
    """Why a stream that is not open takes no other text."""
    if stream["state"] == "empty":
        return IdempotencyConflict("the stream was closed as unanswered; begin it again to give it an answer")
    return IdempotencyConflict("another answer is stored under this stream id")


def append(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:append`."""
    stream = leases.get_for_append(tx, args)
    return {"end": _append(tx, stream, args)[1], **leases.stop_field(stream)}


def finalize(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:finalize`: both messages and both memories, all or nothing, once."""
    stream = leases.get_owned(tx, args)
    if stream["state"] != "open":
        return _stored_before(tx, stream, args)
    answer, end = _append(tx, stream, args)
    if end != args["length"]:
        raise Gap(end, args["length"])
    is_read = "extractions" in args or stream["facts"]
    whole = leases.get_live(tx, args) if is_read else stream  # with the text that it ends with
    if is_read:
        fact_commits.take(tx, whole, args.get("extractions", []))
    exchanges.store_answer(tx, stream, answer, end, args)
    if is_read:
        fact_commits.publish(tx, whole)
    return result(tx, args, "now")


def _stored_before(tx: Transaction, stream: sqlite3.Row, args: dict[str, Any]) -> dict[str, Any]:
    """The stored result of a finished stream that is finalised again with the same text."""
    if stream["state"] == "finished" and args["attempt"] < stream["attempt"]:
        raise Fenced(f"the stream is at attempt {stream['attempt']}, this write is at {args['attempt']}")
    length = stream["length"]
    same = (
        stream["state"] == "finished"
        and args["attempt"] == stream["attempt"]
        and args["length"] == length
        and args["start"] + len(args["text"]) <= length
        and text_store.compare(tx, stream["answer"], args["start"], args["text"])
    )
    if not same:
        raise _conflict(stream)
    return result(tx, args, "before")


def result(tx: Transaction, args: dict[str, Any], stored: str) -> dict[str, Any]:
    """What is stored of a stream that has ended: the result of `streams:finalize` and `streams:close`."""
    stream = leases.get_live(tx, args)
    empty = stream["state"] == "empty"
    answer = None if empty else stream["memory"]
    messages = [stream["question_message"]] if empty else [stream["question_message"], stream["answer_message"]]
    return {
        "conversation": {"conversationId": stream["conversation"], "messageIds": messages},
        "memories": memories.load(tx, stream["space"], stream["question_memory"], answer),
        "contentLength": 0 if empty else stream["length"],
        "stored": stored,
        **(fact_commits.published(tx, stream) if stream["facts"] else {}),
    }


def close(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:close`: keeps the question alone, marked as unanswered."""
    stream = leases.get_owned(tx, args)
    if stream["state"] == "finished":
        raise IdempotencyConflict("an answer is stored under this stream id")
    if stream["state"] == "empty":
        return result(tx, args, "before")
    if stream["facts"]:
        fact_commits.publish_question(tx, stream)
    exchanges.store_unanswered(tx, stream, args["outcome"], args.get("reason"))
    return result(tx, args, "now")
