"""From the statements of a slot to its facts. A row of `facts` is what the fold of today gives, kept for lists and
searches; what was known at another time is folded anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cortex_rx.backends.sqlite.facts import indexing
from cortex_rx.backends.sqlite.facts.nominating import bands_of
from cortex_rx.backends.sqlite.facts.statements import REWRITES, SETTLES, having, words_of
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.beliefs.timeline import Belief, Statement, confidence, fold

__all__ = ["beliefs_of", "known_at", "refold"]

_FROM_STATEMENT = (
    "slot",
    "body",
    "fact_type",
    "subject",
    "predicate",
    "qualifier",
    "object",
    "polarity",
    "tense",
    "source_type",
    "user_id",
    "participant_id",
    "metadata",
    "version",
)
_COLUMNS = (
    "id",
    *_FROM_STATEMENT,
    "confidence",
    "tags",
    "valid_from",
    "valid_until",
    "known_from",
    "known_until",
    "closed",
    "supersedes",
    "superseded_by",
    "created",
)
_INDEXED = ("body", "subject", "predicate", "qualifier")  # what its words and its bands are made of
_INSERT = (
    f"INSERT INTO facts (space, updated, {', '.join(_COLUMNS)})"  # noqa: S608
    f" VALUES (:space, :now, {', '.join(f':{name}' for name in _COLUMNS)})"
)
_SET = ", ".join(f"{name} = :{name}" for name in _COLUMNS)
_UPDATE = f"UPDATE facts SET updated = :now, {_SET} WHERE seq = :seq"  # noqa: S608


def beliefs_of(rows: Iterable[sqlite3.Row], time: int | None = None) -> list[tuple[Belief, list[sqlite3.Row]]]:
    """The beliefs of one slot, each with its statements in the order in which they became known. `time`: as they were
    known then (epoch ms)."""
    by_number = {row["seq"]: row for row in rows}
    return [
        (belief, [by_number[one.seq] for one in belief.statements])
        for belief in fold(map(statement_of, by_number.values()), time)
    ]


def statement_of(row: sqlite3.Row) -> Statement:
    """A known statement, as the fold takes it."""
    return Statement(
        seq=row["seq"],
        own=row["own"],
        fact=row["fact"],
        slot=row["slot"],
        value=row["value"],
        merge=row["merge"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        said=row["said"],
        known=row["known"],
        until=row["until"],
        confidence=row["confidence"],
        messages=tuple(json.loads(row["messages"])),
        rewrites=row["rewrites"] == REWRITES,
        settles=row["rewrites"] == SETTLES,
    )


def _columns(belief: Belief, rows: Sequence[sqlite3.Row]) -> dict[str, Any]:
    """The columns of a fact: most are those of the statement whose words it has."""
    shown = next(row for row in rows if row["seq"] == belief.words.seq)
    return {
        **_own_columns(shown, rows),
        "id": belief.fact_id,
        "confidence": belief.confidence,
        "valid_from": belief.valid_from,
        "valid_until": belief.valid_until,
        "known_until": None,
        "closed": None if belief.superseded_by is None else "changed",
        "supersedes": belief.supersedes or shown["replaces"],
        "superseded_by": belief.superseded_by,
    }


def _own_columns(shown: sqlite3.Row, rows: Sequence[sqlite3.Row]) -> dict[str, Any]:
    tags = dict.fromkeys(tag for row in rows for tag in json.loads(row["tags"]))
    return {
        **{name: shown[name] for name in _FROM_STATEMENT},
        "tags": json.dumps(list(tags), ensure_ascii=False),
        "known_from": rows[0]["known"],
        "created": min(row["created"] for row in rows),
    }


def refold(tx: Transaction, space: int, slots: Iterable[str]) -> list[Belief]:
    """Make the facts of these slots anew, and write those that have changed. Returns what holds or held in them."""
    return [belief for slot in dict.fromkeys(slots) for belief in _refold(tx, space, slot)]


def _refold(tx: Transaction, space: int, slot: str) -> list[Belief]:
    rows = having(tx, "space = ? AND slot = ? AND known IS NOT NULL", (space, slot))
    before = {
        row["id"]: row for row in tx.db.execute("SELECT * FROM facts WHERE space = ? AND slot = ?", (space, slot))
    }
    beliefs = beliefs_of(row for row in rows if row["until"] is None)
    made = [(_columns(belief, of), of) for belief, of in beliefs]
    standing = {columns["id"] for columns, _ in made}
    made += _wrong(rows, [fact for fact in before.values() if fact["id"] not in standing])
    kept = {columns["id"] for columns, _ in made}
    for fact in before.values():
        if fact["id"] not in kept:
            indexing.remove(tx, space, fact["seq"])
            tx.db.execute("DELETE FROM facts WHERE seq = ?", (fact["seq"],))
    for columns, of in made:
        number = _write(tx, space, columns, before.get(columns["id"]))
        moved = [row for row in of if (row["fact"], row["belief"]) != (columns["id"], number)]
        tx.db.executemany(
            "UPDATE statements SET fact = ?, belief = ? WHERE seq = ?",
            [(columns["id"], number, row["seq"]) for row in moved],
        )
    return [belief for belief, _ in beliefs]


def _wrong(
    rows: Iterable[sqlite3.Row], before: Iterable[sqlite3.Row]
) -> Iterator[tuple[dict[str, Any], list[sqlite3.Row]]]:
    """The facts that were retracted: they stay as they were, closed."""
    of: dict[int, list[sqlite3.Row]] = {}
    for row in rows:
        if row["until"] is not None:
            of.setdefault(row["belief"], []).append(row)
    for fact in before:
        closed = sorted(of.get(fact["seq"], ()), key=lambda row: (row["known"], row["seq"]))
        if closed:
            last = max(closed, key=lambda row: row["until"])
            yield (
                {
                    **{name: fact[name] for name in _COLUMNS},
                    **_own_columns(words_of(closed), closed),
                    "confidence": confidence([statement_of(row) for row in closed]),
                    "known_until": last["until"],
                    "closed": "wrong",
                    "superseded_by": last["replaced"],
                },
                closed,
            )


def _write(tx: Transaction, space: int, columns: dict[str, Any], before: sqlite3.Row | None) -> int:
    """Write the row of a fact, and its words, if they have changed. Returns its number."""
    values = {**columns, "space": space, "now": tx.now}
    if before is None:
        number = tx.db.execute(_INSERT, values).lastrowid
        assert number is not None
        indexing.put(tx, space, number, columns["body"], bands_of(columns))
        return number
    if any(columns[name] != before[name] for name in _COLUMNS):
        tx.db.execute(_UPDATE, {**values, "seq": before["seq"]})
        if any(columns[name] != before[name] for name in _INDEXED):
            indexing.remove(tx, space, before["seq"])
            indexing.put(tx, space, before["seq"], columns["body"], bands_of(columns))
    return int(before["seq"])


def known_at(tx: Transaction, space: int, time: int, slots: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The facts of these slots as they were known at a time (epoch ms): their columns, and `statements`, the rows."""
    for slot in slots:
        rows = having(tx, "space = ? AND slot = ? AND known <= ?", (space, slot, time))
        for belief, of in beliefs_of(rows, time):
            yield {**_columns(belief, of), "statements": of}
