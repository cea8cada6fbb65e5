"""Texts in pieces: appended, compared, read, indexed and deleted without being whole in memory.

A piece has at most `BLOCK` code points. Appended text is stored as it comes. When the end of the text that is not
indexed yet has grown to a block, it is stored again as one piece, cut after a space, and indexed. So the work of an
append is proportional to its length (a code point is stored again once or twice), and no word is cut in the index.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from cortex_rx.backends.sqlite.index import DocumentCache, Documents, remove_documents
from cortex_rx.backends.sqlite.language import Language
from cortex_rx.backends.sqlite.tokenizer import LEAD, Words, index_words, lead_of, safe_cut

if TYPE_CHECKING:
    from cortex_rx.backends.sqlite.vectors import MatrixCache

__all__ = [
    "BLOCK",
    "UNCHANGED",
    "TextState",
    "Transaction",
    "WriterState",
    "as_json",
    "compare",
    "create",
    "drop",
    "extend",
    "finish",
    "finish_parts",
    "length_of",
    "number_for",
    "number_of",
    "read",
    "read_text",
    "release",
    "save_writer_state",
    "unindex",
    "unindexed_words",
]

BLOCK = 4096
"""The most code points of a piece, and of a document of the index."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a function of the store works with: a connection in a transaction, the time (epoch ms), a maker of ids, the
    language of the file, whether it may have an old index beside the new one, and the vectors and documents in memory.
    """

    db: sqlite3.Connection
    now: int
    new_id: Callable[[], str]
    language: Language
    is_moving: bool
    matrices: MatrixCache
    documents: DocumentCache


TextState: TypeAlias = tuple[int, int, int]
"""Of a text: its length, the end of its indexed part, and how much before that the next document repeats."""
WriterState: TypeAlias = tuple[int | None, int | None, str | None, str | None, str | None]
"""What a write stores for later writers: the end of the lease (epoch ms) and its length (ms), the mark and the resume
state (JSON), what the writer failed with. None means unchanged. What it failed with changes with the lease."""
UNCHANGED: WriterState = (None, None, None, None, None)


def as_json(args: Mapping[str, Any], name: str) -> str | None:
    """An argument in its stored form. None if it was left out; the argument None becomes "null"."""
    return json.dumps(args[name], ensure_ascii=False) if name in args else None


def number_of(tx: Transaction, space: str) -> int | None:
    """The number of a memory space; None if nothing was ever stored in it."""
    row = tx.db.execute("SELECT id FROM spaces WHERE name = ?", (space,)).fetchone()
    return None if row is None else int(row[0])


def number_for(tx: Transaction, space: str) -> int:
    """The number of a memory space, in which something is to be stored."""
    number = number_of(tx, space)
    if number is None:
        number = tx.db.execute("INSERT INTO spaces (name) VALUES (?)", (space,)).lastrowid
        assert number is not None
    return number


def create(tx: Transaction, space: str, body: str = "", writer_state: WriterState = UNCHANGED) -> int:
    """Make a new text, not indexed. Returns its number."""
    values = (len(body), tx.now, *writer_state[:4], space)
    made = tx.db.execute(_CREATE, values)
    if not made.rowcount:
        tx.db.execute("INSERT INTO spaces (name) VALUES (?)", (space,))  # not `number_for`: that it is missing is known
        made = tx.db.execute(_CREATE, values)
    number = made.lastrowid
    assert number is not None
    if body:
        _store(tx, number, 0, body)
    return number


_CREATE = (
    "INSERT INTO texts (space, length, touched, lease, term, mark, resume_state)"
    " SELECT id, ?, ?, coalesce(?, 0), coalesce(?, 0), ?, ? FROM spaces WHERE name = ?"
)


def _store(tx: Transaction, text: int, start: int, body: str) -> None:
    tx.db.executemany(
        "INSERT INTO pieces (place, body) VALUES (?, ?)",
        ((_place(text, start + at), body[at : at + BLOCK]) for at in range(0, len(body), BLOCK)),
    )


def _place(text: int, start: int) -> int:
    """The key of a piece. The pieces of a text are next to each other, in order."""
    return (text << 32) + start


def _delete(tx: Transaction, text: int, start: int) -> None:
    """Delete the pieces that begin at `start` or later."""
    tx.db.execute("DELETE FROM pieces WHERE place >= ? AND place < ?", (_place(text, start), _place(text + 1, 0)))


def length_of(tx: Transaction, text: int) -> int:
    """The length of a text in code points."""
    length: int = tx.db.execute("SELECT length FROM texts WHERE id = ?", (text,)).fetchone()[0]
    return length


def read(tx: Transaction, text: int, start: int, stop: int) -> Iterator[str]:
    """The code points from `start` to `stop`, piece by piece. Only the pieces that hold them are read."""
    first = _place(text, 0)
    rows = tx.db.execute(
        "SELECT place, body FROM pieces WHERE place < ?3 AND place >="
        " coalesce((SELECT place FROM pieces WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT 1), ?1)"
        " ORDER BY place",
        (first, first + start, first + stop),
    )
    for place, body in rows:
        at = place - first
        part = body[max(start - at, 0) : stop - at]
        if part:
            yield part


def read_text(tx: Transaction, text: int, limit: int | None = None) -> str:
    """A whole text, or its first `limit` code points."""
    return "".join(read(tx, text, 0, length_of(tx, text) if limit is None else limit))


def compare(tx: Transaction, text: int, start: int, body: str) -> bool:
    """Whether the stored text from `start` on equals `body`, as far as both reach."""
    at = 0
    for part in read(tx, text, start, start + len(body)):
        if not body.startswith(part, at):
            return False
        at += len(part)
    return True


def extend(
    tx: Transaction, text: int, state: TextState, body: str, writer_state: WriterState, *, index: bool = True
) -> int:
    """Append to a text that is being written. Returns its new length.

    With `index=False` the caller indexes the whole text afterwards.
    """
    length, indexed, lead = state
    if not index or length - indexed + len(body) < BLOCK:
        _store(tx, text, length, body)
    else:
        waiting = "".join(read(tx, text, indexed - lead, length)) + body
        _delete(tx, text, indexed)
        at = lead  # where in `waiting` the next document begins
        documents = _documents(tx, text)
        while len(waiting) - at >= BLOCK:
            cut, next_lead = safe_cut(waiting, at, at + BLOCK)
            _store(tx, text, indexed, waiting[at:cut])
            documents.add(indexed + cut - at, waiting[at - lead : cut])
            indexed, at, lead = indexed + cut - at, cut, next_lead
        documents.count()
        _store(tx, text, indexed, waiting[at:])
    length += len(body)
    tx.db.execute(
        f"{_WRITER_STATE}, length = ?7, indexed = ?8, lead = ?9, writes = writes + 1, touched = ?10 WHERE id = ?6",
        (*writer_state, text, length, indexed, lead, tx.now),
    )
    return length


def save_writer_state(tx: Transaction, text: int, writer_state: WriterState) -> None:
    """Store the writer's state of a write without text."""
    tx.db.execute(f"{_WRITER_STATE} WHERE id = ?6", (*writer_state, text))


