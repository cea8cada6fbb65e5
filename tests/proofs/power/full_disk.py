"""The proof against a full disk: the default chain, and a file that takes no more from some write on.

The writes that SQLite makes to the store's file, its -wal and its journal are counted (`sqlite_disk`); from the n-th on
they fail, for some time or for ever: there is no room (half of each such write is on the disk), the write fails, or the
sync fails.  Or SQLite itself is given a largest size (`max_page_count`).  A spool lies on another disk, or on the same.
Time is virtual, and a case is one call.

Where something had been acknowledged the power is lost as well.  Where nothing had, since the syncs failed from the
first one of the new file on, SQLite may leave half a first page, which is no database: it deletes the journal of a file
that it has just emptied.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from proofs.power.acknowledged import Acknowledging, Call, Ledger
from proofs.power.sqlite_disk import FULL, SYNC_FAILED, WRITE_FAILED, Disk
from proofs.sharing.threads import run_threaded

from cortex_rx import Spool, SqliteBackend, remember_stream
from cortex_rx.errors import NotStored
from cortex_rx.events import Delta
from cortex_rx.sources.model_stream import prefill
from cortex_rx.testing import EPOCH, assert_no_leaks, run_virtual, wall

__all__ = ["TEXT", "TROUBLES", "Outcome", "fill_up"]

TROUBLES = {"no room": ("write", FULL), "a write fails": ("write", WRITE_FAILED), "a sync fails": ("sync", SYNC_FAILED)}
WHILE = 1.5  # seconds: less than the tries of a `finalize` take
WORDS = [f"word {at} {'and so on ' * (20 * (at % 9))}\n" for at in range(20)]
TEXT = "".join(WORDS)
PACE = 0.3
SLOWEST = 2.0  # seconds that the first token may wait for the store
ASK = {
    "memory_space_id": "space",
    "user_id": "ada",
    "user_name": "Ada",
}


class Trouble:
    """What a disk says when it is full: from the n-th operation of a kind on, for some seconds."""

    def __init__(self, name: str, first: int, seconds: float) -> None:
        self._kind, self._code = TROUBLES[name]
        self._first, self._seconds = first, seconds
        self._until: float | None = None
        self.seen = 0
        """Operations of this kind."""
        self.refused = 0

    def __call__(self, kind: str, _: str) -> int:
        if kind != self._kind:
            return 0
        self.seen += 1
        if self.seen == self._first:
            self._until = wall() + self._seconds
        if self._until is None or wall() >= self._until:
            return 0
        self.refused += 1
        return self._code


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    said: str
    """"remembered", or "not stored"."""
    operations: int
    refused: int
    begun: bool
    """Whether the question was in the store when the stream had ended."""


def fill_up(
    folder: Path,
    trouble: str = "no room",
    first: int = 0,
    seconds: float = math.inf,
    *,
    spool: str | None = None,
    pages: int | None = None,
    thorough: bool = False,
    streams: int = 1,
) -> Outcome:
    """One case: the disk is full from the operation `first` on (0: never), or the file may have so many `pages`.

    What must hold: every token is shown in time; awaiting gives the result, or `NotStored` with the text that is not
    durable; what was acknowledged is there, can be read meanwhile, and survives a loss of power; nothing is left
    running; the file is sound; and when there is room again, the exchange gets into the store, once: by itself while
    the stream runs, from the spool, or when it is sent again.  `spool`: the disk on which one is, "disk" (the same) or
    "other disk".  `thorough`: look for all that can leak, which takes time.  `streams`: so many at the same time, on
    threads that are busy for a while, so that their writes share transactions; for each of them the same must hold.
    """
    run = run_virtual if streams == 1 else run_threaded
    try:
        return run(_fill_up(folder, Trouble(trouble, first, seconds), spool, pages, thorough, streams))
    except BaseException as error:
        error.add_note(f"fill_up({trouble!r}, {first}, {seconds}, spool={spool!r}, pages={pages}, streams={streams})")
        raise


def _ask(number: int) -> dict[str, str]:
    return {
        **ASK,
        "conversation_id": f"c-{number}",
        "user_message": f"What is {number}?",
        "idempotency_key": f"key {number}",
    }


async def _model(texts: list[str]) -> AsyncIterator[str]:
    for text in texts:
        await asyncio.sleep(PACE)
        yield text


async def _fill_up(
    folder: Path, trouble: Trouble, on: str | None, pages: int | None, thorough: bool, streams: int
) -> Outcome:
    for name in ("disk", "other disk"):
        (folder / name).mkdir()
    path = folder / "disk" / "memory.db"
    spool = Spool(folder / on / "spool.db", clock=wall) if on else None
    disk, calls = Disk(path.parent), list[Call]()
    disk.refuse = trouble
    async with assert_no_leaks() if thorough else contextlib.nullcontext():
        with disk.recording():
            store = Acknowledging(SqliteBackend(path, clock=wall, max_page_count=pages), calls.append)
            errors = await asyncio.gather(*(_answer(store, spool, number) for number in range(streams)))
            ledger = Ledger("space", calls)
            begun = bool(ledger.streams)
            if begun:
                await ledger.check(store.inner)
            kept = [await _kept(store, ledger, number) for number in range(streams)]
            cut = len(disk.events)
            await store.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left running"
    _check_sound(path)
    for way in ("nothing", "half of the sectors") if begun else ():
        await _check_power_loss(disk.after(cut, way), folder / way, ledger)
    failed = {number: error for number, error in enumerate(errors) if error is not None}
    async with SqliteBackend(path, clock=partial(_later, 600)) as store_again:
        await ledger.check(store_again)
        for number, error in failed.items():
            assert trouble.refused or pages, "not without reason"
            assert kept[number][: error.offset] + error.text == TEXT, "what is not stored is in the error"
            assert (error.spooled is not None) == (on == "other disk" or (on == "disk" and pages is not None))
        spooled = [error for error in failed.values() if error.spooled]
        if spool and spooled:
            report = await spool.drain(store_again)
            assert (len(report.delivered), report.left, report.dead, report.error) == (len(spooled), 0, (), None)
        for number, error in failed.items():
            if not error.spooled:
                again = remember_stream(
                    prefill(lambda point: _model([TEXT[point.offset :]])), backend=store_again, **_ask(number)
                )
                assert (await again).full_response == TEXT
        await _stored_once(store_again, streams)
    return Outcome("not stored" if failed else "remembered", trouble.seen, trouble.refused, begun)


async def _answer(store: Acknowledging, spool: Spool | None, number: int) -> NotStored | None:
    """One stream, to its end, which must come in time: the error, if it could not be stored."""
    answer = remember_stream(lambda: _model(WORDS), backend=store, spool=spool, **_ask(number))
    shown: list[tuple[str, float]] = []
    error: NotStored | None = None
    with contextlib.suppress(NotStored):
        async for event in answer.events():
            if isinstance(event, Delta):
                shown.append((event.text, wall() - EPOCH))
    late = wall() - EPOCH - PACE * len(WORDS)
    assert "".join(text for text, _ in shown) == TEXT, "every token is shown"
    times = [at for _, at in shown]
    assert times[0] <= SLOWEST, "the first token waits for the store to begin, so long at most"
    assert all(b - a <= PACE + 0.001 for a, b in pairwise(times)), "and no other waits for it"
    try:
        assert (await answer).full_response == TEXT
    except NotStored as failed:
        error = failed
    assert late <= 2 * SLOWEST + 3, "and the end waits for its tries alone"
    return error


def _check_sound(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def _check_power_loss(files: dict[str, bytes], folder: Path, ledger: Ledger) -> None:
    """The power is lost as well, after all that: what was acknowledged is there."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    async with SqliteBackend(folder / "memory.db", clock=wall) as store:
        await ledger.check(store)
    _check_sound(folder / "memory.db")


def _later(seconds: float) -> float:
    return wall() + seconds


async def _kept(store: Acknowledging, ledger: Ledger, number: int) -> str:
    """The text that the store gives while its disk is full."""
    question = _ask(number)["user_message"]
    for stream, told in ledger.streams.items():
        if told.question == question:
            page = await store.query("streams:read", {"memorySpaceId": "space", "streamId": stream, "after": 0})
            return str(page["text"])
    return ""


async def _stored_once(store: SqliteBackend, streams: int) -> None:
    space = {"memorySpaceId": "space"}
    rows = await store.query("memories:list", {**space, "includePartial": True})
    assert len(rows) == 2 * streams
    for number in range(streams):
        question, id = _ask(number)["user_message"], _ask(number)["conversation_id"]
        conversation = await store.query("conversations:get", {**space, "conversationId": id})
        assert [message["content"] for message in conversation["messages"]] == [question, TEXT]
        its = [row for row in rows if row["conversationRef"]["conversationId"] == id]
        assert [(row["content"], row["isPartial"]) for row in its] == [(TEXT, False), (question, False)]
