"""`streams:*`: an exchange from its question to its end, safe against crashes, repetitions and second writers.

Every function here is one transaction.  The epoch is compared in it, so a writer that was replaced can change nothing.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import exchanges, leases, memories, tokens
from cortex_rx.backends.sqlite.text_store import Transaction, WriterState
from cortex_rx.errors import Diverged, Fenced, Gap, IdempotencyConflict

__all__ = ["append", "begin", "close", "finalize", "result"]


def begin(work: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:begin`: the question is stored, the answer has a partial memory; or a stream without an answer is taken over."""
    found = leases.find(work, args)
    stream: sqlite3.Row | dict[str, Any]
    if found is None or found["state"] == "rolledBack":
        stream = _create(work, args, found)
    else:
        _begin_again(work, found, args)
        stream = leases.get_live(work, args)
    if "token" in args:
        tokens.issue(work, stream, args["token"], args)
    return {
        "memoryId": stream["memory"],
        "epoch": stream["epoch"],
        "attempt": stream["attempt"],
        "state": stream["state"],
        **leases.shown(stream["lease"]),
    }


def _begin_again(work: Transaction, stream: sqlite3.Row, args: dict[str, Any]) -> None:
    """The stream is there: it is the same one, and is taken over if it has no answer yet and nobody owns it."""
    leases.require_live(stream)
    message = args["userMessage"]
    same = (
        stream["conversation"] == args["conversationId"]
        and stream["user_id"] == args.get("userId")
        and stream["agent_id"] == args.get("agentId")
        and stream["participant_id"] == args.get("participantId")
        and text_store.length_of(work, stream["question"]) == len(message)
        and text_store.compare(work, stream["question"], 0, message)
    )
    if not same:
        raise IdempotencyConflict("another question, owner or conversation is stored under this stream id")
    if "claim" in args and stream["claim"] == args["claim"] and stream["claim_token"] is None:
        return  # the call that made the present epoch, once more
    if stream["state"] == "finished" and not (args["completes"] and exchanges.withdraw(work, stream)):
        return
    if stream["state"] != "open":
        exchanges.reopen(work, stream)
    else:
        leases.check_free(work, stream)
    leases.note_break(work, stream)
    leases.bump_epoch(work, stream, args.get("claim"))
    _restart(work, stream, stream["attempt"] + 1, leases.carried(work, args))


def _create(work: Transaction, args: dict[str, Any], rolled_back: sqlite3.Row | None) -> dict[str, Any]:
    """A new stream, with the columns that are needed of it; in the place of one that was rolled back it has a higher epoch, so that no writer of that one is heard."""
    epoch, breaks = 1, list[list[int]]()
    if rolled_back is not None:
        epoch = rolled_back["epoch"] + 1
        breaks = [[epoch, 0, 0]]  # nothing of any attempt is certain, for they are counted anew
        work.db.execute("DELETE FROM streams WHERE seq = ?", (rolled_back["seq"],))
    question = text_store.create(work, args["memorySpaceId"], args["userMessage"])
    carried = leases.carried(work, args)
    stream: dict[str, Any] = {
        "space": args["memorySpaceId"],
        "question": question,
        "answer": text_store.create(work, args["memorySpaceId"], "", carried),
        "memory": f"mem-{work.new_id()}",
        "tags": json.dumps(args["tags"], ensure_ascii=False),
        "epoch": epoch,
        "attempt": 0,
        "state": "open",
    }
    made = work.db.execute(
        "INSERT INTO streams (space, id, conversation, question, user_id, user_name, agent_id, participant_id, importance,"
        " tags, metadata, started, state, epoch, attempt, answer, memory, created, updated, claim,"
        " breaks)"
        " VALUES (:space, :id, :conversation, :question, :user_id, :user_name, :agent_id, :participant_id, :importance,"
        " :tags, :metadata, :started, :state, :epoch, :attempt, :answer, :memory, :now, :now, :claim, :breaks)",
        {
            **stream,
            "id": args["streamId"],
            "conversation": args["conversationId"],
            "user_id": args.get("userId"),
            "user_name": args.get("userName"),
            "agent_id": args.get("agentId"),
            "participant_id": args.get("participantId"),
            "importance": args["importance"],
            "metadata": text_store.as_json(args, "metadata"),
            "started": args.get("startedAt", work.now),
            "claim": args.get("claim"),
            "breaks": json.dumps(breaks),
            "now": work.now,
        },
    )
    stream.update(seq=made.lastrowid, lease=carried[0] or 0)
    exchanges.add_partial(work, stream)
    return stream


