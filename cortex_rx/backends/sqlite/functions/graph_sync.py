"""`graphSync:*`: whether a graph is kept, and the outbox. `graph_records` reads what its rows are about."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from cortex_rx.backends.sqlite import outbox
from cortex_rx.backends.sqlite.functions import graph_records
from cortex_rx.backends.sqlite.functions.registry import Functions
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import Fenced

__all__ = ["MUTATIONS", "QUERIES"]


def _keep(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    outbox.keep(tx.db, args["enabled"])
    return _settings(tx, args)


def _settings(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    return {"enabled": outbox.is_kept(tx.db)}


# --- rows -------------------------------------------------------------------------------------------------------------


def _item(row: sqlite3.Row) -> dict[str, Any]:
    item = {"revision": row["revision"], "table": row["record_table"], "entityId": row["key"]}
    scope = outbox.SCOPES.get(row["record_table"])
    return item if scope is None else {**item, scope: row["scope"]}


def _key(item: Mapping[str, Any]) -> tuple[str, str, str]:
    """The record of a row: its table, scope and key."""
    scope = outbox.SCOPES.get(item["table"])
    return item["table"], "" if scope is None else item[scope], item["entityId"]


def _items(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    rows = tx.db.execute("SELECT * FROM outbox WHERE revision > :after ORDER BY revision LIMIT :limit", args)
    return [_item(row) for row in rows.fetchall()]


def _batch(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    rows = tx.db.execute(
        "SELECT * FROM outbox WHERE revision > :after AND due <= :now ORDER BY revision LIMIT :limit",
        {**args, "now": tx.now},
    ).fetchall()
    rows = rows[: graph_records.fitting(tx, [row["revision"] for row in rows])]
    revisions: dict[str, list[int]] = {}
    for row in rows:
        revisions.setdefault(row["record_table"], []).append(row["revision"])
    records = graph_records.load(tx, revisions)
    return [
        {
            **_item(row),
            "attempts": row["attempts"],
            **({"record": records[row["revision"]]} if row["revision"] in records else {}),
        }
        for row in rows
    ]


def _records(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    table, scope = args["table"], outbox.SCOPES.get(args["table"])
    rows = outbox.listed(tx.db, table, args["after"], args["limit"])
    records = graph_records.load_table(tx, table, [row["position"] for row in rows])
    return [
        {
            "position": row["position"],
            "queued": bool(row["queued"]),
            "table": table,
            "entityId": row["key"],
            **({} if scope is None else {scope: row["scope"]}),
            "record": records[row["position"]],
        }
        for row in rows
        if row["position"] in records
    ]


def _exists(tx: Transaction, args: dict[str, Any]) -> list[bool]:
    return graph_records.exist(tx, map(_key, args["records"]))


def _stats(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    rows = tx.db.execute("SELECT record_table, count(*) FROM outbox GROUP BY record_table")
    by_table: dict[str, int] = dict(rows.fetchall())
    failed = tx.db.execute(
        "SELECT count(*) FILTER (WHERE due > ?) AS waiting, count(*) FILTER (WHERE due IS NULL) AS failed"
        " FROM outbox WHERE attempts > 0",
        (tx.now,),
    ).fetchone()
    last = tx.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return {
        "unsynced": sum(by_table.values()),
        "byTable": by_table,
        **dict(failed),
        "revision": 0 if last is None else last[0],
    }


# --- the lease --------------------------------------------------------------------------------------------------------


def _lease(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    lease = _leased(tx)
    if lease is None:
        tx.db.execute("INSERT INTO outbox_lease (one, store) VALUES (1, ?)", (tx.new_id(),))
        lease = _leased(tx)
        assert lease is not None
    length = round(args["seconds"] * 1000)
    held = args["holder"] == lease["holder"] or lease["holder"] is None or not _runs(tx, lease)
    if held:
        tx.db.execute(
            "UPDATE outbox_lease SET term = term + (holder IS NOT ?1), holder = ?1, until = ?2, length = ?3",
            (args["holder"], tx.now + length, length),
        )
        lease = _leased(tx)
        assert lease is not None
    return {"held": held, "term": lease["term"], "store": lease["store"], "leaseUntil": lease["until"]}


def _leased(tx: Transaction) -> sqlite3.Row | None:
    found: sqlite3.Row | None = tx.db.execute("SELECT * FROM outbox_lease").fetchone()
    return found


def _runs(tx: Transaction, lease: sqlite3.Row) -> bool:
    # One that ends later than its own length from now was given before the clock was set back (leases.py).
    return bool(tx.now < lease["until"] <= tx.now + lease["length"])


def _release(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    released = tx.db.execute("UPDATE outbox_lease SET holder = NULL, until = 0 WHERE holder = :holder", args)
    return {"released": released.rowcount > 0}


# --- what became of the rows ------------------------------------------------------------------------------------------

_THIS = "revision = ? AND record_table = ? AND scope = ? AND key = ?"


def _named(items: Iterable[Mapping[str, Any]]) -> list[tuple[int, str, str, str]]:
    return [(item["revision"], *_key(item)) for item in items]


def _synced(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    lease = _leased(tx)
    if lease is None or lease["holder"] != args["holder"]:
        raise Fenced("another drainer has taken the outbox over, or the lease was released")
    gone = tx.db.executemany(f"DELETE FROM outbox WHERE {_THIS}", _named(args["items"]))  # noqa: S608
    return {"synced": max(gone.rowcount, 0)}


def _failed(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    due, error = args.get("retryAt"), args["error"]
    said = tx.db.executemany(
        "UPDATE outbox SET attempts = attempts + 1, due = ?, error = ?, failed = ?"  # noqa: S608
        f" WHERE {_THIS} AND (due, error) IS NOT (?, ?)",
        [(due, error, tx.now, *item, due, error) for item in _named(args["items"])],
    )
    return {"failed": max(said.rowcount, 0)}


def _dead(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    rows = tx.db.execute(
        "SELECT * FROM outbox WHERE attempts > 0 AND due IS NULL AND revision > :after ORDER BY revision LIMIT :limit",
        args,
    )
    return [
        {**_item(row), "attempts": row["attempts"], "error": row["error"], "failedAt": row["failed"]}
        for row in rows.fetchall()
    ]


_AGAIN = "UPDATE outbox SET attempts = 0, due = 0, error = NULL, failed = NULL WHERE attempts > 0"


def _retry(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    if "items" in args:
        keys = [_key(item) for item in args["items"]]
        again = tx.db.executemany(f"{_AGAIN} AND record_table = ? AND scope = ? AND key = ?", keys)
    else:
        again = tx.db.execute(_AGAIN)
    return {"retried": max(again.rowcount, 0)}


QUERIES: Functions = {
    "graphSync:getSettings": _settings,
    "graphSync:getUnsyncedItems": _items,
    "graphSync:getBatch": _batch,
    "graphSync:getRecords": _records,
    "graphSync:exists": _exists,
    "graphSync:getSyncStats": _stats,
    "graphSync:getFailedItems": _dead,
}
MUTATIONS: Functions = {
    "graphSync:keep": _keep,
    "graphSync:lease": _lease,
    "graphSync:release": _release,
    "graphSync:markSynced": _synced,
    "graphSync:markFailed": _failed,
    "graphSync:retry": _retry,
}
