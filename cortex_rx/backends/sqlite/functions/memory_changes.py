"""`memories:update`, `memories:updateMany`, `memories:archive`, `memories:restoreFromArchive`, `memories:deleteMany`.

A change makes a version: what the memory was before goes to `memory_versions`, with the number of its text. The text
itself stays where it is, for it may be that of a message, which stays as it was said.
"""

from __future__ import annotations

import sqlite3
from array import array
from typing import Any

from cortex_rx.backends.base import HEAD_LENGTH
from cortex_rx.backends.sqlite import text_store, vectors
from cortex_rx.backends.sqlite.functions import forgetting, memories, memory_lists
from cortex_rx.backends.sqlite.functions.registry import Functions
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import InvalidArgument, MemoryNotArchived, MemoryNotFound, VersionConflict

__all__ = ["MUTATIONS", "archive", "delete_many", "restore", "update", "update_many"]

_FIND = f"{memories.ANSWERS} WHERE memories.space = ? AND memories.id = ? AND partial = 0"
_ANSWER_OF = (
    "SELECT memories.id FROM chunks CROSS JOIN memories ON memories.seq = chunks.memory"
    " WHERE chunks.space = ? AND chunks.id = ?"
)


def find(tx: Transaction, args: dict[str, Any]) -> sqlite3.Row:
    """The memory that a call names, which is not partial."""
    key = (args["memorySpaceId"], args["memoryId"])
    row: sqlite3.Row | None = tx.db.execute(_FIND, key).fetchone()
    if row is None:
        answer = tx.db.execute(_ANSWER_OF, key).fetchone()
        if answer is not None:
            raise InvalidArgument("memoryId", key[1], f"{answer['id']}, its answer: a chunk is changed only with it")
        raise MemoryNotFound("no memory with this id in the memory space")
    return row


def update(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:update`."""
    row = find(tx, args)
    if not _made_by(tx, row, args.get("operationId")):
        if args.get("expectedVersion", row["version"]) != row["version"]:
            raise VersionConflict(args["expectedVersion"], row["version"])
        _change(tx, row, args)
        if args["retractFacts"]:
            forgetting.retract_memory(tx, row["space"], row["id"])
    return memories.row_of(tx, find(tx, args), HEAD_LENGTH)


def _made_by(tx: Transaction, row: sqlite3.Row, operation: str | None) -> bool:
    """Whether a call with this operation id has made a version."""
    if operation is None:
        return False
    replaced = "SELECT 1 FROM memory_versions WHERE memory = ? AND operation = ?"
    return tx.db.execute(replaced, (row["seq"], operation)).fetchone() is not None


def _change(tx: Transaction, row: sqlite3.Row, args: dict[str, Any]) -> None:
    """Change a memory and keep what it was, unless it is like that already."""
    new: dict[str, Any] = {name: text_store.as_json(args, name) for name in ("tags", "metadata") if name in args}
    if "importance" in args:
        new["importance"] = args["importance"]
    is_new = "content" in args and not (
        row["length"] == len(args["content"]) and text_store.compare(tx, row["text"], 0, args["content"])
    )
    vector = vectors.of(tx, row["seq"], vectors.WHOLE)
    embedded = "embedding" in args and args["embedding"] != vector
    if not (is_new or embedded or any(row[name] != value for name, value in new.items())):
        return
    now = max(tx.now, row["updated"] + 1)  # no two versions begin at the same time
    tx.db.execute(
        "INSERT INTO memory_versions (memory, version, text, embedding, importance, tags, metadata, until,"
        " operation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row["seq"], row["version"], row["text"], None if vector is None else array("d", vector).tobytes()),
            *(row["importance"], row["tags"], row["metadata"], now, args.get("operationId")),
        ),
    )
    text, chunks = row["text"], row["chunks"]
    if is_new:
        text_store.unindex(tx, text)
        tx.db.execute("DELETE FROM chunks WHERE memory = ?", (row["seq"],))
        tx.db.execute("DELETE FROM vectors WHERE memory = ?", (row["seq"],))
        text, chunks = text_store.create(tx, row["space"], args["content"]), 0
        text_store.finish(tx, text)
    tx.db.execute(
        "UPDATE memories SET text = ?, chunks = ?, importance = ?, tags = ?, metadata = ?, version = version + 1,"
        " updated = ? WHERE seq = ?",
        (text, chunks, *(new.get(name, row[name]) for name in ("importance", "tags", "metadata")), now, row["seq"]),
    )
    if "embedding" in args:
        vectors.replace(tx, row["seq"], vectors.WHOLE, args["embedding"], args.get("embeddingModel"))


def update_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:updateMany`."""
    ids: list[str] = []
    for seq in memory_lists.matching(tx, args):
        row = tx.db.execute(f"{memories.ANSWERS} WHERE memories.seq = ?", (seq,)).fetchone()
        _change(tx, row, {name: args[name] for name in ("importance", "tags", "metadata") if name in args})
        ids.append(row["id"])
    return {"updated": len(ids), "memoryIds": ids}


def delete_many(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:deleteMany`."""
    ids = [memory for seq in memory_lists.matching(tx, args) if (memory := memories.id_of(tx, seq, -1)) is not None]
    gone: list[str] = []
    for memory in ids:
        target = {"memorySpaceId": args["memorySpaceId"], "memoryId": memory}
        gone += forgetting.delete(tx, {**target, "cascadeDeleteFacts": args["cascadeDeleteFacts"]})["factIds"]
    return {"deleted": len(ids), "memoryIds": ids, "factsDeleted": len(gone), "factIds": gone}


def archive(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:archive`."""
    row = find(tx, args)
    if not row["archived"]:
        _set_archived(tx, row, 1)
    return {"archived": True, "memoryId": row["id"], "restorable": True}


def restore(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:restoreFromArchive`."""
    row = find(tx, args)
    if not row["archived"]:
        raise MemoryNotArchived("the memory is not archived")
    _set_archived(tx, row, 0)
    memory = memories.row_of(tx, find(tx, args), HEAD_LENGTH)
    return {"restored": True, "memoryId": row["id"], "memory": memory}


def _set_archived(tx: Transaction, row: sqlite3.Row, archived: int) -> None:
    now = max(tx.now, row["updated"] + 1)
    tx.db.execute("UPDATE memories SET archived = ?, updated = ? WHERE seq = ?", (archived, now, row["seq"]))


MUTATIONS: Functions = {
    "memories:update": update,
    "memories:updateMany": update_many,
    "memories:deleteMany": delete_many,
    "memories:archive": archive,
    "memories:restoreFromArchive": restore,
}