_WRITER_STATE = (
    "UPDATE texts SET lease = coalesce(?1, lease), term = coalesce(?2, term), mark = coalesce(?3, mark),"
    " resume_state = coalesce(?4, resume_state), failure = CASE WHEN ?1 IS NULL THEN failure ELSE ?5 END"
)


def release(tx: Transaction, text: int) -> None:
    """Remove lease and mark of a text that nobody writes any more."""
    tx.db.execute("UPDATE texts SET lease = 0, mark = NULL, failure = NULL WHERE id = ?", (text,))


def finish(tx: Transaction, text: int) -> None:
    """Index the rest of a text that nobody writes any more, to its last word, and remove lease and mark."""
    row = tx.db.execute("SELECT length, indexed, lead, space FROM texts WHERE id = ?", (text,)).fetchone()
    length, indexed, lead = int(row[0]), int(row[1]), int(row[2])
    documents = _documents(tx, text, row["space"])
    waiting = ""
    have = indexed - lead
    while indexed < length:
        stop = min(have + 2 * BLOCK, length)
        waiting += "".join(read(tx, text, have, stop))
        have = stop
        at = lead
        while have == length or len(waiting) - at >= BLOCK:
            last = len(waiting) - at <= BLOCK
            cut, next_lead = (len(waiting), 0) if last else safe_cut(waiting, at, at + BLOCK)
            documents.add(indexed + cut - at, waiting[at - lead : cut])
            indexed, at, lead = indexed + cut - at, cut, next_lead
            if last:
                break
        waiting = waiting[at - lead :]
    documents.count()
    tx.db.execute(
        "UPDATE texts SET indexed = length, lead = 0, lease = 0, mark = NULL, failure = NULL WHERE id = ?", (text,)
    )


