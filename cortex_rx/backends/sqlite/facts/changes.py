"""What happens to statements: they become known, they are retracted, and they go with what they were read from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cortex_rx.backends.sqlite.facts import statements
from cortex_rx.backends.sqlite.facts.folding import refold
from cortex_rx.backends.sqlite.facts.statements import having
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.beliefs.timeline import revision

__all__ = [
    "Deleted",
    "erase",
    "forget_places",
    "publish",
    "remove",
    "replaced_by",
    "retract",
    "revisions_of",
    "show",
    "withdraw",
]


def show(tx: Transaction, space: int, numbers: Sequence[int], said: int | None = None) -> None:
    """Make provisional statements known, and decide what they do: the columns `action` and `about`. `said`: when
    they were said, of those that do not know it."""
    rows = [row for number in numbers for row in having(tx, "seq = ? AND known IS NULL", (number,))]
    if not rows:
        return
    known = statements.advance(tx, space)
    tx.db.executemany(
        "UPDATE statements SET known = ?1, said = coalesce(said, ?2), valid_from ="
        # What has a timeline begins when it was said, if nobody knows better.
        " CASE WHEN slot LIKE 't%' THEN coalesce(valid_from, said, ?2) ELSE valid_from END WHERE seq = ?3",
        [(known, said, row["seq"]) for row in rows],
    )
    beliefs = refold(tx, space, [row["slot"] for row in rows])
    new = {row["seq"] for row in rows}
    for belief in beliefs:
        for statement in belief.statements:
            if statement.seq in new:
                done = revision(belief, statement)
                tx.db.execute(
                    "UPDATE statements SET action = ?, about = ? WHERE seq = ?",
                    (done.action, done.about, statement.seq),
                )


def publish(tx: Transaction, space: int, stream: int, side: str, said: int) -> None:
    """Make what was read from a side of a stream known. `said`: when it was said."""
    rows = having(tx, "stream = ? AND side = ? AND known IS NULL", (stream, side))
    show(tx, space, [row["seq"] for row in rows], said)


def withdraw(tx: Transaction, space: int, stream: int, sides: Iterable[str]) -> None:
    """Remove what was read from a side of a stream, as if it had never been said."""
    for side in sides:
        remove(tx, space, having(tx, "stream = ? AND side = ?", (stream, side)))


def retract(tx: Transaction, space: int, fact: int, replaced: str | None = None) -> None:
    """Close a fact, by its row, as wrong. `replaced`: the fact that replaced it."""
    rows = having(tx, "belief = ? AND until IS NULL", (fact,))
    known = statements.advance(tx, space)
    tx.db.executemany(
        "UPDATE statements SET until = ?, replaced = ? WHERE seq = ?", [(known, replaced, row["seq"]) for row in rows]
    )
    refold(tx, space, statements.slots_of(rows))


def replaced_by(tx: Transaction, space: int, fact: int, other: str) -> None:
    """Say of a fact that was retracted, by its row, which fact replaced it."""
    rows = having(tx, "belief = ? AND until IS NOT NULL", (fact,))
    tx.db.executemany("UPDATE statements SET replaced = ? WHERE seq = ?", [(other, row["seq"]) for row in rows])
    refold(tx, space, statements.slots_of(rows))


def erase(tx: Transaction, space: int, *, memory: str | None = None, message: str | None = None) -> list[str]:
    """Remove what was read from a memory, or from a message alone; a statement from several messages loses this one.
    Returns the ids of the facts that are gone."""
    if memory is not None:
        rows = having(tx, "space = ? AND memory = ?", (space, memory))
    else:
        rows = having(
            tx,
            "seq IN (SELECT statement FROM statement_messages WHERE space = ? AND message = ?)",
            (space, message),
        )
    shared = [row for row in rows if message is not None and set(json.loads(row["messages"])) != {message}]
    for row in shared:
        others = [one for one in json.loads(row["messages"]) if one != message]
        tx.db.execute(
            "UPDATE statements SET messages = ? WHERE seq = ?", (json.dumps(others, ensure_ascii=False), row["seq"])
        )
        tx.db.execute(
            "DELETE FROM statement_messages WHERE space = ? AND message = ? AND statement = ?",
            (space, message, row["seq"]),
        )
    kept = {row["seq"] for row in shared}
    gone = remove(tx, space, [row for row in rows if row["seq"] not in kept])
    refold(tx, space, statements.slots_of(shared))
    return gone


def remove(tx: Transaction, space: int, rows: Sequence[sqlite3.Row]) -> list[str]:
    """Delete statements and fold their slots again. Returns the ids of the facts that are gone."""
    facts = {row["belief"] for row in rows if row["belief"] is not None}
    ids = {fact: _id_of(tx, fact) for fact in sorted(facts)}
    statements.delete(tx, rows)
    refold(tx, space, statements.slots_of(rows))
    return [of for fact, of in ids.items() if of is not None and _id_of(tx, fact) is None]


@dataclass(frozen=True, slots=True)
class Deleted:
    """A conversation that is deleted, with its messages and some memories, by their ids."""

    conversation: str
    messages: frozenset[str]
    memories: frozenset[str]

    def leaves(self, row: sqlite3.Row) -> list[str]:
        """The messages that a statement has elsewhere: it may name messages without their conversation."""
        named: list[str] = json.loads(row["messages"])
        if row["conversation"] == self.conversation or row["memory"] in self.memories:
            return []
        return [message for message in named if message not in self.messages]


def forget_places(tx: Transaction, space: int, rows: Sequence[sqlite3.Row], deleted: Deleted) -> None:
    """Statements stay, and do not name what is deleted. How sure their facts are stays as it is, though distinct
    messages had made them surer."""
    facts = dict.fromkeys(row["belief"] for row in rows if row["belief"] is not None and row["until"] is None)
    sure = {fact: _confidence_of(tx, fact) for fact in facts}
    for row in rows:
        if row["conversation"] in (None, deleted.conversation):
            _name_only(tx, space, row, [] if row["conversation"] is not None else deleted.leaves(row))
        if row["memory"] in deleted.memories:
            tx.db.execute("UPDATE statements SET memory = NULL, start = NULL, stop = NULL WHERE seq = ?", (row["seq"],))
    refold(tx, space, statements.slots_of(rows))
    for fact, before in sure.items():
        if _confidence_of(tx, fact) != before:
            last = max(having(tx, "belief = ? AND until IS NULL", (fact,)), key=lambda one: (one["known"], one["seq"]))
            statements.settle(tx, last["seq"], before)
            refold(tx, space, [last["slot"]])


def _name_only(tx: Transaction, space: int, row: sqlite3.Row, messages: Sequence[str]) -> None:
    """Leave a statement these messages, and no conversation."""
    tx.db.executemany(
        "DELETE FROM statement_messages WHERE space = ? AND message = ? AND statement = ?",
        [(space, message, row["seq"]) for message in json.loads(row["messages"]) if message not in messages],
    )
    tx.db.execute(
        "UPDATE statements SET conversation = NULL, messages = ? WHERE seq = ?",
        (json.dumps(messages, ensure_ascii=False), row["seq"]),
    )


def _confidence_of(tx: Transaction, fact: int) -> float:
    found: float = tx.db.execute("SELECT confidence FROM facts WHERE seq = ?", (fact,)).fetchone()["confidence"]
    return found


def _id_of(tx: Transaction, fact: int) -> str | None:
    row = tx.db.execute("SELECT id FROM facts WHERE seq = ?", (fact,)).fetchone()
    return None if row is None else str(row["id"])


def revisions_of(rows: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    """What visible statements did, in the form of the contract."""
    return [
        {"action": row["action"], "factId": row["fact"], **({} if row["about"] is None else {"about": row["about"]})}
        for row in rows
        if row["known"] is not None
    ]
