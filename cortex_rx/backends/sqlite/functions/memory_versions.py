"""`memories:getVersion`, `memories:getHistory`, `memories:getAtTimestamp`, and `memories:exportMemories`."""

from __future__ import annotations

import json
import sqlite3
from array import array
from typing import Any

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.sqlite import text_store, vectors
from cortex_rx.backends.sqlite.functions import fact_lists, memories, memory_lists
from cortex_rx.backends.sqlite.functions.registry import Functions
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.models.exports import csv_text, json_text
from cortex_rx.models.memory_exports import export_columns, exported

__all__ = ["QUERIES", "export", "get_at", "get_version", "history"]

# The former versions and the current one, each with the time at which it began.
_VERSIONS = """
WITH memory AS (SELECT * FROM memories WHERE space = :space AND id = :id AND partial = 0)
SELECT seq, version, text, embedding, importance, tags, metadata, begun, until FROM (
    SELECT memory.seq, past.version, past.text, past.embedding, past.importance, past.tags, past.metadata,
        coalesce((SELECT until FROM memory_versions WHERE memory = past.memory AND version = past.version - 1),
            memory.created) AS begun, past.until
    FROM memory CROSS JOIN memory_versions AS past ON past.memory = memory.seq
    UNION ALL
    SELECT seq, version, text, NULL, importance, tags, metadata,
        coalesce((SELECT until FROM memory_versions WHERE memory = seq AND version = memory.version - 1), created), NULL
    FROM memory
) WHERE {which} ORDER BY version
"""
_ALL = _VERSIONS.format(which="TRUE")
_ONE = _VERSIONS.format(which="version = :version")
_AT = _VERSIONS.format(which="begun <= :time AND (until IS NULL OR :time < until)")


def _row(tx: Transaction, memory: str, row: sqlite3.Row, limit: int | None) -> dict[str, Any]:
    if row["until"] is None:
        embedding = vectors.of(tx, row["seq"], vectors.WHOLE)
    else:
        embedding = None if row["embedding"] is None else array("d", row["embedding"]).tolist()
    return {
        "memoryId": memory,
        "version": row["version"],
        "content": text_store.read_text(tx, row["text"], limit),
        "contentLength": text_store.length_of(tx, row["text"]),
        **({} if embedding is None else {"embedding": embedding}),
        "importance": row["importance"],
        "tags": json.loads(row["tags"]),
        **({} if row["metadata"] is None else {"metadata": json.loads(row["metadata"])}),
        "timestamp": row["begun"],
    }


def _versions(tx: Transaction, statement: str, args: dict[str, Any], limit: int | None) -> list[dict[str, Any]]:
    values = {"space": args["memorySpaceId"], "id": args["memoryId"], "version": args.get("version")}
    rows = tx.db.execute(statement, values | {"time": args.get("timestamp")}).fetchall()
    return [_row(tx, args["memoryId"], row, limit) for row in rows]


def get_version(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`memories:getVersion`."""
    return next(iter(_versions(tx, _ONE, args, None)), None)


def history(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`memories:getHistory`."""
    return _versions(tx, _ALL, args, HEAD_LENGTH)


def get_at(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`memories:getAtTimestamp`."""
    return next(iter(_versions(tx, _AT, args, None)), None)


# --- export -----------------------------------------------------------------------------------------------------------


def export(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:exportMemories`."""
    columns = export_columns(args["includeEmbeddings"], args["includeFacts"])
    rows: list[dict[str, Any]] = []
    for seq in memory_lists.matching(tx, args):
        row = tx.db.execute(f"{memories.ANSWERS} WHERE memories.seq = ?", (seq,)).fetchone()
        memory = memories.row_of(tx, row, None)
        if args["includeFacts"]:
            asked = {"memorySpaceId": row["space"], "memoryId": row["id"], "offset": 0}
            memory["facts"] = fact_lists.list_rows(tx, asked)
        rows.append(exported(memory, columns))
    data = json_text(rows) if args["format"] == "json" else csv_text(columns, rows)
    return {"format": args["format"], "data": data, "count": len(rows), "exportedAt": tx.now}


QUERIES: Functions = {
    "memories:getVersion": get_version,
    "memories:getHistory": history,
    "memories:getAtTimestamp": get_at,
    "memories:exportMemories": export,
}
