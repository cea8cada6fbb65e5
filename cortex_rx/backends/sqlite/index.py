"""The index: which words a text has. Rows are put in and taken out here; which there are, `text_store` says.

A row holds the stems of all words of a document, in order, so that phrases are found, and behind them the words as they
stand. It begins each word with the number of its memory space, so each space has lists of its own.

FTS5 keeps no text (`content = ''`), and forgets a row only if it is given the same words again. So `documents` keeps
them, long ones compressed: what is taken out is what was put in, whatever stems and folds a later version makes. FTS5
keeps no lengths either (`columnsize = 0`): the number of words is in `documents`, and a table of its own would be one
more page of each write and one more look at each row that `bm25()` weighs.

A file from before has an old index beside it, without stems (`words`, its rows in `docs`). It is searched until all of
its documents are in the new one (`index_move`). Until then both are written.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cortex_rx.backends.sqlite.tokenizer import in_space, index_text, index_words, surfaces_in_space

if TYPE_CHECKING:
    from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = [
    "EMPTIED",
    "FACTS",
    "NEW",
    "OLD",
    "OLD_STATE",
    "SEARCHED",
    "DocumentCache",
    "Documents",
    "Index",
    "count",
    "having_pair",
    "insert",
    "kept_row",
    "remove_documents",
    "row_of",
    "searched",
    "state_in",
    "times",
    "times_of_surface",
]

OLD_STATE = "old_index"
"""The setting that says what the old index is for; there is none without an old index."""
SEARCHED = "searched"
EMPTIED = "emptied"
"""All its documents are in the new one. It is neither searched nor written any more."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index by the names of its tables, which are constants.

    `words`: the table of FTS5. `places`: its table of the places of each word. `docs`: the table of its rows, with the
    columns id, text, start, stop, part and size, the number of words of the text. `has_stems`: it has stems, and words
    as they stand behind a sign; otherwise it has the words as they stand.

    The columns docs and size of `spaces` count the rows and words of the index that is searched; row 0 has the sums of
    all spaces.
    """

    words: str
    places: str
    docs: str
    has_stems: bool


NEW = Index("terms", "terms_places", "documents", has_stems=True)
OLD = Index("words", "words_places", "docs", has_stems=False)
FACTS = Index("fact_terms", "fact_places", "fact_documents", has_stems=True)
"""That of facts, whose texts are the rows of facts. `spaces` counts it in facts and fact_size."""
_ALL = (NEW, OLD, FACTS)


def state_in(db: sqlite3.Connection) -> str | None:
    """What the old index of a file is for; None if there is none."""
    row = db.execute("SELECT value FROM settings WHERE name = ?", (OLD_STATE,)).fetchone()
    return None if row is None else str(row[0])


def _old_state(tx: Transaction) -> str | None:
    return state_in(tx.db) if tx.is_moving else None


def searched(tx: Transaction) -> Index:
    """The index that has all documents."""
    return OLD if _old_state(tx) == SEARCHED else NEW


# Beyond the last place of a word in a document, which has at most two words for each of its characters.
_PLACES = 2**20
# A document is there once for each time.
_DOCS = {
    each: f"SELECT group_concat(doc) FROM {each.places} WHERE term = ?"  # noqa: S608
    for each in _ALL
}
_OFFSETS = {
    each: f"SELECT group_concat(doc * {_PLACES} + offset - ?) FROM {each.places} WHERE term = ?"  # noqa: S608
    for each in _ALL
}


def times(tx: Transaction, index: Index, space: int, words: str) -> dict[int, int]:
    """How often a word, or a phrase of words separated by spaces, is in the documents of a space that have it."""
    return _times(tx.db, index, in_space(space, words))


def times_of_surface(tx: Transaction, index: Index, space: int, word: str) -> dict[int, int]:
    """How often a word as it stands is in the documents of a space that have it."""
    return _times(tx.db, index, surfaces_in_space(space, word))


# The bits of a key that say which part: ranking.key_of.
_PLACES_OF_DOCS = {
    each: f"""SELECT group_concat(docs.id), group_concat((text << 32) + coalesce(part + 1, 0)), group_concat(size)
        FROM json_each(?) CROSS JOIN {each.docs} AS docs ON docs.id = json_each.value"""  # noqa: S608
    for each in _ALL
}


class DocumentCache:
    """What searches need of the documents that they found last: the key of each, and its number of words.

    To look them up takes longer than to sum their weights: they lie between the words of all documents. What is here
    never becomes wrong: a document does not change, and its number is not used again. It is at most `most` documents.
    """

    def __init__(self, most: int = 100_000) -> None:
        self.most: int = most
        self._known: dict[Index, dict[int, tuple[int, int]]] = {each: {} for each in _ALL}

    def look_up(self, tx: Transaction, index: Index, docs: list[int]) -> list[tuple[int, int]]:
        """The key and the number of words of each of these documents."""
        known = self._known[index]
        if missing := sorted(doc for doc in docs if doc not in known):
            row = tx.db.execute(_PLACES_OF_DOCS[index], (f"[{','.join(map(str, missing))}]",)).fetchone()
            ids, keys, sizes = (json.loads(f"[{joined or ''}]") for joined in row)
            known.update(zip(ids, zip(keys, sizes, strict=True), strict=True))
        found = [known[doc] for doc in docs]
        if len(known) > self.most:
            self._known[index] = {}  # another thread may still read from the one before
        return found

    def clear(self) -> None:
        """Let all of them go."""
        self._known = {each: {} for each in _ALL}


_PAIR = {each: f"SELECT group_concat(rowid) FROM {each.words} WHERE {each.words} MATCH ?" for each in _ALL}  # noqa: S608


def having_pair(tx: Transaction, index: Index, space: int, words: str) -> list[int]:
    """The documents of a space in which these words follow each other. FTS5 finds them without a list of the places of
    each word, which is long if one of them carries nothing."""
    row = tx.db.execute(_PAIR[index], (f'"{in_space(space, words)}"',)).fetchone()
    found: list[int] = json.loads(f"[{row[0] or ''}]")
    return found


def _times(db: sqlite3.Connection, index: Index, words: str) -> dict[int, int]:
    # Each result is one string, so that other threads do not get and give a turn at each row.
    first, *others = words.split(" ")
    if not others:
        docs: list[int] = json.loads(f"[{db.execute(_DOCS[index], (first,)).fetchone()[0] or ''}]")
        return Counter(docs)

    def places(distance: int, word: str) -> list[int]:
        row = db.execute(_OFFSETS[index], (distance, word)).fetchone()
        numbers: list[int] = json.loads(f"[{row[0] or ''}]")
        return numbers

    # A phrase is where its first word is, and each other word as many places further.
    common = set(places(0, first))
    for distance, word in enumerate(others, 1):
        common.intersection_update(places(distance, word))
    return Counter(place // _PLACES for place in common)


class Documents:
    """Puts documents of one text into the index. Call `count` at the end."""

    def __init__(self, tx: Transaction, text: int, space: int) -> None:
        self._tx = tx
        self._text = text
        self._space = space
        self._state = _old_state(tx)
        self._docs = self._size = self._old_size = 0

    def add(self, stop: int, body: str, part: int | None = None) -> None:
        """Add the characters of the text that end at `stop`. They may repeat some of the document before."""
        start, number = stop - len(body), None
        if self._state == SEARCHED:
            words = index_text(body)
            size = words.count(" ") + 1 if words else 0
            db = self._tx.db
            number = db.execute(
                "INSERT INTO docs (text, start, stop, size, part) VALUES (?, ?, ?, ?, ?)",
                (self._text, start, stop, size, part),
            ).lastrowid
            db.execute("INSERT INTO words (rowid, body) VALUES (?, ?)", (number, in_space(self._space, words)))
            self._old_size += size
        self._size += insert(self._tx, self._space, number, (self._text, start, stop, part), body)
        self._docs += 1

    def count(self) -> None:
        """Add what was put in to the counts of the space."""
        if self._docs:
            count(self._tx, self._space, self._docs, self._size, self._state)
            if self._state == SEARCHED:
                count(self._tx, self._space, self._docs, self._old_size, None)


Place: TypeAlias = tuple[int, int, int, int | None]
"""Where a document stands: its text, from where to where, and the part that it belongs to."""


def insert(tx: Transaction, space: int, number: int | None, place: Place, body: str) -> int:
    """Put a document into the new index: its number (None: the next one), its place, and what stands there. Returns
    how many words it has, which the caller counts."""
    kept, row, size = row_of(tx, space, body)
    number = tx.db.execute(
        "INSERT INTO documents (id, text, start, stop, part, size, words) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (number, *place, size, kept),
    ).lastrowid
    tx.db.execute("INSERT INTO terms (rowid, body) VALUES (?, ?)", (number, row))
    return size


def row_of(tx: Transaction, space: int, body: str) -> tuple[str | bytes, str, int]:
    """A document's words as they are kept, its row of FTS5, and how many words it has."""
    words = index_words(body, tx.language)
    stems, surfaces = " ".join(words.stems), " ".join(words.surfaces)
    return _packed(f"{stems}\n{surfaces}"), _row(space, stems, surfaces), len(words.stems)


