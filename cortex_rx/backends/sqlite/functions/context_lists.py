"""`contexts:list` and its kin: which contexts there are, how many, pages of them, and all of them as a text."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from itertools import islice
from typing import Any

from cortex_rx.backends.sqlite.functions import conversations
from cortex_rx.backends.sqlite.functions.context_rows import HEIGHT, Sight, seen
from cortex_rx.backends.sqlite.functions.paging import page, start_of
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.tokenizer import index_words, query_terms
from cortex_rx.models.context_exports import export_columns
from cortex_rx.models.exports import csv_text, json_text

__all__ = [
    "by_conversation",
    "count",
    "export",
    "find_orphaned",
    "list_granted",
    "list_rows",
    "matching",
    "page_rows",
    "search",
]

_TREES = f"""WITH RECURSIVE tree (seq) AS (
    SELECT value FROM json_each(:roots) UNION ALL
    SELECT lower.seq FROM tree CROSS JOIN contexts AS lower ON lower.parent = tree.seq WHERE {seen("lower")}
)"""  # noqa: S608
_CLAUSES: Mapping[str, str] = {
    "userId": "contexts.user_id = :userId",
    "status": "contexts.status = :status",
    "parentId": "contexts.parent_id = :parentId",
    "rootId": f"contexts.seq IN ({_TREES} SELECT seq FROM tree)",  # noqa: S608
    "depth": f"{HEIGHT} = :depth",
    "completedBefore": "contexts.completed < :completedBefore",
    "conversationId": "contexts.conversation = :conversationId",
}


def _condition(args: Mapping[str, Any]) -> str:
    """What a context must be for these arguments, in SQL made of constants."""
    # A tree is read from its root down, not by an index of the whole space.
    space = "+contexts.space = :space" if "rootId" in args else "contexts.space = :space"
    return " AND ".join([space, *(clause for name, clause in _CLAUSES.items() if name in args)])


def _values(sight: Sight, args: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: args[name] for name in _CLAUSES if name in args} | {"space": sight.space}
    if "rootId" in args:
        found = [row["seq"] for row in sight.find_all(values.pop("rootId"))]
        values["roots"] = json.dumps([seq for seq in found if len(sight.above(seq)) == 1])
    return values


_NARROWED = "SELECT * FROM contexts WHERE {} ORDER BY contexts.seq"


def matching(sight: Sight, args: Mapping[str, Any]) -> list[sqlite3.Row]:
    """The rows of all contexts of the memory space that the filters let by, in the order in which they were made."""
    return sight.tx.db.execute(_NARROWED.format(_condition(args)), _values(sight, args)).fetchall()


def list_rows(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`contexts:list`."""
    sight = Sight(tx, args["memorySpaceId"])
    rows = tx.db.execute(
        f"{_NARROWED.format(_condition(args))} LIMIT :limit OFFSET :offset",
        _values(sight, args) | {"limit": args["limit"], "offset": args["offset"]},
    )
    return sight.records(rows.fetchall())


def search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`contexts:search`."""
    if "query" not in args:
        return list_rows(tx, args)
    terms = [f" {term.stems} " for term in query_terms(args["query"], tx.language)]
    if not terms:
        return []
    sight = Sight(tx, args["memorySpaceId"])
    with closing(tx.db.cursor()) as rows:
        rows.execute(_NARROWED.format(_condition(args)), _values(sight, args))
        found = (row for row in rows if _has(tx, row, terms))
        stop = min(args["offset"] + args["limit"], sys.maxsize)
        return sight.records(list(islice(found, min(args["offset"], stop), stop)))


def _has(tx: Transaction, row: sqlite3.Row, terms: list[str]) -> bool:
    text = " ".join((row["purpose"], row["description"] or ""))
    stems = f" {' '.join(index_words(text, tx.language).stems)} "
    return all(term in stems for term in terms)


def count(tx: Transaction, args: dict[str, Any]) -> int:
    """`contexts:count`."""
    sight = Sight(tx, args["memorySpaceId"])
    found = tx.db.execute(
        f"SELECT count(*) FROM contexts WHERE {_condition(args)}",  # noqa: S608
        _values(sight, args),
    )
    return int(found.fetchone()[0])


def by_conversation(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`contexts:getByConversation`."""
    sight = Sight(tx, args["memorySpaceId"])
    return sight.records(matching(sight, args))


def list_granted(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`contexts:listGranted`."""
    found = tx.db.execute(
        "SELECT contexts.* FROM context_grants CROSS JOIN contexts ON contexts.seq = context"
        " WHERE target = :memorySpaceId ORDER BY number LIMIT :limit OFFSET :offset",
        args,
    )
    return Sight(tx, args["memorySpaceId"]).records(found.fetchall())


# A parent that is gone has no row; one that is not seen is left out.
_ORPHANED = f"""SELECT * FROM contexts WHERE space = :space AND parent_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM contexts AS upper WHERE upper.seq = contexts.parent AND {seen("upper")}
) ORDER BY contexts.seq"""  # noqa: S608


def find_orphaned(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`contexts:findOrphaned`."""
    sight = Sight(tx, args["memorySpaceId"])
    return sight.records(tx.db.execute(_ORPHANED, {"space": sight.space}).fetchall())


# --- exports ----------------------------------------------------------------------------------------------------------


def page_rows(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:page`."""
    sight = Sight(tx, args["memorySpaceId"])
    rows = tx.db.execute(
        f"SELECT * FROM contexts WHERE {_condition(args)} AND contexts.seq > :start"  # noqa: S608
        " ORDER BY contexts.seq LIMIT :limit",
        _values(sight, args) | {"start": start_of(args), "limit": args["limit"] + 1},
    )
    return page(rows.fetchall(), args["limit"], lambda row: _exported(sight, row, args))


def export(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:exportContexts`."""
    sight = Sight(tx, args["memorySpaceId"])
    rows = [_exported(sight, row, args) for row in matching(sight, args)]
    if args["format"] == "json":
        data = json_text(rows)
    else:
        included = (args["includeChain"], args["includeVersionHistory"], args["includeConversations"])
        data = csv_text(export_columns(*included), rows)
    return {"format": args["format"], "data": data, "count": len(rows), "exportedAt": tx.now}


def _exported(sight: Sight, row: sqlite3.Row, args: Mapping[str, Any]) -> dict[str, Any]:
    record = sight.record(row)
    if args["includeChain"]:
        record["ancestors"] = sight.records(sight.above(row["seq"])[:-1])
    if args["includeVersionHistory"]:
        record["versions"] = sight.versions(row)
    if args["includeConversations"] and row["conversation"] is not None:
        found = conversations.named(sight.tx, sight.space, row["conversation"])
        if found is not None:
            record["conversation"] = conversations.whole(sight.tx, found)
    return record
