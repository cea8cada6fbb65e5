"""`memorySpaces:*`: what is registered, who takes part, what is archived. `space_clearing` deletes what is in one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

from cortex_rx.backends.sqlite.functions import paging, space_clearing, space_stats
from cortex_rx.backends.sqlite.functions.registry import Functions
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import (
    MemorySpaceArchived,
    MemorySpaceExists,
    MemorySpaceHasData,
    MemorySpaceNotFound,
    ParticipantExists,
)

__all__ = ["MUTATIONS", "QUERIES", "check_active"]


def check_active(tx: Transaction, space: str) -> None:
    """Raise `MemorySpaceArchived` if the memory space is archived."""
    row = tx.db.execute("SELECT 1 FROM memory_spaces WHERE id = ? AND status = 'archived'", (space,)).fetchone()
    if row is not None:
        raise MemorySpaceArchived("the memory space is archived: it is read, and not written until it is reactivated")


# --- rows -------------------------------------------------------------------------------------------------------------


def _find(tx: Transaction, args: Mapping[str, Any]) -> sqlite3.Row | None:
    found: sqlite3.Row | None = tx.db.execute(
        "SELECT * FROM memory_spaces WHERE id = ?", (args["memorySpaceId"],)
    ).fetchone()
    return found


def _there(tx: Transaction, args: Mapping[str, Any]) -> sqlite3.Row:
    if (row := _find(tx, args)) is None:
        raise MemorySpaceNotFound("no memory space is registered under this id")
    return row


def _row(tx: Transaction, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "memorySpaceId": row["id"],
        **({} if row["name"] is None else {"name": row["name"]}),
        "type": row["type"],
        "participants": _participants(tx, row["seq"]),
        "metadata": json.loads(row["metadata"]),
        "status": row["status"],
        "createdAt": row["created"],
        "updatedAt": row["updated"],
        "registered": True,
    }


def _participants(tx: Transaction, space: int) -> list[dict[str, Any]]:
    rows = tx.db.execute(
        "SELECT id, type, joined FROM memory_space_participants WHERE space = ? ORDER BY number", (space,)
    )
    return [{"id": row["id"], "type": row["type"], "joinedAt": row["joined"]} for row in rows.fetchall()]


def _now(tx: Transaction, args: Mapping[str, Any]) -> dict[str, Any]:
    """The row as it is stored now."""
    return _row(tx, _there(tx, args))


# --- registering and changing -----------------------------------------------------------------------------------------


def _register(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    if (row := _find(tx, args)) is not None:
        there = _row(tx, row)
        if not _is_same(there, args):
            raise MemorySpaceExists("another memory space is registered under this id")
        return there
    number = _insert(tx, args["memorySpaceId"], args["type"], args.get("name"), args.get("metadata", {}))
    _add(tx, number, args.get("participants", ()))
    return _now(tx, args)


def _is_same(there: Mapping[str, Any], args: Mapping[str, Any]) -> bool:
    given: dict[str, Mapping[str, Any]] = {}
    for one in args.get("participants", ()):
        given.setdefault(one["id"], one)
    return (
        (there["type"], there.get("name"), there["metadata"])
        == (args["type"], args.get("name"), args.get("metadata", {}))
        and [one["id"] for one in there["participants"]] == list(given)
        and all(_fits(one, given[one["id"]]) for one in there["participants"])
    )


def _fits(there: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether a participant is the given one. When it joined counts if it is given."""
    return all(there[name] == value for name, value in given.items())


def _insert(tx: Transaction, space: str, kind: str, name: str | None, metadata: Mapping[str, Any]) -> int:
    made = tx.db.execute(
        "INSERT INTO memory_spaces (id, name, type, metadata, status, created, updated)"
        " VALUES (?, ?, ?, ?, 'active', ?, ?)",
        (space, name, kind, _json(metadata), tx.now, tx.now),
    )
    assert made.lastrowid is not None
    return made.lastrowid


def _add(tx: Transaction, space: int, participants: Iterable[Mapping[str, Any]]) -> int:
    """Add participants that are not there. Returns how many."""
    added = tx.db.executemany(
        "INSERT INTO memory_space_participants (space, id, type, joined) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(space, one["id"], one["type"], one.get("joinedAt", tx.now)) for one in participants],
    )
    return added.rowcount


