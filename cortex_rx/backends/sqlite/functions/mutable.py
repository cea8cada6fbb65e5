"""`mutable:*`: values by namespace and key, changed in the transaction that reads them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, cast

from cortex_rx.backends.sqlite.functions.paging import page, start_of
from cortex_rx.backends.sqlite.functions.registry import Function, Functions
from cortex_rx.backends.sqlite.text_store import Transaction, as_json
from cortex_rx.errors import (
    IdempotencyConflict,
    InvalidArgument,
    KeyNotFound,
    ValueNotArray,
    ValueNotNumber,
    VersionConflict,
)

__all__ = ["MUTATIONS", "QUERIES", "condition", "order", "record_of", "values"]

_INT64 = 2**63
_DAY = 86_400_000  # milliseconds


# --- a change that is made once ---------------------------------------------------------------------------------------


def _once(path: str, change: Function, remembered: Callable[[Any], Any], again: Function) -> Function:
    """`change`, made once for each `operationId`.

    What `remembered` makes of the result is kept; `again` gives the rest of it, from the arguments or the store.
    """

    def once(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
        operation = args.get("operationId")
        if operation is None:
            return cast("dict[str, Any]", change(tx, args))
        call = hashlib.sha256(json.dumps([path, args], sort_keys=True).encode()).hexdigest()
        row = tx.db.execute("SELECT call, result FROM mutable_operations WHERE id = ?", (operation,)).fetchone()
        if row is None:
            result: dict[str, Any] = change(tx, args)
            kept = json.dumps(remembered(result), ensure_ascii=False)
            tx.db.execute(
                "INSERT INTO mutable_operations (id, call, result, done) VALUES (?, ?, ?, ?)",
                (operation, call, kept, tx.now),
            )
            # The oldest few. What is a day ahead is from before the clock was set back.
            tx.db.execute(
                "DELETE FROM mutable_operations WHERE abs(? - done) > ?"
                " AND seq IN (SELECT seq FROM mutable_operations ORDER BY seq LIMIT 4)",
                (tx.now, _DAY),
            )
            return result
        if row["call"] != call:
            raise IdempotencyConflict("another change is stored under this operation id")
        return cast("dict[str, Any]", again(tx, {**args, "kept": json.loads(row["result"])}))

    return once


def _without_value(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "value"}


# --- one key ----------------------------------------------------------------------------------------------------------


def _find(tx: Transaction, args: Mapping[str, Any]) -> sqlite3.Row | None:
    found: sqlite3.Row | None = tx.db.execute(
        "SELECT * FROM mutable WHERE namespace = ? AND key = ?", (args["namespace"], args["key"])
    ).fetchone()
    return found


def record_of(row: sqlite3.Row) -> dict[str, Any]:
    """A key and its value, as the contract has it."""
    record = {
        "namespace": row["namespace"],
        "key": row["key"],
        "value": json.loads(row["value"]),
        "version": row["version"],
        "createdAt": row["created"],
        "updatedAt": row["updated"],
    }
    if row["user_id"] is not None:
        record["userId"] = row["user_id"]
    if row["metadata"] is not None:
        record["metadata"] = json.loads(row["metadata"])
    return record


def _there(tx: Transaction, args: Mapping[str, Any]) -> sqlite3.Row:
    row = _find(tx, args)
    if row is None:
        raise KeyNotFound("no such key in the namespace")
    return row


def _check_version(row: sqlite3.Row | None, args: Mapping[str, Any], name: str = "expectedVersion") -> None:
    stored = 0 if row is None else int(row["version"])
    if args.get(name, stored) != stored:
        raise VersionConflict(args[name], stored)


def _store(tx: Transaction, row: sqlite3.Row | None, args: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Store the value of a key, of which `row` is what is there, with the user and the metadata in `args`."""
    written = json.dumps(value, ensure_ascii=False)
    if row is None:
        tx.db.execute(
            "INSERT INTO mutable (namespace, key, value, user_id, metadata, version, created, updated)"
            " VALUES (?1, ?, ?, ?, ?,"
            " 1 + coalesce((SELECT version FROM mutable_deleted WHERE namespace = ?1), 0), ?, ?)",
            (args["namespace"], args["key"], written, args.get("userId"), as_json(args, "metadata"), tx.now, tx.now),
        )
    else:
        user = args.get("userId", row["user_id"])
        metadata = as_json(args, "metadata") if "metadata" in args else row["metadata"]
        if (written, user, metadata) == (row["value"], row["user_id"], row["metadata"]):
            return record_of(row)
        tx.db.execute(
            "UPDATE mutable SET value = ?, user_id = ?, metadata = ?, version = version + 1, updated = ? WHERE seq = ?",
            (written, user, metadata, tx.now, row["seq"]),
        )
    return record_of(_there(tx, args))


