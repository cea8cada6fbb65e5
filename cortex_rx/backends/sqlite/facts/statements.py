"""Statements: what one text said. A statement is stored once, and never changed but for what is said of it later: when
it became known, and when it was found to be wrong."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.beliefs.normal import OBJECT, Keys, Signature, Strategy, apart, keys, signature

__all__ = [
    "REWRITES",
    "SETTLES",
    "Origin",
    "Policy",
    "add",
    "add_one",
    "advance",
    "delete",
    "having",
    "in_stream",
    "restated",
    "said_by",
    "settle",
    "slots_of",
    "stands_at",
    "words_of",
]


REWRITES, SETTLES = 1, 2
"""Values of the column `rewrites`: its words and its confidence replace those of its fact, or its confidence alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who said something, when (`said`, epoch ms; None: it is not known yet), and where it stands: the conversation,
    the messages and the memory; of a stream also which side of it, and the range of the text."""

    source_type: str = "conversation"
    user_id: str | None = None
    participant_id: str | None = None
    conversation: str | None = None
    messages: tuple[str, ...] = ()
    memory: str | None = None
    stream: int | None = None
    side: str | None = None
    start: int | None = None
    stop: int | None = None
    said: int | None = None
    replaces: str | None = None
    """The fact that it replaces, since that was wrong."""
    version: int = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """Which statements are one fact (`deduplication`), and whether a new value of a single-valued slot ends the one
    before (`revise`)."""

    deduplication: Strategy = "structural"
    revise: bool = True


_COLUMNS = (
    "space, own, stream, side, start, stop, signature, conversation, messages, memory, source_type,"
    " user_id, participant_id, body, fact_type, confidence, subject, predicate, qualifier, object, polarity, tense,"
    " tags, metadata, valid_from, valid_until, said, slot, value, merge, rewrites, replaces, version, created"
)
_ADD = f"INSERT INTO statements ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in _COLUMNS.split(', '))})"  # noqa: S608


def add(tx: Transaction, space: int, facts: Sequence[Mapping[str, Any]], origin: Origin, policy: Policy) -> list[int]:
    """Store statements, provisionally: they are in no list until `changes.show`. `facts` are FACT_INPUTs of the
    contract, and may have a `factId`, which counts if it is free. Returns the number of each."""
    return [add_one(tx, space, fact, said_by(fact), origin, policy) for fact in facts]


def in_stream(tx: Transaction, stream: int, side: str, said: Signature) -> int | None:
    """The number of the statement of a side of a stream that says the same; None if it has none. A stream has each
    once, so the caller looks here first."""
    row = tx.db.execute(
        "SELECT seq FROM statements WHERE stream = ? AND side = ? AND signature = ?", (stream, side, _whole(said))
    ).fetchone()
    return None if row is None else int(row["seq"])


def stands_at(tx: Transaction, number: int, window: tuple[int, int]) -> None:
    """A statement of a stream is said in this window too. It stands where it is said first: the window after it, which
    repeats some text for context, may have been read before."""
    tx.db.execute("UPDATE statements SET start = ?2, stop = ?3 WHERE seq = ?1 AND start > ?2", (number, *window))


def _whole(said: Signature) -> str:
    """A key of all that is said."""
    return keys(said, own="", revise=False).slot


_TAKEN = (
    "SELECT EXISTS (SELECT 1 FROM statements WHERE space = ?1 AND own = ?2)"
    " OR EXISTS (SELECT 1 FROM facts WHERE space = ?1 AND id = ?2)"
)


def add_one(
    tx: Transaction, space: int, fact: Mapping[str, Any], said: Signature, origin: Origin, policy: Policy
) -> int:
    """Store one statement, as `add` does; `said` is what it says."""
    own = fact.get("factId")
    if own is None or tx.db.execute(_TAKEN, (space, own)).fetchone()[0]:
        own = f"fact-{tx.new_id()}"
    made = tx.db.execute(
        _ADD,
        {
            "space": space,
            "own": own,
            "stream": origin.stream,
            "side": origin.side,
            "start": origin.start,
            "stop": origin.stop,
            "signature": None if origin.stream is None else _whole(said),
            "conversation": origin.conversation,
            "messages": _json(origin.messages),
            "memory": origin.memory,
            "source_type": origin.source_type,
            "user_id": origin.user_id,
            "participant_id": origin.participant_id,
            "body": fact["fact"],
            "fact_type": fact["factType"],
            "confidence": fact["confidence"],
            **{name: fact.get(name) for name in ("subject", "predicate", "qualifier", "object")},
            "polarity": said.polarity,
            "tense": said.tense,
            "tags": _json(fact.get("tags", [])),
            "metadata": _json(fact["metadata"]) if "metadata" in fact else None,
            "valid_from": fact.get("validFrom"),
            "valid_until": fact.get("validUntil"),
            "said": origin.said,
            "replaces": origin.replaces,
            "created": tx.now,
            **_place(tx, space, fact, said, own, origin, policy),
        },
    )
    number = made.lastrowid
    assert number is not None
    tx.db.executemany(
        "INSERT OR IGNORE INTO statement_messages (space, message, statement) VALUES (?, ?, ?)",
        [(space, message, number) for message in origin.messages],
    )
    if "embedding" in fact:
        values = (number, fact.get("embeddingModel", ""), array("d", fact["embedding"]).tobytes())
        tx.db.execute("INSERT INTO statement_vectors (statement, model, vector) VALUES (?, ?, ?)", values)
    return number


def said_by(fact: Mapping[str, Any]) -> Signature:
    """What a FACT_INPUT says."""
    return signature(
        fact["fact"],
        *(fact.get(name) for name in ("subject", "predicate", "object", "qualifier")),
        polarity=fact.get("polarity"),
        tense=fact.get("tense"),
        single=fact["cardinality"] == "one" if "cardinality" in fact else None,
    )


def _place(
    tx: Transaction, space: int, fact: Mapping[str, Any], said: Signature, own: str, origin: Origin, policy: Policy
) -> dict[str, Any]:
    """The keys of a statement. A decider's word about a fact that still stands is carried by them."""
    plain = keys(said, policy.deduplication, own=own, owner=origin.user_id, revise=policy.revise)
    decision: Mapping[str, Any] = fact.get("decision", {})
    action, version, found = decision.get("action"), origin.version, plain
    if action == "ADD":
        found = apart(own, plain)
    elif action is not None:
        target = tx.db.execute(_TARGET, (space, decision["factId"], origin.user_id)).fetchone()
        if target is not None and (adopted := _adopted(action, plain, target, said)) is not None:
            found = adopted
            version = target["version"] + 1 if action == "UPDATE" else version
        else:
            action = None
    return {
        "slot": found.slot,
        "value": found.value,
        "merge": found.merge,
        "rewrites": REWRITES if action == "UPDATE" else 0,
        "version": version,
    }