def finish_parts(tx: Transaction, text: int, ranges: Iterable[tuple[int, int]]) -> None:
    """Like `finish`, but index the text anew, so that its words are found in the parts with these ranges.

    A word or phrase that the end of a part cuts is found in the next part: the index has it whole there.
    """
    unindex(tx, text)
    documents = _documents(tx, text)
    border = 0  # the end of the part before
    for part, (start, stop) in enumerate(ranges):
        have = max(0, min(start, border - LEAD))
        body = "".join(read(tx, text, have, stop))
        cut = border - have
        begin = min(start, border - lead_of(body[:cut], body[cut : cut + LEAD]))
        body, at, lead = body[begin - have :], 0, 0
        while at < len(body):
            last = len(body) - at <= BLOCK
            end, next_lead = (len(body), 0) if last else safe_cut(body, at, at + BLOCK)
            documents.add(begin + end, body[at - lead : end], part)
            at, lead = end, next_lead
        border = stop
    documents.count()
    tx.db.execute(
        "UPDATE texts SET indexed = length, lead = 0, lease = 0, mark = NULL, failure = NULL WHERE id = ?", (text,)
    )


def unindexed_words(tx: Transaction, text: int) -> Words:
    """The words of a text's end that is not indexed yet."""
    row = tx.db.execute("SELECT length, indexed, lead FROM texts WHERE id = ?", (text,)).fetchone()
    return index_words("".join(read(tx, text, row[1] - row[2], row[0])), tx.language)


def _documents(tx: Transaction, text: int, space: int | None = None) -> Documents:
    return Documents(tx, text, _space_of(tx, text) if space is None else space)


def unindex(tx: Transaction, text: int) -> None:
    """Remove a text from the index. The text itself stays."""
    space = tx.db.execute("SELECT space FROM texts WHERE id = ?", (text,)).fetchone()

    def body(start: int, stop: int) -> str:
        return "".join(read(tx, text, start, stop))

    if space is not None and remove_documents(tx, space[0], text, body):
        tx.db.execute("UPDATE texts SET indexed = 0, lead = 0 WHERE id = ?", (text,))


def _space_of(tx: Transaction, text: int) -> int:
    space: int = tx.db.execute("SELECT space FROM texts WHERE id = ?", (text,)).fetchone()[0]
    return space


# Streams do not count: the text's stream has forgotten it already, or the text is a question, which its message has.
_USED = (
    "SELECT EXISTS (SELECT 1 FROM memories WHERE text = ?1) OR EXISTS (SELECT 1 FROM messages WHERE text = ?1)"
    " OR EXISTS (SELECT 1 FROM attempts WHERE text = ?1) OR EXISTS (SELECT 1 FROM memory_versions WHERE text = ?1)"
)


def drop(tx: Transaction, text: int) -> None:
    """Delete a text, unless a row still refers to it."""
    if not tx.db.execute(_USED, (text,)).fetchone()[0]:
        unindex(tx, text)
        _delete(tx, text, 0)
        tx.db.execute("DELETE FROM texts WHERE id = ?", (text,))


assert LEAD < BLOCK // 2  # or a document would repeat more than it adds
