"""Threads in virtual time that are busy for some turns of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from cortex_rx.testing import Process
from cortex_rx.testing.simulate.threads import ThreadedLoop


def run(main: Coroutine[Any, Any, Any], turns: int = 3) -> Any:
    with asyncio.Runner(loop_factory=lambda: ThreadedLoop(lambda: turns)) as runner:
        return runner.run(main)


def test_jobs_are_done_in_their_order_some_turns_later() -> None:
    async def main() -> None:
        loop, done = asyncio.get_running_loop(), list[int]()
        jobs = [loop.run_in_executor(None, done.append, number) for number in range(3)]
        seen: list[int] = []
        while len(done) < 3:
            seen.append(len(done))
            await asyncio.sleep(0)
        assert done == [0, 1, 2] and loop.time() == 0
        assert [seen.count(number) for number in range(3)] == [3, 4, 4]
        assert await asyncio.gather(*jobs) == [None] * 3

    run(main())


def test_what_a_job_raises_arrives_and_a_job_that_was_cancelled_is_not_done() -> None:
    async def main() -> None:
        loop, done = asyncio.get_running_loop(), list[int]()
        cancelled = loop.run_in_executor(None, done.append, 1)
        failing = loop.run_in_executor(None, int, "x")
        cancelled.cancel()
        with pytest.raises(ValueError, match="invalid literal"):
            await failing
        assert await loop.run_in_executor(None, len, "ab") == 2
        assert done == []

    run(main())


def test_a_process_that_crashes_loses_what_its_thread_had_not_begun() -> None:
    async def main() -> None:
        done: list[str] = []

        async def work(name: str) -> None:
            await asyncio.get_running_loop().run_in_executor(None, done.append, name)

        async with Process() as dead, Process() as still, Process() as alive:
            tasks = [process.start(work(name)) for process, name in ((dead, "a"), (still, "b"), (alive, "c"))]
            await asyncio.sleep(0)
            dead.crash()
            still.stall(5)
            await tasks[2]
            assert done == ["c"]
            await tasks[1]
            assert done == ["c", "b"] and asyncio.get_running_loop().time() == 5
        assert done == ["c", "b"]

    run(main())
