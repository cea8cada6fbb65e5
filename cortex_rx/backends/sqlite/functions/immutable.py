"""`immutable:*`: entries with all their versions, for the whole store.

An entry has a row, and each of its versions has one with what it says. Its time is not before that of the version
before, so the version of a time is found even after the clock was set back.
"""

from __future__ import annotations

import heapq
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cortex_rx.backends.sqlite.functions.paging import page, start_of
from cortex_rx.backends.sqlite.functions.registry import Functions
from cortex_rx.backends.sqlite.text_store import Transaction, as_json
from cortex_rx.errors import EntryNotFound, IdempotencyConflict, VersionConflict

__all__ = [
    "MUTATIONS",
    "QUERIES",
    "SELECT",
    "add_version",
    "check_expected",
    "delete",
    "find",
    "made_by",
    "number",
    "row_of",
    "version_at",
    "version_of",
    "versions_of",
]

SELECT = (
    "SELECT seq, type, id, version, immutable.user_id, created, updated, metadata, data"
    " FROM immutable CROSS JOIN immutable_versions ON place = (seq << 32) + version"
)
"""The entries, each with its current version."""
_FIND = f"{SELECT} WHERE type = ? AND id = ?"
_VERSIONS = "FROM immutable_versions WHERE place BETWEEN :seq << 32 AND (:seq + 1 << 32) - 1"
_CLAUSES: Mapping[str, str] = {
    "type": "type = :type",
    "userId": "immutable.user_id = :userId",
    "createdBefore": "created < :createdBefore",
}
_HIGHLIGHTS, _AROUND = 3, 30
_NOT_FOUND = "no entry of this type with this id"


# --- an entry and its versions ----------------------------------------------------------------------------------------


def find(tx: Transaction, kind: str, name: str) -> sqlite3.Row | None:
    """An entry with its current version, by its type and id."""
    row: sqlite3.Row | None = tx.db.execute(_FIND, (kind, name)).fetchone()
    return row


def made_by(
    tx: Transaction,
    entry: sqlite3.Row | None,
    operation: str | None,
    made: Callable[[Any], Any],
    *,
    metadata: str | None = None,
    user_id: str | None = None,
) -> int | None:
    """The version of an entry that the same call has made before.

    `made` gives what the call makes of data: of what it has made, the same. Raises `IdempotencyConflict` if another
    call was made with this id.
    """
    if entry is None or operation is None:
        return None
    row = tx.db.execute(
        f"SELECT * {_VERSIONS} AND operation = :operation", {"seq": entry["seq"], "operation": operation}
    ).fetchone()
    if row is None:
        return None
    data = json.dumps(made(json.loads(row["data"])), ensure_ascii=False)
    if data != row["data"] or metadata not in (None, row["metadata"]) or user_id not in (None, row["user_id"]):
        raise IdempotencyConflict("another change is stored under this operation id")
    return number(row)


def check_expected(entry: sqlite3.Row | None, args: Mapping[str, Any]) -> None:
    """Raise `VersionConflict` if a change is for another version than the stored one."""
    stored = 0 if entry is None else int(entry["version"])
    if args.get("expectedVersion", stored) != stored:
        raise VersionConflict(args["expectedVersion"], stored)


def add_version(
    tx: Transaction,
    kind: str,
    name: str,
    entry: sqlite3.Row | None,
    data: str,
    *,
    metadata: str | None = None,
    user_id: str | None = None,
    operation: str | None = None,
    keep: bool = True,
) -> int:
    """Store the next version of an entry, or the first one. Returns its number.

    What is None stays as it was. Without `keep` the version before is deleted.
    """
    if entry is None:
        seq = tx.db.execute(
            "INSERT INTO immutable (type, id, version, user_id, created, updated) VALUES (?, ?, 1, ?, ?, ?)",
            (kind, name, user_id, tx.now, tx.now),
        ).lastrowid
        assert seq is not None
        version, time = 1, tx.now
    else:
        seq, version, time = entry["seq"], entry["version"] + 1, max(tx.now, entry["updated"])
        metadata = entry["metadata"] if metadata is None else metadata
        user_id = entry["user_id"] if user_id is None else user_id
        before = (seq << 32) + entry["version"]
        if keep:
            tx.db.execute("UPDATE immutable_versions SET until = ? WHERE place = ?", (time, before))
        else:
            tx.db.execute("DELETE FROM immutable_versions WHERE place = ?", (before,))
        tx.db.execute(
            "UPDATE immutable SET version = ?, user_id = ?, updated = ? WHERE seq = ?", (version, user_id, time, seq)
        )
    tx.db.execute(
        "INSERT INTO immutable_versions (place, written, operation, user_id, metadata, data) VALUES (?, ?, ?, ?, ?, ?)",
        ((seq << 32) + version, time, operation, user_id, metadata, data),
    )
    return version


