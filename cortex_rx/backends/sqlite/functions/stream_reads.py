"""Reading streams: the state of a stream, its text from any offset on, and the streams that nobody writes any more."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import leases
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import StreamNotFound

__all__ = [
    "end_fields",
    "get",
    "id_fields",
    "interrupted",
    "list_rows",
    "open_streams",
    "pending_fields",
    "read",
    "resume_fields",
    "turn_of",
]


def resume_fields(text: sqlite3.Row) -> dict[str, Any]:
    """The mark and the resume state of a text, as fields of a result. None is left out."""
    pairs = {"mark": text["mark"], "resumeState": text["resume_state"]}
    values = {key: json.loads(value) for key, value in pairs.items() if value is not None}
    return {key: value for key, value in values.items() if value is not None}


def id_fields(stream: sqlite3.Row | Mapping[str, Any]) -> dict[str, Any]:
    """The ids under which question and answer are or will be stored, as fields of a result."""
    return {
        "conversationId": stream["conversation"],
        "messageIds": [stream["question_message"], stream["answer_message"]],
        "memoryIds": [stream["question_memory"], stream["memory"]],
    }


def end_fields(stream: sqlite3.Row) -> dict[str, Any]:
    """The reason of a stream's end and its usage, as fields of a result."""
    result: dict[str, Any] = {}
    if stream["reason"] is not None:
        result["reason"] = stream["reason"]
    if stream["usage"] is not None:
        result["usage"] = json.loads(stream["usage"])
    return result


def turn_of(tx: Transaction, stream: sqlite3.Row) -> dict[str, Any]:
    """The turn, as it was given to `streams:begin`."""
    optional = {
        "userId": stream["user_id"],
        "userName": stream["user_name"],
        "agentId": stream["agent_id"],
        "participantId": stream["participant_id"],
        "metadata": None if stream["metadata"] is None else json.loads(stream["metadata"]),
    }
    return {
        "memorySpaceId": stream["space"],
        "conversationId": stream["conversation"],
        "userMessage": text_store.read_text(tx, stream["question"]),
        "importance": stream["importance"],
        "tags": json.loads(stream["tags"]),
        "startedAt": stream["started"],
        **{key: value for key, value in optional.items() if value is not None},
    }


def get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`streams:get`."""
    try:
        stream = leases.get_live(tx, args)
    except StreamNotFound:
        return None
    return {
        "streamId": stream["id"],
        "memorySpaceId": stream["space"],
        "memoryId": stream["memory"],
        **id_fields(stream),
        "state": stream["state"],
        "epoch": stream["epoch"],
        "attempt": stream["attempt"],
        "length": stream["length"],
        "userMessage": text_store.read_text(tx, stream["question"]),
        "createdAt": stream["created"],
        "updatedAt": _updated(stream, stream),
        "owned": leases.is_owned(tx, stream),
        **leases.lease_field(tx, stream),
        **_failure_field(stream),
        **(resume_fields(stream) if stream["state"] == "open" else end_fields(stream)),
    }


def _updated(stream: sqlite3.Row, text: sqlite3.Row) -> int:
    updated: int = max(stream["updated"], text["touched"]) if stream["state"] == "open" else stream["updated"]
    return updated


def read(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:read`: a part of an attempt's text, and where the stream stands at the same moment."""
    stream = leases.find(tx, args)
    if stream is None or stream["state"] == "deleted":
        raise StreamNotFound("no stream with this id in the memory space, or its memory was deleted")
    attempt = args.get("attempt", stream["attempt"])
    if attempt == stream["attempt"]:
        answer: int | None = stream["answer"]
        text = None if answer is None else stream
    else:
        text = tx.db.execute(
            "SELECT texts.* FROM attempts JOIN texts ON texts.id = attempts.text WHERE stream = ? AND attempt = ?",
            (stream["seq"], attempt),
        ).fetchone()
        answer = None if text is None else text["id"]
    length = 0 if text is None else int(text["length"])
    start = min(args["after"], length)
    stop = min(start + args["limit"], length)
    return {
        "streamId": stream["id"],
        "attempt": attempt,
        "attempts": stream["attempt"],
        "start": start,
        "text": "" if answer is None else "".join(text_store.read(tx, answer, start, stop)),
        "length": length,
        "certain": leases.valid_prefix(stream, args.get("epoch", stream["epoch"]), attempt, length),
        "createdAt": stream["created"],
        "updatedAt": stream["updated"] if text is None else _updated(stream, text),
        "index": 0 if text is None else _index(text),
        "state": stream["state"],
        "epoch": stream["epoch"],
        "owned": leases.is_owned(tx, stream),
        **leases.lease_field(tx, stream),
        **end_fields(stream),
    }


def _index(text: sqlite3.Row) -> int:
    """The number of the text's deltas, if the writer stored it; else the number of its writes."""
    state = resume_fields(text).get("resumeState")
    index = state.get("index") if isinstance(state, dict) else None
    return index if isinstance(index, int) else int(text["writes"])


_LISTED = "SELECT streams.*, length, touched, lease, term, failure FROM streams JOIN texts ON texts.id = answer"


_OF_CONVERSATION = " WHERE conversation_seq = (SELECT seq FROM conversations WHERE space = ? AND id = ?)"


def interrupted(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`streams:interrupted`: newest first."""
    rows = tx.db.execute(
        f"{_LISTED} WHERE streams.space = :space AND state = 'open'"
        " AND NOT (lease > :now AND lease <= :now + term)"  # `is_owned`
        " AND (:conversation IS NULL OR conversation = :conversation) ORDER BY seq DESC LIMIT :limit",
        {
            "space": args["memorySpaceId"],
            "now": tx.now,
            "conversation": args.get("conversationId"),
            "limit": args["limit"],
        },
    )
    return [_listed(tx, row) for row in rows.fetchall()]


def list_rows(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`streams:list`: those of a conversation, newest first."""
    rows = tx.db.execute(
        f"{_LISTED}{_OF_CONVERSATION} AND state != 'deleted' ORDER BY seq DESC LIMIT ?",
        (args["memorySpaceId"], args["conversationId"], args["limit"]),
    )
    return [
        {**_listed(tx, row), "state": row["state"], "owned": leases.is_owned(tx, row), **end_fields(row)}
        for row in rows.fetchall()
    ]


def open_streams(tx: Transaction, space: str, conversation: int) -> list[sqlite3.Row]:
    """The streams of a conversation that have not ended, in the order of asking."""
    rows = tx.db.execute(
        f"{_LISTED} WHERE streams.space = ? AND conversation_seq = ? AND state = 'open' ORDER BY seq",
        (space, conversation),
    )
    return rows.fetchall()


def pending_fields(tx: Transaction, stream: sqlite3.Row) -> dict[str, Any]:
    """An exchange that has not ended, as a conversation shows it."""
    return {**_listed(tx, stream), "state": "streaming" if leases.is_owned(tx, stream) else "interrupted"}


def _listed(tx: Transaction, stream: sqlite3.Row) -> dict[str, Any]:
    return {
        "streamId": stream["id"],
        "memoryId": stream["memory"],
        **id_fields(stream),
        "attempt": stream["attempt"],
        "length": stream["length"],
        "userMessage": text_store.read_text(tx, stream["question"], HEAD_LENGTH),
        "createdAt": stream["created"],
        "updatedAt": _updated(stream, stream),
        **leases.lease_field(tx, stream),
        **_failure_field(stream),
    }


def _failure_field(stream: sqlite3.Row) -> dict[str, str]:
    return {} if stream["failure"] is None else {"lastError": stream["failure"]}
