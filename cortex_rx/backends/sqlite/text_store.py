"""Texts in pieces: appended, compared, read, indexed and forgotten without ever being whole in memory.

A piece has at most `BLOCK` code points.  What is appended is stored as it comes, until the end of the text that is not indexed
yet has grown to a block: then that end is stored again as one piece, cut after a space, and indexed.  So the work of an append is
proportional to what is appended (a code point is stored again once or twice), and no word is cut in the index.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cortex_rx.backends.sqlite.tokenizer import LEAD, in_space, index_text, lead_of, safe_cut

__all__ = [
    "BLOCK",
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
    "number_of",
    "read",
    "read_text",
    "release",
    "save_writer_state",
    "tail",
    "unindex",
]

BLOCK = 4096
"""Code points of a piece, and of a document of the index, at most."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a function of the store works with: a connection within a transaction, the time (epoch ms), a maker of ids."""

    db: sqlite3.Connection
    now: int
    new_id: Callable[[], str]


TextState: TypeAlias = tuple[int, int, int]
"""Of a text: its length, up to where it is indexed, and how much before that the next part of the index repeats."""
WriterState: TypeAlias = tuple[int | None, str | None, str | None]
"""What a write brings for the one who goes on: the lease (until, epoch ms), the mark and the resume state (JSON); None: as it was."""


def as_json(args: Mapping[str, Any], name: str) -> str | None:
    """An argument as it is stored; None where it was left out, which is not the text of None."""
    return json.dumps(args[name], ensure_ascii=False) if name in args else None


def number_of(work: Transaction, space: str) -> int | None:
    """The number of a memory space; None if nothing was ever stored in it."""
    row = work.db.execute("SELECT id FROM spaces WHERE name = ?", (space,)).fetchone()
    return None if row is None else int(row[0])


def create(work: Transaction, space: str, body: str = "", carried: WriterState = (None, None, None)) -> int:
    """A new text, not indexed; its number."""
    values = (len(body), work.now, *carried, space)
    made = work.db.execute(_CREATE, values)
    if not made.rowcount:
        work.db.execute("INSERT INTO spaces (name) VALUES (?)", (space,))
        made = work.db.execute(_CREATE, values)
    number = made.lastrowid
    assert number is not None
    if body:
        _store(work, number, 0, body)
    return number


_CREATE = (
    "INSERT INTO texts (space, length, touched, lease, mark, resume_state)"
    " SELECT id, ?, ?, coalesce(?, 0), ?, ? FROM spaces WHERE name = ?"
)


def _store(work: Transaction, text: int, start: int, body: str) -> None:
    work.db.executemany(
        "INSERT INTO pieces (place, body) VALUES (?, ?)",
        ((_place(text, start + at), body[at : at + BLOCK]) for at in range(0, len(body), BLOCK)),
    )


def _place(text: int, start: int) -> int:
    """The key of a piece: the pieces of a text are side by side, in order."""
    return (text << 32) + start


def _delete(work: Transaction, text: int, start: int) -> None:
    """Delete the pieces from the one that begins at `start` on."""
    work.db.execute("DELETE FROM pieces WHERE place >= ? AND place < ?", (_place(text, start), _place(text + 1, 0)))


def length_of(work: Transaction, text: int) -> int:
    """Its length in code points."""
    length: int = work.db.execute("SELECT length FROM texts WHERE id = ?", (text,)).fetchone()[0]
    return length


