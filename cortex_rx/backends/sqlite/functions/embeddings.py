"""Moving a store to another embedding model: `memories:reembed`, `memories:unembedded`, `memories:embed`.

The vectors of the next model are written beside those of the current one, which searches use until the last memory has
both. Then the models change places in one transaction, and the old vectors are deleted, some at a time.
"""

from __future__ import annotations

import sqlite3
from array import array
from typing import Any

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import EmbeddingMismatch, InvalidArgument

__all__ = ["embed", "reembed", "unembedded"]

_DROPPED = 200
"""How many old vectors one call deletes: others wait for it."""

_PAGE = 2**20
"""Code points after which a page of texts ends."""

_PARTS, _FIRST = 2**24, 2
"""A place is a number: the memory's times so many, and the part's, from -1 on, plus `_FIRST`."""

_IN_USE = "SELECT id, name, dimension, state FROM embedders WHERE state IN ('current', 'next')"
_TO_EMBED = """
SELECT seq, {part} AS part, {id} AS id, memories.space AS space, text, {start} AS start, {stop} AS stop, updated
FROM memories CROSS JOIN texts ON texts.id = text {join}
WHERE partial = 0 AND length > 0 AND seq >= :seq AND (seq > :seq OR {part} > :part) AND NOT EXISTS
    (SELECT 1 FROM vectors WHERE memory = seq AND vectors.part = {part} AND embedder = :embedder)
"""
_WHOLE = _TO_EMBED.format(part="-1", id="memories.id", start="0", stop="length", join="")
_CHUNKS = _TO_EMBED.format(
    part="chunks.part", id="chunks.id", start="start", stop="stop", join="CROSS JOIN chunks ON chunks.memory = seq"
)
_UNEMBEDDED = f"{_WHOLE} UNION ALL {_CHUNKS} ORDER BY seq, part LIMIT :limit"
_LEFT = f"SELECT (SELECT count(*) FROM ({_WHOLE})) + (SELECT count(*) FROM ({_CHUNKS}))"  # noqa: S608 - constants
_MISSING = """
SELECT count(*) FROM vectors AS old CROSS JOIN memories ON seq = old.memory CROSS JOIN texts ON texts.id = text
    WHERE partial = 0 AND length > 0
    AND embedder IN (SELECT id FROM embedders WHERE state IN ('current', 'kept'))
    AND NOT EXISTS (SELECT 1 FROM vectors WHERE memory = old.memory AND part = old.part AND embedder = :next)
"""
_PLACE = """
SELECT seq, -1 AS part, texts.space AS number, updated FROM memories CROSS JOIN texts ON texts.id = text
    WHERE memories.space = :space AND memories.id = :id AND partial = 0
UNION ALL SELECT seq, part, texts.space, updated
    FROM chunks CROSS JOIN memories ON seq = memory CROSS JOIN texts ON texts.id = text
    WHERE chunks.space = :space AND chunks.id = :id
"""


