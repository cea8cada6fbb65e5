"""What undoes a savepoint stays in memory: no file beside the store holds a user's text."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from cortex_rx.backends import SqliteBackend

FILES = Path("/proc/self/fd")


@pytest.mark.skipif(not FILES.exists(), reason="the system does not list the open files of a process")
async def test_many_writes_at_once_open_no_temporary_file(tmp_path: Path) -> None:
    opened: set[str] = set()

    def looking() -> float:
        """Called within the transaction, on the thread that writes."""
        for each in FILES.iterdir():
            try:
                opened.add(os.readlink(each))
            except FileNotFoundError:
                continue  # closed meanwhile
        return 1_800_000_000.0

    async with SqliteBackend(tmp_path / "memory.db", clock=looking) as backend:

        async def exchange(number: int) -> None:
            where = {"streamId": f"st-{number}", "memorySpaceId": "space"}
            turn = {"conversationId": f"c-{number}", "userMessage": f"why {number}? " * 400, "userId": "ada"}
            begun = await backend.mutation("streams:begin", {**where, **turn, "importance": 50, "tags": []})
            text = " ".join(f"word{number}x{each}" for each in range(100))
            owned = {**where, "epoch": begun["epoch"], "attempt": 0}
            await backend.mutation("streams:finalize", {**owned, "start": 0, "text": text, "length": len(text)})

        await asyncio.gather(*map(exchange, range(100)))
        await backend.compact()
        await asyncio.gather(*map(exchange, range(100, 200)))
        assert await backend.query("memories:count", {"memorySpaceId": "space"}) == 400
    assert str(tmp_path / "memory.db-wal") in opened
    assert not [name for name in opened if "etilqs" in name]
