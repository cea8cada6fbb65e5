"""`agents:*`: who is registered, and what an agent has in all memory spaces."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from cortex_rx.backends.sqlite.functions.paging import page, start_of
from cortex_rx.backends.sqlite.functions.registry import Functions
from cortex_rx.backends.sqlite.text_store import Transaction, as_json
from cortex_rx.errors import AgentAlreadyRegistered, AgentNotRegistered

__all__ = ["MUTATIONS", "QUERIES", "STATISTICS", "condition", "has_capability", "has_text", "order"]

_DATA = ("name", "description", "metadata", "config")  # as the columns are called
_JSON = ("metadata", "config")


def _find(tx: Transaction, agent: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = tx.db.execute("SELECT * FROM agents WHERE id = ?", (agent,)).fetchone()
    return found


def _there(tx: Transaction, agent: str) -> sqlite3.Row:
    row = _find(tx, agent)
    if row is None:
        raise AgentNotRegistered("no agent is registered under this id")
    return row


def _record(row: sqlite3.Row) -> dict[str, Any]:
    record = {
        "agentId": row["id"],
        "name": row["name"],
        "description": row["description"],
        "metadata": None if row["metadata"] is None else json.loads(row["metadata"]),
        "config": None if row["config"] is None else json.loads(row["config"]),
        "status": row["status"],
        "registeredAt": row["registered"],
        "updatedAt": row["updated"],
    }
    return {name: value for name, value in record.items() if value is not None}


# --- registering ------------------------------------------------------------------------------------------------------


def _register(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`agents:register`."""
    row = _find(tx, args["agentId"])
    if row is None:
        tx.db.execute(
            "INSERT INTO agents (id, name, description, metadata, config, status, registered, updated)"
            " VALUES (?, ?, ?, ?, ?, 'active', ?, ?)",
            (
                *(args["agentId"], args["name"], args.get("description")),
                *(as_json(args, "metadata"), as_json(args, "config"), tx.now, tx.now),
            ),
        )
        return _record(_there(tx, args["agentId"]))
    stored = _record(row)
    if any(not _is_same(stored.get(name), args.get(name)) for name in _DATA):
        raise AgentAlreadyRegistered("another agent is registered under this id")
    return stored


def _is_same(one: object, other: object) -> bool:
    """As JSON, where true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _update(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`agents:update` and `agents:configure`."""
    row = _there(tx, args["agentId"])
    stored = _record(row)
    changed = {
        name: value for name, value in args.items() if name != "agentId" and not _is_same(stored.get(name), value)
    }
    if not changed:
        return stored
    new = {name: json.dumps(value, ensure_ascii=False) if name in _JSON else value for name, value in changed.items()}
    tx.db.execute(
        "UPDATE agents SET name = ?, description = ?, metadata = ?, config = ?, status = ?, updated = ? WHERE seq = ?",
        (*(new.get(name, row[name]) for name in (*_DATA, "status")), tx.now, row["seq"]),
    )
    return _record(_there(tx, args["agentId"]))


