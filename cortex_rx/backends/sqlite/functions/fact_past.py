"""What a memory space knew at another time: its facts are folded anew, into tables in memory, and asked the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from cortex_rx.backends.sqlite.facts import indexing
from cortex_rx.backends.sqlite.facts.folding import known_at
from cortex_rx.backends.sqlite.functions.sql_functions import add_functions
from cortex_rx.backends.sqlite.index import DocumentCache
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["seen"]

_TABLES = ("spaces", "statements", "facts")
_INDEX = ("fact_bands", "fact_documents", "fact_terms", "fact_places")
# What the facts of a call have in common with one of their statements at least.
_NARROWING: Mapping[str, str] = {
    "subject": "subject = :subject",
    "object": "object = :object",
    "userId": "user_id = :userId",
    "conversationId": "conversation = :conversationId",
    "memoryId": "memory = :memoryId",
}


@contextmanager
def seen(tx: Transaction, space: int, args: Mapping[str, Any]) -> Iterator[Transaction]:
    """Where the facts are that a call asks for: in the store, or, with `knownAt`, in tables of that time."""
    if "knownAt" not in args:
        yield tx
        return
    with closing(sqlite3.connect(":memory:")) as db:
        db.row_factory = sqlite3.Row
        _make_tables(tx.db, db, (*_TABLES, *_INDEX) if "query" in args else _TABLES)
        there = replace(tx, db=db, documents=DocumentCache())
        _fill(tx, there, space, args)
        yield there


def _make_tables(store: sqlite3.Connection, db: sqlite3.Connection, tables: tuple[str, ...]) -> None:
    add_functions(db)
    marks = ", ".join("?" * len(tables))
    for (sql,) in store.execute(
        f"SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name IN ({marks})"  # noqa: S608
        " OR type = 'index' AND tbl_name IN ('facts', 'statements') AND sql IS NOT NULL ORDER BY rowid",
        tables,
    ).fetchall():
        db.execute(sql)


def _fill(tx: Transaction, there: Transaction, space: int, args: Mapping[str, Any]) -> None:
    narrowed = [] if "query" in args else [clause for name, clause in _NARROWING.items() if name in args]
    where = " AND ".join(("space = :space", "known <= :knownAt", *narrowed))
    values = {name: args[name] for name in (*_NARROWING, "knownAt") if name in args} | {"space": space}
    slots = tx.db.execute(f"SELECT DISTINCT slot FROM statements WHERE {where}", values).fetchall()  # noqa: S608
    _copy(there, "spaces", {"id": space, "name": args["memorySpaceId"]})
    facts = list(known_at(tx, space, args["knownAt"], [slot["slot"] for slot in slots]))
    # In the order in which they were made.
    facts.sort(key=lambda fact: (fact["known_from"], fact["statements"][0]["seq"]))
    for fact in facts:
        statements = fact.pop("statements")
        updated = max(row["known"] for row in statements)
        number = _copy(there, "facts", {**fact, "space": space, "updated": updated})
        if "query" in args:
            indexing.put(there, space, number, fact["body"], frozenset())
        for row in statements:
            _copy(there, "statements", {**dict(row), "belief": number, "until": None, "replaced": None})


def _copy(there: Transaction, table: str, row: Mapping[str, Any]) -> int:
    columns = ", ".join(row)
    marks = ", ".join(f":{column}" for column in row)
    return there.db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", row).lastrowid or 0  # noqa: S608
