"""Several streams that write at the same instants through one backend, so that their calls share transactions.

`crashed` and `filled` are one case each: something goes wrong, and then another process goes on. What had been
acknowledged must be there, and in the end each exchange is stored once. Threads are busy for two turns of the loop, so
that all calls of an instant wait together.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

from helpers.empty_store import lay_out
from proofs.power.acknowledged import Acknowledging, Call, Ledger
from proofs.power.cuts import connecting
from proofs.power.full_disk import Trouble
from proofs.power.sqlite_disk import Disk
from proofs.sharing.threads import run_threaded

from cortex_rx import SqliteBackend
from cortex_rx.errors import StoreError
from cortex_rx.testing import Faulty, Plan, Process, wall
from cortex_rx.testing.faults.processes import Crashed

__all__ = ["CALLS", "PIECES", "STREAMS", "crashed", "filled"]

STREAMS, PIECES = 4, 3
CALLS = STREAMS * (PIECES + 2)
SPACE = {"memorySpaceId": "space"}


def crashed(path: Path, plan: Plan | str) -> tuple[list[str], Counter[str]]:
    """One effect of the process goes wrong.  Its effects, and what became of the streams."""
    lay_out(path)
    try:
        return run_threaded(_crashed(path, Plan.of(plan)))
    except BaseException as error:
        error.add_note(f"again: crashed(path, {str(plan)!r})")
        raise


def filled(folder: Path, trouble: str, first: int = 0, seconds: float = 1e9) -> tuple[Trouble, Counter[str]]:
    """From the operation `first` on (0: never) the disk refuses for so many seconds.  What it did, and what became."""
    lay_out(folder / "memory.db")
    try:
        return run_threaded(_filled(folder, Trouble(trouble, first, seconds)))
    except BaseException as error:
        error.add_note(f"again: filled(folder, {trouble!r}, {first}, {seconds})")
        raise


async def _crashed(path: Path, plan: Plan) -> tuple[list[str], Counter[str]]:
    calls = list[Call]()
    outcomes: Counter[str] = Counter()
    async with Process(plan) as process:
        store = Faulty(Acknowledging(SqliteBackend(path, clock=wall), calls.append), process)
        try:
            outcomes = await process.run(_write_all(store, "first"))
        except Crashed:
            outcomes["crashed"] += 1
    await _go_on(path, calls)
    return process.effects, outcomes


async def _filled(folder: Path, trouble: Trouble) -> tuple[Trouble, Counter[str]]:
    calls, disk = list[Call](), Disk(folder)
    with disk.recording():
        store = Acknowledging(SqliteBackend(folder / "memory.db", clock=wall), calls.append)
        await store.query("memories:count", SPACE)  # the file is open
        disk.refuse = trouble
        outcomes = await _write_all(store, "first")
        cut = len(disk.events)
        await store.close()
    for way in ("nothing", "half of the sectors"):
        (folder / way).mkdir()
        for name, content in disk.after(cut, way).items():
            (folder / way / name).write_bytes(content)
        await _go_on(folder / way / "memory.db", calls)
    await _go_on(folder / "memory.db", calls)
    return trouble, outcomes


async def _write_all(store: Any, who: str) -> Counter[str]:
    """All streams, each to its end or to its first failure."""
    ends = await asyncio.gather(*(_write(store, who, number) for number in range(STREAMS)), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException) and not isinstance(end, StoreError):
            raise end
    return Counter("stored" if end is None else type(end).__name__ for end in ends)


def _text(number: int) -> str:
    return "".join(f"({number}.{piece} {'and so on ' * 99})" for piece in range(PIECES))


async def _write(store: Any, who: str, number: int) -> None:
    """One stream, unless it is finished."""
    key = {**SPACE, "streamId": f"st{number}"}
    question = {"conversationId": "c-1", "userMessage": f"Question {number}?", "userId": "ada"}
    claim = {"claim": f"{who} {number}", "lease": 10_000, "importance": 50, "tags": []}
    begun = await store.mutation("streams:begin", {**key, **question, **claim})
    if begun["state"] != "open":
        return
    writer = {**key, "epoch": begun["epoch"], "attempt": begun["attempt"]}
    text, end = _text(number), 0  # begun again, it is another attempt
    while end < len(text):
        await asyncio.sleep(1)
        more = {"start": end, "text": text[end : end + len(text) // PIECES]}
        end = (await store.mutation("streams:append", {**writer, **more}))["end"]
    await asyncio.sleep(1)
    await store.mutation("streams:finalize", {**writer, "start": end, "text": "", "length": end})


async def _go_on(path: Path, calls: list[Call]) -> None:
    """Another process, later: what was acknowledged is there, and all streams come to their end."""
    unsynced = connecting("OFF", lambda _: None)  # for one look: syncs would only cost time
    with mock.patch.object(sqlite3, "connect", unsynced):
        await _look(path, calls)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def _look(path: Path, calls: list[Call]) -> None:
    async with SqliteBackend(path, clock=lambda: wall() + 600) as store:
        await Ledger("space", calls).check(store)
        assert await _write_all(store, "second") == {"stored": STREAMS}
        said = await store.query("conversations:get", {**SPACE, "conversationId": "c-1"})
        texts = [message["content"] for message in said["messages"]]
        expected = [(f"Question {number}?", _text(number)) for number in range(STREAMS)]
        assert sorted(zip(texts[::2], texts[1::2], strict=True)) == expected, "each exchange once"
        rows = await store.query("memories:list", {**SPACE, "includePartial": True})
        found = sorted((row["content"], row["isPartial"]) for row in rows)
        assert found == sorted((text, False) for pair in expected for text in pair), "each memory once"