def version_of(tx: Transaction, entry: sqlite3.Row, version: int) -> sqlite3.Row | None:
    """A version of an entry, if it is kept."""
    row: sqlite3.Row | None = tx.db.execute(
        f"SELECT * {_VERSIONS} AND place = (:seq << 32) + :version",
        {"seq": entry["seq"], "version": min(version, entry["version"] + 1)},
    ).fetchone()
    return row


def versions_of(tx: Transaction, entry: sqlite3.Row) -> list[sqlite3.Row]:
    """The versions of an entry that are kept, oldest first."""
    return tx.db.execute(f"SELECT * {_VERSIONS} ORDER BY place", {"seq": entry["seq"]}).fetchall()


def version_at(tx: Transaction, entry: sqlite3.Row, time: int) -> sqlite3.Row | None:
    """The version that was current at a time, if it is kept."""
    row: sqlite3.Row | None = tx.db.execute(
        f"SELECT * {_VERSIONS} AND written <= :time AND (until IS NULL OR :time < until) ORDER BY place DESC LIMIT 1",
        {"seq": entry["seq"], "time": time},
    ).fetchone()
    return row


def delete(tx: Transaction, entry: sqlite3.Row, *, dry_run: bool = False) -> int:
    """Delete an entry with its versions, which a trigger does. Returns how many there are."""
    count: int = tx.db.execute(f"SELECT count(*) {_VERSIONS}", {"seq": entry["seq"]}).fetchone()[0]
    if not dry_run:
        tx.db.execute("DELETE FROM immutable WHERE seq = ?", (entry["seq"],))
    return count


def number(version: sqlite3.Row) -> int:
    return int(version["place"]) & (1 << 32) - 1


def _given(name: str, value: str | None, *, json_text: bool = False) -> dict[str, Any]:
    """A field of a record, left out where there is no value."""
    return {} if value is None else {name: json.loads(value) if json_text else value}


# --- single entries ---------------------------------------------------------------------------------------------------


