"""The library, broken in one way each: for `tests/proofs/test_mutants.py`.

`MUTANTS[name](patch)` breaks it until `patch`, pytest's `monkeypatch`, takes it back.
"""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from cortex_rx.backends.sqlite import text_store, writer
from cortex_rx.backends.sqlite.facts import changes, extractions, statements
from cortex_rx.backends.sqlite.functions import conversations, leases, streams, tokens
from cortex_rx.backends.sqlite.text_store import Transaction
from cortex_rx.backends.sqlite.writer import Write
from cortex_rx.errors import TokenUnknown
from cortex_rx.events import PartialStored
from cortex_rx.models.source_position import PrefixMatcher
from cortex_rx.operators._support.pending import PendingText

__all__ = ["MUTANTS", "what_it_does"]

MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {}


def mutant(break_it: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    MUTANTS[break_it.__name__.replace("_", " ")] = break_it
    return break_it


def what_it_does(name: str) -> str:
    """In a sentence."""
    return inspect.getdoc(MUTANTS[name]) or ""


@mutant
def no_fence(patch: pytest.MonkeyPatch) -> None:
    """The epoch of a write is not compared."""
    patch.setattr(leases, "_checked", lambda stream, args: stream)


@mutant
def no_overlap_check(patch: pytest.MonkeyPatch) -> None:
    """What is stored already is appended once more."""
    append = streams._append

    def appended(tx: Transaction, stream: sqlite3.Row, args: dict[str, Any]) -> Any:
        same = args["attempt"] == stream["attempt"]
        return append(tx, stream, {**args, "start": max(stream["length"], args["start"])} if same else args)

    patch.setattr(streams, "_append", appended)


@mutant
def another_text_is_taken_for_the_same(patch: pytest.MonkeyPatch) -> None:
    """Where a write overlaps what is stored, the two are not compared."""
    patch.setattr(text_store, "compare", lambda tx, text, start, body: True)


@mutant
def finalise_in_two_steps(patch: pytest.MonkeyPatch) -> None:
    """The messages are committed before the memories."""
    add = conversations.add_messages

    def added(tx: Transaction, *args: Any) -> None:
        add(tx, *args)
        tx.db.execute("COMMIT")
        tx.db.execute("BEGIN IMMEDIATE")

    patch.setattr(conversations, "add_messages", added)


@mutant
def no_flush_on_cancel(patch: pytest.MonkeyPatch) -> None:
    """What has come since the last write is dropped when the stream is cut off."""
    store = PendingText.store

    async def stored(self: PendingText, *, release: bool = False, error: Exception | None = None) -> PartialStored:
        if not release:
            return await store(self)
        self.texts.clear()
        return PartialStored(self.start, self.position.index, self.position.attempt, 0.0)

    patch.setattr(PendingText, "store", stored)


@mutant
def token_not_bound_to_its_space(patch: pytest.MonkeyPatch) -> None:
    """A resume token is good in every memory space."""

    def look_up(tx: Transaction, token: str, space: str) -> sqlite3.Row:
        row: sqlite3.Row | None = tx.db.execute("SELECT * FROM tokens WHERE hash = ?", (token,)).fetchone()
        if row is None:
            raise TokenUnknown("no stream has this token")
        return row

    patch.setattr(tokens, "look_up", look_up)


@mutant
def no_lease(patch: pytest.MonkeyPatch) -> None:
    """A stream is taken over though its writer is alive."""
    patch.setattr(leases, "check_free", lambda tx, stream: None)


@mutant
def a_lease_of_the_future_is_one(patch: pytest.MonkeyPatch) -> None:
    """A lease that was given before the clock was set back runs on until its end."""
    patch.setattr(leases, "is_owned", lambda tx, stream: tx.now < (stream["lease"] or 0))


@mutant
def no_claim(patch: pytest.MonkeyPatch) -> None:
    """A beginning whose answer was lost is another one when it is sent again."""
    own = leases.bump_epoch
    patch.setattr(leases, "bump_epoch", lambda tx, stream, claim, token=None: own(tx, stream, None, token))
    create = streams._create
    patch.setattr(streams, "_create", lambda tx, args, back: create(tx, {**args, "claim": None}, back))


@mutant
def the_source_is_not_compared(patch: pytest.MonkeyPatch) -> None:
    """A source that is opened again continues behind what had been read, even if its text differs."""
    init = PrefixMatcher.__init__
    patch.setattr(PrefixMatcher, "__init__", lambda self, segments, end, start=0: init(self, (), end, start))


@mutant
def no_break_is_noted(patch: pytest.MonkeyPatch) -> None:
    """A reader is not told what was lost with the process that showed it."""
    patch.setattr(leases, "log_takeover", lambda tx, stream: None)


@mutant
def the_order_of_ending(patch: pytest.MonkeyPatch) -> None:
    """An exchange comes last in its conversation when it ends, whenever it was asked."""
    patch.setattr(conversations, "_place", lambda tx, conversation, exchange, count: count)


@mutant
def a_conversation_of_nothing(patch: pytest.MonkeyPatch) -> None:
    """A conversation stays when its only exchange was taken back."""
    patch.setattr(conversations, "leave", lambda tx, space, conversation: None)


@mutant
def told_before_the_shared_commit(patch: pytest.MonkeyPatch) -> None:
    """What shares a transaction is told before that is committed, which comes with the next one."""
    write_all, late = writer._write_all, list[tuple[Any, list[Write]]]()

    def hasty(writes: list[Write], transact: Any) -> None:
        for one in [one for one in late if one[0] == transact]:
            late.remove(one)
            write_all(one[1], transact)
        if len(writes) < 2:
            write_all(writes, transact)
            return

        def tried(db: sqlite3.Connection) -> None:
            for write in writes:
                writer._write_within(db, write)
            raise NotYet

        with suppress(NotYet):
            transact(tried)
        late.append((transact, [Write(write.work, write.answer) for write in writes]))

    class NotYet(Exception):
        """The transaction is undone, for now."""

    patch.setattr(writer, "_write_all", hasty)


@mutant
def a_failed_shared_commit_is_told_as_done(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether the transaction that was shared was committed."""
    together = writer._write_together
    patch.setattr(writer, "_write_together", lambda writes, transact: together(writes, transact) or True)


@mutant
def withdraw_keeps_statements(patch: pytest.MonkeyPatch) -> None:
    """What was read from a text that is none any more stays a fact."""
    patch.setattr(changes, "withdraw", lambda tx, space, stream, sides: None)


@mutant
def the_offset_is_not_in_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """Facts are stored, and it is not noted how far the text was read."""
    patch.setattr(extractions, "read_up_to", lambda tx, stream, side, stop: None)


@mutant
def what_is_not_read_is_not_queued(patch: pytest.MonkeyPatch) -> None:
    """Nobody reads later what was not read for facts when its stream ended."""

    def enqueue(*args: Any, error: str | None = None, tries: int = 0, dead: bool = False) -> None:
        pass

    patch.setattr(extractions, "enqueue", enqueue)


@mutant
def a_statement_is_stored_each_time(patch: pytest.MonkeyPatch) -> None:
    """What two windows of a text say is stored twice."""
    patch.setattr(statements, "in_stream", lambda tx, stream, side, said: None)


@mutant
def a_statement_stands_where_it_was_read_first(patch: pytest.MonkeyPatch) -> None:
    """A window that was read later does not say where its statements stand, if the window after it repeats them."""
    patch.setattr(statements, "stands_at", lambda tx, number, window: None)
