"""`facts:*`: storing, correcting, retracting and reading single facts. `fact_lists` and `fact_search` find them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts import changes
from cortex_rx.backends.sqlite.facts.rows import load, number_of_fact
from cortex_rx.backends.sqlite.facts.statements import (
    REWRITES,
    Origin,
    Policy,
    add,
    add_one,
    having,
    restated,
    said_by,
    settle,
    words_of,
)
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.beliefs.normal import STRATEGIES, keys
from cortex_rx.errors import FactNotFound, FactRetracted, IdempotencyConflict

__all__ = ["consolidate", "delete", "get", "history", "store", "update"]

_SAID = (
    *("fact", "factType", "confidence", "subject", "predicate", "object", "qualifier", "polarity", "tense", "tags"),
    *("validFrom", "validUntil", "metadata", "cardinality", "embedding", "embeddingModel", "decision", "factId"),
)


def store(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`facts:store`: one statement that belongs to no stream."""
    space = text_store.number_for(tx, args["memorySpaceId"])
    number = _stored_before(tx, space, args)
    if number is None:
        source: dict[str, Any] = args.get("sourceRef", {})
        origin = Origin(
            source_type=args["sourceType"],
            user_id=args.get("userId"),
            participant_id=args.get("participantId"),
            conversation=source.get("conversationId"),
            messages=tuple(source.get("messageIds", ())),
            memory=source.get("memoryId"),
            start=source.get("start"),
            stop=source.get("end"),
            said=tx.now,
        )
        said = {name: args[name] for name in _SAID if name in args}
        (number,) = add(tx, space, [said], origin, Policy(args["deduplication"], args["revise"]))
        changes.show(tx, space, [number])
    return _loaded(tx, args, _supported(tx, number))


_LIVING_ON = (
    "SELECT statements.* FROM facts CROSS JOIN statements ON belief = facts.seq"
    " WHERE facts.space = ? AND facts.id = ? ORDER BY statements.known, statements.seq LIMIT 1"
)


def _stored_before(tx: Transaction, space: int, args: dict[str, Any]) -> int | None:
    """The number of the statement that this call has stored before; None if the id is free. Raises
    `IdempotencyConflict` otherwise."""
    if "factId" not in args:
        return None
    row = tx.db.execute("SELECT * FROM statements WHERE space = ? AND own = ?", (space, args["factId"])).fetchone()
    if row is None:  # but the fact may live on by another source, after its own was erased
        row = tx.db.execute(_LIVING_ON, (space, args["factId"])).fetchone()
    if row is None:
        return None
    same = row["belief"] is not None and all(
        row[column] == args.get(name)
        for name, column in (
            *(("fact", "body"), ("subject", "subject"), ("predicate", "predicate"), ("object", "object")),
            *(("qualifier", "qualifier"), ("userId", "user_id"), ("participantId", "participant_id")),
        )
    )
    if not same:
        raise IdempotencyConflict("another text, triple or owner is stored under this fact id")
    return int(row["seq"])


def _supported(tx: Transaction, statement: int) -> sqlite3.Row:
    """The row of the fact that a statement supports."""
    row: sqlite3.Row = tx.db.execute(
        "SELECT facts.* FROM statements CROSS JOIN facts ON facts.seq = belief WHERE statements.seq = ?", (statement,)
    ).fetchone()
    return row


def _loaded(tx: Transaction, args: dict[str, Any], row: sqlite3.Row) -> dict[str, Any]:
    return load(tx, args["memorySpaceId"], [row["seq"]])[0]


def _find(tx: Transaction, space: int | None, fact: str) -> sqlite3.Row | None:
    """The row of a fact by its id; None if the memory space has none."""
    number = number_of_fact(tx, space, fact)
    row: sqlite3.Row | None = tx.db.execute("SELECT * FROM facts WHERE seq = ?", (number,)).fetchone()
    return row


def _there(tx: Transaction, args: dict[str, Any]) -> tuple[int, sqlite3.Row]:
    """The number of the memory space and the row of the fact that a call is about. Raises `FactNotFound`."""
    space = text_store.number_of(tx, args["memorySpaceId"])
    row = _find(tx, space, args["factId"])
    if space is None or row is None:
        raise FactNotFound("no fact with this id in the memory space")
    return space, row


def get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`facts:get`."""
    row = _find(tx, text_store.number_of(tx, args["memorySpaceId"]), args["factId"])
    return None if row is None else _loaded(tx, args, row)


def delete(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`facts:deleteFact`: retracts the fact."""
    space, row = _there(tx, args)
    if row["closed"] != "wrong":
        changes.retract(tx, space, row["seq"])
    return {"deleted": True, "factId": row["id"]}


# --- correcting -------------------------------------------------------------------------------------------------------

_CHANGES = (
    *("fact", "confidence", "subject", "predicate", "object", "qualifier", "polarity", "tense", "tags"),
    *("validFrom", "validUntil", "metadata"),
)


