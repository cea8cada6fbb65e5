"""A process is killed at any call of a drain: the next drain, in another process, finishes it; nothing is stored
twice.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.lanes import slow_but
from helpers.spooled import opened, put, stored

from cortex_rx import Spool
from cortex_rx.backends import SqliteBackend
from cortex_rx.errors import SpoolBusy
from cortex_rx.spool.file import DRAIN_LEASE

PROGRAM = """
import asyncio, sys
from cortex_rx import Spool, SqliteBackend

class Stops:
    def __init__(self, inner, number, when):
        self.inner, self.left, self.when = inner, number, when
    async def query(self, path, args):
        return await self.inner.query(path, args)
    async def mutation(self, path, args):
        self.left -= 1
        if self.left < 0 and self.when == "before":
            await self.stop()
        result = await self.inner.mutation(path, args)
        if self.left < 0:
            await self.stop()
        return result
    async def stop(self):
        print("now", flush=True)
        await asyncio.sleep(600)
    async def close(self): ...

async def main():
    spool, memory, number, when = sys.argv[1:]
    async with SqliteBackend(memory) as store:
        await Spool(spool).drain(Stops(store, int(number), when))
    print("done", flush=True)
asyncio.run(main())
"""
LONG = "".join(f"{number} is a number. " for number in range(30_000))
QUESTION = ("user", "What is it?")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", slow_but([2, 4], [0, 1, 2, 4], "a drainer that is killed at its other calls"))
def test_killed(tmp_path: Path, number: int, when: str) -> None:
    """Calls 0 to 3 are of the long answer (begin, two appends, finalize), 4 and 5 of the short one."""
    path, file = tmp_path / "memory.db", tmp_path / "spool.db"

    async def fill() -> None:
        await put(Spool(file), opened("long"), LONG)
        await put(Spool(file), opened("short", 1001.0), "It is a pen.")

    asyncio.run(fill())
    program = [sys.executable, "-c", PROGRAM, str(file), str(path), str(number), when]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    async def drain() -> int:
        async with SqliteBackend(path) as store:
            with pytest.raises(SpoolBusy):
                await Spool(file).drain(store)
            later = Spool(file, clock=lambda: time.time() + DRAIN_LEASE / 1000 + 1)
            report = await later.drain(store)
            assert (report.dead, report.dropped, report.left, report.error) == ((), (), 0, None)
            assert await later.count() == 0
            return len(report.delivered)

    assert asyncio.run(drain()) == (2 if number < 4 else 1)
    found = asyncio.run(stored(path))
    assert found["messages"] == [QUESTION, ("agent", LONG), QUESTION, ("agent", "It is a pen.")]
    assert found["memories"] == [
        (*QUESTION, False),
        ("agent", LONG, False),
        (*QUESTION, False),
        ("agent", "It is a pen.", False),
    ]
