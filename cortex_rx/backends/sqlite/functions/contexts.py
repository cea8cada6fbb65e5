"""`contexts:*`: making, changing, granting, deleting and reading single contexts. `context_lists` finds them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from cortex_rx.backends.sqlite.functions import context_lists
from cortex_rx.backends.sqlite.functions.context_rows import CHILDREN_HERE, Sight, version_record
from cortex_rx.backends.sqlite.functions.memory_spaces import check_active
from cortex_rx.backends.sqlite.functions.registry import Functions
from cortex_rx.backends.sqlite.text_store import Transaction, as_json
from cortex_rx.errors import (
    ContextReadOnly,
    HasChildren,
    IdempotencyConflict,
    InvalidArgument,
    ParentNotFound,
    VersionConflict,
)

__all__ = ["MUTATIONS", "QUERIES"]

_CHANGES_IT = ("context-only", "full")
_MAKES_CHILDREN = ("full",)


def create(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:create`."""
    sight = Sight(tx, args["memorySpaceId"])
    context = args.get("contextId") or f"ctx-{tx.new_id()}"
    row = tx.db.execute("SELECT * FROM contexts WHERE id = ? AND space = ?", (context, sight.space)).fetchone()
    if row is None:
        row = _insert(sight, context, args)
    elif not _made_with(tx, row, args):
        raise IdempotencyConflict("another context is stored under this id")
    return sight.record(row)


def _insert(sight: Sight, context: str, args: Mapping[str, Any]) -> sqlite3.Row:
    tx, conversation = sight.tx, args.get("conversationRef", {})
    parent = None if "parentId" not in args else _parent(sight, args["parentId"])
    row: sqlite3.Row = tx.db.execute(
        "INSERT INTO contexts (space, id, purpose, parent, parent_id, user_id, conversation, messages, status,"
        " description, data, completed, written, written_by, created, updated)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?1, ?13, ?13) RETURNING *",
        (
            *(sight.space, context, args["purpose"], parent, args.get("parentId"), args.get("userId")),
            *(conversation.get("conversationId"), as_json(conversation, "messageIds"), args["status"]),
            *(args.get("description"), as_json(args, "data")),
            *(tx.now if args["status"] == "completed" else None, tx.now),
        ),
    ).fetchone()
    tx.db.execute("INSERT INTO context_participants (context, participant) VALUES (?, ?)", (row["seq"], sight.space))
    return row


def _parent(sight: Sight, context: str) -> int:
    row = sight.find(context)
    if row is None:
        raise ParentNotFound("no context with the id of the parent, and none was granted")
    _check_scope(row, _MAKES_CHILDREN)
    return int(row["seq"])


def _made_with(tx: Transaction, row: sqlite3.Row, args: Mapping[str, Any]) -> bool:
    """Whether a context was made by a call with these arguments."""
    first = row
    if row["version"] > 1:
        first = tx.db.execute(
            "SELECT * FROM context_versions WHERE context = ? AND version = 1", (row["seq"],)
        ).fetchone()
    conversation = args.get("conversationRef", {})
    plain = (
        *((row["purpose"], args["purpose"]), (row["parent_id"], args.get("parentId"))),
        *((row["user_id"], args.get("userId")), (row["conversation"], conversation.get("conversationId"))),
        *((row["messages"], as_json(conversation, "messageIds")), (first["status"], args["status"])),
        (first["description"], args.get("description")),
    )
    return all(mine == theirs for mine, theirs in plain) and _sorted(first["data"]) == _sorted(as_json(args, "data"))


def _sorted(data: str | None) -> str | None:
    """JSON in a form in which equal objects are equal texts."""
    return None if data is None else json.dumps(json.loads(data), sort_keys=True)


# --- changing ---------------------------------------------------------------------------------------------------------


def _check_scope(row: sqlite3.Row, scopes: Collection[str] = ()) -> None:
    """Raise `ContextReadOnly`, unless the context is an own one or was granted with one of these scopes."""
    if row["scope"] is not None and row["scope"] not in scopes:
        raise ContextReadOnly("another memory space owns the context, and has not granted this")


def _changeable(tx: Transaction, args: Mapping[str, Any], scopes: Collection[str]) -> tuple[Sight, sqlite3.Row]:
    sight = Sight(tx, args["memorySpaceId"])
    row = sight.there(args["contextId"])
    _check_scope(row, scopes)
    if row["scope"] is not None:
        check_active(tx, row["space"])  # that of the call is checked before
    return sight, row


def _now(sight: Sight, row: sqlite3.Row) -> dict[str, Any]:
    """A context as it is after a change."""
    found = sight.tx.db.execute("SELECT * FROM contexts WHERE seq = ?", (row["seq"],)).fetchone()
    return sight.record(found)


