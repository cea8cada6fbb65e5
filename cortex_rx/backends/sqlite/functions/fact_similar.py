"""`facts:similar`: the facts that a new one may be about. Each way to find some looks at a bounded number of them."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from math import hypot
from operator import mul
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts import nominating, rows, statements
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.tokenizer import in_space, index_words
from cortex_rx.beliefs.normal import Keys, ends, keys
from cortex_rx.beliefs.similarity import jaccard

__all__ = ["similar"]

_MOST = 50
"""The most that are given, and that one band or one word nominates. A word that more facts have says little."""
_WORDS = 32
"""The words of a text that nominate."""
_COMPARED = 500
"""The newest facts about a subject whose embeddings are compared."""
_NEAR = 10
"""How many of them are nominated."""

_IN_BAND = "SELECT fact FROM fact_bands WHERE space = ? AND band = ? ORDER BY fact DESC LIMIT ?"
_IN_SLOT = "SELECT seq FROM facts WHERE space = ? AND slot = ? AND closed IS NULL LIMIT ?"
_WITH_WORD = (
    "SELECT text FROM fact_terms CROSS JOIN fact_documents ON fact_documents.id = fact_terms.rowid"
    " WHERE fact_terms MATCH ? LIMIT ?"
)
_VECTORS = (
    "SELECT belief, vector FROM fact_bands CROSS JOIN statements ON belief = fact_bands.fact"
    " CROSS JOIN statement_vectors ON statement = statements.seq"
    " WHERE fact_bands.space = ? AND band = ? AND model = ? AND length(vector) = ?"
    " ORDER BY fact_bands.fact DESC LIMIT ?"
)
_OPEN = "SELECT * FROM facts WHERE seq = ? AND user_id IS ? AND closed IS NULL"
_SAID = "SELECT slot, value, merge FROM statements WHERE belief = ? AND until IS NULL ORDER BY known, seq LIMIT 1"


def similar(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`facts:similar`."""
    space = text_store.number_of(tx, args["memorySpaceId"])
    if space is None:
        return []
    said = statements.said_by(args)
    own = keys(said, args["deduplication"], own="", owner=args.get("userId"), revise=args["revise"])
    near = _near(tx, space, args) if args["deduplication"] == "semantic" else {}
    found = [
        _compared(tx, own, args, fact, near.get(fact["seq"], 0.0))
        for fact in _open(tx, args, (*_nominated(tx, space, args, own), *near))
    ]
    best = sorted(found, key=_rank)[: min(args["limit"], _MOST)]
    loaded = rows.load(tx, args["memorySpaceId"], [one["seq"] for one in best])
    return [
        {**row, **{name: one[name] for name in ("same", "ends", "similarity")}}
        for row, one in zip(loaded, best, strict=True)
    ]


def _rank(one: dict[str, Any]) -> tuple[bool, bool, float, int]:
    return not one["same"], not one["ends"], -one["nearness"], -one["seq"]


def _nominated(tx: Transaction, space: int, args: dict[str, Any], own: Keys) -> Iterable[int]:
    columns = _columns(args)
    yield from _first(tx, _IN_SLOT, (space, own.slot, _MOST))
    for band in nominating.alike(columns):
        yield from _first(tx, _IN_BAND, (space, band, _MOST))
    for band in nominating.about(columns)[1:]:
        yield from _first(tx, _IN_BAND, (space, band, _MOST))
    words = dict.fromkeys(index_words(args["fact"], tx.language).stems)
    for word in list(words)[:_WORDS]:
        having = _first(tx, _WITH_WORD, (f'"{in_space(space, word)}"', _MOST + 1))
        if len(having) <= _MOST:
            yield from having


def _first(tx: Transaction, statement: str, values: Sequence[Any]) -> list[int]:
    return [row[0] for row in tx.db.execute(statement, values).fetchall()]


def _columns(args: dict[str, Any]) -> dict[str, Any]:
    given = {name: args.get(name) for name in ("subject", "predicate", "qualifier")}
    return {"user_id": args.get("userId"), "body": args["fact"], **given}


def _near(tx: Transaction, space: int, args: dict[str, Any]) -> dict[int, float]:
    """The facts about the same subject whose embeddings are nearest, with their cosines."""
    if "embedding" not in args or "subject" not in args:
        return {}
    mine = array("d", args["embedding"])
    band = nominating.about(_columns(args))[0]
    given = (space, band, args.get("embeddingModel", ""), 8 * len(mine), _COMPARED)
    cosines: dict[int, float] = {}
    for fact, vector in tx.db.execute(_VECTORS, given).fetchall():
        cosines[fact] = max(_cosine(mine, array("d", vector)), cosines.get(fact, 0.0))
    return dict(sorted(cosines.items(), key=lambda one: -one[1])[:_NEAR])


def _cosine(one: array[float], other: array[float]) -> float:
    length = hypot(*one) * hypot(*other)
    return sum(map(mul, one, other)) / length if length else 0.0


def _open(tx: Transaction, args: dict[str, Any], numbers: Iterable[int]) -> list[sqlite3.Row]:
    """Those that hold and are the same user's, each once."""
    found = (tx.db.execute(_OPEN, (number, args.get("userId"))).fetchone() for number in dict.fromkeys(numbers))
    return [row for row in found if row is not None]


def _compared(tx: Transaction, own: Keys, args: dict[str, Any], fact: sqlite3.Row, cosine: float) -> dict[str, Any]:
    theirs = Keys(*tx.db.execute(_SAID, (fact["seq"],)).fetchone())
    alike = jaccard(args["fact"], fact["body"])
    return {
        "seq": fact["seq"],
        "same": theirs == own,
        "ends": ends(own, theirs),
        "similarity": alike,
        "nearness": max(alike, cosine),
    }