def update(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`facts:update`: retracts the fact and says it again, corrected, once for each of its sources."""
    space, row = _there(tx, args)
    if row["closed"] == "wrong":
        raise FactRetracted(row["superseded_by"])
    changed = {name: args[name] for name in _CHANGES if name in args}
    said = _open_statements(tx, row)
    before = words_of(said)
    fact, policy = _corrected(before, restated(before)[0], changed, row)
    means = said_by(fact)
    numbers: list[int] = []
    for one in said:  # each in its own words, so that none outlives its source
        own, origin = restated(one)
        origin = replace(origin, version=row["version"] + 1, replaces=row["id"])
        numbers.append(add_one(tx, space, {**own, **changed, **_decision(fact)}, means, origin, policy))
        if one["seq"] == before["seq"] and one["rewrites"] == REWRITES:
            tx.db.execute("UPDATE statements SET rewrites = ? WHERE seq = ?", (REWRITES, numbers[-1]))
    if "confidence" in changed or any(one["rewrites"] for one in said):
        settle(tx, numbers[-1], changed.get("confidence", row["confidence"]))
    changes.retract(tx, space, row["seq"])
    changes.show(tx, space, numbers)
    made = _supported(tx, numbers[-1])
    changes.replaced_by(tx, space, row["seq"], made["id"])
    return _loaded(tx, args, _supported(tx, numbers[-1]))


def _decision(fact: dict[str, Any]) -> dict[str, Any]:
    return {"decision": fact["decision"]} if "decision" in fact else {}


def _open_statements(tx: Transaction, fact: sqlite3.Row) -> list[sqlite3.Row]:
    """The statements of a fact that are not closed, in the order in which they became known."""
    said = having(tx, "belief = ? AND until IS NULL", (fact["seq"],))
    return sorted(said, key=lambda one: (one["known"], one["seq"]))


def _corrected(
    before: sqlite3.Row, base: dict[str, Any], changed: dict[str, Any], row: sqlite3.Row
) -> tuple[dict[str, Any], Policy]:
    """A statement with changes, and how it becomes a fact: as before."""
    fact = dict(base)
    if "fact" in changed:
        # What was read from the text is read from the new one; what was given stays.
        read = said_by({name: value for name, value in fact.items() if name not in ("polarity", "tense")})
        for name in ("polarity", "tense"):
            if getattr(read, name) == fact[name]:
                del fact[name]
    fact |= changed
    if said_by(fact) == said_by(base):
        return {**fact, "decision": {"action": "NONE", "factId": row["id"]}}, Policy()
    for cardinality, strategy, revise in product(("one", "many"), STRATEGIES, (True, False)):
        said = said_by({**base, "cardinality": cardinality})
        found = keys(said, strategy, own=before["own"], owner=before["user_id"], revise=revise)
        if (found.slot, found.value, found.merge) == (before["slot"], before["value"], before["merge"]):
            if "predicate" not in changed:  # another one has its own
                fact["cardinality"] = cardinality
            # All its statements are one fact again, whatever the strategy says of the next ones.
            return fact, Policy("structural", revise)
    return fact, Policy()


def consolidate(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`facts:consolidate`: what the other facts say is said once more, as sources of the kept one, and they are
    retracted."""
    space, kept = _there(tx, {**args, "factId": args["keepFactId"]})
    if kept["closed"] is not None:
        raise FactNotFound("the fact to keep is closed")
    # By their rows: several ids may be of one fact, and of the kept one, too.
    found = {row["seq"]: row for fact in args["factIds"] if (row := _find(tx, space, fact)) is not None}
    others = [
        row
        for row in found.values()
        if row["seq"] != kept["seq"] and row["closed"] is None and row["user_id"] == kept["user_id"]
    ]
    if others:
        _merge(tx, space, kept, others)
    return {"consolidated": True, "keptFactId": kept["id"], "mergedCount": len(others)}


def _merge(tx: Transaction, space: int, kept: sqlite3.Row, others: Sequence[sqlite3.Row]) -> None:
    words, _ = restated(words_of(_open_statements(tx, kept)))
    times = {"validUntil": words["validUntil"]} if "validUntil" in words else {}
    decision = {"decision": {"action": "NONE", "factId": kept["id"]}}
    numbers: list[int] = []
    for other in others:
        for one in _open_statements(tx, other):
            given, origin = restated(one)  # in its own words, so that those of the kept one go with their source
            if kept["valid_from"] is not None:  # or it could be a source of what was believed before
                times["validFrom"] = max(kept["valid_from"], given.get("validFrom", 0))
            fact = {name: value for name, value in given.items() if name not in ("validFrom", "validUntil")}
            fact |= times | decision
            numbers += add(tx, space, [fact], replace(origin, version=kept["version"]), Policy())
    settle(tx, numbers[-1], round(sum(row["confidence"] for row in (kept, *others)) / (1 + len(others))))
    for other in others:
        changes.retract(tx, space, other["seq"], kept["id"])
    changes.show(tx, space, numbers)


# --- history ----------------------------------------------------------------------------------------------------------


def history(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`facts:getHistory`: the facts to which a fact is linked, each once."""
    space = text_store.number_of(tx, args["memorySpaceId"])
    found: dict[int, sqlite3.Row] = {}
    todo = [args["factId"]]
    while todo:
        row = _find(tx, space, todo.pop())
        if row is not None and row["seq"] not in found:
            found[row["seq"]] = row
            before = tx.db.execute(
                "SELECT id FROM facts WHERE space = ? AND superseded_by = ? AND superseded_by IS NOT NULL",
                (space, row["id"]),
            )
            todo += [other for other in (row["supersedes"], row["superseded_by"]) if other is not None]
            todo += [other["id"] for other in before.fetchall()]
    return load(tx, args["memorySpaceId"], [row["seq"] for row in sorted(found.values(), key=_age)])


def _age(row: sqlite3.Row) -> tuple[int, int]:
    return (row["created"] if row["valid_from"] is None else row["valid_from"], row["seq"])