def read(work: Transaction, text: int, start: int, stop: int) -> Iterator[str]:
    """The code points from `start` to `stop`, piece by piece; only the pieces that hold them are read."""
    first = _place(text, 0)
    rows = work.db.execute(
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


def read_text(work: Transaction, text: int, limit: int | None = None) -> str:
    """All of it, or its first `limit` code points."""
    return "".join(read(work, text, 0, length_of(work, text) if limit is None else limit))


def compare(work: Transaction, text: int, start: int, body: str) -> bool:
    """Whether what is stored from `start` on is what `body` begins with, as far as both reach."""
    at = 0
    for part in read(work, text, start, start + len(body)):
        if not body.startswith(part, at):
            return False
        at += len(part)
    return True


def extend(
    work: Transaction, text: int, state: TextState, body: str, carried: WriterState, *, index: bool = True
) -> int:
    """Append to a text that is being written; its new length.  Not to `index` it is for who indexes the whole of it then."""
    length, indexed, lead = state
    if not index or length - indexed + len(body) < BLOCK:
        _store(work, text, length, body)
    else:
        waiting = "".join(read(work, text, indexed - lead, length)) + body
        _delete(work, text, indexed)
        at = lead  # where in `waiting` the part begins that is to be indexed next
        index_of = _Index(work, text)
        while len(waiting) - at >= BLOCK:
            cut, next_lead = safe_cut(waiting, at, at + BLOCK)
            _store(work, text, indexed, waiting[at:cut])
            index_of.add(indexed, indexed + cut - at, waiting[at - lead : cut])
            indexed, at, lead = indexed + cut - at, cut, next_lead
        index_of.count()
        _store(work, text, indexed, waiting[at:])
    length += len(body)
    work.db.execute(
        "UPDATE texts SET length = ?, indexed = ?, lead = ?, writes = writes + 1, touched = ?, lease = coalesce(?, lease),"
        " mark = coalesce(?, mark), resume_state = coalesce(?, resume_state) WHERE id = ?",
        (length, indexed, lead, work.now, *carried, text),
    )
    return length


def save_writer_state(work: Transaction, text: int, carried: WriterState) -> None:
    """Set what a write without text brings."""
    work.db.execute(
        "UPDATE texts SET lease = coalesce(?, lease), mark = coalesce(?, mark), resume_state = coalesce(?, resume_state)"
        " WHERE id = ?",
        (*carried, text),
    )


def release(work: Transaction, text: int) -> None:
    """Nobody writes the text any more: it needs no lease, and no place in its source."""
    work.db.execute("UPDATE texts SET lease = 0, mark = NULL WHERE id = ?", (text,))


def finish(work: Transaction, text: int) -> None:
    """Nobody writes the text any more: index what is not indexed yet, to the last word, and let go of its writer."""
    row = work.db.execute("SELECT length, indexed, lead, space FROM texts WHERE id = ?", (text,)).fetchone()
    length, indexed, lead = int(row[0]), int(row[1]), int(row[2])
    index_of = _Index(work, text, row["space"])
    waiting = ""
    have = indexed - lead
    while indexed < length:
        stop = min(have + 2 * BLOCK, length)
        waiting += "".join(read(work, text, have, stop))
        have = stop
        at = lead
        while have == length or len(waiting) - at >= BLOCK:
            last = len(waiting) - at <= BLOCK
            cut, next_lead = (len(waiting), 0) if last else safe_cut(waiting, at, at + BLOCK)
            index_of.add(indexed, indexed + cut - at, waiting[at - lead : cut])
            indexed, at, lead = indexed + cut - at, cut, next_lead
            if last:
                break
        waiting = waiting[at - lead :]
    index_of.count()
    work.db.execute("UPDATE texts SET indexed = length, lead = 0, lease = 0, mark = NULL WHERE id = ?", (text,))


def finish_parts(work: Transaction, text: int, ranges: Iterable[tuple[int, int]]) -> None:
    """The same, but index the text anew, so that its words are found as those of the parts that these ranges of it are.

    A word or phrase that the end of a part cuts is found in the next part: the index has it whole there.
    """
    unindex(work, text)
    index_of = _Index(work, text)
    border = 0  # where the part before ends
    for part, (start, stop) in enumerate(ranges):
        have = max(0, min(start, border - LEAD))
        body = "".join(read(work, text, have, stop))
        cut = border - have
        begin = min(start, border - lead_of(body[:cut], body[cut : cut + LEAD]))
        body, at, lead = body[begin - have :], 0, 0
        while at < len(body):
            last = len(body) - at <= BLOCK
            end, next_lead = (len(body), 0) if last else safe_cut(body, at, at + BLOCK)
            index_of.add(begin + at, begin + end, body[at - lead : end], part)
            at, lead = end, next_lead
        border = stop
    index_of.count()
    work.db.execute("UPDATE texts SET indexed = length, lead = 0, lease = 0, mark = NULL WHERE id = ?", (text,))


def tail(work: Transaction, text: int) -> str:
    """The words of what is not indexed yet, with a space around each."""
    row = work.db.execute("SELECT length, indexed, lead FROM texts WHERE id = ?", (text,)).fetchone()
    return f" {index_text(''.join(read(work, text, row[1] - row[2], row[0])))} "


class _Index:
    """What is put into the index of one text; `count` at the end."""

    def __init__(self, work: Transaction, text: int, space: int | None = None) -> None:
        self._work = work
        self._text = text
        self._space = _space_of(work, text) if space is None else space
        self._docs = self._size = 0

    def add(self, start: int, stop: int, body: str, part: int | None = None) -> None:
        """Put a block in; `body` is that block, and before it what it repeats of the block before."""
        repeated = len(body) - (stop - start)
        found = index_text(body)
        number = found.count(" ") + 1 if found else 0
        db = self._work.db
        doc = db.execute(
            "INSERT INTO docs (text, start, stop, size, part) VALUES (?, ?, ?, ?, ?)",
            (self._text, start - repeated, stop, number, part),
        )
        db.execute("INSERT INTO words (rowid, body) VALUES (?, ?)", (doc.lastrowid, in_space(self._space, found)))
        self._docs += 1
        self._size += number

    def count(self) -> None:
        """Note how much was put in."""
        if self._docs:
            _counted(self._work, self._space, self._docs, self._size)


def unindex(work: Transaction, text: int) -> None:
    """Take a text out of the index; the text itself stays."""
    docs = work.db.execute("SELECT id, start, stop, size FROM docs WHERE text = ?", (text,)).fetchall()
    if not docs:
        return
    space = _space_of(work, text)
    for doc, start, stop, _ in docs:
        body = in_space(space, index_text("".join(read(work, text, start, stop))))
        work.db.execute("INSERT INTO words (words, rowid, body) VALUES ('delete', ?, ?)", (doc, body))
    work.db.execute("DELETE FROM docs WHERE text = ?", (text,))
    work.db.execute("UPDATE texts SET indexed = 0, lead = 0 WHERE id = ?", (text,))
    _counted(work, space, -len(docs), -sum(doc["size"] for doc in docs))


def _space_of(work: Transaction, text: int) -> int:
    space: int = work.db.execute("SELECT space FROM texts WHERE id = ?", (text,)).fetchone()[0]
    return space


def _counted(work: Transaction, space: int, docs: int, size: int) -> None:
    work.db.execute("UPDATE spaces SET docs = docs + ?, size = size + ? WHERE id IN (0, ?)", (docs, size, space))


# Not the streams: that of the text has been told to forget it, or the text is a question's, which its message has.
_USED = (
    "SELECT EXISTS (SELECT 1 FROM memories WHERE text = ?1) OR EXISTS (SELECT 1 FROM messages WHERE text = ?1)"
    " OR EXISTS (SELECT 1 FROM attempts WHERE text = ?1)"
)


def drop(work: Transaction, text: int) -> None:
    """Delete a text, unless something refers to it still."""
    if not work.db.execute(_USED, (text,)).fetchone()[0]:
        unindex(work, text)
        _delete(work, text, 0)
        work.db.execute("DELETE FROM texts WHERE id = ?", (text,))


assert LEAD < BLOCK // 2  # or a part would repeat more than it adds
