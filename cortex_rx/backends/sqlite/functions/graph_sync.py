"""`graphSync:*`: whether a graph is kept, and the outbox."""

from __future__ import annotations

import sqlite3
from typing import Any

from cortex_rx.backends.sqlite import outbox
from cortex_rx.backends.sqlite.functions.registry import Functions
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["MUTATIONS", "QUERIES"]


def _keep(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    outbox.keep(tx.db, args["enabled"])
    return _settings(tx, args)


def _settings(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    return {"enabled": outbox.is_kept(tx.db)}


def _items(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    rows = tx.db.execute(
        "SELECT revision, record_table, scope, key FROM outbox WHERE revision > ? ORDER BY revision LIMIT ?",
        (args["after"], args["limit"]),
    )
    return [_item(row) for row in rows.fetchall()]


def _item(row: sqlite3.Row) -> dict[str, Any]:
    item = {"revision": row["revision"], "table": row["record_table"], "entityId": row["key"]}
    if row["record_table"] == "immutable":
        return {**item, "entityType": row["scope"]}
    return item if row["record_table"] in outbox.STORE_WIDE else {**item, "memorySpaceId": row["scope"]}


def _stats(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    rows = tx.db.execute("SELECT record_table, count(*) FROM outbox GROUP BY record_table")
    by_table: dict[str, int] = dict(rows.fetchall())
    last = tx.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return {"unsynced": sum(by_table.values()), "byTable": by_table, "revision": 0 if last is None else last[0]}


QUERIES: Functions = {
    "graphSync:getSettings": _settings,
    "graphSync:getUnsyncedItems": _items,
    "graphSync:getSyncStats": _stats,
}
MUTATIONS: Functions = {"graphSync:keep": _keep}