_TARGET = (
    "SELECT statements.slot, value, merge, facts.version FROM facts CROSS JOIN statements ON belief = facts.seq"
    " WHERE facts.space = ? AND facts.id = ? AND facts.user_id IS ? AND until IS NULL ORDER BY statements.seq LIMIT 1"
)


def _adopted(action: str, plain: Keys, target: sqlite3.Row, said: Signature) -> Keys | None:
    """The keys of a statement that says what the target says, or ends it. None if it cannot: the past and the future
    never end what holds now."""
    if action != "SUPERSEDE":
        return Keys(target["slot"], target["value"], target["merge"])
    if said.tense != "present" and target["slot"][0] == plain.slot[0]:
        return Keys(target["slot"], plain.value, plain.merge)
    if target["slot"][0] != plain.slot[0]:
        return None
    # One that denies ends the same object only.
    other = target["value"][OBJECT] != plain.value[OBJECT]
    value = target["value"][:OBJECT] + plain.value[OBJECT:] if other else plain.value
    return Keys(target["slot"], value, plain.merge)


def restated(row: sqlite3.Row) -> tuple[dict[str, Any], Origin]:
    """A stored statement as it could be stored again: its FACT_INPUT, and where it comes from. It is of no stream then,
    but of the same messages."""
    given = {
        "fact": row["body"],
        "factType": row["fact_type"],
        "confidence": row["confidence"],
        **{name: row[name] for name in ("subject", "predicate", "qualifier", "object", "polarity", "tense")},
        "tags": json.loads(row["tags"]),
        "validFrom": row["valid_from"],
        "validUntil": row["valid_until"],
        "metadata": None if row["metadata"] is None else json.loads(row["metadata"]),
    }
    origin = Origin(
        source_type=row["source_type"],
        user_id=row["user_id"],
        participant_id=row["participant_id"],
        conversation=row["conversation"],
        messages=tuple(json.loads(row["messages"])),
        memory=row["memory"],
        start=row["start"],
        stop=row["stop"],
        said=row["said"],
        version=row["version"],
    )
    return {name: value for name, value in given.items() if value is not None}, origin


def advance(tx: Transaction, space: int) -> int:
    """The time of what this transaction makes known in the space. It never falls, though the clock may be set back."""
    tx.db.execute("UPDATE spaces SET known = max(known, ?) WHERE id = ?", (tx.now, space))
    return int(tx.db.execute("SELECT known FROM spaces WHERE id = ?", (space,)).fetchone()[0])


def having(tx: Transaction, condition: LiteralString, values: Sequence[Any]) -> list[sqlite3.Row]:
    """The statements that a condition, a constant, lets through, in the order in which they were stored."""
    return tx.db.execute(f"SELECT * FROM statements WHERE {condition} ORDER BY seq", values).fetchall()  # noqa: S608


def words_of(rows: Sequence[sqlite3.Row]) -> sqlite3.Row:
    """The statement whose words a fact has, of those that support it, in the order in which they became known: as
    `Belief.words`."""
    return next((row for row in reversed(rows) if row["rewrites"] == REWRITES), rows[0])


def slots_of(rows: Iterable[sqlite3.Row]) -> list[str]:
    """The slots of visible statements, each once."""
    return list(dict.fromkeys(row["slot"] for row in rows if row["known"] is not None))


def settle(tx: Transaction, statement: int, confidence: float) -> None:
    """Make the last statement of a fact say how sure the fact is, whatever was said before."""
    tx.db.execute(
        "UPDATE statements SET rewrites = CASE rewrites WHEN 0 THEN ? ELSE rewrites END, confidence = ? WHERE seq = ?",
        (SETTLES, confidence, statement),
    )


def delete(tx: Transaction, rows: Iterable[sqlite3.Row]) -> None:
    """Delete statements. The caller folds their slots again."""
    for row in rows:
        number = row["seq"]
        tx.db.executemany(
            "DELETE FROM statement_messages WHERE space = ? AND message = ? AND statement = ?",
            [(row["space"], message, number) for message in json.loads(row["messages"])],
        )
        tx.db.execute("DELETE FROM statement_vectors WHERE statement = ?", (number,))
        tx.db.execute("DELETE FROM statements WHERE seq = ?", (number,))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