def _restart(work: Transaction, stream: sqlite3.Row, attempt: int, carried: WriterState) -> int:
    """Begin the text of the answer anew, under a higher attempt; what the former one wrote is kept, out of the index."""
    text_store.unindex(work, stream["answer"])
    answer = text_store.create(work, stream["space"], "", carried)
    work.db.execute(
        "INSERT INTO attempts (stream, attempt, text) VALUES (?, ?, ?)",
        (stream["seq"], stream["attempt"], stream["answer"]),
    )
    work.db.execute(
        "UPDATE streams SET attempt = ?, answer = ?, updated = ? WHERE seq = ?",
        (attempt, answer, work.now, stream["seq"]),
    )
    work.db.execute("UPDATE memories SET text = ? WHERE stream = ? AND partial", (answer, stream["seq"]))
    return answer


def _append(work: Transaction, stream: sqlite3.Row, args: dict[str, Any]) -> tuple[int, int]:
    """Append by the rules of the contract to the answer; its text and its new length."""
    attempt, start, body = args["attempt"], args["start"], args["text"]
    if attempt < stream["attempt"]:
        raise Fenced(f"the stream is at attempt {stream['attempt']}, this write at {attempt}")
    open_ = stream["state"] == "open"
    if attempt > stream["attempt"]:
        if not open_:
            raise _conflict(stream)
        if start:
            raise Gap(0, start)
        text = _restart(work, stream, attempt, (leases.lease_until(stream), None, None))
        state = (0, 0, 0)
    else:
        text = int(stream["answer"])
        state = (int(stream["length"]), int(stream["indexed"]), int(stream["lead"]))
    end = state[0]
    if start > end:
        raise Gap(end, start)
    if start < end and not text_store.compare(work, text, start, body):
        if not open_:
            raise _conflict(stream)
        raise Diverged(f"what is stored from {start} on is another text")
    rest = body[end - start :]
    if rest and not open_:
        raise _conflict(stream)
    carried = leases.carried(work, args, at_end=start + len(body) >= end)
    if rest:
        end = text_store.extend(work, text, state, rest, carried, index=not args.get("chunks"))
    elif open_ and carried != (None, None, None):
        text_store.save_writer_state(work, text, carried)
    return text, end


def _conflict(stream: sqlite3.Row) -> IdempotencyConflict:
    """Why a stream that is not open takes no other text."""
    if stream["state"] == "empty":
        return IdempotencyConflict("the stream was closed as unanswered; begin it again to give it an answer")
    return IdempotencyConflict("another answer is stored under this stream id")


def append(work: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:append`."""
    stream = leases.get_for_append(work, args)
    return {"end": _append(work, stream, args)[1]}


def finalize(work: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:finalize`: both messages and both memories, all or nothing, once."""
    stream = leases.get_owned(work, args)
    if stream["state"] != "open":
        return _stored_before(work, stream, args)
    answer, end = _append(work, stream, args)
    if end != args["length"]:
        raise Gap(end, args["length"])
    exchanges.store_answer(work, stream, answer, end, args)
    return result(work, args, "now")


def _stored_before(work: Transaction, stream: sqlite3.Row, args: dict[str, Any]) -> dict[str, Any]:
    """What a finished stream says to one more finalise: the stored result, if it is of the same text."""
    if stream["state"] == "finished" and args["attempt"] < stream["attempt"]:
        raise Fenced(f"the stream is at attempt {stream['attempt']}, this write at {args['attempt']}")
    length = stream["length"]
    same = (
        stream["state"] == "finished"
        and args["attempt"] == stream["attempt"]
        and args["length"] == length
        and args["start"] + len(args["text"]) <= length
        and text_store.compare(work, stream["answer"], args["start"], args["text"])
    )
    if not same:
        raise _conflict(stream)
    return result(work, args, "before")


def result(work: Transaction, args: dict[str, Any], stored: str) -> dict[str, Any]:
    """What is stored of a stream that has ended, as `streams:finalize` and `streams:close` give it."""
    stream = leases.get_live(work, args)
    empty = stream["state"] == "empty"
    answer = None if empty else stream["memory"]
    messages = [stream["question_message"], stream["answer_message"]]
    return {
        "conversation": {
            "conversationId": stream["conversation"],
            "messageIds": [message for message in messages if message is not None],
        },
        "memories": memories.load(work, stream["space"], stream["question_memory"], answer),
        "contentLength": 0 if empty else stream["length"],
        "stored": stored,
    }


def close(work: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:close`: the question alone is kept, marked as unanswered."""
    stream = leases.get_owned(work, args)
    if stream["state"] == "finished":
        raise IdempotencyConflict("an answer is stored under this stream id")
    if stream["state"] == "empty":
        return result(work, args, "before")
    exchanges.store_unanswered(work, stream, args["outcome"], args.get("reason"))
    return result(work, args, "now")
