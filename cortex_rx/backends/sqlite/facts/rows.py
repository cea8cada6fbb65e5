"""Facts in the form of the contract."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["fact_row", "load", "number_of_fact", "sources_of", "statements_of"]

_OPTIONAL = {
    "userId": "user_id",
    "participantId": "participant_id",
    "subject": "subject",
    "predicate": "predicate",
    "object": "object",
    "qualifier": "qualifier",
    "validFrom": "valid_from",
    "validUntil": "valid_until",
    "knownUntil": "known_until",
    "closed": "closed",
    "supersedes": "supersedes",
    "supersededBy": "superseded_by",
}


def fact_row(
    space: str, fact: Mapping[str, Any] | sqlite3.Row, updated: int, rows: Iterable[sqlite3.Row]
) -> dict[str, Any]:
    """A fact by its columns, and the statements that support it, in the order in which they became known."""
    sources = sources_of(rows)
    return {
        "factId": fact["id"],
        "memorySpaceId": space,
        "fact": fact["body"],
        "factType": fact["fact_type"],
        "confidence": fact["confidence"],
        "sourceType": fact["source_type"],
        "polarity": fact["polarity"],
        "tense": fact["tense"],
        "tags": json.loads(fact["tags"]),
        "sources": sources,
        "knownFrom": fact["known_from"],
        "version": fact["version"],
        "createdAt": fact["created"],
        "updatedAt": updated,
        **{name: fact[column] for name, column in _OPTIONAL.items() if fact[column] is not None},
        **({} if fact["metadata"] is None else {"metadata": json.loads(fact["metadata"])}),
        **({"sourceRef": sources[0]} if sources else {}),
    }


def sources_of(rows: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    """Where a fact was said: each place once."""
    found: list[dict[str, Any]] = []
    for row in rows:
        source: dict[str, Any] = {
            "conversationId": row["conversation"],
            "messageIds": json.loads(row["messages"]) or None,
            "memoryId": row["memory"],
            "start": row["start"],
            "end": row["stop"],
        }
        plain = {name: value for name, value in source.items() if value is not None}
        if plain and plain not in found:
            found.append(plain)
    return found


def number_of_fact(tx: Transaction, space: int | None, fact: str) -> int | None:
    """The row of the fact with this id. A fact that became one with another is that one."""
    row = tx.db.execute("SELECT seq FROM facts WHERE space = ? AND id = ?", (space, fact)).fetchone()
    if row is None:
        row = tx.db.execute(
            "SELECT belief AS seq FROM statements WHERE space = ? AND own = ? AND known IS NOT NULL", (space, fact)
        ).fetchone()
    return None if row is None else int(row["seq"])


# Of a fact that was retracted they are closed, of any other those that are not.
_STATEMENTS = """
SELECT statements.* FROM json_each(?) CROSS JOIN facts ON facts.seq = json_each.value
    CROSS JOIN statements ON belief = facts.seq
WHERE (until IS NULL) = (closed IS NOT 'wrong') ORDER BY statements.known, statements.seq
"""


def statements_of(tx: Transaction, numbers: Iterable[int]) -> dict[int, list[sqlite3.Row]]:
    """The statements that support the facts with these numbers, by fact, in the order in which they became known."""
    said: dict[int, list[sqlite3.Row]] = {}
    for row in tx.db.execute(_STATEMENTS, (json.dumps(list(numbers)),)).fetchall():
        said.setdefault(row["belief"], []).append(row)
    return said


def load(tx: Transaction, space: str, numbers: Iterable[int]) -> list[dict[str, Any]]:
    """The facts with these numbers, in this order, without those that are gone."""
    numbers = list(numbers)
    wanted = (json.dumps(numbers),)
    facts = tx.db.execute("SELECT facts.* FROM json_each(?) CROSS JOIN facts ON facts.seq = json_each.value", wanted)
    by_number = {fact["seq"]: fact for fact in facts.fetchall()}
    said = statements_of(tx, numbers)
    found = (by_number[number] for number in numbers if number in by_number)
    return [fact_row(space, fact, fact["updated"], said.get(fact["seq"], ())) for fact in found]
