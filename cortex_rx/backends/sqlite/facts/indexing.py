"""The index of facts: their words, as those of memories (`index`), counted per memory space; and their bands, which
nominate facts that may be alike."""

from __future__ import annotations

from cortex_rx.backends.sqlite import index
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["put", "remove"]


def put(tx: Transaction, space: int, fact: int, body: str, bands: frozenset[int]) -> None:
    """Put a fact into the index, by its row."""
    kept, row, size = index.row_of(tx, space, body)
    document = tx.db.execute("INSERT INTO fact_documents (text, size, words) VALUES (?, ?, ?)", (fact, size, kept))
    tx.db.execute("INSERT INTO fact_terms (rowid, body) VALUES (?, ?)", (document.lastrowid, row))
    _count(tx, space, 1, size)
    tx.db.executemany(
        "INSERT INTO fact_bands (space, band, fact) VALUES (?, ?, ?)", [(space, band, fact) for band in sorted(bands)]
    )


def remove(tx: Transaction, space: int, fact: int) -> None:
    """Take a fact out of the index."""
    documents = tx.db.execute("SELECT id, size, words FROM fact_documents WHERE text = ?", (fact,)).fetchall()
    for document, size, kept in documents:
        row = index.kept_row(space, kept)
        tx.db.execute("INSERT INTO fact_terms (fact_terms, rowid, body) VALUES ('delete', ?, ?)", (document, row))
        tx.db.execute("DELETE FROM fact_documents WHERE id = ?", (document,))
        _count(tx, space, -1, -size)
    tx.db.execute("DELETE FROM fact_bands WHERE fact = ?", (fact,))


def _count(tx: Transaction, space: int, facts: int, size: int) -> None:
    tx.db.execute("UPDATE spaces SET facts = facts + ?, fact_size = fact_size + ? WHERE id = ?", (facts, size, space))