def _set(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`mutable:set`."""
    row = _find(tx, args)
    _check_version(row, args)
    return _store(tx, row, args, args["value"])


def _set_again(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    return {**args["kept"], "value": args["value"]}


def _sum(field: str, value: object, amount: object, sign: int) -> int | float:
    """A number after an increment, or a decrement. A sum of whole numbers is exact."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueNotNumber(f"the key has a value of type {type(value).__name__}")
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise InvalidArgument(field, type(amount).__name__, "a number")
    total = value + sign * amount
    if not (-_INT64 < total < _INT64 if isinstance(total, int) else isfinite(total)):
        raise InvalidArgument(field, amount, "an amount whose sum with the value is a finite number of 64 bits")
    return total


_SIGNS = {"increment": 1, "decrement": -1}


def _update(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`mutable:update`."""
    row = _find(tx, args)
    _check_version(row, args)
    if row is None and "initial" not in args:
        raise KeyNotFound("no such key in the namespace")
    value = args["initial"] if row is None else json.loads(row["value"])
    operation = args["operation"]
    if operation in _SIGNS:
        value = _sum("operand", value, args.get("operand", 1), _SIGNS[operation])
    elif operation == "custom":
        value = args["operand"]
    elif isinstance(value, list):
        value = [*value, args["operand"]]
    else:
        raise ValueNotArray(f"the key has a value of type {type(value).__name__}")
    return _store(tx, row, args, value)


def _updated(result: dict[str, Any]) -> dict[str, Any]:
    """A number is kept, since it may be what a caller draws; a list that grows would be kept as often as it grew."""
    return result if isinstance(result["value"], int | float) else _without_value(result)


def _update_again(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = args["kept"]
    if "value" in kept:
        return kept
    if args["operation"] == "custom":
        return {**kept, "value": args["operand"]}
    return record_of(_there(tx, args))


def _delete(tx: Transaction, args: Mapping[str, Any]) -> dict[str, Any]:
    """`mutable:deleteKey`."""
    row = _there(tx, args)
    tx.db.execute("DELETE FROM mutable WHERE seq = ?", (row["seq"],))
    return {"deleted": True, "namespace": row["namespace"], "key": row["key"]}


def _kept(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = args["kept"]
    return kept


# --- several keys -----------------------------------------------------------------------------------------------------


def _transact(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`mutable:transaction`."""
    for read in args.get("reads", ()):
        _check_version(_find(tx, read), read, "version")
    results = [_step(tx, number, one) for number, one in enumerate(args["operations"])]
    return {"success": True, "operationsExecuted": len(results), "results": results}


def _step(tx: Transaction, number: int, one: dict[str, Any]) -> dict[str, Any]:
    op = one["op"]
    if op == "delete":
        return _delete(tx, one)
    row = _find(tx, one)
    if row is None and op != "set" and "initial" not in one:
        raise KeyNotFound(f"no such key in the namespace: operations[{number}]")
    if op in ("set", "update"):
        return _store(tx, row, one, one["value"])
    value = one["initial"] if row is None else json.loads(row["value"])
    total = _sum(f"operations[{number}].amount", value, one.get("amount", 1), _SIGNS[op])
    return _store(tx, row, one, total)


def _transacted(result: dict[str, Any]) -> dict[str, Any]:
    results = [_updated(one) if "value" in one else one for one in result["results"]]
    return {**result, "results": results}


def _transact_again(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = args["kept"]
    pairs = zip(kept["results"], args["operations"], strict=True)
    whole = [
        one if "deleted" in one or "value" in one else {**one, "value": operation["value"]} for one, operation in pairs
    ]
    return {**kept, "results": whole}


_CLAUSES: Mapping[str, str] = {
    "userId": "user_id = :userId",
    "updatedBefore": "updated < :updatedBefore",
}


def condition(args: Mapping[str, Any]) -> str:
    """What a key must be for these filters, in SQL made of constants."""
    clauses = ["namespace = :namespace"]
    clauses += [clause for name, clause in _CLAUSES.items() if name in args]
    if args.get("keyPrefix"):  # of a user's keys those that begin so: there are fewer of a user
        key = "+key" if "userId" in args else "key"
        clauses.append(f"{key} >= :keyPrefix")
        if _behind(args["keyPrefix"]) is not None:
            clauses.append(f"{key} < :behind")
    return " AND ".join(clauses)


def order(args: Mapping[str, Any]) -> str:
    """The order of lists, in SQL made of constants; a few keys are sorted, rather than found among all."""
    return "+seq" if args.get("keyPrefix") or "updatedBefore" in args else "seq"


def values(args: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `condition`."""
    found = {name: args[name] for name in ("namespace", "keyPrefix", *_CLAUSES) if name in args}
    return {**found, "behind": _behind(args.get("keyPrefix", ""))}


def _behind(prefix: str) -> str | None:
    """The first text behind all that begin with `prefix`, by code points; None if there is none."""
    stem = prefix.rstrip(chr(0x10FFFF))
    if not stem:
        return None
    last = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if last == 0xD800 else last)  # between them are no characters


def _purge(tx: Transaction, args: dict[str, Any]) -> list[str]:
    """Delete the keys that pass the filters; the keys."""
    rows = tx.db.execute(
        f"SELECT seq, key FROM mutable WHERE {condition(args)} ORDER BY {order(args)}",  # noqa: S608
        values(args),
    ).fetchall()
    tx.db.executemany("DELETE FROM mutable WHERE seq = ?", ((row["seq"],) for row in rows))
    return [row["key"] for row in rows]


def _purge_namespace(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`mutable:purgeNamespace`."""
    count = _count(tx, args)
    if not args["dryRun"]:
        tx.db.execute("DELETE FROM mutable WHERE namespace = ?", (args["namespace"],))
    return {"deleted": count, "namespace": args["namespace"]}


def _purge_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`mutable:purgeMany`."""
    keys = _purge(tx, args)
    return {"deleted": len(keys), "namespace": args["namespace"], "keys": keys}


# --- reading ----------------------------------------------------------------------------------------------------------


def _get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`mutable:get`."""
    row = _find(tx, args)
    return None if row is None else record_of(row)


def _exists(tx: Transaction, args: dict[str, Any]) -> bool:
    """`mutable:exists`."""
    return _find(tx, args) is not None


def _list(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`mutable:list`."""
    rows = tx.db.execute(
        f"SELECT * FROM mutable WHERE {condition(args)} ORDER BY {order(args)} LIMIT :limit OFFSET :offset",  # noqa: S608
        {**values(args), "limit": args["limit"], "offset": args["offset"]},
    )
    return [record_of(row) for row in rows.fetchall()]


def _page(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`mutable:page`."""
    seq = "+seq" if args.get("keyPrefix") else "seq"
    rows = tx.db.execute(
        f"SELECT * FROM mutable WHERE {condition(args)} AND {seq} > :start ORDER BY {order(args)} LIMIT :limit",  # noqa: S608
        {**values(args), "start": start_of(args), "limit": args["limit"] + 1},
    ).fetchall()
    return page(rows, args["limit"], record_of)


def _count(tx: Transaction, args: dict[str, Any]) -> int:
    """`mutable:count`."""
    found: int = tx.db.execute(f"SELECT count(*) FROM mutable WHERE {condition(args)}", values(args)).fetchone()[0]  # noqa: S608
    return found


QUERIES: Functions = {
    "mutable:get": _get,
    "mutable:getRecord": _get,
    "mutable:exists": _exists,
    "mutable:list": _list,
    "mutable:page": _page,
    "mutable:count": _count,
}
MUTATIONS: Functions = {
    "mutable:set": _once("mutable:set", _set, _without_value, _set_again),
    "mutable:update": _once("mutable:update", _update, _updated, _update_again),
    "mutable:deleteKey": _once("mutable:deleteKey", _delete, dict, _kept),
    "mutable:transaction": _once("mutable:transaction", _transact, _transacted, _transact_again),
    "mutable:purgeNamespace": _purge_namespace,
    "mutable:purgeMany": _purge_many,
}