def _unregister(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`agents:unregister`."""
    row = _there(tx, args["agentId"])
    if not args["dryRun"]:
        tx.db.execute("DELETE FROM agents WHERE seq = ?", (row["seq"],))
    return {"deleted": not args["dryRun"], "agentId": row["id"], "unregisteredAt": tx.now}


def _unregister_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`agents:unregisterMany`."""
    passing = f"SELECT seq, id FROM agents WHERE {condition(args)}"  # noqa: S608
    if "agentIds" in args:
        rows = [
            row
            for agent in {*args["agentIds"]}
            for row in tx.db.execute(f"{passing} AND id = :agent", {**_values(args), "agent": agent}).fetchall()
        ]
    else:
        rows = tx.db.execute(passing, _values(args)).fetchall()
    rows.sort(key=lambda row: int(row["seq"]))
    found = [row["id"] for row in rows]
    if args["dryRun"]:
        return {"deleted": 0, "agentIds": found}
    tx.db.executemany("DELETE FROM agents WHERE seq = ?", ((row["seq"],) for row in rows))
    return {"deleted": len(found), "agentIds": found}


# --- finding ----------------------------------------------------------------------------------------------------------

_CLAUSES: Mapping[str, str] = {
    "status": "status = :status",
    "registeredAfter": "registered >= :registeredAfter",
    "registeredBefore": "registered < :registeredBefore",
    "name": "has_text(name, :name)",
    "metadata": "has_metadata(metadata, :metadata)",
    "capabilities": "has_capability(metadata, :capabilities, :all)",
}


def condition(args: Mapping[str, Any]) -> str:
    """What an agent must be for these filters, in SQL made of constants."""
    clauses = [clause for name, clause in _CLAUSES.items() if name in args]
    return " AND ".join(clauses) or "true"


def _values(args: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        name: json.dumps(args[name], ensure_ascii=False) if isinstance(args[name], list | dict) else args[name]
        for name in _CLAUSES
        if name in args
    }
    return {**found, "all": args.get("capabilitiesMatch") == "all"}


def has_text(text: str, wanted: str) -> bool:
    """The SQL function `has_text`: whether a text has another one in it, in capitals or small letters."""
    return wanted.casefold() in text.casefold()


def has_capability(metadata: str | None, wanted: str, every: int) -> bool:
    """The SQL function `has_capability`: whether the list `capabilities` of a JSON object has any, or all, of these."""
    there: Any = None if metadata is None else json.loads(metadata).get("capabilities")
    found = [one in there if isinstance(there, list) else False for one in json.loads(wanted)]
    return all(found) if every else any(found)


_SORTED: Mapping[str | None, tuple[str, str]] = {
    None: ("seq", "desc"),
    "name": ("name", "asc"),
    "registeredAt": ("registered", "desc"),
    "updatedAt": ("updated", "desc"),
}
_ORDERS = {"asc": "ASC", "desc": "DESC"}


def order(args: Mapping[str, Any]) -> str:
    """The order that a call asks for, in SQL made of constants."""
    column, usual = _SORTED[args.get("sortBy")]
    direction = _ORDERS[args.get("sortOrder", usual)]
    if column != "seq":
        return f"{column} {direction}, seq"
    is_narrow = "registeredAfter" in args or "registeredBefore" in args
    return f"+seq {direction}" if is_narrow else f"seq {direction}"  # "+": sorted, rather than found among all


def _search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`agents:list` and `agents:search`."""
    rows = tx.db.execute(
        f"SELECT * FROM agents WHERE {condition(args)} ORDER BY {order(args)} LIMIT :limit OFFSET :offset",  # noqa: S608
        {**_values(args), "limit": args["limit"], "offset": args["offset"]},
    )
    return [_record(row) for row in rows.fetchall()]


def _page(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`agents:page`."""
    rows = tx.db.execute(
        f"SELECT * FROM agents WHERE {condition(args)} AND seq > :start ORDER BY seq LIMIT :limit",  # noqa: S608
        {**_values(args), "start": start_of(args), "limit": args["limit"] + 1},
    ).fetchall()
    return page(rows, args["limit"], _record)


def _count(tx: Transaction, args: dict[str, Any]) -> int:
    """`agents:count`."""
    found: int = tx.db.execute(f"SELECT count(*) FROM agents WHERE {condition(args)}", _values(args)).fetchone()[0]  # noqa: S608
    return found


def _get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`agents:get`."""
    row = _find(tx, args["agentId"])
    return None if row is None else _record(row)


def _exists(tx: Transaction, args: dict[str, Any]) -> bool:
    """`agents:exists`."""
    return _find(tx, args["agentId"]) is not None


# --- statistics -------------------------------------------------------------------------------------------------------

# Each once, whose agent and whose participant it may be. A union, so that each half has its index.
STATISTICS: Mapping[str, str] = {
    "totalMemories": (
        "SELECT seq, space, updated FROM memories WHERE agent_id = :agent AND partial = 0"
        " UNION SELECT seq, space, updated FROM memories WHERE participant_id = :agent AND partial = 0"
    ),
    "totalConversations": (
        "SELECT seq, space, updated FROM conversations WHERE agent_id = :agent"
        " UNION SELECT seq, space, updated FROM conversations WHERE participant_id = :agent"
    ),
    "totalFacts": (
        "SELECT seq, (SELECT name FROM spaces WHERE id = facts.space) AS space, updated FROM facts"
        " WHERE participant_id = :agent AND closed IS NULL"
    ),
}
"""What an agent has, by what it is counted as: number, memory space and time."""


def _statistics(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`agents:computeStats`."""
    counts: dict[str, int] = {}
    spaces: set[str] = set()
    times: list[int] = []
    for name, rows in STATISTICS.items():
        found = tx.db.execute(
            f"SELECT space, count(*), max(updated) FROM ({rows}) GROUP BY space",  # noqa: S608
            {"agent": args["agentId"]},
        ).fetchall()
        counts[name] = sum(row[1] for row in found)
        spaces.update(row[0] for row in found)
        times += [row[2] for row in found]
    last = {"lastActive": max(times)} if times else {}
    return {**counts, "memorySpacesActive": len(spaces), **last}


QUERIES: Functions = {
    "agents:get": _get,
    "agents:exists": _exists,
    "agents:list": _search,
    "agents:search": _search,
    "agents:page": _page,
    "agents:count": _count,
    "agents:computeStats": _statistics,
}
MUTATIONS: Functions = {
    "agents:register": _register,
    "agents:update": _update,
    "agents:configure": _update,
    "agents:unregister": _unregister,
    "agents:unregisterMany": _unregister_many,
}
