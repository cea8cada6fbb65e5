"""`memories:search`: which memories have words of a query, and in which order."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.functions import memories
from cortex_rx.backends.sqlite.index import NEW, OLD, searched, times
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.tokenizer import query_terms

__all__ = ["SQL_FUNCTIONS", "any_tag", "search"]


def any_tag(tags: str, wanted: str) -> bool:
    """The SQL function `any_tag`: whether two JSON lists share an item. (SQLite's JSON functions stop at a NUL.)"""
    return not set(json.loads(tags)).isdisjoint(json.loads(wanted))


def _rarity(docs: int, hits: int) -> float:
    """The SQL function `rarity`: the weight of a term that `hits` of `docs` documents have (idf, never negative)."""
    return math.log(1 + (docs - hits + 0.5) / (hits + 0.5))


SQL_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"any_tag": any_tag, "rarity": _rarity}
"""The SQL functions that the statements here call, by name."""

# Each term is looked up on its own. Its best document in a memory or chunk counts. Memories with more of the terms come
# first; BM25 orders memories with equally many, with the rows and words of this space alone.
_SEARCH_IN = {
    found: f"""
WITH hits AS (
    SELECT docs.text AS text, docs.part AS part, term.key AS term, docs.size AS size, times.value AS times
    FROM json_each(:times) AS term CROSS JOIN json_each(term.value) AS times
    CROSS JOIN {found.docs} AS docs ON docs.id = times.key
), places AS (
    SELECT text, part, term, size, times FROM hits
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
    matched, weight
FROM scored CROSS JOIN memories ON memories.text = scored.text CROSS JOIN texts ON texts.id = memories.text
LEFT JOIN chunks ON chunks.memory = memories.seq AND chunks.part = scored.part
WHERE memories.space = :space AND (partial = 0 OR :partial)
    AND (:user IS NULL OR user_id = :user) AND (:source IS NULL OR source_type = :source)
    AND (:importance IS NULL OR importance >= :importance) AND (:tags IS NULL OR any_tag(tags, :tags))
ORDER BY matched DESC, weight DESC, seq DESC, chunks.part LIMIT :limit
"""  # noqa: S608
    for found in (NEW, OLD)
}

_COUNTS = {
    each: f"SELECT {each.docs_of_space} AS docs, {each.size_of_space} AS size FROM spaces WHERE id = ?"  # noqa: S608
    for each in (NEW, OLD)
}


def search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:search`: best first. `_score` is between 0 and 1 and falls from row to row."""
    index = searched(tx)
    terms = [term.stems if index.has_stems else term.words for term in query_terms(args["query"], tx.language)]
    space = text_store.number_of(tx, args["memorySpaceId"])
    if not terms or space is None:
        return []
    unindexed: list[tuple[int, int, int, int]] = []
    if args["includePartial"]:
        unindexed = _unindexed_terms(tx, args["memorySpaceId"], terms)
    here = tx.db.execute(_COUNTS[index], (space,)).fetchone()
    rows = tx.db.execute(
        _SEARCH_IN[index],
        {
            **memories.filters(args),
            "times": json.dumps([times(tx, index, space, term) for term in terms]),
            "unindexed": json.dumps(unindexed),
            "docs": here["docs"] + len({one[0] for one in unindexed}),
            "mean": max(here["size"], 1) / max(here["docs"], 1),
            "importance": args.get("minImportance"),
            "tags": json.dumps(args["tags"]) if "tags" in args else None,
            "limit": args["limit"],
        },
    ).fetchall()
    found: list[dict[str, Any]] = []
    for row in rows:
        score = (row["matched"] + row["weight"] / (1 + row["weight"])) / (len(terms) + 1)
        found.append({**memories.row_of(tx, row, HEAD_LENGTH), "_score": score})
    return found


def _unindexed_terms(tx: Transaction, space: str, terms: list[str]) -> list[tuple[int, int, int, int]]:
    """The terms in the end of each open answer, which is not indexed yet: (text, term, words, times)."""
    open_texts = tx.db.execute("SELECT answer FROM streams WHERE space = ? AND state = 'open' ORDER BY seq", (space,))
    unindexed: list[tuple[int, int, int, int]] = []
    for (text,) in open_texts.fetchall():
        stems = text_store.unindexed_words(tx, text).stems
        words, size = f" {' '.join(stems)} ", len(stems)
        for position, term in enumerate(terms):
            if number := words.count(f" {term} "):
                unindexed.append((text, position, size, number))
    return unindexed
