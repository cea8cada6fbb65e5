"""`memories:*`: reading, searching and deleting memories."""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from collections.abc import Callable, Mapping
from typing import Any

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import conversations, tokens
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.tokenizer import in_space, phrases
from cortex_rx.errors import InvalidArgument, MemoryNotFound

__all__ = [
    "SQL_FUNCTIONS",
    "count",
    "delete",
    "forget_stream",
    "get",
    "list_rows",
    "load",
    "search",
]

_OPTIONAL = {
    "sourceUserId": "source_user_id",
    "sourceUserName": "source_user_name",
    "userId": "user_id",
    "agentId": "agent_id",
    "participantId": "participant_id",
}


# A chunk is read as the row of its answer, with its own columns.
_ANSWERS = (
    "SELECT memories.*, length, writes, touched, NULL AS chunk, NULL AS part, NULL AS start, NULL AS stop,"
    " NULL AS overlap, NULL AS own FROM memories CROSS JOIN texts ON texts.id = memories.text"
)
_CHUNKS = (
    "SELECT memories.*, length, writes, touched, chunks.id AS chunk, part, start, stop, overlap,"
    " chunks.embedding AS own"
    " FROM memories CROSS JOIN texts ON texts.id = memories.text CROSS JOIN chunks ON chunks.memory = memories.seq"
)


def _row(tx: Transaction, row: sqlite3.Row, limit: int | None) -> dict[str, Any]:
    """A memory in the form of the contract, with at most `limit` code points of its content."""
    partial = bool(row["partial"])
    is_chunk = row["chunk"] is not None
    start, stop = (row["start"], row["stop"]) if is_chunk else (0, row["length"])
    end = stop if limit is None else min(stop, start + limit)
    result: dict[str, Any] = {
        "memoryId": row["chunk"] if is_chunk else row["id"],
        "memorySpaceId": row["space"],
        "content": "".join(text_store.read(tx, row["text"], start, end)),
        "contentLength": stop - start,
        "contentType": row["content_type"],
        "sourceType": row["source_type"],
        "sourceTimestamp": row["source_timestamp"],
        "messageRole": row["role"],
        "conversationRef": {
            "conversationId": row["conversation"],
            "messageIds": [row["message"]] if row["message"] is not None else [],
        },
        "importance": row["importance"],
        "tags": json.loads(row["tags"]),
        "version": row["version"],
        "createdAt": row["created"],
        "updatedAt": max(row["updated"], row["touched"]) if partial else row["updated"],
        "accessCount": row["access_count"],
        "isPartial": partial,
    }
    for key, column in _OPTIONAL.items():
        if row[column] is not None:
            result[key] = row[column]
    embedding = row["own" if is_chunk else "embedding"]
    if embedding is not None:
        result["embedding"] = array("d", embedding).tolist()
    if row["metadata"] is not None:
        result["metadata"] = json.loads(row["metadata"])
    if partial:
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
        f"{_ANSWERS} WHERE memories.space = ? AND memories.id IN (?, ?) ORDER BY seq", (space, question, answer)
    )
    return [_row(tx, row, HEAD_LENGTH) for row in rows.fetchall()]


def get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`memories:get`: the full content, and the ids of the chunks."""
    key = (args["memorySpaceId"], args["memoryId"])
    row = tx.db.execute(f"{_ANSWERS} WHERE memories.space = ? AND memories.id = ?", key).fetchone()
    if row is None:
        row = tx.db.execute(f"{_CHUNKS} WHERE chunks.space = ? AND chunks.id = ?", key).fetchone()
    if row is None or (row["partial"] and not args["includePartial"]):
        return None
    result = _row(tx, row, None)
    if "chunkCount" in result:
        ids = tx.db.execute("SELECT id FROM chunks WHERE memory = ? ORDER BY part", (row["seq"],))
        result["chunkIds"] = [chunk["id"] for chunk in ids.fetchall()]
    return result


def _filters(args: dict[str, Any]) -> dict[str, Any]:
    return {
        "space": args["memorySpaceId"],
        "user": args.get("userId"),
        "source": args.get("sourceType"),
        "conversation": args.get("conversationId"),
        "partial": args["includePartial"],
        "chunks": args.get("includeChunks", False),
    }


_COUNTED = "SELECT count(*) + coalesce(sum(CASE WHEN :chunks THEN chunks ELSE 0 END), 0) FROM memories"
_NARROWED = (
    " WHERE memories.space = :space AND (partial = 0 OR :partial)"
    " AND (:user IS NULL OR user_id = :user) AND (:source IS NULL OR source_type = :source)"
)
_IN_CONVERSATION = f"{_NARROWED} AND (:conversation IS NULL OR conversation = :conversation)"
_LIST = f"{_ANSWERS}{_IN_CONVERSATION} ORDER BY seq DESC LIMIT :limit"
_LIST_WITH_CHUNKS = (
    f"{_ANSWERS}{_IN_CONVERSATION} UNION ALL {_CHUNKS}{_IN_CONVERSATION} ORDER BY seq DESC, part LIMIT :limit"
)


def list_rows(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:list`: newest first, an answer before its chunks."""
    rows = tx.db.execute(
        _LIST_WITH_CHUNKS if args["includeChunks"] else _LIST, {**_filters(args), "limit": args["limit"]}
    )
    return [_row(tx, row, HEAD_LENGTH) for row in rows.fetchall()]


