"""The vectors of memories, and the models that made them.

A file has vectors of one model, the current one. While it is moved to another (`functions/embeddings.py`), it also has
vectors of the next one. A vector is stored as it was given, and deleted with its memory by a trigger (`schema.py`).
"""

from __future__ import annotations

import sqlite3
import threading
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.errors import EmbeddingMismatch, MissingExtra

if TYPE_CHECKING:
    from cortex_rx.backends.sqlite.matrix import Arm, SpaceMatrix
    from cortex_rx.backends.sqlite.ranking import Kernel

__all__ = ["WHOLE", "MatrixCache", "add", "arm", "embedder_for", "of", "replace"]

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


def _in_use(tx: Transaction) -> dict[str, sqlite3.Row]:
    """The current model and the next one, by state."""
    rows = tx.db.execute("SELECT id, name, dimension, state FROM embedders WHERE state IN ('current', 'next')")
    return {row["state"]: row for row in rows.fetchall()}


def embedder_for(tx: Transaction, model: str | None, dimension: int) -> int:
    """The number of the model of a vector that is to be stored. `model` is its name; None: only the length is checked.

    The first vector of a file decides on its model. A file that does not know the name of its model learns it from the
    first vector of the same length that comes with a name, but for that of a model to which a move was given up: the
    move says that it is another one. `EmbeddingMismatch` for any other model.
    """
    in_use = _in_use(tx)
    current = in_use.get("current")
    for state in ("current", "next"):
        row = in_use.get(state)
        if row is not None and row["dimension"] == dimension and model in (None, row["name"]):
            return int(row["id"])
    if current is not None:
        if not current["name"] and current["dimension"] == dimension:
            learnt = tx.db.execute("UPDATE OR IGNORE embedders SET name = ? WHERE id = ?", (model, current["id"]))
            if learnt.rowcount:
                return int(current["id"])
        if tx.db.execute("SELECT 1 FROM vectors LIMIT 1").fetchone() is not None:
            raise EmbeddingMismatch(current["name"] or None, current["dimension"], model, dimension)
        tx.db.execute("DELETE FROM embedders")  # nothing is left of what it was for
    made = tx.db.execute(
        "INSERT INTO embedders (name, dimension, state) VALUES (?, ?, 'current')", (model or "", dimension)
    )
    return int(made.lastrowid or 0)


class MatrixCache:
    """The matrices of the memory spaces that were searched last: together at most `most` bytes.

    A matrix that would be larger by itself is not kept: its vectors are read for each search.
    """

    def __init__(self, most: int) -> None:
        self.most: int = most
        self._lock = threading.Lock()
        self._spaces: OrderedDict[int, CachedMatrix] = OrderedDict()

    def of(self, space: int) -> CachedMatrix:
        """The place of a memory space in the cache, which is now the last that goes."""
        with self._lock:
            cached = self._spaces.setdefault(space, CachedMatrix())
            self._spaces.move_to_end(space)
            return cached

    def trim(self) -> None:
        """Let those go that were not used for the longest time, until the others are small enough."""
        with self._lock:
            size = self.bytes
            while size > self.most and self._spaces:
                size -= self._spaces.popitem(last=False)[1].bytes

    def clear(self) -> None:
        """Let all of them go."""
        with self._lock:
            self._spaces.clear()

    @property
    def bytes(self) -> int:
        """How much memory the matrices take."""
        return sum(cached.bytes for cached in self._spaces.values())


class CachedMatrix:
    """The matrix of a memory space, if it was read. Who holds the lock reads and changes it."""

    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()
        self.matrix: SpaceMatrix | None = None

    @property
    def bytes(self) -> int:
        """How much memory it takes."""
        matrix = self.matrix
        return 0 if matrix is None else matrix.bytes


def arm(
    tx: Transaction,
    space: int,
    embedding: Sequence[float],
    args: Mapping[str, Any],
    kernel: Kernel,
    model: str | None = None,
) -> Arm | None:
    """What an embedding finds in a memory space; `args`: the filters of `memories:search`.

    None if there is nothing to search: the space has no vectors, or the embedding is of the model to which the file is
    being moved. `EmbeddingMismatch` if it is of any other model than the current one.
    """
    in_use = _in_use(tx)
    current = in_use.get("current")
    if (
        current is None
        or not tx.db.execute("SELECT 1 FROM vector_changes WHERE space = ? LIMIT 1", (space,)).fetchone()
    ):
        return None
    size = len(embedding)
    if current["dimension"] != size or (model is not None and current["name"] not in ("", model)):
        moving = in_use.get("next")
        if moving is not None and moving["dimension"] == size and model in (None, moving["name"]):
            return None
        raise EmbeddingMismatch(current["name"] or None, current["dimension"], model, size)
    try:
        from cortex_rx.backends.sqlite import matrix  # NumPy is loaded where there are vectors to search
    except ModuleNotFoundError as error:
        raise MissingExtra("a search by embedding", "semantic") from error
    cache = tx.matrices
    query = matrix.unit_row(embedding)
    cached = cache.of(space)
    with cached.lock:
        known = cached.matrix
        if known is None or known.embedder != current["id"]:
            cached.matrix = None
            count = tx.db.execute(_COUNT, {"space": space, "embedder": current["id"]}).fetchone()[0]
            kept = matrix.SpaceMatrix.bytes_for(count, size) <= cache.most
            known = matrix.SpaceMatrix(current["id"], size, None if kept else query)
            known.update(tx, space)
            if kept:
                cached.matrix = known
        else:
            cached.matrix = None  # if reading fails, it is half of one and half of the other
            known.update(tx, space)
            cached.matrix = known
        found = known.arm(query, args, kernel)
    cache.trim()
    return found


_COUNT = (
    "SELECT count(*) FROM memories CROSS JOIN vectors ON vectors.memory = memories.seq AND embedder = :embedder"
    " WHERE memories.space = (SELECT name FROM spaces WHERE id = :space)"
)
