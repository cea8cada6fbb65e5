"""`facts:search`: which facts have words of a query, best first. Words and weights are those of the search of memories,
counted among the facts of the memory space."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts.rows import load
from cortex_rx.backends.sqlite.functions.fact_filters import SORTED, condition, values
from cortex_rx.backends.sqlite.functions.fact_past import seen
from cortex_rx.backends.sqlite.functions.search import sought_for, times_of
from cortex_rx.backends.sqlite.index import FACTS
from cortex_rx.backends.sqlite.ranking import Postings, most, part_weights
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["scores", "search"]

_MOST = 1_024
_CANDIDATES = (
    "SELECT facts.seq, created, updated, confidence, version"
    " FROM json_each(:numbers) CROSS JOIN facts ON facts.seq = json_each.value"
)


def search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`facts:search`."""
    space = text_store.number_of(tx, args["memorySpaceId"])
    if space is None:
        return []
    with seen(tx, space, args) as there:
        found = scores(there, space, args["query"])
        rows = _best(there, space, args, found)
        if "sortBy" in args:  # of equal ones the best comes first
            rows.sort(key=lambda row: row[SORTED[args["sortBy"]]], reverse=args["sortOrder"] == "desc")
        rows = rows[args["offset"] :][: args.get("limit", _MOST)]
        numbers = [row["seq"] for row in rows]
        facts = load(there, args["memorySpaceId"], numbers)
        return [{**fact, "_score": found[number]} for number, fact in zip(numbers, facts, strict=True)]


def _best(tx: Transaction, space: int, args: dict[str, Any], found: dict[int, float]) -> list[sqlite3.Row]:
    """The best facts that pass the filters, as many as the page needs. Of equal ones the newest comes first."""
    ranked = sorted(found, key=lambda fact: (-found[fact], -fact))
    wanted = _MOST if "sortBy" in args else min(args["offset"] + args.get("limit", _MOST), _MOST)
    given = values(args, space)
    statement = f"{_CANDIDATES} WHERE {condition(args)} ORDER BY json_each.key"
    rows: list[sqlite3.Row] = []
    start, size = 0, 2 * wanted
    while start < len(ranked) and len(rows) < wanted:
        rows += tx.db.execute(statement, given | {"numbers": json.dumps(ranked[start : start + size])}).fetchall()
        start, size = start + size, size * 4
    return rows[:wanted]


def scores(tx: Transaction, space: int, query: str) -> dict[int, float]:
    """The facts of a memory space that have words of a query, by their rows, with scores of 0 to 1."""
    sought = sought_for(FACTS, query, tx.language)
    found_in = [times_of(tx, FACTS, space, one) for one in sought]
    documents = list(set().union(*found_in))
    if not documents:
        return {}
    placed = dict(zip(documents, tx.documents.look_up(tx, FACTS, documents), strict=True))
    facts, size = tx.db.execute("SELECT facts, fact_size FROM spaces WHERE id = ?", (space,)).fetchone()
    highest = [most(facts, len(have), one.share) for one, have in zip(sought, found_in, strict=True)]
    # What a perfect match would get. A pair that is nowhere is none of its pairs.
    perfect = sum(
        weight for one, have, weight in zip(sought, found_in, highest, strict=True) if have or one.term is not None
    )
    postings = [Postings(have, weight / perfect) for have, weight in zip(found_in, highest, strict=True)]
    keys = {document: key for document, (key, _) in placed.items()}
    sizes = {document: length for document, (_, length) in placed.items()}
    sums: dict[int, float] = {}
    for gained in part_weights(postings, keys, sizes, max(size, 1) / max(facts, 1)):
        for key, weight in gained.items():
            sums[key >> 32] = sums.get(key >> 32, 0.0) + weight
    return {fact: min(score, 1.0) for fact, score in sums.items()}