def count(tx: Transaction, args: dict[str, Any]) -> int:
    """`memories:count`."""
    row = tx.db.execute(f"{_COUNTED}{_NARROWED}", _filters(args)).fetchone()
    number: int = row[0]
    return number


def any_tag(tags: str, wanted: str) -> bool:
    """The SQL function `any_tag`: whether two JSON lists share an item. (SQLite's JSON functions stop at a NUL.)"""
    return not set(json.loads(tags)).isdisjoint(json.loads(wanted))


def _rarity(docs: int, hits: int) -> float:
    """The SQL function `rarity`: the weight of a term that `hits` of `docs` documents have (idf, never negative)."""
    return math.log(1 + (docs - hits + 0.5) / (hits + 0.5))


SQL_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"any_tag": any_tag, "rarity": _rarity}
"""The SQL functions that the statements here call, by name."""

# Each term is looked up on its own. Its best document in a memory or chunk counts. Memories with more of the terms come
# first; BM25 orders memories with equally many. Terms are given as JSON, so the statement is a constant.
#
# bm25() of FTS5 counts the rows and words of all memory spaces. It must not rank, since a space would see that another
# one grows. But only bm25() knows how often a term is in a row. By its definition
#     bm25(words, w) = c * t * w / (t * w + k), k = 1.2 * (0.25 + 0.75 * words of the row / mean words of all rows)
# where t is that number, and c is the same for all weights w. So the share bm25(words) / bm25(words, "infinite") is
# t / (t + k), and t = k * share / (1 - share), rounded to a whole number. From t the rank is computed anew, with the
# mean, the rows and the hits of this space alone.
_SEARCH = """
WITH hits AS MATERIALIZED (
    SELECT docs.text AS text, docs.part AS part, term.key AS term, docs.size AS size,
        bm25(words) / bm25(words, 1e18) AS share
    FROM json_each(:terms) AS term
    CROSS JOIN words ON words MATCH term.value
    CROSS JOIN docs ON docs.id = words.rowid
), places AS (
    SELECT text, part, term, size,
        round(share / (1 - share) * 1.2 * (0.25 + 0.75 * size / :mean_of_all)) AS times FROM hits
    UNION ALL
    SELECT json_extract(value, '$[0]'), NULL, json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]') FROM json_each(:unindexed)
), terms AS MATERIALIZED (
    SELECT term, rarity(:docs, count(*)) AS weight FROM places GROUP BY term
), best AS (
    SELECT text, part, term, max(times * 2.2 / (times + 1.2 * (0.25 + 0.75 * size / :mean))) AS weight
    FROM places GROUP BY text, part, term
), scored AS (
    SELECT text, part, count(*) AS matched, sum(best.weight * terms.weight) AS weight
    FROM best CROSS JOIN terms ON terms.term = best.term GROUP BY text, part
)
SELECT memories.*, length, writes, touched, chunks.id AS chunk, chunks.part AS part, start, stop, overlap,
    chunks.embedding AS own, matched, weight
FROM scored CROSS JOIN memories ON memories.text = scored.text CROSS JOIN texts ON texts.id = memories.text
LEFT JOIN chunks ON chunks.memory = memories.seq AND chunks.part = scored.part
WHERE memories.space = :space AND (partial = 0 OR :partial)
    AND (:user IS NULL OR user_id = :user) AND (:source IS NULL OR source_type = :source)
    AND (:importance IS NULL OR importance >= :importance) AND (:tags IS NULL OR any_tag(tags, :tags))
ORDER BY matched DESC, weight DESC, seq DESC, chunks.part LIMIT :limit
"""


