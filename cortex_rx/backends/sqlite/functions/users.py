"""`users:*`: the profiles of users, which are the entries of type "user" of `immutable`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from cortex_rx.backends.sqlite.functions import immutable
from cortex_rx.backends.sqlite.functions.paging import page, start_of
from cortex_rx.backends.sqlite.functions.registry import Functions
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import UserNotFound

__all__ = ["MUTATIONS", "QUERIES", "has_fields"]

_TYPE = "user"
_TIMES: Mapping[str, str] = {
    "createdBefore": "created < :createdBefore",
    "createdAfter": "created >= :createdAfter",
    "updatedBefore": "updated < :updatedBefore",
    "updatedAfter": "updated >= :updatedAfter",
}
_DATA = "has_fields(data, :data)"


def _find(tx: Transaction, args: Mapping[str, Any]) -> sqlite3.Row | None:
    return immutable.find(tx, _TYPE, args["userId"])


def _profile(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "data": json.loads(row["data"]),
        "version": row["version"],
        "createdAt": row["created"],
        "updatedAt": row["updated"],
    }


def _made(tx: Transaction, args: Mapping[str, Any], version: int) -> dict[str, Any]:
    """The profile as a version made it."""
    entry = _find(tx, args)
    assert entry is not None
    row = immutable.version_of(tx, entry, version)
    assert row is not None
    return {**_profile(entry), "data": json.loads(row["data"]), "version": version, "updatedAt": row["written"]}


# --- changing ---------------------------------------------------------------------------------------------------------


def _update(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    entry = _find(tx, args)
    version = immutable.made_by(tx, entry, args.get("operationId"), lambda _: args["data"])
    if version is None:
        immutable.check_expected(entry, args)
        version = _write(tx, args["userId"], entry, args["data"], args.get("operationId"))
    return _made(tx, args, version)


def _write(
    tx: Transaction, user: str, entry: sqlite3.Row | None, data: Any, operation: str | None = None, *, keep: bool = True
) -> int:
    text = json.dumps(data, ensure_ascii=False)
    return immutable.add_version(tx, _TYPE, user, entry, text, operation=operation, keep=keep)


def _merge(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    entry = _find(tx, args)
    if entry is None:
        raise UserNotFound("no profile of this user")
    version = _merged_by(tx, entry, args)
    if version is None:
        immutable.check_expected(entry, args)
        version = _merge_into(tx, entry, args)
    return _made(tx, args, version)


def _merged_by(tx: Transaction, entry: sqlite3.Row, args: Mapping[str, Any]) -> int | None:
    """The version of a profile that the same merge has made before."""
    return immutable.made_by(tx, entry, args.get("operationId"), lambda data: _merged(data, args["updates"]))


def _merge_into(tx: Transaction, entry: sqlite3.Row, args: Mapping[str, Any], *, keep: bool = True) -> int:
    """Merge updates into a profile. Returns its version."""
    data = _merged(json.loads(entry["data"]), args["updates"])
    if json.dumps(data, ensure_ascii=False) == entry["data"]:
        return int(entry["version"])
    return _write(tx, entry["id"], entry, data, args.get("operationId"), keep=keep)


def _merged(there: Any, updates: Any) -> Any:
    if not isinstance(there, dict) or not isinstance(updates, dict):
        return updates
    changed = {key: _merged(there[key], value) if key in there else value for key, value in updates.items()}
    return {**there, **changed}


def _get_or_create(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    if (entry := _find(tx, args)) is not None:
        return _profile(entry)
    return _made(tx, args, _write(tx, args["userId"], None, args.get("defaults", {})))


def _update_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    updated: list[str] = []
    for user in dict.fromkeys(args["userIds"]):
        entry = immutable.find(tx, _TYPE, user)
        if entry is None:
            continue
        updated.append(user)
        if _merged_by(tx, entry, args) is None:
            _merge_into(tx, entry, args, keep=not args["skipVersioning"])
    return {"updated": len(updated), "userIds": updated}


def _delete(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    entry = _find(tx, args)
    versions = 0 if entry is None else immutable.delete(tx, entry, dry_run=args["dryRun"])
    return {"deleted": entry is not None, "versionsDeleted": versions, "deletedAt": tx.now}


def _delete_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    there = [user for user in dict.fromkeys(args["userIds"]) if immutable.find(tx, _TYPE, user)]
    for user in there:
        tx.db.execute("DELETE FROM immutable WHERE type = 'user' AND id = ?", (user,))
    return {"deleted": len(there), "userIds": there}


# --- reading ----------------------------------------------------------------------------------------------------------


def _get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    entry = _find(tx, args)
    return None if entry is None else _profile(entry)


def _exists(tx: Transaction, args: dict[str, Any]) -> bool:
    return _find(tx, args) is not None


def _condition(args: Mapping[str, Any]) -> str:
    """Which profiles a call means, in SQL made of constants."""
    clauses = ["type = 'user'", *(clause for name, clause in _TIMES.items() if name in args)]
    return " AND ".join([*clauses, _DATA] if "data" in args else clauses)


def _order(args: Mapping[str, Any]) -> str:
    """Oldest first. "+": those of a time are sorted, rather than all read in this order."""
    return "+seq" if any(name in args for name in _TIMES) else "seq"


def _values(args: Mapping[str, Any]) -> dict[str, Any]:
    return {**args, "data": json.dumps(args.get("data"), ensure_ascii=False)}


def _list(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    rows = tx.db.execute(
        f"{immutable.SELECT} WHERE {_condition(args)} ORDER BY {_order(args)} LIMIT :limit OFFSET :offset",
        {"limit": -1, **_values(args)},
    )
    return [_profile(row) for row in rows]


def _page(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    rows = tx.db.execute(
        f"{immutable.SELECT} WHERE {_condition(args)} AND seq > :start ORDER BY seq LIMIT :limit + 1",
        {**_values(args), "start": start_of(args)},
    )
    return page(rows.fetchall(), args["limit"], _profile)


def _count(tx: Transaction, args: dict[str, Any]) -> int:
    if not args:
        kept = tx.db.execute("SELECT entries FROM immutable_counts WHERE type = 'user'").fetchone()
        return 0 if kept is None else int(kept["entries"])
    source = (
        f"({immutable.SELECT} WHERE {_condition(args)})" if "data" in args else f"immutable WHERE {_condition(args)}"
    )
    return int(tx.db.execute(f"SELECT count(*) FROM {source}", _values(args)).fetchone()[0])  # noqa: S608


def _version(row: sqlite3.Row) -> dict[str, Any]:
    return {"version": immutable.number(row), "data": json.loads(row["data"]), "timestamp": row["written"]}


def _get_version(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    entry = _find(tx, args)
    row = None if entry is None else immutable.version_of(tx, entry, args["version"])
    return None if row is None else _version(row)


def _history(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    entry = _find(tx, args)
    return [] if entry is None else [_version(row) for row in reversed(immutable.versions_of(tx, entry))]


def _get_at(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    entry = _find(tx, args)
    row = None if entry is None else immutable.version_at(tx, entry, args["timestamp"])
    return None if row is None else _version(row)


# --- filters ----------------------------------------------------------------------------------------------------------

_wanted = lru_cache(64)(json.loads)


def has_fields(data: str, wanted: str) -> bool:
    """The SQL function `has_fields`: whether a JSON object has the values of another one at its paths."""
    there: Any = json.loads(data)
    return all(any(_same(one, value) for one in _at(there, path)) for path, value in _wanted(wanted).items())


def _at(value: Any, path: str) -> Iterator[Any]:
    """The values at a path: "a.b" is the key "a.b", or "b" in "a"."""
    if not isinstance(value, dict):
        return
    if path in value:
        yield value[path]
    for at, sign in enumerate(path):
        if sign == "." and path[:at] in value:
            yield from _at(value[path[:at]], path[at + 1 :])


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; True is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


QUERIES: Functions = {
    "users:get": _get,
    "users:exists": _exists,
    "users:list": _list,
    "users:search": _list,
    "users:page": _page,
    "users:count": _count,
    "users:getVersion": _get_version,
    "users:getHistory": _history,
    "users:getAtTimestamp": _get_at,
}
MUTATIONS: Functions = {
    "users:update": _update,
    "users:merge": _merge,
    "users:getOrCreate": _get_or_create,
    "users:updateMany": _update_many,
    "users:deleteUserProfile": _delete,
    "users:deleteMany": _delete_many,
}
