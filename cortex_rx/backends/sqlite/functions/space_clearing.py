"""Deleting what is in a memory space, a part at a time: each part is whole, so that what is left can be used."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import LiteralString, TypeAlias

from cortex_rx.backends.sqlite import text_store
from cortex_rx.backends.sqlite.facts import extractions, indexing, statements
from cortex_rx.backends.sqlite.facts.statements import having
from cortex_rx.backends.sqlite.functions import memories
from cortex_rx.backends.sqlite.index import state_in
from cortex_rx.backends.sqlite.text_store import Transaction

__all__ = ["clear", "clear_all", "has_records", "is_used", "unregistered", "used_since"]

_MOST = 1_000  # records at a time, of a space that is deleted in one transaction


# --- which spaces are used --------------------------------------------------------------------------------------------

# Each next name is looked up by an index, so this takes as long as there are spaces, not records.
_NAMES: LiteralString = """
{table}_names (space) AS (
    SELECT min(space) FROM {table} UNION ALL
    SELECT (SELECT min(space) FROM {table} WHERE {table}.space > {table}_names.space)
    FROM {table}_names WHERE space IS NOT NULL
)"""
_KEYED: tuple[LiteralString, ...] = ("conversations", "contexts")
"""Tables whose rows may be there although nothing was ever written in the space, and so without its number."""
_UNREGISTERED = (
    f"WITH RECURSIVE {', '.join(_NAMES.format(table=table) for table in _KEYED)}"  # noqa: S608
    " SELECT space FROM (SELECT name AS space FROM spaces WHERE id > 0 "
    + "".join(f"UNION SELECT space FROM {table}_names WHERE space IS NOT NULL " for table in _KEYED)  # noqa: S608
    + ") WHERE space NOT IN (SELECT id FROM memory_spaces) ORDER BY space LIMIT ? OFFSET ?"
)
_ANY = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE space = ?1)" for table in _KEYED)  # noqa: S608
_IS_USED = f"SELECT EXISTS (SELECT 1 FROM spaces WHERE name = ?1) OR {_ANY}"  # noqa: S608


def unregistered(tx: Transaction, limit: int, offset: int) -> list[str]:
    """The memory spaces that are used and not registered, by their ids."""
    return [row[0] for row in tx.db.execute(_UNREGISTERED, (limit, offset)).fetchall()]


def is_used(tx: Transaction, space: str) -> bool:
    """Whether something is stored in the memory space, or was before."""
    return bool(tx.db.execute(_IS_USED, (space,)).fetchone()[0])


# The first of each kind of records that has an index of its own.
_KINDS: tuple[LiteralString, ...] = (
    *(f"conversations WHERE space = ?1 AND type = '{kind}'" for kind in ("user-agent", "agent-agent")),
    *(
        f"memories WHERE space = ?1 AND partial = 0 AND archived = {archived} AND source_type = '{source}'"
        for archived in ("0", "1")
        for source in ("conversation", "system", "tool", "a2a", "fact-extraction")
    ),
    "contexts WHERE space = ?1",
    "facts WHERE space = ?2",
)
_FIRSTS = " UNION ALL ".join(f"SELECT (SELECT created FROM {one} ORDER BY seq LIMIT 1) AS created" for one in _KINDS)  # noqa: S608
_FIRST = f"SELECT coalesce(min(created), 0) FROM ({_FIRSTS})"  # noqa: S608


def used_since(tx: Transaction, space: str) -> int:
    """When the first of its records was made (epoch ms); 0 if it has none."""
    since: int = tx.db.execute(_FIRST, (space, text_store.number_of(tx, space))).fetchone()[0]
    return since


_HAS_RECORDS = (
    "SELECT EXISTS (SELECT 1 FROM memories WHERE space = ?1) OR EXISTS (SELECT 1 FROM conversations WHERE space = ?1)"
    " OR EXISTS (SELECT 1 FROM contexts WHERE space = ?1)"
    " OR EXISTS (SELECT 1 FROM streams WHERE space = ?1 AND state = 'open')"
    " OR EXISTS (SELECT 1 FROM statements WHERE space = ?2)"
)


def has_records(tx: Transaction, space: str) -> bool:
    """Whether there is something in the memory space."""
    return bool(tx.db.execute(_HAS_RECORDS, (space, text_store.number_of(tx, space))).fetchone()[0])


# --- deleting ---------------------------------------------------------------------------------------------------------


def clear(tx: Transaction, space: str, limit: int) -> int:
    """Delete `limit` records, or a few more. Returns how many; fewer than `limit`: nothing is left."""
    deleted = 0
    for step in _STEPS:
        while deleted < limit and (done := step(tx, space, limit - deleted)):
            deleted += done
    return deleted


def clear_all(tx: Transaction, space: str) -> None:
    """Delete all that is in the memory space, and its number."""
    while clear(tx, space, _MOST):
        pass
    number = text_store.number_of(tx, space)
    if number is not None:
        tx.db.execute("DELETE FROM vector_changes WHERE space = ?", (number,))
        if state_in(tx.db) is not None:
            tx.db.execute("DELETE FROM moved WHERE space = ?", (number,))
        tx.db.execute("DELETE FROM spaces WHERE id = ?", (number,))


_Step: TypeAlias = Callable[[Transaction, str, int], int]
"""Deletes so many records of a memory space. Returns how many; 0: there is none."""


def _delete_facts(tx: Transaction, space: str, limit: int) -> int:
    """Whole slots: a fact with all that was said of it."""
    number = text_store.number_of(tx, space)
    rows = tx.db.execute("SELECT slot FROM statements WHERE space = ? LIMIT ?", (number, limit)).fetchall()
    deleted = 0
    for slot in dict.fromkeys(row["slot"] for row in rows):
        if deleted >= limit:
            break
        said = having(tx, "space = ? AND slot = ?", (number, slot))
        facts = tx.db.execute("SELECT seq FROM facts WHERE space = ? AND slot = ?", (number, slot)).fetchall()
        for fact in facts:
            assert number is not None
            indexing.remove(tx, number, fact["seq"])
            tx.db.execute("DELETE FROM facts WHERE seq = ?", (fact["seq"],))
        statements.delete(tx, said)
        deleted += len(said)
    return deleted


def _delete_memories(tx: Transaction, space: str, limit: int) -> int:
    """Memories, and the exchanges that go with them."""
    rows = tx.db.execute("SELECT id FROM memories WHERE space = ? LIMIT ?", (space, limit)).fetchall()
    for row in rows:
        if memories.is_there(tx, space, row["id"]):  # that of a question goes with a pending answer
            memories.remove(tx, space, row["id"])
    return len(rows)


def _delete_messages(tx: Transaction, space: str, limit: int) -> int:
    """The last messages of a conversation, and then the conversation."""
    conversation = tx.db.execute(
        "SELECT seq, message_count FROM conversations WHERE space = ? ORDER BY seq LIMIT 1", (space,)
    ).fetchone()
    if conversation is None:
        return 0
    seq, kept = conversation["seq"], max(0, conversation["message_count"] - limit)
    texts = tx.db.execute("SELECT text FROM messages WHERE conversation = ? AND position >= ?", (seq, kept)).fetchall()
    tx.db.execute("DELETE FROM messages WHERE conversation = ? AND position >= ?", (seq, kept))
    if kept:
        tx.db.execute("UPDATE conversations SET message_count = ? WHERE seq = ?", (kept, seq))
    else:
        tx.db.execute("UPDATE streams SET conversation_seq = NULL WHERE conversation_seq = ?", (seq,))
        tx.db.execute("DELETE FROM conversations WHERE seq = ?", (seq,))
    _drop_texts(tx, texts)
    return len(texts) + (0 if kept else 1)


def _drop_texts(tx: Transaction, rows: Iterable[sqlite3.Row]) -> None:
    for row in rows:
        if row["text"] is not None:
            text_store.drop(tx, row["text"])


def _delete_streams(tx: Transaction, space: str, limit: int) -> int:
    """What is left of the exchanges when their memories are gone, with their tokens."""
    rows = tx.db.execute("SELECT seq, question, answer FROM streams WHERE space = ? LIMIT ?", (space, limit)).fetchall()
    for row in rows:
        seq = row["seq"]
        texts = tx.db.execute(
            "SELECT text FROM attempts WHERE stream = ?1 UNION SELECT question FROM streams WHERE seq = ?1"
            " UNION SELECT answer FROM streams WHERE seq = ?1",
            (seq,),
        ).fetchall()
        extractions.drop(tx, seq)
        tx.db.execute("DELETE FROM attempts WHERE stream = ?", (seq,))
        tx.db.execute("DELETE FROM tokens WHERE stream = ?", (seq,))
        tx.db.execute("DELETE FROM streams WHERE seq = ?", (seq,))
        _drop_texts(tx, texts)
    return len(rows)


def _delete_tokens(tx: Transaction, space: str, limit: int) -> int:
    """The tokens of streams that were gone before."""
    gone = "SELECT serial FROM tokens WHERE stream IS NULL AND space = ? LIMIT ?"
    deleted: int = tx.db.execute(f"DELETE FROM tokens WHERE serial IN ({gone})", (space, limit)).rowcount  # noqa: S608
    return deleted


def _delete_contexts(tx: Transaction, space: str, limit: int) -> int:
    """Contexts, children before their parents; a trigger deletes their versions, grants and participants."""
    some = "SELECT seq FROM contexts WHERE space = ? ORDER BY seq DESC LIMIT ?"
    deleted: int = tx.db.execute(f"DELETE FROM contexts WHERE seq IN ({some})", (space, limit)).rowcount  # noqa: S608
    return deleted


def _delete_grants(tx: Transaction, space: str, limit: int) -> int:
    """What other memory spaces have granted to this one."""
    some = "SELECT number FROM context_grants WHERE target = ? LIMIT ?"
    delete = f"DELETE FROM context_grants WHERE number IN ({some})"  # noqa: S608
    deleted: int = tx.db.execute(delete, (space, limit)).rowcount
    return deleted


def _delete_vector_changes(tx: Transaction, space: str, limit: int) -> int:
    """What the vectors in memory were told by, but the last: numbers go on behind it, for who has read up to it."""
    number = text_store.number_of(tx, space)
    old = (
        "SELECT number FROM vector_changes WHERE space = ?1"
        " AND number < (SELECT max(number) FROM vector_changes WHERE space = ?1) ORDER BY number LIMIT ?2"
    )
    delete = f"DELETE FROM vector_changes WHERE space = ?1 AND number IN ({old})"  # noqa: S608
    deleted: int = tx.db.execute(delete, (number, limit)).rowcount
    return deleted


_STEPS: tuple[_Step, ...] = (
    _delete_facts,
    _delete_memories,
    _delete_messages,
    _delete_streams,
    _delete_tokens,
    _delete_contexts,
    _delete_grants,
    _delete_vector_changes,
)
"""In this order: the vectors that other processes have in memory are told last, when no record is left."""
