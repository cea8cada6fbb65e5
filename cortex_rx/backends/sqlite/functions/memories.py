"""`memories:*`: reading, searching and deleting what was stored."""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from collections.abc import Callable, Mapping
from typing import Any

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import tokens
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


# A chunk is a row of its answer, with what is its own.
_ANSWERS = (
    "SELECT memories.*, length, writes, touched, NULL AS chunk, NULL AS part, NULL AS start, NULL AS stop,"
    " NULL AS overlap, NULL AS own FROM memories CROSS JOIN texts ON texts.id = memories.text"
)
_CHUNKS = (
    "SELECT memories.*, length, writes, touched, chunks.id AS chunk, part, start, stop, overlap, chunks.embedding AS own"
    " FROM memories CROSS JOIN texts ON texts.id = memories.text CROSS JOIN chunks ON chunks.memory = memories.seq"
)


def _row(work: Transaction, row: sqlite3.Row, limit: int | None) -> dict[str, Any]:
    """A memory as the contract gives it; its content cut after `limit` code points."""
    partial = bool(row["partial"])
    is_chunk = row["chunk"] is not None
    start, stop = (row["start"], row["stop"]) if is_chunk else (0, row["length"])
    end = stop if limit is None else min(stop, start + limit)
    result: dict[str, Any] = {
        "memoryId": row["chunk"] if is_chunk else row["id"],
        "memorySpaceId": row["space"],
        "content": "".join(text_store.read(work, row["text"], start, end)),
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
        stream = work.db.execute("SELECT id, question, started FROM streams WHERE seq = ?", (row["stream"],)).fetchone()
        result["partialMetadata"] = {
            "userMessage": text_store.read_text(work, stream["question"], HEAD_LENGTH),
            "streamId": stream["id"],
            "streamStartTime": stream["started"],
            "updates": row["writes"],
        }
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


def load(work: Transaction, space: str, question: str | None, answer: str | None) -> list[dict[str, Any]]:
    """The memories of a question and of its answer that are there, in this order, their contents cut."""
    rows = work.db.execute(
        f"{_ANSWERS} WHERE memories.space = ? AND memories.id IN (?, ?) ORDER BY seq", (space, question, answer)
    )
    return [_row(work, row, HEAD_LENGTH) for row in rows.fetchall()]


def get(work: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`memories:get`: the content is whole, and the chunks are named."""
    key = (args["memorySpaceId"], args["memoryId"])
    row = work.db.execute(f"{_ANSWERS} WHERE memories.space = ? AND memories.id = ?", key).fetchone()
    if row is None:
        row = work.db.execute(f"{_CHUNKS} WHERE chunks.space = ? AND chunks.id = ?", key).fetchone()
    if row is None or (row["partial"] and not args["includePartial"]):
        return None
    result = _row(work, row, None)
    if "chunkCount" in result:
        ids = work.db.execute("SELECT id FROM chunks WHERE memory = ? ORDER BY part", (row["seq"],))
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


def list_rows(work: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:list`: newest first, an answer before its chunks."""
    rows = work.db.execute(
        _LIST_WITH_CHUNKS if args["includeChunks"] else _LIST, {**_filters(args), "limit": args["limit"]}
    )
    return [_row(work, row, HEAD_LENGTH) for row in rows.fetchall()]


def count(work: Transaction, args: dict[str, Any]) -> int:
    """`memories:count`."""
    row = work.db.execute(f"{_COUNTED}{_NARROWED}", _filters(args)).fetchone()
    number: int = row[0]
    return number


def any_tag(tags: str, wanted: str) -> bool:
    """The SQL function of this name: whether two lists in JSON share an item.  (SQLite's JSON functions end at a NUL.)"""
    return not set(json.loads(tags)).isdisjoint(json.loads(wanted))


def _rarity(docs: int, hits: int) -> float:
    """The SQL function `rarity`: the weight of a term that `hits` of the `docs` parts of texts have (idf, never negative)."""
    return math.log(1 + (docs - hits + 0.5) / (hits + 0.5))


SQL_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"any_tag": any_tag, "rarity": _rarity}
"""What the statements here call, by name."""

# Each term is looked up by itself.  The best place of each term in a memory, or chunk, counts, wherever it is in it; one with more of the
# terms comes first, BM25 decides among those with as many.  Terms are given as JSON, so the statement is a constant.
#
# bm25() of FTS5 counts the rows and words of all memory spaces, so it must not rank: a space would see that another one grows.  But
# it is the one function that knows how often a term is in a row.  By its definition bm25(words, w) is c * t * w / (t * w + k), where
# t is that number, c the same for all weights w, and k = 1.2 * (0.25 + 0.75 * words of the row / mean words of all rows).  So the
# share bm25(words) / bm25(words, "infinite") is t / (t + k), and t = k * share / (1 - share), a whole number once it is rounded.
# From t the rank is computed anew, with the mean, the rows and the hits of this space alone.
_SEARCH = """
WITH hits AS MATERIALIZED (
    SELECT docs.text AS text, docs.part AS part, term.key AS term, docs.size AS size, bm25(words) / bm25(words, 1e18) AS share
    FROM json_each(:terms) AS term
    CROSS JOIN words ON words MATCH term.value
    CROSS JOIN docs ON docs.id = words.rowid
), places AS (
    SELECT text, part, term, size, round(share / (1 - share) * 1.2 * (0.25 + 0.75 * size / :mean_of_all)) AS times FROM hits
    UNION ALL
    SELECT json_extract(value, '$[0]'), NULL, json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]') FROM json_each(:tails)
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


def search(work: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:search`: best first; `_score` is between 0 and 1 and falls from row to row."""
    terms = phrases(args["query"])
    space = text_store.number_of(work, args["memorySpaceId"])
    if not terms or space is None:
        return []
    tails: list[tuple[int, int, int, int]] = []
    if args["includePartial"]:
        tails = _tails(work, args["memorySpaceId"], terms)
    counts = work.db.execute("SELECT docs, size FROM spaces WHERE id IN (0, ?) ORDER BY id", (space,)).fetchall()
    everywhere, here = counts
    rows = work.db.execute(
        _SEARCH,
        {
            **_filters(args),
            "terms": json.dumps([f'"{in_space(space, term)}"' for term in terms], ensure_ascii=False),
            "tails": json.dumps(tails),
            "docs": here["docs"] + len({tail[0] for tail in tails}),
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
        found.append({**_row(work, row, HEAD_LENGTH), "_score": score})
    return found


def _tails(work: Transaction, space: str, terms: list[str]) -> list[tuple[int, int, int, int]]:
    """What the end of each unfinished answer, which is not indexed yet, has of the terms: (text, term, words, times)."""
    open_texts = work.db.execute("SELECT answer FROM streams WHERE space = ? AND state = 'open' ORDER BY seq", (space,))
    tails: list[tuple[int, int, int, int]] = []
    for (text,) in open_texts.fetchall():
        words = text_store.tail(work, text)
        size = words.count(" ") - 1
        for position, term in enumerate(terms):
            times = words.count(f" {term} ")
            if times:
                tails.append((text, position, size, times))
    return tails


def delete(work: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:deleteMemory`: the memory, its chunks, their words in the index, and its text, which stays only where a message
    refers to it.  A chunk is not deleted by itself.

    With the memory of an answer its stream goes, and what former attempts wrote; with that of a question that has no answer, also
    what has been written since it was asked again.
    """
    row = work.db.execute(
        "SELECT seq, text, stream FROM memories WHERE space = ? AND id = ?", (args["memorySpaceId"], args["memoryId"])
    ).fetchone()
    if row is None:
        answer = work.db.execute(
            "SELECT memories.id FROM chunks JOIN memories ON memories.seq = chunks.memory WHERE chunks.space = ? AND chunks.id = ?",
            (args["memorySpaceId"], args["memoryId"]),
        ).fetchone()
        if answer is not None:
            raise InvalidArgument(
                "memoryId", args["memoryId"], f"{answer['id']}, the answer: a chunk is deleted with it"
            )
        raise MemoryNotFound("no memory of this id in the memory space")
    text_store.unindex(work, row["text"])
    work.db.execute("DELETE FROM chunks WHERE memory = ?", (row["seq"],))
    work.db.execute("DELETE FROM memories WHERE seq = ?", (row["seq"],))
    if row["stream"] is not None:
        forget_stream(work, row["stream"])
    text_store.drop(work, row["text"])
    return {"deleted": True, "memoryId": args["memoryId"]}


def forget_stream(work: Transaction, stream: int) -> None:
    """Mark a stream as deleted, and drop what only it refers to."""
    row = work.db.execute("SELECT question, answer FROM streams WHERE seq = ?", (stream,)).fetchone()
    attempts = work.db.execute("SELECT text FROM attempts WHERE stream = ?", (stream,)).fetchall()
    work.db.execute(
        "UPDATE streams SET state = 'deleted', question = NULL, answer = NULL, metadata = NULL, updated = ? WHERE seq = ?",
        (work.now, stream),
    )
    work.db.execute("DELETE FROM memories WHERE stream = ? AND partial", (stream,))
    work.db.execute("DELETE FROM attempts WHERE stream = ?", (stream,))
    tokens.detach(work, stream)
    for text in [row["question"], row["answer"], *(attempt["text"] for attempt in attempts)]:
        if text is not None:
            text_store.drop(work, text)