def reembed(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:reembed`: begin to move the store to a model, or go on; move it if nothing is missing."""
    in_use = {row["state"]: row for row in tx.db.execute(_IN_USE).fetchall()}
    current, following = in_use.get("current"), in_use.get("next")
    missing = 0
    if current is None or _is(current, args):
        if following is not None:  # the move to another model is given up
            _set(tx, "dropped", following)
        if current is None:
            _use(tx, args, "current")
    else:
        if following is None or not _is(following, args):
            if following is not None:
                _set(tx, "dropped", following)
            following = _use(tx, args, "next")
        missing = tx.db.execute(_MISSING, {"next": following["id"]}).fetchone()[0]
        if missing:
            return {"missing": missing, "current": False, "done": False}
        tx.db.execute("UPDATE embedders SET state = 'dropped' WHERE state IN ('current', 'kept')")
        _set(tx, "current", following)
    return {"missing": 0, "current": True, "done": _drop(tx)}


def _is(row: sqlite3.Row, args: dict[str, Any]) -> bool:
    return (row["name"], row["dimension"]) == (args["model"], args["dimension"])


def _set(tx: Transaction, state: str, row: sqlite3.Row) -> None:
    tx.db.execute("UPDATE embedders SET state = ? WHERE id = ?", (state, row["id"]))


def _use(tx: Transaction, args: dict[str, Any], state: str) -> sqlite3.Row:
    """A model, with what is left of its vectors if it was in use before."""
    values = args["model"], args["dimension"], state
    tx.db.execute(
        "INSERT INTO embedders (name, dimension, state) VALUES (?, ?, ?)"
        " ON CONFLICT (name, dimension) DO UPDATE SET state = excluded.state",
        values,
    )
    row: sqlite3.Row = tx.db.execute(
        "SELECT id, name, dimension FROM embedders WHERE name = ? AND dimension = ?", values[:2]
    ).fetchone()
    return row


def _drop(tx: Transaction) -> bool:
    """Delete some of the vectors of models that are not used any more; return whether none is left."""
    deleted = tx.db.execute(
        "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors"
        " WHERE embedder IN (SELECT id FROM embedders WHERE state = 'dropped') LIMIT ?)",
        (_DROPPED,),
    ).rowcount
    if deleted == _DROPPED:
        return False
    tx.db.execute("DELETE FROM embedders WHERE state = 'dropped'")
    return True


def unembedded(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:unembedded`: texts without a vector of the model, in the order in which they were stored."""
    embedder = tx.db.execute(f"{_IN_USE} AND name = ? ORDER BY state DESC", (args["model"],)).fetchone()
    seq, part = divmod(args.get("after", 0), _PARTS)
    given = {
        "seq": seq,
        "part": part - _FIRST,
        "embedder": 0 if embedder is None else embedder["id"],
        "limit": args["limit"],
    }
    result: dict[str, Any] = {"memories": []}
    if "after" not in args:
        result["left"] = tx.db.execute(_LEFT, given).fetchone()[0]
    size = 0
    for row in tx.db.execute(_UNEMBEDDED, given).fetchall():
        if size > _PAGE:
            break
        content = "".join(text_store.read(tx, row["text"], row["start"], row["stop"]))
        size += len(content)
        result["memories"].append(
            {"memorySpaceId": row["space"], "memoryId": row["id"], "content": content, "updatedAt": row["updated"]}
        )
        result["next"] = row["seq"] * _PARTS + row["part"] + _FIRST
    return result


def embed(tx: Transaction, args: dict[str, Any]) -> dict[str, Any]:
    """`memories:embed`: store vectors of the model; a memory that has changed or is gone is passed over."""
    in_use = {row["state"]: row for row in tx.db.execute(_IN_USE).fetchall()}
    stored = 0
    for given in args["vectors"]:
        place = tx.db.execute(_PLACE, {"space": given["memorySpaceId"], "id": given["memoryId"]}).fetchone()
        if place is None or place["updated"] != given["updatedAt"]:
            continue
        key = place["seq"], place["part"]
        vector = given.get("embedding")
        if vector is None:
            tx.db.execute("DELETE FROM vectors WHERE memory = ? AND part = ?", key)
            continue
        tx.db.execute(
            "INSERT INTO vectors (memory, part, embedder, space, vector) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (memory, part, embedder) DO UPDATE SET vector = excluded.vector",
            (*key, _embedder(in_use, args["model"], len(vector)), place["number"], array("d", vector).tobytes()),
        )
        stored += 1
    return {"stored": stored}


def _embedder(in_use: dict[str, sqlite3.Row], model: str, dimension: int) -> int:
    """The number of a model that is in use. `EmbeddingMismatch` for any other."""
    for row in in_use.values():
        if row["name"] == model and row["dimension"] == dimension:
            return int(row["id"])
    expected = in_use.get("next") or in_use.get("current")
    if expected is None:
        raise InvalidArgument("model", model, "the model of memories:reembed, which comes first")
    raise EmbeddingMismatch(expected["name"] or None, expected["dimension"], model, dimension)