def kept_row(space: int, kept: str | bytes) -> str:
    """The row of FTS5 of words that were kept."""
    stems, _, surfaces = _unpacked(kept).partition("\n")
    return _row(space, stems, surfaces)


_SHORT = 512  # characters: compressing fewer takes as long as indexing them, and saves little


def _packed(words: str) -> str | bytes:
    return words if len(words) <= _SHORT else zlib.compress(words.encode(), 1)


def _unpacked(kept: str | bytes) -> str:
    return kept if isinstance(kept, str) else zlib.decompress(kept).decode()


def _row(space: int, stems: str, surfaces: str) -> str:
    """A row of FTS5: the stems, and behind them the words as they stand."""
    return f"{in_space(space, stems)} {surfaces_in_space(space, surfaces)}"


def remove_documents(tx: Transaction, space: int, text: int, body: Callable[[int, int], str]) -> bool:
    """Take the documents of a text out of the index. `body` reads the text, from one place to another. Returns whether
    there were any."""
    state = _old_state(tx)
    docs = tx.db.execute("SELECT id, size, words FROM documents WHERE text = ?", (text,)).fetchall()
    for number, _, kept in docs:
        row = kept_row(space, kept)
        tx.db.execute("INSERT INTO terms (terms, rowid, body) VALUES ('delete', ?, ?)", (number, row))
    if docs:
        tx.db.execute("DELETE FROM documents WHERE text = ?", (text,))
        count(tx, space, -len(docs), -sum(doc["size"] for doc in docs), state)
    if state == EMPTIED:
        tx.db.execute("DELETE FROM docs WHERE text = ?", (text,))  # they refer to the text
    return (state == SEARCHED and _remove_old(tx, space, text, body)) or bool(docs)


def _remove_old(tx: Transaction, space: int, text: int, body: Callable[[int, int], str]) -> bool:
    docs = tx.db.execute("SELECT id, start, stop, size FROM docs WHERE text = ?", (text,)).fetchall()
    for number, start, stop, _ in docs:
        row = in_space(space, index_text(body(start, stop)))
        tx.db.execute("INSERT INTO words (words, rowid, body) VALUES ('delete', ?, ?)", (number, row))
    if docs:
        tx.db.execute("DELETE FROM docs WHERE text = ?", (text,))
        count(tx, space, -len(docs), -sum(doc["size"] for doc in docs), None)
    return bool(docs)


def count(tx: Transaction, space: int, docs: int, size: int, state: str | None) -> None:
    """Add to the counts of a space: in the new index, given the state of the old one; None: in the one of `spaces`."""
    if state == SEARCHED:
        tx.db.execute(
            "INSERT INTO moved (space, docs, size) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET docs = docs + excluded.docs, size = size + excluded.size",
            (space, docs, size),
        )
    else:
        tx.db.execute("UPDATE spaces SET docs = docs + ?, size = size + ? WHERE id IN (0, ?)", (docs, size, space))