def _store(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    entry, operation = find(tx, args["type"], args["id"]), args.get("operationId")
    metadata, user = as_json(args, "metadata"), args.get("userId")
    version = made_by(tx, entry, operation, lambda _: args["data"], metadata=metadata, user_id=user)
    if version is None:
        check_expected(entry, args)
        data = json.dumps(args["data"], ensure_ascii=False)
        version = add_version(
            *(tx, args["type"], args["id"], entry, data), metadata=metadata, user_id=user, operation=operation
        )
    return _entry(tx, args, version)


def _get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    entry = find(tx, args["type"], args["id"])
    return None if entry is None else _entry(tx, args, entry["version"])


def _entry(tx: Transaction, args: Mapping[str, Any], version: int) -> dict[str, Any]:
    """An entry as one of its versions made it, with the versions before."""
    entry = find(tx, args["type"], args["id"])
    assert entry is not None
    *earlier, current = (row for row in versions_of(tx, entry) if number(row) <= version)
    shown = _version(entry, current)
    shown["updatedAt"] = shown.pop("timestamp")
    kept = ("version", "data", "metadata", "timestamp")
    before = [{name: value for name, value in _version(entry, row).items() if name in kept} for row in earlier]
    return {**shown, "previousVersions": before}


def _version(entry: sqlite3.Row, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "type": entry["type"],
        "id": entry["id"],
        "version": number(row),
        "data": json.loads(row["data"]),
        **_given("userId", row["user_id"]),
        **_given("metadata", row["metadata"], json_text=True),
        "timestamp": row["written"],
        "createdAt": entry["created"],
    }


def _get_version(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    entry = find(tx, args["type"], args["id"])
    row = None if entry is None else version_of(tx, entry, args["version"])
    return None if entry is None or row is None else _version(entry, row)


def _history(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    entry = find(tx, args["type"], args["id"])
    return [] if entry is None else [_version(entry, row) for row in versions_of(tx, entry)]


def _get_at(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    entry = find(tx, args["type"], args["id"])
    row = None if entry is None else version_at(tx, entry, args["timestamp"])
    return None if entry is None or row is None else _version(entry, row)


def _purge(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    entry = find(tx, args["type"], args["id"])
    if entry is None:
        raise EntryNotFound(_NOT_FOUND)
    return {"deleted": True, "type": args["type"], "id": args["id"], "versionsDeleted": delete(tx, entry)}


def _purge_versions(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    entry = find(tx, args["type"], args["id"])
    if entry is None:
        raise EntryNotFound(_NOT_FOUND)
    # The oldest of those that stay in any case.
    found = tx.db.execute(
        f"SELECT place {_VERSIONS} ORDER BY place DESC LIMIT 1 OFFSET :more",
        {"seq": entry["seq"], "more": max(args.get("keepLatest", 1), 1) - 1},
    ).fetchone()
    purged = 0
    if found is not None:
        purged = tx.db.execute(
            f"DELETE {_VERSIONS} AND place < :first AND (:time IS NULL OR written < :time)",
            {"seq": entry["seq"], "first": found["place"], "time": args.get("olderThan")},
        ).rowcount
    return {"versionsPurged": purged, "versionsRemaining": delete(tx, entry, dry_run=True)}


# --- many entries -----------------------------------------------------------------------------------------------------


def _condition(args: Mapping[str, Any]) -> str:
    """Which entries a call means, in SQL made of constants."""
    return " AND ".join(clause for name, clause in _CLAUSES.items() if name in args) or "TRUE"


def row_of(row: sqlite3.Row) -> dict[str, Any]:
    """An entry with its current version, as the contract has it."""
    return {
        "type": row["type"],
        "id": row["id"],
        "data": json.loads(row["data"]),
        "version": row["version"],
        **_given("userId", row["user_id"]),
        **_given("metadata", row["metadata"], json_text=True),
        "createdAt": row["created"],
        "updatedAt": row["updated"],
    }


def _list(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    rows = tx.db.execute(f"{SELECT} WHERE {_condition(args)} ORDER BY seq DESC LIMIT :limit OFFSET :offset", args)
    return [row_of(row) for row in rows]


def _page(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    rows = tx.db.execute(
        f"{SELECT} WHERE {_condition(args)} AND seq > :start ORDER BY seq LIMIT :limit + 1",
        {**args, "start": start_of(args)},
    )
    return page(rows.fetchall(), args["limit"], row_of)


def _count(tx: Transaction, args: dict[str, Any]) -> int:
    if "userId" in args:
        found = tx.db.execute(f"SELECT count(*) FROM immutable WHERE {_condition(args)}", args)  # noqa: S608
    else:
        found = tx.db.execute(f"SELECT coalesce(sum(entries), 0) FROM immutable_counts WHERE {_condition(args)}", args)  # noqa: S608
    return int(found.fetchone()[0])


def _search(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    query = re.compile(re.escape(args["query"]), re.IGNORECASE)

    def found() -> Iterator[tuple[float, int, sqlite3.Row, list[str]]]:
        for row in tx.db.execute(f"{SELECT} WHERE {_condition(args)}", args):
            texts = [*_texts(json.loads(row["data"]))]
            if places := [place for text in texts if (place := query.search(text))]:
                yield len(places) / len(texts), row["seq"], row, [*map(_around, places[:_HIGHLIGHTS])]

    best = heapq.nlargest(args["limit"], found(), key=lambda one: one[:2])
    return [{"entry": row_of(row), "score": score, "highlights": highlights} for score, _, row, highlights in best]


def _texts(value: Any) -> Iterator[str]:
    """All keys and values in a JSON value, as texts."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def _around(place: re.Match[str]) -> str:
    return place.string[max(place.start() - _AROUND, 0) : place.end() + _AROUND]


def _purge_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    rows = tx.db.execute(f"SELECT * FROM immutable WHERE {_condition(args)} ORDER BY +seq", args).fetchall()  # noqa: S608
    versions = sum(delete(tx, row, dry_run=args["dryRun"]) for row in rows)
    entries = [{"type": row["type"], "id": row["id"]} for row in rows]
    return {
        "deleted": len(rows),
        "totalVersionsDeleted": versions,
        "entries": entries,
        "dryRun": args["dryRun"],
    }


QUERIES: Functions = {
    "immutable:get": _get,
    "immutable:getVersion": _get_version,
    "immutable:getHistory": _history,
    "immutable:getAtTimestamp": _get_at,
    "immutable:list": _list,
    "immutable:page": _page,
    "immutable:count": _count,
    "immutable:search": _search,
}
MUTATIONS: Functions = {
    "immutable:store": _store,
    "immutable:purge": _purge,
    "immutable:purgeMany": _purge_many,
    "immutable:purgeVersions": _purge_versions,
}
