"""The ends of a stream that nobody goes on with: its partial answer is kept as incomplete, or all of it is removed."""

from __future__ import annotations

import sqlite3
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import conversations, exchanges, fact_commits, leases, memories, streams
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import Fenced, IdempotencyConflict, StreamNotFound

__all__ = ["finish", "remove", "rollback"]

_INCOMPLETE = {"reason": exchanges.INCOMPLETE, "metadata": {"incomplete": True}}


def finish(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:finish`: keeps the stored text as an incomplete answer, or the question as unanswered."""
    stream = leases.get_live(tx, args)
    if stream["state"] != "open":
        return streams.result(tx, args, "before")
    leases.check_free(tx, stream)
    leases.bump_epoch(tx, stream, None)
    answer = int(stream["answer"])
    length = int(stream["length"])
    if all(part.isspace() for part in text_store.read(tx, answer, 0, length)):
        if stream["facts"]:
            fact_commits.publish_question(tx, stream)
        exchanges.store_unanswered(tx, stream, "interrupted", None)
    else:
        exchanges.store_answer(tx, stream, answer, length, _INCOMPLETE)
        if stream["facts"]:
            fact_commits.publish(tx, stream)
    return streams.result(tx, args, "now")


def rollback(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`streams:rollback`: removes all but the stream's id and its epoch, by which late writers are refused."""
    stream = leases.find(tx, args)
    if stream is None or stream["state"] == "deleted":
        raise StreamNotFound("no stream with this id in the memory space, or its memory was deleted")
    if args["epoch"] != stream["epoch"]:
        raise Fenced(f"the stream is at epoch {stream['epoch']}, this rollback is at {args['epoch']}")
    if stream["state"] == "finished":
        raise IdempotencyConflict("an answer is stored under this stream id")
    if stream["state"] != "rolledBack":
        remove(tx, stream)
    return {"streamId": stream["id"], "rolledBack": True}


def remove(tx: Transaction, stream: sqlite3.Row) -> None:
    """Remove all of a stream that has no answer but its id and its epoch."""
    if stream["facts"]:
        fact_commits.withdraw(tx, stream)
    texts: list[int] = []
    if stream["question_kept"]:  # it was closed as unanswered before
        conversations.remove_message(tx, stream, stream["question"], stream["question_message"])
        texts = memories.discard(tx, exchanges.question_of(tx, stream)["seq"])
    memories.forget_stream(tx, stream["seq"], leaves=True)
    for text in texts:
        text_store.drop(tx, text)
    tx.db.execute(
        "UPDATE streams SET state = 'rolledBack', conversation = '', user_id = NULL, user_name = NULL,"
        " agent_id = NULL, participant_id = NULL, importance = 0, tags = '[]', started = 0, memory = '',"
        " question_memory = NULL, question_message = NULL, answer_message = NULL, question_kept = 0, claim = NULL,"
        " claim_token = NULL, presented = 0, reason = NULL WHERE seq = ?",
        (stream["seq"],),
    )
