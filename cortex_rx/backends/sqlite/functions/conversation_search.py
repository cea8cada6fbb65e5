"""`conversations:search` and `conversations:exportConversations`: the messages of many conversations."""

from __future__ import annotations

import heapq
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import conversations
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.models.conversation_exports import columns, export_row
from cortex_rx.models.exports import csv_text, json_text

__all__ = ["export", "search"]

_AROUND = 30  # characters before and behind a place that is shown
_HIGHLIGHTS = 3


def search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`conversations:search`. Only the numbers of the best conversations are kept until all are read."""
    # Of the same length as it: no letter becomes two.
    words = re.compile(re.escape(args["query"]), re.IGNORECASE)
    # By way of their numbers: a row of a conversation has its metadata, which may be long.
    numbers = [(row["seq"], row["message_count"]) for row in conversations.chosen(tx, args) if row["message_count"]]
    scored = ((sum(1 for _ in _matches(tx, seq, words, len(args["query"]))) / count, seq) for seq, count in numbers)
    best = heapq.nlargest(args["limit"], (one for one in scored if one[0]))
    return [_found(tx, seq, score, words, len(args["query"])) for score, seq in best]


_PIECES = (
    "SELECT position, messages.text, place, body FROM messages CROSS JOIN pieces"
    " ON place >= messages.text << 32 AND place < (messages.text + 1) << 32"
    " WHERE conversation = ? ORDER BY position, place"
)


def _matches(tx: Transaction, conversation: int, words: re.Pattern[str], length: int) -> Iterator[tuple[int, int, int]]:
    """The messages of a conversation that have the words: position, text, and where in it they first are."""
    last, found, tail = -1, False, ""
    for position, text, place, body in tx.db.execute(_PIECES, (conversation,)):
        if position != last:
            last, found, tail = position, False, ""
        if found:
            continue
        read = tail + body
        if (match := words.search(read)) is not None:
            found = True
            yield position, text, place - (text << 32) - len(tail) + match.start()
        else:
            tail = read[max(0, len(read) - length + 1) :]  # the words may begin in it


def _found(tx: Transaction, seq: int, score: float, words: re.Pattern[str], length: int) -> dict[str, Any]:
    row = tx.db.execute("SELECT * FROM conversations WHERE seq = ?", (seq,)).fetchone()
    places = list(_matches(tx, seq, words, length))
    return {
        "conversation": conversations.row_of(row),
        "matchedMessages": [_message(tx, seq, position) for position, _, _ in places],
        "highlights": [_highlight(tx, text, at, length) for _, text, at in places[:_HIGHLIGHTS]],
        "score": score,
    }


def _message(tx: Transaction, conversation: int, position: int) -> dict[str, Any]:
    row: sqlite3.Row = tx.db.execute(
        "SELECT * FROM messages WHERE conversation = ? AND position = ?", (conversation, position)
    ).fetchone()
    return conversations.message_of(tx, row, HEAD_LENGTH)


def _highlight(tx: Transaction, text: int, at: int, length: int) -> str:
    return "".join(text_store.read(tx, text, max(at - _AROUND, 0), at + length + _AROUND))


# --- export -----------------------------------------------------------------------------------------------------------


def export(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`conversations:exportConversations`."""
    rows = conversations.chosen(tx, args).fetchall()
    with_metadata = args["includeMetadata"]
    if args["format"] == "csv":
        data = csv_text(columns(with_metadata), (conversations.row_of(row) for row in rows))
    else:
        data = json_text(export_row(conversations.row_of(row), with_metadata, _messages(tx, row)) for row in rows)
    return {"format": args["format"], "data": data, "count": len(rows), "exportedAt": tx.now}


def _messages(tx: Transaction, row: sqlite3.Row) -> list[dict[str, Any]]:
    return conversations.messages_of(tx, row["seq"], 0, row["message_count"])
