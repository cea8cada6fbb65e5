"""The vectors of memories, and the models that made them.

A file has vectors of one model, the current one. While it is moved to another (`functions/embeddings.py`), it also has
vectors of the next one. A vector is stored as it was given, and deleted with its memory by a trigger (`schema.py`).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import EmbeddingMismatch

__all__ = ["WHOLE", "add", "embedder_for", "of", "replace"]

WHOLE = -1
"""The part of a memory that is not a chunk."""


def of(tx: Transaction, memory: int, part: int) -> list[float] | None:
    """The vector of a memory or chunk: that of the current model if there is one."""
    row = tx.db.execute(
        "SELECT vector FROM vectors CROSS JOIN embedders ON embedders.id = embedder WHERE memory = ? AND part = ?"
        " ORDER BY state = 'current' DESC, embedder DESC LIMIT 1",
        (memory, part),
    ).fetchone()
    return None if row is None else array("d", row["vector"]).tolist()


def add(tx: Transaction, memory: int, part: int, vector: Sequence[float] | None, model: str | None) -> None:
    """Store the vector of a new memory or chunk, if it has one. `EmbeddingMismatch` if it is of another model."""
    if vector is None:
        return
    tx.db.execute(
        "INSERT INTO vectors (memory, part, embedder, space, vector)"
        " SELECT seq, ?, ?, texts.space, ? FROM memories CROSS JOIN texts ON texts.id = memories.text WHERE seq = ?",
        (part, embedder_for(tx, model, len(vector)), array("d", vector).tobytes(), memory),
    )


def replace(tx: Transaction, memory: int, part: int, vector: Sequence[float] | None, model: str | None) -> None:
    """Store the vector of a memory whose text has changed, in place of all that it had."""
    tx.db.execute("DELETE FROM vectors WHERE memory = ? AND part = ?", (memory, part))
    add(tx, memory, part, vector, model)


def embedder_for(tx: Transaction, model: str | None, dimension: int) -> int:
    """The number of the model of a vector that is to be stored. `model` is its name; None: only the length is checked.

    The first vector of a file decides on its model. A file that does not know the name of its model learns it from the
    first vector of the same length that comes with a name. `EmbeddingMismatch` for any other model.
    """
    in_use = {
        row["state"]: row
        for row in tx.db.execute(
            "SELECT id, name, dimension, state FROM embedders WHERE state IN ('current', 'next')"
        ).fetchall()
    }
    current = in_use.get("current")
    for state in ("current", "next"):
        row = in_use.get(state)
        if row is not None and row["dimension"] == dimension and model in (None, row["name"]):
            return int(row["id"])
    if current is not None:
        if not current["name"] and current["dimension"] == dimension:
            tx.db.execute("UPDATE embedders SET name = ? WHERE id = ?", (model, current["id"]))
            return int(current["id"])
        if tx.db.execute("SELECT 1 FROM vectors LIMIT 1").fetchone() is not None:
            raise EmbeddingMismatch(current["name"] or None, current["dimension"], model, dimension)
        tx.db.execute("DELETE FROM embedders")  # nothing is left of what it was for
    made = tx.db.execute(
        "INSERT INTO embedders (name, dimension, state) VALUES (?, ?, 'current')", (model or "", dimension)
    )
    return int(made.lastrowid or 0)