def search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:search`: best first. `_score` is between 0 and 1 and falls from row to row."""
    terms = phrases(args["query"])
    space = text_store.number_of(tx, args["memorySpaceId"])
    if not terms or space is None:
        return []
    unindexed: list[tuple[int, int, int, int]] = []
    if args["includePartial"]:
        unindexed = _unindexed_terms(tx, args["memorySpaceId"], terms)
    counts = tx.db.execute("SELECT docs, size FROM spaces WHERE id IN (0, ?) ORDER BY id", (space,)).fetchall()
    everywhere, here = counts
    rows = tx.db.execute(
        _SEARCH,
        {
            **_filters(args),
            "terms": json.dumps([f'"{in_space(space, term)}"' for term in terms], ensure_ascii=False),
            "unindexed": json.dumps(unindexed),
            "docs": here["docs"] + len({one[0] for one in unindexed}),
            "mean": max(here["size"], 1) / max(here["docs"], 1),
            "mean_of_all": max(everywhere["size"], 1) / max(everywhere["docs"], 1),
            "importance": args.get("minImportance"),
            "tags": json.dumps(args["tags"]) if "tags" in args else None,
            "limit": args["limit"],
        },
    ).fetchall()
    found: list[dict[str, Any]] = []
    for row in rows:
        score = (row["matched"] + row["weight"] / (1 + row["weight"])) / (len(terms) + 1)
        found.append({**_row(tx, row, HEAD_LENGTH), "_score": score})
    return found


def _unindexed_terms(tx: Transaction, space: str, terms: list[str]) -> list[tuple[int, int, int, int]]:
    """The terms in the end of each open answer, which is not indexed yet: (text, term, words, times)."""
    open_texts = tx.db.execute("SELECT answer FROM streams WHERE space = ? AND state = 'open' ORDER BY seq", (space,))
    unindexed: list[tuple[int, int, int, int]] = []
    for (text,) in open_texts.fetchall():
        words = text_store.unindexed_words(tx, text)
        size = words.count(" ") - 1
        for position, term in enumerate(terms):
            times = words.count(f" {term} ")
            if times:
                unindexed.append((text, position, size, times))
    return unindexed


def delete(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:deleteMemory`: deletes the memory, its chunks, their words in the index, and its text if no message
    refers to it. A single chunk is not deleted.

    With the memory of an answer, its stream and the texts of former attempts are deleted. With the memory of an
    unanswered question, also the text that was written since it was asked again. With either memory of an exchange
    that has not ended, all of it is deleted, also if that of the question is not stored yet.
    """
    row = tx.db.execute(
        "SELECT seq, text, stream FROM memories WHERE space = ? AND id = ?", (args["memorySpaceId"], args["memoryId"])
    ).fetchone()
    if row is None:
        asked = tx.db.execute(
            "SELECT seq FROM streams WHERE space = ? AND question_memory = ? AND state = 'open' AND NOT question_kept",
            (args["memorySpaceId"], args["memoryId"]),
        ).fetchone()
        if asked is not None:
            forget_stream(tx, asked["seq"])
            return {"deleted": True, "memoryId": args["memoryId"]}
        answer = tx.db.execute(
            "SELECT memories.id FROM chunks JOIN memories ON memories.seq = chunks.memory"
            " WHERE chunks.space = ? AND chunks.id = ?",
            (args["memorySpaceId"], args["memoryId"]),
        ).fetchone()
        if answer is not None:
            raise InvalidArgument(
                "memoryId", args["memoryId"], f"{answer['id']}, its answer: a chunk is deleted only with it"
            )
        raise MemoryNotFound("no memory with this id in the memory space")
    text_store.unindex(tx, row["text"])
    tx.db.execute("DELETE FROM chunks WHERE memory = ?", (row["seq"],))
    tx.db.execute("DELETE FROM memories WHERE seq = ?", (row["seq"],))
    if row["stream"] is not None:
        forget_stream(tx, row["stream"])
    text_store.drop(tx, row["text"])
    return {"deleted": True, "memoryId": args["memoryId"]}


def forget_stream(tx: Transaction, stream: int, *, leaves: bool = False) -> None:
    """Mark a stream as deleted, and drop the texts that only it refers to.

    It is taken out of its conversation if it `leaves`, or if no message of it is there.
    """
    row = tx.db.execute(
        "SELECT space, question, answer, conversation_seq, question_kept FROM streams WHERE seq = ?", (stream,)
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
    for text in [row["question"], row["answer"], *(attempt["text"] for attempt in attempts)]:
        if text is not None:
            text_store.drop(tx, text)