def _remove(tx: Transaction, space: int, ids: Iterable[str]) -> int:
    """Remove participants, if they are there. Returns how many."""
    removed = tx.db.executemany(
        "DELETE FROM memory_space_participants WHERE space = ? AND id = ?", [(space, one) for one in ids]
    )
    return removed.rowcount


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _set(tx: Transaction, row: sqlite3.Row, **columns: Any) -> None:
    """Set columns of a row, if they have other values."""
    name, metadata, status = (columns.get(one, row[one]) for one in ("name", "metadata", "status"))
    if (name, metadata, status) != (row["name"], row["metadata"], row["status"]):
        tx.db.execute(
            "UPDATE memory_spaces SET name = ?, metadata = ?, status = ?, updated = ? WHERE seq = ?",
            (name, metadata, status, tx.now, row["seq"]),
        )


def _touch(tx: Transaction, row: sqlite3.Row, changes: int) -> None:
    if changes:
        tx.db.execute("UPDATE memory_spaces SET updated = ? WHERE seq = ?", (tx.now, row["seq"]))


def _update(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {name: args[name] for name in ("name", "status") if name in args}
    if "metadata" in args:
        columns["metadata"] = _json(args["metadata"])
    _set(tx, _there(tx, args), **columns)
    return _now(tx, args)


def _archive(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    row = _find(tx, args)
    if row is None:
        if not space_clearing.is_used(tx, args["memorySpaceId"]):
            raise MemorySpaceNotFound("no memory space is registered under this id, and none is used")
        _insert(tx, args["memorySpaceId"], "custom", None, {})
        row = _there(tx, args)
    metadata: dict[str, Any] = json.loads(row["metadata"])
    since = metadata.get("archivedAt", tx.now) if row["status"] == "archived" else tx.now
    metadata |= {**args.get("metadata", {}), "archivedAt": since}
    if "reason" in args:
        metadata["archiveReason"] = args["reason"]
    _set(tx, row, status="archived", metadata=_json(metadata))
    return _now(tx, args)


def _reactivate(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    _set(tx, _there(tx, args), status="active")
    return _now(tx, args)


def _add_participant(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    row, given = _there(tx, args), args["participant"]
    for there in _participants(tx, row["seq"]):
        if there["id"] == given["id"] and not _fits(there, given):
            raise ParticipantExists("the memory space has another participant with this id")
    _touch(tx, row, _add(tx, row["seq"], [given]))
    return _now(tx, args)


def _remove_participant(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    row = _there(tx, args)
    _touch(tx, row, _remove(tx, row["seq"], [args["participantId"]]))
    return _now(tx, args)


def _update_participants(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    row = _there(tx, args)
    removed = _remove(tx, row["seq"], args.get("remove", ()))
    _touch(tx, row, removed + _add(tx, row["seq"], args.get("add", ())))
    return _now(tx, args)


# --- deleting ---------------------------------------------------------------------------------------------------------


def _clear(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    deleted = space_clearing.clear(tx, args["memorySpaceId"], args["limit"])
    return {"deleted": deleted, "more": deleted >= args["limit"]}


def _delete(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    space = args["memorySpaceId"]
    row = _find(tx, args)
    if row is None and not space_clearing.is_used(tx, space):
        raise MemorySpaceNotFound("no memory space is registered under this id, and none is used")
    if not args["cascade"] and space_clearing.has_records(tx, space):
        raise MemorySpaceHasData("the memory space has records; cascade deletes them with it")
    space_clearing.clear_all(tx, space)
    if row is not None:
        tx.db.execute("DELETE FROM memory_space_participants WHERE space = ?", (row["seq"],))
        tx.db.execute("DELETE FROM memory_spaces WHERE seq = ?", (row["seq"],))
    return {"deleted": True, "memorySpaceId": space, "cascaded": args["cascade"]}


# --- reading ----------------------------------------------------------------------------------------------------------


def _get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    row = _find(tx, args)
    return None if row is None else _row(tx, row)


_CONDITIONS: Mapping[str, LiteralString] = {
    "type": "type = :type",
    "status": "status = :status",
    "participantId": "seq IN (SELECT space FROM memory_space_participants WHERE id = :participantId)",
}


def _select(args: Mapping[str, Any], rest: LiteralString, what: LiteralString = "*") -> str:
    """A statement about the registered ones that pass the filters that are given. Each filter has an index."""
    conditions = [condition for name, condition in _CONDITIONS.items() if name in args]
    return f"SELECT {what} FROM memory_spaces WHERE {' AND '.join(conditions) or '1'} {rest}"  # noqa: S608


def _list(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    rows = tx.db.execute(_select(args, "ORDER BY seq DESC LIMIT :limit OFFSET :offset"), args)
    found = [_row(tx, row) for row in rows.fetchall()]
    left = args["limit"] - len(found)
    if left and _shows_unregistered(args):
        offset = max(0, args["offset"] - _count_registered(tx, args))
        ids = space_clearing.unregistered(tx, left, offset)
        found += [_unregistered_row(tx, space) for space in ids]
    return found


def _shows_unregistered(args: Mapping[str, Any]) -> bool:
    """Whether a list has those that are used and not registered: they are active, "custom", and nobody's."""
    return (
        args["includeUnregistered"]
        and args.get("type", "custom") == "custom"
        and args.get("status", "active") == "active"
        and "participantId" not in args
    )


def _unregistered_row(tx: Transaction, space: str) -> dict[str, Any]:
    since = space_clearing.used_since(tx, space)
    return {
        "memorySpaceId": space,
        "type": "custom",
        "participants": [],
        "metadata": {},
        "status": "active",
        "createdAt": since,
        "updatedAt": since,
        "registered": False,
    }


def _count_registered(tx: Transaction, args: Mapping[str, Any]) -> int:
    counted: int = tx.db.execute(_select(args, "", "count(*)"), args).fetchone()[0]
    return counted


def _count(tx: Transaction, args: dict[str, Any]) -> int:
    more = len(space_clearing.unregistered(tx, -1, 0)) if _shows_unregistered(args) else 0
    return _count_registered(tx, args) + more


def _page(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    values = {**args, "start": paging.start_of(args), "read": args["limit"] + 1}
    rows = tx.db.execute(_select(args, "AND seq > :start ORDER BY seq LIMIT :read"), values).fetchall()
    return paging.page(rows, args["limit"], lambda row: _row(tx, row))


def _find_by_participant(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    return _list(tx, {**args, "includeUnregistered": False, "limit": -1, "offset": 0})


def _search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    sought = args["query"].casefold()
    rows = tx.db.execute(_select(args, "ORDER BY seq DESC"), args)
    found: list[sqlite3.Row] = []
    skip = args["offset"]
    while len(found) < args["limit"] and (row := rows.fetchone()) is not None:
        if any(sought in (row[column] or "").casefold() for column in ("id", "name", "metadata")):
            skip -= 1
            if skip < 0:
                found.append(row)
    rows.close()
    return [_row(tx, row) for row in found]


def _stats(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    row = _find(tx, args)
    if row is None and not space_clearing.is_used(tx, args["memorySpaceId"]):
        raise MemorySpaceNotFound("no memory space is registered under this id, and none is used")
    stats = space_stats.stats(tx, args["memorySpaceId"], args["timeWindow"])
    if args["includeParticipants"]:
        there = [] if row is None else _participants(tx, row["seq"])
        stats["participants"] = [{**one, **space_stats.of_participant(tx, args, one["id"])} for one in there]
    return stats


QUERIES: Functions = {
    "memorySpaces:get": _get,
    "memorySpaces:list": _list,
    "memorySpaces:count": _count,
    "memorySpaces:page": _page,
    "memorySpaces:findByParticipant": _find_by_participant,
    "memorySpaces:search": _search,
    "memorySpaces:getStats": _stats,
}
MUTATIONS: Functions = {
    "memorySpaces:register": _register,
    "memorySpaces:update": _update,
    "memorySpaces:addParticipant": _add_participant,
    "memorySpaces:removeParticipant": _remove_participant,
    "memorySpaces:updateParticipants": _update_participants,
    "memorySpaces:archive": _archive,
    "memorySpaces:reactivate": _reactivate,
    "memorySpaces:clear": _clear,
    "memorySpaces:deleteSpace": _delete,
}