def update(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:update`."""
    sight, row = _changeable(tx, args, _CHANGES_IT)
    operation, expected = args.get("operationId"), args.get("expectedVersion", row["version"])
    if operation is None or not _made_by(tx, row, operation):
        if expected != row["version"]:
            raise VersionConflict(expected, row["version"])
        _change(sight, row, args, operation)
    return _now(sight, row)


def _made_by(tx: Transaction, row: sqlite3.Row, operation: str) -> bool:
    """Whether a call with this operation id has made a version."""
    before = "SELECT 1 FROM context_versions WHERE context = ? AND operation = ?"
    return row["operation"] == operation or tx.db.execute(before, (row["seq"], operation)).fetchone() is not None


def _change(sight: Sight, row: sqlite3.Row, changes: Mapping[str, Any], operation: str | None = None) -> None:
    """Make the next version, if it differs from the current one."""
    tx = sight.tx
    status, data, completed = changes.get("status", row["status"]), row["data"], row["completed"]
    if status != row["status"]:
        completed = tx.now if status == "completed" else None
    completed = changes.get("completedAt", completed)
    if changes.get("data"):
        data = json.dumps({**json.loads(data or "{}"), **changes["data"]}, ensure_ascii=False)
    state = (status, changes.get("description", row["description"]), data, completed)
    if state == (row["status"], row["description"], row["data"], row["completed"]):
        return
    tx.db.execute(
        "INSERT INTO context_versions SELECT seq, version, status, description, data, completed, written, written_by,"
        " operation FROM contexts WHERE seq = ?",
        (row["seq"],),
    )
    tx.db.execute(
        "UPDATE contexts SET status = ?, description = ?, data = ?, completed = ?, version = version + 1,"
        " written = ?5, written_by = ?6, updated = ?5, operation = ?7 WHERE seq = ?8",
        (*state, tx.now, sight.space, operation, row["seq"]),
    )


def update_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:updateMany`."""
    sight = Sight(tx, args["memorySpaceId"])
    rows = context_lists.matching(sight, args)
    if not args["dryRun"]:
        for row in rows:
            _change(sight, row, args["updates"])
    return {"updated": len(rows), "contextIds": [row["id"] for row in rows]}


def _touch(tx: Transaction, seq: int) -> None:
    tx.db.execute("UPDATE contexts SET updated = ? WHERE seq = ?", (tx.now, seq))


def add_participant(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:addParticipant`."""
    sight, row = _changeable(tx, args, _CHANGES_IT)
    added = tx.db.execute(
        "INSERT INTO context_participants (context, participant) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (row["seq"], args["participantId"]),
    )
    if added.rowcount:
        _touch(tx, row["seq"])
    return _now(sight, row)


def remove_participant(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:removeParticipant`."""
    sight, row = _changeable(tx, args, _CHANGES_IT)
    removed = tx.db.execute(
        "DELETE FROM context_participants WHERE context = ? AND participant = ?", (row["seq"], args["participantId"])
    )
    if removed.rowcount:
        _touch(tx, row["seq"])
    return _now(sight, row)


def grant_access(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:grantAccess`."""
    sight, row = _changeable(tx, args, ())
    granted = tx.db.execute(
        "INSERT INTO context_grants (context, target, scope, granted) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (context, target) DO UPDATE SET scope = excluded.scope, granted = excluded.granted"
        " WHERE scope != excluded.scope",
        (row["seq"], args["targetMemorySpaceId"], args["scope"], tx.now),
    )
    if granted.rowcount:
        _touch(tx, row["seq"])
    return _now(sight, row)


def revoke_access(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:revokeAccess`."""
    sight, row = _changeable(tx, args, ())
    revoked = tx.db.execute(
        "DELETE FROM context_grants WHERE context = ? AND target = ?", (row["seq"], args["targetMemorySpaceId"])
    )
    if revoked.rowcount:
        _touch(tx, row["seq"])
    return _now(sight, row)


# --- deleting ---------------------------------------------------------------------------------------------------------


def delete(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:deleteContext`."""
    if args["cascadeChildren"] and args["orphanChildren"]:
        raise InvalidArgument("orphanChildren", True, "only one of cascadeChildren and orphanChildren")
    sight, row = _changeable(tx, args, ())
    children = _children_here(sight, row["seq"])
    below: list[int] = []
    orphaned: list[str] = []
    if args["cascadeChildren"]:
        below = [seq for seq in _with_descendants(sight, [row["seq"]]) if seq != row["seq"]]
    elif args["orphanChildren"]:
        orphaned = [child["id"] for child in children]
        tx.db.execute(
            "UPDATE contexts SET parent = NULL, parent_id = NULL, updated = ? WHERE parent = ? AND space = ?",
            (tx.now, row["seq"], sight.space),
        )
        # Depth and root of those below change too, and a graph shows them: an update has a row in the outbox.
        changed = _with_descendants(sight, [child["seq"] for child in children])
        tx.db.executemany("UPDATE contexts SET parent = parent WHERE seq = ?", ((seq,) for seq in changed))
    elif children:
        raise HasChildren("the context has children: cascadeChildren deletes them, orphanChildren makes them roots")
    _delete(tx, [row["seq"], *below])
    return {
        "deleted": True,
        "contextId": row["id"],
        "descendantsDeleted": len(below),
        "orphanedChildren": orphaned,
    }


def delete_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:deleteMany`."""
    sight = Sight(tx, args["memorySpaceId"])
    going = {row["seq"] for row in context_lists.matching(sight, args)}
    if args["cascadeChildren"]:
        going = set(_with_descendants(sight, going))
    else:
        for seq in sorted(going, reverse=True):  # children before their parents, which were made earlier
            if any(child["seq"] not in going for child in _children_here(sight, seq)):
                going.discard(seq)
    ids = [tx.db.execute("SELECT id FROM contexts WHERE seq = ?", (seq,)).fetchone()[0] for seq in sorted(going)]
    if not args["dryRun"]:
        _delete(tx, going)
    return {"deleted": len(ids), "contextIds": ids}


def _children_here(sight: Sight, seq: int) -> list[sqlite3.Row]:
    return sight.tx.db.execute(CHILDREN_HERE, {"seq": seq, "space": sight.space}).fetchall()


def _with_descendants(sight: Sight, contexts: Iterable[int]) -> list[int]:
    """Contexts and all that is below them in the same memory space, each once."""
    found = dict.fromkeys(contexts)
    todo = list(found)
    while todo:
        below = [child["seq"] for child in _children_here(sight, todo.pop()) if child["seq"] not in found]
        found |= dict.fromkeys(below)
        todo += below
    return list(found)


def _delete(tx: Transaction, contexts: Iterable[int]) -> None:
    # Their versions, grants and participants go with them: a trigger.
    tx.db.executemany("DELETE FROM contexts WHERE seq = ?", ((seq,) for seq in contexts))


# --- reading ----------------------------------------------------------------------------------------------------------


def get(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`contexts:get`."""
    sight = Sight(tx, args["memorySpaceId"])
    row = sight.find(args["contextId"])
    if row is None:
        return None
    before = sight.previous_versions(row)
    if args["includeChain"]:
        chain = sight.chain(row)
        return chain | {"current": chain["current"] | {"previousVersions": before}}
    return sight.record(row) | {"previousVersions": before}


def chain(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:getChain`."""
    sight = Sight(tx, args["memorySpaceId"])
    return sight.chain(sight.there(args["contextId"]))


def root(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`contexts:getRoot`."""
    sight = Sight(tx, args["memorySpaceId"])
    return sight.record(sight.above(sight.there(args["contextId"])["seq"])[0])


def children(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`contexts:getChildren`."""
    sight = Sight(tx, args["memorySpaceId"])
    row = sight.find(args["contextId"])
    if row is None:
        return []
    found = sight.below(row["seq"]) if args["recursive"] else sight.children(row["seq"])
    return sight.records([one for one in found if "status" not in args or one["status"] == args["status"]])


# --- versions ---------------------------------------------------------------------------------------------------------


def version(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`contexts:getVersion`."""
    return _version(tx, args, "version = :version", args["version"])


def at_timestamp(tx: Transaction, args: dict[str, Any]) -> dict[str, Any] | None:
    """`contexts:getAtTimestamp`."""
    return _version(tx, args, "written <= :version", args["timestamp"])


def _version(tx: Transaction, args: Mapping[str, Any], condition: str, value: int) -> dict[str, Any] | None:
    """The newest version of a context of which a condition holds."""
    row = Sight(tx, args["memorySpaceId"]).find(args["contextId"])
    if row is None:
        return None
    columns = "version, status, description, data, completed, written, written_by"
    found = tx.db.execute(
        f"SELECT {columns} FROM contexts WHERE seq = :seq AND {condition} UNION ALL"  # noqa: S608
        f" SELECT {columns} FROM context_versions WHERE context = :seq AND {condition}"
        " ORDER BY version DESC LIMIT 1",
        {"seq": row["seq"], "version": value},
    ).fetchone()
    return None if found is None else version_record(found)


def history(tx: Transaction, args: dict[str, Any]) -> list[dict[str, Any]]:
    """`contexts:getHistory`."""
    sight = Sight(tx, args["memorySpaceId"])
    row = sight.find(args["contextId"])
    return [] if row is None else sight.versions(row)


QUERIES: Functions = {
    "contexts:get": get,
    "contexts:list": context_lists.list_rows,
    "contexts:page": context_lists.page_rows,
    "contexts:count": context_lists.count,
    "contexts:listGranted": context_lists.list_granted,
    "contexts:search": context_lists.search,
    "contexts:getChain": chain,
    "contexts:getRoot": root,
    "contexts:getChildren": children,
    "contexts:findOrphaned": context_lists.find_orphaned,
    "contexts:getByConversation": context_lists.by_conversation,
    "contexts:getVersion": version,
    "contexts:getHistory": history,
    "contexts:getAtTimestamp": at_timestamp,
    "contexts:exportContexts": context_lists.export,
}
MUTATIONS: Functions = {
    "contexts:create": create,
    "contexts:update": update,
    "contexts:deleteContext": delete,
    "contexts:addParticipant": add_participant,
    "contexts:removeParticipant": remove_participant,
    "contexts:grantAccess": grant_access,
    "contexts:revokeAccess": revoke_access,
    "contexts:updateMany": update_many,
    "contexts:deleteMany": delete_many,
}
